"""Running other programs: with a deadline, quietly, and dying with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from run_tool.errors import CommandFailed

#: How many of a failed program's last lines are worth showing.
TAIL_LINES = 15
#: What a program on the terminal gets to end in good order.
STOP_DEADLINE_S = 10
#: For burying what it left behind.
ORPHANS_DEADLINE_S = 3

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def say(line: str) -> None:
    """One line for the person at the terminal."""
    print(line, flush=True)


def complain(line: str) -> None:
    """One loud line."""
    print(f"!! {line}", file=sys.stderr, flush=True)


def die_with_parent() -> None:
    """To be called in a fresh child: the kernel kills it when its parent goes, however the parent went."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def inherit_orphans() -> None:
    """From now on the kernel makes this process the parent of what a dead child leaves running."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of_this_process() -> set[int]:
    """The processes this one is the parent of; none where the kernel keeps no such list."""
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    except OSError:
        return set()
    return {int(pid) for pid in text.split()}


def kill_orphans(*, but: Collection[int] = ()) -> None:
    """Kill the children of this process that are not in `but`, and bury those that are dead."""
    for pid in children_of_this_process().difference(but):
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, signal.SIGKILL)


def quietly(
    argv: Sequence[str | Path],
    what: str,
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run `argv` and return what it printed. Raises CommandFailed with its last lines; `what` names the work."""
    # A group of its own: at the deadline what the program started goes with it.
    process = subprocess.Popen(
        [str(part) for part in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        kill_group(process.pid)
        process.wait()
        raise CommandFailed(f"{what} took more than {timeout_s:.0f} s and was stopped.") from error
    except BaseException:
        kill_group(process.pid)
        process.wait()
        raise
    if process.returncode != 0:
        raise CommandFailed(f"{what} failed (exit {process.returncode}):\n{tail(output)}")
    return output


def openly(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run `argv` on this terminal and return its exit code; it stays in our group, so Ctrl-C reaches it.

    What it leaves running is killed: tests start servers, and a killed test run stops none of them.
    """
    inherit_orphans()
    process = subprocess.Popen(
        [str(part) for part in argv], env=None if env is None else dict(env), preexec_fn=die_with_parent
    )
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The program got the same Ctrl-C and is finishing; a second one reaches it the same way.
                continue
            except BaseException:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=STOP_DEADLINE_S)
                process.kill()
                process.wait()
                raise
    finally:
        until = time.monotonic() + ORPHANS_DEADLINE_S
        # In rounds: the children of one that was killed become ours, too.
        while children_of_this_process() and time.monotonic() < until:
            kill_orphans()
            time.sleep(0.02)


def kill_group(pid: int) -> None:
    """Kill the process group `pid` leads; gone already is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def tail(output: str, lines: int = TAIL_LINES) -> str:
    return "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-lines:])


def on_path(name: str) -> Path | None:
    """The program `name` from PATH, or None."""
    found = shutil.which(name)
    return Path(found) if found else None
