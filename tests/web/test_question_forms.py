"""The rows in which questions are written."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select

from tests.web.desk import Desk, send, sign_in
from tickets.db import Base

ROWS: dict[str, object] = {
    "label1": "Which lamp?",
    "type1": "choice",
    "options1": "Orion; Lynx",
    "label2": "Since when?",
    "type2": "made-up",
}


@pytest.mark.parametrize(("path", "table"), [("/requests/new", "requests"), ("/questions", "question_lists")])
def test_a_refused_form_keeps_the_questions_that_were_typed_and_makes_nothing(
    path: str, table: str, desk: Desk, app: APIFlask
) -> None:
    manager = app.test_client()
    sign_in(manager, desk.user("mia", "manager", "agent"))
    answer = send(manager, path, {"title": "", "label": "", "name": "", "purpose": "request", **ROWS})
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert 'value="Which lamp?"' in page
    assert 'value="Orion; Lynx"' in page
    assert '<option value="choice" selected>' in page
    assert 'value="Since when?"' in page
    with desk.services.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Base.metadata.tables[table])) == 0
