"""The names a script finds; see `sandbox.names`. Kept here for those who look among the child's modules."""

from __future__ import annotations

from sandbox.names import ALL, BUILTINS, EXCEPTIONS, FACADES, FACTS, INSTEAD, MEMBERS, VERBS

__all__ = ["ALL", "BUILTINS", "EXCEPTIONS", "FACADES", "FACTS", "INSTEAD", "MEMBERS", "VERBS"]
