"""./run mutate: switch off each guard in turn; the test that is named for it must fail each time.

A guard whose test passes without it is not guarded by anything. Every mutation is one replacement of one piece of text
in a copy of the code; the working tree is never touched. The list is `tests/mutations`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from run_tool.places import ROOT
from tests.mutations import MUTATIONS, Mutation

#: Seconds one named test may take, and mutations tried at the same time.
TEST_S = 180
AT_ONCE = 2
COPIED = ("tickets", "rules", "sandbox", "connectors", "jobs", "web", "tests", "run_tool", "docs")


@dataclass(frozen=True)
class Verdict:
    mutation: Mutation
    caught: bool
    said: str
    took_s: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="mutations whose name holds this text")
    parser.add_argument("--list", action="store_true", help="only list them")
    options = parser.parse_args()
    chosen = [one for one in MUTATIONS if not options.only or options.only in one.name]
    problems = [problem for one in chosen if (problem := misfit(one))]
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    if options.list:
        for one in chosen:
            print(f"{one.name}: {one.file} -> {one.test}")
        return 0
    print(f"{len(chosen)} mutations; each must make its test fail.", flush=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(tried, chosen))
    missed = [one for one in verdicts if not one.caught]
    print(f"{len(verdicts) - len(missed)} caught, {len(missed)} missed")
    for one in missed:
        print(f"MISSED {one.mutation.name}: {one.mutation.test} passes without it. {one.said}", file=sys.stderr)
    return 1 if missed else 0


def misfit(mutation: Mutation) -> str:
    """Why a mutation does not fit the code any more, "" when it does."""
    text = (ROOT / mutation.file).read_text()
    found = text.count(mutation.old)
    if found != 1:
        return f"{mutation.name}: the text to replace stands {found} times in {mutation.file}, not once"
    if not (ROOT / mutation.test.partition("::")[0]).exists():
        return f"{mutation.name}: there is no {mutation.test}"
    return ""


def tried(mutation: Mutation) -> Verdict:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deskhand-mutant-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the jail's tests also run as an ordinary user
        copy_code(folder)
        target = folder / mutation.file
        target.write_text(target.read_text().replace(mutation.old, mutation.new))
        code, output = run_test(folder, mutation.test)
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    # 1: tests ran and failed. Anything else (no such test, cannot be collected, too slow) is not a catch.
    verdict = Verdict(mutation, code == 1, last, time.monotonic() - started)
    word = "caught" if verdict.caught else f"MISSED (exit {code})"
    print(f"{word:8} {verdict.took_s:5.1f} s  {mutation.name}", flush=True)
    return verdict


def copy_code(folder: Path) -> None:
    for part in COPIED:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for part in ("pyproject.toml", "wsgi.py", "run"):
        shutil.copy2(ROOT / part, folder / part)
    for shared in (".tools", ".venv"):
        (folder / shared).symlink_to(ROOT / shared)


def run_test(folder: Path, test: str) -> tuple[int, str]:
    command: Sequence[str] = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test)
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=TEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"took more than {TEST_S} s"
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
