"""How often workers were cut off with something to be delivered in hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("outbox", sa.Column("cut_off", sa.Integer(), server_default="0", nullable=False))
