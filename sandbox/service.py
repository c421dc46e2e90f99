"""The one sandbox service of a host: `python -m sandbox.service --socket PATH`.

Owns the zygote, keeps a few children ready, and lends them out: a caller on the socket gets a child's own socket, the
pipe that will tell its end, and a pidfd. It reads no script and holds no credential. A caller's connection is its
lease: when it closes, for whatever reason, the child is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox import attack
from sandbox.errors import SandboxError
from sandbox.limits import MOST_CPU_S, MOST_MEMORY_MB, TEST_CPU_S, TEST_MEMORY_MB, HostLimits, Limits
from sandbox.processes import Child, Zygote, ZygoteDied
from sandbox.zygote import FORK, TEST

log = logging.getLogger("sandbox.service")

#: Connections at one time.
MAX_CALLERS = 256
#: How long after a child was lent one that stands ready is enough.
REFILL_S = 0.02
#: A ready child that nobody wanted for so long is replaced.
READY_AGE_S = 60.0
ATTACK_S = 5.0
#: Pauses before the next try when the zygote does not start or dies.
RESTART_S = (0.2, 1.0, 5.0, 30.0)
#: So many failures in a row are taken for an accident: callers wait. After that they are told.
PATIENCE = 2
REQUEST_BYTES = 4096
#: Descriptors of a child that is ready or lent: its socket, the pipe that tells its end, its pidfd.
FDS_OF_A_CHILD = 3
#: And of everything that is neither caller nor child: logs, zygotes, what is open while one is forked.
FDS_BESIDES = 64
_HOST, _SCRIPT = HostLimits(), Limits()
REQUIRED = ("fresh exec", "rlimits", "no new privileges", "seccomp")
WANTED = ("namespaces", "landlock", "no capabilities", "undumpable")


class AlreadyRunning(SandboxError):
    """Another sandbox service answers on this socket. One per host is enough."""


@dataclass(slots=True)
class Caller:
    """One connection, with the child it holds or the wish it waits for."""

    talk: socket.socket
    child: Child | None = None
    wish: tuple[int, int] | None = None


class Service:
    """The event loop: one thread, every queue bounded."""

    def __init__(
        self,
        path: Path,
        limits: HostLimits = _HOST,
        per_script: Limits = _SCRIPT,
        *,
        start_zygote: Callable[[], Zygote] = Zygote,
    ) -> None:
        self._path = path
        self._limits = limits
        self._per_script = per_script
        self._start_zygote = start_zygote
        # Bare, because each run comes and goes here: `selectors` makes several objects every time.
        self._poll = select.epoll()
        self._heard: dict[int, Callable[[], object]] = {}
        self._callers: dict[int, Caller] = {}
        self._waiting: deque[Caller] = deque()
        self._ready: deque[Child] = deque()
        self._zygote: Zygote | None = None
        self._retired: list[Zygote] = []
        self._layers: dict[str, str] = {}
        self._unready = "The zygote is starting"
        self._failures = 0
        self._retry_at = 0.0
        self._runs = 0
        self._lent_at = 0.0
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._stopping = False

    def serve(self) -> None:
        """Listen until SIGTERM or SIGINT, then kill every child and remove the socket. Raises `AlreadyRunning`."""
        listener = _listen(self._path)
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._watch(listener.fileno(), lambda: self._accept(listener))
        self._watch(woken, lambda: _drain(woken))
        try:
            self._boot()
            log.info("sandbox.listening socket=%s pid=%d", self._path, os.getpid())
            while not self._stopping:
                for fd, _ in self._poll.poll(self._pause_s()):
                    # A word before this one may have ended it, and another caller may have its number now: that one
                    # has said nothing yet, or what would be heard next anyway.
                    if (hear := self._heard.get(fd)) is not None:
                        hear()
                self._tend()
        finally:
            self._path.unlink(missing_ok=True)
            listener.close()
            for caller in list(self._callers.values()):
                self._hang_up(caller)
            for zygote in [*self._retired, *([self._zygote] if self._zygote else [])]:
                zygote.stop()
            log.info("sandbox.stopped runs=%d", self._runs)

    def _pause_s(self) -> float:
        """How long to sleep when nothing happens."""
        if self._zygote is None:
            return max(0.01, min(1.0, self._retry_at - time.monotonic()))
        return REFILL_S if not self._unready and len(self._ready) < self._limits.ready else 1.0

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _watch(self, fd: int, hear: Callable[[], object]) -> None:
        self._heard[fd] = hear
        self._poll.register(fd, select.EPOLLIN)

    def _unwatch(self, fd: int) -> None:
        self._poll.unregister(fd)
        del self._heard[fd]

    # Callers

    def _accept(self, listener: socket.socket) -> None:
        talk, _ = listener.accept()
        _, uid, _ = struct.unpack("3i", talk.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (os.geteuid(), 0):
            log.warning("sandbox.stranger uid=%d", uid)
            talk.close()
            return
        if len(self._callers) >= MAX_CALLERS:
            _answer(talk, {"ok": False, "reason": f"The sandbox serves {MAX_CALLERS} callers already; try again"})
            talk.close()
            return
        talk.setblocking(False)
        caller = Caller(talk)
        self._callers[talk.fileno()] = caller
        self._watch(talk.fileno(), lambda: self._hear(caller))
        self._hear(caller)  # most callers have said what they want by now

    def _hear(self, caller: Caller) -> None:
        try:
            data = caller.talk.recv(REQUEST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or caller.child is not None or caller.wish is not None:
            self._hang_up(caller)  # gone, or saying more than one thing
            return
        try:
            request = json.loads(data)
            kind = request["t"]
            if kind == "health":
                self._tell(caller, self._health())
            elif kind == "lease":
                cpu_s = max(1, min(int(request["cpu_s"]), MOST_CPU_S))
                memory_mb = max(1, min(int(request["memory_mb"]), MOST_MEMORY_MB))
                caller.wish = (cpu_s, memory_mb)
                self._waiting.append(caller)
                self._serve_waiting()
            else:
                self._hang_up(caller)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            log.warning("sandbox.bad_request")
            self._hang_up(caller)

    def _tell(self, caller: Caller, frame: dict[str, Any], fds: list[int] | None = None) -> None:
        if not _answer(caller.talk, frame, fds):
            self._hang_up(caller)

    def _hang_up(self, caller: Caller) -> None:
        if self._callers.pop(caller.talk.fileno(), None) is None:
            return
        self._unwatch(caller.talk.fileno())
        caller.talk.close()
        if caller.child is not None:
            caller.child.end()
            caller.child = None
            self._lent_at = 0.0
        if caller in self._waiting:
            self._waiting.remove(caller)

    def _serve_waiting(self) -> None:
        """Give children to those who wait, in order, as long as there are places."""
        while self._waiting:
            caller = self._waiting[0]
            if self._unready and 0 < self._failures <= PATIENCE:
                return  # a new zygote is on its way; whoever waits hardly notices
            if self._unready:
                self._waiting.popleft()
                caller.wish = None
                self._tell(caller, {"ok": False, "reason": self._unready})
                continue
            if sum(one.child is not None for one in self._callers.values()) >= self._limits.children:
                return
            assert caller.wish is not None
            child = self._take(*caller.wish)
            if child is None:
                continue  # the zygote just died: the next round answers with the reason
            self._waiting.popleft()
            caller.child, caller.wish = child, None
            self._runs += 1
            self._lent_at = time.monotonic()
            self._tell(caller, {"ok": True}, [child.talk.fileno(), child.ended_fd, child.pidfd])

    def _take(self, cpu_s: int, memory_mb: int) -> Child | None:
        if (cpu_s, memory_mb) == (self._per_script.cpu_s, self._per_script.memory_mb):
            while self._ready:
                child = self._ready.popleft()
                if not child.has_ended():
                    return child
                child.end()
        return self._fork(cpu_s, memory_mb)

    def _fork(self, cpu_s: int, memory_mb: int) -> Child | None:
        assert self._zygote is not None
        try:
            return self._zygote.fork(FORK, cpu_s, memory_mb)
        except ZygoteDied as error:
            self._lose_zygote(str(error))
            return None

    # The zygote

    def _tend(self) -> None:
        """After each round: replace what is dead or old, keep children ready, serve who waits."""
        now = time.monotonic()
        if self._zygote is None and now >= self._retry_at:
            self._boot()
        zygote = self._zygote
        old = zygote is not None and now - zygote.born >= self._limits.recycle_s
        if zygote is not None and (old or zygote.forks >= self._limits.recycle_runs):
            log.info("sandbox.recycled forks=%d", zygote.forks)
            self._drop_ready()
            self._unwatch(zygote.pidfd)
            self._retired.append(zygote)
            self._zygote = None
            self._boot()
        for retired in [one for one in self._retired if one.lent == 0]:
            self._retired.remove(retired)
            retired.stop()
        self._serve_waiting()
        while self._ready and now - self._ready[0].born > READY_AGE_S:
            self._ready.popleft().end()
        # The place of a child that was lent just now is filled a moment later: its run needs the processors first.
        enough = 1 if now < self._lent_at + REFILL_S else self._limits.ready
        while self._zygote is not None and not self._unready and len(self._ready) < enough:
            child = self._fork(self._per_script.cpu_s, self._per_script.memory_mb)
            if child is not None:
                self._ready.append(child)

    def _boot(self) -> None:
        """Start a zygote and attack its jail. Afterwards `_unready` is "" or says why no script may run here."""
        try:
            zygote = self._start_zygote()
        except OSError as error:
            self._failed(f"The zygote cannot be started: {error}")
            return
        try:
            layers = zygote.hello()
            layers |= self._attack(zygote)
        except (ZygoteDied, ValueError) as error:
            zygote.stop()
            self._failed(str(error))
            return
        self._zygote = zygote
        self._watch(zygote.pidfd, lambda: self._lose_zygote("The zygote ended"))
        missing = [layers[name] or name for name in REQUIRED if layers.get(name, name)]
        reason = f"Scripts are refused on this machine: {'; '.join(missing)}" if missing else ""
        if layers != self._layers or reason != self._unready:
            for name in WANTED:
                if layers.get(name, name):
                    log.warning("sandbox.layer_missing layer=%s reason=%s", name, layers.get(name))
            if reason:
                log.error("sandbox.refusing reason=%s", reason)
            else:
                log.info("sandbox.ready layers=%s", ",".join(sorted(n for n, why in layers.items() if not why)))
        self._layers, self._unready, self._failures = layers, reason, 0

    def _attack(self, zygote: Zygote) -> dict[str, str]:
        """Try every attack in a throwaway child. Each layer with "" or what got through it."""
        through: dict[str, list[str]] = {"seccomp": [], "rlimits": []}
        for number, (name, _, layer) in enumerate(attack.ATTACKS):
            child = zygote.fork(TEST, TEST_CPU_S, TEST_MEMORY_MB, number)
            try:
                status = child.wait_status(ATTACK_S)
            finally:
                child.end()
            refused = status is not None and (
                (os.WIFEXITED(status) and os.WEXITSTATUS(status) == attack.EXIT_REFUSED)
                or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS)
            )
            if not refused:
                how = "no end was seen" if status is None else f"wait status {status}"
                through[layer].append(f"{name} ({how})")
        return {
            layer: f"{layer}: the self-test got through: {', '.join(names)}" if names else ""
            for layer, names in through.items()
        }

    def _failed(self, reason: str) -> None:
        pause = RESTART_S[min(self._failures, len(RESTART_S) - 1)]
        if self._failures == 0:
            log.error("sandbox.down reason=%s retry_s=%g", reason, pause)
        self._failures += 1
        self._retry_at = time.monotonic() + pause
        self._unready = reason

    def _lose_zygote(self, reason: str) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is None:
            return
        self._unwatch(zygote.pidfd)
        self._drop_ready()
        zygote.stop()
        self._failed(reason)

    def _drop_ready(self) -> None:
        while self._ready:
            self._ready.popleft().end()

    def _health(self) -> dict[str, Any]:
        layers = {
            name: {
                "up": not self._layers.get(name, name),
                "required": name in REQUIRED,
                "reason": self._layers.get(name, ""),
            }
            for name in (*REQUIRED, *WANTED)
        }
        return {
            "ready": not self._unready,
            "reason": self._unready,
            "layers": layers,
            "pid": os.getpid(),
            "runs": self._runs,
            "since": self._since,
            "python": platform.python_version(),
        }


def _listen(path: Path) -> socket.socket:
    """A listening socket only this user can reach. A socket that nobody answers on is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.parent.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise SandboxError(f"{path.parent} must belong to uid {os.geteuid()} and be closed to others (chmod 700)")
    if path.exists():
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                log.info("sandbox.stale_socket socket=%s", path)
            else:
                raise AlreadyRunning(f"A sandbox service answers on {path} already")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # Under its own name only once it listens: whoever sees the socket can connect to it.
    hidden = path.with_name(f"{path.name}.{os.getpid()}")
    before = os.umask(0o177)
    try:
        listener.bind(str(hidden))
        listener.listen(MAX_CALLERS)
        hidden.rename(path)
    except OSError:
        hidden.unlink(missing_ok=True)
        listener.close()
        raise
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _answer(talk: socket.socket, frame: dict[str, Any], fds: list[int] | None = None) -> bool:
    try:
        socket.send_fds(talk, [json.dumps(frame).encode()], fds or [], socket.MSG_NOSIGNAL)
    except OSError:
        return False
    return True


