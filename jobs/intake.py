"""Mail comes in: every mail handed in is kept, and becomes a ticket, a message, or a line that says why not.

One mail is one transaction. What a mail says about itself is not proof: its From line only decides whose words these
are, never what somebody may see, and a stranger on a thread is no customer.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, func, select, update

from connectors.channels.email import MAIL_BYTES, MailFile, ParsedMail, Unparsable, parse
from jobs import bounces
from jobs.queues import Work
from jobs.services import Services
from jobs.telling import tell_of_message
from tickets import people, store
from tickets.attachments import NewAttachment, store_blob
from tickets.db import AWAY, upsert
from tickets.errors import ItemNotFound
from tickets.events import SYSTEM, Actor, ActorKind, EventKind
from tickets.item import LANGUAGES, Item, ItemKind
from tickets.people import Permission, Viewer
from tickets.store import AnyRow, NewMessage, Written
from tickets.tables import Blob, EventRow, InboundMail, Mailbox, Message, User, WorkItem
from tickets.values import JSON

log = logging.getLogger(__name__)

#: Mails of one sender's address that become tickets or messages within an hour; more are kept and listed as "capped".
SENDER_MAILS_PER_HOUR = 60


class IntakeError(Exception):
    """Base of what `ingest` raises on purpose. Nothing of the mail was kept: hand it in again."""


class NotNow(IntakeError):
    """The database does not answer. Nothing was kept; hand the mail in again in a minute."""


class UnknownMailbox(IntakeError):
    """There is no such mailbox, or it is switched off. Nothing was kept."""


class TooLarge(IntakeError):
    """The mail is larger than a mail may be. Nothing was kept."""


class Outcome(StrEnum):
    """What became of a mail."""

    CREATED = "created"  # a new ticket
    THREADED = "threaded"  # a message of a customer or an agent on their ticket
    THIRD_PARTY = "third_party"  # attached to a ticket whose sender does not take part in it
    AUTOMATIC = "automatic"  # a machine's; kept, perhaps attached, never answered
    DUPLICATE = "duplicate"  # this mailbox has had it already
    CAPPED = "capped"  # too many from this sender within an hour; kept only
    UNREADABLE = "unreadable"  # kept only


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a mail. For a duplicate, ticket and message are those of the first one."""

    outcome: Outcome
    item_id: int | None = None
    message_id: int | None = None
    reason: str = ""


# Handing in ------------------------------------------------------------------------------------------------------


def ingest(services: Services, mailbox_key: str, raw: bytes) -> Ingested:
    """Take in one mail. Raises `NotNow`, `UnknownMailbox` or `TooLarge`; then nothing was kept.

    The same mail handed in twice, even at the same moment, is taken in once."""
    if len(raw) > MAIL_BYTES:
        raise TooLarge(f"A mail has at most {MAIL_BYTES // 1_000_000} MB; this one has {len(raw):,} bytes")
    mail, problem = _parsed(raw)
    try:
        done = _stored(services, mailbox_key, raw, mail, problem)
    except (IntakeError, *AWAY) as error:
        if isinstance(error, IntakeError):
            raise
        raise NotNow("The database does not answer") from error
    except Exception as error:
        # A mail that trips over a mistake of ours would be handed in for ever and then be lost. It is kept, and
        # listed with the unreadable ones; the traceback is in the log.
        log.error("mail.broken", exc_info=error, extra={"mailbox": mailbox_key})
        problem = f"Deskhand could not take it in ({type(error).__name__}); the log has the details"
        try:
            done = _stored(services, mailbox_key, raw, None, problem)
        except AWAY as away:
            raise NotNow("The database does not answer") from away
    log.info("mail.in", extra={"mailbox": mailbox_key, "outcome": done.outcome, "item": done.item_id})
    if done.message_id is not None and done.outcome is not Outcome.DUPLICATE:
        services.queues.hint(Work.DRAIN)
    return done


def _parsed(raw: bytes) -> tuple[ParsedMail | None, str]:
    try:
        return parse(raw), ""
    except Unparsable as error:
        return None, str(error)


