"""What a condition may look at. One record per field; forms, docs, completion and the engine all read FIELDS.

Besides the fixed ones there are three families, made on demand: `ticket.fields.<key>` (custom fields),
`context.<card>.<path>` (facts that scripts and lookups wrote on the item) and `<connection>.<operation>.<path>`
(one path of a lookup's answer; asking is somebody else's work, here it is known, missing or unknown).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

from rules.asking import Other, Stored
from rules.errors import UnknownField, no_such
from rules.facts import Facts, Known, LookupKey, Missing, Reading, Unknown
from rules.vocabulary import FieldSpec, LookupSpec, Vocabulary
from tickets.events import ActorKind, EventKind
from tickets.item import CUSTOM, CUSTOM_NAMES, LANGUAGES, STATE_FIELDS, FieldType, ItemKind, StateField
from tickets.sla import STATE_LABELS, TARGET_LABELS, Target
from tickets.snooze import AWAITED, PERSON, TEAM
from tickets.values import JSON

#: How long the name of a field may be, in characters, and how deep its path may go, in parts.
MAX_KEY_CHARS = 200
MAX_PATH_PARTS = 12
#: How many fields are kept worked out for one vocabulary.
MAX_WORKED_OUT = 2_000
#: How many lookups may hang on each other's answers.
MAX_BIND_DEPTH = 3

TICKET = "ticket."
SLA = "sla."
CONTEXT = "context."
#: How the menus call the fields of context cards together.
CONTEXT_GROUP = "Context"

#: A part of a path that every database takes for a name.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Read: TypeAlias = Callable[[Facts], Reading]
Options: TypeAlias = Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Field:
    """One thing a condition can look at.

    `type` is None where nobody declared one (undeclared context paths): operators then go by the operand.
    `state_key` names the state field behind it, for `changed` and for staged writes; `lookup` is the name of the
    operation that answers it, "connection.operation".
    `reads` are the state keys its value depends on. `place` is where its plain value stands: the part of the facts and
    the key in it; None where it takes more than a look. `answer` is where it stands once a lookup is known: the name of
    the lookup and the path in its data. `stored` is where a database finds it; None where it cannot."""

    key: str
    label: str
    group: str
    type: FieldType | None
    read: Read
    options: Options = None
    state_key: str = ""
    lookup: str = ""
    reads: frozenset[str] = frozenset()
    place: tuple[str, str] | None = None
    stored: Stored | None = None
    answer: tuple[str, tuple[str, ...]] | None = None

    @property
    def outside(self) -> bool:
        """Whether it is a fact from outside, which was fetched at some time: a lookup's answer or a card's."""
        return bool(self.lookup) or self.key.startswith(CONTEXT)


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """How a fixed field is listed: options may come from the vocabulary."""

    key: str
    label: str
    group: str
    type: FieldType
    read: Read
    options: Options = None
    options_from: Callable[[Vocabulary], Mapping[str, str]] | None = None
    state_key: str = ""
    place: tuple[str, str] | None = None
    stored: Stored | None = None

    def field(self, vocabulary: Vocabulary) -> Field:
        options = self.options_from(vocabulary) if self.options_from else self.options
        stored = self.stored
        if stored is not None and stored.of is Other.CLOCK and not vocabulary.slas:
            stored = None  # nobody reads the clocks that are left of a policy (`jobs.facts`)
        reads = frozenset({self.state_key}) if self.state_key else frozenset()
        return Field(
            self.key,
            self.label,
            self.group,
            self.type,
            self.read,
            options,
            self.state_key,
            "",
            reads,
            self.place,
            stored,
        )


def _event_at(facts: Facts) -> str:
    return str(facts.event.get("at", ""))


def _item(key: str, label: str) -> Read:
    missing = Missing(f"{label} is empty")

    def read(facts: Facts) -> Reading:
        value = facts.item.get(key)
        if value is None or value == "" or value == [] or value == ():
            return missing
        return Known(value, "ticket", _event_at(facts))

    return read


def _part(part: str, key: str, label: str) -> Read:
    def read(facts: Facts) -> Reading:
        data: Mapping[str, JSON] | None = getattr(facts, part)
        if data is None:
            return Missing(_NO_PART[part])
        value = data.get(key)
        if value is None or value == "" or value == [] or value == ():
            return Missing(f"{label} is empty")
        return Known(value, part, _event_at(facts))

    return read


def _clock(key: str, label: str) -> Read:
    missing = Missing(f"{label} is empty")

    def read(facts: Facts) -> Reading:
        value = facts.clock.get(key)
        return missing if value is None else Known(value, "ticket", facts.now)

    return read


def _moment(key: str, label: str, *, column: str = "", lasting: bool = True) -> FieldRecord:
    """A moment that the desk keeps of every ticket; as it is when the rules are decided."""
    stored = Stored(column or key, lasting=lasting)
    return FieldRecord(f"ticket.{key}", label, "Ticket", FieldType.TIME, _clock(key, label), stored=stored)


def _level(target: Target, label: str) -> tuple[FieldRecord, ...]:
    """One clock of the service level: when it is due, and how it stands."""
    due, state = f"{target.value}_due", f"{target.value}_state"
    states = {one.value: words for one, words in STATE_LABELS.items()}
    when, how = (_of_clock(column, target.value) for column in ("due_at", "state"))
    return (
        FieldRecord(f"sla.{due}", f"{label} due", "SLA", FieldType.TIME, _clock(due, f"{label} due"), stored=when),
        FieldRecord(
            f"sla.{state}", f"{label} is", "SLA", FieldType.CHOICE, _clock(state, f"{label} is"), states, stored=how
        ),
    )


def _of_clock(column: str, target: str = "") -> Stored:
    # A changed policy is worked out item by item, without a write to any.
    return Stored(column, lasting=False, of=Other.CLOCK, which=target)


_NO_PART = {
    "customer": "The ticket has no customer",
    "message": "The event brought no message",
    "run": "The event is not about a script",
    "event": "There is no event",
}

#: Where the menu of a state field comes from when it depends on the desk.
_FROM_VOCABULARY: Mapping[str, Callable[[Vocabulary], Mapping[str, str]]] = {
    "team": lambda vocabulary: vocabulary.teams,
    "assignees": lambda vocabulary: vocabulary.users,
    "brand": lambda vocabulary: vocabulary.brands,
    "location": lambda vocabulary: vocabulary.locations,
    "sla": lambda vocabulary: vocabulary.slas,
    "snoozed_for": lambda vocabulary: {
        **AWAITED,
        **{TEAM + key: label for key, label in vocabulary.teams.items()},
        **{PERSON + key: label for key, label in vocabulary.users.items()},
    },
    "snoozed_from": lambda vocabulary: vocabulary.statuses,
    "status": lambda vocabulary: vocabulary.statuses,
    "priority": lambda vocabulary: vocabulary.priorities,
}
ACTOR_LABELS: Mapping[str, str] = {
    ActorKind.AGENT.value: "Agent",
    ActorKind.CUSTOMER.value: "Customer",
    ActorKind.THIRD_PARTY.value: "Third party",
    ActorKind.AUTOMATION.value: "Automation",
    ActorKind.SYSTEM.value: "System",
}
AUTHOR_LABELS: Mapping[str, str] = {
    "customer": "Customer",
    "agent": "Agent",
    "bot": "Bot",
    "third_party": "Third party",
}
RUN_STATUSES: Mapping[str, str] = {
    "finished": "Finished",
    "stopped": "Stopped itself",
    "refused": "Refused",
    "failed": "Failed",
    "limit": "Reached a limit",
    "violation": "Broke the rules",
    "lost": "Lost",
    "unavailable": "Could not run",
    "cancelled": "Cancelled",
}
EVENT_LABELS: Mapping[str, str] = {
    EventKind.CREATED.value: "Created",
    EventKind.CHANGED.value: "Changed",
    EventKind.MESSAGE.value: "Message",
    EventKind.CONTEXT.value: "Context updated",
    EventKind.SCRIPT.value: "Script finished",
    EventKind.TIMER.value: "A time came",
    EventKind.RUN_NOW.value: "Run by hand",
    EventKind.REQUEST.value: "Request completed",
    EventKind.LINKED.value: "Linked item done",
    EventKind.FORM.value: "Form answered",
    EventKind.LATE_ANSWER.value: "Late answer",
    EventKind.REPAIRED.value: "Rows decided again",
    EventKind.UNDONE.value: "Taken back",
}


def _state_record(field: StateField) -> FieldRecord:
    return FieldRecord(
        key=TICKET + field.key,
        label=field.label,
        group="Ticket",
        type=field.type,
        read=_item(field.key, field.label),
        options=field.options,
        options_from=_FROM_VOCABULARY.get(field.key),
        state_key=field.key,
        place=("item", field.key),
        # Moments of the state are kept as the text that was given.
        stored=Stored(field.key, loose=field.type is FieldType.TIME),
    )


def _record(
    part: str,
    key: str,
    label: str,
    type: FieldType,
    options: Options = None,
    *,
    at: str = "",
    stored: Stored | None = None,
) -> FieldRecord:
    """A field of the customer, message, event or run; `at` is its key in the facts where that differs."""
    read = _part(part, at or key, label)
    place = (part, at or key)
    return FieldRecord(f"{part}.{key}", label, part.capitalize(), type, read, options, place=place, stored=stored)


def _of_customer(column: str) -> Stored:
    # Whoever writes it writes no item.
    return Stored(column, lasting=False, of=Other.CUSTOMER)


#: Every fixed field, in the order menus show them.
_RECORDS: tuple[FieldRecord, ...] = (
    *(_state_record(field) for field in STATE_FIELDS.values()),
    FieldRecord("ticket.id", "Number", "Ticket", FieldType.NUMBER, _item("id", "Number"), stored=Stored("id")),
    FieldRecord(
        "ticket.kind",
        "Kind",
        "Ticket",
        FieldType.CHOICE,
        _item("kind", "Kind"),
        {kind.value: kind.capitalize() for kind in ItemKind},
        stored=Stored("kind"),
    ),
    FieldRecord(
        "ticket.created_at",
        "Created at",
        "Ticket",
        FieldType.TIME,
        _item("created_at", "Created at"),
        stored=Stored("created_at"),
    ),
    FieldRecord(
        "sla.policy",
        "SLA policy that counts",
        "SLA",
        FieldType.CHOICE,
        _clock("policy", "SLA policy that counts"),
        options_from=lambda vocabulary: vocabulary.slas,
        stored=_of_clock("policy"),
    ),
    _moment("last_modified", "Last modified by a person", column="modified_at"),
    _moment("status_since", "In this status since"),
    _moment("unanswered_since", "Customer waits for a reply since"),
    _moment("replied_at", "We wait for the customer since"),
    _moment("first_reply_at", "First replied at"),
    # To open an item is no write to it: its timers stay as they are.
    _moment("opened_at", "First opened at", lasting=False),
    *(one for target, label in TARGET_LABELS.items() for one in _level(target, label)),
    _record("customer", "name", "Customer's name", FieldType.TEXT, stored=_of_customer("name")),
    _record("customer", "email", "Customer's e-mail", FieldType.TEXT, stored=_of_customer("email")),
    _record("customer", "emails", "Customer's e-mails", FieldType.CHOICES),
    _record(
        "customer",
        "language",
        "Customer's language",
        FieldType.CHOICE,
        LANGUAGES,
        stored=_of_customer("language"),
    ),
    _record(
        "customer",
        "identity",
        "Customer's identity",
        FieldType.CHOICE,
        {"claimed": "Claimed", "verified": "Verified"},
    ),
    _record("customer", "open_items", "Customer's open tickets", FieldType.NUMBER),
    # Quotes and signatures would make "refund" match in every answer to a refund mail.
    _record("message", "text", "Message", FieldType.LONG_TEXT, at="new_text"),
    _record("message", "full_text", "Message with quotes", FieldType.LONG_TEXT, at="text"),
    _record("message", "subject", "Message's subject", FieldType.TEXT),
    _record("message", "author", "Message's author", FieldType.CHOICE, AUTHOR_LABELS),
    _record("message", "public", "Message is public", FieldType.BOOL),
    _record("message", "automatic", "Message is automatic", FieldType.BOOL),
    _record("message", "channel", "Message's channel", FieldType.TEXT),
    _record("message", "language", "Message's language", FieldType.CHOICE, LANGUAGES),
    _record("event", "kind", "What happened", FieldType.CHOICE, EVENT_LABELS),
    _record("event", "at", "When it happened", FieldType.TIME),
    _record("event", "actor", "Changed by", FieldType.CHOICE, ACTOR_LABELS),
    _record("event", "actor_ref", "Changed by user", FieldType.TEXT),
    _record("event", "depth", "Automatic steps before", FieldType.NUMBER),
    _record("run", "script", "Script", FieldType.TEXT),
    _record("run", "status", "Script's outcome", FieldType.CHOICE, RUN_STATUSES),
    _record("run", "error", "Script's error", FieldType.TEXT),
)


def _by_key(records: tuple[FieldRecord, ...]) -> Mapping[str, FieldRecord]:
    by_key = {record.key: record for record in records}
    if len(by_key) != len(records):
        raise ValueError("Two fields have the same key")
    return by_key


FIELDS: Mapping[str, FieldRecord] = _by_key(_RECORDS)
#: What the desk keeps of every ticket beside its state, by the name that scripts read it by: moments
#: (`ticket.status_since`), and how its service level stands (`ticket.sla_first_reply_due`).
CLOCKS: Mapping[str, FieldRecord] = {
    key.removeprefix(TICKET).replace(".", "_"): record
    for key, record in FIELDS.items()
    if key.startswith(SLA)
    or (
        key.startswith(TICKET)
        and record.type is FieldType.TIME
        and not record.state_key
        and record.place is None
        and key != "ticket.created_at"
    )
}


def clocks_of(facts: Facts) -> dict[str, JSON]:
    """What scripts read of `CLOCKS`, None where there is nothing."""
    return {name: facts.clock.get(record.key.partition(".")[2]) for name, record in CLOCKS.items()}


def field(key: str, vocabulary: Vocabulary) -> Field:
    """The field with this key, e.g. "ticket.status" or "erp.find_party.receivable".

    Raises `UnknownField` with what is near and what there is."""
    return _field(key, vocabulary, 0)


def state_backed(key: str, vocabulary: Vocabulary) -> Field:
    """The field of the item's own state, by either of its names: "ticket.status" or "status". Raises `UnknownField`."""
    known = vocabulary.worked_out.get(("state field", key))
    if known is None:
        known = _state_backed(key, vocabulary)
        if len(vocabulary.worked_out) < MAX_WORKED_OUT:
            vocabulary.worked_out["state field", key] = known
    return cast(Field, known)


