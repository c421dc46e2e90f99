"""A script that may do more than before: shown when publishing, and where the desk says so, only with a second yes."""

from __future__ import annotations

import dataclasses

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import store as rule_list
from tests.web.desk import Desk, let_in, send
from tests.web.pages import text_of, words
from tests.web.scripts import a_script, stored
from tickets.values import JSON

SMALL = "log(1)\n"
WIDER = 'log(1)\nticket.add_note("Call them")\n'


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    """A desk that wants a second person's yes."""
    settings = sandboxed_desk.services.settings.model_copy(update={"second_person": True})
    sandboxed_desk.services = dataclasses.replace(sandboxed_desk.services, settings=settings)
    return sandboxed_desk


def a_developer(desk: Desk, app: APIFlask, key: str) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user(key, "developer", name=key.capitalize()))
    return browser


@pytest.fixture
def dev(desk: Desk, app: APIFlask) -> FlaskClient:
    return a_developer(desk, app, "dev")


@pytest.fixture
def mia(desk: Desk, app: APIFlask) -> FlaskClient:
    return a_developer(desk, app, "mia")


def save(desk: Desk, browser: FlaskClient, source: str) -> None:
    assert send(browser, "/scripts/S01", {"source": source, "seen": stored(desk).draft_count}).status_code == 302


def publish(desk: Desk, browser: FlaskClient, note: str = "Why") -> int:
    sent = {"seen": stored(desk).draft_count, "note": note}
    return send(browser, "/scripts/S01/publish", sent).status_code


def live(desk: Desk) -> tuple[int | None, str]:
    entry = stored(desk)
    assert entry.content is not None
    return entry.live_version, str(entry.content["source"])


def test_the_manifest_is_shown_kept_with_the_version_and_not_with_the_next_draft(desk: Desk, dev: FlaskClient) -> None:
    a_script(desk, WIDER)
    save(desk, dev, 'ticket.add_note("Call")\n')
    page = words(text_of(dev.get("/scripts/S01/review")))
    assert "Does add_note" in page
    assert "It can do nothing else" in page
    assert publish(desk, dev) == 302
    entry = stored(desk)
    assert entry.content is not None
    assert entry.content["manifest"] == {"fields_read": [], "actions": ["add_note"], "operations": []}
    save(desk, dev, SMALL)
    assert "manifest" not in (stored(desk).draft or {})


def test_a_version_that_may_do_more_is_live_only_when_somebody_else_agrees(
    desk: Desk, dev: FlaskClient, mia: FlaskClient
) -> None:
    a_script(desk, SMALL)
    save(desk, dev, WIDER)
    assert publish(desk, dev, "Tell them") == 302
    assert live(desk) == (1, SMALL)
    assert publish(desk, dev, "Now") == 422
    assert live(desk) == (1, SMALL)
    assert "Dev asks that this be published." in words(text_of(mia.get("/scripts/S01/review")))
    assert publish(desk, mia, "ignored") == 302
    assert live(desk) == (2, WIDER)
    with desk.services.db.read() as connection:
        newest = rule_list.versions(connection, "S01")[0]
    assert (newest.author, newest.note, newest.content["agreed_by"]) == ("dev", "Tell them", "mia")
    assert "agreed by Mia" in words(text_of(dev.get("/scripts/S01/versions")))


def test_a_draft_changed_after_it_was_asked_for_must_be_asked_for_again(
    desk: Desk, dev: FlaskClient, mia: FlaskClient
) -> None:
    a_script(desk, SMALL)
    save(desk, dev, WIDER)
    publish(desk, dev)
    save(desk, dev, WIDER + "ticket.set_priority('high')\n")
    assert publish(desk, mia) == 302
    assert live(desk) == (1, SMALL)
    assert publish(desk, mia) == 422
    assert live(desk) == (1, SMALL)
    assert publish(desk, dev) == 302
    assert live(desk)[0] == 2


def test_a_draft_cannot_bring_its_agreement_along(desk: Desk, dev: FlaskClient, mia: FlaskClient) -> None:
    a_script(desk, SMALL)
    with desk.services.db.write() as connection:
        forged: dict[str, JSON] = {"name": "Enrich", "source": WIDER, "asked": {"by": "mia", "note": "Fine"}}
        rule_list.save_draft(
            connection, "S01", forged, author="dev", seen=stored(desk).draft_count, now=desk.clock.now()
        )
    assert publish(desk, dev) == 302
    assert live(desk) == (1, SMALL)


def test_a_version_that_may_do_no_more_needs_nobody_else(desk: Desk, dev: FlaskClient) -> None:
    a_script(desk, WIDER)
    save(desk, dev, SMALL)
    assert publish(desk, dev) == 302
    assert live(desk) == (2, SMALL)


def test_going_back_to_a_version_that_may_do_more_needs_a_second_yes_too(
    desk: Desk, dev: FlaskClient, mia: FlaskClient
) -> None:
    a_script(desk, WIDER)
    save(desk, dev, SMALL)
    publish(desk, dev)
    sent: dict[str, object] = {"version": 1, "seen": stored(desk).draft_count}
    assert send(dev, "/scripts/S01/roll-back", sent).status_code == 302
    assert live(desk) == (2, SMALL)
    assert publish(desk, mia) == 302
    assert live(desk) == (3, WIDER)


def test_without_the_setting_one_person_is_enough(desk: Desk, app: APIFlask, dev: FlaskClient) -> None:
    relaxed = desk.services.settings.model_copy(update={"second_person": False})
    app.extensions["deskhand"] = dataclasses.replace(desk.services, settings=relaxed)
    a_script(desk, SMALL)
    save(desk, dev, WIDER)
    assert publish(desk, dev) == 302
    assert live(desk) == (2, WIDER)
