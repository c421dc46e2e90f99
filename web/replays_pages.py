"""The replay lab: what drafts would have made of past items, played again from their beginning (`jobs.replays`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.aside import HIDDEN_CAP
from jobs.queues import Work
from jobs.replays import story
from jobs.replays import work as replays
from jobs.replays.told import Line
from jobs.replays.work import Picked, Refused
from jobs.system_texts import SYSTEM_TEXTS
from rules import store as rule_list
from rules.store import EntryKind, EntryNotFound, Stored
from rules.table import OTHERWISE
from tickets.kinds import KIND_PLURALS, statuses_of
from tickets.people import Permission
from tickets.values import from_iso
from web import replays_store, rules_text
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.labels import Labels, action_word, event_word, in_words
from web.names_store import names
from web.paging import asked_page
from web.refusals import said
from web.rules_open import PERMISSION, row_numbers

lab = Blueprint("replays", __name__)

#: What the form offers: since how many days, and how many tickets.
DAYS = (1, 7, 30, 90, 365)
TICKETS = (20, 100, 200, replays.MOST_ITEMS)


#: Rows that a replay's page counts at most, those with a difference first.
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class RowHits:
    """On how many tickets a row fires. `label` names it as the grid does; `drafted`: one of a draft in the replay."""

    label: str
    drafted: bool
    live: int
    draft: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The rows that fired, in the order of the rule list: on other tickets than before, and on as many; `more` were
    left out."""

    other: Sequence[RowHits]
    alike: Sequence[RowHits]
    more: int


@dataclass(frozen=True, slots=True)
class Side:
    """What happened on one side, each line with whether it has no counterpart on the other. `drafted`: with drafts."""

    drafted: bool
    lines: Sequence[tuple[Line, bool]]


