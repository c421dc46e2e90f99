"""What every connected system is: a typed configuration, named operations, and one harmless request that tests it."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from connectors.addresses import entry
from connectors.errors import BadConfig, BadRequest, Problem
from connectors.http import Http, base_url_problem
from connectors.records import AnswerField
from tickets.values import JSON, json_problem

#: Longest text that may be an input, of one line and of several, and largest object, in characters (of JSON).
MAX_INPUT_CHARS = 1_000
MAX_LINES_CHARS = 20_000
MAX_BODY_CHARS = 200_000
#: How far the first digit of a decimal number may be from its point: "1E+999999" is short, too.
MAX_DIGITS = 40
#: How long "there is no such record" is believed, in seconds: short, for it ends when somebody signs up.
NONE_CACHE_S = 60


class InputType(StrEnum):
    TEXT = "text"
    EMAIL = "email"
    INTEGER = "integer"
    DECIMAL = "decimal"  # as text
    BOOL = "bool"
    DATE = "date"  # YYYY-MM-DD
    LINES = "lines"  # text of several lines
    BODY = "body"  # an object of plain data


@dataclass(frozen=True, slots=True)
class Input:
    """One input of an operation. `bind` is where its value comes from when nobody says: "customer.email"."""

    name: str
    type: InputType = InputType.TEXT
    required: bool = True
    doc: str = ""
    bind: str = ""


EMAIL = Input("email", InputType.EMAIL, doc="The customer's e-mail address", bind="customer.email")


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation found. `data` None = no match, which is an answer and not an error."""

    data: JSON
    truncated: bool = False
    external_url: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One question on its way: its checked inputs and the means to ask it."""

    args: Mapping[str, JSON]
    http: Http
    tokens: Tokens
    idempotency_key: str = ""

    def text(self, name: str) -> str:
        value = self.args.get(name)
        return "" if value is None else str(value)


class Tokens(Protocol):
    """Where a system keeps a session it signed in for, until it ends; sealed, and per version of the connection."""

    def get(self) -> str | None: ...

    def put(self, token: str) -> None: ...

    def drop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked of a system.

    `kind` is declared, not guessed from the HTTP method: many reads are POSTs. `fields` is the allow-list: what is not
    in it is not stored. An answer is fresh for `cache_s` and may stand in for a failing system until `stale_s`."""

    name: str
    label: str
    kind: Literal["read", "write"]
    inputs: tuple[Input, ...]
    fields: Mapping[str, AnswerField]
    run: Callable[[Call], Result]
    many: bool = False  # the answer is a list of such records
    record: str = "raw"
    cache_s: float = 600
    stale_s: float = 86_400
    timeout_s: float = 10
    doc: str = ""
    #: A write that may be sent again after a failure, because the system honours an idempotency key, or because the
    #: operation looks first whether that key was carried out. Any other write makes one request and no more.
    repeatable: bool = field(default=False)


class SystemConfig(BaseModel):
    """What every connection can be told. Fields of type SecretStr are write-only and stored sealed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, validate_default=True)

    base_url: str = Field(title="Address", max_length=500, json_schema_extra={"order": 10})
    allowed_addresses: list[str] = Field(
        default_factory=list,
        max_length=50,
        title="Only these addresses",
        description="Networks or host:port. Narrows what the installation allows; never widens it.",
        json_schema_extra={"order": 90},
    )
    calls_per_minute: int = Field(
        default=600, ge=1, le=60_000, title="Most requests per minute", json_schema_extra={"order": 91}
    )

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        problem = base_url_problem(value.strip())
        if problem:
            raise ValueError(problem)
        return value.strip().rstrip("/")

    @field_validator("allowed_addresses")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        for one in value:
            entry(one)
        return value

    @classmethod
    def secret_names(cls) -> tuple[str, ...]:
        """The fields that hold secrets."""
        return tuple(
            name for name, info in cls.model_fields.items() if info.annotation in (SecretStr, SecretStr | None)
        )

    def secrets(self) -> dict[str, str]:
        found = {name: getattr(self, name) for name in self.secret_names()}
        return {name: value.get_secret_value() for name, value in found.items() if value is not None}


class System(ABC):
    """One kind of connected system. Stateless apart from its configuration."""

    kind: ClassVar[str]
    label: ClassVar[str]
    doc: ClassVar[str]
    Config: ClassVar[type[SystemConfig]]

    def __init__(self, config: SystemConfig) -> None:
        self.config = config

    @abstractmethod
    def operations(self) -> Mapping[str, Operation]:
        """What can be asked of this connection, by name."""

    @abstractmethod
    def probe(self, call: Call) -> str:
        """One harmless request that needs the credentials; says in a few words what answered.

        Raises `ConnectorError`."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config.base_url})"


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form a connection is edited in. A secret is never sent to the page; blank keeps the old one."""

    name: str
    label: str
    type: str  # text | number | bool | list | json | choice | secret
    required: bool
    doc: str
    default: JSON
    choices: tuple[str, ...]
    order: int


def form_fields(config: type[SystemConfig]) -> list[FormField]:
    """The form of a kind of system, from its configuration's JSON schema."""
    schema = config.model_json_schema()
    secret = set(config.secret_names())
    fields = []
    for name, info in schema["properties"].items():
        options = [one for one in info.get("anyOf", [info]) if one.get("type") != "null"] or [info]
        kind = options[0].get("type", "")
        choices = tuple(options[0].get("enum", ()))
        known = config.model_fields[name]
        default = None if name in secret or known.is_required() else known.get_default(call_default_factory=True)
        plain_list = kind == "array" and options[0].get("items", {}).get("type") == "string"
        fields.append(
            FormField(
                name=name,
                label=info.get("title", name),
                type=(
                    "secret"
                    if name in secret
                    else "choice"
                    if choices
                    else {"integer": "number", "number": "number", "boolean": "bool", "string": "text"}.get(
                        kind, "list" if plain_list else "json"
                    )
                ),
                required=name in schema.get("required", ()),
                doc=info.get("description", ""),
                default=default,
                choices=choices,
                order=info.get("order", 50),
            )
        )
    return sorted(fields, key=lambda one: one.order)


