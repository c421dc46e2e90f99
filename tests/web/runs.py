"""Runs of scripts as a worker would have stored them."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import insert

from jobs.tables import RunRow
from rules import store as rule_list
from rules.store import EntryKind
from sandbox.contract import ActionCall, CallRecord, LogLine, Outcome, Usage
from tests.web.desk import Desk

GOOD = Outcome(
    "finished",
    None,
    (ActionCall("set_priority", {"priority": "high"}, 3),),
    (LogLine(4, 2, "found <b>two</b> charges"),),
    (CallRecord("billing", "list_charges", {"email": "a@b.c"}, "ok", "", 120, 1, [{"id": "ch_1"}]),),
    Usage(140, 20, 15_000, 1),
)


def a_run(desk: Desk, item_id: int, outcome: Outcome = GOOD, script: str = "S01") -> int:
    """A run on this item that ended so, of a script that is made where there is none; its number."""
    with desk.services.db.write() as connection:
        if script not in {one.code for one in rule_list.entries(connection)}:
            now = desk.clock.now()
            rule_list.create(
                connection, EntryKind.SCRIPT, f"Script {script}", {"source": "a = 1\nb = 2\n"}, author="ana",
                now=now, code=script,
            )  # fmt: skip
            rule_list.publish(connection, script, author="ana", note="", seen=1, now=now)
        return connection.execute(
            insert(RunRow)
            .values(
                key=f"{script}-{item_id}-{outcome.status}-{desk.clock.now()}-{id(outcome)}", item_id=item_id,
                event_id=item_id, script=script, version=1, params={"days": 60},
                cause={"kind": "table", "code": "A01", "version": 3, "row": "r2"}, root_id=item_id, depth=1,
                status=outcome.status, attempt=1, outcome=asdict(outcome), created_at=desk.clock.now(),
                finished_at=desk.clock.now(),
            )
            .returning(RunRow.id)
        ).scalar_one()  # fmt: skip
