"""Questions to customers: lists of them, requests in a pipeline of jobs, answers by a link, anonymous reports."""

from __future__ import annotations

import re
from email.message import EmailMessage

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert

from rules import store as rule_list
from tests.rows.desk import item_named
from tests.rows.maildesk import MailDesk, text_of
from tests.web.desk import send, token
from tickets.tables import QuestionList

QUESTIONS = [
    {"key": "year", "label": "Which year?", "type": "text"},
    {"key": "married", "label": "Are you married?", "type": "yes_no"},
    {"key": "note", "label": "Anything else?", "type": "text", "required": False},
]


def a_list(mail_desk: MailDesk) -> None:
    """The list `papers`, to be asked as a request."""
    with mail_desk.services.db.write() as connection:
        connection.execute(
            insert(QuestionList).values(
                key="papers", label="Your papers", purpose="request", kind="ticket", questions=QUESTIONS, active=True
            )
        )
        rule_list.bump(connection)


def ask(staff: FlaskClient, job: int, **more: str) -> None:
    """Ask the customer of a job for their papers."""
    assert send(staff, "/requests/new", {"item": str(job), "list": "papers", **more}).status_code == 303


def a_job(mail_desk: MailDesk, staff: FlaskClient, subject: str = "Return 2025") -> int:
    """A job in the pipeline `tax`, after the rules have looked at it; its number."""
    made = send(staff, "/items/job/new", {"subject": subject, "pipeline": "tax", "email": "camille@customer.test"})
    assert made.status_code == 303
    mail_desk.work()
    return item_named(mail_desk.desk, subject)


def link_in(mail: EmailMessage) -> str:
    """The address that the text of a mail leads to, without the host."""
    body = text_of(mail)
    found = re.search(r"https?://[^/\s]+(/portal/\S+)", body)
    assert found, body
    return found[1]


def answer(app: APIFlask, path: str, do: str = "send", **answers: str) -> tuple[int, str]:
    """Answer by the link, as somebody nobody signed in; the status and the page."""
    browser = app.test_client()
    page = browser.get(path)
    assert page.status_code == 200
    text = page.get_data(as_text=True)
    version = re.search(r'name="version" value="(\d+)"', text)
    assert version
    data = {"csrf_token": token(page), "version": version[1], "do": do}
    got = browser.post(path, data=data | {f"a:{key}": value for key, value in answers.items()})
    return got.status_code, got.get_data(as_text=True)


def stage(mail_desk: MailDesk, job: int) -> object:
    """Where a job is, after the rules have looked at it."""
    mail_desk.work()
    return mail_desk.desk.state(job)["fields.stage"]


def make_list(manager: FlaskClient, purpose: str, label: str, *questions: tuple[str, str, str], **more: str) -> None:
    """Make a list of questions through its page: label, type and choices of each."""
    data = {"label": label, "purpose": purpose, "kind": "ticket", "active": "1", "key": "", **more}
    for n, (text, type, options) in enumerate(questions):
        data |= {f"label{n}": text, f"type{n}": type, f"options{n}": options, f"required{n}": "1"}
    assert send(manager, "/questions", data).status_code == 303
    assert f"{label} was saved." in manager.get("/questions").get_data(as_text=True)


def report(app: APIFlask, category: str, text: str, *, anonymous: bool = True) -> tuple[FlaskClient, str]:
    """Send the form as somebody nobody knows; their browser and the code they were shown."""
    browser = app.test_client()
    page = browser.get("/portal/forms/report_misconduct")
    answers = {"a:category": category, "a:what_happened": text, "email": "rita@customer.test"}
    data = {"csrf_token": token(page), **answers, **({"anonymous": "1", "email": ""} if anonymous else {})}
    done = browser.post("/portal/forms/report_misconduct", data=data)
    assert done.status_code == 200
    code = re.search(r'class="bigcode">([^<]+)<', done.get_data(as_text=True))
    return browser, code[1] if code else ""
