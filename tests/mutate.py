"""./run mutate: switch off each guard in turn; the test that is named for it must fail each time.

A guard whose test passes without it is not guarded by anything. Every mutation is one replacement of one piece of text
in a copy of the code; the working tree is never touched. The list is `tests/mutations`.

There is one copy per worker, put right again after each try, and every try is forked from a process that has the
libraries imported: what is left is the test itself. First all named tests run once in untouched copies: one that fails
anyway would catch every mutation and prove nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from rules.operators import OPERATORS
from run_tool.places import ROOT
from tests.mutations import MUTATIONS, Mutation

#: Seconds one test may take before it counts as failed (many guards are what keeps it from waiting for ever), then
#: the most for one try with everything around it, and for all tests before anything is mutated.
HANGS_S, TEST_S, BASELINE_S = 45, 180, 900
#: Mutations tried at the same time.
AT_ONCE = 2
COPIED = ("tickets", "rules", "sandbox", "connectors", "jobs", "web", "tests", "run_tool", "docs")
#: Kept out of the copies: what the tests do not read, and other people's compiled code.
NOT_COPIED = ("__pycache__", "node_modules", "screenshots")
#: Imported before the first try. No plug-ins of pytest: it wants to see those being imported.
LIBRARIES = ("alembic.command", "apiflask", "cryptography.fernet", "flask_limiter", "flask_wtf", "requests", "rq")


@dataclass(frozen=True)
class Verdict:
    mutation: Mutation
    code: int  # pytest's exit code, -1 when it took too long
    said: str
    took_s: float

    @property
    def caught(self) -> bool:
        """1: tests ran and failed. Anything else (no such test, cannot be collected, too slow) is not a catch."""
        return self.code == 1


class Worker:
    """One process with its own copy of the code. It has one job at a time; `answers` has its result when it is done."""

    def __init__(self, folder: Path) -> None:
        self.answers, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=_serve, args=(folder, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, job: Mutation | Sequence[str]) -> None:
        """A mutation to try, or tests to run in the untouched copy."""
        self.answers.send(job)

    def end(self) -> None:
        # Closing alone would not do: every process forked since holds this end, too.
        with contextlib.suppress(OSError):
            self.answers.send(None)
        self.answers.close()
        self._process.join(30)


def main() -> int:
    """Exit code 0: all caught; 1: some missed; 2: a mutation or its test does not fit the code, nothing was tried."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="mutations whose name or file holds this text; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, metavar="N", help="tries at the same time")
    options = parser.parse_args()
    wanted: list[str] = options.only or [""]
    chosen = [one for one in MUTATIONS if any(text in one.name or text in one.file for text in wanted)]
    names = [one.name for one in MUTATIONS]
    problems = [f"two mutations are called {name!r}" for name in sorted({one for one in names if names.count(one) > 1})]
    problems += [problem for one in chosen if (problem := misfit(ROOT, one))]
    if problems or not chosen:
        print("\n".join(problems) or "There is no such mutation.", file=sys.stderr)
        return 2
    if options.list:
        for one in chosen:
            print(f"{one.name}: {one.file} -> {one.test}")
        return 0
    started = time.monotonic()
    # Every try would compile the tests and the code anew; the copies are thrown away anyway.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for library in LIBRARIES:
        importlib.import_module(library)
    with staffed(max(1, min(options.at_once, len(chosen)))) as workers:
        failing = baseline(workers, sorted({one.test for one in chosen}))
        if failing:
            print(f"Nothing was tried: these fail without any mutation.\n{failing}", file=sys.stderr)
            return 2
        print(f"{len(chosen)} mutations; each must make its test fail.", flush=True)
        verdicts = list(tried(workers, chosen))
    missed = [one for one in verdicts if not one.caught]
    print(f"{len(verdicts) - len(missed)} caught, {len(missed)} missed, in {time.monotonic() - started:.0f} s")
    for verdict in missed:
        print(f"MISSED {verdict.mutation.name}: {verdict.mutation.test} does not fail. {verdict.said}", file=sys.stderr)
    forgotten = [] if options.only else operators_without_a_mutation()
    for key in forgotten:
        print(
            f"MISSED the operator {key}: tests/mutations has no mutation of it, or none of its SQL form",
            file=sys.stderr,
        )
    return 1 if missed or forgotten else 0


def operators_without_a_mutation() -> list[str]:
    """Operators that no mutation is named for: "the operator KEY", or "the operator KEY, in some case"; and for those
    that are asked of the database "the SQL form of KEY"."""
    named = {one.name.partition(",")[0] for one in MUTATIONS}
    return [
        key
        for key, one in OPERATORS.items()
        if f"the operator {key}" not in named or (one.sql.shape and f"the SQL form of {key}" not in named)
    ]


def misfit(folder: Path, mutation: Mutation) -> str:
    """Why a mutation does not fit the code any more, "" when it does."""
    text = (folder / mutation.file).read_text()
    found = text.count(mutation.old)
    if found != 1:
        return f"{mutation.name}: the text to replace stands {found} times in {mutation.file}, not once"
    where, _, test = mutation.test.partition("::")
    if not (folder / where).exists() or f"def {test.partition('[')[0]}(" not in (folder / where).read_text():
        return f"{mutation.name}: there is no {mutation.test}"
    return ""


