"""What an outgoing mail says: headers, a text and an HTML half, the files, and only what its recipient may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, parseaddr
from typing import Any

from sqlalchemy import Connection, select

from connectors.channels.mail_page import Part, html_page, plain_page
from jobs.facts import facts_now
from jobs.intake import reply_address
from jobs.services import Services
from jobs.system_texts import DIGEST, UNSEEN_REPLY, text_of
from rules.facts import Facts
from rules.templates import render
from rules.vocabulary import DEFAULT_LANGUAGE
from tickets import people, store
from tickets.errors import ItemNotFound
from tickets.item import Item
from tickets.people import Permission
from tickets.store import AnyRow
from tickets.tables import Attachment, Blob, Mailbox, Message, Notification, WorkItem
from tickets.values import from_iso, iso
from tickets.visibility import visible

#: Earlier messages a mail repeats, and characters of each; characters of a subject, and of the first message in it.
EARLIER = 10
EARLIER_CHARS = 2_000
SUBJECT_CHARS = 250
FIRST_CHARS = 60
#: Message-IDs that References names.
REFERENCES = 10
#: Lines of a digest; the rest stands in the bell.
DIGEST_LINES = 50
#: What the way into the portal is called, in the language of the mail.
PORTAL_LINK = {
    "en": "Open in the customer portal",
    "fr": "Ouvrir dans l'espace client",
    "pl": "Otwórz w portalu klienta",
    "ro": "Deschideți în portalul pentru clienți",
}
#: Where the system text says the conversation goes: no text that is stored can hold this character.
_MARK = "\x00"


class NoLongerPublic(Exception):
    """The message is not for its recipient any more. It is not sent."""


def header_id(item_id: int, message_id: int, mail_from: str) -> str:
    """The Message-ID our message has whenever it is sent: replies to it find the item again."""
    return f"t{item_id}.m{message_id}@{host_of(mail_from)}"


def host_of(mail_from: str) -> str:
    return parseaddr(mail_from)[1].rpartition("@")[2]


def one_line(text: str, chars: int = SUBJECT_CHARS) -> str:
    """A text as a header carries it: one line, no controls, cut at a word with "…"."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= chars else line[: chars - 1].rpartition(" ")[0] + "…"


def _ascii_host(address: str) -> str:
    """The address as every mail server takes it: a domain in letters of its own (żółw.pl) as xn--…"""
    name, at, host = address.rpartition("@")
    with suppress(UnicodeError):  # a domain in no letters that there are: as it is
        host = host.encode("idna").decode()
    return name + at + host


def letter(
    services: Services,
    connection: Connection,
    *,
    message_id: str,
    at: datetime,
    to: tuple[str, str],
    subject: str,
    parts: Sequence[Part],
    language: str,
    automatic: bool,
    brand: str | None = None,
    item_id: int | None = None,
    references: Sequence[str] = (),
) -> EmailMessage:
    """A mail with everything but its files. `to` is name and address; `message_id` and `references` without brackets.

    With `item_id` answers to it find the item. An automatic one says so (RFC 3834), so that no machine answers it."""
    chosen = services.settings
    mail = EmailMessage()
    mail["Message-ID"] = f"<{message_id}>"
    mail["Date"] = format_datetime(at)
    mail["From"] = chosen.mail_from
    mail["To"] = formataddr((" ".join(to[0].split()), _ascii_host(to[1])))
    mail["Subject"] = one_line(subject)
    address = mailbox_address(connection, brand) if item_id is not None else None
    if address and item_id is not None:
        mail["Reply-To"] = reply_address(address, item_id, chosen.keys.session)
    if references:
        mail["In-Reply-To"] = f"<{references[-1]}>"
        mail["References"] = " ".join(f"<{one}>" for one in references)
    if automatic:
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(plain_page(parts))
    mail.add_alternative(html_page(parts, language=language, title=one_line(subject)), subtype="html")
    return mail


