"""What ./run mutate switches off, one list per package. `old` must stand exactly once in `file`."""

from __future__ import annotations

from tests.mutations.mutation import Mutation
from tests.mutations.work import MUTATIONS as WORK

MUTATIONS: tuple[Mutation, ...] = (*WORK,)

__all__ = ["MUTATIONS", "Mutation"]
