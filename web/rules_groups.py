"""Groups of a row, and the scope of a table or script, as one form: a condition has its operators and values as a cell.

A place is a path: "g2" is the second member of the list, "g2-1" the first member of that group. The structure (which
groups, which fields) is the document's; the form says what stands in it and what to add or take away.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from rules.operators import Operand, default_operator
from rules.parse import MAX_GROUP_DEPTH, MAX_GROUPS, MAX_MEMBERS
from rules.table import GroupKind
from rules.vocabulary import Vocabulary
from tickets.values import JSON
from web.labels import in_words
from web.rules_document import Document, EditRefused, row_at
from web.rules_forms import CellForm, condition_form, read_condition
from web.rules_words import field_or_none

#: Where the members of a scope stand in forms that are otherwise about a row.
SCOPE = "scope"


@dataclass(frozen=True, slots=True)
class Node:
    """One member: a condition (`cell`) or a group (`kind` and `members`). `groups`: whether a group fits into it."""

    path: str
    cell: CellForm | None = None
    kind: str = ""
    members: tuple[Node, ...] = ()
    groups: bool = False


def members_of(document: Document, row: str) -> list[Any]:
    """The groups of this row, or of the scope. Raises `EditRefused`."""
    if row == SCOPE:
        found = document.get("scope")
    else:
        found = document["rows"][row_at(document, row)].get("groups")
    return list(found) if isinstance(found, (list, tuple)) else []


def forms(members: Sequence[Any], vocabulary: Vocabulary, *, above: str = "g", depth: int = 1) -> tuple[Node, ...]:
    """The members as forms; what is neither a condition nor a group is shown as an empty group to take away."""
    nodes = []
    for number, one in enumerate(members, 1):
        path = f"{above}{number}"
        if isinstance(one, Mapping) and isinstance(one.get("field"), str):
            cell = {key: one[key] for key in ("op", "value") if key in one}
            nodes.append(Node(path, condition_form({"id": path, "field": one["field"]}, cell or {}, vocabulary)))
            continue
        kind = _kind(one)
        inner = one.get(kind) if isinstance(one, Mapping) else None
        inside = forms(inner if isinstance(inner, list) else [], vocabulary, above=f"{path}-", depth=depth + 1)
        nodes.append(Node(path, None, kind, inside, depth < MAX_GROUP_DEPTH))
    return tuple(nodes)


def kinds() -> dict[str, str]:
    """The kinds of group in words."""
    return {
        GroupKind.ANY.value: gettext("at least one of"),
        GroupKind.ALL.value: gettext("all of"),
        GroupKind.NONE.value: gettext("none of"),
    }


def read(document: Document, form: MultiDict[str, str], vocabulary: Vocabulary, zone: str) -> Document:
    """The document with what the form says of one row's groups, or of the scope. Raises `EditRefused`."""
    row = form.get("row", "")
    members = read_members(members_of(document, row), form, vocabulary, zone, scope=row == SCOPE)
    changed = copy.deepcopy(document)
    target, key = (changed, SCOPE) if row == SCOPE else (changed["rows"][row_at(changed, row)], "groups")
    target.pop(key, None)
    if members:
        target[key] = members
    return changed


def read_members(
    present: Sequence[Any], form: MultiDict[str, str], vocabulary: Vocabulary, zone: str, *, scope: bool
) -> list[Any]:
    """These members with what the form says of them. Raises `EditRefused`.

    `add`, `group` and `remove` name the place where a condition or group comes or goes; "g" is the list itself."""
    members = [_read(one, f"g{number}", form, vocabulary, zone) for number, one in enumerate(present, 1)]
    if form.get("add"):
        _add(members, form["add"], form.get(f"{form['add']}.new", ""), vocabulary, scope=scope)
    if form.get("group"):
        _add_group(members, form["group"], form.get(f"{form['group']}.newkind", "any"), scope=scope)
    if form.get("remove"):
        members = _without(members, form["remove"])
    return members


def _read(member: Any, path: str, form: MultiDict[str, str], vocabulary: Vocabulary, zone: str) -> Any:
    if isinstance(member, Mapping) and isinstance(member.get("field"), str):
        # A condition that the form did not show (somebody added it meanwhile) stays as it is.
        if f"{path}.op" not in form:
            return dict(member)
        cell = read_condition(form, {"id": path, "field": member["field"]}, vocabulary, zone)
        made: dict[str, JSON] = {"field": member["field"]}
        if isinstance(cell, Mapping):
            made |= cell
        elif form[f"{path}.op"]:
            made["op"] = form[f"{path}.op"]
        return made
    kind = _kind(member)
    inner = member.get(kind) if isinstance(member, Mapping) else None
    wanted = form.get(f"{path}.kind", kind)
    inside = [
        _read(one, f"{path}-{number}", form, vocabulary, zone)
        for number, one in enumerate(inner if isinstance(inner, list) else [], 1)
    ]
    return {wanted if wanted in kinds() else kind: inside}


def _add(members: list[Any], path: str, key: str, vocabulary: Vocabulary, *, scope: bool) -> None:
    found = field_or_none(key, vocabulary)
    if found is None:
        raise EditRefused(gettext("Choose what the new condition looks at."))
    if scope and found.outside:
        raise EditRefused(
            gettext("A scope looks only at what is known at once; %(label)s is not.", label=in_words(found.label))
        )
    target = _inside(members, path)
    if target is members and not scope:
        raise EditRefused(gettext("A condition outside of groups is a column of the table."))
    if len(target) >= MAX_MEMBERS:
        raise EditRefused(gettext("A group has at most %(n)s members. Nothing was added.", n=MAX_MEMBERS))
    made: dict[str, JSON] = {"field": found.key}
    usual = default_operator(found.type)
    if usual.operand is Operand.NONE:
        made["op"] = usual.key
    target.append(made)


def _add_group(members: list[Any], path: str, kind: str, *, scope: bool) -> None:
    target = _inside(members, path)
    depth = 0 if target is members else path.count("-") + 1
    if depth >= MAX_GROUP_DEPTH:
        raise EditRefused(gettext("A group in a group holds conditions, no more groups."))
    most = MAX_GROUPS if target is members and not scope else MAX_MEMBERS
    if len(target) >= most:
        raise EditRefused(gettext("There are at most %(n)s groups here. Nothing was added.", n=most))
    target.append({kind if kind in kinds() else GroupKind.ANY.value: []})


def _inside(members: list[Any], path: str) -> list[Any]:
    """The list that this path names: "g" is the whole one. Raises `EditRefused`."""
    target = members
    for number in _numbers(path):
        if not 0 < number <= len(target) or "field" in target[number - 1]:
            raise EditRefused(gettext("This group is not there any more; somebody may have removed it."))
        one = target[number - 1]
        target = one[_kind(one)]
    return target


def _without(members: list[Any], path: str) -> list[Any]:
    numbers = _numbers(path)
    if not numbers:
        return members
    above = "g" + "-".join(str(one) for one in numbers[:-1])
    target = _inside(members, above)
    if not 0 < numbers[-1] <= len(target):
        raise EditRefused(gettext("This condition is not there any more; somebody may have removed it."))
    del target[numbers[-1] - 1]
    return members


def _numbers(path: str) -> list[int]:
    parts = [part for part in path.removeprefix("g").split("-") if part]
    if not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):
        raise EditRefused(gettext("This form asks for nothing that can be done to a table."))
    return [int(part) for part in parts]


def _kind(member: Any) -> str:
    known = [kind.value for kind in GroupKind]
    return next((key for key in known if isinstance(member, Mapping) and key in member), GroupKind.ANY.value)
