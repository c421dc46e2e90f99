"""The part of the API about what belongs together: links between items, and requests to customers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from flask import url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from jobs.portal_mail import queue_request
from jobs.queues import Work
from tickets import linking, people
from tickets import requests as asked
from tickets import store as items
from tickets.errors import BadValue, ItemNotFound
from tickets.events import Cause
from tickets.questions import Purpose, questions_from
from tickets.requests import QuestionsToAsk, Request
from tickets.values import JSON
from web import requests_store
from web.access import open_to_all
from web.api import Made, Refused, once, pages, the_actor, the_caller
from web.api_models import Given, Key
from web.context import now, services
from web.forms import LARGEST_KEY, looks_like_email

__all__ = ["pages"]


class LinkIn(Given):
    other: int = Field(ge=1, le=LARGEST_KEY, description="The other item's number.")
    way: Literal["relates", "contains", "part_of"] = Field("relates", description="How this item stands to the other.")


class LinkOut(BaseModel):
    ticket: int
    other: int
    way: str


class RequestIn(Given):
    ticket: int | None = Field(None, ge=1, le=LARGEST_KEY, description="The item it belongs to; left out: none yet.")
    email: str | None = Field(None, max_length=320, description="Whom to ask; left out: the item's customer.")
    title: str = Field("", max_length=asked.TITLE_CHARS)
    questions: list[dict[str, Any]] | None = Field(None, description="label, type, required, options, key of each.")
    list_key: Key | None = Field(None, description="The key of a list of questions instead.")
    sign_in: bool = Field(False, description="Whether the customer has to sign in to the portal.")
    remind_h: int = Field(0, ge=0, le=720, description="Hours between reminders, at most five; 0: none.")


class RequestPatch(Given):
    ticket: int | None = Field(None, ge=1, le=LARGEST_KEY, description="Link it to this item.")
    status: Literal["completed", "withdrawn"] | None = None


class RequestOut(BaseModel):
    id: int
    ticket: int | None
    title: str
    status: str
    questions: list[dict[str, Any]]
    answers: dict[str, Any]
    files: list[dict[str, Any]]
    sign_in: bool
    created_at: datetime
    completed_at: datetime | None
    completed_by: str


@pages.post("/tickets/<int:item_id>/links")
@pages.input(LinkIn)
@pages.output(LinkOut, 201)
@pages.doc(summary="Link two items", security="Token", responses=[400, 401, 403, 404, 409, 413, 415, 429])
@open_to_all("an API token is checked instead")
def link(item_id: int, json_data: LinkIn) -> ResponseReturnValue:
    """Links an item to another one that the token's user may see, with an event in both. Takes an Idempotency-Key."""
    return once(lambda connection: _link(connection, item_id, json_data))


def _link(connection: Connection, item_id: int, given: LinkIn) -> Made:
    viewer = the_caller().viewer
    found = {
        number: items.read_item(connection, number, viewer=viewer, lock=True)
        for number in sorted({item_id, given.other})
    }
    if not linking.join(connection, item_id, given.other, given.way):
        raise Refused(422, f"Items {item_id} and {given.other} are linked already")
    for number, other, way in (
        (item_id, given.other, given.way),
        (given.other, item_id, linking.other_way(given.way)),
    ):
        after: dict[str, str | int] = {"way": way, "item": other}
        cause = Cause("person", label=viewer.name)
        linking.tell(connection, found[number], actor=the_actor(), cause=cause, now=now(), after=after)
    return Made(201, LinkOut(ticket=item_id, other=given.other, way=given.way))


@pages.post("/requests")
@pages.input(RequestIn)
@pages.output(RequestOut, 201)
@pages.doc(summary="Ask a customer", security="Token", responses=[400, 401, 403, 404, 409, 413, 415, 429])
@open_to_all("an API token is checked instead")
def ask_customer(json_data: RequestIn) -> ResponseReturnValue:
    """Asks a customer some questions by a link in a mail. Takes an Idempotency-Key."""
    return once(lambda connection: _create(connection, json_data))


