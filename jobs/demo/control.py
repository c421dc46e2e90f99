"""How the demo page speaks to the back office: which systems are up, stop and start them, tell it of a customer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from jobs.demo.backoffice import Mood
from jobs.demo.errors import BackOfficeAway
from jobs.demo.places import Places, SystemName
from jobs.demo.world import Customer

#: Seconds one command may take, and the longest answer read, in bytes.
TIMEOUT_S = 10
MAX_ANSWER_BYTES = 100_000


def moods(places: Places) -> dict[SystemName, Mood]:
    """How each system behaves now. Raises `BackOfficeAway`."""
    found = _ask(places, "GET", "/systems")
    return {name: Mood(found[name]) for name in SystemName}


def set_mood(places: Places, system: SystemName, mood: Mood) -> None:
    """Raises `BackOfficeAway` with what it said."""
    _ask(places, "POST", f"/systems/{system}/{mood}")


def add_customer(places: Places, customer: Customer) -> None:
    """From now on the three systems know this customer. Raises `BackOfficeAway` with what it said."""
    _ask(places, "POST", "/customers", customer.to_json())


def _ask(places: Places, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", places.control_port, timeout=TIMEOUT_S)
    try:
        headers = {"Authorization": f"Bearer {places.token}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        found = json.loads(answer.read(MAX_ANSWER_BYTES))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BackOfficeAway(
            f"The back office does not answer on 127.0.0.1:{places.control_port}. Nothing was changed. "
            "./run starts it with the demo desk; by hand: python -m jobs.backoffice"
        ) from error
    finally:
        connection.close()
    if answer.status != 200 or not isinstance(found, dict):
        said = found.get("error", "no reason") if isinstance(found, dict) else "no reason"
        raise BackOfficeAway(f"The back office refused ({answer.status}): {said}. Nothing was changed.")
    return found
