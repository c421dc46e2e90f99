"""The tables of work: decisions with their facts, the per-root ledger, lookups, runs, the outbox and timers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tickets.db import Base


class DecisionRow(Base):
    """What the rule list said about one event. A waiting event has one row per part, in order."""

    __tablename__ = "decisions"
    __table_args__ = (UniqueConstraint("event_id", "part"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    part: Mapped[int]
    revision: Mapped[int]
    facts: Mapped[dict[str, Any]]  # rules.facts.Facts as JSON: what the decision looked at
    trace: Mapped[dict[str, Any]]
    done: Mapped[list[Any]]  # one summary per planned step: what it did, or why it was not done
    skipped: Mapped[list[Any]]  # rows decided without an answer: {"row", "lookups", "reason"}
    notes: Mapped[list[Any]]  # sentences such as "decided without the ERP"
    outcome: Mapped[str] = mapped_column(String(10))  # acted, checked, waiting
    applied_event: Mapped[int | None] = mapped_column(ForeignKey("events.id"))  # the event its effects became
    decide_us: Mapped[int]
    at: Mapped[datetime] = mapped_column(index=True)


class Root(Base):
    """The budget of one automatic chain, from the event that began it."""

    __tablename__ = "roots"
    root_id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    effects: Mapped[int]
    started_at: Mapped[datetime]


class Fired(Base):
    """A row that has fired for this root; it does not fire again for it."""

    __tablename__ = "fired"
    root_id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)
    row_key: Mapped[str] = mapped_column(String(80), primary_key=True)


class LedgerRow(Base):
    """A row that fired for an item, by the episode it fired for: what re-arming goes by. Rows keep their ids.

    `episode` is what the trigger names ("no reply since ..."); `rules.rearm.episode` says which."""

    __tablename__ = "row_ledger"
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True)
    row_key: Mapped[str] = mapped_column(String(80), primary_key=True)
    episode: Mapped[str] = mapped_column(String(120), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    at: Mapped[datetime]


class LookupRow(Base):
    """One question to a connection for one item, with its newest answer.

    `state`: asked, known, missing, ambiguous, failed."""

    __tablename__ = "lookups"
    __table_args__ = (
        UniqueConstraint("item_id", "connection", "operation", "args_key"),
        Index(
            "ix_lookups_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))
    connection: Mapped[str] = mapped_column(String(60))
    operation: Mapped[str] = mapped_column(String(60))
    args: Mapped[dict[str, Any]]
    args_key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    answer: Mapped[dict[str, Any]]  # {"data": JSON, "candidates": [...]}
    reason: Mapped[str] = mapped_column(Text)
    root_id: Mapped[int | None]
    depth: Mapped[int]
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    fresh_until: Mapped[datetime | None]
    writes: Mapped[int | None]  # changes made through the connection when it answered; more of them = ask again
    #: From this one on the item's events do not use the answer: the change they follow from came after it.
    not_from_seq: Mapped[int | None]
    due_at: Mapped[datetime | None]  # when to ask (again); null = nothing to do
    tries: Mapped[int]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    #: How often in a row a worker was cut off with it in hand.
    cut_off: Mapped[int] = mapped_column(default=0, server_default="0")


class RunRow(Base):
    """One execution of a script. `status`: queued, running, retrying, then an outcome of `sandbox.contract`."""

    __tablename__ = "runs"
    __table_args__ = (
        Index(
            "ix_runs_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)  # the step that asked for it: the same step runs once
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))
    script: Mapped[str] = mapped_column(ForeignKey("entries.code"), index=True)
    version: Mapped[int]
    params: Mapped[dict[str, Any]]
    cause: Mapped[dict[str, Any]]
    root_id: Mapped[int]
    depth: Mapped[int]
    status: Mapped[str] = mapped_column(String(12))
    attempt: Mapped[int]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    cut_off: Mapped[int] = mapped_column(default=0, server_default="0")  # as with a lookup
    outcome: Mapped[dict[str, Any]]  # error, actions, log, calls, usage, stop_reason
    created_at: Mapped[datetime] = mapped_column(index=True)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class CompiledScript(Base):
    """A script's compiled form, as a jailed child made it. Opaque here: it is read inside a jail alone.

    `key` is `sandbox.stamp.code_key`: source, Python, RestrictedPython and policy."""

    __tablename__ = "compiled_scripts"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    code: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(index=True)


class OutboxRow(Base):
    """Something that leaves the house: at least once, always under the same `key`.

    `status`: due, sent, failed (will not be tried again), capped (too many within an hour), held (its address takes no
    mail), bounced (it came back), cancelled, approval (waits for a person), unclear (a change that may be made: a
    person has to look)."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "due_at", sqlite_where=text("status = 'due'"), postgresql_where=text("status = 'due'")),
        Index("ix_outbox_recipient", "recipient", "sent_at"),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    recipient: Mapped[str] = mapped_column(String(320), server_default="")
    item_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"), index=True)
    payload: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(10))
    due_at: Mapped[datetime]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    tries: Mapped[int]
    cut_off: Mapped[int] = mapped_column(default=0, server_default="0")  # as with a lookup
    last_error: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]


class SkippedRow(Base):
    """A row that was decided without an answer. When the answer comes late, the row is decided again, once."""

    __tablename__ = "skipped_rows"
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)
    row_key: Mapped[str] = mapped_column(String(80), primary_key=True)
    lookup_id: Mapped[int] = mapped_column(ForeignKey("lookups.id"), primary_key=True, index=True)
    settled_at: Mapped[datetime | None]


