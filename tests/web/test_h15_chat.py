"""H15: live chat on the same events, rules and inbox as mail and forms."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from tests.rows.desk import a_rule
from tests.web.desk import Desk, send, token
from tickets.tables import Brand, Message, Person, Seen, WorkItem


def start(client: FlaskClient, text: str = "Where is my parcel?", **more: str) -> dict[str, Any]:
    answer = client.post("/chat/acme/start", json={"text": text, **more})
    assert answer.status_code == 201, answer.json
    assert answer.json is not None
    return dict(answer.json)


def of(began: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {began['token']}"}


def new(client: FlaskClient, began: dict[str, Any], after: int = 0) -> list[tuple[str, str]]:
    answer = client.get(f"/conversation/new?after={after}", headers=of(began))
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    return [(one["author"], one["text"]) for one in answer.json["messages"]]


def stored(desk: Desk, what: Any) -> list[Any]:
    with desk.services.db.read() as connection:
        return [tuple(row) for row in connection.execute(what)]


def test_a_conversation_is_a_ticket_that_the_rules_decide(desk: Desk, client: FlaskClient) -> None:
    desk.publish()
    start(client, "I want a refund for ORD-7", name="Kim", email="Kim@customer.test")
    desk.work()
    state = desk.state(1)
    assert (state["channel"], state["brand"], state["team"], state["published"]) == ("chat", "acme", "sales", True)
    assert state["subject"] == "I want a refund for ORD-7"


def test_the_agents_answer_appears_and_counts_as_seen_and_a_note_does_not(
    desk: Desk, client: FlaskClient, agent: FlaskClient
) -> None:
    began = start(client)
    send(agent, "/tickets/1/messages", {"text": "It arrives today.", "kind": "reply"})
    send(agent, "/tickets/1/messages", {"text": "Jo lost it.", "kind": "note"})
    assert new(client, began, began["messages"][-1]["id"]) == [("agent", "It arrives today.")]
    person = stored(desk, select(Person.id))[0][0]
    assert stored(desk, select(Seen.message_id).where(Seen.who == f"person:{person}")) == [(2,)]


def test_the_bot_speaks_in_the_name_of_the_store_and_a_colleague_in_their_own(
    desk: Desk, client: FlaskClient, agent: FlaskClient
) -> None:
    a_rule(desk, {"on": "created"}, then=[("post_message", {"text": "We are here."})])
    began = start(client)
    desk.work()
    send(agent, "/tickets/1/messages", {"text": "It arrives today.", "kind": "reply"})
    answer = client.get("/conversation/new?after=0", headers=of(began))
    assert answer.json is not None
    said = [(one["author"], one["name"]) for one in answer.json["messages"]]
    [(label,)] = stored(desk, select(Brand.label).where(Brand.key == "acme"))
    assert said == [("you", ""), ("bot", label), ("agent", "Ana Nowak")]


def test_what_is_said_goes_onto_the_same_ticket(desk: Desk, client: FlaskClient) -> None:
    began = start(client)
    answer = client.post("/conversation/say", json={"text": "And my invoice?"}, headers=of(began))
    assert answer.status_code == 201
    assert new(client, began) == [("you", "Where is my parcel?"), ("you", "And my invoice?")]
    assert stored(desk, select(WorkItem.id)) == [(1,)]
    assert stored(desk, select(Message.channel).distinct()) == [("chat",)]


def test_without_an_address_the_visitor_is_somebody_of_whom_nothing_is_known(desk: Desk, client: FlaskClient) -> None:
    start(client)
    start(client)
    assert stored(desk, select(Person.name, Person.anonymous)) == [("", True), ("", True)]


@pytest.mark.parametrize("held", ["", "Bearer", "Bearer nothing", "Basic x", "Bearer W10.x.y"])
def test_without_its_token_a_conversation_is_closed(held: str, desk: Desk, client: FlaskClient) -> None:
    start(client)
    headers = {"Authorization": held} if held else {}
    assert client.get("/conversation/new", headers=headers).status_code == 401
    assert client.post("/conversation/say", json={"text": "x"}, headers=headers).status_code == 401
    assert len(stored(desk, select(Message.id))) == 1


def test_a_token_opens_its_own_conversation_only_and_ends_with_a_day(desk: Desk, client: FlaskClient) -> None:
    one, other = start(client, "One"), start(client, "Other")
    assert new(client, one) == [("you", "One")]
    assert new(client, other) == [("you", "Other")]
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == 1).values(published=False))
        connection.execute(update(WorkItem).where(WorkItem.id == 2).values(customer=1))
    for began in (one, other):
        assert client.get("/conversation/new", headers=of(began)).status_code == 410
        assert client.post("/conversation/say", json={"text": "x"}, headers=of(began)).status_code == 410
    assert len(stored(desk, select(Message.id))) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""},
        {"text": " \0 "},
        {"text": "x" * 4_001},
        {"text": ["x"]},
        {"text": "x", "email": "nobody"},
        {},
        [],
        "text",
    ],
)
def test_what_cannot_be_sent_is_said_and_nothing_is_kept(body: Any, desk: Desk, client: FlaskClient) -> None:
    answer = client.post("/chat/acme/start", json=body)
    assert (answer.status_code, bool(answer.json and answer.json["problem"])) == (422, True)
    assert stored(desk, select(WorkItem.id)) == []


def test_half_of_an_emoji_is_a_sign_and_no_error(desk: Desk, client: FlaskClient) -> None:
    half = b'{"text": "Thanks \\ud83d", "name": "Camille \\ud83d"}'  # what a text cut at so many characters can end in
    began = client.post("/chat/acme/start", data=half, content_type="application/json")
    assert (began.status_code, began.json["messages"][0]["text"] if began.json else "") == (201, "Thanks \ufffd")
    held = of(began.json or {})
    assert client.post("/conversation/say", data=half, content_type="application/json", headers=held).status_code == 201
    assert stored(desk, select(Message.text)) == [("Thanks \ufffd",)] * 2
    everything = new(client, began.json or {})
    assert len(everything) == 2
    assert new(client, began.json or {}, after=10**30) == everything  # as if it were not given


def test_a_robot_and_an_unknown_brand_make_nothing(desk: Desk, client: FlaskClient) -> None:
    answer = client.post("/chat/acme/start", json={"text": "Buy", "website": "https://x.test"})
    assert answer.status_code == 200
    assert answer.json is not None
    assert client.get("/conversation/new", headers=of(answer.json)).status_code == 410
    assert client.post("/chat/nobody/start", json={"text": "Hello"}).status_code == 404
    assert client.get("/chat/nobody").status_code == client.get("/chat/nobody/button.js").status_code == 404
    assert stored(desk, select(WorkItem.id)) == []


def test_other_sites_may_frame_the_chat_and_nothing_else(client: FlaskClient) -> None:
    page = client.get("/chat/acme")
    assert "frame-ancestors *" in page.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in page.headers
    assert "Set-Cookie" not in page.headers
    assert client.get("/chat/acme/button.js").headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    form = client.get("/form/acme")
    assert "frame-ancestors 'none'" in form.headers["Content-Security-Policy"]
    assert form.headers["X-Frame-Options"] == "DENY"
    assert token(form)


def test_a_brands_name_is_data_in_the_script_that_sites_embed(client: FlaskClient) -> None:
    source = client.get("/chat/acme/button.js").get_data(as_text=True)
    assert '"http://localhost/chat/acme"' in source
