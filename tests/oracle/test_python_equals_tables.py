"""N10: a table, the same table as Python, and that Python read back as a table come to the same, whatever the facts."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.actions import plan_calls, staged_by
from rules.as_python import Written, as_python
from rules.engine import Entry, compile_ruleset, decide
from rules.facts import Facts
from rules.from_python import NotATable, from_python
from rules.operators import OPERATORS, Looks, Takes
from rules.parse import parse_table
from rules.table import Table
from tests.environment.selection import examples
from tests.oracle import scripts
from tests.oracle.lists import facts, tables
from tests.rules.desk import DESK, some_facts
from tickets.values import JSON

#: What scripts have no words for; `test_every_operator_has_a_word_or_is_named` says that there is nothing else.
WORDLESS = {key for key, one in OPERATORS.items() if one.takes is Takes.CALENDAR or one.looks is Looks.FETCHED}
#: What no number or moment is: comparing it is an error, which ends a script and only skips a row.
_WRONG = {"soon", "many", "much"}


def sayable(data: Any, *, empty_lists: bool = True) -> Any:
    """The table without what a script cannot say: a ledger, a wait of a day, operators without a word.

    A named list with nothing in it is a plain True or False in Python, which is no cell again."""
    if isinstance(data, list):
        return [sayable(one, empty_lists=empty_lists) for one in data]
    if not isinstance(data, dict):
        return data
    if data.get("op") in WORDLESS or (not empty_lists and "NOBODY" in str(data.get("value"))):
        data = {key: value for key, value in data.items() if key != "value"} | {"op": "not_empty"}
    made = {
        key: sayable(value, empty_lists=empty_lists) for key, value in data.items() if key not in ("rearm", "run_again")
    }
    return {**made, "wait_s": 0} if "wait_s" in made else made


def _right(data: Any) -> Any:
    return data and {key: None if value in _WRONG else value for key, value in data.items()}


def right(given: Facts) -> Facts:
    """The facts without values of the wrong sort."""
    lookups = {name: {**answer, "data": _right(answer.get("data"))} for name, answer in given.lookups.items()}
    item = {key: value for key, value in given.item.items() if value not in ("soon", "many")}
    return scripts.whole(replace(given, item=item, lookups=lookups, ledger={}), DESK)


def shape(source: str) -> str:
    return ast.dump(ast.parse(source))


def of_table(table: Table, before: Facts) -> tuple[dict[str, JSON], bool]:
    """What the table writes, and whether it ends the list."""
    decision = decide(compile_ruleset(1, [Entry(table.code, table.name, 1, 0, table=table)], DESK), before)
    return dict(decision.staged), bool(decision.ended_by)


def of_script(written: Written, before: Facts) -> tuple[dict[str, JSON], bool]:
    ran = scripts.run(written.source, before, DESK)
    planned = plan_calls(ran.calls, before, DESK)
    return staged_by([effect for one in planned for effect in one.effects], before), ran.stopped


@examples(250)
@given(tables("T0"), facts())
def test_a_table_and_its_python_come_to_the_same(data: dict[str, Any], given_facts: Facts) -> None:
    # The scope stands in the script's place in the list, where the same code reads it.
    table = parse_table({**sayable(data), "scope": []}, DESK)
    before = right(given_facts)
    written = as_python(table, DESK)
    assert written.missing == ()
    assert of_script(written, before) == of_table(table, before), written.source


@pytest.mark.slow
@examples(250)
@given(tables("T0"), facts())
def test_python_of_a_table_read_back_is_that_table(data: dict[str, Any], given_facts: Facts) -> None:
    data = sayable(data, empty_lists=False)
    table = parse_table(data, DESK)
    written = as_python(table, DESK)
    around: dict[str, JSON] = {key: data[key] for key in ("code", "name", "triggers", "scope") if key in data}
    again = parse_table({**from_python(written.source, around, DESK), "wait_s": 0}, DESK)
    # A group of one is read as what stands in it, so only what Python makes of both texts is the same.
    assert shape(as_python(again, DESK).source) == shape(written.source)
    before = right(given_facts)
    assert of_table(again, before) == of_table(table, before), written.source


DRAWN = {"is False", "is not False", "is True", "not (", " or ", "else:", "row_1 = ", "stop(", "cells.after("}


MOST_DRAWS = 10


def test_the_generator_draws_what_is_compared_here() -> None:
    """Groups, unknown answers, named rows and the last row: what goes wrong first must be drawn."""
    seen: set[str] = set()

    @examples(100)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        source = as_python(parse_table(sayable(data.draw(tables("T0"))), DESK), DESK).source
        seen.update(
            word
            for word in ("is False", "is not False", "not (", " or ", "else:", "row_1", "stop(", "cells.after")
            if word in source
        )

    wanted = {"is not False", "not (", " or ", "else:", "row_1", "stop("}
    # The rarest is in a seventh of the tables, so chance alone leaves one out of the first examples now and then.
    for _ in range(MOST_DRAWS):
        draw()
        if seen >= wanted:
            break
    assert seen >= wanted


CONDITIONS = ('ticket.status == "open"', 'ticket.priority == "low"', "True")
STEPS = tuple(f'ticket.add_tags(tags=["{tag}"])' for tag in "abcd")


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Statements of a table's Python in any order: most of it is no table, and some only looks like one."""
    lines: list[str] = []
    names: list[str] = []
    for number in range(1, draw(st.integers(2, 4)) + 1):
        condition, step = draw(st.sampled_from(CONDITIONS)), draw(st.sampled_from(STEPS))
        known = draw(st.sampled_from(names)) if names else "row_9"
        body = f"    {step}" + draw(st.sampled_from(["", "", '\n    stop("enough")']))
        name = f"row_{number}"
        shapes = {
            "step": step,
            "row": f"if {condition}:\n{body}",
            "else": f"if {condition}:\n{body}\nelse:\n    {draw(st.sampled_from(STEPS))}",
            "elif": f"if {condition}:\n{body}\nelif {draw(st.sampled_from(CONDITIONS))}:\n    {step}",
            "named": f"{name} = {condition}\nif {name}:\n{body}",
            "last": f"if not ({' or '.join(names)}):\n    {step}" if len(names) > 1 else f"if not {known}:\n    {step}",
            "stop": f'if {known}:\n    stop("enough")',
        }
        shape = draw(st.sampled_from([*shapes, "named", "named", "row"]))
        names += [name] if shape == "named" else []
        lines.append(shapes[shape])
    return "\n".join(lines) + "\n"


@examples(300)
@given(statements(), st.sampled_from(["open", "solved"]), st.sampled_from(["low", "high"]))
def test_python_that_is_read_as_a_table_comes_to_the_same(source: str, status: str, priority: str) -> None:
    around: dict[str, JSON] = {"code": "T0", "name": "T0", "triggers": [{"on": "created"}]}
    try:
        table = parse_table(from_python(source, around, DESK), DESK)
    except NotATable:
        return
    before = some_facts({"status": status, "priority": priority})
    assert of_script(Written(source, (), ()), before) == of_table(table, before), source


@pytest.mark.parametrize("deep", ["not " * 1_500 + "ticket.archived", "not (" * 90 + "ticket.archived" + ")" * 90])
def test_what_is_nested_too_deep_is_refused_and_not_an_error(deep: str) -> None:
    around: dict[str, JSON] = {"code": "T0", "name": "T0", "triggers": [{"on": "created"}]}
    with pytest.raises(NotATable):
        from_python(f"if {deep}:\n    pass\n", around, DESK)
