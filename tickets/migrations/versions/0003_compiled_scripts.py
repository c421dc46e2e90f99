"""The compiled form of scripts, kept between their runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "compiled_scripts",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("code", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_compiled_scripts")),
    )
    op.create_index(op.f("ix_compiled_scripts_made_at"), "compiled_scripts", ["made_at"])
