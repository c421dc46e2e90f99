"""The commands of ./run."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from run_tool.commands import complain, openly
from run_tool.environment import environment
from run_tool.errors import CannotGoOn, Interrupted
from run_tool.places import ROOT

HELP = """\
./run [--empty]            set Deskhand up if need be, start all of it, and print its address. Ctrl-C stops it.
                           --empty starts without the demo desk.
./run test [ARGS]          bring what the tests need and run all of them; ARGS go to pytest
./run check                style, types and import contracts, in under a minute
./run bench NAME [--json FILE]   one benchmark, e.g. ./run bench engine
./run chaos [--seconds N]  kill workers and flush Redis under load, then count what was lost
./run mutate               switch off each guard in turn: a named test must fail each time
./run fuzz [--seconds N]   random scripts into the jail and random bytes into its broker, until something is found
./run lock [--upgrade]     make the lock files anew
./run help                 this text

Settings, all optional: DESKHAND_PORT (8421), DESKHAND_DATA_DIR (./data), DESKHAND_DATABASE_URL (SQLite in the data
folder), DESKHAND_REDIS_URL (a server of its own), DESKHAND_PYTHON (which Python). docs/operations.md has the rest."""


def main(args: list[str]) -> int:
    command, rest = (args[0], args[1:]) if args else ("start", [])
    match command:
        case "start" | "--empty" | "--demo" if set(args) <= {"start", "--empty"}:
            from run_tool.start import start

            return start(demo="--empty" not in args)
        case "test":
            from run_tool.testing import test

            return test(rest)
        case "check" if not rest:
            from run_tool.check import check

            return check()
        case "lock" if set(rest) <= {"--upgrade"}:
            from run_tool.lock import lock

            return lock(upgrade=bool(rest))
        case "bench" if rest and rest[0].isidentifier():
            _must_exist(f"tests/bench/{rest[0]}.py")
            return openly([environment(dev=True), "-m", f"tests.bench.{rest[0]}", *rest[1:]])
        case "chaos" | "mutate" | "fuzz":
            _must_exist(f"tests/{command}.py", f"tests/{command}/__main__.py")
            return openly([environment(dev=True), "-m", f"tests.{command}", *rest])
        case "help" | "--help" | "-h":
            print(HELP)
            return 0
        case _:
            complain(f"./run does not know '{' '.join(args)}'. It knows:")
            print(HELP, file=sys.stderr)
            return 2


def _must_exist(*files: str) -> None:
    """Before anything is installed for it. Raises CannotGoOn naming what there is beside the first of `files`."""
    if any((ROOT / file).exists() for file in files):
        return
    folder = (ROOT / files[0]).parent
    beside = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    known = f" There are: {', '.join(beside)}." if folder.name == "bench" and beside else ""
    raise CannotGoOn(f"There is no {files[0]} in this checkout, so nothing was run.{known}")


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    # Set for images of containers, where it saves space; in a checkout every process would compile all code anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotGoOn as error:
        complain(str(error))
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt):
        complain("Stopped before it was done. What is finished stays; run the same command again to go on.")
        sys.exit(130)
