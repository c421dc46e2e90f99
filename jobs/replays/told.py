"""What became of an item: read by the same function from the live database and from a scratch one, and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, exists, func, select

from jobs.preview import FieldChange
from jobs.tables import DecisionRow, Fired, OutboxRow, RowSetAside, RunRow
from rules.store import EntryKind, EntryRow
from tickets import store
from tickets.db import UtcDateTime, table_of
from tickets.events import Cause, EventKind, undo
from tickets.item import CUSTOM, STATE_FIELDS
from tickets.prepared import Prepared
from tickets.tables import (
    ContextFact,
    EventRow,
    History,
    Message,
    Notification,
    RequestRow,
    WorkItem,
)
from tickets.values import JSON, iso

#: Characters of a text that is shown, lines that are kept of one item, and events that are read of it.
TEXT_CHARS = 240
LINES = 100
EVENTS = 1_000
#: The action, and the effect, that makes somebody a follower.
FOLLOW = "follow"
#: Kinds of outbox rows that say what a message or a bell says already.
_SAID_ELSEWHERE = ("email", "notice", "digest")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened. `who`: a person's name, "" for a rule or the clock; `code`, `version`, `row` the rule's.

    `what`: "event" (`about` is its kind), "field", "message", "note", "notify", "script", "card" or "error"; for
    fields `before` and `after`."""

    at: str
    what: str
    who: str = ""
    code: str = ""
    version: int = 0
    row: str = ""
    about: str = ""
    before: JSON = None
    after: JSON = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """An item at the end of a story. `said` are effects besides fields: (kind, words); `rows` how often each row
    fired, by table/row; `lines` what happened in order, the first `LINES` of it, and how many more there were."""

    fields: Mapping[str, JSON]
    said: tuple[tuple[str, str], ...]
    rows: Mapping[str, int]
    lines: tuple[Line, ...] = ()
    more_lines: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Differs:
    """How two ends of one story differ. `live` and `draft` of a field change are the first and the second end."""

    fields: tuple[FieldChange, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    less: tuple[tuple[str, str], ...] = ()

    @property
    def same(self) -> bool:
        return not (self.fields or self.more or self.less)

    def to_json(self) -> dict[str, Any]:
        return {
            "fields": [asdict(one) for one in self.fields],
            "more": [list(one) for one in self.more],
            "less": [list(one) for one in self.less],
        }


def differs(one: Told, other: Told) -> Differs:
    """What `other` has that `one` has not, and the other way round."""
    names = sorted({*one.fields, *other.fields})
    return Differs(
        tuple(
            FieldChange(name, one.fields.get(name), other.fields.get(name))
            for name in names
            if one.fields.get(name) != other.fields.get(name)
        ),
        tuple(sorted((Counter(other.said) - Counter(one.said)).elements())),
        tuple(sorted((Counter(one.said) - Counter(other.said)).elements())),
    )


def tell(connection: Connection, item_id: int, until: datetime, missing: Sequence[str] = ()) -> Told:
    """What became of the item by `until`: what came later is taken off again."""
    item = store.read_item(connection, item_id)
    asked = {"item": item_id, "until": until}
    state = undo(item.state, [store.event_of(row) for row in _AFTER.all(connection, asked)])
    lines = _lines(connection, asked)
    return Told(
        fields=state,
        said=tuple(_said(connection, asked)),
        rows={one.row_key: one.times for one in _FIRED.all(connection, asked)},
        lines=tuple(lines[:LINES]),
        more_lines=max(0, len(lines) - LINES),
        missing=tuple(missing),
    )


def _said(connection: Connection, asked: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What was said, sent, asked or begun by itself: kinds as in `jobs.preview.effect_words`, and "error"."""
    for public, text in _BOT.all(connection, asked):
        yield "message" if public else "note", short(text)
    for user, text, cause in _BELLS.all(connection, asked):
        # Other bells tell that somebody wrote, or that an event was set aside.
        if _is_of_rules(cause):
            yield "notify", f"{user}: {short(text)}"
    for kind, recipient, payload in _LEAVING.all(connection, asked):
        yield _leaves(kind, recipient, payload)
    for script, status in _RUNS.all(connection, asked):
        yield "script", f"{script}: {status}"
    for title, cause in _CARDS.all(connection, asked):
        if _is_of_rules(cause):
            yield "card", title
    # Not who follows it: people do, too.
    for user in sorted({user for (done,) in _DONE.all(connection, asked) for user in _followers(done)}):
        yield FOLLOW, user
    for title, cause in _REQUESTS.all(connection, asked):
        if cause.get("kind") != "person":
            yield "request", title
    for kind, subject in _MADE.all(connection, asked):
        yield "item", f"{kind}: {short(subject or '')}"
    for (error,) in _PARKED.all(connection, asked):
        yield "error", short(error)
    for row_key, reason in _ASIDE.all(connection, asked):
        yield "error", short(f"{row_key}: {reason}")


def _is_of_rules(cause: Mapping[str, Any]) -> bool:
    return cause.get("kind") in ("table", "script")


def _followers(done: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Whom these steps made followers."""
    for step in done:
        if step["action"] == FOLLOW and step["result"] == "done":
            yield from step["params"]["users"]


def _leaves(kind: str, recipient: str, payload: Mapping[str, Any]) -> tuple[str, str]:
    match kind:
        case "template":
            return "mail", f"{payload.get('template') or short(str(payload.get('subject', '')))}: {recipient}"
        case "reply":
            return "suggestion", str(payload.get("template") or "") or short(str(payload.get("text", "")))
        case "change":
            return "change", f"{recipient}.{payload.get('operation')}"
        case "webhook":
            return "webhook", f"{recipient}: {payload.get('event')}"
        case _:
            return "mail", recipient


# What happened, in order -----------------------------------------------------------------------------------------


def _lines(connection: Connection, asked: Mapping[str, Any]) -> list[Line]:
    """What happened, event by event. A chain's later events are what its steps did, and have no line of their own."""
    events = _EVENTS.all(connection, asked)
    changed = _by(_HISTORY.all(connection, asked))
    said = _by(_MESSAGES.all(connection, asked))
    steps = _by(_STEPS.all(connection, asked))
    lines: list[Line] = []
    for row in events:
        at = iso(row.at)
        if row.depth == 0 or row.kind == EventKind.SCRIPT:
            entry = str(row.payload.get("entry") or row.payload.get("script") or "")
            automatic = row.actor_kind in ("automation", "system")
            lines.append(Line(at, "event", "" if automatic else row.actor_name, code=entry, about=row.kind))
        for one in changed.get(row.id, ()):
            if one.field in STATE_FIELDS or one.field.startswith(CUSTOM):
                cause = Cause.from_json(one.cause)
                lines.append(
                    _line(
                        at, "field", cause, one.actor_name, one.field, one.change.get("before"), one.change.get("after")
                    )
                )
        for one in said.get(row.seq, ()):
            cause = Cause.from_json(one.cause) if one.cause else Cause("person")
            what = "message" if one.public else "note"
            lines.append(_line(at, what, cause, one.author_name, one.author_kind, text=short(one.text)))
        for one in steps.get(row.id, ()):
            lines += _steps(at, one.done)
            lines += [
                Line(at, "unknown", "", about=str(it.get("row", "")), text=short(str(it.get("reason", ""))))
                for it in one.skipped
            ]
        if row.status == "parked":
            lines.append(Line(at, "error", about=row.kind, text=short(row.error)))
    return lines


#: Actions whose doing has a line of its own: of a field, or a message.
_SHOWN = frozenset({"post_message", "add_note"})


def _steps(at: str, done: Sequence[Mapping[str, Any]]) -> Iterable[Line]:
    """Steps that left neither a changed field nor a message, and those that were not done."""
    for step in done:
        if step["result"] == "done" and (step["changes"] or step["action"] in _SHOWN):
            continue
        words = ((key, _words(value)) for key, value in step["params"].items())
        text = step["reason"] if step["result"] != "done" else ", ".join(f"{key}: {it}" for key, it in words if it)
        yield Line(
            at,
            "step" if step["result"] == "done" else "not_done",
            "",
            str(step["code"]),
            int(step["version"]),
            str(step["row"]),
            str(step["action"]),
            text=short(str(text)),
        )


def _words(value: JSON) -> str:
    """A parameter as a line says it: nothing of a switch or of the data of a card, which are no words."""
    if isinstance(value, list) and not any(isinstance(one, (dict, list)) for one in value):
        return ", ".join(str(one) for one in value)
    return "" if value is None or isinstance(value, (bool, dict, list)) else str(value)


def _line(
    at: str,
    what: str,
    cause: Cause,
    actor_name: str,
    about: str,
    before: JSON = None,
    after: JSON = None,
    text: str = "",
) -> Line:
    who = "" if cause.code else cause.label or actor_name
    return Line(at, what, who, cause.code, cause.version, cause.row, about, before, after, text)


def _by(rows: Iterable[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.at_event, []).append(row)
    return found


def short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"


# Statements, built once: a replay asks each of them a thousand times ------------------------------------------------

_ITEM, _UNTIL = bindparam("item", type_=Integer), bindparam("until", type_=UtcDateTime)
_AFTER = Prepared(
    select(*store.EVENT_COLUMNS).where(EventRow.item_id == _ITEM, EventRow.at > _UNTIL).order_by(EventRow.seq)
)
#: What stands in the ledger of a chain is a row, or a script's run whose actions were applied (jobs.scripts_at_work).
_OF_RUNS = EntryRow.code + "/run"
_IS_RUN = exists().where(
    EntryRow.kind == EntryKind.SCRIPT, func.substr(Fired.row_key, 1, func.length(_OF_RUNS)) == _OF_RUNS
)
_FIRED = Prepared(
    select(Fired.row_key, func.count().label("times"))
    .join(EventRow, EventRow.id == Fired.root_id)
    .where(EventRow.item_id == _ITEM, EventRow.at <= _UNTIL, ~_IS_RUN)
    .group_by(Fired.row_key)
    .order_by(Fired.row_key)
)
_BOT = Prepared(
    select(Message.public, Message.text)
    .where(Message.item_id == _ITEM, Message.author_kind == "bot", Message.created_at <= _UNTIL)
    .order_by(Message.id)
)
_BELLS = Prepared(
    select(Notification.user, Notification.text, Notification.cause)
    .where(Notification.item_id == _ITEM, Notification.created_at <= _UNTIL)
    .order_by(Notification.id)
)
_LEAVING = Prepared(
    select(OutboxRow.kind, OutboxRow.recipient, OutboxRow.payload)
    .where(
        OutboxRow.item_id == _ITEM,
        OutboxRow.created_at <= _UNTIL,
        *(OutboxRow.kind != kind for kind in _SAID_ELSEWHERE),
    )
    .order_by(OutboxRow.id)
)
_RUNS = Prepared(
    select(RunRow.script, RunRow.status).where(RunRow.item_id == _ITEM, RunRow.created_at <= _UNTIL).order_by(RunRow.id)
)
_CARDS = Prepared(
    select(ContextFact.title, ContextFact.cause)
    .where(ContextFact.item_id == _ITEM, ContextFact.created_at <= _UNTIL)
    .order_by(ContextFact.id)
)
_DONE = Prepared(select(DecisionRow.done).where(DecisionRow.item_id == _ITEM, DecisionRow.at <= _UNTIL))
_REQUESTS = Prepared(
    select(RequestRow.title, RequestRow.cause)
    .where(RequestRow.item_id == _ITEM, RequestRow.created_at <= _UNTIL)
    .order_by(RequestRow.id)
)
_MADE = Prepared(
    select(WorkItem.kind, WorkItem.subject)
    .join(EventRow, EventRow.item_id == WorkItem.id)
    .where(
        EventRow.kind == EventKind.CREATED,
        EventRow.at <= _UNTIL,
        WorkItem.id != _ITEM,
        EventRow.root_id.in_(select(table_of(EventRow).c.id).where(table_of(EventRow).c.item_id == _ITEM)),
    )
    .order_by(WorkItem.id)
)
_PARKED = Prepared(
    select(EventRow.error)
    .where(EventRow.item_id == _ITEM, EventRow.status == "parked", EventRow.at <= _UNTIL)
    .order_by(EventRow.seq)
)
_ASIDE = Prepared(
    select(RowSetAside.row_key, RowSetAside.reason)
    .where(RowSetAside.item_id == _ITEM, RowSetAside.at <= _UNTIL)
    .order_by(RowSetAside.at, RowSetAside.row_key)
)
_EVENTS = Prepared(
    select(
        EventRow.id,
        EventRow.seq,
        EventRow.kind,
        EventRow.at,
        EventRow.actor_kind,
        EventRow.actor_name,
        EventRow.depth,
        EventRow.payload,
        EventRow.status,
        EventRow.error,
    )
    .where(EventRow.item_id == _ITEM, EventRow.at <= _UNTIL)
    .order_by(EventRow.seq)
    .limit(EVENTS)
)
_HISTORY = Prepared(
    select(History.event_id.label("at_event"), History.field, History.change, History.cause, History.actor_name)
    .where(History.item_id == _ITEM, History.at <= _UNTIL, History.outcome == "done")
    .order_by(History.id)
)
_MESSAGES = Prepared(
    select(
        Message.seq.label("at_event"),
        Message.author_kind,
        Message.author_name,
        Message.public,
        Message.text,
        Message.cause,
    )
    .where(Message.item_id == _ITEM, Message.created_at <= _UNTIL)
    .order_by(Message.id)
)
_STEPS = Prepared(
    select(DecisionRow.event_id.label("at_event"), DecisionRow.done, DecisionRow.skipped)
    .where(DecisionRow.item_id == _ITEM, DecisionRow.at <= _UNTIL)
    .order_by(DecisionRow.id)
)
