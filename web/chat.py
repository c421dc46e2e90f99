"""Live chat: a button for a brand's own site, a small page in a frame, and messages on the same tickets as mail.

A conversation is one ticket of the channel "chat". Who began it holds a signed token that opens this conversation and
nothing else; there is no session and no cookie here, so another site's frame changes nothing. What is shown in the
window counts as seen; the rest is mailed like every unseen reply when an address is known.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, g, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext
from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Connection, insert, select

from connectors.channels.mail_text import guess_language, plain
from jobs.queues import Work
from jobs.telling import tell_of_message
from tickets import people
from tickets import store as items
from tickets.db import upsert
from tickets.errors import ItemNotFound
from tickets.events import Actor, ActorKind
from tickets.item import LANGUAGES, Item, ItemKind
from tickets.tables import Brand, Message, Person, Seen
from tickets.values import JSON
from web import names_store
from web.access import open_to_all
from web.context import now, services
from web.forms import a_number, looks_like_email
from web.limits import limiter

pages = Blueprint("chat", __name__)
#: For the page in the frame, without session and form token; `create_app` exempts it from CSRF by name.
programs = Blueprint("chat_messages", __name__)

#: How often one caller may begin a conversation, write, and look.
STARTS = "6 per minute; 30 per hour"
WORDS = "30 per minute; 400 per hour"
LOOKS = "120 per minute"
#: Characters of a message, of a name, and of a subject made of a first message.
TEXT_CHARS = 4_000
NAME_CHARS = 200
SUBJECT_CHARS = 80
#: Seconds a conversation's token is good for, and messages of one answer.
TOKEN_S = 24 * 3600
MESSAGES = 50
#: Seconds a look waits for something new, how often it looks meanwhile, and how many wait at once in one process, so
#: that pages always find a thread. Who finds no place is answered at once and told when to come again.
WAIT_S = 20.0
LOOK_EVERY_S = 0.7
WAITING = 3
AGAIN_MS = 4_000

_places = threading.BoundedSemaphore(WAITING)


@dataclass(frozen=True, slots=True)
class Talk:
    """Whose conversation a token opens."""

    item_id: int
    person_id: int


@pages.get("/chat/<brand>")
@open_to_all("customers write to us here")
def window(brand: str) -> ResponseReturnValue:
    """The conversation's page; without scripts it leads to the brand's form."""
    known = _brand(brand)
    g.framed = True
    return render_template("chat.html", brand=known, text_chars=TEXT_CHARS, name_chars=NAME_CHARS)


@pages.get("/chat/<brand>/button.js")
@open_to_all("customers' sites load it")
def button(brand: str) -> ResponseReturnValue:
    """The script a site embeds: a button that opens the conversation in a frame."""
    known = _brand(brand)
    g.framed = True
    source = render_template(
        "chat_button.js",
        page=url_for("chat.window", brand=known.key, _external=True),
        label=gettext("Chat with us"),
        close=gettext("Close the chat"),
    )
    return Response(source, mimetype="text/javascript", headers={"Cache-Control": "public, max-age=300"})


@programs.post("/chat/<brand>/start")
@open_to_all("customers write to us here")
@limiter.limit(STARTS)
def start(brand: str) -> ResponseReturnValue:
    """Begins a conversation: makes a ticket, answers with its token. A robot gets a token that opens nothing."""
    known = _brand(brand)
    given = _given("text", "name", "email")
    name, email = given["name"][:NAME_CHARS], given["email"]
    problem = _problem(given["text"])
    if not problem and email and not looks_like_email(email):
        problem = gettext("This is no e-mail address. Leave it empty to go on without.")
    if problem:
        return _refused(422, problem)
    if _given("website")["website"]:
        return jsonify(token=_tokens().dumps([0, 0]), messages=[])
    language = guess_language(given["text"]) or str(get_locale() or "en")
    with services().db.write() as connection:
        if email:
            person = people.person_for(connection, email=email, name=name, language=language, now=now())
        else:
            person = connection.execute(
                insert(Person)
                .values(name=name, language=language, anonymous=not name, created_at=now())
                .returning(Person.id)
            ).scalar_one()
        made = items.create_item(
            connection,
            kind=ItemKind.TICKET,
            state={
                "subject": _subject(given["text"]),
                "brand": known.key,
                "channel": "chat",
                "language": language if language in LANGUAGES else None,
                "customer": person,
                "published": True,
            },
            actor=Actor(ActorKind.CUSTOMER, str(person), name or email or gettext("Visitor")),
            now=now(),
            message=_message(given["text"], Talk(0, person), name, email, language),
        )
        said = _messages(connection, Talk(made.item_id, person), 0, known.key)
    services().queues.hint(Work.DRAIN)
    return jsonify(token=_tokens().dumps([made.item_id, person]), messages=said), 201


@programs.post("/conversation/say")
@open_to_all("the conversation's token is checked instead")
@limiter.limit(WORDS)
def say() -> ResponseReturnValue:
    """Adds what the customer wrote to their conversation."""
    talk = _talk()
    text = _given("text")["text"]
    problem = _problem(text)
    if problem:
        return _refused(422, problem)
    with services().db.write() as connection:
        item = _item(connection, talk, lock=True)
        person = people.customer(connection, talk.person_id)
        email = person.emails[0] if person.emails else ""
        message = _message(text, talk, person.name, email, guess_language(text) or "")
        actor = Actor(ActorKind.CUSTOMER, str(talk.person_id), person.name or email or gettext("Visitor"))
        written = items.change_item(connection, item, lines=(), actor=actor, now=now(), messages=(message,))
        if written.message_id is not None:
            tell_of_message(connection, item.id, written.message_id, now())
    services().queues.hint(Work.DRAIN)
    return jsonify(id=written.message_id), 201


@programs.get("/conversation/new")
@open_to_all("the conversation's token is checked instead")
@limiter.limit(LOOKS)
def new() -> ResponseReturnValue:
    """What was said after message `after`; waits up to `wait` seconds for it. Notes that the customer has seen it."""
    talk = _talk()
    after = max(0, request.args.get("after", 0, type=a_number))
    wait_s = min(max(0.0, request.args.get("wait", 0.0, type=float)), WAIT_S)
    said = _look(talk, after)
    if not said and wait_s > 0 and _places.acquire(blocking=False):
        try:
            until = time.monotonic() + wait_s
            while not said and time.monotonic() < until:
                time.sleep(LOOK_EVERY_S)
                said = _look(talk, after)
        finally:
            _places.release()
        return jsonify(messages=said, again_ms=0)
    return jsonify(messages=said, again_ms=0 if said else AGAIN_MS)


def _look(talk: Talk, after: int) -> list[dict[str, Any]]:
    with services().db.read() as connection:
        item = _item(connection, talk)
        said = _messages(connection, talk, after, item.state.get("brand"))
    theirs = [one["id"] for one in said if one["author"] != "you"]
    if theirs:
        with services().db.write() as connection:
            connection.execute(
                upsert(connection, Seen).on_conflict_do_nothing(index_elements=["message_id", "who"]),
                [{"message_id": one, "who": f"person:{talk.person_id}", "at": now()} for one in theirs],
            )
    return said


def _messages(connection: Connection, talk: Talk, after: int, brand: JSON) -> list[dict[str, Any]]:
    """The conversation after this message: public, and nothing of people who do not take part.

    The bot speaks in the name of `brand`."""
    store = connection.execute(select(Brand.label).where(Brand.key == brand)).scalar_one_or_none()
    rows = connection.execute(
        select(
            Message.id,
            Message.author_kind,
            Message.author_person,
            Message.author_name,
            Message.author_user,
            Message.text,
        )
        .where(
            Message.item_id == talk.item_id,
            Message.id > after,
            Message.public,
            Message.author_kind.in_(("customer", "agent", "bot")),
        )
        .order_by(Message.id)
        .limit(MESSAGES)
    )
    return [
        {
            "id": row.id,
            "author": "you" if row.author_kind == "customer" else row.author_kind,
            "name": _name(row, store or ""),
            "text": row.text,
        }
        for row in rows
        if row.author_kind != "customer" or row.author_person == talk.person_id
    ]


def _name(row: items.AnyRow, store: str) -> str:
    """Who speaks, to the visitor: a colleague by name, the bot as the store."""
    if row.author_kind == "customer":
        return ""
    ours = row.author_kind == "bot" and not row.author_user
    return store if ours and store else str(row.author_name)


def _item(connection: Connection, talk: Talk, *, lock: bool = False) -> Item:
    """The conversation's ticket. 410 when it is no longer this customer's, or not for customers to see."""
    try:
        item = items.read_item(connection, talk.item_id, lock=lock)
    except ItemNotFound:
        abort(_refused(410, gettext("This conversation has ended. Begin a new one.")))
    if item.state.get("customer") != talk.person_id or not item.state.get("published"):
        abort(_refused(410, gettext("This conversation has ended. Begin a new one.")))
    return item


def _talk() -> Talk:
    talk = _opened()
    if talk is None:
        abort(_refused(401, gettext("This conversation has ended. Begin a new one.")))
    return talk


def _opened() -> Talk | None:
    """Whose conversation the request's token opens."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind == "Bearer" and 0 < len(token) <= 500:
        try:
            item_id, person_id = _tokens().loads(token, max_age=TOKEN_S)
            return Talk(int(item_id), int(person_id))
        except (BadData, TypeError, ValueError):
            pass
    return None


