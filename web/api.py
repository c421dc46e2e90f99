"""The JSON API, version 1. A token stands for its user: what they may see and do, it may, and nothing else.

No cookie counts here, so no form token is needed. Errors are problem+json (RFC 9457). A POST may carry an
Idempotency-Key: repeated, it gets the first one's answer and does nothing again.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from apiflask import APIBlueprint, APIFlask, HTTPError
from flask import Response, g, json, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy import Connection
from werkzeug.exceptions import HTTPException, NotFound

from jobs.outbox import queue_message
from jobs.queues import Work
from jobs.telling import tell_of_message
from tickets import people
from tickets import store as items
from tickets.cards import context_cards
from tickets.db import AWAY
from tickets.effects import AddTo, RemoveFrom, SetField, StateEffect
from tickets.errors import (
    AttachmentRefused,
    BadValue,
    ItemNotFound,
    PersonNotFound,
    StaleItem,
    TicketsError,
    UnknownField,
)
from tickets.events import Actor, ActorKind, Cause
from tickets.item import CUSTOM, Item
from tickets.people import Permission
from tickets.values import JSON, iso
from web import api_store, names_store, ticket_store
from web.access import open_to_all
from web.api_models import (
    Fields,
    ListQuery,
    MessageIn,
    MessagePosted,
    Problem,
    RunOut,
    TicketIn,
    TicketList,
    TicketOut,
    TicketPatch,
    Timeline,
)
from web.api_store import Caller
from web.context import now, services
from web.errors import Sentence
from web.forms import looks_like_email
from web.limits import limiter

log = logging.getLogger(__name__)

pages = APIBlueprint("api", __name__, url_prefix="/api/v1", tag="Deskhand")

#: Requests one caller may make, counted by token and by address.
PER_CALLER = "3000 per minute"
#: Bytes of one request; the API takes no files.
BODY_BYTES = 2_000_000
#: Characters of an Idempotency-Key.
KEY_CHARS = 200
PROBLEM = "application/problem+json"
NO_ADDRESS = "This is no address of the API; /api/openapi.json lists them"
ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_STATE = ("subject", "status", "priority", "team", "brand", "location", "channel", "language", "due_at")
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_CHARS}}}")
TITLES = {
    400: "The request cannot be read",
    401: "A valid token is needed",
    403: "This token's user may not do that",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "The first request with this key is still under way",
    412: "Somebody saved a newer version",
    413: "The request is too large",
    415: "The request is not JSON",
    422: "The request says something that is not possible",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "A part of Deskhand is not running",
}


class Refused(Exception):
    """A request that is not carried out. Nothing was changed."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


# At the door -----------------------------------------------------------------------------------------------------


def _token_or_address() -> str:
    return f"token:{_bearer()[:20]}"


limiter.limit(PER_CALLER)(pages)
limiter.limit(PER_CALLER, key_func=_token_or_address)(pages)


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


@pages.before_request
def check_token() -> None:
    """Lets in who has a valid token of a user who works tickets."""
    with services().db.read() as connection:
        found = api_store.caller(connection, _bearer(), now())
    if found is None:
        said = "Send 'Authorization: Bearer dh_...'; flask user token USER makes one"
        raise Refused(401, said, headers={"WWW-Authenticate": "Bearer"})
    caller, stale = found
    if not caller.viewer.may(Permission.WORK_TICKETS):
        raise Refused(403, f"{caller.viewer.key} has no role that works tickets")
    if stale:
        with services().db.write() as connection:
            api_store.note_use(connection, caller.token, now())
    g.api_caller = caller
    if request.method in ("POST", "PUT", "PATCH"):
        _check_body()


def _check_body() -> None:
    if request.mimetype != "application/json":
        raise Refused(415, "Send JSON with Content-Type: application/json")
    if (request.content_length or 0) > BODY_BYTES or len(request.get_data()) > BODY_BYTES:
        raise Refused(413, f"A request has at most {BODY_BYTES:,} bytes")
    try:
        request.get_json()
    except RecursionError:
        raise Refused(400, "The JSON is nested too deep") from None


