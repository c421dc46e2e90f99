"""Replays as work: asked for by a person, done item by item in the background, kept for a time, read by pages.

Whoever works on one holds a lease on it and writes each item's outcome under its token, so that one cut off by a crash
is taken up again where it was, and none is written twice. The rule list and the drafts must stay as they were when it
began: half of a replay about one list and half about another would say nothing about either.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from rq.timeouts import BaseTimeoutException
from sqlalchemy import ColumnElement, Connection, Select, exists, func, insert, not_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from jobs.aside import counted
from jobs.claims import claim
from jobs.live import vocabulary
from jobs.preview import FieldChange
from jobs.queues import Work
from jobs.replays.lab import ITEM_S, Lab, Played, lab
from jobs.replays.story import MOST_EVENTS, Story, Untold, story
from jobs.replays.told import LINES, Differs, Line, Told, differs
from jobs.services import Services
from jobs.tables import ReplayItemRow, ReplayRow
from rules import store as rule_list
from rules.errors import RulesError, TableInvalid
from rules.parse import parse_table
from rules.store import EntryKind, Stored
from rules.vocabulary import Vocabulary
from tickets import people
from tickets.errors import TicketsError
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import WorkItem
from tickets.values import JSON, from_iso, iso
from tickets.visibility import visible

log = logging.getLogger(__name__)

#: Items that one replay takes at most, and unless told; drafts it puts in place at most.
MOST_ITEMS, ITEMS = 500, 100
MOST_DRAFTS = 20
#: Seconds of work that one replay has.
WORK_S = 120.0
#: Replays of one person that may be under way at once.
AT_ONCE = 2
#: Seconds one job goes on with replays before it looks for scripts that are due.
SLICE_S = 2.0
#: Seconds a worker may hold a replay without writing: two sides of the longest item, and as much again.
LEASE_S = 4 * ITEM_S
#: Times an item may end whoever works on it, until it is left out.
TRIES = 3
#: Characters of a sentence that is kept with an item or a replay.
SENTENCE_CHARS = 200
#: Why an item was not played, where the store does not say it; `UNTOLD` of `jobs.replays.story` is another.
NOT_VISIBLE = "It is not visible any more to who asked"
CUT_OFF = "Whoever played it was cut off, again and again"
UNKNOWN_NAMES = "Its past names a team, a person or a place that is not there any more"
FAILED = "It could not be played again; the log of the workers says why"
#: Why a replay ended before its time.
CHANGED, BROKEN, LATE, GONE = "changed", "broken", "late", "gone"


#: What becomes of one item: status, faithful and outcome of `ReplayItemRow`.
Outcome: TypeAlias = tuple[str, bool | None, Mapping[str, JSON]]


class Refused(Exception):
    """This replay is not begun. Nothing was written.

    `why`: no_draft, broken (both of `code`), none, many, going or nothing (that could be played)."""

    def __init__(self, why: str, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.why = why
        self.code = code


@dataclass(frozen=True, slots=True)
class Picked:
    """Which items: of a kind, created between two moments, in a status or a team, the newest first. "" is any."""

    since: datetime
    until: datetime
    kind: str = "ticket"
    status: str = ""
    team: str = ""
    most: int = ITEMS

    def to_json(self) -> dict[str, JSON]:
        return {**asdict(self), "since": iso(self.since), "until": iso(self.until)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Picked:
        return cls(**{**data, "since": from_iso(data["since"]), "until": from_iso(data["until"])})

    def test(self) -> ColumnElement[bool]:
        found: ColumnElement[bool] = WorkItem.created_at.between(self.since, self.until)
        for column, wanted in ((WorkItem.kind, self.kind), (WorkItem.status, self.status), (WorkItem.team, self.team)):
            if wanted:
                found = found & (column == wanted)
        return found


# Asking for it ---------------------------------------------------------------------------------------------------


def start(
    connection: Connection, codes: Sequence[str], picked: Picked, viewer: Viewer, now: datetime, *, scripts: bool = True
) -> int:
    """Ask for a replay with the drafts of these entries in place, over the picked items that `viewer` may see.

    Returns its number. Raises `Refused`, `EntryNotFound`."""
    drafts: dict[str, JSON] = {
        code: [stored.draft_count, (stored.live_version or 0) + 1]
        for code, stored in drafts_of(connection, codes).items()
    }
    if not drafts:
        raise Refused("none", "No draft was chosen")
    going = select(func.count()).where(ReplayRow.asked_by == viewer.key, ReplayRow.status == "running")
    if connection.execute(going).scalar_one() >= AT_ONCE:
        raise Refused("going", f"{AT_ONCE} replays of yours are under way; wait for one or stop it")
    wanted = items_of(connection, picked, viewer)
    if not wanted:
        raise Refused("nothing", "No ticket that you may see was picked")
    unseen = select(WorkItem.id).where(picked.test(), not_(visible(viewer)), WorkItem.id >= wanted[-1])
    made = insert(ReplayRow).values(
        asked_by=viewer.key,
        asked_at=now,
        drafts=drafts,
        revision=rule_list.revision(connection),
        picked=picked.to_json(),
        scripts=scripts,
        hidden=counted(connection, unseen),
        status="running",
        problem="",
        worked_ms=0,
        tries=0,
        due_at=now,
    )
    replay_id: int = connection.execute(made.returning(ReplayRow.id)).scalar_one()
    rows = [{"replay_id": replay_id, "item_id": one, "status": "waiting", "outcome": {}} for one in wanted]
    connection.execute(insert(ReplayItemRow), rows)
    return replay_id


def drafts_of(connection: Connection, codes: Sequence[str]) -> dict[str, Stored]:
    """The entries with these codes, whose drafts can be put in place. Raises `Refused`, `EntryNotFound`."""
    found: dict[str, Stored] = {}
    words: Vocabulary | None = None
    for code in dict.fromkeys(codes):
        stored = rule_list.entry(connection, code)
        if stored.draft is None:
            raise Refused("no_draft", f"{code} has no draft", code)
        if stored.kind is EntryKind.TABLE:
            words = words or vocabulary(connection)
            try:
                parse_table({**stored.draft, "code": code}, words)
            except TableInvalid as error:
                raise Refused("broken", f"The draft of {code} cannot be read: {error}", code) from None
        found[code] = stored
    if len(found) > MOST_DRAFTS:
        raise Refused("many", f"{len(found)} drafts were chosen; {MOST_DRAFTS} are the most")
    return found


def items_of(connection: Connection, picked: Picked, viewer: Viewer) -> list[int]:
    """The picked items that this viewer may see, the newest first."""
    most = min(max(1, picked.most), MOST_ITEMS)
    query = select(WorkItem.id).where(picked.test(), visible(viewer)).order_by(WorkItem.id.desc())
    return list(connection.execute(query.limit(most)).scalars())


@dataclass(frozen=True, slots=True)
class PlayedItem:
    """One item that was played at once: as a row of `replay_items` says it."""

    item_id: int
    status: str
    faithful: bool | None
    outcome: Mapping[str, Any]


def play_now(
    services: Services, codes: Sequence[str], picked: Picked, viewer: Viewer, *, scripts: bool = True
) -> Iterator[PlayedItem]:
    """Play at once, in this process, and write nothing: for the command line. Without codes only the live list is.

    What is left after `WORK_S` is named as not played. Raises `Refused`, `EntryNotFound`."""
    ends = time.monotonic() + WORK_S
    with services.db.read() as connection:
        drafts = {code: stored.draft or {} for code, stored in drafts_of(connection, codes).items()}
        items = items_of(connection, picked, viewer)
    with lab(services, {}, scripts=scripts) as live, lab(services, drafts, scripts=scripts) as draft:
        for item_id in items:
            if time.monotonic() >= ends:
                yield PlayedItem(item_id, "failed", None, {"problem": f"The {WORK_S:.0f} seconds of work were over"})
                continue
            try:
                with services.db.read() as connection:
                    past = story(connection, item_id, picked.until)
            except (Untold, TicketsError) as error:
                yield PlayedItem(item_id, *_failed(str(error)))
            else:
                yield PlayedItem(item_id, *_played(past, live, draft))


def stop(connection: Connection, replay_id: int, now: datetime) -> bool:
    """End it where it is; what it found stays. False when it had ended by itself."""
    values = {"status": "stopped", "due_at": None, "lease_until": None, "token": None, "ended_at": now}
    running = update(ReplayRow).where(ReplayRow.id == replay_id, ReplayRow.status == "running")
    return connection.execute(running.values(values)).rowcount == 1


# Doing it --------------------------------------------------------------------------------------------------------


def carry_on(services: Services, *, budget_s: float = SLICE_S) -> int | None:
    """Go on with the replay that waits longest, for about this many seconds.

    Returns how many items were played, None where no replay waits."""
    token = secrets.token_hex(16)
    taken = claim(
        services.db,
        ReplayRow,
        token=token,
        now=services.clock.now(),
        lease_s=LEASE_S,
        limit=1,
        values={"tries": ReplayRow.tries + 1},
        returning=tuple(ReplayRow.__table__.c),
    )
    if not taken:
        return None
    played = _Slice(services, token, taken[0]).work(time.monotonic() + budget_s)
    services.queues.hint(Work.SCRIPTS)
    return played


class _Slice:
    """One worker's turn at one replay."""

    def __init__(self, services: Services, token: str, row: AnyRow) -> None:
        self._services = services
        self._token = token
        self._row = row
        self._worked_ms: int = row.worked_ms
        self._since = time.monotonic()

    def work(self, ends: float) -> int:
        """Play items until the turn is over. Returns how many."""
        row = self._row
        problem, drafts, viewer = self._as_it_began()
        if problem or viewer is None:
            self._end("ended", problem or GONE)
            return 0
        if row.tries > TRIES:
            self._leave_out_next()
        played = 0
        with ExitStack() as stack:
            try:
                live = stack.enter_context(lab(self._services, {}, scripts=row.scripts))
                draft = stack.enter_context(lab(self._services, drafts, scripts=row.scripts))
            except (SQLAlchemyError, TicketsError, OSError) as error:
                log.error("replay.no_lab", exc_info=error, extra={"replay": row.id})
                self._end("ended", BROKEN)
                return 0
            # Each side was furnished by itself: nothing may have been published before the second one was.
            problem = self._as_it_began()[0] or (BROKEN if any(code in draft.broken for code in drafts) else "")
            if problem:
                self._end("ended", problem)
                return 0
            while True:
                item_id = self._next()
                if item_id is None:
                    self._end("done", "")
                    return played
                if self._worked_ms + self._used_ms() >= WORK_S * 1000:
                    self._end("ended", LATE)
                    return played
                status, faithful, outcome = self._play(live, draft, item_id, viewer)
                if not self._keep(item_id, status, faithful, outcome):
                    return played
                played += 1
                if time.monotonic() >= ends:
                    self._give_back()
                    return played

    def _as_it_began(self) -> tuple[str, dict[str, Mapping[str, Any]], Viewer | None]:
        """Why it cannot go on, "" when it can; the drafts; and for whom."""
        drafts: dict[str, Mapping[str, Any]] = {}
        with self._services.db.read() as connection:
            viewer = people.viewer(connection, self._row.asked_by)
            if rule_list.revision(connection) != self._row.revision:
                return CHANGED, {}, viewer
            for code, (count, _) in self._row.drafts.items():
                try:
                    stored = rule_list.entry(connection, code)
                except rule_list.EntryNotFound:
                    return CHANGED, {}, viewer
                if stored.draft is None or stored.draft_count != count:
                    return CHANGED, {}, viewer
                drafts[code] = stored.draft
        return "", drafts, viewer

    def _next(self) -> int | None:
        with self._services.db.read() as connection:
            return connection.execute(self._waiting().limit(1)).scalar_one_or_none()

    def _waiting(self) -> Select[int]:
        waits = (ReplayItemRow.replay_id == self._row.id, ReplayItemRow.status == "waiting")
        return select(ReplayItemRow.item_id).where(*waits).order_by(ReplayItemRow.item_id)

    def _play(self, live: Lab, draft: Lab, item_id: int, viewer: Viewer) -> Outcome:
        """One item on both sides; what its row then says."""
        try:
            with self._services.db.read() as connection:
                seen = select(exists().where(WorkItem.id == item_id, visible(viewer)))
                if not connection.execute(seen).scalar_one():
                    return _failed(NOT_VISIBLE)
                past = story(connection, item_id, self._row.asked_at)
        except (Untold, TicketsError) as error:
            return _failed(str(error))
        return _played(past, live, draft)

    def _keep(self, item_id: int, status: str, faithful: bool | None, outcome: Mapping[str, JSON]) -> bool:
        """Write one item's outcome. False when the replay is no longer ours: stopped, or taken up by another."""
        now = self._services.clock.now()
        with self._services.db.write() as connection:
            if not self._update(connection, tries=0, lease_until=now + timedelta(seconds=LEASE_S)):
                return False
            connection.execute(
                update(ReplayItemRow)
                .where(
                    ReplayItemRow.replay_id == self._row.id,
                    ReplayItemRow.item_id == item_id,
                    ReplayItemRow.status == "waiting",
                )
                .values(status=status, faithful=faithful, outcome=dict(outcome))
            )
        return True

    def _leave_out_next(self) -> None:
        item_id = self._next()
        if item_id is not None:
            log.error("replay.cut_off", extra={"replay": self._row.id, "item": item_id})
            self._keep(item_id, "failed", None, {"problem": CUT_OFF})

    def _give_back(self) -> None:
        with self._services.db.write() as connection:
            self._update(connection, due_at=self._services.clock.now(), lease_until=None, token=None)

    def _end(self, status: str, problem: str) -> None:
        now = self._services.clock.now()
        with self._services.db.write() as connection:
            ended = {"status": status, "problem": problem, "ended_at": now}
            if self._update(connection, due_at=None, lease_until=None, token=None, **ended):
                log.info("replay.ended", extra={"replay": self._row.id, "status": status, "problem": problem})

    def _update(self, connection: Connection, **values: Any) -> bool:
        mine = update(ReplayRow).where(
            ReplayRow.id == self._row.id, ReplayRow.token == self._token, ReplayRow.status == "running"
        )
        return connection.execute(mine.values(worked_ms=self._worked_ms + self._used_ms(), **values)).rowcount == 1

    def _used_ms(self) -> int:
        return int((time.monotonic() - self._since) * 1000)


