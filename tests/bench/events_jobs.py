"""The jobs of ./run bench events, in a module of their own: RQ calls functions by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jobs import automation, lanes
from jobs.services import Services

#: The services of the jobs below, and the seconds of the processor spent inside them.
AT_WORK: dict[str, Any] = {"services": None, "inside_s": 0.0, "handled": 0}


def drain_all() -> None:
    """What one hint of ours does."""
    _within(lambda services: automation.drain(services, budget_s=services.settings.drain_budget_s))


def drain_one() -> None:
    """What the ordinary job does: one event, decided and committed by the same code."""

    def one(services: Services) -> int:
        claim = lanes.claim(services.db, services.clock.now(), lease_s=10, lanes=1)
        return sum(automation.work_lane(services, claim.token, item_id) for item_id in claim.items)

    _within(one)


def nothing() -> None:
    """A job that does nothing."""


def _within(work: Callable[[Services], int]) -> None:
    begun = time.process_time()
    AT_WORK["handled"] += work(AT_WORK["services"])
    AT_WORK["inside_s"] += time.process_time() - begun