def the_caller() -> Caller:
    return cast(Caller, g.api_caller)


def the_actor() -> Actor:
    viewer = the_caller().viewer
    return Actor(ActorKind.AGENT, viewer.key, viewer.name)


def _chain() -> items.Chain:
    """Who stands behind it is kept with the event, also where the words are a customer's."""
    caller = the_caller()
    return items.Chain(payload={"via": "api", "user": caller.viewer.key, "token": caller.token})


# Once ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """What a POST did: its answer, and which work to tell workers of."""

    status: int
    body: BaseModel
    hints: tuple[Work, ...] = (Work.DRAIN,)
    location: str = ""


def once(make: Callable[[Connection], Made]) -> ResponseReturnValue:
    """Carry out `make` in one transaction; under an Idempotency-Key only the first time.

    The effect and the kept answer are one transaction, so a crash leaves both or neither."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        with services().db.write() as connection:
            made = make(connection)
        return _answer(made)
    if not _KEY.fullmatch(key):
        raise Refused(422, f"An Idempotency-Key has 1 to {KEY_CHARS} visible ASCII characters")
    token, claimed_at = the_caller().token, now()
    asked = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.get_data()).hexdigest()
    try:
        with services().db.write() as connection:
            kept = api_store.claim_key(connection, token, key, asked, claimed_at)
    except api_store.TooManyKeys as error:
        raise Refused(429, str(error)) from error
    if kept is not None:
        return _again(kept, asked)
    try:
        with services().db.write() as connection:
            made = make(connection)
            body = {"body": made.body.model_dump(mode="json"), "location": made.location}
            if not api_store.keep_answer(connection, token, key, claimed_at, made.status, body):
                raise Refused(409, "This request took too long and another one with the key went on instead of it")
    except Exception:
        with services().db.write() as connection:
            api_store.release_key(connection, token, key, claimed_at)
        raise
    return _answer(made)


def _again(kept: api_store.Kept, asked: str) -> ResponseReturnValue:
    if kept.request_sha256 != asked:
        raise Refused(422, "This Idempotency-Key was used for another request; nothing was done")
    if kept.status == api_store.IN_FLIGHT:
        raise Refused(409, "Ask again in a second; nothing is done twice", headers={"Retry-After": "1"})
    response = _json(kept.body["body"], kept.status)
    response.headers["Idempotency-Replayed"] = "true"
    if kept.body["location"]:
        response.headers["Location"] = kept.body["location"]
    return response


def _answer(made: Made) -> ResponseReturnValue:
    for work in made.hints:
        services().queues.hint(work)
    response = _json(made.body.model_dump(mode="json"), made.status)
    if made.location:
        response.headers["Location"] = made.location
    return response


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status, mimetype="application/json")


# Tickets ---------------------------------------------------------------------------------------------------------


@pages.post("/tickets")
@pages.input(TicketIn)
@pages.output(TicketOut, 201)
@pages.doc(summary="Make a ticket", security="Token", responses=[400, 401, 403, 409, 413, 415, 429])
@open_to_all("an API token is checked instead")
def create(json_data: TicketIn) -> ResponseReturnValue:
    """Makes a ticket, with its customer (found by address, or made) and the first message. Takes an Idempotency-Key."""
    return once(lambda connection: _create(connection, json_data))


def _create(connection: Connection, given: TicketIn) -> Made:
    state = _state(given)
    _check_keys(connection, state)
    customer = None
    if given.customer is not None:
        if not looks_like_email(given.customer.email):
            raise Refused(422, f"{given.customer.email!r} is not an e-mail address")
        customer = people.person_for(
            connection, email=given.customer.email, name=given.customer.name, language=given.language or "", now=now()
        )
    actor = the_actor()
    made = items.create_item(
        connection,
        kind=given.kind,
        state={**state, "channel": "api", "customer": customer},
        actor=actor
        if customer is None
        else Actor(ActorKind.CUSTOMER, str(customer), _customer_name(connection, customer)),
        now=now(),
        message=None if given.text is None else _message(connection, given.text, customer=customer, public=False),
        chain=_chain(),
    )
    if made.message_id is not None:
        tell_of_message(connection, made.item_id, made.message_id, now())
    item = items.read_item(connection, made.item_id)
    return Made(201, _ticket(connection, item), location=url_for("api.ticket", item_id=item.id))


@pages.get("/tickets")
@pages.input(ListQuery, location="query")
@pages.output(TicketList)
@pages.doc(summary="List tickets", security="Token", responses=[401, 403, 429])
@open_to_all("an API token is checked instead")
def tickets(query_data: ListQuery) -> ResponseReturnValue:
    """The tickets the token's user may see, newest first, narrowed by any of the filters, a page at a time."""
    wanted = api_store.Wanted(**query_data.model_dump())
    with services().db.read() as connection:
        numbers = api_store.tickets(connection, the_caller().viewer, wanted)
        shown = numbers[: wanted.limit]
        found = [_ticket(connection, items.read_item(connection, one)) for one in shown]
    following = None
    if len(numbers) > wanted.limit:
        following = f"{request.path}?{urlencode({**request.args.to_dict(), 'before': shown[-1]})}"
    return cast(ResponseReturnValue, TicketList(tickets=found, next=following))


