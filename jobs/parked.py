"""Events that could not be handled and were set aside: what they were, why, and handling them again.

A lane goes on past a parked event. Handled again, it is decided on what was true at its own place in the lane; what
people changed since is not overwritten. Before that one can look: the live function does it, in a transaction that is
taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, not_, select, update

from jobs import lanes, rows_set_aside, scripts_at_work
from jobs.applying import apply_outcomes
from jobs.aside import COLUMNS, LISTED, Aside, counted
from jobs.automation import decided
from jobs.deciding import Outcome, Read, read_event, wait_is_over
from jobs.services import Services
from tickets import store
from tickets.events import EventKind
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import EventRow, WorkItem
from tickets.visibility import visible

#: Events one look rehearses.
REHEARSED = 50


@dataclass(frozen=True, slots=True)
class Parked(Aside):
    """One event that was set aside, with the error of its last try."""

    tries: int
    error: str
    #: Rows that could not be decided while a script was at work, whose end this event is: they wait for it.
    waits: tuple[str, ...] = ()


@dataclass(slots=True)
class Rehearsal:
    """What handling one parked event again would come to now. `error`: it would fail again, and how.

    `asks` are lookups it would wait for, `run` says that it would wait for a script that is still running. With `rows`
    it is not the whole event, but these rows of tables, each with the reason it was set aside for. `waits` are rows
    that are decided afterwards, as they waited for a script whose end this event is."""

    event: Aside
    rows: tuple[tuple[str, str], ...] = ()
    outcomes: list[Outcome] = field(default_factory=list)
    asks: tuple[str, ...] = ()
    run: bool = False
    error: str = ""
    waits: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing left to be done."""
        done = any(one.result == "done" for one in self.outcomes)
        return not (self.error or self.run or self.asks or self.waits or done)


def parked(connection: Connection, viewer: Viewer | None = None) -> list[Parked]:
    """The newest parked events, at most `LISTED`; with a viewer, those on items visible to them."""
    query = (
        select(*COLUMNS, EventRow.tries, EventRow.error, EventRow.payload)
        .join(WorkItem, WorkItem.id == EventRow.item_id)
        .where(EventRow.status == "parked")
        .order_by(EventRow.id.desc())
        .limit(LISTED)
    )
    if viewer is not None:
        query = query.where(visible(viewer))
    return [replace(Parked(*row[:-1]), waits=_waiting(connection, row)) for row in connection.execute(query)]


def _waiting(connection: Connection, row: AnyRow) -> tuple[str, ...]:
    run_id = row.payload.get("run_id") if row.kind == EventKind.SCRIPT else None
    return scripts_at_work.waiting_rows(connection, row.item_id, run_id) if isinstance(run_id, int) else ()


def hidden(connection: Connection, viewer: Viewer) -> int:
    """How many parked events are on items that are hidden from the viewer, counted up to `aside.HIDDEN_CAP`."""
    some = select(EventRow.id).join(WorkItem, WorkItem.id == EventRow.item_id)
    return counted(connection, some.where(EventRow.status == "parked", not_(visible(viewer))))


def handle_again(
    connection: Connection, now: datetime, ids: Sequence[int] | None = None, *, viewer: Viewer | None = None
) -> int:
    """Give these parked events (None: the newest `LISTED`) back to their lanes, oldest first; how many.

    An event that is not parked, or with a viewer on an item hidden from them, is left alone."""
    able = {one.id for one in parked(connection, viewer)} if ids is None or viewer is not None else set(ids)
    wanted = sorted(able if ids is None else able & set(ids))[:LISTED]
    of_wanted = select(EventRow.item_id).where(EventRow.id.in_(wanted), EventRow.status == "parked")
    lanes.lock_items(connection, connection.execute(of_wanted).scalars())
    again = connection.execute(
        update(EventRow)
        .where(EventRow.id.in_(wanted), EventRow.status == "parked")
        .values(status="pending", tries=0, error="")
        .returning(EventRow.item_id)
    ).scalars()
    items = list(again)
    lanes.take_back(connection, set(items), now)
    return len(items)


class _TakenBack(Exception):
    """Ends the transaction of a rehearsal: nothing of it stays."""


def rehearse(services: Services, viewer: Viewer, ids: Sequence[int] | None = None) -> list[Rehearsal]:
    """What handling these events (None: all that are listed) would come to, oldest first, at most `REHEARSED`.

    Each is decided and applied by the live function in a transaction of its own, which is then taken back: nothing is
    kept, sent or asked. One event at a time: what an earlier one would change, a later one does not see yet."""
    with services.db.read() as connection:
        listed = parked(connection, viewer)
    chosen = sorted((one for one in listed if ids is None or one.id in set(ids)), key=lambda one: one.id)
    return [_rehearse(services, one) for one in chosen[:REHEARSED]]


def rehearse_rows(services: Services, viewer: Viewer, ids: Sequence[int] | None = None) -> list[Rehearsal]:
    """What deciding the rows set aside of these events (None: all) again would come to, as `rehearse` does."""
    with services.db.read() as connection:
        found = rows_set_aside.listed(connection, viewer, ids)
    chosen = sorted(found, key=lambda one: one.event.id)[:REHEARSED]
    return [_rehearse_rows(services, one) for one in chosen]


def _rehearse_rows(services: Services, aside: rows_set_aside.RowsAside) -> Rehearsal:
    found = Rehearsal(aside.event, aside.rows)
    now = services.clock.now()
    try:
        with services.db.write() as connection:
            desk = services.live.current(connection)
            found.error = rows_set_aside.unreadable(desk, aside)
            again = rows_set_aside.decide_again(connection, desk, aside, now)
            if again is not None:
                row = connection.execute(select(*lanes.OPEN_COLUMNS).where(EventRow.id == again)).one()
                read = read_event(services, connection, row, now)
                read, outcomes, decision, _ = decided(read)
                item = store.read_item(connection, aside.event.item_id, lock=True)
                apply_outcomes(services, connection, read, item, outcomes, now, set())
                found.outcomes = outcomes
                failed = dict.fromkeys(one.reason for one in decision.skipped if one.failed)
                found.error = "; ".join(filter(None, (found.error, *failed)))
            raise _TakenBack
    except _TakenBack:
        return found
    except Exception as error:  # whatever it is: it is what the next try would end with
        found.error = f"{type(error).__name__}: {error}"
    return found


def _rehearse(services: Services, event: Parked) -> Rehearsal:
    found = Rehearsal(event, waits=event.waits)
    try:
        with services.db.read() as connection:
            row = connection.execute(select(*lanes.OPEN_COLUMNS).where(EventRow.id == event.id)).one()
            read = read_event(services, connection, row, services.clock.now())
        if read.awaited is not None and not wait_is_over(services, read):
            found.run = True
            return found
        _apply(services, read, found)
    except Exception as error:  # whatever it is: it is what the next try would end with
        found.error = f"{type(error).__name__}: {error}"
    return found


def _apply(services: Services, read: Read, found: Rehearsal) -> None:
    read, outcomes, decision, _ = decided(read)
    found.asks = tuple(key.name for key in decision.wait.lookups) if decision.wait is not None else ()
    try:
        with services.db.write() as connection:
            item = store.read_item(connection, read.event.item_id, lock=True)
            apply_outcomes(services, connection, read, item, outcomes, services.clock.now(), set())
            raise _TakenBack
    except _TakenBack:
        found.outcomes = outcomes
