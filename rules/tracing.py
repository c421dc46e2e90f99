"""What a decision saw, row by row and condition by condition, as its trace keeps it."""

from __future__ import annotations

from dataclasses import replace

from rules.compiled import CompiledCondition, CompiledTable
from rules.facts import Known
from rules.look import Look
from rules.operators import Looks
from rules.table import OTHERWISE
from rules.templates import shown
from rules.trace import Done, RowTrace, RowVerdict, Seen, Truth, cut
from rules.truth import Undecided
from rules.vocabulary import Vocabulary


class RowTraces:
    """The row traces of one entry while its rows fire. `omitted` rows were looked at but not kept."""

    def __init__(self, compiled: CompiledTable) -> None:
        self.compiled = compiled
        self.kept: dict[str, RowTrace] = {}
        self.omitted = 0

    def conclude(self, key: str, verdict: RowVerdict, steps: tuple[Done, ...], reason: str) -> None:
        """What became of a row that matched. The otherwise row has no trace of its own before this."""
        if key == self.compiled.otherwise_key:
            self.kept[key] = RowTrace(OTHERWISE, 0, verdict, Truth.TRUE)
        before = self.kept.get(key)
        if before is None:
            return  # over the bound, and counted in `omitted`
        self.kept[key] = replace(before, verdict=verdict, steps=steps, reason=cut(reason))


def seen_at(condition: CompiledCondition, look: Look, vocabulary: Vocabulary) -> Seen:
    """One condition as the trace shows it. Reads what was read before, so it says what the decision saw."""
    answer = condition.ask(look)
    found = condition.field
    label = found.label if found is not None else condition.name
    actual = source = at = reason = ""
    if isinstance(answer, Undecided):
        reason, truth = answer.reason, Truth.UNKNOWN
    else:
        truth = Truth.TRUE if answer else Truth.FALSE
    if found is not None and condition.operator.looks is Looks.CHANGE:
        change = look.change(found.state_key)
        source, at = "event", str(look.facts.event.get("at", ""))
        if isinstance(change, (list, tuple)) and len(change) == 2:
            before, after = (shown(found, one) if one is not None else "nothing" for one in change)
            actual = f"{before} → {after}"
        else:
            reason = reason or "This event did not change it"
    elif found is not None and not (isinstance(answer, Undecided) and answer.failed):
        reading = look.read(found)
        if isinstance(reading, Known):
            actual, source, at = shown(found, reading.value), reading.source, reading.at
        else:
            reason, source = reading.reason, found.lookup
    return Seen(
        condition.column,
        condition.name,
        label,
        condition.operator.key,
        condition.expected,
        cut(actual),
        source,
        at,
        truth,
        cut(reason),
    )