@pages.get("/tickets/<int:item_id>")
@pages.output(TicketOut)
@pages.doc(summary="One ticket", security="Token", responses=[401, 403, 404, 429])
@open_to_all("an API token is checked instead")
def ticket(item_id: int) -> ResponseReturnValue:
    """The ticket as it is now. The ETag is its version."""
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=the_caller().viewer)
        found = _ticket(connection, item)
    return _with_version(found)


@pages.patch("/tickets/<int:item_id>")
@pages.input(TicketPatch)
@pages.output(TicketOut)
@pages.doc(summary="Change a ticket", security="Token", responses=[400, 401, 403, 404, 412, 413, 415, 429])
@open_to_all("an API token is checked instead")
def change(item_id: int, json_data: TicketPatch) -> ResponseReturnValue:
    """Changes the fields that are given, in one transaction and as one event. With If-Match: "VERSION" only if nobody
    saved a newer version since; else 412 and nothing is changed."""
    seen = _if_match()
    viewer = the_caller().viewer
    with services().db.write() as connection:
        item = items.read_item(connection, item_id, viewer=viewer, lock=True)
        state = _state(json_data)
        _check_keys(connection, state)
        effects: list[StateEffect] = [SetField(name, value) for name, value in state.items()]
        if json_data.add_tags:
            effects.append(AddTo("tags", tuple(json_data.add_tags)))
        if json_data.remove_tags:
            effects.append(RemoveFrom("tags", tuple(json_data.remove_tags)))
        items.change_item(
            connection,
            item,
            lines=(items.Lines(tuple(effects), Cause("person", label=viewer.name)),),
            actor=the_actor(),
            now=now(),
            chain=_chain(),
            seen_version=seen,
        )
        found = _ticket(connection, items.read_item(connection, item_id))
    services().queues.hint(Work.DRAIN)
    return _with_version(found)


@pages.post("/tickets/<int:item_id>/messages")
@pages.input(MessageIn)
@pages.output(MessagePosted, 201)
@pages.doc(summary="Add a message", security="Token", responses=[400, 401, 403, 404, 409, 413, 415, 429])
@open_to_all("an API token is checked instead")
def write(item_id: int, json_data: MessageIn) -> ResponseReturnValue:
    """Adds a message: an internal note, a public reply that is e-mailed to the customer, or the customer's own words
    from a channel that you look after. Takes an Idempotency-Key."""
    return once(lambda connection: _write(connection, item_id, json_data))


