"""The script pages: drafts, the check before publishing, a try that changes nothing, and who may do it."""

from __future__ import annotations

import dataclasses
import html
import re
import time
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import update

from connectors import store as connections
from rules import store as rule_list
from sandbox.client import Sandbox
from tests.builders import dump
from tests.web.desk import Desk, send, token
from tests.web.pages import text_of, words
from tests.web.scripts import BAD, GOOD, a_script, stored
from tickets.tables import User
from web import bundles


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    """A desk whose scripts run in the session's sandbox."""
    return sandboxed_desk


def test_a_new_script_is_a_draft_that_no_rule_can_run_yet(desk: Desk, developer: FlaskClient) -> None:
    answer = send(developer, "/scripts", {"name": "Enrich billing"})
    assert answer.headers["Location"].endswith("/scripts/S01")
    assert stored(desk).live_version is None
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).vocabulary.scripts == {}
    page = text_of(developer.get("/scripts/S01"))
    assert "<textarea data-editor" in page
    assert 'data-check="/scripts/check"' in page


def test_the_editor_shows_the_problems_of_the_draft_without_scripts_too(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk, BAD, live=False)
    page = words(text_of(developer.get("/scripts/S01")))
    assert "Line 1: os cannot be imported." in page
    assert "Line 2: " in page


