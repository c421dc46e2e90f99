"""What a decision about one event may look at, read in one transaction: the item as of the event, and around it.

The shapes are in docs/architecture.md; `rules.facts.Facts` is their value and goes into the database with the decision.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from connectors.store import ConnectionTable
from jobs.tables import LedgerRow, LookupRow, RunRow
from rules.facts import Facts, LookupKey
from rules.fields import lookup_key
from rules.vocabulary import Vocabulary
from tickets import levels, people
from tickets.db import table_of
from tickets.effects import SetContext
from tickets.events import Cause, Event, EventKind, undo
from tickets.item import FINISHED, Item
from tickets.prepared import Prepared
from tickets.tables import ContextFact, EventRow, Message, WorkItem
from tickets.values import JSON, iso

#: Events of an item's past that a script sees, at most.
HISTORY_EVENTS = 50
#: Characters of a message that facts carry, at most; conditions and scripts see no more.
FACT_CHARS = 20_000
#: Lines of the ledger that one decision looks at, the newest ones.
LEDGER_LINES = 1_000


def gather(
    connection: Connection,
    event: Event,
    item: Item,
    later: Sequence[Event],
    vocabulary: Vocabulary,
    now: datetime,
    *,
    own_root_stays: bool = False,
) -> Facts:
    """The facts of `event`. `later` are the item's events after it; `item` is the item as it is now.

    With `own_root_stays` the changes this event's own chain has already made are kept: a waiting event goes on with
    what its earlier entries did."""
    undone = [one for one in later if not (own_root_stays and one.root_id == event.root_id)]
    state = undo(item.state, undone)
    customer = _customer(connection, state.get("customer"), item.id)
    message, context = _message(connection, item.id, event), _context(connection, item.id)
    return _with_these(connection, event, item, state, vocabulary, now, customer, message, context)


def gather_on(
    connection: Connection, before: Facts, event: Event, item: Item, vocabulary: Vocabulary, now: datetime
) -> Facts:
    """`gather` for the event that what another one changed became, in the transaction that wrote it.

    `before` are the facts of that other one. Nobody wrote since they were read, and it did no more than change fields,
    among which rules find no customer: so what is told of messages, cards and the customer is as it was."""
    message = before.message
    # It may have come with several, of which the facts tell one; and an event without one looks at the customer's only.
    if before.event["kind"] != EventKind.CREATED or (message is not None and message["author"] != "customer"):
        message = _message(connection, item.id, event)
    return _with_these(connection, event, item, item.state, vocabulary, now, before.customer, message, before.context)


def _with_these(
    connection: Connection,
    event: Event,
    item: Item,
    state: Mapping[str, JSON],
    vocabulary: Vocabulary,
    now: datetime,
    customer: Mapping[str, JSON] | None,
    message: Mapping[str, JSON] | None,
    context: Mapping[str, Mapping[str, JSON]],
) -> Facts:
    vocabulary = vocabulary.of(item.kind)
    facts = Facts(
        item={"id": item.id, "kind": item.kind.value, "created_at": iso(item.created_at), **state},
        customer=customer,
        event=event_facts(event),
        message=message,
        context=context,
        lookups={},
        run=_run(connection, event),
        now=iso(now),
        clock={**clock_facts(item), **(level_facts(connection, item.id, now) if vocabulary.slas else {})},
    )
    lookups = _lookups(connection, item.id, facts, vocabulary, event)
    return facts if not lookups else Facts(**{**_fields(facts), "lookups": lookups})


def facts_now(connection: Connection, item: Item, now: datetime) -> Facts:
    """The item and its customer as they are now, of no event: for texts that are worded when they are sent."""
    return Facts(
        item={"id": item.id, "kind": item.kind.value, "created_at": iso(item.created_at), **item.state},
        customer=_customer(connection, item.state.get("customer"), item.id),
        event={"at": iso(now)},
        now=iso(now),
    )


def event_facts(event: Event) -> dict[str, JSON]:
    return {
        "id": event.id,
        "kind": event.kind.value,
        "at": iso(event.at),
        "actor": event.actor.kind.value,
        "actor_ref": event.actor.ref,
        "depth": event.depth,
        "changes": {one.field: [one.before, one.after] for one in event.changes},
        "payload": dict(event.payload),
        **({"episode": event.payload.get("episode")} if event.kind is EventKind.TIMER else {}),
    }


def clock_facts(item: Item) -> dict[str, JSON]:
    """Since when, as it is now: clocks go on while an event waits for its turn."""
    stamps = item.stamps
    moments = {
        "status_since": stamps.status_since,
        "last_modified": stamps.modified_at,
        "unanswered_since": stamps.unanswered_since,
        "replied_at": stamps.replied_at,
        "first_reply_at": stamps.first_reply_at,
        "opened_at": stamps.opened_at,
    }
    return {key: iso(at) for key, at in moments.items() if at is not None}


def level_facts(connection: Connection, item_id: int, now: datetime) -> dict[str, JSON]:
    """How the item's service levels stand."""
    facts: dict[str, JSON] = {}
    for target, clock in levels.own_clocks(connection, item_id).items():
        facts["policy"] = clock.policy
        facts[f"{target.value}_state"] = clock.state(now).value
        if clock.due_at is not None:
            facts[f"{target.value}_due"] = iso(clock.due_at)
    return facts


