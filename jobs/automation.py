"""Trip (a): one event is decided and its effects are committed, in order, once.

Reading and deciding happen outside any write transaction (`jobs.deciding`); the commit is one transaction: fence,
revision re-read, event done, effects on the item as it is now, history with cause, follow-up event with the net change,
and rows for everything that leaves (`jobs.applying`, `jobs.recording`). Whatever goes wrong before the commit leaves
nothing behind.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rq.timeouts import BaseTimeoutException
from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from jobs import automove, lanes
from jobs.applying import apply_outcomes
from jobs.deciding import (
    AWAITED,
    PLAIN,
    Outcome,
    Read,
    decide_rows,
    go_on,
    outcome_of,
    read_next,
    read_on,
    run_outcomes,
    wait_is_over,
    with_cards,
)
from jobs.holding import Held
from jobs.queues import Work
from jobs.recording import finish_event, record
from jobs.scripts_at_work import CALLED_OFF, look_again
from jobs.services import Services
from jobs.telling import tell_of_parked
from rules.engine import Decision
from tickets import store
from tickets.db import Transactions
from tickets.errors import BadValue, Fenced, UnknownField
from tickets.events import EventKind
from tickets.tables import EventRow
from tickets.values import from_iso

log = logging.getLogger(__name__)

#: Characters of an error kept with its event.
ERROR_CHARS = 2_000
#: Seconds that a commit waited for its turn and the disk from which on SQLite lanes are committed together: twice what
#: an event takes of the processor. Below it, each by itself is about as quick, and the first of them are done sooner.
TOGETHER_FROM_S = 0.002
#: Seconds of the processor for deciding, and for writing, after which what is left of such a round waits for the next.
TOGETHER_S = 0.05
#: Events that share the commit of the one before them at most, and seconds of the processor after which no more do.
FOLLOWING, FOLLOWING_S = 16, 0.02
#: Events of one lane after which it goes behind the others that are due: a ticket that a program floods must not keep
#: those of everybody else waiting.
TURN = 100
#: The error of an event whose workers never came back to say one.
CUT_OFF = "The process that handled it was cut off, again and again: it died, or took too long"


class RevisionChanged(Exception):
    """What the decision stood on changed while it was made. Nothing was written; it is decided again."""


class FollowingFailed(Exception):
    """An event that was to share the commit of the one before it could not be handled; nothing was written of either.

    The first goes by itself then, and so does this one, where it is counted."""


def drain(services: Services, *, budget_s: float | None = None) -> int:
    """Claim due lanes and work them off until none is due or the budget is used up. Returns the events handled."""
    end = time.monotonic() + (services.settings.drain_budget_s if budget_s is None else budget_s)
    handled = 0
    with services.db.held() as db:
        while time.monotonic() < end:
            claim = lanes.claim(db, services.clock.now(), lease_s=services.settings.lease_s)
            if not claim.items:
                break
            hand = Hand()
            try:
                handled += _work(services, db, claim, hand)
            except Exception:
                # What we do not come to is for others at once; the lane in hand keeps its lease, and counts as
                # cut off. By a connection of its own: the one in hand may be what went wrong.
                with suppress(SQLAlchemyError), services.db.write() as connection:
                    lanes.give_back(connection, claim.token, but=hand.item_id)
                raise
    return handled


@dataclass(slots=True)
class Hand:
    """The lane that is being worked on; 0 while none is."""

    item_id: int = 0


def _work(services: Services, db: Transactions, claim: lanes.Claim, hand: Hand) -> int:
    """Handle the lanes of a claim, together where waiting is what takes the time. Returns the events handled."""
    handled, rest = 0, claim.items
    # PostgreSQL locks item by item: two workers with several items each could wait for each other.
    if db.is_sqlite and len(rest) > 1 and services.db.waited_s >= TOGETHER_FROM_S:
        handled, rest = work_together(services, db, claim, hand)
    for item_id in rest:
        hand.item_id = item_id
        try:
            suspect, alone = item_id in claim.suspects, item_id in claim.cut_off
            handled += work_lane(services, claim.token, item_id, suspect=suspect, alone=alone, db=db)
        except Fenced:
            log.warning("lane.fenced", extra={"item": item_id})
    return handled


def work_together(services: Services, db: Transactions, claim: lanes.Claim, hand: Hand) -> tuple[int, tuple[int, ...]]:
    """Handle lanes side by side: one event of each is decided, then all are committed at once, until none has more.

    Returns the events handled and the lanes that are left to be worked off one by one: those that end, wait or fail
    here, and those of which a worker was cut off. What is done with an event is the same: its own fence, its own look
    at what changed since, its own savepoint. So one that fails takes nothing with it, and fails again by itself, where
    it is counted."""
    going, alone = [one for one in claim.items if one not in claim.cut_off], [*claim.cut_off]
    handled = 0
    while going:
        if handled >= TURN * len(claim.items):
            alone += going
            break
        made, later = _decided_together(services, db, going, alone, hand)
        if not made:
            break  # nothing is left but what goes alone
        done: list[Made] = []
        left: list[int] = []
        open_still: list[int] = []
        end = time.thread_time() + TOGETHER_S
        with db.write() as connection:
            for one in made:
                item_id = hand.item_id = one.read.event.item_id
                if done and time.thread_time() >= end:
                    left.append(item_id)  # decided again in the next round, on what is true then
                    continue
                try:
                    with connection.begin_nested():
                        _settle(services, connection, claim.token, one)
                        settled = [one, *_settle_following(services, connection, claim.token, one)]
                except (OperationalError, BaseTimeoutException):
                    raise
                except Exception as error:
                    if isinstance(error, DBAPIError) and error.connection_invalidated:
                        raise
                    alone.append(item_id)
                else:
                    done += settled
                    if settled[-1].more:
                        open_still.append(item_id)
            hand.item_id = 0
        for one in done:
            _tell(services, one)
        handled += len(done)
        going = [*open_still, *left, *later]
    return handled, tuple(sorted(alone, key=claim.items.index))


def _decided_together(
    services: Services, db: Transactions, going: list[int], alone: list[int], hand: Hand
) -> tuple[list[Made], list[int]]:
    """The next event of each of these lanes, decided, and the lanes for which there was no time.

    What cannot be decided like this is added to `alone`."""
    reads: list[Read] = []
    with db.read() as connection:
        for item_id in going:
            hand.item_id = item_id
            try:
                following = lanes.next_with_item(connection, item_id)
                read = None if following is None else read_next(services, connection, following, services.clock.now())
            except (OperationalError, BaseTimeoutException):
                raise
            except Exception as error:
                if isinstance(error, DBAPIError) and error.connection_invalidated:
                    raise
                read = None
            if read is None or read.awaited is not None:
                alone.append(item_id)
            else:
                reads.append(read)
    made: list[Made] = []
    end = time.thread_time() + TOGETHER_S
    for at, read in enumerate(reads):
        if made and time.thread_time() >= end:
            return made, [one.event.item_id for one in reads[at:]]
        hand.item_id = read.event.item_id
        try:
            made.append(_make(read))
        except BaseTimeoutException:
            raise
        except Exception:
            alone.append(read.event.item_id)
    return made, []


def work_lane(
    services: Services,
    token: str,
    item_id: int,
    *,
    suspect: bool = False,
    alone: bool = False,
    db: Transactions | None = None,
) -> int:
    """Handle the lane's events in order until none is left, one waits or its turn is over. Raises `Fenced`.

    `suspect`: workers were cut off here again and again, so that this try is counted before it begins. `alone`: a
    worker was, so that no event shares the commit of another and the one that ends its workers is the lane's first.
    `db` is the connection to go on with, None for any."""
    if db is None:
        db = services.db
    handled = 0
    if suspect:
        _count_before(services, db, token, item_id)
    while True:
        row: store.AnyRow | None = None
        try:
            with db.read() as connection:
                seen = db.version(connection)
                following = lanes.next_with_item(connection, item_id)
                row = None if following is None else following.row
                read = None if following is None else read_next(services, connection, following, services.clock.now())
            if read is None:
                if _release_if_empty(services, db, token, item_id):
                    return handled
                continue
            done, more = _handle(services, db, token, read, seen, alone=alone)
        except RevisionChanged:
            continue
        except FollowingFailed:
            alone = True
            continue
        except (Fenced, OperationalError, BaseTimeoutException):
            raise  # not the event's fault: the lane is another's, the database is away, or RQ's time is up
        except Exception as error:
            if row is None or (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise
            done, more = 1, _failed(services, db, token, item_id, row, error)
        handled += done
        if not more:
            return handled
        if handled >= TURN:
            with db.write() as connection:
                now = services.clock.now()
                lanes.fence(connection, item_id, token, now, lease_s=services.settings.lease_s)
                lanes.release(connection, item_id, token, due_at=now)
            return handled


def _release_if_empty(services: Services, db: Transactions, token: str, item_id: int) -> bool:
    """Give the lane back unless an event came since we looked; looked at again under the lock."""
    with db.write() as connection:
        lanes.fence(connection, item_id, token, services.clock.now(), lease_s=services.settings.lease_s)
        if lanes.next_open(connection, item_id) is not None:
            return False
        lanes.release(connection, item_id, token, due_at=None)
        return True


def _handle(
    services: Services, db: Transactions, token: str, read: Read, seen: int | None, *, alone: bool
) -> tuple[int, bool]:
    """Decide and commit one event and, unless it goes `alone`, those behind it that change nothing.

    How many they are, and whether the lane may hold more to do at once. `seen` is the database's version as of `read`:
    while it is the same nobody has written since, and nothing is read again."""
    if read.awaited is not None and not wait_is_over(services, read):
        return 1, _wait_on(services, db, token, read)
    made = [_make(read)]
    with db.write() as connection:
        as_read = seen is not None and db.version(connection) == seen
        _settle(services, connection, token, made[0], as_read=as_read)
        if not alone:
            made += _settle_following(services, connection, token, made[0])
    for one in made:
        _tell(services, one)
    return len(made), made[-1].more


@dataclass(slots=True)
class Made:
    """A decision about one event, and what its commit came to."""

    read: Read
    outcomes: list[Outcome]
    decision: Decision
    held: Held | None
    decide_us: int
    hints: set[Work] = field(default_factory=set)
    waits: bool = False
    more: bool = False
    follow: Read | None = None  # of the event that its changes became, where there is nothing left to be read


def _make(read: Read) -> Made:
    started = time.perf_counter_ns()
    read, outcomes, decision, held = decided(read)
    return Made(read, outcomes, decision, held, (time.perf_counter_ns() - started) // 1000)


def _settle(services: Services, connection: Connection, token: str, made: Made, *, as_read: bool = False) -> None:
    """Write what was decided, in the transaction of the caller. Raises `Fenced`, `RevisionChanged`.

    `as_read`: nobody has written anything since it was read."""
    read, outcomes, decision, hints = made.read, made.outcomes, made.decision, made.hints
    now = services.clock.now()
    if services.db.is_sqlite and _changes_nothing(made):
        _settle_unchanged(services, connection, token, made, now)
        return
    item = read.item if as_read else store.read_item(connection, read.event.item_id, lock=True)
    lane = lanes.fence(connection, item.id, token, now, lease_s=services.settings.lease_s)
    if lane.revision != read.desk.revision:
        raise RevisionChanged
    if (decision.skipped or decision.wait is not None) and item.last_seq != read.item.last_seq:
        # An answer that came since we read found nobody waiting for it, and would never be looked at.
        raise RevisionChanged
    if read.event.kind is EventKind.TIMER and item.last_seq != read.item.last_seq:
        raise RevisionChanged  # what the timer waited for may have ended since: look again
    applied = apply_outcomes(services, connection, read, item, outcomes, now, hints)
    waiting_until = finish_event(services, connection, read, decision, made.held, outcomes, now, hints)
    made.waits = waiting_until is not None
    became = None if applied is None else applied.event_id
    skipped = record(connection, read, decision, outcomes, became, made.decide_us, now, waits=made.waits)
    if skipped:
        hints.add(Work.ENRICHMENT)
    if waiting_until is not None:
        lanes.release(connection, item.id, token, due_at=waiting_until)
    else:
        # Once the event is decided to its end, so that a rule that moves the job comes before.
        automove.tell_owners(connection, read, now, longest=services.settings.depth_per_root)
        moved = automove.consider(connection, read, now, longest=services.settings.depth_per_root)
        again = look_again(connection, read.event, now) if read.desk.ruleset.looks_at_cards else False
        made.more = moved or again or became is not None or lane.last_seq > read.event.seq
        if services.db.is_sqlite and applied is not None and not moved and lane.last_seq == read.event.seq:
            made.follow = read_on(services, connection, read, outcomes, decision.fired, applied, now, as_read=as_read)
        if not made.more:
            lanes.release(connection, item.id, token, due_at=None)


def _changes_nothing(made: Made) -> bool:
    """Whether it comes to no more than being looked at, whatever the item is like by now."""
    decision = made.decision
    return (
        made.read.event.kind in PLAIN
        and not (made.outcomes or decision.skipped or decision.wait or made.held)
        and not made.read.progress
        and CALLED_OFF not in made.read.event.payload
    )


def _settle_unchanged(services: Services, connection: Connection, token: str, made: Made, now: datetime) -> None:
    """`_settle` for what changes nothing: half of all events, the changes that rules made themselves among them.

    The item is not read once more. PostgreSQL would have to lock it all the same, item first and then lane, because
    what is written here refers to it; SQLite has one writer anyway."""
    read, event = made.read, made.read.event
    lane = lanes.end(connection, event.item_id, token, event.seq) if read.item.last_seq == event.seq else None
    if lane is None:
        lane = lanes.fence(connection, event.item_id, token, now, lease_s=services.settings.lease_s)
    if read.desk.revision != lane.revision:
        raise RevisionChanged
    finish_event(services, connection, read, made.decision, None, (), now, made.hints)
    record(connection, read, made.decision, (), None, made.decide_us, now, waits=False)
    automove.tell_owners(connection, read, now, longest=services.settings.depth_per_root)
    made.more = lane.last_seq > event.seq


def _settle_following(services: Services, connection: Connection, token: str, made: Made) -> list[Made]:
    """On SQLite: the lane's next events for as long as they change nothing, in the transaction of the one before them.

    What a rule changed is the next event of its lane, and mostly no rule looks at it; that and its cause are one wait
    for the disk. Raises `FollowingFailed`: then the transaction is given up."""
    settled: list[Made] = []
    begun_s: float | None = None  # asked with the second one: mostly there is but one, and the kernel takes its time
    try:
        while services.db.is_sqlite and made.more and len(settled) < FOLLOWING:
            if settled and begun_s is None:
                begun_s = time.thread_time()
            elif begun_s is not None and time.thread_time() >= begun_s + FOLLOWING_S:
                break
            read = made.follow
            if read is None:
                following = lanes.next_with_item(connection, made.read.event.item_id)
                if following is None or following.row.kind not in PLAIN or following.row.progress:
                    break
                read = read_next(services, connection, following, services.clock.now())
            made = _make(read)
            if not _changes_nothing(made):
                break  # decided again by itself, on what is true then
            _settle_unchanged(services, connection, token, made, services.clock.now())
            settled.append(made)
    except (OperationalError, BaseTimeoutException):
        raise
    except Exception as error:
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise
        raise FollowingFailed from error
    return settled


def _tell(services: Services, made: Made) -> None:
    """Once it is committed: a line in the log, and a hint for whoever has work by it."""
    event = made.read.event
    log.info(
        "event.waits" if made.waits else "event.done",
        extra={
            "event": event.id,
            "item": event.item_id,
            "steps": len(made.outcomes),
            "decide_us": made.decide_us,
            "after_us": (services.clock.now() - event.at) // timedelta(microseconds=1),
        },
    )
    for work in made.hints:
        services.queues.hint(work)


def decided(read: Read) -> tuple[Read, list[Outcome], Decision, Held | None]:
    """What is to be done about one event: the steps of a run it waited for first, then those of the rule list.

    Returns what was looked at, too: the cards of the run are part of it."""
    outcomes, staged = run_outcomes(read)
    read = with_cards(read, outcomes)
    decision, held = go_on(read, staged, outcomes) if read.awaited is not None else decide_rows(read, staged)
    return read, [*outcomes, *(outcome_of(one) for one in decision.planned)], decision, held


def _wait_on(services: Services, db: Transactions, token: str, read: Read) -> bool:
    """Woken by something else: give the lane back until the wait is over. True when the run ended meanwhile."""
    with db.write() as connection:
        # The end of a run is written under the item's lock, so it is either seen here or wakes the lane afterwards.
        store.read_item(connection, read.event.item_id, lock=True)
        lanes.fence(connection, read.event.item_id, token, services.clock.now(), lease_s=services.settings.lease_s)
        if connection.execute(AWAITED, {"key": read.progress["run"]}).one().finished_at is not None:
            return True
        lanes.release(connection, read.event.item_id, token, due_at=from_iso(str(read.progress["until"])))
    return False


def _failed(
    services: Services, db: Transactions, token: str, item_id: int, row: store.AnyRow, error: Exception
) -> bool:
    """An event that could not be handled is tried again, then parked with its reason; the lane goes on after it.

    True when the lane may hold more to do at once."""
    with db.write() as connection:
        now = services.clock.now()
        lanes.lock_items(connection, (item_id,))
        lanes.fence(connection, item_id, token, now, lease_s=services.settings.lease_s)
        tries = row.tries + 1
        park = tries >= services.settings.event_tries or isinstance(error, (BadValue, UnknownField))
        log.error(
            "event.failed", exc_info=error, extra={"event": row.id, "item": item_id, "tries": tries, "parked": park}
        )
        _note(connection, row, tries, f"{type(error).__name__}: {error}", now, park=park)
        if not park:
            lanes.release(connection, item_id, token, due_at=now + lanes.pause(tries))
    return park


def _count_before(services: Services, db: Transactions, token: str, item_id: int) -> None:
    """Count a try of the lane's next event before it begins: it may be what ends its workers.

    In a transaction of its own, so that a database that is away or full counts against no event."""
    with db.write() as connection:
        now = services.clock.now()
        lanes.lock_items(connection, (item_id,))
        lanes.fence(connection, item_id, token, now, lease_s=services.settings.lease_s, done=False)
        row = lanes.next_open(connection, item_id)
        if row is None:
            return
        tries = row.tries + 1
        park = tries >= services.settings.event_tries
        log.error("event.cut_off", extra={"event": row.id, "item": item_id, "tries": tries, "parked": park})
        _note(connection, row, tries, CUT_OFF, now, park=park)


def _note(connection: Connection, row: store.AnyRow, tries: int, error: str, now: datetime, *, park: bool) -> None:
    connection.execute(
        update(EventRow)
        .where(EventRow.id == row.id, EventRow.status.in_(("pending", "waiting")))
        .values(tries=tries, error=error[:ERROR_CHARS], **({"status": "parked"} if park else {}))
    )
    if park:
        tell_of_parked(connection, row.item_id, error, now)
