"""Tables in words: triggers, cells, steps, and what changed between two versions; all from the catalogues."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext

from rules.action import Param, ParamType
from rules.actions import ACTIONS
from rules.errors import UnknownField
from rules.fields import Field, field
from rules.operands import list_names
from rules.operators import OPERATORS, Operand, Takes, default_operator, for_values
from rules.parse import KINDS
from rules.table import (
    DEFAULT_WAIT_S,
    EVERY_TIME,
    NEVER_WITHOUT,
    ONCE_PER_EPISODE,
    ONCE_PER_ITEM,
    OTHERWISE,
    WhenUnknown,
)
from rules.triggers import TRIGGERS, TriggerParam
from rules.vocabulary import Vocabulary
from tickets.values import JSON
from web.labels import in_words
from web.look import duration
from web.rules_document import IF, THEN, Document, tidy
from web.rules_labels import operator_label, operator_sentence, param_label, param_options, value_words

#: Operators whose value stands alone in a cell, because everybody reads it so.
SILENT = frozenset({"is", "any_of", "has_any"})
#: What stands in forms for a row that fires at most once in a duration.
AT_MOST = "at_most"
#: Most lines in a list of changes, and longest value in a sentence, in characters.
MAX_LINES = 300
VALUE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in one cell: the operator as muted words before the values, each value by itself."""

    op: str = ""
    values: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.op and not self.values

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.op, ", ".join(self.values)) if part)


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One difference between two versions: where, what stood there, what stands there now."""

    where: str
    before: str = ""
    after: str = ""


def field_or_none(key: str, vocabulary: Vocabulary) -> Field | None:
    """The field, or None when this desk has none of that name (a connection was removed, say)."""
    try:
        return field(key, vocabulary)
    except UnknownField:
        return None


def condition(head: Mapping[str, Any], cell: JSON, vocabulary: Vocabulary) -> Words:
    """A cell on the left."""
    if cell is None:
        return Words()
    found = field_or_none(str(head.get("field", "")), vocabulary)
    data: Mapping[str, Any] = cell if isinstance(cell, Mapping) and not list_names(cell) else {"value": cell}
    default = head.get("op") or default_operator(found.type if found else None).key
    key = str(data.get("op") or default)
    value = data.get("value")
    operator = OPERATORS.get(key)
    if operator is None:
        return Words(key, _values(value, found, vocabulary))
    operator = for_values(operator, value)
    prefix = operator_sentence(operator).partition("{value}")[0].strip()
    if operator.operand is Operand.NONE:
        return Words(prefix)
    values = _values(value, found, vocabulary)
    if operator.takes is Takes.CALENDAR:
        values = (vocabulary.calendars.get(str(value), str(value)),)
    if operator.operand is Operand.PAIR and len(values) == 2:
        return Words(prefix, (gettext("%(low)s and %(high)s", low=values[0], high=values[1]),))
    return Words("" if operator.key in SILENT else prefix, values)


def step(action: str, cell: JSON, vocabulary: Vocabulary) -> Words:
    """A cell on the right: its parameters' values, defaults left out."""
    if not isinstance(cell, Mapping):
        return Words()
    record = ACTIONS.get(action)
    if record is None:
        return Words("", tuple(_short(one) for one in cell.values()))
    values: list[str] = []
    written = next((one.key for one in record.params if one.type is ParamType.FIELD), "")
    for param in record.params:
        value = cell.get(param.key)
        if param.type is ParamType.VALUE and written and isinstance(cell.get(written), str):
            # "Topic: Refund" is one thing, not two.
            found = field_or_none(_ticket_field(cell[written]), vocabulary)
            written_words = ", ".join(_values(value, found, vocabulary)) or gettext("empty")
            label = in_words(found.label) if found else str(cell[written])
            values = [f"{label}: {written_words}"]
            continue
        if value is None or value == "" or value == param.default:
            continue
        values += _param_words(param, value, vocabulary)
    return Words("", tuple(values) or (in_words(record.label),))


