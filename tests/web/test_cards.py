"""Facts from outside as a person reads them: what is money, what is a time, what is a table, and what is only text."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import insert

from connectors.store import ConnectionTable
from tests.web.desk import NOW, Desk, let_in
from tests.web.pages import readable, ticket_page
from tickets.values import JSON
from web.cards import FOLD_CHARS, PAIRS, ROWS, TABLES, Card, card, icon_of, told_apart


def a_card(data: JSON, *, title: str = "Payments", source: str = "billing.list_charges", key: str = "payments") -> Card:
    row = SimpleNamespace(
        key=key, title=title, source=source, error="", body={"data": data}, fetched_at=NOW, fresh_until=None
    )
    return card(row, NOW, systems={"billing": "Billing"})


@pytest.fixture(autouse=True)
def in_a_request(app: APIFlask) -> object:
    """Amounts and times are written for a reader, so there must be one: nobody signed in, English, UTC."""
    with app.test_request_context():
        yield


def value(data: JSON) -> tuple[str, str]:
    """The first value of a card of pairs: its kind and text."""
    [(_label, cell), *_] = a_card(data).pairs
    return cell.kind, cell.text


@pytest.mark.alike
@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"amount": "310.89 PLN"}, ("money", "PLN\N{NARROW NO-BREAK SPACE}310.89")),
        ({"paid": "64.90 EUR"}, ("money", "€64.90")),
        ({"receivable": "33.97", "currency": "GBP"}, ("money", "£33.97")),
        ({"price": {"amount": "5.00", "currency": "eur"}}, ("money", "€5.00")),
        ({"total": "54.00"}, ("money", "54.00")),
        ({"amount": 6490, "currency": "EUR"}, ("number", "6490")),
        ({"version": "1.20"}, ("text", "1.20")),
        ({"code": "64.90 eur"}, ("text", "64.90 eur")),
        ({"date": "2026-11-18"}, ("time", "18 Nov")),
        ({"date": "2021-03-02"}, ("time", "2 Mar 2021")),
        ({"at": "2026-11-18T09:02:00+00:00"}, ("time", "18 Nov 09:02")),
        ({"at": "2026-11-18T10:02:00+01:00"}, ("time", "18 Nov 09:02")),
        ({"at": "2026-11-18T09:02"}, ("time", "18 Nov 09:02")),
        ({"at": "2026-13-45"}, ("text", "2026-13-45")),
        ({"at": "2026-11-18T25:02:00Z"}, ("text", "2026-11-18T25:02:00Z")),
        ({"status": "in_progress"}, ("state", "In progress")),
        ({"credit_hold": False}, ("text", "no")),
        ({"orders": 2}, ("number", "2")),
        ({"tags": ["a", "b"]}, ("text", "a, b")),
    ],
)
def test_a_value_is_what_it_says_it_is_and_nothing_is_guessed(data: JSON, shown: tuple[str, str]) -> None:
    assert value(data) == shown


def test_a_currency_beside_its_amounts_is_shown_with_them_only() -> None:
    assert [label for label, _ in a_card({"receivable": "1.00", "currency": "EUR", "name": "Kim"}).pairs] == [
        "Receivable",
        "Name",
    ]
    assert [label for label, _ in a_card({"currency": "EUR", "name": "Kim"}).pairs] == ["Currency", "Name"]


def test_records_are_a_table_with_time_first_and_amounts_last_to_the_right() -> None:
    rows = [{"id": "x", "amount": "1.00 EUR", "status": "paid", "at": "2026-11-18", "note": None, "order": "LH-1"}]
    [table] = a_card({"charges": rows}).tables
    assert (table.title, table.columns) == ("", ["At", "Status", "Order", "Amount"])
    assert [cell.text for cell in table.rows[0]] == ["18 Nov", "Paid", "LH-1", "€1.00"]
    assert [table.right(column) for column in range(4)] == [False, False, False, True]


def test_a_table_nested_beside_values_keeps_its_name() -> None:
    shown = a_card({"tier": "gold", "orders": [{"number": "1"}, {"number": "2"}], "city": "Cardiff"})
    assert [label for label, _ in shown.pairs] == ["Tier", "City"]
    [table] = shown.tables
    assert (table.title, table.columns, len(table.rows)) == ("Orders", ["Number"], 2)


def test_a_list_that_is_no_records_is_a_row_each() -> None:
    [table] = a_card(["one", {"a": 1}, 2]).tables
    assert table.columns == ()
    assert [row[0].text for row in table.rows] == ["one", "a: 1", "2"]


def test_what_does_not_fit_is_counted() -> None:
    many = a_card({f"k{number}": number for number in range(PAIRS + 3)})
    assert (len(many.pairs), many.more) == (PAIRS, 3)
    [table] = a_card([{"a": 1}] * (ROWS + 2)).tables
    assert (len(table.rows), table.more) == (ROWS, 2)
    tables = a_card({f"t{number}": [{"a": 1}] for number in range(TABLES + 1)})
    assert (len(tables.tables), tables.more) == (TABLES, 1)


def test_a_long_value_is_folded_and_whole_inside() -> None:
    long = "word " * 60
    [(_, cell)] = a_card({"note": long}).pairs
    assert len(cell.short) == FOLD_CHARS + 1
    assert cell.text == long
    assert a_card({"note": "short"}).pairs[0][1].short == ""


@pytest.mark.parametrize(
    ("operation", "system", "icon"),
    [
        ("list_charges", "billing", "receipt"),
        ("find_customer", "crm", "user"),
        ("list_orders", "erp", "package"),
        ("find_party", "erp", "user"),
        ("search", "crm", "user"),
        ("ping", "weather", "layers"),
    ],
)
def test_the_icon_says_what_was_asked_about(operation: str, system: str, icon: str) -> None:
    assert icon_of(operation, system) == icon


def test_no_two_cards_have_one_title() -> None:
    same = [
        a_card({"a": 1}, title="Customer", source="crm.find_customer", key="one"),
        a_card({"a": 1}, title="Orders", source="erp.list_orders", key="two"),
        a_card({"a": 1}, title="orders", source="erp.list_orders", key="three"),
    ]
    titles = [one.title for one in told_apart(same, taken=["Customer"])]
    assert titles == ["Customer (crm.find_customer)", "Orders (erp.list_orders) two", "orders (erp.list_orders) three"]
    assert [one.title for one in told_apart(same[:2])] == ["Customer", "Orders"]


def test_a_lookups_own_card_is_called_as_people_would_and_a_chosen_title_stays() -> None:
    plain = a_card({"a": 1}, title="billing: list charges")
    assert (plain.title, plain.source, plain.asked) == ("Charges", "Billing", "billing.list_charges")
    unknown = a_card({"a": 1}, title="erp: find party", source="erp.find_party")
    assert (unknown.title, unknown.source) == ("erp: find party", "erp.find_party")
    assert a_card({"a": 1}, title="Payments").title == "Payments"


def test_the_page_names_the_system_and_shows_times_in_the_readers_zone(desk: Desk, app: APIFlask) -> None:
    item_id = desk.ticket("Refund")
    with desk.services.db.write() as connection:
        connection.execute(
            insert(ConnectionTable).values(
                name="billing",
                kind="http_json",
                label="Billing",
                config={},
                secrets="",
                config_version=1,
                enabled=True,
                allow_write=False,
                needs_reauth=False,
                created_at=NOW,
                updated_at=NOW,
            )
        )
    at = datetime(2026, 11, 18, 9, 2, tzinfo=UTC).isoformat()
    desk.card(item_id, "billing.list_charges", [{"at": at, "amount": "64.90 EUR"}], title="Payments")
    desk.clock.move(minutes=2)
    browser: FlaskClient = app.test_client()
    let_in(browser, desk.user("zoe", "agent", zone="Europe/Paris"))
    page = ticket_page(browser, item_id)
    assert "Payments Billing, 2 min ago At Amount 18 Nov 10:02 €64.90" in readable(page)
    assert '<span class="src" title="billing.list_charges">' in page
    assert '<td class="r"><span class="num">€64.90</span></td>' in page


def test_what_has_no_room_beside_the_rest_is_under_every_field_and_the_amount_stays() -> None:
    row = {"at": "2026-11-18T09:02", "order": "LH-27182", "amount": "310.89 PLN", "status": "succeeded"}
    [fits] = a_card([row]).tables
    assert (fits.columns, fits.whole) == (["At", "Order", "Status", "Amount"], "")
    [tight] = a_card([{**row, "amount": "1310.89 PLN"}]).tables
    assert tight.columns == ["At", "Status", "Amount"]
    assert '"order": "LH-27182"' in tight.whole
    [alone] = a_card([{"note": "x" * 300, "other": "y"}]).tables
    assert alone.columns == ["Note"]
    assert '"other": "y"' in alone.whole
