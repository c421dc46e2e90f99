"""Links and requests through the API: what pages can do, a program can, and it sees as little."""

from __future__ import annotations

from sqlalchemy import select, update

from jobs.tables import OutboxRow
from tests.intake.api import Api, problem
from tests.web.desk import Desk
from tickets.tables import Link, RequestRow

QUESTIONS = [{"label": "Which year?", "key": "year"}, {"label": "Married?", "type": "yes_no", "required": False}]


def test_a_request_is_sent_linked_and_completed(desk: Desk, api: Api) -> None:
    ticket = desk.ticket("Taxes")
    asked = api.post("requests", {"email": "camille@customer.test", "title": "Papers", "questions": QUESTIONS}, key="k")
    assert asked.status_code == 201
    assert api.post(
        "requests", {"email": "camille@customer.test", "title": "Papers", "questions": QUESTIONS}, key="k"
    ).headers["Idempotency-Replayed"]
    number = asked.json["id"]  # type: ignore[index]
    assert asked.headers["Location"].endswith(f"/requests/{number}")
    linked = api.patch(f"requests/{number}", {"ticket": ticket})
    assert (linked.json["ticket"], linked.json["status"]) == (ticket, "open")  # type: ignore[index]
    done = api.patch(f"requests/{number}", {"status": "completed"})
    assert (done.json["status"], done.json["completed_by"]) == ("completed", "Ana Nowak")  # type: ignore[index]
    assert problem(api.patch(f"requests/{number}", {"status": "completed"}))[0] == 422
    with desk.services.db.read() as connection:
        assert len(connection.execute(select(RequestRow.id)).all()) == 1
        assert connection.execute(select(OutboxRow.kind)).scalars().all() == ["portal"]


def test_a_request_that_makes_no_sense_is_refused_and_nobody_is_asked(desk: Desk, api: Api) -> None:
    nobodys = api.post("tickets", {"subject": "A note", "text": "x"}).json["id"]  # type: ignore[index]
    for body in (
        {"email": "camille@customer.test", "title": "x"},
        {"email": "camille@customer.test", "title": "x", "questions": QUESTIONS, "list_key": "papers"},
        {"email": "camille@customer.test", "list_key": "nowhere"},
        {"email": "camille@customer.test", "title": "x", "questions": []},
        {"email": "camille@customer.test", "title": "x", "questions": [{"label": "a", "type": "spell"}]},
        {"email": "no address", "title": "x", "questions": QUESTIONS},
        {"ticket": nobodys, "title": "x", "questions": QUESTIONS},
    ):
        assert problem(api.post("requests", body))[0] == 422
    with desk.services.db.read() as connection:
        assert connection.execute(select(RequestRow.id)).all() == []
        assert connection.execute(select(OutboxRow.id)).all() == []


def test_what_is_not_visible_is_not_linked_asked_about_or_read(desk: Desk, api: Api) -> None:
    report, mine = desk.ticket("Harassment", team="ethics"), desk.ticket("Mine")
    asked = api.post("requests", {"email": "camille@customer.test", "title": "x", "questions": QUESTIONS}).json
    assert asked is not None
    for answer in (
        api.post(f"tickets/{mine}/links", {"other": report}),
        api.post(f"tickets/{report}/links", {"other": mine}),
        api.post("requests", {"ticket": report, "title": "x", "questions": QUESTIONS}),
        api.patch(f"requests/{asked['id']}", {"ticket": report}),
    ):
        assert problem(answer)[0] == 404
    with desk.services.db.write() as connection:
        assert connection.execute(select(Link.id)).all() == []
        connection.execute(update(RequestRow).values(item_id=report))
    assert problem(api.get(f"requests/{asked['id']}"))[0] == 404
    assert problem(api.patch(f"requests/{asked['id']}", {"status": "completed"}))[0] == 404
    with desk.services.db.read() as connection:
        assert connection.execute(select(RequestRow.status)).scalar_one() == "open"


def test_items_are_linked_once_and_both_say_so(desk: Desk, api: Api) -> None:
    ticket = desk.ticket("Mine")
    project = api.post("tickets", {"subject": "All of them", "kind": "project"}).json["id"]  # type: ignore[index]
    assert api.post(f"tickets/{ticket}/links", {"other": project, "way": "part_of"}).status_code == 201
    assert problem(api.post(f"tickets/{ticket}/links", {"other": project}))[0] == 422
    assert problem(api.post(f"tickets/{ticket}/links", {"other": ticket}))[0] == 422
    with desk.services.db.read() as connection:
        assert tuple(connection.execute(select(Link.from_item, Link.to_item, Link.kind)).one()) == (
            project,
            ticket,
            "contains",
        )
    for number in (ticket, project):
        events = api.get(f"tickets/{number}/timeline").json["events"]  # type: ignore[index]
        assert events[-1]["kind"] == "changed"
