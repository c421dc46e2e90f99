"""Raw mail in, plain facts out. No network, no database: `parse` is a function of the bytes.

Mail is the one thing strangers may send us unasked, so everything here is bounded: bytes, header lengths, parts, files
and characters. What is left out of a mail is said in `notes`; the raw mail is kept by whoever called.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.headerregistry import AddressHeader, DateHeader, HeaderRegistry
from email.message import EmailMessage, Message
from email.policy import EmailPolicy
from typing import cast

from connectors.channels.mail_text import first_tags, forwards, guess_language, html_to_text, newly_written, plain

#: Bytes of one mail; its lines; bytes of its top headers; characters of one header, and of one that describes a part.
MAIL_BYTES = 30_000_000
MAIL_LINES = 1_000_000
HEADERS_BYTES = 256_000
HEADER_CHARS = 8_000
PART_HEADER_CHARS = 2_000
#: Characters of the text; of the HTML, and its tags.
TEXT_CHARS = 200_000
HTML_CHARS = 200_000
HTML_TAGS = 12_000
#: Files of one mail, bytes of one, bytes of all together; the same caps as `tickets.store`, which a test holds equal.
FILES = 20
FILE_BYTES = 10_000_000
FILES_BYTES = 25_000_000
#: Parts looked at, and how deep they may be nested.
PARTS = 200
DEPTH = 40
#: Message-IDs kept of In-Reply-To and References together, and characters of one.
REFERENCES = 50
ID_CHARS = 500
ADDRESSES = 100
SUBJECT_CHARS = 500
NAME_CHARS = 200
ADDRESS_CHARS = 320
REASON_CHARS = 300
#: The stdlib parser compares every line with every open boundary: lines x boundaries it may be asked for.
PARSER_STEPS = 6_000_000
#: From which share of its words on HTML says the same as the plain parts beside it.
SAME_WORDS = 0.8


class Unparsable(Exception):
    """This is not a mail that can be read. The message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox: `address` in lower case, `name` as the sender wrote it or ""."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class MailFile:
    """One attached file, decoded."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Returned:
    """What a report says about a mail that will not be delivered: to whom it went, and why it came back ("" unsaid).

    `addresses`: those that failed, and those the returned mail was written to, in lower case. `no_such_address`: the
    other server takes no mail for them at all, where a mailbox that is full or a mail that is refused for what it says
    is about one day or one mail."""

    addresses: frozenset[str]
    reason: str
    no_such_address: bool


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """What a mail says. Nothing in it is verified: anybody can write any From line.

    `message_id` and `references` carry no brackets; `references` has In-Reply-To first, then References, newest first,
    and for a bounce the returned mail's id. `new_text` is `text` without quotes and signature. `automatic` is why a
    machine sent this, "" when a person did; `notes` say what was left out."""

    message_id: str
    references: tuple[str, ...]
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    delivered_to: tuple[str, ...]
    subject: str
    date: datetime | None
    text: str
    new_text: str
    html: str
    files: tuple[MailFile, ...]
    language: str
    automatic: str
    bounce: bool
    notes: tuple[str, ...]
    #: None unless this is a report that a mail was not delivered for good; one that is late is still on its way.
    returned: Returned | None = None


def parse(raw: bytes) -> ParsedMail:
    """Read a mail. Raises `Unparsable` and nothing else, whatever the bytes are."""
    _check_size(raw)
    try:
        return _read(cast(EmailMessage, message_from_bytes(raw, policy=_POLICY)))
    except Unparsable:
        raise
    except RecursionError:
        raise Unparsable("Its parts or comments are nested too deep") from None
    except Exception as error:
        # The standard library's mail parser raises a dozen undocumented kinds on crafted headers; each of them means
        # the same to us, and the caller keeps the mail and shows this sentence.
        raise Unparsable(f"It is not well-formed mail ({type(error).__name__})") from error


def glance(start: bytes) -> tuple[str, str]:
    """Sender's address and subject from the first bytes of a mail, "" for what cannot be read. Never raises."""
    head = re.split(rb"\r?\n\r?\n", start[:HEADERS_BYTES], maxsplit=1)[0] + b"\r\n\r\n"
    try:
        headers = _Headers(message_from_bytes(head, policy=_POLICY))
        senders = headers.addresses("from")
        return senders[0].address if senders else "", headers.text("subject")[:SUBJECT_CHARS]
    except Exception:  # as in `parse`; a list of mails shows such a one without these two
        return "", ""


