"""What every child pays for at its fork stays small: what the zygote holds, and what a run is told anew."""

from __future__ import annotations

import json
import subprocess

from sandbox import wire
from sandbox.broker import start_frame
from sandbox.contract import RunRequest
from sandbox.limits import Limits
from sandbox.service import _BOOT, _command
from tests.sandbox.hosts import API, ROOT


def test_the_zygote_holds_no_module_that_no_child_needs_and_nothing_that_runs_after_a_fork() -> None:
    """A module that comes back here costs every run its pages; a hook costs it also what the hook does."""
    told = "os.register_at_fork(after_in_child=lambda: os.write(1, b'hook'))\nif os.fork() == 0: os._exit(0)\nos.wait()"
    boot = _BOOT.rpartition("zygote.main(")[0] + f"{told}\nprint(json.dumps(sorted(sys.modules)))"
    command = [*_command(0)]
    command[command.index(_BOOT)] = boot
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, env={})
    modules = json.loads(done.stdout)  # and nothing else: the child said no "hook"
    assert "sandbox.child.main" in modules, done.stderr
    needless = "inspect dis tokenize hashlib _hashlib pathlib threading logging socket selectors"
    assert not set(needless.split()) & set(modules)


def test_once_the_holes_are_filled_what_is_made_lies_together() -> None:
    """Between imports there are holes; a child that filled them would copy a page for each."""
    program = (
        "import ast, dataclasses, decimal, typing\nfrom sandbox.packing import fill_holes\ntaken = fill_holes()\n"
        "for size in (96, 480, 2000):\n"
        "    ids = [id(one) for one in [bytes(size - 33) for _ in range(20)]]\n"
        "    print(taken, max(ids) - min(ids) <= 20 * (size + 16))\n"
    )
    command = [*_command(0)]
    command[command.index(_BOOT)] = "import json, sys\nsys.path[:] = json.loads(sys.argv[1])\n" + program
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, env={}, check=True)
    taken, together = zip(*(line.split() for line in done.stdout.splitlines()), strict=True)
    assert together == ("True", "True", "True")
    assert 0 < int(taken[0]) < 8_000_000


def test_a_child_is_told_the_limits_that_are_not_as_usual_and_no_others() -> None:
    def told(limits: Limits) -> object:
        frame = start_frame("run", RunRequest("x = 1", API), limits)
        return wire.decode(frame[wire.HEAD.size :])["limits"]

    assert told(Limits()) == {}
    assert told(Limits(actions=1, wall_s=3.0)) == {"actions": 1, "wall_s": 3.0}
