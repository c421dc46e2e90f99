"""A naive evaluator of rule lists. It works on the tables as data, knows nothing of the engine and takes no short cuts:
whether an answer matters is found by trying every answer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from rules.facts import Facts

#: Which lookup answers which fields, and which fields are of which sort here.
LOOKUPS = {
    "erp.find_party.receivable": ("erp.find_party", "receivable"),
    "erp.find_party.tier": ("erp.find_party", "tier"),
    "crm.get_account.vip": ("crm.get_account", "vip"),
    "crm.get_account.score": ("crm.get_account", "score"),
}
MISSING = object()
#: The named lists of the desk in tests/rules/desk.py.
LISTS = {"WRITTEN": ["email", "form"], "MONEY": ["refund", "no refund-42"], "NOBODY": []}
NEGATIVE = {"is_not", "none_of", "empty", "contains_none", "has_none"}


@dataclass
class Unknown:
    """A cell that cannot be decided: by which lookup, whether its answer is on its way, or by an error."""

    lookup: str = ""
    coming: bool = False
    error: bool = False


@dataclass
class Said:
    """What the naive evaluator says about a list."""

    fired: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    wait: tuple[str, frozenset[str]] | None = None
    skipped: list[tuple[str, bool]] = field(default_factory=list)
    ended: str = ""


def value_of(key: str, facts: Facts, state: Mapping[str, Any]) -> Any:
    if key in LOOKUPS:
        name, path = LOOKUPS[key]
        answer = facts.lookups.get(name)
        if answer is not None and answer["state"] == "known":
            value = answer["data"].get(path)  # type: ignore[union-attr]
            return MISSING if value is None else value
        if answer is not None and answer["state"] == "missing":
            return MISSING
        person = (facts.customer or {}).get("email" if name == "erp.find_party" else "name")
        if not person:
            return MISSING
        return Unknown(name, coming=answer is None or answer["state"] == "asked")
    if key == "message.text":
        return MISSING if facts.message is None else facts.message.get("new_text") or MISSING
    if key.startswith("sla."):
        return facts.clock.get(key.removeprefix("sla.")) or MISSING
    value = state.get(key.removeprefix("ticket."))
    return MISSING if value in (None, "", []) else value


def same_text(text: str) -> str:
    return " ".join(text.lower().replace("é", "e").split())


def holds(op: str, value: Any, operand: Any, sort: str) -> bool | Unknown:
    """One comparison of a known value; an `Unknown` when it makes no sense."""
    if op in ("empty", "not_empty"):
        return op == "not_empty"
    if sort == "number":
        try:
            value = Decimal(str(value))
        except ArithmeticError:
            return Unknown(error=True)
        operand = [Decimal(str(one)) for one in operand] if isinstance(operand, list) else Decimal(str(operand or 0))
    if sort == "text":
        value = same_text(value)
        operand = [same_text(one) for one in operand] if isinstance(operand, list) else same_text(operand or "")
    match op:
        case "is":
            return bool(value == operand)
        case "is_not":
            return bool(value != operand)
        case "any_of":
            return value in operand
        case "none_of":
            return value not in operand
        case "greater":
            return bool(value > operand)
        case "greater_or_equal":
            return bool(value >= operand)
        case "less":
            return bool(value < operand)
        case "less_or_equal":
            return bool(value <= operand)
        case "between":
            return bool(operand[0] <= value <= operand[1])
        case "contains_any":
            return any(contains(value, one) for one in operand)
        case "contains_none":
            return not any(contains(value, one) for one in operand)
        case "contains_all":
            return all(contains(value, one) for one in operand)
        case "starts_with":
            return any(value[: len(one)] == one for one in operand)
        case "ends_with":
            return any(value[len(value) - len(one) :] == one for one in operand if len(one) <= len(value))
        case "has_any":
            return any(one in operand for one in value)
        case "has_all":
            return all(one in value for one in operand)
        case "has_none":
            return all(one not in operand for one in value)
    raise AssertionError(op)


def seconds(duration: str) -> int:
    number, unit = duration.split()
    return int(number) * {"min": 60, "h": 3600}[unit]


def age(since: str, now: str) -> float | Unknown:
    try:
        return (datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds()
    except ValueError:
        return Unknown(error=True)


def aged(op: str, age_s: float | Unknown, duration: str) -> bool | Unknown:
    if isinstance(age_s, Unknown):
        return age_s
    return age_s >= seconds(duration) if op == "older_than" else age_s < seconds(duration)


def in_office(op: str, at: str) -> bool | Unknown:
    """Monday to Friday, nine to five in UTC: the one calendar of the desk."""
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return Unknown(error=True)
    return (then.weekday() < 5 and 9 <= then.hour < 17) is (op == "in_working_time")


def contains(text: str, keyword: str) -> bool:
    left = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", keyword) else ""
    right = r"(?![a-z0-9])" if re.search(r"[a-z0-9]$", keyword) else ""
    return re.search(left + re.escape(keyword) + right, text) is not None


def changed(op: str, change: Any, operand: Any, sort: str) -> bool:
    if change is None:
        return False
    before, after = change
    if op == "changed":
        return bool(before != after)
    there, here = (after, before) if op == "changed_to" else (before, after)
    if sort == "set":
        return any(one in (there or []) and one not in (here or []) for one in operand)
    return bool(there != here and there is not None and holds("any_of", there, operand, sort))


def cell_truth(cell: Mapping[str, Any], column: Mapping[str, Any], sort: str, facts: Facts, state: Any) -> Any:
    op = cell.get("op", column["op"])
    operand: Any = cell.get("value")
    if op.startswith("changed"):
        changes = facts.event["changes"]
        assert isinstance(changes, Mapping)
        return changed(op, changes.get(column["field"].removeprefix("ticket.")), operand, sort)
    value = value_of(column["field"], facts, state)
    if isinstance(value, Unknown):
        return value
    if value is MISSING:
        return op in NEGATIVE
    if op == "fresh_within":
        answer = facts.lookups[LOOKUPS[column["field"]][0]]
        return aged(op, age(str(answer["fetched_at"]), facts.now), operand)
    if sort == "time" and op in ("older_than", "newer_than"):
        return aged(op, age(value, facts.now), operand)
    if op in ("in_working_time", "out_of_working_time"):
        return in_office(op, value)
    if op == "matches":
        # Python's own matcher stands in for RE2: for these patterns they mean the same.
        pattern = operand.replace("é", "e").replace("[[:upper:]]", "[a-z]")
        return re.search(pattern, value.replace("é", "e"), re.IGNORECASE) is not None
    return holds(op, value, operand, sort)


def leaf_truth(name: str, cell: Mapping[str, Any], op: str, sorts: Mapping[str, str], facts: Facts, state: Any) -> Any:
    column = {"field": name, "op": op}
    given = cell["value"] if isinstance(cell.get("value"), list) else [cell.get("value")]
    if any(isinstance(one, dict) for one in given):
        expanded: list[Any] = []
        for one in given:
            expanded += LISTS[one["list"]] if isinstance(one, dict) else [one]
        if not expanded:
            # An error in the value is an error all the same.
            asked = cell_truth({"op": "not_empty", "value": None}, column, sorts[name], facts, state)
            changes = op.startswith("changed")
            return asked if isinstance(asked, Unknown) and not changes else op in NEGATIVE
        cell = {**cell, "value": expanded}
    return cell_truth(cell, column, sorts[name], facts, state)


def tree(member: Mapping[str, Any], sorts: Mapping[str, str], facts: Facts, state: Any) -> Any:
    """A clause: True, False or `Unknown`. A group: its kind and its members."""
    if "field" in member:
        return leaf_truth(member["field"], member, member["op"], sorts, facts, state)
    [(kind, members)] = member.items()
    return (kind, [tree(one, sorts, facts, state) for one in members])


def counted(answer: Any, unknown: str, *, waits: bool) -> Any:
    """The answer of a cell whose column says what unknown counts as; an error is never counted as anything."""
    if not isinstance(answer, Unknown) or answer.error or unknown == "wait":
        return answer
    if unknown == "skip":
        return Unknown(answer.lookup)
    return answer if answer.coming and waits else unknown == "match"


def row_tree(
    row: Mapping[str, Any], table: Any, sorts: Mapping[str, str], facts: Facts, state: Any, *, waits: bool
) -> Any:
    members = []
    for column in table["columns"]:
        cell = row["if"].get(column["id"])
        if cell is not None:
            answer = leaf_truth(column["field"], cell, cell.get("op", column["op"]), sorts, facts, state)
            members.append(counted(answer, column.get("unknown", "wait"), waits=waits))
    return ("all", members + [tree(group, sorts, facts, state) for group in row.get("groups", [])])


def kleene(node: Any, answers: Mapping[int, Any]) -> Any:
    """True, False, undecided (-) or failed (!), with these answers for the unknown leaves."""
    if isinstance(node, Unknown):
        return answers.get(id(node), "!" if node.error else "-")
    if isinstance(node, bool):
        return node
    kind, members = node
    said = [kleene(one, answers) for one in members]
    if kind == "all":
        order: list[Any] = [False, "!", "-", True]
    else:
        order = [True, "!", "-", False]
    first = next((one for one in order if any(other is one or other == one for other in said)), order[-1])
    return not first if kind == "none" and isinstance(first, bool) else first


def unknowns(node: Any) -> list[Unknown]:
    """The leaves that keep it undecided: none of those in a group that is decided."""
    if isinstance(node, Unknown):
        return [node]
    if isinstance(kleene(node, {}), bool):
        return []
    return [leaf for one in node[1] for leaf in unknowns(one)]


def becomes(node: Any, never_without: bool) -> list[str]:
    """What a row may still turn out to be: Yes, No, undecided for good (-), or failed (!). Every answer is tried."""
    letters = {True: "Y", False: "N", "-": "-", "!": "!"}
    said = kleene(node, {})
    leaves = unknowns(node)
    # What has failed waits for answers on their way only.
    never_without = never_without and said != "!"
    moving = [leaf for leaf in leaves if leaf.coming or (never_without and not leaf.error)]
    options = set()
    for answers in itertools.product([True, False], repeat=len(moving)):
        options.add(letters[kleene(node, {id(leaf): one for leaf, one in zip(moving, answers, strict=True)})])
    return sorted(options)


def fires(outcomes: tuple[str, ...], keys: list[str], table: Any, free: Any, otherwise: str) -> list[str]:
    """The rows that fire when the rows turn out so."""
    if table["hit"] == "first":
        for outcome, key in zip(outcomes, keys, strict=True):
            if outcome == "Y":
                return [key] if free(key) else []
            if outcome == "!":
                return []
    else:
        hits = [key for outcome, key in zip(outcomes, keys, strict=True) if outcome == "Y"]
        if hits:
            return [key for key in hits if free(key)]
    return [otherwise] if otherwise and free(otherwise) else []


def held_before(tables: list[dict[str, Any]], facts: Facts) -> frozenset[str]:
    """The rows that the ledger holds back: those that fired, by how they are armed again."""
    held = set()
    for table in tables:
        for key, row in [*((row["id"], row) for row in table["rows"]), ("otherwise", table.get("otherwise") or {})]:
            line: Any = facts.ledger.get(f"{table['code']}/{key}")
            how = row.get("rearm", "every_time")
            if line is None or how == "every_time":
                continue
            episode = f"status since {facts.clock['status_since']}"
            if how == "once_per_item":
                again = False
            elif how == "once_per_episode":
                again = episode not in line["episodes"]
            else:
                since = datetime.fromisoformat(facts.now) - datetime.fromisoformat(line["at"])
                again = since.total_seconds() >= seconds(how)
            if not again:
                held.add(f"{table['code']}/{key}")
    return frozenset(held)


def reads(table: Mapping[str, Any]) -> set[str]:
    """The fields of the item that a table looks at, in cells, groups or its scope. "Changed" looks at the event."""

    def of(member: Mapping[str, Any]) -> set[str]:
        if "field" in member:
            return set() if member["op"].startswith("changed") else {member["field"]}
        return {name for one in next(iter(member.values())) for name in of(one)}

    names = {
        column["field"]
        for row in table["rows"]
        for column in table["columns"]
        if column["id"] in row["if"] and not row["if"][column["id"]].get("op", column["op"]).startswith("changed")
    }
    for member in [*table.get("scope", []), *(group for row in table["rows"] for group in row.get("groups", []))]:
        names |= of(member)
    return {name.removeprefix("ticket.") for name in names}


class Naive:
    """One pass over the list."""

    def __init__(
        self, tables: Any, sorts: Any, facts: Facts, held: frozenset[str], wait_over: frozenset[str], only_rows: Any
    ) -> None:
        self.tables, self.sorts, self.facts = tables, sorts, facts
        self.held = held | held_before(tables, facts)
        self.wait_over, self.only_rows = wait_over, only_rows
        self.said = Said(state=dict(facts.item))
        self.writes: list[tuple[int, str]] = []  # (when, field): in the first round its table's place, then counted on
        self.decided: dict[str, int] = {}  # when a table was decided again last
        self.now = len(tables)

    def free(self, key: str) -> bool:
        return key not in self.held and (self.only_rows is None or key in self.only_rows)

    def go(self) -> Said:
        for at, table in enumerate(self.tables):
            code = table["code"]
            keys = [*(f"{code}/{row['id']}" for row in table["rows"])]
            keys += [f"{code}/otherwise"] if table.get("otherwise") is not None else []
            if self.only_rows is not None and not any(key in self.only_rows for key in keys):
                continue
            if not self.covers(table):
                continue
            self.table(table, at)
            if self.said.wait is not None or self.said.ended:
                return self.said
        if self.only_rows is None:
            self.again()
        return self.said

    def covers(self, table: Any) -> bool:
        scope = ("all", [tree(one, self.sorts, self.facts, self.said.state) for one in table.get("scope", [])])
        return kleene(scope, {}) is True

    def again(self) -> None:
        """Those that asked for it, as long as what they read was written since they were decided; five rounds."""
        for _ in range(5):
            some = False
            for at, table in enumerate(self.tables):
                if not table.get("run_again") or not self.wants(at, table):
                    continue
                some = True
                self.now += 1
                self.decided[table["code"]] = self.now
                self.wait_over |= {table["code"]}
                self.held |= set(self.said.fired)
                if self.covers(table):
                    self.table(table, self.now)
                if self.said.ended:
                    return
            if not some:
                return

    def wants(self, at: int, table: Any) -> bool:
        """Whether an entry behind it, or any since it was decided again, wrote what it reads."""
        since = self.decided.get(table["code"], at)
        return any(when > since and name in reads(table) for when, name in self.writes)

    def table(self, table: Any, when: int) -> None:
        said, code = self.said, table["code"]
        keys = [f"{code}/{row['id']}" for row in table["rows"]]
        otherwise = f"{code}/otherwise" if table.get("otherwise") is not None else ""
        waits = table["wait_s"] != 0 and code not in self.wait_over
        truths = [row_tree(row, table, self.sorts, self.facts, said.state, waits=waits) for row in table["rows"]]
        never = table["wait_s"] == "never_without"
        options = [becomes(truth, never) for truth in truths]
        mattering = set()
        for at in range(len(truths)):
            rest = [one if place != at else ["?"] for place, one in enumerate(options)]
            for others in itertools.product(*rest):
                results = set()
                for mine in options[at]:
                    outcome = (*others[:at], mine, *others[at + 1 :])
                    results.add(tuple(fires(outcome, keys, table, self.free, otherwise)))
                if len(results) > 1:
                    mattering.add(at)
        coming = frozenset(one.lookup for at in mattering for one in unknowns(truths[at]) if one.coming)
        if coming and waits:
            said.wait = (code, coming)
            return
        now = tuple({True: "Y", False: "N"}.get(one, one) for one in (kleene(truth, {}) for truth in truths))
        reached = len(now)
        if table["hit"] == "first":
            reached = next((at + 1 for at, one in enumerate(now) if one in "Y!"), len(now))
        for at in range(reached):
            if now[at] in "-!" and self.free(keys[at]):
                said.skipped.append((keys[at], now[at] == "!"))
        if never and mattering:
            return
        by_key = dict(zip(keys, table["rows"], strict=True))
        said.ended = next((keys[at] for at in range(reached) if now[at] == "Y" and by_key[keys[at]].get("stop")), "")
        for key in fires(now, keys, table, self.free, otherwise):
            said.fired.append(key)
            before = dict(said.state)
            do(by_key[key]["then"] if key in by_key else table["otherwise"]["then"], said.state)
            for name, value in said.state.items():
                if before.get(name) != value:
                    self.writes.append((when, name))


def say(
    tables: list[dict[str, Any]],
    sorts: Mapping[str, str],
    facts: Facts,
    *,
    held: frozenset[str] = frozenset(),
    wait_over: frozenset[str] = frozenset(),
    only_rows: frozenset[str] | None = None,
) -> Said:
    """Decide the list. Actions here are `add_tags`, `set_priority` and `add_note`."""
    return Naive(tables, sorts, facts, held, wait_over, only_rows).go()


def do(then: Mapping[str, Any], state: dict[str, Any]) -> None:
    if "tag" in then:
        state["tags"] = sorted({*state.get("tags", []), *then["tag"]["tags"]})
    if "prio" in then:
        state["priority"] = then["prio"]["priority"]
