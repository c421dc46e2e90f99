"""Why a table did, or did not do, something on one event of a ticket: the live function, with the facts kept then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from jobs.live import Desk
from rules.engine import Entry, compile_ruleset, decide
from rules.errors import FactsInvalid
from rules.explain import explain
from rules.facts import Facts
from rules.trace import EntryTrace, Trace, Verdict
from tickets.store import AnyRow
from tickets.values import JSON
from web import ticket_store


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the ticket that the rule list looked at."""

    event_id: int
    kind: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Why:
    """The answer. `then` is what the stored trace says of the same entry, None when it was not in the list then."""

    entry: Entry
    moment: Moment
    moments: Sequence[Moment]
    explained: EntryTrace
    then: EntryTrace | None


def why(connection: Connection, desk: Desk, item_id: int, code: str, event_id: int | None) -> Why | None:
    """Why the live version of `code` acts as it does on an event (the newest by default); None without any decision."""
    entry = next((one for one in desk.ruleset.entries if one.code == code), None)
    decisions = ticket_store.decisions(connection, item_id)
    chosen = _chosen(decisions, code, event_id)
    if entry is None or chosen is None:
        return None
    try:
        facts = Facts.from_json(chosen.facts)
        kept = Trace.from_json(chosen.trace).entries
    except FactsInvalid:
        return None
    then = next((one for one in kept if one.code == code), None)
    held = _held(decisions, chosen)
    # What earlier entries staged in the same pass is part of what this one saw.
    before = [one for one in desk.ruleset.entries if (one.position, one.code) < (entry.position, entry.code)]
    decided = decide(
        compile_ruleset(desk.revision, before, desk.vocabulary),
        facts,
        held=held,
        wait_over=frozenset(one.code for one in before),
    )
    explained = explain(
        entry,
        facts,
        desk.vocabulary,
        held=held,
        staged=decided.staged,
        wait_over=then is not None and then.verdict is not Verdict.WAITING,
    )
    return Why(entry, _moment(chosen), [_moment(one) for one in _newest_parts(decisions)], explained, then)


def _chosen(decisions: Sequence[AnyRow], code: str, event_id: int | None) -> AnyRow | None:
    """The event asked for; else the newest one that the table was asked about; else the newest."""
    if event_id is not None:
        return next((one for one in decisions if one.event_id == event_id), None)
    asked = (one for one in decisions if _was_asked(one.trace, code))
    return next(asked, decisions[0] if decisions else None)


def _was_asked(trace: Mapping[str, JSON], code: str) -> bool:
    entries = trace.get("entries")
    return isinstance(entries, Sequence) and any(
        isinstance(one, Mapping) and one.get("code") == code and one.get("verdict") != Verdict.NOT_TRIGGERED
        for one in entries
    )


def _held(decisions: Sequence[AnyRow], chosen: AnyRow) -> frozenset[str]:
    """Rows that had fired before this event in the same chain."""
    return frozenset(
        str(step["row_key"])
        for one in decisions
        if one.root == chosen.root and one.seq < chosen.seq
        for step in one.done
        if "/run" not in str(step["row_key"])
    )


def _newest_parts(decisions: Sequence[AnyRow]) -> list[AnyRow]:
    """One decision per event: the newest part of each."""
    seen: dict[int, AnyRow] = {}
    for one in decisions:
        seen.setdefault(one.event_id, one)
    return list(seen.values())


def _moment(row: AnyRow) -> Moment:
    return Moment(row.event_id, row.kind, row.actor_name, row.event_at)
