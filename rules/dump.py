"""From a `Table` back to the data it was read from: what `rules.parse` reads, in the same words."""

from __future__ import annotations

from collections.abc import Mapping

from rules.operators import OPERATORS, Operand
from rules.table import EVERY_TIME, NEVER_WITHOUT, Column, Group, Member, Row, Table, WhenUnknown
from tickets.values import JSON


def dump_table(table: Table) -> dict[str, JSON]:
    """The table as data that `parse_table` reads back to an equal one."""
    ops = {column.id: column.op for column in table.columns}
    data: dict[str, JSON] = {"code": table.code, "name": table.name, "kind": table.kind, "enabled": table.enabled}
    if table.note:
        data["note"] = table.note
    data["triggers"] = [{"on": trigger.on, **trigger.params} for trigger in table.triggers]
    data["hit"] = table.hit.value
    data["wait_s"] = NEVER_WITHOUT if table.wait_s is None else table.wait_s
    if table.run_again:
        data["run_again"] = True
    if table.scope:
        data["scope"] = [_member(member) for member in table.scope]
    data["columns"] = [_column(column) for column in table.columns]
    data["steps"] = [{"id": step.id, "do": step.do} for step in table.steps]
    data["rows"] = [_row(row, ops) for row in table.rows]
    if table.otherwise is not None:
        rearm = {} if table.otherwise_rearm == EVERY_TIME else {"rearm": table.otherwise_rearm}
        data["otherwise"] = {**rearm, "then": {step.column: dict(step.params) for step in table.otherwise}}
    return data


def _column(column: Column) -> dict[str, JSON]:
    data: dict[str, JSON] = {"id": column.id, "field": column.field, "op": column.op}
    if column.unknown is not WhenUnknown.WAIT:
        data["unknown"] = column.unknown.value
    return data


def _row(row: Row, ops: Mapping[str, str]) -> dict[str, JSON]:
    cells: dict[str, JSON] = {}
    for condition in row.conditions:
        cell: dict[str, JSON] = {}
        if condition.op != ops[condition.column]:
            cell["op"] = condition.op
        if OPERATORS[condition.op].operand is not Operand.NONE:
            cell["value"] = condition.value
        cells[condition.column] = cell
    data: dict[str, JSON] = {"id": row.id}
    if row.note:
        data["note"] = row.note
    if row.rearm != EVERY_TIME:
        data["rearm"] = row.rearm
    if row.stop:
        data["stop"] = True
    data["if"] = cells
    if row.groups:
        data["groups"] = [_member(group) for group in row.groups]
    data["then"] = {step.column: dict(step.params) for step in row.steps}
    return data


def _member(member: Member) -> JSON:
    if isinstance(member, Group):
        return {member.kind.value: [_member(inner) for inner in member.members]}
    data: dict[str, JSON] = {"field": member.field, "op": member.op}
    if OPERATORS[member.op].operand is not Operand.NONE:
        data["value"] = member.value
    return data
