"""What rows say against each other, on the pages of the table and of its review."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from rules import store as rule_list
from tests.web.desk import TRIAGE, Desk
from tickets.values import JSON
from web import rules_versions


def draft(desk: Desk, code: str, **changes: Any) -> None:
    with desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        content: dict[str, JSON] = {**TRIAGE, **changes}
        rule_list.save_draft(connection, code, content, author="ana", seen=seen, now=desk.clock.now())


def page(manager: FlaskClient, path: str) -> str:
    return manager.get(path).get_data(as_text=True)


EACH: dict[str, Any] = {
    "hit": "every",
    "rows": [
        {"id": "r1", "if": {"c1": {"value": "chat"}}, "then": {"s1": {"team": "sales"}}},
        {"id": "r2", "if": {"c2": {"value": ["refund"]}}, "then": {"s1": {"team": "billing"}}},
    ],
}


def test_a_row_that_writes_over_another_says_so_in_the_grid(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    draft(desk, "A01", **EACH)
    said = "Row 2 writes over what row 1 wrote: Team becomes Sales, then Billing."
    assert f"{said} For example: Channel = Chat; Subject = refund." in page(manager, "/rules/A01")
    draft(desk, "A01", **{**EACH, "hit": "first"})
    assert "writes over" not in page(manager, "/rules/A01")


def test_the_review_compares_with_the_other_live_tables(
    desk: Desk, manager: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Triage", "Second look"):
        desk.publish({**TRIAGE, "name": name})
    rows: Any = [{"id": "r1", "if": {"c2": {"value": ["angry"]}}, "then": {"s2": {"priority": "urgent"}}}]
    draft(desk, "A02", rows=rows)
    review = page(manager, "/rules/A02/review")
    assert "A02 row 1 writes over what A01 row 2 wrote: Priority becomes High, then Urgent." in review
    assert "writes over" not in page(manager, "/rules/A02")  # the editor looks at the table alone
    with desk.services.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    assert "writes over" not in page(manager, "/rules/A02/review")
    monkeypatch.setattr(rules_versions, "LISTED_ROWS", 0)
    assert "was not compared with the others" in page(manager, "/rules/A02/review")
