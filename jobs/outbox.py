"""What leaves the house: rows written in the transaction that causes them, delivered after it, at least once.

Every row has one stable key; receivers use it (for e-mail the Message-ID) to drop the copy that a crash between sending
and noting may cause. What cannot be delivered stays as a row that says why, and whoever wrote it is told.
"""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rq.timeouts import JobTimeoutException
from sqlalchemy import ColumnElement, Connection, exists, func, not_, or_, select, update

from connectors.channels.smtp import TIMEOUT_S, MailNotTaken, MailRefused, MailServer, send
from jobs.bounces import BOUNCED, goes_nowhere, held, well
from jobs.changes import (
    ChangeCapped,
    ChangeNotNeeded,
    ChangeNotTaken,
    ChangeRefused,
    ChangeUnclear,
    begun,
    got_as_far_as_sending,
    send_change,
    tell_failure,
)
from jobs.claims import MOST_CUT_OFF, claim, suspected, times_cut_off
from jobs.leaving import queue_message
from jobs.letters import (
    NoLongerPublic,
    digest_letter,
    direct_letter,
    header_id,
    may_still_see,
    message_letter,
)
from jobs.mailboxes import server_for
from jobs.portal_mail import NotWanted, is_reminder, portal_letter
from jobs.queues import Work
from jobs.rechecking import NotKnownNow, have_asked
from jobs.recipients import assignees, who_may_see
from jobs.services import Services
from jobs.suggestions import publish_itself
from jobs.tables import MailAccount, OutboxRow
from jobs.telling import tell_editors
from jobs.webhooks import HookNotTaken, HookRefused, send_hook
from tickets import store
from tickets.db import AWAY
from tickets.events import Cause
from tickets.store import AnyRow
from tickets.tables import Message, Seen, WorkItem

__all__ = ["deliver", "queue_message", "retry", "sendable", "undelivered", "waiting_unsent"]

log = logging.getLogger(__name__)

#: Deliveries one claim takes, seconds one job goes on claiming.
CLAIM = 20
BUDGET_S = 5
#: Tries before a delivery is left as failed, longest pause between two in seconds, oldest mail still sent in hours.
TRIES = 30
PAUSE_S = 3600
#: The longest pause is so many times what it is on average.
JITTER = 1.25
OLDEST_H = 48
#: E-mails one recipient, and one ticket, gets within an hour before automatic ones are held back.
RECIPIENT_PER_HOUR = 30
TICKET_PER_HOUR = 20
#: The kinds that are mails, and what the bell calls one that was not delivered.
MAILS = ("email", "template", "notice", "digest")
WHAT = {
    "email": "An e-mail to the customer",
    "template": "An e-mail",
    "notice": "An e-mail to a colleague",
    "digest": "A digest",
    "reply": "A suggested reply",
    "webhook": "A webhook",
    "change": "A change in a connected system",
}
#: The status of automatic mail that does not leave, for its recipient's address takes none.
HELD = "held"
#: Kinds that need no mail server.
WITHOUT_MAIL = ("reply", "webhook", "change")
#: What became of a row that was not delivered: "unclear" is a change that may have been made.
GIVEN_UP = ("failed", "capped", HELD, "unclear", BOUNCED)
#: What is said of a mail that a server had, whole or nearly, and never said whether it took it; and when it has left.
PERHAPS = (
    "the mail server ended the connection before it said whether it took the mail; every try has the same Message-ID"
)
COPY = "an earlier try may have arrived, too, under the same Message-ID"
#: Under this key of a mail's payload stands that a person wants it sent, whether its recipient has seen it or not.
SEEN_OR_NOT = "seen_or_not"
#: Rows of the list of what was not delivered.
LISTED = 200


class Capped(Exception):
    """Too many went there within an hour. It is held back, with this reason."""


class HeldBack(Exception):
    """Its recipient's address takes no mail. It is held back, with this reason, until a person says otherwise."""


class NotNeeded(Exception):
    """What was to be sent is not needed any more. It is cancelled, with this reason, and nobody is alarmed."""


@dataclass(frozen=True, slots=True)
class Undelivered:
    """One delivery that was given up. `status`: one of `GIVEN_UP`."""

    id: int
    item_id: int | None
    recipient: str
    status: str
    reason: str
    tries: int
    created_at: datetime


