"""What makes a table run. One record per trigger; a table has one or more of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from rules.errors import ConditionFailed, OperandRefused, UnknownField, no_such
from rules.facts import Facts
from rules.fields import AUTHOR_LABELS, RUN_STATUSES, TICKET, all_fields, state_backed
from rules.operands import clean_duration, duration_s, quoted
from rules.operators import OPERATORS, clean_operand, type_for
from rules.vocabulary import Vocabulary
from tickets.errors import BadValue
from tickets.events import EventKind
from tickets.item import FieldType
from tickets.kinds import STAGE
from tickets.schedule import clean_cron, clean_zone
from tickets.sla import TARGET_LABELS
from tickets.timers import MOMENTS, On, TimeRule
from tickets.values import JSON

#: Longest text in a trigger's parameter, in characters.
MAX_PARAM_CHARS = 200

Params: TypeAlias = Mapping[str, JSON]
Matches: TypeAlias = Callable[[Facts], bool]
ANYONE, ANY = "anyone", "any"


@dataclass(frozen=True, slots=True)
class TriggerParam:
    """What narrows a trigger. `options` are its values; None for free ones. `many`: several values mean "or".

    `clean` gives a free value its one form, raising `ConditionFailed` or `BadValue`; `required`: it must be given.
    `noun` is what its values are called one by one, where the label is no name for them."""

    key: str
    label: str
    doc: str
    options: Callable[[Vocabulary], Mapping[str, str]] | None = None
    default: JSON = None
    many: bool = False
    clean: Callable[[str], str] | None = None
    required: bool = False
    noun: str = ""


@dataclass(frozen=True, slots=True)
class TriggerRecord:
    """One trigger: the kinds of event it can match, its parameters, and the test of one event.

    `matcher` gets cleaned parameters and returns the test. `timed` says for a time trigger what its timers wait for."""

    key: str
    label: str
    doc: str
    kinds: frozenset[EventKind]
    params: tuple[TriggerParam, ...]
    matcher: Callable[[Params, Vocabulary], Matches]
    timed: Callable[[Params], TimeRule] | None = None


def every_event(_facts: Facts) -> bool:
    """The test of a trigger that nothing narrows."""
    return True


def _always(_params: Params, _vocabulary: Vocabulary) -> Matches:
    return every_event


def _message(params: Params, _vocabulary: Vocabulary) -> Matches:
    by, visibility = params.get("by", ANYONE), params.get("visibility", ANY)

    def matches(facts: Facts) -> bool:
        message = facts.message
        if message is None:
            return False
        if by != ANYONE and message.get("author") != by:
            return False
        return visibility == ANY or bool(message.get("public")) == (visibility == "public")

    return matches


def _changed(params: Params, vocabulary: Vocabulary) -> Matches:
    name = params.get("field")
    if not isinstance(name, str):
        return lambda facts: bool(facts.event.get("changes"))
    field = state_backed(name, vocabulary)
    tests = [
        OPERATORS[key].test(type_for(OPERATORS[key], field.type, params[side]), params[side])
        for side, key in (("from", "changed_from"), ("to", "changed_to"))
        if side in params
    ]

    def matches(facts: Facts) -> bool:
        changes = facts.event.get("changes")
        change = changes.get(field.state_key) if isinstance(changes, Mapping) else None
        return change is not None and all(test(change) for test in tests)

    return matches


def _context(params: Params, _vocabulary: Vocabulary) -> Matches:
    wanted = params.get("key")

    def matches(facts: Facts) -> bool:
        # Whoever writes a card and a field makes one event: its kind tells of the field, its payload of the card.
        payload = facts.event.get("payload")
        keys = payload.get("keys") if isinstance(payload, Mapping) else None
        cards = keys if isinstance(keys, (list, tuple)) else ()
        return wanted in cards if wanted is not None else bool(cards) or facts.event.get("kind") == EventKind.CONTEXT

    return matches


def _script(params: Params, _vocabulary: Vocabulary) -> Matches:
    script, status = params.get("script"), params.get("status")
    statuses = status if isinstance(status, (list, tuple)) else (status,)

    def matches(facts: Facts) -> bool:
        run = facts.run
        if run is None:
            return False
        return (script is None or run.get("script") == script) and (status is None or run.get("status") in statuses)

    return matches


def _stage(params: Params, _vocabulary: Vocabulary) -> Matches:
    wanted = params.get("stage")

    def matches(facts: Facts) -> bool:
        changes = facts.event.get("changes")
        change = changes.get(STAGE) if isinstance(changes, Mapping) else None
        entered = change[1] if isinstance(change, (list, tuple)) else None
        return entered is not None and (wanted is None or entered == wanted)

    return matches


def _stages(vocabulary: Vocabulary) -> dict[str, str]:
    return {stage.key: stage.label for one in vocabulary.pipelines.values() for stage in one.stages}


def _answered(param: str, purpose: str) -> Callable[[Params, Vocabulary], Matches]:
    """The event's payload says which list of questions was answered, and what it is for."""

    def matcher(params: Params, _vocabulary: Vocabulary) -> Matches:
        wanted = params.get(param)

        def matches(facts: Facts) -> bool:
            payload = facts.event.get("payload")
            payload = payload if isinstance(payload, Mapping) else {}
            if facts.event.get("kind") == EventKind.REQUEST:
                return purpose == "request" and wanted in (None, payload.get("list"))
            return payload.get("purpose") == purpose and wanted in (None, payload.get("form"))

        return matches

    return matcher


