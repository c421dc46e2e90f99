"""What ./run mutate switches off, one list per thing that is guarded. `old` must stand exactly once in `file`."""

from __future__ import annotations

from tests.mutations import (
    actions,
    aside,
    broker,
    changes,
    clock,
    connectors,
    desk,
    doors,
    engine,
    hints,
    index,
    intake,
    kept,
    lanes,
    language,
    lint,
    mail,
    pages,
    policy,
    replays,
    runs,
    scripts,
    selecting,
    store,
    undoing,
    walls,
    writes,
)
from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = tuple(
    mutation
    for part in (
        lanes,
        hints,
        runs,
        store,
        aside,
        language,
        engine,
        index,
        lint,
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
