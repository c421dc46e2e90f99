"""What can go wrong around a script.

SandboxError
├─ BadContract       a value that crosses this seam has the wrong shape
├─ ProtocolError     the other end of a socket sent what it may not send
├─ LayerMissing      one wall of the jail could not be raised
├─ BadCatalogue      a file of sentences lacks a language or a placeholder
└─ ServiceUnavailable  no sandbox service answers, or it refuses to run scripts

What goes wrong *inside* a script is not raised: it is a `Code` in the outcome.
"""

from __future__ import annotations

from enum import StrEnum


class SandboxError(Exception):
    """Base of everything `sandbox` raises on purpose."""


class BadContract(SandboxError):
    """A value given to the sandbox does not have the shape that `sandbox.contract` describes."""


class ProtocolError(SandboxError):
    """The other end sent a frame that the protocol does not allow. Nothing of it was used."""


class LayerMissing(SandboxError):
    """A layer of the jail could not be set up on this machine."""


class BadCatalogue(SandboxError):
    """A file of translated sentences is not complete. It is not used at all; mend the line that is named."""


class ServiceUnavailable(SandboxError):
    """No sandbox service answers here. Start it with `python -m sandbox.service --socket PATH`."""


class Code(StrEnum):
    """Why a script did not run to its end, or what a problem in its source is. Documented in docs/scripting.md."""

    SYNTAX = "SYNTAX"
    FORBIDDEN = "FORBIDDEN"
    NAME = "NAME"
    ATTRIBUTE = "ATTRIBUTE"
    ARGUMENT = "ARGUMENT"  # check only: a call with a wrong or missing argument
    SUSPICIOUS = "SUSPICIOUS"  # check only, a warning: text that reads differently from what it does
    RUNTIME = "RUNTIME"
    VALUE = "VALUE"
    MEMORY = "MEMORY"
    CONNECTOR = "CONNECTOR"  # an uncaught Unavailable: worth another try later
    AMBIGUOUS = "AMBIGUOUS"  # an uncaught Ambiguous: a person has to choose
    DENIED = "DENIED"
    TIMEOUT_CPU = "TIMEOUT_CPU"
    TIMEOUT_WALL = "TIMEOUT_WALL"
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    SANDBOX_VIOLATION = "SANDBOX_VIOLATION"
    CRASH = "CRASH"
    LOST = "LOST"  # the process was ended from outside; the same run may simply be tried again
    PROTOCOL = "PROTOCOL"
    SANDBOX_UNAVAILABLE = "SANDBOX_UNAVAILABLE"
    CANCELLED = "CANCELLED"


#: What the child may say about itself. Everything else is decided by the parent from its own evidence.
CHILD_CODES = frozenset(
    {Code.SYNTAX, Code.FORBIDDEN, Code.NAME, Code.ATTRIBUTE, Code.RUNTIME, Code.VALUE, Code.MEMORY, Code.OUTPUT_LIMIT}
    | {Code.CONNECTOR, Code.AMBIGUOUS, Code.DENIED, Code.TOO_MANY_CALLS}
)
#: What it may say about a source that it did not run.
PROBLEM_CODES = frozenset({Code.SYNTAX, Code.FORBIDDEN, Code.NAME, Code.ATTRIBUTE, Code.ARGUMENT, Code.SUSPICIOUS})
