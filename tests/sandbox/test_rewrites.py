"""Everything that is refused with a hint: the hint's way out, written down, checked and run.

The lists come from the product: a new refusal without a rewrite that works fails here."""

from __future__ import annotations

import ast

import pytest

from sandbox import names, policy
from tests.sandbox.hosts import API, Host

A = "class A:\n    def m(self): return 1\n"
#: Each name with a hint: what people write, and what works instead.
NAMES = {
    "open": ("open('notes.txt', 'w')", "ticket.add_note('x')"),
    "input": ("x = input('Amount?')", "x = params.get('amount')"),
    "eval": ("x = eval('[1, 2]')", "x = json.loads('[1, 2]')"),
    "exec": ("exec('x = 1')", "x = 1"),
    "compile": ("x = compile('1', '', 'eval')", "x = lambda: 1"),
    "type": ("x = type(1) is int", "x = isinstance(1, int)"),
    "object": ("class A(object):\n    pass", "class A:\n    pass"),
    "globals": ("x = globals()['ticket']", "x = ticket"),
    "locals": ("x = locals()", "x = {'id': ticket.id}"),
    "vars": ("x = vars(customer)", "x = customer.name"),
    "dir": ("x = dir(ticket)", "x = list(ticket.keys())"),
    "id": ("x = id(ticket) == id(customer)", "x = ticket is customer"),
    "hash": ("x = {hash('a'): 1}", "x = {'a': 1}"),
    "setattr": (A + "setattr(A, 'n', 1)", A + "A.n = 1"),
    "delattr": (A + "delattr(A, 'm')", A + "del A.m"),
    "bytes": ("x = bytes('a', 'utf-8')", "x = str('a')"),
    "bytearray": ("x = bytearray(3)", "x = str('abc')"),
    "memoryview": ("x = memoryview('a')", "x = 'abc'[1:]"),
    "BaseException": (
        "try:\n    1 / 0\nexcept BaseException:\n    pass",
        "try:\n    x = 1\nexcept Exception:\n    pass",
    ),
    "SystemExit": ("raise SystemExit('done')", "stop('done')"),
    "exit": ("exit()", "stop('done')"),
    "quit": ("quit()", "stop('done')"),
    "sleep": ("sleep(5)", "x = now()"),
    "time": ("x = time.time()", "x = now().timestamp()"),
    "requests": ("import requests", "x = crm.find_customer(email='ann@example.com')"),
    "urllib": ("import urllib.request", "x = crm.find_customer(email='ann@example.com')"),
    "http": ("from http import client", "x = crm.find_customer(email='ann@example.com')"),
    "os": ("import os", "x = params.get('home')"),
    "sys": ("import sys", "x = ticket.id"),
    "subprocess": ("import subprocess", "x = ticket.id"),
    "collections": (
        "from collections import Counter\nx = Counter('aab')",
        "x = {}\nfor key in 'aab':\n    x[key] = x.get(key, 0) + 1",
    ),
    "itertools": ("import itertools", "x = [(a, b) for a in 'ab' for b in '12'] + list(zip('ab', '12'))"),
    "functools": ("from functools import reduce", "x = 0\nfor n in [1, 2]:\n    x = x + n"),
    "typing": ("from typing import Any\nx: Any = 1", "x: Any = 1"),
    "zoneinfo": ("from zoneinfo import ZoneInfo", "x = now() + datetime.timedelta(hours=1)"),
    "pytz": ("import pytz", "x = now() + datetime.timedelta(hours=1)"),
    "dateutil": (
        "from dateutil import parser",
        "x = datetime.datetime.fromisoformat('2026-11-22') + datetime.timedelta(days=1)",
    ),
    "pprint": ("from pprint import pprint", "print(json.dumps({'a': 1}, indent=2))"),
    "csv": ("import csv", "x = [line.split(',') for line in 'a,b\\nc,d'.splitlines()]"),
    "dataclasses": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int",
        "class A:\n    def __init__(self, n):\n        self.n = n\nx = A(1).n",
    ),
    "enum": ("from enum import Enum\nclass A(Enum):\n    LOW = 1", "x = {'low': 1}['low']"),
    "copy": ("import copy\nx = copy.copy(ticket.tags)", "x = list(ticket.tags)"),
    "string": ("import string\nx = string.digits", "x = '0123456789'"),
    "statistics": ("import statistics\nx = statistics.mean([1, 2])", "values = [1, 2]\nx = sum(values) / len(values)"),
    "numpy": ("import numpy as np\nx = np.sum([1, 2])", "x = sum([1, 2]), min([1, 2]), max([1, 2]), sorted([1, 2])"),
    "pandas": ("import pandas as pd", "x = sorted([{'n': 2}, {'n': 1}], key=lambda row: row['n'])"),
    "uuid": ("import uuid\nx = uuid.uuid4()", "x = f'{ticket.id}-{random.randint(1, 9)}'"),
    "hashlib": ("import hashlib\nx = {hashlib.md5(b'a').hexdigest(): 1}", "x = {'a': 1}"),
    "smtplib": ("import smtplib", "ticket.add_note('x')"),
    "asyncio": ("import asyncio", "def f():\n    return crm.find_customer(email='a')\nx = f()"),
    "threading": ("import threading", "def f():\n    return crm.find_customer(email='a')\nx = f()"),
    "contextlib": ("from contextlib import suppress", "try:\n    x = 1 / 0\nexcept ZeroDivisionError:\n    x = 0"),
    "__name__": (
        "def main():\n    return 1\nif __name__ == '__main__':\n    main()",
        "def main():\n    return 1\nmain()",
    ),
    "yaml": ("import yaml", "x = json.loads('{\"a\": 1}')"),
    "logging": ("import logging", "log('x')\nprint('x')"),
    "true": ("x = true", "x = True"),
    "false": ("x = false", "x = False"),
    "null": ("x = null", "x = None"),
    "none": ("x = none", "x = None"),
    "today": ("x = today()", "x = now().date()"),
    "datetime.now": ("x = datetime.now()", "x = now()"),
}
#: Each kind of syntax with a hint.
SYNTAX = {
    "AsyncFunctionDef": ("async def f():\n    return 1", "def f():\n    return 1\nx = f()"),
    "AsyncFor": ("async def f():\n    async for x in y: pass", "for x in [1]: pass"),
    "AsyncWith": ("async def f():\n    async with crm: pass", "x = crm.find_customer(email='a')"),
    "Await": ("async def f():\n    await crm.find_customer(email='a')", "x = crm.find_customer(email='a')"),
    "Match": ("match 1:\n    case 1: x = 1\n    case _: x = 2", "if 1 == 1: x = 1\nelif True: x = 2"),
    "TryStar": ("try:\n    x = 1\nexcept* ValueError:\n    pass", "try:\n    x = 1\nexcept ValueError:\n    pass"),
    "With": ("with crm as c:\n    pass", "x = crm.find_customer(email='a')"),
    "TypeAlias": ("type X = int", "x = 1"),
    "TypeVar": ("def f[T](x: T): return x", "def f(x): return x"),
    "ParamSpec": ("def f[**P](x): return x", "def f(x): return x"),
    "TypeVarTuple": ("def f[*T](x): return x", "def f(x): return x"),
    "TemplateStr": ("x = t'{1}'", "x = f'{1}'"),
}
#: What the policy's own rules refuse besides.
RULES = {
    "a private name": ("_x = 1", "x = 1"),
    "a private attribute": ("x = ticket._id", "x = ticket.id"),
    "a reserved name": ("x__roles__ = 1", "x_roles = 1"),
    "a reserved attribute": ("x = ticket.f_back", "x = ticket.id"),
    "an import of everything": ("from math import *", "from math import floor\nx = floor(1.5)"),
    "an import of something else": ("import shelve", "import json\nx = json.loads('1')"),
    "leaving a finally": (
        "def f():\n    try:\n        pass\n    finally:\n        return 1",
        "def f():\n    try:\n        pass\n    finally:\n        x = 1\n    return x\nf()",
    ),
    "a keyword of a class": ("class A(metaclass=int): pass", "class A: pass"),
    "a fact that is assigned": ("ticket.status = 'open'", "ticket.set_field(field='status', value='open')"),
    "a fact in a fact": ("ticket.fields['order'] = 'x'", "x = dict(ticket.fields)\nx['order'] = 'x'"),
    "a list that is a fact": ("ticket.tags.append('x')", "x = list(ticket.tags)\nx.append('x')"),
    "an operation that is assigned": ("crm.find_customer = 1", "find = crm.find_customer\nx = find(email='a')"),
    "format": ("x = '{}'.format(1)", "x = f'{1}'"),
    "super in a function": (
        A + "class B(A):\n    def m(self):\n        def twice(): return 2 * super().m()\n        return twice()",
        A
        + "class B(A):\n    def m(self):\n        def twice(): return 2 * super(B, self).m()\n        return twice()\n"
        "x = B().m()",
    ),
    "a base": ("class A(dict): pass", "class A: pass\nclass B(A): pass\nclass C(Exception): pass"),
    "a set": ("ticket.add_tags({'a'})", "ticket.add_tags(sorted({'a'}))"),
    "a key that is no text": ("ticket.set_context('k', {1: 2})", "ticket.set_context('k', {str(1): 2})"),
    "what cannot leave": ("ticket.set_context('k', now)", "ticket.set_context('k', now())"),
    "a shuffled fact": ("random.shuffle(ticket.tags)", "x = list(ticket.tags)\nrandom.shuffle(x)"),
    "an end at the top": ("return", "stop('done')"),
    "an assignment in a condition": ("if ticket.id = 1:\n    pass", "if ticket.id == 1:\n    pass"),
    "too many brackets": ("x = " + "(" * 250 + "1" + ")" * 250, "x = (1)"),
    "too many elif": (
        "x = 5\nif x == 0: y = 0\n" + "".join(f"elif x == {n}: y = {n}\n" for n in range(1, 500)),
        "x = 5\ny = {" + ", ".join(f"{n}: {n}" for n in range(500)) + "}[x]",
    ),
    "too much in one sum": ("x = " + " + ".join(["'a'"] * 700), "x = ''.join(['a'] * 700)"),
    "a byte order mark": ("\ufeffx = 1", "x = 1"),
    "an unknown action": ("ticket.add_tag(['a'])", "ticket.add_tags(['a'])"),
    "what json.dumps does by itself": ("x = json.dumps({'at': now()}, default=str)", "x = json.dumps({'at': now()})"),
    "what json.dumps does not do": (
        "x = json.dumps([1, 2], separators=(',', ':'))",
        "x = json.dumps([1, 2], indent=0)",
    ),
    "an unknown argument": ("crm.find_customer(emial='a')", "crm.find_customer(email='a')"),
}
EVERY = {**NAMES, **SYNTAX, **RULES}


def test_every_hint_has_a_rewrite() -> None:
    assert NAMES.keys() == names.INSTEAD.keys()
    assert SYNTAX.keys() == policy._UNSUPPORTED.keys()


@pytest.mark.alike
@pytest.mark.parametrize("name", EVERY)
def test_what_is_refused_says_where_and_why_and_its_rewrite_works(host: Host, name: str) -> None:
    source, rewrite = EVERY[name]
    if name in SYNTAX and not hasattr(ast, name):
        pytest.skip("this Python has no such syntax")
    outcome = host.run("first = 1\n" + source if name != "a byte order mark" else source)
    assert outcome.status in ("refused", "failed")
    assert outcome.error is not None
    assert outcome.actions == ()
    assert outcome.error.line is not None
    assert outcome.error.line >= (2 if name != "a byte order mark" else 1)
    assert outcome.error.column is not None
    assert outcome.error.message
    assert outcome.error.hint, outcome.error

    assert [one for one in host.sandbox.check(rewrite, API).problems if one.severity == "error"] == []
    again = host.run(rewrite)
    assert again.status in ("finished", "stopped"), again.error
