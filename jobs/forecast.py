"""What will happen to an item by itself, and calling it off.

Each source knows one kind of thing that comes: waits, runs, lookups, what leaves, times. A new one is a class with
`entries` and `call_off`, and its place in `SOURCES`; pages and history follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from jobs import lanes
from jobs.changes import none_begun
from jobs.portal_mail import TOKEN
from jobs.scripts_at_work import CALLED_OFF
from jobs.tables import LookupRow, OutboxRow, RunRow
from tickets import levels, store
from tickets.effects import SetField, StateEffect
from tickets.errors import TicketsError
from tickets.events import Actor, Cause, EventKind
from tickets.people import Viewer
from tickets.snooze import SNOOZED, UNTIL
from tickets.tables import EventRow, History, Lane, PortalToken, Timer, TimeTrigger, WorkItem
from tickets.values import from_iso, iso

#: Entries one source tells, and characters of a reason.
LISTED = 20
WHY_CHARS = 300
#: What history calls something that was called off. It is no field.
FIELD = "coming"


class NotComing(TicketsError):
    """What was to be called off has happened, is happening, or was called off already. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that will happen to an item by itself. `at` None: as soon as a worker is free.

    `source` and `ref` say which one it is; `kind` is a word pages know, `what` the system, rule or script."""

    source: str
    ref: str
    #: wait, wait_for_run, lookup, lookup_again, run, run_again, running, send, send_again, sending, timer, wake, breach
    kind: str
    what: str
    at: datetime | None
    can_be_called_off: bool = True


class Source(Protocol):
    """One kind of thing that comes."""

    name: str
    #: What calling one off changes of the item's own fields, in the same event.
    changes: tuple[StateEffect, ...]

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        """What comes to this item, at most `LISTED`."""

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        """Make it not happen, in the caller's transaction, which holds the item. False when it is too late."""


class Waits:
    """Events that wait for answers or for a run: at the end of the wait the rules go on without."""

    name = "wait"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        rows = connection.execute(
            select(EventRow.id, EventRow.progress)
            .where(EventRow.item_id == item_id, EventRow.status == "waiting")
            .order_by(EventRow.seq)
            .limit(LISTED)
        )
        return [
            Coming(
                self.name,
                str(row.id),
                "wait_for_run" if "run" in row.progress else "wait",
                str(row.progress["at"]),
                from_iso(str(row.progress["until"])),
            )
            for row in rows
        ]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        waiting = and_(EventRow.id == int(ref), EventRow.item_id == item_id, EventRow.status == "waiting")
        progress = connection.execute(select(EventRow.progress).where(waiting)).scalar_one_or_none()
        if progress is None:
            return False
        connection.execute(update(EventRow).where(waiting).values(progress={**progress, "until": iso(now)}))
        # A worker that has read the old end of the wait must not write it back: it loses the lane, and reads again.
        connection.execute(update(Lane).where(Lane.item_id == item_id).values(due_at=now, lease_until=None, token=None))
        return True


class Runs:
    """Scripts that run, or will. What a run that was called off has collected is never applied."""

    name = "run"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        kinds = {"queued": "run", "running": "running", "retrying": "run_again"}
        rows = connection.execute(
            select(RunRow.id, RunRow.script, RunRow.status, RunRow.due_at)
            .where(RunRow.item_id == item_id, RunRow.status.in_(kinds))
            .order_by(RunRow.id)
            .limit(LISTED)
        )
        return [Coming(self.name, str(row.id), kinds[row.status], row.script, row.due_at) for row in rows]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        ended: dict[str, Any] = {
            "status": "cancelled",
            "finished_at": now,
            "due_at": None,
            "lease_until": None,
            "token": None,
            "outcome": {"stop_reason": reason},
        }
        kept = connection.execute(
            update(RunRow)
            .where(RunRow.id == int(ref), RunRow.item_id == item_id, RunRow.finished_at.is_(None))
            .values(**ended)
        )
        lanes.wake(connection, item_id, now)  # an event may wait for it
        return kept.rowcount == 1


