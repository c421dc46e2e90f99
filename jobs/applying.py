"""Trip (a), the second half: the effects of one decision, on the item as it is now, in the transaction of the caller.

A field that a person changed since is not overwritten; whatever leaves (runs, lookups, mail) becomes a row here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, func, insert, select

from jobs import beside
from jobs.asking import ask
from jobs.deciding import Outcome, Read, run_row_key
from jobs.leaving import queue_message
from jobs.queues import Work
from jobs.recipients import followers
from jobs.sending import Step, tell, told_already
from jobs.services import Services
from jobs.tables import DecisionRow, Root, RunRow
from jobs.telling import tell_of_message
from tickets import linking, people, store
from tickets.cards import NewContext
from tickets.db import table_of
from tickets.effects import (
    AddTo,
    AssignNext,
    CallWebhook,
    ChangeSystem,
    CreateItem,
    Effect,
    Follow,
    LinkTo,
    LookUp,
    Notify,
    PostMessage,
    RemoveFrom,
    RunScript,
    SendMail,
    SendRequest,
    SetContext,
    SetField,
    SuggestReply,
    Telling,
    apply,
    writes,
)
from tickets.events import AUTOMATION, SECOND_LOOKS, Cause, Event, EventKind, decided_about
from tickets.item import Item
from tickets.prepared import PreparedUpsert
from tickets.tables import EventRow, Message, Notification, WorkItem
from tickets.values import JSON, from_iso

#: Why a step of a row that is decided again is left out.
ALREADY_DONE = {
    EventKind.LATE_ANSWER: "it was already done when the answer was not there yet",
    EventKind.REPAIRED: "it was already done when the row was set aside",
}


def apply_outcomes(
    services: Services,
    connection: Connection,
    read: Read,
    item: Item,
    outcomes: Sequence[Outcome],
    now: datetime,
    hints: set[Work],
) -> store.Written | None:
    """Apply all effects to the item as it is now. Returns what was written to it, None when nothing was to be."""
    event = read.event
    settings = services.settings
    if not outcomes:
        return None
    if event.depth >= settings.depth_per_root:
        for outcome in outcomes:
            outcome.result = "stopped"
            outcome.reason = f"the chain is {settings.depth_per_root} automatic steps long"
        return None
    taken = _fields_people_changed(connection, item, read.since) if item.last_seq > read.since else {}
    lines: list[store.Lines] = []
    messages: list[store.NewMessage] = []
    cards: list[NewContext] = []
    tellings: list[tuple[Outcome, Telling]] = []
    runs: list[tuple[Outcome, RunScript]] = []
    asks: list[LookUp] = []
    links: list[tuple[Outcome, CreateItem | LinkTo]] = []
    requests: list[tuple[Outcome, SendRequest]] = []
    state: Mapping[str, JSON] = item.state
    for outcome in outcomes:
        if outcome.result != "done":
            continue
        for effect in outcome.effects:
            if read.event.kind in SECOND_LOOKS and _sent_already(connection, read, effect):
                outcome.result, outcome.reason = "skipped", ALREADY_DONE[read.event.kind]
                continue
            if isinstance(effect, AssignNext) and "assignees" not in taken:
                try:
                    effect = beside.next_assignee(connection, effect, now)
                except beside.NotPossible as error:
                    outcome.result, outcome.reason = "skipped", str(error)
                    continue
            if isinstance(effect, (PostMessage, SendMail, SuggestReply)) and effect.template:
                template = read.desk.vocabulary.templates.get(effect.template)
                if template is not None and not template.enabled:
                    outcome.result, outcome.reason = "skipped", f"the template {effect.template} is switched off"
                    continue
            match effect:
                case AssignNext():
                    outcome.result = "overtaken"
                    outcome.reason = f"{taken['assignees']} changed assignees in between"
                case SetField() | AddTo() | RemoveFrom():
                    who = taken.get(effect.field)
                    if who is not None:
                        outcome.result, outcome.reason = "overtaken", f"{who} changed {effect.field} in between"
                        continue
                    state, changes = apply(state, (effect,))
                    outcome.changes += [
                        {"field": one.field, "before": one.before, "after": one.after} for one in changes
                    ]
                    lines.append(store.Lines((effect,), outcome.cause))
                case PostMessage():
                    messages.append(_bot_message(connection, effect, item, outcome.cause))
                case SetContext():
                    cards.append(_card(effect, outcome.cause, now))
                case Notify() | SendMail() | SuggestReply() | CallWebhook() | ChangeSystem():
                    tellings.append((outcome, effect))
                case RunScript():
                    runs.append((outcome, effect))
                case LookUp():
                    asks.append(effect)
                case CreateItem() | LinkTo():
                    links.append((outcome, effect))
                case SendRequest():
                    requests.append((outcome, effect))
                case Follow():
                    try:
                        beside.follow(connection, item.id, effect)
                    except beside.NotPossible as error:
                        outcome.result, outcome.reason = "skipped", str(error)
    root = _spend(connection, event, item.id, sum(len(one.effects) for one in outcomes), now)
    chain = store.Chain(root_id=root, depth=event.depth + 1)
    joined = _beside(connection, item, links, chain, now)
    written = store.change_item(
        connection,
        item,
        lines=lines,
        actor=AUTOMATION,
        now=now,
        messages=messages,
        context=cards,
        chain=chain,
        # A link is no field, so that it happened has to be said.
        kind=EventKind.CHANGED if joined and not (messages or cards) else None,
    )
    anchor = written.event_id if written.event_id is not None else event.id
    for outcome in outcomes:
        if outcome.result == "overtaken":
            for effect in outcome.effects:
                store.not_done(
                    connection,
                    item.id,
                    anchor,
                    field=writes(effect) or "",
                    value=cast(JSON, getattr(effect, "value", None)),
                    cause=outcome.cause,
                    outcome="overtaken",
                    now=now,
                )
    for cause, end in joined:
        after: dict[str, str | int] = {"way": end.way, "item": end.item}
        linking.note(connection, item.id, anchor, actor=AUTOMATION, cause=cause, now=now, after=after)
    # As it is now: who can see a message in the portal by what the same event did has the time to do so.
    told_of = replace(item, state=state) if messages else item
    for message, message_id in zip(messages, written.message_ids, strict=True):
        if message.public:
            queue_message(connection, told_of, message_id, now)
            hints.add(Work.OUTBOX)
        if followers(connection, item.id):
            tell_of_message(connection, item.id, message_id, now)
            hints.add(Work.OUTBOX)
    # Replies first: a notification may show the one that waits.
    for outcome, telling in sorted(tellings, key=lambda one: not isinstance(one[1], SuggestReply)):
        step = Step(event, outcome.row_key, outcome.step, outcome.cause, root)
        not_told = tell(connection, item, step, telling, now)
        if not_told:
            outcome.result, outcome.reason = "skipped", not_told
        hints.add(Work.OUTBOX)
    for outcome, wanted in requests:
        key = f"ev{event.id}:{outcome.row_key}:{outcome.step}"
        try:
            beside.send_request(services, connection, item, wanted, key=key, cause=outcome.cause, now=now)
            hints.add(Work.OUTBOX)
        except beside.NotPossible as error:
            outcome.result, outcome.reason = "skipped", str(error)
    for outcome, run in runs:
        if _queue_run(connection, read, outcome, run, root, anchor, now):
            hints.add(Work.SCRIPTS)
    for one in asks:
        ask(connection, item.id, one.connection, one.operation, one.args, root=root, depth=event.depth + 1, now=now)
        hints.add(Work.ENRICHMENT)
    return written


def _beside(
    connection: Connection,
    item: Item,
    links: Sequence[tuple[Outcome, CreateItem | LinkTo]],
    chain: store.Chain,
    now: datetime,
) -> list[tuple[Cause, beside.Beside]]:
    """Carry out what reaches other items; what each link came to, with its cause."""
    joined: list[tuple[Cause, beside.Beside]] = []
    for outcome, effect in links:
        try:
            if isinstance(effect, CreateItem):
                made = beside.create(connection, item, effect, cause=outcome.cause, chain=chain, now=now)
                outcome.changes.append({"field": linking.FIELD, "before": None, "after": f"{made.way} {made.item}"})
            else:
                found = beside.link(connection, item, effect, cause=outcome.cause, chain=chain, now=now)
                if found is None:
                    outcome.result, outcome.reason = "skipped", f"it was linked to {effect.item} already"
                    continue
                made = found
        except beside.NotPossible as error:
            outcome.result, outcome.reason = "skipped", str(error)
            continue
        joined.append((outcome.cause, made))
    return joined


def _sent_already(connection: Connection, read: Read, effect: Effect) -> bool:
    """Whether the original event's decision already sent this: a late answer sends nothing twice."""
    item_id = read.event.item_id
    match effect:
        case PostMessage():
            same = select(Message.id).where(
                Message.item_id == item_id,
                Message.seq > read.since,
                Message.author_kind == "bot",
                Message.public == effect.public,
                Message.text == effect.text,
            )
            return connection.execute(same.limit(1)).first() is not None
        case Notify():
            rung = select(Notification.id).where(
                Notification.item_id == item_id,
                Notification.text == effect.text[: store.NOTIFICATION_CHARS],
                Notification.created_at >= _decided_since(connection, read),
            )
            return connection.execute(rung.limit(1)).first() is not None
        case CreateItem():
            # What the same chain made from this item before the answer came.
            made = (
                select(EventRow.id)
                .join(WorkItem, WorkItem.id == EventRow.item_id)
                .where(
                    EventRow.root_id == read.event.root_id,
                    EventRow.kind == EventKind.CREATED,
                    WorkItem.kind == effect.kind,
                    WorkItem.subject == effect.subject,
                )
            )
            return connection.execute(made.limit(1)).first() is not None
        case SendMail() | SuggestReply() | CallWebhook() | ChangeSystem():
            return told_already(connection, item_id, effect, _decided_since(connection, read))
        case RunScript():
            ran = select(RunRow.params).where(RunRow.root_id == read.event.root_id, RunRow.script == effect.script)
            return any(params == dict(effect.params) for params in connection.execute(ran).scalars())
        case _:
            return False


