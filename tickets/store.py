"""The door to what is true: reading items, and writing an item, its event and its lane in one transaction.

Every function takes the caller's `Connection`; nothing here commits. Locks are always taken item first, then lane, so
that a person's edit and a worker's commit never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, insert, or_, select, update

from tickets import clocks
from tickets.attachments import NewAttachment, check_attachments, store_blob
from tickets.cards import NewContext, insert_context
from tickets.db import UtcDateTime, table_of, upsert
from tickets.effects import SetField, StateEffect, apply
from tickets.errors import ItemNotFound, StaleItem
from tickets.events import Actor, ActorKind, Cause, Change, Event, EventKind, net
from tickets.item import CUSTOM, CUSTOM_NAMES, FieldType, Item, ItemKind, StateField, clean_value
from tickets.kinds import (
    FIRST_VALUES,
    JOB_STATUS,
    MOST_PIPELINES,
    PIPELINE,
    STAGE,
    STAGED,
    JobStatus,
    Pipeline,
    Stage,
    field_of,
    fields_of,
    pipeline_of,
)
from tickets.people import Viewer
from tickets.prepared import AnyRow as AnyRow
from tickets.prepared import Prepared
from tickets.snooze import FROM, asleep, awaited, forget, wake, woken_by
from tickets.stamps import Stamps, after_messages
from tickets.tables import (
    Attachment,
    CustomField,
    EventRow,
    History,
    JobStatusRow,
    Lane,
    Message,
    Notification,
    PipelineRow,
    StageRow,
    TeamMember,
    WorkItem,
)
from tickets.timers import Watched
from tickets.values import JSON, record, text_of
from tickets.visibility import visible

#: The longest message text kept, in characters; the rest stays in the raw mail.
MESSAGE_CHARS = 200_000
#: The longest line in a bell, in characters.
NOTIFICATION_CHARS = 1_000

_ITEMS, _EVENTS, _LANES = table_of(WorkItem), table_of(EventRow), table_of(Lane)

_STATE_COLUMNS = (
    "subject",
    "status",
    "priority",
    "team",
    "assignees",
    "tags",
    "brand",
    "location",
    "channel",
    "language",
    "customer",
    "published",
    "archived",
    "due_at",
    "sla",
    "snoozed_until",
    "snoozed_for",
    "snoozed_from",
)
_STAMP_COLUMNS = ("status_since", "modified_at", "unanswered_since", "replied_at", "first_reply_at", "opened_at")
#: The columns `item_of` reads.
ITEM_COLUMNS = (
    _ITEMS.c.id,
    _ITEMS.c.kind,
    _ITEMS.c.created_at,
    _ITEMS.c.updated_at,
    _ITEMS.c.version,
    _ITEMS.c.last_seq,
    _ITEMS.c.fields,
    *(_ITEMS.c[name] for name in _STAMP_COLUMNS),
    *(_ITEMS.c[name] for name in _STATE_COLUMNS),
)
#: Where among them the stamps begin, and where the state.
_STAMPS = 7
_STATE = _STAMPS + len(_STAMP_COLUMNS)
_AN_ITEM = select(*ITEM_COLUMNS).where(_ITEMS.c.id == bindparam("item"))
_READ_ITEM, _LOCK_ITEM = Prepared(_AN_ITEM), Prepared(_AN_ITEM.with_for_update())


#: By their values: to ask the class takes ten times as long.
_KINDS = {kind.value: kind for kind in ItemKind}
_EVENT_KINDS = {kind.value: kind for kind in EventKind}
_ACTOR_KINDS = {kind.value: kind for kind in ActorKind}


@record
class NewMessage:
    """A message about to be stored. `author` decides what triggers see: customer, agent, bot or third_party."""

    author: str
    public: bool
    channel: str
    text: str
    new_text: str | None = None  # None = the same as text
    subject: str = ""
    html: str = ""
    language: str = ""
    author_person: int | None = None
    author_user: str | None = None
    author_name: str = ""
    author_address: str = ""
    automatic: bool = False
    header_id: str = ""
    cause: Cause | None = None
    attachments: tuple[NewAttachment, ...] = ()


@record
class Written:
    """What one write produced. `event_id` is None when the write ended where it began: then nothing was stored."""

    item_id: int
    event_id: int | None
    seq: int
    changes: tuple[Change, ...] = ()
    #: The messages it stored, in the order they were given.
    message_ids: tuple[int, ...] = ()
    #: Of a change: the item as it is now, and the event, as who reads them would find them.
    item: Item | None = None
    event: Event | None = None

    @property
    def message_id(self) -> int | None:
        """The newest message it stored, or None."""
        return self.message_ids[-1] if self.message_ids else None


@record
class Lines:
    """State effects that share one cause, in order: what one step, or one person's save, does."""

    effects: tuple[StateEffect, ...]
    cause: Cause


