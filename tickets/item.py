"""Work items: their kinds, statuses, priorities and fields. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from sys import intern

from tickets.errors import BadValue, UnknownField
from tickets.stamps import Stamps
from tickets.values import JSON, from_iso, record


class ItemKind(StrEnum):
    TICKET = "ticket"
    TASK = "task"
    PROJECT = "project"
    TIMESHEET = "timesheet"
    JOB = "job"


class FieldType(StrEnum):
    """What a field holds. Operators say which types they take."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    CHOICE = "choice"
    CHOICES = "choices"  # a sorted set of keys
    NUMBER = "number"
    MONEY = "money"  # decimal as text, e.g. "64.90"
    BOOL = "bool"
    TIME = "time"  # UTC, ISO 8601
    PERSON = "person"  # a person's id


@dataclass(frozen=True, slots=True)
class StateField:
    """One field of an item's state. `options` maps key to label where the choices are fixed."""

    key: str
    label: str
    type: FieldType
    options: Mapping[str, str] | None = None
    max_chars: int = 2_000


STATUSES: Mapping[str, str] = {
    "open": "Open",
    "waiting_customer": "Waiting for customer",
    "waiting_team": "Waiting for another team",
    "snoozed": "Snoozed",
    "solved": "Solved",
    "closed": "Closed",
}
FINISHED = frozenset({"solved", "closed"})
PRIORITIES: Mapping[str, str] = {
    "low": "Low",
    "normal": "Normal",
    "high": "High",
    "urgent": "Urgent",
    "critical": "Critical",
}
CHANNELS: Mapping[str, str] = {"email": "E-mail", "form": "Web form", "chat": "Chat", "api": "API"}
LANGUAGES: Mapping[str, str] = {"en": "English", "fr": "French", "pl": "Polish", "ro": "Romanian"}
#: Most tags one item carries, and the longest tag, in characters.
MAX_TAGS = 100
MAX_TAG_CHARS = 200
CUSTOM = "fields."
#: Names of custom fields that are kept, at most.
MAX_NAMES_KEPT = 10_000


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        name = intern(CUSTOM + key)
        if len(self) < MAX_NAMES_KEPT:
            self[key] = name
        return name


#: What a custom field is called among an item's state, by its key: one and the same text in every item, which is found
#: without a look at its letters and lies in memory once.
CUSTOM_NAMES: Mapping[str, str] = _Names()

#: The built-in fields of an item's state, in page order. Custom ones stand beside them as "fields.<key>".
STATE_FIELDS: Mapping[str, StateField] = {
    field.key: field
    for field in (
        StateField("subject", "Subject", FieldType.TEXT, max_chars=500),
        StateField("status", "Status", FieldType.CHOICE, STATUSES),
        StateField("priority", "Priority", FieldType.CHOICE, PRIORITIES),
        StateField("team", "Team", FieldType.CHOICE),
        StateField("assignees", "Assignees", FieldType.CHOICES),
        StateField("tags", "Tags", FieldType.CHOICES),
        StateField("brand", "Brand", FieldType.CHOICE),
        StateField("location", "Location", FieldType.CHOICE),
        StateField("channel", "Channel", FieldType.CHOICE, CHANNELS),
        StateField("language", "Language", FieldType.CHOICE, LANGUAGES),
        StateField("customer", "Customer", FieldType.PERSON),
        StateField("published", "Published", FieldType.BOOL),
        StateField("archived", "Archived", FieldType.BOOL),
        StateField("due_at", "Due date", FieldType.TIME),
        StateField("sla", "SLA policy", FieldType.CHOICE),
        StateField("snoozed_until", "Snoozed until", FieldType.TIME),
        StateField("snoozed_for", "Snoozed until the answer of", FieldType.CHOICE),
        StateField("snoozed_from", "Status before it was snoozed", FieldType.CHOICE),
    )
}


@record
class Item:
    """One work item as it is now.

    `state` is flat: the keys of STATE_FIELDS and "fields.<key>" for custom ones; a field without a value is absent.
    `version` grows with every save; `last_seq` is the sequence of its newest event."""

    id: int
    kind: ItemKind
    created_at: datetime
    updated_at: datetime
    version: int
    last_seq: int
    state: Mapping[str, JSON]
    stamps: Stamps


def clean_value(field: StateField, value: JSON) -> JSON:
    """`value` in the one form this field stores, or None for empty. Raises `BadValue` with what is allowed."""
    if value is None or value == "" or value == [] or value == ():
        return None
    match field.type:
        case FieldType.TEXT | FieldType.LONG_TEXT | FieldType.CHOICE | FieldType.MONEY:
            if not isinstance(value, str):
                raise BadValue(f"{field.label} takes text, not {value!r}")
            if field.type is FieldType.TEXT:
                value = " ".join(value.split())
            if len(value) > field.max_chars:
                raise BadValue(f"{field.label} takes at most {field.max_chars} characters, not {len(value)}")
            if field.type is FieldType.CHOICE and field.options is not None and value not in field.options:
                raise BadValue(f"{field.label} is one of {', '.join(field.options)}, not {value!r}")
            return value
        case FieldType.CHOICES:
            if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
                raise BadValue(f"{field.label} takes a list of texts, not {value!r}")
            cleaned = sorted({" ".join(str(one).split()) for one in value} - {""})
            if len(cleaned) > MAX_TAGS or any(len(one) > MAX_TAG_CHARS for one in cleaned):
                raise BadValue(f"{field.label} takes at most {MAX_TAGS} values of {MAX_TAG_CHARS} characters")
            return cleaned or None
        case FieldType.NUMBER:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise BadValue(f"{field.label} takes a number, not {value!r}")
            return value
        case FieldType.PERSON:
            if isinstance(value, bool) or not isinstance(value, int):
                raise BadValue(f"{field.label} takes a person's id, not {value!r}")
            return value
        case FieldType.BOOL:
            if not isinstance(value, bool):
                raise BadValue(f"{field.label} takes yes or no, written true or false, not {value!r}")
            return value
        case FieldType.TIME:
            try:
                from_iso(str(value))
            except ValueError as error:
                raise BadValue(f"{field.label} takes a time with its zone, not {value!r}") from error
            return str(value)


def state_field(key: str, custom: Mapping[str, StateField]) -> StateField:
    """The field with this key, built in or custom ("fields.<key>"). Raises `UnknownField`."""
    if key in STATE_FIELDS:
        return STATE_FIELDS[key]
    if key.startswith(CUSTOM) and key.removeprefix(CUSTOM) in custom:
        return custom[key.removeprefix(CUSTOM)]
    raise UnknownField(f"Items have no field {key!r}")
