"""A ticket and an event on which given conditions all hold: made of what the conditions name, then asked of them.

Conditions look at one field each, so a value is chosen field by field from those that the cells name and their
neighbours, and the engine's own comparison says whether it will do. What comes out is true by the engine; where nothing
comes out there may be an example all the same (a pattern nobody could guess a text for).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice, pairwise, product
from typing import TypeAlias, cast

from rules.compiled import All, CompiledCondition, CompiledTable, Not
from rules.errors import Problem, RulesError
from rules.facts import Facts
from rules.fields import CONTEXT, Field, state_backed
from rules.look import Look
from rules.operands import as_number, as_time, duration_s, values_of
from rules.operators import Looks, Takes
from rules.templates import shown
from rules.vocabulary import Vocabulary
from tickets.events import EventKind
from tickets.item import FieldType
from tickets.values import JSON, from_iso, iso

#: The moment at which examples happen: a Monday morning.
NOW = "2026-11-23T10:00:00.000000+00:00"
#: Ways to fulfil groups that are tried, and values of one field.
MOST_WAYS = 32
MOST_VALUES = 80
#: Characters of one value in an example's words, and fields that they name.
SHOWN_CHARS = 60
SHOWN_FIELDS = 8

Wish: TypeAlias = tuple[CompiledCondition, bool]


@dataclass(frozen=True, slots=True)
class Example:
    """Facts on which the conditions hold, and the values that make them so: (label, value) in words."""

    facts: Facts
    values: tuple[tuple[str, str], ...]

    @property
    def words(self) -> str:
        """What distinguishes the ticket, e.g. "Channel = Chat; Subject = refund"; "any ticket" when nothing does."""
        return "; ".join(f"{label} = {value}" for label, value in self.values[:SHOWN_FIELDS]) or "any ticket"


@dataclass(frozen=True, slots=True)
class Found:
    """A problem, the rows it is about ("A01/r3"), and the ticket and event that show it; None for what never comes."""

    problem: Problem
    rows: tuple[str, ...] = ()
    example: Facts | None = None


def example(
    compiled: CompiledTable,
    nodes: Sequence[All | Not | CompiledCondition],
    vocabulary: Vocabulary,
    *,
    others: Sequence[CompiledTable] = (),
    false: Sequence[All | Not] = (),
    tried: Callable[[], None] = lambda: None,
) -> Example | None:
    """An event on which this table runs, in its scope, and all of `nodes` hold; None where none was found.

    `others` are tables that run on it, in their scopes, too; of `false` none holds. `tried` is called for every value
    and every way that is tried: what it raises ends the search."""
    scopes = [one.scope.node for one in (compiled, *others) if one.scope is not None]
    ways = [list(islice(_ways(one, True), MOST_WAYS)) for one in (*scopes, *nodes)]
    ways += [list(islice(_ways(one, False), MOST_WAYS)) for one in false]
    for start in _starts(compiled, vocabulary):
        hopeless: set[_Wanted] = set()
        for chosen in islice(product(*ways), MOST_WAYS):
            found = _fulfilled(start, [wish for way in chosen for wish in way], hopeless, tried)
            if found is None:
                continue
            look = Look(found.facts, {})
            if not all(_runs(one, look) for one in (compiled, *others)):
                continue
            if all(_says(one, look, True) for one in nodes) and all(_says(one, look, False) for one in false):
                return found
    return None


def with_values(
    compiled: CompiledTable,
    values: Sequence[tuple[Field, JSON]],
    vocabulary: Vocabulary,
    *,
    false: Sequence[All | Not],
) -> Example | None:
    """An event on a ticket with these values (None: none), on which this table runs and none of `false` holds."""
    scope = [] if compiled.scope is None else list(islice(_ways(compiled.scope.node, True), MOST_WAYS))
    for start, wishes in product(_starts(compiled, vocabulary), scope or [()]):
        inside = _fulfilled(start, wishes, set(), lambda: None)
        if inside is None:
            continue
        facts = inside.facts
        for own, value in values:
            facts = _put(facts, own, value, NOW)
        look = Look(facts, {})
        if _runs(compiled, look) and all(_says(one, look, False) for one in false):
            told = {own.label: _told(own, value) for own, value in values}
            return Example(facts, tuple({**dict(inside.values), **told}.items()))
    return None


def _told(own: Field, value: JSON) -> str:
    return "(empty)" if value is None else shown(own, value)[:SHOWN_CHARS]


def _runs(compiled: CompiledTable, look: Look) -> bool:
    try:
        return compiled.runs_on(look.facts) and compiled.covers(look)
    except RulesError:
        return False


def _says(node: All | Not | CompiledCondition, look: Look, answer: bool) -> bool:
    return (node.ask(look) if isinstance(node, CompiledCondition) else node.truth(look)) is answer


def _ways(node: All | Not | CompiledCondition, holds: bool) -> Iterator[tuple[Wish, ...]]:
    """The ways in which it comes out so: each a set of conditions that then say yes or no."""
    match node:
        case CompiledCondition():
            yield ((node, holds),)
        case Not(member):
            yield from _ways(member, not holds)
        case All(members) if holds:
            for parts in product(*(list(islice(_ways(one, True), MOST_WAYS)) for one in members)):
                yield tuple(wish for part in parts for wish in part)
        case All(members):
            for one in members:
                yield from _ways(one, False)


# What happens ---------------------------------------------------------------------------------------------------------


def _starts(compiled: CompiledTable, vocabulary: Vocabulary) -> Iterator[Facts]:
    """Events that the table's triggers may take, before anything else is known of the ticket."""
    kind = compiled.table.kind if compiled.table.kind != "any" else "ticket"
    item: dict[str, JSON] = {"id": 1, "kind": kind, "created_at": NOW}
    plain: dict[str, JSON] = {"id": 1, "at": NOW, "actor": "customer", "actor_ref": "", "depth": 0, "changes": {}}
    for trigger in compiled.table.triggers:
        if trigger.on == "changed":
            yield from _changes(item, plain, trigger.params, vocabulary)
        elif trigger.on == "message":
            author = str(trigger.params.get("by", "customer"))
            message: dict[str, JSON] = {
                "author": "customer" if author == "anyone" else author,
                "public": trigger.params.get("visibility") != "internal",
            }
            yield Facts(item, {**plain, "kind": "message", "payload": {}}, NOW, customer={}, message=message)
        else:
            for one in sorted(compiled.kinds):
                payload: dict[str, JSON] = {"entry": compiled.entry.code}
                if one in (EventKind.CHANGED, EventKind.MESSAGE):
                    continue
                yield Facts(item, {**plain, "kind": one.value, "payload": payload}, NOW, customer={})


