"""Changes in connected systems: what lets them out, what holds them back, what keeps them from being made twice."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

CHANGES = "tests/rows/test_changes.py::"
ACTIONS = "tests/rules/test_actions.py::"
SANDBOX = "tests/sandbox/test_changes.py::"

ANSWERS = "tests/jobs/test_answers_before_a_change.py::"

MUTATIONS = (
    Mutation(
        "change: what follows from it is not decided on answers from before it",
        "jobs/facts.py",
        "        if row.not_from_seq is not None and event.seq >= row.not_from_seq:\n",
        "        if False:\n",
        ANSWERS + "test_what_follows_from_a_change_is_decided_on_what_the_system_says_after_it[sqlite]",
    ),
    Mutation(
        "change: what its row depends on is awaited",
        "jobs/rechecking.py",
        "if decision.wait is not None or (undecided and facts.writing):\n",
        "if undecided and facts.writing:\n",
        ANSWERS + "test_a_change_whose_row_depends_on_what_is_being_asked_again_waits_for_the_answer[sqlite]",
    ),
    Mutation(
        "change: what nobody asked is asked",
        "jobs/outbox.py",
        "        have_asked(services, unknown)\n",
        "",
        ANSWERS + "test_a_change_whose_row_depends_on_what_nobody_asked_has_it_asked[sqlite]",
    ),
    Mutation(
        "change: only in systems that may be written to",
        "jobs/live.py",
        'if one.kind == "write" and one.allowed and one.connection not in webhooks',
        'if one.kind == "write" and one.connection not in webhooks',
        CHANGES + "test_a_connection_that_may_only_be_read_is_no_change_that_a_row_can_name",
    ),
    Mutation(
        "change: its row is looked at once more",
        "jobs/changes.py",
        '        if row.payload.get("recheck") and cause.kind == "table":',
        "        if False:",
        CHANGES + "test_a_row_that_no_longer_matches_sends_nothing_and_says_so",
    ),
    Mutation(
        "change: the second look is the row's to want",
        "jobs/changes.py",
        '        if row.payload.get("recheck") and cause.kind == "table":',
        '        if cause.kind == "table":',
        CHANGES + "test_a_row_that_does_not_want_a_second_look_sends_all_the_same",
    ),
    Mutation(
        "change: what may have been made is not looked at again but found out",
        "jobs/changes.py",
        "    if not sent_before:\n        _look_once_more(services, row)\n",
        "    _look_once_more(services, row)\n",
        CHANGES + "test_a_try_that_may_have_been_carried_out_is_found_out_and_not_looked_at_again",
    ),
    Mutation(
        "change: capped per system and hour",
        "jobs/changes.py",
        "        if made >= most:",
        "        if False:",
        CHANGES + "test_changes_beyond_the_cap_of_a_system_are_held_back_on_record",
    ),
    Mutation(
        "change: what never arrived is not taken for sent",
        "jobs/changes.py",
        "        if not error.may_be_done and not sent_before:\n            _not_begun(services, row, token)\n",
        "",
        CHANGES + "test_what_never_arrived_is_tried_again_even_without_keys",
    ),
    Mutation(
        "change: what was refused was never made",
        "jobs/changes.py",
        "        _not_begun(services, row, token)\n        raise ChangeRefused(",
        "        raise ChangeRefused(",
        CHANGES + "test_a_refused_change_that_is_tried_again_with_all_others_is_one_that_was_never_made",
    ),
    Mutation(
        "change: what may have been made is set aside",
        "jobs/changes.py",
        "        if error.may_be_done or sent_before:",
        "        if False:",
        CHANGES + "test_a_lost_answer_of_a_system_that_keeps_no_keys_sets_it_aside_for_a_person",
    ),
    Mutation(
        "change: one key for all tries",
        "jobs/changes.py",
        "    return hashlib.sha256(key.encode()).hexdigest()[:40]",
        "    return hashlib.sha256(f'{key}{id(object())}{datetime.now()}'.encode()).hexdigest()[:40]",
        CHANGES + "test_a_failing_system_is_asked_again_under_the_same_key_and_does_it_once",
    ),
    Mutation(
        "change: only who edits rules sends it again",
        "web/outbox_store.py",
        '    if row.kind == "change" and not viewer.may(Permission.EDIT_RULES):',
        "    if False:",
        CHANGES + "test_an_unclear_change_is_settled_by_a_person_or_sent_again_by_who_edits_rules",
    ),
    Mutation(
        "change: what is not known is not sent as nothing",
        "rules/system_actions.py",
        "    if isinstance(reading, Missing):\n        return None\n",
        "    if not isinstance(reading, Known):\n        return None\n",
        ACTIONS + "test_a_change_whose_input_is_missing_or_wrong_on_this_ticket_is_refused",
    ),
    Mutation(
        "change: a script's texts are taken as they are",
        "rules/actions.py",
        "            if is_change(call.action):\n",
        "            if is_change(call.action) and '{{' not in str(call.params):\n",
        ACTIONS + "test_a_script_changes_a_system_by_its_own_name_with_values_as_they_are",
    ),
    Mutation(
        "change: a script is granted it by its name",
        "sandbox/broker.py",
        "        if what not in self.grants:\n            raise _Over(",
        "        if False:\n            raise _Over(",
        SANDBOX + "test_a_change_nobody_agreed_to_ends_the_run_and_nothing_of_it_stands",
    ),
    Mutation(
        "change: no star grants it",
        "sandbox/contract.py",
        "if one in grants or (not method.writes and _covered(one, grants))",
        "if one in grants or _covered(one, grants)",
        SANDBOX + "test_a_star_grants_no_change",
    ),
    Mutation(
        "change: a script's is collected, not sent",
        "sandbox/broker.py",
        "        if method.writes:\n            self._on_change(frame, what)\n            return\n",
        "",
        SANDBOX + "test_a_change_is_collected_in_order_and_answered_with_a_receipt",
    ),
    Mutation(
        "change: wants a second yes of its own",
        "sandbox/contract.py",
        "            tuple(one for one in self.changes if one not in other.changes),\n",
        "            tuple(one for one in self.changes if one not in other.changes and not other.operations),\n",
        SANDBOX + "test_a_change_goes_beyond_every_manifest_that_does_not_name_it",
    ),
    Mutation(
        "change: what the text hides is named",
        "sandbox/closer.py",
        "            self._changes |= {",
        "            self._operations |= {",
        "tests/sandbox/test_check.py::test_what_the_text_hides_is_in_the_manifest_as_a_star",
    ),
    Mutation(
        "change: a script has it only where writing is allowed",
        "jobs/runs.py",
        '        if writes and f"{one.connection}.{one.name}" not in desk.vocabulary.changes:\n',
        "        if False:\n",
        "tests/jobs/test_script_changes.py::test_a_connection_that_may_only_be_read_has_no_such_method",
    ),
    Mutation(
        "change: what may be made is not cancelled",
        "web/outbox_store.py",
        "            none_begun(),\n",
        "",
        CHANGES + "test_a_change_that_may_be_made_is_not_cancelled_and_not_called_off",
    ),
    Mutation(
        "change: what may be made is not called off",
        "jobs/forecast.py",
        "            .where(none_begun())\n",
        "",
        CHANGES + "test_a_change_that_may_be_made_is_not_cancelled_and_not_called_off",
    ),
    Mutation(
        "change: what broke us once it was sent may be made",
        "jobs/outbox.py",
        "        if got_as_far_as_sending(services, row):\n",
        "        if begun(row):\n",
        CHANGES + "test_a_change_that_breaks_us_once_it_was_sent_is_not_said_to_be_undone",
    ),
    Mutation(
        "change: what was cut short once it was sent may be made",
        "jobs/outbox.py",
        "may_be_done=got_as_far_as_sending(services, row))",
        "may_be_done=begun(row))",
        CHANGES + "test_a_change_whose_last_try_is_cut_short_once_it_was_sent_is_not_said_to_be_undone",
    ),
    Mutation(
        "change: erased with the person it is about",
        "jobs/erasure.py",
        'leaving.where(OutboxRow.kind == "change")',
        'leaving.where(OutboxRow.kind == "")',
        CHANGES + "test_a_change_of_one_who_was_erased_is_not_sent_and_not_kept",
    ),
    Mutation(
        "change: erased with the person who was erased while it was sent",
        "jobs/changes.py",
        "if connection.execute(select(OutboxRow.id).where(OutboxRow.id == row.id)).first() is None:",
        "if False:",
        CHANGES + "test_a_change_whose_customer_is_erased_while_it_is_sent_leaves_no_answer",
    ),
)
