"""The clock: looks for due work that nobody was told about, and tells.

Hints through Redis are fast but may be lost; this makes each one good within `sweep_s`. Several clocks may run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from jobs import lanes, retention, shadow, timers, undo
from jobs.outbox import longest_pause_s, sendable
from jobs.queues import Work
from jobs.schema import Schema
from jobs.services import Services
from jobs.tables import DecisionRow, LookupRow, MailAccount, OutboxRow, ReplayRow, RunRow
from tickets.db import AWAY
from tickets.tables import EventRow, Lane
from tickets.values import from_iso, iso

log = logging.getLogger(__name__)

#: Seconds between looks for hashes that killed workers left in Redis.
STALE_S = 5
#: Seconds that what was made may lie in the future before its clock counts as ahead: hosts differ a little.
AHEAD_S = 5
#: Lanes one look puts right.
MENDED = 500
#: Seconds until the first look for what is kept too long, and between looks.
FIRST_PRUNE_S = 60
PRUNE_S = 3600
#: Seconds that one look goes on with timers before it looks after the rest.
TIMERS_S = 3.0
#: Seconds that one look goes on with taking back what somebody asked to have undone.
UNDO_S = 2.0
#: Seconds that one look goes on with drafts that run beside what is live.
SHADOW_S = 1.0


def due(services: Services, connection: Connection) -> set[Work]:
    """The kinds of work of which some is due and held by nobody."""
    now = services.clock.now()
    found: set[Work] = set()
    for work, table, extra in (
        (Work.DRAIN, Lane, ()),
        (Work.SCRIPTS, RunRow, ()),
        (Work.SCRIPTS, ReplayRow, ()),
        (Work.ENRICHMENT, LookupRow, ()),
        (Work.ENRICHMENT, MailAccount, (MailAccount.enabled.is_(True),)),
        (Work.OUTBOX, OutboxRow, sendable(services)),
    ):
        columns = table.__table__.c
        query = (
            select(columns.due_at)
            .where(columns.due_at <= now, or_(columns.lease_until.is_(None), columns.lease_until < now), *extra)
            .limit(1)
        )
        if connection.execute(query).first() is not None:
            found.add(work)
    return found


def mend(services: Services) -> int:
    """Make due what a clock that was ahead has put off, each after the pause it was given. Returns how many.

    A machine whose clock was an hour ahead, and was put right, would otherwise leave its work lying for an hour."""
    now = services.clock.now()
    ahead = now + timedelta(seconds=AHEAD_S)
    came_ahead = (
        select(Lane.item_id)
        .join(EventRow, EventRow.item_id == Lane.item_id)
        .where(Lane.due_at > now, EventRow.status == "pending", EventRow.at > ahead)
        .limit(MENDED)
    )
    with services.db.read() as connection:
        items = sorted({*connection.execute(came_ahead).scalars(), *_put_off(connection, ahead)})
        waits = _waits_begun_ahead(connection, ahead)
        rows = [
            (table, row.id, now + max(timedelta(0), row.due_at - row.made))
            for table, made, which in _RECKONED
            for row in connection.execute(
                select(table.id, table.due_at, made.label("made"))
                .where(table.due_at > now, made > ahead, which)
                .limit(MENDED)
            )
        ]
        # A try that failed while the clock was ahead: no pause of ours is that long.
        tried = select(OutboxRow.id, OutboxRow.tries, OutboxRow.due_at).where(
            OutboxRow.status == "due", OutboxRow.tries > 0, OutboxRow.due_at > ahead
        )
        for row in connection.execute(tried.order_by(OutboxRow.due_at.desc()).limit(MENDED)):
            pause = timedelta(seconds=longest_pause_s(row.tries))
            if row.due_at > ahead + pause:
                rows.append((OutboxRow, row.id, now + pause))
    if not items and not rows and not waits:
        return 0
    with services.db.write() as connection:
        # Items before lanes, as everybody takes them.
        lanes.lock_items(connection, [item_id for _, item_id, _ in waits])
        for event_id, item_id, begun in waits:
            _wait_as_long(connection, event_id, item_id, begun, now)
        connection.execute(update(Lane).where(Lane.item_id.in_(items), Lane.due_at > now).values(due_at=now))
        for table, row_id, due_at in rows:
            late = update(table).where(table.id == row_id, table.due_at > due_at)
            connection.execute(late.values(due_at=due_at))
    log.warning("clock.mended", extra={"lanes": len(items) + len(waits), "rows": len(rows)})
    return len(items) + len(waits) + len(rows)


def _put_off(connection: Connection, ahead: datetime) -> list[int]:
    """Lanes whose turn ended, or whose next event failed, while the clock was ahead: no pause is that long."""
    other = aliased(EventRow)
    waits = exists().where(other.item_id == Lane.item_id, other.status == "waiting")
    late = (
        select(Lane.item_id, Lane.due_at, func.max(EventRow.tries).label("tries"))
        .join(EventRow, EventRow.item_id == Lane.item_id)
        .where(Lane.due_at > ahead, EventRow.status == "pending", ~waits)
        .group_by(Lane.item_id, Lane.due_at)
        .order_by(Lane.due_at.desc())
        .limit(MENDED)
    )
    rows = connection.execute(late).all()
    return [one.item_id for one in rows if not one.tries or one.due_at > ahead + lanes.pause(one.tries)]


def _waits_begun_ahead(connection: Connection, ahead: datetime) -> list[tuple[int, int, datetime]]:
    """Events that wait for an answer or a run, as it was reckoned at a moment still to come: event, item, moment."""
    begun = select(func.max(DecisionRow.at)).where(DecisionRow.event_id == EventRow.id, DecisionRow.at > ahead)
    waiting = (
        select(EventRow.id, EventRow.item_id, EventRow.progress, begun.scalar_subquery().label("begun"))
        .join(Lane, Lane.item_id == EventRow.item_id)
        .where(Lane.due_at > ahead, EventRow.status == "waiting")
        .order_by(Lane.due_at.desc())
        .limit(MENDED)
    )
    rows = connection.execute(waiting)
    return [(one.id, one.item_id, one.begun) for one in rows if one.begun is not None and _until(one) >= one.begun]


def _wait_as_long(connection: Connection, event_id: int, item_id: int, begun: datetime, now: datetime) -> None:
    """Have this event wait for as long as it was to, from now on, unless it does already. The caller holds the item."""
    waiting = and_(EventRow.id == event_id, EventRow.status == "waiting")
    row = connection.execute(select(EventRow.progress).where(waiting)).one_or_none()
    if row is None or _until(row) < begun:
        return
    until = now + (_until(row) - begun)
    connection.execute(update(EventRow).where(waiting).values(progress={**row.progress, "until": iso(until)}))
    # A worker that has read the old end of the wait must not write it back.
    connection.execute(update(Lane).where(Lane.item_id == item_id).values(due_at=until, lease_until=None, token=None))


def _until(row: Any) -> datetime:
    return from_iso(str(row.progress["until"]))


#: A lookup that was asked, or asked anew, and has failed in no try since.
_NOT_ANSWERED = or_(LookupRow.answered_at.is_(None), LookupRow.answered_at < LookupRow.asked_at)
#: Work by the moment from which its pause was reckoned: when it was made, or when its last try began or failed. A try
#: that was cut off is none: what was claimed by a clock that was ahead, and lost, would lie until that hour comes.
_RECKONED: tuple[tuple[Any, Any, ColumnElement[bool]], ...] = (
    (RunRow, RunRow.created_at, RunRow.attempt == 0),
    (RunRow, RunRow.started_at, RunRow.attempt > 0),
    (LookupRow, LookupRow.asked_at, _NOT_ANSWERED),
    (LookupRow, LookupRow.answered_at, ~_NOT_ANSWERED),
    (OutboxRow, OutboxRow.created_at, and_(OutboxRow.tries == 0, OutboxRow.status == "due")),
)


def tick(services: Services, failing: set[str] | None = None) -> set[Work]:
    """One look; hints what is due.

    A part that fails, other than for a database that is away, keeps no other from being done. It is told once:
    `failing` are those of which it was."""
    failing = set() if failing is None else failing
    _apart("timers", lambda: timers.tick(services, budget_s=TIMERS_S), failing)
    _apart("undo", lambda: undo.carry_on(services, budget_s=UNDO_S), failing)
    _apart("shadow", lambda: shadow.carry_on(services, budget_s=SHADOW_S), failing)
    with services.db.read() as connection:
        found = due(services, connection)
    for work in found:
        services.queues.hint(work)
    return found


def _apart(name: str, do: Callable[[], object], failing: set[str]) -> None:
    try:
        do()
    except AWAY:
        raise
    except Exception as error:
        if name not in failing:
            log.error("clock.failing", exc_info=error, extra={"part": name})
        failing.add(name)
    else:
        if name in failing:
            log.warning("clock.works_again", extra={"part": name})
            failing.discard(name)


def run(services: Services, *, stopping: Callable[[], bool]) -> None:
    """Tick until told to stop. A database that is away is logged once, and looked for again."""
    away = False
    schema = Schema(services.db)
    failing: set[str] = set()
    looked_for_stale = 0.0
    prune_at = time.monotonic() + FIRST_PRUNE_S
    while not stopping():
        try:
            fits = schema.fits()
            if fits:
                tick(services, failing)
            if fits and time.monotonic() - looked_for_stale > STALE_S:
                looked_for_stale = time.monotonic()
                _apart("stale", lambda: services.queues.forget_stale(services.clock.now()), failing)
                _apart("mend", lambda: mend(services), failing)
            if fits and time.monotonic() >= prune_at:
                prune_at = time.monotonic() + PRUNE_S
                _apart("prune", lambda: retention.prune(services), failing)
            if away:
                log.warning("database.back")
                away = False
        except Exception as error:
            if not away:
                log.warning("database.away", extra={"error": f"{type(error).__name__}: {error}"[:300]})
            away = True
        time.sleep(services.settings.sweep_s)
