"""Plays thirty days through the product itself: people act through the store, workers decide with that day's clock.

So every trace, decision, card and run in the demo is what the product made of it, and replay and preview find real
history. Nothing in here writes a decision, a lookup or a run.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, func, or_, select, update

from connectors.addresses import AddressCeiling
from connectors.gateway import Gateway
from connectors.traffic import Traffic
from jobs import automation, enrichment, runs, services
from jobs.demo.backoffice import BackOffice, Mood
from jobs.demo.desk import COLLEAGUES, LATER, MANAGER, TEAMS, Colleague
from jobs.demo.errors import DemoError
from jobs.demo.places import Places, SystemName
from jobs.demo.projects import Deed
from jobs.demo.stories import Act, Did, Story
from jobs.queues import Queues, Work
from jobs.services import Services
from jobs.settings import Settings
from jobs.tables import DecisionRow, LookupRow, OutboxRow, RunRow
from tickets import people, store
from tickets.db import Database
from tickets.effects import SetField, StateEffect
from tickets.events import Actor, ActorKind, Cause
from tickets.item import Item, ItemKind
from tickets.tables import EventRow, Notification, PersonAddress, WorkItem
from tickets.values import JSON

log = logging.getLogger(__name__)

#: Seconds one lookup may take while history is played: the back office is in this process.
LOOKUP_S = 1.5
#: How long after an event its lookups answer and its scripts start, in seconds of the played time.
ANSWER_S, START_S = 1.4, 2.1
#: Rounds of deciding, asking and running that one act may cause; more would be a loop in the rules.
ROUNDS = 12
#: When a system was down: days before now at the latest, hours, system, how, and the topic of the ticket it hit first.
OUTAGES: Sequence[tuple[float, float, SystemName, Mood, str]] = (
    (24.9, 1.6, SystemName.ERP, Mood.STOPPED, "invoice"),
    (15.0, 2.2, SystemName.BILLING, Mood.HTML_ERROR, "double_charge"),
    (8.0, 1.5, SystemName.ERP, Mood.HTML_ERROR, "delivery"),
    (3.5, 1.2, SystemName.ERP, Mood.STOPPED, "invoice"),
)
#: Bells older than this have been read.
READ_AFTER = timedelta(days=3)


class HistoryStuck(DemoError):
    """What was played does not come to rest: some event, lookup or run is due again and again."""


class PlayedClock:
    """A clock that shows what it was last set to, and never goes back."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def reach(self, at: datetime) -> None:
        self._now = max(self._now, at)

    def pass_(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class _NoHints(Queues):
    """Workers are not told while history is played: this process does their work, with the played clock."""

    def hint(self, work: Work) -> None:
        return


def services_of(settings: Settings, clock: PlayedClock, places: Places) -> Services:
    """The product's own parts, with the played clock and with the demo's back office within reach."""
    settings = settings.model_copy(update={"lookup_deadline_s": LOOKUP_S})
    # History can be loaded again; the default would wait for the disk after each of some ten thousand commits.
    db = Database(settings.database, synchronous="NORMAL")
    made = services.build(settings, clock=clock)
    made.db.close()
    ceiling = AddressCeiling(places.addresses, own_addresses=services.own_addresses(settings))
    # Breakers go by the machine's clock, in which the played outages lie milliseconds apart.
    traffic = Traffic(None, made.box, breaker_failures=10**9)
    gateway = Gateway(db, None, made.box, ceiling, now=clock.now, traffic=traffic)
    return replace(made, db=db, gateway=gateway, queues=_NoHints(made.redis))


@dataclass
class Player:
    """Plays stories on one desk. `said` is told how far it is, at every fiftieth ticket."""

    services: Services
    clock: PlayedClock
    office: BackOffice
    seed: int
    said: Callable[[str], None] = lambda _line: None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._items: dict[int, int] = {}
        self._persons: dict[str, int] = {}

    def play(self, told: Sequence[Story], *, now: datetime, deeds: Sequence[tuple[datetime, Deed]] = ()) -> None:
        """Everything until `now`; `deeds` are what people did besides. Raises `HistoryStuck`."""
        by_number = {one.number: one for one in told}
        besides: list[tuple[datetime, Act | Callable[[], None]]] = [(at, partial(self._do, deed)) for at, deed in deeds]
        for at, what in sorted([*self._timeline(told, now), *besides], key=lambda one: one[0]):
            self.clock.reach(at)
            if isinstance(what, Act):
                self._act(by_number[what.story], what)
                self._settle()
            else:
                what()
        self.clock.reach(now)
        for server in self.office.servers.values():
            server.set(Mood.UP)
        self._settle()
        with self.services.db.write() as connection:
            _tidy(connection, now)

    def _timeline(self, told: Sequence[Story], now: datetime) -> Iterable[tuple[datetime, Act | Callable[[], None]]]:
        acts: list[tuple[datetime, Act | Callable[[], None]]] = [(act.at, act) for one in told for act in one.acts]
        for days, publish in LATER:
            acts.append((now - timedelta(days=days), partial(self._publish, publish)))
        for days, hours, system, mood, topic in OUTAGES:
            after = now - timedelta(days=days)
            hit = [one.acts[0].at for one in told if one.topic == topic and one.acts[0].at > after]
            begins = min(hit, default=after) - timedelta(minutes=7)
            server = self.office.servers[system]
            acts.append((begins, partial(server.set, mood)))
            acts.append((begins + timedelta(hours=hours), partial(server.set, Mood.UP)))
        return sorted(acts, key=lambda one: one[0])

    def _publish(self, publish: Callable[[Connection, datetime], None]) -> None:
        with self.services.db.write() as connection:
            publish(connection, self.clock.now())

    # What people do

    def _do(self, deed: Deed) -> None:
        with self.services.db.write() as connection:
            deed(connection, self.clock.now())
        self._settle()

    def _act(self, story: Story, act: Act) -> None:
        if act.did is Did.ASKED:
            self._ask(story, act)
            return
        with self.services.db.write() as connection:
            item = store.read_item(connection, self._items[story.number], lock=True)
            if act.did is Did.WROTE:
                self._write(connection, story, act, item)
            else:
                self._work(connection, story, act, item)

    def _ask(self, story: Story, act: Act) -> None:
        with self.services.db.write() as connection:
            person = self._person(connection, story)
            state: dict[str, JSON] = {
                "subject": act.subject,
                "brand": story.brand,
                "channel": story.channel,
                "language": story.customer.language,
                "customer": person,
                "published": True,
            }
            written = store.create_item(
                connection,
                kind=ItemKind.TICKET,
                state=state,
                actor=Actor(ActorKind.CUSTOMER, str(person), story.customer.name),
                now=self.clock.now(),
                message=self._message_of_customer(story, act, person, 0),
            )
        self._items[story.number] = written.item_id
        if len(self._items) % 50 == 0:
            self.said(f"{len(self._items)} tickets")

    def _person(self, connection: Connection, story: Story) -> int:
        customer = story.customer
        known = self._persons.get(customer.email)
        if known is None:
            known = people.person_for(
                connection,
                email=customer.email,
                name=customer.name,
                language=customer.language,
                now=self.clock.now(),
            )
            if "crm" in customer.systems:
                # Who is in the CRM has confirmed the address there.
                connection.execute(
                    update(PersonAddress).where(PersonAddress.address == customer.email).values(verified=True)
                )
            self._persons[customer.email] = known
        return known

    def _message_of_customer(self, story: Story, act: Act, person: int, count: int) -> store.NewMessage:
        return store.NewMessage(
            author="customer",
            public=True,
            channel=story.channel,
            text=act.text,
            subject=act.subject,
            language=story.customer.language,
            author_person=person,
            author_name=story.customer.name,
            author_address=story.customer.email,
            header_id=f"{story.number}.{count}.{self.seed}@{story.customer.email.partition('@')[2]}",
        )

    def _write(self, connection: Connection, story: Story, act: Act, item: Item) -> None:
        person = self._person(connection, story)
        store.change_item(
            connection,
            item,
            lines=(),
            actor=Actor(ActorKind.CUSTOMER, str(person), story.customer.name),
            now=self.clock.now(),
            messages=(self._message_of_customer(story, act, person, item.last_seq),),
        )

    def _work(self, connection: Connection, story: Story, act: Act, item: Item) -> None:
        who = self._who(story, act, item)
        effects: list[StateEffect] = []
        messages: list[store.NewMessage] = []
        if act.did in (Did.ANSWERED, Did.SOLVED, Did.NOTED):
            messages.append(
                store.NewMessage(
                    author="agent",
                    public=act.did is not Did.NOTED,
                    channel=story.channel,
                    text=f"{act.text}\n\n{who.name}" if act.did is not Did.NOTED else act.text,
                    language=story.customer.language,
                    author_user=who.key,
                    author_name=who.name,
                    author_address=who.email,
                )
            )
            if not item.state.get("assignees"):
                effects.append(SetField("assignees", [who.key]))
        match act.did:
            case Did.ANSWERED:
                effects.append(SetField("status", "waiting_customer"))
            case Did.SOLVED:
                effects.append(SetField("status", "solved"))
            case Did.CLOSED:
                effects.append(SetField("status", "closed"))
            case Did.HURRIED:
                effects.append(SetField("priority", act.value))
        store.change_item(
            connection,
            item,
            lines=(store.Lines(tuple(effects), Cause("person", label=who.name)),) if effects else (),
            actor=Actor(ActorKind.AGENT, who.key, who.name),
            now=self.clock.now(),
            messages=messages,
        )

    def _who(self, story: Story, act: Act, item: Item) -> Colleague:
        """Who has the ticket; else somebody of its team who speaks the language. The manager hurries and closes."""
        team = str(item.state.get("team") or "first_line")
        members = [one for one in COLLEAGUES if team in one.teams]
        if act.did in (Did.HURRIED, Did.CLOSED) and not TEAMS[team][1]:
            return next(one for one in COLLEAGUES if one.key == MANAGER)
        assigned = item.state.get("assignees")
        having = [one for one in members if isinstance(assigned, list) and one.key in assigned and one.answers]
        speaking = [one for one in members if story.customer.language in one.answers]
        return self._rng.choice(having or speaking or members)

    # What workers do

    def _settle(self) -> None:
        """Decide, ask and run until nothing is due any more."""
        for _round in range(ROUNDS):
            automation.drain(self.services)
            with self.services.db.read() as connection:
                asks, waits = self._due(connection, LookupRow), self._due(connection, RunRow)
            if asks:
                self.clock.pass_(ANSWER_S)
                enrichment.enrich(self.services)
            if waits:
                self.clock.pass_(START_S)
                runs.run_due(self.services)
            if not asks and not waits:
                return
        raise HistoryStuck(
            f"The demo's rules go on after {ROUNDS} rounds at {self.clock.now()}; nothing more was played"
        )

    def _due(self, connection: Connection, table: type[LookupRow] | type[RunRow]) -> bool:
        now = self.clock.now()
        free = or_(table.lease_until.is_(None), table.lease_until < now)
        return connection.execute(select(table.id).where(table.due_at <= now, free).limit(1)).first() is not None


def _tidy(connection: Connection, now: datetime) -> None:
    """What must not happen later because history was played now."""
    # Had mail been set up then, these would have gone out; sending month-old mail now would be wrong.
    connection.execute(
        update(OutboxRow)
        .where(OutboxRow.status == "due")
        .values(status="cancelled", last_error="Part of the demo's history; there was no mail server then")
    )
    connection.execute(
        update(Notification).where(Notification.created_at < now - READ_AFTER).values(read_at=Notification.created_at)
    )


def figures(connection: Connection) -> dict[str, int]:
    """How much there is, for the line that says so after loading."""

    counted = {"events": EventRow.id, "decisions": DecisionRow.id, "runs": RunRow.id}
    kinds = {"tickets": ItemKind.TICKET, "jobs": ItemKind.JOB}
    return {
        **{
            name: connection.execute(select(func.count(WorkItem.id)).where(WorkItem.kind == kind)).scalar_one()
            for name, kind in kinds.items()
        },
        **{name: connection.execute(select(func.count(column))).scalar_one() for name, column in counted.items()},
    }
