"""O14 O28 T6: timesheets and jobs by the API: every field goes in and out, what does not fit is refused, rules fire."""

from __future__ import annotations

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from rules import store as rule_list
from tests.intake.api import Api, problem
from tests.rows.desk import a_pipeline, a_rule, switch
from tests.web.desk import Desk
from tickets.tables import CustomField, JobStatusRow, Location, WorkItem

COMMON: dict[str, Any] = {
    "subject": "Work of week 47",
    "status": "open",
    "priority": "high",
    "team": "billing",
    "assignees": ["ana"],
    "tags": ["night"],
    "brand": "acme",
    "location": "paris",
    "language": "fr",
    "published": True,
    "archived": False,
    "due_at": "2026-11-28T16:00:00Z",
}
OWN: dict[str, dict[str, Any]] = {
    "timesheet": {"hours": 2.5, "billing": "billable", "approval": "submitted", "mileage": 120},
    "job": {"pipeline": "tax", "stage": "review", "job_status": "on_leave", "period": "2025"},
    "task": {"payment_status": "debit", "effort": "large"},
    "project": {"sponsor": "The board\nof Acme", "signed": True},
}
#: (kind, key, what it takes) of the desk's own fields.
CUSTOM: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("timesheet", "mileage", "number", {}),
    ("job", "period", "text", {}),
    ("task", "effort", "choice", {"small": "Small", "large": "Large"}),
    ("project", "sponsor", "long_text", {}),
    ("project", "signed", "bool", {}),
)


@pytest.fixture
def api(desk: Desk, app: APIFlask, agent: FlaskClient) -> Api:
    a_pipeline(desk, "Collect", "Review")
    with desk.services.db.write() as connection:
        connection.execute(insert(Location).values(key="paris", label="Paris"))
        connection.execute(insert(JobStatusRow).values(key="on_leave", pipeline="tax", label="On leave", position=0))
        for kind, key, takes, options in CUSTOM:
            connection.execute(
                insert(CustomField).values(kind=kind, key=key, label=key.capitalize(), type=takes, options=options)
            )
        rule_list.bump(connection)
    return Api(app.test_client(), desk.services, "ana")


def how_many(desk: Desk) -> int:
    with desk.services.db.read() as connection:
        return connection.execute(select(func.count()).select_from(WorkItem)).scalar_one()


def made(api: Api, kind: str, **given: Any) -> dict[str, Any]:
    answer = api.post("tickets", {"kind": kind, **COMMON, **given})
    assert answer.status_code == 201, answer.json
    assert answer.json is not None
    found: dict[str, Any] = answer.json
    return found


@pytest.mark.parametrize("kind", OWN)
def test_o14_every_field_of_a_kind_goes_in_by_the_api_and_stands_on_its_page(
    kind: str, desk: Desk, api: Api, agent: FlaskClient
) -> None:
    item = made(api, kind, fields=OWN[kind])
    assert item["kind"] == kind
    assert {key: item[key] for key in COMMON if key != "due_at"} == {
        key: value for key, value in COMMON.items() if key != "due_at"
    }
    assert item["due_at"].startswith("2026-11-28T16:00:00")
    assert item["fields"] == OWN[kind]
    read = api.get(f"tickets/{item['id']}").json
    assert read == item
    [listed] = api.get("tickets", kind=kind).json["tickets"]  # type: ignore[index]
    assert listed == item
    assert api.get("tickets", kind="ticket").json["tickets"] == []  # type: ignore[index]
    page = agent.get(f"/tickets/{item['id']}").get_data(as_text=True)
    assert all(f'name="fields.{key}"' in page for key in OWN[kind] if key not in ("pipeline", "stage"))
    assert agent.get(f"/items/{kind}").get_data(as_text=True).count("Work of week 47") == 1


@pytest.mark.parametrize("kind", OWN)
def test_o14_a_field_of_another_kind_is_refused_and_nothing_is_made(kind: str, desk: Desk, api: Api) -> None:
    for other, fields in OWN.items():
        if other != kind:
            for key, value in fields.items():
                status, detail = problem(api.post("tickets", {"kind": kind, **COMMON, "fields": {key: value}}))
                assert (status, f"{key}'" in detail) == (422, True), detail
    assert how_many(desk) == 0


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        ("timesheet", {"status": "waiting_customer"}, "Status is one of open"),
        ("job", {"status": "solved"}, "Status is one of open"),
        ("project", {"status": "snoozing"}, "Status is one of"),
        ("timesheet", {"fields": {"approval": "maybe"}}, "Approval status is one of draft"),
        ("timesheet", {"fields": {"hours": "many"}}, "Hours takes a number"),
        ("timesheet", {"fields": {"mileage": True}}, "Mileage takes a number"),
        ("task", {"fields": {"effort": "medium"}}, "Effort is one of small, large"),
        ("project", {"fields": {"signed": "yes"}}, "Signed takes yes or no"),
        ("job", {"fields": {"stage": "nowhere"}}, "Stage is one of collect, review"),
        ("job", {"fields": {"job_status": "gone"}}, "gone"),
    ],
)
def test_o14_what_does_not_fit_the_kind_is_refused_with_what_does_and_nothing_changes(
    kind: str, given: dict[str, Any], said: str, desk: Desk, api: Api
) -> None:
    before = made(api, kind)
    status, detail = problem(api.post("tickets", {"kind": kind, **COMMON, **given}))
    assert (status, said in detail) == (422, True), detail
    status, detail = problem(api.patch(f"tickets/{before['id']}", given))
    assert (status, said in detail) == (422, True), detail
    assert how_many(desk) == 1
    assert api.get(f"tickets/{before['id']}").json == before


@pytest.mark.parametrize("on", [True, False])
def test_o28_an_approval_by_the_api_sets_its_rule_off_and_one_of_something_else_does_not(
    on: bool, desk: Desk, api: Api
) -> None:
    rule = a_rule(
        desk,
        {"on": "changed", "field": "ticket.fields.approval", "to": ["approved"]},
        when={"ticket.fields.mileage": ("greater", 100)},
        then=[("add_tags", {"tags": ["to bill"]})],
        kind="timesheet",
    )
    switch(desk, rule, on=on)
    far, near = (made(api, "timesheet", fields={"mileage": miles}) for miles in (120, 20))
    assert far["fields"]["approval"] == "draft"
    for approval in ("submitted", "approved"):
        for sheet in (far, near):
            assert api.patch(f"tickets/{sheet['id']}", {"fields": {"approval": approval}}).status_code == 200
        desk.work()
        tagged = ["night", "to bill"] if on and approval == "approved" else ["night"]
        assert (desk.state(far["id"])["tags"], desk.state(near["id"])["tags"]) == (tagged, ["night"])


@pytest.mark.parametrize("on", [True, False])
def test_t6_a_job_moved_by_the_api_sets_off_the_rules_of_the_stage_it_enters(on: bool, desk: Desk, api: Api) -> None:
    rule = a_rule(
        desk,
        {"on": "stage_entered"},
        when={"ticket.fields.stage": ("is", "review")},
        then=[("add_tags", {"tags": ["reviewed"]})],
        kind="job",
    )
    switch(desk, rule, on=on)
    job = made(api, "job", fields={"pipeline": "tax"})
    assert job["fields"] == {"pipeline": "tax", "stage": "collect"}
    desk.work()
    moved = api.patch(f"tickets/{job['id']}", {"fields": {"stage": "review"}})
    assert (moved.status_code, moved.json["fields"]["stage"]) == (200, "review")  # type: ignore[index]
    desk.work()
    assert desk.state(job["id"])["tags"] == (["night", "reviewed"] if on else ["night"])