def _failed(problem: str) -> Outcome:
    return "failed", None, {"problem": problem[:SENTENCE_CHARS]}


def _played(past: Story, live: Lab, draft: Lab) -> Outcome:
    """This past on both sides. One that cannot be played is no reason to say nothing about the others."""
    try:
        return outcome_of(past, live.play(past), draft.play(past))
    except (TicketsError, RulesError) as error:
        return _failed(str(error))
    except IntegrityError:
        return _failed(UNKNOWN_NAMES)
    except BaseTimeoutException:
        raise  # RQ's time is up
    except Exception as error:
        log.error("replay.failed", exc_info=error, extra={"item": past.item_id})
        return _failed(FAILED)


def outcome_of(past: Story, live: Played, draft: Played) -> Outcome:
    """Whether the two sides differ; whether the live one came to what really happened; and all that is kept of it."""
    between = differs(live.told, draft.told)
    from_real = differs(past.real, live.told)
    notes: list[JSON] = []
    if past.cut:
        notes.append({"what": "events", "n": MOST_EVENTS})
    cut = live.cut or draft.cut
    if cut is not None:
        notes.append({"what": cut.what, "n": cut.most})
    if live.told.more_lines or draft.told.more_lines:
        notes.append({"what": "lines", "n": LINES})
    missing = list(dict.fromkeys([*live.told.missing, *draft.told.missing]))
    changed = not between.same or live.told.rows != draft.told.rows
    outcome: dict[str, JSON] = {
        **between.to_json(),
        "rows": {"live": dict(live.told.rows), "draft": dict(draft.told.rows)},
        "missing": list(missing),
        "notes": notes,
        "real": from_real.to_json() if not from_real.same else None,
    }
    if changed or not from_real.same:
        outcome["lines"] = {"live": _lines(live.told), "draft": _lines(draft.told)}
    faithful = None if live.cut is not None else from_real.same
    return ("changed" if not between.same else "same"), faithful, outcome


