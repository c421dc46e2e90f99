"""A cell for every operator of every field, and what it means."""

from __future__ import annotations

from collections.abc import Iterator

from rules.fields import Field, all_fields
from rules.operators import Operand, Operator, Takes, operators_for
from rules.parse import parse_table
from tests.rules.desk import DESK
from tickets.item import FieldType
from tickets.values import JSON

SAMPLES: dict[FieldType, list[JSON]] = {
    FieldType.TEXT: ["one", "two"],
    FieldType.LONG_TEXT: ["one", "two"],
    FieldType.CHOICES: ["a", "b"],
    FieldType.NUMBER: [3, 4],
    FieldType.MONEY: ["3.50", "4"],
    FieldType.BOOL: [True, False],
    FieldType.TIME: ["2026-11-21T09:31:00.000000+00:00", "2026-11-22T09:31:00.000000+00:00"],
    FieldType.PERSON: [3, 4],
}


def cells() -> Iterator[tuple[Field, Operator, dict[str, JSON]]]:
    """A cell for every field and every operator that it takes."""
    for field in all_fields(DESK):
        for operator in operators_for(field.type, state=bool(field.state_key), outside=field.outside):
            samples: list[JSON] = list(field.options or ()) or SAMPLES[field.type or FieldType.TEXT]
            if operator.takes is Takes.DURATION:
                samples = ["72 h"]
            if operator.takes is Takes.CALENDAR:
                samples = ["office"]
            cell: dict[str, JSON] = {"op": operator.key}
            match operator.operand:
                case Operand.ONE:
                    cell["value"] = samples[0]
                case Operand.PAIR | Operand.MANY:
                    cell["value"] = samples[:2]
                case Operand.NONE:
                    pass
            yield field, operator, cell


def the_condition(field: Field, cell: JSON) -> tuple[str, list[str]]:
    """What the language makes of a cell of this field: the operator, with "any of" as "is", and the values."""
    table = parse_table(
        {"code": "A01", "name": "T", "triggers": [{"on": "created"}], "columns": [{"id": "c", "field": field.key}],
         "rows": [{"id": "r1", "if": {"c": cell}}]},
        DESK,
    )  # fmt: skip
    found = table.rows[0].conditions[0]
    one = {"any_of": "is", "none_of": "is_not"}.get(found.op, found.op)
    return one, sorted(str(value) for value in (found.value if isinstance(found.value, list) else [found.value]))