#: The events in which fields of an existing item change.
_CHANGING = frozenset(
    {EventKind.CHANGED, EventKind.MESSAGE, EventKind.CONTEXT, EventKind.SCRIPT, EventKind.REQUEST, EventKind.FORM}
)


# Time ---------------------------------------------------------------------------------------------------------------


def _timed(rule: Callable[[Params], TimeRule]) -> Callable[[Params, Vocabulary], Matches]:
    """Matches the event of its own timer: one that waited for the same. `CompiledTable` sees to whose table it is."""

    def make(params: Params, _vocabulary: Vocabulary) -> Matches:
        digest = rule(params).digest

        def matches(facts: Facts) -> bool:
            payload = facts.event.get("payload")
            if not isinstance(payload, Mapping):
                return False
            # Overtaken: what it waited for ended before the event had its turn, with an answer, say.
            return payload.get("rule") == digest and not payload.get("overtaken")

        return matches

    return make


def _state_rule(params: Params) -> TimeRule:
    return TimeRule(
        On.STATE,
        statuses=tuple(str(one) for one in _many(params.get("status"))),
        offset_s=duration_s(params["for"]),
        calendar=str(params.get("calendar") or ""),
    )


def _reply_rule(params: Params) -> TimeRule:
    return TimeRule(
        On.REPLY,
        by=str(params.get("by") or "agent"),
        offset_s=duration_s(params["for"]),
        calendar=str(params.get("calendar") or ""),
    )


def _before_rule(params: Params) -> TimeRule:
    return TimeRule(On.DATE, field=_date_key(params), offset_s=-_offset_s(params))


def _after_rule(params: Params) -> TimeRule:
    return TimeRule(
        On.DATE, field=_date_key(params), offset_s=_offset_s(params), calendar=str(params.get("calendar") or "")
    )


def _schedule_rule(params: Params) -> TimeRule:
    return TimeRule(On.SCHEDULE, schedule=str(params["cron"]), zone=str(params.get("zone") or "UTC"))


def _near_rule(params: Params) -> TimeRule:
    return TimeRule(On.SLA, by="near", target=str(params["target"]))


def _breached_rule(params: Params) -> TimeRule:
    return TimeRule(On.SLA, by="breached", target=str(params["target"]))


