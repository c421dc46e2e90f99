"""Whether the database has the schema that this version was written for: with another one nothing is worked on.

A worker that is started before the upgrade, or is left over from before it, would fail at its own statements, and take
that for a fault of the events, mails and runs in its hand: they would be set aside or given up one after the other.
"""

from __future__ import annotations

import logging
import time

from sqlalchemy import text

from tickets import migrate
from tickets.db import Database

log = logging.getLogger(__name__)

#: Seconds for which one look counts.
LOOK_S = 1.0

_FOUND = text("SELECT version_num FROM alembic_version")


class Schema:
    """One process's knowledge of it."""

    def __init__(self, db: Database, *, look_s: float = LOOK_S) -> None:
        self._db, self._look_s = db, look_s
        self._fits = True
        self._looked_at: float | None = None

    def fits(self) -> bool:
        """Whether to work. That it ceases to fit, and that it does again, is logged once.

        Raises what SQLAlchemy raises when the database is away."""
        if self._looked_at is not None and time.monotonic() - self._looked_at < self._look_s:
            return self._fits
        found, wanted = self._found(), migrate.wanted()
        self._looked_at = time.monotonic()
        if (found == wanted) != self._fits:
            self._fits = found == wanted
            if self._fits:
                log.warning("schema.fits", extra={"schema": found})
            else:
                # Which is the older one says what there is to do: upgrade the database, or this process.
                log.error("schema.differs", extra={"found": found or "none", "wanted": wanted, "done": "nothing"})
        return self._fits

    def _found(self) -> str | None:
        with self._db.read() as connection:
            if not connection.dialect.has_table(connection, "alembic_version"):
                return None
            found: str | None = connection.execute(_FOUND).scalar_one_or_none()
            return found
