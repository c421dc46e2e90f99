"""Lanes and their events: leases, order, what is decided as of when, and what is committed together."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

AUTOMATION = "tests/jobs/test_automation.py::"
TOGETHER = "tests/jobs/test_together.py::"
FOLLOWING = "tests/jobs/test_following.py::"
LOOKUPS = "tests/jobs/test_enrichment.py::"
FAULTS = "tests/jobs/test_fault_points.py::"
TWINS = "tests/jobs/test_twins.py::"
CARDS = "tests/jobs/test_context_updated.py::"

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
        "a lane's turn ends",
        "jobs/automation.py",
        "        if handled >= TURN:\n",
        "        if False:\n",
        "tests/jobs/test_lanes.py::test_lanes_with_many_events_let_the_others_have_their_turn[sqlite-one by one]",
    ),
    Mutation(
        "the turn of lanes that are committed together ends",
        "jobs/automation.py",
        "        if handled >= TURN * len(claim.items):\n",
        "        if False:\n",
        "tests/jobs/test_lanes.py::test_lanes_with_many_events_let_the_others_have_their_turn[sqlite-together]",
    ),
    Mutation(
        "an answer is known by its chain",
        "jobs/facts.py",
        "(row.root_id == event.root_id or row.answered_at >= event.at)",
        "row.answered_at >= event.at",
        FAULTS + "test_an_answer_counts_although_the_clock_of_its_question_was_ahead",
    ),
    Mutation(
        "a lane ends with its last event",
        "jobs/lanes.py",
        '_MINE.where(_LANES.c.last_seq == bindparam("seq"))',
        '_MINE.where(_LANES.c.last_seq >= bindparam("seq"))',
        AUTOMATION + "test_a_message_that_comes_while_nothing_is_decided_about_an_event_is_handled_by_itself[sqlite]",
    ),
    Mutation(
        "the revision of an event that changes nothing",
        "jobs/automation.py",
        "    if read.desk.revision != lane.revision:\n        raise RevisionChanged\n",
        "",
        AUTOMATION + "test_a_version_that_comes_while_nothing_is_decided_about_an_event_decides_it[sqlite]",
    ),
    Mutation(
        "what follows goes alone where a worker was cut off",
        "jobs/automation.py",
        "        if not alone:\n            made += ",
        "        if True:\n            made += ",
        FOLLOWING + "test_where_a_worker_was_cut_off_no_event_shares_a_commit",
    ),
    Mutation(
        "what follows and acts is decided by itself",
        "jobs/automation.py",
        "            if not _changes_nothing(made):\n",
        "            if False:\n",
        FOLLOWING + "test_an_event_on_which_a_rule_acts_has_a_commit_of_its_own",
    ),
    Mutation(
        "an answer between reading and committing",
        "jobs/automation.py",
        "if (decision.skipped or decision.wait is not None) and item.last_seq != read.item.last_seq:",
        "if False:",
        FAULTS + "test_an_answer_that_comes_between_reading_and_committing_is_not_missed",
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
        '        held = frozenset(one.row_key for one in _HELD.all(connection, {"root": event.root_id}))',
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
        "an event that cannot be written takes none of those with it that are committed together",
        "jobs/automation.py",
        "                    with connection.begin_nested():",
        "                    with suppress():",
        TOGETHER + "test_an_event_that_cannot_be_written_takes_nothing_with_it",
    ),
    Mutation(
        "a lane of which a worker was cut off is not committed with others",
        "jobs/automation.py",
        "[one for one in claim.items if one not in claim.cut_off], [*claim.cut_off]",
        "[*claim.items], []",
        TOGETHER + "test_a_lane_of_which_a_worker_was_cut_off_goes_alone",
    ),
    Mutation(
        "a poison event is parked",
        "jobs/automation.py",
        "park = tries >= services.settings.event_tries or",
        "park = False and",
        AUTOMATION + "test_a_poison_event_is_parked_with_its_reason_and_the_lane_goes_on",
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
        "who sees a message by the same event has the minute",
        "jobs/applying.py",
        "told_of = replace(item, state=state) if messages else item",
        "told_of = item",
        "tests/rows/test_o7_unseen_fallback.py::test_a_message_of_a_rule_that_publishes_the_ticket_leaves_its_customer_the_minute_too",
    ),
    Mutation(
        "a late answer sends nothing twice",
        "jobs/applying.py",
        "if read.event.kind in SECOND_LOOKS and _sent_already(connection, read, effect):",
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
        "a table is told of the card it waits for",
        "rules/triggers.py",
        "return wanted in cards if wanted is not None else",
        "return wanted is not None or",
        CARDS + "test_a_table_that_waits_for_another_card_does_nothing",
    ),
    Mutation(
        "what somebody else wrote since an event was read is read before what it became is decided",
        "jobs/automation.py",
        "        as_read = seen is not None and db.version(connection) == seen",
        "        as_read = seen is not None",
        "tests/jobs/test_read_on.py::test_what_somebody_else_wrote_meanwhile_is_seen",
    ),
    Mutation(
        "the customer's newest message is read where an event came with another one",
        "jobs/facts.py",
        '    if before.event["kind"] != EventKind.CREATED:',
        '    if before.event["kind"] is None:',
        "tests/jobs/test_read_on.py::test_without_being_read_back_it_comes_to_the_same_to_the_letter",
    ),
    Mutation(
        "what did more than change fields is read back",
        "jobs/deciding.py",
        "    if not all(isinstance(effect, (SetField, AddTo, RemoveFrom)) for effect in effects):",
        "    if not effects:",
        "tests/jobs/test_read_on.py::test_without_being_read_back_it_comes_to_the_same_to_the_letter",
    ),
    Mutation(
        "what an event that shares its commit fired counts for what it became, too",
        "jobs/deciding.py",
        "    held, left = read.held | frozenset(fired), read.effects_left - len(effects)",
        "    held, left = read.held, read.effects_left - len(effects)",
        "tests/jobs/test_read_on.py::test_a_row_that_fired_does_not_fire_on_what_it_changed",
    ),
    # What a rule list promises, and its negative twins
    Mutation(
        "a field a person changed in between",
        "jobs/applying.py",
        '                    if who is not None:\n                        outcome.result, outcome.reason = "overtaken"',
        '                    if False:\n                        outcome.result, outcome.reason = "overtaken"',
        TWINS + "test_only_the_field_that_a_person_changed_in_between_is_left_alone[sqlite-priority-low-low-overtaken]",
    ),
    Mutation(
        "only people overtake",
        "jobs/applying.py",
        "        if event.actor.kind.is_person\n        for change in event.changes\n    }",
        "        for change in event.changes\n    }",
        TWINS + "test_what_a_rule_changed_in_between_does_not_stop_the_next_one",
    ),
    Mutation(
        "what is published while an event is decided decides it",
        "jobs/automation.py",
        "    if lane.revision != read.desk.revision:",
        "    if False:",
        TWINS + "test_a_version_published_while_an_event_is_decided_decides_it_and_one_published_after_does_not",
    ),
)