def _stored(services: Services, mailbox_key: str, raw: bytes, mail: ParsedMail | None, problem: str) -> Ingested:
    now = services.clock.now()
    with services.db.write() as connection:
        mailbox = connection.execute(
            select(Mailbox.key, Mailbox.address, Mailbox.brand).where(Mailbox.key == mailbox_key, Mailbox.active)
        ).one_or_none()
        if mailbox is None:
            raise UnknownMailbox(f"There is no mailbox {mailbox_key!r} in use")
        blob = store_blob(connection, raw)
        fingerprint = _fingerprint(f"id:{mail.message_id}") if mail and mail.message_id else blob
        row_id = _claim(connection, mailbox_key, fingerprint, blob, now)
        if row_id is None:
            return _duplicate(connection, mailbox_key, fingerprint, blob, now)
        if mail is None:
            done = Ingested(Outcome.UNREADABLE, reason=problem)
        else:
            done = _Delivery(services, connection, mailbox, now).take(mail)
        connection.execute(
            update(InboundMail)
            .where(InboundMail.id == row_id)
            .values(outcome=done.outcome, reason=done.reason[:2_000], item_id=done.item_id, message_id=done.message_id)
        )
        return done


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _claim(connection: Connection, mailbox: str, fingerprint: str, blob: str, now: datetime) -> int | None:
    """The row of this mail, or None when the mailbox has one: the unique key decides between two at once."""
    claimed: int | None = connection.execute(
        upsert(connection, InboundMail)
        .values(
            mailbox=mailbox, fingerprint=fingerprint, outcome=Outcome.UNREADABLE, reason="", blob=blob, received_at=now
        )
        .on_conflict_do_nothing(index_elements=["mailbox", "fingerprint"])
        .returning(InboundMail.id)
    ).scalar_one_or_none()
    return claimed


def _duplicate(connection: Connection, mailbox: str, fingerprint: str, blob: str, now: datetime) -> Ingested:
    first = connection.execute(
        select(InboundMail.id, InboundMail.item_id, InboundMail.message_id, InboundMail.blob).where(
            InboundMail.mailbox == mailbox, InboundMail.fingerprint == fingerprint
        )
    ).one()
    reason = f"The same Message-ID as mail {first.id}"
    if first.blob != blob:
        # Other bytes under the same Message-ID (another route, or another text): kept and listed, like every mail.
        copy_id = _claim(connection, mailbox, _fingerprint(f"copy:{blob}"), blob, now)
        if copy_id is not None:
            connection.execute(
                update(InboundMail)
                .where(InboundMail.id == copy_id)
                .values(outcome=Outcome.DUPLICATE, reason=reason, item_id=first.item_id)
            )
    return Ingested(Outcome.DUPLICATE, first.item_id, first.message_id, reason)


#: What a person may make a ticket of afterwards.
ADOPTABLE = (Outcome.CAPPED, Outcome.AUTOMATIC)


def adopt(services: Services, mail_id: int, viewer: Viewer) -> int | None:
    """Make a ticket of a mail that became none, because a person says so; its number. None when it cannot be one.

    A machine's mail becomes a ticket without a customer, so that no rule can answer it."""
    now = services.clock.now()
    with services.db.write() as connection:
        # Locked by its own outcome: of two who ask at once, the second finds a mail that is a ticket already.
        row = connection.execute(
            update(InboundMail)
            .where(InboundMail.id == mail_id, InboundMail.item_id.is_(None), InboundMail.outcome.in_(ADOPTABLE))
            .values(outcome=Outcome.CREATED)
            .returning(InboundMail.mailbox, InboundMail.blob, InboundMail.reason)
        ).one_or_none()
        if row is None:
            return None
        mailbox = connection.execute(
            select(Mailbox.key, Mailbox.address, Mailbox.brand).where(Mailbox.key == row.mailbox)
        ).one()
        mail = parse(connection.execute(select(Blob.data).where(Blob.sha256 == row.blob)).scalar_one())
        done = _Delivery(services, connection, mailbox, now).adopted(mail)
        connection.execute(
            update(InboundMail)
            .where(InboundMail.id == mail_id)
            .values(
                reason=f"{viewer.name} made it a ticket. {row.reason}"[:2_000],
                item_id=done.item_id,
                message_id=done.message_id,
            )
        )
    services.queues.hint(Work.DRAIN)
    return done.item_id


