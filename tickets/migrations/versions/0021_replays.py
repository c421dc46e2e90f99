"""Replays of past items with drafts in place."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tickets.db import UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    data = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    due, waiting = sa.text("due_at IS NOT NULL"), sa.text("status = 'waiting'")
    op.create_table(
        "replays",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=60), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("drafts", data, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("picked", data, nullable=False),
        sa.Column("scripts", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("problem", sa.String(length=200), nullable=False),
        sa.Column("worked_ms", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("token", sa.String(length=32), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["users.key"], name=op.f("fk_replays_asked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index("ix_replays_due", "replays", ["due_at"], sqlite_where=due, postgresql_where=due)
    op.create_index(op.f("ix_replays_asked_at"), "replays", ["asked_at"])
    op.create_table(
        "replay_items",
        sa.Column("replay_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("faithful", sa.Boolean(), nullable=True),
        sa.Column("outcome", data, nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_replay_items_item_id")),
        sa.ForeignKeyConstraint(["replay_id"], ["replays.id"], name=op.f("fk_replay_items_replay_id")),
        sa.PrimaryKeyConstraint("replay_id", "item_id", name=op.f("pk_replay_items")),
    )
    op.create_index(
        "ix_replay_items_waiting",
        "replay_items",
        ["replay_id", "item_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index(op.f("ix_replay_items_item_id"), "replay_items", ["item_id"])
