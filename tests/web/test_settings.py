"""Settings: every part of a desk made, changed and deleted by page; nothing is deleted under what uses it."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert, select, update

from jobs import retention
from rules import store as rule_list
from rules.store import EntryKind
from tests.web.desk import PASSWORD, TRIAGE, Desk, let_in, send, sign_in
from tests.web.pages import readable, text_of, words
from tickets import custom_fields, journal, places, staff
from tickets.tables import Team, User
from tickets.values import JSON
from web.settings_parts import PARTS


@pytest.fixture
def admin(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("alex", "admin", name="Alex Morgan"))
    return browser


def seen(client: FlaskClient, path: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', text_of(client.get(path)))
    assert found
    return found[1]


def save(client: FlaskClient, path: str, **fields: object) -> Any:
    return send(client, path, {"seen": seen(client, path), **fields})


def said(answer: Any) -> str:
    return words(text_of(answer)).replace("&#39;", "'")


def read(desk: Desk, load: Any) -> Any:
    with desk.services.db.read() as connection:
        return load(connection)


KIM: dict[str, object] = {
    "name": "Kim Lee",
    "email": "kim@x.test",
    "password": PASSWORD,
    "roles": ["agent", "manager"],
    "teams": "billing",
}
TOPIC: dict[str, object] = {
    "label": "Topic",
    "kind": "ticket",
    "type": "choice",
    "options": "refund: Refund\nOther things",
}
MADE: dict[str, tuple[str, dict[str, object]]] = {
    "people": ("kim", KIM),
    "teams": ("second_line", {"label": "Second line", "members": "alex", "restricted": "1"}),
    "fields": ("ticket.topic", TOPIC),
    "brands": ("bramble", {"label": "Bramble", "zone": "Europe/Warsaw"}),
    "locations": ("paris", {"label": "Paris"}),
    "location_groups": ("west", {"label": "West"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_made_by_page_shown_again_and_in_the_journal(desk: Desk, admin: FlaskClient, part: str) -> None:
    key, fields = MADE[part]
    with desk.services.db.read() as connection:
        before = rule_list.revision(connection)
    answer = send(admin, f"/settings/{part}/new", fields)
    assert answer.headers["Location"] == f"/settings/{part}/{key}"
    page = text_of(admin.get(f"/settings/{part}/{key}"))
    assert str(fields.get("label") or fields["name"]) in page
    assert key in text_of(admin.get(f"/settings/{part}"))
    line = read(desk, journal.lines)[0]
    assert (line.who, line.key, line.change["before"]) == ("alex", key, None)
    assert PASSWORD not in str(line.change)
    with desk.services.db.read() as connection:
        assert rule_list.revision(connection) == before + 1


def test_a_person_made_here_signs_in_and_one_switched_off_does_not(
    desk: Desk, admin: FlaskClient, app: APIFlask
) -> None:
    send(admin, "/settings/people/new", MADE["people"][1])
    assert sign_in(app.test_client(), "kim@x.test").status_code == 302
    kept = {key: value for key, value in MADE["people"][1].items() if key != "password"}
    save(admin, "/settings/people/kim", **kept, active="")
    assert sign_in(app.test_client(), "kim@x.test").status_code == 422
    assert read(desk, staff.users)["kim"].active is False


def test_a_team_that_a_sleeping_ticket_waits_for_is_not_deleted(desk: Desk, admin: FlaskClient) -> None:
    desk.ticket(status="snoozed", snoozed_for="team:billing")
    for team in ("billing", "sales"):
        send(admin, f"/settings/teams/{team}/delete")
    assert sorted(read(desk, staff.teams)) == ["billing", "ethics"]


def test_the_last_administrator_stays_one(desk: Desk, admin: FlaskClient) -> None:
    answer = save(admin, "/settings/people/alex", name="Alex", email="alex@deskhand.test", roles="agent", active="1")
    assert answer.status_code == 422
    assert "give somebody the role admin first" in said(answer)
    assert read(desk, staff.users)["alex"].roles == ("admin",)


def test_a_field_made_here_is_a_column_and_a_step_at_once(desk: Desk, admin: FlaskClient) -> None:
    send(admin, "/settings/fields/new", MADE["fields"][1])
    (made,) = read(desk, custom_fields.fields)
    assert made.options == {"refund": "Refund", "other_things": "Other things"}
    table = {**TRIAGE, "columns": [{"id": "c1", "field": "ticket.fields.topic"}],
             "rows": [{"id": "r1", "if": {"c1": "refund"}, "then": {"s1": {"team": "billing"}}}]}  # fmt: skip
    desk.publish(table)
    first, second = desk.ticket(**{"fields.topic": "refund"}), desk.ticket()
    desk.work()
    assert (desk.state(first)["team"], desk.state(second)["team"]) == ("billing", "sales")


def used_field(desk: Desk, admin: FlaskClient) -> str:
    send(admin, "/settings/fields/new", MADE["fields"][1])
    rows: list[JSON] = [{"id": "r1", "if": {"c1": "refund"}, "then": {"s1": {"team": "billing"}}}]
    return desk.publish({**TRIAGE, "columns": [{"id": "c1", "field": "ticket.fields.topic"}], "rows": rows})


def test_a_save_that_would_break_a_table_is_undone_as_a_whole(desk: Desk, admin: FlaskClient) -> None:
    used_field(desk, admin)
    answer = save(admin, "/settings/fields/ticket.topic", label="Subject matter", options="other: Other")
    assert answer.status_code == 422
    assert "A01 New ticket triage could not be read any more: There is no subject matter 'refund'." in said(answer)
    (kept,) = read(desk, custom_fields.fields)
    assert (kept.label, list(kept.options)) == ("Topic", ["refund", "other_things"])
    assert save(admin, "/settings/fields/ticket.topic", label="Matter", options="refund: Money back").status_code == 302
    assert read(desk, custom_fields.fields)[0].options == {"refund": "Money back"}


IN_PARIS: list[JSON] = [{"any": [{"field": "ticket.location", "value": "paris"}]}]
USES: dict[str, tuple[str, dict[str, JSON]]] = {
    "teams/billing": ("Row 2, Assign team", {}),
    "brands/acme": ("scope", {"scope": [{"field": "ticket.brand", "value": "acme"}]}),
    "locations/paris": ("Row 1, group", {"rows": [{"id": "r1", "groups": IN_PARIS}]}),
    "fields/ticket.topic": ("runs when", {"triggers": [{"on": "changed", "field": "fields.topic"}]}),
}


@pytest.mark.alike
@pytest.mark.parametrize("where", ["live", "switched off", "draft", "script"])
@pytest.mark.parametrize("path", USES)
def test_what_is_used_is_not_deleted_and_the_page_says_where(
    desk: Desk, admin: FlaskClient, path: str, where: str
) -> None:
    send(admin, "/settings/fields/new", MADE["fields"][1])
    send(admin, "/settings/locations/new", MADE["locations"][1])
    place, content = USES[path]
    with desk.services.db.write() as connection:
        if where == "script":
            bare = path.rpartition("/")[2].rpartition(".")[2]
            place = "line 2"
            source = f"x = 1\nticket.set_field('x', '{bare}')\n"
            rule_list.create(connection, EntryKind.SCRIPT, "S", {"source": source}, author="a", now=desk.clock.now())
        else:
            table = {**TRIAGE, **content}
            code = rule_list.create(connection, EntryKind.TABLE, "T", table, author="a", now=desk.clock.now())
            if where != "draft":
                rule_list.publish(connection, code, author="a", note="", seen=1, now=desk.clock.now())
                rule_list.switch(connection, code, enabled=where == "live")
    answer = send(admin, f"/settings/{path}/delete")
    assert answer.status_code == 409
    assert f"({place}" in said(answer)
    assert "Nothing was deleted." in said(answer)
    if where != "script":  # the page of a brand has that word of its own
        assert (where in said(answer)) is (where != "live")
    assert admin.get(f"/settings/{path}").status_code == 200


@pytest.mark.parametrize("path", [f"{part}/{MADE[part][0]}" for part in PARTS if PARTS[part].delete])
def test_what_nothing_uses_is_deleted(desk: Desk, admin: FlaskClient, path: str) -> None:
    part = path.partition("/")[0]
    send(admin, f"/settings/{part}/new", MADE[part][1])
    assert send(admin, f"/settings/{path}/delete").headers["Location"] == f"/settings/{part}"
    assert admin.get(f"/settings/{path}").status_code == 404
    assert read(desk, journal.lines)[0].change["after"] is None


def test_what_tickets_have_is_not_deleted_either(desk: Desk, admin: FlaskClient) -> None:
    send(admin, "/settings/fields/new", MADE["fields"][1])
    desk.ticket(team="sales", brand="acme", **{"fields.topic": "refund"})
    for path in ("teams/sales", "brands/acme", "fields/ticket.topic"):
        answer = send(admin, f"/settings/{path}/delete")
        assert (path, answer.status_code) == (path, 409)
        assert "1 tickets and other items have" in said(answer)
        assert admin.get(f"/settings/{path}").status_code == 200


def test_two_who_save_at_once_do_not_undo_each_other(desk: Desk, admin: FlaskClient) -> None:
    old = seen(admin, "/settings/brands/acme")
    save(admin, "/settings/brands/acme", label="Acme", zone="Europe/Paris")
    answer = send(admin, "/settings/brands/acme", {"seen": old, "label": "ACME", "zone": "UTC"})
    assert answer.status_code == 422
    assert "Somebody changed this since you opened it." in said(answer)
    assert read(desk, places.brands)["acme"].label == "Acme"


@pytest.mark.alike
@pytest.mark.parametrize(
    ("path", "fields", "why"),
    [
        ("brands/new", {"label": "B", "zone": "Mars/Olympus"}, "There is no time zone"),
        ("brands/new", {"label": "  ", "zone": "UTC"}, "It needs a name."),
        ("fields/new", {"label": "F", "kind": "ticket", "type": "choice"}, "A choice needs at least one option."),
        ("fields/new", {"label": "F", "kind": "ticket", "type": "choice", "options": "a: A\na: B"}, "two options a"),
        ("fields/new", {"label": "F", "kind": "spaceship", "type": "text"}, "Choose a kind of item"),
        ("people/new", {"name": "K", "email": "no address", "password": PASSWORD}, "sign in with an e-mail"),
        ("people/new", {"name": "K", "email": "k@x.test", "password": "short"}, "A password has 10 to"),
        ("people/new", {"name": "K", "email": "alex@deskhand.test", "password": PASSWORD}, "Somebody else signs in"),
        ("people/new", {"name": "K", "email": "k@x.test", "password": PASSWORD, "roles": "emperor"}, "no role"),
        ("teams/new", {"label": "T", "members": "nobody"}, "There is no user"),
        ("location_groups/new", {"label": "G", "locations": "nowhere"}, "There is no location"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_is_made(
    desk: Desk, admin: FlaskClient, path: str, fields: dict[str, object], why: str
) -> None:
    revision = read(desk, rule_list.revision)
    answer = send(admin, f"/settings/{path}", fields)
    assert answer.status_code == 422
    assert why in said(answer)
    assert (read(desk, rule_list.revision), list(read(desk, journal.lines))) == (revision, [])


@pytest.mark.parametrize(
    ("part", "fields", "name"),
    [
        ("teams", {"members": "alex"}, "Billing"),
        ("brands", {"zone": "UTC"}, "Tent"),
        ("locations", {}, "Paris"),
        ("location_groups", {}, "West"),
    ],
)
def test_a_name_that_another_one_has_is_refused_with_that_one_and_stays_in_the_form(
    desk: Desk, admin: FlaskClient, part: str, fields: dict[str, object], name: str
) -> None:
    if part != "teams":
        send(admin, f"/settings/{part}/new", {"label": name, **fields})
    kept = list(read(desk, PARTS[part].load))
    answer = send(admin, f"/settings/{part}/new", {"label": f" {name.upper()} ", **fields})
    assert answer.status_code == 422
    assert f"There is {name} already, with the key {name.lower()}." in said(answer)
    assert f'value=" {name.upper()} "' in text_of(answer)
    assert list(read(desk, PARTS[part].load)) == kept
    # Its own name is no other's, however it is written.
    assert save(admin, f"/settings/{part}/{name.lower()}", label=name.upper(), **fields).status_code == 302
    assert read(desk, PARTS[part].load)[name.lower()].label == name.upper()


def test_two_that_had_one_name_before_can_still_be_changed(desk: Desk, admin: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        connection.execute(insert(Team).values(key="billing_2", label="Billing", restricted=False))
    assert save(admin, "/settings/teams/billing_2", label="Billing", members="alex").status_code == 302
    assert read(desk, staff.teams)["billing_2"].members == ("alex",)
    # Renamed, it is a name like any other.
    assert save(admin, "/settings/teams/billing_2", label="sales", members="alex").status_code == 422
    assert read(desk, staff.teams)["billing_2"].label == "Billing"


def test_a_refusal_is_told_in_the_readers_language(desk: Desk, app: APIFlask) -> None:
    browser = app.test_client()
    sign_in(browser, desk.user("luc", "admin"))
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "luc").values(language="fr"))
    answer = send(browser, "/settings/teams/new", {"label": "Billing"})
    assert answer.status_code == 422
    assert "Billing existe déjà, avec la clé billing." in said(answer)


def test_who_may_not_open_the_settings_gets_403_and_changes_nothing(
    desk: Desk, admin: FlaskClient, app: APIFlask
) -> None:
    browser = app.test_client()
    let_in(browser, desk.user("kim", "manager", "developer"))
    assert "/settings" not in text_of(browser.get("/more"))
    for path in ("", "/teams", "/teams/billing", "/people/new", "/kept", "/journal"):
        assert browser.get(f"/settings{path}").status_code == 403
    assert send(browser, "/settings/teams/new", {"label": "Mine"}).status_code == 403
    assert send(browser, "/settings/teams/billing/delete").status_code == 403
    assert sorted(read(desk, staff.teams)) == ["billing", "ethics", "sales"]
    with desk.services.db.read() as connection:
        assert connection.execute(select(User.roles).where(User.key == "kim")).scalar_one() == ["manager", "developer"]


def test_a_brand_shows_the_addresses_of_its_form_and_chat_and_they_answer(admin: FlaskClient, desk: Desk) -> None:
    brand = next(iter(read(desk, places.brands)))
    page = html.unescape(text_of(admin.get(f"/settings/brands/{brand}")))
    for path in (f"/form/{brand}", f"/chat/{brand}", f"/chat/{brand}/button.js"):
        assert f"http://localhost{path}" in page
        assert admin.get(path).status_code == 200
    assert f'<script src="http://localhost/chat/{brand}/button.js" async></script>' in page


def test_what_is_no_brand_and_a_brand_not_made_yet_show_no_addresses(admin: FlaskClient) -> None:
    for path in ("/settings/teams/billing", "/settings/brands/new"):
        assert "button.js" not in text_of(admin.get(path))


def test_settings_and_the_phones_menu_lead_to_every_page_that_has_no_place_of_its_own(admin: FlaskClient) -> None:
    tabs = text_of(admin.get("/settings/people"))
    assert all(f'href="{path}"' in tabs for path in ("/mailboxes", "/pipelines", "/calendars", "/sla"))
    assert 'href="/away"' in text_of(admin.get("/more"))


def test_what_is_kept_for_how_long_is_said_as_the_clock_counts_it(desk: Desk, admin: FlaskClient) -> None:
    settings = desk.services.settings.model_copy(update={"keep_decisions_days": 41, "keep_sent_days": 12})
    found = {one.what: (one.days, one.setting) for one in retention.kept(settings)}
    # Kept 90 days by its own setting; none outlives the decisions that acted.
    assert (found["decisions"], found["checked"]) == (
        (41, "DESKHAND_KEEP_DECISIONS_DAYS"),
        (41, "DESKHAND_KEEP_CHECKED_DAYS"),
    )
    assert (found["sent"], found["replays"]) == ((12, "DESKHAND_KEEP_SENT_DAYS"), (retention.REPLAY_DAYS, ""))
    page = readable(text_of(admin.get("/settings/kept")))
    for one in retention.kept(desk.services.settings):
        assert f"{one.days} days {one.setting or 'fixed'}" in page
    known = {f"DESKHAND_{name.upper()}" for name in type(settings).model_fields}
    assert {one.setting for one in retention.kept(settings)} - {""} == {
        name for name in known if name.startswith("DESKHAND_KEEP_")
    }
