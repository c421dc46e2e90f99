"""Named lists: edited on their page, used in any cell, live with the next event, not deleted under what uses them."""

from __future__ import annotations

from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from rules import store as rule_list
from rules.operators import MAX_VALUES
from rules.store import EntryKind
from tests.web.desk import TRIAGE, Desk, let_in, send
from tests.web.pages import edit, stored, text_of, words
from tickets import journal, lists
from tickets.lists import ListSpec
from tickets.values import JSON

VIP_TABLE: dict[str, Any] = {
    **TRIAGE,
    "name": "VIPs",
    "columns": [{"id": "c1", "field": "customer.email"}],
    "steps": [{"id": "s1", "do": "set_priority"}],
    "rows": [{"id": "r1", "if": {"c1": {"value": {"list": "VIPS"}}}, "then": {"s1": {"priority": "urgent"}}}],
    "otherwise": {"then": {"s1": {"priority": "low"}}},
}


@pytest.fixture
def manager(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, desk.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",)))
    return browser


@pytest.fixture
def vips(desk: Desk, manager: FlaskClient) -> ListSpec:
    """A list of people with one member, made through the page."""
    send(manager, "/lists", {"label": "VIPs", "people": "1"})
    save(manager, "camille@customer.test", seen=1)
    return the_list(desk)


def the_list(desk: Desk, key: str = "VIPS") -> ListSpec:
    with desk.services.db.read() as connection:
        return lists.lists(connection)[key]


def save(client: FlaskClient, members: str, *, seen: int, label: str = "VIPs", key: str = "VIPS"):
    return send(client, f"/lists/{key}", {"label": label, "members": members, "seen": seen})


def test_a_list_in_a_cell_decides_and_a_save_is_live_with_the_next_event(
    desk: Desk, manager: FlaskClient, vips: ListSpec
) -> None:
    desk.publish(VIP_TABLE)
    first, other = desk.ticket(), desk.ticket(email="paul@customer.test", name="Paul")
    desk.work()
    assert (desk.state(first)["priority"], desk.state(other)["priority"]) == ("urgent", "low")
    save(manager, "Paul@Customer.test", seen=vips.saves)
    later, again = desk.ticket(), desk.ticket(email="paul@customer.test", name="Paul")
    desk.work()
    assert (desk.state(later)["priority"], desk.state(again)["priority"]) == ("low", "urgent")


def test_a_list_is_ticked_in_a_cells_form_beside_values_of_its_own(
    desk: Desk, manager: FlaskClient, vips: ListSpec
) -> None:
    desk.publish({**VIP_TABLE, "rows": [{"id": "r1", "then": {"s1": {"priority": "urgent"}}}]})
    assert 'name="c1.list" value="VIPS"' in text_of(manager.get("/rules/A01/rows/r1?only=c1"))
    edit(manager, desk, do="cell", row="r1", column="c1", c1__op="is", c1__more="eva@x.test", c1__list="VIPS")
    assert stored(desk).working["rows"][0]["if"]["c1"] == {"value": ["eva@x.test", {"list": "VIPS"}]}
    edit(manager, desk, do="cell", row="r1", column="c1", c1__op="is", c1__list="VIPS")
    assert stored(desk).working["rows"][0]["if"]["c1"] == {"value": {"list": "VIPS"}}
    assert "list VIPs" in words(text_of(manager.get("/rules/A01")))
    assert 'value="VIPS" checked' in text_of(manager.get("/rules/A01/rows/r1?only=c1"))


def test_a_pasted_list_is_the_list_and_not_its_name(desk: Desk, manager: FlaskClient, vips: ListSpec) -> None:
    desk.publish(VIP_TABLE)
    edit(manager, desk, do="paste", row="r1", column="c1", text="list VIPs, eva@x.test")
    assert stored(desk).working["rows"][0]["if"]["c1"]["value"] == ["eva@x.test", {"list": "VIPS"}]
    edit(manager, desk, do="paste", row="r1", column="c1", text="list nobody")
    assert stored(desk).working["rows"][0]["if"]["c1"]["value"] == "list nobody"


def test_a_list_that_is_used_is_not_deleted_and_its_page_says_by_whom(
    desk: Desk, manager: FlaskClient, vips: ListSpec
) -> None:
    code = desk.publish(VIP_TABLE)
    send(manager, f"/rules/{code}/switch", {"enabled": "0"})
    answer = send(manager, "/lists/VIPS/delete")
    assert answer.status_code == 409
    assert "A01 VIPs (Row 1, Customer's e-mail; switched off). Nothing was deleted." in words(text_of(answer)).replace(
        "&#39;", "'"
    )
    assert the_list(desk) == vips
    with desk.services.db.write() as connection:
        rule_list.remove(connection, code, now=desk.clock.now())
    assert send(manager, "/lists/VIPS/delete").headers["Location"] == "/lists"
    with desk.services.db.read() as connection:
        assert lists.lists(connection) == {}


def test_a_list_used_only_in_a_draft_or_a_group_is_used(desk: Desk, manager: FlaskClient, vips: ListSpec) -> None:
    draft = {
        **VIP_TABLE,
        "columns": [],
        "rows": [{"id": "r1", "groups": [{"any": [{"field": "customer.email", "value": {"list": "VIPS"}}]}]}],
    }
    with desk.services.db.write() as connection:
        rule_list.create(connection, EntryKind.TABLE, "Draft", draft, author="ana", now=desk.clock.now())
    answer = send(manager, "/lists/VIPS/delete")
    assert answer.status_code == 409
    assert "A01 Draft (Row 1, group; only in the draft)" in words(text_of(answer))


def test_two_who_save_at_once_see_both_and_nothing_is_lost(desk: Desk, manager: FlaskClient, vips: ListSpec) -> None:
    save(manager, "camille@customer.test\neva@x.test", seen=vips.saves)
    answer = save(manager, "camille@customer.test\njan@x.test", seen=vips.saves)
    page = words(text_of(answer))
    assert answer.status_code == 409
    assert "In the saved list and not in yours: eva@x.test" in page
    assert "In yours and not in the saved list: jan@x.test" in page
    assert the_list(desk).members == ("camille@customer.test", "eva@x.test")
    assert f'name="seen" value="{vips.saves + 1}"' in text_of(answer)


def test_a_save_that_would_break_a_table_is_refused_and_not_saved(desk: Desk, manager: FlaskClient) -> None:
    send(manager, "/lists", {"label": "Limits"})
    save(manager, "5\n6", seen=1, label="Limits", key="LIMITS")
    number = {**VIP_TABLE, "columns": [{"id": "c1", "field": "customer.open_items", "op": "any_of"}]}
    desk.publish({**number, "rows": [{"id": "r1", "if": {"c1": {"value": {"list": "LIMITS"}}}}]})
    answer = save(manager, "5\nmany", seen=2, label="Limits", key="LIMITS")
    assert answer.status_code == 422
    assert "VIPs could not be read any more: The list LIMITS: &#39;many&#39; is not a number." in text_of(answer)
    assert the_list(desk, "LIMITS").members == ("5", "6")
    with desk.services.db.read() as connection:
        assert desk.services.live.current(connection).broken == {}


def test_what_is_no_address_is_refused_with_its_line(desk: Desk, manager: FlaskClient, vips: ListSpec) -> None:
    answer = save(manager, "eva@x.test\nnot an address", seen=vips.saves)
    assert answer.status_code == 422
    assert "Line 2: &#39;not an address&#39; is not an e-mail address." in text_of(answer)
    assert the_list(desk).members == ("camille@customer.test",)


def test_a_list_may_be_longer_than_a_cell_and_has_a_cap_of_its_own(desk: Desk, manager: FlaskClient) -> None:
    send(manager, "/lists", {"label": "Words"})
    many = "\n".join(f"word{n}" for n in range(lists.MAX_MEMBERS))
    save(manager, many, seen=1, label="Words", key="WORDS")
    assert len(the_list(desk, "WORDS").members) == lists.MAX_MEMBERS > MAX_VALUES
    rows: list[JSON] = [{"id": "r1", "if": {"c1": {"list": "WORDS"}}, "then": {"s1": {"priority": "high"}}}]
    desk.publish({**VIP_TABLE, "columns": [{"id": "c1", "field": "message.text"}], "rows": rows})
    hit, miss = desk.ticket(text="about word4999"), desk.ticket(text="about word5000")
    desk.work()
    assert (desk.state(hit)["priority"], desk.state(miss)["priority"]) == ("high", "low")
    answer = save(manager, many + "\none more", seen=2, label="Words", key="WORDS")
    assert answer.status_code == 422
    assert "at most 5000 entries, not 5001" in text_of(answer)
    assert the_list(desk, "WORDS").saves == 2


def test_every_change_of_a_list_is_in_the_journal_without_the_addresses(desk: Desk, vips: ListSpec) -> None:
    with desk.services.db.read() as connection:
        lines = [(one.who, one.part, one.key, one.change) for one in journal.lines(connection)]
    empty = {"label": "VIPs", "people": True, "entries": 0}
    assert lines[0] == ("ana", "list", "VIPS", {"before": empty, "after": {**empty, "entries": 1}})
    assert "camille" not in str(lines)


def test_who_may_not_edit_rules_sees_no_list(desk: Desk, app: APIFlask, vips: ListSpec) -> None:
    browser = app.test_client()
    let_in(browser, desk.user("kim", "agent"))
    assert [browser.get("/lists").status_code, browser.get("/lists/VIPS").status_code] == [403, 403]
    assert save(browser, "kim@x.test", seen=vips.saves).status_code == 403
    assert the_list(desk) == vips