def _offset_s(params: Params) -> int:
    return duration_s(params["by"]) if params.get("by") else 0


def _date_key(params: Params) -> str:
    """How `tickets.timers` calls the field."""
    return str(params["field"]).removeprefix(TICKET)


def _many(value: JSON) -> tuple[JSON, ...]:
    return () if value is None else tuple(value) if isinstance(value, (list, tuple)) else (value,)


def date_fields(vocabulary: Vocabulary) -> Mapping[str, str]:
    """The fields a date trigger can wait for: times of the ticket, kept or filled in."""
    kept = {TICKET + key for key in MOMENTS}
    return {
        one.key: one.label
        for one in all_fields(vocabulary)
        if one.type is FieldType.TIME and (one.state_key or one.key in kept)
    }


_FOR = TriggerParam("for", "for", "How long, e.g. 30 min, 72 h, 7 d.", clean=clean_duration, required=True)
_WORKING = TriggerParam(
    "calendar",
    "in the working time of",
    "A calendar: only its working time counts. Left out: all time does.",
    lambda vocabulary: vocabulary.calendars,
    noun="calendar",
)
_TARGET = TriggerParam(
    "target",
    "its target",
    "Which of the policy's targets.",
    lambda _vocabulary: {target.value: label for target, label in TARGET_LABELS.items()},
    required=True,
    noun="target",
)
_DATE = TriggerParam("field", "date", "Which date or time of the ticket.", date_fields, required=True)


