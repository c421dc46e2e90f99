"""The words of a desk taken from the tables of a file: whatever they name exists, for files that come without any.

What a cell names is read as it is for *Who uses this* (`web.used_by`), so that conditions in groups, scopes, triggers
and steps count alike. What nobody can guess is left out: the entries of a named list, the hours of a calendar.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rules.fields import CONTEXT, FIELDS, TICKET
from rules.operators import OPERATORS
from rules.table import OTHERWISE
from rules.vocabulary import ChangeInput, ChangeSpec, FieldSpec, LookupSpec, Template, TemplateText, Vocabulary
from tickets.item import CUSTOM, FieldType, ItemKind, StateField
from tickets.kinds import Pipeline, Stage
from web.rules_document import IF, THEN, tidy
from web.used_by import clauses, named_in

#: Types in the order in which they are guessed from operators.
_GUESSED = (FieldType.TEXT, FieldType.NUMBER, FieldType.CHOICES, FieldType.TIME)


def assumed(tables: Iterable[Mapping[str, Any]]) -> Vocabulary:
    """The words that these tables use, taken as existing.

    A field's type is what its operators and values take; a lookup is bound to nothing, so it is known only where facts
    say so. A calendar has no hours: what asks whether it is working time is not decided."""
    empty = Vocabulary()
    names: defaultdict[str, set[str]] = defaultdict(set)
    asked: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    inputs: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    stages: set[str] = set()
    for data in tables:
        for part, key in named_in(data, empty):
            names[part].add(key)
        document = tidy(data)
        for clause in _conditions(document):
            asked[str(clause.get("field", ""))].append(clause)
        stages |= {str(one["stage"]) for one in document["triggers"] if one.get("stage")}
        for cell in _steps(document):
            for what, given in (("lookup", "args"), ("change", "inputs")):
                if cell.get(what):
                    inputs[what, str(cell[what])] |= set(cell.get(given) or {})
            stages |= {str(cell["stage"])} if cell.get("stage") else set()
    own = TICKET + CUSTOM
    custom = {key: _type_of(asked[own + key]) for key in names["field"]}
    lookups: defaultdict[str, dict[str, FieldType]] = defaultdict(dict)
    for key, uses in asked.items():
        if key not in FIELDS and not key.startswith((TICKET, CONTEXT)) and key.count(".") >= 2:
            connection, operation, path = key.split(".", 2)
            lookups[f"{connection}.{operation}"][path] = _type_of(uses)
    for what, name in inputs:
        if what == "lookup":
            lookups[name] |= {}
    return Vocabulary(
        teams=_labels(names["team"]),
        users=_labels(names["user"]),
        brands=_labels(names["brand"]),
        locations=_labels(names["location"]),
        location_groups=_labels(names["location_group"]),
        scripts=_labels(names["script"]),
        calendars=_labels(names["calendar"]),
        slas=_labels(names["sla"]),
        requests=_labels(names["request"]),
        forms=_labels(names["form"]),
        procedures=_labels(names["procedure"]),
        webhooks=_labels(names["connection"]),
        templates={key: Template(key, key, {"en": TemplateText(key, key)}) for key in sorted(names["template"])},
        custom_fields={key: StateField(CUSTOM + key, key, type) for key, type in custom.items()},
        lookups={
            name: LookupSpec(
                *_split(name),
                name,
                inputs={key: key for key in inputs["lookup", name]},
                fields={path: FieldSpec(path, type) for path, type in paths.items()},
            )
            for name, paths in lookups.items()
        },
        changes={
            name: ChangeSpec(*_split(name), name, tuple(ChangeInput(key, key, required=False) for key in sorted(given)))
            for (what, name), given in inputs.items()
            if what == "change"
        },
        pipelines={
            "assumed": Pipeline("assumed", "Assumed", ItemKind.JOB, tuple(Stage(key, key) for key in sorted(stages)))
        }
        if stages
        else {},
    )


def _labels(keys: Iterable[str]) -> dict[str, str]:
    return {key: key for key in sorted(keys)}


def _split(name: str) -> tuple[str, str]:
    connection, _, operation = name.partition(".")
    return connection, operation


def _conditions(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every condition, each with its field, operator and value."""
    for row in document["rows"]:
        for head in document["columns"]:
            cell = row[IF].get(head["id"])
            if cell is not None:
                said = cell if (isinstance(cell, Mapping) and "value" in cell) or _has_op(cell) else {"value": cell}
                yield {"field": head.get("field"), "op": said.get("op") or head.get("op"), "value": said.get("value")}
        yield from clauses(row.get("groups"))
    for head in document["columns"]:
        yield {"field": head.get("field"), "op": head.get("op")}
    yield from clauses(document.get("scope"))
    for line in document["triggers"]:
        field = line.get("field")
        if isinstance(field, str):
            name = field if field.startswith(TICKET) else TICKET + field
            op = "older_than" if line.get("on") in ("before_date", "after_date") else None
            yield from ({"field": name, "op": op, "value": line.get(side)} for side in ("from", "to"))


def _has_op(cell: object) -> bool:
    return isinstance(cell, Mapping) and "op" in cell


def _steps(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    rows = [*(row[THEN] for row in document["rows"]), document.get(OTHERWISE, {}).get(THEN, {})]
    return (cell for row in rows for cell in row.values() if isinstance(cell, Mapping))


def _type_of(uses: Iterable[Mapping[str, Any]]) -> FieldType:
    """The type whose fields take these operators and values; text where several would do."""
    ops: set[str] = set()
    values: list[Any] = []
    for one in uses:
        ops.add(str(one.get("op") or ""))
        value = one.get("value")
        values += value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) for one in values):
        return FieldType.BOOL
    if any(isinstance(one, (int, float)) for one in values):
        return FieldType.NUMBER
    for type in _GUESSED:
        if all(op not in OPERATORS or type in OPERATORS[op].types for op in ops):
            return type
    return FieldType.TEXT