def _changes(
    item: Mapping[str, JSON], plain: Mapping[str, JSON], params: Mapping[str, JSON], vocabulary: Vocabulary
) -> Iterator[Facts]:
    name = params.get("field")
    if not isinstance(name, str):
        changed: dict[str, JSON] = {"subject": ["Before", "After"]}
        event = {**plain, "kind": "changed", "payload": {}, "changes": changed}
        yield Facts({**item, "subject": "After"}, event, NOW, customer={})
        return
    try:
        own = state_backed(name, vocabulary)
    except RulesError:
        return
    known = list(values_of(params["to"])) if "to" in params else []
    was = list(values_of(params["from"])) if "from" in params else []
    usual = _usual(own)
    many = own.type is FieldType.CHOICES
    for before, after in product(was or [None, *usual], known or usual):
        pair: list[JSON] = [[before] if before is not None else [], [after]] if many else [before, after]
        if pair[0] == pair[1]:
            continue
        event = {**plain, "kind": "changed", "payload": {}, "changes": {own.state_key: pair}}
        yield Facts({**item, own.state_key: pair[1]}, event, NOW, customer={})


def _usual(own: Field) -> list[JSON]:
    match own.type:
        case FieldType.BOOL:
            return [True, False]
        case FieldType.NUMBER | FieldType.MONEY | FieldType.PERSON:
            return [1, 2]
        case FieldType.TIME:
            return [NOW]
        case _:
            return [*list(own.options or ("a", "b"))[:8]]


# Values ---------------------------------------------------------------------------------------------------------------

#: No value at all.
_MISSING = object()


@dataclass(slots=True)
class _Wishes:
    """What is wanted of one field."""

    own: Field
    all: list[Wish]


