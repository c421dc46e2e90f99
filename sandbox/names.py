"""The names a script finds, as plain data: guards build them, the check knows them, completion and docs list them."""

from __future__ import annotations

import math
from collections.abc import Mapping

#: Builtin functions and types.
BUILTINS = frozenset(
    "abs all any bin bool callable chr classmethod dict divmod enumerate filter float format frozenset"
    " getattr hasattr hex int isinstance issubclass iter len list map max min next oct ord pow print property"
    " range repr reversed round set slice sorted staticmethod str sum super tuple zip None True False Ellipsis"
    " NotImplemented".split()
)

#: Exceptions that may be raised and caught. BaseException is not here: nothing may catch a limit.
EXCEPTIONS = frozenset(
    "ArithmeticError AssertionError AttributeError Exception IndexError KeyError LookupError NameError"
    " NotImplementedError OverflowError RecursionError RuntimeError StopIteration TypeError UnboundLocalError"
    " UnicodeError ValueError ZeroDivisionError Unavailable Ambiguous".split()
)

#: Modules that are already there; importing one of them changes nothing. `cells` is no module of Python's: it is what
#: the cells of tables compare by.
FACADES = frozenset("json re math datetime decimal random cells".split())

_OF_PATTERN, _OF_CELL = "(pattern, text, flags=0)", "(value, operand)"
#: What each of them has, with how it is called; "" for what is not called.
MEMBERS: Mapping[str, Mapping[str, str]] = {
    "json": {"loads": "(text)", "dumps": "(value, indent=None, sort_keys=False, ensure_ascii=False)"},
    "re": {
        **dict.fromkeys("search match fullmatch findall finditer".split(), _OF_PATTERN),
        **dict.fromkeys("sub subn".split(), "(pattern, replacement, text, count=0, flags=0)"),
        "split": "(pattern, text, maxsplit=0, flags=0)",
        "compile": "(pattern, flags=0)",
        "escape": "(text)",
        **dict.fromkeys("error A ASCII I IGNORECASE M MULTILINE S DOTALL U UNICODE X VERBOSE".split(), ""),
    },
    "math": {name: "" for name in dir(math) if not name.startswith("_")},
    "datetime": {
        "datetime": "(year, month, day, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)",
        "date": "(year, month, day)",
        "time": "(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)",
        "timedelta": "(days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0)",
        "timezone": "(offset)",
        "UTC": "",
    },
    "decimal": {
        "Decimal": "(value)",
        **dict.fromkeys("InvalidOperation ROUND_05UP ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN".split(), ""),
        **dict.fromkeys("ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP".split(), ""),
    },
    "random": {
        "random": "()",
        "randint": "(first, last)",
        "randrange": "(start, stop=None, step=1)",
        "choice": "(values)",
        "choices": "(values, weights=None, k=1)",
        "sample": "(values, k)",
        "uniform": "(low, high)",
        "gauss": "(mean=0.0, deviation=1.0)",
        "shuffle": "(list)",
    },
    "cells": {
        **dict.fromkeys(
            "same other equal unequal one_of none_of greater greater_or_equal less less_or_equal".split(), _OF_CELL
        ),
        **dict.fromkeys(
            "between contains_any contains_none contains_all starts_with ends_with matches".split(), _OF_CELL
        ),
        **dict.fromkeys("older_than newer_than has_any has_all has_none".split(), _OF_CELL),
        **dict.fromkeys("empty not_empty".split(), "(value)"),
        **dict.fromkeys("changed before after".split(), "(change)"),
        "at": "(answer, path)",
        "filled": "(text, values)",
        "unknown": "",
    },
}

#: What the run is about, and what a script can do besides calling.
FACTS = frozenset("ticket customer event history params".split())
VERBS = frozenset("log now stop".split())

ALL = BUILTINS | EXCEPTIONS | FACADES | FACTS | VERBS

#: Arguments that people give, and why there is no need for them.
WITHOUT = {
    f"json.dumps.{name}": "Leave it out: dates, decimals and records are written as JSON has them."
    for name in ("default", "cls")
}

#: What people try, and what works instead.
INSTEAD = {
    "open": "Scripts have no files; write to the ticket, or ask a connection.",
    "input": "Nobody is there to answer; use params.",
    "eval": "Text is never run as code; use json.loads for data.",
    "exec": "Text is never run as code.",
    "compile": "Text is never run as code.",
    "type": "Use isinstance(x, ...).",
    "object": "Write `class Name:` without a base.",
    "globals": "Name the variable.",
    "locals": "Name the variable.",
    "vars": "Name the attribute.",
    "dir": "The editor completes names; see the scripting page.",
    "id": "Compare with == or `is`.",
    "hash": "Use the value itself as a key.",
    "setattr": "Write x.name = value.",
    "delattr": "Write del x.name.",
    "bytes": "Use text (str).",
    "bytearray": "Use text (str).",
    "memoryview": "Use text (str).",
    "BaseException": "Catch Exception; limits and stop() cannot be caught.",
    "SystemExit": 'Use stop("reason").',
    "exit": 'Use stop("reason").',
    "quit": 'Use stop("reason").',
    "sleep": "Scripts do not wait; use a rule with a time trigger.",
    "time": "Use now() and datetime.",
    "requests": "Ask a connection, e.g. crm.find_customer(email=...).",
    "urllib": "Ask a connection, e.g. crm.find_customer(email=...).",
    "http": "Ask a connection, e.g. crm.find_customer(email=...).",
    "os": "Scripts have no files and no processes.",
    "sys": "Scripts cannot look at the interpreter.",
    "subprocess": "Scripts have no processes.",
    "collections": "Use dict, list and set; count with d[k] = d.get(k, 0) + 1.",
    "itertools": "Use comprehensions, zip and enumerate.",
    "functools": "Use a function or a loop.",
    "typing": "Annotations are ignored; leave the import out.",
    "zoneinfo": "Times are UTC; add a datetime.timedelta.",
    "pytz": "Times are UTC; add a datetime.timedelta.",
    "dateutil": "Times are UTC; add a datetime.timedelta.",
    "yaml": "Use json.",
    "pprint": "Use json.dumps(value, indent=2).",
    "csv": 'Use text.splitlines() and line.split(",").',
    "dataclasses": "Write a class with __init__, or use a dict.",
    "enum": "Use text, or a dict of names and values.",
    "copy": "Copy with dict(...) or list(...).",
    "string": "Write the characters as text.",
    "statistics": "Use sum(values) / len(values), or sorted(values).",
    "numpy": "Use lists, sum, min, max and sorted.",
    "pandas": "Use lists, sum, min, max and sorted.",
    "uuid": "Use ticket.id, or random.randint(...).",
    "hashlib": "Use the value itself as a key.",
    "smtplib": "Call one of the ticket's actions; the desk sends the mail.",
    "asyncio": "Write a plain def; calls wait for their answer by themselves.",
    "threading": "Write a plain def; calls wait for their answer by themselves.",
    "contextlib": "There is nothing to open or close in a script; leave it out.",
    "__name__": "A script runs as it stands; leave the test out.",
    "logging": 'Use log("...") or print(...).',
    "true": "Write True.",
    "false": "Write False.",
    "null": "Write None.",
    "none": "Write None.",
    "today": "Use now().date().",
    "datetime.now": "Use now().",
}
