"""What is kept for how long: the clock drops what is older than the settings say, a bounded piece at a time.

Tickets, messages, events and history are never dropped by age. What goes is the record of how something was decided,
what was asked outside, whom the bell told, and what was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, or_, select, tuple_

from connectors.store import CallTable, RecordTable
from jobs.outbox import GIVEN_UP
from jobs.replays.scratch import take_away_orphans
from jobs.services import Services
from jobs.settings import Settings
from jobs.tables import (
    DecisionRow,
    IdempotencyKey,
    LookupRow,
    OutboxRow,
    ReplayItemRow,
    ReplayRow,
    RowSetAside,
    RunRow,
    SkippedRow,
    UndoItemRow,
    UndoRow,
)
from tickets.db import table_of
from tickets.tables import Notification, PortalToken

log = logging.getLogger(__name__)

#: Rows one transaction drops, and transactions per table and round.
BATCH = 500
ROUNDS = 20
#: Hours an Idempotency-Key is remembered at least; the API itself forgets them after a day.
KEY_H = 48
#: Days after which a way into the portal that ran out is forgotten.
TOKEN_DAYS = 7
#: Days a replay is kept after it was asked for. It is about drafts, which nobody remembers for long.
REPLAY_DAYS = 30


@dataclass(frozen=True, slots=True)
class Kept:
    """How long one kind of record is kept, in days. `setting` is what changes it, "" for what is fixed."""

    what: str
    days: int
    setting: str = ""


def kept(settings: Settings) -> tuple[Kept, ...]:
    """What goes with age, as `prune` counts it."""
    return (
        Kept("decisions", settings.keep_decisions_days, "DESKHAND_KEEP_DECISIONS_DAYS"),
        Kept("checked", _checked_days(settings), "DESKHAND_KEEP_CHECKED_DAYS"),
        Kept("answers", settings.keep_answers_days, "DESKHAND_KEEP_ANSWERS_DAYS"),
        Kept("lookups", _lookup_days(settings), "DESKHAND_KEEP_DECISIONS_DAYS"),
        Kept("bell", _bell_days(settings), "DESKHAND_KEEP_BELL_DAYS"),
        Kept("sent", settings.keep_sent_days, "DESKHAND_KEEP_SENT_DAYS"),
        Kept("replays", REPLAY_DAYS),
        Kept("portal_tokens", TOKEN_DAYS),
    )


def prune(services: Services) -> Mapping[str, int]:
    """Drop what is too old, at most `BATCH` x `ROUNDS` rows of each table; how many rows of what went."""
    settings, now = services.settings, services.clock.now()
    decided_before = now - timedelta(days=settings.keep_decisions_days)
    asked_before = now - timedelta(days=settings.keep_answers_days)
    sent_before = now - timedelta(days=settings.keep_sent_days)
    checked_before = now - timedelta(days=_checked_days(settings))
    lookups_before = now - timedelta(days=_lookup_days(settings))
    rung_before = now - timedelta(days=_bell_days(settings))
    checked = (DecisionRow.outcome == "checked") & (DecisionRow.at < checked_before) & _settled()
    old_replays = select(ReplayRow.id).where(ReplayRow.asked_at < now - timedelta(days=REPLAY_DAYS))
    of_replays = select(ReplayItemRow.replay_id).where(ReplayItemRow.replay_id == ReplayRow.id)
    given_up = OutboxRow.status.in_((*GIVEN_UP, "cancelled")) & (OutboxRow.created_at < decided_before)
    # An erasure finds what a system answered to a change by its row, as it finds what was asked by the lookup.
    change = OutboxRow.kind == "change"
    sent = (OutboxRow.sent_at < sent_before) & (~change | (OutboxRow.sent_at < asked_before))
    gone = {
        "decisions": _drop(services, DecisionRow, DecisionRow.at < decided_before),
        "checked": _drop(services, DecisionRow, checked),
        # Without the decision there are no facts of then to decide them on.
        "rows_set_aside": _drop(services, RowSetAside, RowSetAside.at < decided_before),
        "undelivered": _drop(services, OutboxRow, given_up),
        "undone": _drop(services, UndoItemRow, UndoItemRow.undo_id.in_(_old_undos(decided_before))),
        "undos": _drop(services, UndoRow, UndoRow.id.in_(_old_undos(decided_before)) & ~_left_to_undo().exists()),
        "replayed": _drop(services, ReplayItemRow, ReplayItemRow.replay_id.in_(old_replays)),
        "scratch": take_away_orphans(services),
        "replays": _drop(services, ReplayRow, ReplayRow.id.in_(old_replays) & ~of_replays.exists()),
        # A run that has not ended has no finished_at and is never dropped.
        "runs": _drop(services, RunRow, RunRow.finished_at < decided_before),
        "sent": _drop(services, OutboxRow, (OutboxRow.status == "sent") & sent),
        "portal_tokens": _drop(services, PortalToken, PortalToken.expires_at < now - timedelta(days=TOKEN_DAYS)),
        "keys": _drop(services, IdempotencyKey, IdempotencyKey.created_at < now - timedelta(hours=KEY_H)),
        # An answer that may stand in for a system that is away is still of use, however old it is.
        "answers": _drop(
            services, RecordTable, (RecordTable.fetched_at < asked_before) & (RecordTable.stale_until < asked_before)
        ),
        "calls": _drop(services, CallTable, CallTable.at < asked_before),
        "skipped": _drop(services, SkippedRow, ~_decisions_of_skipped().exists()),
        "lookups": _drop(services, LookupRow, _done_with(lookups_before)),
        "bell": _drop(services, Notification, Notification.created_at < rung_before),
    }
    if any(gone.values()):
        log.info("retention.pruned", extra=gone)
    return gone


def _checked_days(settings: Settings) -> int:
    # Whatever its setting says, no decision that found nothing to do outlives those that acted.
    return min(settings.keep_checked_days, settings.keep_decisions_days)


def _lookup_days(settings: Settings) -> int:
    # A replay finds what a decision was told, and an erasure what a stored answer was asked with, by the lookup.
    return max(settings.keep_decisions_days, settings.keep_answers_days)


def _bell_days(settings: Settings) -> int:
    # A replay compares whom the rules would tell with whom they told.
    return max(settings.keep_bell_days, settings.keep_decisions_days)


def _decisions_of_skipped() -> Select[int]:
    """The decisions that left a row out. Without one there are no facts of then to decide the row on."""
    return select(DecisionRow.id).where(DecisionRow.event_id == SkippedRow.event_id)


def _done_with(before: datetime) -> ColumnElement[bool]:
    """Lookups that nobody asks or waits for any more, and whose stored answers are gone.

    The next event that wants such an answer asks anew, as it would have done for one that is out of date."""
    stand_in = select(RecordTable.connection, RecordTable.operation).where(RecordTable.fetched_at < before)
    return and_(
        LookupRow.asked_at < before,
        or_(LookupRow.answered_at.is_(None), LookupRow.answered_at < before),
        or_(LookupRow.fresh_until.is_(None), LookupRow.fresh_until < before),
        LookupRow.due_at.is_(None),
        LookupRow.lease_until.is_(None),
        ~select(SkippedRow.event_id).where(SkippedRow.lookup_id == LookupRow.id).exists(),
        tuple_(LookupRow.connection, LookupRow.operation).not_in(stand_in),
    )


def _settled() -> ColumnElement[bool]:
    """A decision whose late answer may still come is needed for it, and one of a row that was set aside."""
    waits = select(SkippedRow.event_id).where(
        SkippedRow.event_id == DecisionRow.event_id, SkippedRow.settled_at.is_(None)
    )
    aside = select(RowSetAside.event_id).where(RowSetAside.event_id == DecisionRow.event_id)
    return ~waits.exists() & ~aside.exists()


def _old_undos(before: datetime) -> Select[int]:
    """Undos that are kept no longer: of each that was carried out to its end."""
    waits = select(UndoItemRow.undo_id).where(UndoItemRow.undo_id == UndoRow.id, UndoItemRow.status == "waiting")
    return select(UndoRow.id).where(UndoRow.asked_at < before, ~waits.exists())


def _left_to_undo() -> Select[int]:
    return select(UndoItemRow.undo_id).where(UndoItemRow.undo_id == UndoRow.id)


def _drop(services: Services, model: Any, old: ColumnElement[bool]) -> int:
    """Drop such rows of one table, each transaction at most `BATCH`, however many of them hang together.

    That there may be more than one round takes is logged: a table that is never caught up with grows for ever."""
    table = table_of(model)
    key = table.primary_key.columns
    total = 0
    for _ in range(ROUNDS):
        with services.db.write() as connection:
            some = select(*key).where(old).order_by(*key).limit(BATCH)
            count = connection.execute(delete(model).where(tuple_(*key).in_(some), old)).rowcount
        total += count
        if count < BATCH:
            break
    else:
        log.warning("retention.behind", extra={"table": table.name, "dropped": total})
    return total
