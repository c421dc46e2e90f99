"""What rows say against each other: fields written twice, circles, and what `rules.reach` finds; each with an example.

Nothing is reported on suspicion. An example is a ticket and an event that the engine itself decided: on it both rows
fire, no row matches, the circle comes round. Where the bounds end the search, that is reported too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from rules.actions import intended
from rules.compiled import All, CompiledRow, CompiledTable
from rules.decision import Decision, Entry
from rules.engine import compile_ruleset, decide
from rules.errors import ActionRefused, Problem, RulesError
from rules.examples import NOW, Example, Found, example
from rules.facts import Facts
from rules.fields import state_backed
from rules.operators import Looks
from rules.reach import left_over
from rules.ruleset import NO_INDEX, RuleSet
from rules.table import HitPolicy, Step
from rules.templates import shown
from rules.vocabulary import Vocabulary
from tickets.effects import SetField
from tickets.values import JSON

#: Most findings of one check, examples that are looked for in one table or list, values that are tried for all of them
#: (which take some 10 µs each), and pairs of rows that are compared.
MAX_FINDINGS = 20
MAX_SEARCHES = 400
MAX_TRIED = 100_000
MAX_COMPARED = 200_000
#: Rows in a circle, at most.
MOST_ROUND = 4

#: What is not about one row is told of the table's rows together.
_LIST = {"table": "rows"}


@dataclass(frozen=True, slots=True)
class _Writes:
    """A row of a table, and the values that it gives to fields whatever the ticket is."""

    compiled: CompiledTable
    row: CompiledRow
    values: Mapping[str, JSON]

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def words(self) -> str:
        return f"{self.compiled.entry.code} row {self.row.number}"


class _Enough(Exception):
    """A bound of the search is reached; what was found until then stands."""


class _Search:
    """What looking for conflicts may still cost, and the rule lists of one table that its examples are decided with."""

    def __init__(self) -> None:
        self._examples, self._tries, self._pairs = MAX_SEARCHES, MAX_TRIED, MAX_COMPARED
        self._alone: dict[str, RuleSet] = {}

    def compare(self) -> None:
        """Before two rows are compared. Raises `_Enough`."""
        self._pairs -= 1
        if self._pairs < 0:
            raise _Enough

    def look(self) -> None:
        """Before an example is looked for. Raises `_Enough`."""
        self._examples -= 1
        if self._examples < 0:
            raise _Enough

    def tried(self) -> None:
        """A value was tried in an example. Raises `_Enough`."""
        self._tries -= 1
        if self._tries < 0:
            raise _Enough

    def decided(
        self, compiled: CompiledTable, facts: Facts, vocabulary: Vocabulary, staged: Mapping[str, JSON] | None = None
    ) -> Decision:
        """What this table alone does, behind others that `staged` something."""
        code = compiled.entry.code
        if code not in self._alone:
            entries = [replace(compiled.entry, enabled=True)]
            self._alone[code] = compile_ruleset(0, entries, vocabulary, index_from=NO_INDEX)
        return decide(self._alone[code], facts, staged=staged)

    def gathered(self, *several: Iterator[Found]) -> list[Found]:
        """What these come to, of each at most MAX_FINDINGS, and that not all was looked for where that is so."""
        found: list[Found] = []
        try:
            for findings in several:
                for number, one in enumerate(findings):
                    if number == MAX_FINDINGS:
                        raise _Enough
                    found.append(one)
        except _Enough:
            message = "Not every pair of rows was compared: there are too many for that."
            found.append(Found(Problem(_LIST, "conflicts_incomplete", message)))
        return found


def in_table(entry: Entry, vocabulary: Vocabulary) -> list[Found]:
    """What the rows of one table say against each other."""
    assert entry.table is not None
    vocabulary = vocabulary.of(entry.table.kind)
    compiled = CompiledTable.of(entry, 0, entry.table, vocabulary)
    found = left_over(compiled, vocabulary)
    if entry.table.hit is HitPolicy.EVERY:
        search = _Search()
        pairs = combinations(_writers(compiled, vocabulary), 2)
        found += search.gathered(_twice(pairs, vocabulary, search))
    return found


def in_list(ruleset: RuleSet, code: str) -> list[Found]:
    """What the rows of one table say against those of the others in the list, and circles that go through it."""
    own = next((one for one in ruleset.tables if one.entry.code == code), None)
    if own is None:
        return []
    vocabulary = ruleset.vocabulary
    mine = list(_writers(own, vocabulary))
    pairs = (
        (first, second) if one.order < own.order else (second, first)
        for one in ruleset.tables
        if one is not own and (one.kinds & own.kinds) and _same_items(one, own)
        for first in _writers(one, vocabulary)
        for second in mine
    )
    search = _Search()
    return search.gathered(
        _twice(pairs, vocabulary, search), _circles(ruleset, mine if _on_changes(own) else [], vocabulary, search)
    )


def _same_items(one: CompiledTable, other: CompiledTable) -> bool:
    return "any" in (one.table.kind, other.table.kind) or one.table.kind == other.table.kind


# Two rows that write one field ----------------------------------------------------------------------------------------


def _writers(compiled: CompiledTable, vocabulary: Vocabulary) -> Iterator[_Writes]:
    vocabulary = vocabulary.of(compiled.table.kind)
    for row in compiled.rows:
        values = _constant(compiled, row.row.steps, vocabulary)
        if values:
            yield _Writes(compiled, row, values)


def _constant(compiled: CompiledTable, steps: Sequence[Step], vocabulary: Vocabulary) -> dict[str, JSON]:
    """The fields that these steps give a value which does not depend on the ticket."""
    values: dict[str, JSON] = {}
    for step in steps:
        try:
            one, other = (
                intended(compiled.actions[step.column], step.params, facts, vocabulary) for facts in (_SOME, _OTHER)
            )
        except ActionRefused:
            continue
        for effect in one:
            if isinstance(effect, SetField) and effect in other:
                values[effect.field] = effect.value
    return values


_SOME = Facts(item={"id": 1, "kind": "ticket"}, event={"kind": "created", "at": NOW}, now=NOW)
_OTHER = Facts(item={"id": 2, "kind": "ticket", "subject": "?"}, event={"kind": "created", "at": NOW}, now=NOW)


def _twice(pairs: Iterable[tuple[_Writes, _Writes]], vocabulary: Vocabulary, search: _Search) -> Iterator[Found]:
    """Rows that fire on one event and give one field different values: the later one's stands."""
    said: set[str] = set()
    for first, second in pairs:
        search.compare()
        if second.key in said:
            continue  # one reason to look at a row is enough
        names = [name for name, value in second.values.items() if first.values.get(name, value) != value]
        if not names:
            continue
        search.look()
        own = first.compiled is second.compiled
        desk = vocabulary.of(second.compiled.table.kind)
        others = () if own else (first.compiled,)
        wanted = (first.row.all, second.row.all)
        shows = example(second.compiled, wanted, desk, others=others, tried=search.tried)
        if shows is None or not _both_fire(first, second, shows.facts, vocabulary, search):
            continue
        said.add(second.key)
        field = state_backed(names[0], desk)
        was, now = (shown(field, one.values[names[0]]) for one in (first, second))
        if own:
            problem = Problem(
                {"row": second.row.row.id},
                "written_twice",
                f"Row {second.row.number} writes over what row {first.row.number} wrote: {field.label} becomes {was}, "
                f"then {now}. For example: {shows.words}.",
            )
        else:
            later, before = second.compiled.entry.code, first.compiled.entry.code
            problem = Problem(
                _LIST,
                "written_twice",
                f"{later} row {second.row.number} writes over what {before} row {first.row.number} wrote: "
                f"{field.label} becomes {was}, then {now}. For example: {shows.words}.",
            )
        yield Found(problem, (first.key, second.key), shows.facts)


