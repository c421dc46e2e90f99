"""What stands behind every dot, bracket, call and format of a script.

Reading an attribute is an allow-list by exact type: a type that is not listed has no attributes at all. So a new object
in the script's reach is closed until somebody writes down what it opens.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import operator
import sys
from collections.abc import Callable, Mapping
from types import GeneratorType, MethodType, UnionType
from typing import Any

from RestrictedPython.Guards import guarded_iter_unpack_sequence, guarded_unpack_sequence

from sandbox import names
from sandbox.child.facades import Day, Log, Moment, Namespace
from sandbox.child.patterns import Match, Pattern
from sandbox.child.values import (
    Ambiguous,
    Forbidden,
    Missing,
    Record,
    Rows,
    Unavailable,
    called,
    shown,
    without_addresses,
)
from sandbox.hints import did_you_mean
from sandbox.policy import MAGIC


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT = _set(
    "capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii isdecimal isdigit"
    " isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition"
    " removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip"
    " swapcase title translate upper zfill"
)
_LIST = _set("append clear copy count extend index insert pop remove reverse sort")
_DICT = _set("clear copy get items keys pop popitem setdefault update values")
_FROZEN = _set("copy difference intersection isdisjoint issubset issuperset symmetric_difference union")
_SET = _FROZEN | _set(
    "add clear difference_update discard intersection_update pop remove symmetric_difference_update update"
)
_DATE = _set("day isocalendar isoformat isoweekday month replace strftime toordinal weekday year")
_TIME = _set("hour isoformat microsecond minute replace second tzinfo utcoffset tzname dst fold")
_DATETIME = _DATE | _TIME | _set("astimezone date time timestamp timetz")
_DATETIME_TYPE = _set("now utcnow today strptime fromisoformat fromtimestamp combine fromordinal min max")
_DECIMAL = _set(
    "adjusted as_integer_ratio compare copy_abs copy_negate copy_sign exp is_finite is_infinite is_nan is_signed"
    " is_zero ln log10 max min normalize quantize remainder_near same_quantum scaleb sqrt to_integral_value"
)
_PATTERN = _set("findall finditer fullmatch match pattern search split sub subn")
_MATCH = _set("end group groupdict groups span start")

#: Exact type of an object: the attributes it has for scripts.
ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: _TEXT,
    bytes: _set("decode hex"),
    int: _set("as_integer_ratio bit_count bit_length"),
    bool: frozenset(),
    float: _set("as_integer_ratio hex is_integer"),
    complex: _set("conjugate imag real"),
    list: _LIST,
    dict: _DICT,
    set: _SET,
    frozenset: _FROZEN,
    tuple: _set("count index"),
    range: _set("count index start step stop"),
    slice: _set("start step stop"),
    GeneratorType: _set("close send"),
    property: _set("deleter getter setter"),
    datetime.datetime: _DATETIME,
    Moment: _DATETIME,
    datetime.date: _DATE,
    Day: _DATE,
    datetime.time: _TIME | _set("strftime"),
    datetime.timedelta: _set("days microseconds seconds total_seconds"),
    datetime.timezone: _set("tzname utcoffset"),
    type(datetime.date(2000, 1, 1).isocalendar()): _set("week weekday year"),
    decimal.Decimal: _DECIMAL,
    Pattern: _PATTERN,
    Match: _MATCH,
}
#: The same for types themselves.
TYPE_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    dict: _set("fromkeys"),
    Moment: _DATETIME_TYPE,
    Day: _set("today fromisoformat fromordinal fromtimestamp min max"),
    datetime.time: _set("fromisoformat min max"),
    datetime.timedelta: _set("min max"),
    datetime.timezone: _set("utc"),
    decimal.Decimal: _set("from_float"),
}
#: Read-only facts keep the reading half of what they are.
_RECORD = _set("get items keys values")
_ROWS = _set("count index")
_LOG = _set("debug error info warning")
_ERROR = _set("args")
_CALL_ERROR = _ERROR | _set("candidates connection message operation")
_READ_ONLY = (
    "Facts and answers are read-only. Make a copy with dict(...) or list(...), or call one of the ticket's actions."
)


class ScriptClass(type):
    """The type of classes that scripts define. They inherit only from each other and from exceptions."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> ScriptClass:
        for base in bases:
            if type(base) is not ScriptClass and not (base in _EXCEPTIONS and base is not StopIteration):
                raise Forbidden(
                    f"A class cannot inherit from {shown(base)}", "Inherit from your own classes or from Exception."
                )
        return super().__new__(mcs, name, bases or (ScriptObject,), body)

    def __repr__(cls) -> str:
        return f"<class {cls.__name__}>"


