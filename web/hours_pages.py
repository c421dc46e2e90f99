"""Business calendars and SLA policies: when work is done, by when customers are answered, and trying both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy import Connection

from rules import store as rule_list
from rules.errors import ConditionFailed
from rules.operands import duration_s
from tickets.calendar import DAYS, Calendar, countries, days_off_of_ics, is_working, working_s
from tickets.errors import BadValue, SettingRefused
from tickets.item import FINISHED, STATUSES
from tickets.journal import Change
from tickets.people import Permission
from tickets.sla import TARGET_LABELS, Past, Policy, Target, due, parts
from tickets.stamps import Stamps
from tickets.store import custom_fields
from web import hours_store as store
from web.access import me, needs
from web.context import now, services
from web.labels import Labels
from web.names_store import names
from web.refusals import said
from web.settings_parts import PARTS
from web.used_by import Use, still_used, uses

pages = Blueprint("hours", __name__)

PERMISSION = Permission.SETTINGS
#: Longest text in a form, in characters; status changes that can be tried; days a list of holidays looks ahead.
FORM_CHARS, TRIED, AHEAD_DAYS = 100_000, 3, 400
DAY_LABELS = {
    "mon": lazy_gettext("Monday"),
    "tue": lazy_gettext("Tuesday"),
    "wed": lazy_gettext("Wednesday"),
    "thu": lazy_gettext("Thursday"),
    "fri": lazy_gettext("Friday"),
    "sat": lazy_gettext("Saturday"),
    "sun": lazy_gettext("Sunday"),
}


# Calendars ---------------------------------------------------------------------------------------------------------


@pages.get("/calendars")
@needs(PERMISSION)
def calendars() -> ResponseReturnValue:
    """Every calendar: its hours, its next days off, whether work is being done now."""
    with services().db.read() as connection:
        known = store.calendars(connection)
    return render_template("hours_calendars.html", calendars=[_line(one) for one in known.values()], parts=PARTS)


@dataclass(frozen=True, slots=True)
class Line:
    """A calendar as the list shows it; one that cannot be read has no days off, and is neither open nor closed."""

    stored: store.StoredCalendar
    week: Mapping[str, str]
    working: bool = False
    off: Sequence[tuple[date, str]] = ()


def _line(stored: store.StoredCalendar) -> Line:
    week, found = _week(stored.body), stored.calendar
    return Line(stored, week) if found is None else Line(stored, week, is_working(found, now()), _next_off(found))


@pages.get("/calendars/new")
@needs(PERMISSION)
def new_calendar() -> ResponseReturnValue:
    """The form of a new calendar: Monday to Friday, nine to five, in the reader's zone."""
    week = {day: [["09:00", "17:00"]] for day in DAYS[:5]}
    return _calendar_page("", "", _calendar_form("", {"zone": me().zone, "week": week}))


@pages.get("/calendars/<key>")
@needs(PERMISSION)
def calendar(key: str) -> ResponseReturnValue:
    """The form of one calendar."""
    with services().db.read() as connection:
        found = store.calendars(connection).get(key) or abort(404)
    return _calendar_page(key, found.label, _calendar_form(found.label, found.body), unreadable=found.problem)


@pages.post("/calendars/new")
@needs(PERMISSION)
def create_calendar() -> ResponseReturnValue:
    """Make a calendar."""
    return _save_calendar("")


@pages.post("/calendars/<key>")
@needs(PERMISSION)
def save_calendar(key: str) -> ResponseReturnValue:
    """Change a calendar; due times are worked out anew."""
    with services().db.read() as connection:
        if key not in store.calendars(connection):
            abort(404)
    return _save_calendar(key)


@pages.post("/calendars/<key>/delete")
@needs(PERMISSION)
def delete_calendar(key: str) -> ResponseReturnValue:
    """Delete a calendar that nothing counts by."""
    with services().db.write() as connection:
        found = store.calendars(connection).get(key) or abort(404)
        refused = _still_used(connection, "calendar", key, found.label)
        if not refused:
            try:
                store.delete_calendar(connection, key, Change(me().key, now()))
            except BadValue as error:
                refused = said(str(error))
    if refused:
        return _calendar_page(key, found.label, _calendar_form(found.label, found.body), refused=refused), 409
    flash(gettext("The calendar was deleted."), "ok")
    return redirect(url_for("hours.calendars"), 303)


