"""The rule list and its versions: tables, scripts and templates, each with a draft and immutable versions.

One revision number covers everything a decision depends on besides the item: it grows with every publish, switch,
move, and change of the desk's vocabulary (`bump`). Workers read it in each event's own transaction, so a new version is
live in every worker with the next event, and there is no broadcast that could be missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, ForeignKey, String, Text, bindparam, func, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from tickets.db import Base, table_of
from tickets.prepared import Prepared, PreparedUpsert
from tickets.values import JSON

#: Most entries of one kind in the list.
MAX_ENTRIES = 999


class StoreError(Exception):
    """Base of what the rule list refuses."""


class EntryNotFound(StoreError):
    """There is no such entry or version."""


class StaleDraft(StoreError):
    """Somebody saved this draft since you opened it. Nothing of yours was saved."""


class NothingToPublish(StoreError):
    """There is no draft to publish."""


class EntryKind(StrEnum):
    TABLE = "table"
    SCRIPT = "script"
    TEMPLATE = "template"


#: The letter that begins an entry's code: A01, S01, E01.
LETTERS: Mapping[EntryKind, str] = {EntryKind.TABLE: "A", EntryKind.SCRIPT: "S", EntryKind.TEMPLATE: "E"}


class EntryRow(Base):
    """One entry. `draft_count` grows with every save of the draft; `live_version` is null before the first publish.

    A deleted one stays, so that what its versions did can be explained and its code is never given again."""

    __tablename__ = "entries"
    code: Mapped[str] = mapped_column(String(10), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(200))
    position: Mapped[int]
    enabled: Mapped[bool]
    live_version: Mapped[int | None]
    draft: Mapped[dict[str, Any] | None]
    draft_count: Mapped[int]
    draft_by: Mapped[str] = mapped_column(String(60))
    draft_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class VersionRow(Base):
    """One published version. Never changed after it was written."""

    __tablename__ = "entry_versions"
    code: Mapped[str] = mapped_column(ForeignKey("entries.code"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    content: Mapped[dict[str, Any]]
    author: Mapped[str] = mapped_column(String(60))
    note: Mapped[str] = mapped_column(Text)
    published_at: Mapped[datetime]


class RevisionRow(Base):
    """The one row that says which revision of the list is live."""

    __tablename__ = "rule_revision"
    id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int]


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry as stored. `content` is the live version's, None before the first publish."""

    code: str
    kind: EntryKind
    name: str
    position: int
    enabled: bool
    live_version: int | None
    content: Mapping[str, Any] | None
    draft: Mapping[str, Any] | None
    draft_count: int
    draft_by: str
    draft_at: datetime | None

    @property
    def working(self) -> Mapping[str, Any]:
        """What an editor opens: the draft, else the live content."""
        return self.draft if self.draft is not None else self.content or {}


@dataclass(frozen=True, slots=True)
class Version:
    code: str
    version: int
    name: str
    content: Mapping[str, Any]
    author: str
    note: str
    published_at: datetime


_REVISION = select(table_of(RevisionRow).c.revision).where(table_of(RevisionRow).c.id == 1)
#: The live revision inside another statement.
LIVE_REVISION = func.coalesce(_REVISION.scalar_subquery(), 0)


def revision(connection: Connection) -> int:
    """The live revision; 0 before the first publish."""
    found: int | None = _READ_REVISION.scalar(connection, {})
    return found or 0


def bump(connection: Connection) -> int:
    """Make the next revision live: call it in the transaction that changes what decisions depend on."""
    number: int = _BUMP.scalar(connection, {"id": 1, "revision": 1})
    return number


def entries(connection: Connection, kind: EntryKind | None = None) -> list[Stored]:
    """Every entry (of this kind) in list order."""
    if kind is None:
        return [_stored(row) for row in _READ_ALL.all(connection, {})]
    return [_stored(row) for row in _READ_KIND.all(connection, {"of": kind.value})]


def entry(connection: Connection, code: str) -> Stored:
    """The entry with this code. Raises `EntryNotFound`."""
    row = _READ_ONE.one_or_none(connection, {"this": code})
    if row is None:
        raise EntryNotFound(f"There is no {code}")
    return _stored(row)


