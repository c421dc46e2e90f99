"""What need not be looked at one by one: the index of rows, its bits and keywords, and decisions without a pass."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ENGINE = "tests/rules/test_engine.py::"
INDEX = "tests/rules/test_index.py::"
KEYWORDS = "tests/rules/test_keywords.py::"
STRAIGHT = "tests/rules/test_straight.py::"

MUTATIONS = (
    Mutation(
        "first means the first row only, with an index",
        "rules/passes.py",
        "        if not first:\n            sure = [",
        "        if True:\n            sure = [",
        INDEX + "test_first_means_the_first_row_only_with_an_index",
    ),
    Mutation(
        "a looked-up value rules a row of a short list out",
        "rules/index.py",
        "            made = part.mark(condition, when == positive)",
        "            made = part.mark(condition, when != positive)",
        ENGINE + "test_first_fires_the_first_row_that_matches_only",
    ),
    Mutation(
        "a row with something that has no quick form is asked",
        "rules/index.py",
        "        self.open = mask([at for at, _ in rest if at not in self.rests])",
        "        self.open = 0",
        ENGINE + "test_a_field_that_is_gone_makes_its_rows_undecidable_and_says_why",
    ),
    Mutation(
        "a row whose field is unknown is asked",
        "rules/straight.py",
        "    lacking[part] = look\n",
        "    pass\n",
        ENGINE + "test_a_table_waits_for_the_lookup_that_could_still_change_what_fires",
    ),
    Mutation(
        "the index asks rows whose field is unknown",
        "rules/possible.py",
        "            self._unknown[part.place] = part\n",
        "",
        INDEX + "test_an_error_in_one_row_is_none_in_another_that_looks_at_the_same_field",
    ),
    Mutation(
        "the index follows what is staged",
        "rules/possible.py",
        "                self.dirty.add(part)\n",
        "                pass\n",
        INDEX + "test_a_staged_write_lets_later_rows_that_read_it_match",
    ),
    Mutation(
        "a limit of the index is a limit exactly",
        "rules/marks.py",
        "        return self.cells[bisect_left(self.limits, value) + bisect_right(self.limits, value)]",
        "        return self.cells[2 * bisect_left(self.limits, value)]",
        INDEX + "test_a_row_with_a_limit_is_left_exactly_when_it_matches_however_few_limits_are_known",
    ),
    Mutation(
        "an unknown value is not taken for one that is there",
        "rules/parts.py",
        "        if value is NOT_KNOWN:\n            raise Unfit\n",
        "",
        INDEX + "test_whether_an_unknown_value_is_empty_is_asked_where_only_a_group_in_a_group_looks_at_it",
    ),
    Mutation(
        "yes is no number to the index",
        "rules/scanning.py",
        'f"if v.__class__ is int or v is None: left',
        'f"if isinstance(v, int) or v is None: left',
        INDEX + "test_what_a_value_sets_is_not_remembered_for_another_that_a_dictionary_takes_for_the_same",
    ),
    Mutation(
        "a group in the index holds when one of its members does",
        "rules/index.py",
        "            out |= having & ~(sets >> begin)",
        "            out |= having",
        INDEX + "test_a_group_is_left_exactly_when_it_holds",
    ),
    Mutation(
        "a group with something unknown in it is left to be asked",
        "rules/straight.py",
        "        may_hold |= part.groups\n",
        "        pass\n",
        INDEX + "test_a_group_with_an_unknown_lookup_is_asked_and_one_that_holds_without_it_matches",
    ),
    Mutation(
        "of many rows a group with something unknown in it is left to be asked",
        "rules/possible.py",
        "            return part.groups\n",
        "            return 0\n",
        INDEX + "test_a_group_that_held_before_a_rule_wrote_is_asked_again_when_the_rest_of_it_is_unknown",
    ),
    Mutation(
        "an error in one row is none in another",
        "rules/possible.py",
        "            if not known.failed:",
        "            if True:",
        INDEX + "test_an_error_in_one_row_is_none_in_another_that_looks_at_the_same_field",
    ),
    Mutation(
        "rows that write what later tables read, in tables decided many at a time",
        "rules/passes.py",
        "                possible.refresh(end)\n",
        "                pass\n",
        INDEX + "test_a_write_of_one_of_many_tables_is_read_by_the_later_ones",
    ),
    *(
        Mutation(
            f"of many tables the one row that is left fires where {what}",
            "rules/passes.py",
            text,
            other,
            STRAIGHT + "test_in_a_pass_over_many_tables_the_one_row_that_is_left_of_each_fires_where_it_may",
        )
        for what, text, other in (
            ("no other of its table is", " or bits[at + 1] >= end\n", " or True\n"),
            ("it is certain by its bits", "sure = bit not in with_rest and bit", "sure = bit"),
            ("its answers are known", "bit not in with_rest and bit not in possible.open\n", "bit not in with_rest\n"),
            ("nothing is held", "what is not None and all_fire and", "what is not None and"),
            ("there is room for its effect", " and all_fire and self.effects_left:", " and all_fire:"),
        )
    ),
    *(
        Mutation(
            f"of many tables one is decided with {what}",
            path,
            text,
            other,
            INDEX + "test_of_many_tables_one_is_decided_with_all_that_it_has",
        )
        for what, path, text, other in (
            ("its scope", "rules/ruleset.py", "    return table.scope is None and table", "    return table"),
            ("its end of the list", "rules/ruleset.py", " and not table.stops and", " and"),
            ("its otherwise row", "rules/ruleset.py", " and (first or not table.otherwise_key)\n", "\n"),
            (
                "its first row only",
                "rules/passes.py",
                "                del mine[1:]\n",
                "                pass\n",
            ),
            (
                "the kind of item it is for",
                "rules/passes.py",
                'if not end or (kind != item_kind and kind != "any"):',
                "if not end:",
            ),
            (
                "what is held",
                "rules/passes.py",
                "        if self.held or self.only_rows is not None:\n",
                "        if False:\n",
            ),
        )
    ),
    *(
        Mutation(f"without a pass: {what}", "rules/engine.py", text, other, STRAIGHT + test)
        for what, text, other, test in (
            (
                "of a first table one row fires",
                "            behind = end\n",
                "            pass\n",
                "test_of_a_first_table_one_row_fires_and_the_tables_behind_it_go_on",
            ),
            (
                "what is held does nothing",
                "        if key in held:\n",
                "        if False:\n",
                "test_a_held_row_does_nothing_and_ends_a_first_table",
            ),
            (
                "what others read is not written",
                "        if name in read_by or len",
                "        if len",
                "test_what_a_later_table_reads_is_seen_by_it",
            ),
            (
                "what others read one row does not write",
                "                if name in read_by or effects",
                "                if effects",
                "test_one_row_by_itself_fires_where_it_would_beside_others",
            ),
            (
                "the one row that gives a field the value it has plans nothing",
                "            if item.get(name) != value:\n",
                "            if True:\n",
                "test_one_row_by_itself_fires_where_it_would_beside_others",
            ),
            (
                "a row that gives a field the value it has plans nothing",
                "        if (staged[name] if name in staged else item.get(name)) == value:\n",
                "        if False:\n",
                "test_rows_that_set_one_field_fire_in_order_and_what_is_so_already_plans_nothing",
            ),
            (
                "the limit of effects holds for one row",
                " or effects_left < 1:",
                ":",
                "test_one_row_by_itself_fires_where_it_would_beside_others",
            ),
            (
                "one row that is held does nothing",
                '(of == kind or of == "any") and key not in held:',
                '(of == kind or of == "any"):',
                "test_one_row_by_itself_fires_where_it_would_beside_others",
            ),
            (
                "one row is for its kind of item",
                '(of == kind or of == "any") and key not in held:',
                "key not in held:",
                "test_one_row_by_itself_fires_where_it_would_beside_others",
            ),
            (
                "where no row is left none is the one",
                "    if not open and sure and not sure",
                "    if not open and not sure",
                "test_a_row_that_its_bits_leave_fires_only_where_the_rest_of_it_holds",
            ),
            (
                "the limit of effects holds",
                " or len(planned) >= effects_left:",
                ":",
                "test_the_limit_of_effects_stops_the_list",
            ),
            (
                "a table is for its kind of item",
                '        if of != kind and of != "any":\n',
                "        if False:\n",
                "test_a_table_for_another_kind_of_item_does_nothing",
            ),
            (
                "the ledger holds rows back",
                "            if plain and not (facts.ledger and ruleset.rearms):",
                "            if plain:",
                "test_a_row_that_was_done_once_for_this_item_is_not_done_again",
            ),
            (
                "a table that waits is left to a pass",
                "not end or waits(bucket.tables[bucket.owner[bit]], wait_over):",
                "not end:",
                "test_a_table_that_waits_does_and_goes_on_without_the_answer_when_its_wait_is_over",
            ),
            (
                "a table that the event is not for lacks nothing",
                "not end or waits(bucket.tables[bucket.owner[bit]], wait_over):",
                "waits(bucket.tables[bucket.owner[bit]], wait_over):",
                "test_a_table_that_the_event_is_not_for_lacks_nothing",
            ),
            (
                "a held row that lacks an answer is not told of",
                "        if key not in held:\n",
                "        if True:\n",
                "test_a_held_row_that_lacks_an_answer_is_not_told_of",
            ),
            (
                "an error is left to a pass",
                "                if truth.failed:\n",
                "                if False:\n",
                "test_an_answer_without_sense_is_an_error_and_told_as_one",
            ),
        )
    ),
    *(
        Mutation(f"rows that lack an answer are taken together: {what}", path, text, other, STRAIGHT + test)
        for what, path, text, other, test in (
            (
                "not those of a table that waits",
                "rules/ruleset.py",
                " and table.table.wait_s == 0:",
                ":",
                "test_a_table_that_waits_does_and_goes_on_without_the_answer_when_its_wait_is_over",
            ),
            (
                "not those of a first table",
                "rules/ruleset.py",
                "if simple and table.table.hit is not HitPolicy.FIRST and",
                "if simple and",
                "test_a_first_table_skips_what_lacks_an_answer_up_to_the_row_that_fires",
            ),
            (
                "not those for another kind of item",
                "rules/ruleset.py",
                ' << self.begins[place] if table.table.kind in (kind, "any") else 0',
                " << self.begins[place]",
                "test_a_table_for_another_kind_of_item_lacks_nothing",
            ),
            (
                "not those that match by another member of a group",
                "rules/index.py",
                "        rows ^= match\n",
                "        match = 0\n",
                "test_a_group_that_holds_by_what_is_known_lacks_nothing",
            ),
            (
                "those of which a group does not hold lack something",
                "rules/index.py",
                "                match ^= match & some & ~(sets >> begin)\n",
                "                pass\n",
                "test_a_group_that_holds_by_what_is_known_lacks_nothing",
            ),
            (
                "not those that count as something without it",
                "rules/compiled.py",
                " and self.unknown in (WhenUnknown.WAIT, WhenUnknown.SKIP)\n",
                "\n",
                "test_a_condition_that_counts_as_something_without_an_answer_lacks_none",
            ),
            (
                "not those that look at a value without sense",
                "rules/straight.py",
                "        look.odd = True\n",
                "        pass\n",
                "test_an_answer_without_sense_is_an_error_and_told_as_one",
            ),
            (
                "not those of which something else makes no sense",
                "rules/index.py",
                "        if not rows & (whole | ~self.sorted.sure):\n",
                "        if not rows & ~self.sorted.sure:\n",
                "test_a_row_that_lacked_an_answer_is_asked_as_a_whole_when_something_else_in_it_makes_no_sense",
            ),
        )
    ),
    Mutation(
        "what only a pattern looks at is not written without a pass",
        "rules/index.py",
        "frozenset(self.read_by).union(*(_reads(rows[at]) for at in places(self.open)))",
        "frozenset(self.read_by)",
        STRAIGHT + "test_a_pattern_is_compared_with_what_was_written_before",
    ),
    Mutation(
        "what bits say in part is compared",
        "rules/index.py",
        "                    left += [] if taken is Taken.WHOLE else [unit]\n",
        "",
        INDEX + "test_a_group_holds_only_where_all_of_what_its_bits_say_in_part_does",
    ),
    Mutation(
        "a value is passed by only when no row that looks at it is left",
        "rules/straight.py",
        'f"if {some}left & {names.of(part.rows)}:"',
        'f"if {some}left & {names.of(part.rows)} & 1:"',
        INDEX + "test_a_group_is_left_exactly_when_it_holds",
    ),
    Mutation(
        "a limit is a limit exactly for numbers with a fraction",
        "rules/parts.py",
        "*(math.nextafter(one, math.inf) for one in exact)",
        "",
        INDEX + "test_a_limit_is_a_limit_for_numbers_with_a_fraction_too",
    ),
    Mutation(
        "a number beyond what is compared quickly is not compared",
        "rules/parts.py",
        "[0, *map(self.number_leaves, begins), 0]",
        "[0, *map(self.number_leaves, begins), self.number_leaves(begins[-1])]",
        INDEX + "test_a_row_is_asked_about_what_is_no_number_or_too_large_to_compare_quickly[nan]",
    ),
    Mutation(
        "a bit that hangs on keys in two ways has two layers",
        "rules/marks.py",
        "        self._layers[bit] = layer + 1\n",
        "        self._layers[bit] = 0\n",
        INDEX + "test_several_conditions_of_a_row_on_one_set_must_hold_together",
    ),
    Mutation(
        "a group that holds by what everybody knows lacks nothing",
        "rules/possible.py",
        "        if sets is not None and not alone and all",
        "        if False and all",
        INDEX + "test_a_group_with_an_unknown_lookup_is_asked_and_one_that_holds_without_it_matches",
    ),
    Mutation(
        "what held before a rule wrote is looked at again",
        "rules/possible.py",
        "            self._found_sets = None\n",
        "            pass\n",
        INDEX + "test_a_group_that_held_before_a_rule_wrote_is_asked_again_when_the_rest_of_it_is_unknown",
    ),
    Mutation(
        "a keyword ends at a word edge in the one pass",
        "rules/keywords.py",
        "if edge[data[end]] and",
        "if",
        KEYWORDS + "test_a_keyword_ends_at_a_word_edge_on_both_sides",
    ),
    Mutation(
        "a keyword begins at a word edge in the one pass",
        "rules/keywords.py",
        " and edge[data[begin - 1]]:",
        ":",
        KEYWORDS + "test_a_keyword_ends_at_a_word_edge_on_both_sides",
    ),
    Mutation(
        "a text is searched for the phrases of the rows that are left",
        "rules/keywords.py",
        " if one & wanted or at in asked]",
        " if one & wanted]",
        INDEX + "test_a_text_is_searched_for_the_rows_that_are_left_whichever_they_were_before",
    ),
    Mutation(
        "a phrase is there where all of it is",
        "rules/keywords.py",
        "found |= bits if has_keyword(folded, one) else 0",
        "found |= bits",
        KEYWORDS + "test_a_phrase_is_there_where_all_of_it_is",
    ),
    Mutation(
        "what keeps a search for few words from single letters brings nothing",
        "rules/keywords.py",
        "*(0 for _ in _NEVER)",
        "*(1 for _ in _NEVER)",
        KEYWORDS + "test_what_keeps_a_search_for_few_words_from_single_letters_is_no_keyword",
    ),
    Mutation(
        "a text is searched for the rows that are left now",
        "rules/scanning.py",
        "{names.of(searches)}[some]",
        "{names.of(searches)}[0]",
        INDEX + "test_a_text_is_searched_for_the_rows_that_are_left_whichever_they_were_before",
    ),
    Mutation(
        "a text of nothing but spaces without a hit is none without keywords",
        "rules/scanning.py",
        "elif v and not v.isspace():",
        "elif v:",
        INDEX + "test_a_text_of_nothing_but_spaces_is_asked_of_the_conditions[73]",
    ),
    Mutation(
        "a text of nothing but spaces without a hit is none without keywords, of few rows",
        "rules/scanning.py",
        "elif v and not v.isspace():",
        "elif v:",
        INDEX + "test_a_text_of_nothing_but_spaces_is_asked_of_the_conditions[1]",
    ),
    Mutation(
        "a text of nothing but spaces is no text without keywords",
        "rules/keywords.py",
        "            if text.isspace():\n",
        "            if False:\n",
        KEYWORDS + "test_of_nothing_but_spaces_nothing_is_said",
    ),
)
