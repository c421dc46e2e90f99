"""Small words that pages once got wrong: a key instead of a label, one word for two things, a mark that is not true."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert

from tests.rules.desk import DESK
from tests.web.desk import Desk, let_in, send
from tickets.tables import CustomField
from web import catalogs
from web.rules_forms import step_form


@pytest.mark.parametrize("field", ["fields.topic", "ticket.fields.topic"])
def test_the_field_that_a_step_sets_stands_in_its_form_by_its_label_and_is_kept_as_it_is_written(
    app: APIFlask, field: str
) -> None:
    with app.test_request_context():
        form = step_form({"id": "s1", "do": "set_field"}, {"field": field, "value": "refund"}, DESK)
    choices = form.widgets[0].choices
    assert [(one.key, one.label) for one in choices if one.chosen] == [(field, "Topic")]
    assert [one.label for one in choices].count("Topic") == 1


def test_a_field_that_is_gone_stands_in_the_form_as_it_is_written(app: APIFlask) -> None:
    with app.test_request_context():
        form = step_form({"id": "s1", "do": "set_field"}, {"field": "fields.gone", "value": "x"}, DESK)
    assert [(one.key, one.label) for one in form.widgets[0].choices if one.chosen] == [("fields.gone", "fields.gone")]


@pytest.mark.parametrize("language", catalogs.OTHERS)
@pytest.mark.parametrize(("one", "other"), [("For", "Meant for"), ("Run", "Which run")])
def test_a_word_that_means_two_things_is_two_texts(language: str, one: str, other: str) -> None:
    catalog = catalogs.stored(language)
    words = [catalog[text].string for text in (one, other)]
    assert words[0] != words[1]


def test_the_title_of_a_request_is_not_called_optional_and_is_needed_without_a_list(agent: FlaskClient) -> None:
    def label(page: str, name: str) -> str:
        found = re.search(rf'<label for="f-{name}">(.*?)</label>', page)
        assert found is not None
        return found[1]

    page = agent.get("/requests/new").get_data(as_text=True)
    assert "optional" not in label(page, "title")
    assert "optional" in label(page, "email")
    answer = send(agent, "/requests/new", {"email": "camille@customer.test", "title": "", "label0": "Which lamp?"})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("part", "column"),
    [("people", "Address, roles and teams"), ("teams", "Members"), ("fields", "Kind of item and type"),
     ("brands", "Time zone")],
)  # fmt: skip
def test_a_list_of_the_settings_says_what_its_last_column_holds(
    desk: Desk, app: APIFlask, part: str, column: str
) -> None:
    admin = app.test_client()
    let_in(admin, desk.user("root", "admin"))
    if part == "fields":
        field = insert(CustomField).values(kind="ticket", key="size", label="Size", type="number", options={})
        with desk.services.db.write() as connection:
            connection.execute(field)
    page = admin.get(f"/settings/{part}").get_data(as_text=True)
    assert f"<th>{column}</th>" in page


@pytest.mark.parametrize(
    ("kind", "said"), [("ticket", "The ticket waits for people."), ("job", "It waits for people.")]
)
def test_the_card_of_what_comes_next_calls_a_job_no_ticket(
    desk: Desk, agent: FlaskClient, kind: str, said: str
) -> None:
    if kind == "ticket":
        number = desk.ticket()
    else:
        made = send(agent, f"/items/{kind}/new", {"subject": "Tax return"})
        number = int(made.headers["Location"].rsplit("/", 1)[1])
    page = agent.get(f"/tickets/{number}").get_data(as_text=True)
    assert f"Nothing is planned. {said}" in page
