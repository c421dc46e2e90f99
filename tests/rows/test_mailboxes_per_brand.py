"""A brand's replies leave from its own mailbox, through its own mail server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert

from jobs import mailboxes
from tests.jobs.sink import a_mail_sink
from tests.rows.maildesk import MailDesk
from tests.web.desk import send
from tickets.tables import Mailbox


def smtp(url: str, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": int(url.rpartition(":")[2]), "user": "", "security": "plain", **more}


def open_to_this_machine(mail_desk: MailDesk) -> None:
    settings = mail_desk.services.settings.model_copy(update={"address_ceiling": "127.0.0.0/8"})
    mail_desk.desk.services = replace(mail_desk.services, settings=settings)
    mail_desk.app.extensions["deskhand"] = mail_desk.services


def test_a_brands_reply_leaves_from_its_mailbox_and_others_from_the_installations(mail_desk: MailDesk) -> None:
    open_to_this_machine(mail_desk)
    boss = mail_desk.browser("boss", "admin", "agent")
    with mail_desk.services.db.write() as connection:
        connection.execute(
            insert(Mailbox).values(key="acme", address="hi@acme.example", brand="acme", secret_sha256="y" * 64)
        )
    with a_mail_sink() as acme:
        form = {**smtp(acme.url), "enabled": "1"}
        assert send(boss, "/mailboxes/acme/smtp", form).status_code == 303
        send(boss, "/mailboxes/acme/smtp/test")
        assert [str(mail["To"]) for mail in acme.taken] == ["Boss <boss@deskhand.test>"]
        ours, others = mail_desk.desk.ticket(brand="acme"), mail_desk.desk.ticket(email="jo@customer.test")
        send(boss, f"/tickets/{ours}/messages", {"text": "From Acme.", "kind": "reply"})
        send(boss, f"/tickets/{others}/messages", {"text": "From us.", "kind": "reply"})
        [theirs] = mail_desk.deliver()
        assert theirs["From"] == "Acme Support <help@shop.example>"
        [_, mail] = acme.taken
        assert mail["From"] == "Acme Store <hi@acme.example>"
        assert str(mail["Reply-To"]).startswith("hi+t")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"host": ""}, "Enter the server&#39;s name"),
        ({"host": "a b"}, "Enter the server&#39;s name"),
        ({"port": "70000"}, "A port is a number"),
        ({"security": "rot13"}, "Choose how the connection is encrypted"),
        ({"user": "u"}, "A password is only sent encrypted"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_nothing_is_saved(
    mail_desk: MailDesk, change: dict[str, str], said: str
) -> None:
    boss = mail_desk.browser("boss", "admin")
    answer = send(boss, "/mailboxes/shop/smtp", {**smtp("x:25"), "enabled": "1", **change})
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    with mail_desk.services.db.read() as connection:
        assert mailboxes.accounts(connection, "shop") == {}


def test_an_address_the_installation_may_not_reach_is_refused_at_the_test(mail_desk: MailDesk) -> None:
    boss = mail_desk.browser("boss", "admin")
    with a_mail_sink() as other:
        send(boss, "/mailboxes/shop/smtp", {**smtp(other.url), "enabled": "1"})
        send(boss, "/mailboxes/shop/smtp/test")
        assert "private address" in boss.get("/mailboxes/shop").get_data(as_text=True)
        assert other.taken == []


def test_a_new_mailbox_is_added_for_a_brand_and_the_same_address_twice_is_refused(mail_desk: MailDesk) -> None:
    boss = mail_desk.browser("boss", "admin")
    made = send(boss, "/mailboxes", {"address": "Hi@Acme.example", "brand": "acme"})
    assert made.location == "/mailboxes/hi_acme_example"
    assert "hi@acme.example" in boss.get("/mailboxes").get_data(as_text=True)
    again = send(boss, "/mailboxes", {"address": "hi@acme.example"})
    assert again.status_code == 422
    assert send(boss, "/mailboxes", {"address": "nobody"}).status_code == 422
