"""Looking into a mailbox by IMAP: what came since a place that we remember, one mail at a time, as raw bytes.

Mails are numbered by the server; the number of the last one we had, and the server's word that numbers still mean the
same (UIDVALIDITY), are the caller's to keep. Nothing is deleted or moved; what was taken in is marked as seen.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imap_tools.errors import ImapToolsError
from imap_tools.mailbox import BaseMailBox

from connectors.addresses import AddressCeiling
from connectors.channels.dialling import CannotDial, dial
from connectors.errors import AddressRefused

#: Seconds the server may take for each answer.
TIMEOUT_S = 15.0
#: Characters of a server's words that an error repeats.
SAID_CHARS = 200
SECURITIES = ("tls", "starttls", "plain")


class MailboxAway(Exception):
    """The mail server cannot be reached or does not answer. Nothing was read; try again later."""


class MailboxRefuses(Exception):
    """The mail server refuses the user, the password or the folder, or the address may not be reached."""


@dataclass(frozen=True, slots=True)
class ImapServer:
    """Where a mailbox is looked into. `security`: tls (from the start), starttls, plain (own networks only)."""

    host: str
    port: int
    user: str
    password: str
    security: str = "tls"
    folder: str = "INBOX"

    def __repr__(self) -> str:
        return f"ImapServer({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Found:
    """One mail in the folder: its number there and its size in bytes."""

    uid: int
    size: int


class OpenMailbox:
    """An open folder. Made by `open_mailbox`."""

    def __init__(self, box: BaseMailBox, folder: str) -> None:
        self._box = box
        state = box.folder.status(folder, ("UIDVALIDITY", "UIDNEXT", "MESSAGES"))
        #: Numbers mean the same mails as long as this is the same.
        self.validity = int(state["UIDVALIDITY"])
        self.next_uid = int(state["UIDNEXT"])
        self.messages = int(state["MESSAGES"])

    def after(self, uid: int, limit: int) -> list[Found]:
        """The mails with a higher number than `uid`, lowest first, at most `limit`."""
        # "n:*" always names the last mail, even when its number is lower.
        uids = sorted(int(one) for one in self._box.uids(f"UID {uid + 1}:*") if int(one) > uid)[:limit]
        return [Found(one, self._size(one)) for one in uids]

    def raw(self, uid: int) -> bytes:
        """The mail as it came. Raises `MailboxAway` when it is gone or does not come whole."""
        kind, data = self._box.client.uid("FETCH", str(uid), "(BODY.PEEK[])")
        for part in data:
            if kind == "OK" and isinstance(part, tuple) and len(part) > 1:
                return bytes(part[1])
        raise MailboxAway(f"Mail {uid} could not be read")

    def mark_seen(self, uid: int) -> None:
        self._box.client.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Seen)")

    def _size(self, uid: int) -> int:
        _, data = self._box.client.uid("FETCH", str(uid), "(RFC822.SIZE)")
        said = b" ".join(part if isinstance(part, bytes) else part[0] for part in data if part)
        found = re.search(rb"RFC822\.SIZE (\d+)", said)
        return int(found[1]) if found else 0


@contextmanager
def open_mailbox(server: ImapServer, ceiling: AddressCeiling, *, timeout_s: float = TIMEOUT_S) -> Iterator[OpenMailbox]:
    """Sign in and open the folder. Raises `MailboxAway` or `MailboxRefuses`, also from inside the block."""
    box: BaseMailBox | None = None
    try:
        box = _Box(server, ceiling, timeout_s)
        try:
            plain = server.user.isascii() and server.password.isascii()
            (box.login if plain else box.login_utf8)(server.user, server.password, None)
        except (ImapToolsError, imaplib.IMAP4.error) as error:
            raise MailboxRefuses(f"{server.host} refuses this user or password: {_said(error)}") from None
        try:
            box.folder.set(server.folder)
        except (ImapToolsError, imaplib.IMAP4.error) as error:
            raise MailboxRefuses(f"{server.host} has no folder {server.folder!r}: {_said(error)}") from None
        yield OpenMailbox(box, server.folder)
    except AddressRefused as error:
        raise MailboxRefuses(error.sentence) from None
    except CannotDial as error:
        raise MailboxAway(str(error)) from None
    except ssl.SSLError as error:
        raise MailboxRefuses(f"{server.host}: no trusted encryption ({_said(error)})") from None
    except (OSError, EOFError, ImapToolsError, imaplib.IMAP4.error) as error:
        raise MailboxAway(f"{server.host}: {_said(error)}") from None
    finally:
        if box is not None:
            with contextlib.suppress(Exception):
                box.client.logout()
            with contextlib.suppress(OSError):
                box.client.shutdown()


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:SAID_CHARS]


class _Box(BaseMailBox):
    """imap-tools on a connection that was checked."""

    def __init__(self, server: ImapServer, ceiling: AddressCeiling, timeout_s: float) -> None:
        self._server, self._ceiling, self._timeout_s = server, ceiling, timeout_s
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        client = _Client(self._server, self._ceiling, self._timeout_s)
        if self._server.security == "starttls":
            client.starttls(ssl.create_default_context())
        return client


class _Client(imaplib.IMAP4):
    def __init__(self, server: ImapServer, ceiling: AddressCeiling, timeout_s: float) -> None:
        self._server, self._ceiling = server, ceiling
        super().__init__(server.host, server.port, timeout_s)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        made = dial(
            self._server.host,
            self._server.port,
            encrypted=self._server.security != "plain",
            ceiling=self._ceiling,
            timeout_s=timeout or TIMEOUT_S,
        )
        if self._server.security == "tls":
            return ssl.create_default_context().wrap_socket(made, server_hostname=self._server.host)
        return made
