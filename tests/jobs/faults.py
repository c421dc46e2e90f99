"""python -m tests.jobs.faults WORK before|after MODULE:NAME SIGNAL: the product's own work, cut off at one step.

A real process with the settings of the environment. The first time it comes to that step it sends itself the signal:
KILL ends it there as a power cut would, STOP holds it there until somebody sends CONT. In the end it says how it ended.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from jobs import logs, tasks
from jobs.queues import FUNCTIONS, Work
from jobs.services import build
from jobs.settings import Settings


def cut_off(target: str, when: str, number: int) -> None:
    """Make this function send its process a signal before, or after, it has done its work the first time."""
    module, _, path = target.partition(":")
    holder: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        holder = getattr(holder, parent)
    function: Callable[..., Any] = getattr(holder, name)
    left = [1]

    def blow() -> None:
        if left:
            left.clear()
            os.kill(os.getpid(), number)

    @wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            blow()
        result = function(*args, **kwargs)
        if when == "after":
            blow()
        return result

    setattr(holder, name, around)


def main() -> None:
    work, when, target, name = sys.argv[1:]
    logs.configure(as_json=True)
    services = build(Settings.from_environ())
    tasks.use(services)
    cut_off(target, when, signal.Signals[f"SIG{name}"])
    handled: int = getattr(tasks, FUNCTIONS[Work(work)].rpartition(".")[2])()
    services.close()
    print(f"handled {handled}", flush=True)


if __name__ == "__main__":
    main()
