"""Calendars and SLA policies as the settings pages read and write them. A save is live with the next event.

What is stored and cannot be read any more (an update took a zone or a country's regions away) is read with why, so that
it can be mended or deleted where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from rules import store as rule_list
from tickets import clocks, journal
from tickets.calendar import Calendar
from tickets.db import upsert
from tickets.errors import BadValue, SettingRefused
from tickets.journal import Change
from tickets.sla import Policy
from tickets.store import AnyRow
from tickets.tables import BusinessCalendar, SlaPolicy
from tickets.values import JSON

#: Most calendars, and most policies, of one desk.
MAX_CALENDARS, MAX_POLICIES = 50, 50


@dataclass(frozen=True, slots=True)
class StoredCalendar:
    """A calendar, or why it cannot be read."""

    key: str
    label: str
    body: Mapping[str, JSON]
    calendar: Calendar | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy, or why it cannot be read."""

    key: str
    label: str
    enabled: bool
    body: Mapping[str, JSON]
    policy: Policy | None
    problem: str = ""

    @property
    def calendar(self) -> str:
        """The key of the calendar it counts by, "" for all time."""
        return str(self.body.get("calendar") or "")


def calendars(connection: Connection) -> dict[str, StoredCalendar]:
    """Every calendar by key, in the order of their names."""
    rows = connection.execute(
        select(BusinessCalendar.key, BusinessCalendar.label, BusinessCalendar.body).order_by(BusinessCalendar.label)
    )
    return {row.key: _calendar(row) for row in rows}


def _calendar(row: AnyRow) -> StoredCalendar:
    try:
        return StoredCalendar(row.key, row.label, row.body, Calendar.from_json(row.body))
    except BadValue as error:
        return StoredCalendar(row.key, row.label, row.body, None, str(error))


def save_calendar(connection: Connection, key: str, label: str, calendar: Calendar, by: Change) -> str:
    """Store a calendar, a new one under a key of its own, and have service levels worked out anew. Returns the key."""
    known = calendars(connection)
    if not key and len(known) >= MAX_CALENDARS:
        raise SettingRefused(f"There are {MAX_CALENDARS} calendars already. Nothing was saved.")
    stored = known.get(key)
    before = {"label": stored.label, **stored.body} if stored else None
    label = journal.clean_label(label)
    if stored is None or stored.label != label:
        journal.refuse_same_label(connection, BusinessCalendar, key, label)
    key = key or journal.key_from(label, known)
    values = {"label": label, "body": calendar.to_json(), "updated_at": by.now}
    statement = upsert(connection, BusinessCalendar).values(key=key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))
    journal.record(connection, by, "calendars", key, before, {"label": label, **calendar.to_json()})
    _live(connection, by.now)
    return key


def delete_calendar(connection: Connection, key: str, by: Change) -> None:
    """Delete a calendar that no entry of the rule list names. Raises `BadValue` with the policies that count by it.

    What entries name is known to `web.used_by`, and asked before."""
    used = [one.label for one in policies(connection) if one.calendar == key]
    if used:
        raise BadValue(f"{', '.join(used)} still counts by this calendar. Nothing was deleted.")
    known = calendars(connection).get(key)
    connection.execute(delete(BusinessCalendar).where(BusinessCalendar.key == key))
    if known is not None:
        journal.record(connection, by, "calendars", key, {"label": known.label, **known.body}, None)
    _live(connection, by.now)


def policies(connection: Connection) -> list[StoredPolicy]:
    """Every policy in order."""
    return [_policy(row) for row in _rows(connection)]


def _policy(row: AnyRow) -> StoredPolicy:
    stored = (row.key, row.label, row.enabled, row.body)
    try:
        return StoredPolicy(*stored, Policy.from_json(row.key, row.label, row.body))
    except BadValue as error:
        return StoredPolicy(*stored, None, str(error))


def save_policy(connection: Connection, key: str, policy: Policy, enabled: bool, by: Change) -> str:
    """Store a policy, a new one last in order, and have the clocks of all tickets worked out anew. Returns the key."""
    known = {one.key: one for one in policies(connection)}
    if not key and len(known) >= MAX_POLICIES:
        raise SettingRefused(f"There are {MAX_POLICIES} policies already. Nothing was saved.")
    label = journal.clean_label(policy.label)
    stored = known.get(key)
    if stored is None or stored.label != label:
        journal.refuse_same_label(connection, SlaPolicy, key, label)
    body = policy.to_json()
    before = {"label": stored.label, "enabled": stored.enabled, **stored.body} if stored else None
    if key:
        connection.execute(
            update(SlaPolicy)
            .where(SlaPolicy.key == key)
            .values(label=label, enabled=enabled, body=body, updated_at=by.now)
        )
    else:
        key = journal.key_from(label, known)
        last = connection.execute(select(func.coalesce(func.max(SlaPolicy.position), 0))).scalar_one()
        values = {"label": label, "position": last + 1, "enabled": enabled, "body": body, "updated_at": by.now}
        connection.execute(upsert(connection, SlaPolicy).values(key=key, **values))
    journal.record(connection, by, "sla", key, before, {"label": label, "enabled": enabled, **body})
    _live(connection, by.now)
    return key


def move_policy(connection: Connection, key: str, by: int, now: datetime) -> None:
    """Move a policy up (-1) or down (1): the first that covers a ticket counts."""
    order = [row.key for row in _rows(connection)]
    place = order.index(key)
    other = place + by
    if not 0 <= other < len(order):
        return
    order[place], order[other] = order[other], order[place]
    for position, one in enumerate(order, 1):
        connection.execute(update(SlaPolicy).where(SlaPolicy.key == one).values(position=position))
    _live(connection, now)


def delete_policy(connection: Connection, key: str, by: Change) -> None:
    """Delete a policy that no entry of the rule list names; that is known to `web.used_by`, and asked before."""
    known = next((one for one in policies(connection) if one.key == key), None)
    connection.execute(delete(SlaPolicy).where(SlaPolicy.key == key))
    if known is not None:
        journal.record(connection, by, "sla", key, {"label": known.label, "enabled": known.enabled, **known.body}, None)
    _live(connection, by.now)


def _live(connection: Connection, now: datetime) -> None:
    rule_list.bump(connection)
    clocks.recount(connection, now)


def _rows(connection: Connection) -> list[AnyRow]:
    columns = (SlaPolicy.key, SlaPolicy.label, SlaPolicy.enabled, SlaPolicy.body)
    return list(connection.execute(select(*columns).order_by(SlaPolicy.position, SlaPolicy.key)))
