"""Random rule lists, as data, and random facts for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from hypothesis import strategies as st

from rules.facts import Facts
from rules.table import OTHERWISE
from tests.rules.desk import some_facts

TEXTS = ["refund", "Refund", "réfund please", "refunds", "no refund-42", "#42", "42", "prefund", "re fund"]
TAGS = ["a", "b", "vip", "t1", "t2"]
PRIORITIES = ["low", "normal", "high"]
CHANNELS = ["email", "form", "chat"]
NUMBERS = [-1, 0, 1, 1.5, 100]
#: Around the hour that durations here are about; now is 09:31 of a Saturday. And around the hours of the Friday before.
TIMES = [f"2026-11-21T{at}:00.000000+00:00" for at in ("08:30", "08:31", "08:32", "12:00")]
WORKDAY = [f"2026-11-20T{at}.000000+00:00" for at in ("08:59:59", "09:00:00", "16:59:59", "17:00:00")]
DURATIONS = ["1 h", "60 min", "61 min"]
PATTERNS = ["re.und", "^no ", "(42|please)$", "é", "[[:upper:]]"]
MONEY = ["0", "1", "1.50", "100"]
LEVELS = ["running", "breached"]

#: Field -> what sort of values it holds, for the naive evaluator.
SORTS: Mapping[str, str] = {
    "ticket.channel": "choice",
    "ticket.priority": "choice",
    "ticket.tags": "set",
    "ticket.subject": "text",
    "ticket.fields.amount": "number",
    "ticket.due_at": "time",
    "sla.first_reply_state": "choice",
    "sla.first_reply_due": "time",
    "message.text": "text",
    "erp.find_party.receivable": "number",
    "erp.find_party.tier": "choice",
    "crm.get_account.vip": "bool",
    "crm.get_account.score": "number",
}
_VALUES: Mapping[str, list[Any]] = {
    "ticket.channel": CHANNELS,
    "ticket.priority": PRIORITIES,
    "ticket.tags": TAGS,
    "ticket.subject": TEXTS,
    "ticket.fields.amount": NUMBERS,
    "ticket.due_at": [*TIMES, *WORKDAY],
    "sla.first_reply_state": LEVELS,
    "sla.first_reply_due": TIMES,
    "message.text": TEXTS,
    "erp.find_party.receivable": MONEY,
    "erp.find_party.tier": ["gold", "silver"],
    "crm.get_account.vip": [True, False],
    "crm.get_account.score": NUMBERS,
}
_EQUAL = ["is", "is_not", "any_of", "none_of", "empty", "not_empty"]
_ORDER = ["greater", "greater_or_equal", "less", "less_or_equal", "between"]
_OPS: Mapping[str, list[str]] = {
    "choice": _EQUAL,
    "number": _EQUAL + _ORDER,
    "text": [*_EQUAL, "contains_any", "contains_all", "contains_none", "starts_with", "ends_with", "matches"],
    "set": ["has_any", "has_all", "has_none", "empty", "not_empty"],
    "time": ["older_than", "newer_than", "empty", "not_empty", "in_working_time", "out_of_working_time"],
    "bool": ["is", "is_not", "empty", "not_empty"],
}
#: Named lists that suit a field; one of them is empty.
_LISTS: Mapping[str, list[str]] = {
    "ticket.channel": ["WRITTEN", "NOBODY"],
    "ticket.subject": ["MONEY", "NOBODY"],
    "message.text": ["MONEY", "NOBODY"],
}
_AT_ONCE = [name for name in SORTS if name.startswith(("ticket", "sla", "message"))]
_ASKED = [name for name in SORTS if name.startswith(("erp", "crm"))]
_CHANGES = ["changed", "changed_to", "changed_from"]
#: What a column counts as unknown as; how rows are armed again, around the hours since they fired (TIMES).
UNKNOWNS = ["wait", "wait", "wait", "skip", "match", "no_match"]
REARMS = ["every_time", "every_time", "once_per_item", "once_per_episode", "1 h", "61 min"]
HITS = ["first", "every"]
#: What "once per episode" counts: the item's stay in its status.
EPISODES = ["status since monday", "status since tuesday"]
MOST_TABLES, MOST_ROWS = 3, 4


# Each strategy is made once: Hypothesis looks through a new one before it draws from it, which took half of the time.


@lru_cache(maxsize=None, typed=True)
def _one(*values: Any) -> st.SearchStrategy[Any]:
    """One of these; what is the same in Python and of another type (1, True) is another value."""
    return st.sampled_from(values)


@lru_cache(maxsize=None, typed=True)
def _some(*values: Any, least: int, most: int) -> st.SearchStrategy[list[Any]]:
    """So many different ones of these."""
    return st.lists(_one(*values), min_size=least, max_size=most, unique=True)


@lru_cache(maxsize=None, typed=True)
def _maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), _one(*values))


@cache
def operators_of(name: str) -> list[str]:
    """The operators that cells on this field have here."""
    ops = _OPS[SORTS[name]] + (_CHANGES if name.startswith("ticket.") else [])
    return ops + (["fresh_within"] if name in _ASKED else [])


@cache
@st.composite
def cells(draw: st.DrawFn, name: str) -> dict[str, Any]:
    op = draw(_one(*operators_of(name)))
    values = _one(*_VALUES[name])
    match op:
        case "empty" | "not_empty" | "changed":
            return {"op": op}
        case "older_than" | "newer_than" | "fresh_within":
            return {"op": op, "value": draw(_one(*DURATIONS))}
        case "in_working_time" | "out_of_working_time":
            return {"op": op, "value": "office"}
        case "matches":
            return {"op": op, "value": draw(_one(*PATTERNS))}
        case "between":
            low, high = sorted((draw(values), draw(values)), key=float)
            return {"op": op, "value": [low, high]}
        case "is" | "is_not" | "greater" | "greater_or_equal" | "less" | "less_or_equal":
            return {"op": op, "value": draw(values)}
    some = draw(_some(*_VALUES[name], least=1, most=3))
    if name in _LISTS and draw(st.integers(0, 3)) == 0:
        listed = {"list": draw(_one(*_LISTS[name]))}
        return {"op": op, "value": draw(st.sampled_from([listed, [*some, listed]]))}
    return {"op": op, "value": some}


@cache
@st.composite
def clauses(draw: st.DrawFn, names: tuple[str, ...]) -> dict[str, Any]:
    name = draw(_one(*names))
    return {"field": name, **draw(cells(name))}


@cache
@st.composite
def groups(draw: st.DrawFn, names: tuple[str, ...], depth: int = 2) -> dict[str, Any]:
    kind = draw(_one("all", "any", "any", "none"))
    return {kind: draw(_members(names, depth))}


@cache
def _members(names: tuple[str, ...], depth: int) -> st.SearchStrategy[list[Any]]:
    member: st.SearchStrategy[Any] = clauses(names)
    if depth > 1:
        member = st.one_of(member, member, groups(names, depth - 1))
    return st.lists(member, min_size=1, max_size=3)


#: What a table looks at; one that is chained, mostly at what rows write. Half of the columns look at lookups: what is
#: unknown is where engines go wrong.
_FIELDS = st.lists(st.one_of(_one(*SORTS), _one(*_ASKED)), min_size=2, max_size=4)
_WRITTEN = _one("ticket.tags", "ticket.priority")
_CHAINED_FIELDS = st.lists(st.one_of(_WRITTEN, _WRITTEN, _one(*_ASKED)), min_size=2, max_size=4)
_ROW_GROUPS = st.lists(groups((*SORTS, *_ASKED)), min_size=1, max_size=2)
_SCOPES = st.lists(st.one_of(clauses(tuple(_AT_ONCE)), groups(tuple(_AT_ONCE))), min_size=1, max_size=2)


@cache
@st.composite
def tables(draw: st.DrawFn, code: str, *, chained: bool = False) -> dict[str, Any]:
    """A table; a `chained` one looks mostly at what rows write, and runs again."""
    names = draw(_CHAINED_FIELDS if chained else _FIELDS)
    columns = [{"id": f"c{at}", "field": name, "op": _OPS[SORTS[name]][0]} for at, name in enumerate(names)]
    for column in columns:
        if column["field"] in _ASKED:
            column["unknown"] = draw(_one(*UNKNOWNS))
    rows = []
    for number in range(draw(_one(0, 1, 2, 3, 3, 4, 4))):
        least = draw(_one(0, 1, 1, 1))
        some = st.lists(st.sampled_from(columns), min_size=least, max_size=2, unique_by=lambda column: column["id"])
        filled = draw(some)
        conditions = {column["id"]: draw(cells(column["field"])) for column in filled}
        row: dict[str, Any] = {"id": f"r{number}", "if": conditions, "then": draw(steps())}
        if draw(st.integers(0, 5)) == 0:
            row["stop"] = True
        row["rearm"] = draw(_one(*REARMS))
        if draw(st.integers(0, 2)) == 0:
            row["groups"] = draw(_ROW_GROUPS)
        rows.append(row)
    data: dict[str, Any] = {
        "code": code,
        "name": code,
        "triggers": [{"on": "created"}],
        "hit": draw(_one(*HITS)),
        "wait_s": draw(_one(60, 60, 0, "never_without")),
        "columns": columns,
        "steps": [{"id": "tag", "do": "add_tags"}, {"id": "prio", "do": "set_priority"}],
        "rows": rows,
    }
    if draw(st.integers(0, 3)) == 0:
        data["scope"] = draw(_SCOPES)
    if not rows or draw(st.booleans()):
        data["otherwise"] = {"then": draw(steps()), "rearm": draw(_one(*REARMS))}
    if chained or draw(st.integers(0, 2)) == 0:
        data["run_again"] = True
    return data


@cache
@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    then: dict[str, Any] = {}
    if draw(st.booleans()):
        then["tag"] = {"tags": draw(_some(*TAGS, least=1, most=2))}
    if draw(st.booleans()):
        then["prio"] = {"priority": draw(_one(*PRIORITIES))}
    return then


@st.composite
def lists(draw: st.DrawFn, most: int = MOST_TABLES) -> list[dict[str, Any]]:
    return [draw(tables(f"T{at}")) for at in range(draw(st.integers(1, most)))]


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Tables that give each other reasons to run again."""
    return [draw(tables(f"T{at}", chained=True)) for at in range(draw(st.integers(2, MOST_TABLES)))]


