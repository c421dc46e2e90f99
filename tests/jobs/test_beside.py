"""What reaches beside an item: turns in a team, followers, items that a rule makes, links, stages."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from jobs.services import Services
from tests.builders import a_ticket, a_user
from tests.jobs.desk import clock_of, decisions, item, save, table, work
from tests.jobs.kinds import a_pipeline, a_rule, make
from tickets import store
from tickets.errors import BadValue, UnknownField
from tickets.item import ItemKind
from tickets.tables import Follower, History, Link, User, WorkItem


def test_the_next_one_goes_round_and_skips_who_is_away(desk: Services) -> None:
    with desk.db.write() as connection:
        for key in ("bea", "carl"):
            a_user(connection, key, teams=("billing",))  # ana is in it, too
    table(desk, a_rule("assign_next", "{team: billing, turns: round_robin}"))
    got = []
    for number in range(5):
        if number == 3:
            with desk.db.write() as connection:
                connection.execute(
                    update(User).where(User.key == "ana").values(absent_until=clock_of(desk).forward(minutes=1))
                )
            clock_of(desk).forward(minutes=-1)
        ticket = a_ticket(desk.db)
        work(desk)
        got.append(item(desk, ticket.item_id).state["assignees"])
    assert got == [["ana"], ["bea"], ["carl"], ["bea"], ["carl"]]
    clock_of(desk).forward(minutes=2)  # and ana is back
    back = a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    assert item(desk, back.item_id).state["assignees"] == ["ana"]


def test_the_next_one_can_be_who_has_the_fewest_open(desk: Services) -> None:
    with desk.db.write() as connection:
        a_user(connection, "bea", teams=("billing",))
    a_ticket(desk.db, assignees=["ana"])
    a_ticket(desk.db, assignees=["bea"], status="solved")  # what is finished does not count
    work(desk)
    table(desk, a_rule("assign_next", "{team: billing, turns: fewest_open}"))
    ticket = a_ticket(desk.db)
    work(desk)
    assert item(desk, ticket.item_id).state["assignees"] == ["bea"]


def test_where_nobody_is_there_the_step_says_so_and_assigns_nobody(desk: Services) -> None:
    table(desk, a_rule("assign_next", "{team: hr, turns: round_robin}"))
    with desk.db.write() as connection:
        connection.execute(update(User).where(User.key == "hania").values(active=False))
    ticket = a_ticket(desk.db)
    work(desk)
    assert "assignees" not in item(desk, ticket.item_id).state
    [decision] = decisions(desk, ticket.item_id)
    [step] = decision.done
    assert (step["result"], step["reason"]) == ("skipped", "nobody of the team hr is there; it was given to nobody")


def test_a_rule_makes_a_linked_item_whose_own_rules_run_in_the_same_chain(desk: Services) -> None:
    table(desk, a_rule("create_item", "{kind: project, subject: 'About {{ticket.subject}}', way: contains}"))
    table(desk, a_rule("add_tags", "{tags: [grouped]}", code="A02", kind="project"))
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        link = connection.execute(select(Link.from_item, Link.to_item, Link.kind)).one()
        history = connection.execute(
            select(History.item_id, History.change, History.cause).where(History.field == "links")
        ).all()
        root = store.event(connection, 2).root_id
    assert (link.to_item, link.kind) == (ticket.item_id, "contains")
    project = item(desk, link.from_item)
    assert (project.kind, project.state["subject"], project.state["tags"]) == (
        "project",
        "About Charged twice",
        ["grouped"],
    )
    assert project.state["customer"] == item(desk, ticket.item_id).state["customer"]
    assert {row.item_id: row.change["after"] for row in history} == {
        project.id: {"way": "contains", "item": ticket.item_id},
        ticket.item_id: {"way": "part_of", "item": project.id},
    }
    assert {row.cause["code"] for row in history} == {"A01"}
    assert root == 1


def test_items_that_make_items_stop_at_the_chains_depth(desk: Services) -> None:
    table(desk, a_rule("create_item", "{kind: task, subject: again}", kind="any"))
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        made = connection.execute(select(WorkItem.id).where(WorkItem.kind == "task")).all()
    # A row fires once per chain, so a rule that makes what it runs on makes one.
    assert len(made) == 1


def test_a_rule_links_an_item_that_exists_and_says_so_in_its_lane(desk: Services) -> None:
    project = make(desk, ItemKind.PROJECT)
    work(desk)
    table(desk, a_rule("link", f"{{number: '{project}', way: contains}}"))
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        link = connection.execute(select(Link.from_item, Link.to_item)).one()
    assert tuple(link) == (project, ticket.item_id)
    assert item(desk, project).last_seq == 2


def test_a_link_to_nothing_is_skipped_with_its_reason(desk: Services) -> None:
    table(desk, a_rule("link", "{number: '4711', way: contains}"))
    ticket = a_ticket(desk.db)
    work(desk)
    [step] = decisions(desk, ticket.item_id)[0].done
    assert (step["result"], step["reason"]) == ("skipped", "there is no item 4711 to link to")
    with desk.db.read() as connection:
        assert connection.execute(select(Link.id)).all() == []


def test_a_rule_makes_people_follow(desk: Services) -> None:
    table(desk, a_rule("follow", "{users: [ana, ion]}"))
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        found = connection.execute(select(Follower.user).where(Follower.item_id == ticket.item_id)).scalars().all()
    assert sorted(found) == ["ana", "ion"]


def test_a_job_begins_in_a_stage_and_entering_the_next_one_runs_its_rules(desk: Services) -> None:
    a_pipeline(desk)
    table(desk, a_rule("add_tags", "{tags: [prepared]}", kind="job", on="{on: stage_entered, stage: prepare}"))
    job = make(desk, ItemKind.JOB, fields__pipeline="tax")
    work(desk)
    assert item(desk, job).state["fields.stage"] == "collect"
    assert "tags" not in item(desk, job).state
    save(desk, job, fields__stage="prepare")
    work(desk)
    assert item(desk, job).state["tags"] == ["prepared"]


def test_each_kind_is_held_to_its_own_fields_and_statuses(desk: Services) -> None:
    a_pipeline(desk)
    sheet = make(desk, ItemKind.TIMESHEET, fields__hours=2.5, fields__billing="billable")
    job = make(desk, ItemKind.JOB, fields__stage="review")
    assert item(desk, sheet).state["fields.approval"] == "draft"
    assert item(desk, job).state["fields.pipeline"] == "tax"
    for item_id, values, error in (
        (sheet, {"status": "solved"}, BadValue),
        (sheet, {"fields__stage": "review"}, UnknownField),
        (job, {"fields__approval": "approved"}, UnknownField),
        (job, {"fields__stage": "nowhere"}, BadValue),
    ):
        before = item(desk, item_id)
        with pytest.raises(error):
            save(desk, item_id, **values)
        assert item(desk, item_id) == before
