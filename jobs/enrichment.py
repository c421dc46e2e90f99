"""Lookups: ask what decisions and steps want to know, keep the answer on the item, wake its lane.

Drain jobs never wait for the network; they store the question and go on. This side asks, and whatever comes back -
an answer, "nobody", "several", a failure - enters the item's lane as one event.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Connection, not_, select, update

from connectors.errors import Ambiguous, ConnectorError, RateLimited, Retryable
from jobs import lanes
from jobs.claims import MOST_CUT_OFF, claim, suspected, times_cut_off
from jobs.forgetting import ERASED_KEY, Question, forget_late
from jobs.queues import Work
from jobs.second_looks import decide_again
from jobs.services import Services
from jobs.tables import LookupRow, SkippedRow
from tickets import store
from tickets.cards import NewContext
from tickets.db import AWAY
from tickets.events import AUTOMATION, Cause
from tickets.store import AnyRow
from tickets.tables import ContextFact
from tickets.values import JSON

log = logging.getLogger(__name__)

#: Lookups one claim takes and asks at the same time; how long it may hold them beyond their deadline, in seconds.
CLAIM = 8
LEASE_EXTRA_S = 20
#: Seconds one job goes on claiming.
BUDGET_S = 10
#: Longest pause between tries of a failed lookup, in seconds.
PAUSE_S = 3600


@dataclass(frozen=True, slots=True)
class Answered:
    """What one lookup came to. `retry_at` is set when it failed and will be tried again."""

    state: str
    data: JSON = None
    candidates: Sequence[JSON] = ()
    reason: str = ""
    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    writes: int | None = None
    retry_at: datetime | None = None


def enrich(services: Services, *, budget_s: float = BUDGET_S, stopping: Callable[[], bool] = lambda: False) -> int:
    """Ask every lookup that is due, some at a time, until none is, the budget is used up or the process is to end; one
    that is suspected of its workers' end alone. Returns how many were asked."""
    total = 0
    end = time.monotonic() + budget_s
    while True:
        token = secrets.token_hex(16)
        claimed = _claim(services, token)
        if not claimed:
            return total
        with ThreadPoolExecutor(max_workers=CLAIM) as pool:
            answers = list(pool.map(partial(_ask, services), claimed))
        for row, answer in zip(claimed, answers, strict=True):
            _store(services, row, token, answer)
        total += len(claimed)
        services.queues.hint(Work.DRAIN)
        if stopping():
            return total
        if time.monotonic() >= end:
            services.queues.hint(Work.ENRICHMENT)  # for what is left
            return total


_SUSPECTED = suspected(LookupRow)
_NOT_SUSPECTED = not_(_SUSPECTED)
_TAKING = {"tries": LookupRow.tries + 1, "cut_off": times_cut_off(LookupRow)}
_TAKEN = (
    LookupRow.id,
    LookupRow.item_id,
    LookupRow.connection,
    LookupRow.operation,
    LookupRow.args,
    LookupRow.state,
    LookupRow.reason,
    LookupRow.tries,
    LookupRow.cut_off,
    LookupRow.root_id,
    LookupRow.depth,
)


def _claim(services: Services, token: str) -> list[AnyRow]:
    return _take(services, token, 1, _SUSPECTED) or _take(services, token, CLAIM, _NOT_SUSPECTED)


def _take(services: Services, token: str, limit: int, which: ColumnElement[bool]) -> list[AnyRow]:
    return claim(
        services.db,
        LookupRow,
        token=token,
        now=services.clock.now(),
        lease_s=services.settings.lookup_deadline_s + LEASE_EXTRA_S,
        limit=limit,
        values=_TAKING,
        returning=_TAKEN,
        only=(which,),
    )


def _ask(services: Services, row: AnyRow) -> Answered:
    settings = services.settings
    if row.cut_off >= MOST_CUT_OFF:
        log.error("lookup.cut_off", extra={"lookup": row.id, "item": row.item_id, "times": row.cut_off})
        return Answered("failed", reason=f"The worker that asked was cut off {row.cut_off} times")
    try:
        record = services.gateway.call(
            row.connection,
            row.operation,
            row.args,
            deadline_s=settings.lookup_deadline_s,
            cause=f"lookup {row.id} of ticket {row.item_id}",
        )
    except Ambiguous as error:
        return Answered("ambiguous", candidates=error.candidates, reason=error.sentence)
    except Retryable as error:
        if row.tries >= settings.lookup_tries:
            return Answered("failed", reason=error.sentence)
        pause_s = min(PAUSE_S, settings.lookup_retry_s * 2 ** (row.tries - 1))
        if isinstance(error, RateLimited) and error.retry_after_s:
            pause_s = max(pause_s, min(PAUSE_S, error.retry_after_s))
        return Answered("failed", reason=error.sentence, retry_at=services.clock.now() + timedelta(seconds=pause_s))
    except ConnectorError as error:
        return Answered("failed", reason=error.sentence)
    except AWAY:
        raise
    except Exception as error:
        # It would fail again with every lease for ever, and take the answers to the others with it each time.
        log.error("lookup.broken", exc_info=error, extra={"lookup": row.id, "item": row.item_id})
        return Answered("failed", reason=f"It could not be asked ({type(error).__name__})")
    if record.data is None:
        state = "missing"
    else:
        state = "known"
    return Answered(
        state,
        data=record.data,
        reason="" if record.data is not None else "There is no match",
        fetched_at=record.fetched_at,
        fresh_until=record.fresh_until,
        writes=record.writes,
    )


