"""An event that waits for a script: what it has done so far, and what holds until the run has ended.

A script whose version, or the step that runs it, says `wait_s` holds the later steps of the row and the rest of the
list. The event's progress carries them as data; when the run has ended its actions are applied first, then what was
held goes on. All of it is the event's own: no other event of the item overtakes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from jobs.live import Desk, LiveScript
from rules.actions import staged_by
from rules.engine import Decision, Planned
from rules.facts import Facts
from rules.script_params import LONGEST_WAIT_S
from rules.table import OTHERWISE, HitPolicy
from rules.trace import Trace
from tickets.effects import Effect, RunScript
from tickets.values import JSON


def wait_s(content: Mapping[str, Any]) -> int:
    """Seconds that the rules which run this version wait for its end; 0 = they do not."""
    given = content.get("wait_s", 0)
    return max(0, min(given, LONGEST_WAIT_S)) if isinstance(given, int) and not isinstance(given, bool) else 0


@dataclass(frozen=True, slots=True)
class Held:
    """Where an event stopped to wait for a run: the step that runs it, and what comes behind it."""

    at: Planned
    script: LiveScript
    seconds: int
    rest: tuple[Mapping[str, JSON], ...]  # the later steps of its row
    rows: tuple[str, ...]  # keys of this entry's rows that must not decide again


def first_wait(planned: Sequence[Planned], desk: Desk) -> tuple[int, LiveScript, int] | None:
    """The first of these steps that runs a script the list waits for: its place, the script, the seconds."""
    for at, step in enumerate(planned):
        for effect in step.effects:
            if isinstance(effect, RunScript):
                script = desk.scripts.get(effect.script)
                if script is None or not script.enabled:
                    continue
                seconds = wait_s(script.content if effect.wait_s is None else {"wait_s": effect.wait_s})
                if seconds:
                    return at, script, seconds
    return None


def hold(decision: Decision, desk: Desk, facts: Facts, staged: Mapping[str, JSON]) -> tuple[Decision, Held | None]:
    """The decision up to its first step that waits, and what holds there; all of it and None when no step waits.

    `staged` is what was staged before this decision. What comes behind is decided anew when the event goes on."""
    found = first_wait(decision.planned, desk)
    if found is None:
        return decision, None
    place, script, seconds = found
    at = decision.planned[place]
    entry = next(one for one in desk.ruleset.entries if one.code == at.code)
    assert entry.table is not None
    order = [f"{at.code}/{row.id}" for row in entry.table.rows]
    upto = order.index(at.row_key) + 1 if at.row_key in order else len(order)
    decided = frozenset(order[:upto]) | ({f"{at.code}/{OTHERWISE}"} if at.row == OTHERWISE else frozenset())
    traces = []
    for one in decision.trace.entries:
        if one.code != at.code:
            traces.append(one)
            continue
        traces.append(replace(one, rows=tuple(row for row in one.rows if f"{one.code}/{row.row}" in decided)))
        break
    behind = {one.code for one in decision.trace.entries} - {one.code for one in traces}
    kept = decision.planned[: place + 1]
    effects: list[Effect] = [effect for one in kept for effect in one.effects]
    cut = Decision(
        planned=kept,
        fired=decision.fired[: decision.fired.index(at.row_key) + 1],
        trace=Trace(decision.trace.revision, tuple(traces)),
        staged={**staged, **staged_by(effects, facts.with_state(staged))},
        skipped=tuple(
            one
            for one in decision.skipped
            if one.row_key in decided or one.row_key.partition("/")[0] not in behind | {at.code}
        ),
        notes=(
            *(note for note in decision.notes if not note.startswith(tuple(behind) or ("\0",))),
            f"{at.row_key} waits for {script.code} ({script.name}), at most {seconds} s",
        ),
    )
    first = entry.table.hit is HitPolicy.FIRST
    rows = (*(order if first else order[:upto]), f"{at.code}/{OTHERWISE}")
    return cut, Held(at, script, seconds, _rest(decision.planned[place + 1 :], at.row_key), rows)


def _rest(planned: Sequence[Planned], row_key: str) -> tuple[Mapping[str, JSON], ...]:
    return tuple(
        {
            "row_key": one.row_key,
            "code": one.code,
            "version": one.version,
            "row": one.row,
            "step": one.step,
            "action": one.action,
            "params": dict(one.params),
            "reason": one.reason,
        }
        for one in planned
        if one.row_key == row_key
    )


def planned_again(step: Mapping[str, JSON], effects: tuple[Effect, ...]) -> Planned:
    """A step that was held, with the effects it has now."""
    return Planned(
        str(step["row_key"]),
        str(step["code"]),
        cast(int, step["version"]),
        str(step["row"]),
        str(step["step"]),
        str(step["action"]),
        cast(Mapping[str, JSON], step["params"]),
        effects,
        str(step["reason"]),
    )