def _state_backed(key: str, vocabulary: Vocabulary) -> Field:
    full = key if key.startswith(TICKET) else TICKET + key
    record = FIELDS.get(full)
    if record is not None and record.state_key:
        return record.field(vocabulary)
    if full.startswith(TICKET + CUSTOM) and full.removeprefix(TICKET + CUSTOM) in vocabulary.custom_fields:
        return _custom(full.removeprefix(TICKET + CUSTOM), vocabulary)
    raise UnknownField(no_such("ticket field", key, {one.key: one.label for one in state_fields(vocabulary)}))


def state_fields(vocabulary: Vocabulary) -> tuple[Field, ...]:
    """The fields of the item's own state, built in and custom: what `changed` can look at and `set_field` can write."""
    known = vocabulary.worked_out.get(("state fields", ""))
    if known is None:
        fixed = tuple(record.field(vocabulary) for record in FIELDS.values() if record.state_key)
        known = fixed + tuple(_custom(key, vocabulary) for key in vocabulary.custom_fields)
        vocabulary.worked_out["state fields", ""] = known
    return cast("tuple[Field, ...]", known)


def all_fields(vocabulary: Vocabulary) -> tuple[Field, ...]:
    """Every field a menu can offer in this desk, in order: fixed, custom, declared context paths, lookups."""
    fixed = tuple(record.field(vocabulary) for record in FIELDS.values())
    custom = tuple(_custom(key, vocabulary) for key in vocabulary.custom_fields)
    cards = tuple(_context(path, vocabulary) for path in vocabulary.context)
    answers = tuple(_answer(spec, path, vocabulary, 0) for spec in vocabulary.lookups.values() for path in spec.fields)
    return fixed + custom + cards + answers