# Where it belongs ------------------------------------------------------------------------------------------------

_OWN_ID = re.compile(r"t(\d{1,15})\.m(\d{1,15})@[^\s@]+")
_TOKEN = re.compile(r"\+t(\d{1,15})\.([0-9a-f]{16})@")
_NUMBER = re.compile(r"\[#(\d{1,15})\]")


def reply_address(address: str, item_id: int, key: str) -> str:
    """`support@shop.example` as the address whose mail finds this ticket again: `support+t42.<signature>@...`.

    `key` is the installation's session key; nobody else can make one."""
    local, _, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}+t{item_id}.{_signature(item_id, key)}@{domain}"


def _signature(item_id: int, key: str) -> str:
    return hmac.new(key.encode(), f"reply-to:{item_id}".encode(), hashlib.sha256).hexdigest()[:16]


class _Delivery:
    """One mail on its way to its ticket, inside one transaction."""

    def __init__(self, services: Services, connection: Connection, mailbox: AnyRow, now: datetime) -> None:
        self.settings = services.settings
        self.connection = connection
        self.mailbox = mailbox
        self.now = now

    def take(self, mail: ParsedMail) -> Ingested:
        notes = ". ".join(mail.notes)
        sender = mail.sender.address
        automatic = mail.automatic or self._own(sender)
        item_id = self._by_reference(mail) or self._by_token(mail)
        if automatic:
            row = bounces.sent_row(self.connection, mail)
            done = self._automatic(mail, item_id if row is None else row.item_id or item_id, automatic, notes)
            if row is not None:
                event_id = self._event_of(done.message_id) if done.message_id is not None else None
                bounces.came_back(self.connection, row, mail, event_id, self.now)
            return done
        if self._sent_lately(sender) >= SENDER_MAILS_PER_HOUR:
            reason = f"More than {SENDER_MAILS_PER_HOUR} mails of {sender} within an hour; it became no ticket"
            return Ingested(Outcome.CAPPED, reason=reason)
        if item_id is None:
            item_id = self._by_number(mail)
        if item_id is None:
            return self._new_ticket(mail, notes)
        item = store.read_item(self.connection, item_id, lock=True)
        if sender in self._participants(item):
            return self._customer_message(mail, item, notes)
        colleague = self._colleague(sender, item)
        if colleague is not None:
            return self._agent_message(mail, item, colleague, notes)
        return self._third_party(mail, item, notes)

    def _event_of(self, message_id: int) -> int | None:
        """The event that brought the message this mail became."""
        found: int | None = self.connection.execute(
            select(EventRow.id).where(EventRow.message_id == message_id)
        ).scalar_one_or_none()
        return found

    # Finding the ticket, in the order in which the signs can be trusted.

    def _by_reference(self, mail: ParsedMail) -> int | None:
        if not mail.references:
            return None
        rows = self.connection.execute(
            select(Message.header_id, Message.item_id, WorkItem.brand)
            .join(WorkItem, WorkItem.id == Message.item_id)
            .where(Message.header_id.in_(mail.references))
            .order_by(Message.id)
            .limit(1_000)
        ).all()
        # One mail to two of our addresses is two tickets under one Message-ID: the mailbox's own brand first. Then
        # the oldest: whoever sends a mail under an id that is taken must not draw its answers to their own ticket.
        rows = sorted(rows, key=lambda row: row.brand != self.mailbox.brand)
        for reference in mail.references:
            # Our own mails say which they are, whatever others have called theirs, and also before the note that
            # they were sent is written.
            own = _OWN_ID.fullmatch(reference)
            if own and self._is_message_of(int(own[2]), int(own[1])):
                return int(own[1])
            for row in rows:
                if row.header_id == reference:
                    return int(row.item_id)
        return None

    def _is_message_of(self, message_id: int, item_id: int) -> bool:
        found = self.connection.execute(
            select(Message.id).where(Message.id == message_id, Message.item_id == item_id, Message.public)
        )
        return found.first() is not None

    def _by_token(self, mail: ParsedMail) -> int | None:
        addresses = [*mail.delivered_to, *(one.address for one in (*mail.to, *mail.cc))]
        for address in addresses:
            match = _TOKEN.search(address)
            if match and hmac.compare_digest(match[2], _signature(int(match[1]), self.settings.keys.session)):
                return self._existing(int(match[1]))
        return None

    def _by_number(self, mail: ParsedMail) -> int | None:
        """A number in the subject is easily guessed: it counts only for who takes part in that ticket."""
        match = _NUMBER.search(mail.subject)
        item_id = self._existing(int(match[1])) if match else None
        if item_id is None:
            return None
        item = store.read_item(self.connection, item_id)
        return item_id if mail.sender.address in self._participants(item) else None

    def _existing(self, item_id: int) -> int | None:
        if item_id >= 2**31:
            return None
        return self.connection.execute(select(WorkItem.id).where(WorkItem.id == item_id)).scalar_one_or_none()

    # Who wrote it.

    def _own(self, sender: str) -> str:
        local, _, domain = sender.rpartition("@")
        bare = f"{local.partition('+')[0]}@{domain}"
        ours = set(self.connection.execute(select(Mailbox.address)).scalars()) | {self.settings.mail_from}
        own = {one.strip().lower().rpartition("<")[2].rstrip(">") for one in ours}
        return "It comes from our own address" if bare in own or sender in own else ""

    def _participants(self, item: Item) -> set[str]:
        """The customer's addresses, and those that have written on this ticket as the customer."""
        wrote = select(Message.author_address).where(
            Message.item_id == item.id, Message.author_kind == "customer", Message.author_address != ""
        )
        known = set(self.connection.execute(wrote.distinct().limit(200)).scalars())
        person_id = item.state.get("customer")
        if isinstance(person_id, int):
            known.update(people.customer(self.connection, person_id).emails)
        return known

    def _colleague(self, sender: str, item: Item) -> Viewer | None:
        """The user with this address, if they work tickets and may see this one."""
        key = self.connection.execute(
            select(User.key).where(func.lower(User.email) == sender, User.active)
        ).scalar_one_or_none()
        found = None if key is None else people.viewer(self.connection, key)
        if found is None or not found.may(Permission.WORK_TICKETS):
            return None
        try:
            store.read_item(self.connection, item.id, viewer=found)
        except ItemNotFound:
            return None
        return found

    def _sent_lately(self, sender: str) -> int:
        return self.connection.execute(
            select(func.count())
            .select_from(InboundMail)
            .join(Message, Message.id == InboundMail.message_id)
            .where(InboundMail.received_at > self.now - timedelta(hours=1), Message.author_address == sender)
        ).scalar_one()

    # What it becomes.

    def _new_ticket(self, mail: ParsedMail, notes: str) -> Ingested:
        sender = mail.sender
        person = people.person_for(
            self.connection, email=sender.address, name=sender.name, language=mail.language, now=self.now
        )
        language = mail.language or people.customer(self.connection, person).language
        state: dict[str, JSON] = {
            "subject": mail.subject,
            "brand": self.mailbox.brand,
            "channel": "email",
            "language": language if language in LANGUAGES else None,
            "customer": person,
        }
        written = store.create_item(
            self.connection,
            kind=ItemKind.TICKET,
            state=state,
            actor=Actor(ActorKind.CUSTOMER, str(person), sender.name or sender.address),
            now=self.now,
            message=replace(_message(mail), author="customer", author_person=person, public=True),
        )
        return _ingested(Outcome.CREATED, written, notes)

    def adopted(self, mail: ParsedMail) -> Ingested:
        """A ticket of a mail that was kept only."""
        if not (mail.automatic or self._own(mail.sender.address)):
            return self._new_ticket(mail, "")
        sender = mail.sender
        written = store.create_item(
            self.connection,
            kind=ItemKind.TICKET,
            state={"subject": mail.subject, "brand": self.mailbox.brand, "channel": "email"},
            actor=Actor(ActorKind.THIRD_PARTY, "", sender.name or sender.address),
            now=self.now,
            message=replace(_message(mail), author="third_party", automatic=True),
        )
        return _ingested(Outcome.CREATED, written, "")

    def _customer_message(self, mail: ParsedMail, item: Item, notes: str) -> Ingested:
        sender = mail.sender
        person = people.person_by_email(self.connection, sender.address) or item.state.get("customer")
        assert person is None or isinstance(person, int)
        written = store.change_item(
            self.connection,
            item,
            lines=(),
            actor=Actor(ActorKind.CUSTOMER, str(person or ""), sender.name or sender.address),
            now=self.now,
            messages=(replace(_message(mail), author="customer", author_person=person, public=True),),
        )
        self._tell(written)
        return _ingested(Outcome.THREADED, written, notes)

    def _agent_message(self, mail: ParsedMail, item: Item, colleague: Viewer, notes: str) -> Ingested:
        # Public only if the customer has it already; a From line alone must not make us send anything to anybody.
        reached = self._participants(item) & {one.address for one in (*mail.to, *mail.cc)}
        message = replace(_message(mail), author="agent", author_user=colleague.key, author_name=colleague.name)
        written = store.change_item(
            self.connection,
            item,
            lines=(),
            actor=Actor(ActorKind.AGENT, colleague.key, colleague.name),
            now=self.now,
            messages=(replace(message, public=bool(reached)),),
        )
        self._tell(written)
        return _ingested(Outcome.THREADED, written, notes)

    def _third_party(self, mail: ParsedMail, item: Item, notes: str) -> Ingested:
        sender = mail.sender
        person = people.person_by_email(self.connection, sender.address)
        written = store.change_item(
            self.connection,
            item,
            lines=(),
            actor=Actor(ActorKind.THIRD_PARTY, str(person or ""), sender.name or sender.address),
            now=self.now,
            messages=(replace(_message(mail), author="third_party", author_person=person),),
        )
        self._tell(written)
        said = f"{sender.address} does not take part in ticket {item.id}"
        return _ingested(Outcome.THIRD_PARTY, written, ". ".join(filter(None, (said, notes))))

    def _tell(self, written: Written) -> None:
        assert written.message_id is not None
        tell_of_message(self.connection, written.item_id, written.message_id, self.now)

    def _automatic(self, mail: ParsedMail, item_id: int | None, why: str, notes: str) -> Ingested:
        reason = ". ".join(filter(None, (why, notes)))
        if item_id is None:
            return Ingested(Outcome.AUTOMATIC, reason=reason)
        if self._sent_lately(mail.sender.address) >= SENDER_MAILS_PER_HOUR:
            over = f"More than {SENDER_MAILS_PER_HOUR} mails of {mail.sender.address} within an hour; kept only"
            return Ingested(Outcome.CAPPED, reason=f"{over}. {reason}")
        written = store.change_item(
            self.connection,
            store.read_item(self.connection, item_id, lock=True),
            lines=(),
            actor=SYSTEM,
            now=self.now,
            messages=(replace(_message(mail), author="third_party", automatic=True),),
            # Not a "message" event: no rule for messages may answer a machine, whatever its conditions are.
            kind=EventKind.CHANGED,
        )
        return _ingested(Outcome.AUTOMATIC, written, reason)


def _message(mail: ParsedMail) -> NewMessage:
    return NewMessage(
        author="third_party",
        public=False,
        channel="email",
        text=mail.text,
        new_text=mail.new_text,
        subject=mail.subject,
        html=mail.html,
        language=mail.language,
        author_name=mail.sender.name,
        author_address=mail.sender.address,
        header_id=mail.message_id,
        attachments=_attachments(mail.files),
    )


def _attachments(files: Iterable[MailFile]) -> tuple[NewAttachment, ...]:
    return tuple(NewAttachment(one.name, one.media_type, one.data) for one in files)


def _ingested(outcome: Outcome, written: Written, reason: str) -> Ingested:
    return Ingested(outcome, written.item_id, written.message_id, reason)
