"""./run bench rules: deciding an event by 10 to 10 000 rules, beside two rule engines and a plain interpreter.

The timed call of ours is what production calls: `rules.engine.decide`, with unknowns, staging, effects and trace. The
others only say which rules match. All must say the same before anything is timed. CPU time, interleaved, medians.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rules.engine import NO_INDEX, Entry, compile_ruleset, decide
from rules.facts import Facts
from rules.parse import parse_table
from rules.vocabulary import Vocabulary
from tests.bench.report import Figure, arguments, finish
from tickets.item import FieldType, StateField

SIZES = (10, 100, 1_000, 10_000)
EVENTS = 2_000
ROUNDS = 5
#: Events by which rules are made, so that they match often enough and not too often.
SAMPLE = 400
#: CPU seconds that one engine may take for one round, and for showing that it agrees.
ROUND_S, AGREE_S = 0.4, 2.0
#: How many times faster than the best of the others ours must be, by the number of rules; and than without its index.
TARGETS: Mapping[int, float] = {1_000: 4.0, 10_000: 8.0}
INDEX_TARGETS: Mapping[int, float] = {100: 1.5, 1_000: 2.0, 10_000: 2.0}
ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("rules_peers.lock.txt")

Event = dict[str, Any]
Test = list[Any]  # [field, operator, value]
Rule = dict[str, Any]  # {"id", "all": [Test | {"any": [Test]}]}
Match = Callable[[Any], Any]

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


def holds(event: Event, test: Test) -> bool:
    """The plain interpreter's one comparison."""
    name, op, value = test
    there = event["tags"] if name == "tags" else event[name]
    match op:
        case "is":
            return bool(there == value)
        case "is_not":
            return bool(there != value)
        case "any_of":
            return there in value
        case "greater":
            return bool(there > value)
        case "less":
            return bool(there < value)
        case "contains_any" | "has_any":
            return any(one in there for one in value)
        case "contains_none" | "has_none":
            return not any(one in there for one in value)
        case "has_all":
            return all(one in there for one in value)
        case "empty":
            return not there
        case "changed":
            return name in event["changed"]
        case "changed_to":
            return name in event["changed"] and there == value
    raise AssertionError(op)


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
    **dict.fromkeys((*PICKS, "assignee", "outcome"), FieldType.CHOICE),
    **dict.fromkeys(NUMBERS, FieldType.NUMBER),
    "vip": FieldType.BOOL,
}
DESK = Vocabulary(custom_fields={key: StateField(key, key.capitalize(), type) for key, type in _TYPES.items()})
_KEYS = {"tags": "ticket.tags", "subject": "ticket.subject", "body": "message.text"}
_NOW = "2026-11-21T09:31:00.000000+00:00"
#: Rows of one table; more rules are several tables.
ROWS = 1_000


def as_facts(event: Event) -> Facts:
    state = {f"fields.{key}": event[key] for key in _TYPES if event.get(key, "") != ""}
    changes = {f"fields.{key}": ["before", event[key] or None] for key in event["changed"]}
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


def ours(rules: Sequence[Rule], **how: Any) -> Match:
    tables = [as_table(at, rules[begin : begin + ROWS]) for at, begin in enumerate(range(0, len(rules), ROWS))]
    entries = [Entry(one["code"], one["name"], 1, at, table=parse_table(one, DESK)) for at, one in enumerate(tables)]
    ruleset = compile_ruleset(1, entries, DESK, **how)
    return lambda facts: decide(ruleset, facts, effects_left=1_000_000)


def our_ids(decision: Any) -> list[int]:
    return [int(key.partition("/r")[2]) for key in decision.fired]


# The others, each in its best use -----------------------------------------------------------------------------------


def plain(rules: Sequence[Rule]) -> Match:
    def match(event: Event) -> list[int]:
        found = []
        for rule in rules:
            for part in rule["all"]:
                if isinstance(part, dict):
                    if not any(holds(event, test) for test in part["any"]):
                        break
                elif not holds(event, part):
                    break
            else:
                found.append(rule["id"])
        return found

    return match


