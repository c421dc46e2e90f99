"""`./run lock`: make the lock files anew from pyproject.toml and web/assets/package.json.

They carry versions and hashes and name no host: which index or mirror is asked is each machine's own setting.
"""

from __future__ import annotations

import json
from pathlib import Path

from run_tool.commands import quietly, say
from run_tool.editor import node
from run_tool.environment import DEV_LOCK, RUNTIME_LOCK, environment
from run_tool.places import ASSETS, LOCKS, ROOT

OLDEST_PYTHON = "3.11"


def lock(*, upgrade: bool) -> int:
    """Write all lock files; without `upgrade` a version stays unless pyproject.toml rules it out."""
    uv = environment(dev=True).parent / "uv"
    _compile(uv, RUNTIME_LOCK, ["pyproject.toml"], upgrade)
    _compile(uv, DEV_LOCK, ["pyproject.toml", "--group", "dev", "-c", RUNTIME_LOCK.name], upgrade)
    for group in ("installer", "node"):
        _compile(uv, LOCKS / f"{group}.lock", ["--group", f"pyproject.toml:{group}"], upgrade)
    _npm_lock(upgrade)
    return 0


def _compile(uv: Path, target: Path, sources: list[str], upgrade: bool) -> None:
    shown = target.relative_to(ROOT)
    how = ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-emit-index-url"]
    how += ["--custom-compile-command", "./run lock", *(["--upgrade"] if upgrade else [])]
    quietly(
        [uv, "pip", "compile", *how, *sources, "--output-file", shown],
        f"Locking {shown}",
        timeout_s=300,
        cwd=ROOT,
    )
    say(f"Wrote {shown}")


def _npm_lock(upgrade: bool) -> None:
    """Versions in package.json are exact; `upgrade` renews only what they pull in."""
    tools = node()
    target = ASSETS / "package-lock.json"
    if upgrade:
        target.unlink(missing_ok=True)
    quietly(
        [
            *tools.npm,
            *("install", "--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved"),
            *("--no-audit", "--no-fund"),
        ],
        "Locking web/assets/package-lock.json",
        timeout_s=300,
        cwd=ASSETS,
        env=tools.env,
    )
    # npm keeps "resolved" addresses that an older lock already had.
    content = json.loads(target.read_text())
    for package in content["packages"].values():
        package.pop("resolved", None)
    target.write_text(json.dumps(content, indent=2) + "\n")
    say(f"Wrote {target.relative_to(ROOT)}")
