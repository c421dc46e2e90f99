"""What is one person's own on a ticket: whether they follow it, and which messages they have seen."""

from __future__ import annotations

import re

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from tests.environment.databases import Kind, MakeDatabase
from tests.environment.redis import RedisServer
from tests.web.desk import Desk, a_desk, let_in, send
from tests.web.pages import readable, ticket_page
from tickets import people, store
from tickets.errors import ItemNotFound
from tickets.events import Actor, ActorKind
from tickets.tables import Follower, Seen
from web import seen_store, shell_store


def the_customer_writes(desk: Desk, item_id: int) -> int:
    """One more message of the customer; its id."""
    with desk.services.db.write() as connection:
        made = store.change_item(
            connection,
            store.read_item(connection, item_id, lock=True),
            lines=(),
            actor=Actor(ActorKind.CUSTOMER, "1", "Camille"),
            now=desk.clock.now(),
            messages=(store.NewMessage(author="customer", public=True, channel="email", text="And now?"),),
        )
    assert made.message_id is not None
    return made.message_id


def newest_shown(page: str) -> int:
    """The message up to which the page would say it was seen."""
    found = re.search(r'data-up-to="(\d+)"', page)
    assert found, "the page would not say that it was seen"
    return int(found[1])


def unread(browser: FlaskClient) -> list[str]:
    page = browser.get("/?queue=all").get_data(as_text=True)
    rows = re.findall(r'<tr class="unread".*?</tr>', page, re.DOTALL)
    assert all('role="img" aria-label="unread"' in row for row in rows)
    return [re.findall(r'<a href="/tickets/[^>]*>([^<]*)', row)[0] for row in rows]


# Following -------------------------------------------------------------------------------------------------------


def test_one_follows_and_unfollows_with_a_plain_form(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    assert "Following" not in ticket_page(agent, item_id)
    assert send(agent, f"/tickets/{item_id}/follow", {"on": "1"}).location == f"/tickets/{item_id}"
    page = readable(ticket_page(agent, item_id))
    assert "Following" in page
    assert "Followers Ana Nowak" in page
    send(agent, f"/tickets/{item_id}/follow", {"on": "0"})
    assert "Followers" not in readable(ticket_page(agent, item_id))


def test_a_hidden_ticket_cannot_be_followed_or_seen(desk: Desk, agent: FlaskClient) -> None:
    hidden = desk.ticket("Secret", team="ethics")
    assert send(agent, f"/tickets/{hidden}/follow", {"on": "1"}).status_code == 404
    assert send(agent, f"/tickets/{hidden}/follow", {"on": "0"}).status_code == 404
    assert send(agent, f"/tickets/{hidden}/seen", {"up_to": 1}).status_code == 404
    with desk.services.db.read() as connection:
        for table in (Follower, Seen):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


# Seen ------------------------------------------------------------------------------------------------------------


def test_opening_a_page_changes_nothing_and_the_page_says_so_itself_later(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    page = ticket_page(agent, item_id)
    assert unread(agent) == ["Refund"]
    answer = send(agent, f"/tickets/{item_id}/seen", {"up_to": newest_shown(page)})
    assert (answer.status_code, answer.get_data()) == (204, b"")
    assert unread(agent) == []


def test_a_message_that_came_after_the_page_stays_unread(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    shown = newest_shown(ticket_page(agent, item_id))
    later = the_customer_writes(desk, item_id)
    send(agent, f"/tickets/{item_id}/seen", {"up_to": shown})
    assert unread(agent) == ["Refund"]
    assert newest_shown(ticket_page(agent, item_id)) == later
    send(agent, f"/tickets/{item_id}/seen", {"up_to": later})
    assert unread(agent) == []


def test_what_i_have_seen_is_still_unread_for_a_colleague(desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/seen", {"up_to": newest_shown(ticket_page(agent, item_id))})
    colleague = app.test_client()
    let_in(colleague, desk.user("marc", "agent"))
    assert unread(colleague) == ["Refund"]


def test_who_answers_has_read_it_also_without_scripts(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/messages", {"text": "On its way.", "kind": "reply"})
    assert unread(agent) == []


def test_what_we_write_ourselves_makes_nothing_unread(desk: Desk, app: APIFlask, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    send(agent, f"/tickets/{item_id}/seen", {"up_to": newest_shown(ticket_page(agent, item_id))})
    colleague = app.test_client()
    let_in(colleague, desk.user("marc", "agent"))
    send(colleague, f"/tickets/{item_id}/messages", {"text": "A note", "kind": "note"})
    assert unread(agent) == []


def test_the_automation_tab_shows_no_message_and_says_nothing(desk: Desk, agent: FlaskClient) -> None:
    item_id = desk.ticket("Refund")
    assert "data-seen" in ticket_page(agent, item_id, "?view=messages")
    assert "data-seen" not in ticket_page(agent, item_id, "?view=automation")


def test_the_menu_counts_my_tickets_with_something_new(desk: Desk, agent: FlaskClient) -> None:
    mine, other = desk.ticket("Mine", assignees=["ana"]), desk.ticket("Other")
    assert "Inbox 1 new with a message you have not seen 1 open" in readable(ticket_page(agent, mine))
    send(agent, f"/tickets/{mine}/seen", {"up_to": newest_shown(ticket_page(agent, mine))})
    assert "new with a message you have not seen" not in readable(ticket_page(agent, other))


def test_seen_reads_the_same_on_every_database_and_may_be_said_twice(
    database_kind: Kind, make_database: MakeDatabase, tmp_path: pytest.TempPathFactory, redis_server: RedisServer
) -> None:
    from pathlib import Path

    desk = a_desk(make_database(database_kind), Path(str(tmp_path)), redis_server.url)
    desk.user("ana", "agent")
    item_id, secret = desk.ticket("Refund", assignees=["ana"]), desk.ticket("Secret", team="ethics", assignees=["ana"])
    newest = the_customer_writes(desk, item_id)
    with desk.services.db.write() as connection:
        who = people.viewer(connection, "ana")
        assert who is not None
        assert shell_store.waiting(connection, who, cap=9).unseen == 1
        for _ in range(2):
            seen_store.mark_seen(connection, who, item_id, newest, desk.clock.now())
        with pytest.raises(ItemNotFound):
            seen_store.mark_seen(connection, who, secret, 99, desk.clock.now())
        assert shell_store.waiting(connection, who, cap=9) == shell_store.Waiting(mine=1, unread=0, unseen=0)
        seen = connection.execute(select(Seen.message_id, Seen.who).order_by(Seen.message_id)).all()
    assert seen == [(1, "user:ana"), (newest, "user:ana")]
    desk.services.close()
