"""Statements, compiled once per session instead of once per test.

SQLAlchemy keeps what a statement compiles to, and what a type needs, with the engine that asked, and each test has a
database and so an engine of its own: an eighth of all time of the tests of pages. Neither depends on which file the
database is, or which database of a session's PostgreSQL server.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from tickets.db import HOW_JSON_IS_WRITTEN

#: Compiled statements that are kept, in pieces; the least used go first beyond it.
MOST_KEPT = 5_000


def compile_statements_once() -> None:
    """From now on, for this process."""
    first = create_engine("sqlite://", query_cache_size=MOST_KEPT, **HOW_JSON_IS_WRITTEN)
    with first.connect():
        pass  # The dialect asks the library for its version at the first connection.
    first.dispose()
    made = Engine.__init__
    #: PostgreSQL's dialect and what was compiled for it: of the first engine, once that has asked its server.
    of_postgres: list[Engine] = []

    def init(self: Engine, pool: Any, dialect: Any, *args: Any, **kwargs: Any) -> None:
        made(self, pool, dialect, *args, **kwargs)
        if type(dialect) is type(first.dialect):
            self.dialect = first.dialect
            self._compiled_cache = first._compiled_cache
        elif type(dialect) is PGDialect_psycopg:
            if of_postgres and of_postgres[0].dialect.server_version_info:
                self.dialect = of_postgres[0].dialect
                self._compiled_cache = of_postgres[0]._compiled_cache
            else:
                of_postgres[:] = [self]

    patched: Any = Engine
    patched.__init__ = init
