"""Kinds, assignment, requests and automove, and who gets into the portal and sees what there."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ACTIONS = "tests/rules/test_actions.py::"
AUTOMOVE = "tests/jobs/test_automove.py::"
BESIDE = "tests/jobs/test_beside.py::"
BULK = "tests/rows/test_h6_run_and_bulk.py::"
ITEMS = "tests/rows/test_o14_kinds.py::"
PORTAL = "tests/web/test_portal_doors.py::"
PROCEDURES = "tests/web/test_procedures.py::"
T9 = "tests/rows/test_t9_job_status_and_debit.py::"
TRIGGERS = "tests/rules/test_triggers.py::"

MUTATIONS = (
    Mutation(
        "the words of a kind",
        "rules/vocabulary.py",
        "        if kind == self.kind or kind not in (ANY_KIND, *STATUSES_OF):",
        "        if True:",
        ACTIONS + "test_an_action_plans_what_the_kind_of_item_has",
    ),
    Mutation(
        "the statuses of a kind where they are stored",
        "tickets/kinds.py",
        'return replace(found, options=statuses_of(kind)) if found is STATE_FIELDS["status"] else found',
        "return found",
        BESIDE + "test_each_kind_is_held_to_its_own_fields_and_statuses",
    ),
    Mutation(
        "a table of another name is not run by hand",
        "rules/compiled.py",
        "_BY_NAME = frozenset({EventKind.TIMER, EventKind.RUN_NOW})",
        "_BY_NAME = frozenset({EventKind.TIMER})",
        TRIGGERS + "test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "who is away is passed over",
        "tickets/assignment.py",
        ", or_(User.absent_until.is_(None), User.absent_until <= now))",
        ")",
        BESIDE + "test_the_next_one_goes_round_and_skips_who_is_away",
    ),
    Mutation(
        "the turns of a team",
        "tickets/assignment.py",
        "    in_turn = [key for key in people if key > last] + [key for key in people if key <= last]",
        "    in_turn = people",
        BESIDE + "test_the_next_one_goes_round_and_skips_who_is_away",
    ),
    Mutation(
        "the toggle of a stage",
        "jobs/automove.py",
        "    if pipeline is None or not any(one.key == stage and one.automove for one in pipeline.stages):",
        "    if pipeline is None:",
        AUTOMOVE + "test_a_job_stays_where_it_is",
    ),
    Mutation(
        "all that is linked is done before a job moves",
        "jobs/automove.py",
        "    if not total or still_open:",
        "    if not total:",
        AUTOMOVE + "test_a_job_moves_once_all_of_its_requests_and_parts_are_done",
    ),
    Mutation(
        "a rule that moved the job is not moved past",
        "jobs/automove.py",
        "here is None or here != read.item.state.get(STAGE) or",
        "here is None or",
        AUTOMOVE + "test_a_rule_that_moves_the_job_itself_is_not_moved_past",
    ),
    Mutation(
        "a move that somebody else made meanwhile",
        "web/items_pages.py",
        '        if request.form.get("was", here) != here:',
        "        if False:",
        ITEMS + "test_o14_a_board_shows_a_job_in_its_stage_and_moves_it",
    ),
    Mutation(
        "a rule is run by hand only where it says so",
        "web/bulk.py",
        "        and any(trigger.on == RUN_NOW for trigger in entry.table.triggers)\n",
        "",
        BULK + "test_h6_a_rule_runs_by_its_button_on_one_ticket_and_by_the_menu_on_several",
    ),
    # The portal
    Mutation(
        "one's own items",
        "web/portal_store.py",
        "    return and_(WorkItem.customer == person, WorkItem.published.is_(True))",
        "    return and_(WorkItem.published.is_(True))",
        PORTAL + "test_what_is_not_ones_own_and_published_is_as_if_it_were_not_there",
    ),
    Mutation(
        "published items",
        "web/portal_store.py",
        "    return and_(WorkItem.customer == person, WorkItem.published.is_(True))",
        "    return and_(WorkItem.customer == person)",
        PORTAL + "test_what_is_not_ones_own_and_published_is_as_if_it_were_not_there",
    ),
    Mutation(
        "public messages",
        "web/portal_store.py",
        "        .where(Message.item_id == item_id, Message.public)",
        "        .where(Message.item_id == item_id)",
        PORTAL + "test_internal_notes_and_their_files_stay_inside",
    ),
    Mutation(
        "files of public messages",
        "web/portal_store.py",
        ".where(Attachment.id == attachment_id, Message.public, theirs(person))",
        ".where(Attachment.id == attachment_id, theirs(person))",
        PORTAL + "test_internal_notes_and_their_files_stay_inside",
    ),
    Mutation(
        "a token is used once",
        "tickets/tokens.py",
        "            PortalToken.purpose == purpose,\n            PortalToken.used_at.is_(None),\n",
        "            PortalToken.purpose == purpose,\n",
        PORTAL + "test_a_link_lets_in_once_and_opening_it_uses_nothing_up",
    ),
    Mutation(
        "a token has an end",
        "tickets/tokens.py",
        "            PortalToken.expires_at > now,\n        )\n    ).one_or_none()\n",
        "        )\n    ).one_or_none()\n",
        PORTAL + "test_a_link_that_is_not_good_opens_no_request",
    ),
    Mutation(
        "a token is for one thing",
        "tickets/tokens.py",
        "            PortalToken.purpose == purpose,\n            PortalToken.used_at",
        "            PortalToken.used_at",
        PORTAL + "test_a_link_that_is_too_old_guessed_or_for_something_else_lets_nobody_in",
    ),
    Mutation(
        "wrong codes wear a sign-in out",
        "tickets/tokens.py",
        "    if row is None or row.tries >= CODE_TRIES:",
        "    if row is None:",
        PORTAL + "test_a_code_lets_in_once_and_wrong_ones_wear_it_out",
    ),
    Mutation(
        "sign-ins within an hour",
        "tickets/tokens.py",
        "        if lately >= SIGN_INS_PER_HOUR:",
        "        if False:",
        PORTAL + "test_sign_ins_of_one_person_are_bounded",
    ),
    Mutation(
        "a request that wants a sign-in",
        "web/portal_requests.py",
        "    return found if found.open and not found.sign_in else None",
        "    return found if found.open else None",
        PORTAL + "test_a_link_that_is_not_good_opens_no_request",
    ),
    Mutation(
        "one's own requests",
        "tickets/requests.py",
        "        query = query.where(RequestRow.person_id == person)",
        "        pass",
        PORTAL + "test_another_persons_request_is_as_if_it_were_not_there",
    ),
    Mutation(
        "two who answer at once",
        "tickets/requests.py",
        "    if seen_version != request.version:",
        "    if False:",
        PORTAL + "test_two_who_answer_at_once_do_not_overwrite_each_other",
    ),
    Mutation(
        "a session of the portal has an end",
        "web/portal_session.py",
        ' or from_iso(str(kept.get("until"))) <= now():',
        ":",
        PORTAL + "test_a_session_lasts_twelve_hours",
    ),
    Mutation(
        "requests of items one may not see",
        "web/requests_store.py",
        "RequestRow.item_id.in_(select(WorkItem.id).where(visible(who)))",
        "RequestRow.item_id.in_(select(WorkItem.id))",
        PORTAL + "test_a_file_of_a_restricted_items_request_is_not_served",
    ),
    Mutation(
        "the size of an upload",
        "tickets/requests.py",
        "            if len(one.data) > ATTACHMENT_BYTES:",
        "            if False:",
        PORTAL + "test_too_many_and_too_large_files_are_refused_and_nothing_is_kept",
    ),
    Mutation(
        "chat: halves of signs",
        "web/chat.py",
        "    return {name: plain(value).strip() if",
        "    return {name: value.strip() if",
        "tests/web/test_h15_chat.py::test_half_of_an_emoji_is_a_sign_and_no_error",
    ),
    Mutation(
        "the size of all uploads of a request",
        "tickets/requests.py",
        "    if new and sum(one.size for one in request.files) + new > MESSAGE_BYTES:",
        "    if False:",
        PORTAL + "test_what_is_refused_keeps_no_file_and_removes_none",
    ),
    Mutation(
        "procedure: its files stay inside",
        "web/procedures.py",
        "                public=False,\n",
        "                public=True,\n",
        PROCEDURES + "test_files_stand_on_an_internal_note_and_the_rules_see_the_answers",
    ),
    Mutation(
        "procedure: files have caps",
        "web/procedures.py",
        "            check_attachments([file for _, file in found.files])\n",
        "            check_attachments([])\n",
        PROCEDURES + "test_a_refusal_keeps_what_was_answered_and_nothing_else[too large]",
    ),
    Mutation(
        "procedure: files a question takes",
        "web/procedures.py",
        "            if given and counts[one.key] > MOST_FILES:\n",
        "            if given and counts[one.key] > 1_000:\n",
        PROCEDURES + "test_a_refusal_keeps_what_was_answered_and_nothing_else[too many]",
    ),
    Mutation(
        "running a rule by hand is no change of the ticket",
        "tickets/store.py",
        "    if actor.kind.is_person and kind is not EventKind.RUN_NOW:",
        "    if actor.kind.is_person:",
        "tests/rows/test_h17_rules.py::test_h17_conditions_look_at_when_it_was_created_and_updated",
    ),
    Mutation(
        "what somebody looks at counts as opened",
        "web/seen_store.py",
        "    opened(connection, item_id, now)\n",
        "",
        "tests/rows/test_w15_unopened.py::test_w15_a_report_nobody_opens_for_two_days_nudges_and_escalates",
    ),
    Mutation(
        "followers hear what rules post",
        "jobs/applying.py",
        "        if followers(connection, item.id):",
        "        if False:",
        "tests/rows/test_o8_o13_status.py::test_o8_o13_a_status_that_changes_is_told_to_customer_and_followers",
    ),
    Mutation(
        "answers that one request leaves open",
        "web/requests_pages.py",
        'replace(one, required=False) for one in questions) if given.get("optional") == "1" else questions',
        "replace(one, required=False) for one in questions)",
        "tests/rows/test_t2_t3_questions.py::test_t3_answers_are_required_unless_one_request_leaves_them_open",
    ),
    Mutation(
        "automove: only a status that says so ends by itself",
        "jobs/automove.py",
        "one.key == held and one.automove for one in own.statuses",
        "one.key == held for one in own.statuses",
        T9 + "test_t9_a_jobs_own_status_goes_back_to_active_within_its_stage[toggle off]",
    ),
    Mutation(
        "automove: a bank debit waits until it is cleared",
        "tickets/linking.py",
        'payment == "debit" and debit_at_once)',
        'payment == "debit")',
        T9 + "test_t9_a_bank_debit_counts_once_it_is_cleared_or_at_once[cleared]",
    ),
    Mutation(
        "a status of another pipeline is over with the move",
        "tickets/store.py",
        "    if held is not None and not (own and",
        "    if held is None and not (own and",
        T9 + "test_t9_a_status_that_a_job_has_is_not_removed_and_ends_with_the_pipeline",
    ),
    Mutation(
        "what the desk changed by itself stands in the timeline",
        "web/timeline.py",
        'line.cause.get("kind") == "system"',
        'line.cause.get("kind") == ""',
        T9 + "test_t9_a_jobs_own_status_goes_back_to_active_within_its_stage[toggle on]",
    ),
    Mutation(
        "the demo's back office leaves the port of the pages alone",
        "jobs/demo/places.py",
        "        if but not in block and all(",
        "        if all(",
        "tests/demo/test_backoffice.py::test_the_back_office_leaves_the_port_of_the_desks_own_pages_alone",
    ),
    Mutation(
        "a setting counts however its name is written",
        "jobs/settings.py",
        "name.upper().startswith(PREFIX) for name in os.environ",
        "name.startswith(PREFIX) for name in os.environ",
        "tests/docs/test_operations.py::test_a_setting_is_found_however_its_name_is_written_also_where_it_is_the_only_one",
    ),
)
