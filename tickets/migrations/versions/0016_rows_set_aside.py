"""Rows of tables that an error set aside, to be decided again after a repair."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rows_set_aside",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("row_key", sa.String(length=80), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_rows_set_aside_event_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_rows_set_aside_item_id")),
        sa.PrimaryKeyConstraint("event_id", "row_key", name=op.f("pk_rows_set_aside")),
    )
    op.create_index(op.f("ix_rows_set_aside_item_id"), "rows_set_aside", ["item_id"])
    op.create_index(op.f("ix_rows_set_aside_at"), "rows_set_aside", ["at"])