def message_letter(services: Services, connection: Connection, row: AnyRow) -> EmailMessage:
    """The mail that carries one public message of an item to its customer. Raises `NoLongerPublic`."""
    message = connection.execute(
        select(
            Message.id,
            Message.item_id,
            Message.subject,
            Message.text,
            Message.automatic,
            Message.language,
            Message.created_at,
        ).where(Message.id == row.payload["message_id"], Message.public)
    ).one_or_none()
    if message is None:
        raise NoLongerPublic("the message is gone, or no longer public")
    item = store.read_item(connection, message.item_id)
    subject, parts, language = _worded(services, connection, item, message)
    brand = item.state.get("brand")
    mail = letter(
        services,
        connection,
        message_id=header_id(message.item_id, message.id, services.settings.mail_from),
        at=message.created_at,
        to=(str(row.payload["name"]), str(row.payload["to"])),
        subject=f"{subject} [#{message.item_id}]",
        parts=parts,
        language=language,
        automatic=message.automatic,
        brand=str(brand) if brand else None,
        item_id=message.item_id,
        references=_references(connection, message),
    )
    for file in connection.execute(
        select(Attachment.name, Attachment.media_type, Blob.data)
        .join(Blob, Blob.sha256 == Attachment.blob)
        .where(Attachment.message_id == message.id)
        .order_by(Attachment.id)
    ):
        main, _, sub = file.media_type.partition("/")
        if main in ("", "message", "multipart", "text") or not sub:
            main, sub = "application", "octet-stream"
        mail.add_attachment(file.data, maintype=main, subtype=sub, filename=file.name)
    return mail


def direct_letter(services: Services, connection: Connection, row: AnyRow) -> EmailMessage:
    """A mail to somebody about an item, of which nothing stands in the conversation."""
    payload = row.payload
    item = store.read_item(connection, row.item_id)
    outside = bool(payload.get("replies"))
    brand = item.state.get("brand")
    subject, parts = (
        _system_worded(services, connection, item, payload)
        if "system" in payload
        else (str(payload["subject"]), [Part(one["kind"], one["text"], one.get("who", "")) for one in payload["parts"]])
    )
    base = services.settings.public_url.rstrip("/")
    if base and not outside:
        parts.append(Part("button", f"#{item.id}", f"{base}/tickets/{item.id}"))
    return letter(
        services,
        connection,
        message_id=f"t{row.item_id}.o{row.id}@{host_of(services.settings.mail_from)}",
        at=row.created_at,
        to=(str(payload["name"]), str(payload["to"])),
        subject=f"{subject} [#{row.item_id}]",
        parts=parts,
        language=str(payload.get("language") or DEFAULT_LANGUAGE),
        automatic=True,
        brand=str(brand) if brand else None,
        # A colleague's answer to a notice would be a message to the customer; they answer on the page.
        item_id=row.item_id if outside else None,
    )


def _system_worded(
    services: Services, connection: Connection, item: Item, payload: Mapping[str, Any]
) -> tuple[str, list[Part]]:
    """Subject and parts of a system text about one message. Raises `NoLongerPublic` when the message is gone."""
    message = connection.execute(
        select(Message.author_name, Message.author_address, Message.new_text, Message.text).where(
            Message.id == payload["message_id"], Message.item_id == item.id
        )
    ).one_or_none()
    if message is None:
        raise NoLongerPublic("the message is gone")
    wording = text_of(connection, str(payload["system"]), str(payload.get("language") or DEFAULT_LANGUAGE))
    extra = {
        "message.author": message.author_name or message.author_address or "?",
        "message.text": message.new_text or message.text,
        "link": f"{services.settings.public_url.rstrip('/')}/tickets/{item.id}",
    }
    facts = facts_now(connection, item, services.clock.now())
    vocabulary = services.live.current(connection).vocabulary
    body = render(wording.body, facts, vocabulary, extra).text
    return one_line(render(wording.subject, facts, vocabulary, extra).text), [Part("text", body)]


def may_still_see(connection: Connection, row: AnyRow) -> bool:
    """Whether the colleague a mail is for may still see its item."""
    viewer = people.viewer(connection, str(row.payload.get("user")))
    if viewer is None or not viewer.may(Permission.WORK_TICKETS):
        return False
    try:
        store.read_item(connection, row.item_id, viewer=viewer)
    except ItemNotFound:
        return False
    return True


