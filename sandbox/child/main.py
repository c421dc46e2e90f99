"""The child: reads one script from its socket, checks or runs it, says one result, ends.

All walls stand before `serve` is called. Actions are only collected and sent; the parent decides what becomes of them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` looks every answer up in an enum, at a child's cost
import _socket
import base64
import datetime
import functools
import gc
import json
import marshal
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, NoReturn, TypeAlias

from sandbox import packing, wire
from sandbox.child import facades, guards, values
from sandbox.child.explain import call_error, explained, place_of
from sandbox.contract import Problem, ScriptApi, value_problem
from sandbox.errors import Code
from sandbox.hints import did_you_mean, signature, too_many_arguments
from sandbox.limits import Limits
from sandbox.policy import SCRIPT, compile_script
from sandbox.source import safe_text
from sandbox.stamp import STAMP

#: Given back when memory is gone, so that there is some to say so. Taken before the first fork and never touched: it
#: costs a child nothing but address space. Private: what Python maps by default, all children would share and could
#: write to, a letter box between runs.
_RESERVE = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
_START_CAP_BYTES = 64 << 20
#: Actions are said together, in pieces of this size.
_UNSAID_BYTES = 16_384
_LIMITS = Limits()
#: By these names, because a module that is looked into is a page more that the child copies.
_parsed = json.JSONDecoder().raw_decode
_os_read, _os_write, _exit, _loads = os.read, os.write, os._exit, marshal.loads
_moment = datetime.datetime.fromisoformat
_head, _encode, _trouble = wire.HEAD.unpack, wire.encode, wire.problem
_readable, _plain, _script_line = values.readable, values.plain, values.script_line
_signal_of, _OUT_OF_CPU = _signal.signal, _signal.SIGXCPU
_shown, _SCALARS = values.shown, (int, float, bool, type(None))
_begin, _Log, _facts_of_ticket = facades.begin, facades.Log, values.facts_of_ticket
_Ticket, _Connection = guards.Ticket, guards.Connection


def preload() -> None:
    """Import and touch what scripts use, so that every fork finds it in place; late imports fail in the jail."""
    import _strptime  # type: ignore[import-not-found]  # noqa: F401
    import encodings.ascii
    import encodings.cp1252
    import encodings.latin_1
    import encodings.utf_8_sig
    import encodings.utf_16  # noqa: F401
    import unicodedata  # noqa: F401  the parser wants it for names beyond ASCII

    marshal.loads(marshal.dumps(compile("x = 1", SCRIPT, "exec")))
    made = facades.FACADES
    made["re"].members["sub"](r"(\w+)\Z", r"\1", "warm")
    made["datetime"].members["datetime"].strptime("2000", "%Y").strftime("%d")
    did_you_mean("lenn", ["len"])
    # The interpreter specialises a function while it runs. What was run before the fork is fast in every child, and
    # its pages stay shared.
    rehearse()
    rehearse(packing.gather)
    for _ in range(_REHEARSALS):
        rehearse()
    facades.begin(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), 0)
    gc.collect()
    packing.fill_holes()  # what a run makes lies on pages of its own, in the last rehearsal like in a child
    rehearse(lambda act: _written.extend(packing.written_by(act)), _USUAL)


#: An object on each page that a run writes to. A child looks at them while it waits for its script, so that it has its
#: own copies by then.
_written: list[object] = []


class _Methods(dict[str, Any]):
    """What can be called, by name; each is made when it is first asked for, out of its short form."""

    __slots__ = ("make",)

    make: Callable[[str, _Params], Callable[..., Any]]

    def __getitem__(self, name: str) -> Any:
        found = _get(self, name)
        if type(found) is list:
            found = self[name] = self.make(name, found[1:])
        return found


#: Parameters in their short form: name, type, whether it must be given.
_Params: TypeAlias = Sequence[tuple[str, str, bool]]
_get = dict.__getitem__


def _import(module: str, name: str | None = None, *_: Any) -> Any:
    """`import` for scripts: sugar for the facades that are there anyway. Raises `ImportError`."""
    if module not in facades.FACADES:
        raise ImportError("Scripts cannot import")
    if name is None:
        return facades.FACADES[module]
    members = facades.FACADES[module].members
    if type(name) is not str or name not in members:
        raise ImportError(f"{module} has no {str(name)[:60]!r}. {did_you_mean(str(name), members)}")
    return members[name]


def _no_print(*_: Any) -> None:
    """Stands where the run's own `print` goes."""


