"""Re-arming, stamps, timers, calendars, service levels and snooze."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

LEDGER = "tests/jobs/test_ledger.py::"
REARM = "tests/rules/test_rearm.py::"
TIMERS = "tests/jobs/test_timers.py::"
TIMES = "tests/jobs/test_examples_of_time.py::"
SLA = "tests/tickets/test_sla.py::"
SNOOZE = "tests/jobs/test_snooze.py::"
CALENDAR = "tests/tickets/test_calendar.py::"

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
        "        self.held = held | self.because.keys() if self.because else held\n",
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
    Mutation(
        "a timer that was overtaken does nothing",
        "rules/triggers.py",
        'return payload.get("rule") == digest and not payload.get("overtaken")',
        'return payload.get("rule") == digest',
        TIMERS + "test_an_answer_before_the_event_has_its_turn_overtakes_it",
    ),
    Mutation(
        "a timer is of one table",
        "rules/compiled.py",
        'payload.get("entry") != self.entry.code:',
        'payload.get("entry") == "":',
        "tests/rules/test_triggers.py::test_a_trigger_runs_its_table_on_its_events_only",
    ),
    Mutation(
        "what was due before its rule never fires",
        "jobs/timers.py",
        "    before = found.due_at <= since\n",
        "    before = False\n",
        TIMERS + "test_on_publish_only_what_is_still_to_come_gets_a_timer_and_what_was_is_entered_as_before",
    ),
    Mutation(
        "the clock looks after timers",
        "jobs/clock.py",
        '    _apart("timers", lambda: timers.tick(services, budget_s=TIMERS_S), failing)\n',
        "",
        TIMERS + "test_a_look_of_the_clock_fires_what_is_due_and_tells_the_workers",
    ),
    Mutation(
        "a part of the clock that fails keeps no other from its work",
        "jobs/clock.py",
        "    except AWAY:\n        raise\n",
        "    except Exception:\n        raise\n",
        TIMERS + "test_a_part_of_the_clock_that_fails_keeps_no_other_from_its_work_and_is_told_once[sqlite]",
    ),
    Mutation(
        "an episode fires once",
        "jobs/timers.py",
        '_SETTLE = update(_TIMERS).where(_ONE).values(due_at=None, outcome=bindparam("became"))',
        '_SETTLE = update(_TIMERS).where(_ONE).values(outcome=bindparam("became"))',
        TIMERS + "test_after_downtime_late_timers_fire_once_the_oldest_first",
    ),
    Mutation(
        "leaving a status takes its timer away",
        "tickets/clocks.py",
        "    if gone:\n",
        "    if False:\n",
        TIMERS + "test_leaving_the_status_takes_the_timer_away_and_coming_back_begins_anew",
    ),
    Mutation(
        "a customer who writes again does not wait anew",
        "tickets/stamps.py",
        "            since = now if stamps.unanswered_since is None else stamps.unanswered_since\n",
        "            since = now\n",
        TIMERS + "test_no_reply_counts_from_the_oldest_unanswered_message_and_only_a_public_reply_ends_it",
    ),
    Mutation(
        "automation is no modification",
        "tickets/store.py",
        "    if actor.kind.is_person and kind is not EventKind.RUN_NOW:\n        stamps",
        "    if actor:\n        stamps",
        TIMES + "test_o22_a07_closes_what_no_person_touched_for_a_week",
    ),
    Mutation(
        "a date that is answered is midnight where the brand is",
        "tickets/requests.py",
        'request.answers, zone_of(connection, item.state.get("brand")))',
        "request.answers)",
        TIMERS + "test_a_date_that_a_customer_answers_comes_at_midnight_in_the_zone_of_the_brand",
    ),
    Mutation(
        "a date on a page is midnight where the brand is",
        "web/items_pages.py",
        'zone_of(connection, item.state.get("brand"), viewer.zone)',
        "viewer.zone",
        "tests/rows/test_h1_o27_dates.py::test_a_date_on_a_page_is_midnight_where_the_items_brand_is",
    ),
    Mutation(
        "a schedule ticks in its zone",
        "tickets/schedule.py",
        "after.astimezone(ZoneInfo(zone))",
        "after.astimezone(UTC)",
        CALENDAR + "test_a_schedule_ticks_in_its_zone_through_changes_of_clocks",
    ),
    Mutation(
        "finished tickets wait for no reply",
        "tickets/timers.py",
        "    elif status in FINISHED:\n        return None\n",
        "",
        TIMERS + "test_finished_tickets_wait_for_nothing_but_the_time_in_their_status",
    ),
    Mutation(
        "only a public reply ends the wait for one",
        "tickets/stamps.py",
        "        if not public:\n            continue\n",
        "",
        TIMERS + "test_no_reply_counts_from_the_oldest_unanswered_message_and_only_a_public_reply_ends_it",
    ),
    Mutation(
        "a time in a status counts working time",
        "tickets/timers.py",
        "        return add_working(calendar, begin, rule.offset_s)\n",
        "        return begin + timedelta(seconds=rule.offset_s)\n",
        "tests/tickets/test_begins.py::test_a_rule_with_a_calendar_waits_for_its_working_time",
    ),
    Mutation(
        "the last minutes before a breach",
        "tickets/sla.py",
        "max(0, seconds - policy.near_s)",
        "seconds",
        SLA + "test_a_running_clock_is_due_after_its_target_and_near_before_it",
    ),
    Mutation(
        "days off of a calendar file",
        "tickets/calendar.py",
        "range(start.year, today.year + YEARS_AHEAD + 1, int(every)) if rule else [start.year]",
        "[start.year]",
        CALENDAR + "test_the_days_of_an_ics_file_are_days_off",
    ),
    Mutation(
        "a pausing status stops the clock",
        "tickets/sla.py",
        "status not in policy.pauses and status not in FINISHED",
        "status not in FINISHED",
        SLA + "test_a_pausing_status_stops_the_clock_and_what_is_left_is_kept",
    ),
    Mutation(
        "a breach is for good",
        "tickets/sla.py",
        "        if known is not None and known.start == start:\n",
        "        if False:\n",
        SLA + "test_a_changed_policy_counts_from_the_start_and_never_takes_a_breach_back",
    ),
    Mutation(
        "the customer's answer wakes a ticket",
        "tickets/snooze.py",
        '        if author == "customer" and public:\n',
        "        if False:\n",
        SNOOZE + "test_whose_answer_wakes_a_ticket",
    ),
    Mutation(
        "only the customer's own answer to a request wakes a ticket",
        "tickets/store.py",
        "    answered = kind is EventKind.REQUEST and actor.kind is ActorKind.CUSTOMER\n",
        "    answered = kind is EventKind.REQUEST\n",
        "tests/rows/test_portal_rows.py::test_h11_a_ticket_that_sleeps_wakes_when_its_customer_has_answered_a_request",
    ),
    Mutation(
        "another team's answer wakes no ticket that waits for one team",
        "tickets/snooze.py",
        "        if (team or person) and colleague in ours:\n",
        "        if team or person:\n",
        SNOOZE + "test_h11_a_ticket_that_waits_for_one_team_or_person_sleeps_on_when_somebody_else_writes",
    ),
    Mutation(
        "a snoozed ticket comes back on time",
        "jobs/timers.py",
        "            if row.key == clocks.SNOOZE_KEY:\n",
        "            if False:\n",
        SNOOZE + "test_a_snoozed_ticket_comes_back_on_time_with_the_status_it_had",
    ),
    Mutation(
        "holidays are not worked",
        "tickets/calendar.py",
        "        if self.holiday(day):\n            return\n",
        "",
        CALENDAR + "test_public_holidays_and_days_off_are_not_worked_and_have_a_name",
    ),
    Mutation(
        "an hour that clocks skip",
        "tickets/calendar.py",
        "    if at.astimezone(zone).replace(tzinfo=None) != wall:\n",
        "    if False:\n",
        CALENDAR + "test_an_hour_that_clocks_skip_is_not_worked",
    ),
    Mutation(
        "a snooze that fails holds up no other",
        "jobs/timers.py",
        "                _wake_or_later(connection, row.item_id, now)\n",
        "                _wake(connection, row.item_id, now)\n",
        SNOOZE + "test_one_that_cannot_come_back_holds_up_no_other_and_comes_when_it_can",
    ),
    Mutation(
        "a schedule that fails holds up no other",
        "jobs/timers.py",
        "one.values(next_at=now + timedelta(seconds=BROKEN_S))",
        "one.values(next_at=row.next_at)",
        TIMERS + "test_a_schedule_that_cannot_tick_holds_up_no_other_and_ticks_when_it_can_again",
    ),
)
