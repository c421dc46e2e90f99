"""The trusted end of a run: talks with the child, asks the gateway for it, decides from its own evidence how it ended.

Lives in the caller's process, which alone holds credentials. It never blocks on the child: every wait ends with the
run's deadline. What the child says about itself is a claim; sizes, ids, types, names and grants are judged here again.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox import claims, wire
from sandbox.asking import Question
from sandbox.contract import (
    ActionCall,
    Answer,
    CallFailed,
    CallRecord,
    Checked,
    Gateway,
    LogLine,
    Manifest,
    Method,
    Outcome,
    Problem,
    RunRequest,
    ScriptApi,
    ScriptError,
    Status,
    Usage,
    type_problem,
)
from sandbox.ending import ENDED, EXIT_NO_JAIL
from sandbox.errors import Code, ProtocolError
from sandbox.limits import Limits
from sandbox.source import safe_text
from sandbox.stamp import STAMP

#: How long a child may take from its result to its end, and from our SIGKILL to the news of it.
_GRACE_S = 2.0
#: What an answer takes that is kept: so long nothing else is waited for, at half the price.
_SOON_S = 0.002
#: How often `cancelled` is asked.
_TICK_S = 0.2
_READ_BYTES = 65_536

_LIMIT_CODES = frozenset({Code.TIMEOUT_CPU, Code.TIMEOUT_WALL, Code.MEMORY, Code.TOO_MANY_CALLS, Code.OUTPUT_LIMIT})
_VIOLATION_CODES = frozenset({Code.SANDBOX_VIOLATION, Code.PROTOCOL, Code.CRASH})
#: What a child's claim needs on our side to be believed: a call that ended so.
_EVIDENCE = {
    Code.CONNECTOR: "unavailable",
    Code.AMBIGUOUS: "ambiguous",
    Code.DENIED: "denied",
    Code.TOO_MANY_CALLS: "too_many",
}
#: Answers to other questions than "run".
_NOT_OF_A_RUN = frozenset({"checked", "compiled"})


@dataclass(slots=True)
class Lease:
    """One ready child, ours until `close`: its socket, the pipe that tells its end, and a handle to kill it."""

    talk: socket.socket
    ended_fd: int
    pidfd: int
    service: socket.socket

    def kill(self) -> None:
        """SIGKILL to exactly this child; harmless when it is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Let go. The service kills whatever still lives when its end of the connection closes."""
        self.talk.close()
        os.close(self.ended_fd)
        os.close(self.pidfd)
        self.service.close()


@dataclass(frozen=True, slots=True)
class _End:
    """How the kernel says the child ended; None for what nobody could tell."""

    status: int | None
    cpu_us: int = 0
    memory_kb: int = 0

    @property
    def signal(self) -> int | None:
        return os.WTERMSIG(self.status) if self.status is not None and os.WIFSIGNALED(self.status) else None

    @property
    def exit_code(self) -> int | None:
        return os.WEXITSTATUS(self.status) if self.status is not None and os.WIFEXITED(self.status) else None


class _Over(Exception):
    """The conversation ends here, by our decision."""

    def __init__(self, code: Code, message: str, hint: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.error = ScriptError(code, message, line, None, hint)


class _Gone(Exception):
    """The child hung up in the middle of a question. What the kernel says of its end is the verdict."""


@dataclass(slots=True)
class Broker:
    """One conversation with one child. Used once."""

    lease: Lease
    limits: Limits
    api: ScriptApi
    grants: frozenset[str]
    actions: frozenset[str]
    gateway: Gateway | None
    cancelled: Callable[[], bool] | None = None
    _started: float = field(default_factory=time.monotonic)
    _actions: list[ActionCall] = field(default_factory=list)
    _log: list[LogLine] = field(default_factory=list)
    _log_chars: int = 0
    _calls: list[CallRecord] = field(default_factory=list)
    _last_id: int = 0
    _asked: int = 0
    _staged: int = 0
    _line: int | None = None
    _out_bytes: int = 0
    _ended: bool = False
    _reader: wire.Reader = field(init=False)
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self._reader = wire.Reader(self.limits.message_kb * 1024)
        self.lease.talk.setblocking(False)
        self._poll.register(self.lease.talk, select.POLLIN)

    def run(self, start: bytes) -> Outcome:
        """Send `start`, serve the child to its end, say how it ended. The child is dead when this returns or raises."""
        frame, over, end = self._converse(start)
        if over is None and frame is not None and frame["t"] in _NOT_OF_A_RUN:
            over = _Over(Code.PROTOCOL, "The child answered a question that was not asked")
        error = self._judge(frame, over, end)
        usage = Usage(int((time.monotonic() - self._started) * 1000), end.cpu_us // 1000, end.memory_kb, self._asked)
        if error is not None:
            status = _status_of(error.code, refused=frame is not None and frame["t"] == "refused" and over is None)
            return Outcome(status, error, (), tuple(self._log), tuple(self._calls), usage)
        assert frame is not None
        stopped = frame["end"] == "stopped"
        return Outcome(
            "stopped" if stopped else "finished",
            None,
            tuple(self._actions),
            tuple(self._log),
            tuple(self._calls),
            usage,
            safe_text(frame["reason"], self.limits.error_chars) if stopped else "",
        )

    def check(self, start: bytes) -> Checked:
        """Send `start` and return what the child found. Anything else than an answer is itself a problem."""
        frame, over, end = self._converse(start)
        if over is None and frame is not None and frame["t"] == "checked":
            error = self._judge(frame, over, end)
            if error is None:
                return Checked(claims.problems(frame["problems"], self.limits), claims.manifest(frame["manifest"]))
        else:
            error = self._judge(None, over, end)
        assert error is not None
        problem = Problem(error.line or 1, 0, error.line or 1, 1, error.code, "error", error.message, error.hint)
        return Checked((problem,), Manifest())

    def compiled(self, start: bytes) -> bytes | None:
        """Send `start` and return the code the child made of it, None for a script with problems or a broken child."""
        frame, over, end = self._converse(start)
        if over is not None or frame is None or frame["t"] != "compiled" or self._judge(frame, over, end) is not None:
            return None
        try:
            return base64.b64decode(frame["code"], validate=True) or None
        except ValueError:
            return None

    # The conversation

    def _converse(self, start: bytes) -> tuple[wire.Frame | None, _Over | None, _End]:
        frame: wire.Frame | None = None
        over: _Over | None = None
        try:
            self._send(start)
            frame = self._serve()
        except _Over as ours:
            over = ours
        except _Gone:
            pass
        except ProtocolError as broken:
            over = _Over(Code.PROTOCOL, str(broken))
        finally:
            # Also when the gateway or `cancelled` raised: nobody is left running behind an exception.
            if frame is None:
                self.lease.kill()
        end = self._await_end()
        if over is None and frame is not None and self._more_came():
            over = _Over(Code.PROTOCOL, "The child went on talking after its result")
        return frame, over, end

    def _serve(self) -> wire.Frame | None:
        """Answer the child until its last frame, which is returned; None when it hangs up without one."""
        while True:
            frame = self._reader.next()
            if frame is None:
                if not self._wait(select.POLLIN):
                    return None
                data = self._read()
                if not data:
                    return None
                self._out_bytes += len(data)
                if self._out_bytes > self.limits.out_kb * 1024:
                    raise _Over(
                        Code.OUTPUT_LIMIT, f"The script said more than {self.limits.out_kb} kB", line=self._line
                    )
                self._reader.feed(data)
                continue
            claims.judge(frame, self._reader.body, self.limits)
            self._line = frame.get("line") or self._line
            match frame["t"]:
                case "log":
                    self._on_log(frame)
                case "act":
                    self._on_action(frame)
                case "call":
                    self._on_call(frame)
                case "at":
                    raise _Over(Code.TIMEOUT_CPU, self._cpu_sentence(), _CPU_HINT, frame["line"])
                case _:
                    return frame

    def _on_log(self, frame: wire.Frame) -> None:
        text = safe_text(frame["text"], self.limits.log_kb * 1024).replace("\n", " ")
        self._log_chars += len(text)
        # The child cuts its output at the limit and says so in one line more.
        if len(self._log) >= self.limits.log_lines or self._log_chars > self.limits.log_kb * 1024 + 100:
            raise _Over(Code.OUTPUT_LIMIT, "The script printed more than its log holds", line=self._line)
        self._log.append(LogLine(int((time.monotonic() - self._started) * 1000), frame["line"], text))

    def _on_action(self, frame: wire.Frame) -> None:
        method = self.api.actions.get(frame["action"])
        if method is None:
            raise ProtocolError("The child asked for an action that was not offered")
        self._check_arguments(method, frame["params"])
        if frame["action"] not in self.actions:
            # Not answered and not catchable: a run that reaches for what nobody agreed to ends with nothing applied.
            raise _Over(Code.DENIED, f"This script may not do {frame['action']}", _DENIED_HINT, frame["line"])
        self._collect(frame["action"], frame["params"], frame["line"])

    def _collect(self, action: str, params: Mapping[str, Any], line: int) -> None:
        if len(self._actions) >= self.limits.actions:
            raise _Over(
                Code.OUTPUT_LIMIT, f"The script asked for more than {self.limits.actions} actions", line=self._line
            )
        self._actions.append(ActionCall(action, params, line))

    def _on_call(self, frame: wire.Frame) -> None:
        if frame["id"] != self._last_id + 1:
            raise ProtocolError("The child counted its calls wrongly")
        self._last_id = frame["id"]
        if self._reader.pending:
            raise ProtocolError("The child went on talking while it waited for an answer")
        method = self.api.connections.get(frame["c"], {}).get(frame["o"])
        if method is None or self.gateway is None:
            raise ProtocolError("The child called something that was not offered")
        self._check_arguments(method, frame["a"])
        what = f"{frame['c']}.{frame['o']}"
        if method.writes:
            self._on_change(frame, what)
            return
        began = time.monotonic()
        asked = self._last_id - self._staged
        try:
            if asked > self.limits.calls + self.limits.calls_over:
                raise _Over(Code.TOO_MANY_CALLS, self._calls_sentence(), _CALLS_HINT, self._line)
            if asked > self.limits.calls:
                self._note(frame, "too_many", self._calls_sentence(), began, None)
                self._refuse(frame, "too_many", self._calls_sentence())
                return
            if what not in self.grants:
                raise CallFailed("denied", f"This script may not call {what}")
            self._asked += 1
            data, reply = self._reply(frame, self._ask(frame, self.gateway))
        except CallFailed as failed:
            message = safe_text(failed.message, self.limits.error_chars)
            candidates = wire.exact(failed.candidates[:100])
            self._note(frame, failed.code, message, began, None)
            self._refuse(frame, failed.code, message, candidates)
        else:
            self._note(frame, "none" if data is None else "ok", "", began, data)
            self._send(reply)

    def _on_change(self, frame: wire.Frame, what: str) -> None:
        """Collect a change in a connected system like an action, and answer with a receipt: no run sends one.

        What was not agreed to ends the run, and is not catchable: nothing of it may be applied."""
        if what not in self.grants:
            raise _Over(Code.DENIED, f"This script may not change {what}", _DENIED_HINT, frame["line"])
        self._collect(what, frame["a"], frame["line"])
        self._staged += 1
        receipt = {"pending": True, "change": what, "number": self._staged}
        self._send(wire.encode({"id": frame["id"], "ok": receipt}, self.limits.message_kb * 1024))

    def _ask(self, frame: wire.Frame, gateway: Gateway) -> Answer:
        """The gateway's answer. Raises `CallFailed`; and `_Over`, `_Gone` or `ProtocolError` when time is up, the child
        gone or talking on before it comes: no run waits for a gateway that does not keep its deadline."""
        began = time.monotonic()
        with Question(gateway, frame["c"], frame["o"], frame["a"], max(0.0, self._left_s())) as question:
            try:
                self._await_answer(question)
            except (_Over, _Gone, ProtocolError):
                self._note(frame, "unavailable", "The run ended before the answer came", began, None)
                raise
            return question.answer()

    def _reply(self, frame: wire.Frame, answer: Answer) -> tuple[Any, bytes]:
        try:
            data = wire.exact(answer.data)
        except TypeError as error:
            raise CallFailed(
                "bad_request", f"{frame['c']} answered with something that is not JSON: {error}"
            ) from error
        trouble = wire.problem(data, "the answer", depth=self.limits.depth, values=self.limits.values)
        if trouble is not None:
            raise CallFailed("bad_request", f"{frame['c']} gave an answer that cannot be used: {trouble}")
        try:
            return data, wire.encode({"id": frame["id"], "ok": data}, self.limits.message_kb * 1024)
        except ProtocolError as error:
            message = f"The answer of {frame['c']} is larger than {self.limits.message_kb} kB; ask for less"
            raise CallFailed("bad_request", message) from error

    def _refuse(self, frame: wire.Frame, code: str, message: str, candidates: Any = ()) -> None:
        error: dict[str, Any] = {"code": code, "message": message, "candidates": list(candidates)}
        try:
            reply = wire.encode({"id": frame["id"], "err": error}, self.limits.message_kb * 1024)
        except ProtocolError:
            reply = wire.encode({"id": frame["id"], "err": error | {"candidates": []}}, self.limits.message_kb * 1024)
        self._send(reply)

    def _note(self, frame: wire.Frame, status: str, message: str, began: float, answer: Any) -> None:
        ms = int((time.monotonic() - began) * 1000)
        self._calls.append(CallRecord(frame["c"], frame["o"], frame["a"], status, message, ms, frame["line"], answer))

    def _check_arguments(self, method: Method, given: Mapping[str, Any]) -> None:
        """The child checks the same to help the author; whatever still fails here was not sent by our child."""
        most_bytes = self.limits.value_kb * 1024
        # Our text of a value is longer than the child's at most six times: an escape for a byte, zeros for an exponent.
        all_small = 6 * len(self._reader.body) < most_bytes
        for name, value in given.items():
            param = method.param(name)
            trouble = "unknown argument" if param is None else type_problem(param, value)
            if trouble is None and not all_small and len(wire.encode({"": value}, 1 << 30)) > most_bytes:
                trouble = "too large"
            if trouble is not None:
                raise ProtocolError(f"The child sent arguments that {method.name} does not take: {trouble}")
        if any(param.required and param.name not in given for param in method.params):
            raise ProtocolError(f"The child left out an argument of {method.name}")

    # Waiting, always bounded

    def _left_s(self) -> float:
        return self._started + self.limits.wall_s - time.monotonic()

    def _wait(self, event: int) -> bool:
        """Until the socket is ready. False when the child hung up. Raises `_Over` on deadline and cancellation."""
        self._poll.modify(self.lease.talk, event)
        while True:
            ready = self._poll.poll(self._most_ms())
            if ready:
                return bool(ready[0][1] & event) or not ready[0][1] & (
                    select.POLLERR | select.POLLHUP | select.POLLNVAL
                )

    def _await_answer(self, question: Question) -> None:
        """Until it is answered. Raises `_Over`, `_Gone` and `ProtocolError`."""
        if question.soon(min(_SOON_S, self._most_ms() / 1000)):
            return
        bell = question.bell()
        poll = select.poll()
        poll.register(bell, select.POLLIN)
        poll.register(self.lease.talk, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll(self._most_ms())}
            if bell in ready:
                return
            if ready:
                try:
                    more = self.lease.talk.recv(1, socket.MSG_PEEK)
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    more = b""
                if not more:
                    raise _Gone
                raise ProtocolError("The child went on talking while it waited for an answer")

    def _most_ms(self) -> int:
        """How long to wait now. Raises `_Over` when there is nothing left to wait for."""
        if self.cancelled is not None and self.cancelled():
            raise _Over(Code.CANCELLED, "The run was cancelled; nothing was applied", line=self._line)
        left_s = self._left_s()
        if left_s <= 0:
            # One long step of Python's own, on a busy machine, ends here before its limit of computing.
            hint = "Ask for less, or in fewer calls." if self._calls or self._asked else _CPU_HINT
            raise _Over(Code.TIMEOUT_WALL, self._wall_sentence(), hint, self._line)
        return 1 + int(1000 * (min(left_s, _TICK_S) if self.cancelled is not None else left_s))

    def _read(self) -> bytes:
        try:
            return self.lease.talk.recv(_READ_BYTES)
        except BlockingIOError:
            self._wait(select.POLLIN)
            return self.lease.talk.recv(_READ_BYTES)
        except ConnectionResetError:
            return b""

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.lease.talk.send(view, socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                if not self._wait(select.POLLOUT):
                    return
            except (BrokenPipeError, ConnectionResetError):
                return  # it is dead; the reading side finds out and the end is judged from the kernel's word

    def _more_came(self) -> bool:
        if self._reader.pending:
            return True
        try:
            return bool(self.lease.talk.recv(1))
        except (BlockingIOError, ConnectionResetError):
            return False

    def _await_end(self) -> _End:
        """The child's end, waited for at most twice the grace. Kills what does not end by itself."""
        for _ in range(2):
            poll = select.poll()
            poll.register(self.lease.ended_fd, select.POLLIN)
            if poll.poll(int(_GRACE_S * 1000)):
                data = os.read(self.lease.ended_fd, ENDED.size)
                return _End(*ENDED.unpack(data)) if len(data) == ENDED.size else _End(None)
            self.lease.kill()
        return _End(None)

    # The verdict

    def _judge(self, frame: wire.Frame | None, over: _Over | None, end: _End) -> ScriptError | None:
        """Why the run did not end well, or None. The kernel's word first, then ours, then the child's."""
        line = self._line
        # Half of the limit is evidence enough: the kernel enforces it in clock ticks, which under load run ahead of the
        # precise time it reports afterwards.
        cpu_used = end.cpu_us >= self.limits.cpu_s * 500_000
        if end.signal == signal.SIGSYS:
            return ScriptError(Code.SANDBOX_VIOLATION, "The script tried to leave its jail and was killed", line)
        if over is not None:
            if over.error.code == Code.TIMEOUT_CPU and not cpu_used:
                return ScriptError(Code.PROTOCOL, "The child claimed to be out of time before it was", line)
            return over.error
        if end.signal == signal.SIGXCPU or (frame is None and end.signal == signal.SIGKILL and cpu_used):
            return ScriptError(Code.TIMEOUT_CPU, self._cpu_sentence(), line, None, _CPU_HINT)
        if frame is None:
            return self._ended_without_word(end, line)
        if end.status is None:
            return ScriptError(Code.LOST, _LOST, line)
        if end.signal is not None and end.signal != signal.SIGKILL:
            return _crash(end.signal, line)
        if end.exit_code:
            return ScriptError(Code.CRASH, f"The script's process crashed (exit {end.exit_code})", line)
        match frame["t"]:
            case "refused":
                return claims.first_problem(frame["problems"], self.limits)
            case "error":
                return self._believed(frame)
            case _:
                return None

    def _ended_without_word(self, end: _End, line: int | None) -> ScriptError:
        if end.exit_code == EXIT_NO_JAIL:
            return ScriptError(
                Code.SANDBOX_UNAVAILABLE, "The jail could not be closed around the script; it did not run"
            )
        if end.signal is not None and end.signal != signal.SIGKILL:
            return _crash(end.signal, line)
        if end.exit_code is not None:
            return ScriptError(Code.CRASH, "The script's process ended without a result", line)
        return ScriptError(Code.LOST, _LOST, line)

    def _believed(self, frame: wire.Frame) -> ScriptError:
        code = Code(frame["code"])
        wanted = _EVIDENCE.get(code)
        unfounded = wanted is not None and not any(call.status == wanted for call in self._calls)
        if code is Code.OUTPUT_LIMIT and len(self._actions) < self.limits.actions:
            unfounded = True
        return ScriptError(
            Code.RUNTIME if unfounded else code,
            safe_text(frame["message"], self.limits.error_chars),
            frame["line"],
            frame["column"],
            safe_text(frame["hint"], 400),
        )

    def _cpu_sentence(self) -> str:
        return f"The script computed for more than {self.limits.cpu_s} s"

    def _wall_sentence(self) -> str:
        return f"The script took longer than {self.limits.wall_s:g} s"

    def _calls_sentence(self) -> str:
        return f"The script called connections more than {self.limits.calls} times"