def _still_used(connection: Connection, part: str, key: str, label: str) -> str:
    """Why it is not deleted: the entries that name it. "" when none does."""
    used = _uses(connection, part, key)
    return still_used(label, used) if used else ""


def _uses(connection: Connection, part: str, key: str) -> list[Use]:
    if not key:
        return []
    return uses(rule_list.entries(connection), part, key, services().live.current(connection).vocabulary)


def _save_calendar(key: str) -> ResponseReturnValue:
    form = {name: value[:FORM_CHARS] for name, value in request.form.items()}
    try:
        found = _read_calendar(form)
        with services().db.write() as connection:
            key = store.save_calendar(connection, key, form.get("label", ""), found, Change(me().key, now()))
    except (BadValue, SettingRefused) as error:
        return _calendar_page(key, form.get("label", ""), form, said(str(error))), 422
    flash(gettext("Saved. Due times are worked out anew."), "ok")
    return redirect(url_for("hours.calendar", key=key), 303)


def _read_calendar(form: Mapping[str, str]) -> Calendar:
    week = {day: [_span(part) for part in form.get(day, "").split(",") if part.strip()] for day in DAYS}
    off: dict[str, str] = {}
    for line in form.get("off", "").splitlines():
        day, _, name = line.strip().partition(" ")
        if day:
            off[day] = name.strip()
    file = request.files.get("ics")
    if file is not None and file.filename:
        data = file.read(FORM_CHARS * 10 + 1)
        if len(data) > FORM_CHARS * 10:
            raise BadValue(gettext("The file is larger than 1 MB."))
        off.update(
            {
                day.isoformat(): name
                for day, name in days_off_of_ics(data.decode("utf-8", "replace"), now().date()).items()
            }
        )
    zone, country = form.get("zone", "").strip(), form.get("country", "")
    subdivision = form.get("subdivision", "").strip() if country else ""
    return Calendar.from_json({"zone": zone, "week": week, "country": country, "subdivision": subdivision, "off": off})


def _span(text: str) -> list[str]:
    begin, _, end = text.replace("–", "-").partition("-")
    return [begin.strip(), end.strip()]


def _calendar_form(label: str, body: Mapping[str, Any]) -> dict[str, str]:
    """A calendar as it is stored, as its form shows it; also one that cannot be read."""
    return {
        "label": label,
        **{name: str(body.get(name) or "") for name in ("zone", "country", "subdivision")},
        "off": "\n".join(f"{day} {name}".strip() for day, name in sorted((body.get("off") or {}).items())),
        **_week(body),
    }


def _week(body: Mapping[str, Any]) -> dict[str, str]:
    """The hours of each day as people write them: "09:00-12:00, 13:00-17:00"."""
    week = body.get("week") or {}
    return {day: ", ".join(f"{begin}-{end}" for begin, end in week.get(day, ())) for day in DAYS}


def _next_off(calendar: Calendar) -> list[tuple[date, str]]:
    """The next three days off."""
    today = now().astimezone(calendar.zone).date()
    ahead = (today + timedelta(days=offset) for offset in range(AHEAD_DAYS))
    found: Iterator[tuple[date, str]] = ((day, calendar.holiday(day)) for day in ahead if calendar.holiday(day))
    return [one for one, _ in zip(found, range(3), strict=False)]


def _calendar_page(
    key: str, label: str, form: Mapping[str, str], problem: str = "", refused: str = "", unreadable: str = ""
) -> str:
    with services().db.read() as connection:
        used = _uses(connection, "calendar", key)
        counted = [one for one in store.policies(connection) if key and one.calendar == key]
    return render_template(
        "hours_calendar.html",
        key=key,
        label=label,
        form=form,
        problem=problem,
        refused=refused,
        unreadable=said(unreadable),
        used=used,
        counted=counted,
        days=DAY_LABELS,
        countries=countries(),
    )


# SLA policies ------------------------------------------------------------------------------------------------------


@pages.get("/sla")
@needs(PERMISSION)
def policies() -> ResponseReturnValue:
    """Every policy in order: the first that covers a ticket counts."""
    with services().db.read() as connection:
        known = store.policies(connection)
        calendars = {one.key: one.label for one in store.calendars(connection).values()}
    return render_template(
        "hours_policies.html", policies=known, calendars=calendars, targets=TARGET_LABELS, parts=PARTS
    )


