"""Calendars and SLA policies as settings: made, tried, in use, and refused with what is wrong."""

from __future__ import annotations

import html
import io
import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from jobs import timers
from rules import store as rule_list
from rules.store import EntryKind
from tests.web.desk import NOW, TRIAGE, Desk, let_in, send
from tickets import levels
from tickets.sla import Target
from tickets.tables import BusinessCalendar, EventRow, SettingChange, SlaPolicy, Timer, TimeTrigger

WEEK = {"mon": "09:00-12:00, 13:00-17:00", "tue": "9:00-17:00", "wed": "", "thu": "", "fri": "", "sat": "", "sun": ""}
OFFICE: dict[str, object] = {
    "label": "Office",
    "zone": "Europe/Paris",
    **WEEK,
    "country": "FR",
    "subdivision": "",
    "off": "2026-12-24 Eve",
}
POLICY: dict[str, object] = {
    "label": "Standard",
    "first_reply": "4 h",
    "next_reply": "",
    "resolution": "16 h",
    "near": "1 h",
    "calendar": "office",
    "pauses": ["waiting_customer"],
    "enabled": "1",
}


@pytest.fixture
def settings(desk: Desk, app: APIFlask) -> FlaskClient:
    browser: FlaskClient = app.test_client()
    let_in(browser, desk.user("root", "admin"))
    return browser


def test_a_calendar_is_made_shown_and_stored_as_it_was_written(desk: Desk, settings: FlaskClient) -> None:
    answer = send(settings, "/calendars/new", OFFICE)
    assert (answer.status_code, answer.location) == (303, "/calendars/office")
    page = settings.get("/calendars/office").get_data(as_text=True)
    assert 'value="09:00-12:00, 13:00-17:00"' in page
    assert "2026-12-24 Eve" in page
    listed = settings.get("/calendars").get_data(as_text=True)
    assert "Christmas Day" in listed
    with desk.services.db.read() as connection:
        body = connection.execute(select(BusinessCalendar.body)).scalar_one()
        assert (body["zone"], body["week"]["tue"], body["country"]) == ("Europe/Paris", [["09:00", "17:00"]], "FR")
        assert connection.execute(select(SettingChange.part, SettingChange.key)).all() == [("calendars", "office")]


def test_the_days_of_a_calendar_file_join_those_that_are_there(desk: Desk, settings: FlaskClient) -> None:
    send(settings, "/calendars/new", OFFICE)
    file = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261231\r\nSUMMARY:Stock-taking\r\nEND:VEVENT\r\n"
    send(settings, "/calendars/office", {**OFFICE, "ics": (io.BytesIO(file), "off.ics")})
    with desk.services.db.read() as connection:
        off = connection.execute(select(BusinessCalendar.body)).scalar_one()["off"]
    assert off == {"2026-12-24": "Eve", "2026-12-31": "Stock-taking"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mon": "17:00-09:00"}, "ends before it begins"),
        ({"zone": "Mars"}, "is not a time zone"),
        ({"off": "24.12. Eve"}, "is not a date"),
        ({"label": ""}, "It needs a name"),
        ({"subdivision": "ZZ"}, "FR has no region"),
    ],
)
def test_what_is_no_calendar_is_refused_with_the_form_as_it_was(
    wrong: dict[str, str], said: str, desk: Desk, settings: FlaskClient
) -> None:
    answer = send(settings, "/calendars/new", {**OFFICE, **wrong})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in page
    assert "13:00-17:00" in page or "mon" in wrong
    with desk.services.db.read() as connection:
        assert connection.execute(select(BusinessCalendar.key)).all() == []


def test_a_second_calendar_or_policy_of_one_name_is_refused_and_the_first_may_keep_its_own(
    desk: Desk, settings: FlaskClient
) -> None:
    for part, form in (("calendars", OFFICE), ("sla", POLICY)):
        assert send(settings, f"/{part}/new", form).status_code == 303
        answer = send(settings, f"/{part}/new", {**form, "label": str(form["label"]).upper()})
        assert answer.status_code == 422
        assert f"There is {form['label']} already, with the key" in answer.get_data(as_text=True)
        assert send(settings, f"/{part}/{str(form['label']).lower()}", form).status_code == 303
    with desk.services.db.read() as connection:
        assert len(connection.execute(select(BusinessCalendar.key)).all()) == 1
        assert len(connection.execute(select(SlaPolicy.key)).all()) == 1


