"""What tables, scripts and templates share from the draft to the version that is live again: web.versions."""

from __future__ import annotations

import threading

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import store as rule_list
from rules.store import EntryKind
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import stored
from tickets.values import JSON

#: Part of the address and content of each kind of entry that has drafts and versions.
KINDS: dict[str, tuple[str, EntryKind, dict[str, JSON]]] = {
    "table": ("rules", EntryKind.TABLE, TRIAGE),
    "script": ("scripts", EntryKind.SCRIPT, {"source": "log(1)\n"}),
    "template": ("templates", EntryKind.TEMPLATE, {"texts": {"en": {"subject": "Hello", "body": "We look."}}}),
}


@pytest.fixture
def editor(desk: Desk, app: APIFlask) -> FlaskClient:
    """A browser of somebody who may edit rules and scripts."""
    browser = app.test_client()
    let_in(browser, desk.user("ana", "manager", "developer", name="Ana Nowak"))
    return browser


def a_draft(desk: Desk, kind: str, *, versions: int = 0) -> str:
    """An entry with this many versions, no draft if there is any; its code."""
    _, entry_kind, content = KINDS[kind]
    with desk.services.db.write() as connection:
        now = desk.clock.now()
        code = rule_list.create(connection, entry_kind, "Triage", content, author="ana", now=now)
        for number in range(versions):
            seen = rule_list.entry(connection, code).draft_count
            if number:
                seen = rule_list.save_draft(connection, code, content, author="ana", seen=seen, now=now)
            rule_list.publish(connection, code, author="ana", note=f"Note {number + 1}", seen=seen, now=now)
    return code


