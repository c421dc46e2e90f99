"""Changing what a desk is made of: who did it, one line for each change, and the checks that all parts share.

Whether rules still use a thing is asked above (`web.used_by`); here is only refused what the stored items themselves
forbid. The caller makes the next revision of the rule list live in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, func, insert, select, update

from tickets.db import Base
from tickets.errors import SettingRefused
from tickets.store import AnyRow
from tickets.tables import (
    SettingChange,
    User,
    WorkItem,
)
from tickets.values import JSON, json_problem

#: Most of each part in one desk, longest label in characters, and how many lines of the journal are shown, newest kept.
MAX_PARTS = 500
LABEL_CHARS = 200
JOURNAL_LINES = 200

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes the set-up, and when."""

    who: str
    now: datetime


def lines(connection: Connection, *, limit: int = JOURNAL_LINES) -> Sequence[AnyRow]:
    """The newest changes of the set-up, newest first."""
    return connection.execute(select(SettingChange.__table__).order_by(SettingChange.id.desc()).limit(limit)).all()


def record(
    connection: Connection, by: Change, part: str, key: str, before: Mapping[str, JSON] | None,
    after: Mapping[str, JSON] | None,
) -> None:  # fmt: skip
    if before != after:
        connection.execute(
            insert(SettingChange).values(
                at=by.now, who=by.who, part=part, key=key, change={"before": before, "after": after}
            )
        )


def key_from(label: str, taken: Iterable[str], *, upper: bool = False) -> str:
    """A free key made from a label: "Second line" is second_line, of a list VIP_CUSTOMERS."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.casefold().encode("ascii", "ignore").decode()).strip("_")[:36]
    plain = plain if plain[:1].isalpha() else f"x_{plain}".strip("_")
    plain = plain.upper() if upper else plain
    known = set(taken)
    return next(one for one in (plain, *(f"{plain}_{n}" for n in range(2, MAX_PARTS + 3))) if one not in known)


def clean_label(text: str) -> str:
    label = " ".join(text.split())
    if not label:
        raise SettingRefused("It needs a name. Nothing was saved.")
    if len(label) > LABEL_CHARS or json_problem(label) is not None:
        raise SettingRefused(f"A name has at most {LABEL_CHARS} characters of plain text. Nothing was saved.")
    return label


def check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise SettingRefused(f"A key has lower case letters, digits and _, a letter first, not {key[:60]!r}.")


def clean_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingRefused(f"There is no time zone {name[:60]!r}; one is Europe/Paris.") from None
    return name


def must_be_known(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingRefused(f"There is no {what} {unknown[0][:60]!r}.")


def check_room(connection: Connection, model: type[Base], most: int, what: str) -> None:
    if connection.execute(select(func.count()).select_from(model)).scalar_one() >= most:
        raise SettingRefused(f"A desk has at most {most} {what}. Nothing was saved.")


def put(
    connection: Connection, model: type[Any], key: str, values: Mapping[str, Any], *, exists: bool, what: str
) -> None:
    if exists:
        connection.execute(update(model).where(model.key == key).values(**values))
    else:
        check_key(key)
        check_room(connection, model, MAX_PARTS, what)
        connection.execute(insert(model).values(key=key, **values))


def refuse_same_label(connection: Connection, model: type[Any], key: str, label: str) -> None:
    """Raises `SettingRefused` when another one has this name, however it is written: people choose by names.

    Asked for what is new or renamed only; two that had one name before can still be changed otherwise."""
    for other, name in connection.execute(select(model.key, model.label).where(model.key != key)):
        if name.casefold() == label.casefold():
            raise SettingRefused(
                f"There is {name} already, with the key {other}. Nobody could tell two of one name apart; choose "
                "another name. Nothing was saved."
            )


def refuse_with_items(connection: Connection, which: Any, label: str) -> None:
    many = connection.execute(select(func.count()).select_from(WorkItem).where(which)).scalar_one()
    if many:
        raise SettingRefused(f"{many} tickets and other items have {label}. Change them first; nothing was deleted.")


def refuse_with_users(connection: Connection, column: Any, key: str, label: str) -> None:
    for name, members in connection.execute(select(User.name, column)):
        if key in members:
            raise SettingRefused(f"{name} sees only what is of {label}. Change that first; nothing was deleted.")