_LOST = "The script's process was ended from outside; nothing was applied"
_USUAL = {name: getattr(Limits(), name) for name in Limits.__dataclass_fields__}
_DENIED_HINT = "It was published without it; publish it again so that somebody agrees."
_CPU_HINT = "Look for a loop that does not end."
_CALLS_HINT = "Ask for many records with one call, or remember answers in a dict."


def _status_of(code: str, *, refused: bool) -> Status:
    if code == Code.LOST:
        return "lost"
    if code == Code.CANCELLED:
        return "cancelled"
    if code == Code.SANDBOX_UNAVAILABLE:
        return "unavailable"
    if code in _LIMIT_CODES:
        return "limit"
    if code in _VIOLATION_CODES:
        return "violation"  # also when it claimed to have refused the script
    return "refused" if refused else "failed"


def _crash(number: int, line: int | None) -> ScriptError:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    return ScriptError(Code.CRASH, f"The script's process crashed ({name})", line)


def start_frame(kind: str, request: RunRequest, limits: Limits) -> bytes:
    """The first frame of a conversation, and behind it the code as it is, in as many bytes as the frame says.

    Raises `ProtocolError` when all of it is larger than `start_kb`."""
    facts: dict[str, Any] = {
        "ticket": wire.exact(request.ticket),
        "customer": wire.exact(request.customer),
        "event": wire.exact(request.event),
        "history": wire.exact(request.history),
        "params": wire.exact(request.params),
    }
    for name, value in facts.items():
        trouble = wire.problem(value, name, depth=limits.depth, values=limits.values * 4)
        if trouble is not None:
            raise ProtocolError(f"The facts of this run cannot be sent: {trouble}")
    words = {
        "t": kind,
        "source": request.source,
        "api": request.api.to_json(),
        # Those that are not as usual: what a child is not told, it has since before its fork.
        "limits": {name: value for name in _USUAL if (value := getattr(limits, name)) != _USUAL[name]},
        "now": request.now,
        "seed": request.seed,
        "code": len(request.code),
        "stamp": STAMP if request.code else "",
        **facts,
    }
    try:
        frame = wire.encode(words, max(0, limits.start_kb * 1024 - len(request.code)))
    except ProtocolError as error:
        raise ProtocolError(f"Source and facts are larger than {limits.start_kb} kB together") from error
    return frame + request.code