@record
class Chain:
    """The automatic chain a write belongs to. A person's write, inbound mail and a timer start a new one."""

    root_id: int | None = None
    depth: int = 0
    payload: Mapping[str, JSON] = field(default_factory=dict)


#: A write that begins a chain of its own.
ROOT = Chain()


# Reading ---------------------------------------------------------------------------------------------------------


def read_item(connection: Connection, item_id: int, *, viewer: Viewer | None = None, lock: bool = False) -> Item:
    """The item as it is now. With a `viewer`, only if visible. Raises `ItemNotFound`.

    `lock` keeps others from changing it until the transaction ends (PostgreSQL; SQLite has one writer anyway).
    Without a viewer this is for workers, which decide for everybody."""
    if viewer is None:
        row = (_LOCK_ITEM if lock else _READ_ITEM).one_or_none(connection, {"item": item_id})
    else:
        query = (_AN_ITEM.with_for_update() if lock else _AN_ITEM).where(visible(viewer))
        row = connection.execute(query, {"item": item_id}).one_or_none()
    if row is None:
        raise ItemNotFound(f"There is no ticket {item_id}, or it is not visible to you")
    return item_of(row)


def item_of(cells: Sequence[Any]) -> Item:
    """The value of a row that begins with the `ITEM_COLUMNS`."""
    item_id, kind, created_at, updated_at, version, last_seq, custom = cells[:_STAMPS]
    named = zip(_STATE_COLUMNS, cells[_STATE : len(ITEM_COLUMNS)], strict=True)
    state: dict[str, JSON] = {name: value for name, value in named if value is not None}
    for key, value in custom.items():
        state[CUSTOM_NAMES[key]] = value
    return Item(
        item_id,
        _KINDS[kind],
        created_at,
        updated_at,
        version,
        last_seq,
        state,
        Stamps(*cells[_STAMPS:_STATE]),
    )


def in_order(state: Mapping[str, JSON]) -> dict[str, JSON]:
    """The same state, its fields in the order in which they are read."""
    ordered = {name: state[name] for name in _STATE_COLUMNS if name in state}
    ordered.update(state)
    return ordered


def watched(item: Item) -> Watched:
    """What of the item its timers look at."""
    return Watched(item.kind, item.state, item.created_at, item.stamps)


def custom_fields(connection: Connection, kind: str) -> dict[str, StateField]:
    """The fields that this kind has beside those of all kinds, built in and custom, by key without "fields."."""
    custom = {
        row.key: StateField(CUSTOM + row.key, row.label, FieldType(row.type), row.options or None)
        for row in _READ_CUSTOM.all(connection, {"kind": kind})
    }
    return fields_of(kind, custom, pipelines(connection) if kind in STAGED else None)


def pipelines(connection: Connection) -> dict[str, Pipeline]:
    """Every pipeline with its stages in order, by key."""
    stages: dict[str, list[Stage]] = {}
    for row in _READ_STAGES.all(connection, {}):
        stages.setdefault(row.pipeline, []).append(Stage(row.key, row.label, row.automove))
    statuses: dict[str, list[JobStatus]] = {}
    for row in _READ_JOB_STATUSES.all(connection, {}):
        statuses.setdefault(row.pipeline, []).append(JobStatus(row.key, row.label, row.automove))
    return {
        row.key: Pipeline(
            row.key,
            row.label,
            row.kind,
            tuple(stages.get(row.key, ())),
            tuple(statuses.get(row.key, ())),
            row.debit_at_once,
        )
        for row in _READ_PIPELINES.all(connection, {})
    }


_FIELDS, _PIPELINES = table_of(CustomField).c, table_of(PipelineRow).c
_READ_CUSTOM = Prepared(
    select(_FIELDS.key, _FIELDS.label, _FIELDS.type, _FIELDS.options)
    .where(_FIELDS.kind == bindparam("kind"))
    .order_by(_FIELDS.key)
)
_READ_PIPELINES = Prepared(
    select(_PIPELINES.key, _PIPELINES.label, _PIPELINES.kind, _PIPELINES.debit_at_once)
    .order_by(_PIPELINES.label, _PIPELINES.key)
    .limit(MOST_PIPELINES)
)
_READ_STAGES, _READ_JOB_STATUSES = (
    Prepared(
        select(steps.c.pipeline, steps.c.key, steps.c.label, steps.c.automove).order_by(steps.c.position, steps.c.key)
    )
    for steps in (table_of(StageRow), table_of(JobStatusRow))
)