#: What is wanted of one field: its key, then conditions (by their id) and what each is to say.
_Wanted: TypeAlias = tuple[str, tuple[tuple[int, bool], ...]]


def _fulfilled(
    start: Facts, wishes: Sequence[Wish], hopeless: set[_Wanted], tried: Callable[[], None]
) -> Example | None:
    """The start with values for which each wish comes true; None where one does not.

    `hopeless` is what no value of a field fulfils from this start, whatever other fields are: it is tried once only."""
    tried()
    by_field: dict[str, _Wishes] = {}
    for condition, holds in wishes:
        if condition.field is None or condition.test is None:
            return None
        own = condition.field
        by_field.setdefault(own.state_key or own.key, _Wishes(own, [])).all.append((condition, holds))
    keys = {name: (name, tuple((id(one), holds) for one, holds in wanted.all)) for name, wanted in by_field.items()}
    if not hopeless.isdisjoint(keys.values()):
        return None
    facts = start
    told: list[tuple[str, str]] = []
    for name, wanted in by_field.items():
        found = None
        for setting in _settings(facts, wanted):
            tried()
            if _fulfils(setting[0], wanted.all):
                found = setting
                break
        if found is None:
            hopeless.add(keys[name])
            return None
        facts, value = found
        if value is not None:
            told.append((wanted.own.label, _told(wanted.own, _given(value))))
    return Example(facts, tuple(told))


def _fulfils(facts: Facts, wishes: Sequence[Wish]) -> bool:
    look = Look(facts, {})
    return all(condition.ask(look) is holds for condition, holds in wishes)


def _settings(facts: Facts, wanted: _Wishes) -> Iterator[tuple[Facts, object]]:
    """The facts as they are (the event may have settled the field), then with each value worth a try."""
    own = wanted.own
    yield facts, None
    values = _values(own, [condition for condition, _ in wanted.all])
    changes = any(one.operator.looks is Looks.CHANGE and holds for one, holds in wanted.all)
    if changes and own.state_key:
        for before, after in islice(product([*values, _MISSING], values), MOST_VALUES):
            if before != after:
                yield _changed(facts, own.state_key, None if before is _MISSING else before, after), after
        return
    if own.state_key in (facts.event.get("changes") or ()):  # type: ignore[operator]  # a mapping, or None
        return
    for value in [*values, _MISSING]:
        for at in _moments(own, wanted):
            yield _put(facts, own, _given(value), at), value


def _changed(facts: Facts, key: str, before: object, after: object) -> Facts:
    changes = {**(facts.event.get("changes") or {}), key: [before, after]}  # type: ignore[dict-item]
    return replace(facts, item={**facts.item, key: after}, event={**facts.event, "changes": changes})  # type: ignore[dict-item]


def _moments(own: Field, wanted: _Wishes) -> list[str]:
    """When a fact from outside may have been fetched."""
    ages = [0.0]
    for one, _ in wanted.all:
        if one.operator.looks is Looks.FETCHED:
            ages += [duration_s(one.operand) / 2, duration_s(one.operand) * 2 + 60]
    return [_before(age) for age in ages]


def _given(value: object) -> JSON:
    return None if value is _MISSING else cast(JSON, value)


def _put(facts: Facts, own: Field, given: JSON, at: str) -> Facts:
    """The facts with this value of a field, wherever it stands; None takes it away."""
    if own.place is not None:
        part, key = own.place
        data = {**(getattr(facts, part) or {})}
        data.pop(key, None)
        if given is not None:
            data[key] = given
        return replace(facts, **{part: data})  # type: ignore[arg-type]  # one of its parts
    if own.answer is not None:
        name, path = own.answer
        known = facts.lookups.get(name, {"state": "known", "data": {}, "reason": "", "fetched_at": at})
        answer: Mapping[str, JSON] = {**known, "data": _at(known.get("data"), path, given), "fetched_at": at}
        return replace(facts, lookups={**facts.lookups, name: answer})
    if own.key.startswith(CONTEXT):
        card, _, inner = own.key.removeprefix(CONTEXT).partition(".")
        was = facts.context.get(card, {"data": {}, "title": card, "source": card, "error": ""})
        now: Mapping[str, JSON] = {
            **was,
            "data": _at(was.get("data"), tuple(inner.split(".")), given),
            "fetched_at": at,
        }
        return replace(facts, context={**facts.context, card: now})
    key = own.key.partition(".")[2]
    if own.key in ("ticket.id", "ticket.kind", "ticket.created_at"):
        return replace(facts, item={**facts.item, **({key: given} if given is not None else {})})
    clock = {name: one for name, one in facts.clock.items() if name != key}
    return replace(facts, clock=clock if given is None else {**clock, key: given})


