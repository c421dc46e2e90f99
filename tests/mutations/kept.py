"""What is kept for how long: what goes with age, and what has to stay however old it is."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

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
)
