"""The run pages: what each run did and said, and only for tickets the viewer may see."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from sandbox.contract import Outcome, ScriptError
from tests.web.desk import Desk
from tests.web.pages import words
from tests.web.runs import a_run
from web import paging

BAD = Outcome("failed", ScriptError("RUNTIME", "list index out of range", 7, 0, "Look at len() first."))


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