def event_of(row: AnyRow) -> Event:
    """The value of a row of `events`."""
    return Event(
        id=row.id,
        item_id=row.item_id,
        seq=row.seq,
        kind=_EVENT_KINDS[row.kind],
        at=row.at,
        actor=Actor(_ACTOR_KINDS[row.actor_kind], row.actor_ref, row.actor_name),
        root_id=row.root_id if row.root_id is not None else row.id,
        depth=row.depth,
        changes=tuple(Change(one["field"], one["before"], one["after"]) for one in row.changes),
        message_id=row.message_id,
        payload=row.payload,
    )


#: The columns `event_of` reads.
EVENT_COLUMNS = tuple(
    _EVENTS.c[name]
    for name in (
        "id",
        "item_id",
        "seq",
        "kind",
        "at",
        "actor_kind",
        "actor_ref",
        "actor_name",
        "root_id",
        "depth",
        "changes",
        "message_id",
        "payload",
    )
)
_READ_EVENT = Prepared(select(*EVENT_COLUMNS).where(_EVENTS.c.id == bindparam("event")))
_LATER = (
    select(*EVENT_COLUMNS)
    .where(_EVENTS.c.item_id == bindparam("item"), _EVENTS.c.seq > bindparam("after"))
    .order_by(_EVENTS.c.seq)
)
_READ_LATER = Prepared(_LATER)
_READ_CHANGES = Prepared(_LATER.where(or_(_EVENTS.c.changes != [], _EVENTS.c.kind == EventKind.SCRIPT.value)))


def event(connection: Connection, event_id: int) -> Event:
    [row] = _READ_EVENT.all(connection, {"event": event_id})
    return event_of(row)


def later_events(connection: Connection, item_id: int, seq: int) -> list[Event]:
    """The item's events after this sequence, oldest first."""
    return [event_of(row) for row in _READ_LATER.all(connection, {"item": item_id, "after": seq})]


def later_changes(connection: Connection, item_id: int, seq: int) -> list[Event]:
    """Those of `later_events` that changed a field, or are the end of a script: what an earlier one is decided by.

    Where many messages wait in a lane, each is decided without reading all that stand behind it."""
    return [event_of(row) for row in _READ_CHANGES.all(connection, {"item": item_id, "after": seq})]


# Writing ---------------------------------------------------------------------------------------------------------


def create_item(
    connection: Connection,
    *,
    kind: ItemKind,
    state: Mapping[str, JSON],
    actor: Actor,
    now: datetime,
    message: NewMessage | None = None,
    cause: Cause | None = None,
    chain: Chain = ROOT,
) -> Written:
    """A new item with its first message, its `created` event and its lane. Raises `BadValue`, `UnknownField`."""
    state = {**FIRST_VALUES.get(kind, {}), **{name: value for name, value in state.items() if value is not None}}
    custom = custom_fields(connection, kind) if any(key.startswith(CUSTOM) for key in state) else {}
    clean = _clean(kind, state, custom)
    if kind in STAGED and (PIPELINE in clean or STAGE in clean):
        clean.update(_placed(connection, clean))
    clean.setdefault("status", "open")
    clean.setdefault("priority", "normal")
    seen_by_its_maker = now if actor.kind is ActorKind.AGENT else None
    stamps = Stamps(now, now, opened_at=seen_by_its_maker)
    stamps = after_messages(stamps, [(message.author, message.public)] if message else (), now)
    head = {"kind": kind, "version": 1, "last_seq": 1, "created_at": now, "updated_at": now}
    item_id: int = _INSERT_ITEM.scalar(connection, {**head, **_stamped(stamps), **_columns(clean)})
    message_id = None if message is None else _insert_message(connection, item_id, 1, message, now)
    _INSERT_LANE.run(connection, {"item_id": item_id, "last_seq": 1, "due_at": now, "cut_off": 0})
    clocks.keep(connection, item_id, Watched(kind, clean, now, stamps), now)
    changes = tuple(Change(name, None, value) for name, value in clean.items())
    event_id = _insert_event(connection, item_id, 1, EventKind.CREATED, actor, now, changes, message_id, chain)
    return Written(item_id, event_id, 1, changes, () if message_id is None else (message_id,))


