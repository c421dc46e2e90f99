"""Pipelines are made, changed and reordered by page; a stage in which jobs stand is not removed."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.web.desk import Desk, let_in, send
from tickets import store as items
from tickets.kinds import Pipeline
from tickets.tables import User, WorkItem


@pytest.fixture
def admin(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("root", "admin"))
    return browser


def pipelines(desk: Desk) -> dict[str, Pipeline]:
    with desk.services.db.read() as connection:
        return items.pipelines(connection)


def stages(desk: Desk) -> list[tuple[str, bool]]:
    [pipeline] = pipelines(desk).values()
    return [(one.key, one.automove) for one in pipeline.stages]


def test_a_pipeline_is_made_and_its_stages_are_changed(admin: FlaskClient, desk: Desk) -> None:
    made = send(admin, "/pipelines", {"label": "Tax return", "stages": "Collect\r\n\r\nPrepare\r\nCollect"})
    assert made.status_code == 303
    assert stages(desk) == [("collect", False), ("prepare", False), ("collect_2", False)]
    send(admin, "/stages/collect", {"label": "Gather", "automove": "1", "do": "save"})
    send(admin, "/stages/collect_2", {"do": "up"})
    send(admin, "/pipelines/tax_return/stages", {"label": "next"})
    send(admin, "/stages/prepare", {"do": "remove"})
    assert stages(desk) == [("collect", True), ("collect_2", False), ("next_2", False)]
    assert "Gather" in admin.get("/pipelines").get_data(as_text=True)
    with desk.services.db.read() as connection:
        assert "collect_2" not in str(desk.services.live.current(connection).broken)
        assert "tax_return" in desk.services.live.current(connection).vocabulary.pipelines


def test_jobs_of_a_restricted_team_are_counted_as_hidden_and_still_hold_their_stage(
    admin: FlaskClient, desk: Desk, app: APIFlask
) -> None:
    send(admin, "/pipelines", {"label": "Tax", "stages": "Collect\nReview"})
    hania = app.test_client()
    let_in(hania, desk.user("hania", "agent", "admin", teams=("ethics",)))
    for subject, team in (("Open", "billing"), ("Secret", "ethics")):
        send(hania, "/items/job/new", {"subject": subject, "pipeline": "tax", "team": team})
    with desk.services.db.write() as connection:
        connection.execute(update(WorkItem).where(WorkItem.subject == "Secret").values(team="ethics"))
        connection.execute(update(WorkItem).where(WorkItem.subject == "Open").values(team="billing"))
    outside, inside = (" ".join(one.get("/pipelines").get_data(as_text=True).split()) for one in (admin, hania))
    assert "1 job, 1 more is hidden from you" in outside
    assert "2 jobs</span>" not in outside
    assert "2 jobs</span>" in inside
    assert "hidden from you" not in inside
    refused = send(admin, "/stages/collect", {"do": "remove"})
    assert refused.status_code == 422
    assert "1 jobs stand in this stage; move them first. Nothing was removed. 1 more is hidden" in refused.get_data(
        as_text=True
    )
    assert [key for key, _ in stages(desk)] == ["collect", "review"]


def test_what_jobs_stand_in_is_not_removed_and_nonsense_makes_nothing(admin: FlaskClient, desk: Desk) -> None:
    for data in ({"label": "", "stages": "A"}, {"label": "X", "stages": " \r\n"}, {"label": "X", "stages": "a\n" * 41}):
        assert send(admin, "/pipelines", data).status_code == 422
    assert pipelines(desk) == {}
    send(admin, "/pipelines", {"label": "Tax", "stages": "Collect\nReview"})
    send(admin, "/items/job/new", {"subject": "Return", "pipeline": "tax"})
    assert send(admin, "/stages/collect", {"do": "remove"}).status_code == 422
    assert send(admin, "/stages/nowhere", {"do": "remove"}).status_code == 404
    send(admin, "/stages/review", {"do": "remove"})
    assert stages(desk) == [("collect", False)]
    assert desk.state(1)["fields.stage"] == "collect"


def test_each_button_of_a_stage_names_it_and_the_arrow_is_no_state_of_a_system(admin: FlaskClient, desk: Desk) -> None:
    send(admin, "/pipelines", {"label": "Tax return", "stages": "Collect\r\nPrepare"})
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "root").values(language="pl"))
    page = admin.get("/pipelines").get_data(as_text=True)
    assert 'aria-label="Przesuń w górę: Prepare"' in page
    assert "Działa" not in page
    assert 'Usuń<span class="sr"> Prepare</span>' in page
