"""What connected systems were asked about somebody who is erased, and said: found by its inputs, and dropped.

An answer may come when its person is erased already. Who asked finds its row ended by the erasure then, and has what
the gateway has stored meanwhile dropped, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select

from connectors import store as connections
from connectors.errors import BadRequest
from connectors.store import CallTable, RecordTable
from connectors.system import check_args, fingerprint

log = logging.getLogger(__name__)

#: What the key of an erased lookup begins with.
ERASED_KEY = "erased-"
#: Values one statement names at most.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Question:
    """One question to a connection, as it was asked."""

    connection: str
    operation: str
    args: Mapping[str, Any]


def prints(connection: Connection, questions: Iterable[Question]) -> set[str]:
    """What stored answers and calls know these questions by; a question without inputs is about nobody."""
    known = {(one.connection, one.name): one for one in connections.describe(connections.connections(connection))}
    found: set[str] = set()
    for one in questions:
        found.add(fingerprint(one.args))
        operation = known.get((one.connection, one.operation))
        if operation is None:
            continue
        try:
            found.add(fingerprint(check_args(operation, one.args)))
        except BadRequest:
            continue  # it was never sent
    return found - {fingerprint({})}


def asked_by_run(connection: Connection, run_id: int) -> set[str]:
    """The same of what a run has asked so far: until it ends by itself, and of earlier attempts, only the list of calls
    knows."""
    mine = CallTable.cause.startswith(f"run {run_id} of ", autoescape=True)
    return set(connection.execute(select(CallTable.inputs_hash).where(mine)).scalars()) - {"", fingerprint({})}


def forget(connection: Connection, hashes: Iterable[str]) -> tuple[int, int]:
    """Drop these answers and calls; how many of each."""
    answers = calls = 0
    every = sorted(hashes)
    for at in range(0, len(every), CHUNK):
        some = every[at : at + CHUNK]
        answers += connection.execute(delete(RecordTable).where(RecordTable.inputs_hash.in_(some))).rowcount
        calls += connection.execute(delete(CallTable).where(CallTable.inputs_hash.in_(some))).rowcount
    return answers, calls


def forget_late(connection: Connection, questions: Iterable[Question], **ids: int) -> None:
    """Drop what came back about somebody who was erased meanwhile. `ids` are named in the log."""
    answers, calls = forget(connection, prints(connection, questions))
    log.info("erased.meanwhile", extra={**ids, "answers": answers, "calls": calls})