def change_item(
    connection: Connection,
    item: Item,
    *,
    lines: Sequence[Lines],
    actor: Actor,
    now: datetime,
    messages: Sequence[NewMessage] = (),
    context: Sequence[NewContext] = (),
    chain: Chain = ROOT,
    kind: EventKind | None = None,
    seen_version: int | None = None,
) -> Written:
    """Change an item that this transaction has read with `lock=True`.

    All effects, messages and context cards become ONE event with the net change; each changed field gets a history
    line with its cause. A write that ends where it began stores nothing and raises no event. With `kind` an event is
    written even so. With `seen_version`, raises `StaleItem` if somebody saved a newer one since."""
    if seen_version is not None and seen_version != item.version:
        raise StaleItem(f"Ticket {item.id} was changed by somebody else since you opened it; nothing was saved")
    custom = custom_fields(connection, item.kind) if _touches_custom(lines) else {}
    state: Mapping[str, JSON] = item.state
    changes: list[Change] = []
    history: list[tuple[Change, Cause]] = []
    answered = kind is EventKind.REQUEST and actor.kind is ActorKind.CUSTOMER
    for line in [*lines, *_waking(connection, item, lines, messages, answered=answered)]:
        effects = line.effects if item.kind not in STAGED else _in_place(connection, line.effects, state)
        state, made = apply(state, [_checked(item.kind, effect, custom) for effect in effects])
        changes.extend(made)
        history.extend((change, line.cause) for change in made)
    total = net(changes)
    if not total and not messages and not context and kind is None:
        return Written(item.id, None, item.last_seq)
    seq = item.last_seq + 1
    message_ids = [_insert_message(connection, item.id, seq, message, now) for message in messages]
    for card in context:
        insert_context(connection, item.id, card, now)
    stamps = after_messages(item.stamps, [(one.author, one.public) for one in messages], now)
    # To run a rule by hand is to look at it, and no change: a rule about silent tickets would never find one.
    if actor.kind.is_person and kind is not EventKind.RUN_NOW:
        stamps = replace(stamps, modified_at=now)
    if actor.kind is ActorKind.AGENT and stamps.opened_at is None:
        stamps = replace(stamps, opened_at=now)
    if any(change.field == "status" for change in total):
        stamps = replace(stamps, status_since=now)
    head: dict[str, Any] = {"version": item.version + 1, "last_seq": seq, "updated_at": now, **_stamped(stamps)}
    # The statement differs only in which columns it sets, so there are four of it and each is compiled once.
    _UPDATE_ITEM.run(connection, {"item": item.id, **head, **(_columns(state) if total else {})})
    _APPEND.run(connection, {"item": item.id, "last_seq": seq, "now": now})
    if kind is None:
        kind = EventKind.MESSAGE if messages else EventKind.CHANGED if total else EventKind.CONTEXT
    # Triggers look at one message per event: what the customer sees counts before a note beside it.
    said = [one for one, message in zip(message_ids, messages, strict=True) if message.public] or message_ids
    message_id = said[-1] if said else None
    if context:
        chain = replace(chain, payload={**chain.payload, "keys": [card.key for card in context]})
    event_id = _insert_event(connection, item.id, seq, kind, actor, now, total, message_id, chain)
    if history:
        _INSERT_HISTORY.run_many(
            connection,
            [
                {
                    "item_id": item.id,
                    "event_id": event_id,
                    "field": change.field,
                    "change": text_of({"before": change.before, "after": change.after}),
                    "outcome": "done",
                    "cause": text_of(cause.to_json()),
                    "actor_name": actor.name,
                    "at": now,
                }
                for change, cause in history
            ],
        )
    # After the history: service levels are worked out from it.
    clocks.keep(connection, item.id, Watched(item.kind, state, item.created_at, stamps), now)
    after = Item(item.id, item.kind, item.created_at, now, item.version + 1, seq, in_order(state), stamps)
    root = event_id if chain.root_id is None else chain.root_id
    event = Event(event_id, item.id, seq, kind, now, actor, root, chain.depth, total, message_id, chain.payload)
    return Written(item.id, event_id, seq, total, tuple(message_ids), after, event)


def opened(connection: Connection, item_id: int, now: datetime) -> None:
    """Note that somebody here opened an item they may see; the first time is kept. That is no change of it."""
    connection.execute(_OPENED, {"item": item_id, "now": now})


