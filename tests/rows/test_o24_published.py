"""O24 O12: a ticket is published by a rule or by hand; only then its customer finds it in the portal."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import select

from tests.rows.desk import a_rule, said_to_customer, switch
from tests.web.desk import Desk, send, token
from tickets import tokens
from tickets.tables import PortalToken


def enter(desk: Desk, client: FlaskClient) -> None:
    page = client.get("/portal/sign-in")
    client.post("/portal/sign-in", data={"csrf_token": token(page), "email": "camille@customer.test"})
    with desk.services.db.read() as connection:
        salt = connection.execute(select(PortalToken.salt)).scalar_one()
    link = "/portal/enter/" + tokens.text_of(desk.services.settings.keys.session, salt)
    assert client.post(link, data={"csrf_token": token(client.get(link))}).status_code == 303


def test_o12_o24_a_new_ticket_is_published_by_the_rule_and_hidden_without_it(
    agent: FlaskClient, client: FlaskClient, desk: Desk
) -> None:
    rule = a_rule(
        desk,
        {"on": "created"},
        then=[("set_published", {"published": True}), ("post_message", {"text": "See it in the portal."})],
    )
    shown = desk.ticket("Shown by the rule")
    desk.work()
    switch(desk, rule, on=False)
    hidden = desk.ticket("Hidden without it")
    desk.work()
    enter(desk, client)
    page = client.get("/portal/").get_data(as_text=True)
    assert ("Shown by the rule" in page, "Hidden without it" in page) == (True, False)
    # O12: who is invited reads it in the portal.
    assert said_to_customer(desk, shown) == ["See it in the portal."]
    assert "See it in the portal." in client.get(f"/portal/items/{shown}").get_data(as_text=True)
    # By hand, on and off, on each item's page.
    send(agent, f"/tickets/{hidden}/details", {"was:published": "1", "published": "yes"})
    send(agent, f"/tickets/{shown}/details", {"was:published": "1"})
    page = client.get("/portal/").get_data(as_text=True)
    assert ("Shown by the rule" in page, "Hidden without it" in page) == (False, True)
    assert client.get(f"/portal/items/{shown}").status_code == 404
