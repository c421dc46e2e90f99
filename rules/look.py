"""What a decision sees: the facts with what was staged so far, each field read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rules.errors import ConditionFailed
from rules.facts import Facts, Known, Reading
from rules.fields import Field
from rules.operators import Looks, Operator
from rules.trace import cut
from tickets.values import JSON, from_iso

_NONE: Mapping[str, JSON] = {}


class Look:
    """Facts with what was staged so far; each field is read once until a staged write touches it.

    `item` is the item as it is staged now; `given` are the facts, in which only the item may be out of date. `odd` is
    whether a value was found (by `rules.straight`) that makes no sense to somebody."""

    __slots__ = ("_bases", "_own", "_readings", "given", "item", "may_wait", "odd", "staged_by")

    def __init__(self, facts: Facts, staged: Mapping[str, JSON]) -> None:
        self.given = facts.with_state(staged) if staged else facts
        self.item: Mapping[str, JSON] = self.given.item
        self.staged_by: dict[str, str] = dict.fromkeys(staged, "earlier rules") if staged else {}
        self.odd = False
        self.may_wait = False  # whether the table being decided waits for answers that are on their way
        self._own: dict[str, JSON] | None = None  # `item`, once something was staged
        self._readings: dict[str, tuple[Field, Reading]] = {}
        self._bases: set[str] = set()  # state fields that something in `_readings` depends on

    @property
    def facts(self) -> Facts:
        """The facts with `item` in them."""
        if self.given.item is not self.item:
            # Only now: most writes are looked at by nobody who needs all facts.
            self.given = self.given.with_item(self.item)
        return self.given

    def read(self, field: Field) -> Reading:
        known = self._readings.get(field.key)
        if known is not None:
            return known[1]
        reading = field.read(self.facts)
        if isinstance(reading, Known) and field.state_key in self.staged_by:
            reading = replace(reading, source=self.staged_by[field.state_key])
        self._readings[field.key] = (field, reading)
        self._bases |= field.reads
        return reading

    def part(self, name: str) -> Mapping[str, JSON]:
        """A part of the facts by the name that fields have for it; empty when it is not there."""
        if name == "item":
            return self.item
        part: Mapping[str, JSON] | None = getattr(self.given, name)
        return part or _NONE

    def changes(self) -> Mapping[str, JSON]:
        """The net changes of the event, [before, after] by field."""
        changes = self.given.event.get("changes")
        return changes if isinstance(changes, (dict, Mapping)) else _NONE

    def change(self, state_key: str) -> JSON:
        """[before, after] when this event changed the field. What rules stage is another event's change."""
        return self.changes().get(state_key)

    def age_s(self, operator: Operator, reading: Known) -> float:
        """How long before now the value is, or was fetched, in seconds. Raises `ConditionFailed` for no time."""
        since = reading.value if operator.looks is Looks.AGE else reading.at
        try:
            return (from_iso(self.given.now) - from_iso(str(since))).total_seconds()
        except ValueError:
            if operator.looks is Looks.FETCHED:
                raise ConditionFailed("nobody noted when it was fetched") from None
            raise ConditionFailed(f"{cut(repr(since))} is not a time with a zone") from None

    def stage(self, written: Mapping[str, JSON], row_key: str) -> None:
        for name, value in written.items():
            self.put(name, value, row_key)

    def put(self, name: str, value: JSON, row_key: str) -> None:
        """What a row writes; None empties the field."""
        own = self.own_item()
        if value is None:
            own.pop(name, None)
        else:
            own[name] = value
        self.wrote(name, row_key)

    def own_item(self) -> dict[str, JSON]:
        """The item to write to. Who does says so by `wrote`."""
        own = self._own
        if own is None:
            # Ours from here on: a copy for every row that fires would cost more than the rest of it.
            own = self._own = dict(self.item)
            self.item = own
        return own

    def wrote(self, name: str, row_key: str) -> None:
        """A row wrote this field: it is read again, with all that depends on it."""
        self.staged_by[name] = row_key
        if name in self._bases:
            self._readings = {key: known for key, known in self._readings.items() if name not in known[0].reads}
