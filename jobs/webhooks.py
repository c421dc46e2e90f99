"""Delivering a webhook: through the gateway like every other write, under the row's own key."""

from __future__ import annotations

from connectors.errors import ConnectorError, Retryable
from jobs.services import Services
from tickets.events import Cause
from tickets.store import AnyRow

#: Seconds one try may take.
DEADLINE_S = 15


class HookNotTaken(Exception):
    """The receiver did not take it this time; try again later."""


class HookRefused(Exception):
    """The receiver, or the connection's settings, will never take it."""


def send_hook(services: Services, row: AnyRow) -> None:
    """Tell the receiver. Raises `HookNotTaken` or `HookRefused`."""
    payload = row.payload
    cause = Cause.from_json(payload["cause"])
    try:
        services.gateway.call(
            row.recipient,
            "send",
            {"event": payload["event"], "at": payload["at"], "data": payload["data"]},
            deadline_s=DEADLINE_S,
            cause=f"{cause.kind} {cause.code}@{cause.version}/{cause.row}",
            allow_write=True,
            idempotency_key=row.key,
        )
    except Retryable as error:
        raise HookNotTaken(error.sentence) from None
    except ConnectorError as error:
        raise HookRefused(error.sentence) from None
