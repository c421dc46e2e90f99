"""The inbox: queues, filters, pages, and nobody else's restricted tickets."""

from __future__ import annotations

import html
import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import event

from tests.environment.databases import Kind, MakeDatabase
from tests.environment.redis import RedisServer
from tests.web.desk import Desk, a_desk, let_in
from tickets import people
from web import inbox_store, paging, shell_store
from web.inbox_store import Filter


def subjects(page: str) -> list[str]:
    return re.findall(r'<a href="/tickets/\d+">([^<]*)</a>', page)


def shown(browser: FlaskClient, query: str) -> list[str]:
    answer = browser.get(f"/?{query}")
    assert answer.status_code == 200
    return subjects(answer.get_data(as_text=True))


@pytest.fixture
def filled(desk: Desk) -> Desk:
    """Six tickets, a minute apart, oldest first: each belongs in another queue."""
    for subject, state in {
        "mine": {"assignees": ["ana"], "team": "sales"},
        "team": {"team": "billing", "priority": "high", "tags": ["vip", "refund"]},
        "free": {"team": "sales"},
        "waits": {"status": "waiting_customer", "assignees": ["marc"]},
        "done": {"status": "closed", "assignees": ["ana"], "team": "billing"},
        "secret": {"team": "ethics"},
    }.items():
        desk.ticket(subject, **state)  # type: ignore[arg-type]
        desk.clock.move(minutes=1)
    return desk


@pytest.mark.alike
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["mine"]),
        ("queue=mine", ["mine"]),
        ("queue=teams", ["team"]),
        ("queue=unassigned", ["free", "team"]),
        ("queue=all", ["waits", "free", "team", "mine"]),
        ("queue=waiting", ["waits"]),
        ("queue=closed", ["done"]),
        ("queue=all&status=closed", ["done"]),
        ("queue=all&team=billing", ["team"]),
        ("queue=all&priority=high", ["team"]),
        ("queue=all&tag=vip", ["team"]),
        ("queue=all&tag=vi", []),
        ("queue=all&text=FRE", ["free"]),
        ("queue=all&text=%25", []),
        ("queue=any", ["done", "waits", "free", "team", "mine"]),
        ("queue=any&text=DON", ["done"]),
        ("queue=all&text=1", ["mine"]),
        ("queue=all&text=%231", ["mine"]),
        ("queue=all&text=camille@", ["waits", "free", "team", "mine"]),
        ("queue=made-up&status=made-up&priority=x&page=-3", ["mine"]),
        ("queue=all&page=999999999999", ["waits", "free", "team", "mine"]),
    ],
)
def test_a_queue_shows_exactly_its_tickets_newest_change_first(
    query: str, expected: list[str], filled: Desk, agent: FlaskClient
) -> None:
    assert shown(agent, query) == expected


def test_a_restricted_teams_ticket_is_not_listed_found_or_opened_by_others(filled: Desk, agent: FlaskClient) -> None:
    assert "secret" not in shown(agent, "queue=all&text=secret")
    assert agent.get("/tickets/6").status_code == 404
    assert agent.get("/tickets/6").status_code == agent.get("/tickets/600").status_code


def test_its_members_see_it(filled: Desk, app: APIFlask) -> None:
    browser = app.test_client()
    let_in(browser, filled.user("eve", "agent", teams=("ethics",)))
    assert shown(browser, "queue=teams") == ["secret"]
    assert browser.get("/tickets/6").status_code == 200


def test_hidden_tickets_are_counted_but_never_for_a_filter(filled: Desk, agent: FlaskClient) -> None:
    assert "1 ticket is hidden from you" in agent.get("/?queue=all").get_data(as_text=True)
    assert "hidden from you" not in agent.get("/?queue=all&text=secret").get_data(as_text=True)


def test_a_page_holds_fifty_and_says_which_of_how_many(desk: Desk, agent: FlaskClient) -> None:
    for number in range(53):
        desk.ticket(f"t{number}")
        desk.clock.move(seconds=1)
    first = agent.get("/?queue=all").get_data(as_text=True)
    assert len(subjects(first)) == 50
    assert "1–50 of 53" in first
    assert 'rel="next" href="/?queue=all&amp;page=2"' in first
    assert shown(agent, "queue=all&page=2") == ["t2", "t1", "t0"]


def test_counting_stops_at_its_cap_and_says_so(desk: Desk, agent: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "COUNT_CAP", 3)
    for number in range(5):
        desk.ticket(f"t{number}")
    assert "of more than 3" in agent.get("/?queue=all").get_data(as_text=True)


def test_a_row_says_which_rule_last_touched_the_ticket(desk: Desk, agent: FlaskClient) -> None:
    desk.publish()
    desk.ticket("Refund please")
    assert "New ticket triage" not in agent.get("/?queue=all").get_data(as_text=True)
    desk.work()
    assert "New ticket triage" in agent.get("/?queue=all").get_data(as_text=True)


