"""What leaves the house leaves at least once under one key, or says why it did not; a real SMTP server takes it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy import insert, select, update

from connectors.channels.smtp import MailServer, send
from jobs import outbox
from jobs.claims import MOST_CUT_OFF
from jobs.doctor import State, examine
from jobs.intake import Outcome, ingest, reply_address
from jobs.lanes import SUSPECT
from jobs.outbox import COPY, OLDEST_H, PERHAPS, RECIPIENT_PER_HOUR, TICKET_PER_HOUR, TRIES, deliver, undelivered
from jobs.services import Services
from jobs.tables import OutboxRow
from tests.builders import a_ticket
from tests.environment.ports import free_port
from tests.jobs.desk import a_reply, a_working_desk, clock_of
from tests.jobs.sink import TAKEN, MailSink, a_dying_server
from tests.jobs.workers import a_worker, until
from tickets import store
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause
from tickets.store import AnyRow
from tickets.tables import Mailbox, Message, Notification
from tickets.values import utc_now
from web import create_app


@pytest.fixture
def desk(database_url: str, tmp_path: Path, sink: MailSink) -> Iterator[Services]:
    """A desk whose mail goes to the sink, with one mailbox."""
    with a_working_desk(database_url, tmp_path, smtp_url=sink.url, mail_from="Shop <help@shop.example>") as services:
        with services.db.write() as connection:
            connection.execute(insert(Mailbox).values(key="m", address="support@shop.example", secret_sha256="x" * 64))
        yield services


def row_of(services: Services, message_id: int) -> AnyRow:
    with services.db.read() as connection:
        return connection.execute(
            select(OutboxRow.status, OutboxRow.tries, OutboxRow.due_at, OutboxRow.last_error, OutboxRow.token).where(
                OutboxRow.key == f"message:{message_id}"
            )
        ).one()


def bells(services: Services) -> list[tuple[str, str]]:
    with services.db.read() as connection:
        rows = connection.execute(select(Notification.user, Notification.text).order_by(Notification.id))
        return [(row.user, row.text) for row in rows]


def test_a_reply_is_sent_once_with_its_files_and_an_address_that_finds_the_ticket(
    desk: Services, sink: MailSink
) -> None:
    ticket = a_ticket(desk.db)
    message = a_reply(desk, ticket.item_id)
    assert deliver(desk) == 1
    assert deliver(desk) == 0
    [mail] = sink.taken
    assert mail["Message-ID"] == f"<t{ticket.item_id}.m{message}@shop.example>"
    assert mail["Reply-To"] == reply_address("support@shop.example", ticket.item_id, desk.settings.keys.session)
    assert (mail["To"], mail["Subject"]) == (
        "Camille Laurent <camille@example.com>",
        f"About your order [#{ticket.item_id}]",
    )
    assert mail["Auto-Submitted"] is None
    assert [part.get_filename() for part in mail.iter_attachments()] == ["receipt.pdf"]
    assert row_of(desk, message).status == "sent"
    with desk.db.read() as connection:
        header = connection.execute(select(Message.header_id).where(Message.id == message)).scalar_one()
    assert f"<{header}>" == mail["Message-ID"]


def test_a_customer_whose_domain_is_written_in_letters_of_its_own_has_our_answer(
    desk: Services, sink: MailSink
) -> None:
    ticket = a_ticket(desk.db, email="ola@żółw.example")
    message = a_reply(desk, ticket.item_id)
    deliver(desk)
    assert row_of(desk, message).last_error == ""
    assert [mail["To"] for mail in sink.taken] == ["Camille Laurent <ola@xn--w-uga1v8h.example>"]


def test_an_answer_to_the_reply_address_finds_the_ticket_without_any_reference(desk: Services, sink: MailSink) -> None:
    ticket = a_ticket(desk.db)
    a_reply(desk, ticket.item_id)
    deliver(desk)
    answer = EmailMessage()
    answer["From"] = "camille@example.com"
    answer["To"] = sink.taken[0]["Reply-To"]
    answer["Subject"] = "thanks"
    answer["Message-ID"] = "<a@customer.example>"
    answer.set_content("Thank you!")
    done = ingest(desk, "m", answer.as_bytes())
    assert (done.outcome, done.item_id) == (Outcome.THREADED, ticket.item_id)


def test_what_failed_together_does_not_come_back_together(desk: Services, sink: MailSink) -> None:
    messages = [a_reply(desk, a_ticket(desk.db).item_id) for _ in range(4)]
    sink.answer = lambda _mail: "451 come back later"
    assert deliver(desk) == 0
    rows = [row_of(desk, message) for message in messages]
    assert [(row.status, row.tries) for row in rows] == [("due", 1)] * 4
    pauses = [(row.due_at - desk.clock.now()).total_seconds() for row in rows]
    assert len(set(pauses)) == 4
    assert all(22.5 <= pause <= 37.5 for pause in pauses)


def test_a_server_that_does_not_take_it_now_is_asked_again_later_and_later(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    sink.answer = lambda _mail: "451 come back later"
    pauses = []
    for tries in (1, 2, 3):
        assert deliver(desk) == 0
        row = row_of(desk, message)
        assert (row.status, row.tries, row.token) == ("due", tries, None)
        assert "451 come back later" in row.last_error
        pauses.append((row.due_at - desk.clock.now()).total_seconds())
        assert deliver(desk) == 0  # not due yet: the server is left alone
        clock_of(desk).forward(seconds=pauses[-1] + 1)
    assert 22 <= pauses[0] <= 38 < pauses[1] <= 75 < pauses[2] <= 150
    sink.answer = lambda _mail: TAKEN
    assert deliver(desk) == 1
    assert len(sink.taken) == 1


def test_a_server_that_is_away_is_no_reason_to_give_up(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    nobody = desk.settings.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{free_port()}"})
    assert deliver(replace(desk, settings=nobody)) == 0
    row = row_of(desk, message)
    assert (row.status, row.tries) == ("due", 1)
    assert bells(desk) == []
    assert sink.taken == []


def test_a_server_that_ends_after_the_mail_and_before_its_250_gets_it_again_under_the_same_id(desk: Services) -> None:
    ticket = a_ticket(desk.db)
    message = a_reply(desk, ticket.item_id)
    with a_dying_server(deaths=2) as server:
        there = replace(desk, settings=desk.settings.model_copy(update={"smtp_url": server.url}))
        for tries in (1, 2):
            assert deliver(there) == 0
            row = row_of(desk, message)
            assert (row.status, row.tries, row.last_error) == ("due", tries, PERHAPS)
            clock_of(desk).at = row.due_at
        assert deliver(there) == 1
        assert deliver(there) == 0
    row = row_of(desk, message)
    assert (row.status, row.tries, row.last_error) == ("sent", 3, COPY)
    assert [str(one["Message-ID"]) for one in server.had] == [f"<t{ticket.item_id}.m{message}@shop.example>"] * 3
    assert (len(server.taken), bells(desk)) == (1, [])


@pytest.mark.slow
def test_a_mail_that_may_have_arrived_says_so_when_it_is_given_up(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    with a_dying_server(deaths=1) as server:
        deliver(replace(desk, settings=desk.settings.model_copy(update={"smtp_url": server.url})))
    assert row_of(desk, message).last_error == PERHAPS
    sink.answer = lambda _mail: "451 come back later"
    for _ in range(TRIES - 1):
        clock_of(desk).at = row_of(desk, message).due_at
        assert deliver(desk) == 0
    row = row_of(desk, message)
    said = f"nobody said in {TRIES} tries that it was taken, and one may have arrived: "
    assert (row.status, row.tries, row.last_error.startswith(said)) == ("failed", TRIES, True), row.last_error


def test_what_failed_before_the_server_had_the_mail_is_not_said_to_have_arrived(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    sink.answer = lambda _mail: "451 come back later"
    assert deliver(desk) == 0
    sink.answer = lambda _mail: TAKEN
    clock_of(desk).at = row_of(desk, message).due_at
    assert deliver(desk) == 1
    assert row_of(desk, message).last_error == ""


def test_a_send_that_rq_cuts_off_is_tried_again_later(desk: Services, sink: MailSink) -> None:
    """Its alarm comes while the server has the mail and says nothing, however long it took until then."""
    message = a_reply(desk, a_ticket(desk.db).item_id)
    sender, cut_off = threading.get_ident(), threading.Event()

    def slow(_mail: EmailMessage) -> str:
        signal.pthread_kill(sender, signal.SIGALRM)
        cut_off.wait(60)
        return "451 too late"

    sink.answer = slow
    try:
        with UnixSignalDeathPenalty(100, JobTimeoutException):
            assert deliver(desk) == 0
    finally:
        cut_off.set()
    row = row_of(desk, message)
    assert (row.status, row.tries, row.last_error) == ("due", 1, "the mail server took too long")
    assert bells(desk) == []


def test_who_is_cut_off_while_the_server_is_silent_waits_for_no_good_bye(sink: MailSink) -> None:
    sender, cut_off = threading.get_ident(), threading.Event()
    gone_first: list[bool] = []

    def slow(_mail: EmailMessage) -> str:
        signal.pthread_kill(sender, signal.SIGALRM)
        gone_first.append(cut_off.wait(60))
        return "451 too late"

    sink.answer = slow
    mail = EmailMessage()
    mail["From"], mail["To"] = "help@desk.example", "camille@example.com"
    try:
        with pytest.raises(JobTimeoutException), UnixSignalDeathPenalty(100, JobTimeoutException):
            send(MailServer.from_url(sink.url), mail, timeout_s=250)
    finally:
        cut_off.set()
    assert until(lambda: gone_first == [True])
    assert sink.taken == []


def test_a_refused_address_is_given_up_at_once_and_its_writer_is_told(desk: Services, sink: MailSink) -> None:
    ticket = a_ticket(desk.db)
    sink.refused_recipients["camille@example.com"] = "550 no such user"
    message = a_reply(desk, ticket.item_id)
    assert deliver(desk) == 0
    row = row_of(desk, message)
    assert (row.status, row.tries) == ("failed", 1)
    assert bells(desk) == [
        ("ana", "An e-mail to the customer was not delivered: the mail server refused it: 550 no such user")
    ]
    with desk.db.read() as connection:
        [given_up] = undelivered(connection)
    assert (given_up.item_id, given_up.recipient) == (ticket.item_id, "camille@example.com")
    clock_of(desk).forward(hours=1)
    assert deliver(desk) == 0
    assert sink.taken == []
    found = [one for one in examine(desk) if one.name == "e-mail" and one.state is State.WARNING]
    assert len(found) == 1
    assert "550 no such user" in found[0].detail


def test_what_a_server_says_is_kept_without_what_no_text_can_hold(desk: Services, sink: MailSink) -> None:
    """PostgreSQL stores no NUL: the refusal could not be written down, and the mail was tried again."""
    message = a_reply(desk, a_ticket(desk.db).item_id)
    sink.refused_recipients["camille@example.com"] = "550 no\x00body\x1b here"
    deliver(desk)
    row = row_of(desk, message)
    assert (row.status, row.last_error) == ("failed", "the mail server refused it: 550 no body here")


def test_who_may_no_longer_see_the_ticket_is_not_told_of_its_mail(desk: Services, sink: MailSink) -> None:
    """Ana wrote to the customer, then the restricted team took the ticket over."""
    ticket = a_ticket(desk.db)
    sink.refused_recipients["camille@example.com"] = "550 no such user"
    message = a_reply(desk, ticket.item_id)
    with desk.db.write() as connection:
        store.change_item(
            connection,
            store.read_item(connection, ticket.item_id, lock=True),
            lines=[store.Lines((SetField("team", "hr"),), Cause("person"))],
            actor=Actor(ActorKind.AGENT, "hania", "Hania"),
            now=desk.clock.now(),
        )
    assert deliver(desk) == 0
    assert row_of(desk, message).status == "failed"
    assert bells(desk) == []


def test_what_was_given_up_can_be_tried_again_and_keeps_its_message_id(desk: Services, sink: MailSink) -> None:
    ticket = a_ticket(desk.db)
    sink.refused_recipients["camille@example.com"] = "550 no such user"
    message = a_reply(desk, ticket.item_id)
    deliver(desk)
    sink.refused_recipients.clear()
    with desk.db.write() as connection:
        assert outbox.retry(connection, desk.clock.now(), [999]) == 0
        assert outbox.retry(connection, desk.clock.now()) == 1
    assert deliver(desk) == 1
    assert sink.ids() == [f"<t{ticket.item_id}.m{message}@shop.example>"]


@pytest.mark.parametrize("how", ["tries", "age"])
def test_nothing_is_tried_for_ever(desk: Services, sink: MailSink, how: str) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    sink.answer = lambda _mail: "451 come back later"
    if how == "tries":
        with desk.db.write() as connection:
            connection.execute(update(OutboxRow).values(tries=TRIES - 1))
    else:
        clock_of(desk).forward(hours=OLDEST_H, minutes=1)
    assert deliver(desk) == 0
    row = row_of(desk, message)
    assert row.status == "failed"
    assert [user for user, _ in bells(desk)] == ["ana"]


def test_a_mail_that_cannot_be_written_does_not_hold_up_the_others(desk: Services, sink: MailSink) -> None:
    broken = a_reply(desk, a_ticket(desk.db).item_id)
    with desk.db.write() as connection:
        connection.execute(
            update(OutboxRow).values(payload={"message_id": broken, "to": "not\nan address", "name": ""})
        )
    good = a_reply(desk, a_ticket(desk.db, email="other@example.com").item_id)
    assert deliver(desk) == 1
    assert (row_of(desk, broken).status, row_of(desk, good).status) == ("failed", "sent")


def test_a_mail_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_leaves(
    desk: Services, sink: MailSink
) -> None:
    """Too large for the memory of its worker, say. Nobody comes back to tell, and the oldest is taken first each time:
    what stands behind it must not be lost with it."""
    tickets = [a_ticket(desk.db).item_id, a_ticket(desk.db, email="other@example.com").item_id]
    messages = []
    for one in tickets:
        messages.append(a_reply(desk, one))
        clock_of(desk).forward(seconds=1)
    taken = []
    for _ in range(MOST_CUT_OFF):
        taken.append(sorted(row.item_id for row in outbox._claim(desk, "dead")))
        clock_of(desk).forward(minutes=10)
    assert taken == [tickets] * SUSPECT + [tickets[:1]] * (MOST_CUT_OFF - SUSPECT)
    assert sink.taken == []
    assert deliver(desk) == 1
    guilty, other = (row_of(desk, one) for one in messages)
    assert (guilty.status, other.status) == ("failed", "sent")
    assert guilty.last_error == f"the worker that sent it was cut off {MOST_CUT_OFF} times"
    assert sink.ids() == [f"<t{tickets[1]}.m{messages[1]}@shop.example>"]
    assert [user for user, _ in bells(desk)] == ["ana"]


def test_a_few_deaths_of_workers_give_up_no_mail_and_those_before_a_try_that_failed_do_not_count(
    desk: Services, sink: MailSink
) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)

    def cut_off(times: int) -> None:
        for _ in range(times):
            assert len(outbox._claim(desk, "dead")) == 1
            clock_of(desk).forward(minutes=10)

    cut_off(MOST_CUT_OFF - 1)
    sink.answer = lambda _mail: "451 come back later"
    assert deliver(desk) == 0
    clock_of(desk).forward(hours=2)
    cut_off(SUSPECT)
    sink.answer = lambda _mail: TAKEN
    assert deliver(desk) == 1
    assert row_of(desk, message).status == "sent"


@pytest.mark.slow
def test_automatic_mails_beyond_the_cap_are_held_back_on_record_and_a_persons_reply_is_not(
    desk: Services, sink: MailSink
) -> None:
    tickets = [a_ticket(desk.db).item_id for _ in range(RECIPIENT_PER_HOUR + 1)]
    messages = [a_reply(desk, one, automatic=True) for one in tickets]
    while deliver(desk):
        pass
    assert len(sink.taken) == RECIPIENT_PER_HOUR
    [held] = [row for row in (row_of(desk, one) for one in messages) if row.status != "sent"]
    assert held.status == "capped"
    assert held.last_error.startswith(f"this recipient had {RECIPIENT_PER_HOUR} e-mails within an hour")
    assert sink.taken[0]["Auto-Submitted"] == "auto-generated"
    a_reply(desk, tickets[0])
    assert deliver(desk) == 1
    clock_of(desk).forward(minutes=61)
    with desk.db.write() as connection:
        assert outbox.retry(connection, desk.clock.now()) == 1
    assert deliver(desk) == 1


@pytest.mark.slow
def test_one_ticket_gets_so_many_automatic_mails_an_hour_whoever_they_go_to_and_others_are_not_held_back(
    desk: Services, sink: MailSink
) -> None:
    """Two machines that answer each other under ever new addresses stay within one ticket: that is what ends it."""
    thread, another = a_ticket(desk.db).item_id, a_ticket(desk.db, email="other@example.com").item_id
    messages = [a_reply(desk, thread, automatic=True) for _ in range(TICKET_PER_HOUR + 2)]
    with desk.db.write() as connection:
        for message in messages:
            connection.execute(
                update(OutboxRow)
                .where(OutboxRow.key == f"message:{message}")
                .values(recipient=f"loop{message}@machine.test")
            )
    while deliver(desk):
        pass
    assert len(sink.taken) == TICKET_PER_HOUR
    held = [row for row in (row_of(desk, one) for one in messages) if row.status != "sent"]
    assert [row.status for row in held] == ["capped", "capped"]
    assert held[0].last_error.startswith(f"this ticket had {TICKET_PER_HOUR} e-mails within an hour")
    # What a person writes there leaves, and so does what is automatic elsewhere.
    by_hand, elsewhere = a_reply(desk, thread), a_reply(desk, another, automatic=True)
    assert deliver(desk) == 2
    assert (row_of(desk, by_hand).status, row_of(desk, elsewhere).status) == ("sent", "sent")
    clock_of(desk).forward(minutes=61)
    with desk.db.write() as connection:
        assert outbox.retry(connection, desk.clock.now()) == 2
    assert deliver(desk) == 2


def test_an_internal_note_never_leaves_even_when_it_was_queued(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    with desk.db.write() as connection:
        connection.execute(update(Message).where(Message.id == message).values(public=False))
    assert deliver(desk) == 0
    assert (row_of(desk, message).status, sink.taken) == ("failed", [])


def test_a_delivery_whose_lease_ran_out_is_left_to_the_one_who_has_it_now(desk: Services, sink: MailSink) -> None:
    first = a_reply(desk, a_ticket(desk.db).item_id)
    second = a_reply(desk, a_ticket(desk.db, email="other@example.com").item_id)

    def slow(_mail: EmailMessage) -> str:
        # While the first is being sent, the second passes to another worker.
        with desk.db.write() as connection:
            connection.execute(
                update(OutboxRow).where(OutboxRow.key == f"message:{second}").values(token="another worker")
            )
        return TAKEN

    sink.answer = slow
    assert deliver(desk) == 1
    assert len(sink.taken) == 1
    assert row_of(desk, first).status == "sent"
    assert (row_of(desk, second).status, row_of(desk, second).token) == ("due", "another worker")


def test_a_budget_that_is_used_up_gives_the_rest_back_untried(desk: Services, sink: MailSink) -> None:
    message = a_reply(desk, a_ticket(desk.db).item_id)
    assert deliver(desk, budget_s=0) == 0
    assert row_of(desk, message).tries == 0
    assert sink.taken == []


def test_who_is_asked_to_end_during_a_send_gives_the_rest_back_at_once(desk: Services, sink: MailSink) -> None:
    """Cut short with them in hand they would lie until their lease is over."""
    messages = [a_reply(desk, a_ticket(desk.db, email=f"c{number}@example.com").item_id) for number in (1, 2)]
    assert deliver(desk, stopping=lambda: bool(sink.taken)) == 1
    rows = [row_of(desk, one) for one in messages]
    assert [(row.status, row.token) for row in rows] == [("sent", None), ("due", None)]
    assert rows[1].tries == 0
    assert deliver(desk) == 1


@pytest.mark.slow
def test_kill_9_between_sending_and_noting_sends_a_copy_under_the_same_message_id(
    desk: Services, sink: MailSink
) -> None:
    ticket = a_ticket(desk.db)
    message = a_reply(desk, ticket.item_id)
    now_on_the_machine(desk)
    settings = {"DESKHAND_SMTP_URL": sink.url, "DESKHAND_MAIL_FROM": "help@shop.example"}
    with a_worker(desk, "outbox", settings) as victim:

        def deadly(_mail: EmailMessage) -> str:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            return TAKEN

        sink.answer = deadly
        assert until(lambda: len(sink.taken) == 1)
    assert row_of(desk, message).status == "due"
    sink.answer = lambda _mail: TAKEN
    with desk.db.write() as connection:
        connection.execute(update(OutboxRow).values(lease_until=desk.clock.now()))  # time passes
    with a_worker(desk, "outbox", settings):
        assert until(lambda: row_of(desk, message).status == "sent")
    assert sink.ids() == [f"<t{ticket.item_id}.m{message}@shop.example>"] * 2


def now_on_the_machine(services: Services) -> None:
    """Rows queued by a clock that stands still, as if they had been queued a second ago."""
    with services.db.write() as connection:
        connection.execute(update(OutboxRow).values(created_at=utc_now() - timedelta(seconds=1)))


def test_the_command_line_lists_what_was_given_up_and_tries_it_again(desk: Services, sink: MailSink) -> None:
    ticket = a_ticket(desk.db)
    sink.refused_recipients["camille@example.com"] = "550 no such user"
    a_reply(desk, ticket.item_id)
    deliver(desk)
    flask = create_app(desk).test_cli_runner()
    listed = flask.invoke(args=["outbox", "list"])
    assert f"ticket {ticket.item_id} to camille@example.com: the mail server refused it" in listed.output
    [row] = json.loads(flask.invoke(args=["outbox", "list", "--json"]).output)
    unsaid = flask.invoke(args=["outbox", "retry"])
    assert (unsaid.exit_code, "Nothing was changed" in unsaid.output) == (2, True)
    again = flask.invoke(args=["outbox", "retry", str(row["id"])])
    assert again.output == "1 will be tried again.\n"
    assert flask.invoke(args=["outbox", "list"]).output == "Everything was delivered or is on its way.\n"
