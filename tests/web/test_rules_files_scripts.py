"""Scripts in files carry all that a version says, and publish no more easily than on their page."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask

from rules import files
from rules import store as rule_list
from tests.builders import dump
from tests.web.commands import TABLE, WELCOME, a_file, flask
from tests.web.desk import Desk, let_in, send
from tests.web.scripts import TEST, stored


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    return sandboxed_desk


SCRIPT: dict[str, Any] = {
    "code": "S01",
    "name": "Calls them",
    "wait_s": 30,
    "params": [{"name": "days", "type": "number", "default": 3}],
    "triggers": [{"on": "created"}],
    "scope": [{"field": "ticket.brand", "op": "any_of", "value": ["acme"]}],
    "tests": [TEST],
    "source": 'ticket.set_priority("high")\nticket.add_note("Call them")\n',
}


def import_(app: APIFlask, folder: Path, data: Any, *options: str) -> Any:
    return flask(app, "rules", "import", a_file(folder, data), *options)


def changed(**parts: Any) -> dict[str, Any]:
    return {"scripts": [{**copy.deepcopy(SCRIPT), **parts}]}


def test_all_of_a_script_goes_in_and_out(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    done = import_(app, tmp_path, {"scripts": [SCRIPT]})
    assert done.exit_code == 0, done.output
    content: Any = stored(desk).content
    assert {key: content[key] for key in SCRIPT} == SCRIPT
    with desk.services.db.read() as connection:
        assert [one.code for one in desk.services.live.current(connection).ruleset.entries] == ["S01"]
    text = flask(app, "rules", "export").output
    [carried] = files.load(text)["scripts"]
    assert carried.pop("manifest") == {"fields_read": [], "actions": ["add_note", "set_priority"], "operations": []}
    assert carried == SCRIPT
    again = flask(app, "rules", "import", a_file(tmp_path, text, "again.yaml"))
    assert "0 of 1 entries" in again.output
    assert stored(desk).live_version == 1


def test_a_script_that_stands_behind_a_table_does_so_on_another_desk_too(
    desk: Desk, app: APIFlask, tmp_path: Path
) -> None:
    other = {**TABLE, "code": "A02", "name": "Triage"}
    import_(app, tmp_path, {"tables": [TABLE, other], "scripts": [SCRIPT], "templates": [WELCOME]})
    with desk.services.db.write() as connection:
        rule_list.reorder(connection, ["A02", "S01", "A01"])
    text = flask(app, "rules", "export").output
    assert files.load(text)["order"] == ["A02", "S01", "A01"]
    with desk.services.db.write() as connection:
        for one in rule_list.entries(connection):
            rule_list.remove(connection, one.code, now=desk.services.clock.now())
    done = flask(app, "rules", "import", a_file(tmp_path, text, "again.yaml"))
    assert done.exit_code == 0, done.output
    with desk.services.db.read() as connection:
        assert [one.code for one in desk.services.live.current(connection).ruleset.entries] == ["A02", "S01", "A01"]


@pytest.mark.parametrize(
    ("order", "said"), [(["S01", "A07"], "order names A07, which is not in the file"), ("S01", "order is a list")]
)
def test_an_order_of_what_is_not_there_is_refused(
    desk: Desk, app: APIFlask, tmp_path: Path, order: Any, said: str
) -> None:
    done = import_(app, tmp_path, {"scripts": [SCRIPT], "order": order})
    assert done.exit_code == 1
    assert said in done.output


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"wait_s": 60}, "its wait differs"),
        ({"params": []}, "its list of parameters differs"),
        ({"triggers": [{"on": "changed"}]}, "its list of triggers differs"),
        ({"scope": []}, "its scope differs"),
        ({"tests": []}, "its list of tests differs"),
        ({"name": "Calls"}, "its name differs"),
    ],
)
def test_a_change_of_one_part_alone_is_seen_and_published(
    desk: Desk, app: APIFlask, tmp_path: Path, parts: dict[str, Any], said: str
) -> None:
    import_(app, tmp_path, {"scripts": [SCRIPT]})
    before = dump(desk.services.db)
    data = changed(**parts)
    assert said in import_(app, tmp_path, data, "--dry-run").output
    assert dump(desk.services.db) == before
    done = import_(app, tmp_path, data)
    assert (done.exit_code, said in done.output) == (0, True)
    assert stored(desk).live_version == 2


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"params": [{"name": "class"}]}, "Parameter class: this name is taken by Python"),
        ({"triggers": [{"on": "nonsense"}]}, "There is no trigger"),
        ({"scope": [{"field": "ticket.brand", "op": "is", "value": "nope"}]}, "There is no brand 'nope'."),
        ({"source": "ticket.add_note('Call them')\n"}, "the stored test 'Calls them' fails: effect 1: expected"),
        ({"tests": [{"name": "x"}]}, "the stored test 'Test 1' fails"),
        (
            {"manifest": {"fields_read": [], "actions": ["add_note"], "operations": []}},
            "its text does more than its manifest says: set_priority.",
        ),
        ({"manifest": ["add_note"]}, "This is not a manifest"),
    ],
)
def test_what_could_not_be_published_on_its_page_is_not_imported(
    desk: Desk, app: APIFlask, tmp_path: Path, parts: dict[str, Any], said: str
) -> None:
    import_(app, tmp_path, {"scripts": [SCRIPT]})
    before = dump(desk.services.db)
    done = import_(app, tmp_path, changed(**parts))
    assert done.exit_code == 1
    assert said in done.output
    assert "Nothing was imported." in done.output
    assert dump(desk.services.db) == before


def test_a_manifest_that_says_more_than_the_text_grants_no_more(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    wide = {"fields_read": ["*"], "actions": ["*"], "operations": ["crm.*"]}
    done = import_(app, tmp_path, changed(manifest=wide))
    assert "the file's manifest says more than the text does" in done.output
    assert (stored(desk).content or {})["manifest"]["actions"] == ["add_note", "set_priority"]


def test_a_script_that_would_put_a_row_of_a_live_table_wrong_is_not_imported(
    desk: Desk, app: APIFlask, tmp_path: Path
) -> None:
    table = {**TABLE, "rows": [{"id": "r1", "then": {"s4": {"script": "S01"}}}]}
    import_(app, tmp_path, {"tables": [table], "scripts": [SCRIPT], "templates": [WELCOME]})
    before = dump(desk.services.db)
    needs = [{"name": "days", "required": True}]
    done = import_(app, tmp_path, changed(params=needs, triggers=[], tests=[]))
    assert done.exit_code == 1
    assert "A01 could not run afterwards" in done.output
    assert "The script needs Days (days)." in done.output
    assert dump(desk.services.db) == before


# Where the desk wants a second person's yes ------------------------------------------------------------------------


@pytest.fixture
def careful(desk: Desk, app: APIFlask) -> Desk:
    """The same desk, which wants a second person's yes; Dev and Mia may edit scripts."""
    settings = desk.services.settings.model_copy(update={"second_person": True})
    desk.services = dataclasses.replace(desk.services, settings=settings)
    app.extensions["deskhand"] = desk.services
    desk.user("dev", "developer", name="Dev Ionescu")
    desk.user("mia", "developer", name="Mia Ek")
    desk.user("ana", "agent", name="Ana Nowak")
    return desk