@pytest.mark.parametrize("kind", KINDS)
def test_the_only_draft_of_what_was_never_published_is_not_thrown_away(
    desk: Desk, editor: FlaskClient, kind: str
) -> None:
    code = a_draft(desk, kind)
    before = stored(desk, code)
    answer = send(editor, f"/{KINDS[kind][0]}/{code}/discard", {"seen": before.draft_count})
    assert (answer.status_code, "the draft is all there is" in answer.get_data(as_text=True)) == (422, True)
    assert stored(desk, code) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_thrown_away_by_who_saw_it_and_by_nobody_else(desk: Desk, editor: FlaskClient, kind: str) -> None:
    code = a_draft(desk, kind, versions=1)
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        rule_list.save_draft(connection, code, KINDS[kind][2], author="ion", seen=seen, now=desk.clock.now())
    path = f"/{KINDS[kind][0]}/{code}/discard"
    assert send(editor, path, {"seen": seen}).status_code == 409
    assert stored(desk, code).draft is not None
    assert send(editor, path, {"seen": seen + 1}).status_code == 302
    assert (stored(desk, code).draft, stored(desk, code).live_version) == (None, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_old_page_rolls_nothing_back(desk: Desk, editor: FlaskClient, kind: str) -> None:
    code = a_draft(desk, kind, versions=2)
    seen = stored(desk, code).draft_count
    answer = send(editor, f"/{KINDS[kind][0]}/{code}/roll-back", {"version": 1, "seen": seen - 1})
    assert (answer.status_code, stored(desk, code).live_version) == (409, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_that_never_was_is_not_found(desk: Desk, editor: FlaskClient, kind: str) -> None:
    code = a_draft(desk, kind, versions=2)
    answer = send(editor, f"/{KINDS[kind][0]}/{code}/roll-back", {"version": 9, "seen": stored(desk, code).draft_count})
    assert (answer.status_code, stored(desk, code).live_version) == (404, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("?version=2", "From version 1 to version 2"),
        ("?version=2&against=3", "From version 3 to version 2"),
        ("?version=1", "<h2>Version 1</h2>"),
    ],
)
def test_two_versions_are_compared_by_address(
    desk: Desk, editor: FlaskClient, kind: str, asked: str, said: str
) -> None:
    code = a_draft(desk, kind, versions=3)
    page = editor.get(f"/{KINDS[kind][0]}/{code}/versions{asked}").get_data(as_text=True)
    assert said in page
    assert "Note 3" in page


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("asked", ["", "?version=9", "?version=x&against=y"])
def test_without_a_version_that_exists_nothing_is_compared(
    desk: Desk, editor: FlaskClient, kind: str, asked: str
) -> None:
    code = a_draft(desk, kind, versions=2)
    answer = editor.get(f"/{KINDS[kind][0]}/{code}/versions{asked}")
    page = answer.get_data(as_text=True)
    assert (answer.status_code, "From version" in page, "<h2>Version" in page) == (200, False, False)
    assert "Note 2" in page


def test_a_templates_versions_are_compared_by_language_and_one_is_live_again(desk: Desk, editor: FlaskClient) -> None:
    code = a_draft(desk, "template", versions=1)
    second: dict[str, JSON] = {
        "texts": {
            "en": {"subject": "Good day", "body": "We look.\nToday."},
            "fr": {"subject": "Bonjour", "body": "<b>On regarde.</b>"},
        }
    }
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        seen = rule_list.save_draft(connection, code, second, author="ana", seen=seen, now=desk.clock.now())
        rule_list.publish(connection, code, author="ana", note="French", seen=seen, now=desk.clock.now())
    page = editor.get(f"/templates/{code}/versions?version=2").get_data(as_text=True)
    assert "<h3>English</h3>" in page
    assert "<h3>French</h3>" in page
    for part in ("Good day", '<i aria-hidden="true">+</i>', "Today.", "&lt;b&gt;On regarde.&lt;/b&gt;"):
        assert part in page, part
    assert "<h3>Polish</h3>" not in page
    answer = send(editor, f"/templates/{code}/roll-back", {"version": 1, "seen": stored(desk, code).draft_count})
    assert answer.status_code == 302
    after = stored(desk, code)
    assert after.content is not None
    assert (after.live_version, after.content["texts"]) == (3, KINDS["template"][2]["texts"])


def test_a_template_that_names_what_is_gone_is_not_live_again(desk: Desk, editor: FlaskClient) -> None:
    code = a_draft(desk, "template")
    with desk.services.db.write() as connection:
        for number, body in enumerate(("Hello {{customer.nom}}", "Hello"), 1):
            content: dict[str, JSON] = {"texts": {"en": {"subject": "", "body": body}}}
            seen = rule_list.entry(connection, code).draft_count
            seen = rule_list.save_draft(connection, code, content, author="ana", seen=seen, now=desk.clock.now())
            rule_list.publish(connection, code, author="ana", note=f"Note {number}", seen=seen, now=desk.clock.now())
    answer = send(editor, f"/templates/{code}/roll-back", {"version": 1, "seen": stored(desk, code).draft_count})
    assert answer.status_code == 422
    assert "Version 1 names things that no longer exist" in answer.get_data(as_text=True)
    assert stored(desk, code).live_version == 2


def test_of_two_people_who_publish_one_draft_at_once_one_does(desk: Desk, app: APIFlask) -> None:
    code = a_draft(desk, "table")
    seen = stored(desk, code).draft_count
    browsers = []
    for key in ("ana", "ion"):
        browser = app.test_client()
        let_in(browser, desk.user(key, "manager"))
        browsers.append(browser)
    both = threading.Barrier(2, timeout=30)
    answers: list[int] = []

    def publish(browser: FlaskClient) -> None:
        browser.get("/more")
        both.wait()
        answers.append(send(browser, f"/rules/{code}/publish", {"seen": seen, "note": "Live"}).status_code)

    threads = [threading.Thread(target=publish, args=(one,)) for one in browsers]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(answers) == [302, 409]
    with desk.services.db.read() as connection:
        assert [one.version for one in rule_list.versions(connection, code)] == [1]
    after = stored(desk, code)
    assert (after.live_version, after.draft) == (1, None)