def deliver(services: Services, *, budget_s: float = BUDGET_S, stopping: Callable[[], bool] = lambda: False) -> int:
    """Send what is due until nothing is, the budget is used up or the process is to end. Returns how many were sent.

    Mails wait where no mail server is set; replies are published and webhooks sent all the same."""
    end = time.monotonic() + budget_s
    sent = 0
    while time.monotonic() < end and not stopping():
        token = secrets.token_hex(16)
        claimed = _claim(services, token)
        if not claimed:
            break
        # The oldest first: what was written first about a ticket should arrive first.
        for row in sorted(claimed, key=lambda one: one.id):
            if time.monotonic() >= end or stopping():
                _give_back(services, row, token)
            elif _still_ours(services, row, token):
                sent += _deliver(services, row, token)
    return sent


def undelivered(connection: Connection) -> list[Undelivered]:
    """What was given up, newest first, at most `LISTED`."""
    rows = connection.execute(
        select(
            OutboxRow.id,
            OutboxRow.item_id,
            OutboxRow.recipient,
            OutboxRow.status,
            OutboxRow.last_error,
            OutboxRow.tries,
            OutboxRow.created_at,
        )
        .where(OutboxRow.status.in_(GIVEN_UP))
        .order_by(OutboxRow.id.desc())
        .limit(LISTED)
    )
    return [Undelivered(*row) for row in rows]


def retry(connection: Connection, now: datetime, ids: Sequence[int] | None = None) -> int:
    """Try these given-up deliveries again (None: all of them), as if they were new; how many.

    What came back is tried again only by its number: the same address would send all of it back once more. So is what
    is held back while its address takes no mail: it would be given up again, and told once more. Who names a number
    says that its address takes mail. What is unclear is not tried again here at all: whether it was carried out is for
    a person to find out, one by one."""
    gone = ("failed", "capped", HELD) if ids is None else ("failed", "capped", HELD, BOUNCED)
    query = update(OutboxRow).where(OutboxRow.status.in_(gone))
    if ids is None:
        query = query.where(~((OutboxRow.status == HELD) & goes_nowhere(OutboxRow.recipient)))
    else:
        query = query.where(OutboxRow.id.in_(ids))
        chosen = select(OutboxRow.recipient).where(OutboxRow.id.in_(ids), OutboxRow.status.in_(gone))
        for address in connection.execute(chosen).scalars().all():
            well(connection, address)
    return connection.execute(
        query.values(status="due", due_at=now, created_at=now, tries=0, lease_until=None, token=None)
    ).rowcount


def waiting_unsent(connection: Connection) -> int:
    """How many messages wait to leave."""
    return connection.execute(select(func.count()).select_from(OutboxRow).where(OutboxRow.status == "due")).scalar_one()


# Claiming --------------------------------------------------------------------------------------------------------


def sendable(services: Services) -> tuple[ColumnElement[bool], ...]:
    """What of the outbox can be worked on in this installation."""
    due = OutboxRow.status == "due"
    if services.settings.smtp_url:
        return (due,)
    own = exists().where(MailAccount.kind == "smtp", MailAccount.enabled)
    return (due, or_(OutboxRow.kind.in_(WITHOUT_MAIL), own))


def _claim(services: Services, token: str) -> list[AnyRow]:
    return _take(services, token, 1, suspected(OutboxRow)) or _take(services, token, CLAIM, not_(suspected(OutboxRow)))


def _take(services: Services, token: str, limit: int, which: ColumnElement[bool]) -> list[AnyRow]:
    return claim(
        services.db,
        OutboxRow,
        token=token,
        now=services.clock.now(),
        lease_s=services.settings.outbox_lease_s,
        limit=limit,
        values={"tries": OutboxRow.tries + 1, "cut_off": times_cut_off(OutboxRow)},
        returning=(
            OutboxRow.id,
            OutboxRow.key,
            OutboxRow.kind,
            OutboxRow.recipient,
            OutboxRow.payload,
            OutboxRow.tries,
            OutboxRow.item_id,
            OutboxRow.due_at,
            OutboxRow.created_at,
            OutboxRow.cut_off,
        ),
        only=(*sendable(services), which),
    )


