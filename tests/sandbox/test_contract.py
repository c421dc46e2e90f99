"""The records that cross the seam, the frames that carry them, and the tables of the filter."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import seccomp
from sandbox.contract import CallFailed, Method, Param, ScriptApi, type_problem
from sandbox.errors import BadContract, ProtocolError
from sandbox.limits import Limits
from sandbox.wire import Reader, decode, encode, exact, plainly_sound, problem
from tests.environment.selection import examples
from tests.sandbox.hosts import API


def test_an_api_survives_its_json_form_but_for_the_words_about_it() -> None:
    def wordless(methods: Mapping[str, Method]) -> dict[str, Method]:
        return {
            name: replace(one, doc="", params=tuple(replace(param, doc="") for param in one.params))
            for name, one in methods.items()
        }

    read = ScriptApi.from_json(json.loads(json.dumps(API.to_json())))
    assert read.actions == wordless(API.actions)
    assert read.connections == {name: wordless(one) for name, one in API.connections.items()}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"actions": [], "connections": {}},
        {"actions": {"a": []}, "connections": {}},
        {"actions": {"a": [True, ["p", "text"]]}, "connections": {}},
        {"actions": {"a": [True, ["p", "code", True]]}, "connections": {}},
    ],
)
def test_what_is_not_an_api_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadContract):
        ScriptApi.from_json(data)


def test_grants_never_reach_beyond_the_api() -> None:
    assert API.only(frozenset({"crm.find_customer", "crm.nothing", "files.read"})) == {"crm.find_customer"}
    assert "crm.delete_customer" in API.only(None)
    assert API.only(frozenset()) == frozenset()


def test_a_call_fails_only_in_known_ways() -> None:
    with pytest.raises(BadContract, match="not a way for a call to fail"):
        CallFailed("boom", "x")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", Limits.__dataclass_fields__)
def test_a_limit_of_nothing_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        ("text", "a", None),
        ("text", 1, "p takes text, not a number"),
        ("number", 1.5, None),
        ("number", True, "p takes a number, not True or False"),
        ("bool", False, None),
        ("bool", 0, "p takes True or False, not a number"),
        ("list", [], None),
        ("list", {}, "p takes a list, not a record"),
        ("any", None, None),
        ("json", {"a": [1]}, None),
        ("text", None, "p needs a value, not None"),
    ],
)
def test_a_parameter_takes_its_type(kind: Any, value: Any, said: str | None) -> None:
    assert type_problem(Param("p", kind, True), value) == said


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, 1.5, True, None, "x"]}, None),
        ({"a": [1, {"b": float("nan")}]}, "v.a[1].b is not a finite number"),
        ([2**63], "v[0] is a whole number beyond 64 bit"),
        ({1: 2}, "v has a key that is not text"),
        ((1,), "v is a tuple, which is not JSON"),
        (Text("x"), "v is a Text, which is not JSON"),
        ({"a": "\ud800"}, "v.a holds half of a surrogate pair"),
        ("a\x00", "v holds a NUL character"),
        ({"a\x00": 1}, "v key holds a NUL character"),
        ([[[[[1]]]]], "v[0][0][0][0] is nested more than 3 levels deep"),
        ([0] * 60, "v holds more than 50 values"),
    ],
)
def test_only_exact_json_crosses(value: Any, said: str | None) -> None:
    assert problem(value, "v", depth=3, values=50) == said


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@examples(120)
@given(st.dictionaries(st.text(max_size=3), _VALUES, max_size=4), st.booleans())
def test_a_text_that_is_plainly_sound_holds_nothing_that_may_not_cross(frame: dict[str, Any], escaped: bool) -> None:
    body = json.dumps(frame, ensure_ascii=escaped).encode()
    if plainly_sound(body, depth=3, values=40):
        assert problem(decode(body), depth=3, values=40) is None


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (b'{"t":"call","id":1,"c":"crm","a":{"email":"ann@example.com","limit":5,"share":0.25},"line":3}', True),
        (b'{"a":"\\u0000"}', False),
        (b'{"a":"\\ud800"}', False),
        ('{"a":"é"}'.encode(), False),
        (b'{"a":9223372036854775808}', False),
        (b'{"a":1e400}', False),
        (b'{"a":1E400}', False),
        (b'{"a":%s.5}' % (b"9" * 400), False),
        (b'{"a":[[[1]]]}', False),
        (b'{"a":[%s]}' % b",".join([b"0"] * 39), False),
    ],
)
def test_what_is_doubtful_is_not_plain(body: bytes, plain: bool) -> None:
    assert plainly_sound(body, depth=3, values=100 if plain else 40) is plain


def test_callers_tuples_and_mappings_become_exact() -> None:
    assert exact({"a": (1, [2])}) == {"a": [1, [2]]}
    with pytest.raises(TypeError, match="object is not JSON"):
        exact({"a": object()})


def test_a_frame_survives_any_cut_of_its_bytes() -> None:
    data = encode({"t": "x", "text": "é" * 50}, 1000) * 3
    for size in (1, 2, 3, 7, 1000):
        reader, found = Reader(1000), []
        for start in range(0, len(data), size):
            reader.feed(data[start : start + size])
            while (frame := reader.next()) is not None:
                found.append(frame)
        assert found == [{"t": "x", "text": "é" * 50}] * 3
        assert reader.pending == 0


def test_a_frame_that_is_too_large_is_not_written() -> None:
    with pytest.raises(ProtocolError, match="larger than 10"):
        encode({"t": "x" * 20}, 10)
    circle: list[Any] = []
    circle.append(circle)
    for bad in (float("nan"), {1, 2}, circle):
        with pytest.raises(ProtocolError, match="cannot be written"):
            encode({"t": bad}, 100)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1",
        b"[]",
        b"null",
        b"{",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":1}x',
        b'{"a":1} ',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_one_object_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(body)


def run_filter(program: bytes, arch: int, number: int, args: tuple[int, ...] = (0, 0, 0)) -> int:
    """What the kernel would answer: a BPF machine for the five instructions that we use."""
    data = struct.pack("<iIQ6Q", number if number < 2**31 else number - 2**32, arch, 0, *args, *([0] * (6 - len(args))))
    code = [struct.unpack_from("HBBI", program, at) for at in range(0, len(program), 8)]
    at, loaded = 0, 0
    for _ in range(1000):
        op, yes, no, value = code[at]
        at += 1
        if op == 0x20:
            (loaded,) = struct.unpack_from("<I", data, value)
        elif op == 0x06:
            return value
        else:
            true = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[op]
            at += yes if true else no
    raise AssertionError("the filter does not end")


ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050001


@pytest.mark.parametrize(("machine", "arch"), [("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)])
def test_the_filter_answers_as_its_tables_say(machine: str, arch: int) -> None:
    """For both machines, on any machine; what the kernel makes of it is tests/attacks/test_escaped.py."""

    def number(name: str) -> int:
        (found,) = seccomp.numbers([name], machine)
        return found

    program = seccomp.child_program(machine, 3)
    assert len(program) // 8 < 4096
    assert run_filter(program, arch, number("read"), (3,)) == ALLOW
    assert run_filter(program, arch, number("write"), (2,)) == EPERM
    assert run_filter(program, arch, number("openat")) == EPERM
    assert run_filter(program, arch, number("socket")) == EPERM
    assert run_filter(program, arch, number("mmap"), (0, 4096, 3)) == ALLOW
    assert run_filter(program, arch, number("mmap"), (0, 4096, 7)) == KILL
    assert run_filter(program, arch, number("mprotect"), (0, 4096, 4)) == KILL
    assert run_filter(program, arch, number("clone3")) == 0x00050000 | 38
    assert run_filter(program, arch, number("prctl")) == KILL
    assert run_filter(program, arch, number("sendmsg")) == KILL
    assert run_filter(program, arch ^ 1, number("read"), (3,)) == KILL
    assert run_filter(program, arch, 9999) == KILL
    if machine == "x86_64":
        assert run_filter(program, arch, 0x40000000 + number("read"), (3,)) == KILL
    zygote = seccomp.zygote_program(machine)
    assert run_filter(zygote, arch, number("clone")) == ALLOW
    assert run_filter(zygote, arch, number("sendmsg")) == ALLOW
    assert run_filter(zygote, arch, number("openat")) == EPERM
    assert run_filter(zygote, arch, {"x86_64": 59, "aarch64": 221}[machine]) == KILL
    assert run_filter(zygote, arch, {"x86_64": 62, "aarch64": 129}[machine]) == KILL


def test_a_descriptor_given_with_high_bits_is_not_mistaken() -> None:
    """The kernel reads the descriptor as 32 bits, and so does the filter."""
    program = seccomp.child_program("x86_64", 3)
    assert run_filter(program, 0xC000003E, 0, (3 | 1 << 40,)) == ALLOW
