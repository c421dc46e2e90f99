"""Statuses of their own that jobs of a pipeline may have, and whether a bank debit counts before it is cleared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pipelines", sa.Column("debit_at_once", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("pipelines") as batch_op:
        batch_op.alter_column("debit_at_once", server_default=None)
    op.create_table(
        "job_statuses",
        sa.Column("key", sa.String(length=60), nullable=False),
        sa.Column("pipeline", sa.String(length=60), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("automove", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["pipeline"], ["pipelines.key"], name=op.f("fk_job_statuses_pipeline")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_job_statuses")),
    )
    op.create_index(op.f("ix_job_statuses_pipeline"), "job_statuses", ["pipeline"])