_RECORDS: tuple[TriggerRecord, ...] = (
    TriggerRecord(
        "created", "is created", "A new ticket, with its first message.", frozenset({EventKind.CREATED}), (), _always
    ),
    TriggerRecord(
        "message",
        "gets a message",
        "A message on a ticket that existed before. What opens a ticket is `created`.",
        frozenset({EventKind.MESSAGE}),
        (
            TriggerParam(
                "by",
                "from",
                "Whose message; a third party wrote on the thread without taking part in it.",
                lambda _vocabulary: {ANYONE: "Anyone", **AUTHOR_LABELS},
                ANYONE,
                noun="author",
            ),
            TriggerParam(
                "visibility",
                "visibility",
                "Public messages only, internal notes only, or any.",
                lambda _vocabulary: {ANY: "Any", "public": "Public", "internal": "Internal"},
                ANY,
            ),
        ),
        _message,
    ),
    TriggerRecord(
        "changed",
        "is changed",
        "A field of an existing ticket changed, by whom- or whatever; `event.actor` says by whom.",
        _CHANGING,
        (
            TriggerParam("field", "field", "Which field; left out: any."),
            TriggerParam("from", "from", "The value before; in a set: what was removed.", many=True),
            TriggerParam("to", "to", "The value after; in a set: what was added.", many=True),
        ),
        _changed,
    ),
    TriggerRecord(
        "stage_entered",
        "enters a stage",
        "A job came into a stage of its pipeline, moved or made there.",
        _CHANGING | {EventKind.CREATED},
        (TriggerParam("stage", "stage", "Which stage; left out: any.", _stages),),
        _stage,
    ),
    TriggerRecord(
        "request_completed",
        "has a request that was completed",
        "A customer answered a request that belongs to it, or somebody here set it to completed.",
        frozenset({EventKind.REQUEST}),
        (TriggerParam("questions", "questions", "Which list; left out: any.", lambda vocabulary: vocabulary.requests),),
        _answered("questions", "request"),
    ),
    TriggerRecord(
        "run_now",
        "is one that somebody runs this on",
        "Somebody pressed this table's button on an item, or chose it for several.",
        frozenset({EventKind.RUN_NOW}),
        (),
        _always,
    ),
    TriggerRecord(
        "linked_done",
        "has a part that was finished",
        "An item that is part of it was finished.",
        frozenset({EventKind.LINKED}),
        (),
        _always,
    ),
    TriggerRecord(
        "form_answered",
        "has a form that was answered",
        "A reporter answered a form; what opens an item is this, too.",
        frozenset({EventKind.CREATED, EventKind.FORM}),
        (TriggerParam("form", "form", "Which form; left out: any.", lambda vocabulary: vocabulary.forms),),
        _answered("form", "form"),
    ),
    TriggerRecord(
        "procedure_answered",
        "has a procedure that was answered",
        "A handler answered a procedure on it.",
        frozenset({EventKind.FORM}),
        (
            TriggerParam(
                "procedure", "procedure", "Which procedure; left out: any.", lambda vocabulary: vocabulary.procedures
            ),
        ),
        _answered("procedure", "procedure"),
    ),
    TriggerRecord(
        "context_updated",
        "gets facts from outside",
        "A lookup or a script wrote a context card.",
        frozenset({EventKind.CONTEXT, EventKind.CHANGED, EventKind.MESSAGE, EventKind.SCRIPT}),
        (TriggerParam("key", "card", "Which card; left out: any."),),
        _context,
    ),
    TriggerRecord(
        "script_finished",
        "has a script that ended",
        "A script's run ended, well or badly.",
        frozenset({EventKind.SCRIPT}),
        (
            TriggerParam("script", "script", "Which script; left out: any.", lambda vocabulary: vocabulary.scripts),
            TriggerParam(
                "status", "outcome", "How it ended; left out: any way.", lambda _vocabulary: RUN_STATUSES, many=True
            ),
        ),
        _script,
    ),
    TriggerRecord(
        "time_in_state",
        "stays in a status",
        "It came into the status that long ago and is still in it. Leaving the status begins anew.",
        frozenset({EventKind.TIMER}),
        (
            TriggerParam(
                "status",
                "which is",
                "Which; left out: any.",
                lambda vocabulary: vocabulary.statuses,
                many=True,
                noun="status",
            ),
            _FOR,
            _WORKING,
        ),
        _timed(_state_rule),
        _state_rule,
    ),
    TriggerRecord(
        "no_reply",
        "has no reply",
        "A public message is unanswered that long: the oldest of the customer's, or our newest reply.",
        frozenset({EventKind.TIMER}),
        (
            TriggerParam(
                "by",
                "by",
                "Whose reply is missing.",
                lambda _vocabulary: {"agent": "Us", "customer": "Customer"},
                "agent",
                noun="author",
            ),
            _FOR,
            _WORKING,
        ),
        _timed(_reply_rule),
        _reply_rule,
    ),
    TriggerRecord(
        "before_date",
        "comes close to a date",
        "A date of the ticket is that close. A date without a time is its midnight in the brand's zone.",
        frozenset({EventKind.TIMER}),
        (_DATE, TriggerParam("by", "by", "How long before it, e.g. 2 d.", clean=clean_duration, required=True)),
        _timed(_before_rule),
        _before_rule,
    ),
    TriggerRecord(
        "after_date",
        "is past a date",
        "A date of the ticket has come, or is that long ago.",
        frozenset({EventKind.TIMER}),
        (
            _DATE,
            TriggerParam(
                "by", "by", "How long after it, e.g. 7 d; left out: at the date itself.", clean=clean_duration
            ),
            _WORKING,
        ),
        _timed(_after_rule),
        _after_rule,
    ),
    TriggerRecord(
        "sla_near",
        "is close to breaching",
        "Little of the time that the SLA policy gives is left; the policy says how little.",
        frozenset({EventKind.TIMER}),
        (_TARGET,),
        _timed(_near_rule),
        _near_rule,
    ),
    TriggerRecord(
        "sla_breached",
        "breaches",
        "The time that the SLA policy gives is over.",
        frozenset({EventKind.TIMER}),
        (_TARGET,),
        _timed(_breached_rule),
        _breached_rule,
    ),
    TriggerRecord(
        "schedule",
        "is open when the schedule says",
        "For every open ticket, each time the schedule says.",
        frozenset({EventKind.TIMER}),
        (
            TriggerParam("cron", "at", "Five fields as in cron, e.g. 0 9 * * 1-5", clean=clean_cron, required=True),
            TriggerParam(
                "zone", "in", "The time zone it is meant in, e.g. Europe/Paris.", default="UTC", clean=clean_zone
            ),
        ),
        _timed(_schedule_rule),
        _schedule_rule,
    ),
)