def test_the_menu_counts_my_open_tickets(filled: Desk, agent: FlaskClient) -> None:
    assert re.search(r'Inbox<span class="n new">1 new<.*<span class="n">1<', agent.get("/more").get_data(as_text=True))


def test_an_empty_queue_says_what_will_stand_there(agent: FlaskClient) -> None:
    assert "Nothing is assigned to you" in agent.get("/?queue=mine").get_data(as_text=True)
    assert "No ticket matches" in agent.get("/?text=zzz").get_data(as_text=True)


def test_queues_read_the_same_on_every_database(
    database_kind: Kind, make_database: MakeDatabase, tmp_path: object, redis_server: RedisServer
) -> None:
    from pathlib import Path

    desk = a_desk(make_database(database_kind), Path(str(tmp_path)), redis_server.url)
    desk.user("ana", "agent", teams=("billing",))
    mine = desk.ticket("mine 100%", assignees=["ana", "marc"], tags=["vip", 'a"b'])
    desk.ticket("secret", team="ethics")
    with desk.services.db.read() as connection:
        who = people.viewer(connection, "ana")
        assert who is not None
        found = {
            wanted: [line.id for line in inbox_store.inbox(connection, who, wanted).rows]
            for wanted in (
                Filter("mine"),
                Filter("all", tag='a"b'),
                Filter("all", tag="a"),
                Filter("all", text="0%"),
                Filter("all", text="SECRET"),
                Filter("all", text="LAURENT"),
            )
        }
        counted = shell_store.waiting(connection, who, cap=100)
    assert list(found.values()) == [[mine], [mine], [], [mine], [], [mine]]
    assert counted == shell_store.Waiting(mine=1, unread=0, unseen=1)
    desk.services.close()


def queries_of(desk: Desk, browser: FlaskClient, path: str) -> int:
    """How many statements one page takes, the second time it is opened."""
    browser.get(path)
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    event.listen(desk.services.db.engine, "before_cursor_execute", note)
    assert browser.get(path).status_code == 200
    event.remove(desk.services.db.engine, "before_cursor_execute", note)
    return len([statement for statement in seen if not statement.startswith("BEGIN")])


def test_the_first_page_begins_where_there_is_work(desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    def chosen(browser: FlaskClient, query: str = "") -> tuple[str, list[str]]:
        page = browser.get(f"/{query}").get_data(as_text=True)
        tab = re.findall(r'<a href="/[^"]*" aria-current="page">([^<]*)', page.partition('class="tabs"')[2])
        return tab[0].strip(), subjects(page)

    assert chosen(agent) == ("All open", [])
    desk.ticket("other", team="sales")
    assert chosen(agent) == ("All open", ["other"])
    desk.ticket("team", team="billing")
    assert chosen(agent) == ("My teams", ["team"])
    desk.ticket("mine", assignees=["ana"])
    assert chosen(agent) == ("Mine", ["mine"])
    assert chosen(agent, "?queue=teams") == ("My teams", ["team"])
    colleague = app.test_client()
    let_in(colleague, desk.user("zoe", "agent"))
    assert chosen(colleague) == ("All open", ["mine", "team", "other"])
    assert chosen(colleague, "?queue=mine") == ("Mine", [])


@pytest.mark.parametrize("queue", ["mine", "teams", "unassigned", "all", "waiting", "closed"])
def test_an_empty_queue_offers_one_thing_to_do(queue: str, agent: FlaskClient) -> None:
    empty = (
        agent.get(f"/?queue={queue}").get_data(as_text=True).partition('<div class="empty">')[2].partition("</div>")[0]
    )
    [action] = re.findall(r'<a class="btn" href="([^"]*)"', empty)
    assert agent.get(html.unescape(action)).status_code == 200


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0, "1 min"), (59, "59 min"), (125, "2 h"), (23 * 60, "23 h"), (5 * 1440, "21 Nov"), (60 * 1440, "Nov 2026")],
)
def test_a_change_is_so_long_ago_or_on_that_day(minutes: int, shown: str, desk: Desk, agent: FlaskClient) -> None:
    desk.ticket("One")
    desk.clock.move(minutes=minutes)
    page = agent.get("/?queue=all").get_data(as_text=True)
    assert re.findall(r'<td class="age[^>]*><time [^>]*>([^<]*)</time>', page) == [shown]


def test_a_page_takes_as_many_queries_for_forty_tickets_as_for_two(desk: Desk, agent: FlaskClient) -> None:
    desk.publish()
    for number in range(2):
        desk.ticket(f"Refund {number}", assignees=["ana"])
    desk.work()
    few = queries_of(desk, agent, "/?queue=all"), queries_of(desk, agent, "/tickets/1")
    for number in range(38):
        desk.ticket(f"Refund {number}", name="", email=f"c{number}@customer.test")
    desk.work()
    many = queries_of(desk, agent, "/?queue=all"), queries_of(desk, agent, "/tickets/1")
    assert many[1] == few[1] <= 36
    assert many[0] - few[0] <= 1, "one more for the addresses of customers without a name, none per ticket"
    assert many[0] <= 12
