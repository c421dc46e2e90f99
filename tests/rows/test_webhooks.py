"""A rule tells a connected system by a webhook: tried again under one id, given up on record, tried again by hand."""

from __future__ import annotations

from tests.connectors.upstream import Reply, Serve
from tests.jobs.desk import connect_hooks
from tests.rows.maildesk import MailDesk, a_table
from tests.web.desk import send

TELL = {"connection": "hooks", "event": "ticket.created", "data": {"source": "desk"}}


def connect(mail_desk: MailDesk, url: str) -> None:
    with mail_desk.services.db.write() as connection:
        connect_hooks(connection, mail_desk.services, url)


def test_it_is_told_once_and_tried_again_under_the_same_id(open_mail_desk: MailDesk, serve: Serve) -> None:
    replies = [Reply(status=500), Reply(status=500), Reply(status=500), Reply(status=200)]
    server = serve(lambda _asked: replies.pop(0))
    connect(open_mail_desk, server.url)
    open_mail_desk.desk.publish(a_table("webhook", TELL))
    ticket = open_mail_desk.desk.ticket("Parcel")
    open_mail_desk.work()
    [(kind, status, reason)] = open_mail_desk.outbox()
    assert (kind, status) == ("webhook", "due")
    assert "500" in reason
    for _ in range(3):
        open_mail_desk.later(hours=1)
    assert open_mail_desk.outbox() == [("webhook", "sent", "")]
    assert len({one.headers["webhook-id"] for one in server.asked}) == 1
    told = server.asked[-1].json
    assert (told["type"], told["data"]["ticket"]["id"], told["data"]["data"]) == (
        "ticket.created",
        ticket,
        {"source": "desk"},
    )


def test_one_that_is_refused_for_good_stands_in_the_outbox_and_can_be_tried_again(
    open_mail_desk: MailDesk, serve: Serve
) -> None:
    ana = open_mail_desk.browser("ana")
    server = serve(lambda _asked: Reply(status=404))
    connect(open_mail_desk, server.url)
    open_mail_desk.desk.publish(a_table("webhook", TELL))
    open_mail_desk.desk.ticket()
    open_mail_desk.work()
    assert [row[:2] for row in open_mail_desk.outbox()] == [("webhook", "failed")]
    assert "ticket.created" in ana.get("/outbox?state=dead").get_data(as_text=True)
    server.answer = lambda _asked: Reply(status=200)
    send(ana, "/outbox/1/again")
    open_mail_desk.deliver()
    assert open_mail_desk.outbox() == [("webhook", "sent", "")]
