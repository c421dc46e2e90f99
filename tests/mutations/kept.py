"""What is kept for how long, and what is erased: what goes with age, what has to stay, and what is gone for good."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ERASURE = "tests/jobs/test_erasure_everywhere.py::"
MEANWHILE = "tests/jobs/test_erasure_meanwhile.py::"
ON_OTHERS = "tests/jobs/test_erasure_on_others.py::"
RETENTION = "tests/jobs/test_retention.py::"
STAYS = RETENTION + "test_a_lookup_that_somebody_waits_for_or_may_still_use_stays_however_old_it_is"


def _lookup(name: str, old: str, test: str) -> Mutation:
    return Mutation(f"kept: {name}", "jobs/retention.py", f"        {old},\n", "", test)


MUTATIONS = (
    Mutation(
        "kept: lookups go",
        "jobs/retention.py",
        '        "lookups": _drop(services, LookupRow, _done_with(lookups_before)),\n',
        '        "lookups": 0,\n',
        RETENTION + "test_what_was_asked_for_a_ticket_stays_as_long_as_a_decision_that_may_have_used_it[sqlite]",
    ),
    Mutation(
        "kept: lines of the bell go",
        "jobs/retention.py",
        '        "bell": _drop(services, Notification, Notification.created_at < rung_before),\n',
        '        "bell": 0,\n',
        RETENTION + "test_lines_of_the_bell_go_when_they_are_too_old_read_or_not[sqlite]",
    ),
    Mutation(
        "kept: what was asked is there for replays and erasures",
        "jobs/retention.py",
        "    return max(settings.keep_decisions_days, settings.keep_answers_days)\n",
        "    return settings.keep_answers_days\n",
        RETENTION + "test_neither_goes_before_the_decisions_that_a_replay_compares_with[sqlite]",
    ),
    Mutation(
        "kept: whom the rules told is there for replays",
        "jobs/retention.py",
        "    return max(settings.keep_bell_days, settings.keep_decisions_days)\n",
        "    return settings.keep_bell_days\n",
        RETENTION + "test_neither_goes_before_the_decisions_that_a_replay_compares_with[sqlite]",
    ),
    _lookup("a lookup to be asked", "LookupRow.due_at.is_(None)", f"{STAYS}[sqlite-to be asked]"),
    _lookup("a lookup that is being asked", "LookupRow.lease_until.is_(None)", f"{STAYS}[sqlite-in somebody's hands]"),
    _lookup("a lookup asked again", "LookupRow.asked_at < before", f"{STAYS}[sqlite-asked again]"),
    _lookup(
        "a lookup answered late",
        "or_(LookupRow.answered_at.is_(None), LookupRow.answered_at < before)",
        f"{STAYS}[sqlite-answered late]",
    ),
    _lookup(
        "a lookup that is fresh",
        "or_(LookupRow.fresh_until.is_(None), LookupRow.fresh_until < before)",
        f"{STAYS}[sqlite-fresh]",
    ),
    _lookup(
        "a lookup by which an erasure finds its answer",
        "tuple_(LookupRow.connection, LookupRow.operation).not_in(stand_in)",
        RETENTION + "test_a_lookup_by_which_an_erasure_finds_a_stored_answer_stays_as_long_as_the_answer[sqlite]",
    ),
    Mutation(
        "an erased ticket is taken from the worker that has read it",
        "jobs/erasure.py",
        "values(due_at=now, lease_until=None, token=None))",
        "values(due_at=now))",
        ERASURE + "test_a_worker_that_has_read_an_erased_ticket_writes_nothing_of_it_down",
    ),
    Mutation(
        "what is erased on tickets of others: what they did without a message",
        "jobs/erasure.py",
        "    found = list(connection.execute(of_it.where(*_acted(person_id))))\n",
        "    found = list[Any]()\n",
        ON_OTHERS + "test_what_they_answered_about_a_ticket_of_others_goes_and_what_stands_beside_it_stays[sqlite]",
    ),
    Mutation(
        "what is erased on tickets of others: the name with the words",
        "jobs/erasure.py",
        "        wrote = _events_of_theirs(connection, item_id, sorted(events))\n",
        "        wrote = list[Any]()\n",
        ON_OTHERS + "test_who_wrote_on_a_ticket_of_others_is_not_named_there_known_then_or_not[sqlite-False]",
    ),
    Mutation(
        "what is erased on tickets of others: a second copy",
        "jobs/erasure.py",
        "        .where(InboundMail.message_id.is_(None))\n",
        "        .where(InboundMail.item_id.is_(None))\n",
        ON_OTHERS + "test_a_second_copy_of_their_mail_on_a_ticket_of_others_goes_as_the_first_does[sqlite]",
    ),
    Mutation(
        "what is erased by an address beyond ASCII",
        "jobs/erasure.py",
        "{address, json.dumps(address)[1:-1]}",
        "{address}",
        ON_OTHERS + "test_that_a_mail_about_a_ticket_of_others_went_to_their_address_is_not_kept[sqlite-beyond]",
    ),
    Mutation(
        "what is erased on tickets of others: where a mail went",
        "jobs/erasure.py",
        "        named = History.field == MAIL, ",
        "        named = History.field == COMING, ",
        ON_OTHERS + "test_that_a_mail_about_a_ticket_of_others_went_to_their_address_is_not_kept[sqlite-ascii]",
    ),
    Mutation(
        "an answer about who was erased meanwhile is not kept",
        "jobs/enrichment.py",
        "            if _erased(connection, row):\n",
        "            if False:\n",
        MEANWHILE + "test_an_answer_that_comes_when_its_customer_was_erased_is_not_kept",
    ),
    Mutation(
        "what a script was told of who was erased meanwhile is not kept",
        "jobs/runs.py",
        "            if _erased(connection, row):\n",
        "            if False:\n",
        MEANWHILE + "test_what_a_script_was_told_of_a_customer_who_was_erased_meanwhile_is_not_kept",
    ),
    Mutation(
        "only what is erased is forgotten with its run",
        "jobs/runs.py",
        'return found is None or (found.status == "cancelled" and not found.outcome)',
        'return found is None or found.status == "cancelled"',
        MEANWHILE + "test_a_call_of_a_run_that_is_called_off_stays_in_the_list_of_calls",
    ),
    Mutation(
        "what a run has asked so far is erased",
        "jobs/erasure.py",
        "                hashes |= asked_by_run(connection, run.id)\n",
        "                asked_by_run(connection, run.id)\n",
        MEANWHILE + "test_what_a_run_has_asked_before_its_customer_is_erased_goes_at_once[sqlite-True]",
    ),
    Mutation(
        "what a run has asked that did not come to tell it is erased",
        "jobs/erasure.py",
        "            if run.attempt > 1 or run.status not in _TELLS_ITS_CALLS:\n",
        '            if run.status in ("queued", "running", "retrying"):\n',
        MEANWHILE + "test_what_a_run_has_asked_that_did_not_come_to_tell_it_goes_with_its_customer[sqlite-called off]",
    ),
    Mutation(
        "kept: by what a change was made its answer is found",
        "jobs/retention.py",
        " & (~change | (OutboxRow.sent_at < asked_before))\n",
        "\n",
        "tests/rows/test_changes.py::test_the_answer_to_a_change_of_long_ago_is_found_when_its_customer_is_erased",
    ),
    Mutation(
        "answers are found by inputs in the form that was sent",
        "jobs/forgetting.py",
        "found.add(fingerprint(check_args(operation, one.args)))",
        "check_args(operation, one.args)",
        MEANWHILE + "test_what_a_run_has_asked_before_its_customer_is_erased_goes_at_once[sqlite-False]",
    ),
    Mutation(
        "what an event that waits holds back is erased",
        "jobs/erasure.py",
        '        .values(status="done", progress=None)\n',
        '        .values(status="done")\n',
        ERASURE + "test_nothing_that_was_written_about_a_person_is_left_in_any_column",
    ),
)
