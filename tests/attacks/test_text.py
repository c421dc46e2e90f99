"""Ways out through text: format strings that walk attributes, and output that shows where things lie in memory."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

FORMATS = {
    "format": 'print("PWNED", "{0.__class__}".format(()))',
    "format_map": 'print("PWNED", "{a.__class__}".format_map({"a": ()}))',
    "format_by_getattr": 'print("PWNED", getattr("{0.__class__}", "format")(()))',
    "format_on_str": 'print("PWNED", str.format("{0.__class__}", ()))',
    "format_on_the_class": 'print("PWNED", getattr(str, "format_map")("{a}", {"a": 1}))',
    "format_in_map": 'print("PWNED", list(map(str.format, ["{0.__class__}"], [()])))',
    "format_on_a_method_result": 'print("PWNED", "{0.__class__}".strip().format(()))',
    "format_of_a_joined_text": 'print("PWNED", "".join(["{0.", "__class__}"]).format(ticket))',
    "formatter": 'import string\nprint("PWNED", string.Formatter().format("{0.__class__}", ()))',
    "template": 'from string import Template\nprint("PWNED")',
}


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_string_walks_attributes(host: Host, name: str) -> None:
    refused(host, FORMATS[name], "FORBIDDEN", "ATTRIBUTE")


SHOWN = {
    "print_a_function": "def f(): pass\nprint(f)",
    "str_of_a_lambda": "print(str(lambda: 1))",
    "repr_of_a_generator": "print(repr(x for x in [1]))",
    "f_string": "def f(): pass\nprint(f'{f} {f!r} {f!s} {f!a}')",
    "f_string_in_spec": "def f(): pass\nprint(f'{1:{2}} {f}')",
    "percent": "def f(): pass\nprint('%s %r' % (f, f))",
    "percent_in_place": "def f(): pass\nx = '%s'\nx %= f\nprint(x)",
    "in_a_list": "print([print, now, stop, crm.find_customer, ticket.add_note])",
    "in_a_dict": "print({'a': print})",
    "bound_method": "print([].append, ''.join, re.compile('a').search)",
    "own_method": "class A:\n    def m(self): pass\nprint(A().m, A.m, A(), A)",
    "iterators": "print(iter([1]), enumerate([]), zip(), map(str, []), filter(None, []), reversed([]))",
    "facades": "print(json, re, math, datetime, decimal, random, ticket, crm, log, customer)",
    "pattern_and_match": "print(re.compile('a'), re.match('a', 'a'))",
    "error_text": "def f(): pass\ntry:\n    [].index(f)\nexcept ValueError as e:\n"
    "    print(e, e.args, repr(e), f'{e}')",
    "key_error": "def f(): pass\ntry:\n    {}[f]\nexcept KeyError as e:\n    print(e, repr(e), [e])",
    "format_builtin": "print(format(print), format(now))",
    "property_and_static": "print(property(now), staticmethod(now), classmethod(now))",
    "random_method": "print(random.random, random.shuffle)",
    "log": "log(now)\nlog.info(stop)",
}


@pytest.mark.parametrize("name", SHOWN)
def test_no_output_shows_an_address(host: Host, name: str) -> None:
    lines = harmless(host, SHOWN[name])
    assert lines
    assert [line for line in lines if "0x" in line] == []


BYTES = ("b'%a' % now", "b'%r' % [now]", "b'%s' % (b'%a' % now)", "b'%-200a' % now", "b'%.60a' % now")


@pytest.mark.parametrize("made", BYTES)
def test_bytes_that_a_script_makes_hold_no_address(host: Host, made: str) -> None:
    """Also where only a part of it is kept: whoever gets digits of it knows where the interpreter lies."""
    assert harmless(host, f"x = {made}\ny = x\ny %= ()\nprint(b'0x' in x, '3078' in x.hex(), b'0x' in y)") == [
        "False False False"
    ]


def test_bytes_that_hold_anything_else_stay_as_they_are(host: Host) -> None:
    assert harmless(host, r"x = b'\xff\x00%d' % 5" + "\nprint(x, len(x))") == [r"b'\xff\x005' 3"]


def test_an_uncaught_error_shows_no_address(host: Host) -> None:
    outcome = host.run("def f(): pass\nraise ValueError(f, [f])")
    assert outcome.error is not None
    assert "0x" not in outcome.error.message


def test_neither_id_nor_hash_is_there(host: Host) -> None:
    for name in ("id", "hash"):
        refused(host, f'print("PWNED", {name}(print))', "NAME")


#: What a customer may write of a crash, and what a script makes of it.
QUOTED = {
    "print": "print(said)",
    "str": "print(str(said))",
    "f_string": "print(f'{said}', f'{said!s:>{2}}')",
    "percent": "print('%s' % said, '%s (%d)' % (said, 3), '%(it)s' % {'it': said})",
    "percent_in_place": "x = '%s'\nx %= said\nprint(x)",
    "format": "print(format(said))",
    "joined": "print(' | '.join([said, said.upper().lower()]))",
    "decoded": "print(str(said.encode(), 'utf-8'))",
}


@pytest.mark.parametrize("name", QUOTED)
def test_an_address_that_a_person_wrote_stays_in_the_text(host: Host, name: str) -> None:
    """A note that says "Access violation at in app.exe" would be a lie about what the customer said."""
    lines = harmless(host, "said = 'violation at 0x00401000 in app.exe'\n" + QUOTED[name])
    assert lines
    assert all(line.count("violation at 0x00401000 in app.exe") >= 1 for line in lines)
    assert " at in " not in "".join(lines)


@pytest.mark.parametrize("name", sorted({*QUOTED} - {"decoded"}))  # a function has no encode()
def test_beside_what_a_person_wrote_no_object_shows_where_it_lies(host: Host, name: str) -> None:
    """Texts are left alone, so none may come to hold the address of an object in the first place."""
    source = "def said(): pass\n" + QUOTED[name].replace("said.upper().lower()", "str(said)").replace(
        "[said,", "[f'{said}',"
    )
    lines = harmless(host, source)
    assert lines
    assert [line for line in lines if "0x" in line] == []