def _store(services: Services, row: AnyRow, token: str, answer: Answered) -> None:
    with services.db.write() as connection:
        now = services.clock.now()
        item = store.read_item(connection, row.item_id, lock=True)
        kept = connection.execute(
            update(LookupRow)
            .where(LookupRow.id == row.id, LookupRow.token == token)
            .values(
                state=answer.state,
                answer={"data": answer.data, "candidates": list(answer.candidates)},
                reason=answer.reason,
                answered_at=now,
                fetched_at=answer.fetched_at,
                fresh_until=answer.fresh_until,
                writes=answer.writes,
                due_at=answer.retry_at,
                lease_until=None,
                token=None,
            )
        )
        if kept.rowcount != 1:
            log.warning("lookup.fenced", extra={"lookup": row.id, "item": row.item_id})
            if _erased(connection, row):
                asked = Question(row.connection, row.operation, row.args)
                forget_late(connection, (asked,), lookup=row.id, item=row.item_id)
            return
        log.info("lookup.answered", extra={"lookup": row.id, "item": row.item_id, "state": answer.state})
        lanes.wake(connection, item.id, now)
        if answer.state == "failed" and row.state == "failed":
            _still_failing(connection, item.id, row, answer, now)
            return
        cause = Cause("system", label=f"{row.connection}.{row.operation}")
        chain = store.Chain(root_id=row.root_id, depth=row.depth, payload={"lookup": row.id})
        written = store.change_item(
            connection,
            item,
            lines=(),
            actor=AUTOMATION,
            now=now,
            context=(_card(services, row, answer, cause, now),),
            chain=chain,
        )
        if answer.state in ("known", "missing"):
            _late(connection, item.id, row, written.seq, now)


def _erased(connection: Connection, row: AnyRow) -> bool:
    """Whether the person it asked about was erased while it asked."""
    key = connection.execute(select(LookupRow.args_key).where(LookupRow.id == row.id)).scalar_one_or_none()
    return key is None or key.startswith(ERASED_KEY)


def _card(services: Services, row: AnyRow, answer: Answered, cause: Cause, now: datetime) -> NewContext:
    data: JSON = answer.data
    if answer.state == "ambiguous":
        data = {"candidates": list(answer.candidates)}
    error = answer.reason if answer.state in ("failed", "ambiguous") else ""
    return NewContext(
        key=f"{row.connection}.{row.operation}",
        title=f"{row.connection}: {row.operation.replace('_', ' ')}",
        data=data,
        source=f"{row.connection}.{row.operation}",
        fetched_at=answer.fetched_at or now,
        fresh_until=answer.fresh_until,
        error=error,
        cause=cause,
    )


def _still_failing(connection: Connection, item_id: int, row: AnyRow, answer: Answered, now: datetime) -> None:
    """A retry that failed again changes the card's time and sentence; it is no new event."""
    connection.execute(
        update(ContextFact)
        .where(
            ContextFact.item_id == item_id,
            ContextFact.key == f"{row.connection}.{row.operation}",
            ContextFact.current,
        )
        .values(error=answer.reason, fetched_at=now)
    )


def _late(connection: Connection, item_id: int, row: AnyRow, seq: int, now: datetime) -> None:
    """Rows that were decided without this answer are decided again, once, each event's in an event of its own."""
    skipped = connection.execute(
        select(SkippedRow.event_id, SkippedRow.row_key)
        .where(SkippedRow.lookup_id == row.id, SkippedRow.settled_at.is_(None))
        .order_by(SkippedRow.event_id, SkippedRow.row_key)
    ).all()
    if not skipped:
        return
    connection.execute(
        update(SkippedRow).where(SkippedRow.lookup_id == row.id, SkippedRow.settled_at.is_(None)).values(settled_at=now)
    )
    rows: dict[int, list[str]] = {}
    for one in skipped:
        rows.setdefault(one.event_id, []).append(one.row_key)
    decide_again(connection, item_id, rows, {"lookup": row.id}, now)
