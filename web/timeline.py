"""The past of an item as a person reads it: messages, what people changed, and what automations did, folded.

Everything an event set off automatically, however many steps long, is one group under that event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from jobs.bounces import CAUSE as MAIL_CAUSE
from jobs.bounces import FIELD as mail_field
from jobs.forecast import FIELD as coming_field
from jobs.scripts_at_work import waiting_for
from rules.errors import FactsInvalid
from rules.trace import EntryTrace, RowTrace, RowVerdict, Seen, Trace, Truth
from tickets.events import ActorKind, EventKind
from tickets.linking import FIELD as links_field
from tickets.store import AnyRow
from tickets.values import JSON
from web.ticket_store import Past
from web.traced import step_words


@dataclass(frozen=True, slots=True)
class Said:
    """A message."""

    at: datetime
    row: AnyRow
    files: Sequence[AnyRow]
    mail: AnyRow | None = None  # what became of sending it, None when it is not mailed

    @property
    def bot(self) -> bool:
        return bool(self.row.author_kind == "bot")


@dataclass(frozen=True, slots=True)
class LinkChange:
    """A link that was made or taken away. `way`: relates, contains or part_of."""

    made: bool
    way: str
    other: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What a person changed by hand, or the desk by itself. `changes` holds (field, before, after)."""

    at: datetime
    who: str
    changes: Sequence[tuple[str, JSON, JSON]]
    created: bool = False
    links: Sequence[LinkChange] = ()
    called_off: Sequence[Mapping[str, JSON]] = ()  # what will not come by itself any more, each with `why`
    mails: Sequence[Mapping[str, JSON]] = ()  # that came back, or were sent again: `to`, and `reason`, `kept` or `well`
    by_itself: bool = False  # then `who` is the desk's own reason, such as "Automove"
    took_back: str = ""  # the rule or script whose changes were taken back


@dataclass(slots=True)
class Step:
    """One step of a row or script: what it came to. `result`: done, overtaken, refused, skipped, stopped."""

    key: str
    action: str
    params: Mapping[str, JSON]
    result: str
    reason: str
    changes: Sequence[tuple[str, JSON, JSON]]


@dataclass(slots=True)
class Automation:
    """One rule or script at work. A rule has a `row`, a script a `run`."""

    code: str
    version: int
    row: str
    at: datetime
    event_id: int
    steps: list[Step] = field(default_factory=list)
    trace: EntryTrace | None = None
    run: AnyRow | None = None
    decide_us: int = 0

    @property
    def row_trace(self) -> RowTrace | None:
        """Why this row fired, when the trace kept it."""
        rows = self.trace.rows if self.trace is not None else ()
        return next((one for one in rows if one.row == self.row), None)

    @property
    def because(self) -> Sequence[Seen]:
        """The conditions that held."""
        return self.row_trace.conditions if self.row_trace is not None else ()

    @property
    def passed_over(self) -> Sequence[tuple[RowTrace, Seen | None]]:
        """The rows above this one that did not fire, each with the condition that decided it."""
        found = []
        for one in self.trace.rows if self.trace is not None else ():
            if one.row == self.row:
                break
            if one.verdict is not RowVerdict.FIRED:
                found.append((one, next((seen for seen in one.conditions if seen.truth is not Truth.TRUE), None)))
        return found[:ROWS_PASSED_OVER]

    def words(self, step: Step) -> str:
        """The step as a sentence, as it read when it was done; "" when the trace has none."""
        done = self.row_trace.steps if self.row_trace is not None else ()
        return next((step_words(one.action, one.sentence) for one in done if one.step == step.key), "")

    @property
    def failed(self) -> bool:
        if self.run is not None and self.run.status not in RUNNING | WENT_WELL:
            return True
        return any(step.result == "refused" for step in self.steps)


