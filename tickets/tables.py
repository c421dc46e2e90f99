"""The tables of what is true. Times are UTC; teams, users, brands and locations are named by their immutable keys.

Tables of rules, connections and work stand with their owners (`rules.store`, `connectors.store`, `jobs.tables`) on the
same metadata; the migrations in `tickets/migrations` make all of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tickets.db import Base

Key = String(60)


class Team(Base):
    """A team. The items of a *restricted* one are seen by its members alone."""

    __tablename__ = "teams"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    restricted: Mapped[bool] = mapped_column(default=False)


class Brand(Base):
    """A brand or store. `zone` is the IANA time zone its dates are meant in."""

    __tablename__ = "brands"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    zone: Mapped[str] = mapped_column(String(60), default="UTC")


class Location(Base):
    __tablename__ = "locations"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))


class LocationGroup(Base):
    """Locations under one name, e.g. a region. A location may be in several."""

    __tablename__ = "location_groups"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))


class LocationGroupMember(Base):
    __tablename__ = "location_group_members"
    group: Mapped[str] = mapped_column(ForeignKey("location_groups.key"), primary_key=True)
    location: Mapped[str] = mapped_column(ForeignKey("locations.key"), primary_key=True, index=True)


class ListRow(Base):
    """A named list that cells of tables use. `saves` grows with every save; `people` says its members are addresses."""

    __tablename__ = "named_lists"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    people: Mapped[bool]
    members: Mapped[list[Any]]
    saves: Mapped[int]
    saved_by: Mapped[str] = mapped_column(String(60))
    saved_at: Mapped[datetime]


class SettingChange(Base):
    """One change of the desk's set-up: who changed which team, field, list ... from what to what."""

    __tablename__ = "setting_changes"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    who: Mapped[str] = mapped_column(String(60))
    part: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(80))
    change: Mapped[dict[str, Any]]  # {"before": {...} or null, "after": {...} or null}


class User(Base):
    """Somebody who works here. `roles` are keys of `tickets.people.ROLES`; empty `brands` or `locations` mean all."""

    __tablename__ = "users"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str] = mapped_column(String(320), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200), default="")
    roles: Mapped[list[Any]]
    brands: Mapped[list[Any]]
    locations: Mapped[list[Any]]
    language: Mapped[str] = mapped_column(String(10), default="en")
    zone: Mapped[str] = mapped_column(String(60), default="UTC")
    active: Mapped[bool] = mapped_column(default=True)
    #: Until when this person says they are away: nothing is given out to them by itself.
    absent_until: Mapped[datetime | None]
    #: How the bell's lines that ask for it come by e-mail: "at_once", "digest" (one mail for many) or "never".
    mail: Mapped[str] = mapped_column(String(10), default="at_once", server_default="at_once")
    created_at: Mapped[datetime]


class TeamMember(Base):
    __tablename__ = "team_members"
    team: Mapped[str] = mapped_column(ForeignKey("teams.key"), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.key"), primary_key=True, index=True)


class Person(Base):
    """A customer, or anybody else who writes to us. May be anonymous: then without name and addresses."""

    __tablename__ = "persons"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[str] = mapped_column(String(10), default="")
    anonymous: Mapped[bool] = mapped_column(default=False)
    zone: Mapped[str] = mapped_column(String(60), default="")  # IANA; "" is UTC
    #: Of the code by which somebody without a name comes back to the portal.
    code_sha256: Mapped[str | None] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]


class PersonAddress(Base):
    """One address of a person, in lower case. `verified` means proved by us, not merely claimed in a From line."""

    __tablename__ = "person_addresses"
    __table_args__ = (UniqueConstraint("kind", "address"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))  # "email" or "phone"
    address: Mapped[str] = mapped_column(String(320))
    verified: Mapped[bool] = mapped_column(default=False)


class CustomField(Base):
    """A field of one kind of item beside the built-in ones. `options` maps key to label for choices."""

    __tablename__ = "custom_fields"
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(20))
    options: Mapped[dict[str, Any]]


class PipelineRow(Base):
    """The stages that items of one kind go through; `tickets.kinds.Pipeline` is its value."""

    __tablename__ = "pipelines"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    #: Whether a payment by bank debit counts as made before it is cleared.
    debit_at_once: Mapped[bool] = mapped_column(default=False)


