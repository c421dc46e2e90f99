"""Python that is no table is told line by line: what reads like one and does something else is never made one (N10)."""

from __future__ import annotations

import pytest

from rules.from_python import Line, NotATable, Why, from_python
from rules.parse import parse_table
from tests.rules.desk import DESK
from tickets.values import JSON

AROUND: dict[str, JSON] = {"code": "T0", "name": "T0", "triggers": [{"on": "created"}]}
OPEN, LOW = 'ticket.status == "open"', 'ticket.priority == "low"'
STEP, OTHER = 'ticket.add_tags(tags=["x"])', 'ticket.set_priority(priority="high")'


def refused(source: str) -> tuple[Line, ...]:
    with pytest.raises(NotATable) as raised:
        from_python(source, AROUND, DESK)
    return raised.value.lines


@pytest.mark.parametrize(
    ("source", "line", "why"),
    [
        (f"{STEP}\nif {OPEN}:\n    {OTHER}\n", 1, Why.STATEMENT),
        (f"if {OPEN}:\n    {OTHER}\n{STEP}\n", 3, Why.STATEMENT),
        (f'if {OPEN}:\n    {OTHER}\n    stop("x")\nif {LOW}:\n    {STEP}\n', 4, Why.BEHIND),
        (f'row_1 = {OPEN}\nif row_1:\n    {OTHER}\nif row_1:\n    stop("x")\nif {LOW}:\n    {STEP}\n', 6, Why.BEHIND),
        (f"row_1 = {OPEN}\nif row_1:\n    pass\nif not row_1:\n    {STEP}\nif {LOW}:\n    {STEP}\n", 6, Why.BEHIND),
        (f"if {OPEN}:\n    {OTHER}\nelif {LOW}:\n    {STEP}\nrow_1 = {LOW}\nif row_1:\n    {STEP}\n", 6, Why.ORDER),
        (
            f"if {OPEN}:\n    {OTHER}\nrow_1 = {LOW}\nif row_1:\n    {STEP}\nif not row_1:\n    {STEP}\n",
            6,
            Why.CONDITION,
        ),
        (f"row_1 = {OPEN}\nrow_1 = {LOW}\nif row_1:\n    {STEP}\n", 2, Why.STATEMENT),
        (f'row_1 = erp.find_party(email="x")\nif {OPEN}:\n    {STEP}\n', 1, Why.STATEMENT),
        (f'row_1 = ticket.bogus == 1\nif row_1:\n    {STEP}\nif row_1:\n    stop("x")\n', 1, Why.FIELD),
    ],
    ids=[
        "a step before the rows",
        "a step behind them",
        "a row behind one that stops",
        "a row behind a stop",
        "a row behind the last one",
        "a row with a name behind elif",
        "a last row that forgets one",
        "a name used twice",
        "a name never looked at",
        "a row that is none, and stops",
    ],
)
def test_the_line_that_no_table_says_is_named(source: str, line: int, why: Why) -> None:
    assert [(one.number, one.why) for one in refused(source)] == [(line, why)]


@pytest.mark.parametrize(
    ("source", "rows", "otherwise"),
    [
        (f"{STEP}\n{OTHER}\n", 0, True),
        (f'if {OPEN}:\n    {OTHER}\nif {LOW}:\n    {STEP}\n    stop("x")\n', 2, False),
        (f"row_1 = {OPEN}\nif row_1:\n    {OTHER}\nif not row_1:\n    {STEP}\n", 1, True),
        (f'row_1 = {OPEN}\nif row_1:\n    {OTHER}\nif row_1:\n    stop("x")\nif not row_1:\n    {STEP}\n', 1, True),
    ],
    ids=["steps alone", "the last row stops", "a last row", "a stop before the last row"],
)
def test_their_twins_are_tables(source: str, rows: int, otherwise: bool) -> None:
    made = parse_table(from_python(source, AROUND, DESK), DESK)
    assert (len(made.rows), made.otherwise is not None) == (rows, otherwise)