def create(
    connection: Connection,
    kind: EntryKind,
    name: str,
    draft: Mapping[str, JSON],
    *,
    author: str,
    now: datetime,
    code: str | None = None,
) -> str:
    """A new entry at the end of the list, as a draft, switched on. Returns its code, the next free one unless given;
    the code of a deleted entry brings that one back."""
    if code is None:
        code = _next_code(connection, kind)
    last: int = _READ_LAST.scalar(connection, {})
    values = {
        "kind": kind.value,
        "name": name[:200],
        "position": last + 1,
        "enabled": True,
        "draft": {**draft, "code": code, "name": name[:200]},
        "draft_count": 1,
        "draft_by": author,
        "draft_at": now,
        "deleted_at": None,
    }
    # A file may bring back what was deleted: it goes on with the versions that it had.
    again = _BRING_BACK.run(connection, {"this": code, "of": kind.value, "live_version": None, **values})
    if again != 1:
        _INSERT_ENTRY.run(connection, {"code": code, "created_at": now, **values})
    return code


def save_draft(
    connection: Connection, code: str, draft: Mapping[str, JSON], *, author: str, seen: int, now: datetime
) -> int:
    """Replace the draft if it is still the one the editor has `seen`. Returns the new count. Raises `StaleDraft`."""
    saved = connection.execute(
        update(EntryRow)
        .where(EntryRow.code == code, EntryRow.draft_count == seen)
        .values(draft={**draft, "code": code}, draft_count=seen + 1, draft_by=author, draft_at=now)
    )
    if saved.rowcount != 1:
        current = entry(connection, code)
        raise StaleDraft(f"{current.draft_by or 'Somebody'} saved this draft since you opened it; yours was not saved")
    return seen + 1


def discard_draft(connection: Connection, code: str) -> None:
    """Throw the draft away; what is live stays."""
    connection.execute(
        update(EntryRow)
        .where(EntryRow.code == code, EntryRow.live_version.is_not(None))
        .values(draft=None, draft_count=EntryRow.draft_count + 1, draft_by="", draft_at=None)
    )


def publish(connection: Connection, code: str, *, author: str, note: str, seen: int, now: datetime) -> int:
    """Make the draft the next immutable version and live. The caller has checked that it parses.

    Raises `NothingToPublish` without a draft, `StaleDraft` when the draft is not the one `seen`."""
    current = entry(connection, code)
    if current.draft_count != seen:
        raise StaleDraft(
            f"{current.draft_by or 'Somebody'} saved this draft since you opened it; nothing was published"
        )
    if current.draft is None:
        raise NothingToPublish(f"{code} has no draft; version {current.live_version} is live")
    return _put(connection, current, current.draft, author=author, note=note, now=now)


def roll_back(connection: Connection, code: str, version: int, *, author: str, now: datetime) -> int:
    """Publish an earlier version's content again, as the newest version. Raises `EntryNotFound`."""
    old = next((one for one in versions(connection, code) if one.version == version), None)
    if old is None:
        raise EntryNotFound(f"{code} has no version {version}")
    current = entry(connection, code)
    return _put(connection, current, old.content, author=author, note=f"Rolled back to version {version}", now=now)


def switch(connection: Connection, code: str, *, enabled: bool) -> None:
    """Switch an entry on or off, live at once."""
    if connection.execute(update(EntryRow).where(EntryRow.code == code).values(enabled=enabled)).rowcount != 1:
        raise EntryNotFound(f"There is no {code}")
    bump(connection)


def remove(connection: Connection, code: str, *, now: datetime) -> None:
    """Take an entry off the list, live at once; its versions stay readable and its code is never given again."""
    gone = connection.execute(
        update(EntryRow).where(EntryRow.code == code, EntryRow.deleted_at.is_(None)).values(deleted_at=now)
    )
    if gone.rowcount != 1:
        raise EntryNotFound(f"There is no {code}")
    bump(connection)


def reorder(connection: Connection, codes: Sequence[str]) -> None:
    """Put the entries in this order; the ones not named follow in their present order."""
    present = [one.code for one in entries(connection)]
    for position, code in enumerate([*codes, *(code for code in present if code not in codes)], start=1):
        connection.execute(update(EntryRow).where(EntryRow.code == code).values(position=position))
    bump(connection)


def versions(connection: Connection, code: str) -> list[Version]:
    """Every version of an entry, newest first."""
    rows = connection.execute(
        select(
            VersionRow.code,
            VersionRow.version,
            VersionRow.name,
            VersionRow.content,
            VersionRow.author,
            VersionRow.note,
            VersionRow.published_at,
        )
        .where(VersionRow.code == code)
        .order_by(VersionRow.version.desc())
    )
    return [Version(*row) for row in rows]


