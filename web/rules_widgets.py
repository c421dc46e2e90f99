"""What the forms of rules are made of: a field, a choice in it, and how values stand in them as text."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext

from tickets.values import JSON

#: Longest text of one form field, in characters.
MAX_FORM_CHARS = 64_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that can be ticked. `count`: how many tickets of the last 14 days have it, None when not counted.

    `doc` says more of it, where there is more to say."""

    key: str
    label: str
    chosen: bool
    count: int | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Widget:
    """One form field. `kind`: ticks, radio, choice, lines, line, long, json, pair, date."""

    name: str
    label: str
    kind: str
    value: str = ""
    high: str = ""
    choices: tuple[Choice, ...] = ()
    help: str = ""
    required: bool = False
    none: bool = True  # whether "nothing" can be chosen
    shown_by: str = ""  # the form field whose value decides whether this one is shown, and
    shown_for: tuple[str, ...] = ()  # the values for which it is
    hidden: bool = False  # as the form is now


def as_text(value: JSON) -> str:
    """A value as a form field holds it; empty for None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def yes_no() -> dict[str, str]:
    """The two choices of a yes or no."""
    return {"true": gettext("Yes"), "false": gettext("No")}
