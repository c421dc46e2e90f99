"""Scripts as members of the rule list: their parameters, place, files, versions and tries."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

PARAMS = "tests/rules/test_script_params.py::"
SETTINGS = "tests/web/test_scripts_settings.py::"
FILES = "tests/web/test_rules_files_scripts.py::"
REFUSALS = "tests/web/test_refusals.py::"
PAGES = "tests/web/test_scripts_pages.py::"
MASKING = "tests/jobs/test_masking.py::"
LISTED = "tests/jobs/test_listed_scripts.py::"

PATTERNS = "tests/sandbox/test_patterns.py::"

MESSAGES = "tests/sandbox/test_messages.py::"

LANGUAGE = "tests/web/test_scripts_language.py::"

CHECK = "tests/sandbox/test_check.py::"

AT_WORK = "tests/jobs/test_scripts_at_work.py::"

MUTATIONS = (
    Mutation(
        "a run that cannot begin is given up",
        "jobs/runs.py",
        "    except Exception as error:\n        # It would fail again",
        "    except ZeroDivisionError as error:\n        # It would fail again",
        "tests/jobs/test_runs.py::"
        "test_a_run_that_cannot_even_begin_is_given_up_after_some_tries_and_keeps_no_other_from_running[sqlite]",
    ),
    Mutation(
        "a lookup that cannot be asked is answered by that",
        "jobs/enrichment.py",
        "    except Exception as error:\n        # It would fail again",
        "    except ZeroDivisionError as error:\n        # It would fail again",
        "tests/jobs/test_enrichment.py::test_a_lookup_that_cannot_even_be_asked_has_failed_and_keeps_no_other_from_its_answer[sqlite]",
    ),
    Mutation(
        "cards: one that a script is at work on is unknown",
        "rules/fields.py",
        'if facts.writing and (card is None or card.get("script") in facts.writing):',
        "if False:",
        AT_WORK + "test_rows_on_a_card_that_a_script_is_at_work_on_are_decided_when_it_has_ended[sqlite]",
    ),
    Mutation(
        "cards: only a script that writes them keeps rows from being decided",
        "jobs/scripts_at_work.py",
        " and not _writes_cards(script.content):",
        " and False:",
        AT_WORK + "test_a_script_that_writes_no_cards_keeps_no_row_from_being_decided[sqlite]",
    ),
    Mutation(
        "cards: rows that a script kept from being decided are decided when it has failed, too",
        "jobs/automation.py",
        "made.more = moved or again or became",
        "made.more = moved or became",
        AT_WORK + "test_a_script_that_fails_leaves_the_card_missing[sqlite]",
    ),
    Mutation(
        "cards: what leaves waits for a script at work",
        "jobs/rechecking.py",
        " or (undecided and facts.writing)",
        "",
        AT_WORK + "test_what_leaves_by_such_a_row_waits_for_the_script_and_is_cancelled_by_its_card[sqlite]",
    ),
    Mutation(
        "cards: what leaves waits for the event of a run that has ended",
        "jobs/rechecking.py",
        "with_scripts_at_work(facts, connection, desk, event, later)",
        "with_scripts_at_work(facts, connection, desk, event, ())",
        AT_WORK + "test_what_leaves_by_such_a_row_waits_for_the_script_and_is_cancelled_by_its_card[sqlite]",
    ),
    Mutation(
        "cards: a run whose event was handled is no longer at work",
        "jobs/scripts_at_work.py",
        ", EventRow.status.in_(_TO_BE_HANDLED)\n",
        "\n",
        AT_WORK + "test_an_event_that_is_given_back_after_the_script_had_ended_waits_for_it_no_more[sqlite]",
    ),
    Mutation(
        "cards: a run counts by the version it was of",
        "jobs/scripts_at_work.py",
        "version == script.version and not _writes",
        "not _writes",
        AT_WORK + "test_a_run_that_has_ended_counts_by_the_version_it_was_of[sqlite]",
    ),
    Mutation(
        "cards: counts look at items with a script at work again",
        "jobs/counting.py",
        "        sure, may = and_(found.sure, not_(_AT_WORK)), or_(found.may, _AT_WORK)\n",
        "        sure, may = found.sure, found.may\n",
        AT_WORK + "test_a_ticket_whose_script_is_at_work_is_not_counted_for_either_row[sqlite]",
    ),
    Mutation(
        "cards: counts know what scripts may be writing",
        "jobs/counting.py",
        "writing=at_work(self.connection, self.scripts, item_id)",
        "writing={}",
        AT_WORK + "test_a_ticket_whose_script_is_at_work_is_not_counted_for_either_row[sqlite]",
    ),
    Mutation(
        "cards: a run that an event waited for is no longer at work",
        "jobs/deciding.py",
        "writing=without(read.facts.writing, run.id)",
        "writing=read.facts.writing",
        AT_WORK + "test_rules_behind_a_step_that_waited_for_a_script_see_the_card_it_wrote[sqlite]",
    ),
    Mutation(
        "cards: rules see those of the run whose end they decide",
        "jobs/automation.py",
        "    read = with_cards(read, outcomes)\n",
        "",
        AT_WORK + "test_rules_that_run_when_a_script_has_ended_see_the_card_it_wrote[sqlite]",
    ),
    Mutation(
        "scripts: a scope looks at nothing from outside",
        "web/scripts_settings.py",
        "scope=True",
        "scope=False",
        SETTINGS + "test_a_scope_takes_nothing_from_outside_and_nothing_that_is_not_there",
    ),
    Mutation(
        "scripts: what json does not take is told before a run",
        "sandbox/closer.py",
        '        elif call is not None and owner == "json" and node.attr in members:\n',
        "        elif False:\n",
        CHECK + "test_a_problem_has_its_code_place_and_sentence[json]",
    ),
    Mutation(
        "scripts: what json does not take is told with a way out",
        "sandbox/child/facades.py",
        '    _nothing_more("json.dumps", more)\n',
        "    pass\n",
        "tests/sandbox/test_rewrites.py::"
        "test_what_is_refused_says_where_and_why_and_its_rewrite_works[what json.dumps does by itself]",
    ),
    Mutation(
        "scripts: what stands before a dot is no function",
        "sandbox/closer.py",
        "dotted=id(name) in self._behind)",
        "dotted=False)",
        CHECK + "test_what_stands_before_a_dot_is_not_taken_for_a_function",
    ),
    Mutation(
        "scripts: what stands before a dot is no function when it runs",
        "sandbox/child/explain.py",
        "dotted=_before_a_dot(wrong, source, place))",
        "dotted=False)",
        "tests/sandbox/test_run.py::test_what_stands_before_a_dot_is_not_taken_for_a_function_when_it_runs_either",
    ),
    Mutation(
        "scripts: completion speaks the reader's language",
        "web/scripts_api.py",
        '    return " ".join(text for text in (in_words(sentence), more) if text)\n',
        "    return doc\n",
        LANGUAGE + "test_every_sentence_of_completion_is_in_the_readers_language",
    ),
    Mutation(
        "messages: what stands in a sentence is told, too",
        "web/refusals.py",
        "        said = catalogue.translated(text, language, _within)\n",
        "        said = catalogue.translated(text, language)\n",
        REFUSALS + "test_what_stands_in_a_sentence_is_told_in_the_same_language",
    ),
    Mutation(
        "messages: a language is missing",
        "sandbox/messages.py",
        "        if not said:\n",
        "        if False:\n",
        MESSAGES + "test_a_catalogue_with_half_a_sentence_is_not_read[a_language_is_missing]",
    ),
    Mutation(
        "messages: a placeholder is missing",
        "sandbox/messages.py",
        " or {name for name, _ in wanted} != {name for name, _ in given}:",
        ":",
        MESSAGES + "test_a_catalogue_with_half_a_sentence_is_not_read[a_placeholder_is_missing]",
    ),
    Mutation(
        "patterns: after nothing was found the next find moves on",
        "sandbox/child/patterns.py",
        "            if stuck and at < len(cells):\n",
        "            if False:\n",
        PATTERNS + "test_after_nothing_is_found_the_next_find_moves_on_as_pythons_does",
    ),
    Mutation(
        "patterns: finds stay within whole characters",
        "sandbox/child/patterns.py",
        '{"search": f"(?:{_ANY_CELL})*?({text})", ',
        '{"search": f"(?s:.)*?({text})", ',
        PATTERNS + "test_after_nothing_is_found_the_next_find_moves_on_as_pythons_does",
    ),
    Mutation(
        "scripts: a parameter nobody declared",
        "rules/script_params.py",
        "        if name not in known:\n",
        "        if False:\n",
        PARAMS + "test_a_step_that_gives_the_wrong_thing_is_refused_in_its_cell_and_when_it_is_planned",
    ),
    Mutation(
        "scripts: a parameter that is needed",
        "rules/script_params.py",
        "            if one.required and one.default is None:\n",
        "            if False:\n",
        PARAMS + "test_a_step_that_gives_the_wrong_thing_is_refused_in_its_cell_and_when_it_is_planned",
    ),
    Mutation(
        "scripts: a parameter's type",
        "rules/script_params.py",
        "    return _CLEAN[param.type](param, value)\n",
        "    return value\n",
        PARAMS + "test_a_step_that_gives_the_wrong_thing_is_refused_in_its_cell_and_when_it_is_planned",
    ),
    Mutation(
        "scripts: a parameter's name is one Python can read",
        "rules/script_params.py",
        "    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _TAKEN:\n",
        "    if False:\n",
        PARAMS + "test_a_declaration_that_cannot_be_used_is_refused_with_its_parameter",
    ),
    Mutation(
        "scripts: a card that the manifest does not name",
        "jobs/runs.py",
        " if _reads_card(manifest, key)}",
        "}",
        "tests/jobs/test_scripts_read_cards.py::test_only_the_cards_of_the_manifest_are_handed_over",
    ),
    Mutation(
        "scripts: a card whose key begins like another's",
        "jobs/runs.py",
        'f"ticket.context.{key}" in manifest.fields_read',
        'manifest.reads(f"ticket.context.{key}")',
        "tests/jobs/test_scripts_read_cards.py::test_only_the_cards_of_the_manifest_are_handed_over",
    ),
    Mutation(
        "scripts: parameters are checked again when the version runs",
        "jobs/runs.py",
        "        given = complete(declared_or_none(content), row.params)\n",
        "        given = dict(row.params)\n",
        LISTED + "test_a_run_whose_parameters_no_longer_fit_its_version_is_refused_and_nothing_is_done",
    ),
    Mutation(
        "scripts: a step's wait is bounded",
        "rules/outside_actions.py",
        "    if wait_s is not None and (not isinstance(wait_s, int) or not 0 <= wait_s <= LONGEST_WAIT_S):\n",
        "    if False:\n",
        PARAMS + "test_a_steps_wait_is_bounded",
    ),
    Mutation(
        "scripts: a step's wait counts in place of the script's",
        "jobs/holding.py",
        'wait_s(script.content if effect.wait_s is None else {"wait_s": effect.wait_s})',
        "wait_s(script.content)",
        LISTED + "test_a_step_can_wait_longer_or_shorter_than_the_script_says",
    ),
    Mutation(
        "scripts: one without triggers stays out of the list",
        "jobs/live.py",
        "        if one.kind is EntryKind.SCRIPT and not is_listed(one.content):\n",
        "        if False:\n",
        LISTED + "test_a_script_without_triggers_stays_out_of_the_list",
    ),
    Mutation(
        "scripts: a listed script's scope",
        "rules/listed.py",
        '    if content.get("scope"):\n',
        "    if False:\n",
        LISTED + "test_its_scope_says_for_which_brand_it_runs",
    ),
    Mutation(
        "scripts: a listed script's kind of item",
        "rules/listed.py",
        '        "kind": content.get("kind") or "ticket",\n',
        '        "kind": "ticket",\n',
        LISTED + "test_it_runs_on_its_kind_of_item",
    ),
    Mutation(
        "scripts: a version that would put a live row wrong",
        "web/scripts_versions.py",
        '    if not rows:\n        return ""\n',
        '    if True:\n        return ""\n',
        SETTINGS + "test_a_version_that_would_put_a_live_row_wrong_is_not_published",
    ),
    Mutation(
        "scripts: a wrong declaration is not published",
        "web/scripts_versions.py",
        "    wrong = scripts_content.problems_of(code, content, words)\n    if wrong:\n",
        "    wrong = scripts_content.problems_of(code, content, words)\n    if False:\n",
        SETTINGS + "test_a_wrong_parameter_is_kept_said_and_not_published",
    ),
    Mutation(
        "scripts: settings somebody else saved over",
        "web/scripts_settings.py",
        'seen = request.form.get("seen", -1, type=a_number)',
        "seen = stored.draft_count",
        SETTINGS + "test_settings_somebody_else_saved_over_are_refused_and_nothing_is_lost",
    ),
    Mutation(
        "scripts: a file's tests must pass",
        "web/rules_files_scripts.py",
        "if not result.passed]",
        "if False]",
        FILES + "test_what_could_not_be_published_on_its_page_is_not_imported",
    ),
    Mutation(
        "scripts: a file's manifest covers the text",
        "web/rules_files_scripts.py",
        "    more = checked.manifest.beyond(declared)\n",
        "    more = Manifest()\n",
        FILES + "test_what_could_not_be_published_on_its_page_is_not_imported",
    ),
    Mutation(
        "scripts: a file's manifest grants nothing by itself",
        "web/rules_files_scripts.py",
        "with_manifest(plain, checked.manifest)",
        'with_manifest(plain, Manifest.from_json(one.content.get("manifest") or checked.manifest.to_json()))',
        FILES + "test_a_manifest_that_says_more_than_the_text_grants_no_more",
    ),
    Mutation(
        "scripts: a file waits for the second person's yes",
        "web/importing.py",
        "frozenset(judged.gained) if services().settings.second_person else frozenset()",
        "frozenset()",
        FILES + "test_a_file_does_not_go_round_the_second_persons_yes",
    ),
    Mutation(
        "scripts: who asks with a file may edit scripts",
        "web/importing.py",
        "    return viewer is not None and viewer.may(Permission.EDIT_SCRIPTS)\n",
        "    return True\n",
        FILES + "test_who_asks_must_be_somebody_whose_own_yes_does_not_count",
    ),
    Mutation(
        "scripts: a file leaves no table unable to run",
        "web/rules_files.py",
        "    if broken:\n",
        "    if False:\n",
        FILES + "test_a_script_that_would_put_a_row_of_a_live_table_wrong_is_not_imported",
    ),
    Mutation(
        "a file says of an entry that is on what it is, not what it was when it came",
        "web/rules_files.py",
        '    plain.pop("enabled", None)\n',
        "",
        "tests/web/test_commands_rules.py::test_a_table_that_came_switched_off_and_was_switched_on_is_exported_as_on",
    ),
    Mutation(
        "scripts stand among tables where the file says",
        "web/rules_files.py",
        "    if after != before:\n",
        "    if False:\n",
        FILES + "test_a_script_that_stands_behind_a_table_does_so_on_another_desk_too",
    ),
    Mutation(
        "a comma in a cell is none between two where there are tabs",
        "web/rules_cells.py",
        "    delimiter = TAB if TAB in first else max(DELIMITERS, key=first.count)\n",
        "    delimiter = max((TAB, *DELIMITERS), key=first.count)\n",
        "tests/web/test_rules_import.py::test_an_exported_tsv_comes_back_whatever_its_cells_list",
    ),
    Mutation(
        "scripts: a dry run is taken back",
        "web/importing.py",
        "            raise _OnlyShown  # it has",
        "            pass  # it has",
        FILES + "test_a_change_of_one_part_alone_is_seen_and_published",
    ),
    Mutation(
        "scripts: a run's error in the reader's language",
        "web/templates/runs_run.html",
        "{{ o.error.message | full_stop }}",
        "{{ o.error.message }}",
        REFUSALS + "test_a_run_is_told_in_the_readers_language_on_its_page_in_the_list_and_on_the_ticket",
    ),
    Mutation(
        "scripts: a refusal behind its line in the reader's language",
        "web/refusals.py",
        "    if line is not None:\n",
        "    if False:\n",
        REFUSALS + "test_the_line_and_what_was_not_done_are_told_around_the_refusal",
    ),
    Mutation(
        "scripts: a draft that saves itself saves over nobody",
        "web/scripts_pages.py",
        "        return (jsonify(error=clash), 409) if clash else jsonify(seen=saved)\n",
        "        return jsonify(seen=saved)\n",
        PAGES + "test_the_pages_own_script_saves_without_leaving_the_page",
    ),
    Mutation(
        "scripts: a try refuses wrong parameters",
        "web/scripts_pages.py",
        "    return complete(takes, {name: value for name, value in given.items() if value is not None})\n",
        "    return given\n",
        PAGES + "test_a_try_gets_the_parameters_that_are_typed_and_refuses_wrong_ones",
    ),
    Mutation(
        "scripts: names are masked whatever their accents",
        "jobs/masking.py",
        '        apart = unicodedata.normalize("NFD", text)\n',
        "        apart = text\n",
        MASKING + "test_the_customers_name_and_address_get_through_in_no_form",
    ),
    Mutation(
        "scripts: keys are masked, too",
        "jobs/masking.py",
        "            return {self.text(name): self.value(inner, name)",
        "            return {name: self.value(inner, name)",
        MASKING + "test_the_customers_name_and_address_get_through_in_no_form",
    ),
    Mutation(
        "scripts: free text is masked whole",
        "jobs/masking.py",
        "            if words >= WORDS or (",
        "            if False and (",
        MASKING + "test_what_reaches_or_locates_a_person_gets_through_in_no_form",
    ),
    Mutation(
        "scripts: whoever an answer names is masked everywhere",
        "jobs/masking.py",
        "for part in (customer, *beside) for one",
        "for part in (customer,) for one",
        MASKING + "test_whoever_an_answer_names_is_looked_for_everywhere",
    ),
    Mutation(
        "scripts: the subject is masked",
        "jobs/masking.py",
        '        if key == "subject":\n',
        "        if False:\n",
        MASKING + "test_facts_keep_the_desks_keys_and_lose_what_people_wrote",
    ),
)
