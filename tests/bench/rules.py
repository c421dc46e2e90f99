"""./run bench rules: deciding an event by 10 to 10 000 rules, beside other rule engines and a plain interpreter.

The timed call of ours is what production calls: `rules.engine.decide`, with unknowns, staging and effects; why is
worked out when somebody asks, and has a figure of its own. The others only say which rules match. All must say the same
before anything is timed. CPU time; what a ratio compares takes turns batch by batch, so that whatever else the machine
does meets both alike, and the ratio is the median of those of many rounds. `--rules FILE --events FILE` takes a
workload from outside (docs/benchmarks.md has the format).
"""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from rules.engine import NO_INDEX, Entry, RuleSet, compile_ruleset, decide
from rules.explain import explain
from rules.facts import Facts
from rules.folding import fold
from rules.forms import words as words_of
from rules.parse import parse_table
from rules.vocabulary import FieldSpec, LookupSpec, Vocabulary
from tests.bench.report import Figure, arguments, finish
from tests.bench.rules_peers import PEERS, Event, Match, Rule, Test, have_peers, holds, plain
from tickets.item import CUSTOM_NAMES, FieldType, StateField


class Engine(NamedTuple):
    match: Match
    #: The event at this place in the form that it takes. Making that is charged to nobody.
    takes: Callable[[int], Any]
    #: The numbers of the rules in what it says.
    ids: Callable[[Any], list[int]]


SIZES = (10, 20, 40, 100, 1_000, 10_000)
EVENTS = 2_000
#: Rounds in which all engines take their turn; and in which ours and the best of the others do, by themselves: as many
#: as these CPU seconds allow, at least and at most so many.
ROUNDS = 3
CLOSELY_S, CLOSELY_ROUNDS = 3.0, (7, 41)
#: Up to how many times the time of the best one is still looked at closely.
NEAR_THE_BEST = 1.25
#: Rounds and events for what compares two shapes of our own.
SHAPE_ROUNDS, TABLES_EVENTS, ASKING_EVENTS = 15, 100, 500
#: So many events are made, for each engine in its form, and matched right then: facts that were just read from the
#: database, or a text that just came, is what an engine is given where it is used. Made all at once, long before, they
#: lie in memory that has gone cold, which is told beside it up to `COLD_TO_RULES`.
BATCH = 100
COLD_TO_RULES = 100
#: Events by which rules are made, so that they match often enough and not too often.
SAMPLE = 400
#: CPU seconds that one engine may take for one round, and for showing that it agrees.
ROUND_S, AGREE_S = 0.4, 2.0
#: From how many seconds on the time that an engine takes to be built is told.
SLOW_BUILD_S = 2.0
#: How many times faster than the best of the others ours must be, by the number of rules, and how many times the floor
#: (reading the fields, and one pass for keywords) it may take.
#: 20 and 40 rules, where it is weakest, are told without a target: there it does not hold.
TARGETS: Mapping[int, float] = {10: 1.0, 100: 1.0, 1_000: 4.0, 10_000: 8.0}
FLOOR_TARGETS: Mapping[int, float] = {1_000: 5.0, 10_000: 20.0}
#: At most: one-row tables of which a fifth write what others read, to few tables; a tenth of the lookups unknown, to
#: none of them.
TABLES_TARGET, UNKNOWN_TARGET = 2.0, 1.5
#: Budgets: microseconds to explain one row of one event, seconds to replay 500 events by 100 rules, and to compile
#: 10 000 rules.
EXPLAIN_US, REPLAY_S, COMPILE_S = 20.0, 0.1, 2.0

# The work ------------------------------------------------------------------------------------------------------------

PICKS: Mapping[str, list[str]] = {
    "channel": ["email", "chat", "web", "phone", "api", "social"],
    "department": [f"dep{at:02}" for at in range(20)],
    "priority": ["low", "normal", "high", "urgent"],
    "status": ["new", "open", "pending", "hold", "solved"],
    "type": ["question", "incident", "problem", "task"],
    "tier": ["free", "basic", "pro", "enterprise"],
    "language": ["en", "de", "fr", "es", "it", "pt", "nl", "pl", "ja", "zh"],
    "region": ["us", "eu", "uk", "apac", "latam", "mea", "ca", "au"],
    "product": [f"prod{at:02}" for at in range(40)],
}
#: Highest value and step of the limits in rules.
NUMBERS: Mapping[str, tuple[int, int]] = {
    "replies": (30, 1),
    "age_hours": (500, 4),
    "reopens": (6, 1),
    "order_value": (5_000, 50),
    "csat": (5, 1),
}
TAGS = [f"tag{at:03}" for at in range(300)]
CHANGING = ["status", "priority", "assignee", "department"]
#: A rule matches this part of the events.
MATCHES = (0.0025, 0.04)


