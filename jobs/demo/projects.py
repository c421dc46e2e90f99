"""Jobs in pipelines: lighting projects and trade accounts that go through their stages, with requests and parts.

Played like the tickets: people act through the product's own functions, and jobs move on by themselves once everything
linked to them is done.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, insert

from jobs.demo.desk import COLLEAGUES
from jobs.demo.world import Customer
from rules import store as rule_list
from tickets import linking, people, requests, store
from tickets.effects import SetField
from tickets.events import Actor, ActorKind, Cause
from tickets.item import CUSTOM, FieldType, ItemKind
from tickets.kinds import JOB_STATUS, PAYMENT, STAGE
from tickets.tables import CustomField, JobStatusRow, PipelineRow, QuestionList, StageRow
from tickets.values import JSON

#: Pipelines with their stages; a job leaves those marked True by itself.
PIPELINES: Mapping[str, tuple[str, Sequence[tuple[str, str, bool]]]] = {
    "lighting": (
        "Lighting project",
        (
            ("first_call", "First call", False),
            ("measures", "Measures and photos", True),
            ("plan", "Plan and deposit", True),
            ("installation", "Installation", False),
            ("handed_over", "Handed over", False),
        ),
    ),
    "trade": (
        "Trade account",
        (("papers", "Papers", True), ("credit_check", "Credit check", False), ("account_open", "Account open", False)),
    ),
}
#: Statuses of jobs: pipeline, key, label, and whether they end by themselves.
STATUSES: Sequence[tuple[str, str, str, bool]] = (
    ("lighting", "waiting_electrician", "Waiting for the electrician", True),
    ("lighting", "customer_thinks", "Customer thinks it over", False),
    ("trade", "papers_missing", "Papers are missing", True),
)
MEASURES: Sequence[Mapping[str, JSON]] = (
    {"key": "room", "label": "Which room is it?", "type": "text"},
    {"key": "height", "label": "How high is the ceiling, in centimetres?", "type": "text"},
    {"key": "photos", "label": "Photos of the ceiling and the walls", "type": "file", "required": False},
    {"key": "wished_for", "label": "By when do you need it?", "type": "date", "required": False},
)
PAPERS: Sequence[Mapping[str, JSON]] = (
    {"key": "company", "label": "Name of your company", "type": "text"},
    {"key": "vat_number", "label": "VAT number", "type": "text"},
    {"key": "registration", "label": "Extract from the register", "type": "file", "required": False},
)
VISIT: Sequence[Mapping[str, JSON]] = (
    {"key": "ceiling_load", "label": "Does the ceiling bear it?", "type": "yes_no"},
    {"key": "visit_notes", "label": "What did you see?", "type": "text"},
    {"key": "visit_photos", "label": "Photos of the visit", "type": "file", "required": False},
)
ANSWERS: Mapping[str, JSON] = {"room": "Kitchen", "height": "262", "company": "Atelier Nord", "vat_number": "FR 40 123"}


@dataclass(frozen=True)
class Plan:
    """One job: the days before now on which things happened; what lies after now has not happened yet.

    `asked`: its request was sent; `answered`: the customer answered; `paid`: how far its deposit is by now."""

    subject: str
    pipeline: str
    began: float
    owner: str
    team: str
    asked: float = 0
    answered: float = 0
    paid: str = ""
    status: str = ""
    moved: tuple[tuple[float, str], ...] = ()


PLANS: Sequence[Plan] = (
    Plan("Lights for a kitchen in {city}", "lighting", 12.2, "sam", "logistics", 11.9, 9.4, "paid",
         moved=((12.0, "measures"), (3.1, "handed_over"))),
    Plan("Staircase, three floors, {city}", "lighting", 10.6, "marek", "logistics", 10.2, 7.8, "debit",
         moved=((10.3, "measures"),)),
    Plan("Office of {name}", "lighting", 8.9, "nadia", "logistics", 8.5, 6.1, "due", moved=((8.6, "measures"),)),
    Plan("Garden path in {city}", "lighting", 6.3, "sam", "logistics", 5.8, 0, status="waiting_electrician",
         moved=((5.9, "measures"),)),
    Plan("Living room of {name}", "lighting", 4.4, "ioana", "logistics", 4.0, 0, moved=((4.1, "measures"),)),
    Plan("Small shop in {city}", "lighting", 1.7, "lucie", "first_line"),
    Plan("Restaurant terrace, {city}", "lighting", 2.6, "marek", "first_line", status="customer_thinks"),
    Plan("Trade account for {name}", "trade", 7.5, "nadia", "billing", 7.2, 4.9),
    Plan("Trade account: architects in {city}", "trade", 3.8, "lucie", "billing", 3.6, 0, status="papers_missing"),
)  # fmt: skip

Deed = Callable[[Connection, datetime], None]


def set_up(connection: Connection) -> None:
    """The pipelines with their stages and statuses, and the questions that are asked in them."""
    for key, (label, stages) in PIPELINES.items():
        connection.execute(insert(PipelineRow).values(key=key, label=label, kind=ItemKind.JOB))
        for place, (stage, name, automove) in enumerate(stages):
            connection.execute(
                insert(StageRow).values(key=stage, pipeline=key, label=name, position=place, automove=automove)
            )
    for place, (pipeline, key, label, automove) in enumerate(STATUSES):
        connection.execute(
            insert(JobStatusRow).values(key=key, pipeline=pipeline, label=label, position=place, automove=automove)
        )
    for key, label, purpose, kind, asked in (
        ("measures", "Measures and photos of your room", "request", ItemKind.TICKET, MEASURES),
        ("trade_papers", "Papers for your trade account", "request", ItemKind.TICKET, PAPERS),
        ("visit", "Visit of the room", "procedure", ItemKind.JOB, VISIT),
    ):
        connection.execute(
            insert(QuestionList).values(
                key=key, label=label, purpose=purpose, kind=kind, questions=list(asked), active=True
            )
        )
    for key, label, type in (
        ("ceiling_load", "Does the ceiling bear it?", FieldType.BOOL),
        ("visit_notes", "What did you see?", FieldType.TEXT),
    ):
        connection.execute(insert(CustomField).values(kind=ItemKind.JOB, key=key, label=label, type=type, options={}))
    rule_list.bump(connection)


def deeds(customers: Sequence[Customer], *, seed: int, now: datetime) -> list[tuple[datetime, Deed]]:
    """Everything that people did about the jobs, in order of time."""
    rng = random.Random(f"projects {seed}")
    chosen = rng.sample(list(customers), min(len(PLANS), len(customers)))
    found: list[tuple[datetime, Deed]] = []
    for plan, customer in zip(PLANS, chosen, strict=False):
        found += _Job(plan, customer).deeds(now)
    return sorted(found, key=lambda one: one[0])


def _at_work(at: datetime) -> datetime:
    """The same day within working hours; what was later stays later."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(hours=7) + (at - midnight) * 10 / 24


