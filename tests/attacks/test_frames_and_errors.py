"""Ways out through frames, generators and exceptions."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

FRAMES = {
    name: f'g = (x for x in [1])\nprint("PWNED", g.{name})'
    for name in (
        "gi_frame",
        "gi_code",
        "gi_yieldfrom",
        "cr_frame",
        "ag_frame",
        "tb_frame",
        "f_back",
        "f_globals",
        "co_code",
    )
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_out_of_reach(host: Host, name: str) -> None:
    refused(host, FRAMES[name], "FORBIDDEN")


ERRORS = {
    "traceback": 'try:\n    1/0\nexcept Exception as e:\n    print("PWNED", e.__traceback__)',
    "with_traceback": 'try:\n    1/0\nexcept Exception as e:\n    print("PWNED", e.with_traceback)',
    "context": 'try:\n    1/0\nexcept Exception as e:\n    print("PWNED", e.__context__)',
    "attribute_error_obj": 'try:\n    ticket.nothing\nexcept AttributeError as e:\n    print("PWNED", e.obj)',
    "name_error_name": 'try:\n    nothing\nexcept NameError as e:\n    print("PWNED", e.name)',
    "stop_iteration_value": "def g():\n    yield 1\n    return crm\nx = g()\nnext(x)\n"
    'try:\n    next(x)\nexcept StopIteration as e:\n    print("PWNED", e.value)',
    "unicode_error_object": 'try:\n    "\\u20ac".encode("ascii")\nexcept UnicodeError as e:\n'
    '    print("PWNED", e.object)',
    "key_error_hint": 'try:\n    getattr(ticket, "_x")\nexcept Exception as e:\n    print("PWNED", e.hint)',
    "from_call": 'class U(Unavailable): pass\ntry:\n    raise U("x")\nexcept Unavailable as e:\n'
    '    print("PWNED", e.from_call)',
    "generator_throw": 'def g():\n    yield 1\nprint("PWNED", g().throw)',
    "add_note": 'try:\n    1/0\nexcept Exception as e:\n    e.add_note("x")\n    print("PWNED")',
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_exception_gives_only_its_text(host: Host, name: str) -> None:
    refused(host, ERRORS[name], "ATTRIBUTE", "FORBIDDEN")


UNKNOWN = {
    name: f'try:\n    stop("x")\nexcept {name}:\n    print("PWNED")'
    for name in (
        "BaseException",
        "SystemExit",
        "GeneratorExit",
        "KeyboardInterrupt",
        "MemoryError",
        "BaseExceptionGroup",
    )
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_no_name_catches_what_must_not_be_caught(host: Host, name: str) -> None:
    outcome = host.run(UNKNOWN[name])
    assert outcome.error is not None
    assert (outcome.error.code, outcome.log) == ("NAME", ())


def test_except_star_is_refused(host: Host) -> None:
    refused(host, 'try:\n    1/0\nexcept* Exception:\n    print("PWNED")', "FORBIDDEN")


@pytest.mark.parametrize("leave", ["return", "break", "continue"])
def test_finally_cannot_swallow_an_error(host: Host, leave: str) -> None:
    source = (
        f"def f():\n    for i in [1]:\n        try:\n            1/0\n        finally:\n"
        f'            {leave}\nf()\nprint("PWNED")'
    )
    message = refused(host, source, "FORBIDDEN")
    assert "inside `finally`" in message


def test_an_error_raised_in_finally_does_not_hide_a_limit(host: Host) -> None:
    """What is on its way there may be the end of the memory, and an error in its place could be caught."""
    source = (
        "def f():\n    try:\n        x = [0] * 10**9\n    finally:\n        raise ValueError('instead')\n"
        'try:\n    f()\nexcept ValueError:\n    print("PWNED")\nprint("PWNED")'
    )
    refused(host, source, "MEMORY")


def test_an_error_raised_in_finally_takes_the_place_of_another_one(host: Host) -> None:
    source = (
        "try:\n    try:\n        1 / 0\n    finally:\n        raise ValueError('instead')\nexcept ValueError as e:\n"
    )
    assert harmless(host, source + "    print(e)") == ["instead"]


def test_a_loop_or_function_inside_finally_may_leave_itself(host: Host) -> None:
    source = (
        "try:\n    pass\nfinally:\n    for i in [1, 2]:\n        break\n    def f():\n"
        "        return 5\n    print(i, f())"
    )
    assert harmless(host, source) == ["1 5"]


SWALLOW = {
    "bare_except": 'while True:\n    try:\n        stop("now")\n    except:\n        pass',
    "except_exception": 'try:\n    stop("now")\nexcept Exception:\n    pass\nprint("PWNED")',
    "generator_cleanup": 'def g():\n    try:\n        yield 1\n    finally:\n        stop("now")\n'
    "for x in g():\n    break\nx = None",
    "in_a_comparison": 'class A:\n    def __eq__(self, other): stop("now")\nA() == 1\nprint("PWNED")',
    "in_a_sort": 'class A:\n    def __lt__(self, other): stop("now")\nsorted([A(), A()])\nprint("PWNED")',
    "in_a_repr": 'class A:\n    def __repr__(self): stop("now")\nprint([A()])\nprint("PWNED")',
    "in_a_hash": 'class A:\n    def __hash__(self): stop("now")\n{A(): 1}\nprint("PWNED")',
    "in_a_hasattr": 'class A:\n    @property\n    def x(self): stop("now")\nhasattr(A(), "x")\nprint("PWNED")',
}


@pytest.mark.parametrize("name", SWALLOW)
def test_nothing_swallows_stop(host: Host, name: str) -> None:
    outcome = host.run(SWALLOW[name])
    assert (outcome.status, outcome.stop_reason) == ("stopped", "now")
    assert outcome.log == ()


def test_an_error_that_cannot_be_shown_is_still_named(host: Host) -> None:
    for member in ("def __str__(self): return 1 / 0", "def __str__(self): stop('x')", "def __str__(self): return 5"):
        message = refused(host, f"class Odd(Exception):\n    {member}\nraise Odd()", "RUNTIME")
        assert message == "Your script raised Odd"
    hidden = "class Odd(Unavailable):\n    @property\n    def from_call(self): return 1 / 0\nraise Odd()"
    assert refused(host, hidden, "RUNTIME") == "Your script raised Odd"


LYING = {
    "a_name_that_is_a_fact": "class E(NameError): pass\ne = E('x')\ne.name = ticket\nraise e",
    "a_name_that_is_a_hook": "class E(NameError): pass\ne = E('x')\ne.name = '_getattr_'\nraise e",
    "a_name_that_answers": "class S:\n    def __str__(self): return stop('y')\n"
    "class E(NameError): pass\ne = E('x')\ne.name = S()\nraise e",
    "a_hint": "class E(Exception):\n    hint = 'PWNED'\nraise E('x')",
    "a_failed_call": "class E(Unavailable):\n    from_call = True\nraise E('x')",
    "a_failed_call_with_candidates": "class E(Ambiguous):\n    from_call = True\n    candidates = crm\nraise E('x')",
    "a_place_in_the_text": "class E(UnicodeError): pass\ne = E('x')\ne.start = 10**18\ne.end = -5\nraise e",
    "its_own_cause": "e = ValueError('x')\nraise e from e",
    "arguments_that_raise": "class E(Exception):\n    @property\n    def args(self): return 1 / 0\nraise E('x')",
}


@pytest.mark.parametrize("name", LYING)
def test_an_error_that_lies_about_itself_ends_the_script_like_any_other(host: Host, name: str) -> None:
    outcome = host.run(f'ticket.add_note("x")\n{LYING[name]}')
    assert outcome.error is not None
    assert (outcome.status, outcome.actions, outcome.log) == ("failed", (), ())
    assert outcome.error.code in ("RUNTIME", "NAME")
    assert "PWNED" not in outcome.error.message + outcome.error.hint


SHOWN = (
    "print, log, stop, now, crm, crm.find_customer, ticket, ticket.add_note, ticket.tags.copy, customer.get, json,"
    " json.dumps, re.compile('a'), re.match('a', 'a'), random.choice, datetime.datetime, datetime.datetime.now,"
    " now().strftime, datetime.date, Unavailable, Ambiguous, decimal.Decimal, getattr, str, A, A(), A().f, event,"
    " history"
)


def test_what_is_printed_of_a_thing_names_none_of_our_code(host: Host) -> None:
    source = f"class A:\n    def f(self): pass\nfor one in [{SHOWN}]:\n    print(one, repr(one), f'{{one}}')"
    lines = host.logged(source)
    assert len(lines) == SHOWN.count(",") + 1 - 1  # `re.match` has a comma of its own
    assert [line for line in lines if "sandbox" in line or "<locals>" in line or "Child" in line] == []
    assert lines[5] == " ".join(["<function crm.find_customer>"] * 3)
    assert lines[7] == " ".join(["<function ticket.add_note>"] * 3)
    assert lines[2].startswith("<bound method stop of <run>>")


def test_what_a_suspended_generator_would_still_do_is_not_done(host: Host) -> None:
    source = 'def g():\n    try:\n        yield 1\n    finally:\n        ticket.add_note("late")\nx = g()\nnext(x)\n'
    assert harmless(host, source) == []


def test_a_crash_of_the_interpreter_is_contained(host: Host) -> None:
    """Iterators nested deeply enough overflow the C stack; the child dies of it, and only the child."""
    outcome = host.run("m = iter([1])\nfor i in range(300000):\n    m = map(str, m)\nprint(next(m))\n")
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) in [("CRASH", ()), ("MEMORY", ()), ("RUNTIME", ())]
    assert host.logged("print(1)") == ["1"]
