"""Business calendars, time triggers and their timers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tickets.db import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "calendars",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_calendars")),
    )
    op.create_table(
        "time_triggers",
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("entry", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("rule", DOCUMENT, nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("walked_to", sa.Integer(), nullable=True),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("tick_at", UtcDateTime(), nullable=True),
        sa.Column("tick_to", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_time_triggers")),
    )
    op.create_table(
        "timers",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("episode", sa.String(length=120), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_timers_item_id_items")),
        sa.PrimaryKeyConstraint("item_id", "key", name=op.f("pk_timers")),
    )
    op.create_index(
        "ix_timers_due",
        "timers",
        ["due_at"],
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_table(
        "clock_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("synced_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_state")),
    )
