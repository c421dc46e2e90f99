"""The rows in which questions are written."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from apiflask import APIFlask
from sqlalchemy import func, insert, select

from jobs.mailboxes import add_mailbox
from tests.web.desk import Desk, let_in, send
from tickets.db import Base
from tickets.tables import QuestionList

ROWS: dict[str, object] = {
    "label1": "Which lamp?",
    "type1": "choice",
    "options1": "Orion; Lynx",
    "help1": "It stands on its foot",
    "label2": "Since when?",
    "type2": "made-up",
}


class _Fields(HTMLParser):
    """What a browser would send of a form that nobody touched."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, object] = {}
        self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name") and (given.get("type") != "checkbox" or "checked" in given):
            self.sent[str(given["name"])] = given.get("value") or ""
        self.select = str(given.get("name")) if tag == "select" else self.select
        if tag == "option" and "selected" in given:
            self.sent[self.select] = given.get("value") or ""


def as_shown(form: str) -> dict[str, object]:
    fields = _Fields()
    fields.feed(form)
    return {name: value for name, value in fields.sent.items() if name != "csrf_token"}


@pytest.mark.parametrize(("path", "table"), [("/requests/new", "requests"), ("/questions", "question_lists")])
def test_a_refused_form_keeps_the_questions_that_were_typed_and_makes_nothing(
    path: str, table: str, desk: Desk, app: APIFlask
) -> None:
    manager = app.test_client()
    let_in(manager, desk.user("mia", "manager", "agent"))
    answer = send(manager, path, {"title": "", "label": "", "name": "", "purpose": "request", **ROWS})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert 'value="Which lamp?"' in page
    assert 'value="Orion; Lynx"' in page
    assert 'value="It stands on its foot"' in page
    assert '<option value="choice" selected>' in page
    assert 'value="Since when?"' in page
    with desk.services.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Base.metadata.tables[table])) == 0


@pytest.mark.parametrize("ticked", [True, False])
def test_a_refused_form_keeps_what_was_ticked_and_chosen(ticked: bool, desk: Desk, app: APIFlask) -> None:
    manager = app.test_client()
    let_in(manager, desk.user("mia", "manager", "agent"))
    ticks: dict[str, object] = {"anonymous": "1", "active": "1"} if ticked else {}
    answer = send(manager, "/questions", {"label": "", "purpose": "form", "kind": "task", **ticks, **ROWS})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    for name in ("anonymous", "active"):
        assert (f'name="{name}" value="1" checked' in page) is ticked
    assert '<option value="task" selected>' in page


@pytest.mark.parametrize("ticked", [True, False])
def test_a_refused_mail_server_keeps_what_was_ticked_and_is_not_saved(ticked: bool, desk: Desk, app: APIFlask) -> None:
    admin = app.test_client()
    let_in(admin, desk.user("root", "admin"))
    with desk.services.db.write() as connection:
        add_mailbox(connection, key="shop", address="s@shop.example", brand=None, secret="x" * 32)
    ticks: dict[str, object] = {"enabled": "1", "from_the_start": "1"} if ticked else {}
    plain: dict[str, object] = {"host": "mail.shop.example", "port": "99999", "user": "u", "security": "tls"}
    answer = send(admin, "/mailboxes/shop/imap", {**plain, **ticks})
    assert answer.status_code == 422
    form = answer.get_data(as_text=True).split('aria-labelledby="k-imap"')[1].split("</section>")[0]
    for name in ("enabled", "from_the_start"):
        assert (f'name="{name}" value="1" checked' in form) is ticked
    with desk.services.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Base.metadata.tables["mail_accounts"])) == 0


def test_a_list_saved_as_its_page_shows_it_keeps_the_help_of_its_questions(desk: Desk, app: APIFlask) -> None:
    manager = app.test_client()
    let_in(manager, desk.user("mia", "manager", "agent"))
    asked = [
        {"key": "lamp", "label": "Which lamp?", "type": "text", "required": True, "options": [], "help": "On its foot"},
        {"key": "since", "label": "Since when?", "type": "date", "required": False, "options": [], "help": ""},
    ]
    with desk.services.db.write() as connection:
        values = {"label": "Lamps", "purpose": "request", "kind": "ticket", "questions": asked, "anonymous": False}
        connection.execute(insert(QuestionList).values(key="lamps", active=True, **values))
    page = manager.get("/questions/lamps").get_data(as_text=True)
    shown = as_shown(page.split('action="/questions"')[1].split("</form>")[0]) | {"label": "Lamps and bulbs"}
    assert send(manager, "/questions", shown).status_code == 303
    with desk.services.db.read() as connection:
        saved = connection.execute(select(QuestionList.label, QuestionList.questions)).one()
    assert (saved.label, saved.questions) == ("Lamps and bulbs", asked)


@pytest.mark.parametrize("type", ["text", "choice", "date", "file", "yes_no"])
def test_a_reporter_reads_the_help_of_each_type_of_question_and_a_screen_reader_says_it(
    type: str, desk: Desk, app: APIFlask
) -> None:
    asked = [{"key": "lamp", "label": "Which?", "type": type, "options": ["Orion", "Lynx"], "help": "On its foot"}]
    with desk.services.db.write() as connection:
        values = {"label": "Lamps", "purpose": "form", "kind": "ticket", "questions": asked, "anonymous": True}
        connection.execute(insert(QuestionList).values(key="lamps", active=True, **values))
    page = app.test_client().get("/portal/forms/lamps").get_data(as_text=True)
    assert 'aria-describedby="h-a:lamp"' in page
    assert '<div id="h-a:lamp"><span class="help">On its foot</span></div>' in page
