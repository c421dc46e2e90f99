"""Room for the team or the person whose answer a snoozed item waits for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.alter_column(
            "snoozed_for", existing_type=sa.String(length=20), type_=sa.String(length=80), existing_nullable=True
        )