@dataclass(slots=True)
class Group:
    """What one event set off: "2 automations ran, 5 changes"."""

    at: datetime
    until: datetime
    automations: list[Automation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waiting: bool = False
    parked: str = ""
    #: Rows that wait until what was set aside is handled again: it is the end of a script that they need a card of.
    kept: list[str] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return sum(len(step.changes) for one in self.automations for step in one.steps)

    @property
    def failed(self) -> bool:
        return bool(self.parked) or any(one.failed for one in self.automations)

    @property
    def seconds(self) -> float:
        return max(0.0, (self.until - self.at).total_seconds())

    @property
    def empty(self) -> bool:
        return not (self.automations or self.notes or self.waiting or self.parked)


Entry: TypeAlias = Said | Changed | Group

#: Rows a group lists under "why not the rows above".
ROWS_PASSED_OVER = 20
#: A run that has not ended, and one that ended as its author meant it.
RUNNING = frozenset({"queued", "running", "retrying"})
WENT_WELL = frozenset({"finished", "stopped"})


def timeline(past: Past) -> list[Entry]:
    """The entries in the order in which they happened; a group stands right after the event that set it off."""
    entries: list[Entry] = []
    groups: dict[int, Group] = {}
    bot_says: dict[int, list[Entry]] = {}
    places: list[tuple[int, int]] = []
    for event in past.events:
        root = event.root_id if event.root_id is not None else event.id
        said = [
            Said(row.created_at, row, past.attachments.get(row.id, ()), past.mails.get(row.id))
            for row in past.messages.get(event.seq, ())
        ]
        by_person = ActorKind(event.actor_kind).is_person
        if by_person or root == event.id:
            entries += said
            changed = _changed(event, past)
            if changed is not None:
                entries.append(changed)
        else:
            # What automations say stands after the group that explains it.
            bot_says.setdefault(root, []).extend(said)
        if not by_person:
            by_itself = _by_itself(event, past)
            if root == event.id:
                entries += by_itself
            else:
                bot_says.setdefault(root, []).extend(by_itself)
        if root not in groups:
            groups[root] = Group(event.at, event.at)
            places.append((len(entries), root))
        _fill(groups[root], event, past)
    for place, root in reversed(places):
        shown: list[Entry] = [] if groups[root].empty else [groups[root]]
        entries[place:place] = [*shown, *bot_says.get(root, [])]
    return entries


@dataclass(frozen=True, slots=True)
class Origin:
    """Who or what gave a field its present value. `code` names a rule or script, "" for a person."""

    who: str
    code: str
    at: datetime


def origins(past: Past) -> dict[str, Origin]:
    """Where the present value of each field that was ever changed comes from."""
    found: dict[str, Origin] = {}
    for event in past.events:
        for line in past.history.get(event.id, ()):
            if line.outcome == "done":
                found[line.field] = Origin(line.actor_name, str(line.cause.get("code", "")), line.at)
    return found


def _changed(event: AnyRow, past: Past) -> Changed | None:
    """What a person's event changed; the fields a new item began with are not listed, its message says enough."""
    if event.kind == "created":
        return None if event.message_id is not None else Changed(event.at, event.actor_name, (), created=True)
    if not ActorKind(event.actor_kind).is_person:
        return None
    changes = [(one["field"], one["before"], one["after"]) for one in event.changes]
    links = [_link_change(line.change) for line in past.history.get(event.id, ()) if line.field == links_field]
    called_off = [  # what was erased with its person says no more what it was
        line.change["before"]
        for line in past.history.get(event.id, ())
        if line.field == coming_field and line.change["before"]
    ]
    mails = _mails(event, past)
    took_back = str(event.payload.get("undone", "")) if event.kind == EventKind.UNDONE else ""
    if not (changes or links or called_off or mails or took_back):
        return None
    return Changed(
        event.at,
        event.actor_name,
        changes,
        links=links,
        called_off=called_off,
        mails=mails,
        took_back=took_back,
    )


def _mails(event: AnyRow, past: Past) -> list[Mapping[str, JSON]]:
    """What history says of mails beside this event; what was erased says nothing any more."""
    lines = past.history.get(event.id, ())
    return [line.change["after"] for line in lines if line.field == mail_field and line.change["after"]]


def _by_itself(event: AnyRow, past: Past) -> list[Changed]:
    """What neither a person nor a rule changed with this event, one entry for each reason."""
    found: dict[str, list[tuple[str, JSON, JSON]]] = {}
    for line in past.history.get(event.id, ()):
        if (
            line.outcome == "done"
            and line.cause.get("kind") == "system"
            and line.field not in (links_field, coming_field, mail_field)
        ):
            change = (line.field, line.change["before"], line.change["after"])
            found.setdefault(str(line.cause.get("label", "")), []).append(change)
    made = [Changed(event.at, reason, changes, by_itself=True) for reason, changes in found.items()]
    mails = _mails(event, past)
    return [*made, Changed(event.at, MAIL_CAUSE, (), mails=mails, by_itself=True)] if mails else made


def _link_change(change: Mapping[str, Any]) -> LinkChange:
    told = change["after"] or change["before"]
    return LinkChange(change["after"] is not None, str(told["way"]), int(told["item"]))


def _fill(group: Group, event: AnyRow, past: Past) -> None:
    """Put what this event set off into its root's group."""
    for decision in past.decisions.get(event.id, ()):
        for automation in _automations(decision, past):
            if automation.run is not None:
                # The run stood here as queued since the event that asked for it; now it shows what it did.
                group.automations = [
                    one for one in group.automations if one.run is None or one.run.id != automation.run.id or one.steps
                ]
            group.automations.append(automation)
        group.notes += [str(note) for note in decision.notes]
        if decision.outcome != "checked":
            group.until = max(group.until, decision.at)
    for run in past.runs.get(event.id, ()):
        # A run that ended well shows with what it did, under the decision that applied it.
        if not any(one.run is not None and one.run.id == run.id for one in group.automations):
            group.automations.append(Automation(run.script, run.version, "", run.created_at, event.id, run=run))
        group.until = max(group.until, run.finished_at or run.created_at)
    group.waiting = group.waiting or event.status == "waiting"
    if event.status == "parked":
        group.parked = event.error or "?"
        if event.kind == EventKind.SCRIPT:
            left_out = (one for rows in past.decisions.values() for decision in rows for one in decision.skipped)
            group.kept += waiting_for(event.payload.get("run_id"), left_out)


def _automations(decision: AnyRow, past: Past) -> list[Automation]:
    """The rows and runs of one decision, each with its steps, in list order."""
    found: dict[str, Automation] = {}
    entries = {one.code: one for one in _entries(decision.trace)}
    runs = {run.id: run for rows in past.runs.values() for run in rows}
    for one in decision.done:
        key = str(one["row_key"])
        if key not in found:
            run_id = int(key.rpartition("/run")[2]) if "/run" in key else None
            found[key] = Automation(
                code=str(one["code"]),
                version=int(one["version"]),
                row=str(one["row"]),
                at=decision.at,
                event_id=decision.event_id,
                trace=None if run_id is not None else entries.get(str(one["code"])),
                run=runs.get(run_id) if run_id is not None else None,
                decide_us=decision.decide_us,
            )
        found[key].steps.append(
            Step(
                key=str(one["step"]),
                action=str(one["action"]),
                params=one.get("params", {}),
                result=str(one["result"]),
                reason=str(one["reason"]),
                changes=[(change["field"], change["before"], change["after"]) for change in one.get("changes", ())],
            )
        )
    return list(found.values())


def _entries(trace: Mapping[str, Any]) -> Sequence[EntryTrace]:
    """A stored trace; one of another schema shows nothing rather than breaking the page."""
    try:
        return Trace.from_json(trace).entries
    except FactsInvalid:
        return ()