class ScriptObject:
    """The base of classes without one: shows no address, and does not let one decide the order of a set."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object>"

    def __hash__(self) -> int:
        # In `__dict__`, not in a slot: a class may inherit from a class like this and from an exception at once.
        return int(vars(self).setdefault("_number", next(_numbers)))


class Parents:
    """`super()`: what the classes behind `owner` say of an object or class of the script's own."""

    __slots__ = ("behind", "owner", "thing")

    def __init__(self, owner: Any, thing: Any) -> None:
        kind = thing if type(thing) is ScriptClass else type(thing)
        if type(owner) is not ScriptClass or type(kind) is not ScriptClass or owner not in kind.__mro__:
            raise TypeError("super() takes a class of the script's own and an object of it")
        self.owner = owner
        self.thing = thing
        self.behind = kind.__mro__[kind.__mro__.index(owner) + 1 :]

    def __repr__(self) -> str:
        return "<super>"


# Scripts know it by this name alone.
Parents.__name__ = Parents.__qualname__ = "super"
Parents.__module__ = "builtins"


_numbers = itertools.count(1)


#: Their text is nobody's but theirs: what looks like an address in it was written by a person.
_TEXTS = (str, bytes)


class Text:
    """`str`, as scripts call it: the same, without memory addresses in what it makes."""

    __slots__ = ()

    def __call__(self, object: Any = "", *rest: Any, encoding: Any = None, errors: Any = None) -> str:
        named = {name: one for name, one in (("encoding", encoding), ("errors", errors)) if one is not None}
        made = str(object, *rest, **named)
        return made if type(object) in _TEXTS else without_addresses(made)

    def __or__(self, other: Any) -> Any:
        return str | other

    def __ror__(self, other: Any) -> Any:
        return other | str

    def __repr__(self) -> str:
        return "<class 'str'>"


class Ticket:
    """The ticket: facts to read, actions to call."""

    __slots__ = ("actions", "facts")

    def __init__(self, facts: Mapping[str, Any], actions: Mapping[str, Callable[..., None]]) -> None:
        self.facts = Record(facts)
        self.actions = actions

    def __repr__(self) -> str:
        return "<ticket>"


class Connection:
    """One connection: operations to call."""

    __slots__ = ("name", "operations")

    def __init__(self, name: str, operations: Mapping[str, Callable[..., Any]]) -> None:
        self.name = name
        self.operations = operations

    def __repr__(self) -> str:
        return f"<{self.name}>"


