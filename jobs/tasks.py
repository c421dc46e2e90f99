"""What RQ may call. No arguments: a hint says that work is due, the database says which."""

from __future__ import annotations

from jobs import automation, enrichment, mailboxes, outbox, runs
from jobs.services import Services

_services: Services | None = None


def use(services: Services) -> None:
    """Give this process its parts. Called once by the worker, before the first job."""
    global _services
    _services = services


def drain() -> int:
    return automation.drain(_need())


def scripts() -> int:
    return runs.run_due(_need())


def enrichment_due() -> int:
    return enrichment.enrich(_need()) + mailboxes.collect(_need())


def outbox_due() -> int:
    return outbox.deliver(_need())


def _need() -> Services:
    assert _services is not None, "jobs.tasks.use(services) comes first"
    return _services
