"""What pages read: the only module of `web` that speaks SQL. Everything about items goes through `visible(viewer)`.

Reading only, except what is one person's own - the bell, what they have seen, what they follow: what changes an item is
in `tickets.store`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from connectors.store import ConnectionTable
from jobs.tables import DecisionRow, LookupRow, OutboxRow, RunRow
from jobs.telling import MOST_FOLLOWERS
from rules.store import EntryRow
from tickets.db import upsert
from tickets.errors import BadValue
from tickets.events import AUTOMATION
from tickets.item import FINISHED
from tickets.people import Viewer, viewer
from tickets.store import AnyRow, read_item
from tickets.tables import (
    Attachment,
    Blob,
    Brand,
    EventRow,
    Follower,
    History,
    Location,
    Message,
    Notification,
    Person,
    PersonAddress,
    Seen,
    Team,
    User,
    WorkItem,
)
from tickets.visibility import visible

#: Rows of one page of a list; how far a list counts; how much of one item's past a page shows, newest kept.
PAGE_ROWS = 50
COUNT_CAP = 1_000
MESSAGES = 200
EVENTS = 400
HISTORY_LINES = 2_000
BELL_LINES = 100
#: Messages of one item that are marked as seen at once.
SEEN_AT_ONCE = 5_000

WAITING = ("waiting_customer", "waiting_team", "snoozed")


# Who is asking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    viewer: Viewer
    password_hash: str


def account(connection: Connection, key: str) -> Account | None:
    """The active user with this key."""
    found = viewer(connection, key)
    if found is None:
        return None
    stored = connection.execute(select(User.password_hash).where(User.key == key)).scalar_one()
    return Account(found, stored)


def account_by_email(connection: Connection, email: str) -> Account | None:
    """The active user with this address (lower case)."""
    key = connection.execute(select(User.key).where(func.lower(User.email) == email, User.active)).scalar_one_or_none()
    return None if key is None else account(connection, key)


# Words for keys --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Names:
    """Labels of everything that items name by key. `users` has those who left, too: old tickets still name them."""

    teams: Mapping[str, str]
    users: Mapping[str, str]
    working: frozenset[str]  # keys of the users who can be assigned
    brands: Mapping[str, str]
    locations: Mapping[str, str]
    entries: Mapping[str, str]
    systems: Mapping[str, str] = field(default_factory=dict)  # connections, by the name that scripts use

    @property
    def colleagues(self) -> dict[str, str]:
        """Key and name of everybody who can be assigned, by name."""
        return {key: name for key, name in self.users.items() if key in self.working}


def names(connection: Connection) -> Names:
    """All labels, in one query."""
    kinds = (
        select(literal("team"), Team.key, Team.label, true()),
        select(literal("user"), User.key, User.name, User.active),
        select(literal("brand"), Brand.key, Brand.label, true()),
        select(literal("location"), Location.key, Location.label, true()),
        select(literal("entry"), EntryRow.code, EntryRow.name, true()),
        select(literal("system"), ConnectionTable.name, ConnectionTable.label, true()),
    )
    found: dict[str, dict[str, str]] = {
        "team": {},
        "user": {},
        "brand": {},
        "location": {},
        "entry": {},
        "system": {},
    }
    working = set()
    for kind, key, label, active in sorted(
        connection.execute(union_all(*kinds)), key=lambda row: str(row[2]).casefold()
    ):
        found[kind][key] = label
        if kind == "user" and active:
            working.add(key)
    return Names(
        found["team"],
        found["user"],
        frozenset(working),
        found["brand"],
        found["location"],
        found["entry"],
        found["system"],
    )


def active_users(connection: Connection) -> dict[str, str]:
    """Who can be assigned: key and name."""
    return names(connection).colleagues


def brand(connection: Connection, key: str) -> AnyRow | None:
    """Key and label of this brand, or None."""
    return connection.execute(select(Brand.key, Brand.label).where(Brand.key == key)).one_or_none()


# The inbox -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filter:
    """What the inbox shows. Empty texts do not filter."""

    queue: str = "mine"
    status: str = ""
    team: str = ""
    priority: str = ""
    tag: str = ""
    text: str = ""
    page: int = 1

    @property
    def narrowed(self) -> bool:
        """Whether anything beside the queue is set."""
        return bool(self.status or self.team or self.priority or self.tag or self.text)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the inbox."""

    id: int
    subject: str
    status: str
    priority: str
    team: str | None
    assignees: tuple[str, ...]
    tags: tuple[str, ...]
    customer: str
    created_at: datetime
    updated_at: datetime
    automation: str = ""  # what last changed it automatically, "" when nothing did
    automation_at: datetime | None = None
    unread: bool = False  # a customer wrote something that the viewer has not seen


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the inbox. `total` stops at COUNT_CAP; `more_than_total` says that it did."""

    lines: Sequence[Line]
    total: int
    more_than_total: bool
    hidden: int
    page: int
    pages: int


def inbox(connection: Connection, who: Viewer, wanted: Filter, entries: Mapping[str, str] | None = None) -> Page:
    """The items of a queue that `who` may see, newest change first. `entries`: the names of rules and scripts."""
    mine = and_(*_conditions(connection, who, wanted))
    counted = select(WorkItem.id).where(mine, visible(who)).limit(COUNT_CAP + 1).subquery()
    counts = select(select(func.count()).select_from(counted).scalar_subquery().label("total"))
    # Only without a filter: a text filter that counts hidden items would let one guess their words.
    if not wanted.narrowed and wanted.queue in ("all", "unassigned", "waiting"):
        not_shown = select(WorkItem.id).where(mine, not_(visible(who))).limit(COUNT_CAP).subquery()
        counts = counts.add_columns(select(func.count()).select_from(not_shown).scalar_subquery())
    total, *more = connection.execute(counts).one()
    hidden = more[0] if more else 0
    pages = max(1, -(-min(total, COUNT_CAP) // PAGE_ROWS))
    page = min(max(1, wanted.page), pages)
    rows = connection.execute(
        select(
            WorkItem.id,
            WorkItem.subject,
            WorkItem.status,
            WorkItem.priority,
            WorkItem.team,
            WorkItem.assignees,
            WorkItem.tags,
            WorkItem.created_at,
            WorkItem.updated_at,
            Person.name.label("customer"),
            WorkItem.customer.label("customer_id"),
            _unread(who).label("unread"),
        )
        .outerjoin(Person, Person.id == WorkItem.customer)
        .where(mine, visible(who))
        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
        .limit(PAGE_ROWS)
        .offset((page - 1) * PAGE_ROWS)
    ).all()
    marks = _automation_marks(connection, [row.id for row in rows], entries or {})
    emails = _emails(connection, [row.customer_id for row in rows if row.customer_id and not row.customer])
    lines = [
        Line(
            id=row.id,
            subject=row.subject or "",
            status=row.status or "open",
            priority=row.priority or "normal",
            team=row.team,
            assignees=tuple(row.assignees or ()),
            tags=tuple(row.tags or ()),
            customer=row.customer or emails.get(row.customer_id, ""),
            created_at=row.created_at,
            updated_at=row.updated_at,
            automation=marks[row.id][0] if row.id in marks else "",
            automation_at=marks[row.id][1] if row.id in marks else None,
            unread=bool(row.unread),
        )
        for row in rows
    ]
    return Page(lines, min(total, COUNT_CAP), total > COUNT_CAP, hidden, page, pages)


def any_in(connection: Connection, who: Viewer, queue: str) -> bool:
    """Whether anything that `who` may see waits in this queue."""
    first = select(WorkItem.id).where(*_conditions(connection, who, Filter(queue=queue)), visible(who)).limit(1)
    return connection.execute(first).first() is not None


def _unread(who: Viewer) -> ColumnElement[bool]:
    """Whether a customer wrote something on the item that this person has not seen."""
    seen = exists(select(Seen.who).where(Seen.message_id == Message.id, Seen.who == _seer(who)))
    return exists(
        select(Message.id).where(Message.item_id == WorkItem.id, Message.author_kind == "customer", not_(seen))
    )


def _seer(who: Viewer) -> str:
    return f"user:{who.key}"


def _conditions(connection: Connection, who: Viewer, wanted: Filter) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = [WorkItem.kind == "ticket"]
    live = WorkItem.status.not_in(sorted(FINISHED))
    not_archived = WorkItem.archived.is_not(True)
    if wanted.queue == "closed":
        parts.append(or_(WorkItem.status.in_(sorted(FINISHED)), WorkItem.archived.is_(True)))
    else:
        parts.append(not_archived)
    match wanted.queue:
        case "mine":
            parts.append(holds(connection, WorkItem.assignees, who.key))
        case "teams":
            parts.append(WorkItem.team.in_(sorted(who.teams)))
        case "unassigned":
            parts.append(WorkItem.assignees.is_(None))
        case "waiting":
            parts.append(WorkItem.status.in_(WAITING))
    if wanted.status:
        parts.append(WorkItem.status == wanted.status)
    elif wanted.queue in ("mine", "teams", "unassigned", "all"):
        parts.append(live)
    if wanted.team:
        parts.append(WorkItem.team == wanted.team)
    if wanted.priority:
        parts.append(WorkItem.priority == wanted.priority)
    if wanted.tag:
        parts.append(holds(connection, WorkItem.tags, wanted.tag))
    if wanted.text:
        parts.append(_mentions(wanted.text))
    return parts


def _mentions(words: str) -> ColumnElement[bool]:
    """Subject, customer or number. `%` and `_` are ordinary characters here."""
    like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    customers = (
        select(Person.id)
        .outerjoin(PersonAddress, PersonAddress.person_id == Person.id)
        .where(or_(Person.name.ilike(like, escape="\\"), PersonAddress.address.ilike(like, escape="\\")))
    )
    parts: list[ColumnElement[bool]] = [WorkItem.subject.ilike(like, escape="\\"), WorkItem.customer.in_(customers)]
    number = words.strip().removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) <= 15:
        parts.append(WorkItem.id == int(number))
    return or_(*parts)


def holds(connection: Connection, column: Any, member: str) -> ColumnElement[bool]:
    """Whether a stored set holds this member, in the connection's dialect."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(column).table_valued("value")
        return exists(select(1).select_from(each).where(each.c.value == member)).correlate(WorkItem.__table__)
    contained: ColumnElement[bool] = cast(column, JSONB).contains([member])
    return contained


