"""What a decision tells and sends, as rows: the bell and its mails, templates, suggested replies, webhooks, changes.

Called inside the transaction that applies the decision, for the item as it is now. Each row's key is the step that
caused it, so that the same step sends once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection, func, select

from jobs.leaving import WAITING, customer_of, print_of, queue
from jobs.notices import mail_colleagues
from jobs.recipients import addressed, notified, who_may_see
from jobs.tables import OutboxRow
from rules.vocabulary import DEFAULT_LANGUAGE, Template, TemplateText
from rules.window import SendWindow
from tickets import store
from tickets.effects import CallWebhook, ChangeSystem, Notify, SendMail, SuggestReply, Telling
from tickets.events import Cause, Event
from tickets.item import Item
from tickets.tables import Message
from tickets.values import JSON, iso

#: Replies of automations that may wait on one item at once; more are refused and say so.
SUGGESTIONS_PER_ITEM = 20


@dataclass(frozen=True, slots=True)
class Step:
    """The step behind a telling: its place in the decision, and its cause."""

    event: Event
    row_key: str
    step: str
    cause: Cause
    root: int

    @property
    def key(self) -> str:
        return f"ev{self.event.id}:{self.row_key}:{self.step}"


def tell(connection: Connection, item: Item, step: Step, effect: Telling, now: datetime) -> str:
    """Write the rows of one telling. Returns why it was not done, "" when it was."""
    match effect:
        case Notify():
            return _notify(connection, item, step, effect, now)
        case SendMail():
            return _send(connection, item, step, effect, now)
        case SuggestReply():
            return _suggest(connection, item, step, effect, now)
        case CallWebhook():
            payload: dict[str, JSON] = {
                "event": effect.event,
                "at": iso(step.event.at),
                "data": dict(effect.data),
                "cause": step.cause.to_json(),
                "print": print_of(effect.connection, effect.event),
            }
            queue(
                connection,
                key=f"hook:{step.key}",
                kind="webhook",
                recipient=effect.connection,
                item_id=item.id,
                payload=payload,
                due_at=now,
                now=now,
            )
            return ""
        case ChangeSystem():
            queue(
                connection,
                key=f"change:{step.key}",
                kind="change",
                recipient=effect.connection,
                item_id=item.id,
                payload={
                    "operation": effect.operation,
                    "args": dict(effect.args),
                    "recheck": effect.recheck,
                    "event": step.event.id,
                    "row_key": step.row_key,
                    "root": step.root,
                    "depth": step.event.depth + 1,
                    "cause": step.cause.to_json(),
                    "print": print_of(effect.connection, effect.operation, dict(effect.args)),
                },
                due_at=now,
                now=now,
            )
            return ""
        case _:
            assert_never(effect)


def told_already(connection: Connection, item_id: int, effect: Telling, since: datetime) -> bool:
    """Whether the same was told since then: a late answer tells nothing twice."""
    match effect:
        case Notify():
            return False  # the bell looks for itself
        case SendMail():
            wanted = print_of(list(effect.to), effect.template)
        case SuggestReply():
            wanted = print_of(effect.text)
        case CallWebhook():
            wanted = print_of(effect.connection, effect.event)
        case ChangeSystem():
            wanted = print_of(effect.connection, effect.operation, dict(effect.args))
    rows = connection.execute(
        select(OutboxRow.payload).where(OutboxRow.item_id == item_id, OutboxRow.created_at >= since)
    ).scalars()
    return any(payload.get("print") == wanted for payload in rows)


# The bell and its mail ---------------------------------------------------------------------------------------------


def _notify(connection: Connection, item: Item, step: Step, ring: Notify, now: datetime) -> str:
    keys, reason = notified(connection, ring, item)
    if not keys:
        return reason
    told = who_may_see(connection, keys, item.id)
    if not told:
        return "nobody of them may see this ticket"
    store.notify(connection, [one.key for one in told], item.id, ring.text, cause=step.cause, key=step.key, now=now)
    if not ring.email:
        return ""
    parts: list[dict[str, str]] = []
    if ring.comment:
        parts.append({"kind": "text", "text": ring.comment})
    parts.append({"kind": "text", "text": ring.text})
    if ring.with_suggestion:
        for text in waiting_suggestions(connection, item.id):
            parts.append({"kind": "card", "text": text})
    subject = ring.subject or f"{ring.text.splitlines()[0] if ring.text.strip() else item.state.get('subject', '')}"
    worded = {"subject": subject, "parts": parts}
    mail_colleagues(connection, told, item.id, worded, key=step.key, cause=step.cause, now=now)
    return ""


# Templates by e-mail -----------------------------------------------------------------------------------------------


def _send(connection: Connection, item: Item, step: Step, mail: SendMail, now: datetime) -> str:
    """One row per recipient, in their language. A colleague gets it only if they may see the item."""
    wanted: dict[str, tuple[str, str, str]] = {}  # address -> name, language, the colleague's key, "" outside
    item_language = str(item.state.get("language") or "")
    if "customer" in mail.to:
        customer = customer_of(connection, item)
        if customer is not None and customer.email:
            wanted[customer.email] = (customer.name, item_language or customer.language, "")
    for viewer in who_may_see(connection, addressed(connection, mail.to, item), item.id):
        wanted.setdefault(viewer.email.lower(), (viewer.name, viewer.language, viewer.key))
    for one in mail.to:
        if one.startswith("address:"):
            wanted.setdefault(one.removeprefix("address:"), ("", item_language, ""))
    if not wanted:
        return "none of its recipients has an address, or may see this ticket"
    texts = Template(
        mail.template, "", {key: TemplateText(body, subject) for key, (subject, body) in mail.texts.items()}
    )
    for number, (address, (name, language, colleague)) in enumerate(wanted.items()):
        chosen = texts.text_for(language or DEFAULT_LANGUAGE)
        assert chosen is not None
        used, text = chosen
        parts = [{"kind": "text", "text": text.body}]
        queue(
            connection,
            key=f"template:{step.key}:{number}",
            kind="template",
            recipient=address,
            item_id=item.id,
            payload={
                "to": address,
                "name": name,
                "subject": text.subject or str(item.state.get("subject") or ""),
                "language": used,
                "template": mail.template,
                "parts": parts,
                "replies": not colleague,
                "user": colleague,
                "cause": step.cause.to_json(),
                "print": print_of(list(mail.to), mail.template),
            },
            due_at=now,
            now=now,
        )
    return ""


# Suggested replies -------------------------------------------------------------------------------------------------


def _suggest(connection: Connection, item: Item, step: Step, reply: SuggestReply, now: datetime) -> str:
    waiting = connection.execute(
        select(func.count())
        .select_from(OutboxRow)
        .where(OutboxRow.item_id == item.id, OutboxRow.kind == "reply", OutboxRow.status.in_(WAITING))
    ).scalar_one()
    if waiting >= SUGGESTIONS_PER_ITEM:
        return f"{waiting} suggested replies wait here already; {SUGGESTIONS_PER_ITEM} are allowed"
    customer = customer_of(connection, item)
    newest = connection.execute(select(func.max(Message.id)).where(Message.item_id == item.id)).scalar_one()
    opens = now if reply.approval else SendWindow.from_json(reply.window).opens(now)
    queue(
        connection,
        key=f"reply:{step.key}",
        kind="reply",
        recipient=customer.email if customer is not None else "",
        item_id=item.id,
        payload={
            "text": reply.text,
            "subject": reply.subject,
            "template": reply.template,
            "language": reply.language,
            "poster": reply.poster,
            "window": dict(reply.window),
            "event": step.event.id,
            "row_key": step.row_key,
            "root": step.root,
            "depth": step.event.depth + 1,
            "newest": newest or 0,
            "cause": step.cause.to_json(),
            "print": print_of(reply.text),
        },
        due_at=opens,
        now=now,
        status="approval" if reply.approval else "due",
    )
    return ""


def waiting_suggestions(connection: Connection, item_id: int) -> list[str]:
    """The texts of the replies that wait on this item, oldest first."""
    rows = connection.execute(
        select(OutboxRow.payload)
        .where(OutboxRow.item_id == item_id, OutboxRow.kind == "reply", OutboxRow.status.in_(WAITING))
        .order_by(OutboxRow.id)
        .limit(SUGGESTIONS_PER_ITEM)
    ).scalars()
    return [str(payload.get("text", "")) for payload in rows]