def _still_ours(services: Services, row: AnyRow, token: str) -> bool:
    """Renew the lease before each send: those before it may have taken long, and then another worker has the row."""
    with services.db.write() as connection:
        kept = connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(lease_until=services.clock.now() + timedelta(seconds=services.settings.outbox_lease_s))
        )
    return kept.rowcount == 1


def _give_back(services: Services, row: AnyRow, token: str) -> None:
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(lease_until=None, token=None, tries=row.tries - 1)
        )


# One delivery ----------------------------------------------------------------------------------------------------


def _deliver(services: Services, row: AnyRow, token: str) -> int:
    """Do one delivery and note what came of it; 1 when something was sent or published."""
    if row.cut_off >= MOST_CUT_OFF:
        status = "unclear" if begun(row) else "failed"
        _give_up(services, row, token, status, f"the worker that sent it was cut off {row.cut_off} times")
        return 0
    # What waits for a window is as old as its window makes it; so are tries, which begin when it opens. A change that
    # may have been sent is not simply too old: what became of it is found out, or asked.
    if begun(row):
        pass
    elif services.clock.now() - max(row.created_at, row.due_at) > timedelta(hours=OLDEST_H) or (
        row.kind != "reply" and services.clock.now() - row.created_at > timedelta(hours=OLDEST_H)
    ):
        _give_up(services, row, token, "failed", f"it could not be sent within {OLDEST_H} hours")
        return 0
    try:
        if row.kind == "reply":
            return int(publish_itself(services, row, token))
        if row.kind == "change":
            return int(send_change(services, row, token))
        if row.kind == "webhook":
            send_hook(services, row)
        else:
            _send_mail(services, row)
    except NotKnownNow as unknown:
        have_asked(services, unknown)
        _later(services, row, token, str(unknown))
        return 0
    except MailNotTaken as error:
        _later(services, row, token, PERHAPS if error.perhaps else str(error), perhaps=error.perhaps)
        return 0
    except HookNotTaken as error:
        _later(services, row, token, str(error))
        return 0
    except ChangeNotTaken as error:
        _later(services, row, token, str(error), may_be_done=error.may_be_done)
        return 0
    except ChangeUnclear as error:
        _give_up(services, row, token, "unclear", str(error))
        return 0
    except MailRefused as error:
        _give_up(services, row, token, "failed", f"the mail server refused it: {error}")
        return 0
    except (NoLongerPublic, HookRefused, ChangeRefused) as error:
        _give_up(services, row, token, "failed", str(error))
        return 0
    except HeldBack as reason:
        _give_up(services, row, token, HELD, str(reason))
        return 0
    except (Capped, ChangeCapped) as reason:
        _give_up(services, row, token, "capped", str(reason))
        return 0
    except (NotNeeded, NotWanted, ChangeNotNeeded) as reason:
        _end(services, row, token, "cancelled", str(reason))
        return 0
    except JobTimeoutException:
        # Raised by RQ wherever we are. It says nothing against what was to be sent.
        why = "the mail server took too long" if row.kind in MAILS else "it took too long"
        _later(services, row, token, why, may_be_done=got_as_far_as_sending(services, row))
        return 0
    except AWAY:
        raise  # the lease runs out, and it is tried again
    except Exception as error:
        # One that cannot be written must not hold up all others for ever.
        log.error("outbox.broken", exc_info=error, extra={"outbox": row.id, "item": row.item_id})
        if got_as_far_as_sending(services, row):
            _give_up(services, row, token, "unclear", f"it was broken off while it was sent ({type(error).__name__})")
        else:
            _give_up(services, row, token, "failed", f"it could not be written ({type(error).__name__})")
        return 0
    _note(services, row, token)
    log.info("outbox.sent", extra={"outbox": row.id, "item": row.item_id, "tries": row.tries})
    return 1


