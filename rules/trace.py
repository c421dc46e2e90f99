"""Why each row did or did not fire: small, storable, readable without the rule list it came from.

A trace keeps words (labels, sentences, values as people read them) because the table may look different tomorrow.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar, cast

from pydantic_core import PydanticSerializationError, SchemaSerializer, core_schema

from rules.errors import FactsInvalid
from tickets.values import JSON, JsonText, record

TRACE_SCHEMA = 1
#: Longest text kept of a value, in characters, and most rows kept of one decision.
MAX_SHOWN_CHARS = 200
MAX_TRACED_ROWS = 200

_Record = TypeVar("_Record")
_Enum = TypeVar("_Enum", bound=StrEnum)


def _quick(kind: type[_Enum]) -> type[_Enum]:
    """The same words. Their texts are asked for with each row that is written out, in a fifth of Enum's own time."""
    type.__setattr__(kind, "value", property(attrgetter("_value_")))
    return kind


@_quick
class Truth(StrEnum):
    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


@_quick
class Verdict(StrEnum):
    """What became of one entry of the rule list. The first that applies, in this order."""

    NOT_TRIGGERED = "not_triggered"  # the event is none of its triggers, or it is switched off
    WAITING = "waiting"  # the event waits here for lookups
    STOPPED = "stopped"  # the chain's limit of effects was reached here
    PARKED = "parked"  # a row failed, and with it the whole *first* table
    MATCHED = "matched"  # at least one row fired
    HELD = "held"  # a row matched but had fired before
    SKIPPED = "skipped"  # some row could not be decided and nothing else fired
    NOT_MATCHED = "not_matched"


@_quick
class RowVerdict(StrEnum):
    FIRED = "fired"
    HELD = "held"  # matched, but fired before for the same root, or was decided before
    WAITING = "waiting"  # an answer is still to come
    SKIPPED = "skipped"  # could not be decided
    FAILED = "failed"  # a condition or step went wrong; unknown, never "no match"
    STOPPED = "stopped"  # matched, but the limit of effects was reached
    NOT_MATCHED = "not_matched"
    NOT_REACHED = "not_reached"  # an earlier row had decided the table


# Not frozen, though nobody changes it: an explanation makes thousands, and freezing each takes a third of all its time.
@dataclass(slots=True, unsafe_hash=True)
class Seen:
    """One condition: what was expected, what stood there, from where and when, and what followed."""

    column: str
    field: str
    label: str
    operator: str
    expected: str  # the operator's sentence with the operand, e.g. "is any of Gold, Platinum"
    actual: str  # "" when missing or unknown
    source: str
    at: str
    truth: Truth
    reason: str = ""  # why there is no value, or why it could not be decided
    group: str = ""  # its place when it stands in a group of the row: "2" or "2.1"


@record
class Done:
    """One step of a fired row: in words, and the state fields it changed, (field, before, after)."""

    step: str
    action: str
    sentence: str
    changes: tuple[tuple[str, str, str], ...] = ()
    effects: int = 0  # 0: it would have changed nothing


@record
class RowTrace:
    """One row. `conditions` ends with the first false one, except in an explanation, which has all."""

    row: str
    number: int  # as people count, from 1; 0 is the otherwise row
    verdict: RowVerdict
    truth: Truth
    conditions: tuple[Seen, ...] = ()
    steps: tuple[Done, ...] = ()
    reason: str = ""


@record
class EntryTrace:
    """One entry of the rule list. `omitted` rows were decided but not kept; `lookups` are those it waits for."""

    code: str
    name: str
    version: int
    verdict: Verdict
    rows: tuple[RowTrace, ...] = ()
    omitted: int = 0
    reason: str = ""
    lookups: tuple[str, ...] = ()


