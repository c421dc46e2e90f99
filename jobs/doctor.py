"""What is up, what is missing, and what to do about it: the checks behind `flask doctor`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from jobs.clock import due
from jobs.outbox import undelivered, waiting_unsent
from jobs.services import Services
from jobs.tables import RowSetAside
from tickets import clocks, custom_fields, levels, migrate
from tickets.tables import EventRow, Lane

#: Seconds an event may be due before it counts as left lying.
LATE_S = 60


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, with less
    MISSING = "missing"  # something does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `todo` is what a person can do, "" when there is nothing to do."""

    name: str
    state: State
    detail: str
    todo: str = ""


def examine(services: Services) -> list[Finding]:
    """Look at everything. Never raises: what cannot be looked at is a finding."""
    findings: list[Finding] = []
    for name, look, todo in _LOOKS:
        try:
            findings += look(services)
        except Exception as error:
            findings.append(Finding(name, State.MISSING, f"{type(error).__name__}: {error}"[:300], todo))
    return findings


def _database(services: Services) -> list[Finding]:
    with services.db.read() as connection:
        found = migrate.current(connection)
    kind = "SQLite" if services.db.is_sqlite else "PostgreSQL"
    if found != migrate.head():
        at = found or "empty"
        return [Finding("database", State.MISSING, f"{kind}, schema {at}, not {migrate.head()}", "flask db upgrade")]
    return [Finding("database", State.OK, f"{kind}, schema {found}")]


def _redis(services: Services) -> list[Finding]:
    version = services.redis.info("server")["redis_version"]
    return [Finding("redis", State.OK, f"Redis {version}")]


def _sandbox(services: Services) -> list[Finding]:
    health = services.sandbox.health()
    findings = [
        Finding("sandbox", State.OK, f"{health.runs} runs since {health.since}")
        if health.ready
        else Finding("sandbox", State.MISSING, health.reason, "docs/threats.md says what each layer needs")
    ]
    for name, layer in health.layers.items():
        if layer.up:
            findings.append(Finding(f"sandbox: {name}", State.OK, "up"))
        else:
            state = State.MISSING if layer.required else State.WARNING
            findings.append(Finding(f"sandbox: {name}", state, layer.reason or "missing", "docs/threats.md"))
    return findings


def oldest_due_s(services: Services) -> float | None:
    """For how many seconds the oldest event that waits for a worker has been due; 0 when none is.

    None when the database cannot be asked."""
    now = services.clock.now()
    try:
        with services.db.read() as connection:
            oldest = connection.execute(select(func.min(Lane.due_at)).where(Lane.due_at <= now)).scalar_one()
    except SQLAlchemyError:
        return None
    return 0.0 if oldest is None else round((now - oldest).total_seconds(), 1)


def _work(services: Services) -> list[Finding]:
    with services.db.read() as connection:
        now = services.clock.now()
        oldest = connection.execute(
            select(func.min(Lane.due_at)).where(Lane.due_at <= now - timedelta(seconds=LATE_S))
        ).scalar_one()
        parked = connection.execute(
            select(func.count()).select_from(EventRow).where(EventRow.status == "parked")
        ).scalar_one()
        rows = connection.execute(select(func.count()).select_from(RowSetAside)).scalar_one()
        kinds = sorted(due(services, connection))
    findings = []
    if oldest is None:
        findings.append(Finding("work", State.OK, f"due now: {', '.join(kinds) or 'nothing'}"))
    else:
        since = int((now - oldest).total_seconds())
        detail = f"an event has been due for {since} s"
        findings.append(Finding("work", State.WARNING, detail, "is a drain worker running? flask worker drain"))
    if parked:
        findings.append(Finding("events", State.WARNING, f"{parked} parked after an error", "flask events list"))
    if rows:
        findings.append(Finding("rows", State.WARNING, f"{rows} set aside after an error", "the page Set aside"))
    return findings


def _rules(services: Services) -> list[Finding]:
    """What is stored and cannot be read any more: without it the rest goes on."""
    with services.db.read() as connection:
        broken = dict(services.live.current(connection).broken)
        for code, why in clocks.triggers(connection).unreadable.values():
            broken.setdefault(code, why)
        _, calendars = clocks.read_calendars(connection)
        _, policies = levels.read_policies(connection)
    findings = [
        Finding("calendars", State.WARNING, f"{key} cannot be read: {why}"[:300], "give it another zone, or mend it")
        for key, why in calendars.items()
    ]
    findings += [
        Finding(
            "sla", State.WARNING, f"{key} cannot be read: {why}"[:300], "mend it at /sla; until then it covers nothing"
        )
        for key, why in policies.items()
    ]
    findings += [
        Finding("rules", State.WARNING, f"{code} cannot run: {why}"[:300], "mend it, or publish an earlier version")
        for code, why in sorted(broken.items())
    ]
    return findings or [Finding("rules", State.OK, "every live version can be read")]


def _mail(services: Services) -> list[Finding]:
    with services.db.read() as connection:
        unsent = waiting_unsent(connection)
        given_up = undelivered(connection)
    if services.settings.smtp_url:
        findings = [Finding("e-mail", State.OK, f"sent through DESKHAND_SMTP_URL; {unsent} wait")]
    else:
        detail = f"no SMTP server is set; {unsent} messages wait in the outbox"
        findings = [Finding("e-mail", State.WARNING, detail, "set DESKHAND_SMTP_URL")]
    if given_up:
        detail = f"{len(given_up)} were not delivered; the newest, {given_up[0].id}: {given_up[0].reason}"
        findings.append(Finding("e-mail", State.WARNING, detail, "flask outbox list, then flask outbox retry"))
    return findings


def _fields(services: Services) -> list[Finding]:
    with services.db.read() as connection:
        found = custom_fields.covered(connection)
    if not found:
        return [Finding("fields", State.OK, "none has the key of a built-in one")]
    named = ", ".join(f"{one.kind}.{one.key} ({one.label})" for one in found)
    todo = "make a field with another name and set it by the API or a rule; values given before stay stored"
    return [Finding("fields", State.WARNING, f"a built-in field of the same key covers {named}", todo)]


_LOOKS: tuple[tuple[str, Callable[[Services], list[Finding]], str], ...] = (
    ("database", _database, "check that it runs and that DESKHAND_DATABASE_URL is right"),
    ("redis", _redis, "start it, or set DESKHAND_REDIS_URL; work goes on, more slowly"),
    ("sandbox", _sandbox, "start it: python -m sandbox.service --socket PATH"),
    ("work", _work, "check the database first"),
    ("rules", _rules, "check the database first"),
    ("e-mail", _mail, "check the database first"),
    ("fields", _fields, "check the database first"),
)
