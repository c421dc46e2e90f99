"""Two questions of whoever runs Deskhand: does this process answer, and has it everything it needs."""

from __future__ import annotations

import os
from collections.abc import Callable

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from tickets import migrate
from web import store
from web.access import open_to_all
from web.context import services
from web.limits import limiter

pages = Blueprint("health", __name__)


class NotReady(Exception):
    """Something Deskhand needs is missing; the message says what, and what to do."""


def _database() -> None:
    try:
        with services().db.read() as connection:
            store.answers(connection)
    except store.DATABASE_ERRORS as error:
        raise NotReady(
            "The database does not answer; check that it runs and that DESKHAND_DATABASE_URL is right"
        ) from error


def _migrations() -> None:
    try:
        with services().db.read() as connection:
            found = migrate.current(connection)
    except store.DATABASE_ERRORS as error:
        raise NotReady("Unknown while the database does not answer") from error
    if found != migrate.head():
        raise NotReady(f"The database is at {found or 'no version'}, the program at {migrate.head()}: flask db upgrade")


def _redis() -> None:
    # `web` does not import redis; whatever its client raises means that it is not there.
    try:
        services().redis.ping()
    except Exception as error:
        raise NotReady("Redis does not answer; hints are lost until it does, no work is") from error


def _sandbox() -> None:
    try:
        health = services().sandbox.health()
    except Exception as error:
        raise NotReady("The sandbox service does not answer; start it with python -m sandbox.service") from error
    if not health.ready:
        # The reason names paths of this host; flask doctor tells it to whoever may know.
        raise NotReady("The sandbox service refuses scripts on this host; flask doctor says why")


#: What a web process needs, by name.
CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "redis": _redis,
    "sandbox": _sandbox,
}


@pages.get("/healthz")
@open_to_all("says only that the process runs")
@limiter.exempt
def alive() -> ResponseReturnValue:
    return jsonify({"status": "ok", "pid": os.getpid()})


@pages.get("/readyz")
@open_to_all("names parts, no data")
@limiter.exempt
def ready() -> ResponseReturnValue:
    """200 when database, migrations, Redis and sandbox are there; 503 names what is missing."""
    parts: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            check()
        except NotReady as missing:
            parts[name] = str(missing)
        else:
            parts[name] = "ok"
    missing_parts = sorted(name for name, state in parts.items() if state != "ok")
    body = {"status": "ready" if not missing_parts else "not ready", "missing": missing_parts, "parts": parts}
    return jsonify(body), 200 if not missing_parts else 503
