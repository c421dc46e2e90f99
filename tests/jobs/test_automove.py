"""A job moves on by itself when its stage says so and everything linked to it is done."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from jobs.automove import pending
from jobs.services import Services
from jobs.tables import OutboxRow
from rules import store as rule_list
from tests.builders import ANA
from tests.jobs.desk import item, save, table, work
from tests.jobs.kinds import a_pipeline, a_rule, make
from tickets import linking, people, requests, store
from tickets.item import ItemKind
from tickets.kinds import PAYMENT
from tickets.questions import questions_from
from tickets.tables import EventRow, PipelineRow, QuestionList, RequestRow, StageRow
from web import items_store


def a_list(services: Services, key: str = "papers") -> None:
    with services.db.write() as connection:
        connection.execute(
            insert(QuestionList).values(
                key=key,
                label="Your papers",
                purpose="request",
                kind="ticket",
                questions=[{"key": "year", "label": "Which year?", "type": "text"}],
                active=True,
            )
        )
        rule_list.bump(connection)


def automove(services: Services, *stages: str) -> None:
    with services.db.write() as connection:
        connection.execute(update(StageRow).where(StageRow.key.in_(stages)).values(automove=True))


def a_job(services: Services, stage: str = "collect") -> int:
    with services.db.write() as connection:
        person = people.person_for(
            connection, email="camille@example.com", name="Camille", language="fr", now=services.clock.now()
        )
    return make(services, ItemKind.JOB, customer=person, **{"fields.stage": stage})


def ask(services: Services, job: int, title: str = "Papers") -> int:
    with services.db.write() as connection:
        questions = questions_from([{"key": "year", "label": "Which year?"}])
        made = requests.send(
            connection,
            requests.QuestionsToAsk(title, questions),
            person=int(str(item(services, job).state["customer"])),
            item=job,
            key=title,
            cause=requests.ANSWERED,
            now=services.clock.now(),
        )
    assert made is not None
    return made


def complete(services: Services, request: int) -> None:
    with services.db.write() as connection:
        requests.complete(connection, request, actor=ANA, now=services.clock.now())


def stage_of(services: Services, job: int) -> object:
    work(services)
    return item(services, job).state["fields.stage"]


def test_a_job_moves_once_all_of_its_requests_and_parts_are_done(desk: Services) -> None:
    a_pipeline(desk)
    automove(desk, "collect", "prepare", "review")
    table(desk, a_rule("add_tags", "{tags: [prepared]}", kind="job", on="{on: stage_entered, stage: prepare}"))
    job = a_job(desk)
    first, second = ask(desk, job, "Papers"), ask(desk, job, "Receipts")
    task = make(desk, ItemKind.TASK)
    with desk.db.write() as connection:
        linking.join(connection, job, task, "contains")
    complete(desk, first)
    assert stage_of(desk, job) == "collect"
    complete(desk, second)
    assert stage_of(desk, job) == "collect"
    save(desk, task, status="closed")
    assert stage_of(desk, job) == "prepare"
    assert item(desk, job).state["tags"] == ["prepared"]  # entering the stage ran its rules
    with desk.db.read() as connection:
        kinds = connection.execute(
            select(EventRow.kind).where(EventRow.item_id == job).order_by(EventRow.seq)
        ).scalars()
        assert list(kinds) == ["created", "request_completed", "request_completed", "linked_done", "changed", "changed"]


@pytest.mark.parametrize("case", ["the toggle is off", "the last stage", "nothing was linked", "already finished"])
def test_a_job_stays_where_it_is(case: str, desk: Services) -> None:
    a_pipeline(desk)
    if case != "the toggle is off":
        automove(desk, "collect", "prepare", "review")
    start = "review" if case == "the last stage" else "collect"
    job = a_job(desk, start)
    if case == "already finished":
        save(desk, job, status="closed")
    if case != "nothing was linked":
        complete(desk, ask(desk, job))
    assert stage_of(desk, job) == start


def test_a_rule_that_moves_the_job_itself_is_not_moved_past(desk: Services) -> None:
    a_pipeline(desk)
    automove(desk, "collect", "prepare")
    table(desk, a_rule("move_stage", "{stage: prepare}", kind="job", on="{on: request_completed}"))
    job = a_job(desk)
    complete(desk, ask(desk, job))
    assert stage_of(desk, job) == "prepare"


def test_a_rule_sends_a_request_once_with_its_reminders(desk: Services) -> None:
    a_pipeline(desk)
    a_list(desk)
    table(desk, a_rule("send_request", "{questions: papers, remind: daily}", kind="job", on="{on: stage_entered}"))
    job = a_job(desk)
    work(desk)
    with desk.db.read() as connection:
        [row] = connection.execute(select(RequestRow.title, RequestRow.item_id, RequestRow.status)).all()
        mails = connection.execute(select(OutboxRow.due_at, OutboxRow.payload).order_by(OutboxRow.due_at)).all()
    assert tuple(row) == ("Your papers", job, "open")
    assert [(mail.due_at - mails[0].due_at).days for mail in mails] == [0, 1, 2, 3, 4, 5]
    # No link stands in the database, so nothing in it opens anything.
    assert all(set(mail.payload) == {"message_id", "portal", "to", "name", "number"} for mail in mails)


@pytest.mark.parametrize("at_once", [False, True])
def test_the_board_and_the_job_count_what_is_not_done_alike(desk: Services, at_once: bool) -> None:
    a_pipeline(desk)
    job = a_job(desk)
    ask(desk, job)
    parts = [make(desk, ItemKind.TASK, **{PAYMENT: one}) for one in ("due", "debit", "paid", "failed")]
    parts += [make(desk, ItemKind.TASK), make(desk, ItemKind.TASK, status="closed")]
    with desk.db.write() as connection:
        connection.execute(update(PipelineRow).values(debit_at_once=at_once))
        for part in parts:
            linking.join(connection, job, part, "contains")
    with desk.db.read() as connection:
        counted = pending(connection, store.read_item(connection, job))
        assert items_store.progress(connection, [job])[job] == counted == (7, 4 if at_once else 5)
