"""Taking back what a version of a table or script did."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tickets.db import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    data = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    op.create_table(
        "undos",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=10), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["code"], ["entries.code"], name=op.f("fk_undos_code")),
        sa.ForeignKeyConstraint(["asked_by"], ["users.key"], name=op.f("fk_undos_asked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_undos")),
    )
    op.create_index(op.f("ix_undos_code"), "undos", ["code"])
    op.create_table(
        "undo_items",
        sa.Column("undo_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("outcome", data, nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["undo_id"], ["undos.id"], name=op.f("fk_undo_items_undo_id")),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_undo_items_item_id")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_undo_items_event_id")),
        sa.PrimaryKeyConstraint("undo_id", "item_id", name=op.f("pk_undo_items")),
    )
    op.create_index(op.f("ix_undo_items_item_id"), "undo_items", ["item_id"])
    op.create_index(
        "ix_undo_items_waiting",
        "undo_items",
        ["undo_id", "item_id"],
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
