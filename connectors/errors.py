"""What can go wrong when we ask the outside world.

ConnectorError
├─ Retryable                 asking again later may help
│  ├─ TimedOut               no answer inside the deadline
│  ├─ RateLimited            too many questions; `retry_after_s` says when to come back, when known
│  ├─ Unavailable            unreachable, or it answered with a failure of its own
│  └─ BreakerOpen            it failed repeatedly, so it is left in peace; nothing was sent
└─ Permanent                 asking again changes nothing until a person changes something
   ├─ CredentialsRejected    the system refuses our key or password
   ├─ NotGranted             this connection or caller may not do that; nothing was sent
   ├─ BadRequest             the question itself is wrong
   ├─ BadAnswer              the answer is not what the operation expects
   ├─ AddressRefused         the address is outside what this installation may reach; nothing was sent
   ├─ TooLarge               the answer is over the size cap; it was dropped
   ├─ Ambiguous              several records match; `candidates` lists them
   ├─ Unclear                a change may have been carried out or not, and asking again could do it twice
   ├─ UnknownConnection
   ├─ UnknownOperation
   ├─ SecretsUnreadable      the stored credentials belong to another key
   └─ BadConfig              a connection's settings are wrong; `problems` lists every one

Sentences are made from names, numbers and text scrubbed of known secrets, so they may be shown, logged and stored.
Errors are raised outside the `except` block that noticed them: an exception of the HTTP library holds the request
with its Authorization header, and must not travel along as the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tickets.values import JSON

#: Longest sentence an error carries, in characters.
MAX_SENTENCE_CHARS = 500


class ConnectorError(Exception):
    """The connector could not answer."""

    #: Whether it was a change that may have been carried out all the same.
    may_be_done: bool = False

    def __init__(self, sentence: str = "") -> None:
        super().__init__((sentence or (self.__doc__ or "").strip())[:MAX_SENTENCE_CHARS])

    @property
    def sentence(self) -> str:
        """What failed and what to do, safe to show to anybody who may see the item."""
        return str(self.args[0])

    @property
    def code(self) -> str:
        """A stable word for this kind of error, e.g. "timed_out"."""
        name = type(self).__name__
        return "".join(
            f"_{char.lower()}" if char.isupper() and index else char.lower() for index, char in enumerate(name)
        )


class Retryable(ConnectorError):
    """Asking again later may help."""

    def __init__(self, sentence: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class TimedOut(Retryable):
    """There was no answer inside the deadline."""


class RateLimited(Retryable):
    """Too many questions were asked. Come back later."""

    #: Whether it was our own limit, before anything was sent: it says nothing of the system.
    unsent: bool = False


class Unavailable(Retryable):
    """The system cannot be reached, or it answered with a failure of its own."""


class BreakerOpen(Retryable):
    """The system failed repeatedly and is left in peace for a moment. Nothing was sent."""


class Permanent(ConnectorError):
    """Asking again changes nothing until a person changes something."""


class CredentialsRejected(Permanent):
    """The system refuses our credentials. Enter new ones on the connection's page."""

    def __init__(self, sentence: str = "", *, status: int = 401) -> None:
        super().__init__(sentence)
        self.status = status


class NotGranted(Permanent):
    """This is not allowed here. Nothing was sent."""


class BadRequest(Permanent):
    """The question is wrong. It will not be answered differently next time."""


class BadAnswer(Permanent):
    """The answer is not what this operation expects."""


class AddressRefused(Permanent):
    """The address is outside what this installation may reach. Nothing was sent."""


class TooLarge(Permanent):
    """The answer is larger than allowed and was dropped."""


class Ambiguous(Permanent):
    """Several records match."""

    def __init__(self, sentence: str = "", *, candidates: Sequence[JSON] = ()) -> None:
        super().__init__(sentence)
        self.candidates = tuple(candidates)


class Unclear(Permanent):
    """The change may have been carried out, or not. It is not sent again by itself: that could do it twice."""


class UnknownConnection(Permanent):
    """There is no such connection."""


class UnknownOperation(Permanent):
    """This connection has no such operation."""


class SecretsUnreadable(Permanent):
    """The stored credentials cannot be read with the keys of this installation. Enter them again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a connection's settings: which form field, and what to do."""

    field: str
    message: str


class BadConfig(Permanent):
    """The connection's settings are not usable. Nothing was saved."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = tuple(problems)
