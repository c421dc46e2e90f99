"""A mail's whole way, on a real IMAP and a real SMTP server, with the rules that a new desk has.

Mail -> ticket -> a colleague replies in the page -> the customer gets one mail -> answers it with the quote
below -> the same ticket, newly written text alone -> the reply had set "waiting for customer" -> seven days -> closed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from imap_tools.mailbox import MailBoxUnencrypted
from redis import Redis

from jobs import clock, mailboxes, timers
from tests.environment.databases import MakeDatabase
from tests.environment.imap import Imap, NoImapServer, an_imap_server
from tests.environment.redis import RedisServer
from tests.rows.maildesk import MailDesk, a_mail_desk, recipient, text_of
from tests.web.desk import send

pytestmark = pytest.mark.slow
CUSTOMER = "Camille Laurent <camille@customer.test>"


@pytest.fixture
def server() -> Iterator[Imap]:
    try:
        with an_imap_server() as started:
            yield started
    except NoImapServer as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def desk(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis, server: Imap
) -> Iterator[MailDesk]:
    """A new desk with its default rules, which looks into the mailbox."""
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url) as made:
        settings = made.services.settings.model_copy(update={"address_ceiling": "127.0.0.0/8"})
        made.desk.services = replace(made.services, settings=settings)
        made.app.extensions["deskhand"] = made.services
        assert made.app.test_cli_runner().invoke(args=["rules", "defaults"]).exit_code == 0
        config = {"host": server.host, "port": server.port, "user": server.user, "security": "plain"}
        with made.services.db.write() as connection:
            mailboxes.save_account(
                made.services, connection, "shop", "imap", config, password=server.password, enabled=True
            )
        mailboxes.collect(made.services)
        yield made


@pytest.fixture
def post(desk: MailDesk, server: Imap) -> Callable[[EmailMessage], int]:
    """A mail arrives in the mailbox and is fetched from it a minute later; how many were taken in."""

    def do(mail: EmailMessage) -> int:
        with MailBoxUnencrypted(server.host, server.port, timeout=60).login(server.user, server.password) as box:
            box.append(mail.as_bytes(), "INBOX")
        desk.desk.clock.move(seconds=61)
        taken = mailboxes.collect(desk.services)
        desk.desk.work()
        return taken

    return do


def a_mail(text: str, subject: str, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = CUSTOMER, "support@shop.example", subject
    for name, value in headers.items():
        if name == "To":
            mail.replace_header("To", value)
        else:
            mail[name.replace("_", "-")] = value
    mail.set_content(text)
    return mail


def pass_time(desk: MailDesk, **span: float) -> list[EmailMessage]:
    """Time passes; the clock looks, rules decide, what is due is sent."""
    desk.desk.clock.move(**span)
    clock.tick(desk.services)
    timers.tick(desk.services, budget_s=5)
    desk.desk.work()
    return desk.deliver()


def test_a_mail_goes_round_and_what_nobody_answers_is_closed(
    desk: MailDesk, post: Callable[[EmailMessage], int]
) -> None:
    ana = desk.browser("ana", name="Ana Nowak")
    assert post(a_mail("Where is my parcel?\n\nCamille", "Parcel", Message_ID="<q1@customer.test>")) == 1
    ticket = 1
    assert desk.desk.state(ticket)["subject"] == "Parcel"
    pass_time(desk, minutes=2)  # whatever the desk says to a new ticket has left

    send(ana, f"/tickets/{ticket}/messages", {"text": "It arrives on Friday.", "kind": "reply"})
    desk.desk.work()
    assert desk.desk.state(ticket)["status"] == "waiting_customer"
    to_customer = [mail for mail in pass_time(desk, minutes=2) if recipient(mail) == "camille@customer.test"]
    assert len(to_customer) == 1
    [reply] = to_customer
    assert text_of(reply).startswith("It arrives on Friday.")
    assert reply["In-Reply-To"] is not None
    assert "<q1@customer.test>" in reply["References"]
    assert reply.get_body(("html",)) is not None

    quoted = "".join(f"> {line}\n" for line in text_of(reply).splitlines())
    answer = a_mail(
        f"Friday is too late, I am away then.\n\nOn Mon, Nov 23, 2026 at 10:00 AM Acme Support wrote:\n{quoted}",
        f"Re: {reply['Subject']}",
        Message_ID="<q2@customer.test>",
        In_Reply_To=str(reply["Message-ID"]),
        To=str(reply["Reply-To"]),
    )
    assert post(answer) == 1
    conversation = [said for said in desk.said(ticket) if said[0] in ("customer", "agent")]
    assert conversation == [
        ("customer", "Where is my parcel?\n\nCamille"),
        ("agent", "It arrives on Friday."),
        ("customer", "Friday is too late, I am away then."),
    ]

    send(ana, f"/tickets/{ticket}/messages", {"text": "Then tell us when, please.", "kind": "reply"})
    desk.desk.work()
    pass_time(desk, days=6, hours=23)
    assert desk.desk.state(ticket)["status"] == "waiting_customer"
    pass_time(desk, hours=2)
    assert desk.desk.state(ticket)["status"] == "closed"
