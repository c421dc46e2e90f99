"""What came to one item from outside: how it began, and what people, other items and other programs did to it.

What the item's own rules, scripts, lookups and timers did is left out: it is what a replay finds out anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from jobs.replays.recorded import Answers, answers_about
from jobs.replays.told import FOLLOW, Told, tell
from jobs.tables import DecisionRow
from tickets import store
from tickets.cards import NewContext
from tickets.db import table_of
from tickets.effects import AddTo, RemoveFrom, SetField, StateEffect
from tickets.events import CLOCK, SECOND_LOOKS, Actor, ActorKind, Cause, Event, EventKind
from tickets.item import CUSTOM, STATE_FIELDS, ItemKind
from tickets.tables import ContextFact, EventRow, Follower, History, Message, Person, PersonAddress
from tickets.values import JSON

#: Events from outside that are told of one item, its beginning among them; the rest is left out, and said to be.
MOST_EVENTS = 20
#: What is said of an item without a beginning.
UNTOLD = "How it began is not kept"
#: Events of one item that are read.
MOST_READ = 1_000
#: How the store's own lines begin that end a sleep: they come by themselves when it ends again.
_WOKE = "Its snooze"
#: Kinds that the store gives by itself; any other is said.
_BY_ITSELF = frozenset({EventKind.CHANGED, EventKind.MESSAGE, EventKind.CONTEXT})


@dataclass(frozen=True, slots=True)
class Happening:
    """One event from outside, as it is written again. `open_others`: how many other open items its customer had."""

    at: datetime
    actor: Actor
    kind: EventKind | None
    lines: tuple[store.Lines, ...]
    messages: tuple[store.NewMessage, ...]
    cards: tuple[NewContext, ...]
    payload: Mapping[str, JSON]
    open_others: int | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """An item's past. `until`: up to when it is told; `cut`: whether more came from outside after that.

    `persons` and `addresses` are rows as stored; `followers` are those whom no rule made one, from the beginning: since
    when they are is not kept. `real` is what became of the item by then."""

    item_id: int
    kind: ItemKind
    begins: Happening
    state: Mapping[str, JSON]
    happenings: tuple[Happening, ...]
    until: datetime
    cut: bool
    persons: tuple[Mapping[str, Any], ...]
    addresses: tuple[Mapping[str, Any], ...]
    followers: tuple[str, ...]
    answers: Answers
    real: Told


class Untold(Exception):
    """This item's past cannot be told again; the sentence says why."""


def story(connection: Connection, item_id: int, until: datetime) -> Story:
    """The past of this item up to `until`. Raises `Untold`, `ItemNotFound`. Only reads."""
    item = store.read_item(connection, item_id)
    rows = connection.execute(
        select(*store.EVENT_COLUMNS)
        .where(EventRow.item_id == item_id, EventRow.at <= until)
        .order_by(EventRow.seq)
        .limit(MOST_READ)
    ).all()
    events = [store.event_of(row) for row in rows]
    if not events or events[0].kind is not EventKind.CREATED:
        raise Untold(UNTOLD)
    outside = _outside(connection, events)
    cut = len(outside) > MOST_EVENTS or len(events) == MOST_READ
    if len(outside) > MOST_EVENTS:
        until = min(until, outside[MOST_EVENTS].at - timedelta.resolution)
    elif cut:
        until = min(until, events[-1].at)
    told = outside[:MOST_EVENTS]
    messages = _messages(connection, item_id, told)
    lines = _lines(connection, told)
    cards = _cards(connection, item_id, told)
    others = _open_others(connection, told)
    happenings = [
        Happening(
            one.at,
            one.actor,
            None if one.kind in _BY_ITSELF else one.kind,
            lines.get(one.id, ()),
            messages.get(one.seq, ()),
            cards.get(one.id, ()),
            one.payload,
            others.get(one.id),
        )
        for one in told
    ]
    real = tell(connection, item_id, until)
    begins = happenings[0]
    persons, addresses = _persons(connection, told, [one for some in messages.values() for one in some])
    return Story(
        item_id=item_id,
        kind=item.kind,
        begins=begins,
        state={change.field: change.after for change in told[0].changes},
        happenings=tuple(happenings[1:]),
        until=until,
        cut=cut,
        persons=persons,
        addresses=addresses,
        followers=_followers(connection, item_id, {user for what, user in real.said if what == FOLLOW}),
        answers=answers_about(connection, item_id),
        real=real,
    )


def _outside(connection: Connection, events: Sequence[Event]) -> list[Event]:
    """Those that neither the item's own automation nor the clock made."""
    own = {one.id for one in events}
    # What its own rules made of an event from another item is of that item's chain, too.
    by_rules = set(
        connection.execute(
            select(DecisionRow.applied_event).where(
                DecisionRow.item_id == events[0].item_id, DecisionRow.applied_event.is_not(None)
            )
        ).scalars()
    )
    others = {one.root_id for one in events if one.root_id not in own}
    # A chain that began on another item reached this one from outside.
    known = set(connection.execute(select(EventRow.id).where(EventRow.id.in_(others))).scalars()) if others else set()
    found = []
    for number, one in enumerate(events):
        automatic = one.actor.kind is ActorKind.AUTOMATION or one.actor == CLOCK
        again = one.kind in SECOND_LOOKS or one.kind in (EventKind.TIMER, EventKind.SCRIPT)
        by_others = one.root_id in known and one.id not in by_rules
        if number == 0 or (not again and (not automatic or by_others)):
            found.append(one)
    return found


