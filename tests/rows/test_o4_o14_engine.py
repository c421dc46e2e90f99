"""O4 O14: a rule runs on items of a kind, with a scope, filters and a trigger, and moves statuses and assignments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rows.desk import item_named, switch
from tests.rows.maildesk import MailDesk
from tests.web.desk import send

ENGINE: dict[str, Any] = {
    "name": "Reviewed",
    "kind": "task",
    "scope": [{"field": "ticket.brand", "op": "is", "value": "acme"}],
    "triggers": [{"on": "changed", "field": "ticket.status", "to": ["in_progress"]}],
    "hit": "first",
    "wait_s": 0,
    "columns": [{"id": "c1", "field": "ticket.priority", "op": "is"}],
    "steps": [{"id": "s1", "do": "set_status"}, {"id": "s2", "do": "assign"}, {"id": "s3", "do": "add_tags"}],
    "rows": [
        {
            "id": "r1",
            "if": {"c1": {"value": "high"}},
            "then": {"s1": {"status": "waiting_team"}, "s2": {"users": ["ion"]}, "s3": {"tags": ["review"]}},
        }
    ],
}


@pytest.mark.parametrize("on", [True, False])
def test_o4_o14_scope_filter_and_trigger_all_decide_and_status_and_assignment_move(
    mail_desk: MailDesk, on: bool
) -> None:
    ana = mail_desk.browser("ana", "manager", "agent")
    mail_desk.browser("ion")
    code = mail_desk.desk.publish(ENGINE)
    switch(mail_desk.desk, code, on=on)
    # It stands among the rules of its kind, and a rule for any kind among those of each.
    other = mail_desk.desk.publish({**ENGINE, "name": "Everywhere", "kind": "any", "scope": []})
    switch(mail_desk.desk, other, on=False)
    listed = {kind: ana.get(f"/rules?kind={kind}").get_data(as_text=True) for kind in ("task", "project", "", "x")}
    assert [">Reviewed<" in page for page in listed.values()] == [True, False, True, True]
    assert all(">Everywhere<" in page for page in listed.values())
    cases = {
        "all of it": ("task", "acme", "high", "in_progress"),
        "another kind": ("project", "acme", "high", "in_progress"),
        "out of scope": ("task", "", "high", "in_progress"),
        "filtered out": ("task", "acme", "low", "in_progress"),
        "another trigger": ("task", "acme", "high", "closed"),
    }
    moved = {}
    for name, (kind, brand, priority, status) in cases.items():
        new = {"subject": name, "brand": brand, "priority": priority, "assignees": "ana"}
        assert send(ana, f"/items/{kind}/new", new).status_code == 303
        number = item_named(mail_desk.desk, name)
        if brand:
            send(ana, f"/tickets/{number}/details", {"was:brand": "", "brand": brand})
        mail_desk.work()
        assert send(ana, f"/tickets/{number}/fields/status", {"value": status}).status_code < 400
        mail_desk.work()
        state = mail_desk.desk.state(number)
        moved[name] = (state["status"], state["assignees"], state.get("tags")) != (status, ["ana"], None)
        if moved[name]:
            assert (state["status"], state["assignees"], state["tags"]) == ("waiting_team", ["ion"], ["review"])
    assert moved == {name: on and name == "all of it" for name in cases}