def _both_fire(first: _Writes, second: _Writes, facts: Facts, vocabulary: Vocabulary, search: _Search) -> bool:
    """Whether the engine fires both on these facts, one after the other as in the list."""
    one = search.decided(first.compiled, facts, vocabulary)
    if first.compiled is second.compiled:
        return {first.key, second.key} <= set(one.fired)
    if first.key not in one.fired or one.ended_by:
        return False
    return second.key in search.decided(second.compiled, facts, vocabulary, one.staged).fired


# Circles --------------------------------------------------------------------------------------------------------------


def _on_changes(compiled: CompiledTable) -> bool:
    return any(trigger.on == "changed" for trigger in compiled.table.triggers)


def _circles(ruleset: RuleSet, mine: Sequence[_Writes], vocabulary: Vocabulary, search: _Search) -> Iterator[Found]:
    """Rows whose writes bring each other about, back to the first: a row of this table is one of them."""
    if not mine:
        return
    follows = _Follows([one for one in ruleset.tables if _on_changes(one)], vocabulary, search)
    for start in mine:
        for path in _paths(start, follows, [start]):
            search.look()
            shows = _round(path, vocabulary, search)
            if shows is None or not _comes_round(path, shows.facts, vocabulary, search):
                continue
            way = " → ".join(one.words for one in (*path, path[0]))
            yield Found(
                Problem(
                    {"row": start.row.row.id},
                    "circle",
                    f"Rows bring each other about in a circle: {way}. Each fires once per event that began it, then "
                    f"the chain ends. For example: {shows.words}.",
                ),
                tuple(one.key for one in path),
                shows.facts,
            )
            break


