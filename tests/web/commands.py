"""Commands of the installation as somebody types them, and files for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apiflask import APIFlask
from click.testing import Result

from rules import files
from tests.web.desk import TRIAGE

WELCOME = {"code": "E01", "name": "Welcome", "texts": {"en": {"subject": "Hi", "body": "Dear {{customer.name}}"}}}

TABLE: dict[str, Any] = {
    **TRIAGE,
    "code": "A01",
    "steps": [*TRIAGE["steps"], {"id": "s3", "do": "post_message"}, {"id": "s4", "do": "run_script"}],
    "rows": [
        {"id": "r1", "if": {"c1": "chat"}, "then": {"s1": {"team": "sales"}, "s3": {"template": "E01"}}},
        {"id": "r2", "if": {"c2": {"value": ["refund"]}}, "then": {"s1": {"team": "billing"}, "s4": {"script": "S01"}}},
    ],
}


def flask(app: APIFlask, *arguments: object) -> Result:
    """What `flask` with these arguments prints, and how it ends."""
    return app.test_cli_runner().invoke(args=[str(one) for one in arguments])


def a_file(folder: Path, data: object, name: str = "rules.yaml") -> Path:
    """A file with this data as YAML, or with this text."""
    path = folder / name
    path.write_text(data if isinstance(data, str) else files.dump(data))
    return path
