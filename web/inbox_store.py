"""What the inbox reads. Everything about items goes through `visible(viewer)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select

from tickets import search
from tickets.assignment import holds
from tickets.events import AUTOMATION
from tickets.item import FINISHED
from tickets.people import Viewer
from tickets.snooze import SNOOZED
from tickets.tables import History, Person, PersonAddress, WorkItem
from tickets.visibility import visible
from web.paging import PAGE_ROWS, Paged, counted
from web.seen_store import unread

WAITING = ("waiting_customer", "waiting_team")


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
    found: str = ""  # the words around what was searched for, where a message has it
    unread: bool = False  # a customer wrote something that the viewer has not seen


def inbox(connection: Connection, who: Viewer, wanted: Filter, entries: Mapping[str, str] | None = None) -> Paged[Line]:
    """The items of a queue that `who` may see, newest change first. `entries`: the names of rules and scripts."""
    mine = and_(*conditions(connection, who, wanted))
    theirs = select(WorkItem.id).where(mine)
    # Only without a filter: a text filter that counts hidden items would let one guess their words.
    told = not wanted.narrowed and wanted.queue in ("all", "unassigned", "waiting")
    hidden = theirs.where(not_(visible(who))) if told else None
    found = counted(connection, theirs.where(visible(who)), wanted.page, hidden=hidden)
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
            unread(who).label("unread"),
        )
        .outerjoin(Person, Person.id == WorkItem.customer)
        .where(mine, visible(who))
        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())
        .limit(PAGE_ROWS)
        .offset(found.offset)
    ).all()
    marks = _automation_marks(connection, [row.id for row in rows], entries or {})
    words = search.where_found(connection, wanted.text, [row.id for row in rows])
    emails = _emails(connection, [row.customer_id for row in rows if row.customer_id and not row.customer])
    return found.of(
        [
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
                found=words.get(row.id, ""),
                unread=bool(row.unread),
            )
            for row in rows
        ]
    )


def any_in(connection: Connection, who: Viewer, queue: str) -> bool:
    """Whether anything that `who` may see waits in this queue."""
    first = select(WorkItem.id).where(*conditions(connection, who, Filter(queue=queue)), visible(who)).limit(1)
    return connection.execute(first).first() is not None


def conditions(connection: Connection, who: Viewer, wanted: Filter) -> list[ColumnElement[bool]]:
    parts: list[ColumnElement[bool]] = [WorkItem.kind == "ticket"]
    live = WorkItem.status.not_in(sorted(FINISHED))
    not_archived = WorkItem.archived.is_not(True)
    if wanted.queue == "closed":
        parts.append(or_(WorkItem.status.in_(sorted(FINISHED)), WorkItem.archived.is_(True)))
    elif wanted.queue != "any":
        parts.append(not_archived)
    match wanted.queue:
        case "mine":
            parts.append(holds(connection, WorkItem.assignees, who.key))
        case "teams":
            parts.append(WorkItem.team.in_(sorted(who.teams)))
        case "unassigned":
            parts.append(WorkItem.assignees.is_(None))
        case "snoozed":
            parts.append(WorkItem.status == SNOOZED)
        case "waiting":
            parts.append(WorkItem.status.in_(WAITING))
    if wanted.status:
        parts.append(WorkItem.status == wanted.status)
    elif wanted.queue in ("mine", "teams", "unassigned", "all"):
        # What sleeps is out of the way until it wakes; its own queue has it.
        parts += [live, or_(WorkItem.status.is_(None), WorkItem.status != SNOOZED)]
    if wanted.team:
        parts.append(WorkItem.team == wanted.team)
    if wanted.priority:
        parts.append(WorkItem.priority == wanted.priority)
    if wanted.tag:
        parts.append(holds(connection, WorkItem.tags, wanted.tag))
    if wanted.text:
        parts.append(or_(name_like(wanted.text), search.mentions(connection, wanted.text)))
    return parts


def name_like(words: str) -> ColumnElement[bool]:
    """A part of the subject, of the customer's name or address, or the number. `%` and `_` are ordinary here."""
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