def _lines(told: Told) -> list[JSON]:
    """What happened as it is stored: what a line does not say is left out of it."""

    def says(key: str, value: JSON) -> bool:
        return value is not None and value != "" and not (key == "version" and value == 0)

    return [{key: value for key, value in asdict(one).items() if says(key, value)} for one in told.lines]


def lines_of(outcome: Mapping[str, Any], side: str) -> list[Line]:
    """What the stored outcome of an item says that happened on the side "live" or "draft"."""
    return [Line(**one) for one in outcome.get("lines", {}).get(side, ())]


# Reading it ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """How far a replay is and what it found, over all its items whoever may see them.

    `rows` by table/row: on how many items it fires (live, with the drafts). On `faithful` of `compared` items the live
    list came to what really happened; `missing` counts items by the operation that had no recorded answer."""

    waiting: int
    same: int
    changed: int
    failed: int
    faithful: int
    compared: int
    rows: Mapping[str, tuple[int, int]]
    missing: Mapping[str, int]

    @property
    def all(self) -> int:
        return self.waiting + self.same + self.changed + self.failed

    @property
    def played(self) -> int:
        return self.same + self.changed


def totals(connection: Connection, replay_id: int) -> Totals:
    """Add up what is there so far."""
    statuses: Counter[str] = Counter()
    live: Counter[str] = Counter()
    draft: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    faithful = compared = 0
    # Not the whole outcome: all that happened on five hundred items is much to read for every look at a page.
    parts = [ReplayItemRow.outcome[name].as_json() for name in ("rows", "missing")]
    query = select(ReplayItemRow.status, ReplayItemRow.faithful, *parts).where(ReplayItemRow.replay_id == replay_id)
    for status, as_it_was, rows, unanswered in connection.execute(query):
        statuses[status] += 1
        compared += as_it_was is not None
        faithful += as_it_was is True
        live.update((rows or {}).get("live", {}).keys())
        draft.update((rows or {}).get("draft", {}).keys())
        missing.update(unanswered or ())
    return Totals(
        waiting=statuses["waiting"],
        same=statuses["same"],
        changed=statuses["changed"],
        failed=statuses["failed"],
        faithful=faithful,
        compared=compared,
        rows={key: (live[key], draft[key]) for key in sorted({*live, *draft})},
        missing=dict(sorted(missing.items())),
    )


def replay_of(connection: Connection, replay_id: int) -> AnyRow | None:
    """The replay as stored, None when there is none."""
    return connection.execute(select(ReplayRow.__table__).where(ReplayRow.id == replay_id)).one_or_none()


def difference_of(outcome: Mapping[str, Any]) -> Differs:
    """What the stored outcome of an item says differs."""
    return Differs(
        tuple(FieldChange(**one) for one in outcome.get("fields", ())),
        tuple((kind, words) for kind, words in outcome.get("more", ())),
        tuple((kind, words) for kind, words in outcome.get("less", ())),
    )
