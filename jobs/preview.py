"""If this draft were live: the same decisions once more, with the facts of then, by the function that decides live.

Both sides are decided anew, the live rule list and the one with the draft in its place, so that a difference is the
draft's and nothing else's. Everything is read in one transaction; nothing is written, asked or sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, func, not_, select

from jobs.live import Desk
from jobs.services import Services
from jobs.tables import DecisionRow
from rules import store as rule_list
from rules.engine import Decision, Entry, Planned, RuleSet, compile_ruleset, decide
from rules.errors import FactsInvalid
from rules.facts import Facts
from rules.parse import parse_table
from rules.store import EntryKind
from rules.table import Table
from rules.trace import Trace
from tickets.effects import (
    AddTo,
    AssignNext,
    CallWebhook,
    ChangeSystem,
    CreateItem,
    Effect,
    Follow,
    LinkTo,
    LookUp,
    Notify,
    PostMessage,
    RemoveFrom,
    RunScript,
    SendMail,
    SendRequest,
    SetContext,
    SetField,
    SuggestReply,
    apply,
)
from tickets.events import SECOND_LOOKS
from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import EventRow, WorkItem
from tickets.values import JSON
from tickets.visibility import visible

#: How many decided events a preview looks at unless told, and at most.
LAST_EVENTS = 200
MOST_EVENTS = 2_000
#: How far events that the viewer may not see are counted.
HIDDEN_CAP = 1_000
#: Characters of a text that a change shows.
TEXT_CHARS = 120


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that would end up different: what the live list makes of it, and what the draft would."""

    field: str
    live: JSON
    draft: JSON


