"""The desk as decisions see it: vocabulary, compiled rule list and scripts, of one revision.

Asked for in each event's own transaction: one indexed row is read, and while the number is the same the desk in memory
is used. There is no broadcast that could be missed and no cache without its revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from connectors import store as connections
from jobs.system_texts import SYSTEM_TEXTS
from rules import store as rule_list
from rules.engine import Entry, RuleSet, compile_ruleset
from rules.errors import TableInvalid
from rules.listed import as_table, is_listed
from rules.parse import parse_table
from rules.script_params import declared_or_none
from rules.store import EntryKind, Stored
from rules.vocabulary import (
    ChangeInput,
    ChangeSpec,
    FieldSpec,
    LookupSpec,
    NamedList,
    Template,
    TemplateText,
    Vocabulary,
)
from tickets import clocks, lists
from tickets.db import Base, table_of
from tickets.item import FieldType, ItemKind
from tickets.prepared import Prepared
from tickets.questions import Purpose
from tickets.store import custom_fields, pipelines
from tickets.tables import Brand, BusinessCalendar, Location, LocationGroup, QuestionList, SlaPolicy, Team, User

#: The kind of connection that webhooks go to.
WEBHOOK = "webhook"
#: How a connector's answer types read as field types.
ANSWER_TYPES: Mapping[str, FieldType] = {
    "text": FieldType.TEXT,
    "number": FieldType.NUMBER,
    "money": FieldType.MONEY,
    "bool": FieldType.BOOL,
    "time": FieldType.TIME,
    "texts": FieldType.CHOICES,
}


@dataclass(frozen=True, slots=True)
class LiveScript:
    """The live version of a script."""

    code: str
    name: str
    version: int
    enabled: bool
    content: Mapping[str, Any]

    @property
    def source(self) -> str:
        return str(self.content.get("source", ""))


@dataclass(frozen=True, slots=True)
class Desk:
    """One revision of everything a decision depends on besides the item. `broken` names tables that no longer parse."""

    revision: int
    vocabulary: Vocabulary
    ruleset: RuleSet
    scripts: Mapping[str, LiveScript]
    operations: tuple[connections.OperationInfo, ...]
    broken: Mapping[str, str]


class Live:
    """The newest desk, kept in memory for as long as its revision is the live one."""

    def __init__(self) -> None:
        self._desk: Desk | None = None

    def current(self, connection: Connection, revision: int | None = None) -> Desk:
        """The desk of the revision that is live in this transaction; None: it is read, else the caller has read it."""
        if revision is None:
            revision = rule_list.revision(connection)
        desk = self._desk
        if desk is None or desk.revision != revision:
            desk = load(connection, revision)
            self._desk = desk
        return desk


def load(connection: Connection, revision: int) -> Desk:
    """Read and compile everything. A table that no longer parses is left out and named in `broken`."""
    stored, known = rule_list.entries(connection), connections.connections(connection)
    operations = connections.describe(known)
    words = _vocabulary(connection, stored, known, operations)
    entries: list[Entry] = []
    broken: dict[str, str] = {}
    for one in stored:
        if one.content is None or one.live_version is None or one.kind is EntryKind.TEMPLATE:
            continue
        if one.kind is EntryKind.SCRIPT and not is_listed(one.content):
            continue
        try:
            table = parse_table(table_data(one.kind, one.code, one.content), words)
        except TableInvalid as error:
            broken[one.code] = str(error)
            continue
        entries.append(
            Entry(
                code=one.code,
                name=one.name,
                version=one.live_version,
                position=one.position,
                enabled=one.enabled,
                table=table,
            )
        )
    return Desk(
        revision=revision,
        vocabulary=words,
        ruleset=compile_ruleset(revision, tuple(entries), words),
        scripts=_scripts(stored),
        operations=tuple(operations),
        broken=broken,
    )


def table_data(kind: EntryKind, code: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an entry of the rule list says as a table: a table itself, or a script with triggers of its own."""
    return as_table(code, content) if kind is EntryKind.SCRIPT else content


def vocabulary(connection: Connection) -> Vocabulary:
    """What exists in this desk, for parsing, menus and completion."""
    known = connections.connections(connection)
    return _vocabulary(connection, rule_list.entries(connection), known, connections.describe(known))