def _field(key: str, vocabulary: Vocabulary, depth: int) -> Field:
    if key in FIELDS:
        return FIELDS[key].field(vocabulary)
    if len(key) > MAX_KEY_CHARS or key.count(".") >= MAX_PATH_PARTS or not all(key.split(".")):
        raise UnknownField(f"{key[:60]!r} is not the name of a field.")
    if key.startswith(TICKET + CUSTOM) and key.removeprefix(TICKET + CUSTOM) in vocabulary.custom_fields:
        return _custom(key.removeprefix(TICKET + CUSTOM), vocabulary)
    if key.startswith(CONTEXT) and key.count(".") >= 2:
        return _context(key.removeprefix(CONTEXT), vocabulary)
    for name, spec in vocabulary.lookups.items():
        path = key.removeprefix(name + ".")
        if path != key and path in spec.fields:
            return _answer(spec, path, vocabulary, depth)
    raise UnknownField(no_such("field", key, {one.key: one.label for one in all_fields(vocabulary)}))


def _custom(key: str, vocabulary: Vocabulary) -> Field:
    declared = vocabulary.custom_fields[key]
    state_key = CUSTOM_NAMES[key]
    return Field(
        TICKET + state_key,
        declared.label,
        "Ticket",
        declared.type,
        _item(state_key, declared.label),
        declared.options,
        state_key,
        "",
        frozenset({state_key}),
        ("item", state_key),
        Stored("fields", (key,), loose=True),
    )


