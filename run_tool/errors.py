"""What ./run says when it cannot go on."""

from __future__ import annotations


class CannotGoOn(Exception):
    """Something ./run needs is not there. The message is for a person: what failed, what was done, what to do."""


class CommandFailed(CannotGoOn):
    """A program ./run started answered with a failure; its own last lines are in the message."""


class IndexUnreachable(CannotGoOn):
    """The package index gave no answer, so something that has to be installed could not be."""


class Interrupted(Exception):
    """A person or the system asked ./run to stop while it was still working."""
