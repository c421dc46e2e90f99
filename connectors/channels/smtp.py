"""Handing one e-mail to a mail server, and whether it makes sense to try again."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from connectors.addresses import AddressCeiling
from connectors.channels.dialling import CannotDial, dial
from connectors.errors import AddressRefused

#: Seconds the server may take for each answer.
TIMEOUT_S = 20
#: What a server says before it is given the mail itself. After that it says whether it takes it.
GO_ON = 354


class MailNotTaken(Exception):
    """The mail server did not take the mail this time; try again later.

    `perhaps`: it had the mail, whole or nearly, and fell silent before it said whether it takes it. Else nothing was
    sent."""

    def __init__(self, sentence: str, *, perhaps: bool = False) -> None:
        super().__init__(sentence)
        self.perhaps = perhaps


class MailRefused(Exception):
    """The mail server will never take this mail. Nothing was sent; trying again is of no use."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where outgoing mail is handed in. With a user the connection is encrypted and the certificate checked."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: bool = False
    #: Whether to encrypt by STARTTLS even without a user.
    starttls: bool = False
    #: For servers that people entered: what they may be. None: the environment chose this one.
    ceiling: AddressCeiling | None = None

    @classmethod
    def from_url(cls, url: str) -> MailServer:
        """smtp://[USER:PASSWORD@]HOST[:PORT] (STARTTLS when there is a user), or smtps:// (TLS from the start)."""
        parts = urlsplit(url)
        tls = parts.scheme == "smtps"
        return cls(
            parts.hostname or "127.0.0.1",
            parts.port or (465 if tls else 25),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            tls,
        )

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"


def send(server: MailServer, mail: EmailMessage, *, timeout_s: float = TIMEOUT_S) -> None:
    """Hand in this mail; when this returns the server has taken it. Raises `MailNotTaken`, `MailRefused`."""
    try:
        smtp = _open(server, timeout_s)
    except AddressRefused as error:
        raise MailRefused(error.sentence) from None
    except (OSError, smtplib.SMTPException, CannotDial) as error:
        raise MailNotTaken(f"{server.host}:{server.port}: {_words(error)}") from error
    with contextlib.closing(smtp):
        try:
            _hand_in(smtp, mail)
        except (MailNotTaken, MailRefused):
            _part(smtp)
            raise
        # Whoever is cut off in between, as RQ cuts off a job, parts without a word: the server may be silent for long.
        _part(smtp)


def _hand_in(smtp: _Told, mail: EmailMessage) -> None:
    try:
        smtp.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        refusals = list(error.recipients.values())
        final = all(code >= 500 for code, _ in refusals)
        said = "; ".join(f"{code} {_text(text)}" for code, text in refusals)[:300]
        raise (MailRefused if final else MailNotTaken)(said) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefused(_words(error)) from error
    except smtplib.SMTPResponseException as error:
        raise (MailRefused if error.smtp_code >= 500 else MailNotTaken)(_words(error)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise MailNotTaken(_words(error), perhaps=smtp.last_code == GO_ON) from error


def _part(smtp: smtplib.SMTP) -> None:
    # Taken is taken: a server that stumbles over the good-bye must not make us send a copy.
    with contextlib.suppress(OSError, smtplib.SMTPException):
        smtp.quit()


def _open(server: MailServer, timeout_s: float) -> _Told:
    if server.ceiling is not None:
        smtp: _Told = _Guarded(server, server.ceiling, timeout_s)
    elif server.tls:
        smtp = _Encrypted(server.host, server.port, timeout=timeout_s, context=ssl.create_default_context())
    else:
        smtp = _Told(server.host, server.port, timeout=timeout_s)
    try:
        if not server.tls and (server.user or server.starttls):
            smtp.starttls(context=ssl.create_default_context())
        if server.user:
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


class _Told(smtplib.SMTP):
    """SMTP that knows what the server said last."""

    last_code = 0

    def getreply(self) -> tuple[int, bytes]:
        code, said = super().getreply()
        self.last_code = code
        return code, said


class _Encrypted(_Told, smtplib.SMTP_SSL):
    """The same by TLS from the start."""


class _Guarded(_Told):
    """SMTP on a connection whose address was checked."""

    def __init__(self, server: MailServer, ceiling: AddressCeiling, timeout_s: float) -> None:
        self._server, self._ceiling = server, ceiling
        super().__init__(server.host, server.port, timeout=timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        # A password is only ever sent encrypted: by TLS from the start, or by STARTTLS before signing in.
        encrypted = self._server.tls or self._server.starttls or bool(self._server.user)
        made = dial(host, port, encrypted=encrypted, ceiling=self._ceiling, timeout_s=timeout)
        if self._server.tls:
            return ssl.create_default_context().wrap_socket(made, server_hostname=host)
        return made


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"[:300]
    return f"{type(error).__name__}: {error}"[:300]


def _text(said: bytes | str) -> str:
    """What a server said on one line, without what no text that is stored can hold."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
