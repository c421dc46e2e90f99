"""H7: a support manager keeps the rules without technical work; scripts are another permission, and optional."""

from __future__ import annotations

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select

from rules import store as rule_list
from rules.store import EntryKind
from tests.rows.desk import switch
from tests.web.desk import Desk, let_in, send
from tickets.tables import WorkItem


def edit(manager: FlaskClient, desk: Desk, **fields: object) -> None:
    given = {key.replace("__", "."): value for key, value in fields.items()}
    assert send(manager, "/rules/A01/edit", {"seen": _seen(desk), **given}).status_code < 400


def test_h7_a_manager_writes_and_publishes_a_rule_with_forms_alone(desk: Desk, app: APIFlask) -> None:
    manager = app.test_client()
    let_in(manager, desk.user("mia", "manager", name="Mia Manager"))
    assert manager.get("/scripts").status_code == 403

    send(manager, "/rules", {"name": "Refunds", "trigger": "created"})
    edit(manager, desk, do="add_condition", field="ticket.subject")
    edit(manager, desk, do="add_step", action="set_priority")
    with desk.services.db.read() as connection:
        working = rule_list.entry(connection, "A01").working
    row, column, step = (str(working[part][-1]["id"]) for part in ("rows", "columns", "steps"))
    keywords = {f"{column}__op": "contains_any", f"{column}__more": "refund\r\nremboursement"}
    edit(manager, desk, do="cell", row=row, column=column, **keywords)
    edit(manager, desk, do="cell", row=row, column=step, **{f"{step}__priority": "high"})
    send(manager, "/rules/A01/publish", {"seen": _seen(desk), "note": "Refunds first"})
    with desk.services.db.read() as connection:
        [made] = rule_list.entries(connection, EntryKind.TABLE)
        assert made.live_version == 1

    yes, no = desk.ticket("Remboursement, svp"), desk.ticket("Where is my parcel?")
    desk.work()
    assert [_priority(desk, one) for one in (yes, no)] == ["high", "normal"]

    switch(desk, "A01", on=False)
    off = desk.ticket("Refund please")
    desk.work()
    assert _priority(desk, off) == "normal"


def _seen(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return rule_list.entry(connection, "A01").draft_count


def _priority(desk: Desk, number: int) -> str | None:
    with desk.services.db.read() as connection:
        return connection.execute(select(WorkItem.priority).where(WorkItem.id == number)).scalar_one()