def _at(data: JSON, path: Sequence[str], value: JSON) -> JSON:
    """The data with this value at the path; None takes it away."""
    inside: dict[str, JSON] = {**data} if isinstance(data, Mapping) else {}
    if len(path) > 1:
        inside[path[0]] = _at(inside.get(path[0]), path[1:], value)
    elif value is None:
        inside.pop(path[0], None)
    else:
        inside[path[0]] = value
    return inside


def _before(age_s: float) -> str:
    return iso(from_iso(NOW) - timedelta(seconds=age_s))


def _values(own: Field, conditions: Sequence[CompiledCondition]) -> list[object]:
    """Values worth a try, the likeliest first; each once."""
    named = [value for one in conditions for value in values_of(one.operand) if one.operator.takes is Takes.VALUES]
    made: list[object] = []
    match own.type:
        case FieldType.BOOL:
            made = [True, False]
        case FieldType.NUMBER | FieldType.MONEY | FieldType.PERSON:
            numbers = sorted({as_number(one) for one in named if _is_number(one)})
            near = [n + step for n in numbers for step in (0, 1, -1)]
            between = [(low + high) / 2 for low, high in pairwise(numbers)]
            made = [int(n) if n == int(n) else float(n) for n in (*near, *between)] or [1]
        case FieldType.TIME:
            made = [iso(as_time(one) + timedelta(days=step)) for one in named for step in (0, 1, -1)]
            ages = [duration_s(o.operand) for o in conditions if o.operator.takes is Takes.DURATION]
            made += [_before(age) for given in sorted(ages) for age in (given + 60, given, given / 2)]
            made += [_before(3600.0 * hours) for hours in (0, 1, 6, 12, 24, 48, 96, -24)]
        case FieldType.CHOICES:
            made = [*([one] for one in named), list(dict.fromkeys(map(str, named)))]
            made += [*([one] for one in list(own.options or ())[:MOST_VALUES]), ["other"]]
        case FieldType.CHOICE:
            made = [*named, *list(own.options or ("other",))[:MOST_VALUES]]
        case _:
            made = [*_texts(conditions), *(str(one) for one in named), "something else", *named]
    kept: list[object] = []
    for one in made:
        if one not in kept:
            kept.append(one)
        if len(kept) == MOST_VALUES:
            break
    return kept


def _is_number(value: JSON) -> bool:
    try:
        as_number(value)
    except RulesError:
        return False
    return True


def _texts(conditions: Sequence[CompiledCondition]) -> list[str]:
    """Texts that begin, go on and end as the conditions say, one keyword of each."""
    begins = [[str(v) for v in values_of(o.operand)] for o in conditions if o.operator.key == "starts_with"]
    ends = [[str(v) for v in values_of(o.operand)] for o in conditions if o.operator.key == "ends_with"]
    within = [[str(v) for v in values_of(o.operand)] for o in conditions if o.operator.key == "contains_any"]
    every = [str(v) for o in conditions if o.operator.key == "contains_all" for v in values_of(o.operand)]
    patterns = [
        [str(o.operand).strip("^$").replace("\\b", "")] for o in conditions if o.operator.takes is Takes.PATTERN
    ]
    ways = product(_some(begins), _some(within), _some(patterns), _some(ends))
    return [" ".join(filter(None, (b, w, *every, p, e))) for b, w, p, e in islice(ways, MOST_VALUES)]


def _some(choices: Sequence[Sequence[str]]) -> list[str]:
    """One of each, joined: every way to choose, at most MOST_VALUES."""
    return [" ".join(dict.fromkeys(one)) for one in islice(product(*choices), MOST_VALUES)]
