"""Small pages: the bell, colours, health, and errors for people."""

from __future__ import annotations

import json
import logging

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from jobs.logs import JsonLines
from tests.environment.redis import RedisServer
from tests.environment.sandbox import SandboxService
from tests.web.desk import Desk, a_desk, send
from tickets import store as items
from tickets.events import Cause
from tickets.tables import Notification
from web import create_app
from web.access import open_to_all
from web.look import age, duration, file_size, initials, plain


def ring(desk: Desk, item_id: int, text: str, user: str = "ana") -> None:
    with desk.services.db.write() as connection:
        items.notify(
            connection, [user], item_id, text, cause=Cause("table", "A01", 1), key=f"{text}", now=desk.clock.now()
        )


# The bell --------------------------------------------------------------------------------------------------------


def test_the_bell_counts_unread_lines_and_a_click_opens_the_ticket(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    ring(desk, item_id, "A VIP waits")
    assert ">1<span" in agent.get("/bell").get_data(as_text=True)
    answer = send(agent, "/bell/1")
    assert answer.location == f"/tickets/{item_id}"
    page = agent.get("/bell").get_data(as_text=True)
    assert "A VIP waits" in page
    assert 'class="unread"' not in page


def test_nobody_reads_or_settles_anothers_line(desk: Desk, agent: FlaskClient) -> None:
    desk.user("marc", "agent")
    ring(desk, desk.ticket("Refund"), "Only for Marc", user="marc")
    assert "Only for Marc" not in agent.get("/bell").get_data(as_text=True)
    assert send(agent, "/bell/1").status_code == 404
    send(agent, "/bell/read")
    with desk.services.db.read() as connection:
        assert connection.execute(select(Notification.read_at)).scalar_one() is None


def test_a_line_about_a_ticket_one_may_no_longer_see_is_gone(desk: Desk, agent: FlaskClient) -> None:
    ring(desk, desk.ticket("Secret", team="ethics"), "Look at this")
    page = agent.get("/bell").get_data(as_text=True)
    assert "Look at this" not in page
    assert "Nothing yet" in page


# Colours ---------------------------------------------------------------------------------------------------------


def test_the_chosen_colours_come_with_the_page(agent: FlaskClient) -> None:
    assert "data-theme" not in agent.get("/").get_data(as_text=True)
    answer = send(agent, "/theme", {"theme": "dark", "next": "/bell"})
    assert answer.location == "/bell"
    assert '<html lang="en" data-theme="dark">' in agent.get("/").get_data(as_text=True)
    send(agent, "/theme", {"theme": "light"})
    assert 'data-theme="light"' in agent.get("/").get_data(as_text=True)


def test_a_made_up_colour_changes_nothing_and_leads_nowhere_else(agent: FlaskClient) -> None:
    answer = send(agent, "/theme", {"theme": '"><script>', "next": "//evil.test"})
    assert answer.location == "/"
    assert "Set-Cookie" not in answer.headers or "theme=" not in answer.headers["Set-Cookie"]
    agent.set_cookie("theme", '"><script>')
    assert "data-theme" not in agent.get("/").get_data(as_text=True)


# Health ----------------------------------------------------------------------------------------------------------


def test_ready_when_database_redis_and_sandbox_are(
    desk: Desk, redis_server: RedisServer, sandbox_service: SandboxService, tmp_path: object
) -> None:
    from dataclasses import replace

    from sandbox.client import Sandbox

    services = replace(desk.services, sandbox=Sandbox(sandbox_service.socket))
    client = create_app(services).test_client()
    answer = client.get("/readyz")
    assert answer.json is not None
    assert answer.json["missing"] == []
    assert answer.status_code == 200
    assert answer.json["oldest_due_s"] == 0
    desk.ticket()
    desk.clock.move(seconds=90)
    late = client.get("/readyz")
    assert (late.status_code, late.json and late.json["oldest_due_s"]) == (200, 90)
    assert client.get("/healthz").json == {"status": "ok"}


def test_what_people_change_is_logged_by_ids_and_what_they_read_is_not(
    desk: Desk, agent: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    item_id = desk.ticket()
    caplog.set_level("INFO")
    agent.get(f"/tickets/{item_id}")
    assert [one for one in caplog.records if one.message == "web.change"] == []
    send(agent, f"/tickets/{item_id}/messages", {"text": "A secret", "kind": "note"})
    desk.work()
    lines = [json.loads(JsonLines().format(one)) for one in caplog.records if one.name.startswith(("web", "jobs"))]
    change = next(one for one in lines if one["event"] == "web.change")
    assert (change["page"], change["item"], change["user"], change["status"]) == ("ticket.write", item_id, "ana", 303)
    assert [one["item"] for one in lines if one["event"] == "event.done"] == [item_id, item_id]
    assert "A secret" not in json.dumps(lines)


def test_not_ready_names_what_is_missing_and_nothing_that_should_stay_inside(client: FlaskClient, desk: Desk) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert [one["name"] for one in answer.json["missing"]] == ["sandbox"]
    assert str(desk.services.settings.data) not in answer.get_data(as_text=True)
    assert client.get("/healthz").status_code == 200


def test_not_ready_while_redis_is_away(make_database: object, tmp_path: object, redis_server: RedisServer) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    away = a_desk(make_database("sqlite"), folder, f"unix://{folder}/nobody.sock")  # type: ignore[operator]
    browser = create_app(away.services).test_client()
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json is not None
    assert "redis" in [one["name"] for one in answer.json["missing"]]
    # Pages work all the same: Redis only carries hints.
    assert browser.get("/sign-in").status_code == 200
    away.services.close()


# Errors ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(desk: Desk) -> APIFlask:
    """An application with a page that has a bug."""

    @open_to_all("a test")
    def page() -> str:
        raise KeyError("password=hunter2")

    app = create_app(desk.services)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/broken", "broken", page)
    app.add_url_rule("/api/broken", "broken_api", page)
    return app


def test_a_bug_shows_a_reference_and_never_a_traceback(broken: APIFlask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = broken.test_client().get("/broken")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "Something broke on our side" in page
    assert "What you asked for was not saved" in page
    assert "hunter2" not in page
    assert "Traceback" not in page
    reference = caplog.records[0].reference  # type: ignore[attr-defined]
    assert f"500-{reference}" in page
    assert caplog.records[0].exc_info is not None


def test_a_program_gets_its_error_as_json(broken: APIFlask) -> None:
    answer = broken.test_client().get("/api/broken")
    assert answer.status_code == 500
    assert answer.json is not None
    assert sorted(answer.json) == ["detail", "error", "reference"]
    assert "hunter2" not in answer.get_data(as_text=True)


def test_a_partial_update_gets_one_sentence(agent: FlaskClient) -> None:
    answer = agent.get("/tickets/999", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
    assert answer.get_data(as_text=True).startswith("There is nothing here. Nothing was changed or sent.")


def test_a_wrong_method_is_an_error_page_too(agent: FlaskClient) -> None:
    answer = agent.get("/sign-out")
    assert answer.status_code == 405
    assert "This page cannot be used like that" in answer.get_data(as_text=True)


def test_go_back_never_leads_to_another_site(agent: FlaskClient) -> None:
    away = agent.get("/nowhere", headers={"Referer": "http://evil.test/x"}).get_data(as_text=True)
    near = agent.get("/nowhere", headers={"Referer": "http://localhost/bell"}).get_data(as_text=True)
    assert 'class="btn" href="/"' in away
    assert 'class="btn" href="/bell"' in near


# Words -----------------------------------------------------------------------------------------------------------


def test_values_read_as_people_write_them(app: APIFlask, desk: Desk) -> None:
    with app.test_request_context():
        assert [plain(value) for value in (None, True, 1.5, "x", ["a", "b"], {"city": "Lyon"}, [])] == [
            "none",
            "yes",
            "1.5",
            "x",
            "a, b",
            "city: Lyon",
            "none",
        ]
        assert len(plain("x" * 1_000)) == 400
        at = desk.clock.now()
        ages = []
        for seconds in (0, 90, 7_200, 200_000):
            desk.clock.at = at
            desk.clock.move(seconds=seconds)
            from flask import g

            g.pop("now", None)
            ages.append(age(at))
        assert ages == ["just now", "1 min ago", "2 h ago", "Sat 21 Nov, 09:31"]
    assert [duration(s) for s in (0.0002, 0.0139, 1.38, 200, 7_300)] == ["< 1 ms", "14 ms", "1.4 s", "3 min", "2.0 h"]
    assert [file_size(n) for n in (820, 14_200, 2_140_000)] == ["820 B", "14 kB", "2.1 MB"]
    assert [initials(name) for name in ("Ana Nowak", "kim", "", "Ana Maria de Nowak", "a@b.test")] == [
        "AN",
        "K",
        "?",
        "AN",
        "AB",
    ]