#: Cheap comparisons first, as an author would write them.
_COST = [
    "is",
    "any_of",
    "empty",
    "is_not",
    "greater",
    "less",
    "changed",
    "changed_to",
    "has_any",
    "has_all",
    "has_none",
]


def _cheap_first(rule: Rule) -> list[Any]:
    return sorted(
        rule["all"],
        key=lambda part: 50 if isinstance(part, dict) else _COST.index(part[1]) if part[1] in _COST else 60,
    )


def json_logic(rule: Rule) -> dict[str, Any]:
    def one(test: Test) -> dict[str, Any]:
        name, op, value = test
        there = {"var": name}
        match op:
            case "is":
                return {"==": [there, value]}
            case "is_not":
                return {"!=": [there, value]}
            case "any_of":
                return {"in": [there, value]}
            case "greater":
                return {">": [there, value]}
            case "less":
                return {"<": [there, value]}
            case "has_all":
                return {"and": [{"in": [tag, there]} for tag in value]}
            case "empty":
                return {"==": [there, ""]}
            case "changed":
                return {"in": [name, {"var": "changed"}]}
            case "changed_to":
                return {"and": [{"in": [name, {"var": "changed"}]}, {"==": [there, value]}]}
        some = {"or": [{"in": [word, there]} for word in value]} if len(value) > 1 else {"in": [value[0], there]}
        return some if op in ("contains_any", "has_any") else {"!": [some]}

    return {
        "and": [
            {"or": [one(test) for test in part["any"]]} if isinstance(part, dict) else one(part)
            for part in _cheap_first(rule)
        ]
    }


def datalogic(rules: Sequence[Rule]) -> Match:
    """datalogic-py: one rule that is the list of all, asked with a parsed document."""
    import datalogic_py

    engine = datalogic_py.Engine()
    session, compiled = engine.session(), engine.compile([json_logic(rule) for rule in rules])

    def match(text: str) -> list[int]:
        said = session.evaluate_data(compiled, datalogic_py.DataHandle(text))
        return [at for at, one in enumerate(said) if one is True]

    return match


def zen_expression(rule: Rule) -> str:
    def one(test: Test) -> str:
        name, op, value = test
        match op:
            case "is":
                return name if value is True else f"{name} == {json.dumps(value)}"
            case "is_not":
                return f"{name} != {json.dumps(value)}"
            case "any_of":
                return f"{name} in {json.dumps(value)}"
            case "greater" | "less":
                return f"{name} {'>' if op == 'greater' else '<'} {value}"
            case "empty":
                return f'{name} == ""'
            case "changed":
                return f'contains(changed, "{name}")'
            case "changed_to":
                return f'(contains(changed, "{name}") and {name} == {json.dumps(value)})'
        joined = (" and " if op == "has_all" else " or ").join(
            f"contains({name}, {json.dumps(word)})" for word in value
        )
        return f"({joined})" if op in ("contains_any", "has_any", "has_all") else f"not ({joined})"

    return " and ".join(
        "(" + " or ".join(one(test) for test in part["any"]) + ")" if isinstance(part, dict) else one(part)
        for part in _cheap_first(rule)
    )


def zen_list(rules: Sequence[Rule]) -> Match:
    """zen-engine: compiled expressions, each the list of 250 rules."""
    import zen

    parts = []
    for begin in range(0, len(rules), 250):
        listed = ",".join(f"({zen_expression(rule)})" for rule in rules[begin : begin + 250])
        parts.append((begin, zen.compile_expression(f"[{listed}]")))

    def match(event: Event) -> list[int]:
        return [begin + at for begin, part in parts for at, one in enumerate(part.evaluate(event)) if one]

    return match