class Lookups:
    """Questions to connected systems that are to be asked, or asked again."""

    name = "lookup"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        rows = connection.execute(
            select(LookupRow.id, LookupRow.connection, LookupRow.operation, LookupRow.due_at, LookupRow.tries)
            .where(LookupRow.item_id == item_id, LookupRow.due_at.is_not(None))
            .order_by(LookupRow.due_at)
            .limit(LISTED)
        )
        return [
            Coming(
                self.name,
                str(row.id),
                "lookup_again" if row.tries else "lookup",
                f"{row.connection}.{row.operation}",
                row.due_at,
            )
            for row in rows
        ]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        # The answer counts as failed, so that rules which wait for it go on without.
        given_up = {"state": "failed", "reason": reason, "due_at": None, "lease_until": None, "token": None}
        kept = connection.execute(
            update(LookupRow)
            .where(LookupRow.id == int(ref), LookupRow.item_id == item_id, LookupRow.due_at.is_not(None))
            .values(**given_up)
        )
        lanes.wake(connection, item_id, now)
        return kept.rowcount == 1


class Deliveries:
    """What is to leave the house. Once it is on its way it cannot be called back, nor can a change that may be made."""

    name = "delivery"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        rows = connection.execute(
            select(
                OutboxRow.id,
                OutboxRow.kind,
                OutboxRow.due_at,
                OutboxRow.tries,
                OutboxRow.lease_until,
                OutboxRow.recipient,
                OutboxRow.payload["operation"].as_string().label("operation"),
                none_begun().label("none_begun"),
            )
            .where(OutboxRow.item_id == item_id, OutboxRow.status == "due", _is_wanted())
            .order_by(OutboxRow.due_at)
            .limit(LISTED)
        )
        found = []
        for row in rows:
            sending = row.lease_until is not None and row.lease_until >= now
            kind = "sending" if sending else "send_again" if row.tries else "send"
            what = f"change:{row.recipient}.{row.operation}" if row.kind == "change" else row.kind
            free = row.none_begun and not sending
            found.append(Coming(self.name, str(row.id), kind, what, row.due_at, can_be_called_off=bool(free)))
        return found

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        free = or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until < now)
        kept = connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == int(ref), OutboxRow.item_id == item_id, OutboxRow.status == "due", free)
            .where(none_begun())
            .values(status="cancelled", last_error=reason, lease_until=None, token=None)
        )
        return kept.rowcount == 1


def _is_wanted() -> ColumnElement[bool]:
    """Not the reminder of a request that is over, or of one whose link will not work any more by then."""
    opens = select(PortalToken.id).where(
        PortalToken.id == OutboxRow.payload[TOKEN].as_integer(),
        PortalToken.used_at.is_(None),
        PortalToken.expires_at > OutboxRow.due_at,
    )
    return or_(OutboxRow.kind != "portal", opens.exists())


class Timers:
    """Times that rules wait for. One that is called off stays so for its episode; the next one has its own."""

    name = "timer"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        rows = connection.execute(
            select(Timer.key, TimeTrigger.entry, Timer.due_at)
            .join(TimeTrigger, TimeTrigger.key == Timer.key)
            .where(Timer.item_id == item_id, Timer.due_at.is_not(None))
            .order_by(Timer.due_at)
            .limit(LISTED)
        )
        return [Coming(self.name, row.key, "timer", row.entry, row.due_at) for row in rows]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        kept = connection.execute(
            update(Timer)
            .where(Timer.item_id == item_id, Timer.key == ref, Timer.due_at.is_not(None))
            .values(due_at=None, outcome="off")
        )
        return kept.rowcount == 1


