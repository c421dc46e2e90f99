"""The double-charge mail: a new customer who has really paid twice, and the mail they write about it."""

from __future__ import annotations

import random
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jobs import intake
from jobs.demo import control, places
from jobs.demo.desk import MAILBOX, MAILBOX_ADDRESS
from jobs.demo.places import Places
from jobs.demo.stories import LANGUAGES, message
from jobs.demo.world import PEOPLE, Customer, double_charged
from jobs.services import Services

#: Names that go with each other whichever are drawn.
FIRST = {
    "en": ("Rosalind", "Edward", "Imogen", "Desmond", "Harriet", "Kofi", "Beatrix", "Alasdair"),
    "fr": ("Clémence", "Benoît", "Yasmine", "Étienne", "Solène", "Rachid", "Capucine", "Gaspard"),
    "pl": ("Kinga", "Łukasz", "Dorota", "Grzegorz", "Weronika", "Bartosz", "Jadwiga", "Mikołaj"),
    "ro": ("Ștefania", "Răzvan", "Corina", "Lucian", "Bianca", "Octavian", "Simona", "Dragoș"),
}
LAST = {
    "en": ("Hargreaves", "Okonkwo", "Thistlewood", "Maddox", "Pryce", "Cavanagh", "Ferris", "Underhill"),
    "fr": ("Vasseur", "Marchand", "Belkacem", "Chevallier", "Roussel", "Lemoine", "Tessier", "Aubry"),
    "pl": ("Wilk", "Nowak", "Sowa", "Kaczmarek", "Zając", "Pietrzak", "Wróbel", "Gajda"),
    "ro": ("Vasilescu", "Barbu", "Toma", "Mureșan", "Lungu", "Chiriac", "Oprea", "Dinu"),
}


def send_double_charge(services: Services, rng: random.Random) -> intake.Ingested:
    """Make up a customer, tell the back office, and hand their mail to the product's own intake.

    Raises `NotLoaded` without a demo desk, `BackOfficeAway` when the payments cannot be told to the back office, and
    what `intake.ingest` raises; the customer may then be known there, but no mail came in."""
    found = places.read(services.settings.data)
    now = services.clock.now()
    customer = new_customer(found, rng, now)
    control.add_customer(found, customer)
    return intake.ingest(services, MAILBOX, mail(customer, rng, now))


def new_customer(found: Places, rng: random.Random, now: datetime) -> Customer:
    """Somebody nobody has heard of, who paid an order twice yesterday."""
    language = rng.choice(LANGUAGES)
    name = f"{rng.choice(FIRST[language])} {rng.choice(LAST[language])}"
    _, city = rng.choice(PEOPLE[language])
    # Above every number the desk began with; of so many that two presses do not meet.
    number = 100_000 + rng.randrange(900_000)
    return double_charged(found.seed, now.date(), language=language, name=name, city=city, number=number)


def mail(customer: Customer, rng: random.Random, now: datetime) -> bytes:
    """What the customer's mail program sends: RFC 5322, text and HTML."""
    subject, text = message(rng, customer, customer.orders[0], "double_charge")
    composed = EmailMessage(policy=SMTP)
    local, _, domain = customer.email.partition("@")
    composed["From"] = Address(customer.name, local, domain)
    composed["To"] = Address("Lumen Home", *MAILBOX_ADDRESS.split("@"))
    composed["Subject"] = subject
    composed["Date"] = format_datetime(now)
    composed["Message-ID"] = f"<{rng.getrandbits(80):020x}@{domain}>"
    composed["Content-Language"] = customer.language
    composed.set_content(text)
    lines = text.replace("&", "&amp;").replace("<", "&lt;").split("\n\n")
    html = "".join(f"<p>{line.replace(chr(10), '<br>')}</p>" for line in lines)
    composed.add_alternative(f"<html><body>{html}</body></html>", subtype="html")
    return composed.as_bytes()