def _vocabulary(
    connection: Connection,
    stored: Sequence[Stored],
    known: Sequence[connections.ConnectionInfo],
    operations: Sequence[connections.OperationInfo],
) -> Vocabulary:
    hours = clocks.calendars(connection)
    # They have an action of their own, whose data and signature are settled.
    webhooks = {one.name: one for one in known if one.kind == WEBHOOK}
    return Vocabulary(
        teams=_labels(connection, _TEAMS),
        users=_labels(connection, _USERS),
        brands=_labels(connection, _BRANDS),
        locations=_labels(connection, _LOCATIONS),
        calendars={key: label for key, label in _labels(connection, _CALENDARS).items() if key in hours},
        hours=hours,
        slas=_labels(connection, _SLAS),
        location_groups=_labels(connection, _GROUPS),
        webhooks={name: one.label for name, one in webhooks.items() if one.enabled and one.allow_write},
        custom_fields=custom_fields(connection, ItemKind.TICKET),
        other_fields={kind: custom_fields(connection, kind) for kind in ItemKind if kind is not ItemKind.TICKET},
        pipelines=pipelines(connection),
        requests=_questions(connection, Purpose.REQUEST),
        forms=_questions(connection, Purpose.FORM),
        procedures=_questions(connection, Purpose.PROCEDURE),
        templates={
            one.code: template(one.code, one.content, enabled=one.enabled)
            for one in stored
            if one.kind is EntryKind.TEMPLATE and one.content is not None and one.code not in SYSTEM_TEXTS
        },
        scripts={one.code: one.name for one in stored if one.kind is EntryKind.SCRIPT and one.content is not None},
        script_params={
            one.code: takes
            for one in stored
            if one.kind is EntryKind.SCRIPT and one.content is not None and (takes := declared_or_none(one.content))
        },
        lookups={
            f"{one.connection}.{one.name}": lookup_spec(one)
            for one in operations
            if one.kind == "read" and one.allowed and one.bind
        },
        changes={
            f"{one.connection}.{one.name}": change_spec(one)
            for one in operations
            if one.kind == "write" and one.allowed and one.connection not in webhooks
        },
        lists={key: NamedList(one.label, one.members) for key, one in lists.lists(connection).items()},
    )


def lookup_spec(info: connections.OperationInfo) -> LookupSpec:
    """A connector's operation as the rules know it."""
    return LookupSpec(
        connection=info.connection,
        operation=info.name,
        label=f"{info.connection_label}: {info.label}",
        inputs={one.name: one.doc or one.name for one in info.inputs},
        bind=dict(info.bind),
        fields={
            path: FieldSpec(one.label, ANSWER_TYPES.get(one.type, FieldType.TEXT)) for path, one in info.fields.items()
        },
    )


def change_spec(info: connections.OperationInfo) -> ChangeSpec:
    """A connector's operation that writes, as the rules know it."""
    return ChangeSpec(
        connection=info.connection,
        operation=info.name,
        label=f"{info.connection_label}: {info.label}",
        inputs=tuple(
            ChangeInput(
                one.name,
                one.name.replace("_", " ").capitalize(),
                one.type.value,
                one.required,
                info.bind.get(one.name, ""),
                one.doc,
            )
            for one in info.inputs
        ),
    )


def template(code: str, content: Mapping[str, Any], *, enabled: bool = True) -> Template:
    """A stored template as the rules know it: {"name", "texts": {language: {"subject", "body"}}}."""
    texts = {
        language: TemplateText(body=str(text.get("body", "")), subject=str(text.get("subject", "")))
        for language, text in content.get("texts", {}).items()
    }
    return Template(code, str(content.get("name", code)), texts, enabled)


def _scripts(stored: list[Stored]) -> dict[str, LiveScript]:
    return {
        one.code: LiveScript(one.code, one.name, one.live_version, one.enabled, one.content)
        for one in stored
        if one.kind is EntryKind.SCRIPT and one.content is not None and one.live_version is not None
    }


def _questions(connection: Connection, purpose: Purpose) -> dict[str, str]:
    """The active lists of questions of this purpose: key and label."""
    return {row.key: row.label for row in _READ_QUESTIONS.all(connection, {"purpose": purpose})}


def _labels(connection: Connection, labelled: Prepared) -> dict[str, str]:
    return {row[0]: row[1] for row in labelled.all(connection, {})}


def _labelled(model: type[Base], label: str = "label") -> Prepared:
    """Key and label of each of these, by key."""
    table = table_of(model)
    return Prepared(select(table.c.key, table.c[label]).order_by(table.c.key))


# Read by every page about rules, and by every worker after each publish.
_TEAMS, _USERS, _BRANDS = _labelled(Team), _labelled(User, "name"), _labelled(Brand)
_LOCATIONS, _GROUPS = _labelled(Location), _labelled(LocationGroup)
_CALENDARS, _SLAS = _labelled(BusinessCalendar), _labelled(SlaPolicy)
_QUESTIONS = table_of(QuestionList).c
_READ_QUESTIONS = Prepared(
    select(_QUESTIONS.key, _QUESTIONS.label)
    .where(_QUESTIONS.purpose == bindparam("purpose"), _QUESTIONS.active)
    .order_by(_QUESTIONS.key)
)