class Snoozes:
    """The time at which a sleeping item comes back. It is called off only where somebody's answer brings it back, too:
    an item that nothing wakes would be forgotten."""

    name = "snooze"
    changes: tuple[StateEffect, ...] = (SetField(UNTIL, None),)

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        row = connection.execute(
            select(WorkItem.snoozed_until, WorkItem.snoozed_for).where(
                WorkItem.id == item_id, WorkItem.status == SNOOZED, WorkItem.snoozed_until.is_not(None)
            )
        ).one_or_none()
        if row is None:
            return []
        at = from_iso(row.snoozed_until)
        return [Coming(self.name, "until", "wake", "", at, can_be_called_off=bool(row.snoozed_for))]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        # `changes` does it; the timer goes with the write.
        return any(one.can_be_called_off for one in self.entries(connection, item_id, now))


class Breaches:
    """The moments at which service levels are over. A promise is not called off: it is kept, paused by a status that
    its policy names, or given by another policy. What rules do then are `Timers`, and can be."""

    name = "breach"
    changes: tuple[StateEffect, ...] = ()

    def entries(self, connection: Connection, item_id: int, now: datetime) -> list[Coming]:
        found = levels.own_clocks(connection, item_id).values()
        return [
            Coming(self.name, one.target, "breach", one.target, one.due_at, can_be_called_off=False)
            for one in found
            if one.due_at is not None and one.due_at > now and one.met_at is None and one.breached_at is None
        ]

    def call_off(self, connection: Connection, item_id: int, ref: str, reason: str, now: datetime) -> bool:
        return False


#: Everything that can come.
SOURCES: tuple[Source, ...] = (Waits(), Runs(), Lookups(), Deliveries(), Timers(), Snoozes(), Breaches())


def forecast(connection: Connection, item_id: int, now: datetime) -> list[Coming]:
    """What will happen to an item by itself, soonest first."""
    found = [one for source in SOURCES for one in source.entries(connection, item_id, now)]
    return sorted(found, key=lambda one: (one.at is not None, one.at or now))


def call_off(
    connection: Connection,
    item_id: int,
    source: str,
    ref: str,
    *,
    viewer: Viewer,
    actor: Actor,
    why: str,
    now: datetime,
) -> Coming:
    """Make one of them not happen; who did it, and why, stands in the history. Returns what was called off.

    Raises `NotComing` when it is not to come any more, `ItemNotFound` when the item is not visible; then nothing was
    changed. In the caller's transaction."""
    item = store.read_item(connection, item_id, viewer=viewer, lock=True)
    here = next((one for one in SOURCES if one.name == source), None)
    entries: Sequence[Coming] = here.entries(connection, item_id, now) if here is not None else ()
    entry = next((one for one in entries if one.ref == ref), None)
    why = " ".join(why.split())[:WHY_CHARS]
    reason = f"Called off by {viewer.name}" + (f": {why}" if why else "")
    if here is None or entry is None or not here.call_off(connection, item_id, ref, reason, now):
        raise NotComing("It has happened, is happening now, or was called off already. Nothing was changed.")
    lines = [store.Lines(here.changes, Cause("person", label=viewer.name))] if here.changes else []
    # Rows that waited for what a run would write are decided behind this event.
    chain = store.Chain(payload={CALLED_OFF: int(ref)}) if here.name == Runs.name else store.ROOT
    written = store.change_item(
        connection, item, lines=lines, actor=actor, now=now, kind=EventKind.CHANGED, chain=chain
    )
    assert written.event_id is not None
    told = {"kind": entry.kind, "what": entry.what, "at": None if entry.at is None else iso(entry.at), "why": why}
    connection.execute(
        insert(History).values(
            item_id=item_id,
            event_id=written.event_id,
            field=FIELD,
            change={"before": told, "after": None},
            outcome="cancelled",
            cause=Cause("person", label=viewer.name).to_json(),
            actor_name=viewer.name,
            at=now,
        )
    )
    return entry
