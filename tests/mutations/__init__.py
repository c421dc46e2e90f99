"""What ./run mutate switches off, one list per thing that is guarded. `old` must stand exactly once in `file`."""

from __future__ import annotations

from tests.mutations import (
    actions,
    broker,
    changes,
    clock,
    connectors,
    desk,
    doors,
    engine,
    intake,
    kept,
    language,
    mail,
    pages,
    policy,
    replays,
    scripts,
    selecting,
    undoing,
    walls,
    work,
    writes,
)
from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = tuple(
    mutation
    for part in (
        work,
        language,
        engine,
        actions,
        walls,
        policy,
        replays,
        broker,
        scripts,
        connectors,
        writes,
        doors,
        pages,
        intake,
        kept,
        clock,
        desk,
        mail,
        changes,
        selecting,
        undoing,
    )
    for mutation in part.MUTATIONS
)

__all__ = ["MUTATIONS", "Mutation"]
