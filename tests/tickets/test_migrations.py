"""Every database of every earlier version comes to the schema this code wants, on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.environment.databases import TABLES
from tickets import migrate
from tickets.db import Base, Database


def not_the_search_index(name: str | None, _kind: str, _parents: object) -> bool:
    """tickets.search makes it of what stands in the tables."""
    return not (name or "").startswith("search_")


def test_the_models_are_exactly_what_the_migrations_make(empty_database_url: str) -> None:
    for tables in TABLES:
        importlib.import_module(tables)
    migrate.upgrade(empty_database_url)
    database = Database(empty_database_url)
    with database.read() as connection:
        opts = {"compare_type": True, "include_name": not_the_search_index}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, Base.metadata)
        assert [str(one) for one in differences] == []
        assert migrate.current(connection) == migrate.head()
    database.close()


@pytest.mark.parametrize("start", migrate.revisions())
def test_an_upgrade_from_every_earlier_version_reaches_the_newest(empty_database_url: str, start: str) -> None:
    migrate.upgrade(empty_database_url, start)
    migrate.upgrade(empty_database_url)
    migrate.upgrade(empty_database_url)
    database = Database(empty_database_url)
    with database.read() as connection:
        assert migrate.current(connection) == migrate.head()
    database.close()
