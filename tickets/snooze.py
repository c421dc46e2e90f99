"""Putting an item to sleep: out of the queues until a time comes, or whoever is waited for answers. No I/O.

A snoozed item has the status *snoozed*, and remembers the one it had. A customer who writes always wakes it: nobody
wants their message to sleep; an answer of ours wakes it only where our own people are waited for: any colleague, the
people of one team, or one person.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime

from tickets.effects import SetField, StateEffect
from tickets.item import FINISHED
from tickets.values import JSON, iso

SNOOZED = "snoozed"
#: Whose answer wakes it, beside the customer's.
AWAITED: Mapping[str, str] = {"customer": "Customer", "team": "Any colleague"}
#: What stands before the key of one team, or of one person, whose answer wakes it.
TEAM, PERSON = "team:", "person:"
#: The state fields that say until when, until whose answer, and which status comes back.
UNTIL, FOR, FROM = "snoozed_until", "snoozed_for", "snoozed_from"


def asleep(state: Mapping[str, JSON]) -> bool:
    return state.get("status") == SNOOZED


def snooze(state: Mapping[str, JSON], until: datetime | None, awaits: str = "") -> tuple[StateEffect, ...]:
    """Put the item to sleep. Snoozed again, it keeps the status it comes back to."""
    status = str(state.get("status") or "open")
    back = str(state.get(FROM) or "open") if status == SNOOZED else "open" if status in FINISHED else status
    return (
        SetField("status", SNOOZED),
        SetField(UNTIL, None if until is None else iso(until)),
        SetField(FOR, awaits or None),
        SetField(FROM, back),
    )


def wake(state: Mapping[str, JSON]) -> tuple[StateEffect, ...]:
    """Bring it back into the status it had."""
    return (SetField("status", str(state.get(FROM) or "open")), *forget(state))


def forget(state: Mapping[str, JSON]) -> tuple[StateEffect, ...]:
    """What is left of a sleep that is over, taken away."""
    return tuple(SetField(name, None) for name in (UNTIL, FOR, FROM) if state.get(name) is not None)


def awaited(state: Mapping[str, JSON]) -> tuple[str, str]:
    """The (team, person) whose answer is waited for; "" for what is not."""
    of = str(state.get(FOR) or "")
    return (
        of.removeprefix(TEAM) if of.startswith(TEAM) else "",
        of.removeprefix(PERSON) if of.startswith(PERSON) else "",
    )


def woken_by(state: Mapping[str, JSON], said: Iterable[tuple[str, bool, str]], ours: Container[str] = ()) -> str:
    """Why these messages, (author, public, colleague's key or "") each, wake it; "" when they do not.

    `ours`: the colleagues who can answer for the team or person that is waited for."""
    team, person = awaited(state)
    for author, public, colleague in said:
        if author == "customer" and public:
            return "the customer answered"
        if author != "agent":
            continue
        if state.get(FOR) == "team":
            return "somebody of ours answered"
        if (team or person) and colleague in ours:
            return "the awaited team answered" if team else "the awaited colleague answered"
    return ""
