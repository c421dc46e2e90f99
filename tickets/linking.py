"""Links between items as they are stored: "relates" in both directions, "contains" in one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, and_, func, insert, or_, select

from tickets import store
from tickets.errors import BadValue
from tickets.events import Actor, Cause, EventKind
from tickets.item import CUSTOM, FINISHED, Item
from tickets.kinds import PAYMENT
from tickets.store import ROOT, Chain
from tickets.tables import History, Link, WorkItem
from tickets.values import JSON

#: Most links one item has.
MOST_LINKS = 50
#: What history calls a link. It is no field: rules see the event, and nothing that changed in it.
FIELD = "links"


class LinkKind(StrEnum):
    """How two items belong together, as the database says it."""

    RELATES = "relates"  # stored from the lower number to the higher one
    CONTAINS = "contains"


#: How a link reads from one of its ends.
WAYS = frozenset({"relates", "contains", "part_of"})


def other_way(way: str) -> str:
    """The same link as the other item sees it."""
    return {"contains": "part_of", "part_of": "contains"}.get(way, way)


class TooManyLinks(BadValue):
    """An item has as many links as it may have. Nothing was linked."""

    def __init__(self, item: int) -> None:
        super().__init__(f"Item {item} has {MOST_LINKS} links already")
        self.item = item


def join(connection: Connection, item_id: int, other_id: int, way: str) -> bool:
    """Store that `item_id` relates to, contains or is part of the other one; False when they were linked already.

    Raises `BadValue` for an item with itself and `TooManyLinks`; then nothing was stored."""
    assert way in WAYS, way
    if item_id == other_id:
        raise BadValue("An item cannot be linked to itself")
    between = or_(
        and_(Link.from_item == item_id, Link.to_item == other_id),
        and_(Link.from_item == other_id, Link.to_item == item_id),
    )
    if connection.execute(select(Link.id).where(between)).first() is not None:
        return False
    for number in (item_id, other_id):
        ends = or_(Link.from_item == number, Link.to_item == number)
        if connection.execute(select(func.count()).select_from(Link).where(ends)).scalar_one() >= MOST_LINKS:
            raise TooManyLinks(number)
    first, second = (other_id, item_id) if way == "part_of" else (item_id, other_id)
    kind = LinkKind.CONTAINS
    if way == "relates":
        first, second, kind = min(item_id, other_id), max(item_id, other_id), LinkKind.RELATES
    connection.execute(insert(Link).values(from_item=first, to_item=second, kind=kind))
    return True


def tell(
    connection: Connection,
    item: Item,
    *,
    actor: Actor,
    cause: Cause,
    now: datetime,
    before: dict[str, str | int] | None = None,
    after: dict[str, str | int] | None = None,
    chain: Chain = ROOT,
) -> None:
    """An event of the item that its links changed, and the line of history that says how."""
    made = store.change_item(connection, item, lines=(), actor=actor, now=now, kind=EventKind.CHANGED, chain=chain)
    assert made.event_id is not None
    note(connection, item.id, made.event_id, actor=actor, cause=cause, now=now, before=before, after=after)


def note(
    connection: Connection,
    item_id: int,
    event_id: int,
    *,
    actor: Actor,
    cause: Cause,
    now: datetime,
    before: dict[str, str | int] | None = None,
    after: dict[str, str | int] | None = None,
) -> None:
    """The line of history for a link, beside an event that is there already."""
    connection.execute(
        insert(History).values(
            item_id=item_id,
            event_id=event_id,
            field=FIELD,
            change={"before": before, "after": after},
            outcome="done",
            cause=cause.to_json(),
            actor_name=actor.name,
            at=now,
        )
    )


def belonging(connection: Connection, item_id: int, *, debit_at_once: bool = False) -> tuple[int, int]:
    """How many items are part of this one, and how many of these are not done; see `done`."""
    rows = connection.execute(
        select(WorkItem.status, WorkItem.fields)
        .join(Link, Link.to_item == WorkItem.id)
        .where(Link.from_item == item_id, Link.kind == LinkKind.CONTAINS)
        .limit(MOST_LINKS)
    ).all()
    payments = [(row.status, (row.fields or {}).get(PAYMENT.removeprefix(CUSTOM))) for row in rows]
    return len(rows), sum(not done(status, paid, debit_at_once=debit_at_once) for status, paid in payments)


def done(status: JSON, payment: JSON, *, debit_at_once: bool) -> bool:
    """Whether an item with this status and payment needs nothing more: it is finished, or was paid for.

    A bank debit counts once it is cleared and so "paid", or at once where the pipeline says so."""
    return status in FINISHED or payment == "paid" or (payment == "debit" and debit_at_once)


def owners(connection: Connection, item_id: int) -> list[int]:
    """The items that this one is part of, in order of their numbers."""
    found = (
        select(Link.from_item)
        .where(Link.to_item == item_id, Link.kind == LinkKind.CONTAINS)
        .order_by(Link.from_item)
        .limit(MOST_LINKS)
    )
    return list(connection.execute(found).scalars())