# Reading ---------------------------------------------------------------------------------------------------------


class _Bounded(EmailPolicy):
    """The default policy with headers cut to a bounded length: the header parser is quadratic in places."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: PART_HEADER_CHARS if name.lower().startswith("content-") else HEADER_CHARS]


_POLICY = _Bounded()
_HEADERS = HeaderRegistry()
_ID = re.compile(r"<\s*([^<>\s]{1,500})\s*>")
_ATOM = r"[^\x00-\x20\x7f-\xa0\ud800-\udfff\s<>@,;:\"()\[\]\\]"
#: What a mail server answers when it will not take a mail.
_SMTP_ANSWER = re.compile(r"\b[45]\d\d[ -][^\r\n]{1,250}")
_ADDRESS = re.compile(_ATOM + r"{1,64}@" + _ATOM + r"{1,255}")
#: What stands before an address in brackets, up to the comma before it.
_NAMED = re.compile(r"(^|,)([^,<>]+)(?=<[^<>@]*@[^<>@]*>)")
_WORD = re.compile(r"[^\W_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _check_size(raw: bytes) -> None:
    if not raw.strip():
        raise Unparsable("It is empty")
    if len(raw) > MAIL_BYTES:
        raise Unparsable(f"It is larger than {MAIL_BYTES // 1_000_000} MB")
    ends = [at for at in (raw.find(b"\n\n"), raw.find(b"\r\n\r\n")) if at >= 0]
    if min(ends, default=len(raw)) > HEADERS_BYTES:
        raise Unparsable(f"Its headers are longer than {HEADERS_BYTES // 1000} kB")
    lines = raw.count(b"\n")
    if lines > MAIL_LINES:
        raise Unparsable(f"It has more than {MAIL_LINES:,} lines")
    boundaries = len(re.findall(rb"(?i)boundary\s?=", raw))
    if boundaries > DEPTH and boundaries * lines > PARSER_STEPS:
        raise Unparsable("It has too many nested parts")


class _Headers:
    """The top headers as they came, first one of each name; bytes that are not ASCII read as UTF-8, else Latin-1."""

    def __init__(self, message: Message) -> None:
        self._first: dict[str, str] = {}
        for name, value in message.raw_items():
            self._first.setdefault(name.lower(), str(value))

    def raw(self, name: str) -> str:
        value = self._first.get(name, "")
        if any("\udc80" <= char <= "\udcff" for char in value):
            octets = value.encode("utf-8", "surrogateescape")
            try:
                value = octets.decode("utf-8")
            except UnicodeDecodeError:
                value = octets.decode("latin-1")
        return value

    def text(self, name: str) -> str:
        """Decoded and on one line: no control character, no line end survives."""
        value = " ".join(self.raw(name).split())
        return _one_line(str(_HEADERS("subject", value))) if value else ""

    def addresses(self, name: str) -> tuple[Address, ...]:
        value = _NAMED.sub(_quoted, " ".join(self.raw(name).split()))
        if not value:
            return ()
        try:
            found = [(one.display_name, one.addr_spec) for one in cast(AddressHeader, _HEADERS("to", value)).addresses]
        except (ValueError, IndexError, AttributeError, TypeError, LookupError, RecursionError):
            found = []
        if not any("@" in spec for _, spec in found):
            found = [("", match) for match in _ADDRESS.findall(value)]
        kept = (_address(display, spec) for display, spec in found[:ADDRESSES])
        return tuple(one for one in kept if one is not None)

    def ids(self, name: str) -> list[str]:
        return _ID.findall(self.raw(name))[-REFERENCES:]

    def __contains__(self, name: str) -> bool:
        return name in self._first


def _quoted(found: re.Match[str]) -> str:
    """A name with an @ in it, in quotes: without them the standard library takes the name for the address."""
    comma, name = found.groups()
    if "@" not in name or name.count('"') % 2 or "\\" in name or name.count("(") != name.count(")"):
        return found[0]
    unquoted = name.replace('"', "").strip()
    return f'{comma} "{unquoted}" '


def _read(message: EmailMessage) -> ParsedMail:
    headers = _Headers(message)
    senders = headers.addresses("from") or headers.addresses("sender")
    if not senders:
        raise Unparsable("It names no sender's address")
    body = _Body()
    for part, choice in _leaves(message, body):
        body.take(part, choice)
    text, html = body.result()
    subject = headers.text("subject")[:SUBJECT_CHARS]
    new_text = newly_written(text, answer="in-reply-to" in headers and not forwards(subject))
    report = message.get_content_type() == "multipart/report"
    bounce = "x-failed-recipients" in headers or (report and "delivery-status" in headers.raw("content-type").lower())
    references = [*headers.ids("in-reply-to"), *reversed(headers.ids("references")), *body.returned_ids]
    own = headers.ids("message-id") or [headers.raw("message-id").strip("<> \t\r\n")]
    return ParsedMail(
        message_id=_one_line(own[0])[:ID_CHARS],
        references=tuple(dict.fromkeys(_one_line(one) for one in references))[:REFERENCES],
        sender=senders[0],
        to=headers.addresses("to"),
        cc=headers.addresses("cc"),
        delivered_to=tuple(
            one.address
            for name in ("delivered-to", "x-original-to", "envelope-to")
            for one in headers.addresses(name)[:5]
        ),
        subject=subject,
        date=_date(headers.raw("date")),
        text=text,
        new_text=new_text,
        html=html,
        files=tuple(body.files),
        language=guess_language(f"{subject}\n{new_text}"),
        automatic=_automatic(headers, senders[0], report),
        bounce=bounce,
        notes=tuple(dict.fromkeys(body.notes)),
        returned=_failure(headers, body, text) if bounce else None,
    )


def _failure(headers: _Headers, body: _Body, text: str) -> Returned | None:
    """The failure that a delivery report tells of, by its blocks for machines, or by the older header."""
    failed, reason, gone = list(body.failed), body.reason, all(body.gone)
    if not failed and not body.reported and "x-failed-recipients" in headers:
        failed = [one.address for one in headers.addresses("x-failed-recipients")]
        said = _SMTP_ANSWER.search(text)
        reason = said[0] if said else ""
        gone = _no_such_address(reason)
    if not failed:
        return None
    return Returned(frozenset([*failed, *body.returned_to]), " ".join(reason.split())[:REASON_CHARS], gone)


def _no_such_address(*said: str) -> bool:
    """Whether these words of a mail server, the most telling first, are about the address and for good (RFC 3463)."""
    for text in said:
        for kind, subject, detail in _ENHANCED.findall(text):
            if kind != "5":
                return False
            if (subject, detail) != ("0", "0"):  # which says nothing
                # Of addressing, 7 and 8 are about the sender's. Disabled mailboxes and missing hosts are elsewhere.
                return (subject == "1" and detail not in ("7", "8")) or (subject, detail) in (("2", "1"), ("4", "4"))
    return any(_NO_SUCH.search(text) for text in said)


_ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_NO_SUCH = re.compile(r"(?<![\d.])55[013](?![\d.])")


def _leaves(message: Message, body: _Body) -> Iterator[tuple[Message, int]]:
    """The parts that are not containers, in order, each with the number of the outermost choice between the same words
    that it stands in, 0 for none. Forwarded mails stay whole. Bounded in number and depth."""
    stack: list[tuple[Message, int, int]] = [(message, 0, 0)]
    seen = 0
    while stack:
        part, depth, choice = stack.pop()
        seen += 1
        if seen > PARTS:
            body.notes.append(f"Only the first {PARTS} parts were read")
            return
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            if depth >= DEPTH:
                body.notes.append(f"Parts nested more than {DEPTH} deep were left out")
                continue
            inner = [one for one in payload if isinstance(one, Message)]
            choice = choice or (seen if part.get_content_subtype() == "alternative" else 0)
            stack.extend((one, depth + 1, choice) for one in reversed(inner[: PARTS + 1]))
        else:
            yield part, choice


@dataclass(frozen=True, slots=True)
class _Said:
    """One part with words, as it came."""

    text: str
    html: bool
    choice: int


class _Body:
    """Collects text, HTML and files from the parts."""

    def __init__(self) -> None:
        self.files: list[MailFile] = []
        self.notes: list[str] = []
        self.returned_ids: list[str] = []
        self.returned_to: list[str] = []
        self.failed: list[str] = []  # addresses that a report calls failed
        self.reported = False  # whether there was such a report, whatever it says
        self.reason = ""
        self.gone: list[bool] = []  # of each such address, whether it takes no mail at all
        self._plain: list[str] = []
        self._html: list[str] = []
        self._said: list[_Said] = []
        self._bytes = 0

    def take(self, part: Message, choice: int) -> None:
        media_type = part.get_content_type()
        name = _file_name(part)
        if media_type in ("message/rfc822", "text/rfc822-headers"):
            self._returned(part)
        attached = str(part.get("content-disposition", "")).strip().lower().startswith("attachment")
        if not attached and not name and media_type in ("text/plain", "text/html"):
            text = self._decoded(part)
            (self._html if media_type == "text/html" else self._plain).append(text)
            self._said.append(_Said(text, media_type == "text/html", choice))
        elif media_type == "message/delivery-status":
            self._reported(part)
            report = plain(_bytes_of(part)[:20_000].decode("utf-8", "replace"))
            self._plain.append(report)
            self._said.append(_Said(report, False, choice))
        else:
            self._keep(name or _default_name(part, media_type), media_type, _bytes_of(part))

    def result(self) -> tuple[str, str]:
        """Text and HTML. A mail with HTML only gets its text from that."""
        html = "\n".join(one for one in self._html if one.strip())
        short = first_tags(html[:HTML_CHARS], HTML_TAGS)
        if len(short) < len(html):
            self.notes.append(f"The HTML was cut at {len(short)} characters")
            html = short
        text = self._text() if any(one.strip() for one in self._plain) else html_to_text(html)
        if len(text) > TEXT_CHARS:
            self.notes.append(f"The text was cut at {TEXT_CHARS} characters")
            text = text[:TEXT_CHARS]
        return text, html

    def _text(self) -> str:
        """The plain parts, and in its place what only HTML says: a footer alone is not what somebody wrote."""
        chosen = {one.choice for one in self._said if one.choice and not one.html and one.text.strip()}
        known = set(_WORD.findall(" ".join(self._plain).lower()))
        left, said = HTML_CHARS, []
        for one in self._said:
            text = one.text
            if one.html:
                short = first_tags(text[:left], HTML_TAGS)
                left -= len(short)
                text = "" if one.choice in chosen else html_to_text(short)
                words = set(_WORD.findall(text.lower()))
                text = "" if len(words & known) >= SAME_WORDS * len(words) else text
            if text.strip():
                said.append(text.strip("\n"))
        return "\n\n".join(said)

    def _decoded(self, part: Message) -> str:
        data = _bytes_of(part)
        payload = part.get_payload()
        if not data and isinstance(payload, str) and payload.strip():
            self.notes.append("The text is not in the encoding it names; it is shown as it came")
            data = payload.encode("utf-8", "surrogateescape")
        charset = _charset(part)
        for name in dict.fromkeys((charset, "utf-8")):
            if name:
                try:
                    return plain(data.decode(name))
                except (UnicodeError, LookupError):
                    continue
        if data.isascii():
            return plain(data.decode("ascii"))
        self.notes.append("Some characters could not be read: the text is not in the charset it names")
        return plain(data.decode("cp1252", "replace"))

    def _returned(self, part: Message) -> None:
        """The Message-ID of a mail that came back, so that a bounce finds the ticket of what bounced; and its To."""
        head = _bytes_of(part)[:HEADERS_BYTES]
        match = re.search(rb"(?im)^message-id:\s*<([^<>\s]{1,500})>", head)
        if match and len(self.returned_ids) < 5:
            self.returned_ids.append(plain(match[1].decode("utf-8", "replace")))
            to = re.search(rb"(?im)^to:[^\r\n]{0,1000}(\r?\n[ \t][^\r\n]{0,1000}){0,3}", head)
            if to:
                self.returned_to += _ADDRESS.findall(to[0].decode("utf-8", "replace").lower())[:5]

    def _reported(self, part: Message) -> None:
        """The recipients that a delivery report calls failed (RFC 3464), and what the other server said."""
        self.reported = True
        blocks = part.get_payload()
        for block in blocks[:ADDRESSES] if isinstance(blocks, list) else ():
            if not isinstance(block, Message) or str(block.get("action", "")).strip().lower() != "failed":
                continue
            for name in ("final-recipient", "original-recipient"):
                self.failed += _ADDRESS.findall(str(block.get(name, "")).lower()[:ADDRESS_CHARS])[:1]
            status = str(block.get("status", ""))[:REASON_CHARS]
            said = str(block.get("diagnostic-code", "")).partition(";")[2][:REASON_CHARS]
            self.gone.append(_no_such_address(said, status))
            self.reason = self.reason or plain(said or status)

    def _keep(self, name: str, media_type: str, data: bytes) -> None:
        if not data:
            return
        if len(self.files) >= FILES:
            self.notes.append(f"Only the first {FILES} files were kept")
        elif len(data) > FILE_BYTES:
            self.notes.append(f"{name} is larger than {FILE_BYTES // 1_000_000} MB and was left out")
        elif self._bytes + len(data) > FILES_BYTES:
            self.notes.append(f"Files beyond {FILES_BYTES // 1_000_000} MB together were left out")
        else:
            self._bytes += len(data)
            self.files.append(MailFile(name, media_type if _TYPE.fullmatch(media_type) else OCTETS, data))


OCTETS = "application/octet-stream"
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,50}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload()
    if isinstance(payload, list):
        # A forwarded mail, or the blocks of a delivery report: kept as it came.
        return b"\n".join(one.as_bytes() for one in payload[:PARTS] if isinstance(one, Message))
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _charset(part: Message) -> str | None:
    """The codec for this part if it is one of text; others (unicode_escape, idna, ...) are not what mail is in."""
    try:
        name = codecs.lookup(str(part.get_content_charset() or "utf-8")).name
    except (LookupError, ValueError):
        return None
    return name if _CODECS.fullmatch(name) else None


_CODECS = re.compile(
    r"utf-8|utf-8-sig|utf-16|utf-16-le|utf-16-be|ascii|iso8859-\d+|cp125\d|cp85\d|cp866|cp874|cp932|koi8-[ru]"
    r"|gb2312|gbk|gb18030|hz|big5|big5hkscs|euc_jp|shift_jis|iso2022_jp|euc_kr|cp949|mac-roman|tis-620"
)


def _file_name(part: Message) -> str:
    """The file's own name without any folder, "" when it has none."""
    name = " ".join(str(part.get_filename() or "").split())[:1_000]
    name = _one_line(str(_HEADERS("subject", name)) if "=?" in name else name)
    name = name.replace("\\", "/").rpartition("/")[2].strip().lstrip(".")
    stem, dot, suffix = name.rpartition(".")
    return name if len(name) <= NAME_CHARS else f"{stem[: NAME_CHARS - 20]}{dot}{suffix[:15]}"


