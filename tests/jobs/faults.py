"""python -m tests.jobs.faults WORK before|after MODULE:NAME SIGNAL: the product's own work, cut off at one step.

A real process with the settings of the environment. WORK is a kind of work, "clock", or "web": that answers the one
request that FAULTS_REQUEST holds as JSON. The first time it comes to that step it sends itself the signal: KILL ends it
there as a power cut would, STOP holds it there until somebody sends CONT. In the end it says how it ended. Tests have
it forked, some seventy times: tests/environment/started.py.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from jobs import clock, logs, tasks
from jobs.queues import FUNCTIONS, Work
from jobs.services import Services, build
from jobs.settings import Settings

#: How often a clock that is never cut off looks.
LOOKS = 10


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


def answer(services: Services, when: str, target: str, number: int) -> int:
    """Answer the request; returns the status. With "sign_in" it is a form that a signed-in person sends."""
    # Here, because only one process in four has pages, and they are half of what there is to import.
    from tests.web.desk import send, sign_in
    from web import create_app

    request = json.loads(os.environ["FAULTS_REQUEST"])
    client = create_app(services).test_client()
    if "sign_in" in request:
        assert sign_in(client, request["sign_in"]).status_code == 302
    cut_off(target, when, number)
    if "sign_in" in request:
        return send(client, request["path"], request["data"]).status_code
    return client.post(request["path"], data=request["data"], headers=request["headers"]).status_code


def main() -> None:
    work, when, target, name = sys.argv[1:]
    logs.configure(as_json=True)
    services = build(Settings.from_environ())
    tasks.use(services)
    number = signal.Signals[f"SIG{name}"]
    if work == "web":
        handled = answer(services, when, target, number)
    else:
        cut_off(target, when, number)
        if work == "clock":
            # A look ends by time; on a busy machine the step may come in a later one.
            handled = sum(len(clock.tick(services)) for _ in range(LOOKS))
        else:
            handled = getattr(tasks, FUNCTIONS[Work(work)].rpartition(".")[2])()
    services.close()
    print(f"handled {handled}", flush=True)


if __name__ == "__main__":
    main()