def not_done(
    connection: Connection,
    item_id: int,
    event_id: int,
    *,
    field: str,
    value: JSON,
    cause: Cause,
    outcome: str,
    now: datetime,
) -> None:
    """A history line for a step that was not carried out, e.g. "overtaken" by a person's change."""
    connection.execute(
        insert(History).values(
            item_id=item_id,
            event_id=event_id,
            field=field,
            change={"before": None, "after": value},
            outcome=outcome,
            cause=cause.to_json(),
            actor_name="",
            at=now,
        )
    )


def notify(
    connection: Connection, users: Sequence[str], item_id: int, text: str, *, cause: Cause, key: str, now: datetime
) -> None:
    """Ring the bell of these users, once per `key` and user however often this is called."""
    for user in sorted(set(users)):
        connection.execute(
            upsert(connection, Notification)
            .values(
                user=user,
                item_id=item_id,
                text=text[:NOTIFICATION_CHARS],
                cause=cause.to_json(),
                key=f"{key}:{user}"[:120],
                created_at=now,
            )
            .on_conflict_do_nothing(index_elements=["key"])
        )


# Statements of the hot path, built once ---------------------------------------------------------------------------

_INSERT_ITEM = Prepared(insert(_ITEMS).returning(_ITEMS.c.id))
_INSERT_LANE = Prepared(insert(_LANES))
_INSERT_EVENT = Prepared(insert(_EVENTS).returning(_EVENTS.c.id))
_INSERT_MESSAGE = Prepared(insert(table_of(Message)).returning(table_of(Message).c.id))
_INSERT_HISTORY = Prepared(insert(table_of(History)))
_UPDATE_ITEM = Prepared(update(_ITEMS).where(_ITEMS.c.id == bindparam("item")))
_OPENED = (
    update(_ITEMS)
    .where(_ITEMS.c.id == bindparam("item"), _ITEMS.c.opened_at.is_(None))
    .values(opened_at=bindparam("now", type_=UtcDateTime))
)
#: A new event never makes a lane wait longer: the sooner of its own time and now counts.
_APPEND = Prepared(
    update(_LANES)
    .where(_LANES.c.item_id == bindparam("item"))
    .values(
        last_seq=bindparam("last_seq"),
        due_at=case((_LANES.c.due_at < bindparam("now"), _LANES.c.due_at), else_=bindparam("now", type_=UtcDateTime)),
    )
)

# Inside ----------------------------------------------------------------------------------------------------------


def _waking(
    connection: Connection, item: Item, lines: Sequence[Lines], messages: Sequence[NewMessage], *, answered: bool
) -> list[Lines]:
    """What ends the item's sleep in this write: the answer it slept for, or another status that it is given.

    `answered`: the customer answered a request, which is as good as a message."""
    if not asleep(item.state):
        return []
    written = [effect for line in lines for effect in line.effects]
    if any(effect.field == "status" for effect in written):
        again = any(isinstance(effect, SetField) and effect.field == FROM for effect in written)
        return [] if again else [Lines(forget(item.state), Cause("system", label="Its snooze is over"))]
    team, person = awaited(item.state)
    members = select(TeamMember.user).where(TeamMember.team == team)
    ours = {*connection.execute(members).scalars()} if team and messages else {person} - {""}
    said = [(one.author, one.public, one.author_user or "") for one in messages]
    reason = woken_by(item.state, [*said, *([("customer", True, "")] if answered else [])], ours)
    return [Lines(wake(item.state), Cause("system", label=f"Its snooze ended: {reason}"))] if reason else []


def _clean(kind: str, state: Mapping[str, JSON], custom: Mapping[str, StateField]) -> dict[str, JSON]:
    cleaned = {name: clean_value(field_of(kind, name, custom), value) for name, value in state.items()}
    return {name: value for name, value in cleaned.items() if value is not None}


def _placed(connection: Connection, state: Mapping[str, JSON]) -> dict[str, JSON]:
    """Pipeline and stage that fit together: a stage names its pipeline, a pipeline alone begins at its first stage."""
    known = pipelines(connection)
    stage = state.get(STAGE)
    if stage is None:
        found = known[str(state[PIPELINE])]
        return {STAGE: found.stages[0].key} if found.stages else {}
    own = pipeline_of(str(stage), known)
    assert own is not None  # the stage was one of the options
    return {PIPELINE: own.key}


