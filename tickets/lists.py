"""Named lists: values or customers' addresses that many cells of tables use under one name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from tickets.errors import SettingRefused, StaleSetting
from tickets.journal import (
    Change,
    check_room,
    clean_label,
    record,
)
from tickets.store import AnyRow
from tickets.tables import (
    ListRow,
)
from tickets.values import JSON, json_problem

#: Most lists in one desk, entries of one list, and longest entry, in characters.
MAX_LISTS = 200
MAX_MEMBERS = 5_000
MEMBER_CHARS = 320

_LIST_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class ListSpec:
    """A named list. `people`: its members are e-mail addresses of customers, in lower case."""

    key: str
    label: str
    people: bool
    members: tuple[str, ...]
    saves: int = 0
    saved_by: str = ""
    saved_at: datetime | None = None


def lists(connection: Connection) -> dict[str, ListSpec]:
    """Every named list by its key."""
    rows = connection.execute(select(ListRow.__table__).order_by(ListRow.key))
    return {row.key: _list(row) for row in rows}


def save_list(connection: Connection, wanted: ListSpec, by: Change) -> ListSpec:
    """Make the list, or change it when `wanted.saves` is the number of saves that its editor has seen.

    Raises `SettingRefused`, `StaleSetting`; nothing is saved then."""
    label = clean_label(wanted.label)
    check_list_key(wanted.key)
    members = clean_members(wanted.members, people=wanted.people)
    values = {
        "label": label,
        "people": wanted.people,
        "members": list(members),
        "saves": wanted.saves + 1,
        "saved_by": by.who,
        "saved_at": by.now,
    }
    before = lists(connection).get(wanted.key)
    if before is None:
        if wanted.saves:
            raise StaleSetting(f"Somebody deleted the list {wanted.key}. Nothing was saved.")
        check_room(connection, ListRow, MAX_LISTS, "lists")
        connection.execute(insert(ListRow).values(key=wanted.key, **values))
    else:
        saved = connection.execute(
            update(ListRow).where(ListRow.key == wanted.key, ListRow.saves == wanted.saves).values(**values)
        )
        if saved.rowcount != 1:
            raise StaleSetting(f"{before.saved_by} saved this list since you opened it. Nothing was saved.")
    after = ListSpec(wanted.key, label, wanted.people, members, wanted.saves + 1, by.who, by.now)
    record(connection, by, "list", wanted.key, _said(before), _said(after))
    return after


def delete_list(connection: Connection, key: str, by: Change) -> None:
    """Remove a list that nothing uses: the caller has looked."""
    before = lists(connection).get(key)
    if before is not None:
        connection.execute(delete(ListRow).where(ListRow.key == key))
        record(connection, by, "list", key, _said(before), None)


def check_list_key(key: str) -> None:
    """Raises `SettingRefused` for what cannot be a list's key."""
    if not _LIST_KEY.fullmatch(key):
        raise SettingRefused(f"A list's key has capital letters, digits and _, a letter first, not {key[:60]!r}.")


def clean_members(given: Iterable[str], *, people: bool) -> tuple[str, ...]:
    """The members in stored form, in their order, each once. Raises `SettingRefused` with line and reason."""
    cleaned: dict[str, None] = {}
    for number, one in enumerate(given, 1):
        text = " ".join(one.split())
        if not text:
            continue
        if len(text) > MEMBER_CHARS or json_problem(text) is not None:
            raise SettingRefused(f"Line {number}: an entry has at most {MEMBER_CHARS} characters of plain text.")
        if people:
            text = text.lower()
            if not re.fullmatch(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+", text):
                raise SettingRefused(f"Line {number}: {text[:60]!r} is not an e-mail address.")
        cleaned[text] = None
    if len(cleaned) > MAX_MEMBERS:
        raise SettingRefused(f"A list has at most {MAX_MEMBERS} entries, not {len(cleaned)}. Nothing was saved.")
    return tuple(cleaned)


def _list(row: AnyRow) -> ListSpec:
    return ListSpec(
        row.key, row.label, row.people, tuple(str(one) for one in row.members), row.saves, row.saved_by, row.saved_at
    )


def _said(one: ListSpec | None) -> dict[str, JSON] | None:
    # The journal says how many, not who: a list may hold thousands of addresses, which erasure must not have to find.
    return None if one is None else {"label": one.label, "people": one.people, "entries": len(one.members)}
