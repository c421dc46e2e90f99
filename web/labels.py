"""Stored keys as people call them: "billing" is "Billing", "waiting_customer" is "Waiting for customer"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flask_babel import gettext
from markupsafe import Markup

from rules.actions import ACTIONS
from tickets.errors import UnknownField
from tickets.events import EventKind
from tickets.item import CHANNELS, LANGUAGES, FieldType, StateField, state_field
from tickets.kinds import ALL_STATUSES, priorities_of, statuses_of
from tickets.snooze import AWAITED, FOR, awaited
from tickets.values import JSON
from web.look import moment, plain
from web.names_store import Names

#: The colour of a status: its dot and its pill. Colour is never alone, the word stands beside it.
STATUS_TONES: Mapping[str, str] = {
    "open": "ok",
    "in_progress": "info",
    "on_hold": "warn",
    "waiting_customer": "info",
    "waiting_team": "info",
    "snoozed": "warn",
    "solved": "off",
    "closed": "off",
}
PRIORITY_TONES: Mapping[str, str] = {"high": "warn", "urgent": "bad", "critical": "bad"}


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of one desk, read once per page."""

    names: Names
    custom: Mapping[str, StateField] = field(default_factory=dict)
    people: Mapping[int, str] = field(default_factory=dict)
    kind: str = "ticket"

    def field(self, key: str) -> str:
        """A field's name. A field that was removed since keeps its key."""
        try:
            return gettext(state_field(key, self.custom).label)
        except UnknownField:
            return key.removeprefix("fields.")

    def value(self, key: str, value: JSON) -> str | Markup:
        """A field's value, members of sets joined by commas."""
        if value is None or value == [] or value == "":
            return gettext("none")
        if isinstance(value, Sequence) and not isinstance(value, str):
            return ", ".join(self.one(key, member) for member in value)
        known = self._field(key)
        if known is not None and known.type is FieldType.TIME and isinstance(value, str):
            return moment(value) or value
        return self.one(key, value)

    def one(self, key: str, value: JSON) -> str:
        """One member of a field's value."""
        match key:
            case "team":
                return self.names.teams.get(str(value), str(value))
            case "assignees":
                return self.names.users.get(str(value), str(value))
            case "brand":
                return self.names.brands.get(str(value), str(value))
            case "location":
                return self.names.locations.get(str(value), str(value))
            case "snoozed_for":
                team, person = awaited({FOR: value})
                ours = self.names.teams.get(team, team) or self.names.users.get(person, person)
                return ours or gettext(AWAITED.get(str(value), str(value)))
            case "customer":
                return self.people.get(value, str(value)) if isinstance(value, int) else str(value)
            case "status":
                return status_of(self.kind, str(value))
            case "priority":
                return gettext(priorities_of(self.kind).get(str(value), str(value)))
            case "channel":
                return gettext(CHANNELS.get(str(value), str(value)))
            case "language":
                return gettext(LANGUAGES.get(str(value), str(value)))
        known = self._field(key)
        if known is not None and known.options and isinstance(value, str):
            return known.options.get(value, value)
        return plain(value)

    def _field(self, key: str) -> StateField | None:
        try:
            return state_field(key, self.custom)
        except UnknownField:
            return None


def status_of(kind: str, status: str) -> str:
    """A status as people say it of this kind of item."""
    return gettext(statuses_of(kind).get(status) or ALL_STATUSES.get(status, status))


def by_itself(reason: str) -> str:
    """Why the desk changed something without a rule, as people say it; a reason without words as it is."""
    words = {
        "Automove": gettext("Automove"),
        "E-mail": gettext("E-mail"),
        "Its snooze is over": gettext("Its snooze is over"),
        "Its snooze ended: the time came": gettext("Its snooze ended: the time came"),
        "Its snooze ended: the customer answered": gettext("Its snooze ended: the customer answered"),
        "Its snooze ended: somebody of ours answered": gettext("Its snooze ended: somebody of ours answered"),
        "Its snooze ended: the awaited team answered": gettext("Its snooze ended: the awaited team answered"),
        "Its snooze ended: the awaited colleague answered": gettext("Its snooze ended: the awaited colleague answered"),
    }
    return words.get(reason, reason)


def action_word(key: str) -> str:
    """An action as the grid calls it; its key where there is none any more."""
    return in_words(ACTIONS[key].label) if key in ACTIONS else key


def in_words(text: str) -> str:
    """A label or sentence of the catalogues of actions, fields and operations in the reader's language."""
    return gettext(text) if text else ""  # gettext answers "" with the head of its file


def event_word(kind: str) -> str:
    """A kind of event as people say it."""
    words = {
        EventKind.CREATED: gettext("created"),
        EventKind.CHANGED: gettext("changed"),
        EventKind.MESSAGE: gettext("message"),
        EventKind.CONTEXT: gettext("facts from outside"),
        EventKind.SCRIPT: gettext("a script finished"),
        EventKind.TIMER: gettext("a time came"),
        EventKind.RUN_NOW: gettext("run by hand"),
        EventKind.REQUEST: gettext("a request was completed"),
        EventKind.LINKED: gettext("a linked item was done"),
        EventKind.FORM: gettext("questions were answered"),
        EventKind.LATE_ANSWER: gettext("a late answer"),
        EventKind.REPAIRED: gettext("rows decided again after a repair"),
        EventKind.UNDONE: gettext("taken back"),
    }
    return next((word for known, word in words.items() if known == kind), kind)
