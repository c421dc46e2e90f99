"""Who sees what: the one predicate through which every page, search, preview and API reaches items."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, or_, select, true

from tickets.people import Viewer
from tickets.tables import Team, WorkItem


def visible(viewer: Viewer) -> ColumnElement[bool]:
    """True for the items this user may see.

    A restricted team's items are its members' alone, whatever else a user may do; a user bound to brands or
    locations sees theirs and those that have none."""
    parts: list[ColumnElement[bool]] = [
        or_(
            WorkItem.team.is_(None),
            WorkItem.team.in_(sorted(viewer.teams)),
            WorkItem.team.not_in(select(Team.key).where(Team.restricted)),
        )
    ]
    if viewer.brands:
        parts.append(or_(WorkItem.brand.is_(None), WorkItem.brand.in_(sorted(viewer.brands))))
    if viewer.locations:
        parts.append(or_(WorkItem.location.is_(None), WorkItem.location.in_(sorted(viewer.locations))))
    return and_(true(), *parts)