def test_a_calendar_that_a_policy_counts_by_is_not_deleted(desk: Desk, settings: FlaskClient) -> None:
    send(settings, "/calendars/new", OFFICE)
    send(settings, "/sla/new", POLICY)
    page = send(settings, "/calendars/office/delete").get_data(as_text=True)
    assert "Standard still counts by this calendar" in page
    send(settings, "/sla/standard/delete")
    assert send(settings, "/calendars/office/delete").status_code == 303
    with desk.services.db.read() as connection:
        assert connection.execute(select(BusinessCalendar.key)).all() == []


#: A table that asks for a calendar, and one that applies a policy.
NAMES: dict[str, dict[str, Any]] = {
    "calendar": {
        "columns": [{"id": "c1", "field": "ticket.due_at", "op": "in_working_time"}],
        "rows": [{"id": "r1", "if": {"c1": {"value": "office"}}, "then": {"s1": {"team": "sales"}}}],
    },
    "sla": {
        "steps": [{"id": "s1", "do": "apply_sla"}],
        "rows": [{"id": "r1", "if": {}, "then": {"s1": {"policy": "standard"}}}],
    },
}


@pytest.mark.parametrize("state", ["live", "draft", "off"])
@pytest.mark.parametrize(("part", "address"), [("calendar", "/calendars/office"), ("sla", "/sla/standard")])
def test_what_a_rule_names_is_not_deleted_and_its_page_says_where_before_one_asks(
    desk: Desk, settings: FlaskClient, part: str, address: str, state: str
) -> None:
    send(settings, "/calendars/new", OFFICE)
    send(settings, "/sla/new", {**POLICY, "calendar": ""})
    table: dict[str, Any] = {**TRIAGE, "code": "A01", "columns": [], **NAMES[part]}
    with desk.services.db.write() as connection:
        rule_list.create(connection, EntryKind.TABLE, "Out of hours", table, author="ana", now=NOW)
        if state != "draft":
            rule_list.publish(connection, "A01", author="ana", note="", seen=1, now=NOW)
        rule_list.switch(connection, "A01", enabled=state != "off")
    page = settings.get(address).get_data(as_text=True)
    assert "Out of hours" in page
    assert "Row 1" in page
    assert "Something still uses it." in page
    answer = send(settings, f"{address}/delete")
    said = html.unescape(answer.get_data(as_text=True))
    assert (answer.status_code, "is used by A01 Out of hours" in said, "Nothing was deleted." in said) == (
        409,
        True,
        True,
    )
    assert settings.get(address).status_code == 200
    with desk.services.db.write() as connection:
        rule_list.remove(connection, "A01", now=NOW)
    assert "Something still uses it." not in settings.get(address).get_data(as_text=True)
    assert send(settings, f"{address}/delete").status_code == 303
    assert settings.get(address).status_code == 404


@pytest.mark.parametrize(("key", "address"), [("office", "/calendars/office"), ("standard", "/sla/standard")])
def test_a_cell_that_holds_the_same_text_as_the_key_keeps_nothing_from_being_deleted(
    desk: Desk, settings: FlaskClient, key: str, address: str
) -> None:
    send(settings, "/calendars/new", OFFICE)
    send(settings, "/sla/new", {**POLICY, "calendar": ""})
    columns = [{"id": "c1", "field": "ticket.subject", "op": "contains_any"}]
    rows = [{"id": "r1", "if": {"c1": {"value": key}}, "then": {"s1": {"team": "sales"}}}]
    table: dict[str, Any] = {**TRIAGE, "code": "A01", "columns": columns, "rows": rows}
    with desk.services.db.write() as connection:
        rule_list.create(connection, EntryKind.TABLE, "Words", table, author="ana", now=NOW)
        rule_list.publish(connection, "A01", author="ana", note="", seen=1, now=NOW)
    assert "Something still uses it." not in settings.get(address).get_data(as_text=True)
    assert send(settings, f"{address}/delete").status_code == 303
    assert settings.get(address).status_code == 404


def test_a_calendars_page_names_the_policies_that_count_by_it(desk: Desk, settings: FlaskClient) -> None:
    send(settings, "/calendars/new", OFFICE)
    assert "Something still uses it." not in settings.get("/calendars/office").get_data(as_text=True)
    send(settings, "/sla/new", POLICY)
    page = settings.get("/calendars/office").get_data(as_text=True)
    assert '<a class="link" href="/sla/standard">Standard</a>' in page
    assert "Something still uses it." in page