def _automation_marks(
    connection: Connection, ids: Sequence[int], known: Mapping[str, str]
) -> dict[int, tuple[str, datetime]]:
    """What last changed each item automatically: the rule's or script's name, and when."""
    if not ids:
        return {}
    newest = (
        select(func.max(History.id))
        .where(History.item_id.in_(ids), History.actor_name == AUTOMATION.name, History.outcome == "done")
        .group_by(History.item_id)
    )
    rows = connection.execute(select(History.item_id, History.cause, History.at).where(History.id.in_(newest))).all()
    return {
        row.item_id: (known.get(row.cause.get("code", "")) or row.cause.get("label", "") or AUTOMATION.name, row.at)
        for row in rows
    }


def _emails(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    if not ids:
        return {}
    rows = connection.execute(
        select(PersonAddress.person_id, PersonAddress.address)
        .where(PersonAddress.person_id.in_(ids), PersonAddress.kind == "email")
        .order_by(PersonAddress.id.desc())
    )
    return {row.person_id: row.address for row in rows}


def tags_in_use(connection: Connection, who: Viewer, *, limit: int = 200) -> list[str]:
    """Tags of the most recently changed visible items, for suggestions."""
    recent = connection.execute(
        select(WorkItem.tags)
        .where(WorkItem.tags.is_not(None), visible(who))
        .order_by(WorkItem.updated_at.desc())
        .limit(300)
    ).scalars()
    return sorted({str(tag) for tags in recent for tag in tags or ()})[:limit]


# One item --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """Everything the timeline is made of. Only for an item that was read with a viewer."""

    events: Sequence[AnyRow]
    messages: Mapping[int, Sequence[AnyRow]]  # by the sequence of the event that added them
    attachments: Mapping[int, Sequence[AnyRow]]
    history: Mapping[int, Sequence[AnyRow]]
    decisions: Mapping[int, Sequence[AnyRow]]
    runs: Mapping[int, Sequence[AnyRow]]
    mails: Mapping[int, AnyRow]  # by message: what became of sending it
    cut: bool = False  # older events are left out


def past(connection: Connection, item_id: int) -> Past:
    """The newest events of an item with what belongs to them, oldest first."""
    events = connection.execute(
        select(
            EventRow.id,
            EventRow.seq,
            EventRow.kind,
            EventRow.at,
            EventRow.actor_kind,
            EventRow.actor_ref,
            EventRow.actor_name,
            EventRow.root_id,
            EventRow.depth,
            EventRow.changes,
            EventRow.message_id,
            EventRow.payload,
            EventRow.status,
            EventRow.error,
        )
        .where(EventRow.item_id == item_id)
        .order_by(EventRow.seq.desc())
        .limit(EVENTS + 1)
    ).all()
    cut = len(events) > EVENTS
    events = events[:EVENTS][::-1]
    since = events[0].seq if events else 0
    messages = connection.execute(
        select(Message.__table__)
        .where(Message.item_id == item_id, Message.seq >= since)
        .order_by(Message.id.desc())
        .limit(MESSAGES)
    ).all()
    message_ids = [row.id for row in messages]
    attachments = connection.execute(
        select(Attachment.id, Attachment.message_id, Attachment.name, Attachment.media_type, Attachment.size)
        .where(Attachment.message_id.in_(message_ids))
        .order_by(Attachment.id)
    ).all()
    event_ids = [row.id for row in events]
    history = connection.execute(
        select(
            History.id,
            History.event_id,
            History.field,
            History.change,
            History.outcome,
            History.cause,
            History.actor_name,
            History.at,
        )
        .where(History.item_id == item_id, History.event_id.in_(event_ids))
        .order_by(History.id.desc())
        .limit(HISTORY_LINES)
    ).all()[::-1]
    decisions = connection.execute(
        select(
            DecisionRow.id,
            DecisionRow.event_id,
            DecisionRow.part,
            DecisionRow.revision,
            DecisionRow.trace,
            DecisionRow.done,
            DecisionRow.skipped,
            DecisionRow.notes,
            DecisionRow.outcome,
            DecisionRow.applied_event,
            DecisionRow.decide_us,
            DecisionRow.at,
        )
        .where(DecisionRow.item_id == item_id, DecisionRow.event_id.in_(event_ids))
        .order_by(DecisionRow.event_id, DecisionRow.part)
    ).all()
    runs = connection.execute(
        select(RunRow.__table__).where(RunRow.item_id == item_id, RunRow.event_id.in_(event_ids)).order_by(RunRow.id)
    ).all()
    keys = {f"message:{message_id}": message_id for message_id in message_ids}
    mails = connection.execute(
        select(OutboxRow.key, OutboxRow.status, OutboxRow.tries, OutboxRow.last_error, OutboxRow.sent_at).where(
            OutboxRow.item_id == item_id, OutboxRow.key.in_(keys)
        )
    ).all()
    return Past(
        events=events,
        messages=_by(messages[::-1], "seq"),
        attachments=_by(attachments, "message_id"),
        history=_by(history, "event_id"),
        decisions=_by(decisions, "event_id"),
        runs=_by(runs, "event_id"),
        mails={keys[row.key]: row for row in mails},
        cut=cut,
    )


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that will happen to an item by itself. `at` None: as soon as a worker is free."""

    at: datetime | None
    what: str
    kind: str  # lookup, lookup_again, run_queued, run_running, run_retrying, send, send_again


def coming(connection: Connection, item_id: int, *, limit: int = 20) -> list[Coming]:
    """What will happen to an item by itself, soonest first."""
    asked = (
        select(
            case((LookupRow.tries > 0, "lookup_again"), else_="lookup").label("kind"),
            (LookupRow.connection + "." + LookupRow.operation).label("what"),
            LookupRow.due_at.label("due_at"),
        )
        .where(LookupRow.item_id == item_id, LookupRow.due_at.is_not(None))
        .order_by(LookupRow.due_at)
        .limit(limit)
    )
    runs = (
        select((literal("run_") + RunRow.status).label("kind"), RunRow.script.label("what"), RunRow.due_at)
        .where(RunRow.item_id == item_id, RunRow.status.in_(("queued", "running", "retrying")))
        .order_by(RunRow.id)
        .limit(limit)
    )
    sends = (
        select(
            case((OutboxRow.tries > 0, "send_again"), else_="send").label("kind"),
            OutboxRow.kind.label("what"),
            OutboxRow.due_at,
        )
        .where(OutboxRow.item_id == item_id, OutboxRow.status == "due")
        .order_by(OutboxRow.due_at)
        .limit(limit)
    )
    parts = (select(one.subquery()) for one in (asked, runs, sends))
    found = [Coming(row.due_at, row.what, row.kind) for row in connection.execute(union_all(*parts))]
    return sorted(found, key=lambda one: (one.at is not None, one.at.timestamp() if one.at else 0.0))[:limit]


def lookups(connection: Connection, item_id: int, *, limit: int = 50) -> list[AnyRow]:
    """The questions asked for an item, newest first."""
    return list(
        connection.execute(
            select(LookupRow.__table__)
            .where(LookupRow.item_id == item_id)
            .order_by(LookupRow.asked_at.desc())
            .limit(limit)
        )
    )


def decisions(connection: Connection, item_id: int, *, limit: int = 60) -> list[AnyRow]:
    """The newest decisions about an item with the facts they saw and their event, newest first."""
    return list(
        connection.execute(
            select(
                DecisionRow.event_id,
                DecisionRow.facts,
                DecisionRow.trace,
                DecisionRow.done,
                EventRow.seq,
                EventRow.kind,
                EventRow.actor_name,
                EventRow.at.label("event_at"),
                func.coalesce(EventRow.root_id, EventRow.id).label("root"),
            )
            .join(EventRow, EventRow.id == DecisionRow.event_id)
            .where(DecisionRow.item_id == item_id)
            .order_by(EventRow.seq.desc(), DecisionRow.part.desc())
            .limit(limit)
        )
    )


def others_of_customer(connection: Connection, who: Viewer, person_id: int, item_id: int) -> tuple[list[AnyRow], int]:
    """The customer's other open tickets that `who` may see (at most 10, newest first), and how many stay hidden."""
    theirs = and_(
        WorkItem.customer == person_id,
        WorkItem.id != item_id,
        WorkItem.kind == "ticket",
        WorkItem.status.not_in(sorted(FINISHED)),
    )
    shown = connection.execute(
        select(WorkItem.id, WorkItem.subject, WorkItem.status)
        .where(theirs, visible(who))
        .order_by(WorkItem.updated_at.desc())
        .limit(10)
    ).all()
    hidden = connection.execute(
        select(func.count()).select_from(WorkItem).where(theirs, not_(visible(who)))
    ).scalar_one()
    return list(shown), hidden


def attachment(connection: Connection, who: Viewer, attachment_id: int) -> AnyRow | None:
    """Name, type and bytes of a file on an item that `who` may see, or None."""
    return connection.execute(
        select(Attachment.name, Attachment.media_type, Attachment.size, Blob.data)
        .join(Message, Message.id == Attachment.message_id)
        .join(WorkItem, WorkItem.id == Message.item_id)
        .join(Blob, Blob.sha256 == Attachment.blob)
        .where(Attachment.id == attachment_id, visible(who))
    ).one_or_none()


def ask_again(connection: Connection, who: Viewer, lookup_id: int, now: datetime) -> int | None:
    """Make a failed or outdated lookup due now; returns its item, None when it is not visible to `who`."""
    item_id = connection.execute(
        select(LookupRow.item_id)
        .join(WorkItem, WorkItem.id == LookupRow.item_id)
        .where(LookupRow.id == lookup_id, visible(who))
    ).scalar_one_or_none()
    if item_id is not None:
        # One that somebody is asking right now keeps its lease; it is due again only if it fails.
        connection.execute(
            update(LookupRow)
            .where(LookupRow.id == lookup_id, or_(LookupRow.lease_until.is_(None), LookupRow.lease_until < now))
            .values(due_at=now, tries=0)
        )
    return item_id


# The menu and the bell -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for a person, each counted up to a cap: their open tickets, how many of these have a customer's
    message they have not seen, and unread lines of the bell."""

    mine: int
    unread: int
    unseen: int = 0


def waiting(connection: Connection, who: Viewer, *, cap: int) -> Waiting:
    """Counts for the menu."""
    mine = select(WorkItem.id).where(*_conditions(connection, who, Filter(queue="mine")), visible(who))
    lines = (
        select(Notification.id)
        .join(WorkItem, WorkItem.id == Notification.item_id)
        .where(Notification.user == who.key, Notification.read_at.is_(None), visible(who))
    )
    counts = (
        select(func.count()).select_from(one.limit(cap).subquery()).scalar_subquery()
        for one in (mine, lines, mine.where(_unread(who)))
    )
    return Waiting(*connection.execute(select(*counts)).one())


def bell(connection: Connection, who: Viewer) -> list[AnyRow]:
    """The newest lines of this person's bell, about items they may still see."""
    return list(
        connection.execute(
            select(
                Notification.id,
                Notification.item_id,
                Notification.text,
                Notification.cause,
                Notification.created_at,
                Notification.read_at,
                WorkItem.subject,
            )
            .join(WorkItem, WorkItem.id == Notification.item_id)
            .where(Notification.user == who.key, visible(who))
            .order_by(Notification.created_at.desc(), Notification.id.desc())
            .limit(BELL_LINES)
        )
    )


def read_bell(connection: Connection, who: Viewer, now: datetime, notification_id: int | None = None) -> int | None:
    """Mark one line (or all) as read; returns the item of the one line, None if it is not theirs."""
    mine = [Notification.user == who.key]
    if notification_id is not None:
        mine.append(Notification.id == notification_id)
    connection.execute(update(Notification).where(*mine, Notification.read_at.is_(None)).values(read_at=now))
    if notification_id is None:
        return None
    return connection.execute(select(Notification.item_id).where(*mine)).scalar_one_or_none()


def visible_of(connection: Connection, who: Viewer, numbers: Sequence[int]) -> frozenset[int]:
    """Which of these items (at most EVENTS of them are looked at) `who` may see."""
    if not numbers:
        return frozenset()
    found = select(WorkItem.id).where(WorkItem.id.in_(numbers[:EVENTS]), visible(who))
    return frozenset(connection.execute(found).scalars())


# What one person has seen and follows ------------------------------------------------------------------------------


def mark_seen(connection: Connection, who: Viewer, item_id: int, up_to: int, now: datetime) -> None:
    """Note that this person has seen the item's messages up to this one. Raises `ItemNotFound`."""
    read_item(connection, item_id, viewer=who)
    known = exists(select(Seen.who).where(Seen.message_id == Message.id, Seen.who == _seer(who)))
    fresh = select(Message.id).where(Message.item_id == item_id, Message.id <= up_to, not_(known))
    ids = connection.execute(fresh.order_by(Message.id.desc()).limit(SEEN_AT_ONCE)).scalars().all()
    if ids:
        # Two windows of one person may say so at the same moment.
        connection.execute(
            upsert(connection, Seen).on_conflict_do_nothing(index_elements=["message_id", "who"]),
            [{"message_id": one, "who": _seer(who), "at": now} for one in ids],
        )


def followers(connection: Connection, item_id: int) -> list[str]:
    """The keys of those who follow an item that was read with a viewer."""
    found = select(Follower.user).where(Follower.item_id == item_id).order_by(Follower.user).limit(MOST_FOLLOWERS)
    return list(connection.execute(found).scalars())


def follow(connection: Connection, who: Viewer, item_id: int) -> None:
    """Tell this person of every message on the item from now on. Raises `ItemNotFound`, `BadValue`."""
    read_item(connection, item_id, viewer=who, lock=True)
    known = followers(connection, item_id)
    if who.key not in known:
        if len(known) >= MOST_FOLLOWERS:
            raise BadValue(f"A ticket has at most {MOST_FOLLOWERS} followers. You were not added.")
        connection.execute(insert(Follower).values(item_id=item_id, user=who.key))


def unfollow(connection: Connection, who: Viewer, item_id: int) -> None:
    """Tell this person no more. Raises `ItemNotFound`."""
    read_item(connection, item_id, viewer=who)
    connection.execute(delete(Follower).where(Follower.item_id == item_id, Follower.user == who.key))


# Inside ----------------------------------------------------------------------------------------------------------


def _by(rows: Sequence[AnyRow], name: str) -> dict[int, list[AnyRow]]:
    grouped: dict[int, list[AnyRow]] = {}
    for row in rows:
        grouped.setdefault(getattr(row, name), []).append(row)
    return grouped
