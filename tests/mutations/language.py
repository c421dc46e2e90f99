"""What a rule can say: operators, known and unknown, groups and named lists, and what is refused when it is read."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

OPERATORS = "tests/rules/test_operators.py::"
ENGINE = "tests/rules/test_engine.py::"
GROUPS = "tests/rules/test_groups.py::"
FIELDS = "tests/rules/test_fields.py::"
PARSE = "tests/rules/test_parse.py::"


def _operator(key: str, old: str, new: str, file: str = "operators") -> Mutation:
    test = "test_an_operator_says_yes_to_one_value_and_no_to_its_twin"
    return Mutation(f"the operator {key}", f"rules/{file}.py", old, new, OPERATORS + test)


def _comparison(key: str, old: str, new: str) -> Mutation:
    return _operator(key, old, new, "comparisons")


def _refusal(name: str, old: str, new: str) -> Mutation:
    """One of the problems that parsing a table tells."""
    return Mutation(name, "rules/parse.py", old, new, PARSE + "test_a_problem_names_its_cell_and_what_is_allowed")


def _against(name: str, old: str, new: str, test: str, *, file: str = "rules/conflicts.py") -> Mutation:
    return Mutation(f"conflicts: {name}", file, old, new, "tests/rules/test_conflicts.py::" + test)


def _trigger(key: str, old: str, new: str) -> Mutation:
    test = "tests/rules/test_triggers.py::test_a_trigger_runs_its_table_on_its_events_only"
    return Mutation(f"the trigger {key}", "rules/triggers.py", old, new, test)


MUTATIONS = (
    # Operators
    _operator("is", 'is_among,\n        "is {value}"', 'is_not_among,\n        "is {value}"'),
    _operator(
        "is_not", '        is_not_among,\n        "is not {value}"', '        is_among,\n        "is not {value}"'
    ),
    _operator("any_of", 'is_among,\n        "is any of', 'is_not_among,\n        "is any of'),
    _operator("none_of", '        is_not_among,\n        "is none of', '        is_among,\n        "is none of'),
    Mutation(
        "the operator empty",
        "rules/operators.py",
        'certain(False),\n        "is empty"',
        'certain(True),\n        "is empty"',
        OPERATORS + "test_empty_is_true_only_where_there_is_no_value",
    ),
    Mutation(
        "the operator not_empty",
        "rules/operators.py",
        'certain(True),\n        "is not empty"',
        'certain(False),\n        "is not empty"',
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
        "a keyword's edges in a text that repeats it",
        "rules/folding.py",
        '_WORD.sub("\\n\\\\g<0>\\n", folded)',
        "folded",
        "tests/rules/test_keywords.py::test_a_keyword_is_found_behind_any_number_of_places_where_it_is_no_word",
    ),
    Mutation(
        "a lookup is asked with one value",
        "rules/fields.py",
        "        if isinstance(reading.value, (list, tuple, Mapping)):\n",
        "        if False:\n",
        "tests/rules/test_fields.py::"
        "test_a_lookup_is_asked_with_one_value_and_a_list_only_keeps_its_own_rows_from_being_decided",
    ),
    Mutation(
        "a key that stands twice in a file",
        "rules/files.py",
        "if name in seen:",
        "if False:",
        "tests/web/test_rules_text.py::test_a_key_that_stands_twice_is_refused_with_its_place",
    ),
    Mutation(
        "an end of a line comes back from a file as it was",
        "rules/files.py",
        """style='"' if "\\x85" in data else None""",
        "style=None",
        "tests/web/test_rules_text.py::test_ends_of_lines_come_back_from_a_file_as_they_were",
    ),
    Mutation(
        "what would not be written the same again is no number",
        "rules/files.py",
        "return int(text) if _PLAIN_INT.fullmatch(text) else text",
        "return yaml.constructor.SafeConstructor.construct_yaml_int(_loader, node)",
        "tests/web/test_rules_text.py::test_what_would_not_be_written_the_same_again_is_no_number_and_no_date",
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
        "tests/rules/test_engine.py::test_rows_that_are_false_already_cause_no_wait",
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
    # Parsing
    _refusal(
        "unknown fields",
        '                self._broken(id, where, "unknown_field", str(error))\n',
        "                self.broken.add(id)\n",
    ),
    _refusal("ids that are numbers", """return f" Put it in quotes: '{id}'." if""", 'return "" if'),
    Mutation(
        "too many columns are said once",
        "rules/parse.py",
        ' and not any(one.code == "too_many" and one.where in _HEADS for one in self.problems):\n',
        ":\n",
        PARSE + "test_rows_and_columns_have_bounds",
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
    # Rows against rows
    _against(
        "rows are compared by what they write",
        "if first.values.get(name, value) != value]",
        "if first.values.get(name, value) == value]",
        "test_rows_that_cannot_fire_together_or_agree_are_left_alone",
    ),
    _against(
        "an example is asked of the engine",
        "if shows is None or not _both_fire(first, second, shows.facts, vocabulary, search):",
        "if shows is None:",
        "test_tables_that_never_run_on_one_event_are_left_alone",
    ),
    _against(
        "a circle goes round",
        "if shows is None or not _comes_round(path, shows.facts, vocabulary, search):",
        "if shows is None:",
        "test_a_write_that_ends_where_it_began_closes_no_circle",
    ),
    _against(
        "what comes from outside may be unknown",
        "        and not field.outside\n",
        "",
        "test_n4_a_row_that_earlier_ones_catch_together_is_never_reached",
        file="rules/reach.py",
    ),
    _against(
        "a menu may have lost a value",
        "            if field.type is FieldType.CHOICE:\n                values",
        "            if False:\n                values",
        "test_n4_a_row_that_earlier_ones_catch_together_is_never_reached",
        file="rules/reach.py",
    ),
    _against(
        "what the scope excludes is nobody's",
        "self._held_by((*conditions, *self._scope))",
        "self._held_by(conditions)",
        "test_what_a_scope_excludes_is_no_gap_and_the_example_is_what_is_told",
        file="rules/reach.py",
    ),
    _against(
        "every ticket has a status",
        "odd = (_STALE, _MISSING) if name in self._always else (_STALE,)",
        "odd = (_STALE,)",
        "test_to_name_every_status_leaves_no_gap",
        file="rules/reach.py",
    ),
    _against(
        "steps have a bound",
        "        if self._steps < 0:",
        "        if False:",
        "test_a_count_that_ends_early_says_so_and_claims_nothing",
        file="rules/reach.py",
    ),
    _against(
        "searches have a bound",
        "        if self._examples < 0:",
        "        if False:",
        "test_a_search_that_ends_early_says_so",
    ),
    _against(
        "pairs have a bound",
        "        if self._pairs < 0:",
        "        if False:",
        "test_pairs_beyond_the_bound_are_not_compared",
    ),
    _against(
        "values that are tried have a bound",
        "        if self._tries < 0:",
        "        if False:",
        "test_values_beyond_the_bound_are_not_tried",
    ),
    _against(
        "what no value fulfils is tried once",
        "            hopeless.add(keys[name])\n",
        "",
        "test_what_no_value_fulfils_is_not_tried_again_for_every_way",
        file="rules/examples.py",
    ),
    _against(
        "every message has an author",
        "_OF_MESSAGES if compiled.kinds == {EventKind.MESSAGE} else frozenset()",
        "frozenset()",
        "test_what_every_message_and_event_has_leaves_no_gap",
        file="rules/reach.py",
    ),
    Mutation(
        "1 is no yes in Python either",
        "sandbox/child/cells.py",
        "    if kind in (bool, int) and type(value) is not kind:\n",
        "    if False:\n",
        "tests/oracle/test_cells_equal_operators.py::test_an_operator_and_its_word_in_python_say_the_same[is]",
    ),
    Mutation(
        "scripts read how the service level stands",
        "rules/fields.py",
        "    if key.startswith(SLA)\n    or (",
        "    if (",
        "tests/jobs/test_listed_scripts.py::test_a_script_reads_how_the_service_level_stands",
    ),
    # Cards that scripts write
    Mutation(
        "an answer that is asked for with a card hangs on the card",
        "rules/ruleset.py",
        'if depth < MAX_BIND_DEPTH and name.startswith(f"{spec.name}.")',
        "if False",
        "tests/rules/test_cards.py::test_a_list_looks_at_cards_where_a_field_hangs_on_one[shop.orders.n-True]",
    ),
    # Newly written text
    Mutation(
        "message.text is what was newly written",
        "rules/fields.py",
        '"Message", FieldType.LONG_TEXT, at="new_text")',
        '"Message", FieldType.LONG_TEXT, at="text")',
        "tests/rules/test_fields.py::test_message_text_is_the_new_text_without_quotes",
    ),
    Mutation(
        "quoted lines are not newly written",
        "connectors/channels/mail_text.py",
        '        if line.startswith(">"):\n            at += 1\n            continue\n',
        "",
        "tests/intake/test_email.py::test_what_was_newly_written_is_told_from_quotes_and_signatures",
    ),
    Mutation(
        "a quoted mail under its labels is not newly written",
        "connectors/channels/mail_text.py",
        "if _starts_quoted_mail(lines, at) and not _forwards(kept):",
        "if False:",
        "tests/intake/test_email.py::test_what_was_newly_written_is_told_from_quotes_and_signatures",
    ),
    Mutation(
        "a signature is not newly written",
        "connectors/channels/mail_text.py",
        '"\\n".join(_without_signature(kept))',
        '"\\n".join(kept)',
        "tests/intake/test_email.py::test_what_was_newly_written_is_told_from_quotes_and_signatures",
    ),
    Mutation(
        "an answer that only quotes says nothing",
        "connectors/channels/mail_text.py",
        '("" if answer else text.strip())',
        "text.strip()",
        "tests/intake/test_email.py::test_an_answer_that_only_quotes_says_nothing_and_a_forward_says_it_all",
    ),
    Mutation(
        "a forward is no answer",
        "connectors/channels/email.py",
        '"in-reply-to" in headers and not forwards(subject)',
        '"in-reply-to" in headers',
        "tests/intake/test_email.py::test_an_answer_that_only_quotes_says_nothing_and_a_forward_says_it_all",
    ),
    # Triggers
    _trigger(
        "created",
        '"A new ticket, with its first message.", frozenset({EventKind.CREATED})',
        '"A new ticket, with its first message.", frozenset({EventKind.CHANGED})',
    ),
    _trigger("request_completed", "frozenset({EventKind.REQUEST})", "frozenset({EventKind.CREATED})"),
    _trigger("run_now", "frozenset({EventKind.RUN_NOW})", "frozenset({EventKind.CREATED})"),
    _trigger("linked_done", "frozenset({EventKind.LINKED})", "frozenset({EventKind.CREATED})"),
    _trigger("form_answered", "frozenset({EventKind.CREATED, EventKind.FORM})", "frozenset({EventKind.CHANGED})"),
    _trigger("procedure_answered", '_answered("procedure", "procedure")', '_answered("form", "procedure")'),
    _trigger(
        "context_updated",
        "frozenset({EventKind.CONTEXT, EventKind.CHANGED, EventKind.MESSAGE, EventKind.SCRIPT})",
        "frozenset({EventKind.CREATED})",
    ),
    _trigger("stage_entered", "_CHANGING | {EventKind.CREATED}", "frozenset({EventKind.MESSAGE})"),
    _trigger(
        "script_finished",
        '"A script\'s run ended, well or badly.",\n        frozenset({EventKind.SCRIPT}),',
        '"A script\'s run ended, well or badly.",\n        frozenset({EventKind.CREATED}),',
    ),
    _trigger("time_in_state", "_timed(_state_rule)", "_timed(_reply_rule)"),
    _trigger("no_reply", "_timed(_reply_rule)", "_timed(_state_rule)"),
    _trigger("before_date", "_timed(_before_rule)", "_timed(_after_rule)"),
    _trigger("after_date", "_timed(_after_rule)", "_timed(_before_rule)"),
    _trigger("sla_near", "_timed(_near_rule)", "_timed(_breached_rule)"),
    _trigger("sla_breached", "_timed(_breached_rule)", "_timed(_near_rule)"),
    _trigger("schedule", "_timed(_schedule_rule)", "_timed(_state_rule)"),
    # Tables as Python, and back
    Mutation(
        "what nobody can tell is no denial in Python either",
        "rules/as_python.py",
        '        return _Expr(f"{self.inside()} is False", True, "is")\n',
        '        return _Expr(f"not {self.inside()}", True, "not")\n',
        "tests/sandbox/test_tables_in_the_jail.py::test_tables_come_to_the_same_in_the_jail[no answer]",
    ),
    Mutation(
        "a column that counts the unknown as a match does so in Python",
        "rules/as_python.py",
        'ending = "is not False" if column.unknown is WhenUnknown.MATCH else "is True"',
        'ending = "is True" if column.unknown is WhenUnknown.MATCH else "is not False"',
        "tests/sandbox/test_tables_in_the_jail.py::test_tables_come_to_the_same_in_the_jail[several]",
    ),
    Mutation(
        "a row behind a stop is no row of a table",
        "rules/from_python.py",
        "if last is not None or any(row.stop for row in rows):",
        "if last is not None:",
        "tests/rules/test_from_python.py::test_the_line_that_no_table_says_is_named[a row behind a stop]",
    ),
    Mutation(
        "steps beside rows are no last row",
        "rules/from_python.py",
        "        if alone and single:\n",
        "        if False:\n",
        "tests/rules/test_from_python.py::test_the_line_that_no_table_says_is_named[a step before the rows]",
    ),
    Mutation(
        "no script is made of a table that says more",
        "web/rules_python.py",
        "        if written.missing:\n",
        "        if False:\n",
        "tests/web/test_rules_python.py::test_of_a_table_that_no_script_can_say_none_is_made",
    ),
    Mutation(
        "who may not edit scripts makes none of a table",
        "web/rules_python.py",
        "        if not me().may(Permission.EDIT_SCRIPTS):\n",
        "        if False:\n",
        "tests/web/test_rules_python.py::test_who_may_not_edit_scripts_sees_the_python_and_makes_no_script",
    ),
    Mutation(
        "what the jail refuses is parsed nowhere else",
        "web/rules_python.py",
        "    if not checked.ok:\n",
        "    if False:\n",
        "tests/web/test_rules_python.py::test_what_the_jail_refuses_is_told_in_its_words_and_parsed_nowhere_else",
    ),
    Mutation(
        "who may not edit rules makes no table of a script",
        "web/rules_python.py",
        "    if not me().may(PERMISSION):\n",
        "    if False:\n",
        "tests/web/test_rules_python.py::test_who_may_not_edit_rules_makes_no_table",
    ),
    Mutation(
        "keywords have word edges in scripts, too",
        "sandbox/child/cells.py",
        "left, right = keyword[0].isalnum(), keyword[-1].isalnum()",
        "left, right = False, False",
        "tests/sandbox/test_language.py::test_a_facade_works[cells_text]",
    ),
    Mutation(
        "an unknown value is unknown in every comparison of a script",
        "sandbox/child/cells.py",
        "        if value is UNKNOWN:\n            return UNKNOWN\n        return when_missing",
        "        if value is UNKNOWN:\n            return False\n        return when_missing",
        "tests/oracle/test_cells_equal_operators.py::test_what_nobody_can_tell_is_neither_yes_nor_no_in_any_comparison",
    ),
)
