"""/metrics: figures for Prometheus, for whoever has the token of the settings.

An address is no proof here: behind a proxy on the same machine everybody comes from the loopback.
"""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue

from jobs import metrics as figures
from web.access import open_to_all
from web.context import services
from web.limits import limiter

pages = Blueprint("metrics", __name__)


@pages.get("/metrics")
@open_to_all("asks for the token of DESKHAND_METRICS_TOKEN; without that setting there is no such page")
@limiter.limit("120 per minute")
def show() -> ResponseReturnValue:
    """404 without the setting, 401 without its token."""
    token = services().settings.metrics_token
    if not token:
        abort(404)
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        return Response("Say Authorization: Bearer and the token.\n", 401, {"WWW-Authenticate": "Bearer"})
    return Response(figures.text(services()), content_type="text/plain; version=0.0.4; charset=utf-8")