def test_a_policy_is_live_for_new_tickets_and_those_there_are_are_worked_out_anew(
    desk: Desk, settings: FlaskClient
) -> None:
    assert send(settings, "/sla/new", {**POLICY, "calendar": ""}).status_code == 303
    with desk.services.db.read() as connection:
        body = connection.execute(select(SlaPolicy.body)).scalar_one()
        assert connection.execute(select(TimeTrigger.walked_to)).scalar_one() == 0
    assert (body["targets"], body["near_s"], body["pauses"]) == (
        {"first_reply": 14_400, "resolution": 57_600},
        3_600,
        ["waiting_customer"],
    )
    item_id = desk.ticket("Refund")
    with desk.services.db.read() as connection:
        found = levels.clocks_of(connection, [item_id])[item_id]
    assert set(found) >= {Target.RESOLUTION}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"first_reply": "", "resolution": ""}, "needs at least one target"),
        ({"first_reply": "soon"}, "is not a duration"),
        ({"calendar": "nights"}, "There is no such calendar"),
        ({"label": " "}, "It needs a name"),
    ],
)
def test_what_is_no_policy_is_refused(wrong: dict[str, str], said: str, desk: Desk, settings: FlaskClient) -> None:
    answer = send(settings, "/sla/new", {**POLICY, "calendar": "", **wrong})
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    with desk.services.db.read() as connection:
        assert connection.execute(select(SlaPolicy.key)).all() == []


def test_trying_a_policy_shows_when_it_would_be_due_and_which_pauses_counted(desk: Desk, settings: FlaskClient) -> None:
    send(settings, "/calendars/new", OFFICE)
    send(settings, "/sla/new", POLICY)
    tried = "/sla/standard?created=2026-11-23T10:00"
    plain = due_times(settings.get(tried).get_data(as_text=True))
    paused = settings.get(
        tried + "&at0=2026-11-23T11:00&status0=waiting_customer&at1=2026-11-23T14:00&status1=open"
    ).get_data(as_text=True)
    assert len(plain) == 2
    # 4 h of work from 10:00 with a break at noon; 11:00 to 14:00 were 2 h of work that did not count.
    assert "15:00" in plain[0]
    assert "Tue" in due_times(paused)[0] or "17:00" in due_times(paused)[0]
    assert ">pause<" in paused
    still = settings.get(tried + "&at0=2026-11-23T11:00&status0=waiting_customer").get_data(as_text=True)
    assert "3 h left" in still
    assert "A time is written like" in settings.get("/sla/standard?created=tomorrow").get_data(as_text=True)


def due_times(page: str) -> list[str]:
    return re.findall(r"<td><b><time[^>]*>([^<]*)</time>", page)


def spoil(desk: Desk, model: type[BusinessCalendar] | type[SlaPolicy], **change: object) -> None:
    """As an update of the machine does that takes a zone or a country's region away."""
    with desk.services.db.write() as connection:
        body = connection.execute(select(model.body)).scalar_one()
        connection.execute(update(model).values(body={**body, **change}))


def test_a_calendar_that_cannot_be_read_is_listed_with_why_and_mended_or_deleted_where_it_stands(
    desk: Desk, settings: FlaskClient
) -> None:
    send(settings, "/calendars/new", OFFICE)
    send(settings, "/sla/new", POLICY)
    spoil(desk, BusinessCalendar, country="FR", subdivision="ATLANTIS")
    listed = html.unescape(settings.get("/calendars").get_data(as_text=True))
    assert "cannot be read" in listed
    assert "ATLANTIS" in listed
    page = html.unescape(settings.get("/calendars/office").get_data(as_text=True))
    assert "It cannot be read any more: " in page
    for kept in ("Europe/Paris", "09:00-12:00, 13:00-17:00", "2026-12-24 Eve", "ATLANTIS"):
        assert kept in page
    assert "Its calendar cannot be read." in settings.get("/sla/standard").get_data(as_text=True)
    assert "Office" in settings.get("/sla").get_data(as_text=True)
    assert send(settings, "/calendars/office", {**OFFICE, "label": "Mended"}).status_code == 303
    assert "cannot be read" not in settings.get("/calendars").get_data(as_text=True)
    assert "cannot be read" not in settings.get("/sla/standard").get_data(as_text=True)
    spoil(desk, BusinessCalendar, zone="Atlantis/Poseidonis")
    assert send(settings, "/calendars/office/delete").status_code == 409
    send(settings, "/sla/standard/delete")
    assert send(settings, "/calendars/office/delete").status_code == 303
    with desk.services.db.read() as connection:
        lines = connection.execute(select(SettingChange.change).where(SettingChange.part == "calendars")).scalars()
        before = [(line["before"] or {}).get("subdivision") for line in lines]
    assert before == [None, "ATLANTIS", ""]


