"""Two questions of whoever runs Deskhand: does this process answer, and has it everything it needs."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from jobs import doctor
from jobs.doctor import State
from web.access import open_to_all
from web.context import services
from web.limits import limiter

pages = Blueprint("health", __name__)

#: The parts of `flask doctor` without which pages do not work; "sandbox" stands for its layers, too.
NEEDED = ("database", "redis", "sandbox")


@pages.get("/healthz")
@open_to_all("says only that the process runs")
@limiter.exempt
def alive() -> ResponseReturnValue:
    return jsonify({"status": "ok"})


@pages.get("/readyz")
@open_to_all("names parts and what to do, no details")
@limiter.exempt
def ready() -> ResponseReturnValue:
    """200 when database (with its newest schema), Redis and sandbox are there; 503 names what is missing."""
    # Details may name hosts and paths: those are for `flask doctor`, on the machine itself.
    findings = [one for one in doctor.examine(services()) if one.name.partition(":")[0] in NEEDED]
    missing = [one for one in findings if one.state is State.MISSING]
    body = {
        "status": "not ready" if missing else "ready",
        "oldest_due_s": doctor.oldest_due_s(services()),
        "missing": [{"name": one.name, "todo": one.todo} for one in missing],
        "parts": {one.name: one.state for one in findings},
    }
    return jsonify(body), 503 if missing else 200