@pages.get("/sla/new")
@needs(PERMISSION)
def new_policy() -> ResponseReturnValue:
    """The form of a new policy."""
    usual = Policy("", "", {Target.FIRST_REPLY: 4 * 3_600})
    return _policy_page("", _policy_form("", True, usual.to_json()))


@pages.get("/sla/<key>")
@needs(PERMISSION)
def policy(key: str) -> ResponseReturnValue:
    """The form of one policy, and what it would say of a ticket created at some time."""
    return _stored_policy_page(_policy(key))


@pages.post("/sla/new")
@needs(PERMISSION)
def create_policy() -> ResponseReturnValue:
    """Make a policy, the last in order."""
    return _save_policy("")


@pages.post("/sla/<key>")
@needs(PERMISSION)
def save_policy(key: str) -> ResponseReturnValue:
    """Change a policy; every ticket's clocks are worked out anew from their start."""
    _policy(key)
    return _save_policy(key)


@pages.post("/sla/<key>/move")
@needs(PERMISSION)
def move_policy(key: str) -> ResponseReturnValue:
    """Move a policy up or down."""
    _policy(key)
    with services().db.write() as connection:
        store.move_policy(connection, key, 1 if request.form.get("by") == "1" else -1, now())
    return redirect(url_for("hours.policies"), 303)


@pages.post("/sla/<key>/delete")
@needs(PERMISSION)
def delete_policy(key: str) -> ResponseReturnValue:
    """Delete a policy that no rule applies."""
    found = _policy(key)
    with services().db.write() as connection:
        refused = _still_used(connection, "sla", key, found.label)
        if not refused:
            store.delete_policy(connection, key, Change(me().key, now()))
    if refused:
        return _stored_policy_page(found, refused), 409
    flash(gettext("The policy was deleted."), "ok")
    return redirect(url_for("hours.policies"), 303)


def _policy(key: str) -> store.StoredPolicy:
    with services().db.read() as connection:
        found = next((one for one in store.policies(connection) if one.key == key), None)
    return found or abort(404)


def _stored_policy_page(stored: store.StoredPolicy, refused: str = "") -> str:
    form = _policy_form(stored.label, stored.enabled, stored.body)
    tried = None if stored.policy is None else _try(stored.policy)
    return _policy_page(stored.key, form, tried=tried, refused=refused, unreadable=stored.problem)


def _save_policy(key: str) -> ResponseReturnValue:
    form = {name: value[:FORM_CHARS] for name, value in request.form.items()}
    form["pauses"] = ",".join(request.form.getlist("pauses"))
    try:
        found = _read_policy(key, form)
        with services().db.write() as connection:
            if found.calendar and found.calendar not in store.calendars(connection):
                raise BadValue(gettext("There is no such calendar any more."))
            key = store.save_policy(connection, key, found, form.get("enabled") == "1", Change(me().key, now()))
    except (BadValue, SettingRefused) as error:
        return _policy_page(key, form, said(str(error))), 422
    flash(gettext("Saved. The clocks of all tickets are worked out anew."), "ok")
    return redirect(url_for("hours.policy", key=key), 303)


def _read_policy(key: str, form: Mapping[str, str]) -> Policy:
    applies = {}
    for name, text in ((form.get(f"field{n}", ""), form.get(f"values{n}", "")) for n in range(TRIED)):
        values = tuple(line.strip() for line in text.replace(",", "\n").splitlines() if line.strip())
        if name and values:
            applies[name] = values
    targets = {target.value: _seconds(form.get(target.value, "")) for target in Target}
    return Policy.from_json(
        key,
        form.get("label", ""),
        {
            "targets": {name: seconds for name, seconds in targets.items() if seconds},
            "applies": applies,
            "calendar": form.get("calendar", ""),
            "pauses": [one for one in form.get("pauses", "").split(",") if one],
            "near_s": _seconds(form.get("near", "")),
        },
    )


def _seconds(text: str) -> int:
    if not text.strip():
        return 0
    try:
        return duration_s(text)
    except ConditionFailed as error:
        raise BadValue(str(error)) from None


