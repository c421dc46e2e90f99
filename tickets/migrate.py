"""Bringing a database to the schema of this version, and copying it before.

Forward only, in one transaction, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, event, text

from tickets import search
from tickets.db import Database
from tickets.errors import CopyRefused, UpgradeRefused

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

# Alembic brings two template engines and the colours of five languages, and every process of the web imports this
# module for its commands: it is imported by who migrates.

#: Any number, the same in every process: PostgreSQL lets one of them migrate at a time.
_LOCK = 4_207_001


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to `revision`. Of several processes at once one does it, the others find it done.

    Raises `UpgradeRefused` where rows would point at nothing afterwards."""
    from alembic import command

    db = Database(url)
    if db.is_sqlite:
        event.listen(db.engine, "connect", _rebuild_tables)
    try:
        with db.write() as connection:
            if not db.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config = _config()
            config.attributes["connection"] = connection
            before = current(connection)
            command.upgrade(config, revision)
            if revision == "head":
                search.install(connection)
            if db.is_sqlite and current(connection) != before:
                lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if lost is not None:
                    raise UpgradeRefused(
                        f"Row {lost[1]} of {lost[0]} would point at nothing in {lost[2]}. The upgrade was undone and "
                        "nothing is lost. Mend that row, or restore a backup, and run the upgrade again."
                    )
    finally:
        db.close()


def _rebuild_tables(dbapi_connection: Any, _record: object) -> None:
    """SQLite changes a column by making the table anew, and drops none that rows point at while it checks that.

    Within a transaction this cannot be switched, so it is off for the whole upgrade, which checks at its end."""
    dbapi_connection.execute("PRAGMA foreign_keys=OFF")


def copy(db: Database, path: Path) -> int:
    """A whole copy of an SQLite database as it is at one moment, while others write; returns its size in bytes.

    Raises `CopyRefused` for PostgreSQL, where there is a file already, and where none can be written."""
    if not db.is_sqlite:
        raise CopyRefused("This is PostgreSQL: pg_dump copies it while it is at work. There is no copy.")
    draft = path.with_name(path.name + ".part")
    try:
        # Nobody but its owner may read it, and a copy that was cut short is none.
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise CopyRefused(f"{draft} cannot be made ({error.strerror}). There is no copy.") from error
    try:
        with db.engine.connect() as connection, closing(sqlite3.connect(draft)) as copy:
            source = cast(sqlite3.Connection, connection.connection.driver_connection)
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without another beside it
        os.link(draft, path)
    except FileExistsError as error:
        raise CopyRefused(f"{path} is there already and was left as it is. There is no copy.") from error
    except (OSError, sqlite3.Error) as error:
        raise CopyRefused(f"{path} cannot be written ({error}). There is no copy.") from error
    finally:
        draft.unlink()
    return path.stat().st_size


def current(connection: Connection) -> str | None:
    """The revision the database is at, None for an empty one."""
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


@cache
def head() -> str:
    """The revision this version of the code wants. Looked up once: it is asked with every look whether all is well,
    and Alembic reads every migration for it."""
    found = _scripts().get_current_head()
    assert found is not None
    return found


@cache
def wanted() -> str:
    """The same as `head`, by the names of the files alone: workers ask, and need nothing else of Alembic."""
    files = (Path(__file__).parent / "migrations" / "versions").glob("[0-9]*_*.py")
    return max(one.name.partition("_")[0] for one in files)


def revisions() -> list[str]:
    """Every revision, oldest first."""
    return [one.revision for one in reversed(list(_scripts().walk_revisions()))]


def _scripts() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
