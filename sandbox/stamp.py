"""What compiled code depends on besides its source: this Python, RestrictedPython's transformer and our policy.

Worker and jailed child compute it from the same files, so code from before an upgrade is never taken for today's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from os.path import dirname, join
from typing import Any

_OURS = ("policy.py", "names.py", "stamp.py")


def _sha256() -> Any:
    """Python's own SHA-256. `hashlib` would bring OpenSSL along, whose pages every child pays for at its fork."""
    try:
        return import_module("_sha2").sha256
    except ImportError:
        return import_module("_sha256").sha256  # before Python 3.12


sha256 = _sha256()


def _stamp() -> str:
    # The transformer's own bytes rather than its version number: a patched one compiles differently as well.
    spec = PathFinder.find_spec("RestrictedPython")
    found = spec.submodule_search_locations if spec is not None else None
    if not found:
        raise ImportError("RestrictedPython is not installed; scripts cannot be compiled")
    digest = sha256(f"{sys.version} {sys.implementation.cache_tag}".encode())
    for path in (*(join(dirname(__file__), name) for name in _OURS), join(found[0], "transformer.py")):
        with open(path, "rb") as file:
            digest.update(sha256(file.read()).digest())
    return str(digest.hexdigest())


#: Read once, where files can still be read: a jailed child has none.
STAMP = _stamp()


def code_key(source: str) -> str:
    """The name under which the compiled form of this source is kept; another source, Python or policy has another."""
    return str(sha256(f"{STAMP}\n{source}".encode()).hexdigest())