def zipf(count: int, power: float, offset: float) -> list[float]:
    return [1 / (at + offset) ** power for at in range(count)]


def words(count: int, chance: random.Random) -> list[str]:
    """Made-up words, none of which stands inside another: whole words and substrings are the same then."""
    found: list[str] = []
    joined = " "
    while len(found) < count:
        syllables = chance.choice([2, 2, 3, 3, 4])
        word = "".join(chance.choice("bcdfghjklmnprstvz") + chance.choice("aeiou") for _ in range(syllables))
        if word in joined or any(inner in found for inner in _parts(word)):
            continue
        found.append(word)
        joined += word + " "
    return found


def _parts(word: str) -> set[str]:
    return {word[begin:end] for begin, end in itertools.combinations(range(len(word) + 1), 2) if end - begin >= 4}


WORDS = words(2_000, random.Random(7))


def some_events(count: int) -> list[Event]:
    chance = random.Random(1)
    events = []
    for _ in range(count):
        event: Event = {name: chance.choices(picks, zipf(len(picks), 0.7, 1))[0] for name, picks in PICKS.items()}
        event |= {
            "assignee": "" if chance.random() < 0.4 else f"agent{chance.randrange(50):02}",
            "replies": min(30, int(chance.expovariate(1 / 4))),
            "age_hours": round(min(500, chance.expovariate(1 / 60)), 1),
            "reopens": min(6, int(chance.expovariate(1.2))),
            "order_value": round(min(5_000, chance.expovariate(1 / 300)), 2),
            "csat": chance.choice([0, 0, 0, 1, 2, 3, 4, 5]),
            "vip": chance.random() < 0.06,
            "tags": sorted(set(chance.choices(TAGS, zipf(300, 0.8, 5), k=chance.choice([0, 1, 1, 2, 3, 4])))),
            "changed": [name for name in CHANGING if chance.random() < 0.2],
            "subject": " ".join(chance.choices(WORDS, zipf(len(WORDS), 1.0, 10), k=7)),
            "body": " ".join(chance.choices(WORDS, zipf(len(WORDS), 1.0, 10), k=90)),
        }
        events.append(event)
    return events


def some_test(chance: random.Random) -> Test:
    at = chance.random()
    if at < 0.40:
        name = chance.choice(list(PICKS))
        picks = PICKS[name]
        if chance.random() < 0.7:
            return [name, "is", chance.choice(picks)]
        if chance.random() < 0.7:
            return [name, "any_of", sorted(chance.sample(picks, min(len(picks) - 1, chance.choice([2, 2, 3]))))]
        return [name, "is_not", chance.choice(picks)]
    if at < 0.62:
        name = chance.choice(["subject", "body", "body"])
        count = chance.choice([1, 2, 3, 4])
        keywords = {WORDS[min(len(WORDS) - 1, int(60 + chance.random() ** 2 * 1_200))] for _ in range(count)}
        return [name, "contains_any" if chance.random() < 0.85 else "contains_none", sorted(keywords)]
    if at < 0.75:
        tags = sorted(set(chance.choices(TAGS, zipf(300, 0.5, 5), k=chance.choice([1, 2, 3]))))
        op = chance.choices(["has_any", "has_all", "has_none"], [70, 10, 20])[0]
        return ["tags", op, tags[:2] if op == "has_all" else tags]
    if at < 0.92:
        name = chance.choice(list(NUMBERS))
        highest, step = NUMBERS[name]
        limit = step * int(chance.random() ** 2 * highest / step)
        return [name, chance.choice(["greater", "greater", "less"]), limit]
    if at < 0.94:
        return ["assignee", "empty", None]
    if at < 0.96:
        return ["vip", "is", True]
    name = chance.choice(["status", "priority"])
    return [name, "changed", None] if chance.random() < 0.5 else [name, "changed_to", chance.choice(PICKS[name])]


