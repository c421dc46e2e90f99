"""What ./run chaos counts afterwards: the outside ledger of what was accepted against what is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from jobs.letters import header_id
from jobs.tables import DecisionRow, OutboxRow, RunRow
from tests.chaos_desk import ENTERED
from tests.chaos_feed import NUMBERS, ledger
from tests.connectors.upstream import Asked
from tests.jobs.sink import MailSink
from tickets.db import Database
from tickets.events import EventKind
from tickets.store import AnyRow
from tickets.tables import ContextFact, EventRow, Message, WorkItem

_MARK = re.compile(r"\[c(\d+)\]")


@dataclass
class Found:
    """What the count came to; `faults` are the sentences that make it fail."""

    submitted: int = 0
    applied: int = 0
    unsure: int = 0
    mails: int = 0
    copies: int = 0
    #: Times that rules waited for and that came before the clock was put ahead at the end.
    times_in_time: int = 0
    control: tuple[int, int] = (0, 0)
    faults: list[str] = field(default_factory=list)


def count(
    found: Found,
    db: Database,
    sink: MailSink,
    folder: Path,
    mail_from: str,
    told: list[Asked],
    entered: list[Asked],
) -> None:
    """Count, print what can be told, and add a sentence to `faults` for everything that is not as promised.

    `told` is what the receiver of webhooks was asked, `entered` what the books were."""
    lines = ledger(folder)
    tried = {int(line[1]) for line in lines if line[0] == "try"}
    accepted = {int(line[1]) for line in lines if line[0] == "ok"}
    refused = {int(line[1]) for line in lines if line[0] == "unsure"}
    found.faults += [f"an answer nobody should get: {' '.join(line)}" for line in lines if line[0] == "odd"][:8]
    with db.read() as connection:
        rows = connection.execute(
            select(
                Message.id,
                Message.item_id,
                Message.seq,
                Message.author_kind,
                Message.public,
                Message.text,
                EventRow.id.label("event_id"),
                EventRow.root_id,
            )
            .join(EventRow, (EventRow.item_id == Message.item_id) & (EventRow.seq == Message.seq))
            .order_by(Message.item_id, Message.seq)
        ).all()
        statuses = Counter(connection.execute(select(EventRow.status)).scalars())
        events = connection.execute(select(func.count()).select_from(EventRow)).scalar_one()
        decided = connection.execute(select(func.count(func.distinct(DecisionRow.event_id)))).scalar_one()
        unsent = Counter(connection.execute(select(OutboxRow.status)).scalars())
        items = connection.execute(select(WorkItem.id, WorkItem.tags, WorkItem.due_at)).all()
        came = Counter(connection.execute(select(EventRow.item_id).where(EventRow.kind == EventKind.TIMER)).scalars())
        runs = Counter(connection.execute(select(RunRow.item_id).where(RunRow.status == "finished")).scalars())
        ended_badly = Counter(connection.execute(select(RunRow.status).where(RunRow.status != "finished")).scalars())
        cards = connection.execute(
            select(ContextFact.item_id, ContextFact.error).where(ContextFact.key == ENTERED)
        ).all()
    tags = {row.id: row.tags or [] for row in items}
    asked = [row for row in rows if row.author_kind == "customer"]
    answers = [row for row in rows if row.author_kind == "bot" and row.public]
    notes = [row for row in rows if row.author_kind == "bot" and not row.public]
    noted = Counter(row.item_id for row in notes if row.text.startswith("S01: "))
    wait = {row.id for row in items if row.due_at is not None}
    timed = Counter(row.item_id for row in notes if row.text.startswith("T05: "))
    there = Counter(_number(row.text) for row in asked)
    # A commit whose answer was lost on the way: what is there counts as accepted.
    found.unsure = len(set(there) - accepted)
    found.submitted = len(accepted | set(there))
    # Which event an answer is for is said by the root of its own event, not by the words in it.
    number_of = {row.event_id: _number(row.text) for row in asked}
    answered = Counter(number_of.get(row.root_id, -1) for row in answers)
    found.applied = len(set(answered) - {-1})
    _say(found, "accepted and gone", accepted - set(there))
    _say(found, "never handed in", set(there) - tried)
    _say(found, "handed in once and there twice", {one for one, times in there.items() if times > 1})
    _say(found, "never decided", set(there) - set(answered))
    _say(found, "decided twice", {one for one, times in answered.items() if times > 1})
    _say(found, "tickets whose script was not run", set(tags) - set(runs))
    _say(found, "tickets whose script was applied more than once, or not", {one for one in tags if noted[one] != 1})
    _say(
        found, "tickets without what the CRM knows", {one for one, found_tags in tags.items() if found_tags != ["gold"]}
    )
    _say(
        found,
        "tickets whose time came more than once, or not",
        {one for one in wait if (came[one], timed[one]) != (1, 1)},
    )
    print(f"{len(wait)} times came, {found.times_in_time} of them while the blows fell, each once", flush=True)
    if ended_badly:
        found.faults.append(f"runs that did not end well: {dict(ended_badly)}")
    _say(found, "handed in without an answer", tried - accepted - refused)
    outside = accepted & {one for one in tried if one >= NUMBERS}
    print(f"{len(outside)} of them were accepted over HTTP", flush=True)
    if not outside:
        found.faults.append("nothing was accepted over HTTP")
    print(f"{len(refused - set(there))} refused, each with its error; {sum(runs.values())} scripts run", flush=True)
    _say(found, "items out of order", _out_of_order(asked, answers))
    if set(statuses) - {"done"}:
        found.faults.append(f"events that are not done: {dict(statuses)}")
    if decided != events:
        found.faults.append(f"{events} events, but {decided} of them have a decision")
    _count_mails(found, sink, {f"<{header_id(row.item_id, row.id, mail_from)}>" for row in answers}, unsent)
    _count_hooks(found, told, set(tags))
    _count_changes(found, entered, cards, set(tags))
    _count_control(found, lines, folder)


def _count_hooks(found: Found, told: list[Asked], tickets: set[int]) -> None:
    """What the receiver saw: of each ticket at least once, under one id, which is its Idempotency-Key."""
    ids: dict[int, set[str]] = {}
    for one in told:
        ids.setdefault(one.json["data"]["ticket"]["id"], set()).add(one.headers["webhook-id"])
    _say(found, "tickets the receiver was not told about", tickets - set(ids))
    _say(found, "tickets the receiver was told about that are none", set(ids) - tickets)
    _say(found, "tickets told about under more than one id", {one for one, keys in ids.items() if len(keys) != 1})
    wrong = [one for one in told if one.headers["idempotency-key"] != one.headers["webhook-id"]]
    _say(found, "webhooks whose key is not their id", {one.headers["webhook-id"] for one in wrong})
    print(f"{len(ids)} webhooks arrived, each under one id; {len(told) - len(ids)} copies after a kill", flush=True)


def _count_changes(found: Found, entered: list[Asked], cards: Sequence[AnyRow], tickets: set[int]) -> None:
    """What was written into the books: of each ticket at least once, under one key; its answer stands there once."""
    keys: dict[int, set[str]] = {}
    for one in entered:
        keys.setdefault(int(one.json["ticket"]), set()).add(one.headers["idempotency-key"])
    _say(found, "tickets that are not in the books", tickets - set(keys))
    _say(found, "tickets in the books that are none", set(keys) - tickets)
    _say(found, "tickets entered under more than one key", {one for one, of_it in keys.items() if len(of_it) != 1})
    stands = Counter(row.item_id for row in cards if not row.error)
    _say(found, "tickets on which the entry stands more than once, or not", {t for t in tickets if stands[t] != 1})
    print(f"{len(keys)} changes made, each under one key; {len(entered) - len(keys)} copies after a kill", flush=True)


def _count_mails(found: Found, sink: MailSink, expected: set[str], statuses: Counter[str]) -> None:
    ids = sink.ids()
    found.mails, found.copies = len(set(ids)), len(ids) - len(set(ids))
    _say(found, "mails that never arrived", expected - set(ids))
    _say(found, "mails nobody wrote", set(ids) - expected)
    if set(statuses) - {"sent"}:
        found.faults.append(f"mails that are not noted as sent: {dict(statuses)}")
    print(f"{found.mails} mails arrived, each under one Message-ID; {found.copies} copies after a kill", flush=True)
    print(f"{found.unsure} commits whose answer was lost were found to have happened", flush=True)


def _count_control(found: Found, lines: list[list[str]], folder: Path) -> None:
    submitted = {int(line[1]) for line in lines if line[0] == "plain"}
    plain = folder / "plain"
    done = Counter(int(line) for line in plain.read_text().split()) if plain.exists() else Counter()
    lost, doubled = len(submitted - set(done)), sum(1 for times in done.values() if times > 1)
    found.control = (lost, doubled)
    print(f"control, one RQ job per event: {len(submitted)} submitted, {lost} lost, {doubled} doubled", flush=True)
    if not lost:
        found.faults.append("the control lost nothing: the blows are too weak for this run to prove anything")


def _out_of_order(asked: list[AnyRow], answers: list[AnyRow]) -> set[int]:
    """Items whose answers are not in the order of what they answer."""
    place = {row.event_id: row.seq for row in asked}
    last: dict[int, int] = {}
    wrong = set()
    for row in answers:
        item_id, at = row.item_id, place.get(row.root_id, 0)
        if at <= last.get(item_id, 0):
            wrong.add(item_id)
        last[item_id] = at
    return wrong


def _number(text: str) -> int:
    match = _MARK.search(text)
    return int(match[1]) if match else -1


def _say(found: Found, what: str, which: set[int] | set[str]) -> None:
    if which:
        shown = ", ".join(str(one) for one in sorted(which, key=str)[:8])
        found.faults.append(f"{len(which)} {what}: {shown}{' ...' if len(which) > 8 else ''}")
