"""What RQ may call. No arguments: a hint says that work is due, the database says which."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs import automation, enrichment, mailboxes, outbox, runs
from jobs.queues import Work
from jobs.replays import work as replays
from jobs.services import Services

#: Seconds without a word after which a drain job ends, and after which it ends although words come: RQ's worker then
#: gives its sign of life.
QUIET_S = 1.0
LISTEN_S = 10.0

_services: Services | None = None
_stopping: Callable[[], bool] | None = None


def use(services: Services, *, stopping: Callable[[], bool] | None = None) -> None:
    """Give this process its parts. Called once by the worker, before the first job.

    With `stopping`, which says whether the process was asked to end, a drain job listens on after its work."""
    global _services, _stopping
    _services, _stopping = services, stopping


def drain() -> int:
    """Work off what is due; then, in a worker, stay for a while to be told of more without a job for each."""
    services = _need()
    handled = automation.drain(services)
    if _stopping is None:
        return handled
    end = time.monotonic() + LISTEN_S
    # It is listed while it works, too: whoever rings meanwhile is heard after it.
    ear = services.queues.ear(Work.DRAIN, listed_s=services.settings.drain_budget_s + QUIET_S + 1)
    heard = False
    try:
        while ear.open():
            handled += automation.drain(services)
            over = _stopping() or time.monotonic() >= end
            heard = ear.heard(0 if over else QUIET_S)
            if over or not heard:
                break
    finally:
        ear.close()
    if heard or ear.deaf:  # at the very end; or Redis went away, and hints with it
        handled += automation.drain(services)
    return handled


def scripts() -> int:
    """Run what is due; then a turn at a replay, which is in no hurry: a script that comes meanwhile waits a moment."""
    return runs.run_due(_need()) + (replays.carry_on(_need()) or 0)


def enrichment_due() -> int:
    return enrichment.enrich(_need()) + mailboxes.collect(_need())


def outbox_due() -> int:
    return outbox.deliver(_need())


def look(work: Work) -> int:
    """Do what is due of this kind, without having been told."""
    return automation.drain(_need()) if work is Work.DRAIN else _FUNCTIONS[work]()


_FUNCTIONS: dict[Work, Callable[[], int]] = {
    Work.SCRIPTS: scripts,
    Work.ENRICHMENT: enrichment_due,
    Work.OUTBOX: outbox_due,
}


def _need() -> Services:
    assert _services is not None, "jobs.tasks.use(services) comes first"
    return _services