def some_rules(count: int, events: Sequence[Event]) -> list[Rule]:
    chance = random.Random(2)
    known: dict[str, int] = {}

    def bits(test: Test) -> int:
        key = repr(test)
        if key not in known:
            known[key] = sum(1 << at for at, event in enumerate(events) if holds(event, test))
        return known[key]

    rules: list[Rule] = []
    while len(rules) < count:
        left, parts = (1 << len(events)) - 1, []
        for _ in range(chance.choice([2, 3, 3, 4, 4, 5])):
            if chance.random() < 0.12:
                group = [some_test(chance) for _ in range(chance.choice([2, 3]))]
                either = 0
                for test in group:
                    either |= bits(test)
                left &= either
                parts.append({"any": group})
            else:
                test = some_test(chance)
                left &= bits(test)
                parts.append(test)  # type: ignore[arg-type]
        if MATCHES[0] <= left.bit_count() / len(events) <= MATCHES[1]:
            rules.append({"id": len(rules), "all": parts})
    return rules


# Ours ----------------------------------------------------------------------------------------------------------------

_TYPES: Mapping[str, FieldType] = {
    **dict.fromkeys((*PICKS, "assignee", "outcome", "phase"), FieldType.CHOICE),
    **dict.fromkeys(NUMBERS, FieldType.NUMBER),
    "vip": FieldType.BOOL,
}
DESK = Vocabulary(custom_fields={key: StateField(key, key.capitalize(), type) for key, type in _TYPES.items()})
_KEYS = {"tags": "ticket.tags", "subject": "ticket.subject", "body": "message.text"}
_NOW = "2026-11-21T09:31:00.000000+00:00"
#: Rows of one table; more rules are several tables.
ROWS = 1_000
MOST_ROWS = 5_000  # of one table


def as_facts(event: Event) -> Facts:
    # Named as tickets.store names them.
    state = {CUSTOM_NAMES[key]: event[key] for key in _TYPES if event.get(key, "") != ""}
    changes = {CUSTOM_NAMES[key]: ["before", event[key] or None] for key in event["changed"]}
    return Facts(
        item={"id": 1, "kind": "ticket", **state, "tags": event["tags"], "subject": event["subject"]},
        event={"id": 1, "kind": "created", "at": _NOW, "actor": "customer", "changes": changes, "payload": {}},
        now=_NOW,
        message={"new_text": event["body"], "author": "customer"},
    )


def as_clause(test: Test) -> dict[str, Any]:
    name, op, value = test
    clause = {"field": _KEYS.get(name, f"ticket.fields.{name}"), "op": op}
    return clause if value is None else {**clause, "value": value}


def as_table(number: int, rules: Sequence[Rule]) -> dict[str, Any]:
    """Rules as rows of one table that gives the ticket the name of each rule that matches."""
    names = [*PICKS, "assignee", *NUMBERS, "vip", "tags", "subject", "body"]
    rows = []
    for rule in rules:
        cells: dict[str, Any] = {}
        groups: list[dict[str, Any]] = []
        for part in rule["all"]:
            if isinstance(part, dict):
                groups.append({"any": [as_clause(test) for test in part["any"]]})
            elif part[0] in cells:
                groups.append({"all": [as_clause(part)]})
            else:
                clause = as_clause(part)
                cells[part[0]] = {key: value for key, value in clause.items() if key != "field"}
        then = {"out": {"field": "fields.outcome", "value": f"r{rule['id']}"}}
        rows.append({"id": f"r{rule['id']}", "if": cells, "groups": groups, "then": then})
    return {
        "code": f"T{number}",
        "name": f"T{number}",
        "triggers": [{"on": "created"}],
        "hit": "every",
        "columns": [{"id": name, "field": _KEYS.get(name, f"ticket.fields.{name}")} for name in names],
        "steps": [{"id": "out", "do": "set_field"}],
        "rows": rows,
    }


def compiled(tables: Sequence[Mapping[str, Any]], desk: Vocabulary = DESK, **how: Any) -> RuleSet:
    parsed = [parse_table(one, desk) for one in tables]
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(parsed)]
    return compile_ruleset(1, entries, desk, **how)


def deciding(ruleset: RuleSet) -> Match:
    return lambda facts: decide(ruleset, facts, effects_left=1_000_000)


def ours(rules: Sequence[Rule], rows: int = ROWS, **how: Any) -> Match:
    tables = [as_table(at, rules[begin : begin + rows]) for at, begin in enumerate(range(0, len(rules), rows))]
    return deciding(compiled(tables, **how))


def our_ids(decision: Any) -> list[int]:
    return [int(key.partition("/r")[2]) for key in decision.fired]


