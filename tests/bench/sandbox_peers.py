"""Other ways to run somebody's Python, for `./run bench sandbox`: one of them per process, run as often as is asked.

    python sandbox_peers.py NAME FOLDER     then a number per line on stdin; "ok" on stdout after each

The script does what ours does, as far as the other can: two calls, two writes, one print. None of them but bubblewrap
keeps a script that escapes its language from the machine, and none has a broker with grants, sizes and a deadline.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

#: The same work in the words that every peer knows: functions instead of connections, no attributes of answers.
PLAIN = """
found = find_customer("ann@example.com")
party = find_party("ann@example.com")
if found is not None and party is not None:
    set_context("crm", {"name": found["name"]})
    add_tags(["known"])
    print("found", found["name"])
""" + "\n".join(
    f"def step_{number}(given):\n    kept = [x * 2 for x in range(given) if x % 2]\n    return sum(kept) + {number}\n"
    for number in range(15)
)
#: A child that is started for one script and asks its parent in lines of JSON.
RESTRICTED = """
import json, sys
from RestrictedPython import compile_restricted, safe_globals
def ask(what, given):
    print(json.dumps([what, given]), flush=True)
    return json.loads(sys.stdin.readline())
class Log:
    def __init__(self, getattr_): pass
    def _call_print(self, *given): ask("log", given)
code = compile_restricted(sys.argv[1], "<script>", "exec")
names = ("find_customer", "find_party", "set_context", "add_tags")
exec(code, {**safe_globals, "_print_": Log, "_getiter_": iter, "_getattr_": getattr, "_getitem_": lambda a, b: a[b],
    "sum": sum, **{name: (lambda *given, name=name: ask(name, given)) for name in names}})
"""


def functions(said: list[Any]) -> dict[str, Callable[..., Any]]:
    return {
        "find_customer": lambda email: {"name": "Ann"},
        "find_party": lambda email: {"id": 1},
        "set_context": lambda *given: said.append(given),
        "add_tags": lambda *given: said.append(given),
    }


def in_process() -> Callable[[], None]:
    code = compile(PLAIN, "<script>", "exec")

    def run() -> None:
        said: list[Any] = []
        exec(code, functions(said) | {"print": lambda *given: said.append(given)})
        assert len(said) == 3

    return run


def asteval() -> Callable[[], None]:
    import io

    from asteval import Interpreter

    def run() -> None:
        said: list[Any] = []
        text = io.StringIO()
        Interpreter(user_symbols=functions(said), writer=text, err_writer=text)(PLAIN)
        assert (len(said), text.getvalue()) == (2, "found Ann\n")

    return run


def monty() -> Callable[[], None]:
    from pydantic_monty import Monty

    pool = Monty(binary_path=f"{sys.argv[2]}/bin/monty")  # installed into a folder, not an environment
    pool.__enter__()

    def run() -> None:
        said: list[Any] = []
        text: list[str] = []
        with pool.checkout() as session:
            session.feed_run(
                PLAIN, external_lookup=functions(said), print_callback=lambda _stream, one: text.append(one)
            )
        assert (len(said), "".join(text)) == (2, "found Ann\n")

    return run


def _command(*before: str) -> Callable[[], None]:
    command = [*before, sys.executable, "-I", "-W", "ignore", "-c", RESTRICTED, PLAIN]

    def run() -> None:
        asked = 0
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for line in child.stdout:
                json.loads(line)
                asked += 1
                child.stdin.write('{"name": "Ann", "id": 1}\n')
                child.stdin.flush()
        assert (child.returncode, asked) == (0, 5)

    return run


BWRAP = ("bwrap", "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "--clearenv")
PEERS: dict[str, Callable[[], Callable[[], None]]] = {
    "in-process exec": in_process,
    "asteval": asteval,
    "pydantic-monty": monty,
    "python -c with RestrictedPython": _command,
    "bubblewrap + python": lambda: _command(*BWRAP),
}

if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    once = PEERS[sys.argv[1]]()
    once()
    print("ok", flush=True)
    for line in sys.stdin:
        for _ in range(int(line)):
            once()
        print("ok", flush=True)
