"""Loading the demo desk, and taking it away again."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, delete, select

from jobs.demo import desk, places, play, projects
from jobs.demo.backoffice import BackOffice
from jobs.demo.errors import AlreadyLoaded, NotOurs
from jobs.demo.stories import DAYS, TICKETS, stories
from jobs.demo.world import customers
from jobs.services import Services
from tickets.db import Base
from tickets.tables import User

#: Words of the demo's password: easy to type, and different on every desk.
_WORDS = (
    "amber anchor apple birch bridge candle cedar clover comet copper coral falcon fern forest garden glacier "
    "harbor hazel island ivory juniper lantern lemon linen maple marble meadow mint north ocean olive orchard "
    "paper pebble pepper pine planet plum quartz raven river saffron sage silver spruce stone summer swift tango "
    "thistle timber tulip velvet violet walnut willow winter"
).split()


@dataclass(frozen=True)
class Loaded:
    """What was loaded: how many of what, the password of every demo colleague, the file that keeps both."""

    figures: dict[str, int]
    password: str
    sign_in: Path


def load(
    services: Services,
    hash_password: Callable[[str], str],
    *,
    said: Callable[[str], None] = lambda _line: None,
    count: int = TICKETS,
) -> Loaded:
    """Fill an empty desk with the demo. Workers of this desk should not run meanwhile: they would decide with today's
    clock.

    Raises `AlreadyLoaded`, `NotOurs` when something else is in the desk, `PortsTaken`; nothing is written then.
    What a load that was cut short left behind is deleted first."""
    now = services.clock.now().replace(microsecond=0)
    settings = services.settings
    unfinished = _unfinished(settings.data)
    with services.db.write() as connection:
        # Only the demo's own people: the marker may have stayed when somebody pointed the desk at another database.
        if unfinished.exists() and _people(connection) == {one.email for one in desk.COLLEAGUES}:
            said("An earlier load was cut short; beginning anew")
            _empty(connection)
        _only_into_an_empty_desk(connection, settings.data)
    found = places.make(settings.data, today=now.date(), but=settings.port)
    password = "-".join(secrets.choice(_WORDS) for _ in range(4))
    began = now - timedelta(days=DAYS + 1)
    office = BackOffice(found)
    office.start(control=False)
    clock = play.PlayedClock(began)
    playing = play.services_of(settings, clock, found)
    try:
        unfinished.touch(mode=0o600)
        with playing.db.write() as connection:
            desk.company(connection, password_hash=hash_password(password), now=began)
            desk.connections(connection, playing.box, found, now=began)
        with playing.db.write() as connection:
            projects.set_up(connection)
            desk.rules(connection, now=began)
        people = customers(found.seed, found.began)
        told = stories(people, seed=found.seed, now=now, count=count)
        deeds = projects.deeds(people, seed=found.seed, now=now)
        play.Player(playing, clock, office, found.seed, said).play(told, now=now, deeds=deeds)
        with playing.db.write() as connection:
            desk.afterwards(connection, now)
        with playing.db.read() as connection:
            figures = play.figures(connection)
    finally:
        playing.close()
        office.stop()
    sign_in = _write_sign_in(settings.data, settings.port, password)
    unfinished.unlink(missing_ok=True)
    return Loaded(figures, password, sign_in)


def reset(services: Services) -> None:
    """Empty the desk of everything, so that the demo can be loaded anew. The schema stays.

    Raises `NotOurs` when this desk is not the demo's; nothing is deleted then."""
    with services.db.read() as connection:
        if not places.path(services.settings.data).exists() or not _has_demo_people(connection):
            raise NotOurs(
                f"The desk in {services.settings.data} was not made by the demo. Nothing was deleted. "
                "To begin with an empty desk, set DESKHAND_DATA_DIR to another folder."
            )
    with services.db.write() as connection:
        _empty(connection)
    _unfinished(services.settings.data).unlink(missing_ok=True)
    (services.settings.data / "sign-in.txt").unlink(missing_ok=True)


def _unfinished(data: Path) -> Path:
    """There while a load goes on: whoever finds it later knows that the desk holds half a demo and nothing else."""
    return places.path(data).with_name("unfinished")


def _empty(connection: Connection) -> None:
    for table in reversed(Base.metadata.sorted_tables):
        connection.execute(delete(table))


def _only_into_an_empty_desk(connection: Connection, data: Path) -> None:
    if desk.is_empty(connection):
        return
    if _has_demo_people(connection):
        raise AlreadyLoaded(
            f"The demo desk is loaded already; nothing was changed. How to sign in is in {data / 'sign-in.txt'}. "
            "To begin anew: flask demo reset, then flask demo load"
        )
    raise NotOurs(
        "This desk holds data of its own, and the demo does not mix with it. Nothing was changed. "
        "For a demo beside it, set DESKHAND_DATA_DIR and DESKHAND_PORT and start ./run there."
    )


def _has_demo_people(connection: Connection) -> bool:
    return bool(_people(connection) & {one.email for one in desk.COLLEAGUES})


def _people(connection: Connection) -> set[str]:
    return set(connection.execute(select(User.email)).scalars())


def _write_sign_in(data: Path, port: int, password: str) -> Path:
    """How to sign in, for `./run` to show again at every start; readable by the owner alone."""
    lines = [
        "Sign in to the demo desk with one of these, and the same password for all:",
        *(
            f"  {one.email:<22} {one.name} ({what})"
            for key, what in ((desk.MANAGER, "manager"), (desk.DEVELOPER, "developer"), (desk.ADMIN, "everything"))
            for one in desk.COLLEAGUES
            if one.key == key
        ),
        f"  {'helen@desk.example':<22} Helen Marsh (sees the restricted team's tickets)",
        f"Password: {password}",
        f"The demo page with its buttons: http://127.0.0.1:{port}/demo",
    ]
    path = data / "sign-in.txt"
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path