def _tokens() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(services().settings.keys.session, salt="chat")


def _message(text: str, talk: Talk, name: str, email: str, language: str) -> items.NewMessage:
    return items.NewMessage(
        author="customer",
        public=True,
        channel="chat",
        text=text,
        language=language,
        author_person=talk.person_id,
        author_name=name,
        author_address=email.lower(),
    )


def _subject(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SUBJECT_CHARS else line[: SUBJECT_CHARS - 1].rstrip() + "…"


def _given(*names: str) -> dict[str, str]:
    body = request.get_json(silent=True)
    given = body if isinstance(body, dict) else {}
    values = {name: given.get(name, "") for name in names}
    return {name: plain(value).strip() if isinstance(value, str) else "" for name, value in values.items()}


def _problem(text: str) -> str:
    if not text:
        return gettext("Write something first.")
    if len(text) > TEXT_CHARS:
        return gettext("At most %(n)s characters; please shorten it. Nothing was sent.", n=TEXT_CHARS)
    return ""


def _refused(status: int, sentence: str) -> Response:
    answer = jsonify(problem=sentence)
    answer.status_code = status
    return answer


def _brand(key: str) -> items.AnyRow:
    with services().db.read() as connection:
        found = names_store.brand(connection, key)
    if found is None:
        abort(404)
    return found
