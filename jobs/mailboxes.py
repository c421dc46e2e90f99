"""Mailboxes that we look into by IMAP and send from by SMTP, besides mail that is handed in over HTTP.

What is found becomes tickets through `jobs.intake`, like every mail: taken in once, whatever is read twice. A mailbox
that does not answer is asked later and later, and its page says why.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from connectors.addresses import AddressCeiling
from connectors.channels.email import MAIL_BYTES
from connectors.channels.imap import SECURITIES, ImapServer, MailboxAway, MailboxRefuses, OpenMailbox, open_mailbox
from connectors.channels.smtp import MailNotTaken, MailRefused, MailServer, send
from connectors.errors import SecretsUnreadable
from jobs.claims import claim
from jobs.intake import NotNow, UnknownMailbox, ingest
from jobs.services import Services, own_addresses
from jobs.tables import MailAccount
from tickets.db import AWAY
from tickets.store import AnyRow
from tickets.tables import Brand, Mailbox

log = logging.getLogger(__name__)

#: Seconds between looks into a mailbox, and longest pause after failures.
EVERY_S = 60
PAUSE_S = 3_600
#: Mails one look takes, seconds one look may hold the mailbox, seconds one job goes on looking.
MAILS = 50
LEASE_S = 300
BUDGET_S = 30
#: Characters of a reason.
REASON_CHARS = 500
#: Seconds a test may take for each answer.
TEST_S = 8


class AccountRefused(Exception):
    """These settings are no mail server. The message says which one; nothing was saved."""


class MailboxExists(Exception):
    """There is a mailbox with this key or address already."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a mailbox, as its page shows it: never with its password."""

    kind: str
    config: Mapping[str, Any]
    has_password: bool
    enabled: bool
    last_error: str
    checked_at: datetime | None


# Setting up ------------------------------------------------------------------------------------------------------


def add_mailbox(connection: Connection, *, key: str, address: str, brand: str | None, secret: str) -> None:
    """A new mailbox. Only the secret's SHA-256 is kept. Raises `MailboxExists`."""
    address = address.strip().lower()
    taken = select(Mailbox.key).where(or_(Mailbox.key == key, Mailbox.address == address))
    if connection.execute(taken).first() is not None:
        raise MailboxExists(f"There is a mailbox {key!r} or one for {address} already; nothing was changed")
    digest = hashlib.sha256(secret.encode()).hexdigest()
    connection.execute(insert(Mailbox).values(key=key, address=address, brand=brand, secret_sha256=digest, active=True))


def mailbox_for(services: Services, secret: str) -> str | None:
    """The key of the active mailbox with this secret, or None. Raises `NotNow`."""
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    try:
        with services.db.read() as connection:
            rows = connection.execute(select(Mailbox.key, Mailbox.secret_sha256).where(Mailbox.active)).all()
    except AWAY as error:
        raise NotNow("The database does not answer") from error
    # All of them, each compared in constant time: the answer's time says nothing about a secret.
    found = [row.key for row in rows if hmac.compare_digest(row.secret_sha256, digest)]
    return found[0] if found else None


def accounts(connection: Connection, mailbox: str) -> dict[str, Account]:
    """The accounts of a mailbox by kind: imap, smtp."""
    rows = connection.execute(
        select(
            MailAccount.kind,
            MailAccount.config,
            MailAccount.sealed,
            MailAccount.enabled,
            MailAccount.last_error,
            MailAccount.checked_at,
        ).where(MailAccount.mailbox == mailbox)
    )
    return {
        row.kind: Account(row.kind, row.config, bool(row.sealed), row.enabled, row.last_error, row.checked_at)
        for row in rows
    }


def save_account(
    services: Services,
    connection: Connection,
    mailbox: str,
    kind: str,
    config: Mapping[str, Any],
    *,
    password: str,
    enabled: bool,
) -> None:
    """Keep how a mailbox is looked into or sent from. A blank `password` keeps the one there is, unless the server or
    the user changed: a stored password never goes to another host. Raises `AccountRefused`."""
    clean = _clean(kind, config)
    now = services.clock.now()
    row = connection.execute(
        select(MailAccount.id, MailAccount.config, MailAccount.sealed).where(
            MailAccount.mailbox == mailbox, MailAccount.kind == kind
        )
    ).one_or_none()
    same = row is not None and all(row.config.get(key) == clean[key] for key in ("host", "port", "user"))
    sealed = services.box.seal({"password": password}) if password else row.sealed if row is not None and same else ""
    if kind == "imap" and not sealed:
        raise AccountRefused("Enter the password of this user on this server.")
    values: dict[str, Any] = {
        "config": clean,
        "sealed": sealed,
        "enabled": enabled,
        "due_at": now if kind == "imap" and enabled else None,
        "tries": 0,
        "last_error": "",
        "lease_until": None,
        "token": None,
    }
    if row is None:
        connection.execute(insert(MailAccount).values(mailbox=mailbox, kind=kind, uid=0, **values))
        return
    if not same or row.config.get("folder") != clean.get("folder"):
        values |= {"validity": None, "uid": 0}
    connection.execute(update(MailAccount).where(MailAccount.id == row.id).values(**values))


