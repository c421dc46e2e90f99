"""The fields that a desk gives its items beside the built-in ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from tickets.errors import SettingRefused
from tickets.item import FieldType, ItemKind
from tickets.journal import (
    Change,
    check_key,
    clean_label,
    record,
    refuse_with_items,
)
from tickets.kinds import KIND_FIELDS, KIND_PLURALS
from tickets.tables import (
    CustomField,
    WorkItem,
)
from tickets.values import JSON

#: Most fields of one kind of item, and options of one field.
MAX_FIELDS = 200
MAX_OPTIONS = 500

#: Types a custom field may have. A person is what the built-in field "customer" holds.
FIELD_TYPES = tuple(type for type in FieldType if type is not FieldType.PERSON)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A custom field of one kind of item. `options` maps key to label for choices."""

    kind: ItemKind
    key: str
    label: str
    type: FieldType
    options: Mapping[str, str]


def fields(connection: Connection) -> list[FieldSpec]:
    """Every custom field, by kind and label."""
    rows = connection.execute(select(CustomField.__table__).order_by(CustomField.kind, CustomField.label))
    return [FieldSpec(ItemKind(row.kind), row.key, row.label, FieldType(row.type), row.options or {}) for row in rows]


def covered(connection: Connection) -> list[FieldSpec]:
    """Custom fields whose key a built-in field of their kind has, made before it was there.

    The built-in one counts. Values that were given stay stored, and stand in it."""
    return [one for one in fields(connection) if one.key in KIND_FIELDS.get(one.kind, {})]


def field_of(connection: Connection, kind: str, key: str) -> FieldSpec | None:
    return next((one for one in fields(connection) if one.kind == kind and one.key == key), None)


def save_field(connection: Connection, wanted: FieldSpec, by: Change) -> None:
    """Make a custom field, or change its label and options; its type never changes. Raises `SettingRefused`."""
    before = field_of(connection, wanted.kind, wanted.key)
    label = clean_label(wanted.label)
    if wanted.type not in FIELD_TYPES:
        raise SettingRefused(f"A field is one of {', '.join(FIELD_TYPES)}, not {wanted.type}.")
    if before is not None and before.type is not wanted.type:
        raise SettingRefused("A field's type stays as it was made; make another field for another type.")
    if wanted.type is FieldType.CHOICE and not wanted.options:
        raise SettingRefused("A choice needs at least one option.")
    if len(wanted.options) > MAX_OPTIONS:
        raise SettingRefused(f"A field has at most {MAX_OPTIONS} options, not {len(wanted.options)}.")
    options = {_option(key): clean_label(text) for key, text in wanted.options.items()}
    for key, old in (before.options if before is not None else {}).items():
        if key not in options and wanted.type is FieldType.CHOICE:
            has_it = (WorkItem.kind == wanted.kind) & (WorkItem.fields[wanted.key].as_string() == key)
            refuse_with_items(connection, has_it, old)
    if before is None:
        check_key(wanted.key)
        built_in = KIND_FIELDS.get(wanted.kind, {}).get(wanted.key)
        if built_in is not None:
            raise SettingRefused(
                f"{KIND_PLURALS[wanted.kind]} have a field with the key {wanted.key} from the start: {built_in.label}. "
                "Give yours another name. Nothing was saved."
            )
        many = connection.execute(select(func.count()).where(CustomField.kind == wanted.kind)).scalar_one()
        if many >= MAX_FIELDS:
            raise SettingRefused(f"A kind of item has at most {MAX_FIELDS} fields of its own. Nothing was saved.")
        connection.execute(
            insert(CustomField).values(kind=wanted.kind, key=wanted.key, label=label, type=wanted.type, options=options)
        )
    else:
        connection.execute(
            update(CustomField)
            .where(CustomField.kind == wanted.kind, CustomField.key == wanted.key)
            .values(label=label, options=options)
        )
    after: dict[str, JSON] = {"label": label, "type": wanted.type.value, "options": options}
    record(connection, by, "field", f"{wanted.kind}.{wanted.key}", _field(before), after)


def delete_field(connection: Connection, kind: str, key: str, by: Change) -> None:
    """Remove a custom field. Raises `SettingRefused` while items have a value in it."""
    before = field_of(connection, kind, key)
    if before is None:
        return
    refuse_with_items(connection, (WorkItem.kind == kind) & WorkItem.fields[key].as_string().is_not(None), before.label)
    connection.execute(delete(CustomField).where(CustomField.kind == kind, CustomField.key == key))
    record(connection, by, "field", f"{kind}.{key}", _field(before), None)


def _field(one: FieldSpec | None) -> dict[str, JSON] | None:
    return None if one is None else {"label": one.label, "type": one.type.value, "options": dict(one.options)}


def _option(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", key):
        raise SettingRefused(f"An option's key has letters, digits, _ . and -, not {key[:60]!r}.")
    return key
