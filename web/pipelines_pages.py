"""Pipelines and their stages: what jobs go through, and which stages they leave by themselves."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypedDict

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from sqlalchemy import Connection, delete, func, insert, select, update

from rules import store as rule_list
from tickets import store as items
from tickets.errors import BadValue
from tickets.item import ItemKind
from tickets.kinds import MOST_JOB_STATUSES, MOST_PIPELINES, MOST_STAGES, Pipeline
from tickets.people import Permission, Viewer
from tickets.tables import JobStatusRow, PipelineRow, StageRow, WorkItem
from tickets.visibility import visible
from web.access import me, needs
from web.context import services

pages = Blueprint("pipelines", __name__)

#: The longest name of a pipeline or stage, in characters.
NAME_CHARS = 100


@pages.get("/pipelines")
@needs(Permission.SETTINGS)
def index() -> ResponseReturnValue:
    """Every pipeline with its stages, and how many unfinished and finished jobs stand in each."""
    with services().db.read() as connection:
        known = items.pipelines(connection)
        counts = _counts(connection, "stage", me())
        held = _counts(connection, "job_status", me())
    return render_template("pipelines.html", pipelines=known, counts=counts, held=held)


@pages.post("/pipelines")
@needs(Permission.SETTINGS)
def create() -> ResponseReturnValue:
    """Makes a pipeline with its stages, one per line."""
    label = _name(request.form.get("label", ""))
    stages = [_name(line) for line in request.form.get("stages", "").splitlines() if line.strip()]
    if not 1 <= len(stages) <= MOST_STAGES:
        raise BadValue(gettext("Name 1 to %(n)s stages, one per line.", n=MOST_STAGES))
    with services().db.write() as connection:
        if connection.execute(select(func.count()).select_from(PipelineRow)).scalar_one() >= MOST_PIPELINES:
            raise BadValue(gettext("There are %(n)s pipelines already.", n=MOST_PIPELINES))
        key = _free_key(connection, label)
        connection.execute(insert(PipelineRow).values(key=key, label=label, kind=ItemKind.JOB))
        for place, stage in enumerate(stages):
            _add(connection, key, stage, place)
        rule_list.bump(connection)
    flash(gettext("%(name)s was made.", name=label), "ok")
    return redirect(url_for("pipelines.index"), 303)


@pages.post("/pipelines/<key>/stages")
@needs(Permission.SETTINGS)
def add_stage(key: str) -> ResponseReturnValue:
    """Adds a stage at the end."""
    label = _name(request.form.get("label", ""))
    with services().db.write() as connection:
        known = _pipeline(connection, key)
        if len(known.stages) >= MOST_STAGES:
            raise BadValue(gettext("A pipeline has at most %(n)s stages.", n=MOST_STAGES))
        _add(connection, key, label, len(known.stages))
        rule_list.bump(connection)
    return redirect(url_for("pipelines.index"), 303)


@pages.post("/stages/<key>")
@needs(Permission.SETTINGS)
def change_stage(key: str) -> ResponseReturnValue:
    """Renames a stage, moves it up or down, or switches whether jobs leave it by themselves."""
    with services().db.write() as connection:
        pipeline = next(
            (one for one in items.pipelines(connection).values() if any(stage.key == key for stage in one.stages)), None
        )
        if pipeline is None:
            abort(404)
        order = [stage.key for stage in pipeline.stages]
        action = request.form.get("do", "")
        if action in ("up", "down"):
            place = order.index(key)
            other = place + (1 if action == "down" else -1)
            if 0 <= other < len(order):
                order[place], order[other] = order[other], order[place]
            for position, one in enumerate(order):
                connection.execute(update(StageRow).where(StageRow.key == one).values(position=position))
        elif action == "remove":
            _remove(connection, key, len(order))
        else:
            connection.execute(update(StageRow).where(StageRow.key == key).values(**_named()))
        rule_list.bump(connection)
    return redirect(url_for("pipelines.index"), 303)


@pages.post("/pipelines/<key>/payments")
@needs(Permission.SETTINGS)
def payments(key: str) -> ResponseReturnValue:
    """Says from when on a bank debit counts as paid: once it is cleared, or at once."""
    with services().db.write() as connection:
        changed = connection.execute(
            update(PipelineRow)
            .where(PipelineRow.key == key)
            .values(debit_at_once=request.form.get("debit") == "at_once")
        )
        if not changed.rowcount:
            abort(404)
        rule_list.bump(connection)
    return redirect(url_for("pipelines.index"), 303)


@pages.post("/pipelines/<key>/statuses")
@needs(Permission.SETTINGS)
def add_status(key: str) -> ResponseReturnValue:
    """Adds a status that jobs of this pipeline may have."""
    named = _named()
    with services().db.write() as connection:
        known = _pipeline(connection, key)
        if len(known.statuses) >= MOST_JOB_STATUSES:
            raise BadValue(gettext("A pipeline has at most %(n)s job statuses.", n=MOST_JOB_STATUSES))
        own = {"key": _free_key(connection, named["label"]), "pipeline": key, "position": len(known.statuses)}
        connection.execute(insert(JobStatusRow).values(**own, **named))
        rule_list.bump(connection)
    return redirect(url_for("pipelines.index"), 303)


@pages.post("/job-statuses/<key>")
@needs(Permission.SETTINGS)
def change_status(key: str) -> ResponseReturnValue:
    """Renames a job status, says whether it ends by itself, or removes it when no job has it."""
    with services().db.write() as connection:
        if connection.execute(select(JobStatusRow.key).where(JobStatusRow.key == key)).first() is None:
            abort(404)
        if request.form.get("do") == "remove":
            held = _counts(connection, "job_status", me()).get(key)
            if held is not None:
                said = gettext(
                    "%(n)s jobs have this status; give them another first. Nothing was removed.", n=held.seen
                )
                raise BadValue(_with_hidden(said, held))
            connection.execute(delete(JobStatusRow).where(JobStatusRow.key == key))
        else:
            connection.execute(update(JobStatusRow).where(JobStatusRow.key == key).values(**_named()))
        rule_list.bump(connection)
    return redirect(url_for("pipelines.index"), 303)


def _pipeline(connection: Connection, key: str) -> Pipeline:
    known = items.pipelines(connection).get(key)
    if known is None:
        abort(404)
    return known


class _Named(TypedDict):
    label: str
    automove: bool


def _named() -> _Named:
    """What the form of a stage or job status says: its name, and whether jobs go on from it by themselves."""
    return _Named(label=_name(request.form.get("label", "")), automove=request.form.get("automove") == "1")


def _remove(connection: Connection, key: str, stages: int) -> None:
    standing = _counts(connection, "stage", me()).get(key)
    if standing is not None:
        said = gettext("%(n)s jobs stand in this stage; move them first. Nothing was removed.", n=standing.seen)
        raise BadValue(_with_hidden(said, standing))
    if stages == 1:
        raise BadValue(gettext("A pipeline needs a stage. Nothing was removed."))
    connection.execute(delete(StageRow).where(StageRow.key == key))


def _add(connection: Connection, pipeline: str, label: str, position: int) -> None:
    values = {"key": _free_key(connection, label), "pipeline": pipeline, "label": label, "position": position}
    connection.execute(insert(StageRow).values(automove=False, **values))


@dataclass(frozen=True, slots=True)
class Jobs:
    """How many jobs somebody sees, and how many are hidden from them."""

    seen: int = 0
    hidden: int = 0


def _counts(connection: Connection, field: str, viewer: Viewer) -> dict[str, Jobs]:
    """How many jobs have each value of this field, of the values that any job has."""
    value = WorkItem.fields[field].as_string()
    every = select(value, func.count()).where(WorkItem.kind == ItemKind.JOB).group_by(value)
    seen: dict[str, int] = {row[0]: row[1] for row in connection.execute(every.where(visible(viewer)))}
    all_there = connection.execute(every).all()
    return {key: Jobs(seen.get(key, 0), count - seen.get(key, 0)) for key, count in all_there if key}


def _with_hidden(said: str, jobs: Jobs) -> str:
    if not jobs.hidden:
        return said
    more = ngettext("%(num)s more is hidden from you", "%(num)s more are hidden from you", jobs.hidden)
    return f"{said} {more}."


def _free_key(connection: Connection, label: str) -> str:
    """A key like the label that no pipeline, stage or status has; "next" means something else to rules."""
    ascii_text = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().casefold()
    base = re.sub(r"[^a-z0-9]+", "_", ascii_text).strip("_")[:40] or "stage"
    taken = {
        *connection.execute(select(PipelineRow.key)).scalars(),
        *connection.execute(select(StageRow.key)).scalars(),
        *connection.execute(select(JobStatusRow.key)).scalars(),
    }
    taken.add("next")
    return next(key for key in (base, *(f"{base}_{n}" for n in range(2, len(taken) + 3))) if key not in taken)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_CHARS:
        raise BadValue(gettext("A name has 1 to %(n)s characters.", n=NAME_CHARS))
    return name
