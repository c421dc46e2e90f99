"""Mails that let a customer into the portal: a sign-in, a request, a reminder of it.

They are rows of the outbox like every mail. A row holds the token's number; the link itself is worked out while the
mail is written, so that nothing that is stored opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage

from sqlalchemy import Connection, select

from connectors.channels.mail_page import Part
from jobs.letters import host_of, letter
from jobs.services import Services
from jobs.tables import OutboxRow
from tickets import people, tokens
from tickets.db import upsert
from tickets.errors import PersonNotFound
from tickets.store import AnyRow
from tickets.tables import PortalToken, RequestRow

#: Most reminders of one request, and the shortest and longest time between two, in hours.
MOST_REMINDERS = 5
REMIND_H = (1, 24 * 30)
#: Under this key of a row's payload stands the number of the token it is about.
TOKEN = "portal"


class NotWanted(Exception):
    """What the mail was about is over. It is not sent, and nobody is alarmed."""


@dataclass(frozen=True, slots=True)
class _Words:
    """One language of these mails."""

    sign_in: str
    open_link: str
    code: str
    minutes: str
    not_you: str
    request: str
    answer: str
    reminder: str


_WORDS: Mapping[str, _Words] = {
    "en": _Words(
        "Your way in",
        "Open this link to see your messages and answer us:",
        "Or type this code where you asked for it:",
        "Both work once, for {n} minutes.",
        "If you did not ask for this, do nothing: without the link nobody gets in.",
        "We need something from you",
        "Please answer here:",
        "Reminder",
    ),
    "fr": _Words(
        "Votre accès",
        "Ouvrez ce lien pour voir vos messages et nous répondre :",
        "Ou saisissez ce code là où vous l'avez demandé :",
        "Les deux fonctionnent une seule fois, pendant {n} minutes.",
        "Si vous n'avez rien demandé, ne faites rien : sans le lien, personne n'entre.",
        "Nous avons besoin de quelque chose",
        "Merci de répondre ici :",
        "Rappel",
    ),
    "pl": _Words(
        "Twój dostęp",
        "Otwórz ten link, aby zobaczyć wiadomości i nam odpowiedzieć:",
        "Albo wpisz ten kod tam, gdzie o niego prosisz:",
        "Działają raz, przez {n} minut.",
        "Jeśli to nie Ty, nic nie rób: bez linku nikt nie wejdzie.",
        "Potrzebujemy czegoś od Ciebie",
        "Odpowiedz tutaj:",
        "Przypomnienie",
    ),
    "ro": _Words(
        "Accesul dumneavoastră",
        "Deschideți acest link ca să vedeți mesajele și să ne răspundeți:",
        "Sau scrieți acest cod acolo unde l-ați cerut:",
        "Ambele merg o singură dată, timp de {n} minute.",
        "Dacă nu ați cerut aceasta, nu faceți nimic: fără link nu intră nimeni.",
        "Avem nevoie de ceva de la dumneavoastră",
        "Vă rugăm să răspundeți aici:",
        "Memento",
    ),
}


def queue_sign_in(
    services: Services, connection: Connection, person: people.Customer, email: str, now: datetime
) -> None:
    """Queue a link and a code for this person, to the one of their addresses that was named.

    Raises `tokens.TooManySignIns`."""
    token = tokens.new(connection, services.settings.keys.session, person=person.id, request=None, now=now)
    _queue(connection, f"sign_in:{token}", person, email, token, None, now)


def queue_request(
    services: Services,
    connection: Connection,
    request: int,
    person: people.Customer,
    item: int | None,
    now: datetime,
    *,
    remind_h: int = 0,
    reminders: int = MOST_REMINDERS,
) -> bool:
    """Queue a request's mail and its reminders, every `remind_h` hours (0: none). False without an address."""
    if not person.email:
        return False
    token = tokens.new(connection, services.settings.keys.session, person=person.id, request=request, now=now)
    times = [now]
    if remind_h:
        every = timedelta(hours=min(max(remind_h, REMIND_H[0]), REMIND_H[1]))
        times += [now + every * number for number in range(1, min(reminders, MOST_REMINDERS) + 1)]
    for number, at in enumerate(times):
        _queue(connection, f"request:{request}:{token}:{number}", person, person.email, token, item, at)
    return True


def is_reminder(key: str) -> bool:
    """Whether the row of this key reminds somebody of a request; the first mail of one has the number 0."""
    return key.startswith("request:") and not key.endswith(":0")


def _queue(
    connection: Connection,
    key: str,
    person: people.Customer,
    email: str,
    token: int,
    item: int | None,
    at: datetime,
) -> None:
    connection.execute(
        upsert(connection, OutboxRow)
        .values(
            key=key,
            kind="portal",
            recipient=email,
            item_id=item,
            # No message has the number 0: a mail of this kind carries none.
            payload={"message_id": 0, TOKEN: token, "to": email, "name": person.name, "number": key},
            status="due",
            due_at=at,
            tries=0,
            last_error="",
            # A mail that is too old is not sent; a reminder begins to age when it is due.
            created_at=at,
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )


def portal_letter(services: Services, connection: Connection, row: AnyRow) -> EmailMessage:
    """The mail of such a row. Raises `NotWanted` when the sign-in ran out or the request is over."""
    now = services.clock.now()
    token = connection.execute(
        select(
            PortalToken.salt,
            PortalToken.person_id,
            PortalToken.request_id,
            PortalToken.expires_at,
            PortalToken.used_at,
        ).where(PortalToken.id == row.payload[TOKEN])
    ).one_or_none()
    if token is None or token.used_at is not None or token.expires_at <= now:
        raise NotWanted("it is answered, or its link does not work any more")
    try:
        person = people.customer(connection, token.person_id)
    except PersonNotFound as error:
        raise NotWanted("its recipient was erased") from error
    words = _WORDS.get(person.language, _WORDS["en"])
    secret = services.settings.keys.session
    base = services.settings.public_url.rstrip("/") or f"http://127.0.0.1:{services.settings.port}"
    text = tokens.text_of(secret, token.salt)
    if token.request_id is None:
        subject = words.sign_in
        body = (
            f"{words.open_link}\n{base}/portal/enter/{text}\n\n{words.code} {tokens.code_of(secret, token.salt)}\n\n"
            f"{words.minutes.format(n=tokens.SIGN_IN_MIN)} {words.not_you}"
        )
    else:
        request = connection.execute(
            select(RequestRow.title, RequestRow.sign_in, RequestRow.status, RequestRow.id).where(
                RequestRow.id == token.request_id
            )
        ).one()
        if request.status != "open":
            raise NotWanted("the request is not open any more")
        again = not str(row.payload["number"]).endswith(":0")
        subject = f"{words.reminder}: {request.title}" if again else request.title
        address = f"{base}/portal/requests/{request.id}" if request.sign_in else f"{base}/portal/answer/{text}"
        body = f"{words.request}: {request.title}\n\n{words.answer}\n{address}"
    return letter(
        services,
        connection,
        message_id=f"portal.{str(row.payload['number']).replace(':', '.')}@{host_of(services.settings.mail_from)}",
        at=now,
        to=(person.name, str(row.payload["to"])),
        subject=subject,
        parts=[Part("text", body)],
        language=person.language or "en",
        automatic=True,
    )
