"""What callers give to the sandbox and get back: frozen records that hold JSON types only."""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args

from sandbox.errors import BadContract
from sandbox.wire import JSON

#: "decimal" is exact: text or a whole number; "date" is a day as YYYY-MM-DD.
ParamType: TypeAlias = Literal["text", "number", "integer", "decimal", "bool", "date", "list", "any", "json"]
_PARAM_TYPES: tuple[str, ...] = get_args(ParamType)
Status: TypeAlias = Literal[
    "finished",  # ran to its end
    "stopped",  # called stop("reason"); its actions so far stand
    "refused",  # the source has problems; nothing ran
    "failed",  # raised an error it did not catch
    "limit",  # used more time, memory, calls or output than it may
    "violation",  # tried to leave the jail, crashed it, or spoke out of turn
    "lost",  # the child or its service went away
    "unavailable",  # this machine cannot run scripts now
    "cancelled",
]


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action or operation."""

    name: str
    type: ParamType
    required: bool
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Method:
    """One thing a script can call. `doc` is one sentence for completion and hints.

    An operation of a connection that `writes` is collected like an action, and never carried out by the run."""

    name: str
    params: tuple[Param, ...]
    doc: str
    writes: bool = False

    def param(self, name: str) -> Param | None:
        return next((one for one in self.params if one.name == name), None)


@dataclass(frozen=True, slots=True)
class ScriptApi:
    """Everything a script can call besides the language: the actions of `ticket`, each connection's operations."""

    actions: Mapping[str, Method] = field(default_factory=dict)
    connections: Mapping[str, Mapping[str, Method]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Its short form, in which it crosses with every run: what may be called and how, no words about it."""
        return {
            "actions": {name: _method_to_json(method) for name, method in self.actions.items()},
            "connections": {
                name: {key: _method_to_json(method) for key, method in operations.items()}
                for name, operations in self.connections.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScriptApi:
        """Read what `to_json` wrote. Raises `BadContract`."""
        try:
            return cls(
                {name: method_from_json(name, one) for name, one in data["actions"].items()},
                {
                    name: {key: method_from_json(key, one) for key, one in operations.items()}
                    for name, operations in data["connections"].items()
                },
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadContract(f"This is not a script API: {error!r}") from error

    def only(self, grants: frozenset[str] | None) -> frozenset[str]:
        """The operations "connection.operation" that these grants allow; "crm.*" allows all of `crm` that are asked,
        None all there are. What changes a system is allowed by its own name alone: one that the connection got later,
        nobody has agreed to."""
        every = {
            f"{name}.{key}": one for name, operations in self.connections.items() for key, one in operations.items()
        }
        if grants is None:
            return frozenset(every)
        return frozenset(
            one for one, method in every.items() if one in grants or (not method.writes and _covered(one, grants))
        )

    def only_actions(self, granted: frozenset[str] | None) -> frozenset[str]:
        """The actions these names allow; "*" or None allows all there are."""
        every = frozenset(self.actions)
        return every if granted is None or "*" in granted else every & granted


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The whole input of a run: with the answers of connections, it decides every byte of the outcome.

    `ticket` holds every field the script may read, empty ones as None: a name that is not there is an error with a
    "did you mean". Custom fields are flat "fields.<key>" or a nested "fields". `ticket.customer` reads `customer`
    when that is given. `now` is ISO 8601 with its zone and does not move during the run. `grants` are the operations
    and `actions` the actions this run may use, in the words of a `Manifest`; None is everything in `api`. `code` is
    what `Sandbox.compiled` gave for this very source, or empty; it is read inside the jail alone."""

    source: str
    api: ScriptApi
    grants: frozenset[str] | None = None
    actions: frozenset[str] | None = None
    ticket: Mapping[str, JSON] = field(default_factory=dict)
    customer: Mapping[str, JSON] | None = None
    event: Mapping[str, JSON] = field(default_factory=dict)
    history: Sequence[JSON] = ()
    params: Mapping[str, JSON] = field(default_factory=dict)
    now: str = "1970-01-01T00:00:00+00:00"
    seed: int = 0
    code: bytes = b""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the source, with its place. Lines from 1, columns from 0 in characters, end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int
    code: str
    severity: Literal["error", "warning"]
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a script reads, does, asks and changes elsewhere, as far as its text shows. "crm.*" or "*" stands for what
    the text hides; `changes` are operations that write, each by its name and nothing standing for them."""

    fields_read: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, list[str]]:
        """`changes` stand there where there are any: a manifest of before they existed grants none."""
        parts = _MANIFEST_PARTS if self.changes else _MANIFEST_PARTS[:-1]
        return {name: list(getattr(self, name)) for name in parts}

    @classmethod
    def from_json(cls, data: object) -> Manifest:
        """Read what `to_json` wrote. Raises `BadContract`: a manifest that cannot be read grants nothing."""
        if not isinstance(data, Mapping) or set(data) | {"changes"} != set(_MANIFEST_PARTS):
            raise BadContract("This is not a manifest: it lists fields_read, actions, operations and changes")
        for name, listed in data.items():
            if not isinstance(listed, (list, tuple)) or not all(isinstance(one, str) for one in listed):
                raise BadContract(f"This is not a manifest: {name} is not a list of names")
        return cls(**{name: tuple(data.get(name, ())) for name in _MANIFEST_PARTS})

    def beyond(self, other: Manifest) -> Manifest:
        """What this one has that `other` does not cover: what publishing this one would widen."""
        return Manifest(
            tuple(one for one in self.fields_read if not other.reads(one)),
            tuple(one for one in self.actions if one not in other.actions and "*" not in other.actions),
            tuple(one for one in self.operations if not _covered(one, other.operations)),
            tuple(one for one in self.changes if one not in other.changes),
        )

    def reads(self, name: str) -> bool:
        """Whether it may read this fact, e.g. "ticket.subject". Reading "ticket.fields" reads every one of them."""
        parent = name.rpartition(".")[0]
        return _covered(name, self.fields_read) or ("." in parent and self.reads(parent))

    def __bool__(self) -> bool:
        return bool(self.fields_read or self.actions or self.operations or self.changes)


#: The most names in one part of a manifest.
MANIFEST_NAMES = 500
_MANIFEST_PARTS = ("fields_read", "actions", "operations", "changes")


def _covered(name: str, by: Iterable[str]) -> bool:
    return name in by or f"{name.partition('.')[0]}.*" in by


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found."""

    problems: tuple[Problem, ...]
    manifest: Manifest

    @property
    def ok(self) -> bool:
        """No errors; warnings may be there."""
        return not any(one.severity == "error" for one in self.problems)


@dataclass(frozen=True, slots=True)
class ScriptError:
    """Why a run did not end well. `line` from 1, `column` from 0, None where no place is known."""

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ActionCall:
    """One action the script asked for. Nothing was done yet."""

    action: str
    params: Mapping[str, JSON]
    line: int


@dataclass(frozen=True, slots=True)
class LogLine:
    """One printed line, and how long after the start it came."""

    at_ms: int
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One question to a connection. `status` is "ok", "none" or the code of a `CallFailed`, or "too_many"."""

    connection: str
    operation: str
    args: Mapping[str, JSON]
    status: str
    message: str
    ms: int
    line: int
    answer: JSON


@dataclass(frozen=True, slots=True)
class Usage:
    """What the run used, measured from outside the child. `memory_kb` is the peak of resident memory."""

    wall_ms: int = 0
    cpu_ms: int = 0
    memory_kb: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `actions` are to be applied only for "finished" and "stopped"; they are empty otherwise."""

    status: Status
    error: ScriptError | None = None
    actions: tuple[ActionCall, ...] = ()
    log: tuple[LogLine, ...] = ()
    calls: tuple[CallRecord, ...] = ()
    usage: Usage = Usage()
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a connection said. `data` None means "no match"."""

    data: JSON
    source: str = ""
    fetched_at: str = ""
    stale: bool = False


CallFailure: TypeAlias = Literal["unavailable", "ambiguous", "denied", "bad_request"]


class CallFailed(Exception):
    """A connection could not answer. `message` is shown to script authors: no addresses, tokens or SQL in it."""

    def __init__(self, code: CallFailure, message: str, candidates: Sequence[JSON] = ()) -> None:
        if code not in get_args(CallFailure):
            raise BadContract(
                f"{code!r} is not a way for a call to fail; use one of {', '.join(get_args(CallFailure))}"
            )
        super().__init__(message)
        self.code: CallFailure = code
        self.message = message
        self.candidates = list(candidates)


class Gateway(Protocol):
    """The caller's way to the outside world. Runs in the caller's process, which alone holds credentials."""

    def call(self, connection: str, operation: str, args: Mapping[str, JSON], *, deadline_s: float) -> Answer:
        """Ask, and answer within `deadline_s` seconds. Raises `CallFailed`; any other exception is a bug and crashes
        the run's caller after the child is killed."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One wall of the jail: is it up, and if not, why and what to do."""

    up: bool
    required: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What the sandbox service says about itself. `ready` is False when scripts are refused here, with the `reason`."""

    ready: bool
    reason: str
    layers: Mapping[str, Layer]
    pid: int
    runs: int
    since: str
    python: str = ""


def type_problem(param: Param, value: object) -> str | None:
    """Why this parameter does not take this JSON value, or None.

    Asked by the child to help the author, and by the broker because the child may lie."""
    return value_problem(param.name, param.type, param.required, value)


def value_problem(name: str, kind: str, required: bool, value: object) -> str | None:
    """The same for a parameter in its short form."""
    if value is None:
        return f"{name} needs a value, not None" if required and kind not in _OPEN else None
    wanted, fits = _TAKES[kind]
    return None if fits(value) else f"{name} takes {wanted}, not {_kind(value)}"


#: Of an exact number; money has less.
_MOST_DIGITS = 40
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _is_decimal(text: str) -> bool:
    try:
        if len(text) > _MOST_DIGITS:
            return False
        number = decimal.Decimal(text)
        return number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS  # "1E+999999" is short, too
    except decimal.InvalidOperation:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_anything(value: object) -> bool:
    return True


#: What each type of a parameter takes, in words and as a test. A table and not a row of comparisons: a child would copy
#: the page of every word it is compared with.
_TAKES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("text", _is_text),
    "number": ("a number", lambda value: _is_whole(value) or isinstance(value, float)),
    "integer": ("a whole number", _is_whole),
    "decimal": (
        "an exact number: a Decimal, text or a whole number",
        lambda value: _is_whole(value) or (isinstance(value, str) and _is_decimal(value)),
    ),
    "bool": ("True or False", lambda value: isinstance(value, bool)),
    "date": ("a date, YYYY-MM-DD", lambda value: isinstance(value, str) and _is_date(value)),
    "list": ("a list", lambda value: isinstance(value, list)),
    "any": ("anything", _is_anything),
    "json": ("anything", _is_anything),
}
#: Where None is a value like any other.
_OPEN = ("any", "json")


def _kind(value: object) -> str:
    names = {str: "text", bool: "True or False", int: "a number", float: "a number", list: "a list", dict: "a record"}
    return names.get(type(value), type(value).__name__)


def _method_to_json(method: Method) -> list[Any]:
    return [method.writes, *([one.name, one.type, one.required] for one in method.params)]


def method_from_json(name: str, data: Sequence[Any]) -> Method:
    """One method of the short form. Raises `BadContract`."""
    try:
        writes, *listed = data
        params = tuple(Param(str(one), kind, bool(required)) for one, kind, required in listed)
    except (TypeError, ValueError) as error:
        raise BadContract(f"This is not a method: {error}") from error
    for param in params:
        if param.type not in _PARAM_TYPES:
            raise BadContract(f"{param.name!r} has the type {param.type!r}; use one of {', '.join(_PARAM_TYPES)}")
    return Method(name, params, "", bool(writes))