def _default_name(part: Message, media_type: str) -> str:
    named = {
        "message/rfc822": "mail.eml",
        "text/calendar": "invitation.ics",
        "application/ms-tnef": "winmail.dat",
        "text/html": "page.html",
        "text/plain": "text.txt",
    }
    return named.get(media_type, "file.bin")


def _address(display: str, spec: str) -> Address | None:
    spec = spec.strip().lower()
    if len(spec) > ADDRESS_CHARS or not _ADDRESS.fullmatch(spec):
        return None
    return Address(_one_line(display)[:NAME_CHARS], spec)


def _one_line(text: str) -> str:
    return " ".join(_CONTROL.sub(" ", plain(text)).split())


def _date(value: str) -> datetime | None:
    if not value:
        return None
    try:
        at = cast(DateHeader, _HEADERS("date", " ".join(value.split())[:200])).datetime
        return None if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


# Machines --------------------------------------------------------------------------------------------------------

_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})
_MACHINES = re.compile(
    r"(mailer-daemon|postmaster|bounces?|no-?_?\.?reply|do-?_?\.?not-?_?\.?reply|nie-?odpowiadaj|ne-?pas-?repondre)"
    r"([+._-].*)?"
)
#: Headers that only machines write, whatever their value.
_MARKS = ("x-auto-response-suppress", "list-id", "x-autoreply", "x-autorespond", "x-auto-reply", "x-failed-recipients")


def _automatic(headers: _Headers, sender: Address, report: bool) -> str:
    """Why this is a machine's mail, "" when it looks like a person's. Answering a machine may answer for ever."""
    submitted = re.split(r"[;\s(]", headers.raw("auto-submitted").strip().lower(), maxsplit=1)[0]
    if submitted and submitted != "no":
        return f"Auto-Submitted says {submitted[:40]!r}"
    marks: Iterable[str] = (mark for mark in _MARKS if mark in headers)
    for mark in marks:
        return f"It has the header {mark}"
    precedence = headers.raw("precedence").strip().lower()
    if precedence in _BULK:
        return f"Precedence is {precedence}"
    if report:
        return "It is a delivery report"
    if "return-path" in headers and headers.raw("return-path").strip() in ("<>", ""):
        return "Its return path is empty"
    if _MACHINES.fullmatch(sender.address.rpartition("@")[0]):
        return f"{sender.address} is not a person's address"
    return ""