class JobStatusRow(Base):
    """A status that jobs of a pipeline may have beside those of all jobs; `tickets.kinds.JobStatus` is its value."""

    __tablename__ = "job_statuses"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    pipeline: Mapped[str] = mapped_column(ForeignKey("pipelines.key"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    #: Whether a job is active again by itself once everything linked to it is done.
    automove: Mapped[bool] = mapped_column(default=False)


class StageRow(Base):
    """One stage of a pipeline, in the order of `position`. Its key is unique in the whole desk."""

    __tablename__ = "stages"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    pipeline: Mapped[str] = mapped_column(ForeignKey("pipelines.key"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    #: Whether a job moves on by itself once everything linked to it is done.
    automove: Mapped[bool] = mapped_column(default=False)


class QuestionList(Base):
    """A list of questions to use again: a request, a form or a procedure; see `tickets.questions`."""

    __tablename__ = "question_lists"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    purpose: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20), default="ticket")  # of item, for forms and procedures
    questions: Mapped[list[Any]]
    anonymous: Mapped[bool] = mapped_column(default=False)  # whether a reporter may stay unknown
    active: Mapped[bool] = mapped_column(default=True)


class RequestRow(Base):
    """Questions to one customer, linked to an item now or later. `status`: open, completed, withdrawn."""

    __tablename__ = "requests"
    __table_args__ = (Index("ix_requests_item", "item_id", "status"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)  # the same step never sends twice
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"))
    list_key: Mapped[str] = mapped_column(String(60), default="")  # of the list it was made from, "" for none
    title: Mapped[str] = mapped_column(String(300))
    questions: Mapped[list[Any]]
    answers: Mapped[dict[str, Any]]
    sign_in: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(String(20), default="open")
    version: Mapped[int] = mapped_column(default=1)
    cause: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    completed_by: Mapped[str] = mapped_column(String(200), default="")


class RequestFile(Base):
    """A file that answers a question of a request."""

    __tablename__ = "request_files"
    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("requests.id"), index=True)
    question: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(120))
    size: Mapped[int]
    blob: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))


class PortalToken(Base):
    """A way into the portal: a link that opens one request, or a link and a code that sign a person in once.

    Only hashes are kept; the text is worked out from `salt` with the installation's own key when a mail is written."""

    __tablename__ = "portal_tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20))  # request, sign_in
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    salt: Mapped[str] = mapped_column(String(64))
    person_id: Mapped[int] = mapped_column(ForeignKey("persons.id"), index=True)
    request_id: Mapped[int | None] = mapped_column(ForeignKey("requests.id"), index=True)
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class Rotation(Base):
    """Whose turn it was last when a team's items are given out in turn."""

    __tablename__ = "rotations"
    team: Mapped[str] = mapped_column(ForeignKey("teams.key"), primary_key=True)
    last_user: Mapped[str] = mapped_column(Key)


