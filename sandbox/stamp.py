"""What compiled code depends on besides its source: this Python, RestrictedPython's transformer and our policy.

Worker and jailed child compute it from the same files, so code from before an upgrade is never taken for today's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

_OURS = ("policy.py", "names.py", "stamp.py")


def _stamp() -> str:
    # The transformer's own bytes rather than its version number: a patched one compiles differently as well.
    spec = importlib.util.find_spec("RestrictedPython")
    found = spec.submodule_search_locations if spec is not None else None
    if not found:
        raise ImportError("RestrictedPython is not installed; scripts cannot be compiled")
    digest = hashlib.sha256(f"{sys.version} {sys.implementation.cache_tag}".encode())
    for path in (*(Path(__file__).with_name(name) for name in _OURS), Path(found[0], "transformer.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


#: Read once, where files can still be read: a jailed child has none.
STAMP = _stamp()


def code_key(source: str) -> str:
    """The name under which the compiled form of this source is kept; another source, Python or policy has another."""
    return hashlib.sha256(f"{STAMP}\n{source}".encode()).hexdigest()
