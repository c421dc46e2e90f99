"""What a decision may look at: plain data, and the three things a condition can read there: known, missing, unknown.

The shapes are in docs/architecture.md. `Facts` are stored with the decision, so that replay and explain see the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from rules.errors import FactsInvalid
from tickets.values import JSON, JsonText, json_problem, json_text, record

#: Version of the stored form of facts. Older ones stay readable.
FACTS_SCHEMA = 1
#: The parts that hold a mapping for each name.
_OF_MAPPINGS = frozenset({"context", "lookups", "ledger", "writing"})


# Not frozen, though nobody changes it: one is made for every answer that an event lacks.
@dataclass(slots=True, unsafe_hash=True)
class LookupKey:
    """One question to a connection: the operation and its inputs, sorted by name."""

    connection: str
    operation: str
    args: tuple[tuple[str, JSON], ...] = ()

    @property
    def name(self) -> str:
        """What tables call it, e.g. "erp.find_party"."""
        return f"{self.connection}.{self.operation}"


# Not frozen, though nobody changes it: one is made for each field that is read, in every decision.
@dataclass(slots=True, unsafe_hash=True)
class Known:
    """A value, where it came from ("ticket", "erp.find_party", "A01/r3") and when (ISO 8601, "" = not told)."""

    value: JSON
    source: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """There is certainly no value: the field is empty, the lookup found nobody."""

    reason: str


@dataclass(slots=True, unsafe_hash=True)
class Unknown:
    """Nobody can say yet, or at all.

    `lookup` is the question whose answer would tell; `worth_waiting` is False when it has already failed."""

    reason: str
    lookup: LookupKey | None = None
    worth_waiting: bool = False


Reading: TypeAlias = Known | Missing | Unknown


@record
class Facts:
    """Everything one decision sees. Shapes: docs/architecture.md, "Facts: what a decision may look at"."""

    item: Mapping[str, JSON]
    event: Mapping[str, JSON]
    now: str
    customer: Mapping[str, JSON] | None = None
    message: Mapping[str, JSON] | None = None
    context: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    lookups: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    run: Mapping[str, JSON] | None = None
    clock: Mapping[str, JSON] = field(default_factory=dict)
    ledger: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)
    #: Scripts at work on the item that may write cards, by code: {"name": what people call it, "runs": ids}.
    writing: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)

    def with_state(self, staged: Mapping[str, JSON]) -> Facts:
        """The same facts with these state fields written over; None empties a field."""
        if not staged:
            return self
        item = {**self.item, **staged}
        for key, value in staged.items():
            if value is None:
                del item[key]
        return self.with_item(item)

    def with_item(self, item: Mapping[str, JSON]) -> Facts:
        """The same facts about an item that is like this."""
        return Facts(
            item,
            self.event,
            self.now,
            self.customer,
            self.message,
            self.context,
            self.lookups,
            self.run,
            self.clock,
            self.ledger,
            self.writing,
        )

    def to_json(self) -> dict[str, JSON]:
        """What is stored with the decision. Raises `FactsInvalid` for anything that is not plain JSON."""
        data = self._document()
        for key, part in data.items():
            if key in _OF_MAPPINGS:
                parts = cast("Mapping[str, Mapping[str, JSON]]", part)
                data[key] = {name: dict(one) for name, one in parts.items()}
            elif isinstance(part, Mapping):
                data[key] = dict(part)
        problem = json_problem(data, "facts")
        if problem:
            raise FactsInvalid(problem)
        return data

    def to_text(self) -> JsonText:
        """`to_json` as it is stored with a decision. Raises `FactsInvalid`."""
        data = self._document()  # written out at once, so nothing is copied
        if json_problem(data, "facts"):
            data = self.to_json()  # which says what is wrong, unless it was only another kind of mapping
        return json_text(data, lambda: data)

    def _document(self) -> dict[str, JSON]:
        data: dict[str, JSON] = {
            "schema": FACTS_SCHEMA,
            "item": self.item,
            "customer": self.customer,
            "event": self.event,
            "message": self.message,
            "context": self.context,
            "lookups": self.lookups,
            "run": self.run,
            "clock": self.clock,
            "ledger": self.ledger,
            "now": self.now,
        }
        if self.writing:
            data["writing"] = self.writing
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Facts:
        """Read back what `to_json` made. Raises `FactsInvalid`."""
        schema = data.get("schema", FACTS_SCHEMA)
        if schema != FACTS_SCHEMA:
            raise FactsInvalid(f"These facts have schema {schema!r}; this version reads {FACTS_SCHEMA}.")
        now = data.get("now")
        if not isinstance(now, str):
            raise FactsInvalid("Facts need 'now' as an ISO 8601 text.")
        item, event = _part(data, "item"), _part(data, "event")
        if item is None or event is None:
            raise FactsInvalid("Facts need 'item' and 'event'.")
        return cls(
            item=item,
            event=event,
            now=now,
            customer=_part(data, "customer"),
            message=_part(data, "message"),
            context=cast("Mapping[str, Mapping[str, JSON]]", _part(data, "context", of_mappings=True) or {}),
            lookups=cast("Mapping[str, Mapping[str, JSON]]", _part(data, "lookups", of_mappings=True) or {}),
            run=_part(data, "run"),
            clock=_part(data, "clock") or {},
            ledger=cast("Mapping[str, Mapping[str, JSON]]", _part(data, "ledger", of_mappings=True) or {}),
            writing=cast("Mapping[str, Mapping[str, JSON]]", _part(data, "writing", of_mappings=True) or {}),
        )


def _part(data: Mapping[str, JSON], key: str, *, of_mappings: bool = False) -> Mapping[str, JSON] | None:
    part = data.get(key)
    if part is None:
        return None
    if not isinstance(part, Mapping):
        raise FactsInvalid(f"Facts need {key!r} as a mapping, not {type(part).__name__}.")
    if of_mappings and not all(isinstance(inner, Mapping) for inner in part.values()):
        raise FactsInvalid(f"Facts need {key!r} as a mapping of mappings.")
    return part
