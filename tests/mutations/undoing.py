"""Before and after a version is live: drafts beside it, how rules do, and taking back what one did."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

PURE = "tests/tickets/test_undoing.py::"
WORK = "tests/jobs/test_undo.py::"
PAGES = "tests/web/test_undo.py::"
HEALTH = "tests/jobs/test_health.py::test_what_a_colleague_reverses_is_counted_and_nothing_else"

MUTATIONS = (
    Mutation(
        "undo: a card that was taken back does not come again",
        "tickets/cards.py",
        "            .where(ContextFact.body[TAKEN_BACK].as_boolean().is_not(True))\n",
        "",
        "tests/jobs/test_undo.py::test_a_card_that_was_taken_back_does_not_come_again_for_one_that_replaced_it[sqlite]",
    ),
    Mutation(
        "undo: what somebody changed since stays",
        "tickets/undoing.py",
        "            streak, since = None, line\n",
        "            since = line\n",
        PURE + "test_what_somebody_changed_since_stays_and_is_named",
    ),
    Mutation(
        "undo: a set goes back member by member",
        "tickets/undoing.py",
        "        if any(isinstance(value, list) for line in of_it for value in (line.before, line.after)):\n",
        "        if False:\n",
        PURE + "test_of_a_set_only_our_members_go_and_a_neighbour_stays",
    ),
    Mutation(
        "undo: taking back sets off no rule",
        "jobs/undo.py",
        "                kind=EventKind.UNDONE,\n",
        "",
        WORK + "test_taking_back_sets_off_nothing[sqlite]",
    ),
    Mutation(
        "undo: another version is left alone",
        "jobs/undo.py",
        'cause["version"].as_integer() == scope.version',
        'cause["version"].as_integer() >= 0',
        WORK + "test_a_second_time_finds_nothing_and_another_version_is_left_alone[sqlite]",
    ),
    Mutation(
        "undo: the card of a change stays",
        "jobs/undo.py",
        "        not_(tells_of_outside()),\n",
        "        not_(tells_of_outside()) | tells_of_outside(),\n",
        WORK + "test_the_card_of_a_change_stays_as_the_change_does_and_both_are_said[sqlite]",
    ),
    Mutation(
        "undo: what cannot be read holds up no other",
        "jobs/undo.py",
        "    except AWAY:\n        raise\n",
        "    except Exception:\n        raise\n",
        WORK + "test_an_item_whose_history_nobody_can_read_is_named_and_holds_up_no_other[sqlite]",
    ),
    Mutation(
        "undo: the cap",
        "jobs/undo.py",
        "    if len(wanted) > MOST_ITEMS:\n",
        "    if False:\n",
        WORK + "test_more_items_than_the_cap_are_refused_and_nothing_is_taken_back[sqlite]",
    ),
    Mutation(
        "undo: a refused value leaves its item whole",
        "jobs/undo.py",
        "    except TicketsError as error:\n",
        "    except ZeroDivisionError as error:\n",
        WORK + "test_a_value_that_is_refused_now_leaves_its_item_whole_and_the_rest_goes_on[sqlite]",
    ),
    Mutation(
        "undo: tickets hidden from the reader are not named",
        "web/undo_store.py",
        "            .where(WorkItem.id.in_(some), visible(viewer))\n",
        "            .where(WorkItem.id.in_(some))\n",
        PAGES + "test_a_ticket_of_a_restricted_team_is_taken_back_and_not_named",
    ),
    Mutation(
        "permission: undo",
        "web/undo_pages.py",
        '    @part.post(f"/{home}/<code>/undo")\n    @needs(permission)\n',
        '    @part.post(f"/{home}/<code>/undo")\n    @needs(Permission.WORK_TICKETS)\n',
        PAGES + "test_who_may_not_edit_rules_takes_nothing_back",
    ),
    Mutation(
        "health: too late is no reversal",
        "jobs/health.py",
        "    in_time = line.at - before.at <= REVERSED_WITHIN\n",
        "    in_time = True\n",
        HEALTH + "[a minute too late]",
    ),
    Mutation(
        "health: a status that goes on is no reversal",
        "jobs/health.py",
        '    return in_time and (line.field != "status" or line.after == before.before)\n',
        "    return in_time\n",
        HEALTH + "[a status that goes on]",
    ),
    Mutation(
        "health: only a colleague reverses",
        "jobs/health.py",
        "            if line.agent and before is not None",
        "            if before is not None",
        HEALTH + "[by a customer]",
    ),
    Mutation(
        "a draft beside the live version meets an event that waited once",
        "jobs/shadow.py",
        ', DecisionRow.outcome != "waiting")',
        ")",
        "tests/jobs/test_shadow.py::test_an_event_that_waited_is_compared_once",
    ),
    Mutation(
        "shadow: a draft that differs too much is not published",
        "jobs/shadow.py",
        "found.standing in (Standing.RUNNING, Standing.FAILED)",
        "found.standing is Standing.RUNNING",
        "tests/web/test_rules_shadow.py::test_it_holds_the_draft_back_until_it_is_over_or_stopped",
    ),
    Mutation(
        "shadow: a draft that still runs is not published",
        "jobs/shadow.py",
        "found.standing in (Standing.RUNNING, Standing.FAILED)",
        "found.standing is Standing.FAILED",
        "tests/web/test_rules_shadow.py::test_it_holds_the_draft_back_until_it_is_over_or_stopped",
    ),
    Mutation(
        "shadow: what was seen is not counted twice",
        "jobs/shadow.py",
        '            "seen_to": decisions[-1].id,\n',
        "",
        "tests/jobs/test_shadow.py::test_differences_are_counted_from_its_start_on_and_nothing_else_is_written[sqlite]",
    ),
)
