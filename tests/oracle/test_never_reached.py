"""What is called never reached fires for none of all the tickets there can be: every value of two fields, one by one.

A manager deletes a row that is called unreachable. Tickets drawn by chance would seldom be those that reach it.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules import reach
from rules.compiled import CompiledTable
from rules.engine import Entry, decide
from rules.lint import lint
from tests.environment.selection import examples
from tests.rules.desk import DESK, a_list, a_table, some_facts
from tickets.item import CHANNELS, PRIORITIES

COLUMNS = [
    {"id": "ch", "field": "ticket.channel", "op": "any_of"},
    {"id": "pr", "field": "ticket.priority", "op": "any_of"},
]
STEPS = [{"id": "t", "do": "add_tags"}]


def cells(values: list[str]) -> st.SearchStrategy[Any]:
    some = st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True)
    return st.one_of(
        st.none(),
        some,
        st.builds(lambda value: {"op": "none_of", "value": value}, some),
        st.sampled_from([{"op": "empty"}, {"op": "not_empty"}]),
    )


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    both = {"ch": cells(list(CHANNELS)), "pr": cells(list(PRIORITIES))}
    several = []
    for number in range(draw(st.integers(3, 6))):
        filled = {column: draw(cell) for column, cell in both.items()}
        several.append(
            {
                "id": f"r{number}",
                "if": {column: cell for column, cell in filled.items() if cell is not None},
                "then": {"t": {"tags": ["x"]}},
            }
        )
    return several


@examples(60)
@given(rows())
def test_a_row_that_is_called_never_reached_fires_for_no_ticket_there_can_be(several: list[dict[str, Any]]) -> None:
    table = a_table(several, columns=COLUMNS, steps=STEPS)
    compiled = CompiledTable.of(Entry(table.code, table.name, 1, 0, table=table), 0, table, DESK)
    found = [*lint(table, DESK), *(one.problem for one in reach.left_over(compiled, DESK))]
    dead = {one.where["row"] for one in found if one.code in ("unreachable", "unreachable_together")}
    ruleset, fired = a_list(table), set()
    # "pigeon": a ticket may still have a value that its menu has lost.
    for channel, priority in product((None, "pigeon", *CHANNELS), (None, "pigeon", *PRIORITIES)):
        state = {"channel": channel, "priority": priority}
        one = some_facts({key: value for key, value in state.items() if value is not None})
        fired |= {key.partition("/")[2] for key in decide(ruleset, one).fired}
    assert fired & dead == set()
