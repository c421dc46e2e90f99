"""The figures of an installation in Prometheus' text format, read from the database when asked for.

No process counts for itself, so restarts lose nothing and any web process may be asked. Every figure is read by an
index or from the newest rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import Connection, func, select

from connectors.store import CallTable, connections
from jobs.services import Services
from jobs.tables import DecisionRow, LookupRow, OutboxRow, RunRow
from tickets.events import EventKind
from tickets.tables import EventRow, Lane

#: Minutes that "lately" means, and how many of the newest decisions the lag is taken from.
LATELY_MIN = 5
NEWEST = 500


@dataclass(slots=True)
class Figure:
    """One metric: `samples` are (labels, value)."""

    name: str
    kind: str  # counter | gauge
    help: str
    samples: list[tuple[Mapping[str, str], float]] = field(default_factory=list)


def text(services: Services) -> str:
    """All figures as Prometheus reads them. Raises what the database raises when it is away."""
    with services.db.read() as connection:
        figures = list(_figures(services, connection))
    up = Figure("deskhand_redis_up", "gauge", "Whether Redis answers; work goes on without it.")
    try:
        services.redis.ping()
        up.samples.append(({}, 1))
    except (RedisError, OSError):
        up.samples.append(({}, 0))
    return "".join(_lines([*figures, up]))


def _figures(services: Services, connection: Connection) -> Iterable[Figure]:
    now = services.clock.now()
    lately = now - timedelta(minutes=LATELY_MIN)
    for name, table in (("events", EventRow), ("decisions", DecisionRow), ("runs", RunRow)):
        newest = connection.execute(select(func.max(table.id))).scalar_one() or 0
        said = f"Number of the newest of the {name}; numbers are given in order and may have gaps."
        yield Figure(f"deskhand_{name}_total", "counter", said, [({}, newest)])
    open_events = connection.execute(
        select(EventRow.status, func.count()).where(EventRow.status != "done").group_by(EventRow.status)
    ).all()
    yield _by("deskhand_events_open", "Events that are not done, by status.", "status", open_events)
    yield _by(
        "deskhand_decisions_lately",
        f"Decisions of the last {LATELY_MIN} minutes, by outcome.",
        "outcome",
        connection.execute(
            select(DecisionRow.outcome, func.count()).where(DecisionRow.at > lately).group_by(DecisionRow.outcome)
        ).all(),
    )
    yield _by(
        "deskhand_runs_lately",
        f"Runs asked for within the last {LATELY_MIN} minutes, by status.",
        "status",
        connection.execute(
            select(RunRow.status, func.count()).where(RunRow.created_at > lately).group_by(RunRow.status)
        ).all(),
    )
    yield from _due(connection, now)
    yield _lag(connection)
    yield _lateness(connection, lately)
    yield _by(
        "deskhand_outbox",
        "Deliveries that wait (due) or were given up (failed, capped, held, bounced, unclear).",
        "status",
        connection.execute(
            select(OutboxRow.status, func.count()).where(OutboxRow.status != "sent").group_by(OutboxRow.status)
        ).all(),
    )
    yield _calls(connection, lately)


def _due(connection: Connection, now: Any) -> Iterable[Figure]:
    count = Figure("deskhand_work_due", "gauge", "Rows of work that are due now, by kind.")
    oldest = Figure("deskhand_work_oldest_seconds", "gauge", "How long the oldest of them has been due, in seconds.")
    for kind, table, only in (
        ("drain", Lane, ()),
        ("scripts", RunRow, ()),
        ("enrichment", LookupRow, ()),
        ("outbox", OutboxRow, (OutboxRow.status == "due",)),
    ):
        due_at = table.__table__.c.due_at
        found, since = connection.execute(select(func.count(), func.min(due_at)).where(due_at <= now, *only)).one()
        count.samples.append(({"work": kind}, found))
        oldest.samples.append(({"work": kind}, (now - since).total_seconds() if since else 0))
    yield count
    yield oldest


def _lag(connection: Connection) -> Figure:
    newest = (
        select(DecisionRow.event_id, DecisionRow.at)
        .where(DecisionRow.part == 1)
        .order_by(DecisionRow.id.desc())
        .limit(NEWEST)
        .subquery()
    )
    rows = connection.execute(select(newest.c.at, EventRow.at).join(EventRow, EventRow.id == newest.c.event_id)).all()
    lags = sorted((decided - happened).total_seconds() for decided, happened in rows)
    said = f"Seconds from accepted to decided, of the newest {NEWEST} decisions."
    figure = Figure("deskhand_decision_lag_seconds", "gauge", said)
    for share in (0.5, 0.95, 1.0):
        if lags:
            figure.samples.append(({"quantile": str(share)}, lags[min(len(lags) - 1, int(share * len(lags)))]))
    return figure


def _lateness(connection: Connection, lately: Any) -> Figure:
    said = f"Seconds from the time a rule waited for to its event, of the last {LATELY_MIN} minutes, at most {NEWEST}."
    figure = Figure("deskhand_timer_lateness_seconds", "gauge", said)
    payloads = connection.execute(
        select(EventRow.payload)
        .where(EventRow.at > lately, EventRow.kind == EventKind.TIMER)
        .order_by(EventRow.at.desc())
        .limit(NEWEST)
    ).scalars()
    late = sorted(float(one.get("late_s", 0)) for one in payloads)
    for share in (0.5, 0.95, 1.0):
        if late:
            figure.samples.append(({"quantile": str(share)}, late[min(len(late) - 1, int(share * len(late)))]))
    return figure


def _calls(connection: Connection, lately: Any) -> Figure:
    figure = Figure(
        "deskhand_connector_calls_lately", "gauge", f"Calls of the last {LATELY_MIN} minutes, by connection and status."
    )
    for one in connections(connection):
        rows = connection.execute(
            select(CallTable.status, func.count())
            .where(CallTable.connection == one.name, CallTable.at > lately)
            .group_by(CallTable.status)
        ).all()
        figure.samples += [({"connection": one.name, "status": status}, count) for status, count in rows]
    return figure


def _by(name: str, said: str, label: str, rows: Iterable[Any]) -> Figure:
    return Figure(
        name, "gauge", said, [({label: str(key)}, count) for key, count in sorted(tuple(row) for row in rows)]
    )


def _lines(figures: Iterable[Figure]) -> Iterable[str]:
    for figure in figures:
        yield f"# HELP {figure.name} {figure.help}\n# TYPE {figure.name} {figure.kind}\n"
        for labels, value in figure.samples:
            told = ",".join(f'{name}="{_escaped(said)}"' for name, said in labels.items())
            yield f"{figure.name}{{{told}}} {value:.15g}\n" if told else f"{figure.name} {value:.15g}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