#: The names of every script that are the same in every run. A child puts the others in it: there is one script, and a
#: copy would touch everything in it.
_SCOPE: dict[str, Any] = {
    **guards.machinery(),
    **facades.FACADES,
    "__builtins__": guards.builtins(_no_print, _import),
    "_import_": _import,
    "now": values.called("now", lambda: facades.Moment.now(datetime.UTC)),
    "Unavailable": values.Unavailable,
    "Ambiguous": values.Ambiguous,
}


_RARE = """
class A:
    pass
x = 1
x += 1
for a, b in [(1, 2)]:
    f'{x:>3}'
é = '\\N{EN DASH}'
def named(given):
    return sum([one * 2 for one in given if one])
if named([1]) != 2:
    stop()
"""
#: What nearly every script does.
_USUAL = """
found = crm.find(email=customer.email)
if found is not None and ticket.fields["x"] is None:
    ticket.set_context("crm", {"name": found.name, "rows": [1, None]}, title="x")
    ticket.add_tags([ticket.subject, *ticket.tags])
    ticket.add_note(found["name"])
    print("found", found.name, now())
"""
#: As often as the interpreter wants to see a function before it specialises it.
_REHEARSALS = 20


def serve(fd: int) -> NoReturn:
    """One child's life, between its jail and its exit."""
    _written.copy()
    Child(fd).live()


