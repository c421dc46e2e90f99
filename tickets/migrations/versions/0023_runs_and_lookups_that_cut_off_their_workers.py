"""How often workers were cut off with a run or a lookup in hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "lookups"):
        op.add_column(table, sa.Column("cut_off", sa.Integer(), server_default="0", nullable=False))