def getattr_(thing: Any, name: Any) -> Any:
    """`thing.name` for scripts. Raises `Missing` or `Forbidden`."""
    if type(name) is not str:
        raise TypeError("An attribute's name is text")
    kind = type(thing)
    if name.startswith("_"):
        if kind is Parents and name in MAGIC:
            return _of_parents(thing, name)
        raise Forbidden(f"The attribute {name!r} starts with an underscore", "Names that start with _ are private.")
    allowed = ATTRIBUTES.get(kind)
    if allowed is not None:
        if name in allowed:
            return _bound(thing, name)
        return _missing(thing, name, allowed)
    if kind is Record:
        if name in _RECORD:
            return getattr(thing, name)
        if name in thing:
            return thing[name]
        if name in _DICT:
            raise Forbidden(f"{name}() would change a fact or an answer", _READ_ONLY)
        return _missing(thing, name, [*thing, *_RECORD])
    if kind is Rows:
        if name in _ROWS:
            return getattr(thing, name)
        if name == "copy":
            return called("copy", lambda: list(thing))
        if name in _LIST:
            raise Forbidden(f"{name}() would change a fact or an answer", _READ_ONLY)
        return _missing(thing, name, _ROWS)
    if kind is Ticket:
        return _of_ticket(thing, name)
    if kind is Connection:
        if name in thing.operations:
            return thing.operations[name]
        return _missing(thing, name, thing.operations)
    if kind is Namespace:
        if name in thing.members:
            return thing.members[name]
        hint = "Did you mean 'datetime.datetime'?" if name in _DATETIME_TYPE and thing.name == "datetime" else ""
        return _missing(thing, name, thing.members, hint)
    if kind is Log:
        return thing.write if name in _LOG else _missing(thing, name, _LOG)
    if type(kind) is ScriptClass or kind is ScriptClass:
        return _of_script(thing, name)
    if isinstance(thing, BaseException):
        return _of_error(thing, name)
    if kind is Text:
        if name in _TEXT:
            return getattr(str, name)
        return _missing("", name, _TEXT)
    if kind is Parents:
        return _of_parents(thing, name)
    if isinstance(thing, type):
        allowed = TYPE_ATTRIBUTES.get(thing, frozenset())
        if name in allowed:
            return getattr(thing, name)
        return _missing(thing, name, allowed)
    return _missing(thing, name, ())


def _bound(thing: Any, name: str) -> Any:
    if name == "strftime" and type(thing) is not Moment and type(thing) is not Day:
        # C code imports `time` through the calling frame's builtins, and a script has no import.
        return called("strftime", lambda pattern: thing.strftime(pattern))
    return getattr(thing, name)


def _of_ticket(ticket: Ticket, name: str) -> Any:
    if name in ticket.actions:
        return ticket.actions[name]
    if name in ticket.facts:
        return ticket.facts[name]
    if name in _RECORD:
        return getattr(ticket.facts, name)
    return _missing(ticket, name, [*ticket.actions, *ticket.facts])


def _of_script(thing: Any, name: str) -> Any:
    """An attribute of a script's own object or class: only what the script itself put there."""
    is_class = type(thing) is ScriptClass
    if not is_class and name in vars(thing):
        return vars(thing)[name] if not isinstance(_in_classes(type(thing), name), property) else getattr(thing, name)
    owner = thing if is_class else type(thing)
    for base in owner.__mro__:
        if name in vars(base):
            if type(base) is ScriptClass:
                return getattr(thing, name)
            break
    if isinstance(thing, BaseException):
        return _of_error(thing, name)
    known = {key for base in owner.__mro__ if type(base) is ScriptClass for key in vars(base)}
    return _missing(thing, name, known | (set() if is_class else set(vars(thing))))


def _of_parents(parents: Parents, name: str) -> Any:
    """What `super()` finds: only what the script itself put into a class. The first class has nothing to set up."""
    for base in parents.behind:
        if type(base) is ScriptClass and name in vars(base):
            return getattr(super(parents.owner, parents.thing), name)
        if name in vars(base):
            break
    if name == "__init__" and type(parents.thing) is not ScriptClass:
        return _setting_up(parents.thing)
    known = {key for base in parents.behind if type(base) is ScriptClass for key in vars(base)}
    raise Missing(f"No class behind this one has {name[:60]!r}", did_you_mean(name, known))


def _setting_up(thing: Any) -> Callable[..., None]:
    """`super().__init__` where no class of the script has one."""

    def set_up(*args: Any) -> None:
        if isinstance(thing, BaseException):
            BaseException.__init__(thing, *args)
        elif args:
            raise TypeError("super().__init__() takes no arguments where no class behind this one has an __init__")

    return called("super().__init__", set_up)


