"""Reading raw mail: the facts it says, and that nothing a stranger sends can do more than be unreadable."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from connectors.channels import email as channel
from connectors.channels.email import Address, MailFile, ParsedMail, Unparsable, glance, parse
from connectors.channels.mail_text import first_tags, guess_language, html_to_text, newly_written
from tests.environment.proportion import in_proportion
from tests.environment.selection import tries
from tests.intake.replies import CORPUS as REPLIES
from tests.intake.replies import HTML_CORPUS, HTML_NEW, Reply
from tickets.values import json_problem

HEAD = b"From: Camille <camille@customer.test>\r\nSubject: hi\r\nMessage-ID: <one@c.test>\r\n"
#: Seconds the worst mail may take to read on a slow machine; most take milliseconds.
LONGEST_S = 20
TOO_DEEP = "Its parts or comments are nested too deep"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n"
UTF_16 = HEAD + b"Content-Type: text/plain; charset=utf-16-le\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def body(text: str, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return HEAD + lines.encode() + b"\r\n" + text.replace("\n", "\r\n").encode()


def nested(depth: int, inside: bytes = b"Content-Type: text/plain\r\n\r\nhello\r\n") -> bytes:
    layers = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number) for number in range(depth)
    )
    return HEAD + layers + inside


def test_the_facts_of_an_ordinary_mail() -> None:
    mail = EmailMessage()
    mail["From"] = "Zoë Müller <Zoe@Customer.test>"
    mail["To"] = "Support <support@acme.test>, other@acme.test"
    mail["Cc"] = "boss@customer.test"
    mail["Subject"] = "Où est ma commande ?"
    mail["Date"] = "Sat, 21 Nov 2026 10:31:00 +0100"
    mail["Message-ID"] = "<abc@customer.test>"
    mail["In-Reply-To"] = "<t1.m2@acme.test>"
    mail["References"] = "<first@c.test> <t1.m2@acme.test>"
    mail.set_content("Bonjour,\n\noù est ma commande ?\n\n-- \nZoë")
    mail.add_alternative("<p>Bonjour, <b>où</b> est ma commande ?</p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="reçu.pdf")
    assert parse(mail.as_bytes()) == ParsedMail(
        message_id="abc@customer.test",
        references=("t1.m2@acme.test", "first@c.test"),
        sender=Address("Zoë Müller", "zoe@customer.test"),
        to=(Address("Support", "support@acme.test"), Address("", "other@acme.test")),
        cc=(Address("", "boss@customer.test"),),
        delivered_to=(),
        subject="Où est ma commande ?",
        date=datetime(2026, 11, 21, 9, 31, tzinfo=UTC),
        text="Bonjour,\n\noù est ma commande ?\n\n-- \nZoë\n".rstrip("\n"),
        new_text="Bonjour,\n\noù est ma commande ?",
        html="<p>Bonjour, <b>où</b> est ma commande ?</p>\n",
        files=(MailFile("reçu.pdf", "application/pdf", b"%PDF"),),
        language="fr",
        automatic="",
        bounce=False,
        notes=(),
    )


# Hostile and broken mail -----------------------------------------------------------------------------------------

#: Made by the test that reads it: together they are a hundred megabytes.
Make = Callable[[], bytes]
CORPUS: dict[str, tuple[Make, str]] = {
    "nothing": (lambda: b"", "It is empty"),
    "blank lines": (lambda: b"\r\n" * 100, "It is empty"),
    "all bytes": (lambda: bytes(range(256)) * 1_000, "It names no sender's address"),
    "no sender": (lambda: b"Subject: hi\r\n\r\nhello", "It names no sender's address"),
    "ten megabytes of one header": (
        lambda: b"From: a@b.test\r\nX: " + b"a" * 10_000_000 + b"\r\n\r\nhi",
        "Its headers are longer than 256 kB",
    ),
    "too large": (lambda: HEAD + b"\r\n" + b"x" * 30_000_000, "It is larger than 30 MB"),
    "ten million lines": (lambda: HEAD + b"\r\n" * 10_000_000, "It has more than 1,000,000 lines"),
    "many boundaries over many lines": (
        lambda: nested(200, b"\r\n" + b"x\n" * 500_000),
        "It has too many nested parts",
    ),
    "comments in comments": (lambda: HEAD + b"Content-Type: " + b"(" * 5_000 + b"\r\n\r\nx", TOO_DEEP),
    "a mail in a mail, 2,000 times": (lambda: (HEAD + b"Content-Type: message/rfc822\r\n\r\n") * 2_000, TOO_DEEP),
    "a sender of dots": (lambda: b"From: " + b"." * 16_000 + b"@b.test\r\n\r\nx", "It names no sender's address"),
}

READABLE: dict[str, tuple[Make, str]] = {
    "a hundred multiparts": (lambda: nested(100), ""),
    "an empty body": (lambda: body(""), ""),
    "NUL and control characters": (lambda: body("hel\x00lo\x07 \x1bworld"), "hello world"),
    "half a surrogate": (lambda: UTF_16 + b"ANg=", "Ø"),
    "a charset nobody knows": (lambda: HEAD + b"Content-Type: text/plain; charset=nonsense-9\r\n\r\ncaf\xe9", "café"),
    "a codec that is no charset": (lambda: body("\\x41", Content_Type="text/plain; charset=unicode_escape"), "\\x41"),
    "a wrong charset": (lambda: HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\ncaf\xe9", "café"),
    "ascii that is UTF-8": (lambda: HEAD + "Content-Type: text/plain; charset=us-ascii\r\n\r\nżółw".encode(), "żółw"),
    "a multipart without a boundary": (lambda: body("hello", Content_Type="multipart/mixed"), ""),
    "a boundary never closed": (
        lambda: HEAD + b'Content-Type: multipart/mixed; boundary="q"\r\n\r\n--q\r\n\r\nhello',
        "hello",
    ),
    "base64 that is none": (lambda: body("!!!!", Content_Transfer_Encoding="base64"), "!!!!"),
    "an encoding nobody knows": (lambda: body("hello", Content_Transfer_Encoding="rot13"), "hello"),
    "quoted type": (lambda: HEAD + b"Content-Type: text/plain; " + b'";' * 7_900 + b"\r\n\r\nhello", "hello"),
    "a date of nonsense": (lambda: body("hello", Date="Mon, 99 Foo 99999999999 99:99:99 +9999"), "hello"),
    "20,000 parts": (lambda: MIXED + b"\r\nx\r\n--q\r\n" * 20_000, "x"),
    "a million headers of a part": (lambda: MIXED + b"X: y\r\n" * 900_000 + b"\r\nx", "x"),
    "a line of 25 megabytes": (lambda: HEAD + b"\r\n" + b"x" * 25_000_000, "x"),
    "a million soft line breaks": (
        lambda: body("=\n" * 400_000 + "x", Content_Transfer_Encoding="quoted-printable"),
        "x",
    ),
}
#: The largest of them.
LARGE = {"20,000 parts", "a million headers of a part", "a line of 25 megabytes", "a million soft line breaks"}


@pytest.mark.alike
@pytest.mark.parametrize(("make", "reason"), CORPUS.values(), ids=CORPUS.keys())
def test_what_is_no_mail_is_unparsable_for_a_reason(make: Make, reason: str) -> None:
    raw = make()
    began = time.thread_time()
    with pytest.raises(Unparsable) as refused:
        parse(raw)
    assert str(refused.value) == reason
    assert time.thread_time() - began < LONGEST_S


@pytest.mark.alike
@pytest.mark.parametrize(
    ("make", "start"),
    [
        pytest.param(make, start, id=name, marks=[pytest.mark.slow] if name in LARGE else [])
        for name, (make, start) in READABLE.items()
    ],
)
def test_broken_mail_is_read_as_far_as_it_goes(make: Make, start: str) -> None:
    raw = make()
    began = time.thread_time()
    mail = parse(raw)
    assert mail.sender.address == "camille@customer.test"
    assert mail.text[: len(start)] == start
    assert bool(mail.text) == bool(start)
    assert time.thread_time() - began < LONGEST_S
    storable(mail)


def storable(mail: ParsedMail) -> None:
    """Everything of it can be stored on both databases, and on one line where one line is meant."""
    texts = [mail.message_id, *mail.references, mail.subject, mail.text, mail.new_text, mail.html, mail.automatic]
    texts += [part for one in (mail.sender, *mail.to, *mail.cc) for part in (one.name, one.address)]
    texts += [part for one in mail.files for part in (one.name, one.media_type)]
    assert json_problem(texts) is None
    for line in (mail.message_id, mail.subject, mail.sender.name, *(one.name for one in mail.files)):
        assert not any(ord(char) < 32 for char in line)
    assert len(mail.text) <= channel.TEXT_CHARS
    assert len(mail.html) <= channel.HTML_CHARS
    assert len(mail.files) <= channel.FILES


def test_random_damage_never_raises_anything_else() -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Zoë <z@c.test>", "a@b.test, b@c.test", "Où ça ?"
    mail["Date"] = "Sat, 21 Nov 2026 10:31:00 +0100"
    mail["References"] = "<a@b> <c@d>"
    mail.set_content("Bonjour\n> quoted\n")
    mail.add_alternative("<p>Bonjour <b>x</b>", subtype="html")
    mail.add_attachment(b"abc" * 50, maintype="application", subtype="pdf", filename="é.pdf")
    whole = mail.as_bytes()
    dice = random.Random(20261121)
    read, rounds = 0, tries(400)
    for _ in range(rounds):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 12)):
            at = dice.randrange(len(damaged))
            match dice.randrange(3):
                case 0:
                    damaged[at] = dice.randrange(256)
                case 1:
                    del damaged[at : at + dice.randint(1, 30)]
                case _:
                    damaged[at:at] = dice.choice([b"\r\n", b"=?utf-8?b?", b"(", b'"', b"<", b"\x00", b"--", b";", b"@"])
        try:
            storable(parse(bytes(damaged)))
            read += 1
        except Unparsable:
            pass
    assert read > 0.6 * rounds


@pytest.mark.slow
def test_a_glance_at_any_mail_gives_two_texts() -> None:
    for make, _ in (*CORPUS.values(), *READABLE.values()):
        raw = make()
        assert json_problem([list(glance(raw[:16_000]))]) is None


def test_a_glance_shows_sender_and_subject() -> None:
    assert glance("From: Zoë <z@c.test>\nSubject: Où ?\n\nbody".encode()) == ("z@c.test", "Où ?")


# Headers ---------------------------------------------------------------------------------------------------------


def test_an_encoded_line_end_in_a_header_starts_no_new_header() -> None:
    mail = parse(b"From: =?utf-8?q?A=0D=0ABcc:_x?= <a@c.test>\r\nSubject: =?utf-8?q?hi=0D=0ABcc:_x@y.test?=\r\n\r\nx")
    assert (mail.subject, mail.sender) == ("hi Bcc: x@y.test", Address("", "a@c.test"))


def test_the_address_is_the_mailbox_and_not_what_the_name_pretends() -> None:
    mail = parse(b'From: "support@acme.test" <eve@elsewhere.test>\r\n\r\nx')
    assert mail.sender == Address("support@acme.test", "eve@elsewhere.test")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("bob@corp.test <eve@elsewhere.test>", "bob@corp.test"),
        ("bob@corp.test via Shop <eve@elsewhere.test>", "bob@corp.test via Shop"),
        ("'eve@elsewhere.test' <eve@elsewhere.test>", "'eve@elsewhere.test'"),
        ("Bob @ Shop <eve@elsewhere.test>, bob@corp.test", "Bob @ Shop"),
        ('bob@corp.test "Bob" <eve@elsewhere.test>', "bob@corp.test Bob"),
        ('"Doe, bob@corp.test" <eve@elsewhere.test>', "Doe, bob@corp.test"),
        ("Eve (bob@corp.test) <eve@elsewhere.test>", "Eve (bob@corp.test)"),
    ],
)
def test_an_address_in_the_name_is_not_the_sender(header: str, name: str) -> None:
    assert parse(f"From: {header}\r\n\r\nx".encode()).sender == Address(name, "eve@elsewhere.test")


def test_raw_utf8_and_latin1_headers_are_read() -> None:
    assert parse("From: Zoë <z@c.test>\r\nSubject: Où ?\r\n\r\nx".encode()).subject == "Où ?"
    assert parse("From: z@c.test\r\nSubject: Où ?\r\n\r\nx".encode("latin-1")).subject == "Où ?"


def test_a_long_header_is_cut() -> None:
    mail = parse(b"From: a@b.test\r\nTo: " + b"a@b.test, " * 9_000 + b"\r\nSubject: " + b"a " * 5_000 + b"\r\n\r\nx")
    assert (len(mail.to), len(mail.subject) <= 500) == (100, True)


def test_references_are_newest_first_and_bounded() -> None:
    references = " ".join(f"<{number}@c.test>" for number in range(200))
    mail = parse(body("x", References=references, In_Reply_To="<199@c.test>"))
    assert mail.references[:3] == ("199@c.test", "198@c.test", "197@c.test")
    assert len(mail.references) == channel.REFERENCES


def test_a_bounce_names_the_mail_that_came_back() -> None:
    raw = (
        b"From: MAILER-DAEMON@mx.test\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=q\r\n\r\n"
        b"--q\r\n\r\nCould not deliver\r\n--q\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
        b"--q\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <t1.m2@acme.test>\r\nSubject: s\r\n\r\nbody\r\n"
        b"--q--\r\n"
    )
    mail = parse(raw)
    assert (mail.bounce, mail.references, mail.automatic) == (True, ("t1.m2@acme.test",), "It is a delivery report")
    assert [(one.name, one.media_type) for one in mail.files] == [("mail.eml", "message/rfc822")]


BLOCKS = """Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; Camille@Customer.test
Action: {action}
Status: 5.1.1
{said}
"""


@pytest.mark.parametrize(
    ("action", "said", "reason", "gone"),
    [
        ("failed", "Diagnostic-Code: smtp; 550 5.1.1 no such\n user", "550 5.1.1 no such user", True),
        ("Failed", "", "5.1.1", True),
        ("failed", "Diagnostic-Code: smtp; 550 5.0.0 unknown user", "550 5.0.0 unknown user", True),
        ("failed", "Diagnostic-Code: smtp; 550 5.2.1 mailbox disabled", "550 5.2.1 mailbox disabled", True),
        ("failed", "Diagnostic-Code: smtp; 552 5.2.2 mailbox full", "552 5.2.2 mailbox full", False),
        ("failed", "Diagnostic-Code: smtp; 550 5.7.1 looks like spam", "550 5.7.1 looks like spam", False),
        ("failed", "Diagnostic-Code: smtp; 550 5.1.8 bad sender", "550 5.1.8 bad sender", False),
        ("failed", "Diagnostic-Code: smtp; 451 4.4.1 gave up", "451 4.4.1 gave up", False),
        ("delayed", "Diagnostic-Code: smtp; 451 try later", None, False),
        ("delivered", "", None, False),
    ],
)
def test_a_report_says_who_was_not_reached_and_why(action: str, said: str, reason: str | None, gone: bool) -> None:
    raw = (
        "From: MAILER-DAEMON@mx.test\nX-Failed-Recipients: camille@customer.test\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=q\n\n"
        f"--q\nContent-Type: message/delivery-status\n\n{BLOCKS.format(action=action, said=said)}\n"
        "--q\nContent-Type: text/rfc822-headers\n\nMessage-ID: <t1.m2@acme.test>\nTo: C <old@customer.test>\n\n--q--\n"
    ).encode()
    addresses = frozenset({"camille@customer.test", "old@customer.test"})
    assert parse(raw).returned == (None if reason is None else channel.Returned(addresses, reason, gone))


def test_the_older_header_names_who_was_not_reached_and_the_text_why() -> None:
    raw = (
        b"From: Mailer-Daemon@mx.test\nX-Failed-Recipients: a@b.test\nIn-Reply-To: <t1.m2@acme.test>\n\n"
        b"A message that you sent could not be delivered:\n\n  a@b.test\n    550 Unrouteable address\n"
    )
    assert parse(raw).returned == channel.Returned(frozenset({"a@b.test"}), "550 Unrouteable address", True)
    full = raw.replace(b"550 Unrouteable address", b"452 4.2.2 of 5.1.1.7: full")
    assert parse(full).returned == channel.Returned(frozenset({"a@b.test"}), "452 4.2.2 of 5.1.1.7: full", False)
    assert parse(raw.replace(b"X-Failed-Recipients", b"X-Other")).returned is None


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Auto-Submitted: auto-generated (vacation)", "Auto-Submitted says 'auto-generated'"),
        ("Auto-Submitted: no", ""),
        ("Precedence: LIST", "Precedence is list"),
        ("Precedence: first-class", ""),
        ("List-Id: <x.test>", "It has the header list-id"),
        ("Return-Path: <>", "Its return path is empty"),
        ("Return-Path: <a@b.test>", ""),
        ("X-Autoreply: yes", "It has the header x-autoreply"),
    ],
)
def test_machines_are_told_from_people(header: str, why: str) -> None:
    assert parse(HEAD + header.encode() + b"\r\n\r\nx").automatic == why


@pytest.mark.parametrize(
    ("address", "machine"),
    [
        ("mailer-daemon@x.test", True),
        ("no-reply@x.test", True),
        ("noreply+abc@x.test", True),
        ("do_not_reply@x.test", True),
        ("bounces-123@x.test", True),
        ("noreen@x.test", False),
        ("bouncer@x.test", False),
    ],
)
def test_addresses_that_no_person_reads(address: str, machine: bool) -> None:
    assert bool(parse(f"From: {address}\r\n\r\nx".encode()).automatic) is machine


# Parts -----------------------------------------------------------------------------------------------------------


def test_a_mail_with_html_only_gets_its_text_from_that() -> None:
    mail = parse(
        body(
            "<style>p{}</style><p>Hello <b>World</b></p><ul><li>one<li>two</ul>"
            "<blockquote>old</blockquote><a href='https://x.test/a'>here</a><script>bad()</script>",
            Content_Type="text/html; charset=utf-8",
        )
    )
    assert mail.text == "Hello World\n\n- one\n- two\n\n> old\n\nhere [https://x.test/a]"
    assert "bad()" in mail.html  # kept as it came; pages clean it


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("<p>Please refund order 5</p>", "Checked by ScanMail"), "Please refund order 5\n\nChecked by ScanMail"),
        (("See this:", "<p>Please refund order 5</p>"), "See this:\n\nPlease refund order 5"),
        (("Please refund order 5", "<p>Please <b>refund</b> order 5</p>"), "Please refund order 5"),
    ],
)
def test_html_beside_a_plain_part_is_read_unless_it_says_the_same(parts: tuple[str, ...], text: str) -> None:
    sort = ("html" if one.startswith("<") else "plain" for one in parts)
    pieces = (f"--q\r\nContent-Type: text/{kind}\r\n\r\n{one}\r\n" for kind, one in zip(sort, parts, strict=True))
    mail = parse(HEAD + f"Content-Type: multipart/mixed; boundary=q\r\n\r\n{''.join(pieces)}--q--\r\n".encode())
    assert mail.text == text


def test_of_a_choice_between_plain_and_html_the_plain_words_are_read() -> None:
    mail = parse(
        MIXED + b"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nplain\r\n"
        b"--a\r\nContent-Type: text/html\r\n\r\n<p>something else altogether</p>\r\n--a--\r\n"
        b"--q\r\n\r\nfooter\r\n--q--\r\n"
    )
    assert mail.text == "plain\n\nfooter"


def test_invitations_and_outlook_wrappings_are_files() -> None:
    mail = parse(
        HEAD + b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nsee\r\n"
        b"--q\r\nContent-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"
        b"--q\r\nContent-Type: application/ms-tnef\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--q--\r\n"
    )
    assert [(one.name, len(one.data)) for one in mail.files] == [("invitation.ics", 15), ("winmail.dat", 3)]
    assert mail.text == "see"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\Users\\\\x\\\\a.pdf", "a.pdf"),
        ("..hidden", "hidden"),
        ("=?utf-8?q?r=C3=A9=0D=0Au.pdf?=", "ré u.pdf"),
        ("x" * 400 + ".pdf", "x" * 180 + ".pdf"),
    ],
)
def test_file_names_lose_folders_and_line_ends(given: str, kept: str) -> None:
    mail = parse(body("data", Content_Type="application/pdf", Content_Disposition=f'attachment; filename="{given}"'))
    assert [one.name for one in mail.files] == [kept]


@pytest.mark.slow
def test_too_many_and_too_large_files_are_left_out_and_that_is_said() -> None:
    mail = EmailMessage()
    mail["From"] = "a@c.test"
    mail.set_content("x")
    mail.add_attachment(b"\0" * 10_000_001, maintype="application", subtype="zip", filename="big.zip")
    for number in range(22):
        mail.add_attachment(b"x", maintype="application", subtype="pdf", filename=f"{number}.pdf")
    read = parse(mail.as_bytes())
    assert len(read.files) == 20
    assert read.notes == ("big.zip is larger than 10 MB and was left out", "Only the first 20 files were kept")


@pytest.mark.slow
def test_long_text_and_endless_html_are_cut_and_that_is_said() -> None:
    mail = parse(body("x" * 200_001))
    assert (len(mail.text), mail.notes) == (200_000, ("The text was cut at 200000 characters",))
    deep = parse(body("<div>" * 30_000 + "x", Content_Type="text/html"))
    assert (deep.html, deep.notes) == ("<div>" * 12_000, ("The HTML was cut at 60000 characters",))


# Text ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Hello\n\nOn Sat, 21 Nov 2026 at 10:31, Acme <s@acme.test> wrote:\n> old\n> older", "Hello"),
        ("Bonjour\n\nLe sam. 21 nov. 2026 à 10:31, Acme\n<s@acme.test> a écrit :\n\n> ancien", "Bonjour"),
        ("Witam\n\nW dniu 21.11.2026 o 10:31, Acme pisze:\n> stare", "Witam"),
        ("Witam\n\nsob., 21 lis 2026 o 10:31 Acme <s@acme.test> napisał(a):\n> stare", "Witam"),
        ("Bună\n\nÎn sâm., 21 nov. 2026 la 10:31, Acme <s@acme.test> a scris:\n> vechi", "Bună"),
        ("Hello\n\n-----Original Message-----\nFrom: x\nSent: y\n\nold", "Hello"),
        ("Hello\n________________________________\nFrom: x\nSent: y\nTo: z\nSubject: s\n\nold", "Hello"),
        ("Bonjour\n\nDe : x\nEnvoyé : y\nÀ : z\nObjet : s\n\nancien", "Bonjour"),
        ("Witam\n\nOd: x\nWysłano: y\nDo: z\nTemat: s\n\nstare", "Witam"),
        ("Yes\n\nOn 5 May Acme wrote:\n> Blue?\nBlue, please\n> Large?\nNo", "Yes\n\nBlue, please\nNo"),
        ("Hello\n-- \nCamille\nParis", "Hello"),
        ("Hello\n\nBest regards,\nCamille Laurent\n+33 1 23", "Hello"),
        ("Dzień dobry\n\nPozdrawiam\nJan", "Dzień dobry"),
        ("Hello\n\nSent from my iPhone", "Hello"),
        # What must stay.
        ("Thanks,\nmy order number is 12345", "Thanks,\nmy order number is 12345"),
        ("I want:\n- a refund\n- an apology", "I want:\n- a refund\n- an apology"),
        ("Data: 12.05\nDo: Kraków", "Data: 12.05\nDo: Kraków"),
        ("From: Paris\nI come tomorrow", "From: Paris\nI come tomorrow"),
        ("See below\n---------- Forwarded message ---------\nFrom: x\nDate: y\nSubject: s\nTo: z\n\nthe point",
         "See below\n---------- Forwarded message ---------\nFrom: x\nDate: y\nSubject: s\nTo: z\n\nthe point"),
        ("> only quoted", "> only quoted"),
        ("Best regards,\nwhere is my parcel?", "Best regards,\nwhere is my parcel?"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_was_newly_written_is_told_from_quotes_and_signatures(text: str, written: str) -> None:
    assert newly_written(text) == written


@pytest.mark.alike
@pytest.mark.parametrize("reply", REPLIES, ids=[reply.name for reply in REPLIES])
def test_a_reply_of_each_mail_program_keeps_what_is_new_and_nothing_else(reply: Reply) -> None:
    assert newly_written(reply.text) == reply.new


@pytest.mark.parametrize(
    ("head", "written"),
    [
        ("Subject: Re: Parcel\r\nIn-Reply-To: <a@acme.test>", False),
        ("Subject: TR: Parcel\r\nIn-Reply-To: <a@acme.test>", True),
        ("Subject: Re: Parcel", True),
    ],
    ids=["an answer", "a forward", "a new mail"],
)
@pytest.mark.parametrize(
    "quoted",
    [
        "On Sat, 21 Nov 2026 at 10:31, Acme <s@acme.test> wrote:\n> Write $closeticket when all is well.",
        "> Write $closeticket when all is well.",
        "De : x\nEnvoyé : y\nÀ : z\nObjet : s\n\nWrite $closeticket when all is well.",
    ],
    ids=["under a line", "quote marks alone", "under labels"],
)
def test_an_answer_that_only_quotes_says_nothing_and_a_forward_says_it_all(
    quoted: str, head: str, written: bool
) -> None:
    mail = parse(f"From: c@example.com\r\n{head}\r\n\r\n{quoted}".encode())
    assert "$closeticket" in mail.text
    assert mail.new_text == (mail.text.strip() if written else "")


@pytest.mark.parametrize("html", HTML_CORPUS.values(), ids=HTML_CORPUS.keys())
def test_a_reply_of_html_alone_keeps_what_is_new_and_nothing_else(html: str) -> None:
    mail = parse(body(html, Content_Type="text/html; charset=utf-8"))
    assert "$closeticket" in mail.text
    assert mail.new_text == HTML_NEW


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    ["On " + "a " * 100_000, "\n" * 200_000, "From: x\n" * 25_000, "On 1 wrote:\n> x\n" * 12_000, "Le 1\n" * 40_000],
    ids=["one line", "blank", "labels", "quotes", "wrapped"],
)
def test_reading_what_is_new_takes_linear_time(text: str) -> None:
    """Ten times the text takes some ten times as long, not a hundred times."""
    assert in_proportion(lambda length: newly_written(text[:length]), len(text) // 10, len(text), most=40)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ["<a ", "<!--", "</", "<div>", "<b>", "<table><tr><td>", "&", "<a href='"])
def test_html_of_any_sort_becomes_text_in_bounded_time(piece: str) -> None:
    began = time.thread_time()
    text = html_to_text(first_tags((piece * 200_000)[: channel.HTML_CHARS], channel.HTML_TAGS))
    assert "<a" not in text
    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello, I would like to return my order, please.", "en"),
        ("Bonjour, je voudrais retourner ma commande.", "fr"),
        ("Dzień dobry, proszę o zwrot zamówienia.", "pl"),
        ("Bună ziua, vreau să returnez comanda mea.", "ro"),
        ("Guten Tag, ich möchte meine Bestellung zurückgeben.", ""),
        ("12345", ""),
        ("", ""),
    ],
)
def test_the_language_is_guessed_or_left_open(text: str, language: str) -> None:
    assert guess_language(text) == language