class RowSetAside(Base):
    """A row that an error kept from being decided for one event, until somebody has it decided again."""

    __tablename__ = "rows_set_aside"
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"), primary_key=True)
    row_key: Mapped[str] = mapped_column(String(80), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(index=True)


class ApiToken(Base):
    """A key for the JSON API. Only its SHA-256 is kept; the token itself is shown once."""

    __tablename__ = "api_tokens"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    user: Mapped[str] = mapped_column(ForeignKey("users.key"))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class HeldAddress(Base):
    """An address that takes no mail, as its own server said: what is written by itself does not go there, until a
    person says that the address is well."""

    __tablename__ = "held_addresses"
    address: Mapped[str] = mapped_column(String(320), primary_key=True)  # in lower case
    reason: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime]


class IdempotencyKey(Base):
    """An API request that was accepted under a client's key, and the answer it got."""

    __tablename__ = "idempotency_keys"
    principal: Mapped[str] = mapped_column(String(80), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class MailAccount(Base):
    """How a mailbox is looked into ("imap") or sent from ("smtp"). `sealed` holds its password.

    For "imap": `validity` and `uid` say up to where it was read, `due_at` when to look again, `last_error` why the last
    look failed."""

    __tablename__ = "mail_accounts"
    __table_args__ = (UniqueConstraint("mailbox", "kind"), Index("ix_mail_accounts_due", "due_at"))
    id: Mapped[int] = mapped_column(primary_key=True)
    mailbox: Mapped[str] = mapped_column(ForeignKey("mailboxes.key"))
    kind: Mapped[str] = mapped_column(String(10))
    config: Mapped[dict[str, Any]]  # host, port, security, user, folder
    sealed: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    validity: Mapped[int | None] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    tries: Mapped[int]
    last_error: Mapped[str] = mapped_column(Text)
    checked_at: Mapped[datetime | None]


class UndoRow(Base):
    """Taking back what one version of a table or script did, on every item, as somebody asked for."""

    __tablename__ = "undos"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(ForeignKey("entries.code"), index=True)
    version: Mapped[int]
    since: Mapped[datetime]
    until: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(ForeignKey("users.key"))
    asked_at: Mapped[datetime]


class UndoItemRow(Base):
    """One item of an undo. `status`: waiting, done, nothing (left to take back), failed.

    `outcome` names fields, members and lines of history, and no values: {"back": [field], "kept": [[field, line,
    member]], "cards": [key], "stays": {action: n}, "problem": "..."}."""

    __tablename__ = "undo_items"
    __table_args__ = (
        Index(
            "ix_undo_items_waiting",
            "undo_id",
            "item_id",
            sqlite_where=text("status = 'waiting'"),
            postgresql_where=text("status = 'waiting'"),
        ),
    )
    undo_id: Mapped[int] = mapped_column(ForeignKey("undos.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(10))
    outcome: Mapped[dict[str, Any]]
    event_id: Mapped[int | None] = mapped_column(ForeignKey("events.id"))


class ShadowRow(Base):
    """A draft of a table that runs beside the live version, without effect: this row is all it ever writes.

    `seen_to`: the last decision it looked at; `items`: the tickets it met, at most `tickets`; `samples`: the first
    events on which it would have done something else; `problem`: why it ended before its time, "" otherwise."""

    __tablename__ = "shadows"
    code: Mapped[str] = mapped_column(ForeignKey("entries.code"), primary_key=True)
    draft_count: Mapped[int]
    started_by: Mapped[str] = mapped_column(ForeignKey("users.key"))
    started_at: Mapped[datetime]
    until: Mapped[datetime]
    tickets: Mapped[int]
    allowed: Mapped[int]  # the share of events that may differ, in per cent
    seen_to: Mapped[int]
    events: Mapped[int]
    different: Mapped[int]
    skipped: Mapped[int]
    items: Mapped[list[Any]]
    samples: Mapped[list[Any]]
    ended_at: Mapped[datetime | None]
    problem: Mapped[str] = mapped_column(String(200))


class ReplayRow(Base):
    """Past items once more, against the live rule list and against it with drafts in place, as somebody asked for.

    `drafts`: {code: [count of the draft, number it would get]}; `revision`: of the live list it began with; `picked`:
    how the items were picked; `hidden`: how many were left out as not visible to who asked. `status`: running, done,
    stopped (somebody did) or ended (before its time: `problem` says why). `worked_ms` is what it has used of its time;
    `tries` how often in a row it was taken up and nothing came of it."""

    __tablename__ = "replays"
    __table_args__ = (
        Index(
            "ix_replays_due",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    asked_by: Mapped[str] = mapped_column(ForeignKey("users.key"))
    asked_at: Mapped[datetime] = mapped_column(index=True)
    drafts: Mapped[dict[str, Any]]
    revision: Mapped[int]
    picked: Mapped[dict[str, Any]]
    scripts: Mapped[bool]
    hidden: Mapped[int]
    status: Mapped[str] = mapped_column(String(10))
    problem: Mapped[str] = mapped_column(String(200))
    worked_ms: Mapped[int]
    tries: Mapped[int]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    token: Mapped[str | None] = mapped_column(String(32))
    ended_at: Mapped[datetime | None]


class ReplayItemRow(Base):
    """One item of a replay. `status`: waiting, same, changed, or failed (`outcome` says why).

    `faithful`: whether the live list alone came to what really happened; null where that cannot be said. `outcome`:
    what differs and what happened on either side, as `jobs.replays.work` writes it."""

    __tablename__ = "replay_items"
    __table_args__ = (
        Index(
            "ix_replay_items_waiting",
            "replay_id",
            "item_id",
            sqlite_where=text("status = 'waiting'"),
            postgresql_where=text("status = 'waiting'"),
        ),
    )
    replay_id: Mapped[int] = mapped_column(ForeignKey("replays.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(10))
    faithful: Mapped[bool | None]
    outcome: Mapped[dict[str, Any]]
