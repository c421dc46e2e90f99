"""What ./run mutate switches off, one list per thing that is guarded. `old` must stand exactly once in `file`."""

from __future__ import annotations

from tests.mutations import (
    actions,
    clock,
    connectors,
    desk,
    doors,
    engine,
    intake,
    language,
    mail,
    pages,
    sandbox,
    scripts,
    work,
)
from tests.mutations.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = tuple(
    mutation
    for part in (
        work,
        language,
        engine,
        actions,
        sandbox,
        scripts,
        connectors,
        doors,
        pages,
        intake,
        clock,
        desk,
        mail,
    )
    for mutation in part.MUTATIONS
)

__all__ = ["MUTATIONS", "Mutation"]
