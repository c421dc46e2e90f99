"""How often one caller may try. Counted in Redis; while Redis is away each web process counts for itself."""

from __future__ import annotations

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from web.access import viewer_or_none

#: Seconds a request waits for Redis before it counts in this process instead.
WAIT_S = 1

limiter = Limiter(
    key_func=get_remote_address,
    in_memory_fallback_enabled=True,
    headers_enabled=False,
    key_prefix="deskhand:limits",
    strategy="moving-window",
)


def person() -> str:
    """Counts per signed-in person, per address where nobody is: limits are looked at before permissions are."""
    viewer = viewer_or_none()
    return f"person:{viewer.key}" if viewer is not None else get_remote_address()


def install(app: Flask, redis_url: str) -> None:
    """`redis_url` as in the settings; "" counts in this process alone (tests, a desk without Redis)."""
    if redis_url.startswith("unix://"):
        redis_url = "redis+" + redis_url
    app.config["RATELIMIT_STORAGE_URI"] = redis_url or "memory://"
    if redis_url:
        app.config["RATELIMIT_STORAGE_OPTIONS"] = {"socket_timeout": WAIT_S, "socket_connect_timeout": WAIT_S}
    limiter.init_app(app)