def _policy_form(label: str, enabled: bool, body: Mapping[str, Any]) -> dict[str, str]:
    """A policy as it is stored, as its form shows it; also one that cannot be read."""
    body = {"targets": {}, "calendar": "", "near_s": 0, "pauses": [], "applies": {}, **body}
    form = {target.value: _duration(body["targets"].get(target.value, 0)) for target in Target}
    form |= {"label": label, "calendar": body["calendar"], "near": _duration(body["near_s"])}
    form |= {"pauses": ",".join(body["pauses"]), "enabled": "1" if enabled else ""}
    for number, (name, values) in enumerate(body["applies"].items()):
        form |= {f"field{number}": name, f"values{number}": "\n".join(values)}
    return form


def _duration(seconds: int) -> str:
    """e.g. "4 h": as it is written in rules."""
    for unit, size in (("d", 86_400), ("h", 3_600)):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds // 60} min" if seconds else ""


# Try it ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the ticket's time in one status: whether it counts, and how much working time is in it."""

    status: str
    begin: datetime
    end: datetime | None
    counts: bool
    worked_s: float | None


@dataclass(frozen=True, slots=True)
class Tried:
    """What the policy says of a ticket created then: each target's due time (None while paused), and what counted."""

    created: str
    changes: list[tuple[str, str]]
    due: list[tuple[str, datetime | None, str]]
    stretches: list[Stretch]
    problem: str = ""


def _try(policy: Policy) -> Tried:
    """By the form of the address: when the ticket was created, and which statuses it came into when."""
    zone = ZoneInfo(me().zone)
    created = request.args.get("created", "")[:40] or now().astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    changes = [(request.args.get(f"at{n}", "")[:40], request.args.get(f"status{n}", "")[:40]) for n in range(TRIED)]
    try:
        start = _local(created, zone)
        trail = [(start, "open")]
        trail += sorted((_local(at, zone), status) for at, status in changes if at and status in STATUSES)
    except ValueError:
        return Tried(created, changes, [], [], gettext("A time is written like 2026-11-21T09:30."))
    if trail[1:] and trail[1][0] < start:
        return Tried(created, changes, [], [], gettext("A status cannot change before the ticket was created."))
    with services().db.read() as connection:
        stored = store.calendars(connection).get(policy.calendar)
    if stored is not None and stored.calendar is None:
        return Tried(created, changes, [], [], gettext("Its calendar cannot be read."))
    calendar = stored.calendar if stored is not None else None
    past = Past(start, tuple(trail), Stamps(trail[-1][0], start, start))
    found = []
    for target, seconds in policy.targets.items():
        due_at, left_s = due(policy, calendar, target, seconds, start, past)
        found.append((TARGET_LABELS[target], due_at, _duration(left_s - left_s % 60)))
    stretches = [
        Stretch(
            one.status,
            one.begin,
            one.end,
            one.counts,
            None if one.end is None else working_s(calendar, one.begin, one.end),
        )
        for one in parts(policy, Target.RESOLUTION, start, past.statuses)
    ]
    return Tried(created, changes, found, stretches)


def _local(text: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _policy_page(
    key: str,
    form: Mapping[str, str],
    problem: str = "",
    tried: Tried | None = None,
    refused: str = "",
    unreadable: str = "",
) -> str:
    with services().db.read() as connection:
        used = _uses(connection, "sla", key)
        labels = Labels(names(connection))
        calendars = {one.key: one.label for one in store.calendars(connection).values()}
        custom = custom_fields(connection, "ticket")
    fields: dict[str, Any] = {
        "brand": gettext("Brand"),
        "channel": gettext("Channel"),
        "priority": gettext("Priority"),
        "team": gettext("Team"),
        "language": gettext("Language"),
        "tags": gettext("Tags"),
        **{f"fields.{name}": one.label for name, one in custom.items()},
    }
    return render_template(
        "hours_policy.html",
        key=key,
        form=form,
        problem=problem,
        refused=refused,
        unreadable=said(unreadable),
        used=used,
        tried=tried,
        labels=labels,
        calendars=calendars,
        targets=TARGET_LABELS,
        fields=fields,
        statuses={one: label for one, label in STATUSES.items() if one not in FINISHED},
        rows=range(TRIED),
    )