def _param_words(param: Param, value: JSON, vocabulary: Vocabulary) -> list[str]:
    options = param_options(param.options, vocabulary)
    label = in_words(param.label)
    match param.type:
        case ParamType.BOOL:
            return [label.lower() if value else gettext("not %(what)s", what=label.lower())]
        case ParamType.CHOICES | ParamType.TAGS if isinstance(value, (list, tuple)):
            return [options.get(str(one), str(one)) for one in value]
        case ParamType.JSON:
            return [f"{label}: {_short(value)}"]
        case ParamType.NUMBER:
            return [f"{label}: {value}"]
        case ParamType.GIVEN | ParamType.INPUTS if isinstance(value, Mapping):
            many = [(key, one if isinstance(one, (list, tuple)) else [one]) for key, one in value.items()]
            return [f"{key}: {', '.join(_short(one) for one in members)}" for key, members in many]
        case _:
            return [_short(options.get(str(value), value) if isinstance(value, str) else value)]


def _values(value: JSON, found: Field | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    many: Sequence[JSON] = value if isinstance(value, (list, tuple)) else [value]
    return tuple(
        listed(names[0], vocabulary) if (names := list_names(one)) else _short(value_words(found, one, vocabulary))
        for one in many
    )


def listed(name: str, vocabulary: Vocabulary) -> str:
    """A named list as a cell says it: "list VIPs". A list that is gone keeps its key."""
    found = vocabulary.lists.get(name)
    return gettext("list %(name)s", name=found.label if found is not None else name)


def _short(value: object) -> str:
    text = {True: gettext("yes"), False: gettext("no")}[value] if isinstance(value, bool) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= VALUE_CHARS else text[: VALUE_CHARS - 1] + "…"


# The table's own properties ------------------------------------------------------------------------------------


def trigger(data: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """One trigger, e.g. "a ticket gets a message from Customer"."""
    record = TRIGGERS.get(str(data.get("on", "")))
    if record is None:
        return str(data.get("on", ""))
    parts = [in_words(record.label)]
    found = field_or_none(_ticket_field(data.get("field")), vocabulary) if data.get("field") else None
    for param in record.params:
        value = data.get(param.key)
        if value is None or value == "" or value == param.default:
            continue
        options = param_options(param.options, vocabulary)
        many = value if isinstance(value, (list, tuple)) else [value]
        if param.key == "field":
            parts.append(f"({in_words(found.label) if found else value})")
            continue
        words = ", ".join(options.get(str(one)) or _plain_word(param, found, one, vocabulary) for one in many)
        parts.append(f"{param_label(param)} {words}" if param.key != "visibility" else f"({words.lower()})")
    return " ".join(parts)


def _plain_word(param: TriggerParam, found: Field | None, value: JSON, vocabulary: Vocabulary) -> str:
    """A value among words; a zone or a schedule is no word and stays as it is written."""
    text = value_words(found, value, vocabulary)
    return text if param.clean is not None else text.lower()


def _ticket_field(key: object) -> str:
    text = str(key)
    return text if text.startswith("ticket.") else f"ticket.{text}"


def triggers(document: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """When the table runs, e.g. "a ticket is created, or gets a message from Customer"."""
    found = [trigger(one, vocabulary) for one in document.get("triggers", ()) if isinstance(one, Mapping)]
    if not found:
        return gettext("never")
    kind = str(document.get("kind", "ticket"))
    subject = (
        gettext("an item") if kind == "any" else gettext("a %(kind)s", kind=in_words(KINDS.get(kind, kind)).lower())
    )
    either = gettext(", or ")
    return f"{subject} {either.join(found)}"


def hit(document: Mapping[str, Any]) -> str:
    return hits().get(str(document.get("hit", "first")), str(document.get("hit")))


def rearms() -> dict[str, str]:
    """The ways in which a row may fire again for the same ticket, in words."""
    return {
        EVERY_TIME: gettext("every time it matches"),
        ONCE_PER_EPISODE: gettext("once per episode"),
        ONCE_PER_ITEM: gettext("once per ticket"),
        AT_MOST: gettext("at most once every"),
    }


def rearm(row: Mapping[str, Any]) -> tuple[str, str]:
    """How a row is armed again: a key of `rearms`, and the duration where it is one."""
    how = str(row.get("rearm") or EVERY_TIME)
    return (how, "") if how in rearms() and how != AT_MOST else (AT_MOST, how)


def unknowns() -> dict[str, str]:
    """What a condition may count as whose value nobody can tell."""
    return {
        WhenUnknown.WAIT: gettext("wait as the table says, then skip the row"),
        WhenUnknown.SKIP: gettext("do not ask, and skip the row"),
        WhenUnknown.MATCH: gettext("wait as the table says, then it holds"),
        WhenUnknown.NO_MATCH: gettext("wait as the table says, then it does not hold"),
    }


def looks_outside(head: Mapping[str, Any], vocabulary: Vocabulary) -> bool:
    """Whether a condition column looks at a fact from outside."""
    try:
        return field(str(head.get("field")), vocabulary).outside
    except UnknownField:
        return False


def rearm_sentence(row: Mapping[str, Any]) -> str:
    """e.g. "fires at most once every 24 h"."""
    key, every = rearm(row)
    return gettext("fires %(how)s", how=f"{rearms()[key]} {every}".strip())


def hits() -> dict[str, str]:
    """The hit policies in words."""
    return {"first": gettext("the first row that matches"), "every": gettext("every row that matches, top to bottom")}


def wait(document: Mapping[str, Any]) -> str:
    """How long an event waits here for answers from outside."""
    value = document.get("wait_s", DEFAULT_WAIT_S)
    if value == NEVER_WITHOUT:
        return gettext("as long as it takes, up to 24 h")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return gettext("not at all") if value == 0 else gettext("up to %(time)s for answers", time=duration(float(value)))


def runs_again(document: Mapping[str, Any]) -> str:
    return gettext("when a later entry changes what it reads") if document.get("run_again") else gettext("no")


def waits_unusually(document: Mapping[str, Any]) -> bool:
    """Whether the wait is another than the usual one, and so worth a word."""
    return document.get("wait_s", DEFAULT_WAIT_S) != DEFAULT_WAIT_S


def column_label(head: Mapping[str, Any], side: str, vocabulary: Vocabulary) -> str:
    """A column's heading."""
    return in_words(heading(head, side, vocabulary))


def heading(head: Mapping[str, Any], side: str, vocabulary: Vocabulary) -> str:
    """A column's heading as files have it, whoever took them away: in English."""
    if side == IF:
        key = str(head.get("field", ""))
        found = field_or_none(key, vocabulary)
        return found.label if found else key
    record = ACTIONS.get(str(head.get("do", "")))
    return record.label if record else str(head.get("do", ""))


def member(data: Any, vocabulary: Vocabulary) -> str:
    """A condition outside the columns, or a group of them: "at least one of (Message contains refund; ...)"."""
    if isinstance(data, Mapping) and isinstance(data.get("field"), str):
        found = field_or_none(data["field"], vocabulary)
        cell = {key: data[key] for key in ("op", "value") if key in data}
        words = condition({"field": data["field"]}, cell, vocabulary)
        op = words.op or operator_label(OPERATORS["is"])
        label = in_words(found.label) if found else data["field"]
        return " ".join(part for part in (label, op, ", ".join(words.values)) if part)
    labels = {"any": gettext("at least one of"), "all": gettext("all of"), "none": gettext("none of")}
    for kind, label in labels.items():
        if isinstance(data, Mapping) and isinstance(data.get(kind), (list, tuple)):
            nothing_yet = gettext("nothing yet")
            return f"{label} ({members(data[kind], vocabulary) or nothing_yet})"
    return _short(str(data))


def members(data: Any, vocabulary: Vocabulary) -> str:
    """Several of them: the groups of a row, or a scope; "" for none."""
    return "; ".join(member(one, vocabulary) for one in data) if isinstance(data, (list, tuple)) else ""


def row_name(document: Document, row: str) -> str:
    """A row as people call it: "Row 3", or the last one."""
    if row == OTHERWISE:
        return gettext("When no row matches")
    return _name_of(row, next((n for n, one in enumerate(document["rows"], 1) if one["id"] == row), 0))


def _numbers(document: Document) -> dict[str, int]:
    """The number of each row, by its id."""
    return {row["id"]: number for number, row in reversed([*enumerate(document["rows"], 1)])}


def _name_of(row: str, number: int) -> str:
    return gettext("Row %(number)s", number=number) if number else gettext("Row %(id)s", id=row)


def row_sentence(document: Document, row: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """A whole row: "Channel: E-mail; Message: contains refund → Assign team: Billing"."""
    left = [
        f"{column_label(head, IF, vocabulary)}: {condition(head, row[IF][head['id']], vocabulary).text}"
        for head in document["columns"]
        if row.get(IF, {}).get(head["id"]) is not None
    ]
    right = [
        f"{column_label(head, THEN, vocabulary)}: {step(str(head.get('do')), row[THEN][head['id']], vocabulary).text}"
        for head in document["steps"]
        if row.get(THEN, {}).get(head["id"]) is not None
    ]
    left += [members(row.get("groups"), vocabulary)] if row.get("groups") else []
    anything, nothing = gettext("any"), gettext("nothing")
    return f"{'; '.join(left) or anything} → {'; '.join(right) or nothing}"


# Two versions ----------------------------------------------------------------------------------------------------


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], vocabulary: Vocabulary, *, moved: str = ""
) -> list[ChangeLine]:
    """What is different in `after`, in the order people read a table; at most MAX_LINES lines.

    `moved`: the row that somebody took hold of. Two neighbours that changed places do not tell which of them it was."""
    old, new = tidy(before), tidy(after)
    lines = [
        ChangeLine(label, was, now)
        for label, was, now in (
            (gettext("Name"), old["name"], new["name"]),
            (gettext("Runs when"), triggers(old, vocabulary), triggers(new, vocabulary)),
            (gettext("Only for"), members(old.get("scope"), vocabulary), members(new.get("scope"), vocabulary)),
            (gettext("Uses"), hit(old), hit(new)),
            (gettext("Waits for answers"), wait(old), wait(new)),
            (gettext("Runs again"), runs_again(old), runs_again(new)),
            (gettext("Note"), str(old.get("note") or ""), str(new.get("note") or "")),
        )
        if was != now
    ]
    lines += _column_changes(old, new, vocabulary)
    lines += _row_changes(old, new, vocabulary, moved)
    if len(lines) > MAX_LINES:
        more = len(lines) - MAX_LINES + 1
        lines = [*lines[: MAX_LINES - 1], ChangeLine(gettext("and %(number)s more changes", number=more))]
    return lines


def _column_changes(old: Document, new: Document, vocabulary: Vocabulary) -> list[ChangeLine]:
    lines = []
    for side, key in ((IF, "columns"), (THEN, "steps")):
        before = {one["id"]: one for one in old[key]}
        after = {one["id"]: one for one in new[key]}
        for id, head in before.items():
            if id not in after:
                lines.append(ChangeLine(gettext("Column"), column_label(head, side, vocabulary), gettext("removed")))
        for id, head in after.items():
            was = before.get(id)
            label = column_label(head, side, vocabulary)
            if was is None:
                lines.append(ChangeLine(gettext("Column"), "", gettext("%(label)s added", label=label)))
            elif column_label(was, side, vocabulary) != label:
                lines.append(ChangeLine(gettext("Column"), column_label(was, side, vocabulary), label))
            if was is not None and was.get("unknown") != head.get("unknown"):
                said = [unknowns().get(str(one.get("unknown") or "wait"), "") for one in (was, head)]
                lines.append(ChangeLine(gettext("%(label)s, while unknown", label=label), *said))
        kept_before = [id for id in before if id in after]
        kept_after = [id for id in after if id in before]
        if kept_before != kept_after:
            lines.append(
                ChangeLine(
                    gettext("Order of columns"),
                    ", ".join(column_label(before[id], side, vocabulary) for id in kept_before),
                    ", ".join(column_label(after[id], side, vocabulary) for id in kept_after),
                )
            )
    return lines


def _row_changes(old: Document, new: Document, vocabulary: Vocabulary, taken: str) -> list[ChangeLine]:
    before = {row["id"]: row for row in old["rows"]}
    after = {row["id"]: row for row in new["rows"]}
    lines = []
    numbers_old = _numbers(old)
    numbers_new = _numbers(new)
    moved = _moved([id for id in before if id in after], [id for id in after if id in before], taken)
    for id, row in after.items():
        name = _name_of(id, numbers_new[id])
        if id not in before:
            lines.append(ChangeLine(gettext("%(row)s added", row=name), "", row_sentence(new, row, vocabulary)))
            continue
        if id in moved:
            lines.append(ChangeLine(gettext("%(row)s moved", row=name), _name_of(id, numbers_old[id]), name))
        if str(before[id].get("note") or "") != str(row.get("note") or ""):
            lines.append(
                ChangeLine(
                    gettext("%(row)s, note", row=name), str(before[id].get("note") or ""), str(row.get("note") or "")
                )
            )
        lines += _rearm_changes(before[id], row, name)
        if bool(before[id].get("stop")) != bool(row.get("stop")):
            ends, goes_on = gettext("ends the rule list"), gettext("lets the rule list go on")
            was_ends, now_ends = (ends, goes_on) if before[id].get("stop") else (goes_on, ends)
            lines.append(ChangeLine(gettext("%(row)s, when it matches", row=name), was_ends, now_ends))
        was_groups, groups = members(before[id].get("groups"), vocabulary), members(row.get("groups"), vocabulary)
        if was_groups != groups:
            lines.append(ChangeLine(gettext("%(row)s, groups", row=name), was_groups, groups))
        lines += _cell_changes(old, new, before[id], row, name, vocabulary)
    for id, row in before.items():
        if id not in after:
            lines.append(
                ChangeLine(
                    gettext("%(row)s removed", row=_name_of(id, numbers_old[id])), row_sentence(old, row, vocabulary)
                )
            )
    last_old, last_new = old.get(OTHERWISE, {THEN: {}}), new.get(OTHERWISE, {THEN: {}})
    lines += _rearm_changes(last_old, last_new, row_name(new, OTHERWISE))
    lines += _cell_changes(old, new, last_old, last_new, row_name(new, OTHERWISE), vocabulary)
    return lines


def _rearm_changes(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> list[ChangeLine]:
    was, now = rearm_sentence(before), rearm_sentence(after)
    return [ChangeLine(gettext("%(row)s, how often", row=name), was, now)] if was != now else []


def _cell_changes(
    old: Document,
    new: Document,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    name: str,
    vocabulary: Vocabulary,
) -> list[ChangeLine]:
    lines = []
    for side, key in ((IF, "columns"), (THEN, "steps")):
        old_heads = {head["id"]: head for head in old[key]}
        for head in new[key]:
            was_head = old_heads.get(head["id"])
            was_cell, cell = before.get(side, {}).get(head["id"]), after.get(side, {}).get(head["id"])
            if was_head == head and was_cell == cell:
                continue  # most cells of most tables: no need to put them into words
            was = cell_words(was_head, side, was_cell, vocabulary) if was_head else Words()
            now = cell_words(head, side, cell, vocabulary)
            if was != now:
                empty = gettext("any") if side == IF else gettext("nothing")
                label = column_label(head, side, vocabulary)
                lines.append(ChangeLine(f"{name}, {label}", was.text or empty, now.text or empty))
    return lines


def cell_words(head: Mapping[str, Any], side: str, cell: JSON, vocabulary: Vocabulary) -> Words:
    """A cell of either side."""
    return condition(head, cell, vocabulary) if side == IF else step(str(head.get("do", "")), cell, vocabulary)


def _moved(before: Sequence[str], after: Sequence[str], taken: str) -> set[str]:
    """The ids whose moving explains the new order: the one `taken`, where it does alone, else as few as can be."""
    if taken in after and [id for id in before if id != taken] == [id for id in after if id != taken]:
        return {taken} if list(before) != list(after) else set()
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    stayed = {
        before[index] for block in matcher.get_matching_blocks() for index in range(block.a, block.a + block.size)
    }
    return set(after) - stayed
