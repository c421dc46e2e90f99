"""Every step of every trip is cut off once, in a real process; what was promised holds whatever step it was."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from jobs import automation, clock, enrichment, lanes, outbox, runs
from jobs.deciding import Read
from jobs.services import Services
from jobs.tables import LookupRow, OutboxRow, RunRow
from tests.builders import ANA, a_ticket
from tests.connectors.upstream import Asked, Reply, Upstream, as_json
from tests.environment.sandbox import SandboxService
from tests.jobs.desk import BY_TIER, clock_of, decisions, events, item, table, work
from tests.jobs.sink import MailSink
from tests.jobs.tables import ANSWER_AND_TAG, RUNS_IT, script
from tests.jobs.workers import DEADLINE_S, LEASE_S, killed_at, process
from tests.web.desk import Clock, Desk, let_in
from tickets import store
from tickets.tables import ContextFact, EventRow, History, Lane, Message, Notification
from tickets.values import utc_now
from web import create_app


@pytest.fixture
def desk(crm_desk: Services) -> Services:
    return crm_desk


def in_the_past(desk: Services) -> None:
    """The desk's clock stands in the past; the processes have the machine's."""
    with desk.db.write() as connection:
        for column, rows in ((Lane.due_at, Lane), (RunRow.due_at, RunRow), (LookupRow.due_at, LookupRow)):
            connection.execute(update(rows).where(column.is_not(None)).values(due_at=clock_of(desk).now()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        ("after", "jobs.lanes:claim"),
        ("after", "jobs.automation:read_next"),
        ("after", "jobs.automation:decide_rows"),
        ("before", "jobs.lanes:fence"),
        ("after", "tickets.store:change_item"),
        ("after", "jobs.automation:record"),  # all is written, nothing is committed
        ("before", "jobs.queues:Queues.hint"),  # it is committed, and nobody was told
    ],
    ids=lambda step: " ".join(step),
)
def test_an_event_whose_worker_is_killed_at_any_step_is_applied_once(desk: Services, step: tuple[str, str]) -> None:
    table(desk, ANSWER_AND_TAG)
    ticket = a_ticket(desk.db)
    killed_at(desk, "drain", *step)
    work(desk)
    assert events(desk) == [(1, "done"), (1, "done")]
    assert item(desk, ticket.item_id).state["tags"] == ["answered"]
    with desk.db.read() as connection:
        assert connection.execute(select(func.count()).where(Message.author_kind == "bot")).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(OutboxRow)).scalar_one() == 1
        assert connection.execute(select(func.count()).select_from(History)).scalar_one() == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        ("after", "jobs.runs:_claim"),
        ("before", "connectors.gateway:Gateway.call"),
        ("after", "connectors.gateway:Gateway.call"),  # the child waits for the answer, and dies with its caller
        ("before", "jobs.runs:_finish"),
        ("after", "tickets.store:change_item"),
        ("before", "jobs.queues:Queues.hint"),
    ],
    ids=lambda step: " ".join(step),
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_run_whose_worker_is_killed_at_any_step_is_applied_once(desk: Services, step: tuple[str, str]) -> None:
    script(desk, 'ticket.add_tags([crm.find_customer(email=customer.email).tier])\nticket.add_note("once")')
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    in_the_past(desk)
    killed_at(desk, "scripts", *step)
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["gold"]
    assert {status for _, status in events(desk)} == {"done"}
    with desk.db.read() as connection:
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
        ended = connection.execute(select(func.count()).where(EventRow.kind == "script_finished")).scalar_one()
    assert (notes, ended) == (["once"], 1)


def kill_children(service: SandboxService) -> None:
    """Kill every process that holds a script, as a machine without memory left does: from outside, without a word."""
    gone = {child for zygote in children(service.pid) for child in descendants(zygote)}
    for child in gone:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    # A signal takes its time: the answer that the script waits for must not come first.
    deadline = time.monotonic() + 10
    while any(runs_still(child) for child in gone):
        assert time.monotonic() < deadline, "it does not die"
        time.sleep(0.001)


def runs_still(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    own = children(pid)
    return own.union(*(descendants(one) for one in own))


def children(pid: int) -> set[int]:
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(int(one) for one in (task / "children").read_text().split())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("times", [1, len(runs.LOST_RETRY_S) + 1])
def test_a_script_whose_child_is_lost_is_tried_again_and_named_when_it_is_lost_each_time(
    desk: Services, crm: Upstream, sandbox_service: SandboxService, times: int
) -> None:
    script(desk, 'ticket.add_tags([crm.find_customer(email=customer.email).tier])\nticket.add_note("once")')
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    left = [times]

    def die(_: Asked) -> Reply:
        if left[0]:
            left[0] -= 1
            kill_children(sandbox_service)
        return as_json([{"id": "c1", "name": "Camille", "tier": "gold"}])

    crm.answer = die
    for _ in range(len(runs.LOST_RETRY_S) + 2):
        work(desk)
        clock_of(desk).forward(minutes=2)
    assert left == [0]
    with desk.db.read() as connection:
        run = connection.execute(select(RunRow.status, RunRow.attempt, RunRow.outcome)).one()
        notes = list(connection.execute(select(Message.text).where(~Message.public)).scalars())
        ended = connection.execute(select(func.count()).where(EventRow.kind == "script_finished")).scalar_one()
    assert ended == 1
    if times == 1:
        assert (run.status, run.attempt, notes) == ("finished", 2, ["once"])
        assert item(desk, ticket.item_id).state["tags"] == ["gold"]
    else:
        assert (run.status, run.attempt, notes) == ("lost", len(runs.LOST_RETRY_S) + 1, [])
        assert "tags" not in item(desk, ticket.item_id).state
        assert run.outcome["error"]["message"] == "The script's process was ended from outside; nothing was applied"
        browser = create_app(desk).test_client()
        let_in(browser, Desk(desk, Clock()).user("eve", "agent"))
        page = browser.get(f"/tickets/{ticket.item_id}").get_data(as_text=True)
        assert "was ended from outside" in page.replace("&#39;", "'")


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        ("after", "jobs.enrichment:_claim"),
        ("before", "connectors.gateway:Gateway.call"),
        ("after", "connectors.gateway:Gateway.call"),
        ("after", "tickets.store:change_item"),
        ("before", "jobs.queues:Queues.hint"),
    ],
    ids=lambda step: " ".join(step),
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_lookup_whose_worker_is_killed_at_any_step_is_answered_once(desk: Services, step: tuple[str, str]) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    assert automation.drain(desk) == 1  # the event waits for the answer now
    in_the_past(desk)
    killed_at(desk, "enrichment", *step)
    # It is an hour later, so the wait of the event is over, too; what comes late is applied all the same.
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert {status for _, status in events(desk)} == {"done"}
    with desk.db.read() as connection:
        cards = connection.execute(select(func.count()).where(ContextFact.current)).scalar_one()
        raised = connection.execute(select(func.count()).where(History.field == "priority")).scalar_one()
    assert (cards, raised) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "copies"),
    [
        (("after", "jobs.outbox:_claim"), 1),
        (("before", "smtplib:SMTP.data"), 1),
        (("after", "smtplib:SMTP.data"), 2),  # it left, and nobody noted it
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_mail_whose_deliverer_is_killed_at_any_step_leaves_under_one_message_id(
    desk: Services, sink: MailSink, step: tuple[str, str], copies: int
) -> None:
    clock_of(desk).at = utc_now()
    table(desk, ANSWER_AND_TAG)
    a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    killed_at(desk, "outbox", *step, DESKHAND_SMTP_URL=sink.url, DESKHAND_MAIL_FROM="help@shop.example")
    settings = desk.settings.model_copy(update={"smtp_url": sink.url, "mail_from": "help@shop.example"})
    assert outbox.deliver(replace(desk, settings=settings)) == 1
    assert (len(sink.ids()), len(set(sink.ids()))) == (copies, 1)
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.status)).scalars().all() == ["sent"]


@pytest.mark.slow
def test_a_worker_paused_past_its_lease_cannot_commit_what_another_has_done(desk: Services) -> None:
    """SIGSTOP in a real process, between deciding and committing; another worker applies the event meanwhile."""
    table(desk, ANSWER_AND_TAG)
    ticket = a_ticket(desk.db)
    with process(desk, "drain", "after", "jobs.automation:decide_rows", "STOP") as paused:
        try:
            _until_stopped(paused.pid)
            assert events(desk) == [(0, "pending")]
            clock_of(desk).at = utc_now()
            assert work(desk) == 0  # its lease holds
            clock_of(desk).at = utc_now() + timedelta(seconds=LEASE_S + 1)
            assert work(desk) == 2
        finally:
            paused.send_signal(signal.SIGCONT)
        said, logged = paused.communicate(timeout=DEADLINE_S)
    assert said.decode().strip() == "handled 0"
    assert "lane.fenced" in logged.decode()
    assert events(desk) == [(1, "done"), (1, "done")]
    assert len(decisions(desk, ticket.item_id)) == 2
    with desk.db.read() as connection:
        assert connection.execute(select(func.count()).where(Message.author_kind == "bot")).scalar_one() == 1


def test_an_event_that_ends_every_worker_is_set_aside_and_the_lane_goes_on(desk: Services) -> None:
    """Such a worker comes back to say nothing: what counts is that its lease ran out with the lane still held."""
    table(desk, ANSWER_AND_TAG)
    ticket = a_ticket(desk.db)
    store_a_note(desk, ticket.item_id)
    deaths = 0
    while True:
        taken = lanes.claim(desk.db, desk.clock.now(), lease_s=10)
        assert taken.items == (ticket.item_id,)
        clock_of(desk).forward(seconds=11)
        if taken.items[0] in taken.suspects:
            break
        deaths += 1
    assert deaths == lanes.SUSPECT
    for _ in range(desk.settings.event_tries):
        assert events(desk)[0] == (0, "pending")
        taken = lanes.claim(desk.db, desk.clock.now(), lease_s=10)
        assert taken.suspects == {ticket.item_id}
        # What the worker does before it begins, and is killed.
        automation._count_before(desk, desk.db, taken.token, ticket.item_id)
        clock_of(desk).forward(seconds=11)
    assert events(desk)[0] == (0, "parked")
    work(desk)
    assert [status for _, status in events(desk)] == ["parked", "done"]
    with desk.db.read() as connection:
        bell = connection.execute(select(Notification.user, Notification.text).order_by(Notification.user)).all()
        error = connection.execute(select(EventRow.error).where(EventRow.status == "parked")).scalar_one()
    assert [row.user for row in bell] == ["ana", "root"]  # who edits rules, and so can handle it again
    assert "was cut off" in bell[0].text
    assert error == automation.CUT_OFF


def test_a_few_deaths_of_workers_count_against_no_event(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    a_ticket(desk.db)
    for _ in range(lanes.SUSPECT - 1):
        lanes.claim(desk.db, desk.clock.now(), lease_s=10)
        clock_of(desk).forward(seconds=11)
    work(desk)
    with desk.db.read() as connection:
        assert connection.execute(select(EventRow.tries, EventRow.status)).all() == [(0, "done"), (0, "done")]
        assert connection.execute(select(Lane.cut_off)).scalars().all() == [0]


def test_a_lease_of_a_clock_that_was_ahead_does_not_hold_the_lane(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    a_ticket(desk.db)
    day_ahead = desk.clock.now() + timedelta(days=1)
    assert lanes.claim(desk.db, day_ahead, lease_s=10).items
    assert work(desk) == 2
    assert runs.run_due(desk) == 0


def test_what_a_clock_that_was_ahead_put_off_is_due_when_it_is_put_right(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    right = desk.clock.now()
    clock_of(desk).forward(hours=1)
    a_ticket(desk.db, now=desk.clock.now())
    work(desk)
    a_ticket(desk.db, now=desk.clock.now())
    clock_of(desk).at = right
    assert work(desk) == 0
    with desk.db.read() as connection:
        assert connection.execute(select(OutboxRow.due_at)).scalar_one() > right
    assert clock.mend(desk) == 2
    assert work(desk) == 2
    with desk.db.read() as connection:
        first = connection.execute(select(OutboxRow.due_at).order_by(OutboxRow.id)).scalars().first()
    assert first is not None
    assert first - right < timedelta(minutes=2)  # the pause it was given, and no more
    clock_of(desk).forward(minutes=2)
    assert clock.mend(desk) == 0


def test_a_try_that_failed_while_the_clock_was_ahead_is_made_again_after_its_own_pause(desk: Services) -> None:
    table(desk, ANSWER_AND_TAG)
    a_ticket(desk.db)
    work(desk)
    right = desk.clock.now()
    for put_off, mended in ((timedelta(seconds=30), 0), (timedelta(hours=1), 1)):
        with desk.db.write() as connection:
            connection.execute(update(OutboxRow).values(tries=1, due_at=right + put_off))
        assert clock.mend(desk) == mended
        with desk.db.read() as connection:
            assert connection.execute(select(OutboxRow.due_at)).scalar_one() - right <= timedelta(minutes=1)


def test_a_lookup_whose_worker_was_cut_off_while_the_clock_was_ahead_is_asked_when_it_is_put_right(
    desk: Services, crm: Upstream
) -> None:
    """Its ticket waited for an hour: it had been tried, so it did not count as put off."""
    table(desk, BY_TIER)
    right = desk.clock.now()
    clock_of(desk).forward(hours=1)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    lost = {"tries": 1, "lease_until": desk.clock.now() + timedelta(seconds=30), "token": "lost"}
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(**lost))
    clock_of(desk).at = right
    assert clock.mend(desk) == 1 + 1  # and the wait for it
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(lease_until=None, token=None))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert clock.mend(desk) == 0


def test_a_run_that_was_put_off_by_a_clock_that_went_ahead_meanwhile_is_tried_again_after_its_own_pause(
    desk: Services, crm: Upstream
) -> None:
    script(desk, "ticket.add_tags([crm.find_customer(email=customer.email).tier])")
    table(desk, RUNS_IT)
    ticket = a_ticket(desk.db)
    right = desk.clock.now()

    def late(_: Asked) -> Reply:
        clock_of(desk).at = right + timedelta(hours=1)
        return Reply(status=503)

    usual, crm.answer = crm.answer, late
    work(desk)
    clock_of(desk).at = right
    with desk.db.read() as connection:
        assert connection.execute(select(RunRow.status)).scalar_one() == "retrying"
    assert clock.mend(desk) >= 1
    crm.answer = usual
    clock_of(desk).forward(seconds=runs.RETRY_S[0])
    work(desk)
    assert item(desk, ticket.item_id).state["tags"] == ["gold"]


def test_a_lookup_that_failed_while_the_clock_was_ahead_is_asked_again_after_its_own_pause(desk: Services) -> None:
    table(desk, BY_TIER)
    a_ticket(desk.db)
    automation.drain(desk)
    right = desk.clock.now()
    hour, pause = timedelta(hours=1), timedelta(seconds=60)
    failed = {"state": "failed", "tries": 1, "answered_at": right + hour, "due_at": right + hour + pause}
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(**failed))
    assert clock.mend(desk) == 1
    with desk.db.read() as connection:
        assert connection.execute(select(LookupRow.due_at)).scalar_one() == right + pause
    # One that failed just now keeps its pause, however long that is.
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(answered_at=right, due_at=right + hour))
    assert clock.mend(desk) == 0


def test_an_event_that_failed_while_the_clock_was_ahead_is_tried_again_when_it_is_put_right(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had come before, so it did not count as put off, and lay for an hour."""
    table(desk, ANSWER_AND_TAG)
    ticket = a_ticket(desk.db)
    store_a_note(desk, ticket.item_id)
    right = desk.clock.now()
    usual = automation.decided

    def fails(_: Read) -> object:
        raise ValueError("not this time")

    monkeypatch.setattr(automation, "decided", fails)
    # After the fourth try it waits for 8 s, on purpose; after the first for one.
    for wrong, tries, mended in ((timedelta(0), 3, 0), (timedelta(hours=1), 0, 1)):
        clock_of(desk).at = right + wrong
        with desk.db.write() as connection:
            connection.execute(update(EventRow).where(EventRow.seq == 1).values(tries=tries))
            connection.execute(update(Lane).values(due_at=right))
        assert work(desk) == 1
        clock_of(desk).at = right
        assert clock.mend(desk) == mended
    monkeypatch.setattr(automation, "decided", usual)
    assert work(desk) == 3
    assert {status for _, status in events(desk)} == {"done"}