def _context(path: str, vocabulary: Vocabulary) -> Field:
    card_key, _, inner = path.partition(".")
    parts = inner.split(".")
    spec = vocabulary.context.get(path)
    label = spec.label if spec else f"{card_key}: {inner}"

    def read(facts: Facts) -> Reading:
        card = facts.context.get(card_key)
        if facts.writing and (card is None or card.get("script") in facts.writing):
            code = str(card["script"]) if card else next(iter(facts.writing))
            return Unknown(f"the card that {facts.writing[code].get('name') or code} may be writing")
        if card is None:
            return Missing(f"The ticket has no card {card_key!r}")
        if card.get("error"):
            return Unknown(f"{card.get('title') or card_key}: {card['error']}")
        value = dig(card.get("data"), parts)
        if value is None:
            return Missing(f"The card {card_key!r} has no {inner}")
        return Known(value, str(card.get("source") or f"context.{card_key}"), str(card.get("fetched_at") or ""))

    options = spec.options if spec else None
    stored = None
    if all(_NAME.fullmatch(part) for part in parts):
        # A number picks from a list, which is more than a path says to a database.
        stored = Stored("body", ("data", *parts), loose=True, lasting=False, of=Other.CARD, which=card_key)
    return Field(CONTEXT + path, label, CONTEXT_GROUP, spec.type if spec else None, read, options, stored=stored)