def _allow_open_files(limits: HostLimits) -> None:
    """Raise our own limit to what so many children take. Raises `SandboxError` where the machine does not allow it: a
    service that ran out of them in the middle of its work would end, and all runs with it."""
    needed = MAX_CALLERS + FDS_OF_A_CHILD * (limits.children + limits.ready) + FDS_BESIDES
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError as error:
        log.warning("sandbox.open_files_unknown reason=%s", error)  # its zygote will say that limits are missing
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SandboxError(
            f"{limits.children} scripts at one time need {needed} open files, and this process may have {hard}; "
            "raise its limit or set DESKHAND_SANDBOX_CHILDREN lower"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


def _from_environment(kind: str, defaults: HostLimits | Limits) -> dict[str, Any]:
    """The fields that DESKHAND_<KIND>_<FIELD> sets. Raises `ValueError` for what is no number."""
    found: dict[str, Any] = {}
    for name in defaults.__dataclass_fields__:
        setting = f"DESKHAND_{kind}_{name.upper()}"
        text = os.environ.get(setting, "")
        try:
            if text:
                found[name] = type(getattr(defaults, name))(text)
        except ValueError as error:
            raise ValueError(f"{setting} must be a number, not {text[:40]!r}") from error
    return found


def main() -> int:
    """The command. Exit code 1 with one sentence when it cannot serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.service", description="Runs people's scripts in a jail.")
    parser.add_argument("--socket", required=True, type=Path, help="where callers reach it; its folder gets mode 0700")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        host = HostLimits(**_from_environment("SANDBOX", HostLimits()))
        _allow_open_files(host)
        # Ready children fit what callers will ask for, who read the same settings.
        per_script = Limits(**_from_environment("SCRIPT", Limits()))
        Service(arguments.socket.absolute(), host, per_script).serve()
    except (SandboxError, OSError, ValueError) as error:
        log.error("sandbox.cannot_start %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
