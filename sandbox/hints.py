"""The way out of a wrong name: what was meant, or what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from sandbox import names


def name_hint(wrong: str, known: Iterable[str], *, dotted: bool) -> str:
    """A hint for a name that nothing has, of a script that is checked or runs; `dotted`: it stands before a dot.

    What stands there is a connection, a fact, a facade or the script's own, never `chr` for `crm`."""
    called = names.BUILTINS | names.EXCEPTIONS | names.VERBS if dotted else frozenset()
    return names.INSTEAD.get(wrong) or did_you_mean(wrong, set(known) - called)


def signature(what: str, params: Iterable[tuple[str, bool]]) -> str:
    """How something is called: its parameters by name, each with whether it must be given."""
    return f"{what}({', '.join(name if required else f'{name}=...' for name, required in params)})"


def json_argument_hint(what: str, wrong: str) -> str:
    """What to do about an argument that a function of json does not take here."""
    return names.WITHOUT.get(f"{what}.{wrong}") or what + names.MEMBERS["json"][what.partition(".")[2]]


def too_many_arguments(what: str, takes: int, given: int) -> str:
    """The sentence for a call with more arguments than there are parameters."""
    return f"{what} takes {takes} argument{'s' if takes != 1 else ''}, not {given}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint with the nearest of the known names, or the whole list where it is short, or ""."""
    every = sorted(name for name in known if not name.startswith("_"))
    near = difflib.get_close_matches(wrong[:60], every, n=1, cutoff=0.6)
    near = near or [name for name in every if len(wrong) > 2 and name.startswith(wrong)][-1:]
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"There are: {', '.join(every)}." if 0 < len(every) <= 15 else ""