def _create(connection: Connection, given: RequestIn) -> Made:
    viewer = the_caller().viewer
    item = None if given.ticket is None else items.read_item(connection, given.ticket, viewer=viewer, lock=True)
    number: JSON = item.state.get("customer") if item is not None else None
    if given.email is not None:
        if not looks_like_email(given.email):
            raise Refused(422, f"{given.email!r} is not an e-mail address")
        number = people.person_for(connection, email=given.email, name="", language="", now=now())
    if not isinstance(number, int):
        raise Refused(422, "Say whom to ask: an e-mail address, or an item that has a customer")
    if (given.list_key is None) == (given.questions is None):
        raise Refused(422, "A request takes either questions or a list of them")
    if given.list_key is not None:
        listed = asked.question_list(connection, given.list_key, Purpose.REQUEST)
        if listed is None:
            raise Refused(422, f"There is no list of questions {given.list_key!r}")
        ask = QuestionsToAsk(given.title or listed[0].label, listed[1], given.list_key, given.sign_in)
    else:
        ask = QuestionsToAsk(given.title, questions_from(given.questions), "", given.sign_in)
    person = people.customer(connection, number)
    made = asked.send(
        connection,
        ask,
        person=person.id,
        item=given.ticket,
        key=f"api:{the_caller().token}:{asked.fresh_key()}",
        cause=Cause("person", label=viewer.name),
        now=now(),
    )
    assert made is not None
    queue_request(services(), connection, made, person, given.ticket, now(), remind_h=given.remind_h)
    body = _out(asked.read(connection, made))
    return Made(201, body, (Work.OUTBOX,), url_for("api.request_of", request_id=made))


@pages.get("/requests/<int:request_id>")
@pages.output(RequestOut)
@pages.doc(summary="One request", security="Token", responses=[401, 403, 404, 429])
@open_to_all("an API token is checked instead")
def request_of(request_id: int) -> ResponseReturnValue:
    """A request with what was answered so far."""
    with services().db.read() as connection:
        return cast(ResponseReturnValue, _out(_seen(connection, request_id)))


@pages.patch("/requests/<int:request_id>")
@pages.input(RequestPatch)
@pages.output(RequestOut)
@pages.doc(summary="Change a request", security="Token", responses=[400, 401, 403, 404, 413, 415, 429])
@open_to_all("an API token is checked instead")
def change_request(request_id: int, json_data: RequestPatch) -> ResponseReturnValue:
    """Links it to an item, sets it to completed, or withdraws it."""
    with services().db.write() as connection:
        _seen(connection, request_id)
        if json_data.ticket is not None:
            items.read_item(connection, json_data.ticket, viewer=the_caller().viewer, lock=True)
            asked.link(connection, request_id, json_data.ticket)
        try:
            if json_data.status == "completed":
                asked.complete(connection, request_id, actor=the_actor(), now=now())
            elif json_data.status == "withdrawn":
                asked.withdraw(connection, request_id, now=now())
        except BadValue as error:
            raise Refused(422, str(error)) from error
        found = asked.read(connection, request_id)
    services().queues.hint(Work.DRAIN)
    return cast(ResponseReturnValue, _out(found))


def _seen(connection: Connection, request_id: int) -> Request:
    """The request, if the token's user may see it; else it is as one that is not there."""
    if not requests_store.seen(connection, the_caller().viewer, request_id):
        raise ItemNotFound(f"There is no request {request_id}, or it is not visible to you")
    return asked.read(connection, request_id)


def _out(found: Request) -> RequestOut:
    return RequestOut(
        id=found.id,
        ticket=found.item,
        title=found.title,
        status=found.status,
        questions=[one.to_json() for one in found.questions],
        answers=dict(found.answers),
        files=[{"id": one.id, "question": one.question, "name": one.name, "size": one.size} for one in found.files],
        sign_in=found.sign_in,
        created_at=found.created_at,
        completed_at=found.completed_at,
        completed_by=found.completed_by,
    )