@dataclass(frozen=True, slots=True)
class Difference:
    """One event on which the draft would do something else. Rows are ids of the table's rows that fire.

    `more` and `less` are effects besides fields ("message", its words) that only the draft, only the live list has."""

    event_id: int
    item_id: int
    subject: str
    at: datetime
    live_rows: tuple[str, ...]
    draft_rows: tuple[str, ...]
    fields: tuple[FieldChange, ...]
    more: tuple[tuple[str, str], ...]
    less: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """On how many events a row fires."""

    live: int
    draft: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What the draft would have done on the last events. `events` are those that could be compared.

    `hidden` events are on tickets the viewer may not see; `skipped` could not be compared, by reason. `hits` is by row
    id; `effects` counts the draft's and the live list's effects by kind. `triggered` events ran the table at all, and
    `unmatched` of them no row of the draft took."""

    code: str
    live_version: int | None
    switched_off: bool
    events: int
    hidden: int
    since: datetime | None
    triggered: int
    unmatched: int
    different: tuple[Difference, ...]
    hits: Mapping[str, Hits]
    effects: Mapping[str, Hits]
    skipped: Mapping[str, int]
    days: tuple[tuple[str, int, int], ...]  # (ISO date, events, different ones), oldest first
    met: tuple[int, ...] = ()  # the items whose events were compared


@dataclass(frozen=True, slots=True)
class Why:
    """Both decisions on one event, for the page that explains a difference."""

    event_id: int
    item_id: int
    subject: str
    at: datetime
    live: Trace
    draft: Trace


@dataclass(frozen=True, slots=True)
class _Case:
    """One stored event, ready to be decided again."""

    row: AnyRow
    facts: Facts
    held: frozenset[str]
    staged: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class _Sides:
    """The two rule lists."""

    live: RuleSet
    draft: RuleSet
    live_version: int | None
    switched_off: bool


def preview(
    services: Services, code: str, draft: Mapping[str, JSON], viewer: Viewer, last: int = LAST_EVENTS
) -> Preview:
    """The draft of table `code` against what is live, over the last decided events this viewer may see.

    Raises `TableInvalid` when the draft does not parse, `EntryNotFound` when there is no such entry."""
    with services.db.read() as connection:
        desk = services.live.current(connection)
        sides = _sides(connection, desk, code, draft)
        cases, skipped = _cases(connection, viewer, min(max(1, last), MOST_EVENTS))
        hidden = _hidden(connection, viewer, cases[-1].row.id if cases else None)
    return _compare(code, sides, cases, skipped, hidden)


def why(services: Services, code: str, draft: Mapping[str, JSON], viewer: Viewer, event_id: int) -> Why | None:
    """Both decisions on one event, or None when it was never decided or is not visible to this viewer.

    Raises like `preview`."""
    with services.db.read() as connection:
        desk = services.live.current(connection)
        sides = _sides(connection, desk, code, draft)
        cases, _ = _cases(connection, viewer, 1, event_id=event_id)
    if not cases:
        return None
    case = cases[0]
    live, drafted = _decide(sides.live, case), _decide(sides.draft, case)
    return Why(event_id, case.row.item_id, _subject(case), case.row.at, live.trace, drafted.trace)


def beside(
    connection: Connection, desk: Desk, code: str, draft: Mapping[str, JSON], event_ids: Sequence[int]
) -> Preview:
    """The draft against what is live on exactly these events, whoever may see them: only counts may be shown of it.

    Raises like `preview`."""
    rows = connection.execute(_DECIDED.where(EventRow.id.in_(event_ids)).order_by(EventRow.id.desc())).all()
    cases, skipped = _cases_of(connection, rows)
    return _compare(code, _sides(connection, desk, code, draft), cases, skipped, 0)


# The two sides ---------------------------------------------------------------------------------------------------


def _sides(connection: Connection, desk: Desk, code: str, draft: Mapping[str, JSON]) -> _Sides:
    stored = rule_list.entry(connection, code)
    if stored.kind is not EntryKind.TABLE:
        raise rule_list.EntryNotFound(f"{code} is not a table")
    table: Table = parse_table({**draft, "code": code}, desk.vocabulary)
    version = (stored.live_version or 0) + 1
    # On even when the switch is off: who edits a table wants to see what it would do.
    entry = Entry(code, str(draft.get("name") or stored.name), version, stored.position, True, table)
    others = [one for one in desk.ruleset.entries if one.code != code]
    drafted = compile_ruleset(desk.revision, (*others, entry), desk.vocabulary)
    return _Sides(desk.ruleset, drafted, stored.live_version, not stored.enabled)


def _decide(ruleset: RuleSet, case: _Case) -> Decision:
    """The live function. What was not answered then is not waited for now."""
    return decide(
        ruleset,
        case.facts,
        held=case.held,
        staged=case.staged,
        wait_over=frozenset(entry.code for entry in ruleset.entries),
    )


# The stored events -----------------------------------------------------------------------------------------------


_DECIDED = (
    select(
        EventRow.id,
        EventRow.item_id,
        EventRow.at,
        EventRow.kind,
        EventRow.root_id,
        EventRow.depth,
        WorkItem.subject,
    )
    .join(WorkItem, WorkItem.id == EventRow.item_id)
    # A late answer decides rows of an earlier event again; that event is looked at with the answer in its place.
    .where(EventRow.status == "done", EventRow.kind.not_in(SECOND_LOOKS))
    .where(EventRow.id.in_(select(DecisionRow.event_id)))
)


def _cases(
    connection: Connection, viewer: Viewer, last: int, *, event_id: int | None = None
) -> tuple[list[_Case], Counter[str]]:
    """The newest decided events this viewer may see, newest first, and why some cannot be decided again."""
    query = _DECIDED.where(visible(viewer)).order_by(EventRow.id.desc()).limit(last)
    if event_id is not None:
        query = query.where(EventRow.id == event_id)
    return _cases_of(connection, connection.execute(query).all())


def _cases_of(connection: Connection, rows: Sequence[AnyRow]) -> tuple[list[_Case], Counter[str]]:
    decisions = _decisions(connection, [row.id for row in rows])
    fired_before = _fired_before(connection, rows)
    cases: list[_Case] = []
    skipped: Counter[str] = Counter()
    for row in rows:
        parts = decisions[row.id]
        try:
            first = Facts.from_json(parts[0].facts)
            answers = {**first.lookups, **Facts.from_json(parts[-1].facts).lookups}
        except FactsInvalid as error:
            skipped[str(error)] += 1
            continue
        cases.append(_Case(row, replace(first, lookups=answers), fired_before[row.id], _staged(parts[0].done)))
    return cases, skipped


def _decisions(connection: Connection, event_ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    """The parts of each event's decision in order. An event that waited has the answers only in its last part."""
    rows = connection.execute(
        select(DecisionRow.event_id, DecisionRow.facts, DecisionRow.done)
        .where(DecisionRow.event_id.in_(event_ids))
        .order_by(DecisionRow.event_id, DecisionRow.part)
    )
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.event_id, []).append(row)
    return found


