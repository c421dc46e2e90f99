"""A child that has escaped the language and speaks the protocol as it likes: the broker believes none of it.

The child here is played by a thread of the test on the other end of a real socket pair, with a real process standing in
for its life and death, so that every frame, size and silence can be chosen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.broker import Broker, Lease
from sandbox.contract import Answer, Outcome
from sandbox.ending import ENDED, EXIT_NO_JAIL
from sandbox.limits import Limits
from tests.sandbox.hosts import API, TableGateway

OK = {"t": "result", "end": "finished", "reason": ""}
ACT = {"t": "act", "action": "add_note", "params": {"text": "x"}, "line": 1}
CALL = {"t": "call", "id": 1, "c": "crm", "o": "find_customer", "a": {"email": "a"}, "line": 1}
LOG = {"t": "log", "line": 1, "text": "x"}

PROBLEM = {"line": 1, "column": 0, "end_line": 1, "end_column": 1, "code": "NAME", "severity": "error", "message": "m"}
PROBLEM |= {"hint": ""}


def refused(**said: Any) -> dict[str, Any]:
    return {"t": "refused", "problems": [PROBLEM | said]}


def frame(body: Any) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack(">I", len(data)) + data


START = frame({"t": "run"})
PATIENT = Limits(wall_s=60)


def talk(
    play: Callable[[socket.socket], None],
    gateway: TableGateway | None = None,
    limits: Limits = PATIENT,
    ends: list[int] | None = None,
    dies: int = 0,
    exits: int = 0,
    silent: bool = False,
    untold: bool = False,
) -> Outcome:
    """The outcome of a run whose child does what `play` does with its end of the socket, and is then `silent` until it
    is killed; how it ended may stay `untold`."""
    ours, theirs = socket.socketpair()
    service, other = socket.socketpair()
    ended, tell = os.pipe()
    # The life of the child: ends when its stdin closes, or by the broker's SIGKILL.
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )

    def live() -> None:
        with contextlib.suppress(OSError):
            theirs.recv(len(START))
            play(theirs)
        if silent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        if dies:
            process.send_signal(dies)
            process.wait()
            theirs.shutdown(socket.SHUT_WR)  # as the kernel does after it has settled on the cause
        process.communicate()
        code = process.returncode
        if ends is not None:
            ends.append(code)
        if not untold:
            os.write(tell, ENDED.pack(exits << 8 or max(0, -code), 1000, 1000))
        os.close(tell)

    thread = threading.Thread(target=live)
    lease = Lease(ours, ended, os.pidfd_open(process.pid), service)
    broker = Broker(lease, limits, API, API.only(None), API.only_actions(None), gateway or TableGateway())
    thread.start()
    try:
        return broker.run(START)
    finally:
        theirs.close()
        lease.close()
        other.close()
        thread.join(60)
        process.kill()
        process.wait()


def says(*frames: Any) -> Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        for one in frames:
            sock.sendall(one if isinstance(one, bytes) else frame(one))

    return play


def test_an_honest_child_is_believed() -> None:
    outcome = talk(says(LOG, ACT, OK))
    assert (outcome.status, len(outcome.actions), len(outcome.log)) == ("finished", 1, 1)


FORGED = {
    "unknown_type": {"t": "exec", "code": "1"},
    "no_type": {"line": 1},
    "type_is_a_list": {"t": ["log"]},
    "extra_field": OK | {"actions": []},
    "missing_field": {"t": "log", "line": 1},
    "bool_for_int": LOG | {"line": True},
    "text_for_int": LOG | {"line": "1"},
    "float_for_id": CALL | {"id": 1.0},
    "id_zero": CALL | {"id": 0},
    "id_skipped": CALL | {"id": 2},
    "id_negative": CALL | {"id": -1},
    "huge_line": LOG | {"line": 10**9},
    "negative_line": LOG | {"line": -1},
    "unknown_action": ACT | {"action": "delete_everything"},
    "private_action": ACT | {"action": "__class__"},
    "unknown_parameter": ACT | {"params": {"text": "x", "ticket_id": 8}},
    "missing_parameter": ACT | {"params": {}},
    "wrong_parameter_type": ACT | {"params": {"text": 5}},
    "none_parameter": ACT | {"params": {"text": None}},
    "large_parameter": ACT | {"params": {"text": "x" * 70_000}},
    "nul_in_a_value": ACT | {"params": {"text": "a\x00b"}},
    "surrogate_in_a_value": ACT | {"params": {"text": "\ud800"}},
    "huge_int": {"t": "act", "action": "set_field", "params": {"field": "f", "value": 2**63}, "line": 1},
    "unknown_connection": CALL | {"c": "filesystem"},
    "unknown_operation": CALL | {"o": "drop_table"},
    "transport_argument": CALL | {"a": {"email": "a", "url": "http://169.254.169.254"}},
    "missing_argument": CALL | {"a": {}},
    "own_error_code": {"t": "error", "code": "SANDBOX_UNAVAILABLE", "message": "", "line": 1, "column": 0, "hint": ""},
    "invented_error_code": {"t": "error", "code": "X", "message": "", "line": 1, "column": 0, "hint": ""},
    "huge_column": {"t": "error", "code": "NAME", "message": "", "line": 1, "column": 10**9, "hint": ""},
    "negative_column": {"t": "error", "code": "NAME", "message": "", "line": 1, "column": -1, "hint": ""},
    "refused_without_a_reason": {"t": "refused", "problems": []},
    "refused_with_a_warning": refused(severity="warning"),
    "problem_of_another_shape": refused(html="<b>"),
    "problem_is_text": {"t": "refused", "problems": ["x"]},
    "problem_with_bool_for_int": refused(line=True),
    "problem_nowhere": refused(line=10**9),
    "problem_before_the_text": refused(column=-1),
    "problem_of_unknown_weight": refused(severity="fatal"),
    "problem_that_would_be_tried_again": refused(code="LOST"),
    "problem_of_the_parents": refused(code="SANDBOX_UNAVAILABLE"),
    "unknown_end": OK | {"end": "approved"},
    "answer_to_another_question": {"t": "checked", "problems": [], "manifest": {}},
    "array": [1, 2],
    "text": "x",
    "nan": b'{"t":"log","line":1,"text":NaN}',
    "infinity": b'{"t":"act","action":"set_field","params":{"field":"f","value":-Infinity},"line":1}',
    "overflowing_float": b'{"t":"act","action":"set_field","params":{"field":"f","value":1e999},"line":1}',
    "duplicate_key": b'{"t":"log","line":1,"line":2,"text":"x"}',
    "not_utf8": b'{"t":"log","line":1,"text":"\xff"}',
    "not_json": b"\x80\x04K\x01.",
    "empty": b"",
    "trailing": json.dumps(OK).encode() + b"{}",
    "deep": b'{"t":"act","action":"set_field","line":1,"params":{"field":"f","value":' + b"[" * 50 + b"]" * 50 + b"}}",
    "very_deep": b"[" * 200_000,
    "long_number": b'{"t":"log","line":' + b"9" * 100_000 + b',"text":"x"}',
    "many_values": {"t": "act", "action": "set_field", "params": {"field": "f", "value": [0] * 21_000}, "line": 1},
    "early_out_of_time": {"t": "at", "line": 1},
}


@pytest.mark.alike
@pytest.mark.parametrize("name", FORGED)
def test_a_forged_frame_ends_the_run_with_nothing_done(name: str) -> None:
    body = FORGED[name]
    gateway = TableGateway()

    def play(sock: socket.socket) -> None:
        says(ACT, frame(body) if isinstance(body, bytes) else body)(sock)
        if isinstance(body, dict) and body["t" if "t" in body else "line"] == "call":
            sock.settimeout(0.1)  # an answer to a forged call would come now
            with contextlib.suppress(TimeoutError):
                sock.recv(1000)
        # After what claims to be the last frame a result would be a violation of its own and hide that the claim stood.
        if not isinstance(body, dict) or body.get("t") not in ("result", "error", "refused", "checked"):
            sock.sendall(frame(OK))

    outcome = talk(play, gateway)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("violation", "PROTOCOL")
    assert outcome.actions == ()
    assert gateway.calls == []


def test_an_honest_refusal_is_believed() -> None:
    outcome = talk(says(refused(message="Nothing is called 'x' here")))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.error.line) == ("refused", "NAME", 1)


def test_a_refusal_does_not_excuse_a_violation() -> None:
    outcome = talk(says(ACT, refused()), dies=signal.SIGSYS)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("violation", "SANDBOX_VIOLATION")
    assert outcome.actions == ()


def test_a_forged_length_is_refused_before_its_bytes_are_kept() -> None:
    started = time.monotonic()
    outcome = talk(says(struct.pack(">I", 0xFFFFFFFF) + b"x" * 100_000))
    assert outcome.error is not None
    assert outcome.error.message == "A frame announces 4294967295 bytes; 262144 are allowed"
    assert time.monotonic() - started < PATIENT.wall_s / 2  # and it was not waited for


def test_a_second_result_undoes_the_first() -> None:
    outcome = talk(says(ACT, OK, OK))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) == ("PROTOCOL", ())


def test_an_action_after_the_result_undoes_it() -> None:
    outcome = talk(says(ACT, frame(OK) + frame(ACT)))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) == ("PROTOCOL", ())


def test_an_id_used_twice_is_refused_and_not_called_again() -> None:
    gateway = TableGateway()

    def play(sock: socket.socket) -> None:
        sock.sendall(frame(CALL))
        sock.recv(1000)
        sock.sendall(frame(CALL))

    outcome = talk(play, gateway)
    assert outcome.error is not None
    assert (outcome.error.code, len(gateway.calls)) == ("PROTOCOL", 1)


def test_calls_in_advance_are_refused_before_the_first_is_made() -> None:
    gateway = TableGateway()
    outcome = talk(says(frame(CALL) + frame(CALL | {"id": 2})), gateway)
    assert outcome.error is not None
    assert (outcome.error.code, gateway.calls) == ("PROTOCOL", [])


def test_a_child_that_never_reads_its_answers_meets_the_deadline() -> None:
    """The answer fills the socket's buffer; a broker that blocks on it would wait for ever."""
    gateway = TableGateway({"crm.find_customer": {"text": "x" * 250_000}})

    # On a busy machine the shortest run may be over before its call is read: then a longer one.
    for wall_s in (0.3, 4, 32):
        started = time.monotonic()
        outcome = talk(says(CALL), gateway, Limits(wall_s=wall_s), silent=True)
        assert outcome.error is not None
        assert outcome.error.code == "TIMEOUT_WALL"
        assert time.monotonic() - started < wall_s + 30
        if outcome.usage.calls:
            break
    assert outcome.usage.calls == 1


