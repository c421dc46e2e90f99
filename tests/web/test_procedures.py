"""Procedures with files: they stand on an internal note, within caps, for who may see the item and for nobody else."""

from __future__ import annotations

import io
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from rules import store as rule_list
from tests.rows.desk import a_rule
from tests.web.desk import Desk, let_in, send
from tests.web.portal import enter
from tickets import attachments
from tickets.questions import MOST_FILES
from tickets.store import later_events
from tickets.tables import Attachment, Blob, Message, QuestionList
from tickets.values import JSON

QUESTIONS: list[dict[str, JSON]] = [
    {"key": "evidence", "label": "Evidence", "type": "file"},
    {"key": "scan", "label": "Scan", "type": "file", "required": False},
    {"key": "summary", "label": "Summary", "type": "text"},
    {"key": "grave", "label": "Is it grave?", "type": "yes_no"},
]
PATH = "/tickets/{}/procedures/inquiry"


@pytest.fixture
def inquiry(desk: Desk) -> None:
    """A procedure for tickets that asks for files."""
    with desk.services.db.write() as connection:
        connection.execute(
            insert(QuestionList).values(
                key="inquiry", label="Inquiry", purpose="procedure", kind="ticket", questions=QUESTIONS, active=True
            )
        )
        rule_list.bump(connection)


def a_file(name: str = "photo.jpg", data: bytes = b"seen") -> tuple[io.BytesIO, str]:
    return io.BytesIO(data), name


def kept(desk: Desk) -> tuple[int, ...]:
    with desk.services.db.read() as connection:
        return tuple(
            connection.execute(select(func.count()).select_from(one)).scalar_one()
            for one in (Attachment, Blob, Message)
        )


def test_files_stand_on_an_internal_note_and_the_rules_see_the_answers(
    inquiry: None, agent: FlaskClient, client: FlaskClient, desk: Desk
) -> None:
    a_rule(desk, {"on": "procedure_answered", "procedure": "inquiry"}, then=[("add_tags", {"tags": ["looked_at"]})])
    ticket = desk.ticket("Till", published=True)
    desk.work()
    given: dict[str, object] = {"a:summary": "Two coins", "a:grave": "no"}
    files = {"f:evidence": [a_file(), a_file("../b.txt")], "f:scan": a_file("s.pdf")}
    assert send(agent, PATH.format(ticket), {**given, **files}).status_code == 303
    desk.work()
    assert desk.state(ticket)["tags"] == ["looked_at"]
    page = agent.get(f"/tickets/{ticket}").get_data(as_text=True)
    assert "Evidence: photo.jpg, b.txt\nScan: s.pdf" in page
    got = agent.get("/files/1")
    assert (got.data, got.mimetype) == (b"seen", "application/octet-stream")
    with desk.services.db.read() as connection:
        [event] = [one for one in later_events(connection, ticket, 0) if one.kind == "form_answered"]
        said = connection.execute(select(Message.public, Message.author_user).order_by(Message.id.desc())).first()
    assert event.payload["files"] == [["evidence", "photo.jpg"], ["evidence", "b.txt"], ["scan", "s.pdf"]]
    assert said is not None
    assert tuple(said) == (False, "ana")
    # Each file is found under its question, and answering once more does not ask for it again.
    card = page.split('id="c-procedures"')[1]
    assert card.index("photo.jpg") < card.index("b.txt") < card.index("Scan") < card.index("s.pdf")
    assert send(agent, PATH.format(ticket), given).status_code == 303
    # The customer, who sees the ticket, finds neither the note nor a file.
    enter(desk, client)
    assert "photo.jpg" not in client.get(f"/portal/items/{ticket}").get_data(as_text=True)
    assert client.get("/portal/files/1").status_code == 404


def test_files_of_a_hidden_item_are_neither_shown_nor_taken(
    inquiry: None, app: APIFlask, agent: FlaskClient, desk: Desk
) -> None:
    report = desk.ticket("Harassment", team="ethics")
    hania = app.test_client()
    let_in(hania, desk.user("hania", "agent", teams=("ethics",)))
    data: dict[str, object] = {"a:summary": "x", "a:grave": "yes", "f:evidence": a_file()}
    assert send(hania, PATH.format(report), data).status_code == 303
    before = kept(desk)
    assert agent.get("/files/1").status_code == 404
    assert send(agent, PATH.format(report), {**data, "f:evidence": a_file()}).status_code == 404
    assert kept(desk) == before
    assert hania.get("/files/1").data == b"seen"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "Evidence: Please answer this."),
        ([a_file(f"{n}.txt", b"x") for n in range(MOST_FILES + 1)], "A question takes at most 10 files."),
        ([a_file(data=b"x" * 21)], "photo.jpg is larger than"),
    ],
    ids=["none", "too many", "too large"],
)
def test_a_refusal_keeps_what_was_answered_and_nothing_else(
    inquiry: None,
    agent: FlaskClient,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    files: list[tuple[io.BytesIO, str]],
    said: str,
) -> None:
    monkeypatch.setattr(attachments, "ATTACHMENT_BYTES", 20)
    ticket = desk.ticket("Till")
    before = kept(desk), desk.state(ticket)
    files = [(io.BytesIO(data.getvalue()), name) for data, name in files]
    refused = send(agent, PATH.format(ticket), {"a:summary": "Two coins", "a:grave": "yes", "f:evidence": files})
    page = refused.get_data(as_text=True)
    assert refused.status_code == 422
    assert said in page
    assert (">Two coins</textarea>" in page, '<option value="yes" selected>' in page) == (True, True)
    assert (kept(desk), desk.state(ticket)) == before


def test_procedures_that_share_a_key_have_fields_of_their_own_and_their_problems_lead_to_them(
    inquiry: None, agent: FlaskClient, desk: Desk
) -> None:
    with desk.services.db.write() as connection:
        shared = [{**one, "help": "See the manual."} for one in QUESTIONS]
        values = {"label": "Second look", "purpose": "procedure", "kind": "ticket", "questions": shared}
        connection.execute(insert(QuestionList).values(key="second", active=True, **values))
    ticket = desk.ticket("Till")
    for refused in ("inquiry", "second"):
        page = send(agent, f"/tickets/{ticket}/procedures/{refused}").get_data(as_text=True)
        ids = re.findall(r'\bid="([^"]+)"', page)
        assert [one for one in set(ids) if ids.count(one) > 1] == []
        for half in (f"{key}:{one['key']}" for key in ("inquiry", "second") for one in QUESTIONS):
            assert (f"f-a:{half}" in ids, f'<label for="f-a:{half}"' in page) == (True, True)
        assert set(re.findall(r'aria-describedby="(h-a:[^"]+)"', page)) <= set(ids)
        problems = page.split('id="problems"')[1].split("</ul>")[0]
        required = [one["key"] for one in QUESTIONS if one.get("required", True)]
        assert re.findall(r'href="#([^"]+)"', problems) == [f"f-a:{refused}:{key}" for key in required]
