"""docs/api.md against the product: every address, outcome and cap, and its requests are run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from apiflask import APIFlask

from connectors.channels.email import MAIL_BYTES
from jobs.intake import SENDER_MAILS_PER_HOUR, Outcome
from tests.intake.api import Api
from tests.web.desk import Desk
from tickets.item import LANGUAGES, PRIORITIES, STATUSES, ItemKind
from web import api, api_store
from web.api_models import PAGE_ITEMS, Fields, ListQuery

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_every_address_for_programs_is_on_the_page_and_no_other(app: APIFlask) -> None:
    offered = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.endpoint.startswith(("api.", "inbound.")) and rule.endpoint != "api.nothing"
        if method not in ("HEAD", "OPTIONS")
    }
    assert set(re.findall(r"^### (\w+) (/\S+)$", PAGE, re.MULTILINE)) == offered


def test_every_outcome_of_a_mail_is_on_the_page() -> None:
    table = PAGE[PAGE.index("| Outcome |") :]
    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:] == [outcome.value for outcome in Outcome]


def test_every_field_and_filter_is_on_the_page() -> None:
    for name in (*Fields.model_fields, *ListQuery.model_fields):
        assert f"`{name}`" in PAGE
    for choices in (STATUSES, PRIORITIES, LANGUAGES, [kind.value for kind in ItemKind]):
        assert re.search(r"\(" + r",\s+".join(choices) + r"\)", PAGE)


@pytest.mark.parametrize(
    "said",
    [
        f"at most {MAIL_BYTES // 1_000_000} MB",
        f"at most {api.BODY_BYTES // 1_000_000} MB",
        f"1 to {api.KEY_CHARS} visible ASCII",
        f"within {api_store.KEPT_H} hours",
        f"{api_store.KEYS:,} Idempotency-Keys",
        f"{api.PER_CALLER.split()[0]} requests per minute",
        f"more than {SENDER_MAILS_PER_HOUR} mails",
        f"`limit` is 1 to {PAGE_ITEMS}",
    ],
)
def test_every_cap_on_the_page_is_the_real_one(said: str) -> None:
    assert said in PAGE


def test_the_statuses_on_the_page_are_those_the_api_knows() -> None:
    named = {int(status) for status in re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)}
    assert named == set(api.TITLES) - {405, 500}


def test_the_requests_on_the_page_get_the_answers_it_says(desk: Desk, api: Api) -> None:
    blocks = re.findall(r"^```http\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    for block in blocks:
        head, *rest = block.strip().split("\n\n")
        first, *lines = head.split("\n")
        method, path = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        body = json.loads(rest[0]) if len(rest) == 2 else None
        answer = api.client.open(
            path, method=method, json=body, headers={"Authorization": f"Bearer {api.token}", **headers}
        )
        assert (first, answer.status_code) == (first, int(rest[-1])), answer.json
