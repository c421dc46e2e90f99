"""How colleagues want what the bell tells them by e-mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("mail", sa.String(length=10), nullable=False, server_default="at_once"))