def floor(rules: Sequence[Rule]) -> Match:
    """What no engine can do without: read each field once, and look once through the texts for the keywords."""
    keywords: dict[str, set[str]] = {"subject": set(), "body": set()}
    for test in itertools.chain.from_iterable(
        part["any"] if isinstance(part, dict) else [part] for rule in rules for part in rule["all"]
    ):
        if test[0] in keywords:
            keywords[test[0]].update(test[2])
    fields = [f"fields.{name}" for name in _TYPES] + ["tags"]

    def match(facts: Facts) -> list[set[str]]:
        values = [facts.item.get(name) for name in fields]
        assert values
        assert facts.message is not None
        texts = (("subject", facts.item.get("subject")), ("body", facts.message.get("new_text")))
        return [keywords[name].intersection(words_of(fold(str(text)))) for name, text in texts]

    return match


# Shapes of rule lists ---------------------------------------------------------------------------------------------


def staging(rules: Sequence[Rule], rows: int) -> RuleSet:
    """The rules in tables of so many rows; a fifth write a field that another fifth read."""
    tables = []
    for at, begin in enumerate(range(0, len(rules), rows)):
        table = as_table(at, rules[begin : begin + rows])
        table["columns"].append({"id": "phase", "field": "ticket.fields.phase", "op": "is_not"})
        for number, row in enumerate(table["rows"], begin):
            if number % 5 == 0:
                row["then"]["out"] = {"field": "fields.phase", "value": f"s{number % 50}"}
            elif number % 5 == 1:
                row["if"]["phase"] = {"op": "is_not", "value": f"s{number * 7 % 50}"}
        tables.append(table)
    return compiled(tables)


ASKED = [
    *[name for name in PICKS if name not in CHANGING][:5],
    *NUMBERS,
]  # ten fields, each the answer of a lookup of its own


def asking(rules: Sequence[Rule]) -> RuleSet:
    """The same rules with ten of the fields being answers of lookups, decided without the unknown ones."""
    lookups = {}
    for name in ASKED:
        answer = {"value": FieldSpec(name, _TYPES[name])}
        lookups[f"crm.{name}"] = LookupSpec("crm", name, name, {"id": "Id"}, {"id": "ticket.id"}, answer)
    desk = replace(DESK, lookups=lookups)

    def asked(name: str) -> str:
        return f"crm.{name}.value" if name in ASKED else _KEYS.get(name, f"ticket.fields.{name}")

    tables = []
    for at, begin in enumerate(range(0, len(rules), ROWS)):
        table = as_table(at, rules[begin : begin + ROWS])
        for column in table["columns"]:
            column["field"] = asked(column["id"])
        for row in table["rows"]:
            for group in row["groups"]:
                for clause in itertools.chain.from_iterable(group.values()):
                    name = clause["field"].removeprefix("ticket.fields.")
                    if name in ASKED and not clause["op"].startswith("changed"):
                        clause["field"] = asked(name)
        tables.append({**table, "wait_s": 0})
    return compiled(tables, desk)


def with_answers(event: Event, at: int, unknown: bool) -> Facts:
    """The facts of an event with its lookups answered, one in ten of them not when `unknown`."""
    facts = as_facts(event)
    answers: dict[str, Any] = {
        f"crm.{name}": {"state": "known", "data": {"value": event[name]}, "fetched_at": _NOW}
        for place, name in enumerate(ASKED)
        if not unknown or place != at % len(ASKED)
    }
    return replace(facts, lookups=answers)


# Measuring -----------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rules", type=Path, help="a workload from outside: its rules, as JSON")
    parser.add_argument("--events", type=Path, help="and its events, as JSON")
    options = parser.parse_args()
    if (options.rules is None) != (options.events is None):
        parser.error("--rules and --events go together")
    have_peers()
    if options.rules is None:
        events = some_events(EVENTS)
        all_rules, sizes = some_rules(max(SIZES), events[:SAMPLE]), list(SIZES)
    else:
        events = json.loads(options.events.read_text())[:EVENTS]
        all_rules = [{**rule, "id": at} for at, rule in enumerate(json.loads(options.rules.read_text())[: max(SIZES)])]
        sizes = sorted({*(one for one in SIZES if one < len(all_rules)), len(all_rules)})
    figures: list[Figure] = []
    costs: dict[str, dict[int, float]] = {}
    for size in sizes:
        figures += beside_the_others(all_rules[:size], events, costs, targets=options.rules is None)
    for name, by_size in costs.items():
        for small, large in itertools.pairwise(by_size):
            growth = math.log(by_size[large] / by_size[small]) / math.log(large / small)
            figures.append(Figure(f"{name}: growth exponent {small} to {large}", growth, "", "lower", "budget"))
    if options.rules is None:
        figures += shapes(all_rules, events)
    return finish(figures, options.json)


