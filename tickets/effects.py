"""What a step changes or sends, as plain records. Rows and scripts only yield these; one place applies them.

`apply` is the whole arithmetic of state effects; the others are data for `jobs` to store in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from tickets.events import Change, net
from tickets.values import JSON, record


@record
class SetField:
    """Give a state field this value (None empties it)."""

    field: str
    value: JSON


@record
class AddTo:
    """Add members to a set field: tags, assignees."""

    field: str
    values: tuple[str, ...]


@record
class RemoveFrom:
    """Take members out of a set field."""

    field: str
    values: tuple[str, ...]


@record
class PostMessage:
    """Add a message from the bot to the item's conversation. Public ones are e-mailed to the customer."""

    text: str
    public: bool
    template: str = ""  # the template's code, "" for free text
    language: str = ""
    subject: str = ""
    poster: str = ""  # the user in whose name it stands, "" = the bot


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell users and teams in the bell, and by e-mail where asked for.

    With `brands`, `locations` or `groups` only when the item comes from one of them; without users and teams it is
    then told to the colleagues attached to that origin."""

    users: tuple[str, ...]
    teams: tuple[str, ...]
    text: str
    email: bool = False
    subject: str = ""
    comment: str = ""
    with_suggestion: bool = False
    brands: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SendMail:
    """E-mail a template directly; nothing is posted in the conversation.

    `to` has "customer", "assignees", "followers", "team", "user:<key>", "team:<key>" and "address:<e-mail>"; `texts`
    maps a language to (subject, body), so that each recipient reads it in their own."""

    to: tuple[str, ...]
    texts: Mapping[str, tuple[str, str]]
    template: str = ""


@dataclass(frozen=True, slots=True)
class SuggestReply:
    """A reply that waits: for a person's approval, or for its send window, after which it publishes itself.

    `window` is `rules.window.SendWindow` as JSON, empty = any time."""

    text: str
    approval: bool
    subject: str = ""
    template: str = ""
    language: str = ""
    poster: str = ""
    window: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallWebhook:
    """Tell a connected system by a signed HTTP request that something happened here."""

    connection: str
    event: str
    data: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangeSystem:
    """Change something in a connected system, after the commit.

    `recheck`: the row behind it is looked at once more before it is sent, and nothing is when it no longer matches."""

    connection: str
    operation: str
    args: Mapping[str, JSON] = field(default_factory=dict)
    recheck: bool = True


@dataclass(frozen=True, slots=True)
class SetContext:
    """Write a card of facts from outside onto the item. `source` says where from, e.g. "billing.list_charges"."""

    key: str
    data: JSON
    title: str = ""
    source: str = ""
    fetched_at: str = ""  # ISO 8601, "" = now
    fresh_until: str = ""
    error: str = ""  # a sentence when the facts could not be had; `data` is then None


@dataclass(frozen=True, slots=True)
class RunScript:
    """Queue a run of this script's live version. `wait_s`: how long the rules hold for it, None as its version says."""

    script: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    wait_s: int | None = None


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask a connection and keep the answer as a context card; nobody waits for it."""

    connection: str
    operation: str
    args: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssignNext:
    """Give the item to one person of the team: whose turn it is, or with `fewest` who has the fewest open items."""

    team: str
    fewest: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """Let these users follow the item."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateItem:
    """Make an item linked to this one. `way` says how it belongs here: part_of this one, contains it, or relates."""

    kind: str
    subject: str
    way: str
    team: str = ""
    assignees: tuple[str, ...] = ()
    stage: str = ""
    customer: bool = True  # whether it has the same customer


@dataclass(frozen=True, slots=True)
class LinkTo:
    """Link an item that exists; `way` as with `CreateItem`."""

    item: int
    way: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Ask the item's customer a list of questions. `remind_h`: hours between reminders, 0 for none."""

    questions: str
    sign_in: bool = False
    remind_h: int = 0


StateEffect: TypeAlias = SetField | AddTo | RemoveFrom
#: What leaves the house, or is told to somebody.
Telling: TypeAlias = Notify | SendMail | SuggestReply | CallWebhook | ChangeSystem
Effect: TypeAlias = (
    StateEffect
    | PostMessage
    | Telling
    | SetContext
    | RunScript
    | LookUp
    | AssignNext
    | Follow
    | CreateItem
    | LinkTo
    | SendRequest
)


def writes(effect: Effect) -> str | None:
    """The state field this effect writes, or None for effects that write none."""
    match effect:
        case SetField(name, _) | AddTo(name, _) | RemoveFrom(name, _):
            return name
        case AssignNext():
            return "assignees"
        case _:
            return None


def apply(state: Mapping[str, JSON], effects: Sequence[StateEffect]) -> tuple[dict[str, JSON], tuple[Change, ...]]:
    """The state after `effects` in order, and the net changes they made. Empty fields are absent from the result."""
    after = dict(state)
    changes: list[Change] = []
    for effect in effects:
        before = after.get(effect.field)
        new = value_after(effect, before)
        if new is None:
            after.pop(effect.field, None)
        else:
            after[effect.field] = new
        changes.append(Change(effect.field, before, new))
    return after, net(changes)


def value_after(effect: StateEffect, before: JSON) -> JSON:
    """What the effect leaves in its field; None when that is empty then."""
    match effect:
        case SetField(_, value):
            new: JSON = value
        case AddTo(_, values):
            new = sorted(_members(before) | set(values))
        case RemoveFrom(_, values):
            new = sorted(_members(before) - set(values))
    return None if new == [] or new == () else new


def _members(value: JSON) -> set[str]:
    return {str(one) for one in value} if isinstance(value, (list, tuple)) else set()
