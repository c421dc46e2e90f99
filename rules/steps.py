"""What the steps of a row come to: all of them or none, each seeing what the ones before it staged.

A step whose effects do not depend on the facts is planned once per revision, and only checked for what it would change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from rules.actions import intended, step_sentence
from rules.compiled import CompiledTable, because
from rules.decision import Planned, Ready, RowSteps
from rules.errors import ActionRefused
from rules.facts import Facts
from rules.table import Step
from rules.vocabulary import Vocabulary
from tickets.effects import AddTo, Effect, RemoveFrom, SetField, value_after
from tickets.values import JSON


@dataclass(slots=True)
class RowPlan:
    """The steps of one row on one item. `changes` are by step: (field, before, after), `counts` its effects.

    `refused` is why `step` cannot be done, both in words; nothing of the row is done then."""

    planned: list[Planned] = field(default_factory=list)
    staged: dict[str, JSON] = field(default_factory=dict)
    effects: int = 0
    changes: list[list[tuple[str, JSON, JSON]]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    step: str = ""
    refused: str = ""


class _Depends(Exception):
    """The effects of a step depend on the facts."""


class _OnlyKind:
    """Stands for the item: of which kind it is, is all that is known ahead."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def get(self, name: str, default: JSON = None) -> JSON:
        if name != "kind":
            raise _Depends
        return self._kind

    def __getattr__(self, name: str) -> NoReturn:
        raise _Depends


class _NoFacts:
    """Stands for the facts while a step is planned ahead; who looks at more than the kind cannot be planned ahead."""

    def __init__(self, kind: str) -> None:
        self.item = _OnlyKind(kind)

    def __getattr__(self, name: str) -> NoReturn:
        raise _Depends


def plan_row(compiled: CompiledTable, key: str, facts: Facts, vocabulary: Vocabulary) -> RowPlan:
    """What the steps of this row come to on these facts; nothing is done here."""
    known_steps = steps_of(compiled, key, vocabulary)
    steps, ahead = known_steps.steps, known_steps.ahead
    made = RowPlan()
    item, staged, planned = facts.item, made.staged, made.planned
    for step, known in zip(steps, ahead, strict=True):
        if known is None:
            on = facts.with_state(staged) if staged else facts
            action = compiled.actions[step.column]
            try:
                effects = intended(action, step.params, on, vocabulary)
            except ActionRefused as error:
                return RowPlan(step=step_sentence(action, step.params, vocabulary), refused=str(error))
        else:
            effects = known.effects
        kept: list[Effect] = []
        changes: list[tuple[str, JSON, JSON]] = []
        for effect in effects:
            if isinstance(effect, (SetField, AddTo, RemoveFrom)):
                name = effect.field
                before = staged[name] if name in staged else item.get(name)
                after = value_after(effect, before)
                if after == before:
                    continue
                staged[name] = after
                changes.append((name, before, after))
            kept.append(effect)
        made.changes.append(changes)
        made.counts.append(len(kept))
        if not kept:
            continue
        made.effects += len(kept)
        if known is not None and len(kept) == len(effects):
            planned.append(known)
        else:
            planned.append(_planned(compiled, key, step, tuple(kept), known_steps.reason))
    return made


def steps_of(compiled: CompiledTable, key: str, vocabulary: Vocabulary) -> RowSteps:
    """The steps of the row with this key, planned ahead as far as can be: once per revision."""
    known = compiled.steps.get(key)
    if known is None:
        # Two threads may do this at the same time: both come to the same.
        known = compiled.steps[key] = _row_steps(compiled, key, vocabulary)
    return known


def ready_row(compiled: CompiledTable, at: int, vocabulary: Vocabulary) -> Ready:
    """The key of the row in this place, behind all rows that of the otherwise row; and its one thing to do, if so."""
    key = compiled.rows[at].key if at < len(compiled.rows) else compiled.otherwise_key
    ready = compiled.ready[at] = (key, steps_of(compiled, key, vocabulary).single)
    return ready


def _row_steps(compiled: CompiledTable, key: str, vocabulary: Vocabulary) -> RowSteps:
    if key == compiled.otherwise_key:
        steps, reason = compiled.table.otherwise or (), "No row matched"
    else:
        row = next(one for one in compiled.rows if one.key == key)
        steps, reason = row.row.steps, because(row)
    ahead = tuple(_ahead(compiled, key, step, reason, vocabulary) for step in steps)
    single = None
    if len(ahead) == 1 and ahead[0] is not None and len(ahead[0].effects) == 1:
        [effect] = ahead[0].effects
        if isinstance(effect, SetField):
            single = (effect.field, value_after(effect, None), ahead[0])
    return RowSteps(steps, reason, ahead, single)


def _ahead(compiled: CompiledTable, key: str, step: Step, reason: str, vocabulary: Vocabulary) -> Planned | None:
    if compiled.table.kind == "any":
        return None  # what a word means may differ between kinds
    try:
        facts = cast(Facts, cast(Any, _NoFacts(compiled.table.kind)))
        effects = intended(compiled.actions[step.column], step.params, facts, vocabulary)
    except Exception:
        # It looks at the facts, or is refused: both are for the event that it happens in.
        return None
    return _planned(compiled, key, step, effects, reason)


def _planned(compiled: CompiledTable, key: str, step: Step, effects: tuple[Effect, ...], reason: str) -> Planned:
    entry, action = compiled.entry, compiled.actions[step.column]
    row_id = key.partition("/")[2]
    return Planned(key, entry.code, entry.version, row_id, step.column, action, step.params, effects, reason)