def beside_the_others(
    rules: Sequence[Rule],
    events: Sequence[Event],
    costs: dict[str, dict[int, float]],
    *,
    targets: bool,
) -> list[Figure]:
    size = len(rules)
    print(f"{size} rules")
    of_facts = facts_of(events)
    engines = {
        "ours": Engine(ours(rules), of_facts, our_ids),
        "plain interpreter": Engine(plain(rules), events.__getitem__, list),
    }
    for name, (make, form) in PEERS.items():
        began = time.process_time()
        try:
            engines[name] = Engine(make(rules), taking(form, events), list)
        except ImportError as error:
            print(f"    {name:24} is not here: {error}")
        if time.process_time() - began > SLOW_BUILD_S:
            print(f"    {name:24} took {time.process_time() - began:.1f} s to build")
    counts = agree(engines, len(events))
    all_of_them = {**engines, "floor": Engine(floor(rules), of_facts, list)}
    us = medians(measure(all_of_them, {**counts, "floor": counts["ours"]}))
    best = min(cost for name, cost in us.items() if name in PEERS)
    near = [name for name in PEERS if us.get(name, math.inf) <= best * NEAR_THE_BEST]
    two = {name: engines[name] for name in ("ours", *near)}
    events_each = min(counts[name] for name in two)
    for name, cost in us.items():
        print(f"    {name:24} {cost:10.1f} us an event")
        costs.setdefault(name, {})[size] = cost
    wanted = TARGETS.get(size) if targets else None
    most = FLOOR_TARGETS.get(size) if targets else None
    closely = measure(two, dict.fromkeys(two, events_each), rounds=rounds_for(us, two, events_each))
    ratio = min(times(closely, name, "ours") for name in near)
    cold: list[Figure] = []
    if size <= COLD_TO_RULES:
        before = measure(two, counts, batch=len(events), rounds=SHAPE_ROUNDS)
        least = min(times(before, name, "ours") for name in near)
        cold = [Figure(f"{size} rules: best peer / ours, all events made before", least, "times", "higher", "ratio")]
    return [
        Figure(f"{size} rules: ours", us["ours"], "us/event", "lower", "budget"),
        Figure(f"{size} rules: best peer / ours", ratio, "times", "higher", "ratio", wanted),
        *cold,
        Figure(f"{size} rules: ours / floor", us["ours"] / us["floor"], "times", "lower", "ratio", most),
        Figure(f"{size} rules: interpreter / ours", us["plain interpreter"] / us["ours"], "times", "higher", "ratio"),
    ]


def facts_of(events: Sequence[Event]) -> Callable[[int], Facts]:
    return lambda at: as_facts(events[at])


def taking(form: Callable[[Event], Any], events: Sequence[Event]) -> Callable[[int], Any]:
    return lambda at: form(events[at])


