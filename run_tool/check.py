"""`./run check`: style, types, import contracts, and which capabilities have a test.

Under a minute, so that it is run before every commit.
"""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from run_tool.commands import complain, say
from run_tool.environment import environment
from run_tool.places import ROOT
from run_tool.rows import covered, kept, promises, rows, sentence

BUDGET_S = 60


def check() -> int:
    """Run every check, also after one failed, and return 1 when any did."""
    python = environment(dev=True)
    tools = python.parent
    checks: dict[str, list[str | Path]] = {
        "mypy": [tools / "mypy", "--no-error-summary", "--no-pretty"],
        "ruff check": [tools / "ruff", "check", "--quiet", "--output-format", "concise", "."],
        "ruff format": [tools / "ruff", "format", "--check", "--quiet", "--output-format", "concise", "."],
        "lint-imports": [tools / "lint-imports", "--no-cache"],
        "tests/test_imports.py": [
            python,
            "-m",
            "pytest",
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            "tests/test_imports.py",
        ],
    }
    started = time.monotonic()
    # mypy is as long as all others together: it gets one core, they share the other.
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = {name: pool.submit(_run, argv) for name, argv in checks.items()}
    failed = []
    for name, result in results.items():
        code, output, took_s = result.result()
        say(f"{'ok  ' if code == 0 else 'FAIL'} {name} ({took_s:.1f} s)")
        if code != 0:
            failed.append(name)
            say(output.rstrip())
    say(sentence(rows(), covered()))
    named = promises()
    say(sentence(list(named), kept(named), "Promises shown"))
    took_s = time.monotonic() - started
    if took_s > BUDGET_S:
        complain(f"The checks took {took_s:.0f} s; they should take under {BUDGET_S} s.")
    say(f"{len(checks) - len(failed)} of {len(checks)} checks passed in {took_s:.1f} s.")
    return 1 if failed else 0


def _run(argv: list[str | Path]) -> tuple[int, str, float]:
    started = time.monotonic()
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=600,
    )
    return done.returncode, done.stdout, time.monotonic() - started