def lookup_key(
    spec: LookupSpec, facts: Facts, vocabulary: Vocabulary, *, depth: int = 0
) -> LookupKey | Missing | Unknown:
    """The question this operation would be asked on these facts, or why there is none.

    `Missing` when an input has no value (nothing to ask with), `Unknown` when an input itself waits for an answer, or
    holds several values (a card's list), with which nobody can ask."""
    args: list[tuple[str, JSON]] = []
    for name, bound in _bound(spec, vocabulary, depth):
        if isinstance(bound, str):
            raise UnknownField(bound)
        if bound.place is not None and bound.place[0] == "item":
            value = facts.item.get(bound.place[1])
            if value.__class__ is int or (value.__class__ is str and value):
                args.append((name, value))  # what most are asked with: nobody asks where that came from
                continue
        reading = bound.read(facts)
        if isinstance(reading, Unknown):
            return reading
        if isinstance(reading, Missing):
            return Missing(f"{spec.label} needs {bound.label}: {reading.reason}")
        if isinstance(reading.value, (list, tuple, Mapping)):
            return Unknown(f"{spec.label} is asked with one value, and {bound.label} holds several")
        args.append((name, reading.value))
    return LookupKey(spec.connection, spec.operation, tuple(args))


def _bound(spec: LookupSpec, vocabulary: Vocabulary, depth: int) -> Sequence[tuple[str, Field | str]]:
    """The fields that the inputs are taken from, or why there is none, by the names of the inputs in order.

    Worked out once, for they are asked for at every event that waits."""
    named = ("bound", spec.name if not depth else f"{depth} {spec.name}")
    known = vocabulary.worked_out.get(named)
    if isinstance(known, tuple) and known[0] is spec:
        return cast("tuple[tuple[str, Field | str], ...]", known[1])
    made: list[tuple[str, Field | str]] = []
    for name, source in sorted(spec.bind.items()):
        try:
            if depth >= MAX_BIND_DEPTH:
                raise UnknownField(f"{spec.name} takes {source!r} through more than {MAX_BIND_DEPTH} other lookups.")
            made.append((name, _field(source, vocabulary, depth + 1)))
        except UnknownField as error:
            made.append((name, str(error)))
    if len(vocabulary.worked_out) < MAX_WORKED_OUT:
        vocabulary.worked_out[named] = (spec, tuple(made))
    return made


