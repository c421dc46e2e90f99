"""Runs of scripts and lookups: their tries, their waits, and what ends their workers."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

LOOKUPS = "tests/jobs/test_enrichment.py::"
RUNS = "tests/jobs/test_runs.py::"
FAULTS = "tests/jobs/test_fault_points.py::"
CUT_OFF = "tests/jobs/test_cut_off.py::"

MUTATIONS = (
    Mutation(
        "a run that was put off by a clock that went ahead meanwhile",
        "jobs/runs.py",
        '            values["started_at"] = now\n',
        "            pass\n",
        FAULTS
        + "test_a_run_that_was_put_off_by_a_clock_that_went_ahead_meanwhile_is_tried_again_after_its_own_pause[sqlite]",
    ),
    Mutation(
        "a run waits for a sandbox that is away",
        "jobs/runs.py",
        "if waited < timedelta(hours=AWAY_H) else None\n",
        "if waited < timedelta(seconds=65) else None\n",
        RUNS + "test_a_run_waits_for_a_sandbox_that_is_away_and_spends_none_of_its_tries_on_it[sqlite]",
    ),
    Mutation(
        "a run that ends its workers is given up",
        "jobs/runs.py",
        "if row.cut_off < MOST_CUT_OFF else",
        "if True else",
        CUT_OFF + "test_a_run_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_is_run[sqlite]",
    ),
    Mutation(
        "a lookup that ends its workers is given up",
        "jobs/enrichment.py",
        "if row.cut_off >= MOST_CUT_OFF:",
        "if False:",
        CUT_OFF + "test_a_lookup_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_is_asked[sqlite]",
    ),
    Mutation(
        "a worker that is to end begins no run",
        "jobs/runs.py",
        "free = 0 if over else",
        "free = 0 if False else",
        CUT_OFF + "test_a_job_that_is_to_end_begins_no_run_and_waits_for_those_it_has[sqlite-True-1]",
    ),
    Mutation(
        "a worker that is to end asks no more",
        "jobs/enrichment.py",
        "        if stopping():\n            return total\n",
        "",
        CUT_OFF + "test_a_job_asks_no_more_lookups_once_it_is_over[sqlite-stop]",
    ),
    Mutation(
        "only who still holds what is over was cut off",
        "jobs/claims.py",
        "table.token.is_not(None)",
        "table.id.is_not(None)",
        CUT_OFF + "test_a_run_that_comes_back_by_itself_is_no_more_suspected[sqlite]",
    ),
    Mutation(
        "what is suspected goes alone",
        "jobs/runs.py",
        "most_s = None if alone else services.settings.sweep_s",
        "most_s = services.settings.sweep_s",
        CUT_OFF + "test_nothing_begins_beside_a_run_that_is_suspected[sqlite]",
    ),
    Mutation(
        "a lookup that was claimed and lost by a clock that was ahead",
        "jobs/clock.py",
        "    (LookupRow, LookupRow.asked_at, _NOT_ANSWERED),\n",
        "    (LookupRow, LookupRow.asked_at, _NOT_ANSWERED & (LookupRow.tries == 0)),\n",
        FAULTS + "test_a_lookup_whose_worker_was_cut_off_while_the_clock_was_ahead_is_asked_when_it_is_put_right",
    ),
    Mutation(
        "an answer wakes its lane",
        "jobs/enrichment.py",
        '        if answer.state in ("known", "missing"):\n            _late(',
        "        if answer.state in ():\n            _late(",
        LOOKUPS + "test_a_slow_answer_ends_the_wait_and_comes_late",
    ),
    Mutation(
        "a script that did not end well does nothing",
        "jobs/deciding.py",
        'well = run.status in ("finished", "stopped") and',
        "well =",
        RUNS + "test_a_run_stored_as_failed_is_not_applied_whatever_it_collected",
    ),
    Mutation(
        "an uncaught failure discards the run",
        "jobs/runs.py",
        'outcome.calls[-1].status == "unavailable"',
        'outcome.calls[-1].status == "never"',
        RUNS + "test_an_answer_that_cannot_be_had_discards_the_run_and_it_is_tried_again",
    ),
    Mutation(
        "a switched-off script is not run",
        "jobs/applying.py",
        "if script is None or not script.enabled:",
        "if script is None:",
        RUNS + "test_a_script_that_is_switched_off_is_not_run_and_the_step_says_so",
    ),
)
