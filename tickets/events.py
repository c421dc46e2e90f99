"""What happened to one item: events, their net changes, who did it and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import cast

from tickets.values import JSON, record


class EventKind(StrEnum):
    """The kinds of event. Triggers in `rules.triggers` are built on these."""

    CREATED = "created"  # the item came into being, with its first message if it has one
    CHANGED = "changed"  # fields changed, nothing was said
    MESSAGE = "message"  # a message was added to an item that existed
    CONTEXT = "context_updated"  # facts from outside arrived or were written
    SCRIPT = "script_finished"  # a run ended, well or badly
    TIMER = "timer"  # a moment came that a time trigger waited for; nothing was changed
    RUN_NOW = "run_now"  # somebody ran a table on it by hand
    REQUEST = "request_completed"  # a customer answered a request, or a person here said that it is done
    LINKED = "linked_done"  # an item that is part of this one was finished
    FORM = "form_answered"  # a form or a procedure was answered on an item that existed
    LATE_ANSWER = "late_answer"  # a lookup answered after its event was decided without it
    REPAIRED = "repaired"  # rows that an error had set aside are decided again
    UNDONE = "undone"  # somebody took back what a rule or a script had done; no trigger looks at it


#: Events that decide some rows of an earlier event again, on what was true then.
SECOND_LOOKS = frozenset({EventKind.LATE_ANSWER, EventKind.REPAIRED})


class ActorKind(StrEnum):
    AGENT = "agent"
    CUSTOMER = "customer"
    THIRD_PARTY = "third_party"  # wrote on the thread without being a participant
    AUTOMATION = "automation"
    SYSTEM = "system"  # migration, import, erasure

    @property
    def is_person(self) -> bool:
        """Whether a change by this actor counts as a person's change."""
        return self in (ActorKind.AGENT, ActorKind.CUSTOMER, ActorKind.THIRD_PARTY)


@record
class Actor:
    """Who did it. `ref` is a user's key for agents, a person's id as text for customers, else empty."""

    kind: ActorKind
    ref: str = ""
    name: str = ""


AUTOMATION = Actor(ActorKind.AUTOMATION, "", "Automation")
SYSTEM = Actor(ActorKind.SYSTEM, "", "System")
CLOCK = Actor(ActorKind.SYSTEM, "clock", "Clock")


@record
class Change:
    """One field, before and after. A write that ends where it began is no change."""

    field: str
    before: JSON
    after: JSON


@record
class Cause:
    """Why it was done: a person by hand, table@version/row, or script@version/run.

    `kind` is "person", "table", "script" or "system"; `code` and `version` name the list entry, `row` its row,
    `run_id` the run, `line` the script's line, `label` what the page shows."""

    kind: str
    code: str = ""
    version: int = 0
    row: str = ""
    run_id: int | None = None
    line: int | None = None
    label: str = ""

    def to_json(self) -> dict[str, JSON]:
        return {
            "kind": self.kind,
            "code": self.code,
            "version": self.version,
            "row": self.row,
            "run_id": self.run_id,
            "line": self.line,
            "label": self.label,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Cause:
        return cls(
            kind=str(data["kind"]),
            code=str(data.get("code", "")),
            version=cast(int, data.get("version", 0)),
            row=str(data.get("row", "")),
            run_id=cast("int | None", data.get("run_id")),
            line=cast("int | None", data.get("line")),
            label=str(data.get("label", "")),
        )


@record
class Event:
    """Something that happened to one item, in its lane's order.

    `seq` counts within the item, from 1, without gaps; `changes` are the transaction's net changes; `root_id` is the
    event that began the chain (its own id for a root) and `depth` the number of automatic steps since."""

    id: int
    item_id: int
    seq: int
    kind: EventKind
    at: datetime
    actor: Actor
    root_id: int
    depth: int = 0
    changes: tuple[Change, ...] = ()
    message_id: int | None = None
    payload: Mapping[str, JSON] = field(default_factory=dict)


def decided_about(event_id: int, kind: EventKind, payload: Mapping[str, JSON]) -> int:
    """The event that this one decides about: itself, or of a second look the earlier one whose rows it decides."""
    return cast(int, payload["event_id"]) if kind in SECOND_LOOKS else event_id


def net(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Fold successive changes into one per field, in order of first appearance, dropping those that came to nothing."""
    first: dict[str, JSON] = {}
    last: dict[str, JSON] = {}
    for change in changes:
        first.setdefault(change.field, change.before)
        last[change.field] = change.after
    return tuple(Change(name, first[name], last[name]) for name in first if first[name] != last[name])


def undo(state: Mapping[str, JSON], later: Sequence[Event]) -> dict[str, JSON]:
    """The state before `later` events happened: conditions read the item as of their own event's sequence.

    `later` in any order; all must be of one item."""
    before = dict(state)
    for event in sorted(later, key=lambda event: event.seq, reverse=True):
        for change in event.changes:
            if change.before is None:
                before.pop(change.field, None)
            else:
                before[change.field] = change.before
    return before