class WorkItem(Base):
    """A work item as it is now; `tickets.item.Item` is its value."""

    __tablename__ = "items"
    __table_args__ = (
        Index("ix_items_queue", "status", "updated_at"),
        Index("ix_items_team_queue", "team", "status", "updated_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str | None] = mapped_column(String(500))
    status: Mapped[str | None] = mapped_column(String(40))
    priority: Mapped[str | None] = mapped_column(String(20))
    team: Mapped[str | None] = mapped_column(ForeignKey("teams.key"))
    assignees: Mapped[list[Any] | None]
    tags: Mapped[list[Any] | None]
    brand: Mapped[str | None] = mapped_column(ForeignKey("brands.key"))
    location: Mapped[str | None] = mapped_column(ForeignKey("locations.key"))
    channel: Mapped[str | None] = mapped_column(String(20))
    language: Mapped[str | None] = mapped_column(String(10))
    customer: Mapped[int | None] = mapped_column(ForeignKey("persons.id"), index=True)
    published: Mapped[bool | None]
    archived: Mapped[bool | None]
    due_at: Mapped[str | None] = mapped_column(String(40))
    #: The SLA policy it was given; null = the first that covers it.
    sla: Mapped[str | None] = mapped_column(Key)
    snoozed_until: Mapped[str | None] = mapped_column(String(40))
    snoozed_for: Mapped[str | None] = mapped_column(String(80))
    snoozed_from: Mapped[str | None] = mapped_column(String(40))
    fields: Mapped[dict[str, Any]]
    version: Mapped[int]
    last_seq: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    #: Since when; `tickets.stamps.Stamps` says what each means.
    modified_at: Mapped[datetime]
    status_since: Mapped[datetime]
    unanswered_since: Mapped[datetime | None]
    replied_at: Mapped[datetime | None]
    first_reply_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]


class Follower(Base):
    """A user who is told about every message on an item."""

    __tablename__ = "followers"
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.key"), primary_key=True)


class Link(Base):
    """One item belongs to another: `kind` reads from -> to, e.g. "contains", "relates"."""

    __tablename__ = "links"
    __table_args__ = (UniqueConstraint("from_item", "to_item", "kind"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    from_item: Mapped[int] = mapped_column(ForeignKey("items.id"))
    to_item: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))


class Message(Base):
    """One message of an item's conversation. `new_text` is `text` without quotes and signature."""

    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    seq: Mapped[int]  # of the event that added it
    author_kind: Mapped[str] = mapped_column(String(20))  # customer, agent, bot, third_party
    author_person: Mapped[int | None] = mapped_column(ForeignKey("persons.id"))
    author_user: Mapped[str | None] = mapped_column(ForeignKey("users.key"))
    author_name: Mapped[str] = mapped_column(String(200), default="")
    author_address: Mapped[str] = mapped_column(String(320), default="")
    public: Mapped[bool]
    channel: Mapped[str] = mapped_column(String(20))
    subject: Mapped[str] = mapped_column(String(500), default="")
    text: Mapped[str] = mapped_column(Text)
    new_text: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(10), default="")
    automatic: Mapped[bool] = mapped_column(default=False)  # sent by a machine; never answered automatically
    header_id: Mapped[str] = mapped_column(String(500), default="", index=True)  # Message-ID, without brackets
    cause: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]


class Seen(Base):
    """Who has seen a message, and when. `who` is "user:<key>" or "person:<id>"."""

    __tablename__ = "seen"
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"), primary_key=True)
    who: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime]


class Blob(Base):
    """The bytes of attachments and raw mail, once per content. In the database, so that every host sees them."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Attachment(Base):
    __tablename__ = "attachments"
    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(120))
    size: Mapped[int]
    blob: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))


class Lane(Base):
    """One item's queue of events. `due_at` is when a worker should look, null when there is nothing to do."""

    __tablename__ = "lanes"
    __table_args__ = (Index("ix_lanes_due", "due_at"),)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    last_seq: Mapped[int]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    #: How often in a row a lease ran out with the lane still held, and nothing was committed in between.
    cut_off: Mapped[int] = mapped_column(default=0, server_default="0")


