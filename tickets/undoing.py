"""Taking back what one cause changed on an item: which values go back, and which stay since others changed them.

Pure arithmetic over the item's history. A value goes back to what it was before the cause wrote it last without anybody
else in between; a set (tags, assignees) goes back member by member, so that a tag somebody added beside it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tickets.effects import AddTo, RemoveFrom, SetField, StateEffect
from tickets.values import JSON


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an item's history, by its `id` there. `ours`: made by the cause that is taken back."""

    id: int
    field: str
    before: JSON
    after: JSON
    ours: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays: another changed it later, in the line `since`. `member` of a set, "" for a whole field."""

    field: str
    since: int
    member: str = ""


def backwards(lines: Sequence[Line]) -> tuple[tuple[StateEffect, ...], tuple[Kept, ...]]:
    """What takes our lines back, and what stays. `lines` are the item's whole history, oldest first."""
    effects: list[StateEffect] = []
    kept: list[Kept] = []
    for name in dict.fromkeys(line.field for line in lines if line.ours):
        of_it = [line for line in lines if line.field == name]
        if any(isinstance(value, list) for line in of_it for value in (line.before, line.after)):
            _members_back(name, of_it, effects, kept)
            continue
        back, since = _back(of_it)
        if back is not None:
            effects.append(SetField(name, back.before))
        elif since is not None:
            kept.append(Kept(name, since.id))
    return tuple(effects), tuple(kept)


def _members_back(name: str, lines: Sequence[Line], effects: list[StateEffect], kept: list[Kept]) -> None:
    """The same for each member of a set that our lines put in or took out."""
    ours = [_set(line.before) ^ _set(line.after) for line in lines if line.ours]
    back_in: list[str] = []
    out: list[str] = []
    for member in sorted(frozenset[str]().union(*ours)):
        own = [
            Line(line.id, name, member in _set(line.before), member in _set(line.after), line.ours)
            for line in lines
            if (member in _set(line.before)) != (member in _set(line.after))
        ]
        back, since = _back(own)
        if back is not None:
            (back_in if back.before else out).append(member)
        elif since is not None:
            kept.append(Kept(name, since.id, member))
    if out:
        effects.append(RemoveFrom(name, tuple(out)))
    if back_in:
        effects.append(AddTo(name, tuple(back_in)))


def _back(lines: Sequence[Line]) -> tuple[Line | None, Line | None]:
    """(the line of ours whose `before` is to be restored, None) or (None, the other's line that stands in the way).

    Both None when nothing is left of what we wrote: somebody put it back by hand, or we did ourselves."""
    first = next((line for line in lines if line.ours), None)
    streak: Line | None = None
    since: Line | None = None
    for line in lines:
        if not line.ours:
            streak, since = None, line
        elif streak is None:
            streak = line
    now = lines[-1].after if lines else None
    if streak is not None:
        return (streak, None) if streak.before != now else (None, None)
    if first is None or since is None or since.after == first.before:
        return None, None
    return None, since


def _set(value: JSON) -> frozenset[str]:
    return frozenset(str(one) for one in value) if isinstance(value, list) else frozenset()
