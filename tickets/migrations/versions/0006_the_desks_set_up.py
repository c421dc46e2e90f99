"""Named lists, groups of locations, who changed the desk's set-up, and tables that were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tickets.db import UtcDateTime

DOCUMENT = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "location_groups",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_location_groups")),
    )
    op.create_table(
        "location_group_members",
        sa.Column("group", sa.String(length=60), nullable=False),
        sa.Column("location", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["location_groups.key"], name=op.f("fk_location_group_members_group")),
        sa.ForeignKeyConstraint(["location"], ["locations.key"], name=op.f("fk_location_group_members_location")),
        sa.PrimaryKeyConstraint("group", "location", name=op.f("pk_location_group_members")),
    )
    op.create_index(op.f("ix_location_group_members_location"), "location_group_members", ["location"])
    op.create_table(
        "named_lists",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("people", sa.Boolean(), nullable=False),
        sa.Column("members", DOCUMENT, nullable=False),
        sa.Column("saves", sa.Integer(), nullable=False),
        sa.Column("saved_by", sa.String(length=60), nullable=False),
        sa.Column("saved_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_named_lists")),
    )
    op.create_table(
        "setting_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("who", sa.String(length=60), nullable=False),
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("change", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_setting_changes")),
    )
    op.create_index(op.f("ix_setting_changes_at"), "setting_changes", ["at"])
    with op.batch_alter_table("entries") as batch_op:
        batch_op.add_column(sa.Column("deleted_at", UtcDateTime(), nullable=True))
