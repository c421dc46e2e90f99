"""What a step may do about time: snooze, a due date, the SLA policy."""

from __future__ import annotations

from datetime import datetime, timedelta

from rules.action import Action, Desk, Param, Params, ParamType
from rules.errors import ActionRefused, ConditionFailed
from rules.operands import clean_duration, duration_s
from rules.vocabulary import Vocabulary
from tickets.calendar import add_working
from tickets.effects import Effect, SetField
from tickets.errors import BadValue
from tickets.item import FINISHED
from tickets.snooze import AWAITED, PERSON, TEAM, asleep, snooze
from tickets.values import JSON, from_iso, iso


def _snooze(params: Params, desk: Desk) -> tuple[Effect, ...]:
    state = desk.facts.item
    if state.get("status") in FINISHED or asleep(state):
        return ()  # nothing to put away, or put away already: by somebody who may have meant another time
    until = _moment(params, desk)
    if until is not None and until <= from_iso(desk.facts.now):
        raise ActionRefused(f"A ticket is snoozed until a time to come, not until {iso(until)[:16]}.")
    return snooze(state, until, _awaits(params))


def _awaits(params: Params) -> str:
    if params.get("team"):
        return f"{TEAM}{params['team']}"
    return f"{PERSON}{params['person']}" if params.get("person") else str(params.get("answer") or "")


def _due(params: Params, desk: Desk) -> tuple[Effect, ...]:
    return (SetField("due_at", iso(add_in(params, desk))),)


def _moment(params: Params, desk: Desk) -> datetime | None:
    if params.get("until"):
        return from_iso(str(params["until"]))
    return add_in(params, desk) if params.get("for") else None


def add_in(params: Params, desk: Desk) -> datetime:
    """The moment that is `for` so long from now, in the working time of `calendar` if it names one."""
    now, seconds = from_iso(desk.facts.now), duration_s(params["for"])
    key = str(params.get("calendar") or "")
    if not key:
        return now + timedelta(seconds=seconds)
    calendar = desk.vocabulary.hours.get(key)
    if calendar is None:
        raise ActionRefused(f"There is no calendar {key!r} any more.")
    try:
        return add_working(calendar, now, seconds)
    except BadValue as error:
        raise ActionRefused(f"{error}.") from None


def _check_for(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if params.get("for") is not None:
        try:
            params["for"] = clean_duration(params["for"])
        except ConditionFailed as error:
            raise ActionRefused(f"{error}.") from None


def _check_snooze(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    _check_for(params, vocabulary)
    if "until" in params:
        try:
            params["until"] = iso(from_iso(str(params["until"])))
        except ValueError:
            message = f"{str(params['until'])[:40]!r} is not a time with its zone such as 2026-12-01T09:00+01:00."
            raise ActionRefused(message) from None
    if ("for" in params) + ("until" in params) > 1:
        raise ActionRefused("A snooze ends after a while or at a time, not both.")
    if len({"answer", "team", "person"} & params.keys()) > 1:
        raise ActionRefused("A ticket sleeps until one answer: of the customer or any colleague, a team, or a person.")
    if not {"for", "until", "answer", "team", "person"} & params.keys():
        raise ActionRefused("Say how long, until when, or until whose answer the ticket sleeps.")


_CALENDAR = Param(
    "calendar",
    "In the working time of",
    ParamType.CHOICE,
    "A calendar: only its working time counts. Left out: all time does.",
    required=False,
    options=lambda vocabulary: vocabulary.calendars,
)

TIME_ACTIONS: tuple[Action, ...] = (
    Action(
        "set_due_date",
        "Set due date",
        "Make the ticket due so long from now. A fixed date is set with set_field.",
        (Param("for", "From now", ParamType.TEXT, "How long from now, e.g. 4 h or 2 d."), _CALENDAR),
        _due,
        _check_for,
    ),
    Action(
        "apply_sla",
        "Apply SLA",
        "Put the ticket under this SLA policy, whatever the policies' own conditions say.",
        (Param("policy", "Policy", ParamType.CHOICE, "The policy.", options=lambda vocabulary: vocabulary.slas),),
        lambda params, _desk: (SetField("sla", params["policy"]),),
    ),
    Action(
        "snooze",
        "Snooze",
        "Put the ticket out of the queues; it comes back with its status when the time comes or somebody answers. "
        "The customer's answer always brings it back.",
        (
            Param("for", "For", ParamType.TEXT, "How long, e.g. 4 h or 2 d.", required=False),
            Param("until", "Until", ParamType.TEXT, "A time with its zone, in place of how long.", required=False),
            Param(
                "answer",
                "Until the answer of",
                ParamType.CHOICE,
                "Whose answer brings it back, too.",
                required=False,
                options=lambda _vocabulary: AWAITED,
            ),
            _CALENDAR,
            Param(
                "team",
                "Awaited team",
                ParamType.CHOICE,
                "A message of one of its people brings it back, too; in place of answer.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            Param(
                "person",
                "Awaited colleague",
                ParamType.CHOICE,
                "A message of theirs brings it back, too; in place of answer.",
                required=False,
                options=lambda vocabulary: vocabulary.users,
            ),
        ),
        _snooze,
        _check_snooze,
    ),
)