def _in_classes(owner: type, name: str) -> Any:
    return next((vars(base)[name] for base in owner.__mro__ if name in vars(base)), None)


def _of_error(error: BaseException, name: str) -> Any:
    allowed = _CALL_ERROR if isinstance(error, (Unavailable, Ambiguous)) else _ERROR | {"message"}
    if name == "args":
        return tuple(without_addresses(one) if type(one) is str else one for one in error.args)
    if name == "message":
        return shown(error)
    if name in allowed and hasattr(error, name):
        return getattr(error, name)
    return _missing(error, name, allowed)


def _missing(thing: Any, name: str, known: Any, hint: str = "") -> Any:
    if name in ("format", "format_map") and isinstance(thing, str):
        raise Forbidden("Text has no format() in scripts", 'Use an f-string: f"{name}".')
    if thing is None:
        hint = "None means no match or no value; test it with `is None` first."
    raise Missing(f"{describe(thing)} has no attribute {name[:60]!r}", hint or did_you_mean(name, known))


def describe(thing: Any) -> str:
    """What to call this object in a message to people, without asking the object."""
    kind = type(thing)
    if kind in (Ticket, Connection, Namespace, Log):
        return repr(thing).strip("<>")
    if thing is None:
        return "None"
    words = {str: "text", Record: "this record", Rows: "this list", MethodType: "a function", Text: "str"}
    if kind in words:
        return words[kind]
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"this {kind.__name__}"


