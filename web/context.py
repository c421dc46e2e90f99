"""What a request borrows from the app: its services, and the moment it began."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, cast

from flask import current_app, g

if TYPE_CHECKING:
    from jobs.services import Services

EXTENSION = "deskhand"


def services() -> Services:
    """The services this app was made with."""
    return cast("Services", current_app.extensions[EXTENSION])


def now() -> datetime:
    """The moment this request began: one page shows one time."""
    if "now" not in g:
        g.now = services().clock.now()
    return cast(datetime, g.now)
