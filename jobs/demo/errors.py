"""What can go wrong with the demo.

DemoError
├─ NotLoaded        this desk has no demo in it
├─ AlreadyLoaded    it has, and loading twice would double it
├─ NotOurs          this desk holds somebody's own data; the demo neither joins nor removes it
├─ PortsTaken       another program listens where the back office should
└─ BackOfficeAway   the demo's back office does not answer
"""

from __future__ import annotations


class DemoError(Exception):
    """Base of everything the demo raises on purpose."""


class NotLoaded(DemoError):
    """The demo desk is not loaded here. Load it with `flask demo load`."""


class AlreadyLoaded(DemoError):
    """The demo desk is loaded already. Nothing was changed; `flask demo reset` begins anew."""


class NotOurs(DemoError):
    """This desk holds data that the demo did not make. Nothing was changed."""


class PortsTaken(DemoError):
    """Another program listens on a port of the demo's back office."""


class BackOfficeAway(DemoError):
    """The demo's back office does not answer. `./run` starts it; by hand: `python -m jobs.backoffice`."""
