"""Since when somebody here has opened an item."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.add_column(sa.Column("opened_at", UtcDateTime(), nullable=True))
    # What is known of the past: who has seen a message of it, and who answered.
    op.execute(
        "UPDATE items SET opened_at = coalesce((SELECT min(seen.at) FROM seen JOIN messages"
        " ON messages.id = seen.message_id WHERE messages.item_id = items.id AND seen.who LIKE 'user:%'),"
        " first_reply_at)"
    )
