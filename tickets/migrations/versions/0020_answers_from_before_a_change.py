"""How many changes were made through a connection, and before which of them it answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("writes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("connector_records", sa.Column("writes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("lookups", sa.Column("writes", sa.Integer(), nullable=True))
    op.add_column("lookups", sa.Column("not_from_seq", sa.Integer(), nullable=True))