def _fired_before(connection: Connection, rows: Sequence[AnyRow]) -> dict[int, frozenset[str]]:
    """Rows that earlier events of the same chain had fired: those are held, now as then."""
    found: dict[int, frozenset[str]] = {row.id: frozenset() for row in rows}
    chained = {row.id: row.root_id for row in rows if row.depth}
    if not chained:
        return found
    done: dict[int, list[tuple[int, frozenset[str]]]] = {}
    for event_id, root_id, steps in connection.execute(
        select(EventRow.id, func.coalesce(EventRow.root_id, EventRow.id), DecisionRow.done)
        .join(DecisionRow, DecisionRow.event_id == EventRow.id)
        .where(func.coalesce(EventRow.root_id, EventRow.id).in_(set(chained.values())))
    ):
        keys = frozenset(str(step["row_key"]) for step in steps if step.get("row"))
        done.setdefault(root_id, []).append((event_id, keys))
    for event_id, root_id in chained.items():
        earlier = [keys for other, keys in done.get(root_id, ()) if other < event_id]
        found[event_id] = frozenset().union(*earlier)
    return found


def _staged(done: Sequence[Mapping[str, Any]]) -> dict[str, JSON]:
    """What a finished script had written before the rules looked at its event."""
    return {
        str(change["field"]): cast(JSON, change["after"])
        for step in done
        if not step.get("row")
        for change in step.get("changes", ())
    }


def _hidden(connection: Connection, viewer: Viewer, oldest: int | None) -> int:
    unseen = (
        select(EventRow.id)
        .join(WorkItem, WorkItem.id == EventRow.item_id)
        .where(EventRow.status == "done", EventRow.kind.not_in(SECOND_LOOKS), not_(visible(viewer)))
        .where(EventRow.id.in_(select(DecisionRow.event_id)))
        .limit(HIDDEN_CAP)
    )
    if oldest is not None:
        unseen = unseen.where(EventRow.id >= oldest)
    return connection.execute(select(func.count()).select_from(unseen.subquery())).scalar_one()


# Comparing -------------------------------------------------------------------------------------------------------


def _compare(code: str, sides: _Sides, cases: Sequence[_Case], unreadable: Counter[str], hidden: int) -> Preview:
    different: list[Difference] = []
    hits: dict[str, Counter[str]] = {"live": Counter(), "draft": Counter()}
    effects: dict[str, Counter[str]] = {"live": Counter(), "draft": Counter()}
    days: dict[str, list[int]] = {}
    skipped = Counter(unreadable)
    compared = triggered = unmatched = 0
    met: list[int] = []
    for case in cases:
        live, draft = _decide(sides.live, case), _decide(sides.draft, case)
        missing = _not_recorded(code, case, (live, draft))
        if missing:
            skipped[f"The answer of {missing} is not recorded"] += 1
            continue
        compared += 1
        met.append(case.row.item_id)
        for side, decision in (("live", live), ("draft", draft)):
            hits[side].update(_rows(code, decision))
            effects[side].update(kind for kind, _ in _said(decision.planned))
        ran = any(one.code == code for one in draft.trace.entries)
        triggered += ran
        unmatched += ran and not set(_rows(code, draft)) - {"otherwise"}
        day = days.setdefault(case.row.at.date().isoformat(), [0, 0])
        day[0] += 1
        one = _difference(code, case, live, draft)
        if one is not None:
            different.append(one)
            day[1] += 1
    return Preview(
        code=code,
        live_version=sides.live_version,
        switched_off=sides.switched_off,
        events=compared,
        hidden=hidden,
        since=cases[-1].row.at if cases else None,
        triggered=triggered,
        unmatched=unmatched,
        different=tuple(different),
        hits=_both(hits),
        effects=_both(effects),
        skipped=dict(skipped),
        days=tuple((date, *days[date]) for date in sorted(days)),  # type: ignore[misc]  # two counts each
        met=tuple(dict.fromkeys(met)),
    )


