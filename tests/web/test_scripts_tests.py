"""The page of a script's tests: they stand in the draft, and a failing one forbids publishing."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import files
from tests.web.desk import Desk, let_in, send
from tests.web.pages import text_of, words
from tests.web.scripts import GOOD, TEST, a_script, stored


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


def post(desk: Desk, browser: FlaskClient, what: str, **data: object) -> int:
    sent = {"seen": stored(desk).draft_count, **data}
    return send(browser, f"/scripts/S01/tests/{what}", sent).status_code


def publish(desk: Desk, browser: FlaskClient) -> int:
    return send(browser, "/scripts/S01/publish", {"seen": stored(desk).draft_count, "note": "Why"}).status_code


@pytest.fixture
def tested(desk: Desk, developer: FlaskClient) -> FlaskClient:
    """A script that is live, with one test in its draft."""
    a_script(desk)
    assert post(desk, developer, "save", text=files.dump(TEST)) == 302
    return developer


def test_a_test_stands_in_the_draft_and_says_how_it_comes_out(desk: Desk, tested: FlaskClient) -> None:
    page = words(text_of(tested.get("/scripts/S01/tests")))
    assert "Calls them passes" in page
    assert [one["name"] for one in (stored(desk).draft or {})["tests"]] == ["Calls them"]
    assert stored(desk).content == {**(stored(desk).content or {}), "source": GOOD}


def test_an_edit_that_breaks_a_test_cannot_be_published(desk: Desk, tested: FlaskClient) -> None:
    worse = GOOD.replace('"high"', '"urgent"')
    send(tested, "/scripts/S01", {"source": worse, "seen": stored(desk).draft_count})
    assert publish(desk, tested) == 422
    assert stored(desk).live_version == 1
    assert "Calls them fails" in words(text_of(tested.get("/scripts/S01/tests")))
    send(tested, "/scripts/S01", {"source": GOOD, "seen": stored(desk).draft_count})
    assert publish(desk, tested) == 302
    assert stored(desk).live_version == 2
    assert len((stored(desk).content or {})["tests"]) == 1


def test_a_test_may_be_told_to_expect_what_the_draft_does_now(desk: Desk, tested: FlaskClient) -> None:
    send(tested, "/scripts/S01", {"source": GOOD.replace('"high"', '"urgent"'), "seen": stored(desk).draft_count})
    assert post(desk, tested, "expect", n=0) == 302
    assert publish(desk, tested) == 302
    assert stored(desk).live_version == 2


def test_a_version_whose_tests_fail_is_not_gone_back_to(desk: Desk, tested: FlaskClient) -> None:
    assert publish(desk, tested) == 302
    send(tested, "/scripts/S01", {"source": "log(1)\n", "seen": stored(desk).draft_count})
    assert post(desk, tested, "delete", n=0) == 302
    assert publish(desk, tested) == 302
    with desk.services.db.write() as connection:
        from sqlalchemy import update

        from rules.store import VersionRow

        broken = {**(stored(desk).content or {}), "source": "log(2)\n", "tests": [TEST]}
        connection.execute(update(VersionRow).where(VersionRow.version == 2).values(content=broken))
    back = send(tested, "/scripts/S01/roll-back", {"version": 2, "seen": stored(desk).draft_count})
    assert back.status_code == 422
    assert stored(desk).live_version == 3


@pytest.mark.parametrize("text", ["name: [", "name: x", "- 1", "x" * 100_001])
def test_what_is_no_test_is_not_saved(desk: Desk, tested: FlaskClient, text: str) -> None:
    before = stored(desk).draft
    assert post(desk, tested, "save", text=text) == 422
    assert post(desk, tested, "save", text=files.dump(TEST), n=7) == 422
    assert stored(desk).draft == before


def test_a_test_saved_on_an_old_page_is_refused(desk: Desk, tested: FlaskClient) -> None:
    before = stored(desk)
    sent = {"seen": before.draft_count - 1, "text": files.dump({**TEST, "name": "Late"})}
    assert send(tested, "/scripts/S01/tests/save", sent).status_code == 409
    assert stored(desk) == before


def test_a_run_one_may_not_see_makes_no_test(desk: Desk, tested: FlaskClient) -> None:
    assert post(desk, tested, "from-run", run=99) == 422
    assert len((stored(desk).draft or {})["tests"]) == 1


def test_a_script_has_a_bounded_number_of_tests(desk: Desk, tested: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        from rules import store as rule_list

        full = {**(stored(desk).draft or {}), "tests": [TEST] * 20}
        rule_list.save_draft(connection, "S01", full, author="dev", seen=stored(desk).draft_count, now=desk.clock.now())
    assert post(desk, tested, "save", text=files.dump(TEST)) == 422
    assert len((stored(desk).draft or {})["tests"]) == 20


def test_agents_may_not_see_or_change_tests(desk: Desk, app: APIFlask, tested: FlaskClient) -> None:
    agent = app.test_client()
    let_in(agent, desk.user("ana", "agent"))
    before = stored(desk)
    assert agent.get("/scripts/S01/tests").status_code == 403
    for what in ("save", "delete", "expect", "from-run"):
        assert post(desk, agent, what, n=0, text=files.dump(TEST), run=1) == 403, what
    assert stored(desk) == before