def _send_mail(services: Services, row: AnyRow) -> None:
    """Write this row's mail and hand it in. Raises what `_deliver` reads."""
    with services.db.read() as connection:
        if _seen_meanwhile(connection, row):
            raise NotNeeded("the customer has seen it in the portal")
        if _is_automatic(connection, row):
            _look_at_address(connection, row)
            _look_at_caps(connection, row, services.clock.now())
        server, sender = _server(services, connection, row)
        match row.kind:
            case "email":
                mail = message_letter(services, connection, row)
            case "portal":
                mail = portal_letter(services, connection, row)
            case "digest":
                written = digest_letter(services, connection, row)
                if written is None:
                    raise NotNeeded("everything was read in the meantime")
                mail = written
            case _:
                if row.payload.get("user") and not may_still_see(connection, row):
                    raise NotNeeded("this colleague may not see the ticket any more")
                mail = direct_letter(services, connection, row)
    if sender:
        mail.replace_header("From", sender)
    # A send has some six answers to wait for; all of them should fit into the lease.
    timeout_s = min(TIMEOUT_S, services.settings.outbox_lease_s / 6)
    send(server, mail, timeout_s=timeout_s)


def _server(services: Services, connection: Connection, row: AnyRow) -> tuple[MailServer, str]:
    """Where this mail is handed in, and its sender where that is not the installation's."""
    brand = None
    if row.item_id is not None:
        brand = connection.execute(select(WorkItem.brand).where(WorkItem.id == row.item_id)).scalar_one_or_none()
    own = server_for(services, connection, brand)
    if own is not None:
        return own
    if not services.settings.smtp_url:
        raise MailNotTaken("no mail server is set for this brand")
    return MailServer.from_url(services.settings.smtp_url), ""


def _seen_meanwhile(connection: Connection, row: AnyRow) -> bool:
    """Whether the customer saw the message before its first try, and nobody wants it sent all the same."""
    person = row.payload.get("person")
    if row.kind != "email" or not isinstance(person, int) or row.tries > 1 or row.payload.get(SEEN_OR_NOT):
        return False
    found = select(Seen.message_id).where(Seen.message_id == row.payload["message_id"], Seen.who == f"person:{person}")
    return connection.execute(found).first() is not None


def _end(services: Services, row: AnyRow, token: str, status: str, reason: str) -> None:
    """Nothing more is done about this row, and why."""
    log.info("outbox.ended", extra={"outbox": row.id, "item": row.item_id, "status": status})
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(status=status, lease_until=None, token=None, last_error=reason[:500])
        )


def _is_automatic(connection: Connection, row: AnyRow) -> bool:
    """Whether nobody wrote this, or asks for it now. What a person wrote is never held back."""
    if row.kind == "portal":
        return is_reminder(row.key)
    if row.kind == "email":
        wrote = select(Message.automatic).where(Message.id == row.payload["message_id"])
        return bool(connection.execute(wrote).scalar_one_or_none())
    return True


def _look_at_address(connection: Connection, row: AnyRow) -> None:
    """Raises `HeldBack`, or `NotNeeded` for a colleague, while the recipient's address takes no mail."""
    for reason in held(connection, [row.recipient]).values():
        if row.kind in ("notice", "digest"):
            raise NotNeeded(f"an earlier e-mail came back for good: {reason}; it stands in the bell")
        raise HeldBack(f"an earlier e-mail came back for good: {reason}; automatic ones are held back")


def _look_at_caps(connection: Connection, row: AnyRow, now: datetime) -> None:
    """Raises `Capped`, or `NotNeeded` for a colleague, when there were too many automatic mails within an hour."""
    if row.kind == "portal":
        return  # bounded where they are made: sign-ins per hour, open requests, reminders
    lately = OutboxRow.sent_at > now - timedelta(hours=1)
    # Customers and colleagues are counted apart: telling ten followers must not silence the answer to the customer.
    group = ("notice",) if row.kind == "notice" else ("email", "template")
    for cap, whose, same in (
        (RECIPIENT_PER_HOUR, "this recipient", OutboxRow.recipient == row.recipient),
        (TICKET_PER_HOUR, "this ticket", OutboxRow.item_id == row.item_id),
    ):
        if row.kind == "digest" or (row.kind == "notice" and whose == "this ticket"):
            continue
        sent = connection.execute(
            select(func.count()).select_from(OutboxRow).where(same, lately, OutboxRow.kind.in_(group))
        ).scalar_one()
        if sent >= cap:
            if row.kind == "notice":
                raise NotNeeded(f"{whose} had {sent} e-mails within an hour; it stands in the bell")
            raise Capped(f"{whose} had {sent} e-mails within an hour; {cap} are allowed, automatic ones are held back")


