"""Addresses of static files, with a hash of their content so that browsers may keep them for ever.

`asset("htmx.js")` is a file the build made (`web/static/dist`, named in its manifest.json); `file("css/deskhand.css")`
is one we keep by hand. Pages work without the built ones: a missing bundle is left out, not an error.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

from flask import Flask, g, url_for

STATIC = Path(__file__).parent / "static"


def file(path: str) -> str:
    """The address of a file under web/static, with its version."""
    # Asked for once per request: a page has some forty icons, all of them in one file.
    known: dict[str, str] = g.setdefault("static_files", {})
    if path not in known:
        known[path] = url_for("static", filename=path, v=_version(path, (STATIC / path).stat().st_mtime_ns))
    return known[path]


def asset(name: str) -> str | None:
    """The address of a built file, e.g. "htmx.js", or None where nothing was built."""
    manifest = STATIC / "dist" / "manifest.json"
    if not manifest.exists():
        return None
    built = _manifest(manifest.stat().st_mtime_ns).get(name)
    return None if built is None else file(f"dist/{built}")


@cache
def _version(path: str, _changed_ns: int) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


@cache
def _manifest(_changed_ns: int) -> dict[str, str]:
    found = json.loads((STATIC / "dist" / "manifest.json").read_text())
    files = found.get("files", found)
    return {name: entry["file"] if isinstance(entry, dict) else str(entry) for name, entry in files.items()}


def install(app: Flask) -> None:
    app.jinja_env.globals.update(asset=asset, static_file=file)
