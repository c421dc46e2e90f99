"""Form fields for the fields of an item: how each type is shown, and how what came back is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from tickets.errors import BadValue
from tickets.item import FieldType, StateField, clean_value
from tickets.values import JSON, from_iso, iso
from web.look import in_zone

#: The longest text of a form field that is looked at, in characters.
TEXT_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Input:
    """One field as a form shows it. `kind`: text, textarea, number, date, select or ticks."""

    key: str
    label: str
    kind: str
    value: str
    values: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def inputs(fields: Iterable[StateField], state: Mapping[str, JSON], zone: str) -> list[Input]:
    """The form fields with what stands in them. Dates are shown in this zone."""
    return [_input(field, state.get(field.key), zone) for field in fields]


def _input(field: StateField, value: JSON, zone: str) -> Input:
    label = gettext(field.label)
    none = ("", gettext("none"))
    match field.type:
        case FieldType.BOOL:
            chosen = "" if value is None else "yes" if value else "no"
            yes_no = (none, ("yes", gettext("Yes")), ("no", gettext("No")))
            return Input(field.key, label, "select", chosen, options=yes_no)
        case FieldType.CHOICE if field.options is not None:
            options = (none, *((key, gettext(text)) for key, text in field.options.items()))
            return Input(field.key, label, "select", str(value or ""), options=options)
        case FieldType.CHOICES if field.options is not None:
            chosen_keys = tuple(str(one) for one in value) if isinstance(value, (list, tuple)) else ()
            return Input(field.key, label, "ticks", "", chosen_keys, tuple(field.options.items()))
        case FieldType.CHOICES:
            text = ", ".join(str(one) for one in value) if isinstance(value, (list, tuple)) else ""
            return Input(field.key, label, "text", text)
        case FieldType.TIME:
            shown = in_zone(from_iso(value), zone).date().isoformat() if isinstance(value, str) else ""
            return Input(field.key, label, "date", shown)
        case FieldType.NUMBER:
            return Input(field.key, label, "number", "" if value is None else str(value))
        case FieldType.LONG_TEXT:
            return Input(field.key, label, "textarea", str(value or ""))
        case _:
            return Input(field.key, label, "text", str(value or ""))


def read(form: MultiDict[str, str], field: StateField, zone: str) -> JSON:
    """What the form says of this field, in the form that is stored. Raises `BadValue` with what is allowed."""
    text = form.get(field.key, "").replace("\r\n", "\n").strip()
    if len(text) > TEXT_CHARS:
        raise BadValue(gettext("%(field)s has at most %(n)s characters.", field=gettext(field.label), n=TEXT_CHARS))
    value: JSON
    match field.type:
        case FieldType.BOOL:
            value = {"yes": True, "no": False}.get(text)
        case FieldType.CHOICES if field.options is not None:
            value = [one for one in form.getlist(field.key) if one]
            unknown = [one for one in value if one not in field.options]
            if unknown:
                raise BadValue(gettext("%(field)s: choose from the list.", field=gettext(field.label)))
        case FieldType.CHOICES:
            value = [one.strip() for one in text.split(",") if one.strip()]
        case FieldType.NUMBER:
            value = _number(field, text)
        case FieldType.TIME:
            value = _day(field, text, zone)
        case _:
            value = text
    return clean_value(field, value)


def _number(field: StateField, text: str) -> JSON:
    if not text:
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        raise BadValue(gettext("%(field)s takes a number.", field=gettext(field.label))) from None
    if not -1e12 < found < 1e12:  # also what is no number at all
        raise BadValue(gettext("%(field)s takes a number.", field=gettext(field.label)))
    return int(found) if found.is_integer() else found


def _day(field: StateField, text: str, zone: str) -> JSON:
    """A date stands for the beginning of that day in this zone: the one of the item's brand, else the reader's."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        return iso(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    except (ValueError, OverflowError):
        raise BadValue(gettext("%(field)s takes a date.", field=gettext(field.label))) from None
