"""Effects that reach beside the item: who is next in a team, followers, items made by a rule, links to others.

All in the transaction of the caller, which holds the item. Another item that changes gets an event in its own lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobs.portal_mail import queue_request
from jobs.services import Services
from jobs.telling import MOST_FOLLOWERS
from tickets import linking, people, requests, store
from tickets.assignment import next_of
from tickets.db import upsert
from tickets.effects import AssignNext, CreateItem, Follow, LinkTo, SendRequest, SetField
from tickets.errors import BadValue, ItemNotFound, PersonNotFound, UnknownField
from tickets.events import AUTOMATION, Cause
from tickets.item import Item, ItemKind
from tickets.kinds import STAGE
from tickets.questions import Purpose
from tickets.tables import Follower
from tickets.values import JSON


class NotPossible(Exception):
    """The effect cannot be carried out now; the sentence says why, and nothing of it was done."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A link that an effect made: the other item, and how it reads from this one."""

    item: int
    way: str
    made: bool = False  # whether the other item was made by the effect


def next_assignee(connection: Connection, effect: AssignNext, now: datetime) -> SetField:
    """The assignment that "next available" comes to. Raises `NotPossible` when nobody of the team is there."""
    chosen = next_of(connection, effect.team, now, fewest=effect.fewest)
    if chosen is None:
        raise NotPossible(f"nobody of the team {effect.team} is there; it was given to nobody")
    return SetField("assignees", [chosen])


def follow(connection: Connection, item_id: int, effect: Follow) -> None:
    """Add followers. Raises `NotPossible` when there would be too many."""
    known = connection.execute(
        select(func.count()).select_from(Follower).where(Follower.item_id == item_id)
    ).scalar_one()
    if known + len(effect.users) > MOST_FOLLOWERS:
        raise NotPossible(f"a ticket has at most {MOST_FOLLOWERS} followers; nobody was added")
    for user in effect.users:
        connection.execute(
            upsert(connection, Follower)
            .values(item_id=item_id, user=user)
            .on_conflict_do_nothing(index_elements=["item_id", "user"])
        )


def create(
    connection: Connection, item: Item, effect: CreateItem, *, cause: Cause, chain: store.Chain, now: datetime
) -> Beside:
    """Make the item and link it. Its own rules run with its first event, in the same chain. Raises `NotPossible`."""
    state: dict[str, JSON] = {
        "subject": effect.subject,
        "team": effect.team or None,
        "assignees": list(effect.assignees) or None,
        "brand": item.state.get("brand"),
        "location": item.state.get("location"),
        "language": item.state.get("language"),
        "customer": item.state.get("customer") if effect.customer else None,
    }
    if effect.stage:
        state[STAGE] = effect.stage
    try:
        made = store.create_item(
            connection, kind=ItemKind(effect.kind), state=state, actor=AUTOMATION, now=now, cause=cause, chain=chain
        )
        linking.join(connection, made.item_id, item.id, effect.way)
    except (BadValue, UnknownField) as error:
        raise NotPossible(f"{error}; nothing was made") from error
    assert made.event_id is not None
    linking.note(
        connection,
        made.item_id,
        made.event_id,
        actor=AUTOMATION,
        cause=cause,
        now=now,
        after={"way": effect.way, "item": item.id},
    )
    return Beside(made.item_id, linking.other_way(effect.way), made=True)


def send_request(
    services: Services,
    connection: Connection,
    item: Item,
    effect: SendRequest,
    *,
    key: str,
    cause: Cause,
    now: datetime,
) -> None:
    """Ask the item's customer, once per `key`. Raises `NotPossible`."""
    found = requests.question_list(connection, effect.questions, Purpose.REQUEST)
    if found is None:
        raise NotPossible(f"there is no list of questions {effect.questions}; nobody was asked")
    number = item.state.get("customer")
    if not isinstance(number, int):
        raise NotPossible("the item has no customer; nobody was asked")
    try:
        person = people.customer(connection, number)
    except PersonNotFound as error:
        raise NotPossible("its customer was erased; nobody was asked") from error
    ask = requests.QuestionsToAsk(found[0].label, found[1], effect.questions, effect.sign_in)
    try:
        made = requests.send(connection, ask, person=person.id, item=item.id, key=key, cause=cause, now=now)
    except BadValue as error:
        raise NotPossible(f"{error}; nobody was asked") from error
    if made is not None:
        queue_request(services, connection, made, person, item.id, now, remind_h=effect.remind_h)


def link(
    connection: Connection, item: Item, effect: LinkTo, *, cause: Cause, chain: store.Chain, now: datetime
) -> Beside | None:
    """Link an item that exists, with an event in its lane; None when they were linked. Raises `NotPossible`."""
    try:
        other = store.read_item(connection, effect.item, lock=True)
        way = linking.other_way(effect.way)
        if not linking.join(connection, item.id, other.id, way):
            return None
    except ItemNotFound as error:
        raise NotPossible(f"there is no item {effect.item} to link to") from error
    except BadValue as error:
        raise NotPossible(f"{error}; nothing was linked") from error
    linking.tell(
        connection,
        other,
        actor=AUTOMATION,
        cause=cause,
        now=now,
        after={"way": effect.way, "item": item.id},
        chain=chain,
    )
    return Beside(other.id, way)