def read_config(config: type[SystemConfig], values: Mapping[str, Any]) -> SystemConfig:
    """The configuration, or every problem at once. Raises `BadConfig`, whose text never repeats a value."""
    problems: list[Problem] = []
    try:
        return config.model_validate(dict(values))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(str(part) for part in one["loc"]) or "connection"
            problems.append(Problem(place, one["msg"].removeprefix("Value error, ")))
    raise BadConfig(problems)


_EMAIL = re.compile(r"[^\s@<>\"(),;:\\]{1,64}@[^\s@<>\"(),;:\\%*_]{1,255}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Takes(Protocol):
    """What has inputs: an `Operation`, or what is told of one."""

    @property
    def name(self) -> str: ...

    @property
    def inputs(self) -> tuple[Input, ...]: ...


def fingerprint(clean: Mapping[str, JSON]) -> str:
    """What stored answers and calls know these inputs by, as `check_args` returned them."""
    return hashlib.sha256(json.dumps(clean, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_args(operation: Takes, args: Mapping[str, JSON]) -> dict[str, JSON]:
    """The inputs in the one form the operation takes. Raises `BadRequest` that names every problem."""
    problems: list[str] = []
    known = {one.name for one in operation.inputs}
    problems += [f"there is no input {name!r}" for name in args if name not in known]
    clean: dict[str, JSON] = {}
    for one in operation.inputs:
        value = args.get(one.name)
        if value is None or value == "":
            if one.required:
                problems.append(f"{one.name} is missing")
            continue
        good, text = _clean(one, value)
        if text:
            problems.append(f"{one.name} {text}")
        else:
            clean[one.name] = good
    if problems:
        needs = ", ".join(one.name for one in operation.inputs) or "nothing"
        raise BadRequest(f"{operation.name}: {'; '.join(problems)}. It takes: {needs}. Nothing was sent.")
    return clean


def _clean(one: Input, value: JSON) -> tuple[JSON, str]:
    problem = json_problem(value, one.name)
    if problem:
        return None, "is not plain data"
    match one.type:
        case InputType.BOOL:
            return (value, "") if isinstance(value, bool) else (None, "must be yes or no")
        case InputType.INTEGER:
            whole = isinstance(value, int) and not isinstance(value, bool)
            return (value, "") if whole else (None, "must be a whole number")
        case InputType.DECIMAL:
            try:
                number = Decimal(str(value)) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
            except InvalidOperation:
                number = None
            if number is None or not number.is_finite() or len(str(value)) > 40 or abs(number.adjusted()) > MAX_DIGITS:
                return None, "must be a decimal number as text"
            return f"{number:f}", ""
        case InputType.BODY:
            if not isinstance(value, Mapping):
                return None, "must be names with values"
            if len(json.dumps(value)) > MAX_BODY_CHARS:
                return None, f"is longer than {MAX_BODY_CHARS} characters"
            return dict(value), ""
        case InputType.LINES:
            return _lines(value)
        case _:
            pass
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None, "must be text"
    text = str(value).strip()
    if len(text) > MAX_INPUT_CHARS:
        return None, f"is longer than {MAX_INPUT_CHARS} characters"
    if not text or any(not char.isprintable() for char in text):
        return None, "must be one line of text"
    if one.type is InputType.EMAIL and not _EMAIL.fullmatch(text):
        return None, "is not an e-mail address"
    if one.type is InputType.DATE and not _DATE.fullmatch(text):
        return None, "must be a date, YYYY-MM-DD"
    return text, ""


def _lines(value: JSON) -> tuple[JSON, str]:
    text = value.replace("\r\n", "\n").strip() if isinstance(value, str) else ""
    if len(text) > MAX_LINES_CHARS:
        return None, f"is longer than {MAX_LINES_CHARS} characters"
    if not text or any(not char.isprintable() and char not in "\n\t" for char in text):
        return None, "must be text"
    return text, ""


def only(fields: Mapping[str, AnswerField], data: JSON) -> JSON:
    """`data` reduced to the allow-list `fields`, record by record; a field the record lacks is left out."""
    if isinstance(data, Mapping):
        return {name: data[name] for name in fields if name in data}
    if isinstance(data, (list, tuple)):
        return [only(fields, one) for one in data]
    return data


def candidates(records: Sequence[Mapping[str, JSON]]) -> list[JSON]:
    """What tells several matches apart, for the person who must choose."""
    kept = ("id", "code", "name", "email")
    return [{name: record[name] for name in kept if record.get(name) is not None} for record in records[:10]]
