"""Fields of a desk and those a kind has from the start: no new one takes a built-in one's key, old ones are told of."""

from __future__ import annotations

import html

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from jobs.doctor import State, examine
from tests.web.desk import NOW, Desk, let_in, send
from tickets import custom_fields, store
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause
from tickets.item import ItemKind
from tickets.tables import CustomField, WorkItem


@pytest.fixture
def admin(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("alex", "admin", name="Alex Morgan"))
    return browser


def made(desk: Desk) -> list[str]:
    with desk.services.db.read() as connection:
        return [f"{one.kind}.{one.key}" for one in custom_fields.fields(connection)]


@pytest.mark.parametrize(
    ("kind", "label", "sentence"),
    [
        ("task", "Payment status", "Tasks have a field with the key payment_status from the start: Payment."),
        # A job has it once its pipeline has statuses of its own.
        ("job", "Job status", "Jobs have a field with the key job_status from the start: Job status."),
    ],
)
def test_a_field_with_the_key_of_a_built_in_one_is_refused_and_of_another_kind_is_made(
    kind: str, label: str, sentence: str, desk: Desk, admin: FlaskClient
) -> None:
    answer = send(admin, "/settings/fields/new", {"kind": kind, "label": label, "type": "text"})
    said = html.unescape(answer.get_data(as_text=True))
    assert (answer.status_code, sentence in said) == (422, True)
    assert "Give yours another name. Nothing was saved." in said
    assert made(desk) == []
    assert send(admin, "/settings/fields/new", {"kind": "ticket", "label": label, "type": "text"}).status_code == 302
    assert made(desk) == [f"ticket.{label.lower().replace(' ', '_')}"]


def test_the_doctor_names_a_field_that_a_built_in_one_covers_and_its_values_stay(desk: Desk) -> None:
    def said() -> list[tuple[State, str]]:
        return [(one.state, one.detail) for one in examine(desk.services) if one.name == "fields"]

    assert said() == [(State.OK, "none has the key of a built-in one")]
    with desk.services.db.write() as connection:
        values = {"kind": "task", "key": "payment_status", "label": "Paid how", "type": "text", "options": {}}
        connection.execute(insert(CustomField).values(values))
        actor, cause = Actor(ActorKind.AGENT, "ana", "Ana"), Cause("person", label="Ana")
        task = store.create_item(connection, kind=ItemKind.TASK, state={"subject": "Cut"}, actor=actor, now=NOW)
        of_it = update(WorkItem).where(WorkItem.id == task.item_id)
        connection.execute(of_it.values(fields={"payment_status": "by cheque"}))
    detail = "a built-in field of the same key covers task.payment_status (Paid how)"
    assert said() == [(State.WARNING, detail)]
    with desk.services.db.write() as connection:
        item = store.read_item(connection, task.item_id, lock=True)
        lines = (store.Lines((SetField("subject", "Cut the hedge"),), cause),)
        store.change_item(connection, item, lines=lines, actor=actor, now=NOW)
    assert desk.state(task.item_id) == desk.state(task.item_id) | {
        "subject": "Cut the hedge",
        "fields.payment_status": "by cheque",
    }