def test_half_a_frame_and_silence_meets_the_deadline() -> None:
    outcome = talk(says(frame(OK)[:-3]), limits=Limits(wall_s=0.4), silent=True)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.status) == ("TIMEOUT_WALL", "limit")


def test_a_frame_in_single_bytes_is_one_frame() -> None:
    def play(sock: socket.socket) -> None:
        for byte in frame(OK):
            sock.sendall(bytes([byte]))

    assert talk(play).status == "finished"


def test_silence_meets_the_deadline() -> None:
    outcome = talk(says(), limits=Limits(wall_s=0.3), silent=True)
    assert outcome.error is not None
    assert outcome.error.code == "TIMEOUT_WALL"


def test_a_flood_of_log_lines_ends_the_run() -> None:
    outcome = talk(says(*[frame(LOG) * 1200]))
    assert outcome.error is not None
    assert (outcome.error.code, len(outcome.log)) == ("OUTPUT_LIMIT", 1000)


def test_a_flood_of_actions_ends_the_run() -> None:
    outcome = talk(says(frame(ACT) * 101, OK))
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) == ("OUTPUT_LIMIT", ())


def test_a_child_that_ends_without_a_word_has_no_outcome_of_its_own() -> None:
    def play(sock: socket.socket) -> None:
        sock.sendall(frame(ACT))
        sock.shutdown(socket.SHUT_WR)

    outcome = talk(play)
    assert outcome.error is not None
    assert outcome.error.code in ("CRASH", "LOST")
    assert outcome.actions == ()