def _decided_since(connection: Connection, read: Read) -> datetime:
    """From when on the original event of a second look may have sent something: by the clock that says so of what was
    sent, too. The event's own moment may be another host's."""
    event_id = decided_about(read.event.id, read.event.kind, read.event.payload)
    first = connection.execute(select(func.min(DecisionRow.at)).where(DecisionRow.event_id == event_id)).scalar_one()
    at = from_iso(str(read.facts.event["at"]))
    return at if first is None else min(first, at)  # None: erased since it was read


def _fields_people_changed(connection: Connection, item: Item, since: int) -> dict[str, str]:
    """Fields a person changed after this sequence, and who."""
    return {
        change.field: event.actor.name or event.actor.ref
        for event in store.later_changes(connection, item.id, since)
        if event.actor.kind.is_person
        for change in event.changes
    }


def _bot_message(connection: Connection, effect: PostMessage, item: Item, cause: Cause) -> store.NewMessage:
    """An automatic message; in a colleague's name it is still the bot's, so that no rule takes it for a person's."""
    poster = people.viewer(connection, effect.poster) if effect.poster else None
    return store.NewMessage(
        author="bot",
        public=effect.public,
        channel=str(item.state.get("channel", "email")),
        text=effect.text,
        subject=effect.subject,
        language=effect.language,
        author_user=poster.key if poster else None,
        author_name=poster.name if poster else "Deskhand",
        automatic=True,
        cause=cause,
    )


