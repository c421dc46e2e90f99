"""Links between tickets: "relates to" in both directions, "contains" in one. Each is told in the history of both.

A ticket that somebody may not see is to them as one that is not there: it is not shown, and cannot be linked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext
from sqlalchemy import Connection, case, delete, or_, select

from tickets import linking
from tickets import store as items
from tickets.errors import BadValue, ItemNotFound
from tickets.events import Actor, ActorKind, Cause
from tickets.item import Item
from tickets.kinds import PAYMENTS
from tickets.linking import LinkKind
from tickets.people import Viewer
from tickets.tables import Link, WorkItem
from tickets.visibility import visible
from web.forms import LARGEST_KEY

#: Longest number of a ticket as it is typed, in characters.
TYPED_CHARS = 20


@dataclass(frozen=True, slots=True)
class Unlinked:
    """What a form asked to link that could not be: how, the number as it was typed, and why not."""

    way: str
    number: str
    problem: str


def ways() -> dict[str, str]:
    """How two tickets belong together, the one that is mostly meant first."""
    return {"relates": gettext("relates to"), "contains": gettext("contains"), "part_of": gettext("is part of")}


def link_typed(connection: Connection, who: Viewer, item_id: int, way: str, typed: str, now: datetime) -> None:
    """Link the ticket whose number somebody typed. Raises `BadValue` with a sentence; then nothing was done."""
    if way not in ways():
        raise BadValue(gettext("Choose one of the list."))
    given = typed.strip().removeprefix("#")
    number = int(given) if given.isascii() and given.isdigit() and len(given) <= 10 else 0
    try:
        if not 0 < number <= LARGEST_KEY:
            raise ItemNotFound
        if way == "part_of":
            link(connection, who, number, item_id, LinkKind.CONTAINS, now)
        else:
            link(connection, who, item_id, number, LinkKind(way), now)
    except ItemNotFound as error:
        raise BadValue(
            gettext("There is no ticket %(n)s, or it is not visible to you.", n=given[:TYPED_CHARS] or "?")
        ) from error


@dataclass(frozen=True, slots=True)
class Linked:
    """The other ticket of a link, as seen from this one. `way`: relates, contains or part_of."""

    link: int
    id: int
    way: str
    subject: str
    status: str
    kind: str
    payment: str = ""  # a key of `tickets.kinds.PAYMENTS`, "" for none


def linked(connection: Connection, who: Viewer, item_id: int) -> tuple[Sequence[Linked], int]:
    """The linked tickets that `who` may see, in order of their numbers, and how many stay hidden."""
    other = case((Link.from_item == item_id, Link.to_item), else_=Link.from_item)
    rows = connection.execute(
        select(Link.id, Link.kind, Link.from_item, WorkItem.id.label("other"), WorkItem.subject, WorkItem.status)
        .add_columns(WorkItem.kind.label("of_kind"), WorkItem.fields["payment_status"].as_string().label("payment"))
        .add_columns(visible(who).label("shown"))
        .join(WorkItem, WorkItem.id == other)
        .where(or_(Link.from_item == item_id, Link.to_item == item_id))
        .order_by(WorkItem.id)
        .limit(linking.MOST_LINKS)
    ).all()
    shown = [
        Linked(
            row.id,
            row.other,
            _way(row, item_id),
            row.subject or "",
            row.status or "open",
            row.of_kind,
            row.payment if row.payment in PAYMENTS else "",
        )
        for row in rows
        if row.shown
    ]
    return shown, len(rows) - len(shown)


def _way(row: items.AnyRow, item_id: int) -> str:
    return "part_of" if row.kind == LinkKind.CONTAINS and row.from_item != item_id else str(row.kind)


def link(connection: Connection, who: Viewer, item_id: int, other_id: int, kind: LinkKind, now: datetime) -> None:
    """Link two tickets. Raises `ItemNotFound`, and `BadValue` for two that cannot be linked; then nothing was done."""
    if item_id == other_id:
        raise BadValue(gettext("A ticket cannot be linked to itself."))
    one, other = _both(connection, who, item_id, other_id)
    try:
        made = linking.join(connection, item_id, other_id, kind)
    except linking.TooManyLinks as error:
        raise BadValue(
            gettext("Ticket %(n)s has %(most)s links already.", n=error.item, most=linking.MOST_LINKS)
        ) from error
    if not made:
        raise BadValue(gettext("Tickets %(one)s and %(other)s are linked already.", one=item_id, other=other_id))
    _note(connection, who, one, now, after={"way": kind, "item": other_id})
    _note(connection, who, other, now, after={"way": linking.other_way(kind), "item": item_id})


def unlink(connection: Connection, who: Viewer, item_id: int, link_id: int, now: datetime) -> None:
    """Take a link of this ticket away. Raises `ItemNotFound` for one that is not there or not visible to `who`."""
    items.read_item(connection, item_id, viewer=who)
    row = connection.execute(
        select(Link.from_item, Link.to_item, Link.kind).where(
            Link.id == link_id, or_(Link.from_item == item_id, Link.to_item == item_id)
        )
    ).one_or_none()
    if row is None:
        raise ItemNotFound(f"Ticket {item_id} has no link {link_id}")
    other_id = row.to_item if row.from_item == item_id else row.from_item
    one, other = _both(connection, who, item_id, other_id)
    # Of two people who take it away at once, the second finds it gone, and history tells it once.
    if connection.execute(delete(Link).where(Link.id == link_id)).rowcount != 1:
        raise ItemNotFound(f"Ticket {item_id} has no link {link_id}")
    _note(connection, who, one, now, before={"way": _way(row, item_id), "item": other_id})
    _note(connection, who, other, now, before={"way": _way(row, other_id), "item": item_id})


def _both(connection: Connection, who: Viewer, item_id: int, other_id: int) -> tuple[Item, Item]:
    """Both items, locked in the order of their numbers, so that two who link them cannot wait for each other."""
    found = {
        number: items.read_item(connection, number, viewer=who, lock=True) for number in sorted((item_id, other_id))
    }
    return found[item_id], found[other_id]


def _note(
    connection: Connection,
    who: Viewer,
    item: Item,
    now: datetime,
    *,
    before: dict[str, str | int] | None = None,
    after: dict[str, str | int] | None = None,
) -> None:
    """An event of the item, and its line of history with the person as the cause."""
    linking.tell(
        connection,
        item,
        actor=Actor(ActorKind.AGENT, who.key, who.name),
        cause=Cause("person", label=who.name),
        now=now,
        before=before,
        after=after,
    )