class Child:
    """One run. Holds the socket, the limits and what was said so far."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._limits = _LIMITS
        self._next_id = 1
        self._actions = 0
        self._log_chars = 0
        self._log_lines = 0
        self._cut = False
        self._partial = ""
        self._unsaid = b""
        self._writing = False
        self._stopped: str | None = None
        self._broken: Code | None = None
        self._broken_by = ""
        self._scope = _SCOPE

    def __repr__(self) -> str:
        return "<run>"  # what `print` and `stop` are bound to

    def live(self) -> NoReturn:
        """From the first frame to the end of the process."""
        _signal_of(_OUT_OF_CPU, self._out_of_cpu)
        self._answer_one()
        # Now, while the scope still lives: dropping it would run what suspended generators have in `finally`, and a
        # word after the result is a protocol error.
        _exit(0)

    def _answer_one(self) -> None:
        start = self._receive(_START_CAP_BYTES)
        code = self._read(start["code"])
        if start["limits"]:
            self._limits = Limits(**start["limits"])
        cached = _unpacked(start, code)
        if cached is not None:
            self._scope = self._names(start)
            self._run(cached, self._scope, start["source"])
            return
        api = ScriptApi.from_json(start["api"])
        compiled = compile_script(start["source"], api, self._limits, look_closer=start["t"] == "check")
        if start["t"] == "compile" and compiled.code is not None:
            self._send({"t": "compiled", "code": _packed(compiled.code, self._limits.message_kb * 1024)})
        elif start["t"] == "check":
            manifest = compiled.manifest
            self._send(
                {
                    "t": "checked",
                    "problems": [_problem(one) for one in compiled.problems],
                    "manifest": {
                        "fields_read": list(manifest.fields_read),
                        "actions": list(manifest.actions),
                        "operations": list(manifest.operations),
                        "changes": list(manifest.changes),
                    },
                }
            )
        elif compiled.code is None:
            self._send({"t": "refused", "problems": [_problem(one) for one in compiled.problems]})
        else:
            self._scope = self._names(start)
            self._run(compiled.code, self._scope, start["source"])

    def _run(self, code: Any, scope: dict[str, Any], source: str) -> None:
        error: BaseException | None = None
        try:
            exec(code, scope)  # noqa: S102  the one place where a script runs, inside the jail
        except values.Stop:
            pass
        except BaseException as caught:
            error = caught
        if isinstance(error, MemoryError):
            _RESERVE.close()
            scope.clear()
            self._partial = ""
            place = place_of(error)
            error = None
            gc.collect()
            self._fail(
                Code.MEMORY, f"The script needs more than {self._limits.memory_mb} MB", place, "Keep less at once."
            )
            return
        self._end_line()
        if self._broken is not None:
            self._fail(self._broken, self._broken_by, place_of(error) if error else (None, None), "")
        elif error is not None:
            try:
                said = explained(error, scope, source)
            except BaseException:
                # The error is of the script's own class, and its __str__ or a property of it raised in turn.
                said = (Code.RUNTIME, f"Your script raised {type(error).__name__}", place_of(error, source), "")
            self._fail(*said)
        elif self._stopped is not None:
            self._send({"t": "result", "end": "stopped", "reason": self._stopped})
        else:
            self._send({"t": "result", "end": "finished", "reason": ""})

    def _names(self, start: Mapping[str, Any]) -> dict[str, Any]:
        """The scope with the names of this run in it."""
        _begin(_moment(start["now"]), start["seed"])
        scope = self._scope
        customer = _readable(start["customer"])
        api = start["api"]
        actions = _Methods(api["actions"])
        actions.make = self._action
        scope["__builtins__"]["print"] = self._print
        scope["ticket"] = _Ticket(_facts_of_ticket(start["ticket"], customer), actions)
        scope["customer"] = customer
        scope["event"] = _readable(start["event"])
        scope["history"] = _readable(start["history"])
        scope["params"] = _readable(start["params"])
        scope["log"] = _Log(self._print)
        scope["stop"] = self._stop
        for name, short in api["connections"].items():
            operations = _Methods(short)
            operations.make = functools.partial(self._operation, name)
            scope[name] = _Connection(name, operations)
        return scope

    # What scripts call

    def _action(self, name: str, params: _Params) -> Callable[..., None]:
        what = f"ticket.{name}"

        def act(*args: Any, **kwargs: Any) -> None:
            bound = self._bind(what, params, args, kwargs)
            self._actions += 1
            if self._actions > self._limits.actions:
                self._break(Code.OUTPUT_LIMIT, f"The script asked for more than {self._limits.actions} actions")
            self._send({"t": "act", "action": name, "params": bound, "line": _script_line()}, later=True)

        return values.called(what, act)

    def _operation(self, connection: str, name: str, params: _Params) -> Callable[..., Any]:
        what = f"{connection}.{name}"

        def ask(*args: Any, **kwargs: Any) -> Any:
            bound = self._bind(what, params, args, kwargs)
            number, self._next_id = self._next_id, self._next_id + 1
            line = _script_line()
            self._send({"t": "call", "id": number, "c": connection, "o": name, "a": bound, "line": line})
            answer = self._receive(self._limits.message_kb * 1024)
            if answer.get("id") != number:
                _exit(1)
            if "err" in answer:
                raise call_error(answer["err"], connection, name)
            return _readable(answer["ok"])

        return values.called(what, ask)

    def _bind(self, what: str, params: _Params, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The call's arguments by name, as JSON. Raises `BadArgument` or `BadValue` with a way out."""
        given = _by_name(what, params, args, kwargs)
        bound: dict[str, Any] = {}
        limits = self._limits
        for name, kind, required in params:
            if name not in given:
                if required:
                    raise values.BadArgument(f"{what} needs {name}", _signature(what, params))
                continue
            path = f"{what}({name})"
            value = _plain(given[name], path)
            trouble = _trouble(value, path, depth=limits.depth, values=limits.values)
            if trouble is None:
                trouble = value_problem(name, kind, required, value)
            # A character takes twelve at most, and a number takes few.
            small = type(value) in _SCALARS or (type(value) is str and 12 * len(value) < limits.value_kb * 1024 - 64)
            if trouble is None and not small and len(_encode({"": value}, 64 << 20)) > limits.value_kb * 1024:
                trouble = f"{path} is larger than {limits.value_kb} kB"
            if trouble is not None:
                raise values.BadValue(trouble, "Give less, or text instead." if "larger" in trouble else "")
            bound[name] = value
        return bound

    def _print(self, *args: Any, sep: Any = " ", end: Any = "\n", flush: Any = False) -> None:
        """print and log: one frame per line. Past the limit the output is cut and the script goes on. Each line leaves
        at once, so `flush` changes nothing."""
        sep = " " if sep is None else sep
        end = "\n" if end is None else end
        if type(sep) is not str or type(end) is not str:
            raise TypeError("sep and end are text")
        if type(flush) is not bool:
            raise TypeError("flush is True or False")
        text = self._partial + sep.join(map(_shown, args)) + end
        *lines, self._partial = text.split("\n")
        for one in lines:
            self._log(one)
        if len(self._partial) > self._limits.log_kb * 1024:
            self._end_line()

    def _log(self, text: str) -> None:
        if self._cut:
            return
        self._log_lines += 1
        self._log_chars += len(text)
        if self._log_lines >= self._limits.log_lines or self._log_chars > self._limits.log_kb * 1024:
            self._cut = True
            text = "... output cut"
        frame = {"t": "log", "line": _script_line(), "text": safe_text(text, self._limits.log_kb * 1024)}
        self._send(frame)

    def _end_line(self) -> None:
        """Say what was printed without a line feed so far."""
        text, self._partial = self._partial, ""
        if text:
            self._log(text)

    def _stop(self, reason: Any = "") -> None:
        self._stopped = safe_text(values.shown(reason), self._limits.error_chars)
        raise values.Stop

    # The wire

    def _break(self, code: Code, why: str) -> None:
        """A limit was reached. Remembered, so that even a swallowed exception does not make it undone."""
        self._broken, self._broken_by = code, why
        raise values.LimitReached

    def _fail(self, code: Code, message: str, place: tuple[int | None, int | None], hint: str) -> None:
        self._send(
            {
                "t": "error",
                "code": code.value,
                "message": safe_text(message, self._limits.error_chars),
                "line": place[0],
                "column": place[1],
                "hint": safe_text(hint, 400),
            }
        )

    def _send(self, frame: Mapping[str, Any], *, later: bool = False) -> None:
        """Say it; `later` with whatever is said next: the parent does nothing about an action before the end."""
        data = self._unsaid + _encode(frame, self._limits.message_kb * 1024)
        if later and len(data) < _UNSAID_BYTES:
            self._unsaid = data
            return
        self._unsaid = b""
        self._writing = True
        while data:
            data = data[_os_write(self._fd, data) :]
        self._writing = False

    def _receive(self, cap_bytes: int) -> wire.Frame:
        """The next frame. It comes from the parent, so it is only read, not judged."""
        (size,) = _head(self._read(4))
        if size > cap_bytes:
            _exit(1)
        frame: wire.Frame = _parsed(self._read(size).decode())[0]
        return frame

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = _os_read(self._fd, size - len(data))
            if not more:
                _exit(0)  # the parent is gone
            data = data + more if data else more
        return data

    def _out_of_cpu(self, _signal: int, frame: Any) -> None:
        """Tell where the time went; the kernel's SIGKILL follows a second later, whatever the script does meanwhile."""
        while frame is not None and frame.f_code.co_filename != SCRIPT:
            frame = frame.f_back
        if frame is not None and not self._writing:
            self._send({"t": "at", "line": frame.f_lineno or 0})