def remove_account(connection: Connection, mailbox: str, kind: str) -> None:
    connection.execute(delete(MailAccount).where(MailAccount.mailbox == mailbox, MailAccount.kind == kind))


def _clean(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    host = str(config.get("host", "")).strip().casefold()
    user = str(config.get("user", "")).strip()
    security = str(config.get("security", "tls"))
    if not host or len(host) > 253 or not all(char.isalnum() or char in "-._:" for char in host):
        raise AccountRefused("Enter the server's name, for instance imap.example.com.")
    port = config.get("port")
    if not isinstance(port, int) or not 0 < port < 65_536:
        raise AccountRefused("A port is a number from 1 to 65535.")
    if security not in SECURITIES:
        raise AccountRefused("Choose how the connection is encrypted.")
    if len(user) > 320 or any(not char.isprintable() for char in user):
        raise AccountRefused("The user is one line of at most 320 characters.")
    if kind == "imap" and not user:
        raise AccountRefused("Enter the user who owns the mailbox.")
    if kind == "smtp" and user and security == "plain":
        raise AccountRefused("A password is only sent encrypted: choose TLS or STARTTLS, or leave the user empty.")
    folder = str(config.get("folder") or "INBOX").strip()
    if len(folder) > 200 or any(not char.isprintable() or char in '"\\' for char in folder):
        raise AccountRefused("A folder's name is one line of at most 200 characters, without quotes.")
    clean: dict[str, Any] = {"host": host, "port": port, "user": user, "security": security}
    if kind == "imap":
        clean |= {"folder": folder, "from_the_start": bool(config.get("from_the_start"))}
    return clean


# Looking ---------------------------------------------------------------------------------------------------------


def collect(services: Services, *, budget_s: float = BUDGET_S) -> int:
    """Look into the mailboxes that are due, until none is or the budget is used up. Returns the mails taken in."""
    end = time.monotonic() + budget_s
    taken = 0
    while time.monotonic() < end:
        token = secrets.token_hex(16)
        claimed = claim(
            services.db,
            MailAccount,
            token=token,
            now=services.clock.now(),
            lease_s=LEASE_S,
            limit=1,
            values={"tries": MailAccount.tries + 1},
            returning=(
                MailAccount.id,
                MailAccount.mailbox,
                MailAccount.config,
                MailAccount.sealed,
                MailAccount.validity,
                MailAccount.uid,
                MailAccount.tries,
                MailAccount.last_error,
            ),
            only=(MailAccount.kind == "imap", MailAccount.enabled.is_(True)),
        )
        if not claimed:
            break
        taken += _look(services, claimed[0], token)
    return taken


def _look(services: Services, row: AnyRow, token: str) -> int:
    """One look into one mailbox; what goes wrong is noted there and tried again later."""
    taken = 0
    try:
        with open_mailbox(_imap(services, row.config, row.sealed), ceiling_of(services)) as box:
            since = _since(row, box)
            found = box.after(since, MAILS)
            too_large = 0
            for one in found:
                if one.size > MAIL_BYTES:
                    too_large += 1
                else:
                    ingest(services, row.mailbox, box.raw(one.uid))
                    taken += 1
                # Noted after each: a crash reads one mail again, and what was taken in once is a duplicate then.
                if not _note(services, row, token, box.validity, one.uid):
                    return taken
                if one.size <= MAIL_BYTES:
                    box.mark_seen(one.uid)
    except (MailboxAway, MailboxRefuses, SecretsUnreadable, NotNow, UnknownMailbox) as error:
        reason = str(error) or "the stored password cannot be read with this installation's keys"
        pause_s = min(PAUSE_S, EVERY_S * 2 ** min(row.tries - 1, 8))
        if not row.last_error:
            log.warning("mailbox.away", extra={"mailbox": row.mailbox, "error": reason[:200]})
        _release(services, row, token, pause_s=pause_s, error=reason)
        return taken
    if row.last_error:
        log.warning("mailbox.back", extra={"mailbox": row.mailbox})
    note = f"{too_large} mails larger than {MAIL_BYTES // 1_000_000} MB were left in the mailbox" if too_large else ""
    pause_s = 0 if len(found) == MAILS else EVERY_S
    _release(services, row, token, pause_s=pause_s, note=note, validity=box.validity, uid=since)
    return taken


def _since(row: AnyRow, box: OpenMailbox) -> int:
    """The number of the last mail we had. Numbers of another time mean nothing: everything is read again then, and what
    we have is recognised by its Message-ID. A mailbox we see for the first time begins with what comes from now on."""
    if row.validity == box.validity:
        return int(row.uid)
    if row.validity is not None or row.config.get("from_the_start"):
        return 0
    return max(0, box.next_uid - 1)


def _note(services: Services, row: AnyRow, token: str, validity: int, uid: int) -> bool:
    """Note that this mail was read; False when the lease passed to another worker."""
    with services.db.write() as connection:
        kept = connection.execute(
            update(MailAccount)
            .where(MailAccount.id == row.id, MailAccount.token == token)
            .values(validity=validity, uid=uid, lease_until=services.clock.now() + timedelta(seconds=LEASE_S))
        )
    return kept.rowcount == 1


def _release(
    services: Services,
    row: AnyRow,
    token: str,
    *,
    pause_s: float,
    error: str = "",
    note: str = "",
    validity: int | None = None,
    uid: int = 0,
) -> None:
    now = services.clock.now()
    values: dict[str, Any] = {
        "due_at": now + timedelta(seconds=pause_s),
        "lease_until": None,
        "token": None,
        "checked_at": now,
        "last_error": (error or note)[:REASON_CHARS],
    }
    if not error:
        values["tries"] = 0
    with services.db.write() as connection:
        mine = update(MailAccount).where(MailAccount.id == row.id, MailAccount.token == token)
        connection.execute(mine.values(**values))
        if validity is not None and row.validity != validity:
            # Nothing came since the first look: where it began is kept even so.
            first = update(MailAccount).where(MailAccount.id == row.id, MailAccount.validity.is_distinct_from(validity))
            connection.execute(first.values(validity=validity, uid=uid))


def ceiling_of(services: Services) -> AddressCeiling:
    """Which addresses mail servers that people entered may have: the same as for connections."""
    allowed = [one.strip() for one in services.settings.address_ceiling.split(",") if one.strip()]
    return AddressCeiling(allowed, own_addresses=own_addresses(services.settings))


def _imap(services: Services, config: Mapping[str, Any], sealed: str) -> ImapServer:
    return ImapServer(
        config["host"],
        config["port"],
        config["user"],
        services.box.open(sealed).get("password", ""),
        config["security"],
        config.get("folder", "INBOX"),
    )


# Sending ---------------------------------------------------------------------------------------------------------


def server_for(services: Services, connection: Connection, brand: str | None) -> tuple[MailServer, str] | None:
    """The mail server of this brand's mailbox and its sender, else of the one for every brand; None without any."""
    rows = connection.execute(
        select(Mailbox.address, Mailbox.brand, Brand.label, MailAccount.config, MailAccount.sealed)
        .join(MailAccount, MailAccount.mailbox == Mailbox.key)
        .outerjoin(Brand, Brand.key == Mailbox.brand)
        .where(Mailbox.active, MailAccount.kind == "smtp", MailAccount.enabled)
        .order_by(Mailbox.key)
    ).all()
    fitting = [row for row in rows if row.brand == brand] + [row for row in rows if row.brand is None]
    if not fitting:
        return None
    chosen = fitting[0]
    return _smtp(services, chosen.config, chosen.sealed), formataddr((chosen.label or "", chosen.address))


def _smtp(services: Services, config: Mapping[str, Any], sealed: str) -> MailServer:
    return MailServer(
        config["host"],
        config["port"],
        config["user"],
        services.box.open(sealed).get("password", ""),
        tls=config["security"] == "tls",
        starttls=config["security"] == "starttls",
        ceiling=ceiling_of(services),
    )


# Testing ---------------------------------------------------------------------------------------------------------


def try_imap(services: Services, mailbox: str) -> tuple[bool, str]:
    """Sign in and open the folder; nothing is read or changed. Whether it worked, and in words what happened."""
    with services.db.read() as connection:
        row = connection.execute(
            select(MailAccount.config, MailAccount.sealed).where(
                MailAccount.mailbox == mailbox, MailAccount.kind == "imap"
            )
        ).one_or_none()
    if row is None:
        return False, "This mailbox is not looked into yet."
    try:
        with open_mailbox(_imap(services, row.config, row.sealed), ceiling_of(services), timeout_s=TEST_S) as box:
            return True, f"Signed in; the folder holds {box.messages} mails."
    except (MailboxAway, MailboxRefuses, SecretsUnreadable) as error:
        return False, f"{error} Nothing was read."


def try_smtp(services: Services, mailbox: str, to: tuple[str, str]) -> tuple[bool, str]:
    """Send one test mail from this mailbox to a colleague. Whether it was taken, and in words what happened."""
    with services.db.read() as connection:
        row = connection.execute(
            select(Mailbox.address, MailAccount.config, MailAccount.sealed)
            .join(MailAccount, MailAccount.mailbox == Mailbox.key)
            .where(Mailbox.key == mailbox, MailAccount.kind == "smtp")
        ).one_or_none()
    if row is None:
        return False, "Nothing is sent from this mailbox yet."
    mail = EmailMessage()
    mail["From"], mail["To"] = row.address, formataddr(to)
    mail["Subject"] = f"Test of {row.address}"
    mail["Date"] = format_datetime(services.clock.now())
    mail["Message-ID"] = f"<test.{secrets.token_hex(8)}@{row.address.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("Mail from this mailbox arrives.\n")
    try:
        send(_smtp(services, row.config, row.sealed), mail, timeout_s=TEST_S)
    except (MailNotTaken, MailRefused, SecretsUnreadable) as error:
        return False, f"The server did not take it: {error}"
    return True, f"The server took a test mail to {to[1]}."
