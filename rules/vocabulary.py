"""What exists in this desk: teams, users, custom fields, templates, scripts, lookups. Plain data, handed in.

Fields, operators and actions are the same everywhere; the vocabulary is what differs between desks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import cast

from tickets.calendar import Calendar
from tickets.item import FieldType, ItemKind, StateField
from tickets.kinds import STATUSES_OF, Pipeline, fields_of, priorities_of, statuses_of
from tickets.values import JSON

#: The language a template falls back to.
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """One language of a template; {{ticket.*}} and {{customer.*}} are filled in."""

    body: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """A reusable message. `texts` maps a language ("en", "fr") to its text. One that is switched off is not sent."""

    code: str
    name: str
    texts: Mapping[str, TemplateText]
    enabled: bool = True

    def text_for(self, language: str) -> tuple[str, TemplateText] | None:
        """The language used and its text: the one asked for, else English, else the first; None when it has no text."""
        for candidate in (language, DEFAULT_LANGUAGE, *self.texts):
            if candidate in self.texts:
                return candidate, self.texts[candidate]
        return None


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One path of a lookup's answer, or of a context card, that conditions may look at."""

    label: str
    type: FieldType = FieldType.TEXT
    options: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LookupSpec:
    """One operation that tables may ask.

    `inputs` maps input names to labels; `bind` says which field fills which input, e.g. {"email": "customer.email"};
    `fields` maps a path in the answer ("receivable", "address.country") to what it holds."""

    connection: str
    operation: str
    label: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    bind: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.connection}.{self.operation}"


@dataclass(frozen=True, slots=True)
class ChangeInput:
    """One input of a change. `type` is the connector's word: text, lines, email, integer, decimal, bool, date, body.

    `bind` is the field it is taken from where nobody says, e.g. "customer.email"."""

    name: str
    label: str
    type: str = "text"
    required: bool = True
    bind: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSpec:
    """One operation that changes a connected system, of a connection that may be written to."""

    connection: str
    operation: str
    label: str
    inputs: tuple[ChangeInput, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.connection}.{self.operation}"

    @property
    def in_tables(self) -> bool:
        """Whether a step's form can say all it needs; a whole body of data only a script can."""
        return not any(one.required and one.type == "body" for one in self.inputs)


@dataclass(frozen=True, slots=True)
class NamedList:
    """Values that many cells use under one name, e.g. the e-mail addresses of the VIPs."""

    label: str
    values: tuple[JSON, ...] = ()


class GivenType(StrEnum):
    """What a parameter of a script takes."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    CHOICE = "choice"  # one of its options
    DATE = "date"  # a day, YYYY-MM-DD
    TEXTS = "texts"  # a list


@dataclass(frozen=True, slots=True)
class ScriptParam:
    """One parameter that a script declares; a step that runs it fills it in, the script reads `params.<name>`."""

    name: str
    label: str
    type: GivenType = GivenType.TEXT
    required: bool = False
    default: JSON = None
    options: tuple[str, ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What exists in this desk. Mappings of key to label; lookups by "connection.operation"."""

    teams: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    brands: Mapping[str, str] = field(default_factory=dict)
    locations: Mapping[str, str] = field(default_factory=dict)
    location_groups: Mapping[str, str] = field(default_factory=dict)
    #: Connections that take webhooks.
    webhooks: Mapping[str, str] = field(default_factory=dict)
    #: The fields of `kind` beside those of all kinds.
    custom_fields: Mapping[str, StateField] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    #: What scripts declare to take, by their code; one that is not here takes any names.
    script_params: Mapping[str, tuple[ScriptParam, ...]] = field(default_factory=dict)
    lookups: Mapping[str, LookupSpec] = field(default_factory=dict)
    #: What may be changed in connected systems, by "connection.operation".
    changes: Mapping[str, ChangeSpec] = field(default_factory=dict)
    #: SLA policies.
    slas: Mapping[str, str] = field(default_factory=dict)
    #: What the business calendars are, for conditions on working time.
    hours: Mapping[str, Calendar] = field(default_factory=dict)
    #: Business calendars, for what counts working time only.
    calendars: Mapping[str, str] = field(default_factory=dict)
    #: Known paths of context cards, "<card>.<path>"; others may be used too, but then have no type and no menu.
    context: Mapping[str, FieldSpec] = field(default_factory=dict)
    #: Named lists, by the name that cells use: {"list": "VIPS"}.
    lists: Mapping[str, NamedList] = field(default_factory=dict)
    #: Lists of questions by what they are for: key and label.
    requests: Mapping[str, str] = field(default_factory=dict)
    forms: Mapping[str, str] = field(default_factory=dict)
    procedures: Mapping[str, str] = field(default_factory=dict)
    pipelines: Mapping[str, Pipeline] = field(default_factory=dict)
    #: This desk's own fields of the other kinds, by kind; see `of`.
    other_fields: Mapping[str, Mapping[str, StateField]] = field(default_factory=dict)
    #: Which kind of item it is about.
    kind: str = ItemKind.TICKET.value
    #: What others worked out from this vocabulary, under a name of their own. It never changes, so neither does that.
    worked_out: dict[tuple[str, str], object] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def statuses(self) -> Mapping[str, str]:
        """The statuses of `kind`."""
        return statuses_of(self.kind)

    @property
    def priorities(self) -> Mapping[str, str]:
        """The priorities in the words of `kind`."""
        return priorities_of(self.kind)

    def of(self, kind: str) -> Vocabulary:
        """The same desk, for items of this kind; for "any" with the fields and statuses of every kind.

        Made once for each kind and kept."""
        if kind == self.kind or kind not in (ANY_KIND, *STATUSES_OF):
            return self
        desk = cast(Vocabulary, self.worked_out.get(_DESK, self))
        if kind == desk.kind:
            return desk
        known = desk.worked_out.get(("of", kind))
        if known is None:
            known = replace(desk, kind=kind, custom_fields=desk._fields(kind))
            known.worked_out[_DESK] = desk
            desk.worked_out["of", kind] = known
        return cast(Vocabulary, known)

    def _fields(self, kind: str) -> Mapping[str, StateField]:
        if kind != ANY_KIND:
            return fields_of(kind, self.other_fields.get(kind, {}), self.pipelines)
        found = dict(self.custom_fields)
        for one in STATUSES_OF:
            for key, declared in self.of(one).custom_fields.items():
                found.setdefault(key, declared)
        return found


#: The kind of a table that runs on items of every kind.
ANY_KIND = "any"
_DESK = ("desk", "")
