"""Links between tickets: shown on both, told in both histories, and silent about what somebody may not see."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select, update

from tests.environment.databases import Kind, MakeDatabase
from tests.environment.redis import RedisServer
from tests.web.desk import Desk, a_desk, send
from tests.web.pages import readable, ticket_page
from tickets import people
from tickets.errors import BadValue, ItemNotFound
from tickets.linking import MOST_LINKS, LinkKind
from tickets.tables import EventRow, History, Link, WorkItem
from web import links


def stored(desk: Desk) -> list[tuple[int, int, str]]:
    with desk.services.db.read() as connection:
        return [
            (start, end, kind)
            for start, end, kind in connection.execute(select(Link.from_item, Link.to_item, Link.kind))
        ]


def events(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(EventRow)).scalar_one()


@pytest.mark.parametrize(
    ("way", "kept", "there", "here"),
    [
        ("relates", (1, 2, "relates"), "relates to", "relates to"),
        ("contains", (2, 1, "contains"), "is part of", "contains"),
        ("part_of", (1, 2, "contains"), "contains", "is part of"),
    ],
)
def test_a_link_stands_on_both_tickets_with_the_others_status(
    way: str, kept: tuple[int, int, str], there: str, here: str, desk: Desk, agent: FlaskClient
) -> None:
    first, second = desk.ticket("First", status="solved"), desk.ticket("Second")
    answer = send(agent, f"/tickets/{second}/links", {"way": way, "number": f" #{first} "})
    assert answer.location == f"/tickets/{second}"
    assert stored(desk) == [kept]
    assert f"{here} 1 First Solved" in readable(ticket_page(agent, second))
    assert f"{there} 2 Second Open" in readable(ticket_page(agent, first))


def test_history_says_on_both_who_linked_and_unlinked(desk: Desk, agent: FlaskClient) -> None:
    first, second = desk.ticket("First"), desk.ticket("Second")
    send(agent, f"/tickets/{first}/links", {"way": "contains", "number": str(second)})
    with desk.services.db.read() as connection:
        lines = connection.execute(
            select(History.item_id, History.field, History.change, History.actor_name).order_by(History.id)
        ).all()
        causes = connection.execute(select(History.cause)).scalars().all()
    assert lines == [
        (first, "links", {"before": None, "after": {"way": "contains", "item": second}}, "Ana Nowak"),
        (second, "links", {"before": None, "after": {"way": "part_of", "item": first}}, "Ana Nowak"),
    ]
    assert {(cause["kind"], cause["label"]) for cause in causes} == {("person", "Ana Nowak")}
    assert "Ana Nowak linked: contains 2" in readable(ticket_page(agent, first))
    send(agent, f"/tickets/{second}/links/1/remove")
    assert stored(desk) == []
    assert "Ana Nowak unlinked: is part of 1" in readable(ticket_page(agent, second))
    assert "Ana Nowak unlinked: contains 2" in readable(ticket_page(agent, first))


def test_a_link_changes_no_field_so_rules_about_changes_stay_quiet(desk: Desk, agent: FlaskClient) -> None:
    first, second = desk.ticket("First"), desk.ticket("Second")
    desk.work()
    send(agent, f"/tickets/{first}/links", {"way": "relates", "number": str(second)})
    with desk.services.db.read() as connection:
        made = connection.execute(select(EventRow.kind, EventRow.changes).where(EventRow.seq > 1)).all()
    assert made == [("changed", []), ("changed", [])]
    assert desk.work() == 2


@pytest.mark.parametrize("number", ["3", "999", "2147483648", "99999999999", "x", "", "-1", "²"])
def test_a_hidden_ticket_is_answered_like_a_missing_one_and_nothing_is_linked(
    number: str, desk: Desk, agent: FlaskClient
) -> None:
    first = desk.ticket("First")
    desk.ticket("Second")
    assert desk.ticket("Secret", team="ethics") == 3
    before = events(desk)
    answer = send(agent, f"/tickets/{first}/links", {"way": "relates", "number": number})
    assert answer.status_code == 422
    assert f"There is no ticket {number[:20] or '?'}, or it is not visible to you." in answer.get_data(as_text=True)
    assert (stored(desk), events(desk)) == ([], before)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"way": "relates", "number": "1"}, "A ticket cannot be linked to itself."),
        ({"way": "contains", "number": "2"}, "Tickets 1 and 2 are linked already."),
        ({"way": "relates", "number": "2"}, "Tickets 1 and 2 are linked already."),
        ({"way": "owns", "number": "2"}, "Choose one of the list."),
    ],
)
def test_what_cannot_be_linked_is_refused_and_nothing_is_written(
    data: dict[str, object], said: str, desk: Desk, agent: FlaskClient
) -> None:
    first, second = desk.ticket("First"), desk.ticket("Second")
    send(agent, f"/tickets/{second}/links", {"way": "contains", "number": str(first)})
    before = events(desk)
    answer = send(agent, f"/tickets/{first}/links", data)
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert (stored(desk), events(desk)) == ([(second, first, "contains")], before)


def test_what_somebody_may_not_see_any_more_is_a_number_in_the_card_and_nameless_in_the_timeline(
    desk: Desk, agent: FlaskClient
) -> None:
    first, second = desk.ticket("First"), desk.ticket("A secret subject")
    send(agent, f"/tickets/{first}/links", {"way": "relates", "number": str(second)})
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == second).values(team="ethics"))
    page = ticket_page(agent, first)
    assert "1 more is hidden from you" in page
    assert "linked: relates to a ticket hidden from you" in readable(page)
    assert "A secret subject" not in page
    assert f"/tickets/{second}" not in page
    before = events(desk)
    assert send(agent, f"/tickets/{first}/links/1/remove").status_code == 404
    assert (len(stored(desk)), events(desk)) == (1, before)


def test_a_link_is_taken_away_only_from_one_of_its_ends(desk: Desk, agent: FlaskClient) -> None:
    first, second, third = (desk.ticket(subject) for subject in ("First", "Second", "Third"))
    send(agent, f"/tickets/{first}/links", {"way": "relates", "number": str(second)})
    assert send(agent, f"/tickets/{third}/links/1/remove").status_code == 404
    assert send(agent, f"/tickets/{first}/links/7/remove").status_code == 404
    assert len(stored(desk)) == 1


def test_links_work_the_same_on_every_database_and_end_at_their_bound(
    database_kind: Kind, make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer
) -> None:
    desk = a_desk(make_database(database_kind), tmp_path, redis_server.url)
    desk.user("ana", "agent")
    first, *others = [desk.ticket(f"t{number}") for number in range(MOST_LINKS + 2)]
    hidden = desk.ticket("Secret", team="ethics")
    now = desk.clock.now()
    with desk.services.db.write() as connection:
        ana = people.viewer(connection, "ana")
        assert ana is not None
        links.link(connection, ana, others[0], first, LinkKind.RELATES, now)
        connection.execute(insert(Link).values(from_item=hidden, to_item=first, kind="contains"))
        shown, out_of_sight = links.linked(connection, ana, first)
        assert ([(one.id, one.way) for one in shown], out_of_sight) == ([(others[0], "relates")], 1)
        with pytest.raises(ItemNotFound):
            links.link(connection, ana, first, hidden, LinkKind.RELATES, now)
        connection.execute(
            insert(Link),
            [{"from_item": first, "to_item": other, "kind": "relates"} for other in others[1 : MOST_LINKS - 1]],
        )
        with pytest.raises(BadValue, match=f"Ticket {first} has 50 links already"):
            links.link(connection, ana, others[-1], first, LinkKind.CONTAINS, now)
        links.unlink(connection, ana, first, shown[0].link, now)
        links.link(connection, ana, others[-1], first, LinkKind.CONTAINS, now)
    desk.services.close()