def ledger(connection: Connection, item_id: int) -> dict[str, dict[str, JSON]]:
    """Which rows have fired for this item: {row key: {"at": last, "episodes": the newest ones first}}."""
    found: dict[str, dict[str, Any]] = {}
    for row in _READ_LEDGER.all(connection, {"item": item_id}):
        line = found.setdefault(row.row_key, {"at": iso(row.at), "episodes": []})
        line["episodes"].append(row.episode)
    return found


def history(connection: Connection, item_id: int, seq: int) -> list[dict[str, JSON]]:
    """The item's past up to this sequence for scripts, oldest first, at most HISTORY_EVENTS events."""
    rows = connection.execute(
        select(EventRow.kind, EventRow.at, EventRow.actor_kind, EventRow.actor_name, EventRow.changes)
        .where(EventRow.item_id == item_id, EventRow.seq <= seq)
        .order_by(EventRow.seq.desc())
        .limit(HISTORY_EVENTS)
    ).all()
    return [
        {
            "kind": row.kind,
            "at": iso(row.at),
            "actor": row.actor_kind,
            "name": row.actor_name,
            "changes": {one["field"]: [one["before"], one["after"]] for one in row.changes},
        }
        for row in reversed(rows)
    ]


def args_key(args: Mapping[str, JSON]) -> str:
    """One name for one set of inputs, whatever their order."""
    text = json.dumps(dict(args), sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def lookup_fact(row: Any) -> dict[str, JSON]:
    """A stored lookup as a fact."""
    return {
        "state": row.state,
        "data": row.answer.get("data"),
        "reason": row.reason,
        "args_key": row.args_key,
        "fetched_at": iso(row.fetched_at) if row.fetched_at else "",
        "fresh_until": iso(row.fresh_until) if row.fresh_until else "",
    }


def _fields(facts: Facts) -> dict[str, Any]:
    return {
        name: getattr(facts, name)
        for name in ("item", "event", "now", "customer", "message", "context", "run", "clock")
    }


def _customer(connection: Connection, person_id: JSON, item_id: int) -> dict[str, JSON] | None:
    if not isinstance(person_id, int):
        return None
    rows = _READ_CUSTOMER.all(connection, {"person": person_id, "item": item_id})
    if not rows:
        return None
    person = people.customer_of(rows)
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "emails": list(person.emails),
        "language": person.language,
        "identity": "verified" if person.email in person.verified else "claimed",
        "open_items": rows[0].open_others,
    }


def _message(connection: Connection, item_id: int, event: Event) -> dict[str, JSON] | None:
    """The event's own message; for other events the newest of the customer's that was there by then."""
    if event.message_id is not None:
        row = _READ_MESSAGE.one_or_none(connection, {"message": event.message_id})
    else:
        row = _NEWEST_MESSAGE.one_or_none(connection, {"item": item_id, "seq": event.seq})
    if row is None:
        return None
    return {
        "id": row.id,
        "author": row.author_kind,
        "public": row.public,
        "channel": row.channel,
        "subject": row.subject,
        "new_text": row.new_text[:FACT_CHARS],
        "text": row.text[:FACT_CHARS],
        "language": row.language,
        "automatic": row.automatic,
    }


def _context(connection: Connection, item_id: int) -> dict[str, dict[str, JSON]]:
    return {
        row.key: {
            "data": row.body.get("data"),
            "title": row.title,
            "source": row.source,
            "fetched_at": iso(row.fetched_at),
            "fresh_until": iso(row.fresh_until) if row.fresh_until else "",
            "error": row.error,
            **({"script": row.cause["code"]} if row.cause.get("kind") == "script" else {}),
        }
        for row in _READ_CONTEXT.all(connection, {"item": item_id})
    }


def card_fact(effect: SetContext, cause: Cause, now: str) -> dict[str, JSON]:
    """A card that is about to be written, as the fact it will be."""
    return {
        "data": effect.data,
        "title": effect.title or effect.key,
        "source": effect.source,
        "fetched_at": effect.fetched_at or now,
        "fresh_until": effect.fresh_until,
        "error": effect.error,
        **({"script": cause.code} if cause.kind == "script" else {}),
    }


