"""What pages say, and what the forms of the rule editor send."""

from __future__ import annotations

import html
import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from rules import store as rule_list
from rules.store import Stored
from tests.web.desk import Desk, send


def stored(desk: Desk, code: str = "A01") -> Stored:
    """An entry of the rule list with its draft and versions."""
    with desk.services.db.read() as connection:
        return rule_list.entry(connection, code)


def edit(client: FlaskClient, desk: Desk, code: str = "A01", /, **fields: object) -> TestResponse:
    """Send a form of the editor with the draft it was made from; `a__b` is the field `a.b`."""
    data = {"seen": stored(desk, code).draft_count, **{key.replace("__", "."): value for key, value in fields.items()}}
    return send(client, f"/rules/{code}/edit", data)


def text_of(answer: TestResponse) -> str:
    """A page as it was sent, with its tags."""
    return answer.get_data(as_text=True)


def words(html: str) -> str:
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def readable(page: str) -> str:
    """What a reader sees of a page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def ticket_page(browser: FlaskClient, item_id: int, query: str = "") -> str:
    answer = browser.get(f"/tickets/{item_id}{query}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)
