"""The replay lab: what is played, by what time, with which answers, for whom, and that nothing of it gets out."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

JOB = "tests/jobs/test_replays.py::"
BESIDE = "tests/jobs/test_replays_beside.py::"
OUTSIDE = "tests/jobs/test_replays_outside.py::"
PAGES = "tests/web/test_replays_pages.py::"
CHAIN = JOB + "test_one_draft_sets_off_the_row_of_another_and_neither_does_anything_alone[sqlite]"

MUTATIONS = (
    Mutation(
        "replay: what is left on a host without a clock is taken away",
        "jobs/replays/scratch.py",
        "    take_away_orphans(services)\n    home",
        "    home",
        JOB + "test_what_a_killed_worker_left_is_taken_away_and_what_one_works_in_stays",
    ),
    Mutation(
        "replay: only what came from outside is played",
        "jobs/replays/story.py",
        "if number == 0 or (not again and (not automatic or by_others)):\n",
        "if number == 0 or not again:\n",
        JOB + "test_what_the_rules_of_then_did_and_those_of_now_do_not_is_named[sqlite]",
    ),
    Mutation(
        "replay: what the rules made of another item's event is found anew",
        "jobs/replays/story.py",
        " and one.id not in by_rules\n",
        "\n",
        BESIDE + "test_what_another_item_set_off_comes_and_what_the_rules_made_of_it_is_found_anew[sqlite]",
    ),
    Mutation(
        "replay: who followed an item follows it",
        "jobs/replays/lab.py",
        "            if story.followers:\n",
        "            if False:\n",
        BESIDE + "test_who_followed_a_ticket_follows_it_when_it_is_played_and_it_ends_as_it_did[sqlite]",
    ),
    Mutation(
        "replay: only the bells that rules ring are compared",
        "jobs/replays/told.py",
        '        if _is_of_rules(cause):\n            yield "notify"',
        '        if cause:\n            yield "notify"',
        BESIDE + "test_who_followed_a_ticket_follows_it_when_it_is_played_and_it_ends_as_it_did[sqlite]",
    ),
    Mutation(
        "replay: both desks are of the list that was asked about",
        "jobs/replays/work.py",
        "            problem = self._as_it_began()[0] or (",
        "            problem = (",
        JOB + "test_what_is_published_while_the_desks_are_furnished_ends_it_before_an_item_is_played[sqlite]",
    ),
    Mutation(
        "replay: the code of a script is no pattern",
        "jobs/replays/told.py",
        "func.substr(Fired.row_key, 1, func.length(_OF_RUNS)) == _OF_RUNS\n",
        'Fired.row_key.like(_OF_RUNS + "%")\n',
        JOB + "test_a_row_that_is_called_like_a_run_is_counted_as_the_row_it_is[sqlite]",
    ),
    Mutation(
        "replay: events from outside have a bound",
        "jobs/replays/story.py",
        "    cut = len(outside) > MOST_EVENTS or len(events) == MOST_READ\n",
        "    cut = len(events) == MOST_READ\n",
        JOB + "test_more_than_twenty_events_from_outside_are_cut_and_it_is_said[sqlite]",
    ),
    Mutation(
        "replay: the clock stops where a timer is due",
        "jobs/replays/lab.py",
        "            while timers.fire(self.services) + timers.fire_schedules(self.services):\n                pass\n",
        "",
        JOB + "test_a_timer_fires_under_the_new_list_alone_where_nobody_answered_in_time[sqlite]",
    ),
    Mutation(
        "replay: moments have a bound",
        "jobs/replays/lab.py",
        "            if self._moments > MOST_MOMENTS:\n",
        "            if False:\n",
        JOB + "test_a_schedule_that_ticks_on_and_on_is_cut_and_it_is_said[sqlite]",
    ),
    Mutation(
        "replay: each item is played in an emptied desk",
        "jobs/replays/lab.py",
        "        for statement in self._clearing:\n",
        "        for statement in ():\n",
        CHAIN,
    ),
    Mutation(
        "replay: the drafts are put in place",
        "jobs/replays/lab.py",
        ".values(live_version=version, enabled=True))\n",
        ".values(enabled=True))\n",
        CHAIN,
    ),
    Mutation(
        "replay: scripts are left out where they are to be",
        "jobs/replays/lab.py",
        "    if not scripts:\n",
        "    if False:\n",
        OUTSIDE + "test_scripts_that_are_left_out_are_said_to_be_and_do_nothing[sqlite]",
    ),
    Mutation(
        "replay: the scratch desk is taken away",
        "jobs/replays/lab.py",
        "        db.close()\n        shutil.rmtree(folder, ignore_errors=True)\n",
        "        db.close()\n",
        JOB + "test_the_live_desk_is_as_it_was_but_for_the_replays_own_rows[sqlite]",
    ),
    Mutation(
        "replay: connected systems are not asked",
        "jobs/replays/lab.py",
        "            gateway=connectors,\n",
        "",
        OUTSIDE + "test_a_recorded_answer_is_given_again_and_one_that_nobody_had_is_unknown_and_named[sqlite]",
    ),
    Mutation(
        "replay: what is not recorded is unknown",
        "jobs/replays/recorded.py",
        "        if said is None:\n            self._missing",
        '        said = said or Said(now, "missing")\n        if said is None:\n            self._missing',
        OUTSIDE + "test_a_recorded_answer_is_given_again_and_one_that_nobody_had_is_unknown_and_named[sqlite]",
    ),
    Mutation(
        "replay: what is hidden from who asks is not picked",
        "jobs/replays/work.py",
        "select(WorkItem.id).where(picked.test(), visible(viewer)).order_by",
        "select(WorkItem.id).where(picked.test()).order_by",
        JOB + "test_tickets_of_a_restricted_team_are_neither_played_nor_named_to_others[sqlite]",
    ),
    Mutation(
        "replay: what is hidden meanwhile is not played",
        "jobs/replays/work.py",
        "                if not connection.execute(seen).scalar_one():\n",
        "                if False:\n",
        JOB + "test_a_ticket_that_is_restricted_meanwhile_is_left_out_with_its_reason[sqlite]",
    ),
    Mutation(
        "replay: a changed rule list ends it",
        "jobs/replays/work.py",
        "            if rule_list.revision(connection) != self._row.revision:\n",
        "            if False:\n",
        JOB + "test_a_rule_list_or_a_draft_that_changes_ends_it_and_what_was_played_stays[sqlite]",
    ),
    Mutation(
        "replay: a changed draft ends it",
        "jobs/replays/work.py",
        "                if stored.draft is None or stored.draft_count != count:\n",
        "                if stored.draft is None:\n",
        JOB + "test_a_rule_list_or_a_draft_that_changes_ends_it_and_what_was_played_stays[sqlite]",
    ),
    Mutation(
        "replay: an outcome is written by who holds it",
        "jobs/replays/work.py",
        'ReplayRow.token == self._token, ReplayRow.status == "running"\n',
        "ReplayRow.id > 0\n",
        JOB + "test_who_lost_its_lease_writes_nothing_and_another_goes_on[sqlite]",
    ),
    Mutation(
        "replay: an item that ends its workers is left out",
        "jobs/replays/work.py",
        "        if row.tries > TRIES:\n",
        "        if False:\n",
        JOB + "test_an_item_that_ends_whoever_plays_it_is_left_out_after_some_tries[sqlite]",
    ),
    Mutation(
        "replay: its time has a bound",
        "jobs/replays/work.py",
        "                if self._worked_ms + self._used_ms() >= WORK_S * 1000:\n",
        "                if False:\n",
        JOB + "test_a_replay_whose_time_is_over_ends_with_what_it_has[sqlite]",
    ),
    Mutation(
        "replay: a person has some under way and no more",
        "jobs/replays/work.py",
        "    if connection.execute(going).scalar_one() >= AT_ONCE:\n",
        "    if False:\n",
        JOB + "test_too_many_at_once_nothing_picked_and_no_draft_are_refused_and_nothing_is_written[sqlite]",
    ),
    Mutation(
        "replay: the page shows what its reader may see",
        "web/replays_store.py",
        "    query = _items(replay_id, shown).where(visible(viewer)).order_by",
        "    query = _items(replay_id, shown).order_by",
        PAGES + "test_a_ticket_that_is_hidden_from_the_reader_is_counted_and_not_shown",
    ),
    Mutation(
        "replay: so does the file",
        "web/replays_store.py",
        '    query = _items(replay_id, "all").where(visible(viewer)).order_by',
        '    query = _items(replay_id, "all").order_by',
        PAGES + "test_a_ticket_that_is_hidden_from_the_reader_is_counted_and_not_shown",
    ),
    Mutation(
        "replay: the file holds no formula",
        "web/replays_pages.py",
        "[[rules_text.harmless(cell) for cell in line] for line in lines]",
        "lines",
        PAGES + "test_the_differences_are_a_file_for_a_spreadsheet_in_which_nothing_is_a_formula",
    ),
    Mutation(
        "replay: drafts of scripts are for those who edit scripts",
        "web/replays_pages.py",
        "(scripts or one.kind is not EntryKind.SCRIPT)",
        "(True or scripts)",
        PAGES + "test_who_may_not_edit_scripts_is_not_offered_their_drafts_and_cannot_name_them",
    ),
    Mutation(
        "replay: who is erased is in no outcome",
        "jobs/erasure.py",
        "        _replays(connection, person_id, items, done)\n",
        "",
        JOB + "test_who_is_erased_while_their_ticket_is_played_is_in_no_outcome[sqlite]",
    ),
    Mutation(
        "replay: old ones go",
        "jobs/retention.py",
        '        "replayed": _drop(services, ReplayItemRow, ReplayItemRow.replay_id.in_(old_replays)),\n',
        '        "replayed": 0,\n',
        JOB + "test_a_replay_is_kept_for_thirty_days_and_then_gone_with_its_items[sqlite]",
    ),
)
