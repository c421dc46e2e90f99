"""The JSON API: who gets in, tickets in and out, repeated requests, and that a refusal changes nothing."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select, update

from jobs.tables import ApiToken, IdempotencyKey, OutboxRow, RunRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.intake.api import Api, problem
from tests.intake.mail import a_mail, events, how_many, messages, take
from tests.web.desk import Desk, let_in
from tickets.db import Database
from tickets.events import ActorKind, EventKind
from tickets.tables import CustomField, User, WorkItem
from web import api_store, create_app

CAMILLE = {"email": "Camille@customer.test", "name": "Camille Laurent"}


def one_ticket(api: Api, **more: Any) -> dict[str, Any]:
    answer = api.post("tickets", {"subject": "Where is my order?", "customer": CAMILLE, "text": "Hello", **more})
    assert answer.status_code == 201, answer.json
    assert answer.json is not None
    made: dict[str, Any] = answer.json
    return made


# At the door -----------------------------------------------------------------------------------------------------


def test_without_a_token_nobody_gets_in(desk: Desk, client: FlaskClient) -> None:
    for authorization in [
        "",
        "Bearer",
        "Bearer dh_0000000000000000_" + "0" * 64,
        "Bearer dh_x_y",
        "Basic YTpi",
        "Bearer " + "x" * 9_000,
    ]:
        headers = {"Authorization": authorization} if authorization else {}
        for call in (
            client.get("/api/v1/tickets", headers=headers),
            client.post("/api/v1/tickets", json={}, headers=headers),
        ):
            assert problem(call)[0] == 401
            assert call.headers["WWW-Authenticate"] == "Bearer"


def test_a_session_is_no_token(desk: Desk, app: APIFlask) -> None:
    client = app.test_client()
    let_in(client, desk.user("ana", "admin"))
    assert client.get("/api/v1/tickets").status_code == 401
    assert client.post("/api/v1/tickets", json={"subject": "x"}).status_code == 401
    assert how_many(desk)["items"] == 0


def test_a_token_with_a_wrong_secret_expired_revoked_or_of_somebody_gone_is_none(desk: Desk, api: Api) -> None:
    assert api.get("tickets").status_code == 200
    good = api.token
    api.token = good[:-1] + ("0" if good[-1] != "0" else "1")
    assert problem(api.get("tickets"))[0] == 401
    api.token = good
    desk.clock.move(days=1)
    assert problem(api.get("tickets"))[0] == 401
    desk.clock.move(days=-1)
    with desk.services.db.write() as connection:
        connection.execute(update(ApiToken).values(revoked_at=desk.clock.now()))
    assert problem(api.get("tickets"))[0] == 401
    with desk.services.db.write() as connection:
        connection.execute(update(ApiToken).values(revoked_at=None))
        connection.execute(update(User).values(active=False))
    assert problem(api.get("tickets"))[0] == 401


def test_only_the_hash_of_a_token_is_kept(desk: Desk, api: Api) -> None:
    with desk.services.db.read() as connection:
        row = connection.execute(select(ApiToken.__table__)).one()
    assert api.token.split("_")[2] not in str(tuple(row))


def test_a_user_without_a_role_that_works_tickets_gets_403(desk: Desk, app: APIFlask) -> None:
    desk.user("nobody")
    assert problem(Api(app.test_client(), desk.services, "nobody").get("tickets")) == (
        403,
        "nobody has no role that works tickets",
    )


# Tickets ---------------------------------------------------------------------------------------------------------


def test_a_ticket_is_made_with_its_customer_and_first_message(desk: Desk, api: Api) -> None:
    made = one_ticket(api, priority="high", tags=["b", "a"], team="billing", brand="acme", language="fr")
    assert {
        key: made[key] for key in ("kind", "version", "priority", "tags", "team", "brand", "channel", "status")
    } == {
        "kind": "ticket",
        "version": 1,
        "priority": "high",
        "tags": ["a", "b"],
        "team": "billing",
        "brand": "acme",
        "channel": "api",
        "status": "open",
    }
    assert made["customer"]["email"] == "camille@customer.test"
    (message,) = messages(desk, made["id"])
    assert (message.author_kind, message.public, message.text) == ("customer", True, "Hello")
    (event,) = events(desk, made["id"])
    assert (event.kind, event.actor.kind) == (EventKind.CREATED, ActorKind.CUSTOMER)
    assert (event.payload["via"], event.payload["user"]) == ("api", "ana")


def test_without_a_customer_the_first_message_is_an_internal_note_of_the_tokens_user(desk: Desk, api: Api) -> None:
    made = one_ticket(api, customer=None)
    (message,) = messages(desk, made["id"])
    assert (message.author_kind, message.author_user, message.public) == ("agent", "ana", False)
    assert events(desk, made["id"])[0].actor.ref == "ana"


def test_the_answer_names_the_address_and_the_version(desk: Desk, api: Api) -> None:
    answer = api.post("tickets", {"subject": "x"})
    assert answer.json is not None
    assert answer.headers["Location"] == f"/api/v1/tickets/{answer.json['id']}"
    read = api.get(answer.headers["Location"])
    assert (read.json, read.headers["ETag"]) == (answer.json, '"1"')


def test_what_is_not_possible_is_said_and_nothing_is_made(desk: Desk, api: Api) -> None:
    for body, said in [
        ({}, "subject: Field required"),
        ({"subject": "x", "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"subject": "x", "priority": "huge"}, "Priority is one of low, normal, high, urgent, critical, not 'huge'"),
        ({"subject": "x", "team": "nowhere"}, "There is no team 'nowhere'"),
        ({"subject": "x", "assignees": ["ghost"]}, "There is no user 'ghost'"),
        ({"subject": "x", "fields": {"colour": "red"}}, "Items have no field 'fields.colour'"),
        ({"subject": "x", "customer": {"email": "no address"}}, "'no address' is not an e-mail address"),
        ({"subject": "a\x00b"}, "_schema: Value error, body.subject holds a NUL character"),
        ({"subject": "x", "due_at": "2026-11-21T10:00:00"}, "due_at: Input should have timezone info"),
        ([], "_schema: Input should be a valid dictionary or instance of TicketIn"),
    ]:
        assert problem(api.post("tickets", body)) == (422, said)
        assert how_many(desk) == {"items": 0, "messages": 0, "events": 0, "inbound_mails": 0}


def test_every_wrong_field_is_named_at_once(api: Api) -> None:
    answer = api.post("tickets", {"subject": "x" * 501, "text": 5, "tags": "a"})
    assert answer.json is not None
    assert sorted(answer.json["errors"]) == ["subject", "tags", "text"]


def test_what_is_no_json_is_refused(desk: Desk, api: Api) -> None:
    for data, content_type, status in [
        (b"{", "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b"subject=x", "application/x-www-form-urlencoded", 415),
        (b"", "application/json", 400),
        (b'{"subject": "' + b"x" * 2_000_000 + b'"}', "application/json", 413),
        (b'{"subject": "\xff"}', "application/json", 400),
    ]:
        headers = {"Authorization": f"Bearer {api.token}"}
        answer = api.client.post("/api/v1/tickets", data=data, content_type=content_type, headers=headers)
        assert problem(answer)[0] == status
        assert how_many(desk)["items"] == 0


def test_a_half_surrogate_is_refused(desk: Desk, api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    answer = api.client.post(
        "/api/v1/tickets", data=b'{"subject": "\\ud800"}', content_type="application/json", headers=headers
    )
    assert problem(answer) == (422, "_schema: Value error, body.subject holds half of a surrogate pair")


@pytest.mark.parametrize("path", ["tickets/2147483648", "tickets/2147483648/timeline", "runs/99999999999999999999"])
def test_a_number_that_can_be_no_tickets_is_refused_like_every_other(api: Api, path: str) -> None:
    assert problem(api.get(path)) == (404, "This is no address of the API; /api/openapi.json lists them")


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_is_none_in_utc_is_refused(api: Api, at: str) -> None:
    made = one_ticket(api)
    for name, answer in (
        ("due_at", api.post("tickets", {"subject": "x", "due_at": at})),
        ("due_at", api.patch(f"tickets/{made['id']}", {"due_at": at})),
        ("updated_after", api.get("tickets", updated_after=at)),
    ):
        assert problem(answer) == (422, f"{name}: Value error, There is no such moment in UTC")
    assert api.get(f"tickets/{made['id']}").json == made


def test_custom_fields_go_in_and_out(desk: Desk, api: Api) -> None:
    with desk.services.db.write() as connection:
        connection.execute(
            insert(CustomField).values(kind="ticket", key="topic", label="Topic", type="text", options={})
        )
    made = one_ticket(api, fields={"topic": "refund"})
    assert made["fields"] == {"topic": "refund"}
    changed = api.patch(f"tickets/{made['id']}", {"fields": {"topic": None}})
    assert changed.json is not None
    assert changed.json["fields"] == {}


def test_a_change_is_one_event_of_the_tokens_user(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    body = {"status": "solved", "priority": "urgent", "add_tags": ["x"], "assignees": ["ana"]}
    answer = api.patch(f"tickets/{made['id']}", body, version='"1"')
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    assert (answer.json["version"], answer.headers["ETag"], answer.json["tags"]) == (2, '"2"', ["x"])
    event = events(desk, made["id"])[-1]
    assert (event.kind, event.actor.kind, event.actor.ref) == (EventKind.CHANGED, ActorKind.AGENT, "ana")
    assert sorted(change.field for change in event.changes) == ["assignees", "priority", "status", "tags"]


@pytest.mark.parametrize("version", ['"1"', "1", 'W/"1"', '"nonsense"', '"0"'])
def test_a_change_of_an_older_version_is_refused_and_nothing_is_saved(desk: Desk, api: Api, version: str) -> None:
    made = one_ticket(api)
    api.patch(f"tickets/{made['id']}", {"status": "solved"})
    assert problem(api.patch(f"tickets/{made['id']}", {"status": "closed"}, version=version))[0] == 412
    assert desk.state(made["id"])["status"] == "solved"


def test_a_change_that_changes_nothing_is_no_event(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    answer = api.patch(f"tickets/{made['id']}", {"status": "open"})
    assert (answer.status_code, answer.headers["ETag"], len(events(desk, made["id"]))) == (200, '"1"', 1)


def test_a_refused_part_leaves_the_whole_change_out(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    assert problem(api.patch(f"tickets/{made['id']}", {"status": "solved", "team": "nowhere"}))[0] == 422
    assert problem(api.patch(f"tickets/{made['id']}", {"status": "solved", "language": "xx"}))[0] == 422
    assert desk.state(made["id"])["status"] == "open"


def test_a_public_reply_is_mailed_and_a_note_is_not(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    note = api.post(f"tickets/{made['id']}/messages", {"text": "looks like the carrier"})
    reply = api.post(f"tickets/{made['id']}/messages", {"text": "On its way", "public": True, "status": "solved"})
    assert (note.status_code, reply.status_code) == (201, 201)
    assert reply.json is not None
    with desk.services.db.read() as connection:
        keys = connection.execute(select(OutboxRow.key)).scalars().all()
    assert keys == [f"message:{reply.json['message']}"]
    assert [(one.author_kind, one.public) for one in messages(desk, made["id"])[1:]] == [
        ("agent", False),
        ("agent", True),
    ]
    assert desk.state(made["id"])["status"] == "solved"


def test_a_customers_words_are_a_customer_message(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    answer = api.post(f"tickets/{made['id']}/messages", {"text": "Any news?", "author": "customer"})
    assert answer.status_code == 201
    message = messages(desk, made["id"])[-1]
    assert (message.author_kind, message.public, message.author_name) == ("customer", True, "Camille Laurent")
    event = events(desk, made["id"])[-1]
    assert (event.actor.kind, event.payload["user"]) == (ActorKind.CUSTOMER, "ana")


def test_a_customers_words_need_a_customer(desk: Desk, api: Api) -> None:
    made = one_ticket(api, customer=None)
    answer = api.post(f"tickets/{made['id']}/messages", {"text": "Any news?", "author": "customer"})
    assert problem(answer) == (422, f"Ticket {made['id']} has no customer whose message this could be")
    assert len(messages(desk, made["id"])) == 1


# What one may see ------------------------------------------------------------------------------------------------


def test_what_the_user_may_not_see_does_not_exist(desk: Desk, app: APIFlask, api: Api) -> None:
    hidden = one_ticket(api, team="ethics")["id"]
    missing = hidden + 1_000
    before = how_many(desk)
    for number in (hidden, missing):
        answers = [
            api.get(f"tickets/{number}"),
            api.get(f"tickets/{number}/timeline"),
            api.patch(f"tickets/{number}", {"status": "closed"}),
            api.post(f"tickets/{number}/messages", {"text": "x"}),
        ]
        said = f"There is no ticket {number}, or it is not visible to you"
        assert [problem(answer) for answer in answers] == [(404, said)] * 4
    assert how_many(desk) == before
    assert desk.state(hidden)["status"] == "open"
    assert api.get("tickets").json == {"tickets": [], "next": None}
    desk.user("eva", "agent", teams=("ethics",))
    assert Api(app.test_client(), desk.services, "eva").get(f"tickets/{hidden}").status_code == 200


def test_other_addresses_are_not_found(api: Api) -> None:
    for path in ["tickets/x", "nothing", "", "runs/1", "tickets/1/x"]:
        assert problem(api.get(path))[0] == 404


def test_a_number_no_ticket_can_have_is_not_found(api: Api) -> None:
    assert api.get("tickets/99999999999999999999").status_code == 404


def test_a_method_that_is_not_offered_is_refused(api: Api) -> None:
    answer = api.client.delete("/api/v1/tickets", headers={"Authorization": f"Bearer {api.token}"})
    assert problem(answer)[0] in (404, 405)


# Lists -----------------------------------------------------------------------------------------------------------


def test_the_list_is_narrowed_by_each_filter(desk: Desk, api: Api) -> None:
    one = one_ticket(api, team="billing", priority="high", tags=["vip", "x"], brand="acme", assignees=["ana"])["id"]
    other = one_ticket(api, customer={"email": "other@customer.test"}, kind="task", status="closed")["id"]

    def found(**query: Any) -> list[int]:
        answer = api.get("tickets", **query)
        assert answer.json is not None
        return [ticket["id"] for ticket in answer.json["tickets"]]

    assert found() == [other, one]
    for query in (
        {"team": "billing"},
        {"priority": "high"},
        {"tag": "vip"},
        {"brand": "acme"},
        {"assignee": "ana"},
        {"customer": "CAMILLE@customer.test"},
        {"status": "open"},
        {"kind": "ticket"},
        {"before": other},
    ):
        assert found(**query) == [one], query
    assert found(text="nothing of the kind") == []
    assert found(updated_after="2026-11-21T09:31:00+00:00") == []
    assert found(updated_after="2026-11-21T09:30:59Z") == [other, one]


def test_pages_are_bounded_and_lead_to_the_next(api: Api) -> None:
    numbers = [one_ticket(api)["id"] for _ in range(5)]
    seen: list[int] = []
    path: str | None = "/api/v1/tickets?limit=2&status=open"
    pages = 0
    while path:
        answer = api.get(path)
        assert answer.json is not None
        seen += [one["id"] for one in answer.json["tickets"]]
        path = answer.json["next"]
        pages += 1
    assert (seen, pages) == (numbers[::-1], 3)


def test_a_filter_that_is_none_is_refused(api: Api) -> None:
    refused: list[dict[str, Any]] = [
        {"limit": 101},
        {"limit": 0},
        {"before": "x"},
        {"kind": "horse"},
        {"colour": "red"},
    ]
    for query in refused:
        assert problem(api.get("tickets", **query))[0] == 422


# Once ------------------------------------------------------------------------------------------------------------


def test_the_same_request_under_the_same_key_is_done_once_and_answered_alike(desk: Desk, api: Api) -> None:
    body = {"subject": "x", "text": "once"}
    first, second = (api.post("tickets", body, key="k-1") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json, first.headers["Location"]) == (second.json, second.headers["Location"])
    assert second.headers["Idempotency-Replayed"] == "true"
    assert how_many(desk)["items"] == 1


def test_another_request_under_the_same_key_is_refused(desk: Desk, api: Api) -> None:
    made = one_ticket(api)
    api.post("tickets", {"subject": "x"}, key="k-1")
    for answer in (
        api.post("tickets", {"subject": "y"}, key="k-1"),
        api.post(f"tickets/{made['id']}/messages", {"text": "x"}, key="k-1"),
    ):
        assert problem(answer) == (422, "This Idempotency-Key was used for another request; nothing was done")
    assert (how_many(desk)["items"], len(messages(desk, made["id"]))) == (2, 1)


def test_a_request_under_way_is_409_and_a_dead_one_is_done_again(desk: Desk, api: Api) -> None:
    api.post("tickets", {"subject": "x"}, key="k-1")
    with desk.services.db.write() as connection:
        # As if the first one had not answered yet.
        connection.execute(update(IdempotencyKey).values(status=api_store.IN_FLIGHT, body={}))
    answer = api.post("tickets", {"subject": "x"}, key="k-1")
    assert (problem(answer)[0], answer.headers["Retry-After"], how_many(desk)["items"]) == (409, "1", 1)
    desk.clock.move(seconds=api_store.DEAD_S + 1)
    assert (api.post("tickets", {"subject": "x"}, key="k-1").status_code, how_many(desk)["items"]) == (201, 2)


def test_several_at_the_same_moment_under_one_key_are_done_once(desk: Desk, app: APIFlask, api: Api) -> None:
    start = threading.Barrier(4)
    statuses: list[int] = []

    def call() -> None:
        mine = Api.__new__(Api)
        mine.client, mine.token = app.test_client(), api.token
        start.wait(timeout=60)
        statuses.append(mine.post("tickets", {"subject": "x"}, key="k-1").status_code)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=100)
    assert how_many(desk)["items"] == 1
    assert statuses.count(201) >= 1
    assert set(statuses) <= {201, 409}


def test_a_refusal_gives_the_key_back(desk: Desk, api: Api) -> None:
    assert problem(api.post("tickets", {"subject": "x", "team": "nowhere"}, key="k-1"))[0] == 422
    assert api.post("tickets", {"subject": "x"}, key="k-1").status_code == 201


def test_keys_are_each_tokens_own_and_forgotten_after_a_day(desk: Desk, app: APIFlask, api: Api) -> None:
    other = Api(app.test_client(), desk.services, "ana", days=9)
    api.post("tickets", {"subject": "x"}, key="k-1")
    assert other.post("tickets", {"subject": "y"}, key="k-1").status_code == 201
    desk.clock.move(hours=api_store.KEPT_H, seconds=1)
    assert other.post("tickets", {"subject": "z"}, key="k-1").status_code == 201
    with desk.services.db.read() as connection:
        mine = connection.execute(
            select(func.count()).select_from(IdempotencyKey).where(IdempotencyKey.principal == other.token[3:19])
        )
        assert mine.scalar_one() == 1


def test_keys_within_a_day_are_bounded(desk: Desk, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_store, "KEYS", 2)
    assert [api.post("tickets", {"subject": "x"}, key=f"k-{n}").status_code for n in range(2)] == [201, 201]
    assert problem(api.post("tickets", {"subject": "x"}, key="k-9"))[0] == 429
    assert how_many(desk)["items"] == 2


def test_a_key_that_is_none_is_refused(desk: Desk, api: Api) -> None:
    for key in ["", "a b", "x" * 201, "é"]:
        assert problem(api.post("tickets", {"subject": "x"}, key=key))[0] == 422
        assert how_many(desk)["items"] == 0


# The timeline ----------------------------------------------------------------------------------------------------


def test_the_timeline_tells_what_happened_and_why(desk: Desk, api: Api) -> None:
    code = desk.publish()
    item_id = take(desk, a_mail("Please refund me", subject="My refund")).item_id
    assert item_id is not None
    desk.card(item_id, "crm.customer", {"tier": "gold"}, title="Customer")
    desk.work()
    answer = api.get(f"tickets/{item_id}/timeline")
    assert answer.json is not None
    told = answer.json
    assert (told["ticket"]["team"], told["ticket"]["priority"], told["cut"]) == ("billing", "high", False)
    assert [one["text"] for one in told["messages"]] == ["Please refund me"]
    created, acted = told["events"]
    assert (created["kind"], created["actor"]["kind"], created["depth"]) == ("created", "customer", 0)
    assert (acted["actor"]["kind"], acted["root"], acted["depth"]) == ("automation", created["id"], 1)
    causes = {one["field"]: one for one in acted["causes"]}
    assert (causes["team"]["after"], causes["team"]["outcome"]) == ("billing", "done")
    assert (causes["team"]["cause"]["code"], causes["team"]["cause"]["row"]) == (code, "r2")
    assert [(one["key"], one["data"]) for one in told["context"]] == [("crm.customer", {"tier": "gold"})]
    decision = told["decisions"][0]
    assert (decision["event"], decision["outcome"], decision["applied_event"]) == (created["id"], "acted", acted["id"])
    assert code in json.dumps(decision["trace"])


def test_a_run_is_told_with_its_log_and_only_to_who_may_see_its_ticket(desk: Desk, api: Api) -> None:
    item_id = one_ticket(api)["id"]
    event = events(desk, item_id)[0]
    with desk.services.db.write() as connection:
        code = rule_list.create(
            connection, EntryKind.SCRIPT, "Double charge", {"source": ""}, author="ana", now=desk.clock.now()
        )
        run_id = connection.execute(
            insert(RunRow)
            .values(
                key="a-step",
                item_id=item_id,
                event_id=event.id,
                script=code,
                version=1,
                params={"days": 7},
                cause={"kind": "table"},
                root_id=event.id,
                depth=1,
                status="finished",
                attempt=1,
                outcome={"log": [{"line": 3, "text": "two charges"}], "error": None, "usage": {"wall_s": 0.1}},
                created_at=desk.clock.now(),
            )
            .returning(RunRow.id)
        ).scalar_one()
    told = api.get(f"runs/{run_id}").json
    assert told is not None
    assert (told["script"], told["status"], told["params"]) == (code, "finished", {"days": 7})
    assert told["log"] == [{"line": 3, "text": "two charges"}]
    in_timeline = api.get(f"tickets/{item_id}/timeline").json
    assert in_timeline is not None
    assert in_timeline["runs"] == [told]
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == item_id).values(team="ethics"))
    assert problem(api.get(f"runs/{run_id}"))[0] == 404


def test_the_database_away_is_503(desk: Desk, app: APIFlask, api: Api) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    other = create_app(replace(desk.services, db=away))
    other.testing = True
    answer = other.test_client().get("/api/v1/tickets", headers={"Authorization": f"Bearer {api.token}"})
    assert (problem(answer)[0], answer.headers["Retry-After"]) == (503, "10")
    away.close()


def test_the_description_names_every_address_and_the_errors_as_sent(app: APIFlask) -> None:
    spec = app.test_client().get("/api/openapi.json").json
    assert spec is not None
    told = {(method.upper(), path) for path, methods in spec["paths"].items() for method in methods}
    assert told == {
        ("POST", "/api/v1/tickets"),
        ("GET", "/api/v1/tickets"),
        ("GET", "/api/v1/tickets/{item_id}"),
        ("PATCH", "/api/v1/tickets/{item_id}"),
        ("POST", "/api/v1/tickets/{item_id}/messages"),
        ("GET", "/api/v1/tickets/{item_id}/timeline"),
        ("GET", "/api/v1/runs/{run_id}"),
        ("POST", "/api/v1/tickets/{item_id}/links"),
        ("POST", "/api/v1/requests"),
        ("GET", "/api/v1/requests/{request_id}"),
        ("PATCH", "/api/v1/requests/{request_id}"),
    }
    create = spec["paths"]["/api/v1/tickets"]["post"]
    assert list(create["responses"]["422"]["content"]) == ["application/problem+json"]
    assert create["security"] == [{"Token": []}]
    assert "Idempotency-Key" in [one["name"] for one in create["parameters"]]
