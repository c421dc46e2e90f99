"""What pages show and take: settings, headers and escaping; rules, scripts and connections in the browser."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ESCAPING = "tests/web/test_escaping.py::"
HEADERS = "tests/web/test_headers.py::"
RULES = "tests/web/test_rules_editor.py::"
SCRIPTS = "tests/web/test_scripts_pages.py::"
MAIL_DOOR = "tests/intake/test_inbound_door.py::"
IMPORT = "tests/web/test_rules_import.py::"
VERSIONS = "tests/web/test_versions.py::"

MUTATIONS = (
    # Rules in files, by whoever reads them
    Mutation(
        "a cell of a file is the same for every reader",
        "web/rules_text.py",
        "            for language in READERS\n",
        '            for language in ("en",)\n',
        "tests/web/test_rules_language.py"
        "::test_a_value_that_another_reader_would_take_for_an_operator_stays_a_value[jest puste]",
    ),
    # Settings
    Mutation(
        "what rules use is not deleted",
        "web/settings_pages.py",
        "        if used:\n            return _page(connection, found, key, spec, problem=still_used(",
        "        if False:\n            return _page(connection, found, key, spec, problem=still_used(",
        "tests/web/test_settings.py::test_what_is_used_is_not_deleted_and_the_page_says_where",
    ),
    Mutation(
        "a save after which a table cannot be read is undone",
        "web/settings_pages.py",
        "            if broken:\n",
        "            if False:\n",
        "tests/web/test_settings.py::test_a_save_that_would_break_a_table_is_undone_as_a_whole",
    ),
    Mutation(
        "the last administrator stays one",
        "tickets/staff.py",
        "        and not others\n",
        "        and False\n",
        "tests/web/test_settings.py::test_the_last_administrator_stays_one",
    ),
    Mutation(
        "a list that a table uses is not deleted",
        "web/lists_pages.py",
        "        if used:\n            return _page(connection, found, found, problem=still_used(",
        "        if False:\n            return _page(connection, found, found, problem=still_used(",
        "tests/web/test_lists.py::test_a_list_that_is_used_is_not_deleted_and_its_page_says_by_whom",
    ),
    Mutation(
        "a formula is defused for spreadsheets",
        "web/rules_text.py",
        'return f"\'{text}" if text.startswith((*_FORMULA, "\'")) else text',
        "return text",
        "tests/web/test_rules_text.py::test_a_formula_is_text_in_the_spreadsheet_and_itself_again_in_the_table",
    ),
    Mutation(
        "an edit of what somebody changed meanwhile is not carried out",
        "web/rules_editor.py",
        '    return form["was"] == documents.stamp(',
        '    return form["was"] != documents.stamp(',
        "tests/web/test_rules_editor.py::"
        "test_forms_of_two_people_in_different_rows_are_both_saved_and_in_one_row_are_shown",
    ),
    # Headers and escaping
    Mutation(
        "the Content-Security-Policy",
        "web/headers.py",
        '        response.headers.setdefault("Content-Security-Policy", policy())\n',
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "no scripts but ours",
        "web/headers.py",
        "    \"script-src 'self'\",\n",
        "    \"script-src 'self' 'unsafe-inline'\",\n",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "nobody frames us",
        "web/headers.py",
        "    \"frame-ancestors 'none'\",\n",
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "types are not guessed",
        "web/headers.py",
        '    "X-Content-Type-Options": "nosniff",\n',
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "pages are not kept",
        "web/headers.py",
        'response.headers.setdefault("Cache-Control", "no-store")',
        "pass",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "a nonce only where it is asked for",
        "web/headers.py",
        '    nonce = g.get("style_nonce")\n',
        "    nonce = style_nonce()\n",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "what people write is escaped",
        "web/__init__.py",
        "    app.extensions[EXTENSION] = services\n",
        "    app.extensions[EXTENSION] = services\n    app.jinja_env.autoescape = False\n",
        ESCAPING + "test_nothing_anybody_writes_runs_on_any_page",
    ),
    Mutation(
        "mail's HTML is cleaned",
        "web/mail_html.py",
        "            tags=set(_TAGS),\n",
        '            tags={*_TAGS, "form", "img", "input"},\n',
        ESCAPING + "test_mail_keeps_its_text_and_nothing_that_acts",
    ),
    Mutation(
        "what links in mail may do",
        "web/mail_html.py",
        '            url_schemes={"http", "https", "mailto", "tel"},\n',
        '            url_schemes={"http", "https", "mailto", "tel", "javascript", "data"},\n',
        ESCAPING + "test_mail_keeps_its_text_and_nothing_that_acts",
    ),
    Mutation(
        "links in mail tell nobody",
        "web/mail_html.py",
        'link_rel="noopener noreferrer nofollow",',
        "link_rel=None,",
        ESCAPING + "test_a_link_in_mail_tells_nobody_where_it_was_clicked",
    ),
    Mutation(
        "a mail is a download",
        "web/inbound.py",
        "f'attachment; filename=\"mail-{mail_id}.eml\"'",
        "'inline'",
        MAIL_DOOR + "test_the_list_shows_what_became_no_ticket_with_its_reason_and_the_raw_mail",
    ),
    # Rules, scripts and connections in the browser
    Mutation(
        "a draft that somebody saved meanwhile is not published",
        "rules/store.py",
        "    if current.draft_count != seen:",
        "    if False:",
        RULES + "test_a_draft_somebody_saved_meanwhile_is_not_published",
    ),
    Mutation(
        "no script is published unchecked",
        "sandbox/client.py",
        "            return _unchecked(Code.SANDBOX_UNAVAILABLE, str(error))\n",
        "            return Checked((), Manifest())\n",
        SCRIPTS + "test_no_script_is_published_while_the_sandbox_is_away",
    ),
    # Drafts and versions
    Mutation(
        "versions: a draft somebody saved meanwhile is not thrown away",
        "web/versions.py",
        '    if stored.draft_count != sent_seen():\n        raise refuse(409, gettext("Somebody saved this draft',
        '    if False:\n        raise refuse(409, gettext("Somebody saved this draft',
        VERSIONS + "test_a_draft_is_thrown_away_by_who_saw_it_and_by_nobody_else[script]",
    ),
    Mutation(
        "versions: the only draft there is stays",
        "web/versions.py",
        "    if stored.live_version is None:",
        "    if False:",
        VERSIONS + "test_the_only_draft_of_what_was_never_published_is_not_thrown_away[table]",
    ),
    Mutation(
        "versions: an old page rolls nothing back",
        "web/versions.py",
        "    unchanged(stored)\n",
        "",
        VERSIONS + "test_an_old_page_rolls_nothing_back[table]",
    ),
    Mutation(
        "versions: a template is not live again with placeholders that are gone",
        "web/templates_versions.py",
        "        if problems:",
        "        if False:",
        VERSIONS + "test_a_template_that_names_what_is_gone_is_not_live_again",
    ),
    Mutation(
        "versions: a version is published with a note",
        "web/versions.py",
        "    if not note:",
        "    if False:",
        RULES + "test_publishing_needs_a_note_and_is_live_with_the_next_ticket",
    ),
    # Import
    Mutation(
        "import: scripts need their own permission",
        "web/importing.py",
        "    if not may_scripts:",
        "    if False:",
        IMPORT + "test_a_script_is_refused_to_who_may_not_edit_scripts",
    ),
    Mutation(
        "import: a rule list that moved is compared again",
        "web/importing.py",
        "        if revision is not None and rule_list.revision(connection) != revision:",
        "        if False:",
        IMPORT + "test_a_rule_list_that_moved_after_the_look_is_compared_again",
    ),
    Mutation(
        "import: only what was looked at is put in",
        "web/rules_import.py",
        'request.form.get("looked") != sent.stamp)',
        "False)",
        IMPORT + "test_a_text_changed_after_the_look_is_looked_at_again",
    ),
    Mutation(
        "import: lists are no drafts",
        "web/importing.py",
        "            if saved:\n                raise FileRefused([_no_draft",
        "            if False:\n                raise FileRefused([_no_draft",
        IMPORT + "test_lists_are_published_with_their_tables_and_never_kept_as_drafts",
    ),
    Mutation(
        "import: a row number stands there once",
        "web/rules_cells.py",
        "        if place is not None and place in found:",
        "        if False:",
        IMPORT + "test_a_wrong_cell_is_named_and_nothing_is_imported",
    ),
    Mutation(
        "import: a file is not nested without end",
        "rules/files.py",
        "            if depth > MAX_FILE_DEPTH:",
        "            if False:",
        "tests/web/test_rules_text.py::test_a_file_nested_without_end_is_refused_with_its_line",
    ),
    # What is used is not deleted
    Mutation(
        "used by: a calendar that a condition asks for",
        "web/used_by.py",
        "    if op in OPERATORS and OPERATORS[op].takes is Takes.CALENDAR:",
        "    if False:",
        "tests/web/test_used_by.py::test_a_calendar_is_used_by_conditions_wherever_they_stand",
    ),
    Mutation(
        "what somebody typed is for nobody else who signs in",
        "web/static/js/app.js",
        " && kept.who === reader() ? kept : null;",
        " ? kept : null;",
        "tests/browser/test_walks_back.py::"
        "test_who_was_signed_out_while_writing_finds_it_after_signing_in_and_nobody_else_does[bob]",
    ),
    Mutation(
        "a number that no row can have never reaches a database",
        "web/forms.py",
        "    if abs(found) > LARGEST_KEY:\n",
        "    if False:\n",
        "tests/web/test_numbers.py::test_pages_take_a_number_beyond_all_for_none",
    ),
)