class Trace:
    """Everything one decision considered, in list order.

    It may be worked out only when somebody looks at it: by `how`, a function and what it takes."""

    __slots__ = ("_entries", "_how", "revision")

    def __init__(
        self,
        revision: int,
        entries: Sequence[EntryTrace] = (),
        how: tuple[Callable[..., Sequence[EntryTrace]], *tuple[Any, ...]] | None = None,
    ) -> None:
        self.revision = revision
        self._entries = entries
        self._how = how

    @property
    def entries(self) -> tuple[EntryTrace, ...]:
        if self._how is not None:
            work_out, *taken = self._how
            self._entries, self._how = tuple(work_out(*taken)), None
        elif not isinstance(self._entries, tuple):
            self._entries = tuple(self._entries)
        return self._entries

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return (self.revision, self.entries) == (other.revision, other.entries)

    def __hash__(self) -> int:
        return hash((self.revision, self.entries))

    def __repr__(self) -> str:
        return f"Trace({self.revision!r}, {self.entries!r})"

    def to_json(self) -> dict[str, JSON]:
        entries = [_plain(one) for one in self.entries]
        return {"schema": TRACE_SCHEMA, "revision": self.revision, "entries": entries}

    def to_text(self) -> JsonText:
        """`to_json` as it is stored with a decision."""
        try:
            entries = _ENTRIES.to_json(self.entries, warnings=False).decode()
        except PydanticSerializationError:  # half of a surrogate pair
            return JsonText(json.dumps(self.to_json()))
        return JsonText(f'{{"schema":{TRACE_SCHEMA},"revision":{self.revision},"entries":{entries}}}')

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Trace:
        """Read back what `to_json` made. Raises `FactsInvalid`."""
        if data.get("schema") != TRACE_SCHEMA:
            raise FactsInvalid(f"This trace has schema {data.get('schema')!r}; this version reads {TRACE_SCHEMA}.")
        try:
            return cls(cast(int, data["revision"]), _many(data, "entries", _entry))
        except (KeyError, TypeError, ValueError) as error:
            raise FactsInvalid(f"This trace cannot be read: {error}") from error


def cut(text: str) -> str:
    """At most `MAX_SHOWN_CHARS` characters of `text`, with an ellipsis when something is missing."""
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"


#: The fields of each record, in order: with every decision they are written out.
_FIELDS = {kind: tuple(one.name for one in fields(kind)) for kind in (EntryTrace, RowTrace, Seen, Done)}


def _each(one: core_schema.CoreSchema) -> core_schema.CoreSchema:
    return core_schema.tuple_variable_schema(one)


def _written(kind: type, **of: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """How a record is written out; `of`: what is in those fields that hold more than a text or a number."""
    plain = {"str": core_schema.str_schema(), "int": core_schema.int_schema()}
    parts = [
        core_schema.dataclass_field(one.name, of.get(one.name) or plain.get(str(one.type), plain["str"]))
        for one in fields(kind)
    ]
    return core_schema.dataclass_schema(
        kind, core_schema.dataclass_args_schema(kind.__name__, parts), [one.name for one in fields(kind)], slots=True
    )


#: Told what is in them, the library writes them out in a third of the time that it takes to find out.
_ENTRIES = SchemaSerializer(
    _each(
        _written(
            EntryTrace,
            lookups=_each(core_schema.str_schema()),
            rows=_each(
                _written(
                    RowTrace,
                    conditions=_each(_written(Seen)),
                    steps=_each(_written(Done, changes=_each(_each(core_schema.str_schema())))),
                )
            ),
        )
    )
)


def _plain(value: Any) -> JSON:
    names = _FIELDS.get(type(value))
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return cast(JSON, value)


def _many(data: Mapping[str, JSON], key: str, make: Callable[[dict[str, Any]], _Record]) -> tuple[_Record, ...]:
    return tuple(make(dict(cast("Mapping[str, Any]", one))) for one in cast("Sequence[JSON]", data[key]))


def _entry(data: dict[str, Any]) -> EntryTrace:
    data.update(verdict=Verdict(data["verdict"]), rows=_many(data, "rows", _row), lookups=tuple(data["lookups"]))
    return EntryTrace(**data)


def _row(data: dict[str, Any]) -> RowTrace:
    data.update(
        verdict=RowVerdict(data["verdict"]),
        truth=Truth(data["truth"]),
        conditions=_many(data, "conditions", _seen),
        steps=_many(data, "steps", _done),
    )
    return RowTrace(**data)


def _seen(data: dict[str, Any]) -> Seen:
    return Seen(**{**data, "truth": Truth(data["truth"])})


def _done(data: dict[str, Any]) -> Done:
    return Done(**{**data, "changes": tuple(tuple(change) for change in data["changes"])})
