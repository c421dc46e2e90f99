"""The commands: files in and out, all or nothing; decisions and tries that change nothing."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import update

from connectors import store as connections
from rules import files
from rules import store as rule_list
from rules.store import EntryRow
from tests.builders import dump
from tests.connectors.upstream import Upstream, as_json
from tests.web.commands import TABLE, WELCOME, a_file, flask
from tests.web.desk import TRIAGE, Desk
from tickets.db import Database

ENRICH = {"code": "S01", "name": "Enrich", "source": 'ticket.add_note("Looked at")\n'}


@pytest.fixture
def desk(sandboxed_desk: Desk) -> Desk:
    """A desk whose scripts run in the session's sandbox."""
    return sandboxed_desk


def everything() -> dict[str, Any]:
    return copy.deepcopy({"tables": [TABLE], "templates": [WELCOME], "scripts": [ENRICH]})


# Import, export, lint --------------------------------------------------------------------------------------------


def test_a_whole_desk_is_imported_at_once_whatever_the_order(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    done = flask(app, "rules", "import", a_file(tmp_path, everything()), "--author", "ana")
    assert done.exit_code == 0, done.output
    assert "3 of 3 entries are new or changed, and live." in done.output
    ticket = desk.ticket("A refund, please")
    desk.work()
    assert desk.state(ticket)["team"] == "billing"
    with desk.services.db.read() as connection:
        assert [(one.author, one.note) for one in rule_list.versions(connection, "A01")] == [
            ("ana", "Imported from rules.yaml")
        ]


def test_what_is_exported_imports_as_the_same(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    flask(app, "rules", "import", a_file(tmp_path, everything()))
    text = flask(app, "rules", "export").output
    before = dump(desk.services.db)
    again = flask(app, "rules", "import", a_file(tmp_path, text, "again.yaml"))
    assert again.exit_code == 0
    assert "0 of 3 entries" in again.output
    assert dump(desk.services.db) == before


def test_a_table_that_came_switched_off_and_was_switched_on_is_exported_as_on(
    desk: Desk, app: APIFlask, manager: FlaskClient, tmp_path: Path
) -> None:
    came = everything()
    came["tables"][0]["enabled"] = False
    flask(app, "rules", "import", a_file(tmp_path, came))
    off = files.load(flask(app, "rules", "export").output)["tables"]
    with desk.services.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=True)
    on = files.load(flask(app, "rules", "export").output)["tables"]
    assert (off[0].get("enabled"), on[0].get("enabled")) == (False, None)
    alone = files.load(manager.get("/rules/A01.yaml").get_data(as_text=True))["tables"]
    assert alone[0].get("enabled") is None


def test_a_file_brings_no_agreement_about_what_a_script_may_do(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    script = {**ENRICH, "manifest": {"fields_read": ["*"], "actions": ["*"], "operations": ["*"]}, "agreed_by": "root"}
    flask(app, "rules", "import", a_file(tmp_path, {"scripts": [script]}))
    with desk.services.db.read() as connection:
        content: Any = rule_list.entry(connection, "S01").content
    assert content["manifest"] == {"fields_read": [], "actions": ["add_note"], "operations": []}
    assert "agreed_by" not in content
    exported = files.load(flask(app, "rules", "export").output)["scripts"]
    assert exported == [{**ENRICH, "manifest": content["manifest"]}]


def test_a_dry_run_says_what_would_change_and_changes_nothing(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    flask(app, "rules", "import", a_file(tmp_path, everything()))
    changed = everything()
    changed["tables"][0]["rows"][1]["then"]["s1"] = {"team": "sales"}
    changed["tables"][0]["enabled"] = False
    path = a_file(tmp_path, changed)
    before = dump(desk.services.db)
    shown = flask(app, "rules", "import", path, "--dry-run")
    assert "Row 2, Assign team: Billing -> Sales" in shown.output
    assert "switched off" in shown.output
    assert "1 of 3 entries would change." in shown.output
    assert dump(desk.services.db) == before
    assert flask(app, "rules", "import", path).exit_code == 0
    with desk.services.db.read() as connection:
        after = rule_list.entry(connection, "A01")
    assert (after.live_version, after.enabled) == (2, False)


def test_a_switch_alone_makes_no_new_version(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    flask(app, "rules", "import", a_file(tmp_path, everything()))
    off = everything()
    off["tables"][0]["enabled"] = False
    assert "1 of 3 entries" in flask(app, "rules", "import", a_file(tmp_path, off)).output
    with desk.services.db.read() as connection:
        after = rule_list.entry(connection, "A01")
    assert (after.live_version, after.enabled, after.draft) == (1, False, None)


def test_one_wrong_cell_keeps_everything_out_and_names_file_row_and_cell(
    desk: Desk, app: APIFlask, tmp_path: Path
) -> None:
    wrong = everything()
    wrong["tables"][0]["rows"][1]["then"]["s1"] = {"team": "biling"}
    wrong["scripts"] = [{**ENRICH, "source": "import os\n"}]
    wrong["templates"] = [{**WELCOME, "texts": {"en": {"body": "Dear {{customer.nom}}"}}}]
    path = a_file(tmp_path, wrong)
    before = dump(desk.services.db)
    refused = flask(app, "rules", "import", path)
    assert refused.exit_code == 1
    assert f"{path}: A01, row 2 (r2), column s1 (Assign team): There is no team 'biling'." in refused.output
    assert f"{path}: S01, line 1, column 0: os cannot be imported" in refused.output
    assert f"{path}: E01, en.body: There is no placeholder 'customer.nom'" in refused.output
    assert "Nothing was imported." in refused.output
    assert dump(desk.services.db) == before


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ("{", "This is not YAML at line 1"),
        ({"rules": [], "tables": []}, "there is no list 'rules'; a file has templates, scripts, tables"),
        ([{"code": "A01", "name": "x"}, {"code": "A01", "name": "y"}], "A01 stands there twice"),
        ([7], "entry 1: an entry is a mapping, not int"),
        ("# tables will stand here", "there is nothing in it"),
        (
            {"code": "A01", **TRIAGE, "triggers": [{"on": "created"}, {"on": "create"}]},
            "A01, trigger 2: There is no trigger 'create'",
        ),
        ({"code": "A01", **TRIAGE, "rows": [{"id": "r 1"}]}, "A01, row 1: Row 1 needs an id of letters"),
        ([{"name": "x"}], "entry 1: needs a code"),
        ([{"code": "A01"}], "entry 1: A01 needs a name"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_a_sentence(
    desk: Desk, app: APIFlask, tmp_path: Path, data: object, sentence: str
) -> None:
    refused = flask(app, "rules", "import", a_file(tmp_path, data))
    assert refused.exit_code == 1
    assert sentence in refused.output
    with desk.services.db.read() as connection:
        assert rule_list.entries(connection) == []


def test_a_draft_somebody_works_on_is_not_overwritten(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    flask(app, "rules", "import", a_file(tmp_path, everything()))
    with desk.services.db.write() as connection:
        connection.execute(update(EntryRow).where(EntryRow.code == "A01").values(draft={"name": "x"}, draft_by="ion"))
    changed = everything()
    changed["templates"] = [{**WELCOME, "name": "Hello"}]
    before = dump(desk.services.db)
    refused = flask(app, "rules", "import", a_file(tmp_path, changed))
    assert refused.exit_code == 1
    assert "ion has a draft of A01; publish it or throw it away first" in refused.output
    assert dump(desk.services.db) == before


def test_lint_names_rows_and_cells_and_tells_hints_from_errors(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    data = everything()
    data["tables"][0]["rows"].append({"id": "r3", "if": {"c2": {"value": ["refund please"]}}, "then": {}})
    path = a_file(tmp_path, data)
    shown = flask(app, "rules", "lint", path, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.output)["hints"] == [
        f"{path}: A01, row 3 (r3): Never reached. Row 2 already catches every ticket this row would match.",
        f"{path}: A01, column s2 (Set priority): No row fills this column.",
    ]
    data["tables"][0]["columns"][0]["field"] = "ticket.chanel"
    bad = flask(app, "rules", "lint", a_file(tmp_path, data))
    assert bad.exit_code == 1
    assert (
        "A01, column c1 (ticket.chanel): There is no field 'ticket.chanel'. Did you mean 'ticket.channel'?"
        in bad.output
    )


# Decide and replay -----------------------------------------------------------------------------------------------

EVENT = {
    "item": {"id": 7, "kind": "ticket", "channel": "email", "subject": "A refund, please"},
    "event": {"id": 1, "kind": "created", "at": "2026-11-21T09:31:00+00:00", "actor": "customer", "changes": {}},
}


def test_decide_needs_no_database_and_says_what_why_and_which_row(app: APIFlask, desk: Desk, tmp_path: Path) -> None:
    tables, events = a_file(tmp_path, {"tables": [TABLE]}), a_file(tmp_path, {"events": [EVENT]}, "events.yaml")
    desk.services.db.close()
    app.extensions["deskhand"] = dataclasses.replace(
        desk.services, db=Database(f"sqlite:///{tmp_path}/nowhere/desk.db")
    )
    shown = flask(app, "rules", "decide", "--tables", tables, "--events", events, "--json")
    assert shown.exit_code == 0, shown.output
    decision = json.loads(shown.output)["decisions"][0]
    assert decision["fired"] == ["A01/r2"]
    assert decision["changes"] == {"team": "billing"}
    assert decision["planned"][1]["effects"] == [{"effect": "RunScript", "script": "S01", "params": {}, "wait_s": None}]
    seen = decision["trace"]["entries"][0]["rows"][1]["conditions"][0]
    assert (seen["expected"], seen["actual"], seen["truth"]) == ("contains refund", "A refund, please", "true")
    app.extensions["deskhand"] = desk.services


def test_decide_takes_the_desks_words_from_a_file(app: APIFlask, tmp_path: Path) -> None:
    tables, events = a_file(tmp_path, {"tables": [TABLE]}), a_file(tmp_path, EVENT, "events.yaml")
    words = a_file(tmp_path, {"teams": {"billing": "Billing"}}, "words.yaml")
    refused = flask(app, "rules", "decide", "--tables", tables, "--events", events, "--vocabulary", words)
    assert refused.exit_code == 1
    assert "There is no team 'sales'" in refused.output
    more = {"teams": {"billing": "Billing", "sales": "Sales"}, "scripts": {"S01": "x"}, "templates": {"E01": WELCOME}}
    words = a_file(tmp_path, more, "words.yaml")
    assert "event 1: A01/r2" in flask(
        app, "rules", "decide", "--tables", tables, "--events", events, "--vocabulary", words
    ).output  # fmt: skip


def test_decide_takes_whatever_tables_name_as_existing_wherever_they_name_it(app: APIFlask, tmp_path: Path) -> None:
    table = {
        "code": "A01", "name": "All over", "kind": "ticket", "hit": "every",
        "triggers": [
            {"on": "created"},
            {"on": "changed", "field": "fields.size", "to": [3]},
            {"on": "after_date", "field": "ticket.fields.ends", "calendar": "office"},
            {"on": "script_finished", "script": "double_charge"},
            {"on": "form_answered", "form": "report"},
        ],
        "scope": [{"field": "ticket.brand", "value": "acme"}],
        "columns": [{"id": "c1", "field": "ticket.team"}, {"id": "c2", "field": "event.at", "op": "in_working_time"}],
        "steps": [{"id": "s1", "do": "change_system"}, {"id": "s2", "do": "apply_sla"}, {"id": "s3", "do": "notify"}],
        "rows": [
            {
                "id": "r1",
                "if": {"c1": {"op": "none_of", "value": ["sales", "legal"]}},
                "groups": [
                    {"any": [
                        {"field": "ticket.fields.topic", "value": "refund"},
                        {"none": [{"field": "erp.find_party.tier", "value": "gold"}]},
                    ]},
                ],
                "then": {
                    "s1": {"change": "crm.add_note", "inputs": {"text": "{{ticket.fields.topic}}"}},
                    "s2": {"policy": "fast"}, "s3": {"brands": ["acme"], "text": "New"},
                },
            },
            {"id": "r2", "if": {"c2": {"value": "office"}}, "then": {"s2": {"policy": "slow"}}},
        ],
    }  # fmt: skip
    refund = {**EVENT, "item": {**EVENT["item"], "brand": "acme", "fields.topic": "refund"}}
    tables, events = a_file(tmp_path, table), a_file(tmp_path, [refund, EVENT], "e.yaml")
    shown = flask(app, "rules", "decide", "--tables", tables, "--events", events, "--json")
    assert shown.exit_code == 0, shown.output
    acme, other = json.loads(shown.output)["decisions"]
    assert (acme["fired"], other["fired"]) == (["A01/r1"], [])  # the second is out of its scope
    assert acme["changes"] == {"sla": "fast"}
    assert [one["row"] for one in acme["skipped"]] == ["A01/r2"]  # when the office works nobody said
    hours = {"zone": "Europe/Paris", "week": {"sat": [["09:00", "12:00"]]}}
    words = {
        "calendars": {"office": hours}, "slas": {"fast": "Fast"}, "teams": {"sales": "Sales"}, "brands": {"acme": "x"},
    }  # fmt: skip
    kept = {**table, "triggers": [{"on": "created"}], "steps": [{"id": "s2", "do": "apply_sla"}]}
    kept["rows"] = [{"id": "r2", "if": {"c2": {"value": "office"}}, "then": {"s2": {"policy": "fast"}}}]
    tables, words_file = a_file(tmp_path, kept, "kept.yaml"), a_file(tmp_path, words, "words.yaml")
    asked = ("rules", "decide", "--tables", tables, "--events", events, "--vocabulary", words_file)
    assert "event 1: A01/r2" in flask(app, *asked).output
    hours["week"] = {"sat": [["12:00", "9:00"]]}
    refused = flask(app, *asked[:-1], a_file(tmp_path, words, "wrong.yaml"))
    assert refused.exit_code == 1
    assert "On sat work from 12:00 to 09:00 ends before it begins" in refused.output


def test_decide_waits_for_a_lookup_and_uses_the_answer_that_facts_bring(app: APIFlask, tmp_path: Path) -> None:
    table = {
        "code": "A01", "name": "Debt", "triggers": [{"on": "created"}],
        "columns": [{"id": "c1", "field": "erp.find_party.receivable", "op": "greater"}],
        "steps": [{"id": "s1", "do": "assign_team"}],
        "rows": [{"id": "r1", "if": {"c1": 100}, "then": {"s1": {"team": "billing"}}}],
    }  # fmt: skip
    known = {"erp.find_party": {"state": "known", "data": {"receivable": 149.7}, "fetched_at": "", "fresh_until": ""}}
    events = [EVENT, {**EVENT, "lookups": known}]
    shown = flask(
        app, "rules", "decide", "--tables", a_file(tmp_path, table), "--events", a_file(tmp_path, events, "e.yaml"),
        "--json",
    )  # fmt: skip
    first, second = json.loads(shown.output)["decisions"]
    assert (first["fired"], first["waits_for"]) == ([], {"entry": "A01", "lookups": ["erp.find_party"]})
    assert (second["fired"], second["waits_for"]) == (["A01/r1"], None)


def test_facts_of_another_shape_are_refused_with_the_events_number(app: APIFlask, tmp_path: Path) -> None:
    tables = a_file(tmp_path, {"tables": [TABLE]})
    refused = flask(app, "rules", "decide", "--tables", tables, "--events", a_file(tmp_path, [EVENT, 3], "e.yaml"))
    assert refused.exit_code == 1
    assert "event 2: an event is a mapping" in refused.output


def test_replay_compares_the_draft_with_live_and_changes_nothing(desk: Desk, app: APIFlask) -> None:
    desk.publish()
    ticket = desk.ticket("An invoice, please", team="ethics")
    desk.work()
    with desk.services.db.write() as connection:
        draft = json.loads(json.dumps(TRIAGE))
        draft["rows"][1]["then"]["s2"] = {"priority": "urgent"}
        rule_list.save_draft(connection, "A01", draft, author="ana", seen=2, now=desk.clock.now())
    before = dump(desk.services.db)
    shown = flask(app, "rules", "replay", "--table", "A01", "--last", 50)
    assert shown.exit_code == 0
    assert "1 would differ" in shown.output
    assert f"ticket {ticket}: priority: high -> urgent" in shown.output
    data = json.loads(flask(app, "rules", "replay", "--table", "A01", "--json").output)
    assert (data["hidden"], data["hits"]["r2"]) == (0, {"live": 1, "draft": 1})
    assert dump(desk.services.db) == before
    assert flask(app, "rules", "replay", "--table", "A99").exit_code == 1


# Scripts and connections -----------------------------------------------------------------------------------------


def test_check_prints_line_column_code_and_hint(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    path = a_file(tmp_path, "import os\nlog(1)\n", "s.py")
    shown = flask(app, "script", "check", path, "--json")
    assert shown.exit_code == 1
    (problem,) = json.loads(shown.output)["problems"]
    assert (problem["line"], problem["column"], problem["code"]) == (1, 0, "FORBIDDEN")
    assert problem["hint"]
    assert f"{path}:1:1: error FORBIDDEN" in flask(app, "script", "check", path).output
    good = flask(app, "script", "check", a_file(tmp_path, "log(1)\n", "s.py"))
    assert (good.exit_code, good.output) == (0, "No problems found.\n")


def test_run_on_a_ticket_prints_effects_and_applies_none(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    ticket = desk.ticket()
    before = dump(desk.services.db)
    path = a_file(tmp_path, 'ticket.set_priority("high")\nlog("done")\n', "s.py")
    shown = flask(app, "script", "run", path, "--ticket", ticket, "--json")
    assert shown.exit_code == 0, shown.output
    data = json.loads(shown.output)
    assert set(data) == {"status", "error", "stop_reason", "log", "effects", "calls", "usage"}
    assert (data["status"], data["log"][0]["text"]) == ("finished", "done")
    assert [(one["about"], one["before"], one["after"]) for one in data["effects"]] == [("priority", "normal", "high")]
    assert dump(desk.services.db) == before
    assert flask(app, "script", "run", path, "--ticket", "999").exit_code == 1


def test_run_on_files_alone_answers_from_the_recording(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    source = a_file(
        tmp_path, 'c = crm.find_customer(email=customer.email)\nlog(c.tier)\nd = crm.find_customer(email="x")\n', "s.py"
    )
    facts = a_file(tmp_path, {**EVENT, "customer": {"name": "C", "email": "c@x.test"}}, "facts.yaml")
    calls = [{"connection": "crm", "operation": "find_customer", "args": {"email": "c@x.test"}, "status": "ok",
              "answer": {"tier": "gold"}}]  # fmt: skip
    shown = flask(
        app, "script", "run", source, "--ticket", facts, "--recorded", a_file(tmp_path, calls, "c.json"), "--json"
    )
    data = json.loads(shown.output)
    assert [one["text"] for one in data["log"]] == ["gold"]
    assert (shown.exit_code, data["status"], data["error"]["line"]) == (1, "failed", 3)
    assert data["calls"][1]["message"] == "crm.find_customer with these inputs is not recorded"


def test_testing_a_connection_says_whether_it_works(desk: Desk, app: APIFlask) -> None:
    assert flask(app, "connection", "test", "crm").exit_code == 1
    server = Upstream(lambda _: as_json({}))
    with desk.services.db.write() as connection:
        connections.save_connection(
            connection, desk.services.box, name="crm", kind="http_json", config={"base_url": server.url},
            now=desk.clock.now(),
        )  # fmt: skip
    shown = flask(app, "connection", "test", "crm", "--json")
    server.close()
    # This desk may not reach this machine: the sentence says so, and nothing was sent.
    assert shown.exit_code == 1
    assert json.loads(shown.output)["error"] == "address_refused"
    assert server.asked == []


# Named lists in files ----------------------------------------------------------------------------------------------


VIPS = {
    "lists": {"VIPS": {"label": "VIPs", "people": True, "entries": ["Camille@customer.test"]}},
    "tables": [
        {
            **TABLE,
            "columns": [{"id": "c1", "field": "customer.email"}],
            "rows": [{"id": "r1", "if": {"c1": {"list": "VIPS"}}, "then": {"s1": {"team": "billing"}}}],
        }
    ],
}


def test_a_file_brings_the_lists_that_its_tables_use(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    path = a_file(tmp_path, VIPS)
    before = dump(desk.services.db)
    dry = flask(app, "rules", "import", path, "--dry-run")
    assert "list VIPS: new" in dry.output
    assert dump(desk.services.db) == before
    done = flask(app, "rules", "import", path)
    assert done.exit_code == 0, done.output
    hit, miss = desk.ticket(), desk.ticket(email="paul@customer.test")
    desk.work()
    assert (desk.state(hit)["team"], desk.state(miss).get("team")) != (desk.state(miss).get("team"), "billing")
    assert desk.state(hit)["team"] == "billing"
    for flag in ((), ("--json",)):
        text = flask(app, "rules", "export", *flag).output
        kept = dump(desk.services.db)
        again = flask(app, "rules", "import", a_file(tmp_path, text, "again.yaml"))
        assert (again.exit_code, "list VIPS" in again.output) == (0, False), again.output
        assert "0 of 1 entries" in again.output
        assert dump(desk.services.db) == kept
    VIPS_CHANGED = {**VIPS, "lists": {"VIPS": {"label": "VIPs", "people": True, "entries": ["paul@customer.test"]}}}
    changed = flask(app, "rules", "import", a_file(tmp_path, VIPS_CHANGED))
    assert "list VIPS: added: paul@customer.test; removed: camille@customer.test" in changed.output


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ([], "lists is a mapping"),
        ({"vips": {"entries": []}}, "A list's key has capital letters"),
        ({"VIPS": {"people": True, "entries": ["nobody"]}}, "list VIPS: Line 1: 'nobody' is not an e-mail address."),
        ({"VIPS": {"members": []}}, "A list has no 'members'; it has label, people, entries."),
        ({"VIPS": {"entries": [["a"]]}}, "Its entries are texts or numbers."),
    ],
)
def test_a_list_that_is_none_is_refused_with_its_key_and_nothing_is_imported(
    desk: Desk, app: APIFlask, tmp_path: Path, lists: object, why: str
) -> None:
    before = dump(desk.services.db)
    done = flask(app, "rules", "import", a_file(tmp_path, {**VIPS, "lists": lists}))
    assert done.exit_code == 1
    assert why in done.output
    assert dump(desk.services.db) == before


def test_an_error_in_a_group_or_scope_names_file_row_group_and_what_is_allowed(
    desk: Desk, app: APIFlask, tmp_path: Path
) -> None:
    bad = {"field": "ticket.priority", "value": "hgh"}
    table = {**TABLE, "scope": [{"field": "ticket.brand", "value": "acne"}]}
    table["rows"] = [{**TABLE["rows"][0], "groups": [{"any": [{"all": [bad]}]}]}]
    done = flask(app, "rules", "lint", a_file(tmp_path, table))
    assert done.exit_code == 1
    assert "rules.yaml: A01, row 1 (" in done.output
    assert "group 1.1.1: There is no priority 'hgh'. Did you mean 'high'? Allowed: low, normal" in done.output
    assert "rules.yaml: A01, scope, condition 1: There is no brand 'acne'. Did you mean 'acme'?" in done.output


def test_files_alone_are_decided_with_their_lists(tmp_path: Path, app: APIFlask) -> None:
    event = {"kind": "created", "actor": "customer", "at": "2026-11-21T09:31:00+00:00"}
    facts = [
        {"item": {"id": 1, "kind": "ticket"}, "event": event, "customer": {"email": email}}
        for email in ("camille@customer.test", "paul@customer.test")
    ]
    done = flask(
        app, "rules", "decide", "--tables", a_file(tmp_path, VIPS), "--events", a_file(tmp_path, facts, "e.yaml")
    )
    assert done.exit_code == 0, done.output
    assert "event 1: A01/r1" in done.output
    assert "event 2: A01/r1" not in done.output


def test_a_file_brings_a_deleted_table_back_with_the_versions_it_had(desk: Desk, app: APIFlask, tmp_path: Path) -> None:
    path = a_file(tmp_path, everything())
    flask(app, "rules", "import", path)
    with desk.services.db.write() as connection:
        rule_list.remove(connection, "A01", now=desk.clock.now())
    gone = desk.ticket("A refund, please")
    desk.work()
    assert "team" not in desk.state(gone)
    done = flask(app, "rules", "import", path)
    assert done.exit_code == 0, done.output
    back = desk.ticket("A refund, please")
    desk.work()
    assert desk.state(back)["team"] == "billing"
    with desk.services.db.read() as connection:
        assert [one.version for one in rule_list.versions(connection, "A01")] == [2, 1]
