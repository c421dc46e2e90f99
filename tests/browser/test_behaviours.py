"""What the desk does by itself, in Chromium and with real mail: messages, replies that wait, requests, secrecy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from redis import Redis
from sqlalchemy import insert

from rules import store as rule_list
from tests.browser.conftest import Served, Visitor, serving
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.rows.desk import a_pipeline, a_rule, switch
from tests.rows.maildesk import MailDesk, a_mail_desk, a_table, recipient, template, text_of
from tickets.tables import QuestionList
from web import api_store

pytestmark = pytest.mark.browser

Visit = Callable[..., Visitor]
PAPERS = [
    {"key": "year", "label": "Which year?", "type": "text"},
    {"key": "married", "label": "Are you married?", "type": "yes_no"},
    {"key": "proof", "label": "Your proof", "type": "file"},
]
#: The desk's clock stands at Saturday, 21 November 2026, 09:31 UTC, which is 10:31 in Paris.
MONDAYS = {"approval": False, "days": ["mon"], "window_from": "09:00", "window_until": "17:00", "zone": "Europe/Paris"}


@pytest.fixture
def mail_desk(
    make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis
) -> Iterator[MailDesk]:
    """A desk whose mail goes to a real mail server."""
    with a_mail_desk(make_database("sqlite"), tmp_path, redis_server.url) as made:
        yield made


@pytest.fixture
def served(mail_desk: MailDesk) -> Iterator[Served]:
    """That desk, served on a free port."""
    with serving(mail_desk.desk, mail_desk.app) as found:
        yield found


@pytest.fixture
def inside(mail_desk: MailDesk, visit: Visit) -> Callable[..., Visitor]:
    """Signs somebody who works here in: `inside("ana", "manager", teams=("ethics",))`."""

    def sign_in(key: str, *roles: str, teams: tuple[str, ...] = (), **how: object) -> Visitor:
        email = mail_desk.desk.user(key, *(roles or ("agent",)), teams=teams)
        visitor = visit(**how)
        visitor.let_in(email)
        return visitor

    return sign_in


def link_in(mail: EmailMessage) -> str:
    """The way in that a mail leads to, without the host."""
    found = re.search(r"https?://[^/\s]+(/portal/\S+)", text_of(mail))
    assert found, text_of(mail)
    return found[1]


def test_a_message_is_reworded_tested_switched_off_and_not_deleted_while_a_rule_sends_it(
    mail_desk: MailDesk, inside: Callable[..., Visitor]
) -> None:
    template(mail_desk)
    mail_desk.desk.publish(a_table("post_message", {"template": "E01"}))
    boss = inside("boss", "manager")
    boss.go("/messages")
    system = boss.page.get_by_role("row").filter(has_text="New message in a conversation")
    expect(system.get_by_text("always on")).to_be_visible()
    expect(system.get_by_role("button", name="Switch off")).to_have_count(0)
    boss.page.get_by_role("row").filter(has_text="E01").get_by_role("link").first.click()
    group = boss.page.get_by_role("group", name="English")
    group.get_by_label("Text").fill("We answer today, {{customer.name}}.")
    boss.page.get_by_label("What changes, and why").fill("Sooner")
    boss.page.get_by_role("button", name=re.compile("^Publish version")).click()
    expect(boss.page.get_by_text("v2 is live")).to_be_visible()
    first = mail_desk.desk.ticket("Where is it?", language="en")
    mail_desk.work()
    assert mail_desk.said(first)[1:] == [("bot", "We answer today, Camille Laurent.")]

    boss.page.reload()
    boss.page.get_by_role("button", name="Send a test to me").first.click()
    expect(boss.page.get_by_text("A test is on its way to boss@deskhand.test")).to_be_visible()
    assert [recipient(mail) for mail in mail_desk.deliver()].count("boss@deskhand.test") == 1

    boss.page.get_by_role("button", name="Delete").click()
    expect(boss.page.get_by_text(re.compile("^E01 .* is used by .*A01"))).to_be_visible()
    boss.go("/templates/E01")
    boss.page.get_by_role("button", name="Switch off").click()
    expect(boss.page.get_by_role("button", name="Switch on")).to_be_visible()
    second = mail_desk.desk.ticket("And mine?", email="b@customer.test", language="en")
    mail_desk.work()
    assert len(mail_desk.said(second)) == 1


def test_o5_a_click_on_a_placeholder_puts_it_where_the_caret_was(
    mail_desk: MailDesk, inside: Callable[..., Visitor]
) -> None:
    template(mail_desk)
    boss = inside("boss", "manager")
    boss.go("/templates/E01")
    group = boss.page.get_by_role("group", name="English")
    subject, body = group.get_by_label("Subject"), group.get_by_label("Text")
    insert_name = boss.page.locator('[data-insert="{{customer.name}}"]')
    body.fill("Dear , we are sorry.")
    body.evaluate("one => one.setSelectionRange(5, 5)")
    insert_name.click()
    expect(body).to_have_value("Dear {{customer.name}}, we are sorry.")
    expect(body).to_be_focused()
    boss.page.keyboard.type("!")  # what is typed next goes on behind it
    expect(body).to_have_value("Dear {{customer.name}}!, we are sorry.")
    # By keyboard, and in place of what was chosen; the other texts stay as they were.
    subject.fill("About THIS")
    subject.evaluate("one => one.setSelectionRange(6, 10)")
    boss.page.locator('[data-insert="{{ticket.id}}"]').press("Enter")
    expect(subject).to_have_value("About {{ticket.id}}")
    expect(body).to_have_value("Dear {{customer.name}}!, we are sorry.")
    boss.page.get_by_label("What changes, and why").fill("Kinder")
    boss.page.get_by_role("button", name=re.compile("^Publish version")).click()
    expect(boss.page.get_by_text("v2 is live")).to_be_visible()
    mail_desk.desk.publish(a_table("post_message", {"template": "E01"}))
    ticket = mail_desk.desk.ticket("Where is it?", language="en")
    assert [str(mail["Subject"]) for mail in mail_desk.work()] == [f"About {ticket} [#{ticket}]"]


def test_a_template_is_put_into_a_reply_from_the_keyboard_and_chosen_files_stay(
    mail_desk: MailDesk, inside: Callable[..., Visitor], tmp_path: Path
) -> None:
    template(mail_desk)
    ticket = mail_desk.desk.ticket("Parcel", language="en")
    ana = inside("ana")
    ana.go(f"/tickets/{ticket}")
    page, field = ana.page, ana.page.locator("#reply")
    paper = tmp_path / "label.txt"
    paper.write_text("a label")
    page.locator("#files").set_input_files(paper)
    page.keyboard.press("r")
    page.keyboard.type("Good morning.")
    page.keyboard.press("Escape")
    page.locator("#then").focus()
    page.locator("#canned").press("E")
    expect(page.locator("#canned")).to_have_value("E01")
    page.locator("#canned").press("Tab")
    page.keyboard.press("Enter")
    expect(field).to_have_value(f"Good morning.\n\nHello, see {ticket}.")
    expect(field).to_be_focused()
    assert mail_desk.work() == []
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text(f"Hello, see {ticket}.").first).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("label.txt"))).to_be_visible()
    [mail] = mail_desk.work()
    assert text_of(mail).startswith(f"Good morning.\n\nHello, see {ticket}.")


def test_o5_without_scripts_no_button_promises_to_insert(mail_desk: MailDesk, inside: Callable[..., Visitor]) -> None:
    template(mail_desk)
    boss = inside("boss", "manager", scripts=False)
    boss.go("/templates/E01")
    expect(boss.page.get_by_text("{{customer.name}}", exact=True)).to_be_visible()
    expect(boss.page.locator("[data-insert]").first).to_be_hidden()


def test_a_suggested_reply_is_reworded_and_sent_and_another_waits_for_its_window(
    mail_desk: MailDesk, inside: Callable[..., Visitor]
) -> None:
    by_hand = mail_desk.desk.publish(a_table("suggest_reply", {"text": "Dear {{customer.name}}, we are sorry."}))
    ana = inside("ana")
    asked = mail_desk.desk.ticket("Broken cup")
    assert mail_desk.work() == []
    ana.go(f"/tickets/{asked}")
    expect(ana.page.get_by_text("waits for approval")).to_be_visible()
    box = ana.page.get_by_role("textbox", name="Suggested reply")
    expect(box).to_have_value("Dear Camille Laurent, we are sorry.")
    box.fill("Dear Camille, a new cup is on its way.")
    ana.page.get_by_role("button", name="Send as my reply").click()
    expect(ana.page.locator(".msg").get_by_text("a new cup is on its way").first).to_be_visible()
    expect(ana.page.get_by_text("waits for approval")).to_have_count(0)
    [mail] = mail_desk.work()
    assert text_of(mail).startswith("Dear Camille, a new cup is on its way.")

    switch(mail_desk.desk, by_hand, on=False)
    mail_desk.desk.publish(a_table("suggest_reply", {"text": "We received it.", **MONDAYS}))
    waits = mail_desk.desk.ticket("Lost parcel", email="b@customer.test")
    assert mail_desk.work() == []
    ana.go(f"/tickets/{waits}")
    expect(ana.page.get_by_text("publishes itself").first).to_be_visible()
    ana.go("/outbox?state=waiting")
    expect(ana.page.get_by_role("textbox", name="Suggested reply")).to_have_value("We received it.")
    assert mail_desk.later(hours=46, minutes=28) == []  # Monday 08:59 in Paris
    assert [text_of(mail).splitlines()[0] for mail in mail_desk.later(minutes=2)] == ["We received it."]
    ana.go(f"/tickets/{waits}")
    expect(ana.page.get_by_text("publishes itself")).to_have_count(0)


def test_a_request_is_sent_answered_and_moves_the_job_seen_from_both_sides(
    mail_desk: MailDesk, inside: Callable[..., Visitor], visit: Visit
) -> None:
    a_pipeline(mail_desk.desk, "Collect", "Review", automove=("Collect",))
    with mail_desk.services.db.write() as connection:
        connection.execute(
            insert(QuestionList).values(
                key="papers", label="Your papers", purpose="request", kind="ticket", questions=PAPERS, active=True
            )
        )
        rule_list.bump(connection)
    staff = inside("ana", width=900)
    staff.go("/items/job/new")
    staff.page.get_by_label("Subject").fill("Return 2025")
    staff.page.get_by_label("Customer's e-mail").fill("camille@customer.test")
    staff.page.get_by_label("Pipeline").select_option("tax")
    staff.page.get_by_role("button", name="Create").click()
    expect(staff.page.get_by_role("heading", level=1)).to_have_text("Return 2025")
    staff.page.get_by_role("link", name="Ask the customer something").click()
    staff.page.get_by_label("Ask", exact=True).select_option("papers")
    staff.page.get_by_role("button", name="Send", exact=True).click()
    expect(staff.page.get_by_text("Your papers").first).to_be_visible()
    [mail] = mail_desk.work()
    staff.go("/items/job/board")
    expect(staff.page.get_by_role("region", name="Collect").get_by_text("1 pending")).to_be_visible()

    client = visit(width=390)
    client.go(link_in(mail))
    client.page.get_by_label("Which year?").fill("2025")
    client.page.get_by_label("Are you married?").select_option("no")
    client.page.get_by_role("button", name="Send").click()
    # What is required has to be answered, and what was answered is still there.
    expect(client.page.get_by_text("Please answer this.").first).to_be_visible()
    expect(client.page.get_by_label("Which year?")).to_have_value("2025")
    client.page.get_by_label("Your proof").set_input_files({"name": "p.pdf", "mimeType": "a/b", "buffer": b"%PDF"})
    client.page.get_by_role("button", name="Send").click()
    expect(client.page.get_by_role("heading", level=1)).to_have_text("Thank you, we have your answers")
    mail_desk.work()

    staff.page.reload()
    expect(staff.page.get_by_role("region", name="Review").get_by_text("Return 2025")).to_be_visible()
    staff.page.get_by_role("link", name="Return 2025").click()
    expect(staff.page.get_by_text("Automove", exact=True)).to_be_visible()
    # The link is spent: it neither shows nor changes what was answered.
    client.go(link_in(mail))
    expect(client.page.get_by_text("2025")).to_have_count(0)


def test_the_whole_portal_works_without_scripts(mail_desk: MailDesk, visit: Visit) -> None:
    ticket = mail_desk.desk.ticket("Where is my parcel?", published=True)
    other = mail_desk.desk.ticket("Not mine", email="mallory@customer.test", name="Mallory", published=True)
    me = visit(width=390, scripts=False)
    me.go("/portal/sign-in")
    me.page.get_by_label("Your e-mail").fill("camille@customer.test")
    with me.page.expect_navigation():
        me.page.get_by_role("button", name="Send me a link").click()
    [mail] = mail_desk.work()
    me.go(link_in(mail))
    me.page.get_by_role("button", name="Go in").click()
    # It speaks the customer's language, which their mails said, until they choose another.
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Vos messages")
    me.page.locator("summary").click()
    me.page.locator("select[name=language]").select_option("en")
    me.page.get_by_role("button", name="Enregistrer").click()
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Your messages")
    expect(me.page.get_by_text("Not mine")).to_have_count(0)
    me.page.get_by_role("link", name="Where is my parcel?").click()
    me.page.get_by_label("Your reply").fill("It came, broken.")
    me.page.get_by_label(re.compile("^Files")).set_input_files({"name": "c.png", "mimeType": "a/b", "buffer": b"x"})
    me.page.get_by_role("button", name="Send").click()
    expect(me.page.get_by_text("It came, broken.")).to_be_visible()
    expect(me.page.get_by_role("link", name=re.compile("c.png"))).to_be_visible()
    assert mail_desk.said(ticket)[-1] == ("customer", "It came, broken.")
    me.go(f"/portal/items/{other}")
    expect(me.page.get_by_text("Not mine")).to_have_count(0)
    # The link was good once.
    again = visit(scripts=False)
    again.go(link_in(mail))
    expect(again.page.get_by_role("button", name="Go in")).to_have_count(0)


def test_a_report_to_a_restricted_team_is_seen_by_its_members_alone_by_every_route(
    mail_desk: MailDesk, inside: Callable[..., Visitor]
) -> None:
    desk = mail_desk.desk
    code = desk.publish(a_table("add_tags", {"tags": ["looked_at"]}))
    hania = inside("hania", "agent", teams=("ethics",))
    mia = inside("mia", "manager")
    note = {"users": ["hania", "mia"], "text": "Read: {{ticket.subject}}"}
    a_rule(desk, {"on": "created"}, when={"ticket.team": ("is", "ethics")}, then=[("notify", note)])
    report = desk.ticket("Zorgon touched my shoulder", "It was in the lift.", team="ethics")
    open_one = desk.ticket("Where is my parcel?", email="b@customer.test")
    mail_desk.work()
    with mail_desk.services.db.write() as connection:
        keys = {
            who: api_store.new_token(connection, user=who, name="t", now=desk.clock.now(), days=1)
            for who in ("hania", "mia")
        }

    def found(who: Visitor, key: str) -> dict[str, bool]:
        """By which routes somebody comes upon the report."""
        page: Page = who.page
        seen: dict[str, bool] = {}
        for name, path in {
            "page": f"/tickets/{report}",
            "queue": "/?queue=all",
            "bell": "/bell",
            "why": f"/tickets/{report}/why/{code}",
            "number": f"/?queue=all&text={report}",
        }.items():
            who.go(path)
            expect(page.locator("body")).to_be_visible()
            # The answer to "why" names the rule and its steps, the other pages the report.
            words = "Tests add_tags" if name == "why" else "Zorgon"
            seen[name] = page.get_by_text(re.compile(words)).count() > 0
        who.go("/?queue=all")
        page.get_by_placeholder("Search tickets").fill("lift")
        with page.expect_navigation(url=re.compile("lift"), wait_until="load"):
            page.keyboard.press("Enter")
        seen["search"] = page.get_by_text(re.compile("Zorgon")).count() > 0
        headers = {"Authorization": f"Bearer {key}"}
        listed = page.request.get(f"{who.url}/api/v1/tickets", headers=headers)
        assert listed.status == 200
        seen["api"] = "Zorgon" in listed.text()
        seen["api, one"] = page.request.get(f"{who.url}/api/v1/tickets/{report}", headers=headers).status == 200
        assert page.request.get(f"{who.url}/api/v1/tickets/{open_one}", headers=headers).status == 200
        return seen

    inside_sees = found(hania, keys["hania"])
    assert all(inside_sees.values()), inside_sees
    assert not any(found(mia, keys["mia"]).values())
    # The preview of a draft runs over what one may see, and says how many it left out.
    draft = a_table("add_tags", {"tags": ["looked_at", "twice"]})
    with mail_desk.services.db.write() as connection:
        seen = rule_list.entry(connection, code).draft_count
        rule_list.save_draft(connection, code, draft, author="mia", seen=seen, now=desk.clock.now())
    mia.go(f"/rules/{code}")
    preview = mia.page.get_by_role("region", name="Preview")
    expect(preview.get_by_text(re.compile(r"· [1-9]\d* hidden"))).to_be_visible()
    expect(preview.get_by_text("Where is my parcel?").first).to_be_visible()
    expect(mia.page.get_by_text(re.compile("Zorgon"))).to_have_count(0)
    # A manager of that very team sees it there, and nothing is left out.
    hilda = inside("hilda", "manager", teams=("ethics",))
    hilda.go(f"/rules/{code}")
    expect(hilda.page.get_by_role("region", name="Preview").get_by_text(re.compile("Zorgon")).first).to_be_visible()
    expect(hilda.page.get_by_text(re.compile(r"· [1-9]\d* hidden"))).to_have_count(0)
