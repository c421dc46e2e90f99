"""Who is told that a customer wrote: followers and assignees who may see the ticket, once, and nobody else."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, insert, select, update

from jobs import telling
from jobs.intake import Outcome
from tests.intake.api import Api
from tests.intake.mail import a_mail, take
from tests.web.desk import NOW, Desk, token
from tickets import people
from tickets.errors import BadValue, ItemNotFound
from tickets.tables import Follower, Message, Notification, User, WorkItem
from web import seen_store


def bells(desk: Desk) -> list[tuple[str, str]]:
    """Who was told what, oldest first."""
    with desk.services.db.read() as connection:
        rows = connection.execute(select(Notification.user, Notification.text).order_by(Notification.id))
        return [(row.user, row.text) for row in rows]


def follow(desk: Desk, key: str, item_id: int) -> None:
    with desk.services.db.write() as connection:
        who = people.viewer(connection, key)
        assert who is not None
        seen_store.follow(connection, who, item_id)


def a_followed_ticket(desk: Desk, *followers: str, **state: object) -> int:
    """A ticket that came by mail, with these followers; `state` is written past the rules."""
    for key in ("ana", "marc", "zoe"):
        desk.user(key, "agent", teams=("billing",))
    done = take(desk, a_mail(message_id="first@customer.test"))
    assert done.item_id is not None
    for key in followers:
        follow(desk, key, done.item_id)
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.id == done.item_id).values(**(state or {"status": "open"})))
    return done.item_id


def answered(sender: str = "Camille Laurent <camille@customer.test>", **headers: str) -> bytes:
    return a_mail("And now?", sender=sender, In_Reply_To="<first@customer.test>", **headers)


def test_a_follower_and_an_assignee_are_told_and_their_colleague_is_not(desk: Desk) -> None:
    item_id = a_followed_ticket(desk, "marc", assignees=["ana"])
    assert bells(desk) == []
    assert take(desk, answered()).outcome is Outcome.THREADED
    assert bells(desk) == [("ana", "Camille Laurent wrote"), ("marc", "Camille Laurent wrote")]
    with desk.services.db.read() as connection:
        assert set(connection.execute(select(Notification.item_id)).scalars()) == {item_id}


def test_who_follows_and_has_the_ticket_is_told_once(desk: Desk) -> None:
    a_followed_ticket(desk, "ana", assignees=["ana"])
    take(desk, answered())
    assert bells(desk) == [("ana", "Camille Laurent wrote")]


def test_the_same_message_rings_once_however_often_it_is_told(desk: Desk) -> None:
    item_id = a_followed_ticket(desk, "ana")
    done = take(desk, answered())
    assert done.message_id is not None
    with desk.services.db.write() as connection:
        again = telling.tell_of_message(connection, item_id, done.message_id, NOW)
    assert again == ("ana",)
    assert len(bells(desk)) == 1


def test_nobody_is_told_of_a_ticket_that_nobody_has_or_follows(desk: Desk) -> None:
    a_followed_ticket(desk)
    assert take(desk, answered()).outcome is Outcome.THREADED
    assert bells(desk) == []


def test_a_stranger_on_the_thread_is_told_of_as_one(desk: Desk) -> None:
    a_followed_ticket(desk, "ana")
    assert take(desk, answered("Kim <kim@elsewhere.test>")).outcome is Outcome.THIRD_PARTY
    assert bells(desk) == [("ana", "Kim, who does not take part, wrote")]


def test_a_machines_answer_rings_no_bell(desk: Desk) -> None:
    a_followed_ticket(desk, "ana", assignees=["marc"])
    assert take(desk, answered(Auto_Submitted="auto-replied")).outcome is Outcome.AUTOMATIC
    assert bells(desk) == []


def test_a_colleagues_mail_is_told_to_the_followers_and_not_to_whoever_wrote_it(desk: Desk) -> None:
    a_followed_ticket(desk, "ana", "marc", assignees=["zoe"])
    assert take(desk, answered("Marc <marc@deskhand.test>")).outcome is Outcome.THREADED
    assert bells(desk) == [("ana", "Marc wrote")]


@pytest.mark.parametrize("away", ["restricted", "inactive", "other_role"])
def test_who_may_no_longer_see_the_ticket_is_told_nothing(away: str, desk: Desk) -> None:
    item_id = a_followed_ticket(desk, "ana", assignees=["marc"])
    desk.user("eve", "agent", teams=("ethics",))
    with desk.services.db.write() as connection:
        connection.execute(insert(Follower).values(item_id=item_id, user="eve"))
        match away:
            case "restricted":
                connection.execute(update(WorkItem).values(team="ethics"))
            case "inactive":
                connection.execute(update(User).where(User.key.in_(("ana", "marc"))).values(active=False))
            case "other_role":
                connection.execute(update(User).where(User.key.in_(("ana", "marc"))).values(roles=[]))
    take(desk, answered())
    assert bells(desk) == [("eve", "Camille Laurent wrote")]


def test_the_customers_words_through_the_api_are_told_and_a_note_is_not(desk: Desk, api: Api) -> None:
    desk.user("marc", "agent", teams=("billing",))
    item_id = desk.ticket("Refund", assignees=["marc"])
    assert api.post(f"tickets/{item_id}/messages", {"text": "A note"}).status_code == 201
    assert bells(desk) == []
    assert api.post(f"tickets/{item_id}/messages", {"text": "Hello?", "author": "customer"}).status_code == 201
    assert bells(desk) == [("marc", "Camille Laurent wrote")]


def test_a_ticket_the_api_makes_for_somebody_is_told_to_them(desk: Desk, api: Api) -> None:
    body = {
        "subject": "Refund",
        "text": "Please",
        "assignees": ["ana"],
        "customer": {"email": "kim@c.test", "name": "Kim"},
    }
    assert api.post("tickets", body).status_code == 201
    assert bells(desk) == [("ana", "Kim wrote")]


def test_only_a_visible_ticket_can_be_followed_and_by_a_hundred_at_most(desk: Desk) -> None:
    item_id = a_followed_ticket(desk, team="ethics")
    with pytest.raises(ItemNotFound):
        follow(desk, "ana", item_id)
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).values(team="billing"))
    for number in range(telling.MOST_FOLLOWERS):
        desk.user(f"u{number}", "agent")
    with desk.services.db.write() as connection:
        rows = [{"item_id": item_id, "user": f"u{number}"} for number in range(telling.MOST_FOLLOWERS)]
        connection.execute(insert(Follower), rows)
    with pytest.raises(BadValue, match="at most 100 followers"):
        follow(desk, "ana", item_id)
    with desk.services.db.write() as connection:
        assert "ana" not in seen_store.followers(connection, item_id)
        connection.execute(delete(Follower).where(Follower.user == "u7"))
    follow(desk, "ana", item_id)
    follow(desk, "ana", item_id)
    with desk.services.db.read() as connection:
        assert "ana" in seen_store.followers(connection, item_id)


def test_the_customers_form_makes_a_ticket_that_nobody_has_yet(desk: Desk, client: FlaskClient) -> None:
    desk.user("ana", "agent", teams=("billing",))
    held = token(client.get("/form/acme"))
    filled = {"csrf_token": held, "email": "kim@c.test", "subject": "Lamp", "text": "Broken"}
    assert client.post("/form/acme", data=filled).status_code == 200
    with desk.services.db.read() as connection:
        assert connection.execute(select(Message.author_kind)).scalar_one() == "customer"
    assert bells(desk) == []
