"""Mailboxes that we look into, on a real IMAP server: what comes is taken in once, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from imap_tools.mailbox import MailBoxUnencrypted
from redis import Redis
from sqlalchemy import select, update

from connectors.addresses import AddressCeiling
from connectors.channels.imap import ImapServer, MailboxAway, MailboxRefuses, open_mailbox
from jobs import clock, mailboxes
from jobs.queues import Work
from jobs.tables import MailAccount
from tests.environment.databases import MakeDatabase
from tests.environment.imap import Imap, NoImapServer, an_imap_server
from tests.environment.redis import RedisServer
from tests.rows.maildesk import MailDesk, a_mail_desk
from tests.web.desk import send
from tickets.tables import InboundMail, Message

pytestmark = pytest.mark.slow
OPEN = AddressCeiling(["127.0.0.0/8"])


@pytest.fixture(scope="module")
def server() -> Iterator[Imap]:
    try:
        with an_imap_server() as started:
            yield started
    except NoImapServer as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[MailDesk]:
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url) as made:
        settings = made.services.settings.model_copy(update={"address_ceiling": "127.0.0.0/8"})
        made.desk.services = replace(made.services, settings=settings)
        made.app.extensions["deskhand"] = made.services
        yield made


def put(server: Imap, text: str, message_id: str) -> None:
    """A mail arrives in the mailbox."""
    raw = f"From: Jo <jo@customer.test>\r\nTo: support@shop.example\r\nSubject: {text}\r\n"
    raw += f"Message-ID: <{message_id}>\r\n\r\n{text}\r\n"
    with MailBoxUnencrypted(server.host, server.port, timeout=60).login(server.user, server.password) as box:
        box.append(raw.encode(), "INBOX")


def connect(desk: MailDesk, server: Imap, **more: object) -> None:
    config = {"host": server.host, "port": server.port, "user": server.user, "security": "plain", **more}
    with desk.services.db.write() as connection:
        mailboxes.save_account(
            desk.services, connection, "shop", "imap", config, password=server.password, enabled=True
        )


def account(desk: MailDesk) -> mailboxes.Account:
    with desk.services.db.read() as connection:
        return mailboxes.accounts(connection, "shop")["imap"]


def subjects(desk: MailDesk) -> list[str]:
    with desk.services.db.read() as connection:
        return list(connection.execute(select(Message.subject).order_by(Message.id)).scalars())


def test_what_comes_from_now_on_becomes_tickets_once_each(desk: MailDesk, server: Imap) -> None:
    connect(desk, server)
    assert mailboxes.collect(desk.services) == 0  # what was there before is not taken in
    put(server, "First of all", "a1@customer.test")
    put(server, "Second", "a2@customer.test")
    assert mailboxes.collect(desk.services) == 0  # not due yet
    desk.desk.clock.move(seconds=61)
    with desk.services.db.read() as connection:
        assert Work.ENRICHMENT in clock.due(desk.services, connection)
    assert mailboxes.collect(desk.services) == 2
    assert subjects(desk) == ["First of all", "Second"]
    desk.desk.clock.move(seconds=61)
    assert mailboxes.collect(desk.services) == 0
    assert account(desk).last_error == ""


def test_a_crash_after_taking_a_mail_in_and_new_numbers_make_no_second_ticket(desk: MailDesk, server: Imap) -> None:
    connect(desk, server)
    mailboxes.collect(desk.services)
    put(server, "Only once", "b1@customer.test")
    desk.desk.clock.move(seconds=61)
    mailboxes.collect(desk.services)
    with desk.services.db.write() as connection:  # as if the note had never been written, in another numbering
        connection.execute(update(MailAccount).values(validity=1, uid=999, due_at=desk.desk.clock.now()))
    mailboxes.collect(desk.services)
    assert subjects(desk).count("Only once") == 1
    with desk.services.db.read() as connection:
        outcomes = list(connection.execute(select(InboundMail.outcome)).scalars())
    assert outcomes.count("created") == len(subjects(desk))


def test_a_mailbox_that_refuses_is_asked_later_and_later_and_says_why(desk: MailDesk, server: Imap) -> None:
    connect(desk, replace(server, password="wrong"))
    pauses = []
    for _ in range(3):
        before = desk.desk.clock.now()
        assert mailboxes.collect(desk.services) == 0
        assert "refuses this user or password" in account(desk).last_error
        with desk.services.db.read() as connection:
            due = connection.execute(select(MailAccount.due_at)).scalar_one()
        assert due is not None
        pauses.append((due - before).total_seconds())
        desk.desk.clock.at = due
    assert pauses == [60, 120, 240]
    assert "wrong" not in account(desk).last_error
    connect(desk, server)
    mailboxes.collect(desk.services)
    assert account(desk).last_error == ""


def test_the_page_saves_tests_and_never_shows_the_password(desk: MailDesk, server: Imap) -> None:
    boss = desk.browser("boss", "admin")
    form = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "security": "plain",
        "password": server.password,
        "enabled": "1",
    }
    assert send(boss, "/mailboxes/shop/imap", form).status_code == 303
    send(boss, "/mailboxes/shop/imap/test")
    page = boss.get("/mailboxes/shop").get_data(as_text=True)
    assert "Signed in; the folder holds" in page
    assert server.password not in page
    # Another host: the stored password does not go there.
    moved = send(boss, "/mailboxes/shop/imap", {**form, "host": "elsewhere.example", "password": ""})
    assert moved.status_code == 422
    assert account(desk).config["host"] == server.host
    agent = desk.browser("ana")
    assert agent.get("/mailboxes/shop").status_code == 403
    assert send(agent, "/mailboxes/shop/imap", form).status_code == 403


def test_a_server_outside_the_ceiling_is_never_dialled(server: Imap) -> None:
    inside = ImapServer(server.host, server.port, server.user, server.password, "plain")
    with pytest.raises(MailboxRefuses, match="private address"), open_mailbox(inside, AddressCeiling()):
        pass
    own = AddressCeiling(["127.0.0.0/8"], own_addresses=[f"127.0.0.1:{server.port}"])
    with pytest.raises(MailboxRefuses, match="belongs to Deskhand itself"), open_mailbox(inside, own):
        pass


def test_a_server_that_is_away_is_no_refusal() -> None:
    with (
        pytest.raises(MailboxAway, match="cannot be reached"),
        open_mailbox(ImapServer("127.0.0.1", 9, "u", "p", "plain"), OPEN),
    ):
        pass
