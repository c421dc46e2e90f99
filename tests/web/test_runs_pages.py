"""The run pages: what each run did and said, and only for tickets the viewer may see."""

from __future__ import annotations

import re
from dataclasses import asdict

from flask.testing import FlaskClient
from sqlalchemy import insert

from jobs.tables import RunRow
from rules import store as rule_list
from rules.store import EntryKind
from sandbox.contract import ActionCall, CallRecord, LogLine, Outcome, ScriptError, Usage
from tests.web.desk import Desk
from web import paging

GOOD = Outcome(
    "finished",
    None,
    (ActionCall("set_priority", {"priority": "high"}, 3),),
    (LogLine(4, 2, "found <b>two</b> charges"),),
    (CallRecord("billing", "list_charges", {"email": "a@b.c"}, "ok", "", 120, 1, [{"id": "ch_1"}]),),
    Usage(140, 20, 15_000, 1),
)
BAD = Outcome("failed", ScriptError("RUNTIME", "list index out of range", 7, 0, "Look at len() first."))


def a_run(desk: Desk, item_id: int, outcome: Outcome = GOOD, script: str = "S01") -> int:
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


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_run_shows_its_log_its_calls_and_what_it_used(desk: Desk, agent: FlaskClient) -> None:
    run_id = a_run(desk, desk.ticket())
    answer = agent.get(f"/runs/{run_id}")
    page = words(answer.get_data(as_text=True))
    assert "finished" in page
    assert "Set priority: High" in page
    assert "billing.list_charges" in page
    assert "120 ms" in page
    assert "1 of 50 calls" in page
    assert "found &lt;b&gt;two&lt;/b&gt; charges" in answer.get_data(as_text=True)
    assert 'href="#L2"' in answer.get_data(as_text=True)


def test_a_failed_run_says_where_and_that_nothing_was_applied(desk: Desk, agent: FlaskClient) -> None:
    run_id = a_run(desk, desk.ticket(), BAD)
    page = words(agent.get(f"/runs/{run_id}").get_data(as_text=True))
    assert "Line 7 : list index out of range. Look at len() first." in page
    assert "Nothing of this run was applied." in page


def test_the_source_is_shown_to_developers_alone(desk: Desk, agent: FlaskClient) -> None:
    run_id = a_run(desk, desk.ticket())
    assert "b = 2" not in agent.get(f"/runs/{run_id}").get_data(as_text=True)


def test_runs_on_tickets_one_may_not_see_are_not_there(desk: Desk, agent: FlaskClient) -> None:
    hidden = a_run(desk, desk.ticket("About a colleague", team="ethics"))
    seen = a_run(desk, desk.ticket("Where is my parcel?"))
    page = agent.get("/runs").get_data(as_text=True)
    assert "About a colleague" not in page
    assert f"/runs/{seen}" in page
    assert f"/runs/{hidden}" not in page
    assert "1–1 of 1" in page
    assert agent.get(f"/runs/{hidden}").status_code == 404
    assert agent.get("/runs?item=1").get_data(as_text=True).count("About a colleague") == 0


def test_the_list_is_narrowed_by_outcome_script_and_ticket(desk: Desk, agent: FlaskClient) -> None:
    first, second = desk.ticket("First"), desk.ticket("Second")
    good, bad, other = a_run(desk, first), a_run(desk, first, BAD), a_run(desk, second, script="S02")

    def shown(query: str) -> set[int]:
        page = agent.get(f"/runs?{query}").get_data(as_text=True)
        return {int(found) for found in re.findall(r'data-href="/runs/(\d+)"', page)}

    assert shown("") == {good, bad, other}
    assert shown("outcome=bad") == {bad}
    assert shown("outcome=good&script=S01") == {good}
    assert shown(f"item=%23{second}") == {other}
    assert shown("outcome=nonsense") == {good, bad, other}


def test_the_list_comes_in_pages_with_a_cap(desk: Desk, agent: FlaskClient) -> None:
    ticket = desk.ticket()
    desk.clock.move(seconds=1)
    for _ in range(paging.PAGE_ROWS + 2):
        desk.clock.move(seconds=1)
        a_run(desk, ticket)
    page = agent.get("/runs?page=2").get_data(as_text=True)
    assert page.count("data-href=") == 2
    assert agent.get("/runs?page=99999999").status_code == 200
