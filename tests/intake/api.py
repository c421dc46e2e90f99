"""A program that calls the API, for tests."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobs.services import Services
from web import api_store


class Api:
    """Calls with a token of one user."""

    def __init__(self, client: FlaskClient, services: Services, user: str, *, days: int | None = 1) -> None:
        self.client = client
        with services.db.write() as connection:
            self.token = api_store.new_token(connection, user=user, name="", now=services.clock.now(), days=days)

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(_full(path), query_string=query or None, headers=self._headers({}))

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> TestResponse:
        more = headers if key is None else {"Idempotency-Key": key, **headers}
        return self.client.post(_full(path), json=body, headers=self._headers(more))

    def patch(self, path: str, body: Any, *, version: str | None = None) -> TestResponse:
        more = {} if version is None else {"If-Match": version}
        return self.client.patch(_full(path), json=body, headers=self._headers(more))

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}


def _full(path: str) -> str:
    return path if path.startswith("/") else f"/api/v1/{path}"


def problem(answer: TestResponse) -> tuple[int, str]:
    """Status and detail of an error, which must be problem+json with a title and a reference."""
    assert answer.mimetype == "application/problem+json"
    body = answer.json
    assert body is not None
    assert body["status"] == answer.status_code
    assert body["title"]
    assert len(body["reference"]) == 8
    return answer.status_code, body["detail"]