def first_published(connection: Connection) -> dict[str, datetime]:
    """Since when each entry was ever live, by code."""
    rows = connection.execute(
        select(VersionRow.code, func.min(VersionRow.published_at).label("at")).group_by(VersionRow.code)
    )
    return {row.code: row.at for row in rows}


def _put(
    connection: Connection, current: Stored, content: Mapping[str, Any], *, author: str, note: str, now: datetime
) -> int:
    newest: int = _READ_NEWEST.scalar(connection, {"this": current.code})
    version = newest + 1
    name = str(content.get("name") or current.name)[:200]
    _INSERT_VERSION.run(
        connection,
        {
            "code": current.code,
            "version": version,
            "name": name,
            "content": dict(content),
            "author": author,
            "note": note,
            "published_at": now,
        },
    )
    _MAKE_LIVE.run(
        connection,
        {
            "this": current.code,
            "name": name,
            "live_version": version,
            "draft": None,
            "draft_count": current.draft_count + 1,
            "draft_by": "",
            "draft_at": None,
        },
    )
    bump(connection)
    return version


def _next_code(connection: Connection, kind: EntryKind) -> str:
    taken = {row.code for row in _READ_CODES.all(connection, {"of": kind.value})}
    letter = LETTERS[kind]
    for number in range(1, MAX_ENTRIES + 1):
        code = f"{letter}{number:02}"
        if code not in taken:
            return code
    raise NothingToPublish(f"There are already {MAX_ENTRIES} entries of kind {kind}; delete one first")


def _stored(row: Any) -> Stored:
    return Stored(
        code=row.code,
        kind=EntryKind(row.kind),
        name=row.name,
        position=row.position,
        enabled=row.enabled,
        live_version=row.live_version,
        content=row.content,
        draft=row.draft,
        draft_count=row.draft_count,
        draft_by=row.draft_by,
        draft_at=row.draft_at,
    )


# Every page about rules reads the list, and so does every worker after each publish.
_ENTRIES, _VERSIONS, _REVISIONS = table_of(EntryRow).c, table_of(VersionRow).c, table_of(RevisionRow).c
_THIS, _OF = _ENTRIES.code == bindparam("this"), _ENTRIES.kind == bindparam("of")
_QUERY = (
    select(
        _ENTRIES.code,
        _ENTRIES.kind,
        _ENTRIES.name,
        _ENTRIES.position,
        _ENTRIES.enabled,
        _ENTRIES.live_version,
        _ENTRIES.draft,
        _ENTRIES.draft_count,
        _ENTRIES.draft_by,
        _ENTRIES.draft_at,
        _VERSIONS.content,
    )
    .select_from(
        table_of(EntryRow).outerjoin(
            table_of(VersionRow), (_VERSIONS.code == _ENTRIES.code) & (_VERSIONS.version == _ENTRIES.live_version)
        )
    )
    .where(_ENTRIES.deleted_at.is_(None))
)
_IN_ORDER = _QUERY.order_by(_ENTRIES.position, _ENTRIES.code)
_READ_ALL, _READ_KIND, _READ_ONE = Prepared(_IN_ORDER), Prepared(_IN_ORDER.where(_OF)), Prepared(_QUERY.where(_THIS))
_READ_REVISION = Prepared(_REVISION)
_BUMP = PreparedUpsert(
    table_of(RevisionRow),
    lambda made: made.on_conflict_do_update(
        index_elements=["id"], set_={"revision": _REVISIONS.revision + 1}
    ).returning(_REVISIONS.revision),
)
_READ_CODES = Prepared(select(_ENTRIES.code).where(_OF))
_READ_LAST = Prepared(select(func.coalesce(func.max(_ENTRIES.position), 0).label("last")))
_READ_NEWEST = Prepared(
    select(func.coalesce(func.max(_VERSIONS.version), 0).label("newest")).where(_VERSIONS.code == bindparam("this"))
)
_BRING_BACK = Prepared(update(table_of(EntryRow)).where(_THIS, _OF, _ENTRIES.deleted_at.is_not(None)))
_INSERT_ENTRY, _INSERT_VERSION = Prepared(insert(table_of(EntryRow))), Prepared(insert(table_of(VersionRow)))
_MAKE_LIVE = Prepared(update(table_of(EntryRow)).where(_THIS))