def _answer(spec: LookupSpec, path: str, vocabulary: Vocabulary, depth: int) -> Field:
    declared: FieldSpec = spec.fields[path]
    parts, no_answer = path.split("."), f"{spec.label} has not answered yet"

    def read(facts: Facts) -> Reading:
        answer = facts.lookups.get(spec.name)
        state = answer.get("state") if answer is not None else None
        at = str(answer.get("fetched_at") or "") if answer is not None else ""
        if answer is not None and state == "known":
            value = dig(answer.get("data"), parts)
            return Missing(f"{spec.label} has no {declared.label}") if value is None else Known(value, spec.name, at)
        if answer is not None and state == "missing":
            return Missing(str(answer.get("reason") or f"{spec.label} found nothing"))
        question = lookup_key(spec, facts, vocabulary, depth=depth)
        if not isinstance(question, LookupKey):
            return question
        if answer is not None and state in ("ambiguous", "failed"):
            return Unknown(str(answer.get("reason") or f"{spec.label}: {state}"), question, worth_waiting=False)
        return Unknown(no_answer, question, worth_waiting=True)

    reads: frozenset[str] = frozenset()
    for source in spec.bind.values():
        if depth < MAX_BIND_DEPTH:
            reads |= _reads_of(source, vocabulary, depth + 1)
    return Field(
        f"{spec.name}.{path}",
        declared.label,
        spec.label,
        declared.type,
        read,
        declared.options,
        "",
        spec.name,
        reads,
        answer=(spec.name, tuple(parts)),
    )


def _reads_of(source: str, vocabulary: Vocabulary, depth: int) -> frozenset[str]:
    try:
        return _field(source, vocabulary, depth).reads
    except UnknownField:
        # Reported when somebody reads it: a lookup bound to nothing must not break the menu of the others.
        return frozenset()


def dig(data: JSON, parts: Sequence[str]) -> JSON:
    """The value at a path in JSON, None when it is not there. A number picks from a list."""
    for part in parts:
        if isinstance(data, (dict, Mapping)):
            data = data.get(part)
        elif isinstance(data, (list, tuple)) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return None if data in ("", [], ()) else data


def state_field_of(field: Field, vocabulary: Vocabulary) -> StateField:
    """What `tickets` says about the state field behind `field`, with this desk's options filled in."""
    if field.state_key.startswith(CUSTOM):
        return replace(vocabulary.custom_fields[field.state_key.removeprefix(CUSTOM)], key=field.state_key)
    return replace(STATE_FIELDS[field.state_key], options=field.options)