@contextlib.contextmanager
def staffed(number: int) -> Iterator[list[Worker]]:
    """So many workers, each with a fresh copy; nothing is left of either afterwards."""
    with tempfile.TemporaryDirectory(prefix="deskhand-mutants-") as name:
        Path(name).chmod(0o755)  # the jail's tests also run as an ordinary user
        folders = [Path(name) / str(at) for at in range(number)]
        for folder in folders:
            copy_code(folder)
        workers = [Worker(folder) for folder in folders]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.end()


def copy_code(folder: Path) -> None:
    for part in COPIED:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for part in ("pyproject.toml", "wsgi.py", "run"):
        shutil.copy2(ROOT / part, folder / part)
    for shared in (".tools", ".venv"):
        (folder / shared).symlink_to(ROOT / shared)


def baseline(workers: Sequence[Worker], tests: Sequence[str]) -> str:
    """What pytest says when the named tests fail in untouched copies, "" when they pass. Also compiles the code."""
    for at, worker in enumerate(workers):
        worker.ask(tests[at :: len(workers)] or tests[:1])
    results = [worker.answers.recv() for worker in workers]
    return "\n".join("\n".join(said.splitlines()[-20:]) for code, said in results if code != 0)


def tried(workers: Sequence[Worker], mutations: Sequence[Mutation]) -> Iterator[Verdict]:
    """Each mutation's verdict, as they come. Raises `EOFError` when a worker dies."""
    waiting = list(reversed(mutations))
    free = list(workers)
    busy: dict[object, tuple[Worker, Mutation, float]] = {}
    while waiting or busy:
        while waiting and free:
            worker, mutation = free.pop(), waiting.pop()
            worker.ask(mutation)
            busy[worker.answers] = (worker, mutation, time.monotonic())
        for answers in multiprocessing.connection.wait([one.answers for one, _, _ in busy.values()]):
            worker, mutation, began = busy.pop(answers)
            free.append(worker)
            code, said = worker.answers.recv()
            last = next((line for line in reversed(said.splitlines()) if line.strip()), "")
            verdict = Verdict(mutation, code, last, time.monotonic() - began)
            word = "caught" if verdict.caught else f"MISSED (exit {code})"
            print(f"{word:8} {verdict.took_s:5.1f} s  {mutation.name}", flush=True)
            yield verdict


# Inside a worker ------------------------------------------------------------------------------------------------------


def _serve(folder: Path, jobs: multiprocessing.connection.Connection) -> None:
    """Do one job after the other until there are no more."""
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while (job := jobs.recv()) is not None:
            jobs.send(_try(folder, job) if isinstance(job, Mutation) else _run_tests(folder, job, BASELINE_S))


def _try(folder: Path, mutation: Mutation) -> tuple[int, str]:
    # The copy was made while others may have been writing; a text that is gone there would test nothing.
    problem = misfit(folder, mutation)
    if problem:
        return -1, problem
    target = folder / mutation.file
    sound = target.read_text()
    try:
        _write(target, sound.replace(mutation.old, mutation.new))
        return _run_tests(folder, (mutation.test,), TEST_S)
    finally:
        _write(target, sound)


def _write(target: Path, text: str) -> None:
    """Write `text` and forget its compiled form: same size within one second would count as the same code."""
    target.write_text(text)
    for compiled in (target.parent / "__pycache__").glob(f"{target.stem}.*"):
        compiled.unlink(missing_ok=True)


def _run_tests(folder: Path, tests: Sequence[str], most_s: float) -> tuple[int, str]:
    """pytest's exit code and what it printed; -1 when it took longer than `most_s`."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _become_pytest(folder, tests, said.fileno())
        code, until = -1, time.monotonic() + most_s
        try:
            while time.monotonic() < until:
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    code = os.waitstatus_to_exitcode(status)
                    break
                time.sleep(0.02)
        finally:
            # What a mutated test left running would go on in a copy that is being put right.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            if code == -1:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child, 0)
        said.seek(0)
        return code, said.read().decode(errors="replace")


def _become_pytest(folder: Path, tests: Sequence[str], output: int) -> NoReturn:
    """What `python -m pytest` in `folder` is, short of importing the libraries once more."""
    code = 3
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(folder)
        sys.path[:] = [str(folder), *(one for one in sys.path if one not in ("", str(ROOT)))]
        for name in [one for one in sys.modules if one.partition(".")[0] in (*COPIED, "wsgi")]:
            del sys.modules[name]
        # PostgreSQL's half of a test tells nothing new about a guard.
        plain = ("-q", "-x", "--tb=short", f"--timeout={HANGS_S}", "-p", "no:cacheprovider")
        arguments = (*plain, "-m", "not postgres", *tests)
        code = int(pytest.main(list(arguments)))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