def digest_letter(services: Services, connection: Connection, row: AnyRow) -> EmailMessage | None:
    """What stands unread in a colleague's bell since the last digest; None when nothing does."""
    viewer = people.viewer(connection, str(row.payload["user"]))
    if viewer is None:
        return None
    rows = connection.execute(
        select(Notification.item_id, Notification.text, WorkItem.subject)
        .join(WorkItem, WorkItem.id == Notification.item_id)
        .where(
            Notification.user == viewer.key,
            Notification.read_at.is_(None),
            Notification.created_at >= from_iso(str(row.payload["since"])),
            visible(viewer),
        )
        .order_by(Notification.id)
        .limit(DIGEST_LINES + 1)
    ).all()
    if not rows:
        return None
    lines = [f"#{one.item_id} {one_line(one.subject or '', 80)}: {one_line(one.text, 200)}" for one in rows]
    more = ["…"] if len(rows) > DIGEST_LINES else []
    extra = {"count": str(len(rows)), "lines": "\n".join([*lines[:DIGEST_LINES], *more])}
    wording = text_of(connection, DIGEST, viewer.language)
    vocabulary = services.live.current(connection).vocabulary
    nothing = Facts(item={}, event={}, now=iso(services.clock.now()))
    base = services.settings.public_url.rstrip("/")
    parts = [Part("text", render(wording.body, nothing, vocabulary, extra).text)]
    if base:
        parts.append(Part("button", "Deskhand", f"{base}/bell"))
    return letter(
        services,
        connection,
        message_id=f"o{row.id}@{host_of(services.settings.mail_from)}",
        at=row.created_at,
        to=(viewer.name, viewer.email),
        subject=render(wording.subject, nothing, vocabulary, extra).text,
        parts=parts,
        language=viewer.language,
        automatic=True,
    )


def _worded(services: Services, connection: Connection, item: Item, message: AnyRow) -> tuple[str, list[Part], str]:
    """Subject and parts of a message's mail, in the wording of the system text, and their language."""
    facts = facts_now(connection, item, services.clock.now())
    language = message.language or str(
        item.state.get("language") or (facts.customer or {}).get("language") or DEFAULT_LANGUAGE
    )
    wording = text_of(connection, UNSEEN_REPLY, language)
    vocabulary = services.live.current(connection).vocabulary
    extra = {
        "message.text": message.text,
        "first_message": _first_message(connection, item.id),
        "conversation": _MARK,
    }
    subject = message.subject or render(wording.subject, facts, vocabulary, extra).text
    before, mark, after = render(wording.body, facts, vocabulary, extra).text.partition(_MARK)
    parts = [Part("text", before)]
    base = services.settings.public_url.rstrip("/")
    # Only what is published can be opened there: any other address would lead to "not found".
    if base and item.state.get("published"):
        label = PORTAL_LINK.get(language, PORTAL_LINK[DEFAULT_LANGUAGE])
        parts.append(Part("button", label, f"{base}/portal/items/{item.id}"))
    if mark:
        parts += _conversation(connection, item.id, message.id)
    return one_line(subject).rstrip(" :"), [*parts, Part("text", after.replace(_MARK, ""))], language


def _conversation(connection: Connection, item_id: int, before: int) -> list[Part]:
    """The public messages before this one, newest first. Internal notes are never among them."""
    rows = connection.execute(
        select(Message.author_name, Message.author_address, Message.new_text, Message.text, Message.created_at)
        .where(Message.item_id == item_id, Message.id < before, Message.public, Message.author_kind != "third_party")
        .order_by(Message.id.desc())
        .limit(EARLIER)
    )
    return [
        Part(
            "earlier",
            (row.new_text or row.text)[:EARLIER_CHARS],
            f"{row.created_at:%Y-%m-%d %H:%M} UTC, {one_line(row.author_name or row.author_address or '?', 100)}:",
        )
        for row in rows
    ]


def _first_message(connection: Connection, item_id: int) -> str:
    """How the conversation began, cut: the same for every mail of it, so that mail programs keep them together."""
    text = connection.execute(
        select(Message.new_text).where(Message.item_id == item_id, Message.public).order_by(Message.id).limit(1)
    ).scalar_one_or_none()
    return one_line((text or "")[: 10 * FIRST_CHARS], FIRST_CHARS)


def mailbox_address(connection: Connection, brand: str | None) -> str | None:
    """Where answers about this brand's tickets come in: its own mailbox, else one that serves every brand."""
    rows = connection.execute(select(Mailbox.address, Mailbox.brand).where(Mailbox.active).order_by(Mailbox.key)).all()
    fitting = [row.address for row in rows if row.brand == brand] + [row.address for row in rows if row.brand is None]
    return fitting[0] if fitting else None


def _references(connection: Connection, message: AnyRow) -> list[str]:
    """Message-IDs of the public conversation before this message, oldest first, at most `REFERENCES`."""
    rows = connection.execute(
        select(Message.header_id)
        .where(Message.item_id == message.item_id, Message.header_id != "", Message.public, Message.id < message.id)
        .order_by(Message.id.desc())
        .limit(REFERENCES)
    ).scalars()
    return list(rows)[::-1]
