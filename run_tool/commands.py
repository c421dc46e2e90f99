"""Running other programs: with a deadline, quietly, and dying with us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from run_tool.errors import CommandFailed

#: How many of a failed program's last lines are worth showing.
TAIL_LINES = 15

_PR_SET_PDEATHSIG = 1
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
    """Run `argv` on this terminal and return its exit code; it stays in our group, so Ctrl-C reaches it."""
    process = subprocess.Popen(
        [str(part) for part in argv], env=None if env is None else dict(env), preexec_fn=die_with_parent
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The program got the same Ctrl-C and is finishing; a second one is passed on by the terminal as well.
            continue
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()
            raise


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