@pytest.mark.slow
def test_a_child_that_lives_on_after_its_result_is_killed_and_its_result_stands() -> None:
    ends: list[int] = []
    outcome = talk(says(frame(ACT) + frame(OK)), ends=ends, silent=True)
    assert (outcome.status, len(outcome.actions)) == ("finished", 1)
    assert ends == [-signal.SIGKILL]


@pytest.mark.parametrize(
    ("code", "claim"), [("CONNECTOR", "unavailable"), ("DENIED", "denied"), ("TOO_MANY_CALLS", "x")]
)
def test_a_claim_without_a_failed_call_is_not_believed(code: str, claim: str) -> None:
    outcome = talk(says({"t": "error", "code": code, "message": claim, "line": 1, "column": 0, "hint": ""}))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failed", "RUNTIME")


def test_texts_from_the_child_are_cleaned_and_cut() -> None:
    outcome = talk(
        says(
            LOG | {"text": "a\x1b[31mred\r\n\u202eb\x07" + "<b>"},
            {
                "t": "error",
                "code": "RUNTIME",
                "message": "m\x1b" * 2000,
                "line": None,
                "column": None,
                "hint": "h\x00"[:1],
            },
        )
    )
    assert outcome.log[0].text == "a[31mred bb"[:8] + " b<b>"
    assert outcome.error is not None
    assert len(outcome.error.message) <= 1000
    assert "\x1b" not in outcome.error.message