def _write(connection: Connection, item_id: int, given: MessageIn) -> Made:
    viewer = the_caller().viewer
    item = items.read_item(connection, item_id, viewer=viewer, lock=True)
    customer: int | None = None
    if given.author == "customer":
        known = item.state.get("customer")
        if not isinstance(known, int):
            raise Refused(422, f"Ticket {item_id} has no customer whose message this could be")
        if given.public is False:
            raise Refused(422, "A customer's message is public")
        customer = known
    message = _message(connection, given.text, customer=customer, public=bool(given.public))
    effects = (SetField("status", given.status),) if given.status is not None else ()
    made = items.change_item(
        connection,
        item,
        lines=(items.Lines(effects, Cause("person", label=viewer.name)),),
        actor=the_actor() if customer is None else Actor(ActorKind.CUSTOMER, str(customer), message.author_name),
        now=now(),
        messages=(message,),
        chain=_chain(),
    )
    assert made.message_id is not None
    assert made.event_id is not None
    tell_of_message(connection, item_id, made.message_id, now())
    mailed = customer is None and message.public
    if mailed:
        queue_message(connection, item, made.message_id, now())
    body = MessagePosted(ticket=item_id, version=item.version + 1, message=made.message_id, event=made.event_id)
    return Made(201, body, hints=(Work.DRAIN, Work.OUTBOX) if mailed else (Work.DRAIN,))


@pages.get("/tickets/<int:item_id>/timeline")
@pages.output(Timeline)
@pages.doc(summary="What happened to a ticket, and why", security="Token", responses=[401, 403, 404, 429])
@open_to_all("an API token is checked instead")
def timeline(item_id: int) -> ResponseReturnValue:
    """Messages, events with the cause of each change, facts from outside, decisions with their trace, runs with their
    log. The newest 400 events; `cut` says when there are older ones."""
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=the_caller().viewer)
        past = ticket_store.past(connection, item_id)
        cards = context_cards(connection, item_id)
        asked = ticket_store.lookups(connection, item_id)
        found = _ticket(connection, item)
    return cast(
        ResponseReturnValue,
        {
            "ticket": found,
            "messages": [
                _message_out(row, past.attachments.get(row.id, ()))
                for event in past.events
                for row in past.messages.get(event.seq, ())
            ],
            "events": [_event_out(row, past.history.get(row.id, ())) for row in past.events],
            "context": [{**row._mapping, "data": row.body.get("data")} for row in cards],
            "lookups": [dict(row._mapping) for row in reversed(asked)],
            "decisions": [
                {**row._mapping, "event": row.event_id}
                for event in past.events
                for row in past.decisions.get(event.id, ())
            ],
            "runs": [_run_out(row) for event in past.events for row in past.runs.get(event.id, ())],
            "cut": past.cut,
        },
    )


@pages.get("/runs/<int:run_id>")
@pages.output(RunOut)
@pages.doc(summary="One run of a script", security="Token", responses=[401, 403, 404, 429])
@open_to_all("an API token is checked instead")
def run(run_id: int) -> ResponseReturnValue:
    """How a run of a script went: its log, calls, actions, limits used, and the error when there is one."""
    with services().db.read() as connection:
        row = api_store.run(connection, the_caller().viewer, run_id)
    if row is None:
        raise Refused(404, f"There is no run {run_id}, or it is not visible to you")
    return cast(ResponseReturnValue, _run_out(row))


@pages.route("/", defaults={"rest": ""}, methods=ALL_METHODS)
@pages.route("/<path:rest>", methods=ALL_METHODS)
@pages.doc(hide=True)
@open_to_all("an API token is checked instead")
def nothing(rest: str) -> ResponseReturnValue:
    """Whatever is not an address of this API."""
    raise Refused(404, NO_ADDRESS)


# Reading what is given -------------------------------------------------------------------------------------------


def _state(given: Fields) -> dict[str, JSON]:
    """The state fields that the request names, in the form the store takes. Raises `BadValue`, `UnknownField` later."""
    named = given.model_dump(exclude_unset=True, exclude={"kind", "customer", "text", "add_tags", "remove_tags"})
    custom = named.pop("fields", None) or {}
    if named.get("due_at") is not None:
        named["due_at"] = iso(named["due_at"])
    return {**named, **{f"{CUSTOM}{key}": value for key, value in custom.items()}}


