"""One log line per request that changes something: which page, what came of it, and the ids it was about."""

from __future__ import annotations

import logging

from flask import Flask, Response, request

from web.access import viewer_or_none

log = logging.getLogger(__name__)

#: Parts of addresses that are ids, by what log lines call them.
IDS = {"item_id": "item", "run_id": "run", "lookup_id": "lookup", "code": "entry", "mail_id": "mail"}


def _note(response: Response) -> Response:
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        viewer = viewer_or_none()
        about = {IDS[name]: value for name, value in (request.view_args or {}).items() if name in IDS}
        log.info(
            "web.change",
            extra={
                "page": request.endpoint or "none",
                "status": response.status_code,
                "user": "" if viewer is None else viewer.key,
                **about,
            },
        )
    return response


def install(app: Flask) -> None:
    app.after_request(_note)
