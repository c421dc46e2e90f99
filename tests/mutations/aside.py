"""What was set aside or is still to come: looked at first, given back, called off."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a rehearsal is taken back",
        "jobs/parked.py",
        "            apply_outcomes(services, connection, read, item, outcomes, services.clock.now(), set())\n"
        "            raise _TakenBack\n",
        "            apply_outcomes(services, connection, read, item, outcomes, services.clock.now(), set())\n"
        "            found.outcomes = outcomes\n",
        "tests/web/test_set_aside.py::test_the_page_shows_what_would_still_apply_and_changes_nothing",
    ),
    Mutation(
        "a rehearsal of rows is taken back",
        "jobs/parked.py",
        "            raise _TakenBack\n    except _TakenBack:\n        return found\n",
        "            return found\n    except _TakenBack:\n        return found\n",
        "tests/jobs/test_rows_set_aside.py::test_what_would_still_apply_is_shown_and_nothing_is_changed",
    ),
    Mutation(
        "rows for hidden tickets are not decided again",
        "jobs/rows_set_aside.py",
        "        .where(visible(viewer))\n",
        "",
        "tests/web/test_set_aside.py::test_rows_for_hidden_tickets_are_counted_and_cannot_be_decided",
    ),
    Mutation(
        "rows are decided again once",
        "jobs/rows_set_aside.py",
        "rows_to_decide(desk.ruleset, list(connection.execute(taken.returning(RowSetAside.row_key)).scalars()))",
        "rows_to_decide(desk.ruleset, readable)",
        "tests/jobs/test_rows_set_aside.py::test_after_a_repair_it_is_decided_again_once_and_people_are_not_overwritten",
    ),
    Mutation(
        "rows that wait for an event that was set aside are named",
        "jobs/parked.py",
        "replace(Parked(*row[:-1]), waits=_waiting(connection, row))",
        "Parked(*row[:-1])",
        "tests/jobs/test_scripts_at_work.py::"
        "test_rows_wait_for_a_script_whose_own_event_is_set_aside_and_are_decided_once_when_it_is_given_back[sqlite]",
    ),
    Mutation(
        "an event that rows wait for is worth handling again",
        "jobs/parked.py",
        "self.asks or self.waits or done)",
        "self.asks or done)",
        "tests/jobs/test_parked.py::test_an_event_that_rows_wait_for_is_not_said_to_have_nothing_left_to_do",
    ),
    Mutation(
        "events of hidden tickets are not handled again",
        "jobs/parked.py",
        "        query = query.where(visible(viewer))\n",
        "        pass\n",
        "tests/web/test_set_aside.py::test_events_of_hidden_tickets_are_counted_and_cannot_be_handled",
    ),
    Mutation(
        "what is on its way is not called back",
        "jobs/forecast.py",
        'OutboxRow.status == "due", free)',
        'OutboxRow.status == "due")',
        "tests/jobs/test_forecast.py::test_what_is_on_its_way_cannot_be_called_back",
    ),
    Mutation(
        "only who sees a ticket calls off what comes to it",
        "jobs/forecast.py",
        "item = store.read_item(connection, item_id, viewer=viewer, lock=True)",
        "item = store.read_item(connection, item_id, lock=True)",
        "tests/jobs/test_forecast.py::test_the_same_thing_is_called_off_once_and_only_by_who_sees_the_ticket",
    ),
    Mutation(
        "how far back a preview looks",
        "jobs/preview.py",
        "LAST_EVENTS = 200",
        "LAST_EVENTS = 1000",
        "tests/jobs/test_preview.py::test_a_preview_looks_at_the_last_200_events_unless_told_otherwise",
    ),
    Mutation(
        "what is given back takes the lane from who has read a later event",
        "jobs/lanes.py",
        ".where(Lane.item_id.in_(sorted(items))).values(due_at=now, lease_until=None, token=None)",
        ".where(Lane.item_id.in_(sorted(items))).values(due_at=now)",
        "tests/jobs/test_parked.py::test_given_back_while_a_later_event_is_decided_it_is_handled[sqlite]",
    ),
    Mutation(
        "rows that waited for a run are decided when it is called off",
        "jobs/automation.py",
        "        and CALLED_OFF not in made.read.event.payload\n",
        "",
        "tests/jobs/test_scripts_at_work.py::test_a_script_that_is_called_off_leaves_the_card_missing[sqlite]",
    ),
)
