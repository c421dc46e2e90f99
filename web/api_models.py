"""What the API takes and gives, as pydantic models. What a field's value may be is checked by `tickets.item` alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from tickets.item import ItemKind
from tickets.store import MESSAGE_CHARS
from tickets.values import json_problem


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("There is no such moment in UTC") from None


Key = Annotated[str, Field(max_length=60)]
#: A time with its zone, which in UTC is one of the years there are, too.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
#: Most items of one page, and of one list in a request.
PAGE_ITEMS = 100
MEMBERS = 100


class Given(BaseModel):
    """What a request says: nothing unknown, nothing that cannot be stored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def storable(cls, data: Any) -> Any:
        problem = json_problem(data, "body")
        if problem is not None:
            raise ValueError(problem)
        return data


class CustomerIn(Given):
    email: str = Field(max_length=320, description="The address; whoever has it already is this customer.")
    name: str = Field("", max_length=200)


class Fields(Given):
    """Fields of a ticket. Left out: not touched; null: emptied."""

    subject: str | None = Field(None, max_length=500)
    status: str | None = Field(None, description="open, waiting_customer, waiting_team, snoozed, solved or closed.")
    priority: str | None = Field(None, description="low, normal, high, urgent or critical.")
    team: Key | None = None
    assignees: list[Key] | None = Field(None, max_length=MEMBERS, description="Keys of users; replaces the set.")
    tags: list[str] | None = Field(None, max_length=MEMBERS, description="Replaces the set.")
    brand: Key | None = None
    location: Key | None = None
    language: str | None = Field(None, description="en, fr, pl or ro.")
    published: bool | None = None
    archived: bool | None = None
    due_at: Moment | None = None
    fields: dict[str, Any] | None = Field(None, description="Custom fields by key, without `fields.`.")


class TicketIn(Fields):
    subject: str = Field(max_length=500)
    kind: ItemKind = ItemKind.TICKET
    customer: CustomerIn | None = None
    text: str | None = Field(
        None,
        max_length=MESSAGE_CHARS,
        description="The first message: the customer's, or an internal note without one.",
    )


class TicketPatch(Fields):
    add_tags: list[str] = Field([], max_length=MEMBERS)
    remove_tags: list[str] = Field([], max_length=MEMBERS)


class MessageIn(Given):
    text: str = Field(min_length=1, max_length=MESSAGE_CHARS)
    author: Literal["agent", "customer"] = Field(
        "agent", description="agent: the token's user; customer: the ticket's customer, whose words you relay."
    )
    public: bool | None = Field(
        None, description="An agent's message is internal unless true, then it is e-mailed; a customer's is public."
    )
    status: str | None = Field(None, description="Set this status in the same moment.")


class ListQuery(Given):
    kind: ItemKind | None = None
    status: str | None = Field(None, max_length=40)
    priority: str | None = Field(None, max_length=20)
    team: Key | None = None
    brand: Key | None = None
    tag: str | None = Field(None, max_length=200)
    assignee: Key | None = None
    customer: str | None = Field(None, max_length=320, description="An e-mail address.")
    text: str | None = Field(None, max_length=200, description="Words of subject or messages.")
    updated_after: Moment | None = None
    before: int | None = Field(None, ge=1, lt=2**31, description="Only tickets with a smaller number.")
    limit: int = Field(50, ge=1, le=PAGE_ITEMS)


# Out -------------------------------------------------------------------------------------------------------------


class CustomerOut(BaseModel):
    id: int
    name: str
    email: str
    emails: list[str]
    language: str


class TicketOut(BaseModel):
    """A ticket as it is now. `version` is what If-Match takes."""

    id: int
    kind: str
    version: int
    created_at: datetime
    updated_at: datetime
    subject: str | None
    status: str | None
    priority: str | None
    team: str | None
    assignees: list[str]
    tags: list[str]
    brand: str | None
    location: str | None
    channel: str | None
    language: str | None
    customer: CustomerOut | None
    published: bool
    archived: bool
    due_at: str | None
    fields: dict[str, Any]


class TicketList(BaseModel):
    """One page, newest first. `next` is the address of the next one, null on the last."""

    tickets: list[TicketOut]
    next: str | None


class MessagePosted(BaseModel):
    ticket: int
    version: int
    message: int
    event: int


class FileOut(BaseModel):
    id: int
    name: str
    media_type: str
    size: int


class MessageOut(BaseModel):
    id: int
    seq: int
    author: str
    name: str
    address: str
    public: bool
    channel: str
    automatic: bool
    subject: str
    text: str
    new_text: str
    language: str
    cause: dict[str, Any] | None
    at: datetime
    files: list[FileOut]


class ChangeOut(BaseModel):
    field: str
    before: Any
    after: Any


class LineOut(BaseModel):
    """One line of history: a change with its cause, or a step that was not done (`outcome`)."""

    field: str
    before: Any
    after: Any
    outcome: str
    cause: dict[str, Any]
    by: str
    at: datetime


class ActorOut(BaseModel):
    kind: str
    ref: str
    name: str


class EventOut(BaseModel):
    id: int
    seq: int
    kind: str
    at: datetime
    actor: ActorOut
    root: int
    depth: int
    status: str
    error: str
    message: int | None
    changes: list[ChangeOut]
    causes: list[LineOut]
    payload: dict[str, Any]


class CardOut(BaseModel):
    """Facts from outside, with where they are from and until when they count as fresh."""

    key: str
    title: str
    data: Any
    source: str
    error: str
    fetched_at: datetime
    fresh_until: datetime | None
    cause: dict[str, Any]


class LookupOut(BaseModel):
    connection: str
    operation: str
    state: str
    reason: str


class DecisionOut(BaseModel):
    """What the rule list said about one event: which rows were looked at and why, what was done, what was not."""

    id: int
    event: int
    part: int
    revision: int
    outcome: str
    trace: dict[str, Any]
    done: list[Any]
    skipped: list[Any]
    notes: list[Any]
    applied_event: int | None
    decide_us: int
    at: datetime


class RunOut(BaseModel):
    """One execution of a script."""

    id: int
    ticket: int
    event: int
    script: str
    version: int
    status: str
    attempt: int
    params: dict[str, Any]
    cause: dict[str, Any]
    error: Any
    stop_reason: str
    log: list[Any]
    calls: list[Any]
    actions: list[Any]
    usage: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Timeline(BaseModel):
    """Everything that happened to a ticket, oldest first. `cut` says that older events were left out."""

    ticket: TicketOut
    messages: list[MessageOut]
    events: list[EventOut]
    context: list[CardOut]
    lookups: list[LookupOut]
    decisions: list[DecisionOut]
    runs: list[RunOut]
    cut: bool


class Problem(BaseModel):
    """An error (RFC 9457). `errors` names what is wrong with each field; `reference` stands in the log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reference: str = ""
    errors: Mapping[str, Any] | None = None