def test_a_wait_that_began_while_the_clock_was_ahead_is_as_long_as_it_was_to_be(desk: Services) -> None:
    """Nobody asks, so nothing but its end ends it; that was an hour too late."""
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    right = desk.clock.now()
    clock_of(desk).forward(hours=1)
    automation.drain(desk)
    clock_of(desk).at = right
    assert clock.mend(desk) == 1 + 1  # and the question
    assert clock.mend(desk) == 0
    for seconds, status in ((59, "waiting"), (1, "done")):
        clock_of(desk).forward(seconds=seconds)
        automation.drain(desk)
        assert [one for _, one in events(desk)] == [status]
    assert decisions(desk, ticket.item_id)[-1].notes == ["A01 was decided without crm.find_customer"]


def test_an_answer_counts_although_the_clock_of_its_question_was_ahead(desk: Services, crm: Upstream) -> None:
    """With two hosts whose clocks differ it was asked again and again, until the wait was over."""
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db, now=desk.clock.now() + timedelta(seconds=3))
    with desk.db.write() as connection:
        connection.execute(update(Lane).values(due_at=desk.clock.now()))
    work(desk)
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert len(crm.asked) == 1


@pytest.mark.parametrize("when", ["it would wait", "it goes on without"])
def test_an_answer_that_comes_between_reading_and_committing_is_not_missed(
    desk: Services, crm: Upstream, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    decided = automation.decided
    answered: list[int] = []

    def answered_meanwhile(read: Read) -> object:
        result = decided(read)
        if not answered and (result[2].skipped if when == "it goes on without" else result[2].wait is not None):
            answered.append(enrichment.enrich(desk))
        return result

    monkeypatch.setattr(automation, "decided", answered_meanwhile)
    clock_of(desk).forward(seconds=61)
    automation.drain(desk)
    assert answered == [1]
    assert item(desk, ticket.item_id).state["priority"] == "high"
    assert len(crm.asked) == 1
    assert {status for _, status in events(desk)} == {"done"}


def test_what_waits_on_purpose_is_not_hurried(desk: Services) -> None:
    table(desk, BY_TIER)
    ticket = a_ticket(desk.db)
    automation.drain(desk)
    with desk.db.write() as connection:
        connection.execute(update(LookupRow).values(due_at=desk.clock.now() + timedelta(hours=1), tries=1))
    assert clock.mend(desk) == 0
    assert automation.drain(desk) == 0
    with desk.db.read() as connection:
        due = connection.execute(select(Lane.due_at).where(Lane.item_id == ticket.item_id)).scalar_one()
    assert due == desk.clock.now() + timedelta(seconds=60)


def store_a_note(desk: Services, item_id: int) -> None:
    """A second event in the lane, which nothing is wrong with."""
    with desk.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        note = store.NewMessage(author="agent", public=False, channel="api", text="Seen.", author_user="ana")
        store.change_item(connection, current, lines=(), actor=ANA, now=desk.clock.now(), messages=(note,))


def _until_stopped(pid: int) -> None:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        time.sleep(0.05)
    raise TimeoutError("it never came to that step")
