"""python -m tests.environment.itself: what a process finds itself to be, as JSON; then it waits if it is asked to."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time


def found() -> dict[str, object]:
    """Whatever of it a test may rest on, and that is the same each time."""
    return {
        "arguments": sys.argv,
        "path": sys.path,
        "folder": os.getcwd(),
        "environ": dict(os.environ),
        "zone": time.tzname,
        "open": sorted(int(one) for one in os.listdir("/proc/self/fd"))[:-1],  # the last is the folder itself
        "threads": threading.active_count(),
        "garbage": gc.isenabled(),
        "signals": {
            one.name: str(signal.getsignal(one)) for one in sorted(signal.valid_signals() & set(signal.Signals))
        },
        "told": sys.stdin.read(),
        "main": sys.modules["__main__"].__dict__["__name__"],
        "flags": str(sys.flags),
        "warnings": len(sys.warnoptions),
    }


if __name__ == "__main__":
    print(json.dumps(found()), flush=True)
    if sys.argv[1:] == ["wait"]:
        time.sleep(300)
    elif sys.argv[1:] == ["raise"]:
        raise SystemExit("It ends like this.")
