"""How long tests in a browser wait. On its own: a conftest reads it before the fixtures are imported as a plugin."""

from __future__ import annotations

#: Longest anything may take to be so in a page, in milliseconds: a moment where the machine is ours alone.
PATIENCE_MS = 60_000
