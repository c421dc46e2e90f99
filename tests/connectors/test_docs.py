"""docs/connectors.md names everything there is, and its example works."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from connectors import errors
from connectors.records import AnswerType
from connectors.registry import CONNECTORS
from connectors.store import form
from connectors.system import InputType
from tests.connectors.desk import Desk
from tests.connectors.upstream import Asked, Reply, Serve, as_json

DOCS = (Path(__file__).parents[2] / "docs" / "connectors.md").read_text()


def codes(kind: type[errors.ConnectorError]) -> set[str]:
    """The codes of the errors that are raised: the leaves of the tree."""
    below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    if not below:
        return {kind.code.fget(kind.__new__(kind))}  # type: ignore[attr-defined]
    return set().union(*(codes(one) for one in below))


def test_every_error_has_its_line() -> None:
    named = codes(errors.ConnectorError)
    assert len(named) == 16
    assert [code for code in sorted(named) if f"`{code}`" not in DOCS] == []


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_every_kind_and_each_of_its_settings_and_operations_is_described(kind: str) -> None:
    assert f"### `{kind}`:" in DOCS
    assert [field.name for field in form(kind) if f"`{field.name}`" not in DOCS] == []


def test_every_operation_of_the_built_in_systems_is_described() -> None:
    configs = {
        "stripe": {"api_key": "sk_test_123456"},
        "tryton": {"base_url": "https://erp.test", "database": "d", "username": "u", "password": "p"},
    }
    for kind, config in configs.items():
        section = DOCS.split(f"### `{kind}`:")[1].split("### ")[0]
        operations = CONNECTORS[kind](CONNECTORS[kind].Config.model_validate(config)).operations()
        assert [name for name in operations if f"`{name}`" not in section] == []


def test_every_type_is_named() -> None:
    assert " ".join(InputType) in DOCS
    assert " ".join(AnswerType) in DOCS


def test_the_example_is_a_connection_that_works(desk: Desk, serve: Serve) -> None:
    config = yaml.safe_load(DOCS.split("```yaml\n")[1].split("```")[0])
    row = {"id": 7, "full_name": "Ada", "segment": {"name": "gold"}, "balance": {"open": 64.90, "currency": "EUR"}}
    pages = {
        None: {"data": [{"id": 1, "title": "Help"}], "paging": {"next": "b"}},
        "b": {"data": [{"id": 2, "title": "Again"}], "paging": {}},
    }

    def answer(asked: Asked) -> Reply:
        if asked.path == "/api/v2/customers":
            return as_json({"items": [row]})
        return as_json(pages[asked.query.get("after")])

    server = serve(answer)
    config["base_url"] = config["base_url"].replace("https://crm.example.com", server.url)
    desk.connect("crm", "http_json", {**config, "secret": "a long token"})
    found = desk.call("crm", "find_customer", email="ada@example.net").data
    assert found == {"id": "7", "name": "Ada", "tier": "gold", "receivable": "64.9", "currency": "EUR"}
    listed = desk.call("crm", "list_tickets", customer="7")
    assert listed.data == [{"id": 1, "subject": "Help"}, {"id": 2, "subject": "Again"}]
    assert [asked.path for asked in server.asked][-1] == "/api/v2/customers/7/tickets"
