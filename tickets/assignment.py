"""Who gets an item when it goes to "the next one": in turn or by load, never to somebody who is away."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from tickets.db import upsert
from tickets.item import FINISHED
from tickets.tables import Rotation, TeamMember, User, WorkItem

#: Most people of one team that are looked at.
MOST_MEMBERS = 200


def available(connection: Connection, team: str, now: datetime) -> list[str]:
    """The keys of the team's people who work here and are not away now, in order of their keys."""
    found = (
        select(User.key)
        .join(TeamMember, TeamMember.user == User.key)
        .where(TeamMember.team == team, User.active, or_(User.absent_until.is_(None), User.absent_until <= now))
        .order_by(User.key)
        .limit(MOST_MEMBERS)
    )
    return list(connection.execute(found).scalars())


def next_of(connection: Connection, team: str, now: datetime, *, fewest: bool) -> str | None:
    """The key of who is next in this team, None when nobody is there. Two at once never get the same turn.

    With `fewest` it is who has the fewest unfinished items, and among equals whose turn it is."""
    # One transaction at a time gives out a team's turns; on SQLite there is one writer anyway.
    connection.execute(
        upsert(connection, Rotation)
        .values(team=team, last_user="")
        .on_conflict_do_update(index_elements=["team"], set_={"team": team})
    )
    last = connection.execute(select(Rotation.last_user).where(Rotation.team == team)).scalar_one()
    people = available(connection, team, now)
    if not people:
        return None
    in_turn = [key for key in people if key > last] + [key for key in people if key <= last]
    chosen = min(in_turn, key=lambda key: open_items(connection, key)) if fewest else in_turn[0]
    connection.execute(update(Rotation).where(Rotation.team == team).values(last_user=chosen))
    return chosen


def open_items(connection: Connection, user: str) -> int:
    """How many unfinished, unarchived items this person has."""
    mine = (
        holds(connection, WorkItem.assignees, user),
        WorkItem.status.not_in(sorted(FINISHED)),
        WorkItem.archived.is_not(True),
    )
    return connection.execute(select(func.count()).select_from(WorkItem).where(*mine)).scalar_one()


def holds(connection: Connection, column: Any, member: str) -> ColumnElement[bool]:
    """Whether a stored set holds this member, in the connection's dialect."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(column).table_valued("value")
        return exists(select(1).select_from(each).where(each.c.value == member)).correlate(WorkItem.__table__)
    contained: ColumnElement[bool] = cast(column, JSONB).contains([member])
    return contained