class _Follows:
    """Which rows a row's writes may bring about; worked out by table, when first asked."""

    def __init__(self, tables: Sequence[CompiledTable], vocabulary: Vocabulary, search: _Search) -> None:
        self._rows = [(one, list(_writers(one, vocabulary))) for one in tables]
        self._search = search
        self._known: dict[str, list[_Writes]] = {}

    def of(self, row: _Writes) -> Iterator[_Writes]:
        known = self._known.get(row.key)
        if known is None:
            known = self._known[row.key] = [
                other for table, rows in self._rows if _brings(row, table) for other in rows
            ]
        for other in known:
            self._search.compare()
            yield other


def _brings(row: _Writes, other: CompiledTable) -> bool:
    """Whether a change that the row makes could be one that the other table runs on."""
    event: dict[str, JSON] = {"kind": "changed", "at": NOW, "actor": "automation", "depth": 1, "payload": {}}
    kind = other.table.kind if other.table.kind != "any" else "ticket"
    for name, value in row.values.items():
        changes: dict[str, JSON] = {name: [None, value]}
        facts = Facts({"id": 1, "kind": kind, **row.values}, {**event, "changes": changes}, NOW)
        try:
            if other.runs_on(facts):
                return True
        except RulesError:
            continue
    return False


def _paths(start: _Writes, follows: _Follows, path: list[_Writes]) -> Iterator[list[_Writes]]:
    for one in follows.of(path[-1]):
        if one.key == start.key:
            yield list(path)
        elif len(path) < MOST_ROUND and all(one.key != before.key for before in path):
            yield from _paths(start, follows, [*path, one])


def _round(path: Sequence[_Writes], vocabulary: Vocabulary, search: _Search) -> Example | None:
    """An event on which the first row fires, on a ticket that has what the later ones look at besides."""
    written = {name for one in path for name in one.values}
    later = [
        condition
        for one in path[1:]
        for condition in one.row.conditions
        if condition.field is not None
        and condition.field.state_key not in written
        and condition.operator.looks is not Looks.CHANGE
    ]
    first = path[0]
    desk = vocabulary.of(first.compiled.table.kind)
    return example(first.compiled, (first.row.all, All(tuple(later))), desk, tried=search.tried)


def _comes_round(path: Sequence[_Writes], facts: Facts, vocabulary: Vocabulary, search: _Search) -> bool:
    """Whether each row fires on what the one before it wrote, and the first once more at the end."""
    for one in (*path, path[0]):
        decision = search.decided(one.compiled, facts, vocabulary)
        if one.key not in decision.fired:
            return False
        changes: dict[str, JSON] = {
            name: [facts.item.get(name), value]
            for name, value in decision.staged.items()
            if facts.item.get(name) != value
        }
        event = {**facts.event, "kind": "changed", "actor": "automation", "changes": changes, "payload": {}}
        facts = replace(facts.with_state(decision.staged), event=event, message=None)
    return True
