"""Operators, triggers, unknown facts, waits, order, parsing, planning, templates and the checks of a table."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

OPERATORS = "tests/rules/test_operators.py::"
TRIGGERS = "tests/rules/test_triggers.py::"
ENGINE = "tests/rules/test_engine.py::"
INDEX = "tests/rules/test_index.py::"
GROUPS = "tests/rules/test_groups.py::"
FIELDS = "tests/rules/test_fields.py::"
POLICIES = "tests/rules/test_policies.py::"
PARSE = "tests/rules/test_parse.py::"
ACTIONS = "tests/rules/test_actions.py::"
TEMPLATES = "tests/rules/test_templates.py::"
LINT = "tests/rules/test_lint.py::"
TRACE = "tests/rules/test_trace.py::"


def _operator(key: str, old: str, new: str, file: str = "operators") -> Mutation:
    test = "test_an_operator_says_yes_to_one_value_and_no_to_its_twin"
    return Mutation(f"the operator {key}", f"rules/{file}.py", old, new, OPERATORS + test)


def _comparison(key: str, old: str, new: str) -> Mutation:
    return _operator(key, old, new, "comparisons")


def _refusal(name: str, old: str, new: str) -> Mutation:
    """One of the problems that parsing a table tells."""
    return Mutation(name, "rules/parse.py", old, new, PARSE + "test_a_problem_names_its_cell_and_what_is_allowed")


def _action_refusal(file: str, name: str, old: str, new: str) -> Mutation:
    return Mutation(name, f"rules/{file}.py", old, new, ACTIONS + "test_what_makes_no_sense_is_refused_with_a_sentence")


MUTATIONS = (
    # Operators
    _operator("is", 'Operand.ONE, is_among, "is {value}"', 'Operand.ONE, is_not_among, "is {value}"'),
    _operator(
        "is_not", '        is_not_among,\n        "is not {value}"', '        is_among,\n        "is not {value}"'
    ),
    _operator("any_of", 'Operand.MANY, is_among, "is any of', 'Operand.MANY, is_not_among, "is any of'),
    _operator("none_of", '        is_not_among,\n        "is none of', '        is_among,\n        "is none of'),
    Mutation(
        "the operator empty",
        "rules/operators.py",
        'Operand.NONE, certain(False), "is empty"',
        'Operand.NONE, certain(True), "is empty"',
        OPERATORS + "test_empty_is_true_only_where_there_is_no_value",
    ),
    Mutation(
        "the operator not_empty",
        "rules/operators.py",
        'Operand.NONE, certain(True), "is not empty"',
        'Operand.NONE, certain(False), "is not empty"',
        OPERATORS + "test_empty_is_true_only_where_there_is_no_value",
    ),
    _comparison(
        "greater", "return lambda value: as_number(value) > limit", "return lambda value: as_number(value) >= limit"
    ),
    _comparison("greater, of times", "as_time(value) > moment", "as_time(value) >= moment"),
    _comparison("greater_or_equal", "return lambda value: not less(value)", "return lambda value: less(value)"),
    _comparison(
        "less", "return lambda value: as_number(value) < limit", "return lambda value: as_number(value) <= limit"
    ),
    _comparison("less, of times", "as_time(value) < moment", "as_time(value) <= moment"),
    _comparison("less_or_equal", "return lambda value: not greater(value)", "return lambda value: greater(value)"),
    _comparison("between, its lower end", "not below(value) and not above(value)", "not above(value)"),
    _comparison("between, its higher end", "not below(value) and not above(value)", "not below(value)"),
    _comparison("contains_any", "any(has_keyword(folded, keyword) for keyword in there)", "bool(there)"),
    _comparison("contains_none", "return lambda value: not contains(value)", "return contains"),
    _comparison("starts_with", ".startswith(beginnings)", ".endswith(beginnings)"),
    _comparison("has_any", "not wanted.isdisjoint(map(fold,", "wanted.isdisjoint(map(fold,"),
    _comparison("has_none", "return lambda value: not has(value)", "return has"),
    _comparison(
        "contains_all",
        "return all(has_keyword(folded, keyword) for keyword in keywords)",
        "return all(keyword in folded for keyword in keywords)",
    ),
    _comparison("contains_all, of several", "return all(has_keyword(folded,", "return any(has_keyword(folded,"),
    _comparison("ends_with", ".endswith(ends)", ".startswith(ends)"),
    _comparison(
        "matches",
        "pattern.search(without_accents(as_text(value))) is not None",
        "pattern.fullmatch(without_accents(as_text(value))) is not None",
    ),
    _comparison(
        "matches, with accents", "pattern.search(without_accents(as_text(value)))", "pattern.search(as_text(value))"
    ),
    _comparison("in_working_time", "lambda value: is_working(calendar, as_time(value))", "lambda value: True"),
    _comparison("out_of_working_time", "return lambda value: not working(value)", "return lambda value: False"),
    _comparison("older_than", "as_number(age_s) >= limit_s", "as_number(age_s) > limit_s"),
    _operator(
        "newer_than",
        '        is_younger,\n        "is newer than {value}"',
        '        is_older,\n        "is newer than {value}"',
    ),
    _operator(
        "fresh_within",
        '        is_younger,\n        "was fetched within {value}"',
        '        is_older,\n        "was fetched within {value}"',
    ),
    _comparison("has_all", "wanted.issubset(map(fold,", "not wanted.isdisjoint(map(fold,"),
    _comparison("changed", "_side(change, 0) != _side(change, 1)", "True"),
    _operator("changed_to", "        has_moved(1),\n", "        has_moved(0),\n"),
    _operator("changed_from", "        has_moved(0),\n", "        has_moved(1),\n"),
    _comparison(
        "changed_to, of a field that was so before", "return there != here and there is not None", "return True"
    ),
    _comparison("changed_to, of a set that held it before", "(there - here) & wanted", "there & wanted"),
    _operator("case folded away", ".casefold().translate(", ".translate(", "folding"),
    Mutation(
        "accents folded away",
        "rules/folding.py",
        "if not unicodedata.combining(char)",
        "",
        OPERATORS + "test_folding_takes_case_accents_and_spaces_away",
    ),
    Mutation(
        "a keyword's left word edge",
        "rules/folding.py",
        "not (left and at > 0 and folded[at - 1].isalnum())",
        "True",
        OPERATORS + "test_a_word_edge_is_needed_only_where_the_keyword_has_a_letter_or_digit",
    ),
    Mutation(
        "a keyword's right word edge",
        "rules/folding.py",
        "right and end < len(folded) and folded[end].isalnum()",
        "False",
        OPERATORS + "test_a_word_edge_is_needed_only_where_the_keyword_has_a_letter_or_digit",
    ),
    Mutation(
        "a value of the wrong sort is an error, not a no",
        "rules/operands.py",
        '    raise ConditionFailed(f"{quoted(value)} is not a list")',
        "    return ()",
        OPERATORS + "test_a_value_of_the_wrong_sort_fails_the_condition_instead_of_being_no",
    ),
    Mutation(
        "the lower value of a pair first",
        "rules/operators.py",
        "            if is_greater(type, cleaned[1])(cleaned[0]):",
        "            if False:",
        OPERATORS + "test_an_operand_that_makes_no_sense_is_refused_with_a_sentence",
    ),
    Mutation(
        "values outside the menu",
        "rules/operators.py",
        "if options is not None and text not in options:",
        "if False:",
        OPERATORS + "test_a_value_outside_the_menu_is_refused_with_the_nearest_one",
    ),
    Mutation(
        "the length of a pattern",
        "rules/operands.py",
        "MAX_PATTERN_CHARS = 500",
        "MAX_PATTERN_CHARS = 5_000",
        OPERATORS + "test_an_operand_that_makes_no_sense_is_refused_with_a_sentence",
    ),
    Mutation(
        "freshness only of facts from outside",
        "rules/operators.py",
        "looks=Looks.FETCHED,",
        "looks=Looks.AGE,",
        OPERATORS + "test_freshness_is_asked_only_of_facts_from_outside",
    ),
    # Known, missing, unknown
    Mutation(
        "a missing value gives the operator's own answer",
        "rules/compiled.py",
        "            if isinstance(reading, Missing):\n                return self.operator.when_missing",
        "            if isinstance(reading, Missing):\n                return False",
        OPERATORS + "test_a_missing_value_makes_positive_operators_false_and_negative_ones_true",
    ),
    Mutation(
        "unknown is not false",
        "rules/compiled.py",
        "            return Undecided(reading.reason, reading.lookup, reading.worth_waiting)",
        "            return False",
        ENGINE + "test_after_the_wait_unknown_rows_are_skipped_and_the_rest_decide",
    ),
    Mutation(
        "unknown satisfies no operator",
        "rules/compiled.py",
        "            return Undecided(reading.reason, reading.lookup, reading.worth_waiting)",
        "            return self.operator.when_missing",
        OPERATORS + "test_an_unknown_value_satisfies_no_operator",
    ),
    Mutation(
        "an error is not a no",
        "rules/compiled.py",
        '            return Undecided(f"{found.label}: {error}", failed=True)',
        "            return False",
        ENGINE + "test_an_error_in_a_condition_parks_a_first_table_and_is_never_no_match",
    ),
    Mutation(
        "a fault of ours is not a no",
        "rules/compiled.py",
        '            return Undecided(f"{found.label}: {type(error).__name__}: {cut(str(error))}", failed=True)',
        "            return False",
        ENGINE + "test_a_fault_of_ours_makes_its_row_unknown",
    ),
    Mutation(
        "Kleene: one no is no, whatever is unknown",
        "rules/compiled.py",
        "            if answer is False:\n                return False\n",
        "            if answer is False:\n                if undecided is None:\n                    return False\n"
        "                continue\n",
        "tests/oracle/test_engine_equals_naive.py::test_the_engine_says_what_the_naive_evaluator_says",
    ),
    Mutation(
        "all cells of a row",
        "rules/compiled.py",
        "            if answer is False:\n                return False\n",
        "            if answer is False:\n                continue\n",
        ENGINE + "test_all_cells_of_a_row_must_hold",
    ),
    Mutation(
        "a field that is gone decides nothing",
        "rules/compiled.py",
        "            return Undecided(self.broken, failed=True)",
        "            return False",
        ENGINE + "test_a_field_that_is_gone_makes_its_rows_undecidable_and_says_why",
    ),
    Mutation(
        "a failed lookup is unknown, not missing",
        "rules/fields.py",
        'answer is not None and state == "missing":',
        'answer is not None and state in ("missing", "failed", "ambiguous"):',
        FIELDS + "test_a_lookup_that_failed_is_unknown_and_not_worth_waiting_for",
    ),
    Mutation(
        "a failed lookup is not worth waiting for",
        "rules/fields.py",
        "question, worth_waiting=False)",
        "question, worth_waiting=True)",
        ENGINE + "test_a_failed_lookup_is_not_waited_for",
    ),
    # Groups, scopes and named lists
    Mutation(
        "groups: any",
        "rules/compiled.py",
        "        if group.kind is GroupKind.ANY:\n",
        "        if False:\n",
        GROUPS + "test_a_group_holds_as_its_word_says",
    ),
    Mutation(
        "groups: none",
        "rules/compiled.py",
        "        if group.kind is not GroupKind.ALL:\n",
        "        if group.kind is GroupKind.ANY:\n",
        GROUPS + "test_a_group_holds_as_its_word_says",
    ),
    Mutation(
        "groups of a row must hold",
        "rules/compiled.py",
        "All((*conditions, *(group.node for group in groups)))",
        "All(conditions)",
        GROUPS + "test_cells_and_all_groups_of_a_row_must_hold",
    ),
    Mutation(
        "groups: the opposite of unknown is unknown",
        "rules/compiled.py",
        "        return (answer if isinstance(answer, Open) else Open.leaf(answer)).opposite()",
        "        return True",
        GROUPS + "test_unknown_satisfies_neither_a_group_nor_its_negation",
    ),
    Mutation(
        "the scope of a table",
        "rules/compiled.py",
        'CompiledGroup.of(Group(GroupKind.ALL, table.scope), "", "", vocabulary) if table.scope else None,',
        "None,",
        GROUPS + "test_a_ticket_out_of_scope_gets_no_row_and_no_otherwise",
    ),
    Mutation(
        "a scope that cannot be decided is not out of scope",
        "rules/compiled.py",
        '        raise ConditionFailed(f"scope: {truth.leaves[0].reason}")',
        "        return False",
        GROUPS + "test_a_scope_that_cannot_be_decided_parks_its_table_and_is_never_out_of_scope",
    ),
    Mutation(
        "an empty named list",
        "rules/compiled.py",
        "        if operand == [] and list_names(cell.value):",
        "        if False:",
        GROUPS + "test_nothing_is_one_of_an_empty_list_and_everything_is_none_of_it",
    ),
    Mutation(
        "a named list that is gone",
        "rules/operands.py",
        "        if name not in lists:\n",
        "        if name not in lists:\n            continue\n        if False:\n",
        GROUPS + "test_a_list_that_is_gone_makes_its_rows_undecidable",
    ),
    # Waits
    Mutation(
        "a table waits for what could still change it",
        "rules/passes.py",
        "        may_wait = (never_without or compiled.table.wait_s != 0) and",
        "        may_wait = never_without and",
        ENGINE + "test_a_table_waits_for_the_lookup_that_could_still_change_what_fires",
    ),
    Mutation(
        "a table with no wait decides at once",
        "rules/passes.py",
        "        may_wait = (never_without or compiled.table.wait_s != 0) and",
        "        may_wait =",
        ENGINE + "test_a_table_with_no_wait_decides_at_once",
    ),
    Mutation(
        "a wait ends",
        "rules/passes.py",
        "and compiled.entry.code not in self.wait_over\n",
        "and True\n",
        ENGINE + "test_after_the_wait_unknown_rows_are_skipped_and_the_rest_decide",
    ),
    Mutation(
        "nothing fires while the table waits",
        "rules/passes.py",
        "if fires and not wait_for and not undecided:",
        "if fires and not undecided:",
        ENGINE + "test_no_row_of_a_table_fires_while_it_waits",
    ),
    Mutation(
        "never without stays undecided",
        "rules/passes.py",
        "        undecided = never_without and bool(matter) and not wait_for",
        "        undecided = False",
        ENGINE + "test_never_without_waits_without_end_and_then_stays_undecided",
    ),
    Mutation(
        "the list stops where it waits",
        "rules/passes.py",
        "            if self.wait is not None or self.stopped or self.ended_by:",
        "            if self.stopped or self.ended_by:",
        ENGINE + "test_earlier_entries_stand_while_a_later_one_waits_and_it_goes_on_there",
    ),
    Mutation(
        "going on where it waited",
        "rules/passes.py",
        "in tables if one.order >= least]",
        "in tables if one.order > least]",
        ENGINE + "test_earlier_entries_stand_while_a_later_one_waits_and_it_goes_on_there",
    ),
    Mutation(
        "a failed lookup is not waited for",
        "rules/truth.py",
        "if one.lookup is not None and one.worth_waiting)",
        "if one.lookup is not None)",
        ENGINE + "test_never_without_waits_without_end_and_then_stays_undecided",
    ),
    Mutation(
        "a row that lacks a failed lookup waits for no other",
        "rules/truth.py",
        "result |= UNCLEAR if (one | other) & UNCLEAR and calm_one and calm_other else 0\n"
        "    return result | (one & other & YES)",
        "return result | ((one | other) & YES)",
        ENGINE + "test_a_row_that_lacks_a_failed_lookup_does_not_wait_for_the_other",
    ),
    Mutation(
        "a late answer decides its rows only",
        "rules/passes.py",
        "and (self.only_rows is None or key in self.only_rows)",
        "",
        ENGINE + "test_a_late_answer_decides_the_skipped_rows_again_and_only_those",
    ),
    # Order, first, otherwise, held, limits
    Mutation(
        "first means the first row only",
        "rules/quick.py",
        "        elif first:\n",
        "        elif False:\n",
        ENGINE + "test_first_fires_the_first_row_that_matches_only",
    ),
    Mutation(
        "first means the first row only, with an index",
        "rules/passes.py",
        "            if first:\n                break\n        return sure, asked",
        "        return sure, asked",
        INDEX + "test_first_means_the_first_row_only_with_an_index",
    ),
    Mutation(
        "every means every row",
        "rules/passes.py",
        "            if first and (truth is True or",
        "            if True and (truth is True or",
        ENGINE + "test_every_fires_all_rows_that_match_in_order",
    ),
    Mutation(
        "otherwise only when no row matched",
        "rules/passes.py",
        "        blocked = matched or outcome.parked",
        "        blocked = outcome.parked",
        ENGINE + "test_otherwise_fires_only_when_no_row_matched",
    ),
    Mutation(
        "a held row does not fire",
        "rules/passes.py",
        "return bool(key) and key not in self.held and",
        "return bool(key) and",
        ENGINE + "test_a_held_row_still_matches_and_ends_a_first_table",
    ),
    Mutation(
        "a held row still matches",
        "rules/passes.py",
        "                matched = True\n                fires = self.can_fire(row.key)\n",
        "                fires = self.can_fire(row.key)\n                matched = matched or fires\n",
        ENGINE + "test_a_held_row_of_an_every_table_keeps_the_otherwise_row_away",
    ),
    Mutation(
        "a failed row ends a first table",
        "rules/passes.py",
        "                outcome.parked = outcome.parked or (first and not wait_for)",
        "                outcome.parked = False",
        ENGINE + "test_an_error_in_a_condition_parks_a_first_table_and_is_never_no_match",
    ),
    Mutation(
        "entries in list order",
        "rules/ruleset.py",
        "key=lambda entry: (entry.position, entry.code)",
        "key=lambda entry: (-entry.position, entry.code)",
        ENGINE + "test_entries_run_in_list_order_and_see_what_earlier_ones_staged",
    ),
    Mutation(
        "later entries see what earlier ones staged",
        "rules/look.py",
        "            own[name] = value\n",
        "            pass\n",
        ENGINE + "test_entries_run_in_list_order_and_see_what_earlier_ones_staged",
    ),
    Mutation(
        "rows of one table do not see each other",
        "rules/passes.py",
        "            for row in sure:  # of a *first* table one at most\n",
        "            for row in compiled.rows:\n"
        "                if row.truth(self.look) is not True:\n                    continue\n",
        ENGINE + "test_rows_of_one_table_do_not_see_each_others_writes",
    ),
    Mutation(
        "a staged write is read again",
        "rules/look.py",
        "if name not in known[0].reads",
        "if True",
        ENGINE + "test_a_staged_write_makes_lookups_that_hang_on_it_be_read_again",
    ),
    Mutation(
        "steps of a row see the ones before",
        "rules/steps.py",
        "before = staged[name] if name in staged else item.get(name)",
        "before = item.get(name)",
        ENGINE + "test_steps_of_a_row_see_what_the_ones_before_staged",
    ),
    Mutation(
        "a refused step undoes its whole row",
        "rules/steps.py",
        "                return RowPlan(step=step_sentence(action, step.params, vocabulary), refused=str(error))\n",
        "                continue\n",
        ENGINE + "test_a_step_that_is_refused_undoes_its_whole_row",
    ),
    Mutation(
        "the limit of effects",
        "rules/passes.py",
        "        if made.effects > self.effects_left:",
        "        if False:",
        ENGINE + "test_the_limit_of_effects_stops_the_list_visibly_and_whole_rows_only",
    ),
    Mutation(
        "the limit of effects of a row that gives one field a value",
        "rules/passes.py",
        "        if single is None or not self.effects_left:",
        "        if single is None:",
        ENGINE + "test_a_row_of_one_effect_stops_at_the_limit_too",
    ),
    Mutation(
        "a row that gives a field the value it has plans nothing",
        "rules/passes.py",
        "        if self.look.facts.item.get(name) != value:",
        "        if True:",
        ENGINE + "test_a_step_that_changes_nothing_plans_nothing_but_stands_in_the_trace",
    ),
    Mutation(
        "an odd value is asked of the conditions",
        "rules/passes.py",
        "            return [], list(rows)\n",
        "            return [], []\n",
        ENGINE + "test_an_error_in_a_condition_parks_a_first_table_and_is_never_no_match",
    ),
    Mutation(
        "a row with something that has no quick form is asked",
        "rules/quick.py",
        '            body.append(f"if {test}: open.append({at})")',
        '            body.append(f"if {test}: sure.append({at})")',
        ENGINE + "test_a_table_waits_for_the_lookup_that_could_still_change_what_fires",
    ),
    Mutation(
        "the index asks rows whose field is unknown",
        "rules/index.py",
        "            self._asked[part.place] = part.rows\n",
        "",
        INDEX + "test_a_row_is_asked_when_its_lookup_is_unknown_and_left_out_when_another_cell_is_false",
    ),
    Mutation(
        "the index follows what is staged",
        "rules/passes.py",
        "                self.possible.staged(written, self.look, self.next_bit)",
        "                pass",
        INDEX + "test_a_staged_write_lets_later_rows_that_read_it_match",
    ),
    Mutation(
        "a limit of the index is a limit exactly",
        "rules/index.py",
        "[below({limits}, v) + upto({limits}, v)]",
        "[2 * below({limits}, v)]",
        INDEX + "test_a_row_with_a_limit_is_left_exactly_when_it_matches_however_few_limits_are_known",
    ),
    Mutation(
        "a long table's trace is bounded",
        "rules/tracing.py",
        "            self.unmatched_left -= 1\n",
        "",
        ENGINE + "test_a_long_table_keeps_a_bounded_trace_with_the_deciding_row",
    ),
    Mutation(
        "two entries with one code",
        "rules/ruleset.py",
        "    if len({entry.code for entry in ordered}) != len(ordered):",
        "    if False:",
        ENGINE + "test_two_entries_with_one_code_are_refused",
    ),
    Mutation(
        "a switched-off entry",
        "rules/ruleset.py",
        "if entry.enabled and entry.table is not None\n",
        "if entry.table is not None\n",
        TRIGGERS + "test_a_switched_off_entry_does_not_run",
    ),
    Mutation(
        "a table's kind of item",
        "rules/compiled.py",
        '        if self.table.kind not in ("any", facts.item.get("kind")):',
        "        if False:",
        TRIGGERS + "test_a_table_runs_on_its_kind_of_item_only",
    ),
    Mutation(
        "a table's triggers",
        "rules/compiled.py",
        "return any(kind in kinds and matches(facts)",
        "return any(kind in kinds",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "whose message",
        "rules/triggers.py",
        '        if by != ANYONE and message.get("author") != by:',
        "        if False:",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "public or internal message",
        "rules/triggers.py",
        'return visibility == ANY or bool(message.get("public")) == (visibility == "public")',
        "return True",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "changed from and to",
        "rules/triggers.py",
        "return change is not None and all(test(change) for test in tests)",
        "return change is not None",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "which script ended",
        "rules/triggers.py",
        '(script is None or run.get("script") == script) and',
        "",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    # Policies
    Mutation(
        "a column may say that nobody asks on its account",
        "rules/compiled.py",
        "            return Undecided(reading.reason, reading.lookup, worth_waiting=False)\n",
        "            return Undecided(reading.reason, reading.lookup, reading.worth_waiting)\n",
        POLICIES + "test_an_unknown_value_counts_as_its_column_says_once_the_wait_is_over",
    ),
    Mutation(
        "what unknown counts as waits first",
        "rules/compiled.py",
        "        if reading.worth_waiting and look.may_wait:\n",
        "        if False:\n",
        POLICIES + "test_an_unknown_value_counts_as_its_column_says_once_the_wait_is_over",
    ),
    Mutation(
        "a row that ends the list",
        "rules/passes.py",
        "            if self.wait is not None or self.stopped or self.ended_by:\n                return\n",
        "            if self.wait is not None or self.stopped:\n                return\n",
        POLICIES + "test_a_row_that_says_so_ends_the_list_with_its_table",
    ),
    Mutation(
        "a table that waits ends no list",
        "rules/passes.py",
        "        elif compiled.stops and not outcome.undecided:\n",
        "        if compiled.stops and not outcome.undecided:\n",
        POLICIES + "test_a_table_that_waits_does_not_end_the_list_yet",
    ),
    Mutation(
        "a table runs again",
        "rules/passes.py",
        "        if self.ruleset.again and self.written_at and self.only_rows is None:\n",
        "        if False:\n",
        POLICIES + "test_a_table_runs_again_when_a_later_entry_changes_a_field_it_reads",
    ),
    Mutation(
        "only when it asked to",
        "rules/ruleset.py",
        "one for one in compiled if one.table.run_again",
        "one for one in compiled if True",
        POLICIES + "test_a_table_runs_again_when_a_later_entry_changes_a_field_it_reads",
    ),
    Mutation(
        "a row fires once when its table runs again",
        "rules/passes.py",
        "                self.held |= set(self.fired)\n",
        "",
        POLICIES + "test_a_row_fires_once_however_often_its_table_runs",
    ),
    Mutation(
        "running again has a bound",
        "rules/passes.py",
        "MOST_AGAIN = 5",
        "MOST_AGAIN = 5_000",
        POLICIES + "test_running_again_has_a_bound_that_is_reported",
    ),
    # Parsing
    _refusal(
        "unknown fields",
        '                self._broken(id, where, "unknown_field", str(error))\n',
        "                self.broken.add(id)\n",
    ),
    _refusal(
        "unknown operators", 'self.report(where, "unknown_operator", no_such("operator", op, allowed))', "return None"
    ),
    _refusal(
        "operators that do not fit",
        '            self.report(where, "operator_does_not_fit", message)',
        "            return OPERATORS[op]",
    ),
    _refusal(
        "unknown actions",
        '                self._broken(head, {"column": head}, "unknown_action", no_such("action", do, actions))\n',
        "                self.broken.add(head)\n",
    ),
    _refusal("unknown keys", "            if key not in known:\n", "            if False:\n"),
    _refusal(
        "unknown columns of a cell",
        '                self.report({"row": row, "column": column}, "unknown_column", message)\n',
        "",
    ),
    _refusal("values that do not fit a cell", '            self.report(where, "value", str(error))\n', ""),
    _refusal(
        "steps that cannot be done",
        '                self.report(where, "step", str(error))\n',
        "                pass\n",
    ),
    _refusal("two rows with one id", "            if id in seen:\n", "            if False:\n"),
    _refusal("two columns with one id", "if id in self.columns or id in self.steps or id in self.broken:", "if False:"),
    _refusal("a table without triggers", "        if not found:\n", "        if False:\n"),
    _refusal("a table without rows", "if not table.rows and table.otherwise is None:", "if False:"),
    _refusal("a wait of at most a day", "or not 0 <= value <= MAX_WAIT_S:", "or False:"),
    _refusal("the size of a cell", "        if size > MAX_CELL_CHARS:", "        if False:"),
    Mutation(
        "the number of rows",
        "rules/parse.py",
        "        if len(data) > most:\n",
        "        if False:\n",
        PARSE + "test_rows_and_columns_have_bounds",
    ),
    Mutation(
        "the number of problems",
        "rules/parse.py",
        "        if len(self.problems) >= MAX_PROBLEMS - 1:",
        "        if False:",
        PARSE + "test_the_number_of_problems_has_a_bound_that_says_so",
    ),
    # Planning
    _action_refusal(
        "actions",
        "an action that does not exist",
        '        raise ActionRefused(no_such("action", action, {one.key: one.label for one in ACTIONS.values()}))\n',
        "        return {}\n",
    ),
    _action_refusal(
        "actions", "a parameter that does not exist", "        if key not in known:\n", "        if False:\n"
    ),
    _action_refusal(
        "actions", "a parameter that must be there", "            if param.required:\n", "            if False:\n"
    ),
    _action_refusal("actions", "a team that does not exist", "    if value not in options:\n", "    if False:\n"),
    _action_refusal(
        "state_actions", "a field no rule may set", "    if target.state_key in READ_ONLY:\n", "    if False:\n"
    ),
    _action_refusal(
        "state_actions",
        "a value the field's menu does not have",
        "                if one not in declared.options:\n".replace("                ", "            ", 1),
        "            if False:\n",
    ),
    _action_refusal(
        "wording",
        "a text or a template",
        '    if ("text" in params) == ("template" in params):',
        "    if False:",
    ),
    _action_refusal(
        "message_actions",
        "somebody to notify",
        'if not any(params.get(key) for key in ("users", "teams", "brands", "locations", "location_groups")):',
        "if False:",
    ),
    _action_refusal(
        "outside_actions",
        "a card's key",
        'if not key.replace("_", "a").replace("-", "a").isalnum() or len(key) > 40:',
        "if False:",
    ),
    _action_refusal(
        "outside_actions", "the inputs of a lookup", "        if name not in spec.inputs:\n", "        if False:\n"
    ),
    _action_refusal("outside_actions", "all inputs of a lookup", "    if unbound:\n", "    if False:\n"),
    _action_refusal(
        "actions",
        "the placeholders of a text",
        "                problems = text_problems(value, vocabulary, param.names)\n",
        "                problems = []\n",
    ),
    _action_refusal(
        "actions", "the size of a card", "            if _json_chars(value) > MAX_JSON_CHARS:", "            if False:"
    ),
    _action_refusal(
        "actions", "the number of tags", "            if len(members) > MAX_MEMBERS:", "            if False:"
    ),
    Mutation(
        "a step that changes nothing does nothing",
        "rules/actions.py",
        "            if not changes:\n                continue\n",
        "",
        ACTIONS + "test_a_step_that_would_change_nothing_plans_nothing",
    ),
    Mutation(
        "a script's text is no template",
        "rules/actions.py",
        "plan(call.action, call.params, facts, vocabulary, literal=True)",
        "plan(call.action, call.params, facts, vocabulary)",
        ACTIONS + "test_a_scripts_text_is_sent_as_it_is",
    ),
    Mutation(
        "a script's calls see the ones before",
        "rules/actions.py",
        "        facts = facts.with_state(staged_by(effects, facts))\n",
        "",
        ACTIONS + "test_a_scripts_calls_see_what_the_ones_before_staged",
    ),
    Mutation(
        "a script's limit of effects",
        "rules/actions.py",
        "        if effects_left < 0:",
        "        if False:",
        ACTIONS + "test_a_script_has_the_limit_of_effects_too",
    ),
    # Templates
    Mutation(
        "the groups a text may read",
        "rules/templates.py",
        '        if name.partition(".")[0] in GROUPS and _exists(name, vocabulary):',
        "        if _exists(name, vocabulary):",
        TEMPLATES + "test_a_forbidden_name_renders_as_nothing_even_when_it_was_saved_before",
    ),
    Mutation(
        "placeholders that do not exist",
        "rules/templates.py",
        '        if name.partition(".")[0] not in GROUPS or not _exists(name, vocabulary):',
        "        if False:",
        TEMPLATES + "test_a_text_that_cannot_be_rendered_has_its_problem",
    ),
    Mutation(
        "values are not looked through for placeholders",
        "rules/templates.py",
        "    result = _PLACEHOLDER.sub(fill, text)\n",
        "    result = _PLACEHOLDER.sub(fill, _PLACEHOLDER.sub(fill, text))\n",
        TEMPLATES + "test_a_value_is_never_looked_through_for_placeholders",
    ),
    Mutation(
        "the length of a rendered text",
        "rules/templates.py",
        "result[:MAX_RENDERED_CHARS]",
        "result",
        TEMPLATES + "test_the_result_has_a_bound",
    ),
    # Lint and trace
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