def _run(connection: Connection, event: Event) -> dict[str, JSON] | None:
    run_id = event.payload.get("run_id")
    if event.kind is not EventKind.SCRIPT or not isinstance(run_id, int):
        return None
    row = connection.execute(
        select(RunRow.id, RunRow.script, RunRow.version, RunRow.status, RunRow.outcome).where(RunRow.id == run_id)
    ).one()
    error = (row.outcome.get("error") or {}).get("message", "")
    return {"id": row.id, "script": row.script, "version": row.version, "status": row.status, "error": error}


def _lookups(
    connection: Connection, item_id: int, facts: Facts, vocabulary: Vocabulary, event: Event
) -> dict[str, dict[str, JSON]]:
    found: dict[str, dict[str, JSON]] = {}
    if not vocabulary.lookups:
        return found
    rows = _READ_LOOKUPS.all(connection, {"item": item_id})
    while rows:
        known, hanging = len(found), []
        for row in rows:
            name = f"{row.connection}.{row.operation}"
            spec = vocabulary.lookups.get(name)
            if spec is None:
                continue
            wanted = lookup_key(spec, facts, vocabulary)
            if not isinstance(wanted, LookupKey):
                hanging.append(row)
                continue
            if args_key(dict(wanted.args)) != row.args_key:
                continue  # asked about somebody else, e.g. before the customer was corrected
            # By its chain, or by the time: the clocks of two hosts differ, so an answer may seem older than its
            # question.
            answered = row.answered_at is not None
            answered_for_us = answered and (row.root_id == event.root_id or row.answered_at >= event.at)
            stale = row.fresh_until is not None and row.fresh_until.isoformat() < facts.now
            changed_since = row.writes is not None and row.writes < (row.writes_now or 0)
            if row.not_from_seq is not None and event.seq >= row.not_from_seq:
                continue  # answered before the change that this event follows from
            if (stale or changed_since) and not answered_for_us:
                continue  # too old for a new decision: unknown, so it is asked again
            found[name] = lookup_fact(row)
        if not hanging or len(found) == known:
            break
        # What is asked with an answer is known by that one only.
        facts, rows = Facts(**{**_fields(facts), "lookups": dict(found)}), hanging
    return found


# Statements, built once --------------------------------------------------------------------------------------------

_MESSAGES, _CONTEXT, _ITEMS = table_of(Message), table_of(ContextFact), table_of(WorkItem)
_LOOKUPS = table_of(LookupRow)
_A_MESSAGE = select(
    *(
        _MESSAGES.c[name]
        for name in ("id", "author_kind", "public", "channel", "subject", "new_text", "text", "language", "automatic")
    )
)
_READ_MESSAGE = Prepared(_A_MESSAGE.where(_MESSAGES.c.id == bindparam("message")))
_NEWEST_MESSAGE = Prepared(
    _A_MESSAGE.where(
        _MESSAGES.c.item_id == bindparam("item"),
        _MESSAGES.c.seq <= bindparam("seq"),
        _MESSAGES.c.author_kind == "customer",
    )
    .order_by(_MESSAGES.c.id.desc())
    .limit(1)
)
_OPEN_OTHERS = (
    select(func.count())
    .select_from(_ITEMS)
    .where(
        _ITEMS.c.customer == bindparam("person"),
        _ITEMS.c.id != bindparam("item"),
        *(_ITEMS.c.status != status for status in sorted(FINISHED)),
    )
)
_READ_CUSTOMER = Prepared(people.A_PERSON.add_columns(_OPEN_OTHERS.scalar_subquery().label("open_others")))
_READ_CONTEXT = Prepared(
    select(
        *(
            _CONTEXT.c[name]
            for name in ("key", "title", "body", "source", "fetched_at", "fresh_until", "error", "cause")
        )
    ).where(_CONTEXT.c.item_id == bindparam("item"), _CONTEXT.c.current)
)
_LEDGER = table_of(LedgerRow)
_READ_LEDGER = Prepared(
    select(_LEDGER.c.row_key, _LEDGER.c.episode, _LEDGER.c.at)
    .where(_LEDGER.c.item_id == bindparam("item"))
    .order_by(_LEDGER.c.at.desc(), _LEDGER.c.row_key, _LEDGER.c.episode)
    .limit(LEDGER_LINES)
)
_LOOKUP_COLUMNS = (
    "connection",
    "operation",
    "args_key",
    "state",
    "answer",
    "reason",
    "fetched_at",
    "fresh_until",
    "answered_at",
    "root_id",
    "writes",
    "not_from_seq",
)
_CONNECTIONS = table_of(ConnectionTable)
_READ_LOOKUPS = Prepared(
    select(
        *(_LOOKUPS.c[name] for name in _LOOKUP_COLUMNS),
        select(_CONNECTIONS.c.writes)
        .where(_CONNECTIONS.c.name == _LOOKUPS.c.connection)
        .scalar_subquery()
        .label("writes_now"),
    ).where(_LOOKUPS.c.item_id == bindparam("item"))
)
