"""A real sandbox service for tests, a gateway that answers from a table, and an API with a bit of everything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from run_tool.commands import die_with_parent
from sandbox.client import Sandbox
from sandbox.contract import Answer, CallFailed, Method, Outcome, Param, RunRequest, ScriptApi
from sandbox.limits import Limits

ROOT = Path(__file__).resolve().parents[2]
NOW = "2026-11-22T12:00:00+00:00"
#: What a run gets where a test is about something else than its time: on a machine with much else to do a script that
#: is to end by its memory, or to end well, may need longer than users give it.
PATIENT = Limits(wall_s=60, cpu_s=20)
#: Seconds for a service to come up, and for everything of it to end: seconds where the machine is ours alone.
START_S = 60
STOP_S = 30


def _method(name: str, *params: Param, writes: bool = False) -> Method:
    return Method(name, params, f"{name.replace('_', ' ').capitalize()}.", writes)


API = ScriptApi(
    actions={
        "add_tags": _method("add_tags", Param("tags", "list", True), writes=True),
        "add_note": _method("add_note", Param("text", "text", True), writes=True),
        "set_field": _method("set_field", Param("field", "text", True), Param("value", "any", True), writes=True),
        "set_context": _method(
            "set_context",
            Param("key", "text", True),
            Param("data", "json", True),
            Param("title", "text", False),
            Param("source", "text", False),
            Param("error", "text", False),
            writes=True,
        ),
    },
    connections={
        "crm": {
            "find_customer": _method("find_customer", Param("email", "text", True)),
            "delete_customer": _method("delete_customer", Param("id", "number", True), writes=True),
        },
        "erp": {
            "find_party": _method("find_party", Param("email", "text", True)),
            "list_orders": _method("list_orders", Param("email", "text", True), Param("limit", "number", False)),
        },
        "billing": {"list_charges": _method("list_charges", Param("email", "text", True))},
    },
)
TICKET: Mapping[str, Any] = {
    "id": 7,
    "kind": "ticket",
    "subject": "Charged twice",
    "status": "open",
    "priority": "normal",
    "tags": ["vip"],
    "team": None,
    "fields.order": "SO-7",
}
CUSTOMER: Mapping[str, Any] = {"id": 3, "name": "Ann Ek", "email": "ann@example.com", "emails": ["ann@example.com"]}


class TableGateway:
    """Answers from a table of "connection.operation" and remembers every call that reached it."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.deadlines_s: list[float] = []

    def call(self, connection: str, operation: str, args: Mapping[str, Any], *, deadline_s: float) -> Answer:
        what = f"{connection}.{operation}"
        self.calls.append((what, dict(args)))
        self.deadlines_s.append(deadline_s)
        answer = self.answers.get(what)
        if callable(answer):
            answer = answer(**args)
        if isinstance(answer, CallFailed):
            raise answer
        return Answer(answer, source=what)


class Host:
    """A running service and the ways tests use it."""

    def __init__(self, path: Path, process: subprocess.Popen[str], log: Path, limits: Limits = PATIENT) -> None:
        self.path = path
        self.process = process
        self.log = log
        self.sandbox = Sandbox(path, limits)

    def run(
        self,
        source: str,
        gateway: TableGateway | None = None,
        *,
        limits: Limits | None = None,
        cancelled: Callable[[], bool] | None = None,
        **request: Any,
    ) -> Outcome:
        wanted: dict[str, Any] = {"api": API, "ticket": TICKET, "customer": CUSTOMER, "now": NOW} | request
        sandbox = self.sandbox if limits is None else Sandbox(self.path, limits)
        return sandbox.run(RunRequest(source, **wanted), gateway or TableGateway(), cancelled=cancelled)

    def logged(self, source: str, gateway: TableGateway | None = None, **request: Any) -> list[str]:
        """What a script printed; it must have run to its end."""
        outcome = self.run(source, gateway, **request)
        assert outcome.status == "finished", outcome.error
        return [line.text for line in outcome.log]

    def processes(self) -> set[int]:
        """The service and everything below it."""
        return {self.process.pid} | descendants(self.process.pid)


@contextmanager
def a_host(
    *,
    command: list[str] | None = None,
    user: int | None = None,
    env: Mapping[str, str] | None = None,
    limits: Limits = PATIENT,
) -> Iterator[Host]:
    """A service in its own folder, ready when this yields; ended, with nothing left, when it is left.

    Scripts get `limits`, and children stand ready with them, as on a desk: one that wants others is forked for itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="dh-sb-"))
    if user is not None:
        os.chown(folder, user, user)
    path = folder / "s.sock"
    log = folder / "log"
    start = [*(command or [sys.executable]), "-m", "sandbox.service", "--socket", str(path)]
    with log.open("w") as output:
        process = subprocess.Popen(
            start,
            cwd=ROOT,
            stderr=output,
            text=True,
            preexec_fn=die_with_parent,
            env={
                **os.environ,
                "SECRET_OF_THE_HOST": "hunter2",
                "DESKHAND_SCRIPT_CPU_S": str(limits.cpu_s),
                "DESKHAND_SCRIPT_MEMORY_MB": str(limits.memory_mb),
                **(env or {}),
            },
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
    host = Host(path, process, log, limits)
    try:
        wait_until(lambda: path.exists() or process.poll() is not None, START_S)
        assert process.poll() is None, log.read_text()
        yield host
    finally:
        below = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        finally:
            process.kill()
            process.wait()
        wait_until(lambda: not alive(below), STOP_S)
        shutil.rmtree(folder)


def wait_until(true: Callable[[], bool], most_s: float = START_S) -> None:
    """Poll until `true()`; fails after `most_s`, which is long: on a busy machine everything takes its time."""
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, f"still not so after {most_s} s"
        time.sleep(0.01)


def descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def settled(host: Host, number: int = 4) -> set[int]:
    """Everything below the service, once that is so many processes and all of them wait: the zygote's two halves and
    the children in waiting. One that was just forked may not stand behind its walls yet; one that has just ended is not
    buried yet."""
    found: list[set[int]] = [set()]

    def waits() -> bool:
        found[0] = descendants(host.process.pid)
        return len(found[0]) == number and {_state(pid) for pid in found[0]} == {"S"}

    wait_until(waits)
    return found[0]


def _state(pid: int) -> str:
    """What a process is at, in the kernel's letter; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def alive(pids: set[int]) -> set[int]:
    """Those that exist and are no zombies."""
    return {pid for pid in pids if _state(pid) not in ("", "Z", "X")}
