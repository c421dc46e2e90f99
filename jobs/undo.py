"""Taking back what one version of a table or a script did, on every item it touched (N3).

Each item is one transaction of its own: values go back unless somebody changed them since (`tickets.undoing`), cards
that the rule wrote give way to the ones they replaced, and what was said, sent, asked, begun or changed outside stays
and is named, as do the cards that tell of it. The event it makes is one no trigger looks at, so that taking back sets
off nothing. The clock carries on with what was asked for, also after a restart.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, insert, not_, select, update

from jobs.services import Services
from jobs.tables import DecisionRow, UndoItemRow, UndoRow
from tickets import store
from tickets.cards import NewContext, replaced_by, take_away, taken_back, tells_of_outside
from tickets.db import AWAY
from tickets.effects import StateEffect
from tickets.errors import TicketsError
from tickets.events import Actor, ActorKind, Cause, EventKind
from tickets.item import CUSTOM, STATE_FIELDS, Item
from tickets.people import Viewer
from tickets.tables import ContextFact, EventRow, History, User
from tickets.undoing import Kept, Line, backwards
from tickets.values import JSON

log = logging.getLogger(__name__)

#: Items one undo takes back. More are refused, with the way out: a shorter time.
MOST_ITEMS = 10_000
#: Lines of history and decisions read of one item.
MOST_LINES = 5_000
#: The action whose card is taken back; cards of other actions tell what a system said, or did.
WRITES_CARD = "set_context"
#: What stands before the rule's code in the history of an item: who took back what.
LABEL = "Undo"


class TooMany(Exception):
    """More items than one undo takes back."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is taken back: everything this version did between the two moments."""

    code: str
    version: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What taking back means for one item. `cards`: each key with the card that comes back, None for none.

    `stays` counts the steps that cannot be taken back, by action."""

    item: Item
    effects: tuple[StateEffect, ...]
    kept: tuple[Kept, ...]
    cards: dict[str, NewContext | None]
    stays: Counter[str]

    @property
    def nothing(self) -> bool:
        return not (self.effects or self.cards)


def touched(connection: Connection, scope: Scope) -> list[int]:
    """The items this version changed in that time, in order; one more than `MOST_ITEMS` when there are more."""
    changed = (
        select(History.item_id)
        .join(EventRow, EventRow.id == History.event_id)
        .where(EventRow.at.between(scope.since, scope.until), History.outcome == "done", _made_by(History.cause, scope))
    )
    wrote = select(ContextFact.item_id).where(
        ContextFact.created_at.between(scope.since, scope.until), _made_by(ContextFact.cause, scope)
    )
    both = changed.union(wrote).subquery()
    return list(connection.execute(select(both.c.item_id).order_by(both.c.item_id).limit(MOST_ITEMS + 1)).scalars())


def plan(connection: Connection, item_id: int, scope: Scope, *, lock: bool = False) -> Plan:
    """What taking back would do to this item. Raises `ItemNotFound`."""
    item = store.read_item(connection, item_id, lock=lock)
    rows = connection.execute(
        select(History.id, History.field, History.change, History.cause, History.at)
        .where(History.item_id == item_id, History.outcome == "done")
        .order_by(History.id.desc())
        .limit(MOST_LINES)
    ).all()
    lines = [
        Line(row.id, row.field, row.change["before"], row.change["after"], _ours(row.cause, row.at, scope))
        for row in reversed(rows)
        if row.field in STATE_FIELDS or row.field.startswith(CUSTOM)
    ]
    effects, kept = backwards(lines)
    cards = replaced_by(connection, item_id, _cards_of(scope))
    return Plan(item, effects, kept, cards, _stays(connection, item_id, scope))


def start(connection: Connection, scope: Scope, viewer: Viewer, now: datetime, items: Sequence[int] = ()) -> int:
    """Ask for it, on these items or all it touched; the clock does it. Returns the undo's id. Raises `TooMany`."""
    wanted = list(items) or touched(connection, scope)
    if len(wanted) > MOST_ITEMS:
        raise TooMany(f"{scope.code} changed more than {MOST_ITEMS} items in that time; nothing was taken back")
    made = insert(UndoRow).values(
        code=scope.code,
        version=scope.version,
        since=scope.since,
        until=scope.until,
        asked_by=viewer.key,
        asked_at=now,
    )
    undo_id: int = connection.execute(made.returning(UndoRow.id)).scalar_one()
    if wanted:
        rows = [{"undo_id": undo_id, "item_id": one, "status": "waiting", "outcome": {}} for one in wanted]
        connection.execute(insert(UndoItemRow), rows)
    return undo_id


def carry_on(services: Services, *, budget_s: float) -> int:
    """Take back on items that wait for it, for at most about this many seconds; returns how many were looked at."""
    ends = time.monotonic() + budget_s
    count = 0
    while True:
        with services.db.write() as connection:
            if not _next(connection, services.clock.now()):
                return count
        count += 1
        if time.monotonic() > ends:
            return count