def _card(effect: SetContext, cause: Cause, now: datetime) -> NewContext:
    return NewContext(
        key=effect.key,
        title=effect.title or effect.key,
        data=effect.data,
        source=effect.source,
        fetched_at=from_iso(effect.fetched_at) if effect.fetched_at else now,
        fresh_until=from_iso(effect.fresh_until) if effect.fresh_until else None,
        error=effect.error,
        cause=cause,
    )


def _spend(connection: Connection, event: Event, item_id: int, effects: int, now: datetime) -> int:
    """Count effects against the root's budget; makes the root's row when this is its first."""
    values = {"root_id": event.root_id, "item_id": item_id, "effects": effects, "started_at": now}
    _SPEND.run(connection, values)
    return event.root_id


def _queue_run(
    connection: Connection, read: Read, outcome: Outcome, run: RunScript, root: int, anchor: int, now: datetime
) -> bool:
    script = read.desk.scripts.get(run.script)
    if script is None or not script.enabled:
        outcome.result = "skipped"
        outcome.reason = f"script {run.script} is switched off" if script else f"there is no script {run.script}"
        return False
    connection.execute(
        insert(RunRow).values(
            key=run_row_key(read.event, outcome.row_key, outcome.step),
            item_id=read.event.item_id,
            event_id=read.event.id,
            script=script.code,
            version=script.version,
            params=dict(run.params),
            cause=outcome.cause.to_json(),
            root_id=root,
            depth=read.event.depth + 1,
            status="queued",
            attempt=0,
            due_at=now,
            outcome={},
            created_at=now,
        )
    )
    return True


# Statements of the hot path, built once -------------------------------------------------------------------------

_ROOTS = table_of(Root)
_SPEND = PreparedUpsert(
    _ROOTS,
    lambda made: made.on_conflict_do_update(
        index_elements=["root_id"], set_={"effects": _ROOTS.c.effects + made.excluded.effects}
    ),
)