def shapes(all_rules: Sequence[Rule], events: Sequence[Event]) -> list[Figure]:
    """One list in other shapes, unknown answers, and the budgets."""
    of_facts = facts_of(events)
    many = staging(all_rules, 1), staging(all_rules, MOST_ROWS)
    taken = measure(
        {name: Engine(deciding(one), of_facts, our_ids) for name, one in zip(("tables", "table"), many, strict=True)},
        dict.fromkeys(("tables", "table"), TABLES_EVENTS),
        rounds=SHAPE_ROUNDS,
    )
    size = len(all_rules)
    name = f"{size} one-row tables / two tables"
    figures = [Figure(name, times(taken, "tables", "table"), "times", "lower", "ratio", TABLES_TARGET)]
    by_answers = asking(all_rules[:1_000])
    asked: dict[str, Callable[[int], Facts]] = {
        "known": lambda at: with_answers(events[at], at, False),
        "unknown": lambda at: with_answers(events[at], at, True),
    }
    taken = measure(
        {name: Engine(deciding(by_answers), takes, our_ids) for name, takes in asked.items()},
        dict.fromkeys(asked, ASKING_EVENTS),
        rounds=SHAPE_ROUNDS,
    )
    name = "1000 rules: a tenth of the lookups unknown / all known"
    figures.append(Figure(name, times(taken, "unknown", "known"), "times", "lower", "ratio", UNKNOWN_TARGET))
    table = as_table(0, all_rules[:100])
    entry = Entry("T0", "T0", 1, 0, table=parse_table(table, DESK))
    facts = [as_facts(event) for event in events[:500]]
    began = time.process_time()
    for one in facts[:50]:
        explain(entry, one, DESK)
    explain_us = (time.process_time() - began) / 50 / 100 * 1e6
    figures.append(Figure("explain, per row and event", explain_us, "us", "lower", "budget", EXPLAIN_US))
    replay = deciding(compiled([table]))
    began = time.process_time()
    for one in facts[:500]:
        replay(one)
    replayed = time.process_time() - began
    figures.append(Figure("replay 500 events by 100 rules", replayed, "s", "lower", "budget", REPLAY_S))
    began = time.process_time()
    for one in facts[:500]:
        replay(one).trace.to_json()
    told = time.process_time() - began
    figures.append(Figure("the same, with the trace as it is stored", told, "s", "lower", "budget"))
    tables = [as_table(at, all_rules[begin : begin + ROWS]) for at, begin in enumerate(range(0, size, ROWS))]
    entries = [Entry(one["code"], one["name"], 1, at, table=parse_table(one, DESK)) for at, one in enumerate(tables)]
    began = time.process_time()
    compile_ruleset(1, entries, DESK)
    figures.append(Figure(f"compile {size} rules", time.process_time() - began, "s", "lower", "budget", COMPILE_S))
    generated = deciding(compiled([table], index_from=NO_INDEX)), deciding(compiled([table], index_from=0))
    names = ("generated", "index")
    taken = measure(
        {name: Engine(one, of_facts, our_ids) for name, one in zip(names, generated, strict=True)},
        dict.fromkeys(names, ASKING_EVENTS),
        rounds=SHAPE_ROUNDS,
    )
    name = "100 rules: index / generated code"
    figures.append(Figure(name, times(taken, "index", "generated"), "times", "higher", "ratio"))
    return figures


def agree(engines: Mapping[str, Engine], events: int) -> dict[str, int]:
    """How many events each engine does in one round, once all say the same about as many as time allows."""
    counts = {}
    wanted: list[list[int]] = []
    for name, (match, takes, ids) in engines.items():
        began, done = time.process_time(), 0
        while done < events and (done < 40 or time.process_time() - began < AGREE_S):
            said = ids(match(takes(done)))
            if done < len(wanted):
                assert said == wanted[done], f"{name} says otherwise about event {done}: {said} and {wanted[done]}"
            else:
                wanted.append(said)
            done += 1
        each_s = (time.process_time() - began) / done
        counts[name] = max(5, min(events, int(ROUND_S / each_s)))
    return counts


#: Microseconds of CPU time an event, round by round, by the engine.
Taken: TypeAlias = Mapping[str, Sequence[float]]


def measure(
    engines: Mapping[str, Engine], counts: Mapping[str, int], batch: int = BATCH, rounds: int = ROUNDS
) -> Taken:
    """What so many events take each engine; so many are made at a time, and matched right then.

    They take turns batch by batch, forwards and backwards: a round of each by itself lasts longer than the machine
    stays as it is."""
    taken = {name: [0.0] * rounds for name in engines}
    turns = [*engines.items()]
    for number in range(rounds):
        turns.reverse()  # batches are even in number
        for begin in range(0, max(counts[name] for name in engines), batch):
            turns.reverse()
            for name, (match, takes, _ids) in turns:
                some = [takes(at) for at in range(begin, min(counts[name], begin + batch))]
                began = time.process_time()
                for one in some:
                    match(one)
                taken[name][number] += (time.process_time() - began) / counts[name] * 1e6
    return taken


def medians(taken: Taken) -> dict[str, float]:
    return {name: statistics.median(rounds) for name, rounds in taken.items()}


def times(taken: Taken, one: str, other: str) -> float:
    """How many times as long as the other this one takes: round by round, and of that the median."""
    return statistics.median(a / b for a, b in zip(taken[one], taken[other], strict=True))


def rounds_for(us: Mapping[str, float], engines: Iterable[str], events: int) -> int:
    """How often these engines may take their turn at so many events, by what one takes them."""
    least, most = CLOSELY_ROUNDS
    return max(least, min(most, int(CLOSELY_S / (events * sum(us[name] for name in engines) / 1e6))))


if __name__ == "__main__":
    sys.exit(main())
