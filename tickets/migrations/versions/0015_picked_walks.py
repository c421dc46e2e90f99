"""Which items a time trigger gave timers to when it went live: those its table might act on, by a digest of that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("time_triggers") as batch_op:
        batch_op.add_column(sa.Column("picks", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("picked_at", UtcDateTime(), nullable=True))