def _check_keys(connection: Connection, state: Mapping[str, JSON]) -> None:
    """Raises `BadValue` when a team, brand, location or user is named that is not there."""
    names = names_store.names(connection)
    known: dict[str, Mapping[str, str]] = {"team": names.teams, "brand": names.brands, "location": names.locations}
    for field, keys in known.items():
        value = state.get(field)
        if value is not None and value not in keys:
            raise BadValue(f"There is no {field} {value!r}")
    assignees = state.get("assignees")
    if isinstance(assignees, Sequence) and not isinstance(assignees, str):
        unknown = [one for one in assignees if one not in names.working]
        if unknown:
            raise BadValue(f"There is no user {unknown[0]!r}")


def _if_match() -> int | None:
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    match = re.fullmatch(r'\s*(?:W/)?"?([0-9]{1,9})"?\s*', given)
    if match is None:
        raise Refused(412, 'If-Match takes the version of the ticket, e.g. "3"')
    return int(match[1])


def _message(connection: Connection, text: str, *, customer: int | None, public: bool) -> items.NewMessage:
    viewer = the_caller().viewer
    if customer is None:
        return items.NewMessage(
            author="agent",
            public=public,
            channel="api",
            text=text,
            author_user=viewer.key,
            author_name=viewer.name,
            author_address=viewer.email,
        )
    return items.NewMessage(
        author="customer",
        public=True,
        channel="api",
        text=text,
        author_person=customer,
        author_name=_customer_name(connection, customer),
        author_address=people.customer(connection, customer).email,
    )


def _customer_name(connection: Connection, person_id: int) -> str:
    person = people.customer(connection, person_id)
    return person.name or person.email


# Saying it -------------------------------------------------------------------------------------------------------


def _with_version(found: TicketOut) -> ResponseReturnValue:
    return cast(ResponseReturnValue, (found, 200, {"ETag": f'"{found.version}"'}))


def _ticket(connection: Connection, item: Item) -> TicketOut:
    state: Mapping[str, Any] = item.state
    customer = None
    if isinstance(state.get("customer"), int):
        person = people.customer(connection, state["customer"])
        customer = {
            "id": person.id,
            "name": person.name,
            "email": person.email,
            "emails": list(person.emails),
            "language": person.language,
        }
    return TicketOut.model_validate(
        {
            "id": item.id,
            "kind": item.kind.value,
            "version": item.version,
            "created_at": item.created_at,
            "updated_at": item.updated_at,
            **{name: state.get(name) for name in _STATE},
            "assignees": list(state.get("assignees") or ()),
            "tags": list(state.get("tags") or ()),
            "published": bool(state.get("published")),
            "archived": bool(state.get("archived")),
            "customer": customer,
            "fields": {key.removeprefix(CUSTOM): value for key, value in state.items() if key.startswith(CUSTOM)},
        }
    )


def _message_out(row: items.AnyRow, files: Sequence[items.AnyRow]) -> dict[str, Any]:
    return {
        **row._mapping,
        "author": row.author_kind,
        "name": row.author_name,
        "address": row.author_address,
        "at": row.created_at,
        "files": [dict(one._mapping) for one in files],
    }


def _event_out(row: items.AnyRow, history: Sequence[items.AnyRow]) -> dict[str, Any]:
    return {
        **row._mapping,
        "actor": {"kind": row.actor_kind, "ref": row.actor_ref, "name": row.actor_name},
        "root": row.id if row.root_id is None else row.root_id,
        "message": row.message_id,
        "causes": [{**one._mapping, **one.change, "by": one.actor_name} for one in history],
    }


def _run_out(row: items.AnyRow) -> dict[str, Any]:
    outcome: Mapping[str, Any] = row.outcome or {}
    return {
        **row._mapping,
        "ticket": row.item_id,
        "event": row.event_id,
        "error": outcome.get("error"),
        "stop_reason": outcome.get("stop_reason") or "",
        "log": outcome.get("log") or [],
        "calls": outcome.get("calls") or [],
        "actions": outcome.get("actions") or [],
        "usage": outcome.get("usage") or {},
    }


# Errors ----------------------------------------------------------------------------------------------------------

