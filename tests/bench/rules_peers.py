"""The rule engines that ./run bench rules compares with, each in its best use, and a plain interpreter.

A rule is {"id", "all": [test | {"any": [test]}]}, a test is [field, operator, value]; each maker takes the rules and
returns what says which of them match one event, in the form that the engine takes (`forms`).
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Test = list[Any]
Rule = dict[str, Any]
Match = Callable[[Any], Any]
ROOT = Path(__file__).parents[2]
LOCK = Path(__file__).with_name("rules_peers.lock.txt")


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


def zen_table(rules: Sequence[Rule]) -> Match:
    """zen-engine: one decision table, loaded once, so that its own column index is on."""
    import zen

    names = sorted({part[0] for rule in rules for part in rule["all"] if not isinstance(part, dict)} | {"changed"})
    columns = [{"id": f"c_{name}", "name": name, "field": name} for name in names]
    columns.append({"id": "x", "name": "x", "field": ""})
    rows = []
    for rule in rules:
        cells: dict[str, str] = {}
        more: list[str] = []
        for part in rule["all"]:
            if isinstance(part, dict) or part[0] in cells or part[1] not in ("is", "any_of", "greater", "less"):
                more.append(zen_expression({"all": [part]}))
                continue
            name, op, value = part
            cells[name] = {
                "is": json.dumps(value),
                "any_of": ", ".join(json.dumps(one) for one in value) if op == "any_of" else "",
                "greater": f"> {value}",
                "less": f"< {value}",
            }[op]
        row = {f"c_{name}": cell for name, cell in cells.items()} | ({"x": " and ".join(more)} if more else {})
        rows.append({"_id": str(rule["id"]), "o": str(rule["id"]), **row})
    outputs = [{"id": "o", "name": "id", "field": "id"}]
    table = {"hitPolicy": "collect", "inputs": columns, "outputs": outputs, "rules": rows}
    at = {"x": 0, "y": 0}
    nodes = [
        {"id": "in", "name": "in", "type": "inputNode", "position": at},
        {"id": "t", "name": "t", "type": "decisionTableNode", "position": at, "content": table},
        {"id": "out", "name": "out", "type": "outputNode", "position": at},
    ]
    edges = [
        {"id": "e1", "sourceId": "in", "targetId": "t", "type": "edge"},
        {"id": "e2", "sourceId": "t", "targetId": "out", "type": "edge"},
    ]
    engine = zen.ZenEngine({"loader": {"type": "static", "content": {"t": {"nodes": nodes, "edges": edges}}}})

    def match(event: Event) -> list[int]:
        return [int(one["id"]) for one in engine.evaluate("t", event)["result"] or []]

    return match


def cel_expression(rule: Rule) -> str:
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
                return f"{name} {'>' if op == 'greater' else '<'} {float(value)}"
            case "empty":
                return f'{name} == ""'
            case "changed":
                return f'"{name}" in changed'
            case "changed_to":
                return f'("{name}" in changed && {name} == {json.dumps(value)})'
        each = [
            f"{json.dumps(one)} in {name}" if name == "tags" else f"{name}.contains({json.dumps(one)})" for one in value
        ]
        joined = (" && " if op == "has_all" else " || ").join(each)
        return f"({joined})" if op in ("contains_any", "has_any", "has_all") else f"!({joined})"

    return " && ".join(
        "(" + " || ".join(one(test) for test in part["any"]) + ")" if isinstance(part, dict) else one(part)
        for part in _cheap_first(rule)
    )


def cel_list(rules: Sequence[Rule]) -> Match:
    """CEL (common-expression-language): compiled programs, each the list of 250 rules."""
    import cel

    parts = []
    for begin in range(0, len(rules), 250):
        listed = ",".join(cel_expression(rule) for rule in rules[begin : begin + 250])
        parts.append((begin, cel.compile(f"[{listed}]").execute))

    def match(event: Event) -> list[int]:
        return [begin + at for begin, part in parts for at, one in enumerate(part(event)) if one]

    return match


def cel_event(event: Event) -> Event:
    """CEL has no comparison of whole numbers with others."""
    return {
        key: float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        for key, value in event.items()
    }


_SLOTS = "channel department priority status type tier language region product assignee subject body".split()
_SLOTS += "replies age_hours reopens order_value csat vip".split()


def clips_rules(rules: Sequence[Rule]) -> Match:
    """clipspy: one rule each on one fact, what fits in its pattern, the rest as tests; Rete shares the patterns."""
    import clips

    environment = clips.Environment()
    slots = " ".join(f"(slot {name})" for name in _SLOTS)
    environment.build(f"(deftemplate t {slots} (multislot tags) (multislot changed))")
    for rule in rules:
        environment.build(_clips_rule(rule))
    template = environment.find_template("t")

    def match(event: Event) -> list[int]:
        fact = template.assert_fact(**event)
        found = sorted(int(one.name[1:]) for one in environment.activations())
        fact.retract()
        return found

    return match


def _clips_rule(rule: Rule) -> str:
    fixed: dict[str, str] = {}
    tests: list[str] = []
    used: set[str] = set()
    for part in _cheap_first(rule):
        if not isinstance(part, dict) and part[0] not in fixed:
            name, op, value = part
            said = {
                "is": "TRUE" if value is True else json.dumps(value),
                "any_of": "|".join(json.dumps(one) for one in value) if op == "any_of" else "",
                "is_not": f"~{json.dumps(value)}",
                "empty": '""',
            }.get(op)
            if said is not None:
                fixed[name] = said
                continue
        members = part["any"] if isinstance(part, dict) else [part]
        said = " ".join(_clips_test(one) for one in members)
        tests.append(f"(test (or {said}))" if len(members) > 1 else f"(test {said})")
        for name, op, _ in members:
            used |= {"changed", name} if op == "changed_to" else {"changed"} if op == "changed" else {name}
    pattern = ""
    for name in (*_SLOTS, "tags", "changed"):
        bound = (f"$?{name}" if name in ("tags", "changed") else f"?{name}") if name in used else ""
        both = "&".join(one for one in (bound, fixed.get(name, "")) if one)
        pattern += f" ({name} {both})" if both else ""
    return f"(defrule r{rule['id']} (t{pattern}) {' '.join(tests)} => )"


def _clips_test(test: Test) -> str:
    name, op, value = test
    there = f"?{name}"
    match op:
        case "is":
            return f"(eq {there} TRUE)" if value is True else f"(eq {there} {json.dumps(value)})"
        case "is_not":
            return f"(neq {there} {json.dumps(value)})"
        case "any_of":
            return "(or " + " ".join(f"(eq {there} {json.dumps(one)})" for one in value) + " FALSE)"
        case "greater" | "less":
            return f"({'>' if op == 'greater' else '<'} {there} {value})"
        case "empty":
            return f'(eq {there} "")'
        case "changed":
            return f'(neq FALSE (member$ "{name}" ?changed))'
        case "changed_to":
            return f'(and (neq FALSE (member$ "{name}" ?changed)) (eq {there} {json.dumps(value)}))'
    find = "(neq FALSE (member$ {0} ?tags))" if name == "tags" else "(neq FALSE (str-index {0} " + there + "))"
    each = " ".join(find.format(json.dumps(one)) for one in value)
    if op == "has_all":
        return f"(and {each} TRUE)"
    return f"(or {each} FALSE)" if op in ("contains_any", "has_any") else f"(not (or {each} FALSE))"


def _as_json(event: Event) -> str:
    return json.dumps(event)


#: Name -> maker, and what the engine takes. Turning the event into that is not charged to it.
PEERS: Mapping[str, tuple[Callable[[Sequence[Rule]], Match], Callable[[Event], Any]]] = {
    "datalogic-py": (datalogic, _as_json),
    "zen-engine, expressions": (zen_list, dict),
    "zen-engine, table": (zen_table, dict),
    "clipspy": (clips_rules, dict),
    "CEL": (cel_list, cel_event),
}


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