def _lines(connection: Connection, events: Sequence[Event]) -> dict[int, tuple[store.Lines, ...]]:
    """What each event changed, line by line with its cause."""
    found: dict[int, list[store.Lines]] = {}
    listed: set[int] = set()
    rows = connection.execute(
        select(History.event_id, History.field, History.change, History.cause)
        .where(History.event_id.in_([one.id for one in events]), History.outcome == "done")
        .order_by(History.id)
    )
    for row in rows:
        if row.field not in STATE_FIELDS and not row.field.startswith(CUSTOM):
            continue
        listed.add(row.event_id)
        cause = Cause.from_json(row.cause)
        if cause.kind == "system" and cause.label.startswith(_WOKE):
            continue
        effects = tuple(_effects(row.field, row.change.get("before"), row.change.get("after")))
        found.setdefault(row.event_id, []).append(store.Lines(effects, cause))
    for one in events:
        if one.id not in listed and one.changes:
            effects = tuple(it for change in one.changes for it in _effects(change.field, change.before, change.after))
            found[one.id] = [store.Lines(effects, Cause("person", label=one.actor.name))]
    return {event_id: tuple(some) for event_id, some in found.items()}


def _effects(field: str, before: JSON, after: JSON) -> Iterable[StateEffect]:
    """A change as it was meant: of a set, who joined and who left, whatever else is in it this time."""
    if isinstance(before, list) or isinstance(after, list):
        was = {str(one) for one in before} if isinstance(before, list) else set()
        became = {str(one) for one in after} if isinstance(after, list) else set()
        if became - was:
            yield AddTo(field, tuple(sorted(became - was)))
        if was - became:
            yield RemoveFrom(field, tuple(sorted(was - became)))
    else:
        yield SetField(field, after)


def _messages(connection: Connection, item_id: int, events: Sequence[Event]) -> dict[int, tuple[store.NewMessage, ...]]:
    """The messages of these events by sequence, without their attachments, which no rule looks at."""
    found: dict[int, list[store.NewMessage]] = {}
    rows = connection.execute(
        select(table_of(Message))
        .where(Message.item_id == item_id, Message.seq.in_([one.seq for one in events]))
        .order_by(Message.id)
    )
    for row in rows:
        found.setdefault(row.seq, []).append(
            store.NewMessage(
                author=row.author_kind,
                public=row.public,
                channel=row.channel,
                text=row.text,
                new_text=row.new_text,
                subject=row.subject,
                html=row.html,
                language=row.language,
                author_person=row.author_person,
                author_user=row.author_user,
                author_name=row.author_name,
                author_address=row.author_address,
                automatic=row.automatic,
                header_id=row.header_id,
                cause=Cause.from_json(row.cause) if row.cause is not None else None,
            )
        )
    return {seq: tuple(some) for seq, some in found.items()}


def _cards(connection: Connection, item_id: int, events: Sequence[Event]) -> dict[int, tuple[NewContext, ...]]:
    """The cards that these events wrote: each was stored at the moment of its event."""
    wrote = {one.at: one.id for one in events if one.payload.get("keys")}
    if not wrote:
        return {}
    found: dict[int, list[NewContext]] = {}
    rows = connection.execute(
        select(table_of(ContextFact))
        .where(ContextFact.item_id == item_id, ContextFact.created_at.in_(list(wrote)))
        .order_by(ContextFact.id)
    )
    for row in rows:
        card = NewContext(
            row.key,
            row.title,
            row.body.get("data"),
            row.source,
            row.fetched_at,
            Cause.from_json(row.cause),
            row.fresh_until,
            row.error,
        )
        found.setdefault(wrote[row.created_at], []).append(card)
    return {event_id: tuple(some) for event_id, some in found.items()}


def _open_others(connection: Connection, events: Sequence[Event]) -> dict[int, int]:
    """How many other open items the customer had, as the first look at each event saw it."""
    opened = DecisionRow.facts["customer"]["open_items"].as_integer()
    rows = connection.execute(
        select(DecisionRow.event_id, func.coalesce(opened, 0)).where(
            DecisionRow.event_id.in_([one.id for one in events]), DecisionRow.part == 1
        )
    )
    return dict(iter(rows))


def _followers(connection: Connection, item_id: int, by_rules: Collection[str]) -> tuple[str, ...]:
    users = connection.execute(select(Follower.user).where(Follower.item_id == item_id).order_by(Follower.user))
    return tuple(one for one in users.scalars() if one not in by_rules)


def _persons(
    connection: Connection, events: Sequence[Event], messages: Sequence[store.NewMessage]
) -> tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]:
    """Everybody outside whom these events name, with their addresses."""
    ids = {one.author_person for one in messages}
    ids |= {value for one in events for it in one.changes if it.field == "customer" for value in (it.before, it.after)}  # type: ignore[misc]
    wanted = sorted(one for one in ids if isinstance(one, int))
    persons = connection.execute(select(table_of(Person)).where(Person.id.in_(wanted)).order_by(Person.id)).mappings()
    addresses = connection.execute(
        select(table_of(PersonAddress)).where(PersonAddress.person_id.in_(wanted)).order_by(PersonAddress.id)
    ).mappings()
    return tuple(dict(one) for one in persons), tuple(dict(one) for one in addresses)
