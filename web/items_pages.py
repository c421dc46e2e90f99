"""Tasks, projects, timesheets and jobs: a list for each kind, a board for pipelines, making one, and its own fields.

One item of any kind is shown by `web.ticket`; what is here is what the kinds have beside that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.queues import Work
from tickets import linking, people
from tickets import store as items
from tickets.clocks import zone_of
from tickets.effects import SetField, StateEffect
from tickets.errors import BadValue, ItemNotFound, StaleItem
from tickets.events import Actor, ActorKind, Cause
from tickets.item import STATE_FIELDS, ItemKind, StateField, clean_value
from tickets.kinds import (
    KIND_FIELDS,
    KIND_LABELS,
    KIND_PLURALS,
    PIPELINE,
    STAGE,
    STAGED,
    Pipeline,
    pipeline_of,
    priorities_of,
    statuses_of,
)
from tickets.people import Permission, Viewer
from tickets.values import JSON, from_iso
from web import items_store
from web.access import me, needs
from web.context import now, services
from web.forms import LARGEST_KEY, looks_like_email
from web.item_forms import Input, inputs, read
from web.labels import PRIORITY_TONES, STATUS_TONES, Labels
from web.names_store import Names, names
from web.paging import asked_page

pages = Blueprint("items", __name__)

#: Kinds that have a list here; tickets have the inbox.
LISTED = (ItemKind.TASK, ItemKind.PROJECT, ItemKind.TIMESHEET, ItemKind.JOB)
TEXT_CHARS = 200
#: Fields of kinds that have no column of their own in a list: the stage's column says what is set.
BESIDE_THE_STAGE = frozenset({"pipeline", "job_status"})
#: Fields of all kinds that the form for an item's details has beside the kind's own.
COMMON = ("subject", "due_at", "brand", "location")
#: Colours of approval statuses; the word stands beside it.
APPROVAL_TONES = {"submitted": "info", "approved": "ok", "rejected": "bad"}


@pages.get("/items")
@needs(Permission.WORK_TICKETS)
def start() -> ResponseReturnValue:
    """The first of the lists."""
    return redirect(url_for("items.listing", kind=LISTED[0]))


@pages.get("/items/<kind>")
@needs(Permission.WORK_TICKETS)
def listing(kind: str) -> ResponseReturnValue:
    """The items of a kind that one may see, narrowed by a filter that lives in the address."""
    known = _kind(kind)
    wanted = _wanted(known)
    with services().db.read() as connection:
        labels = _labels(connection, known)
        pipelines = _pipelines(connection, known)
        found = items_store.listed(connection, me(), wanted)
    return render_template(
        "items_list.html",
        kind=known,
        words=_words(known),
        kinds=_tabs(known, "list", pipelines),
        wanted=wanted,
        found=found,
        labels=labels,
        columns=[labels.custom[key] for key in _columns(known, found.rows)],
        statuses=statuses_of(known),
        approvals=labels.custom["approval"].options if "approval" in labels.custom else None,
        stages=_stages(pipelines),
        status_tones=STATUS_TONES,
        priority_tones=PRIORITY_TONES,
        approval_tones=APPROVAL_TONES,
        clear=url_for("items.listing", kind=known),
        href=lambda number: url_for(
            "items.listing", **{key: value for key, value in {**asdict(wanted), "page": number}.items() if value}
        ),
        day=from_iso,
    )


@pages.get("/items/<kind>/board")
@needs(Permission.WORK_TICKETS)
def board(kind: str) -> ResponseReturnValue:
    """A pipeline with its stages as columns and its unfinished items as cards."""
    known = _kind(kind)
    if known not in STAGED:
        abort(404)
    with services().db.read() as connection:
        pipelines = _pipelines(connection, known)
        chosen = pipelines.get(request.args.get("pipeline", "")) or next(iter(pipelines.values()), None)
        labels = _labels(connection, known)
        wanted = items_store.Wanted(
            known, mine=_flag("mine"), team=request.args.get("team", "")[:60], pipeline=chosen.key if chosen else ""
        )
        cards, more = items_store.board(connection, me(), wanted) if chosen else ({}, False)
    return render_template(
        "items_board.html",
        kind=known,
        words=_words(known),
        kinds=_tabs(known, "board", pipelines),
        pipelines=pipelines,
        chosen=chosen,
        cards=cards,
        more=more,
        most=items_store.BOARD_CARDS,
        wanted=wanted,
        labels=labels,
        priority_tones=PRIORITY_TONES,
        status_tones=STATUS_TONES,
    )


@pages.post("/tickets/<int:item_id>/stage")
@needs(Permission.WORK_TICKETS)
def move(item_id: int) -> ResponseReturnValue:
    """Moves an item to a stage of its pipeline, or to the next one; entering it is an event like any other."""
    viewer = me()
    wanted = request.form.get("stage", "")
    with services().db.write() as connection:
        item = items.read_item(connection, item_id, viewer=viewer, lock=True)
        if item.kind not in STAGED:
            abort(404)
        here = str(item.state.get(STAGE) or "")
        if request.form.get("was", here) != here:
            raise StaleItem(gettext("Somebody moved this since you opened the page. Nothing was changed."))
        known = items.pipelines(connection)
        if wanted == "next":
            own = pipeline_of(here, known)
            following = own.after(here) if own is not None else None
            if following is None:
                raise BadValue(gettext("This is the last stage."))
            wanted = following.key
        elif pipeline_of(wanted, known) is None:
            raise BadValue(gettext("There is no such stage."))
        items.change_item(
            connection,
            item,
            lines=(items.Lines((SetField(STAGE, wanted),), Cause("person", label=viewer.name)),),
            actor=_actor(viewer),
            now=now(),
        )
    services().queues.hint(Work.DRAIN)
    if request.form.get("back") == "board":
        return redirect(url_for("items.board", kind=item.kind, pipeline=request.form.get("pipeline") or None), 303)
    return redirect(url_for("ticket.page", item_id=item_id), 303)


@pages.post("/tickets/<int:item_id>/details")
@needs(Permission.WORK_TICKETS)
def details(item_id: int) -> ResponseReturnValue:
    """Saves the item's own fields. Only those are written that the person changed; one that somebody else has changed
    since the page came is not overwritten."""
    viewer = me()
    with services().db.write() as connection:
        item = items.read_item(connection, item_id, viewer=viewer, lock=True)
        effects: list[StateEffect] = []
        zone = zone_of(connection, item.state.get("brand"), viewer.zone)
        for field in editable(names(connection), items.custom_fields(connection, item.kind)):
            was = request.form.get(f"was:{field.key}")
            if was is None or _given(field.key) == _plain(was):
                continue  # not on this form, or left as it was
            if _plain(was) != _plain(shown_as(inputs([field], item.state, zone)[0])):
                raise StaleItem(
                    gettext(
                        "%(field)s was changed by somebody else since you opened this page. Nothing was saved.",
                        field=gettext(field.label),
                    )
                )
            value = read(request.form, field, zone)
            if field.key == "subject" and value is None:
                raise BadValue(gettext("Give it a subject."))
            effects.append(SetField(field.key, value))
        for flag in ("published", "archived"):
            if f"was:{flag}" in request.form:
                on = request.form.get(flag) == "yes"
                if on is not bool(item.state.get(flag)):
                    effects.append(SetField(flag, on or None))
        items.change_item(
            connection,
            item,
            lines=(items.Lines(tuple(effects), Cause("person", label=viewer.name)),),
            actor=_actor(viewer),
            now=now(),
        )
    services().queues.hint(Work.DRAIN)
    return redirect(url_for("ticket.page", item_id=item_id), 303)


def editable(known: Names, custom: Mapping[str, StateField]) -> list[StateField]:
    """The fields that the details form of a kind with these fields has, in order. A stage is moved, not edited."""
    common = [STATE_FIELDS[key] for key in COMMON]
    labels: Mapping[str, Mapping[str, str]] = {"brand": known.brands, "location": known.locations}
    fixed = [StateField(one.key, one.label, one.type, labels[one.key]) if one.key in labels else one for one in common]
    return [*fixed, *(_keyed(key, one) for key, one in custom.items() if one.key not in (STAGE, PIPELINE))]


def _keyed(key: str, field: StateField) -> StateField:
    return StateField(f"fields.{key}", field.label, field.type, field.options, field.max_chars)


def shown_as(one: Input) -> str:
    """What a form says that it showed in a field, to see later whether somebody else has changed it since."""
    return ",".join(one.values) if one.kind == "ticks" else one.value


def _given(key: str) -> str:
    return _plain(",".join(request.form.getlist(key)))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


# A new one -------------------------------------------------------------------------------------------------------


@pages.get("/items/<kind>/new")
@needs(Permission.WORK_TICKETS)
def new(kind: str) -> ResponseReturnValue:
    """The form for a new item of this kind, part of another one if the address says so."""
    return _new_form(_kind(kind), {"part_of": request.args.get("part_of", "")[:10]}, {})


@pages.post("/items/<kind>/new")
@needs(Permission.WORK_TICKETS)
def create(kind: str) -> ResponseReturnValue:
    """Makes it; every problem is shown at once beside its field."""
    known = _kind(kind)
    viewer = me()
    given = request.form
    problems: dict[str, str] = {}
    state: dict[str, JSON] = {}
    with services().db.read() as connection:
        words = names(connection)
        custom = items.custom_fields(connection, known)
        fields = editable(words, custom)
    for field in fields:
        try:
            state[field.key] = read(given, field, viewer.zone)
        except BadValue as error:
            problems[field.key] = str(error)
    if not state.get("subject"):
        problems.setdefault("subject", gettext("Give it a subject."))
    for key, choices in (("team", words.teams), ("priority", priorities_of(known))):
        state[key] = given.get(key) or None
        if state[key] is not None and state[key] not in choices:
            problems[key] = gettext("Choose one of the list.")
    chosen = [one for one in given.getlist("assignees") if one]
    if any(one not in words.working for one in chosen):
        problems["assignees"] = gettext("Choose one of the list.")
    state["assignees"] = list(chosen) or None
    if known in STAGED and given.get("pipeline"):
        try:
            state[PIPELINE] = clean_value(custom["pipeline"], given["pipeline"])
        except BadValue:
            problems["pipeline"] = gettext("Choose one of the list.")
    email = given.get("email", "").strip()
    if email and not looks_like_email(email):
        problems["email"] = gettext("This is not an e-mail address.")
    parent = given.get("part_of", "").strip().removeprefix("#")
    if parent and not (parent.isascii() and parent.isdigit() and 0 < int(parent[:11]) <= LARGEST_KEY):
        problems["part_of"] = gettext("This is not the number of an item.")
    if problems:
        return _new_form(known, given.to_dict(), problems), 422
    try:
        made = _make(known, state, email, int(parent) if parent else None, viewer)
    except (ItemNotFound, BadValue) as error:
        return _new_form(known, given.to_dict(), {"part_of": str(error)}), 422
    services().queues.hint(Work.DRAIN)
    flash(gettext("%(kind)s %(n)s was created.", kind=gettext(KIND_LABELS[known]), n=made), "ok")
    with services().db.read() as connection:
        try:
            items.read_item(connection, made, viewer=viewer)
        except ItemNotFound:  # a restricted team hides what others file for it
            return redirect(url_for("items.listing", kind=known), 303)
    return redirect(url_for("ticket.page", item_id=made), 303)


def _make(kind: ItemKind, state: dict[str, JSON], email: str, parent: int | None, viewer: Viewer) -> int:
    """The number of the new item. Raises `ItemNotFound` for a parent the viewer may not see; then nothing was made."""
    with services().db.write() as connection:
        owner = items.read_item(connection, parent, viewer=viewer, lock=True) if parent is not None else None
        person: JSON = None
        if email:
            person = people.person_for(connection, email=email, name="", language="", now=now())
        elif owner is not None:
            person = owner.state.get("customer")
        actor, cause = _actor(viewer), Cause("person", label=viewer.name)
        made = items.create_item(connection, kind=kind, state={**state, "customer": person}, actor=actor, now=now())
        if owner is not None:
            assert made.event_id is not None
            linking.join(connection, owner.id, made.item_id, "contains")
            there: dict[str, str | int] = {"way": "contains", "item": made.item_id}
            here: dict[str, str | int] = {"way": "part_of", "item": owner.id}
            linking.tell(connection, owner, actor=actor, cause=cause, now=now(), after=there)
            linking.note(connection, made.item_id, made.event_id, actor=actor, cause=cause, now=now(), after=here)
    return made.item_id


def _new_form(kind: ItemKind, given: Mapping[str, str], problems: Mapping[str, str]) -> str:
    viewer = me()
    with services().db.read() as connection:
        words = names(connection)
        fields = editable(words, items.custom_fields(connection, kind))
        pipelines = _pipelines(connection, kind)
    first = {"subject": given.get("subject", "")}
    shown = inputs(fields, first, viewer.zone)
    nobody = ("", gettext("none"))
    return render_template(
        "items_new.html",
        kind=kind,
        words=_words(kind),
        given=given,
        problems=problems,
        fields=[
            Input(one.key, one.label, one.kind, given.get(one.key, one.value), one.values, one.options) for one in shown
        ],
        teams=[nobody, *words.teams.items()],
        people=[nobody, *words.colleagues.items()],
        priorities=[(key, gettext(text)) for key, text in priorities_of(kind).items()],
        pipelines=[nobody, *((one.key, one.label) for one in pipelines.values())] if kind in STAGED else None,
    )


# Words -----------------------------------------------------------------------------------------------------------


def _kind(kind: str) -> ItemKind:
    if kind not in LISTED:
        abort(404)
    return ItemKind(kind)


def _words(kind: str) -> dict[str, str]:
    return {
        "one": gettext(KIND_LABELS[kind]),
        "many": gettext(KIND_PLURALS[kind]),
        "new": {
            "task": gettext("New task"),
            "project": gettext("New project"),
            "timesheet": gettext("New timesheet"),
            "job": gettext("New job"),
        }[kind],
    }


def _tabs(kind: str, view: str, pipelines: Mapping[str, Pipeline]) -> list[tuple[str, str, bool, int]]:
    """The kinds beside each other; a board for those in pipelines."""
    tabs = [
        (gettext(KIND_PLURALS[one]), url_for("items.listing", kind=one), one == kind and view == "list", 0)
        for one in LISTED
    ]
    if pipelines or kind in STAGED:
        tabs.append((gettext("Board"), url_for("items.board", kind=ItemKind.JOB), view == "board", 0))
    else:
        tabs.append((gettext("Board"), url_for("items.board", kind=ItemKind.JOB), False, 0))
    return tabs


def _labels(connection: Connection, kind: str) -> Labels:
    known: Names = names(connection)
    return Labels(known, items.custom_fields(connection, kind), kind=kind)


def _pipelines(connection: Connection, kind: str) -> dict[str, Pipeline]:
    return {key: one for key, one in items.pipelines(connection).items() if one.kind == kind}


def _stages(pipelines: Mapping[str, Pipeline]) -> list[tuple[str, str]]:
    several = len(pipelines) > 1
    return [
        (stage.key, f"{one.label}: {stage.label}" if several else stage.label)
        for one in pipelines.values()
        for stage in one.stages
    ]


def _columns(kind: str, lines: Sequence[items_store.Line]) -> list[str]:
    """The fields of this kind that a list of these lines shows; payments only where there are any."""
    return [
        key
        for key in KIND_FIELDS.get(kind, {})
        if key not in BESIDE_THE_STAGE and (key != "payment_status" or any(key in one.fields for one in lines))
    ]


def _flag(name: str) -> str:
    return "1" if request.args.get(name) == "1" else ""


def _wanted(kind: str) -> items_store.Wanted:
    """The filter of the address; what is not one of its choices is left out rather than refused."""
    given: Any = request.args
    status = given.get("status", "")
    return items_store.Wanted(
        kind,
        status=status if status in statuses_of(kind) else "",
        team=given.get("team", "")[:60],
        mine=_flag("mine"),
        finished=_flag("finished"),
        approval=given.get("approval", "")[:40],
        stage=given.get("stage", "")[:60],
        text=given.get("text", "").strip()[:TEXT_CHARS],
        page=asked_page(),
    )


def _actor(viewer: Viewer) -> Actor:
    return Actor(ActorKind.AGENT, viewer.key, viewer.name)