def _by_name(what: str, params: _Params, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What was given, by the names of the parameters. Raises `BadArgument`."""
    if len(args) > len(params):
        raise values.BadArgument(too_many_arguments(what, len(params), len(args)), _signature(what, params))
    given = kwargs
    if args:
        given = {}
        for (name, _, _), value in zip(params, args, strict=False):
            given[name] = value
    for key in kwargs:
        for one in params:
            if one[0] == key:
                break
        else:
            hint = did_you_mean(key, [name for name, _, _ in params]) or _signature(what, params)
            raise values.BadArgument(f"{what} has no argument {key[:60]!r}", hint)
        if args:
            if key in given:
                raise values.BadArgument(f"{what} gets {key!r} twice", _signature(what, params))
            given[key] = kwargs[key]
    return given


def _signature(what: str, params: _Params) -> str:
    return signature(what, ((name, required) for name, _, required in params))


values.called("print", Child._print)
values.called("stop", Child._stop)


def _packed(code: CodeType, most_bytes: int) -> str:
    """Code as text for its frame; "" when it is too large to be worth keeping."""
    text = base64.b64encode(marshal.dumps(code)).decode("ascii")
    return text if len(text) + 100 <= most_bytes else ""


def _unpacked(start: Mapping[str, Any], code: bytes) -> CodeType | None:
    """The cached code of this run, None when there is none, or none of this Python and policy.

    Whoever can write to the cache chooses what runs here, like whoever escapes the language: that is why it is read
    behind all walls, and why nothing behind them is worth having."""
    if start["t"] != "run" or not code or start["stamp"] != STAMP:
        return None
    try:
        made = _loads(code)
    except (EOFError, ValueError, TypeError):
        return None
    return made if type(made) is CodeType and made.co_filename == SCRIPT else None


def _problem(one: Problem) -> dict[str, Any]:
    return {
        "line": one.line,
        "column": one.column,
        "end_line": one.end_line,
        "end_column": one.end_column,
        "code": str(one.code),
        "severity": one.severity,
        "message": safe_text(one.message, 400),
        "hint": safe_text(one.hint, 400),
    }


def rehearse(perform: Callable[[Callable[[], None]], object] = lambda act: act(), script: str = _RARE + _USUAL) -> None:
    """A run on no ticket, of a script of ours, in the zygote: over a real socket and with the very class, so that what
    the interpreter learns from it fits every child. Raises `AssertionError` when the script does something else."""
    method = [False, ["email", "text", True]]
    actions = {
        "add_tags": [True, ["tags", "list", True]],
        "add_note": [True, ["text", "text", True]],
        "set_context": [True, ["key", "text", True], ["data", "json", True], ["title", "text", False]],
    }
    api = {"actions": actions, "connections": {"crm": {"find": method}}}
    compiled = compile_script(script, ScriptApi.from_json(api), _LIMITS, look_closer=True)
    assert compiled.code is not None, compiled.problems
    Limits(**{name: getattr(_LIMITS, name) for name in Limits.__dataclass_fields__})
    code = marshal.dumps(compiled.code)
    facts = {"customer": {"email": "a"}, "event": {}, "history": [], "params": {}}
    ticket = {"tags": ["x"], "fields.x": None, "subject": "x"}
    start = {"t": "run", "source": "", "api": api, "limits": {}, "now": "2000-01-01T00:00:00+00:00", "seed": 0, **facts}
    start |= {"ticket": ticket, "code": len(code), "stamp": STAMP}
    answer = {"id": 1, "ok": {"name": "Ann"}}
    ours, childs = _socket.socketpair()
    try:
        ours.sendall(wire.encode(start, 1 << 20) + code + wire.encode(answer, 1 << 20))
        child = Child(childs.fileno())
        child._scope = {**_SCOPE, "__builtins__": dict(_SCOPE["__builtins__"])}
        perform(child._answer_one)
        said = wire.Reader(1 << 20)
        said.feed(ours.recv(1 << 20))
    finally:
        ours.close()
        childs.close()
    kinds = []
    while (frame := said.next()) is not None:
        kinds.append(frame["t"])
    assert kinds == ["call", "act", "act", "act", "log", "result"], kinds
