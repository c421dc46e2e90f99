"""H15: e-mail, live chat, web form and API of two stores: the same rules, one inbox."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from jobs.mailboxes import add_mailbox
from tests.intake.api import Api
from tests.rows.desk import a_rule, item_named, switch
from tests.rows.maildesk import MailDesk
from tests.web.desk import token
from tickets.tables import Brand

STORES = ("acme", "outlet")


@pytest.mark.parametrize("on", [True, False])
def test_h15_a_rule_decides_alike_whatever_the_channel_and_the_store(mail_desk: MailDesk, on: bool) -> None:
    ana = mail_desk.browser("ana")
    with mail_desk.services.db.write() as connection:
        connection.execute(insert(Brand).values(key="outlet", label="Outlet"))
        for store in STORES:
            add_mailbox(connection, key=store, address=f"hi@{store}.example", brand=store, secret=f"secret of {store}")
    words = {"message.text": ("contains_any", ["refund"])}
    rule = a_rule(mail_desk.desk, {"on": "created"}, when=words, then=[("assign_team", {"team": "billing"})])
    switch(mail_desk.desk, rule, on=on)
    made = []
    for store in STORES:
        text, sender = f"I want a refund from {store}.", f"kim.{store}@customer.test"
        mail = mail_desk.receive(text, sender=sender, to=f"hi@{store}.example", box=store, Subject="By mail")
        visitor = mail_desk.app.test_client()
        began = visitor.post(f"/chat/{store}/start", json={"text": text, "email": sender, "name": "Kim"})
        assert began.status_code == 201
        form = {"csrf_token": token(visitor.get(f"/form/{store}")), "subject": f"Form of {store}", "text": text}
        assert visitor.post(f"/form/{store}", data={**form, "email": sender, "name": "Kim"}).status_code == 200
        body = {"subject": f"API of {store}", "text": text, "brand": store, "customer": {"email": sender}}
        by_api = Api(mail_desk.app.test_client(), mail_desk.services, "ana").post("tickets", body)
        assert by_api.status_code == 201
        chat = item_named(mail_desk.desk, text)
        named = [item_named(mail_desk.desk, f"{channel} of {store}") for channel in ("Form", "API")]
        made += [(store, "email", mail.item_id), (store, "chat", chat), (store, "form", named[0])]
        made.append((store, "api", named[1]))
    mail_desk.work()
    inbox = ana.get("/?queue=all").get_data(as_text=True)
    for store, channel, number in made:
        assert number is not None
        state = mail_desk.desk.state(number)
        assert (state["brand"], state["channel"], state.get("team")) == (store, channel, "billing" if on else None)
        assert f'href="/tickets/{number}"' in inbox
