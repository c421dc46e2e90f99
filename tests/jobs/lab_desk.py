"""A desk whose past is played again: drafts, replays asked for and carried out, and everything it holds as text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from jobs.replays import work as replays
from jobs.replays.work import Picked
from jobs.services import Services
from jobs.tables import ReplayItemRow, ReplayRow
from rules import files
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import MORNING
from tickets import people
from tickets.db import Base
from tickets.people import Viewer
from tickets.store import AnyRow

OWN = {ReplayRow.__tablename__, ReplayItemRow.__tablename__}


def viewer_of(desk: Services, key: str = "ana") -> Viewer:
    with desk.db.read() as connection:
        found = people.viewer(connection, key)
    assert found is not None
    return found


def draft(desk: Services, content: str | Mapping[str, Any], kind: EntryKind = EntryKind.TABLE) -> str:
    """Save this as the draft of the entry that it names, which is made when there is none."""
    data: dict[str, Any] = files.load(content) if isinstance(content, str) else dict(content)
    now = desk.clock.now()
    with desk.db.write() as connection:
        known = {one.code: one for one in rule_list.entries(connection)}
        old = known.get(data["code"])
        if old is None:
            return rule_list.create(connection, kind, data["name"], data, author="ana", now=now, code=data["code"])
        rule_list.save_draft(connection, old.code, data, author="ana", seen=old.draft_count, now=now)
        return old.code


def ask(desk: Services, *codes: str, by: str = "ana", scripts: bool = True, **picked: Any) -> int:
    """Ask for a replay of everything since `MORNING`."""
    with desk.db.write() as connection:
        which = Picked(since=picked.pop("since", MORNING), until=desk.clock.now(), **picked)
        return replays.start(connection, codes, which, viewer_of(desk, by), desk.clock.now(), scripts=scripts)


def carry_out(desk: Services) -> int:
    """Work on replays until none is due; how many items were played."""
    total = 0
    while (done := replays.carry_on(desk, budget_s=30)) is not None:
        total += done
    return total


def replay(desk: Services, *codes: str, **asked: Any) -> int:
    """Ask for a replay and carry it out; its number."""
    replay_id = ask(desk, *codes, **asked)
    carry_out(desk)
    return replay_id


def row(desk: Services, replay_id: int) -> AnyRow:
    with desk.db.read() as connection:
        found = replays.replay_of(connection, replay_id)
    assert found is not None
    return found


def outcomes(desk: Services, replay_id: int) -> dict[int, AnyRow]:
    """What the replay says of each item, by its number."""
    query = select(ReplayItemRow.__table__).where(ReplayItemRow.replay_id == replay_id)
    with desk.db.read() as connection:
        return {one.item_id: one for one in connection.execute(query.order_by(ReplayItemRow.item_id))}


def fields(outcome: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of an outcome that differ: live, with the drafts."""
    return {one["field"]: (one["live"], one["draft"]) for one in outcome["fields"]}


def everything_else(desk: Services) -> dict[str, str]:
    """Every row of every table but the replays' own, as text."""
    with desk.db.read() as connection:
        return {
            name: "\n".join(sorted(str(tuple(one)) for one in connection.execute(select(table))))
            for name, table in Base.metadata.tables.items()
            if name not in OWN
        }


_opened: list[object] | None = None
_watching = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    # An address of a Unix socket is text: that is Redis, which is told of work that is left.
    if _opened is not None and event == "socket.connect" and isinstance(args[1], tuple):
        _opened.append(args[1])


@contextmanager
def connections_opened() -> Iterator[list[object]]:
    """The addresses this process connects to meanwhile."""
    global _opened, _watching
    if not _watching:
        sys.addaudithook(_watch)
        _watching = True
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None