@pytest.mark.parametrize(
    "data", [float("nan"), float("inf"), {1: 2}, {"a": object()}, "\ud800", "a\x00", b"x", {"a"}, 2**70]
)
def test_an_answer_that_is_not_json_never_reaches_the_child(data: Any) -> None:
    class Odd(TableGateway):
        def call(self, *_: Any, **__: Any) -> Answer:
            return Answer(data)

    got: list[bytes] = []

    def play(sock: socket.socket) -> None:
        sock.sendall(frame(CALL))
        got.append(sock.recv(65536))
        sock.sendall(frame(OK))

    outcome = talk(play, Odd())
    assert outcome.calls[0].status == "bad_request"
    assert json.loads(got[0][4:])["err"]["code"] == "bad_request"


@pytest.mark.parametrize(
    ("dies", "status", "code"),
    [
        (signal.SIGSYS, "violation", "SANDBOX_VIOLATION"),
        (signal.SIGSEGV, "violation", "CRASH"),
        (signal.SIGABRT, "violation", "CRASH"),
        (signal.SIGXCPU, "limit", "TIMEOUT_CPU"),
        (signal.SIGKILL, "lost", "LOST"),
    ],
)
def test_how_a_child_died_is_the_kernels_word(dies: int, status: str, code: str) -> None:
    outcome = talk(says(ACT), dies=dies)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == (status, code, ())


@pytest.mark.parametrize(
    ("exits", "status", "code"), [(EXIT_NO_JAIL, "unavailable", "SANDBOX_UNAVAILABLE"), (1, "violation", "CRASH")]
)
def test_a_child_that_could_not_finish_its_jail_is_no_fault_of_the_script(exits: int, status: str, code: str) -> None:
    outcome = talk(lambda sock: sock.shutdown(socket.SHUT_WR), exits=exits)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == (status, code, ())
    assert ("it did not run" in outcome.error.message) is (exits == EXIT_NO_JAIL)


@pytest.mark.parametrize(("dies", "code"), [(signal.SIGSYS, "SANDBOX_VIOLATION"), (signal.SIGSEGV, "CRASH")])
def test_a_result_does_not_excuse_a_violation(dies: int, code: str) -> None:
    outcome = talk(says(ACT, OK), dies=dies)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.actions) == (code, ())


@pytest.mark.parametrize("exits", [EXIT_NO_JAIL, 1])
def test_a_result_does_not_excuse_an_end_that_no_child_of_ours_has(exits: int) -> None:
    """Behind a result there is nothing but a clean exit; before its last wall a child has no script to have one of."""
    outcome = talk(says(ACT, OK), exits=exits)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == ("violation", "CRASH", ())


def test_a_result_is_not_believed_while_nobody_says_how_its_child_ended() -> None:
    """Whoever tells it died in between, so what the child did after its result is not known."""
    outcome = talk(says(ACT, OK), untold=True)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.actions) == ("lost", "LOST", ())