@lab.get("/rules/replay")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Choose drafts and tickets; the replays of late."""
    with services().db.read() as connection:
        drafts = _drafts(connection)
        known = names(connection)
        return render_template(
            "replays.html",
            drafts=drafts,
            chosen=set(request.args.getlist("draft")) or {one.code for one in drafts[: replays.MOST_DRAFTS]},
            days=DAYS,
            tickets=TICKETS,
            which=_which(),
            teams=sorted(known.teams.items(), key=lambda one: one[1].casefold()),
            recent=replays_store.recent(connection),
            entries=known.entries,
            lab=replays,
            events=story.MOST_EVENTS,
        )


@lab.post("/rules/replay")
@needs(PERMISSION)
def start() -> ResponseReturnValue:
    """Ask for one. It is played in the background; its page says how far it is."""
    days, most = request.form.get("days", 0, type=a_number), request.form.get("tickets", 0, type=a_number)
    kind, _, status = request.form.get("which", "").partition(":")
    offered = kind in KIND_PLURALS and (not status or status in statuses_of(kind))
    if days not in DAYS or most not in TICKETS or not offered:
        raise refuse(422, gettext("Choose one of the offered values. Nothing was started."))
    picked = Picked(
        since=now() - timedelta(days=days),
        until=now(),
        kind=kind,
        status=status,
        team=request.form.get("team", ""),
        most=most,
    )
    codes = request.form.getlist("draft")
    with services().db.write() as connection:
        if not set(codes) <= {one.code for one in _drafts(connection)}:
            raise refuse(422, gettext("One of the chosen drafts is not there any more. Nothing was started."))
        try:
            scripts = request.form.get("scripts") == "1"
            replay_id = replays.start(connection, codes, picked, me(), now(), scripts=scripts)
        except EntryNotFound:
            abort(404)
        except Refused as refused:
            raise refuse(422, _refusal(refused)) from None
    services().queues.hint(Work.SCRIPTS)
    return redirect(url_for("rules.replays.one", replay_id=replay_id), 303)


@lab.get("/rules/replay/<int:replay_id>")
@needs(PERMISSION)
def one(replay_id: int) -> ResponseReturnValue:
    """How far it is and what it found: totals over all its tickets, and each ticket that this person may see."""
    with services().db.read() as connection:
        replay = replays.replay_of(connection, replay_id)
        if replay is None:
            abort(404)
        counts = replays_store.numbers(connection, me(), replay_id)
        shown = request.args.get("show", "changed")
        if shown not in replays_store.SHOWN:
            abort(404)
        totals = replays.totals(connection, replay_id)
        known = names(connection)
        words = services().live.current(connection).vocabulary
        picked = Picked.from_json(replay.picked)
        labels = Labels(known, words.of(picked.kind).custom_fields, kind=picked.kind)
        return render_template(
            "replays_one.html",
            replay=replay,
            hidden_cap=HIDDEN_CAP,
            picked=picked,
            totals=totals,
            hits=_hits(connection, replay.drafts, totals, known.entries),
            problem=_ended(replay.problem),
            tabs=_tabs(replay_id, shown, counts),
            shown=shown,
            items=replays_store.items(connection, me(), replay_id, shown, asked_page()),
            asked_by=known.users.get(replay.asked_by, replay.asked_by),
            labels=labels,
            entries=known.entries,
            note=_note,
            why_not=_why_not,
            difference=replays.difference_of,
            sides=_sides,
            kind_word=_kind_word,
            step_word=action_word,
            sentence=said,
            moment_of=from_iso,
            event_word=event_word,
            page_href=lambda n: url_for("rules.replays.one", replay_id=replay_id, show=shown, page=n),
        )


@lab.post("/rules/replay/<int:replay_id>/stop")
@needs(PERMISSION)
def stop(replay_id: int) -> ResponseReturnValue:
    """End it where it is."""
    with services().db.write() as connection:
        if replays.replay_of(connection, replay_id) is None:
            abort(404)
        stopped = replays.stop(connection, replay_id, now())
    if stopped:
        flash(gettext("The replay was stopped. What it found so far stays here."), "ok")
    else:
        flash(gettext("The replay had ended before. Nothing was changed."), "warn")
    return redirect(url_for("rules.replays.one", replay_id=replay_id), 303)


@lab.get("/rules/replay/<int:replay_id>.csv")
@needs(PERMISSION)
def as_csv(replay_id: int) -> ResponseReturnValue:
    """Each difference as a line, for a spreadsheet. Its words are the stored ones, whoever takes it."""
    with services().db.read() as connection:
        if replays.replay_of(connection, replay_id) is None:
            abort(404)
        rows = replays_store.all_items(connection, me(), replay_id)
    lines = [["Ticket", "Subject", "Outcome", "As it was", "What", "Live", "Draft"]]
    for row in rows:
        was = {True: "yes", False: "no", None: ""}[row.faithful]
        head = [str(row.id), row.subject, row.status, was]
        found = replays.difference_of(row.outcome)
        cells = [[change.field, _cell(change.live), _cell(change.draft)] for change in found.fields]
        cells += [[kind, "", what] for kind, what in found.more] + [[kind, what, ""] for kind, what in found.less]
        problem = str(row.outcome.get("problem", ""))
        lines += [[*head, *cell] for cell in cells or [[problem, "", ""]]]
    return Response(
        rules_text.separated([[rules_text.harmless(cell) for cell in line] for line in lines], ","),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="replay-{replay_id}.csv"'},
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _which() -> list[tuple[str, list[tuple[str, str]]]]:
    """Per kind its name and what the form offers: (value, a status of this kind), the first one for any status."""
    return [
        (
            in_words(plural),
            [(kind, ""), *((f"{kind}:{key}", in_words(label)) for key, label in statuses_of(kind).items())],
        )
        for kind, plural in KIND_PLURALS.items()
    ]


def _drafts(connection: Connection) -> list[Stored]:
    """The drafts that this person may put in place: scripts for those who edit scripts.

    The desk's own texts are none of them: they leave by mail alone, which a replay does not send."""
    scripts = me().may(Permission.EDIT_SCRIPTS)
    return [
        one
        for one in rule_list.entries(connection)
        if one.draft is not None and one.code not in SYSTEM_TEXTS and (scripts or one.kind is not EntryKind.SCRIPT)
    ]


def _hits(
    connection: Connection, drafts: Mapping[str, Any], totals: replays.Totals, entries: Mapping[str, str]
) -> Counted:
    places = {one.code: (place, one) for place, one in enumerate(rule_list.entries(connection))}
    found = []
    for key, (live, draft) in totals.rows.items():
        code, _, row = key.partition("/")
        place, entry = places.get(code, (len(places), None))
        then = None if entry is None else entry.working if code in drafts else entry.content
        rows, name = _rows_of(then), entries.get(code, code)
        if entry is not None and row not in rows and row in _rows_of(entry.content):
            number = row_numbers([row], entry.content)
            label = gettext("%(table)s, row %(row)s of the live version", table=name, row=number)
        else:
            label = gettext("%(table)s, row %(row)s", table=name, row=row_numbers([row], then))
        at = rows.index(row) if row in rows else len(rows)
        found.append(((place, at, row), RowHits(label, code in drafts, live, draft)))
    found.sort(key=lambda one: (one[1].live == one[1].draft, one[0]))
    kept = [one for _, one in found[:MOST_ROWS]]
    return Counted(
        [one for one in kept if one.live != one.draft],
        [one for one in kept if one.live == one.draft],
        len(found) - len(kept),
    )


def _rows_of(content: Mapping[str, Any] | None) -> list[str]:
    """The rows' ids from top to bottom, the one for all others last."""
    return [*(str(one.get("id", "")) for one in (content or {}).get("rows") or ()), OTHERWISE]


