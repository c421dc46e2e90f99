"""Brands, locations, and locations under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from tickets.errors import SettingRefused
from tickets.journal import (
    Change,
    clean_label,
    clean_zone,
    put,
    record,
    refuse_same_label,
    refuse_with_items,
    refuse_with_users,
)
from tickets.tables import (
    Brand,
    Location,
    LocationGroup,
    LocationGroupMember,
    Mailbox,
    User,
    WorkItem,
)
from tickets.values import JSON


@dataclass(frozen=True, slots=True)
class PlaceSpec:
    """A brand with its zone, a location, or a group with the locations in it."""

    key: str
    label: str
    zone: str = ""
    locations: tuple[str, ...] = ()


def brands(connection: Connection) -> dict[str, PlaceSpec]:
    rows = connection.execute(select(Brand.key, Brand.label, Brand.zone).order_by(Brand.label, Brand.key))
    return {row.key: PlaceSpec(row.key, row.label, row.zone) for row in rows}


def save_brand(connection: Connection, wanted: PlaceSpec, by: Change) -> None:
    """Make or change a brand. Raises `SettingRefused`."""
    before = brands(connection).get(wanted.key)
    values = {"label": clean_label(wanted.label), "zone": clean_zone(wanted.zone)}
    _put(connection, Brand, wanted.key, values, before, "brands")
    record(connection, by, "brand", wanted.key, _place(before), dict(values))


def delete_brand(connection: Connection, key: str, by: Change) -> None:
    """Remove a brand. Raises `SettingRefused` while items, mailboxes or users have it."""
    before = brands(connection).get(key)
    if before is None:
        return
    refuse_with_items(connection, WorkItem.brand == key, before.label)
    box = connection.execute(select(Mailbox.address).where(Mailbox.brand == key).limit(1)).scalar_one_or_none()
    if box is not None:
        raise SettingRefused(f"The mailbox {box} is of the brand {before.label}. Nothing was deleted.")
    refuse_with_users(connection, User.brands, key, before.label)
    connection.execute(delete(Brand).where(Brand.key == key))
    record(connection, by, "brand", key, _place(before), None)


def locations(connection: Connection) -> dict[str, PlaceSpec]:
    rows = connection.execute(select(Location.key, Location.label).order_by(Location.label, Location.key))
    return {row.key: PlaceSpec(row.key, row.label) for row in rows}


def save_location(connection: Connection, wanted: PlaceSpec, by: Change) -> None:
    """Make or change a location. Raises `SettingRefused`."""
    before = locations(connection).get(wanted.key)
    values = {"label": clean_label(wanted.label)}
    _put(connection, Location, wanted.key, values, before, "locations")
    record(connection, by, "location", wanted.key, _place(before), dict(values))


def delete_location(connection: Connection, key: str, by: Change) -> None:
    """Remove a location, from its groups too. Raises `SettingRefused` while items or users have it."""
    before = locations(connection).get(key)
    if before is None:
        return
    refuse_with_items(connection, WorkItem.location == key, before.label)
    refuse_with_users(connection, User.locations, key, before.label)
    connection.execute(delete(LocationGroupMember).where(LocationGroupMember.location == key))
    connection.execute(delete(Location).where(Location.key == key))
    record(connection, by, "location", key, _place(before), None)


def location_groups(connection: Connection) -> dict[str, PlaceSpec]:
    """Every group of locations by its key, with the keys of its locations."""
    members: dict[str, list[str]] = {}
    rows = connection.execute(
        select(LocationGroupMember.group, LocationGroupMember.location).order_by(LocationGroupMember.location)
    )
    for row in rows:
        members.setdefault(row.group, []).append(row.location)
    groups = connection.execute(select(LocationGroup.key, LocationGroup.label).order_by(LocationGroup.label))
    return {row.key: PlaceSpec(row.key, row.label, "", tuple(members.get(row.key, ()))) for row in groups}


def save_location_group(connection: Connection, wanted: PlaceSpec, by: Change) -> None:
    """Make or change a group of locations. Raises `SettingRefused`."""
    before = location_groups(connection).get(wanted.key)
    unknown = sorted(set(wanted.locations) - set(locations(connection)))
    if unknown:
        raise SettingRefused(f"There is no location {unknown[0]!r}.")
    values = {"label": clean_label(wanted.label)}
    _put(connection, LocationGroup, wanted.key, values, before, "groups of locations")
    connection.execute(delete(LocationGroupMember).where(LocationGroupMember.group == wanted.key))
    for location in dict.fromkeys(wanted.locations):
        connection.execute(insert(LocationGroupMember).values(group=wanted.key, location=location))
    after: dict[str, JSON] = {**values, "locations": sorted(wanted.locations)}
    record(connection, by, "location_group", wanted.key, _place(before), after)


def delete_location_group(connection: Connection, key: str, by: Change) -> None:
    """Remove a group; its locations stay."""
    before = location_groups(connection).get(key)
    if before is not None:
        connection.execute(delete(LocationGroupMember).where(LocationGroupMember.group == key))
        connection.execute(delete(LocationGroup).where(LocationGroup.key == key))
        record(connection, by, "location_group", key, _place(before), None)


def _put(
    connection: Connection, model: type[Any], key: str, values: dict[str, str], before: PlaceSpec | None, what: str
) -> None:
    if before is None or before.label != values["label"]:
        refuse_same_label(connection, model, key, values["label"])
    put(connection, model, key, values, exists=before is not None, what=what)


def _place(one: PlaceSpec | None) -> dict[str, JSON] | None:
    if one is None:
        return None
    said: dict[str, JSON] = {"label": one.label}
    if one.zone:
        said["zone"] = one.zone
    if one.locations:
        said["locations"] = list(one.locations)
    return said