def _in_place(connection: Connection, effects: Sequence[StateEffect], state: Mapping[str, JSON]) -> list[StateEffect]:
    """The effects with pipeline and stage moved together, whichever of them was named. A status of its own that the
    job has from another pipeline is over with the move."""
    moved = {one.field: one.value for one in effects if isinstance(one, SetField) and one.field in (PIPELINE, STAGE)}
    if not moved:
        return list(effects)
    rest = [one for one in effects if one.field not in (PIPELINE, STAGE)]
    known = pipelines(connection)
    if moved.get(STAGE) is not None:
        own = pipeline_of(str(moved[STAGE]), known)
        # A stage that is in no pipeline is refused where values are checked.
        placed = [SetField(PIPELINE, own.key if own else None), SetField(STAGE, moved[STAGE])]
    else:
        own = known.get(str(moved.get(PIPELINE)))
        first = own.stages[0].key if own is not None and own.stages else None
        placed = [SetField(PIPELINE, moved.get(PIPELINE)), SetField(STAGE, first)]
    held = state.get(JOB_STATUS)
    if held is not None and not (own and any(one.key == held for one in own.statuses)):
        placed.append(SetField(JOB_STATUS, None))
    return [*placed, *rest]


def _checked(kind: str, effect: StateEffect, custom: Mapping[str, StateField]) -> StateEffect:
    """The effect with its value in the field's own form. Raises `BadValue`, `UnknownField`."""
    target = field_of(kind, effect.field, custom)
    if isinstance(effect, SetField):
        return SetField(effect.field, clean_value(target, effect.value))
    members = clean_value(target, list(effect.values))
    assert members is None or isinstance(members, list)
    return type(effect)(effect.field, tuple(str(one) for one in members or ()))


def _columns(state: Mapping[str, JSON]) -> dict[str, Any]:
    """The whole state as column values; what is absent becomes NULL."""
    values: dict[str, Any] = {name: state.get(name) for name in _STATE_COLUMNS}
    values["fields"] = {key.removeprefix(CUSTOM): value for key, value in state.items() if key.startswith(CUSTOM)}
    return values


def _stamped(stamps: Stamps) -> dict[str, Any]:
    return {name: getattr(stamps, name) for name in _STAMP_COLUMNS}


def _touches_custom(lines: Sequence[Lines]) -> bool:
    return any(effect.field.startswith(CUSTOM) for line in lines for effect in line.effects)


def _insert_event(
    connection: Connection,
    item_id: int,
    seq: int,
    kind: EventKind,
    actor: Actor,
    now: datetime,
    changes: Sequence[Change],
    message_id: int | None,
    chain: Chain,
) -> int:
    event_id: int = _INSERT_EVENT.scalar(
        connection,
        {
            "item_id": item_id,
            "seq": seq,
            "kind": kind,
            "at": now,
            "actor_kind": actor.kind,
            "actor_ref": actor.ref,
            "actor_name": actor.name,
            "root_id": chain.root_id,
            "depth": chain.depth,
            "changes": text_of([{"field": one.field, "before": one.before, "after": one.after} for one in changes]),
            "message_id": message_id,
            "payload": dict(chain.payload),
            "status": "pending",
            "tries": 0,
            "error": "",
        },
    )
    return event_id


def _insert_message(connection: Connection, item_id: int, seq: int, message: NewMessage, now: datetime) -> int:
    check_attachments(message.attachments)
    text = message.text[:MESSAGE_CHARS]
    message_id: int = _INSERT_MESSAGE.scalar(
        connection,
        {
            "item_id": item_id,
            "seq": seq,
            "author_kind": message.author,
            "author_person": message.author_person,
            "author_user": message.author_user,
            "author_name": message.author_name[:200],
            "author_address": message.author_address[:320],
            "public": message.public,
            "channel": message.channel,
            "subject": message.subject[:500],
            "text": text,
            "new_text": text if message.new_text is None else message.new_text[:MESSAGE_CHARS],
            "html": message.html[:MESSAGE_CHARS],
            "language": message.language,
            "automatic": message.automatic,
            "header_id": message.header_id[:500],
            "cause": None if message.cause is None else message.cause.to_json(),
            "created_at": now,
        },
    )
    for one in message.attachments:
        connection.execute(
            insert(Attachment).values(
                message_id=message_id,
                name=one.name[:255],
                media_type=one.media_type[:120],
                size=len(one.data),
                blob=store_blob(connection, one.data),
            )
        )
    return message_id
