"""Pipelines with stages, whose turn it is in a team, and who is away."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tickets.db import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pipelines",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pipelines")),
    )
    op.create_table(
        "stages",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("pipeline", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("automove", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.key"], name=op.f("fk_stages_pipeline_pipelines")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stages")),
    )
    op.create_index(op.f("ix_stages_pipeline"), "stages", ["pipeline"])
    op.create_table(
        "rotations",
        sa.Column("team", sa.String(length=60), nullable=False),
        sa.Column("last_user", sa.String(length=60), nullable=False),
        sa.ForeignKeyConstraint(["team"], ["teams.key"], name=op.f("fk_rotations_team_teams")),
        sa.PrimaryKeyConstraint("team", name=op.f("pk_rotations")),
    )
    with op.batch_alter_table("users") as batch_op:
        batch_op.add_column(sa.Column("absent_until", UtcDateTime(), nullable=True))
