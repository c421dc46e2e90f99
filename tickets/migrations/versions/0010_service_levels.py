"""Service levels and snoozed items."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tickets.db import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("items") as batch_op:
        batch_op.add_column(sa.Column("sla", sa.String(length=60), nullable=True))
        batch_op.add_column(sa.Column("snoozed_until", sa.String(length=40), nullable=True))
        batch_op.add_column(sa.Column("snoozed_for", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("snoozed_from", sa.String(length=40), nullable=True))
    op.create_table(
        "sla_policies",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sla_policies")),
    )
    op.create_table(
        "sla_clocks",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(length=20), nullable=False),
        sa.Column("policy", sa.String(length=60), nullable=False),
        sa.Column("start", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("near_at", UtcDateTime(), nullable=True),
        sa.Column("left_s", sa.Integer(), nullable=True),
        sa.Column("met_at", UtcDateTime(), nullable=True),
        sa.Column("breached_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["items.id"], name=op.f("fk_sla_clocks_item_id_items")),
        sa.PrimaryKeyConstraint("item_id", "target", name=op.f("pk_sla_clocks")),
    )