def have_peers() -> None:
    """Put the other engines where Python finds them: from a hash lock, in a folder of their own."""
    folder = ROOT / ".tools" / "bench" / f"rules-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = folder / "installed"
    lock = LOCK.read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        with_uv = importlib.util.find_spec("uv") is not None
        tool = ["uv", "pip", "install", "--python", sys.executable] if with_uv else ["pip", "install"]
        command = [
            sys.executable,
            "-m",
            *tool,
            "--require-hashes",
            "--no-deps",
            "--target",
            str(folder),
            "-r",
            str(LOCK),
        ]
        subprocess.run(command, check=True, timeout=600)
        stamp.write_text(lock)
    sys.path.append(str(folder))


# Measuring -----------------------------------------------------------------------------------------------------------


def main() -> int:
    options = arguments(__doc__ or "").parse_args()
    have_peers()
    events = some_events(EVENTS)
    all_rules = some_rules(max(SIZES), events[:SAMPLE])
    facts, texts = [as_facts(event) for event in events], [json.dumps(event) for event in events]
    figures: list[Figure] = []
    for size in SIZES:
        rules = all_rules[:size]
        print(f"{size} rules")
        began = time.process_time()
        engines: dict[str, tuple[Match, Sequence[Any], Callable[[Any], list[int]]]] = {
            "ours": (ours(rules), facts, our_ids)
        }
        built_s = time.process_time() - began
        engines |= {
            "ours, row by row": (ours(rules, index_from=NO_INDEX), facts, our_ids),
            "datalogic-py": (datalogic(rules), texts, list),
            "zen-engine": (zen_list(rules), events, list),
            "plain interpreter": (plain(rules), events, list),
        }
        counts = agree(engines)
        us = measure(engines, counts)
        best = min(us[name] for name in ("datalogic-py", "zen-engine"))
        for name, cost in us.items():
            print(f"    {name:20} {cost:10.1f} us an event")
        figures.append(Figure(f"{size} rules: ours", us["ours"], "us/event", "lower", "budget"))
        figures.append(Figure(f"{size} rules: parse and compile", built_s, "s", "lower", "budget"))
        figures.append(
            Figure(f"{size} rules: best peer / ours", best / us["ours"], "times", "higher", "ratio", TARGETS.get(size))
        )
        figures.append(
            Figure(
                f"{size} rules: row by row / ours",
                us["ours, row by row"] / us["ours"],
                "times",
                "higher",
                "ratio",
                INDEX_TARGETS.get(size),
            )
        )
        figures.append(
            Figure(
                f"{size} rules: plain interpreter / ours",
                us["plain interpreter"] / us["ours"],
                "times",
                "higher",
                "ratio",
            )
        )
    return finish(figures, options.json)


def agree(engines: Mapping[str, tuple[Match, Sequence[Any], Callable[[Any], list[int]]]]) -> dict[str, int]:
    """How many events each engine does in one round, once all say the same about as many as time allows."""
    counts = {}
    wanted: list[list[int]] = []
    for name, (match, inputs, ids) in engines.items():
        began, done = time.process_time(), 0
        while done < len(inputs) and (done < 40 or time.process_time() - began < AGREE_S):
            said = ids(match(inputs[done]))
            if done < len(wanted):
                assert said == wanted[done], f"{name} says otherwise about event {done}: {said} and {wanted[done]}"
            else:
                wanted.append(said)
            done += 1
        each_s = (time.process_time() - began) / done
        counts[name] = max(5, min(len(inputs), int(ROUND_S / each_s)))
    return counts


def measure(
    engines: Mapping[str, tuple[Match, Sequence[Any], Callable[[Any], list[int]]]], counts: Mapping[str, int]
) -> dict[str, float]:
    """Microseconds of CPU time an event, the median of interleaved rounds."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, (match, inputs, _ids) in engines.items():
            some = inputs[: counts[name]]
            began = time.process_time()
            for one in some:
                match(one)
            taken[name].append((time.process_time() - began) / len(some) * 1e6)
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    sys.exit(main())