def test_a_page_without_its_editor_keeps_the_text_field_and_says_so(
    desk: Desk, developer: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_script(desk)
    with_it = text_of(developer.get("/scripts/S01"))
    assert "/static/dist/editor." in with_it
    assert "plain text field" not in with_it
    (tmp_path / "static").mkdir()
    for one in bundles.STATIC.iterdir():
        if one.name != "dist":
            (tmp_path / "static" / one.name).symlink_to(one)
    monkeypatch.setattr(bundles, "STATIC", tmp_path / "static")
    without = text_of(developer.get("/scripts/S01"))
    assert "The script editor was not built on this machine, so this is a plain text field." in words(without)
    assert "Ctrl Space completes" not in without
    assert "/static/dist/" not in without
    assert '<textarea data-editor name="source"' in without
    held = re.findall(r'name="(csrf_token|seen)"[^>]*value="([^"]*)"', without.partition('id="source-form"')[2])
    answer = developer.post("/scripts/S01", data={**dict(held[:2]), "name": "Enrich", "source": "log(1)\n"})
    assert answer.status_code in (302, 303)
    assert stored(desk).working["source"] == "log(1)\n"


def test_the_check_answers_with_line_column_and_a_way_out(desk: Desk, developer: FlaskClient) -> None:
    page = developer.get("/scripts")
    answer = developer.post("/scripts/check", json={"source": BAD}, headers={"X-CSRF-Token": token(page)})
    problems = answer.get_json()["problems"]
    assert [(one["line"], one["column"], one["severity"]) for one in problems] == [(1, 0, "error"), (2, 0, "error")]
    assert "set_priority" in problems[1]["message"] + problems[1]["hint"]
    nothing = developer.post("/scripts/check", json={"text": "x"}, headers={"X-CSRF-Token": token(page)})
    assert nothing.status_code == 400


def test_completion_lists_the_catalogue_and_the_connections(desk: Desk, developer: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        connections.save_connection(
            connection, desk.services.box, name="billing", kind="stripe", config={"api_key": "sk_test_51canary"},
            now=desk.clock.now(),
        )  # fmt: skip
        rule_list.bump(connection)
    answer = developer.get("/scripts/api.json")
    offered = answer.get_json()
    assert {"ticket", "customer", "billing", "log", "stop", "Unavailable"} <= set(offered["globals"])
    assert "list_charges" in offered["globals"]["billing"]["members"]
    assert offered["types"]["Ticket"]["members"]["set_priority"]["sig"] == "(priority: str)"
    assert not [name for name in offered["globals"] if name.startswith("_")]
    assert {"dumps", "loads"} == set(offered["globals"]["json"]["members"])
    assert offered["globals"]["re"]["members"]["search"] == {"kind": "method", "sig": "(pattern, text, flags=0)"}
    assert offered["globals"]["datetime"]["members"]["UTC"] == {"kind": "property"}
    assert "canary" not in text_of(answer)


def test_saving_keeps_a_draft_and_leaves_live_as_it_is(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    sent = {"source": "log(1)\r\nlog(2)\r\n", "name": "Enrich more", "seen": stored(desk).draft_count}
    assert send(developer, f"/scripts/{code}", sent).status_code == 302
    after = stored(desk)
    assert after.draft is not None
    assert (after.draft["source"], after.draft["name"]) == ("log(1)\nlog(2)\n", "Enrich more")
    assert after.content is not None
    assert after.content["source"] == GOOD


def test_the_pages_own_script_saves_without_leaving_the_page(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    seen = stored(desk).draft_count
    part = {"X-Part": "1"}
    same = send(developer, f"/scripts/{code}", {"source": GOOD, "seen": seen}, headers=part)
    assert same.get_json() == {"seen": seen}
    assert stored(desk).draft is None
    first = send(developer, f"/scripts/{code}", {"source": "log(1)\n", "seen": seen}, headers=part)
    assert first.get_json() == {"seen": seen + 1}
    assert (stored(desk).draft or {})["source"] == "log(1)\n"
    late = send(developer, f"/scripts/{code}", {"source": "log(2)\n", "seen": seen}, headers=part)
    assert (late.status_code, "saved this draft" in late.get_json()["error"]) == (409, True)
    assert (stored(desk).draft or {})["source"] == "log(1)\n"


def test_a_try_gets_the_parameters_that_are_typed_and_refuses_wrong_ones(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk, live=False)
    ticket = desk.ticket()
    desk.work()
    with desk.services.db.write() as connection:
        draft = {**stored(desk).working, "params": [{"name": "days", "type": "number", "default": 3}]}
        seen = stored(desk).draft_count
        rule_list.save_draft(connection, code, draft, author="dev", seen=seen, now=desk.clock.now())
    before = dump(desk.services.db)
    source = "ticket.add_note('days ' + str(params.days))\n"
    for given, note in (("7", "days 7"), ("", "days 3")):
        tried = send(developer, f"/scripts/{code}/try", {"source": source, "item": ticket, "p.days": given})
        assert note in words(text_of(tried))
    wrong = send(developer, f"/scripts/{code}/try", {"source": source, "item": ticket, "p.days": "many"})
    assert wrong.status_code == 422
    assert "Days takes a number, not a text. Nothing was run." in words(text_of(wrong))
    assert dump(desk.services.db) == before
    offered = developer.get(f"/scripts/api.json?code={code}").get_json()["globals"]["params"]["members"]
    assert offered == {"days": {"kind": "property", "type": "number", "doc": "Days. Left out: 3."}}


def test_a_script_somebody_else_saved_shows_both_and_loses_neither(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    seen = stored(desk).draft_count
    send(developer, f"/scripts/{code}", {"source": "log('theirs')\n", "seen": seen})
    late = send(developer, f"/scripts/{code}", {"source": "log('mine')\n", "seen": seen})
    assert late.status_code == 409
    assert "log(&#39;mine&#39;)" in text_of(late)
    assert "log(&#39;theirs&#39;)" in text_of(late)
    assert stored(desk).working["source"] == "log('theirs')\n"
    send(developer, f"/scripts/{code}", {"source": "log('mine')\n", "seen": stored(desk).draft_count})
    assert stored(desk).working["source"] == "log('mine')\n"


def test_a_script_with_an_error_is_not_published(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    send(developer, f"/scripts/{code}", {"source": BAD, "seen": stored(desk).draft_count})
    answer = send(developer, f"/scripts/{code}/publish", {"seen": stored(desk).draft_count, "note": "Go"})
    assert answer.status_code == 422
    assert "Nothing was published." in text_of(answer)
    assert stored(desk).live_version == 1


def test_no_script_is_published_while_the_sandbox_is_away(desk: Desk, app: APIFlask, developer: FlaskClient) -> None:
    code = a_script(desk)
    send(developer, f"/scripts/{code}", {"source": "log(2)\n", "seen": stored(desk).draft_count})
    away = dataclasses.replace(desk.services, sandbox=Sandbox("/nowhere/sandbox.sock"))
    app.extensions["deskhand"] = away
    answer = send(developer, f"/scripts/{code}/publish", {"seen": stored(desk).draft_count, "note": "Go"})
    assert answer.status_code == 422
    assert stored(desk).live_version == 1


def test_publishing_shows_the_lines_and_what_the_script_gains(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk, "log(1)\n")
    send(developer, f"/scripts/{code}", {"source": GOOD, "seen": stored(desk).draft_count})
    page = words(text_of(developer.get(f"/scripts/{code}/review")))
    assert "removed: log(1)" in page
    assert "new since the live version add_note set_priority" in page
    assert (
        send(developer, f"/scripts/{code}/publish", {"seen": stored(desk).draft_count, "note": ""}).status_code == 422
    )
    done = send(developer, f"/scripts/{code}/publish", {"seen": stored(desk).draft_count, "note": "Say it"})
    assert done.status_code == 302
    assert stored(desk).live_version == 2
    assert "Say it" in text_of(developer.get(f"/scripts/{code}/versions?version=2"))
    back = send(developer, f"/scripts/{code}/roll-back", {"version": 1, "seen": stored(desk).draft_count})
    assert back.status_code == 302
    after = stored(desk)
    assert after.content is not None
    assert (after.live_version, after.content["source"]) == (3, "log(1)\n")


def test_a_try_shows_effects_log_and_limits_and_changes_nothing(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    ticket = desk.ticket()
    desk.work()
    before = dump(desk.services.db)
    answer = send(
        developer, f"/scripts/{code}/try", {"source": GOOD, "item": f"#{ticket}", "mode": "recorded"},
        headers={"X-Part": "1"},
    )  # fmt: skip
    page = words(text_of(answer))
    assert "Priority from Normal to High" in page
    assert "nothing was changed or sent" in page
    assert "Call them" in page
    assert f"looking at {ticket}" in page
    assert "0 of 50 calls" in page
    assert 'data-editor-line="2"' in text_of(answer)
    assert dump(desk.services.db) == before


def test_a_try_works_as_a_plain_form_and_keeps_the_text(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    ticket = desk.ticket()
    page = text_of(send(developer, f"/scripts/{code}/try", {"source": "log('typed just now')\n", "item": ticket}))
    assert "log(&#39;typed just now&#39;)" in page
    assert "typed just now" in words(page)
    assert stored(desk).draft is None


@pytest.mark.parametrize("item", ["", "x", "999999"])
def test_a_try_on_no_ticket_runs_nothing(desk: Desk, developer: FlaskClient, item: str) -> None:
    code = a_script(desk)
    answer = send(developer, f"/scripts/{code}/try", {"source": GOOD, "item": item})
    assert answer.status_code == 422
    assert "It would do" not in text_of(answer)


def test_a_try_on_a_ticket_one_may_not_see_says_the_same_as_for_none(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    hidden = desk.ticket("About a colleague", team="ethics")
    answer = send(developer, f"/scripts/{code}/try", {"source": "log(ticket.subject)\n", "item": hidden})
    assert answer.status_code == 422
    assert "About a colleague" not in text_of(answer)
    assert f"There is no ticket {hidden}, or it is not visible to you." in text_of(answer)
    assert "About a colleague" not in text_of(developer.get(f"/scripts/{code}"))


def test_the_style_nonce_is_on_the_editor_page_alone(desk: Desk, developer: FlaskClient) -> None:
    a_script(desk)
    assert "nonce-" in developer.get("/scripts/S01").headers["Content-Security-Policy"]
    for path in ("/scripts", "/scripts/S01/review", "/scripts/S01/versions"):
        assert "nonce-" not in developer.get(path).headers["Content-Security-Policy"], path


def test_what_a_script_says_is_shown_as_text(desk: Desk, developer: FlaskClient) -> None:
    hostile = "log('<img src=x onerror=alert(1)>')\nstop('<script>alert(1)</script>')\n"
    code = a_script(desk, hostile)
    ticket = desk.ticket()
    answer = send(developer, f"/scripts/{code}/try", {"source": hostile, "item": ticket}, headers={"X-Part": "1"})
    assert "<img" not in text_of(answer)
    assert "<script" not in text_of(answer)
    assert "&lt;img" in text_of(answer)


def test_managers_and_agents_may_not_open_scripts(desk: Desk, agent: FlaskClient) -> None:
    code = a_script(desk)
    before = dump(desk.services.db)
    for path in ("", f"/{code}", "/api.json", f"/{code}/review", f"/{code}/versions", f"/{code}.py"):
        assert agent.get(f"/scripts{path}").status_code == 403, path
    for path in ("", f"/{code}", "/check", f"/{code}/try", f"/{code}/publish", f"/{code}/roll-back", f"/{code}/switch"):
        assert send(agent, f"/scripts{path}", {"source": "log(1)", "name": "x", "seen": 2}).status_code == 403, path
    assert dump(desk.services.db) == before


def test_a_source_that_is_too_long_is_refused_and_not_cut(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    answer = send(developer, f"/scripts/{code}", {"source": "#" * 70_000, "seen": stored(desk).draft_count})
    assert answer.status_code == 422
    assert stored(desk).draft is None


def test_how_long_rules_wait_is_saved_with_the_draft_and_bounded(desk: Desk, developer: FlaskClient) -> None:
    code = a_script(desk)
    page = f"/scripts/{code}/settings"
    assert send(developer, page, {"wait_s": "45", "seen": stored(desk).draft_count}).status_code == 302
    assert stored(desk).working["wait_s"] == 45
    assert 'name="wait_s" min="0" max="600" value="45"' in text_of(developer.get(page))
    for wrong in ("601", "-1", "soon", ""):
        sent = {"t0.on": "created", "wait_s": wrong, "seen": stored(desk).draft_count}
        assert send(developer, page, sent).status_code == 422, wrong
    assert "triggers" not in stored(desk).working


@pytest.mark.parametrize(
    ("language", "message", "hint"),
    [
        ("en", "os cannot be imported", "Scripts have no files and no processes."),
        ("fr", "os ne peut pas être importé", "Les scripts n'ont ni fichiers ni processus."),
        ("pl", "os nie można zaimportować", "Skrypty nie mają plików ani procesów."),
        ("ro", "os nu poate fi importat", "Scripturile nu au fișiere și nici procese."),
    ],
)
def test_problems_are_told_in_the_readers_language(
    desk: Desk, developer: FlaskClient, language: str, message: str, hint: str
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "dev").values(language=language))
    page = developer.get("/scripts")
    answer = developer.post("/scripts/check", json={"source": BAD}, headers={"X-CSRF-Token": token(page)})
    first = answer.get_json()["problems"][0]
    assert first["message"] == f"{message}."
    assert first["hint"].startswith(hint)
    a_script(desk, BAD, live=False)
    assert f"{message}." in words(html.unescape(text_of(developer.get("/scripts/S01/review"))))


@pytest.mark.parametrize(
    ("source", "why"),
    [("x" * 70_000, "at most 65536 characters"), ("x = (" + "1, " * 350_000, "at most 65536 characters")],
    ids=["a_little_too_long", "a_line_of_1_mb"],
)
def test_a_source_that_cannot_be_kept_is_refused_with_its_reason_wherever_it_is_sent(
    desk: Desk, developer: FlaskClient, source: str, why: str
) -> None:
    code = a_script(desk)
    ticket = desk.ticket()
    desk.work()
    before = dump(desk.services.db)
    part = {"X-Part": "1"}
    seen = stored(desk).draft_count
    began = time.process_time()
    alone = send(developer, f"/scripts/{code}", {"source": source, "seen": seen}, headers=part)
    assert (alone.status_code, why in alone.get_json()["error"]) == (422, True)
    assert alone.get_json()["error"].endswith("Nothing was saved.")
    by_hand = send(developer, f"/scripts/{code}", {"source": source, "seen": seen})
    assert (by_hand.status_code, why in words(text_of(by_hand))) == (422, True)
    tried = send(developer, f"/scripts/{code}/try", {"source": source, "item": ticket}, headers=part)
    assert f"A script has {why}; shorten it. Nothing was run." in words(text_of(tried))
    assert send(developer, f"/scripts/{code}/try", {"source": source, "item": ticket}).status_code == 422
    assert time.process_time() - began < 8  # four times 2 s
    assert dump(desk.services.db) == before
