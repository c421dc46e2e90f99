"""The portal in tests: who comes in by a link, and what they are asked."""

from __future__ import annotations

from collections.abc import Mapping

from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from tests.web.desk import Desk, token
from tickets import people, requests, tokens
from tickets.events import Cause
from tickets.questions import questions_from
from tickets.tables import (
    Attachment,
    Message,
    PortalToken,
    RequestFile,
    RequestRow,
    WorkItem,
)
from tickets.values import JSON

CAMILLE = "camille@customer.test"

MALLORY = "mallory@customer.test"


def secret(desk: Desk) -> str:
    """What ways in are made with."""
    return desk.services.settings.keys.session


def asked_for(desk: Desk, client: FlaskClient, email: str = CAMILLE) -> str:
    """Ask for a way in; the salt of the token that was made for it."""
    page = client.get("/portal/sign-in")
    assert client.post("/portal/sign-in", data={"csrf_token": token(page), "email": email}).status_code == 303
    with desk.services.db.read() as connection:
        return connection.execute(
            select(PortalToken.salt).where(PortalToken.purpose == "sign_in").order_by(PortalToken.id.desc()).limit(1)
        ).scalar_one()


def enter(desk: Desk, client: FlaskClient, email: str = CAMILLE) -> None:
    """Go in by the link of the mail."""
    link = "/portal/enter/" + tokens.text_of(secret(desk), asked_for(desk, client, email))
    assert client.post(link, data={"csrf_token": token(client.get(link))}).location == "/portal/"


def post(client: FlaskClient, path: str, data: Mapping[str, object] | None = None) -> TestResponse:
    """Send a form of the portal with the session's token."""
    page = client.get("/portal/report")
    return client.post(path, data={"csrf_token": token(page), **(data or {})})


def a_request(
    desk: Desk, email: str = CAMILLE, *, item: int | None = None, sign_in: bool = False, file: bool = False
) -> tuple[int, str]:
    """A request and the path of its link."""
    questions: list[JSON] = [{"key": "year", "label": "Which year?"}]
    if file:
        questions.append({"key": "paper", "label": "Your paper", "type": "file"})
        questions.append({"key": "more", "label": "More papers", "type": "file", "required": False})
    with desk.services.db.write() as connection:
        person = people.person_for(connection, email=email, name="", language="en", now=desk.clock.now())
        made = requests.send(
            connection,
            requests.QuestionsToAsk("Papers", questions_from(questions), sign_in=sign_in),
            person=person,
            item=item,
            key=f"test:{email}:{desk.clock.now()}:{item}",
            cause=Cause("person", label="Ana"),
            now=desk.clock.now(),
        )
        assert made is not None
        number = tokens.new(connection, secret(desk), person=person, request=made, now=desk.clock.now())
        salt = connection.execute(select(PortalToken.salt).where(PortalToken.id == number)).scalar_one()
    return made, "/portal/answer/" + tokens.text_of(secret(desk), salt)


def counts(desk: Desk) -> list[int]:
    """How many messages, files of requests, attachments and items there are."""
    with desk.services.db.read() as connection:
        return [
            connection.execute(select(func.count()).select_from(one)).scalar_one()
            for one in (Message, RequestFile, Attachment, WorkItem)
        ]


def status_of(desk: Desk, request: int) -> str:
    with desk.services.db.read() as connection:
        return connection.execute(select(RequestRow.status).where(RequestRow.id == request)).scalar_one()
