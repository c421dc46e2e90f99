"""Who is meant by "the assignees", "the team", "who is at this location": active colleagues who may see the item."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select

from tickets import people, store
from tickets.effects import Notify
from tickets.errors import ItemNotFound
from tickets.item import Item
from tickets.people import Permission, Viewer
from tickets.tables import Follower, LocationGroupMember, TeamMember, User

#: Most followers a ticket has, and most colleagues one step tells.
MOST_FOLLOWERS = 100
MOST_COLLEAGUES = 200


def members(connection: Connection, teams: Collection[str]) -> list[str]:
    found = select(TeamMember.user).where(TeamMember.team.in_(sorted(teams))).order_by(TeamMember.user)
    return list(connection.execute(found).scalars())


def who_may_see(connection: Connection, keys: Iterable[str], item_id: int) -> list[Viewer]:
    """Of these users the active ones who work tickets and may see this one, at most `MOST_COLLEAGUES`."""
    able: list[Viewer] = []
    for key in sorted(set(keys))[:MOST_COLLEAGUES]:
        viewer = people.viewer(connection, key)
        if viewer is None or not viewer.may(Permission.WORK_TICKETS):
            continue
        try:
            store.read_item(connection, item_id, viewer=viewer)
        except ItemNotFound:
            continue
        able.append(viewer)
    return able


def assignees(item: Item) -> list[str]:
    found = item.state.get("assignees")
    return [str(one) for one in found] if isinstance(found, (list, tuple)) else []


def followers(connection: Connection, item_id: int) -> list[str]:
    found = select(Follower.user).where(Follower.item_id == item_id).order_by(Follower.user).limit(MOST_FOLLOWERS)
    return list(connection.execute(found).scalars())


def notified(connection: Connection, ring: Notify, item: Item) -> tuple[list[str], str]:
    """The keys of those a notification goes to, and why it goes to nobody.

    With an origin (brands, locations, groups) only an item from there is told of; without people and teams it is told
    to the colleagues who are attached to what was named: the brand where the brand was, the location where that or its
    group was. A whole brand is not rung because a rule named one of its places."""
    brand, location = str(item.state.get("brand") or ""), str(item.state.get("location") or "")
    wanted = bool(ring.brands or ring.locations or ring.groups)
    of_brand, of_place = brand in ring.brands, _of_place(connection, ring, location)
    if wanted and not (of_brand or of_place):
        return [], "it comes from another brand or location"
    named = [*ring.users, *members(connection, ring.teams)]
    if named or not wanted:
        return named, "" if named else "nobody is in these teams"
    there = [
        row.key
        for row in connection.execute(select(User.key, User.brands, User.locations).where(User.active))
        if (of_brand and brand in row.brands) or (of_place and location in row.locations)
    ]
    return there, "" if there else "nobody is attached to this brand or location"


def _of_place(connection: Connection, ring: Notify, location: str) -> bool:
    if location in ring.locations:
        return True
    if not ring.groups or not location:
        return False
    inside = select(LocationGroupMember.group).where(
        LocationGroupMember.location == location, LocationGroupMember.group.in_(ring.groups)
    )
    return connection.execute(inside.limit(1)).first() is not None


def addressed(connection: Connection, to: Sequence[str], item: Item) -> list[str]:
    """The keys of the colleagues that these recipients of a template mean."""
    keys: list[str] = []
    for one in to:
        what, _, which = one.partition(":")
        match what:
            case "assignees":
                keys += assignees(item)
            case "followers":
                keys += followers(connection, item.id)
            case "team":
                keys += members(connection, [which or str(item.state.get("team") or "")])
            case "user":
                keys.append(which)
    return list(dict.fromkeys(keys))
