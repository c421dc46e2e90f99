"""Lanes, automation, lookups, runs, hints, the store and who sees what."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

AUTOMATION = "tests/jobs/test_automation.py::"
LOOKUPS = "tests/jobs/test_enrichment.py::"
RUNS = "tests/jobs/test_runs.py::"
FAULTS = "tests/jobs/test_fault_points.py::"
QUEUES = "tests/jobs/test_queues.py::"
STORE = "tests/tickets/test_store.py::"

MUTATIONS = (
    Mutation(
        "a worker's fence",
        "jobs/lanes.py",
        '_MINE = update(_LANES).where(_LANES.c.item_id == bindparam("item"), _LANES.c.token == bindparam("mine"))',
        '_MINE = update(_LANES).where(_LANES.c.item_id == bindparam("item"), bindparam("mine") != "")',
        AUTOMATION + "test_a_worker_whose_lease_passed_on_writes_nothing",
    ),
    Mutation(
        "the lease of a claimed lane",
        "jobs/lanes.py",
        '            _LANES.c.lease_until < bindparam("now"),\n',
        "            _LANES.c.lease_until.is_not(None),\n",
        AUTOMATION + "test_deciding_an_event_again_after_a_crash_before_the_commit_changes_nothing_twice",
    ),
    Mutation(
        "a lease of a clock that was ahead",
        "jobs/lanes.py",
        '            _LANES.c.lease_until > bindparam("ahead"),\n',
        "            bindparam('ahead') < bindparam('now'),\n",
        FAULTS + "test_a_lease_of_a_clock_that_was_ahead_does_not_hold_the_lane",
    ),
    Mutation(
        "an event that ends its workers is suspected",
        "jobs/lanes.py",
        "if row.cut_off >= SUSPECT",
        "if row.cut_off < 0",
        FAULTS + "test_an_event_that_ends_every_worker_is_set_aside_and_the_lane_goes_on",
    ),
    Mutation(
        "events in their order",
        "jobs/lanes.py",
        "    .order_by(_EVENTS.c.seq)\n",
        "    .order_by(_EVENTS.c.seq.desc())\n",
        AUTOMATION + "test_events_of_one_ticket_are_decided_in_their_order",
    ),
    Mutation(
        "the ticket as of its event",
        "jobs/facts.py",
        "state = undo(item.state, undone)",
        "state = dict(item.state)",
        AUTOMATION + "test_conditions_read_the_ticket_as_of_their_event",
    ),
    Mutation(
        "a person's change is not overwritten",
        "jobs/applying.py",
        "        if event.actor.kind.is_person\n",
        "        if False\n",
        AUTOMATION + "test_a_field_a_person_changed_meanwhile_is_not_overwritten",
    ),
    Mutation(
        "a row fires once per root",
        "jobs/deciding.py",
        '        held = frozenset(connection.execute(_HELD, {"root": event.root_id}).scalars().all())',
        "        held = frozenset()",
        AUTOMATION + "test_a_row_that_has_fired_stays_quiet_for_the_rest_of_its_chain",
    ),
    Mutation(
        "the chain's budget",
        "jobs/deciding.py",
        "effects_left=read.effects_left if effects_left is None else effects_left,",
        "effects_left=10_000,",
        AUTOMATION + "test_the_budget_of_a_chain_stops_it_visibly",
    ),
    Mutation(
        "a new revision is live at once",
        "jobs/live.py",
        "if desk is None or desk.revision != revision:",
        "if desk is None:",
        AUTOMATION + "test_a_new_version_is_live_with_the_next_event",
    ),
    Mutation(
        "a switched-off table",
        "jobs/live.py",
        "                enabled=one.enabled,\n                table=table,",
        "                enabled=True,\n                table=table,",
        AUTOMATION + "test_a_switched_off_table_does_nothing",
    ),
    Mutation(
        "a poison event is parked",
        "jobs/automation.py",
        "park = tries >= services.settings.event_tries or",
        "park = False and",
        AUTOMATION + "test_a_poison_event_is_parked_with_its_reason_and_the_lane_goes_on",
    ),
    Mutation(
        "an answer wakes its lane",
        "jobs/enrichment.py",
        '        if answer.state in ("known", "missing"):\n            _late(',
        "        if answer.state in ():\n            _late(",
        LOOKUPS + "test_a_slow_answer_ends_the_wait_and_comes_late",
    ),
    Mutation(
        "a late answer respects people",
        "jobs/deciding.py",
        "        since=original.seq,\n",
        "        since=read.event.seq,\n",
        LOOKUPS + "test_a_late_answer_does_not_touch_what_a_person_decided_meanwhile",
    ),
    Mutation(
        "internal notes stay inside",
        "jobs/applying.py",
        "        if message.public:\n            queue_message(",
        "        if True:\n            queue_message(",
        AUTOMATION + "test_only_public_messages_leave_the_house_and_all_of_them_do",
    ),
    Mutation(
        "a late answer sends nothing twice",
        "jobs/applying.py",
        "if read.event.kind is EventKind.LATE_ANSWER and _sent_already(connection, read, effect):",
        "if False:",
        LOOKUPS + "test_a_late_answer_sends_nothing_twice",
    ),
    Mutation(
        "a wait ends where it began",
        "jobs/recording.py",
        "            over.append(wait.entry)\n",
        "            pass\n",
        LOOKUPS + "test_a_slow_answer_ends_the_wait_and_comes_late",
    ),
    Mutation(
        "earlier entries are not decided again after a wait",
        "jobs/deciding.py",
        "        return at, read.only_rows\n    return (rest",
        "        return None, read.only_rows\n    return (rest",
        LOOKUPS + "test_earlier_tables_are_not_decided_again_after_a_wait",
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
        '        if last == "unavailable":',
        '        if last == "never":',
        RUNS + "test_an_answer_that_cannot_be_had_discards_the_run_and_it_is_tried_again",
    ),
    Mutation(
        "a switched-off script is not run",
        "jobs/applying.py",
        "if script is None or not script.enabled:",
        "if script is None:",
        RUNS + "test_a_script_that_is_switched_off_is_not_run_and_the_step_says_so",
    ),
    Mutation(
        "only our functions are jobs",
        "jobs/queues.py",
        "if self.func_name not in FUNCTIONS.values() or self._instance is not None or self.args or self.kwargs:",
        "if self._instance is not None or self.kwargs:",
        QUEUES + "test_a_job_that_names_another_function_is_refused_and_nothing_runs",
    ),
    Mutation(
        "our functions take no arguments",
        "jobs/queues.py",
        "or self._instance is not None or self.args or self.kwargs:",
        "or self._instance is not None:",
        QUEUES + "test_our_own_function_with_arguments_is_refused_before_it_is_called",
    ),
    Mutation(
        "work goes on without Redis",
        "jobs/worker.py",
        "        except (RedisError, OSError) as error:\n",
        "        except (RedisError, OSError) as error:\n            if error:\n"
        "                time.sleep(services.settings.sweep_s)\n                continue\n",
        QUEUES + "test_a_worker_works_without_redis_and_goes_back_to_it",
    ),
    Mutation(
        "the clock finds due lanes",
        "jobs/clock.py",
        "        services.queues.hint(work)\n",
        "        pass\n",
        QUEUES + "test_the_clock_finds_what_nobody_was_told_about",
    ),
    Mutation(
        "restricted teams",
        "tickets/visibility.py",
        "WorkItem.team.not_in(select(Team.key).where(Team.restricted))",
        "WorkItem.team.is_not(None)",
        STORE + "test_a_restricted_teams_ticket_is_seen_by_its_members_alone",
    ),
    Mutation(
        "a save over a newer version",
        "tickets/store.py",
        "if seen_version is not None and seen_version != item.version:",
        "if False:",
        STORE + "test_a_save_over_a_newer_version_is_refused",
    ),
    Mutation(
        "no event for no change",
        "tickets/store.py",
        "    if not total and not messages and not context and kind is None:",
        "    if False:",
        STORE + "test_a_write_that_ends_where_it_began_stores_nothing",
    ),
    Mutation(
        "the cap on attachments",
        "tickets/store.py",
        "        if len(one.data) > ATTACHMENT_BYTES:",
        "        if False:",
        STORE + "test_an_attachment_over_the_cap_is_refused_and_the_message_with_it",
    ),
    Mutation(
        "values fit their field",
        "tickets/store.py",
        "        return SetField(effect.field, clean_value(target, effect.value))",
        "        return effect",
        STORE + "test_a_value_the_field_does_not_take_is_refused_and_nothing_changes",
    ),
    Mutation(
        "a worker asked to end while it starts",
        "jobs/worker.py",
        "        self._stop_requested = self.stop()",
        "        self._stop_requested = False",
        QUEUES + "test_a_worker_asked_to_end_while_rq_starts_waits_for_no_hint",
    ),
)
