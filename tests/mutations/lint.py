"""What is said of rules: lint of a list, and the bounds of a trace."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ENGINE = "tests/rules/test_engine.py::"
LINT = "tests/rules/test_lint.py::"
TRACE = "tests/rules/test_trace.py::"

MUTATIONS = (
    Mutation(
        "a long table's trace is bounded",
        "rules/tracing.py",
        "            self.unmatched_left -= 1\n",
        "",
        ENGINE + "test_a_long_table_keeps_a_bounded_trace_with_the_deciding_row",
    ),
    Mutation(
        "a row that is never reached is named",
        "rules/lint.py",
        "            if cells[before].cover(cells[at]) and",
        "            if False and",
        LINT + "test_a_row_that_an_earlier_one_always_catches_is_never_reached",
    ),
    Mutation(
        "only certain rows are called unreachable",
        "rules/lint.py",
        "            if cells[before].cover(cells[at]) and",
        "            if",
        LINT + "test_a_cell_that_lets_something_through_covers_nothing",
    ),
    Mutation(
        "a row is called never reached when no ticket is left for it",
        "rules/reach.py",
        "        if search.free_of(before, allowed) is None:",
        "        if True:",
        "tests/oracle/test_never_reached.py::test_a_row_that_is_called_never_reached_fires_for_no_ticket_there_can_be",
    ),
    Mutation(
        "that there are more findings is said",
        "rules/lint.py",
        '                found.append(Problem({"table": "rows"}, "lint_incomplete", message))\n',
        "",
        LINT + "test_more_findings_of_one_kind_than_are_listed_are_said_to_be_more[101-True]",
    ),
    Mutation(
        "a row that matches while nobody knows is reached",
        "rules/lint.py",
        "(matches or not without) and _covers(",
        "_covers(",
        LINT + "test_a_cell_that_matches_while_nobody_knows_is_only_covered_by_one_that_does[wait-match-False]",
    ),
    Mutation(
        "an otherwise row that is never reached is named",
        "rules/lint.py",
        "            if not row.conditions and not row.groups:\n",
        "            if False:\n",
        LINT + "test_the_otherwise_row_behind_a_row_without_conditions_is_never_reached",
    ),
    Mutation(
        "a row written twice is named",
        "rules/lint.py",
        "        if key in seen:\n",
        "        if False:\n",
        LINT + "test_a_row_written_twice_is_a_duplicate",
    ),
    Mutation(
        "long values are cut in the trace",
        "rules/trace.py",
        "MAX_SHOWN_CHARS = ",
        "MAX_SHOWN_CHARS = 1_000 * ",
        TRACE + "test_long_values_are_cut_in_the_trace",
    ),
)