def test_a_file_does_not_go_round_the_second_persons_yes(careful: Desk, app: APIFlask, tmp_path: Path) -> None:
    done = import_(app, tmp_path, {"scripts": [SCRIPT]}, "--author", "dev")
    assert done.exit_code == 0, done.output
    assert "it is live as soon as somebody else agrees" in done.output
    assert "0 of 1 entries" in done.output
    waiting = stored(careful)
    assert waiting.live_version is None
    assert (waiting.draft or {})["asked"] == {"by": "dev", "note": "Imported from rules.yaml"}
    own, other = app.test_client(), app.test_client()
    let_in(own, "dev@deskhand.test")
    let_in(other, "mia@deskhand.test")
    yes = {"seen": waiting.draft_count, "note": "Read it"}
    assert send(own, "/scripts/S01/publish", yes).status_code == 422
    assert stored(careful).live_version is None
    assert send(other, "/scripts/S01/publish", yes).status_code == 302
    assert (stored(careful).content or {})["agreed_by"] == "mia"


@pytest.mark.parametrize("author", ["import", "ana", "nobody"])
def test_who_asks_must_be_somebody_whose_own_yes_does_not_count(
    careful: Desk, app: APIFlask, tmp_path: Path, author: str
) -> None:
    before = dump(careful.services.db)
    done = import_(app, tmp_path, {"scripts": [SCRIPT]}, "--author", author)
    assert done.exit_code == 1
    assert "this desk wants a second person's yes" in done.output
    assert dump(careful.services.db) == before


def test_a_table_that_runs_a_script_nobody_agreed_to_is_not_imported_with_it(
    careful: Desk, app: APIFlask, tmp_path: Path
) -> None:
    before = dump(careful.services.db)
    table = {**TABLE, "rows": [{"id": "r1", "then": {"s4": {"script": "S01"}}}]}
    done = import_(app, tmp_path, {"tables": [table], "scripts": [SCRIPT], "templates": [WELCOME]}, "--author", "dev")
    assert done.exit_code == 1
    assert "S01 is not live before somebody else agrees; import it first." in done.output
    assert dump(careful.services.db) == before


def test_a_script_that_may_do_no_more_than_before_needs_no_second_yes(
    careful: Desk, app: APIFlask, tmp_path: Path
) -> None:
    import_(app, tmp_path, {"scripts": [SCRIPT]}, "--author", "dev")
    other = app.test_client()
    let_in(other, "mia@deskhand.test")
    send(other, "/scripts/S01/publish", {"seen": stored(careful).draft_count, "note": "Read it"})
    done = import_(app, tmp_path, changed(wait_s=60))
    assert done.exit_code == 0, done.output
    assert (stored(careful).live_version, (stored(careful).content or {})["wait_s"]) == (2, 60)


def test_the_import_page_takes_scripts_from_who_may_edit_them_and_unchanged_ones_from_managers(
    desk: Desk, app: APIFlask, tmp_path: Path
) -> None:
    import_(app, tmp_path, {"scripts": [SCRIPT]})
    pages = {}
    for key, role in (("mia", "manager"), ("dev", "admin")):
        browser = app.test_client()
        let_in(browser, desk.user(key, role))
        for wait in (30, 60):
            text = files.dump({"templates": [WELCOME], **changed(wait_s=wait)})
            answer = send(browser, "/rules/import", {"do": "look", "text": text})
            pages[key, wait] = (answer.status_code, "its wait differs" in answer.get_data(as_text=True))
    assert pages == {
        ("mia", 30): (200, False),
        ("mia", 60): (422, False),
        ("dev", 30): (200, False),
        ("dev", 60): (200, True),
    }
    assert stored(desk).live_version == 1