def _next(connection: Connection, now: datetime) -> bool:
    """One item, in the caller's transaction; False when none waits. A clock beside this one takes the next."""
    row = connection.execute(
        select(UndoItemRow.undo_id, UndoItemRow.item_id)
        .where(UndoItemRow.status == "waiting")
        .order_by(UndoItemRow.undo_id, UndoItemRow.item_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return False
    take_back(connection, row.undo_id, row.item_id, now)
    return True


def take_back(connection: Connection, undo_id: int, item_id: int, now: datetime) -> None:
    """Take back on one item of an undo that waits, in the caller's transaction."""
    asked = connection.execute(
        select(UndoRow.code, UndoRow.version, UndoRow.since, UndoRow.until, UndoRow.asked_by, User.name)
        .join(User, User.key == UndoRow.asked_by)
        .where(UndoRow.id == undo_id)
    ).one()
    scope = Scope(asked.code, asked.version, asked.since, asked.until)
    values = _take_back(connection, item_id, scope, Actor(ActorKind.AGENT, asked.asked_by, asked.name), now)
    connection.execute(
        update(UndoItemRow).where(UndoItemRow.undo_id == undo_id, UndoItemRow.item_id == item_id).values(values)
    )


def _take_back(connection: Connection, item_id: int, scope: Scope, actor: Actor, now: datetime) -> dict[str, Any]:
    """Take back on one item; what its row then says. A value that is refused now leaves the item as it is."""
    try:
        with connection.begin_nested():
            return _done(connection, plan(connection, item_id, scope, lock=True), scope, actor, now)
    except AWAY:
        raise
    except Exception as error:
        # One that cannot be taken back must not hold up all others for ever.
        log.error("undo.broken", exc_info=error, extra={"item": item_id, "entry": scope.code})
        told = {"problem": f"it could not be taken back ({type(error).__name__})"}
        return {"status": "failed", "outcome": told, "event_id": None}


def _done(connection: Connection, found: Plan, scope: Scope, actor: Actor, now: datetime) -> dict[str, Any]:
    """Do what was planned; what the item's row then says. Raises what nobody foresaw."""
    item_id = found.item.id
    told: dict[str, JSON] = {
        "kept": [[one.field, one.since, one.member] for one in found.kept],
        "stays": dict(found.stays),
    }
    if found.nothing:
        return {"status": "nothing", "outcome": told, "event_id": None}
    try:
        with connection.begin_nested():
            for key, card in found.cards.items():
                taken_back(connection, item_id, key, _cards_of(scope))
                if card is None:
                    take_away(connection, item_id, key)
            written = store.change_item(
                connection,
                found.item,
                lines=(store.Lines(found.effects, Cause("person", label=f"{LABEL} {scope.code}@{scope.version}")),),
                actor=actor,
                now=now,
                context=[card for card in found.cards.values() if card is not None],
                chain=store.Chain(payload={"undone": scope.code, "version": scope.version}),
                kind=EventKind.UNDONE,
            )
    except TicketsError as error:
        log.warning("undo.refused", extra={"item": item_id, "entry": scope.code, "error": str(error)[:300]})
        return {"status": "failed", "outcome": {**told, "problem": str(error)[:500]}, "event_id": None}
    told |= {"back": [change.field for change in written.changes], "cards": list(found.cards)}
    return {"status": "done", "outcome": told, "event_id": written.event_id}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an undo is: items by status."""

    waiting: int
    done: int
    nothing: int
    failed: int

    @property
    def all(self) -> int:
        return self.waiting + self.done + self.nothing + self.failed


def progress(connection: Connection, undo_id: int) -> Progress:
    counted = select(UndoItemRow.status, func.count().label("n")).where(UndoItemRow.undo_id == undo_id)
    found = {row.status: row.n for row in connection.execute(counted.group_by(UndoItemRow.status))}
    return Progress(*(found.get(name, 0) for name in ("waiting", "done", "nothing", "failed")))


def _stays(connection: Connection, item_id: int, scope: Scope) -> Counter[str]:
    """The steps that left no line of history and no card of the rule's own: messages, mails, runs, other items."""
    rows = connection.execute(
        select(DecisionRow.done)
        .where(DecisionRow.item_id == item_id, DecisionRow.at.between(scope.since, scope.until))
        .order_by(DecisionRow.id.desc())
        .limit(MOST_LINES)
    ).scalars()
    return Counter(
        str(step["action"])
        for done in rows
        for step in done
        if step["code"] == scope.code
        and step["version"] == scope.version
        and step["result"] == "done"
        and step["action"] != WRITES_CARD
        and not any(change["field"] in STATE_FIELDS or change["field"].startswith(CUSTOM) for change in step["changes"])
    )


def _cards_of(scope: Scope) -> ColumnElement[bool]:
    return and_(
        ContextFact.created_at.between(scope.since, scope.until),
        _made_by(ContextFact.cause, scope),
        not_(tells_of_outside()),
    )


def _made_by(cause: Any, scope: Scope) -> ColumnElement[bool]:
    return and_(cause["code"].as_string() == scope.code, cause["version"].as_integer() == scope.version)


def _ours(cause: dict[str, Any], at: datetime, scope: Scope) -> bool:
    return (
        cause.get("code") == scope.code and cause.get("version") == scope.version and scope.since <= at <= scope.until
    )
