"""Since when an item is in its status and who waits for an answer; the ledger of rows that fired."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.add_column(sa.Column("status_since", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("unanswered_since", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("replied_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("first_reply_at", UtcDateTime(), nullable=True))
    # What is known of the past: the last status change and the messages. Counted from creation where nothing is.
    op.execute(
        "UPDATE items SET status_since = coalesce((SELECT max(history.at) FROM history"
        " WHERE history.item_id = items.id AND history.field = 'status' AND history.outcome = 'done'), created_at)"
    )
    reply = "SELECT {what}(created_at) FROM messages WHERE item_id = items.id AND public AND author_kind = 'agent'"
    first, last = reply.format(what="min"), reply.format(what="max")
    op.execute(f"UPDATE items SET first_reply_at = ({first}), replied_at = ({last})")
    op.execute(
        "UPDATE items SET unanswered_since = (SELECT min(created_at) FROM messages WHERE item_id = items.id AND public"
        " AND author_kind = 'customer' AND (items.replied_at IS NULL OR messages.created_at > items.replied_at))"
    )
    op.execute("UPDATE items SET replied_at = NULL WHERE unanswered_since IS NOT NULL")
    with op.batch_alter_table("items") as batch_op:
        batch_op.alter_column("status_since", existing_type=UtcDateTime(), nullable=False)
    op.create_table(
        "row_ledger",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("row_key", sa.String(length=80), nullable=False),
        sa.Column("episode", sa.String(length=120), nullable=False),
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_row_ledger_item_id_items")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_row_ledger_event_id_events")),
        sa.PrimaryKeyConstraint("item_id", "row_key", "episode", name=op.f("pk_row_ledger")),
    )
