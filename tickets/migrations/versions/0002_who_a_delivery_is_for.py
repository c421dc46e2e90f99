"""Who a delivery is for, so that what one recipient got within an hour can be counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as batch_op:
        batch_op.add_column(sa.Column("recipient", sa.String(length=320), nullable=False, server_default=""))
        batch_op.create_index("ix_outbox_recipient", ["recipient", "sent_at"])
