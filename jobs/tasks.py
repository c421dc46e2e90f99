"""What RQ may call. No arguments: a hint says that work is due, the database says which."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs import automation, enrichment, mailboxes, outbox, runs
from jobs.queues import Work
from jobs.replays import work as replays
from jobs.schema import Schema
from jobs.services import Services

#: Seconds without a word after which a drain job ends, and after which it ends although words come: RQ's worker then
#: gives its sign of life.
QUIET_S = 1.0
LISTEN_S = 10.0

_services: Services | None = None
_schema: Schema | None = None
_stopping: Callable[[], bool] | None = None


def use(services: Services, *, stopping: Callable[[], bool] | None = None) -> None:
    """Give this process its parts. Called once by the worker, before the first job.

    With `stopping`, which says whether the process was asked to end, a drain job listens on after its work."""
    global _services, _stopping, _schema
    _services, _stopping, _schema = services, stopping, Schema(services.db)


def drain() -> int:
    """Work off what is due; then, in a worker, stay for a while to be told of more without a job for each."""
    services = _need()
    if not _fits():
        return 0
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
    if not _fits():
        return 0
    return runs.run_due(_need(), stopping=_asked_to_end) + (replays.carry_on(_need()) or 0)


def enrichment_due() -> int:
    """Ask what is due, for so long and no longer: the mailboxes must have their turn however much there is to ask."""
    if not _fits():
        return 0
    return enrichment.enrich(_need(), stopping=_asked_to_end) + mailboxes.collect(_need())


def outbox_due() -> int:
    if not _fits():
        return 0
    return outbox.deliver(_need(), stopping=_asked_to_end)


def look(work: Work) -> int:
    """Do what is due of this kind, without having been told."""
    if work is not Work.DRAIN:
        return _FUNCTIONS[work]()
    return automation.drain(_need()) if _fits() else 0


_FUNCTIONS: dict[Work, Callable[[], int]] = {
    Work.SCRIPTS: scripts,
    Work.ENRICHMENT: enrichment_due,
    Work.OUTBOX: outbox_due,
}


def _asked_to_end() -> bool:
    """Whether nothing more is to be begun: what is claimed now would be cut short, and lie until its lease is over."""
    return _stopping is not None and _stopping()


def _fits() -> bool:
    assert _schema is not None, "jobs.tasks.use(services) comes first"
    return _schema.fits()


def _need() -> Services:
    assert _services is not None, "jobs.tasks.use(services) comes first"
    return _services