@st.composite
def answers(draw: st.DrawFn, data: Mapping[str, list[Any]]) -> dict[str, Any] | None:
    state = draw(_one("none", "asked", "failed", "ambiguous", "known", "known", "missing"))
    if state == "none":
        return None
    known = {key: draw(_maybe(*values)) for key, values in data.items()}
    return {
        "state": state,
        "data": known if state == "known" else None,
        "reason": "" if state == "known" else state,
        "fetched_at": draw(_one(*TIMES, "")),
    }


_ROW_KEYS = [
    f"T{table}/{row}" for table in range(MOST_TABLES) for row in (*(f"r{n}" for n in range(MOST_ROWS)), OTHERWISE)
]


@st.composite
def ledgers(draw: st.DrawFn) -> dict[str, Any]:
    """Rows that fired for this item before; usually none."""
    if draw(st.booleans()):
        return {}
    return {
        key: {"at": draw(_one(*TIMES[:3])), "episodes": draw(_some(*EPISODES, least=0, most=2))}
        for key in draw(_some(*_ROW_KEYS, least=1, most=6))
    }


_TAGS = _some(*TAGS, least=0, most=3).map(sorted)
_NEW_TEXT = st.one_of(st.none(), st.sampled_from(TEXTS).map(lambda text: {"new_text": text}))
_CUSTOMERS = st.sampled_from([{"name": "Camille", "email": "c@example.com"}, {"name": "Camille"}, {"email": "c@d.ro"}])


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    state = {
        "channel": draw(_maybe(*CHANNELS)),
        "priority": draw(_maybe(*PRIORITIES)),
        "tags": draw(_TAGS),
        "subject": draw(_maybe(*TEXTS)),
        # A text where a number belongs: comparing it is an error, and an error is no "no".
        "due_at": draw(_maybe(*TIMES, *WORKDAY, "soon")),
        "fields.amount": draw(_maybe(*NUMBERS, *["many"] * 4)),
    }
    changes: dict[str, Any] = {}
    for key, values in (("channel", CHANNELS), ("priority", PRIORITIES), ("subject", TEXTS)):
        if draw(st.booleans()):
            changes[key] = [draw(_maybe(*values)), draw(_maybe(*values))]
    if draw(st.booleans()):
        changes["tags"] = [draw(_TAGS) or None, draw(_TAGS) or None]
    lookups = {
        "erp.find_party": draw(answers({"receivable": [*MONEY, "much", "much"], "tier": ["gold", "silver"]})),
        "crm.get_account": draw(answers({"vip": [True, False], "score": NUMBERS})),
    }
    made = some_facts(
        {key: value for key, value in state.items() if value not in (None, [])},
        changes=changes,
        message=draw(_NEW_TEXT),
        customer=draw(_CUSTOMERS),
        lookups={name: answer for name, answer in lookups.items() if answer is not None},
    )
    since = draw(_one(*EPISODES)).removeprefix("status since ")
    level = {"first_reply_state": draw(_maybe(*LEVELS)), "first_reply_due": draw(_maybe(*TIMES))}
    clock = {"status_since": since, **{key: value for key, value in level.items() if value is not None}}
    return replace(made, ledger=draw(ledgers()), clock=clock)