# What came of it -------------------------------------------------------------------------------------------------


def _note(services: Services, row: AnyRow, token: str) -> None:
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(
                status="sent",
                sent_at=services.clock.now(),
                lease_until=None,
                token=None,
                last_error=COPY if row.payload.get("perhaps") else "",
            )
        )
        if row.kind != "email":
            return
        connection.execute(
            update(Message)
            .where(Message.id == row.payload["message_id"], Message.header_id == "")
            .values(header_id=header_id(row.item_id, row.payload["message_id"], services.settings.mail_from))
        )


def longest_pause_s(tries: int) -> float:
    """The longest a delivery waits after so many tries, in seconds."""
    return min(PAUSE_S, 15 * 2**tries) * JITTER


def _later(
    services: Services, row: AnyRow, token: str, error: str, *, may_be_done: bool = False, perhaps: bool = False
) -> None:
    """Try again after a pause. `perhaps`: this try may have arrived, which is kept with the row."""
    old = services.clock.now() - row.created_at > timedelta(hours=OLDEST_H)
    if row.tries >= TRIES or (may_be_done and old):
        status = "unclear" if may_be_done else "failed"
        if perhaps or row.payload.get("perhaps"):
            reason = f"nobody said in {row.tries} tries that it was taken, and one may have arrived: {error}"
        else:
            reason = f"it was not taken in {row.tries} tries: {error}"
        _give_up(services, row, token, status, reason)
        return
    # Jitter, so that what failed together does not come back together.
    pause_s = min(PAUSE_S, 15 * 2**row.tries) * random.uniform(0.75, JITTER)
    log.warning("outbox.later", extra={"outbox": row.id, "tries": row.tries, "error": error[:200]})
    with services.db.write() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(
                due_at=services.clock.now() + timedelta(seconds=pause_s),
                lease_until=None,
                token=None,
                last_error=error[:500],
                **({"payload": {**row.payload, "perhaps": True}} if perhaps else {}),
            )
        )


def _give_up(services: Services, row: AnyRow, token: str, status: str, reason: str) -> None:
    """Leave the row with its reason, and tell who wrote the message; for the bot's, those who have the ticket."""
    log.warning("outbox.given_up", extra={"outbox": row.id, "item": row.item_id, "status": status})
    with services.db.write() as connection:
        now = services.clock.now()
        # The item before the row, as everybody takes them.
        item = store.read_item(connection, row.item_id, lock=True) if row.kind == "change" else None
        kept = connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id == row.id, OutboxRow.token == token)
            .values(
                status=status,
                # What may have been carried out counts like what was.
                sent_at=now if status == "unclear" else None,
                lease_until=None,
                token=None,
                last_error=reason[:500],
            )
        )
        if kept.rowcount != 1 or row.item_id is None:
            return
        if item is not None:
            tell_failure(connection, row, item, reason, now)
            services.queues.hint(Work.DRAIN)
        writer = connection.execute(
            select(Message.author_user).where(Message.id == row.payload.get("message_id", 0), ~Message.automatic)
        ).scalar_one_or_none()
        have_it = [writer] if writer else assignees(store.read_item(connection, row.item_id))
        told = [one.key for one in who_may_see(connection, have_it, row.item_id)]
        came = "may have been made, or not; please look" if status == "unclear" else "was not delivered"
        text = f"{WHAT.get(row.kind, WHAT['email'])} {came}: {reason}"
        key = f"outbox:{row.id}:{row.created_at.timestamp():.0f}"
        if row.kind == "change" and not told:
            # Nobody has the ticket: what a rule could not do elsewhere is for those who edit rules.
            tell_editors(connection, row.item_id, text, key, now)
            return
        cause = Cause("system", label="Outbox" if row.kind == "change" else "E-mail")
        store.notify(connection, told, row.item_id, text, cause=cause, key=key, now=now)