def _by_key(records: tuple[TriggerRecord, ...]) -> Mapping[str, TriggerRecord]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two triggers have the same key")
    return by_key


TRIGGERS: Mapping[str, TriggerRecord] = _by_key(_RECORDS)


def clean_trigger(on: str, params: Params, vocabulary: Vocabulary) -> dict[str, JSON]:
    """The trigger's parameters in the form that is stored; defaults are left out.

    Raises `OperandRefused` with a sentence that says what is allowed."""
    record = TRIGGERS.get(on)
    if record is None:
        raise OperandRefused(no_such("trigger", on, {one.key: one.label for one in TRIGGERS.values()}))
    known = {param.key: param for param in record.params}
    cleaned: dict[str, JSON] = {}
    for key, value in params.items():
        if key not in known and not known:
            raise OperandRefused(f"'{record.label}' takes no parameters, and so no {str(key)[:80]!r}.")
        if key not in known:
            raise OperandRefused(no_such(f"parameter of '{on}'", key, list(known)))
        if value is None or value == "" or value == [] or value == known[key].default:
            continue
        cleaned[key] = _clean_param(known[key], value, vocabulary)
    for param in record.params:
        if param.required and param.key not in cleaned:
            raise OperandRefused(f"'{record.label}' needs '{param.key}': {param.doc}")
    if on == "changed":
        _clean_changed(cleaned, vocabulary)
    return cleaned


def _clean_param(param: TriggerParam, value: JSON, vocabulary: Vocabulary) -> JSON:
    values = value if isinstance(value, (list, tuple)) else [value]
    if len(values) > 1 and not param.many:
        raise OperandRefused(f"{param.label.capitalize()} takes one value, not {len(values)}.")
    for one in values:
        if isinstance(one, str) and len(one) > MAX_PARAM_CHARS:
            raise OperandRefused(f"{param.label.capitalize()} takes at most {MAX_PARAM_CHARS} characters.")
        if not isinstance(one, str) and (not param.many or param.options is not None):
            raise OperandRefused(f"{param.label.capitalize()} takes a text, not {quoted(one)}.")
        if param.options is date_fields and isinstance(one, str) and not one.startswith(TICKET):
            return _clean_param(param, TICKET + one, vocabulary)
        if param.options is not None and one not in param.options(vocabulary):
            raise OperandRefused(no_such(param.noun or param.label, one, param.options(vocabulary)))
    if param.clean is not None:
        try:
            return param.clean(str(values[0]))
        except (ConditionFailed, BadValue) as error:
            raise OperandRefused(f"{error}.") from None
    return list(values) if param.many else values[0]


def _clean_changed(cleaned: dict[str, JSON], vocabulary: Vocabulary) -> None:
    name = cleaned.get("field")
    if not isinstance(name, str):
        if "from" in cleaned or "to" in cleaned:
            raise OperandRefused("'from' and 'to' need a field.")
        return
    try:
        field = state_backed(name, vocabulary)
    except UnknownField as error:
        raise OperandRefused(str(error)) from None
    cleaned["field"] = field.key
    for side, key in (("from", "changed_from"), ("to", "changed_to")):
        if side in cleaned:
            operator = OPERATORS[key]
            type = type_for(operator, field.type, cleaned[side])
            try:
                cleaned[side] = clean_operand(operator, type, cleaned[side], field.options, field.label.casefold())
            except ConditionFailed as error:
                raise OperandRefused(str(error)) from None