def getattr_builtin(thing: Any, name: Any, *default: Any) -> Any:
    """getattr(x, name[, default])."""
    if len(default) > 1:
        raise TypeError("getattr takes at most 3 arguments")
    try:
        return getattr_(thing, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def hasattr_builtin(thing: Any, name: Any) -> bool:
    try:
        getattr_(thing, name)
    except AttributeError:
        return False
    return True


def getitem_(thing: Any, index: Any) -> Any:
    """`thing[index]` for scripts."""
    if isinstance(thing, type):
        raise TypeError(f"{describe(thing)} has no items")
    if type(thing) is Ticket:
        thing = thing.facts
    try:
        return thing[index]
    except KeyError as error:
        if type(thing) is Record and type(index) is str:
            raise KeyError(f"{index[:60]}: {did_you_mean(index, thing) or 'no such key'}") from None
        raise error


def write_(thing: Any) -> Any:
    """The object, when scripts may assign into it. Raises `Forbidden`."""
    kind = type(thing)
    if kind is list or kind is dict or type(kind) is ScriptClass or kind is ScriptClass:
        return thing
    if kind in (Record, Rows, Ticket):
        raise Forbidden("Facts and answers cannot be changed", _READ_ONLY)
    raise Forbidden(f"{describe(thing)} cannot be changed", "Assign to a name of your own.")


_IN_PLACE: Mapping[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "**=": operator.ipow,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
    "|=": operator.ior,
    "^=": operator.ixor,
    "&=": operator.iand,
    "@=": operator.imatmul,
}


def inplace_(op: str, thing: Any, value: Any) -> Any:
    """`thing op= value`. A fact gives a new value instead of changing under everybody's eyes."""
    if op == "%=":
        return mod_(thing, value)
    if type(thing) is Rows:
        thing = list(thing)
    elif type(thing) is Record:
        thing = dict(thing)
    return _IN_PLACE[op](thing, value)


def augattr_(thing: Any, name: str, op: str, value: Any) -> None:
    setattr(write_(thing), name, inplace_(op, getattr_(thing, name), value))


def augitem_(thing: Any, index: Any, op: str, value: Any) -> None:
    write_(thing)[index] = inplace_(op, getitem_(thing, index), value)


def apply_(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def mod_(left: Any, right: Any) -> Any:
    made = left % right
    kind = type(made)
    if (kind is not str and kind is not bytes) or _shows_no_object(right):
        return made
    if kind is bytes:
        return without_addresses(made.decode("latin-1")).encode("latin-1")
    return without_addresses(made)


def _shows_no_object(values: Any) -> bool:
    """Whether what is filled into a text is text and numbers alone, and so leaves the text as somebody wrote it."""
    kind = type(values)
    if kind is dict or kind is Record:
        values = values.values()
    elif kind is not tuple:
        values = (values,)
    return all(type(one) in _PLAIN for one in values)


_PLAIN = frozenset({str, int, float, bool, type(None), decimal.Decimal})


def repr_(value: Any) -> str:
    return without_addresses(repr(value))


def format_(value: Any, conversion: int, spec: Any) -> str:
    """One replacement field of an f-string."""
    if conversion == 114:
        value = repr_(value)
    elif conversion == 115:
        value = shown(value)
    elif conversion == 97:
        value = without_addresses(ascii(value))
    made = format(value, spec)
    return made if type(value) is str else without_addresses(made)


def format_builtin(value: Any, spec: str = "") -> str:
    return format_(value, -1, spec)


def caught_() -> None:
    """First statement of every handler: running out of memory is not the script's to handle."""
    error = sys.exc_info()[1]
    if isinstance(error, MemoryError):
        raise error


def isinstance_(thing: Any, kinds: Any) -> bool:
    return isinstance(thing, _real(kinds))


def issubclass_(thing: Any, kinds: Any) -> bool:
    return issubclass(_real(thing), _real(kinds))


def _real(kinds: Any) -> Any:
    if type(kinds) is tuple:
        return tuple(_real(one) for one in kinds)
    if type(kinds) is UnionType:
        return tuple(_real(one) for one in kinds.__args__)
    if type(kinds) is Text:
        return str
    return {Moment: datetime.datetime, Day: datetime.date}.get(kinds, kinds) if isinstance(kinds, type) else kinds


def builtins(print_: Callable[..., None], no_import: Callable[..., Any]) -> dict[str, Any]:
    """The `__builtins__` of a script: exactly `names.BUILTINS`, its exceptions, and what `class` needs."""
    # In the main module it is the module itself, which is all that mypy knows of.
    real = __builtins__ if isinstance(__builtins__, dict) else vars(__builtins__)  # type: ignore[unreachable]
    own = {
        "format": format_builtin,
        "getattr": getattr_builtin,
        "hasattr": hasattr_builtin,
        "isinstance": isinstance_,
        "issubclass": issubclass_,
        "print": print_,
        "repr": repr_,
        "str": Text(),
        "super": Parents,
    }
    for name, one in own.items():
        called(name, one)
    called("str", Text.__call__)
    called("log", Log.__call__)
    made = {name: own.get(name, real.get(name)) for name in names.BUILTINS}
    made |= {error.__name__: error for error in _EXCEPTIONS if error.__name__ in names.EXCEPTIONS}
    made["__build_class__"] = real["__build_class__"]
    made["__import__"] = no_import
    return made


def machinery() -> dict[str, Any]:
    """The hooks that the policy writes into every script; their names start with _, so no script can name them."""
    return {
        "_getattr_": getattr_,
        "_getitem_": getitem_,
        "_getiter_": iter,
        "_write_": write_,
        "_inplacevar_": inplace_,
        "_augattr_": augattr_,
        "_augitem_": augitem_,
        "_apply_": apply_,
        "_mod_": mod_,
        "_format_": format_,
        "_caught_": caught_,
        "_Exception_": Exception,
        "_unpack_sequence_": guarded_unpack_sequence,
        "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
        "__metaclass__": ScriptClass,
        "__name__": "script",
    }


_REAL_ERRORS = {name: getattr(sys.modules["builtins"], name, None) for name in names.EXCEPTIONS}
_EXCEPTIONS: frozenset[type] = frozenset(
    [one for one in _REAL_ERRORS.values() if isinstance(one, type)] + [Unavailable, Ambiguous]
)