class _Job:
    """One job while it is played: what was made of it by then."""

    def __init__(self, plan: Plan, customer: Customer) -> None:
        self.plan = plan
        self.customer = customer
        self.item = 0
        self.request = 0
        self.deposit = 0

    def deeds(self, now: datetime) -> list[tuple[datetime, Deed]]:
        plan = self.plan
        listed: list[tuple[float, Deed]] = [(plan.began, self._begin)]
        listed += [(days, partial(self._set, STAGE, stage)) for days, stage in plan.moved]
        if plan.asked:
            listed.append((plan.asked, self._ask))
        if plan.status:
            listed.append(((plan.asked or plan.began) - 0.1, partial(self._set, JOB_STATUS, plan.status)))
        if plan.answered:
            listed.append((plan.answered, self._answer))
        if plan.paid:
            # Asked for once the job is in its next stage, which waits for it.
            listed.append((plan.answered - 0.3, self._deposit))
            if plan.paid != "due":
                listed.append((plan.answered - 1.6, partial(self._pay, "debit")))
            if plan.paid == "paid":
                listed.append((plan.answered - 4.2, partial(self._pay, "paid")))
        return [(_at_work(now - timedelta(days=days)), deed) for days, deed in listed]

    def _who(self) -> Actor:
        named = next(one.name for one in COLLEAGUES if one.key == self.plan.owner)
        return Actor(ActorKind.AGENT, self.plan.owner, named)

    def _begin(self, connection: Connection, now: datetime) -> None:
        one = self.customer
        person = people.person_for(connection, email=one.email, name=one.name, language=one.language, now=now)
        state: dict[str, JSON] = {
            "subject": self.plan.subject.format(city=one.city, name=one.name),
            "customer": person,
            "team": self.plan.team,
            "assignees": [self.plan.owner],
            CUSTOM + "pipeline": self.plan.pipeline,
        }
        self.item = store.create_item(connection, kind=ItemKind.JOB, state=state, actor=self._who(), now=now).item_id

    def _set(self, field: str, value: JSON, connection: Connection, now: datetime, *, item: int = 0) -> None:
        who = self._who()
        store.change_item(
            connection,
            store.read_item(connection, item or self.item, lock=True),
            lines=(store.Lines((SetField(field, value),), Cause("person", label=who.name)),),
            actor=who,
            now=now,
        )

    def _ask(self, connection: Connection, now: datetime) -> None:
        key = "trade_papers" if self.plan.pipeline == "trade" else "measures"
        listed = requests.question_list(connection, key, "request")
        assert listed is not None
        made = requests.send(
            connection,
            requests.QuestionsToAsk(listed[0].label, listed[1], key),
            person=int(str(store.read_item(connection, self.item).state["customer"])),
            item=self.item,
            key=requests.fresh_key(),
            cause=Cause("person", label=self._who().name),
            now=now,
        )
        assert made is not None
        self.request = made

    def _answer(self, connection: Connection, now: datetime) -> None:
        request = requests.read(connection, self.request, lock=True)
        answers = {one.key: ANSWERS[one.key] for one in request.questions if one.key in ANSWERS}
        requests.save(connection, request, answers, seen_version=request.version)
        actor = Actor(ActorKind.CUSTOMER, str(request.person), self.customer.name)
        requests.complete(connection, self.request, actor=actor, now=now, person=request.person)

    def _deposit(self, connection: Connection, now: datetime) -> None:
        self.deposit = store.create_item(
            connection,
            kind=ItemKind.TASK,
            state={"subject": f"Deposit of {self.customer.name}", "team": "billing", PAYMENT: "due"},
            actor=self._who(),
            now=now,
        ).item_id
        job = store.read_item(connection, self.item, lock=True)
        deposit = store.read_item(connection, self.deposit, lock=True)
        linking.join(connection, job.id, deposit.id, "contains")
        who, cause = self._who(), Cause("person", label=self._who().name)
        for one, other, way in ((job, deposit, "contains"), (deposit, job, "part_of")):
            linking.tell(connection, one, actor=who, cause=cause, now=now, after={"way": way, "item": other.id})

    def _pay(self, how: str, connection: Connection, now: datetime) -> None:
        self._set(PAYMENT, how, connection, now, item=self.deposit)
