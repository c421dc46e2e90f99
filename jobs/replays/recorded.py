"""What connected systems answered then, and nothing else: there is no way from here to a connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from connectors.errors import Ambiguous, Permanent
from connectors.gateway import Gateway, Record
from jobs.services import Clock
from jobs.tables import DecisionRow, LookupRow, RunRow
from jobs.tryout import RecordedGateway, question
from sandbox.contract import CallFailed
from tickets.db import Database
from tickets.values import JSON, from_iso

#: How much later than its question an answer may have come and still be the one that was given to it.
ANSWERED_WITHIN = timedelta(minutes=10)
#: Decisions and runs of one item that are looked through for answers, the oldest first.
SEARCHED = 200
#: Questions without a recorded answer that one item names.
NAMED = 20


class NotRecorded(Permanent):
    """Nobody asked this then, so nobody knows what the answer would have been."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of then. `at`: when the item knew it; `state`: known, missing, ambiguous or failed, as of a lookup."""

    at: datetime
    state: str
    data: JSON = None
    reason: str = ""
    candidates: tuple[JSON, ...] = ()
    fresh_until: datetime | None = None


@dataclass(slots=True)
class Answers:
    """The answers that were recorded about one item, by question, in no order."""

    by_question: dict[str, list[Said]] = field(default_factory=dict)

    def add(self, connection: str, operation: str, args: Mapping[str, JSON], said: Said) -> None:
        self.by_question.setdefault(question(connection, operation, args), []).append(said)

    def to(self, asked: str, at: datetime) -> Said | None:
        """What this question was answered at that moment: the first answer that came from then on and soon, else the
        newest one that was there before, else the first that came at all."""
        told = sorted(self.by_question.get(asked, ()), key=lambda one: one.at)
        since = [one for one in told if one.at >= at]
        if since and since[0].at <= at + ANSWERED_WITHIN:
            return since[0]
        before = [one for one in told if one.at < at]
        return before[-1] if before else since[0] if since else None


def answers_about(connection: Connection, item_id: int) -> Answers:
    """Everything that lookups and runs of this item were told."""
    found = Answers()
    asked: dict[tuple[str, str], Mapping[str, JSON]] = {}
    for row in connection.execute(
        select(LookupRow.__table__).where(LookupRow.item_id == item_id).order_by(LookupRow.id)
    ):
        name = f"{row.connection}.{row.operation}"
        asked[name, row.args_key] = row.args
        if row.answered_at is not None and row.state != "asked":
            said = Said(
                row.answered_at,
                row.state,
                row.answer.get("data"),
                row.reason,
                tuple(row.answer.get("candidates") or ()),
                row.fresh_until,
            )
            found.add(row.connection, row.operation, row.args, said)
    # A lookup keeps its newest answer alone; what earlier decisions saw stands with them.
    decisions = select(DecisionRow.facts, DecisionRow.at).where(DecisionRow.item_id == item_id)
    for row in connection.execute(decisions.order_by(DecisionRow.id).limit(SEARCHED)):
        for name, fact in (row.facts.get("lookups") or {}).items():
            args = asked.get((name, str(fact.get("args_key", ""))))
            if args is None or fact.get("state") in (None, "asked"):
                continue
            system, _, operation = name.partition(".")
            found.add(system, operation, args, _of_fact(fact, row.at))
    runs = select(RunRow.outcome, RunRow.started_at, RunRow.created_at).where(RunRow.item_id == item_id)
    for row in connection.execute(runs.order_by(RunRow.id).limit(SEARCHED)):
        for call in row.outcome.get("calls", ()):
            state = _STATES.get(str(call.get("status", "ok")))
            if state is not None:
                at = row.started_at or row.created_at
                said = Said(at, state, call.get("answer"), str(call.get("message", "")))
                found.add(str(call["connection"]), str(call["operation"]), call.get("args") or {}, said)
    return found


def _of_fact(fact: Mapping[str, Any], decided_at: datetime) -> Said:
    fresh = str(fact.get("fresh_until") or "")
    return Said(
        decided_at,
        str(fact["state"]),
        fact.get("data"),
        str(fact.get("reason") or ""),
        (),
        from_iso(fresh) if fresh else None,
    )


#: How the calls of a run read as states of a lookup. What was refused, or wrongly asked, was no answer.
_STATES: Mapping[str, str] = {"ok": "known", "none": "missing", "ambiguous": "ambiguous", "unavailable": "failed"}


class RecordedConnectors(Gateway):
    """The gateway of a scratch desk: the answers of the item at hand, then stored ones to the same question."""

    def __init__(self, live: Database, clock: Clock) -> None:
        """`live` is read for stored answers. None of what a gateway needs to open a connection is taken."""
        self._clock = clock
        self._kept = RecordedGateway({}, live)
        self._answers = Answers()
        self._missing: dict[str, None] = {}

    def tell(self, answers: Answers) -> None:
        """Answer with these from now on."""
        self._answers, self._missing = answers, {}

    @property
    def missing(self) -> Sequence[str]:
        """The operations that were asked something which is not recorded, in order, at most `NAMED`."""
        return list(self._missing)[:NAMED]

    def call(
        self,
        connection: str,
        operation: str,
        args: Mapping[str, JSON],
        *,
        deadline_s: float,
        cause: str,
        allow_write: bool = False,
        max_age_s: float | None = None,
        idempotency_key: str = "",
        sent_before: bool = False,
    ) -> Record:
        """The recorded answer. Raises `NotRecorded`, and what was raised then as `Permanent` or `Ambiguous`."""
        assert not allow_write, "a scratch desk changes no system"
        now = self._clock.now()
        said = self._answers.to(question(connection, operation, args), now) or self._of_others(
            connection, operation, args, now
        )
        if said is None:
            self._missing.setdefault(f"{connection}.{operation}", None)
            raise NotRecorded(f"{connection}.{operation} with these inputs is not recorded")
        if said.state == "ambiguous":
            raise Ambiguous(said.reason, candidates=said.candidates)
        if said.state == "failed":
            raise Permanent(said.reason)
        fresh_until = max(said.fresh_until or now, now)
        data = said.data if said.state == "known" else None
        return Record(
            data, connection, operation, now, fresh_until, "fresh", truncated=False, external_url="", writes=0
        )

    def _of_others(self, connection: str, operation: str, args: Mapping[str, JSON], now: datetime) -> Said | None:
        """The newest stored answer to the same question, whoever asked it."""
        try:
            answer = self._kept.call(connection, operation, args, deadline_s=1)
        except CallFailed:
            return None
        return Said(now, "missing" if answer.data is None else "known", answer.data)