def _both(counts: Mapping[str, Counter[str]]) -> dict[str, Hits]:
    keys = {*counts["live"], *counts["draft"]}
    return {key: Hits(counts["live"][key], counts["draft"][key]) for key in sorted(keys)}


def _not_recorded(code: str, case: _Case, decisions: Sequence[Decision]) -> str:
    """A question of this table's that was never answered for this event, so that nobody can tell; "" for none."""
    for decision in decisions:
        for skipped in decision.skipped:
            if not skipped.row_key.startswith(f"{code}/") or skipped.failed:
                continue
            for key in skipped.lookups:
                answer = case.facts.lookups.get(key.name)
                if answer is None or answer.get("state") == "asked":
                    return key.name
    return ""


def _rows(code: str, decision: Decision) -> tuple[str, ...]:
    return tuple(key.partition("/")[2] for key in decision.fired if key.startswith(f"{code}/"))


def _difference(code: str, case: _Case, live: Decision, draft: Decision) -> Difference | None:
    state = {key: value for key, value in case.facts.item.items() if key not in ("id", "kind", "created_at")}
    after_live, after_draft = _state_after(state, live.planned), _state_after(state, draft.planned)
    fields = tuple(
        FieldChange(key, after_live.get(key), after_draft.get(key))
        for key in dict.fromkeys([*after_live, *after_draft])
        if after_live.get(key) != after_draft.get(key)
    )
    said_live, said_draft = Counter(_others(live.planned)), Counter(_others(draft.planned))
    more, less = tuple((said_draft - said_live).elements()), tuple((said_live - said_draft).elements())
    if not fields and not more and not less:
        return None
    return Difference(
        event_id=case.row.id,
        item_id=case.row.item_id,
        subject=_subject(case),
        at=case.row.at,
        live_rows=_rows(code, live),
        draft_rows=_rows(code, draft),
        fields=fields,
        more=more,
        less=less,
    )


def _subject(case: _Case) -> str:
    return str(case.row.subject or case.facts.item.get("subject") or "")


def _state_after(state: Mapping[str, JSON], planned: Sequence[Planned]) -> Mapping[str, JSON]:
    effects = [effect for one in planned for effect in one.effects]
    return apply(state, [one for one in effects if isinstance(one, (SetField, AddTo, RemoveFrom))])[0]


def _others(planned: Sequence[Planned]) -> list[tuple[str, str]]:
    """Effects that write no field, in words."""
    return [said for said in _said(planned) if said[0] != "field"]


def _said(planned: Sequence[Planned]) -> list[tuple[str, str]]:
    return [effect_words(effect) for one in planned for effect in one.effects]


def effect_words(effect: Effect) -> tuple[str, str]:
    """An effect's kind ("field", "message", "note", "notify", "card", "script", "lookup", "assign",
    "follow", "item", "link", "mail", "suggestion", "webhook", "change") and what it is about."""
    match effect:
        case SetField(name, _) | AddTo(name, _) | RemoveFrom(name, _):
            return "field", name
        case PostMessage(text=text, public=public, template=template, language=language):
            about = f"{template} ({language})" if template and language else template
            return "message" if public else "note", about or _short(text)
        case Notify(users=users, teams=teams, text=text):
            return "notify", f"{', '.join((*users, *teams))}: {_short(text)}"
        case SendMail(to=to, template=template):
            return "mail", f"{template}: {', '.join(to)}"
        case SuggestReply(text=text, template=template):
            return "suggestion", template or _short(text)
        case CallWebhook(connection=name, event=event):
            return "webhook", f"{name}: {event}"
        case ChangeSystem(connection=name, operation=operation):
            return "change", f"{name}.{operation}"
        case SetContext(key=key, title=title):
            return "card", title or key
        case RunScript(script=script):
            return "script", script
        case LookUp(connection=name, operation=operation):
            return "lookup", f"{name}.{operation}"
        case AssignNext(team=team):
            return "assign", f"next of {team}"
        case Follow(users=users):
            return "follow", ", ".join(users)
        case CreateItem(kind=kind, subject=subject):
            return "item", f"{kind}: {_short(subject)}"
        case SendRequest(questions=questions):
            return "request", questions
        case LinkTo(item=item, way=way):
            return "link", f"{way} {item}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
