"""How often workers were cut off with a lane in hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lanes", sa.Column("cut_off", sa.Integer(), server_default="0", nullable=False))