@pytest.mark.parametrize("change", [{"targets": {}}, {"near_s": -1}])
def test_a_policy_that_cannot_be_read_is_listed_with_why_and_mended_or_deleted_where_it_stands(
    change: dict[str, object], desk: Desk, settings: FlaskClient
) -> None:
    send(settings, "/sla/new", {**POLICY, "calendar": ""})
    spoil(desk, SlaPolicy, **change)
    assert "cannot be read" in settings.get("/sla").get_data(as_text=True)
    page = settings.get("/sla/standard").get_data(as_text=True)
    assert "It cannot be read any more: " in page
    assert 'value="Standard"' in page
    ticket = desk.ticket("Refund")
    assert settings.get(f"/tickets/{ticket}").status_code == 200
    assert send(settings, "/sla/standard", {**POLICY, "calendar": ""}).status_code == 303
    assert "cannot be read" not in settings.get("/sla").get_data(as_text=True)
    spoil(desk, SlaPolicy, **change)
    assert send(settings, "/sla/standard/delete").status_code == 303
    assert settings.get("/sla/standard").status_code == 404


def test_the_order_of_policies_is_changed(desk: Desk, settings: FlaskClient) -> None:
    for label in ("First", "Second"):
        send(settings, "/sla/new", {**POLICY, "calendar": "", "label": label})
    send(settings, "/sla/second/move", {"by": "-1"})
    with desk.services.db.read() as connection:
        assert [one.key for one in levels.policies(connection)] == ["second", "first"]


@pytest.mark.parametrize("back", [False, True])
def test_a_day_off_that_comes_or_goes_moves_what_waits_for_working_time(
    desk: Desk, settings: FlaskClient, back: bool
) -> None:
    """It is Saturday; 12 working hours of the week above end on Tuesday at 14:00, without a Monday only on the next."""
    send(settings, "/calendars/new", {**OFFICE, "country": "", "off": ""})
    desk.publish(LATE)
    come_in_time(desk)
    item_id = desk.ticket("Refund")
    assert waits_until(desk, item_id) == ["2026-11-24T13:00+00:00"]
    assert send(settings, "/calendars/office", {**OFFICE, "country": "", "off": "2026-11-23 Strike"}).status_code == 303
    come_in_time(desk)
    assert waits_until(desk, item_id) == ["2026-11-30T13:00+00:00"]
    desk.clock.move(days=4)
    come_in_time(desk)
    assert "tags" not in desk.state(item_id)
    if back:  # the strike was called off, which nobody told the desk in time: it is late, and comes once
        send(settings, "/calendars/office", {**OFFICE, "country": "", "off": ""})
        come_in_time(desk)
        assert desk.state(item_id)["tags"] == ["late"]
    desk.clock.move(days=30)
    come_in_time(desk)
    assert desk.state(item_id)["tags"] == ["late"]
    with desk.services.db.read() as connection:
        fired = connection.execute(select(EventRow.id).where(EventRow.item_id == item_id, EventRow.kind == "timer"))
        assert len(fired.all()) == 1


LATE: dict[str, Any] = {
    "name": "Too long",
    "triggers": [{"on": "time_in_state", "status": ["open"], "for": "12 h", "calendar": "office"}],
    "steps": [{"id": "s1", "do": "add_tags"}],
    "rows": [{"id": "r1", "then": {"s1": {"tags": ["late"]}}}],
}


def come_in_time(desk: Desk) -> None:
    """What the clock and a worker do until there is nothing left to do."""
    timers.tick(desk.services, budget_s=60)
    desk.work()


def waits_until(desk: Desk, item_id: int) -> list[str]:
    query = select(Timer.due_at).where(Timer.item_id == item_id)
    with desk.services.db.read() as connection:
        return [at.isoformat(timespec="minutes") for at in connection.execute(query).scalars() if at]
