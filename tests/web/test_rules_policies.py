"""Running again, ending the list and what an unknown value counts as: set on the pages of a table."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.rules.desk import DESK
from tests.web.desk import TRIAGE, Desk
from tests.web.pages import edit, stored, text_of
from tests.web.test_rules_document import a_document, do
from web import rules_words
from web.rules_document import EditRefused


def test_a_table_is_told_to_run_again_by_its_settings(desk: Desk, manager: FlaskClient) -> None:
    desk.publish(TRIAGE)
    page = text_of(manager.get("/rules/A01/settings"))
    assert '<input type="checkbox" name="run_again">' in page
    said = {"name": "Triage", "kind": "ticket", "hit": "first", "wait": "none", "t0.on": "created"}
    edit(manager, desk, do="settings", run_again="on", **said)
    assert stored(desk).working["run_again"] is True
    assert '<input type="checkbox" name="run_again" checked>' in text_of(manager.get("/rules/A01/settings"))
    assert "when a later entry changes what it reads" in text_of(manager.get("/rules/A01/review"))
    edit(manager, desk, do="settings", **said)
    assert "run_again" not in stored(desk).working


def test_a_row_is_told_to_end_the_list_on_its_own_form_and_no_other_form_takes_that_away(
    desk: Desk, manager: FlaskClient
) -> None:
    desk.publish(TRIAGE)
    row = TRIAGE["rows"][0]["id"]
    assert 'name="stop"' in text_of(manager.get(f"/rules/A01/rows/{row}"))
    assert 'name="stop"' in text_of(manager.get(f"/rules/A01/rows/{row}/menu"))
    edit(manager, desk, do="rearm", row=row, rearm="every_time", stop_asked="1", stop="on")
    assert stored(desk).working["rows"][0]["stop"] is True
    edit(manager, desk, do="note", row=row, note="why")
    assert stored(desk).working["rows"][0]["stop"] is True
    assert "ends the rule list" in text_of(manager.get("/rules/A01/review"))
    edit(manager, desk, do="rearm", row=row, rearm="every_time", stop_asked="1")
    assert "stop" not in stored(desk).working["rows"][0]


def test_what_an_unknown_value_counts_as_is_set_with_its_column() -> None:
    changed = do(a_document(), do="column", column="c1", op="is", unknown="no_match")
    assert changed["columns"][0] == {"id": "c1", "field": "ticket.fields.topic", "op": "is", "unknown": "no_match"}
    assert do(changed, do="column", column="c1", op="is", unknown="wait")["columns"] == a_document()["columns"]
    assert do(changed, do="column", column="c1", op="is")["columns"] == changed["columns"]
    with pytest.raises(EditRefused, match="unknown value"):
        do(a_document(), do="column", column="c1", op="is", unknown="perhaps")


def test_only_columns_on_facts_from_outside_are_asked_what_unknown_means(app: APIFlask) -> None:
    def outside(name: str) -> bool:
        return rules_words.looks_outside({"id": "c1", "field": name}, DESK)

    assert outside("erp.find_party.tier")
    assert outside("context.payments.duplicate")
    assert not outside("ticket.status")
    assert not outside("no.such.field")
