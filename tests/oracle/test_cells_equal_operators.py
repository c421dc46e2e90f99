"""What scripts compare by (`cells`) says what the operators of tables say, for every type and value.

They are written twice, because nothing of ours is within the jail's reach; here they are held to one answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.as_python import compared, literal
from rules.errors import ConditionFailed
from rules.operators import OPERATORS, Looks, Operand, Operator
from sandbox.child import cells
from tests.environment.selection import examples
from tests.oracle.lists import DURATIONS, MONEY, NUMBERS, PATTERNS, TEXTS, TIMES
from tests.oracle.test_python_equals_tables import WORDLESS
from tests.rules.desk import NOW
from tickets.item import FieldType
from tickets.values import JSON, from_iso

CELLS = SimpleNamespace(**cells.members(lambda: datetime.fromisoformat(NOW)))
WORDS = [*TEXTS, "ŁÓDŹ", "lodz", "c++", "c++17", "L’été", "l'ete", "ﬁne", "fine", "x y", " x  Y", "Straße", "strasse"]
ANY_TEXT = st.one_of(st.sampled_from(WORDS), st.text(min_size=1, max_size=12))
VALUES: Mapping[FieldType, st.SearchStrategy[Any]] = {
    FieldType.TEXT: ANY_TEXT,
    FieldType.LONG_TEXT: ANY_TEXT,
    FieldType.CHOICE: st.sampled_from(["a", "A", "b", "5"]),
    FieldType.CHOICES: st.lists(st.sampled_from(WORDS), min_size=1, max_size=3, unique=True),
    FieldType.NUMBER: st.sampled_from(NUMBERS),
    FieldType.MONEY: st.sampled_from([*MONEY, "1.5", "much"]),
    FieldType.TIME: st.sampled_from([*TIMES, "soon"]),
    FieldType.BOOL: st.booleans(),
    FieldType.PERSON: st.integers(1, 3),
}
#: What a connection may answer beside values of the type; the ticket's own are always of their type.
ODD: Mapping[FieldType, list[Any]] = {
    FieldType.CHOICE: [5, 1.5, True, ["a"]],
    FieldType.BOOL: [0, 1, 1.0, "yes", [True]],
    FieldType.PERSON: ["1", True, 1.0],
    FieldType.TEXT: [5, True, ["a"], {"a": 1}],
}
PAIRS = [(key, type) for key, one in OPERATORS.items() for type in sorted(one.types) if key not in WORDLESS]


@st.composite
def operands(draw: st.DrawFn, operator: Operator, type: FieldType) -> JSON:
    one = st.sampled_from(WORDS) if type is FieldType.CHOICES else VALUES[type]
    one = one.filter(lambda value: value not in ("much", "soon") and bool(str(value).strip()))
    match operator.key:
        case "older_than" | "newer_than":
            return draw(st.sampled_from(["1 h", "60 min", *DURATIONS]))
        case "matches":
            return draw(st.sampled_from([*PATTERNS, r"\bre", "łó", "STRA"]))
        case "between":
            order = from_iso if type is FieldType.TIME else float
            return sorted((draw(one), draw(one)), key=order)
    if operator.operand is Operand.NONE:
        return None
    return draw(st.lists(one, min_size=1, max_size=3)) if operator.operand is Operand.MANY else draw(one)


def expected(operator: Operator, type: FieldType, value: Any, operand: JSON) -> bool:
    """What the engine makes of it, by the same steps as `CompiledCondition.ask`."""
    if value is None:
        return operator.when_missing
    test = operator.test(type, operand)
    if operator.looks is Looks.AGE:
        try:
            return test((from_iso(NOW) - from_iso(value)).total_seconds())
        except ValueError:
            raise ConditionFailed(f"{value!r} is no time") from None
    return test(value)


@pytest.mark.alike
@pytest.mark.parametrize("key", [key for key in OPERATORS if key not in WORDLESS])
def test_an_operator_and_its_word_in_python_say_the_same(key: str) -> None:
    operator = OPERATORS[key]

    @examples(100)
    @given(st.data(), st.sampled_from(sorted(operator.types)))
    def holds(data: st.DataObject, type: FieldType) -> None:
        odd = st.sampled_from(ODD.get(type, [None])) if operator.looks is Looks.VALUE else st.none()
        value = data.draw(st.one_of(st.none(), VALUES[type], odd))
        if operator.looks is Looks.CHANGE and value is not None:
            value = [data.draw(st.one_of(st.none(), VALUES[type])), data.draw(st.one_of(st.none(), VALUES[type]))]
        operand = data.draw(operands(operator, type))
        text = compared(operator, type, "value", literal(operand), sure=operator.looks is Looks.CHANGE)
        assert text is not None
        try:
            wanted = expected(operator, type, value, operand)
        except ConditionFailed:
            # An error is no "no": the script ends, and nothing of it is done.
            with pytest.raises(ValueError, match="is not a"):
                eval(text, {"cells": CELLS, "value": value})
            return
        assert eval(text, {"cells": CELLS, "value": value}) is wanted, text

    holds()


def test_what_nobody_can_tell_is_neither_yes_nor_no_in_any_comparison() -> None:
    for key, type in PAIRS:
        operator = OPERATORS[key]
        if operator.looks is Looks.CHANGE:
            continue  # only the ticket's own fields change, and those are always known
        operand = literal(["1", "2"] if operator.operand is Operand.PAIR else "1")
        answer = eval(
            str(compared(operator, type, "value", operand, sure=False)), {"cells": CELLS, "value": cells.UNKNOWN}
        )
        assert answer is cells.UNKNOWN, (key, type)
        assert not answer


def test_every_operator_has_a_word_or_is_named() -> None:
    assert {"in_working_time", "out_of_working_time", "fresh_within"} == WORDLESS
    for key in WORDLESS:
        assert compared(OPERATORS[key], FieldType.TIME, "value", '"x"', sure=True) is None