def _sides(outcome: Mapping[str, Any]) -> list[Side]:
    """What happened on both sides. Versions are left out of the comparison: those of a draft are always others."""
    both = [(drafted, replays.lines_of(outcome, side)) for drafted, side in ((False, "live"), (True, "draft"))]
    counts = [Counter(map(_alike, lines)) for _, lines in both]
    found = []
    for (drafted, lines), other in zip(both, reversed(counts), strict=True):
        left = Counter(other)
        marked = []
        for line in lines:
            key = _alike(line)
            marked.append((line, left[key] == 0))
            left[key] = max(0, left[key] - 1)
        found.append(Side(drafted, marked))
    return found


def _alike(line: Line) -> tuple[str, ...]:
    """What makes two lines the same: all but the rule's version and row, and the moment of what is no event."""
    at = line.at if line.what == "event" else ""
    return line.what, line.who, line.code, line.about, repr(line.before), repr(line.after), line.text, at


def _tabs(replay_id: int, shown: str, counts: Mapping[str, int]) -> Sequence[tuple[str, str, bool, int]]:
    labels = {
        "changed": gettext("Would differ"),
        "unlike": gettext("Not as it was"),
        "failed": gettext("Not played"),
        "all": gettext("All"),
    }
    return [
        (label, url_for("rules.replays.one", replay_id=replay_id, show=key), key == shown, counts[key])
        for key, label in labels.items()
    ]


# Words -----------------------------------------------------------------------------------------------------------


def _refusal(refused: Refused) -> str:
    match refused.why:
        case "no_draft":
            return gettext("%(code)s has no draft. Nothing was started.", code=refused.code)
        case "broken":
            return gettext(
                "The draft of %(code)s has problems that must be mended first. Nothing was started.", code=refused.code
            )
        case "none":
            return gettext("Choose at least one draft. Nothing was started.")
        case "many":
            return gettext("At most %(n)s drafts are put in place. Nothing was started.", n=replays.MOST_DRAFTS)
        case "going":
            return gettext(
                "%(n)s replays of yours are under way. Wait for one or stop it. Nothing was started.",
                n=replays.AT_ONCE,
            )
        case _:
            return gettext("No ticket that you may see is like that. Choose others. Nothing was started.")


def _ended(problem: str) -> str:
    """Why a replay ended before its time, and what to do; "" when it did not."""
    words = {
        replays.CHANGED: gettext(
            "The rules or one of the drafts were changed meanwhile, so the rest was not played. Start it again."
        ),
        replays.LATE: gettext(
            "Its %(n)s seconds of work are over, so the rest was not played. Choose fewer tickets.",
            n=int(replays.WORK_S),
        ),
        replays.BROKEN: gettext(
            "The desk for it could not be made, so nothing more was played. The log of the workers says why."
        ),
        replays.GONE: gettext("Who asked for it does not work here any more, so the rest was not played."),
    }
    return words.get(problem, problem)


def _note(note: Mapping[str, Any]) -> str:
    """At which bound one ticket was left."""
    words = {
        "events": gettext("Only its first %(n)s events from outside were played.", n=note["n"]),
        "seconds": gettext("It took more than %(n)s seconds and was left there.", n=note["n"]),
        "moments": gettext("It was left after %(n)s moments at which a time came.", n=note["n"]),
        "lines": gettext("Only the first %(n)s lines of what happened are kept.", n=note["n"]),
        "rounds": gettext("It came to no end: it was left after %(n)s rounds.", n=note["n"]),
    }
    return words[note["what"]]


def _why_not(problem: str) -> str:
    """Why one ticket was not played."""
    words = {
        replays.NOT_VISIBLE: gettext("Who asked may not see it any more."),
        replays.CUT_OFF: gettext("Whoever played it was cut off, again and again."),
        replays.UNKNOWN_NAMES: gettext("Its past names a team, a person or a place that is not there any more."),
        replays.FAILED: gettext("It could not be played again; the log of the workers says why."),
        story.UNTOLD: gettext("How it began is not kept."),
    }
    return words.get(problem) or said(problem)


def _kind_word(kind: str) -> str:
    """What differs besides fields."""
    words = {
        "message": gettext("message"),
        "note": gettext("internal note"),
        "notify": gettext("notification to"),
        "mail": gettext("e-mail"),
        "suggestion": gettext("suggested reply"),
        "webhook": gettext("webhook"),
        "change": gettext("change in a system"),
        "script": gettext("script"),
        "card": gettext("card"),
        "follow": gettext("follower"),
        "request": gettext("request"),
        "item": gettext("new item"),
        "error": gettext("error"),
    }
    return words.get(kind, kind)
