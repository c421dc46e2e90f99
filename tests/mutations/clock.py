"""Re-arming, stamps, timers, calendars, service levels and snooze."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

LEDGER = "tests/jobs/test_ledger.py::"
REARM = "tests/rules/test_rearm.py::"

MUTATIONS = (
    Mutation(
        "what fired is entered in the ledger",
        "jobs/recording.py",
        "        if key not in rearms:\n",
        "        if key:\n",
        LEDGER + "test_once_per_ticket_is_once_whatever_happens_and_the_page_says_so",
    ),
    Mutation(
        "the ledger holds rows back",
        "rules/passes.py",
        "        self.held = held | self.because.keys()\n",
        "        self.held = held\n",
        REARM + "test_a_row_held_back_by_the_ledger_still_matches_ends_its_table_and_says_why",
    ),
    Mutation(
        "once in a duration",
        "rules/rearm.py",
        "    if from_iso(at) + timedelta(seconds=duration_s(rearm)) <= from_iso(facts.now):\n",
        "    if True:\n",
        LEDGER + "test_at_most_every_day_begins_with_the_last_time_it_fired",
    ),
    Mutation(
        "once per episode",
        "rules/rearm.py",
        "        known = isinstance(episodes, Sequence) and episode(facts) in episodes\n",
        "        known = True\n",
        LEDGER + "test_once_per_episode_is_once_for_each_stay_in_a_status",
    ),
)