class EventRow(Base):
    """One event; `tickets.events.Event` is its value. `status`: pending, waiting, done, parked."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("item_id", "seq"),
        Index(
            "ix_events_open",
            "item_id",
            "seq",
            sqlite_where=text("status != 'done'"),
            postgresql_where=text("status != 'done'"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    seq: Mapped[int]
    kind: Mapped[str] = mapped_column(String(30))
    at: Mapped[datetime] = mapped_column(index=True)
    actor_kind: Mapped[str] = mapped_column(String(20))
    actor_ref: Mapped[str] = mapped_column(String(60))
    actor_name: Mapped[str] = mapped_column(String(200))
    root_id: Mapped[int | None] = mapped_column(index=True)  # null = its own root
    depth: Mapped[int]
    changes: Mapped[list[Any]]
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(10))
    tries: Mapped[int] = mapped_column(default=0)
    #: Where a waiting event goes on: {"at": entry code, "staged": {...}, "until": ISO or null, "over": [codes]}
    progress: Mapped[dict[str, Any] | None]
    error: Mapped[str] = mapped_column(Text, default="")


class BusinessCalendar(Base):
    """When work is done. `body` is `tickets.calendar.Calendar` as JSON."""

    __tablename__ = "calendars"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    body: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class SlaPolicy(Base):
    """By when customers are answered. `body` is `tickets.sla.Policy` as JSON; the first in order that covers counts."""

    __tablename__ = "sla_policies"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    label: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    enabled: Mapped[bool]
    body: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class SlaClockRow(Base):
    """One clock of one item, as last worked out; `tickets.sla.SlaClock` is its value."""

    __tablename__ = "sla_clocks"
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    target: Mapped[str] = mapped_column(String(20), primary_key=True)
    policy: Mapped[str] = mapped_column(Key)
    start: Mapped[datetime]
    due_at: Mapped[datetime | None]
    near_at: Mapped[datetime | None]
    left_s: Mapped[int | None]
    met_at: Mapped[datetime | None]
    breached_at: Mapped[datetime | None]


class TimeTrigger(Base):
    """A time trigger of a live table, kept where items are written: their timers are derived in the same transaction.

    `since`: when it went live; an episode that was due before is none of its business. `walked_to`: the last item that
    was given its timer when the trigger went live, null when all have. `next_at`: a schedule's next tick; `tick_at`:
    the one whose events are being written, up to item `tick_to`. `picks` names the conditions by which that walk passed
    items by, "" when it passed by none; `picked_at`: when they went live, null when that was `since`."""

    __tablename__ = "time_triggers"
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    entry: Mapped[str] = mapped_column(Key)
    kind: Mapped[str] = mapped_column(String(20))
    rule: Mapped[dict[str, Any]]
    since: Mapped[datetime]
    walked_to: Mapped[int | None]
    next_at: Mapped[datetime | None]
    tick_at: Mapped[datetime | None]
    tick_to: Mapped[int | None]
    picks: Mapped[str] = mapped_column(String(64), default="", server_default="")
    picked_at: Mapped[datetime | None]


class Timer(Base):
    """An item's timer for one time trigger, and the ledger of it: the episode it stands for and what became of that.

    `due_at`: when to look again, null when that is over. `outcome`: waiting, fired, before (due before its rule),
    passed (it came while the item was one its table could do nothing on) or off (a person called it off)."""

    __tablename__ = "timers"
    __table_args__ = (
        Index(
            "ix_timers_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    episode: Mapped[str] = mapped_column(String(120))
    due_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(10))


class ClockState(Base):
    """The one row that says which revision of the rule list the time triggers are those of."""

    __tablename__ = "clock_state"
    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int]
    synced_at: Mapped[datetime]


class History(Base):
    """One line of an item's history: a field's change, or a step that was not done and why. Always with its cause."""

    __tablename__ = "history"
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"), index=True)
    field: Mapped[str] = mapped_column(String(80))
    change: Mapped[dict[str, Any]]  # {"before": ..., "after": ...}
    outcome: Mapped[str] = mapped_column(String(20))  # "done", "overtaken"
    cause: Mapped[dict[str, Any]]
    actor_name: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime]


class ContextFact(Base):
    """Facts from outside on one card of an item. Append-only: one row per fetch, the newest is `current`."""

    __tablename__ = "context_facts"
    __table_args__ = (
        Index(
            "uq_context_facts_current",
            "item_id",
            "key",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    key: Mapped[str] = mapped_column(String(80))
    current: Mapped[bool]
    title: Mapped[str] = mapped_column(String(200))
    #: {"data": JSON}, and "outside": true for what became of a change there, "taken_back": true for what an undo took
    body: Mapped[dict[str, Any]]
    source: Mapped[str] = mapped_column(String(200))
    error: Mapped[str] = mapped_column(Text, default="")
    fetched_at: Mapped[datetime]
    fresh_until: Mapped[datetime | None]
    cause: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Notification(Base):
    """A line in a user's bell."""

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_bell", "user", "read_at", "created_at"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.key"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    text: Mapped[str] = mapped_column(String(1000))
    cause: Mapped[dict[str, Any]]
    key: Mapped[str] = mapped_column(String(120), unique=True)  # the same step never rings twice
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class Mailbox(Base):
    """An address customers write to. Its secret lets a mail server hand mail in; the mailbox fixes the brand."""

    __tablename__ = "mailboxes"
    key: Mapped[str] = mapped_column(Key, primary_key=True)
    address: Mapped[str] = mapped_column(String(320), unique=True)
    brand: Mapped[str | None] = mapped_column(ForeignKey("brands.key"))
    secret_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    active: Mapped[bool] = mapped_column(default=True)


class InboundMail(Base):
    """Every mail that was handed in, whatever became of it: accepted, duplicate, automatic or unreadable."""

    __tablename__ = "inbound_mails"
    __table_args__ = (UniqueConstraint("mailbox", "fingerprint"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox: Mapped[str] = mapped_column(ForeignKey("mailboxes.key"))
    fingerprint: Mapped[str] = mapped_column(String(64))  # of the Message-ID, or of the bytes where there is none
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text, default="")
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"))
    blob: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    received_at: Mapped[datetime] = mapped_column(index=True)
