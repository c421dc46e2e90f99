"""A draft beside the live version: decided on each event that happens, without effect, until it proved itself (N7).

The clock lets the draft decide what the rule list has decided since it looked last, with the facts of then and by the
function that decides live (`jobs.preview`). All it writes is its own row. While it runs, and when it did something else
more often than was allowed, the draft is not published; a changed draft is another one, and its row ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from jobs.preview import beside
from jobs.services import Services
from jobs.tables import DecisionRow, ShadowRow
from rules import store as rule_list
from rules.errors import TableInvalid
from rules.store import EntryNotFound, Stored
from tickets.db import AWAY
from tickets.people import Viewer
from tickets.store import AnyRow

log = logging.getLogger(__name__)

#: Decisions one look takes; the longest a draft runs, in days; tickets it meets at most; samples kept.
BATCH = 50
MOST_DAYS = 30
MOST_TICKETS = 1_000
SAMPLES = 50
#: Why a shadow ended before its time.
CHANGED, INVALID = "changed", "invalid"


class Standing(StrEnum):
    """How a shadow stands."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"  # it did something else more often than was allowed, or met nothing it could be compared on
    STOPPED = "stopped"  # the draft was changed or cannot be read any more


@dataclass(frozen=True, slots=True)
class Shadow:
    """One shadow as stored, with how it stands now."""

    row: AnyRow
    standing: Standing

    @property
    def items(self) -> list[int]:
        """The tickets it met."""
        return list(self.row._mapping["items"])

    @property
    def share(self) -> float:
        """The share of events that came out differently, in per cent."""
        return 100 * self.row.different / self.row.events if self.row.events else 0.0


def start(
    connection: Connection, stored: Stored, viewer: Viewer, *, days: int, tickets: int, allowed: int, now: datetime
) -> None:
    """Let this draft run beside the live version, from now on; one that ran before is forgotten.

    Until `days` are over or it met `tickets`, whichever is first; `allowed` is in per cent of the events compared."""
    stop(connection, stored.code)
    newest = connection.execute(select(func.coalesce(func.max(DecisionRow.id), 0))).scalar_one()
    connection.execute(
        insert(ShadowRow).values(
            code=stored.code,
            draft_count=stored.draft_count,
            started_by=viewer.key,
            started_at=now,
            until=now + timedelta(days=min(max(days, 1), MOST_DAYS)),
            tickets=min(max(tickets, 1), MOST_TICKETS),
            allowed=min(max(allowed, 0), 100),
            seen_to=newest,
            events=0,
            different=0,
            skipped=0,
            items=[],
            samples=[],
            problem="",
        )
    )


def stop(connection: Connection, code: str) -> None:
    """Forget the shadow of this entry, if there is one: its draft may be published unproved."""
    connection.execute(delete(ShadowRow).where(ShadowRow.code == code))


def of(connection: Connection, stored: Stored) -> Shadow | None:
    """The shadow of this entry, None when there is none."""
    row = connection.execute(select(ShadowRow.__table__).where(ShadowRow.code == stored.code)).one_or_none()
    return None if row is None else Shadow(row, _standing(row, stored))


def _standing(row: AnyRow, stored: Stored) -> Standing:
    if row.problem or stored.draft is None or stored.draft_count != row.draft_count:
        return Standing.STOPPED
    if row.ended_at is None:
        return Standing.RUNNING
    return Standing.PASSED if row.events and 100 * row.different <= row.allowed * row.events else Standing.FAILED


def holds_back(connection: Connection, stored: Stored) -> Shadow | None:
    """The shadow for which this draft is not published yet, None when nothing is in the way."""
    found = of(connection, stored)
    return found if found is not None and found.standing in (Standing.RUNNING, Standing.FAILED) else None


def carry_on(services: Services, *, budget_s: float) -> int:
    """Let every running shadow see what was decided since; returns how many events were compared."""
    ends = time.monotonic() + budget_s
    compared = 0
    with services.db.read() as connection:
        running = connection.execute(select(ShadowRow.code).where(ShadowRow.ended_at.is_(None))).scalars().all()
    for code in running:
        while time.monotonic() <= ends:
            try:
                seen = _look(services, code)
            except AWAY:
                raise
            except Exception as error:
                # It would fail again with each look, and hold up the others.
                log.error("shadow.broken", exc_info=error, extra={"entry": code})
                _give_up(services, code)
                break
            if seen is None:
                break
            compared += seen
    return compared


def _look(services: Services, code: str) -> int | None:
    """One batch; how many events were compared, None when there is nothing to look at, or not yet."""
    now = services.clock.now()
    with services.db.read() as connection:
        row = connection.execute(select(ShadowRow.__table__).where(ShadowRow.code == code)).one_or_none()
        if row is None or row.ended_at is not None:
            return None
        try:
            stored = rule_list.entry(connection, code)
        except EntryNotFound:
            return None
        if stored.draft is None or stored.draft_count != row.draft_count:
            _end(services, row, CHANGED, now)
            return None
        decisions = connection.execute(
            select(DecisionRow.id, DecisionRow.event_id)
            .where(DecisionRow.id > row.seen_to, DecisionRow.outcome != "waiting")
            .order_by(DecisionRow.id)
            .limit(BATCH)
        ).all()
        if not decisions:
            if now >= row.until:
                _end(services, row, "", now)
            return None
        desk = services.live.current(connection)
        try:
            # An event that still waits is not among the decided ones; its last part comes by again.
            found = beside(connection, desk, code, stored.draft, [one.event_id for one in decisions])
        except TableInvalid:
            _end(services, row, INVALID, now)
            return None
    items = list(dict.fromkeys([*row._mapping["items"], *found.met]))[: row.tickets]
    over = now >= row.until or len(items) >= row.tickets
    _write(
        services,
        row,
        {
            "seen_to": decisions[-1].id,
            "events": row.events + found.events,
            "different": row.different + len(found.different),
            "skipped": row.skipped + sum(found.skipped.values()),
            "items": items,
            "samples": [*row.samples, *(one.event_id for one in reversed(found.different))][:SAMPLES],
            "ended_at": now if over else None,
        },
    )
    return None if over else found.events


def _give_up(services: Services, code: str) -> None:
    """End what cannot be looked at. Its row may be what is wrong, so it is not read."""
    ended = update(ShadowRow).where(ShadowRow.code == code, ShadowRow.ended_at.is_(None))
    with services.db.write() as connection:
        connection.execute(ended.values(ended_at=services.clock.now(), problem=INVALID))


def _end(services: Services, row: AnyRow, problem: str, now: datetime) -> None:
    _write(services, row, {"ended_at": now, "problem": problem})


def _write(services: Services, row: AnyRow, values: Mapping[str, Any]) -> None:
    """Keep what a look found; a second clock that looked at the same batch writes nothing."""
    with services.db.write() as connection:
        connection.execute(
            update(ShadowRow)
            .where(
                ShadowRow.code == row.code,
                ShadowRow.started_at == row.started_at,
                ShadowRow.seen_to == row.seen_to,
                ShadowRow.ended_at.is_(None),
            )
            .values(values)
        )
