"""Alembic's entry: runs the migrations on the connection that `tickets.migrate` hands over."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import JSON

from tickets.db import Base, UtcDateTime


def short(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """The names that script.py.mako gives to our column types."""
    if kind == "type" and isinstance(item, JSON):
        return "DOCUMENT"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "MOMENT"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
    compare_type=False,
    render_item=short,
)
with context.begin_transaction():
    context.run_migrations()
