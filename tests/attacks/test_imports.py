"""Ways out through imports and through what a facade might leak."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

IMPORTS = {
    "os": "import os",
    "os_path": "import os.path",
    "as": "import os as json",
    "second_name": "import json, sys",
    "from_os": "from os import system",
    "star": "from json import *",
    "relative": "from . import wire",
    "relative_named": "from .child import guards",
    "ours": "from sandbox import wire",
    "submodule": "import json.decoder",
    "from_submodule": "from json.decoder import scanner",
    "dunder": '__import__("os")',
    "dunder_by_name": "import builtins",
    "importlib": "import importlib",
    "codecs": "import codecs",
    "ctypes": "import ctypes",
    "in_a_function": "def f():\n    import socket\nf()",
    "in_a_class": "class A:\n    import subprocess",
    "re2": "import re2",
    "underscored": "import _io",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", IMPORTS)
def test_only_the_facades_can_be_imported(host: Host, name: str) -> None:
    refused(host, IMPORTS[name] + '\nprint("PWNED")', "FORBIDDEN")


MEMBERS = {
    "decoder": "from json import decoder",
    "codecs_of_json": "from json import codecs",
    "enum_of_re": "from re import enum",
    "sys_of_datetime": "from datetime import sys",
    "os_of_random": "from random import _os",
    "system_random": "from random import SystemRandom",
    "c_api": "from datetime import datetime_CAPI",
}


@pytest.mark.parametrize("name", MEMBERS)
def test_only_listed_members_can_be_imported(host: Host, name: str) -> None:
    refused(host, MEMBERS[name] + '\nprint("PWNED")', "RUNTIME", "FORBIDDEN")


LEAKS = {
    "json_codecs_open": 'print("PWNED", json.codecs.open("/etc/passwd").read())',
    "json_codecs_builtins": 'print("PWNED", json.codecs.builtins)',
    "json_codecs_sys": 'print("PWNED", json.codecs.sys.modules)',
    "json_decoder_scanner_re": 'print("PWNED", json.decoder.scanner.re)',
    "json_encoder_re": 'print("PWNED", json.encoder.re)',
    "json_dump": 'json.dump({}, 1)\nprint("PWNED")',
    "re_enum_sys": 'print("PWNED", re.enum.sys.modules["os"])',
    "re_enum_builtins": 'print("PWNED", re.enum.bltns.eval)',
    "re_functools": 'print("PWNED", re.functools.partial)',
    "re_copyreg": 'print("PWNED", re.copyreg.dispatch_table)',
    "re_scanner": 'print("PWNED", re.Scanner)',
    "re_purge": 'print("PWNED", re.purge)',
    "datetime_sys": 'print("PWNED", datetime.sys.modules["os"].popen("id"))',
    "random_os": 'print("PWNED", random._os)',
    "random_seed": 'print("PWNED", random.seed(1))',
    "decimal_setcontext": 'print("PWNED", decimal.setcontext)',
    "math_loader": 'print("PWNED", math.__loader__)',
}


@pytest.mark.alike
@pytest.mark.parametrize("name", LEAKS)
def test_a_facade_has_only_its_members(host: Host, name: str) -> None:
    refused(host, LEAKS[name], "ATTRIBUTE", "FORBIDDEN")


HOOKS = {
    "object_hook": 'json.loads("{}", object_hook=print)',
    "parse_float": 'json.loads("1.0", parse_float=print)',
    "cls": 'json.loads("{}", cls=print)',
    "dumps_default": "json.dumps(1, default=print)",
    "print_file": 'print("x", file=crm)',
    "print_flush": 'print("x", flush=crm)',
    "re_debug": 're.compile("a", 128)',
    "re_template": 're.compile("a", 1)',
    "min_key_open": 'min(["/etc/passwd"], key=open)',
    "sep_object": 'class A: pass\nprint("x", "y", sep=A())',
}


@pytest.mark.parametrize("name", HOOKS)
def test_facades_take_no_hooks(host: Host, name: str) -> None:
    refused(host, HOOKS[name] + '\nprint("PWNED")', "RUNTIME", "NAME")


BUILTINS = (
    "open exec eval compile input type object globals locals vars dir id hash setattr delattr memoryview"
    " bytearray breakpoint exit quit help copyright license __import__ __build_class__ __loader__ aiter anext"
).split()


@pytest.mark.alike
@pytest.mark.parametrize("name", BUILTINS)
def test_dangerous_builtins_are_not_there(host: Host, name: str) -> None:
    refused(host, f'x = {name}\nprint("PWNED", x)', "NAME", "FORBIDDEN")


def test_importing_a_facade_changes_nothing(host: Host) -> None:
    source = "import json, re as regex\nfrom datetime import datetime as dt, timedelta\nfrom math import floor\n"
    source += 'print(json.loads("[1]"), regex.findall("a", "aa"), dt(2026, 1, 1) + timedelta(days=1), floor(1.5))'
    assert harmless(host, source) == ["[1] ['a', 'a'] 2026-01-02 00:00:00 1"]


def test_the_clock_stands_still_and_is_the_runs(host: Host) -> None:
    source = "import datetime\nprint(now(), datetime.datetime.now(datetime.UTC) == now(), datetime.date.today())\n"
    source += "print(datetime.datetime.utcnow(), datetime.datetime.today(), datetime.datetime.fromtimestamp(0))"
    assert harmless(host, source) == [
        "2026-11-22 12:00:00+00:00 True 2026-11-22",
        "2026-11-22 12:00:00 2026-11-22 12:00:00 1970-01-01 00:00:00",
    ]


def test_a_pattern_is_matched_in_linear_time(host: Host) -> None:
    outcome = host.run('print(re.match("(a+)+$", "a" * 5000 + "b"))')
    assert outcome.status == "finished"
    assert outcome.usage.cpu_ms < 1500


@pytest.mark.parametrize("pattern", [r"(?=a)", r"(?<=a)b", r"(a)\1"])
def test_patterns_that_cannot_be_linear_are_refused_with_a_reason(host: Host, pattern: str) -> None:
    assert "no lookahead" in refused(host, f"re.search(r'{pattern}', 'ab')", "RUNTIME")