_STATUS: dict[type[TicketsError], int] = {
    ItemNotFound: 404,
    PersonNotFound: 404,
    StaleItem: 412,
    BadValue: 422,
    UnknownField: 422,
    AttachmentRefused: 413,
}


def _problem(
    status: int, detail: str, *, errors: Any = None, headers: Mapping[str, str] | None = None, reference: str = ""
) -> ResponseReturnValue:
    reference = reference or secrets.token_hex(4)
    log.info("api.refused", extra={"status": status, "reference": reference, "endpoint": request.endpoint})
    title = TITLES.get(status, TITLES[400 if status < 500 else 500])
    problem = Problem(title=title, status=status, detail=detail, reference=reference, errors=errors)
    response = _json(problem.model_dump(mode="json", exclude_none=True), status)
    response.mimetype = PROBLEM
    response.headers.extend(dict(headers or {}))
    return response


@pages.errorhandler(Refused)
def refused(error: Refused) -> ResponseReturnValue:
    return _problem(error.status, error.detail, headers=error.headers)


@pages.errorhandler(HTTPError)
def not_valid(error: HTTPError) -> ResponseReturnValue:
    """What APIFlask finds wrong with a request: every field at once."""
    found: Mapping[str, list[str]] = next(iter(error.detail.values()), {})
    said = "; ".join(f"{field}: {' '.join(sentences)}" for field, sentences in found.items())
    return _problem(error.status_code, said[:2_000], errors=found or None)


@pages.errorhandler(HTTPException)
def not_possible(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    said = str(error.description) if status < 500 or isinstance(error.description, Sentence) else ""
    return _problem(status, said, headers={"Retry-After": "60"} if status == 429 else None)


@pages.errorhandler(TicketsError)
def not_done(error: TicketsError) -> ResponseReturnValue:
    status = _STATUS.get(type(error))
    if status is None:
        return broken(error)
    return _problem(status, str(error))


@pages.errorhandler(Exception)
def broken(error: Exception) -> ResponseReturnValue:
    if isinstance(error, AWAY):
        log.warning("api.database", exc_info=error)
        return _problem(503, "The database did not answer. Nothing was done.", headers={"Retry-After": "10"})
    reference = secrets.token_hex(4)
    log.error("api.broken", exc_info=error, extra={"reference": reference, "endpoint": request.endpoint})
    return _problem(500, "Nothing was saved. Give the reference to whoever looks after Deskhand.", reference=reference)


def install(app: APIFlask) -> None:
    """Describe the API in /api/openapi.json: the token, and errors as they are sent."""
    app.security_schemes = {"Token": {"type": "http", "scheme": "bearer", "bearerFormat": "dh_<id>_<secret>"}}
    app.config.update(
        HTTP_ERROR_SCHEMA=Problem.model_json_schema(),
        VALIDATION_ERROR_SCHEMA=Problem.model_json_schema(),
        VALIDATION_ERROR_DESCRIPTION=TITLES[422],
        AUTO_404_RESPONSE=False,
        AUTO_AUTH_ERROR_RESPONSE=False,
    )

    @app.before_request
    def no_address() -> ResponseReturnValue | None:
        """A number that can be no ticket's leads to none of the routes above: it is answered as they would."""
        if request.path.startswith(f"{pages.url_prefix}/") and isinstance(request.routing_exception, NotFound):
            return _problem(404, NO_ADDRESS)
        return None

    @app.spec_processor
    def as_sent(spec: dict[Any, Any] | str) -> dict[Any, Any] | str:
        assert isinstance(spec, dict)
        for path in spec.get("paths", {}).values():
            for method, operation in path.items():
                for status, response in operation.get("responses", {}).items():
                    content = response.get("content", {})
                    if status[0] in "45" and "application/json" in content:
                        content[PROBLEM] = content.pop("application/json")
                headers = {"post": "Idempotency-Key", "patch": "If-Match"}
                if method in headers:
                    operation.setdefault("parameters", []).append(
                        {"name": headers[method], "in": "header", "required": False, "schema": {"type": "string"}}
                    )
        return spec
