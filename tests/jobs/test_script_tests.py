"""Tests stored with a script: a run becomes one without personal data, and it fails when the script does otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from jobs.masking import Mask
from jobs.script_tests import BadTest, RunNotFound, ScriptTest, from_run, run_all, run_test
from jobs.services import Services
from jobs.tables import RunRow
from rules import files
from rules.store import EntryKind
from tests.builders import a_ticket, dump
from tests.connectors.upstream import Upstream, as_json
from tests.jobs.desk import ana, publish, table, work
from tests.jobs.tables import RUNS_IT, SCRIPT
from tickets.values import JSON

CONTENT = {"source": SCRIPT}


@pytest.fixture
def crm() -> Iterator[Upstream]:
    server = Upstream(lambda _: as_json([{"id": "c1", "name": "Camille Laurent", "tier": "gold"}]))
    yield server
    server.close()


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


@pytest.fixture
def run_id(desk: Services) -> int:
    """A run of the script that asked the CRM and did three things."""
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Enrich", "source": SCRIPT})
    table(desk, RUNS_IT)
    a_ticket(desk.db)
    work(desk)
    with desk.db.read() as connection:
        return int(connection.execute(select(RunRow.id)).scalar_one())


def live(desk: Services) -> Any:
    with desk.db.read() as connection:
        return desk.live.current(connection)


def test_a_test_from_a_run_passes_asks_nobody_and_writes_nothing(desk: Services, run_id: int, crm: Upstream) -> None:
    asked, before = len(crm.asked), dump(desk.db)
    test = from_run(desk, "S01", CONTENT, run_id, ana(desk))
    effects: Any = test.expect["effects"]
    assert test.expect["status"] == "finished"
    assert [one["action"] for one in effects] == ["set_context", "add_tags", "set_priority"]
    assert effects[1]["after"] == ["tier-gold"]
    result = run_test(desk.sandbox, live(desk), CONTENT, test)
    assert (result.differences, result.passed) == ((), True)
    assert len(crm.asked) == asked
    assert dump(desk.db) == before


def test_a_test_from_a_run_holds_no_personal_data(desk: Services, run_id: int) -> None:
    with desk.db.read() as connection:
        outcome = json.dumps(connection.execute(select(RunRow.outcome)).scalar_one())
    assert "camille@" in outcome
    assert "Laurent" in outcome
    text = json.dumps(from_run(desk, "S01", CONTENT, run_id, ana(desk)).to_json())
    for secret in ("camille", "Camille", "laurent", "Laurent"):
        assert secret not in text, secret
    assert "person1@example.com" in text


def test_an_edit_that_does_otherwise_fails_the_test_and_says_how(desk: Services, run_id: int) -> None:
    test = from_run(desk, "S01", CONTENT, run_id, ana(desk))
    worse = SCRIPT.replace('set_priority("high")', 'set_priority("urgent")')
    assert run_test(desk.sandbox, live(desk), {"source": worse}, test).differences == (
        "effect 3: expected set_priority priority: high, got set_priority priority: urgent",
    )
    shorter = SCRIPT.replace('        ticket.set_priority("high")', "        pass")
    assert run_test(desk.sandbox, live(desk), {"source": shorter}, test).differences == (
        "effect 3: expected set_priority priority: high, got nothing",
    )
    broken = run_test(desk.sandbox, live(desk), {"source": SCRIPT + "1 / 0\n"}, test)
    assert broken.differences[:2] == (
        "status: expected finished, got failed",
        "error: expected none, got RUNTIME",
    )


def test_what_is_not_recorded_is_not_asked_elsewhere(desk: Services, run_id: int, crm: Upstream) -> None:
    asked = len(crm.asked)
    test = replace(from_run(desk, "S01", CONTENT, run_id, ana(desk)), calls=())
    result = run_test(desk.sandbox, live(desk), CONTENT, test)
    assert "error: expected none, got CONNECTOR" in result.differences
    assert len(crm.asked) == asked


def test_a_test_survives_its_text_form(desk: Services, run_id: int) -> None:
    test = from_run(desk, "S01", CONTENT, run_id, ana(desk))
    again = ScriptTest.from_json(files.load(files.dump(test.to_json())))
    assert again.to_json() == test.to_json()
    content = {"source": SCRIPT, "tests": [test.to_json(), {"name": "x"}]}
    assert [one.passed for one in run_all(desk.sandbox, live(desk), content)] == [True, False]


def test_a_run_that_is_not_there_makes_no_test(desk: Services, run_id: int) -> None:
    for code, number in (("S01", run_id + 1), ("S02", run_id)):
        with pytest.raises(RunNotFound):
            from_run(desk, code, CONTENT, number, ana(desk))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"name": "x", "facts": {}, "expect": {"status": "", "error": "", "effects": []}},
        {"name": "x", "facts": {"item": {}, "event": {}, "now": "x"}, "expect": {}},
        {"name": "x", "facts": {"item": {}, "event": {}, "now": "x"}, "calls": [{}], "expect": {}},
        {"name": "x" * 201, "facts": {"item": {}, "event": {}, "now": "x"}, "expect": {}},
        {"name": "x", "source": "print(1)"},
    ],
)
def test_what_is_no_test_is_refused(wrong: object) -> None:
    with pytest.raises(BadTest):
        ScriptTest.from_json(wrong)


MASKED: list[tuple[JSON, JSON]] = [
    ("Ring Ann Ek at +48 600 123 456", "Ring Person 1 at Number 1"),
    ("ann.ek@mail.example, ANN.EK@MAIL.EXAMPLE", "person1@example.com, person1@example.com"),
    ("IBAN PL61 1090 1014 0000 0712 1981 2874 please", "IBAN Account 1 please"),
    ("2026-11-22T12:00:00.000000+00:00", "2026-11-22T12:00:00.000000+00:00"),
    ("due 2026-11-22, 49.90 EUR, order SO-1234", "due 2026-11-22, 49.90 EUR, order SO-1234"),
    ("Annex to the annual report", "Annex to the annual report"),
    ({"street": "Long Lane 3", "total": 5, "paid": True}, {"street": "Person 1", "total": 5, "paid": True}),
    (["ek", "EK"], ["Person 1", "Person 1"]),
]


@pytest.mark.parametrize(("value", "masked"), MASKED)
def test_what_reaches_a_person_is_replaced_and_the_rest_is_kept(value: JSON, masked: JSON) -> None:
    assert Mask({"name": "Ann Ek"}).value(value) == masked


def test_the_same_address_has_the_same_mask_in_facts_and_in_answers() -> None:
    mask = Mask({"name": "Ann Ek"})
    asked = mask.value(
        {"args": {"email": "ann@mail.example"}, "answer": {"email": "Ann@mail.example", "name": "Ann Ek"}}
    )
    assert asked == {
        "args": {"email": "person1@example.com"},
        "answer": {"email": "person1@example.com", "name": "Person 1"},
    }
    assert mask.text("Ann Ek <bob@mail.example>") == "Person 1 <person2@example.com>"
