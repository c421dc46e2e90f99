"""A preview says what live would do: the same function, the facts of then, and nothing written anywhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from connectors import store as connections
from jobs.preview import FieldChange, Hits, preview, why
from jobs.services import Services
from rules import files
from rules import store as rule_list
from rules.errors import TableInvalid
from rules.store import EntryKind, EntryNotFound
from rules.trace import RowVerdict
from tests.builders import a_ticket, dump
from tests.connectors.upstream import Upstream, as_json
from tests.jobs.desk import a_working_desk, ana, clock_of, decisions, item, publish, table, work

TRIAGE = """
code: A01
name: Triage
kind: ticket
triggers: [{on: created}]
hit: first
columns:
  - {id: c1, field: message.text, op: contains_any}
steps:
  - {id: s1, do: assign_team}
  - {id: s2, do: set_priority}
rows:
  - {id: r1, if: {c1: {value: [charged twice]}}, then: {s1: {team: billing}, s2: {priority: high}}}
otherwise: {then: {s1: {team: first_line}}}
"""


def draft(**changes: Any) -> dict[str, Any]:
    data: dict[str, Any] = files.load(TRIAGE)
    return {**data, **changes}


def urgent() -> dict[str, Any]:
    """The triage with its first row made urgent."""
    data = copy.deepcopy(draft())
    data["rows"][0]["then"]["s2"] = {"priority": "urgent"}
    return data


@pytest.mark.slow
def test_a_preview_looks_at_the_last_200_events_unless_told_otherwise(desk: Services) -> None:
    table(desk, TRIAGE)
    first = a_ticket(desk.db)
    work(desk)
    for _ in range(200):
        a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    assert preview(desk, "A01", urgent(), ana(desk)).different == ()  # the first ticket is the 201st from the end
    wider = preview(desk, "A01", urgent(), ana(desk), last=201 + 201)
    assert [one.item_id for one in wider.different] == [first.item_id]


def test_the_live_content_as_a_draft_changes_nothing(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db)
    a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    made = preview(desk, "A01", draft(), ana(desk))
    assert made.different == ()
    assert made.hits == {"otherwise": Hits(1, 1), "r1": Hits(1, 1)}
    assert (made.triggered, made.unmatched, made.hidden, made.skipped) == (2, 1, 0, {})


def test_a_changed_row_lists_the_tickets_that_would_differ(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    made = preview(desk, "A01", urgent(), ana(desk))
    assert [(one.item_id, one.live_rows, one.draft_rows) for one in made.different] == [
        (ticket.item_id, ("r1",), ("r1",))
    ]
    assert made.different[0].fields == (FieldChange("priority", "high", "urgent"),)
    assert made.live_version == 1


def test_what_the_preview_says_is_what_live_does_once_published(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db)
    work(desk)
    promised = preview(desk, "A01", urgent(), ana(desk)).different[0].fields
    with desk.db.write() as connection:
        now = desk.clock.now()
        seen = rule_list.entry(connection, "A01").draft_count
        seen = rule_list.save_draft(connection, "A01", urgent(), author="ana", seen=seen, now=now)
        rule_list.publish(connection, "A01", author="ana", note="", seen=seen, now=now)
    again = a_ticket(desk.db)
    work(desk)
    assert promised == (FieldChange("priority", "high", "urgent"),)
    assert item(desk, again.item_id).state["priority"] == "urgent"


def test_a_preview_leaves_every_table_as_it_was(desk: Services) -> None:
    table(desk, TRIAGE)
    for _ in range(3):
        a_ticket(desk.db)
    work(desk)
    before = dump(desk.db)
    loud = urgent()
    loud["steps"].append({"id": "s3", "do": "post_message"})
    loud["rows"][0]["then"]["s3"] = {"text": "Hello {{customer.name}}", "public": True}
    made = preview(desk, "A01", loud, ana(desk))
    shown = why(desk, "A01", loud, ana(desk), made.different[0].event_id)
    assert shown is not None
    assert [one.more for one in made.different] == [(("message", "Hello Camille Laurent"),)] * 3
    assert made.effects["message"] == Hits(0, 3)
    assert dump(desk.db) == before


def test_tickets_the_viewer_may_not_see_are_counted_and_not_shown(desk: Services) -> None:
    table(desk, TRIAGE)
    seen = a_ticket(desk.db)
    a_ticket(desk.db, subject="About a colleague")
    work(desk)
    with desk.db.write() as connection:
        connection.execute(text("UPDATE items SET team = 'hr' WHERE subject = 'About a colleague'"))
    made = preview(desk, "A01", urgent(), ana(desk))
    assert {one.item_id for one in made.different} == {seen.item_id}
    assert made.hidden == 2  # its creation, and the change that followed
    everything = preview(desk, "A01", urgent(), ana(desk, "hania"))
    assert everything.hidden == 0
    hidden_event = next(one.event_id for one in everything.different if one.item_id != seen.item_id)
    assert why(desk, "A01", urgent(), ana(desk), hidden_event) is None


def test_a_draft_with_problems_is_refused_with_all_of_them(desk: Services) -> None:
    table(desk, TRIAGE)
    broken = urgent()
    broken["rows"][0]["then"]["s1"] = {"team": "biling"}
    with pytest.raises(TableInvalid) as caught:
        preview(desk, "A01", broken, ana(desk))
    assert [one.where for one in caught.value.problems] == [{"row": "r1", "column": "s1"}]


def test_a_script_has_no_preview(desk: Services) -> None:
    publish(desk, EntryKind.SCRIPT, {"code": "S01", "name": "Enrich", "source": "log(1)"})
    with pytest.raises(EntryNotFound, match="S01 is not a table"):
        preview(desk, "S01", draft(), ana(desk))


def test_a_table_never_published_is_tried_against_a_list_without_it(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    work(desk)
    new = draft(code="A02", name="Second", rows=[{"id": "r1", "then": {"s2": {"priority": "urgent"}}}], otherwise=None)
    with desk.db.write() as connection:
        now = desk.clock.now()
        rule_list.create(connection, EntryKind.TABLE, "Second", new, author="ana", now=now, code="A02")
    made = preview(desk, "A02", new, ana(desk))
    assert made.live_version is None
    assert [(one.item_id, one.live_rows, one.draft_rows) for one in made.different] == [(ticket.item_id, (), ("r1",))]
    # The first table makes it high; the second one, after it in the list, has the last word.
    assert made.different[0].fields == (FieldChange("priority", "high", "urgent"),)


def test_a_switched_off_table_is_tried_as_if_it_were_on(desk: Services) -> None:
    table(desk, TRIAGE)
    ticket = a_ticket(desk.db)
    work(desk)
    with desk.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    made = preview(desk, "A01", draft(), ana(desk))
    assert made.switched_off
    assert [one.item_id for one in made.different] == [ticket.item_id]


def test_the_newest_events_are_looked_at_up_to_the_number_asked_for(desk: Services) -> None:
    table(desk, TRIAGE)
    for _ in range(4):
        a_ticket(desk.db)
    work(desk)
    made = preview(desk, "A01", urgent(), ana(desk), last=3)
    assert made.events == 3


def test_why_shows_both_decisions_row_by_row(desk: Services) -> None:
    table(desk, TRIAGE)
    a_ticket(desk.db, text="Where is my parcel?")
    work(desk)
    caught_now = urgent()
    caught_now["rows"][0]["if"]["c1"]["value"] = ["parcel"]
    event_id = preview(desk, "A01", caught_now, ana(desk)).different[0].event_id
    shown = why(desk, "A01", caught_now, ana(desk), event_id)
    assert shown is not None
    assert [row.verdict for row in shown.live.entries[0].rows] == [RowVerdict.NOT_MATCHED, RowVerdict.FIRED]
    assert shown.draft.entries[0].rows[0].verdict is RowVerdict.FIRED
    assert shown.draft.entries[0].rows[0].conditions[0].actual == "Where is my parcel?"


def test_an_event_no_rule_has_looked_at_has_no_why(desk: Services) -> None:
    table(desk, TRIAGE)
    assert why(desk, "A01", draft(), ana(desk), 12345) is None


# Answers from outside --------------------------------------------------------------------------------------------

DEBTORS = """
code: A01
name: Debtors
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 60
columns: [{id: c1, field: erp.find_party.receivable, op: greater}]
steps: [{id: s1, do: assign_team}]
rows: [{id: r1, if: {c1: {value: "100.00"}}, then: {s1: {team: billing}}}]
otherwise: {then: {s1: {team: first_line}}}
"""
ERP = {
    "operations": [
        {
            "name": "find_party",
            "path": "/parties",
            "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
            "query": {"email": "{email}"},
            "map": {
                "id": "id",
                "receivable": {"path": "receivable", "type": "money"},
            },
        },
        {
            "name": "find_debt",
            "path": "/debts",
            "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
            "query": {"email": "{email}"},
            "map": {"id": "id", "amount": {"path": "amount", "type": "money"}},
        },
    ]
}


@pytest.fixture
def erp() -> Iterator[Upstream]:
    server = Upstream(lambda _: as_json([{"id": "7", "receivable": "149.70"}]))
    yield server
    server.close()


@pytest.fixture
def asking_desk(database_url: str, tmp_path: Path, erp: Upstream) -> Iterator[Services]:
    with a_working_desk(database_url, tmp_path, address_ceiling="127.0.0.0/8") as services:
        with services.db.write() as connection:
            config: dict[str, Any] = {**ERP, "base_url": erp.url}
            connections.save_connection(
                connection, services.box, name="erp", kind="http_json", config=config, now=clock_of(services).at
            )
            rule_list.bump(connection)
        yield services


def test_a_recorded_answer_is_used_and_nobody_is_asked(asking_desk: Services, erp: Upstream) -> None:
    table(asking_desk, DEBTORS)
    ticket = a_ticket(asking_desk.db)
    work(asking_desk)
    assert item(asking_desk, ticket.item_id).state["team"] == "billing"
    assert len(decisions(asking_desk, ticket.item_id)) > 1  # it waited, so the answer is in the second part
    asked = len(erp.asked)
    stricter: dict[str, Any] = files.load(DEBTORS)
    stricter["rows"][0]["if"]["c1"]["value"] = "200.00"
    made = preview(asking_desk, "A01", stricter, ana(asking_desk))
    assert [one.fields for one in made.different] == [(FieldChange("team", "billing", "first_line"),)]
    assert len(erp.asked) == asked


def test_an_event_whose_answer_was_never_asked_for_is_skipped_with_the_reason(
    asking_desk: Services, erp: Upstream
) -> None:
    table(asking_desk, DEBTORS)
    a_ticket(asking_desk.db)
    work(asking_desk)
    other: dict[str, Any] = files.load(DEBTORS)
    other["columns"][0]["field"] = "erp.find_debt.amount"
    asked = len(erp.asked)
    made = preview(asking_desk, "A01", other, ana(asking_desk))
    assert made.skipped == {"The answer of erp.find_debt is not recorded": 1}
    assert made.different == ()
    assert made.events == 2  # what followed: the new card, and the change of team; neither runs the table
    assert len(erp.asked) == asked
