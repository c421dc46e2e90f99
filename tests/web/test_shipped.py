"""What ships: each table and recipe does what it says, by mail or page, and nothing of it happens when it is off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import insert, update

from jobs.demo import desk as demo_desk
from jobs.mailboxes import add_mailbox
from rules import store as rule_list
from rules.parse import problems
from tests.environment.databases import MakeDatabase
from tests.environment.redis import RedisServer
from tests.intake.mail import ADDRESS, MAILBOX, SECRET, a_mail, messages, take
from tests.rows.desk import a_pipeline
from tests.rules.desk import DESK as WORDS
from tests.web.desk import NOW, Desk, a_desk, let_in, send
from tests.web.pages import text_of, words
from tickets.tables import Team, TeamMember, User
from tickets.values import JSON
from web import shipped
from web.recipes import RECIPES, recipes


@pytest.fixture
def desk(make_database: MakeDatabase, tmp_path: Path, redis_server: RedisServer, redis: Redis) -> Iterator[Desk]:
    """A desk with a mailbox, Ana the manager, and the teams that recipes name."""
    made = a_desk(make_database("sqlite"), tmp_path, redis_server.url)
    made.user("ana", "manager", "agent", name="Ana Nowak", teams=("billing",))
    with made.services.db.write() as connection:
        add_mailbox(connection, key=MAILBOX, address=ADDRESS, brand="acme", secret=SECRET)
        for key in ("hr", "logistics", "first_line"):
            connection.execute(insert(Team).values(key=key, label=key.capitalize(), restricted=False))
            connection.execute(insert(TeamMember).values(team=key, user="ana"))
    yield made
    made.services.close()


@pytest.fixture
def ana(desk: Desk, app: APIFlask) -> FlaskClient:
    browser = app.test_client()
    let_in(browser, "ana@deskhand.test")
    return browser


@pytest.fixture
def defaults(desk: Desk, app: APIFlask) -> list[str]:
    """The tables of a new desk, installed as ./run does; their codes."""
    done = app.test_cli_runner().invoke(args=["rules", "defaults"])
    assert done.exit_code == 0, done.output
    return [one.code for one in shipped.defaults()]


def off(ana: FlaskClient, code: str) -> None:
    """Switch a table off as a manager does."""
    assert send(ana, f"/rules/{code}/switch", {"enabled": "0"}).status_code == 302


def from_recipe(desk: Desk, ana: FlaskClient, recipe: str) -> str:
    """A table begun with a recipe and published, by page; its code."""
    name = recipes()[recipe].name
    code = send(ana, "/rules", {"recipe": recipe, "name": name}).headers["Location"].rpartition("/")[2]
    with desk.services.db.read() as connection:
        seen = rule_list.entry(connection, code).draft_count
    answer = send(ana, f"/rules/{code}/publish", {"seen": seen, "note": "As it ships"})
    assert answer.status_code == 302, words(text_of(answer))
    return code


def said(desk: Desk, item_id: int) -> list[tuple[str, bool]]:
    """What the bot wrote: the first line of each text, and whether the customer sees it."""
    return [(one.text.splitlines()[-1], one.public) for one in messages(desk, item_id) if one.author_kind == "bot"]


def by_mail(desk: Desk, text: str = "Where is it?", **headers: str) -> int:
    found = take(desk, a_mail(text, **headers)).item_id
    assert found is not None
    desk.work()
    return found


# The defaults ------------------------------------------------------------------------------------------------------


def test_o32_a_new_desk_has_its_tables_on_and_a_filled_one_is_left_alone(
    desk: Desk, app: APIFlask, ana: FlaskClient, defaults: list[str]
) -> None:
    with desk.services.db.read() as connection:
        entries = {one.code: one for one in rule_list.entries(connection)}
        assert {"A02", "A06", "A07", "A11", "A17", "A20", "A28"} <= set(entries)
        assert all(one.enabled and one.live_version == 1 for one in entries.values())
        assert desk.services.live.current(connection).broken == {}
    assert "A17" in text_of(ana.get("/rules"))
    assert 'name="name"' in text_of(ana.get("/rules/A17/settings"))
    again = app.test_cli_runner().invoke(args=["rules", "defaults"])
    assert (again.exit_code, again.output) == (1, "The rule list is not empty. Nothing was added.\n")
    with desk.services.db.read() as connection:
        assert {one.code: one.live_version for one in rule_list.entries(connection)} == dict.fromkeys(entries, 1)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["left alone", "paused", "edited", "deleted"])
def test_o32_what_ships_is_paused_edited_and_deleted_by_page(
    desk: Desk, ana: FlaskClient, defaults: list[str], what: str
) -> None:
    with desk.services.db.read() as connection:
        entry = rule_list.entry(connection, "A17")
    row, step = entry.working["rows"][0]["id"], entry.working["steps"][0]["id"]
    if what == "paused":
        off(ana, "A17")
    elif what == "deleted":
        answer = send(ana, "/rules/A17/delete", {"seen": entry.draft_count})
        assert answer.headers["Location"] == "/rules"
        assert ana.get("/rules/A17").status_code == 404
    elif what == "edited":
        cell = {"do": "cell", "row": row, "column": step, f"{step}.published": "false"}
        assert send(ana, "/rules/A17/edit", {"seen": entry.draft_count, **cell}).status_code == 302
        sent = {"seen": entry.draft_count + 1, "note": "Nobody sees it before we have read it"}
        assert send(ana, "/rules/A17/publish", sent).status_code == 302
    published = desk.state(by_mail(desk)).get("published")
    assert bool(published) is (what == "left alone")


@pytest.mark.parametrize("on", [True, False])
def test_o12_a_new_ticket_invites_the_customer_to_the_portal(
    desk: Desk, ana: FlaskClient, defaults: list[str], on: bool
) -> None:
    if not on:
        off(ana, "A02")
    ticket = by_mail(desk)
    assert [("portal" in text, public) for text, public in said(desk, ticket)] == ([(True, True)] if on else [])


def test_o12_a_machine_is_not_answered(desk: Desk, defaults: list[str]) -> None:
    assert take(desk, a_mail(Auto_Submitted="auto-replied")).item_id is None
    desk.work()
    assert messages(desk, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
def test_o24_a_new_ticket_is_published_unless_the_table_is_off(
    desk: Desk, ana: FlaskClient, defaults: list[str], on: bool
) -> None:
    if not on:
        off(ana, "A17")
    assert desk.state(by_mail(desk)).get("published") is (True if on else None)


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
def test_o23_a_public_reply_by_page_waits_for_the_customer(
    desk: Desk, ana: FlaskClient, defaults: list[str], on: bool
) -> None:
    if not on:
        off(ana, "A11")
    ticket = by_mail(desk)
    before = desk.state(ticket).get("status")
    send(ana, f"/tickets/{ticket}/messages", {"text": "Only for us", "kind": "note"})
    desk.work()
    assert desk.state(ticket).get("status") == before
    send(ana, f"/tickets/{ticket}/messages", {"text": "It is on its way.", "kind": "reply"})
    desk.work()
    assert desk.state(ticket).get("status") == ("waiting_customer" if on else before)


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
def test_o11_a_finished_ticket_tells_its_customer_once(
    desk: Desk, ana: FlaskClient, defaults: list[str], on: bool
) -> None:
    off(ana, "A02")
    if not on:
        off(ana, "A20")
    ticket = by_mail(desk)
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "waiting_team"})
    desk.work()
    assert said(desk, ticket) == []
    for status in ("solved", "closed"):
        send(ana, f"/tickets/{ticket}/fields/status", {"value": status})
        desk.work()
    assert [("just answer" in text, public) for text, public in said(desk, ticket)] == ([(True, True)] if on else [])


# Recipes -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_at_least_twelve_recipes_are_offered_and_each_makes_a_draft_that_decides_nothing(
    desk: Desk, ana: FlaskClient
) -> None:
    page = text_of(ana.get("/rules/new"))
    assert len(RECIPES) >= 12
    for recipe in recipes().values():
        assert recipe.doc[0].isupper()
        assert recipe.doc[-1] == "."
        assert f'name="recipe" value="{recipe.key}"' in page
        code = send(ana, "/rules", {"recipe": recipe.key, "name": recipe.name}).headers["Location"].rpartition("/")[2]
        assert ana.get(f"/rules/{code}").status_code == 200
    with desk.services.db.read() as connection:
        assert all(one.live_version is None for one in rule_list.entries(connection))
    assert send(ana, "/rules", {"recipe": "no_such", "name": "x"}).status_code == 404


def test_recipes_and_the_tables_they_make_are_named_in_the_language_of_the_reader(desk: Desk, ana: FlaskClient) -> None:
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(language="fr"))
    page = text_of(ana.get("/rules/new"))
    assert "Annulations" in words(page)
    assert "Une règle, plusieurs effets" in words(page)
    assert "Cancellations" not in page
    location = send(ana, "/rules", {"recipe": "H6_several_actions", "name": "Annulations"}).headers["Location"]
    with desk.services.db.read() as connection:
        draft = rule_list.entry(connection, location.rpartition("/")[2]).draft
    assert draft is not None
    assert draft["name"] == "Annulations"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_the_language_but_for_names_that_desks_choose(recipe: str) -> None:
    found = problems({**recipes()[recipe].draft, "code": "A99"}, WORDS)
    assert [one.message for one in found if "There is no" not in one.message] == []


QUOTING = """{new}

On Sat, 21 Nov 2026 at 09:31, Acme Support <support@acme.test> wrote:
> To close this ticket write {quoted} in your answer.
>
> Regards
"""


@pytest.mark.parametrize(
    ("new", "quoted", "closes"),
    [
        ("All is well, $closeticket", "nothing", True),
        ("$CloseTicket", "$closeticket", True),
        ("Thank you, I still wait.", "$closeticket", False),
        ("Thank you, I still wait.", "nothing", False),
    ],
)
@pytest.mark.parametrize("on", [True, False])
def test_o25_the_keyword_in_a_customers_mail_closes_and_the_quoted_one_does_not(
    desk: Desk, ana: FlaskClient, new: str, quoted: str, closes: bool, on: bool
) -> None:
    code = from_recipe(desk, ana, "O25_keyword_closes")
    if not on:
        off(ana, code)
    ticket = take(desk, a_mail(message_id="first@customer.test")).item_id
    assert ticket is not None
    desk.work()
    answer = a_mail(QUOTING.format(new=new, quoted=quoted), subject="Re: order", In_Reply_To="<first@customer.test>")
    assert take(desk, answer).item_id == ticket
    desk.work()
    assert (desk.state(ticket).get("status") == "closed") is (closes and on)


def test_o25_a_stranger_on_the_thread_closes_nothing(desk: Desk, ana: FlaskClient) -> None:
    from_recipe(desk, ana, "O25_keyword_closes")
    ticket = take(desk, a_mail(message_id="first@customer.test")).item_id
    assert ticket is not None
    stranger = a_mail("$closeticket", sender="Eve <eve@elsewhere.test>", In_Reply_To="<first@customer.test>")
    take(desk, stranger)
    desk.work()
    assert desk.state(ticket).get("status") != "closed"


@pytest.mark.slow
@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(("priority", "joins"), [("critical", True), ("urgent", False)])
def test_o26_the_highest_priority_adds_the_manager(
    desk: Desk, ana: FlaskClient, on: bool, priority: str, joins: bool
) -> None:
    with desk.services.db.write() as connection:
        connection.execute(insert(User).values(key="kim", name="Kim", email="kim@x.test", roles=["agent"], brands=[],
                                               locations=[], created_at=NOW))  # fmt: skip
    code = from_recipe(desk, ana, "O26_five_stars")
    if not on:
        off(ana, code)
    ticket = desk.ticket(assignees=["kim"])
    send(ana, f"/tickets/{ticket}/fields/priority", {"value": priority})
    desk.work()
    assert desk.state(ticket)["assignees"] == (["ana", "kim"] if joins and on else ["kim"])


@pytest.mark.parametrize("on", [True, False])
def test_h2_a_customers_answer_by_mail_opens_the_ticket_again(desk: Desk, ana: FlaskClient, on: bool) -> None:
    code = from_recipe(desk, ana, "H2_reply_opens")
    if not on:
        off(ana, code)
    for number, (status, after) in enumerate(
        (("waiting_customer", ("open", None)), ("solved", ("open", ["reopened"])), ("waiting_team", None))
    ):
        sender = f"Kim <kim{number}@customer.test>"
        ticket = take(desk, a_mail(sender=sender, message_id=f"{number}@customer.test")).item_id
        assert ticket is not None
        send(ana, f"/tickets/{ticket}/fields/status", {"value": status})
        # A stranger on the thread is no customer: nothing is opened by their words.
        for who, wanted in (("Eve <eve@elsewhere.test>", None), (sender, after if on else None)):
            answer = a_mail(f"Any news for {who}?", sender=who, In_Reply_To=f"<{number}@customer.test>")
            assert take(desk, answer).item_id == ticket
            desk.work()
            state = desk.state(ticket)
            assert (state["status"], state.get("tags")) == (wanted or (status, None))


@pytest.mark.parametrize("on", [True, False])
def test_h9_who_is_on_the_list_of_vips_comes_first_and_who_is_taken_off_it_does_not(
    desk: Desk, ana: FlaskClient, on: bool
) -> None:
    assert send(ana, "/lists", {"label": "VIPS", "people": "1"}).status_code in (302, 303)
    member = {"label": "VIPS", "members": "camille@customer.test", "seen": 1}
    assert send(ana, "/lists/VIPS", member).status_code in (302, 303)
    code = from_recipe(desk, ana, "H9_vip")
    if not on:
        off(ana, code)

    def arrived(sender: str, key: str) -> tuple[JSON, JSON]:
        ticket = take(desk, a_mail(f"Hello {key}", sender=sender, message_id=key)).item_id
        assert ticket is not None
        desk.work()
        return desk.state(ticket)["priority"], desk.state(ticket).get("tags")

    assert arrived("Camille <Camille@Customer.test>", "a@x.test") == (("high", ["vip"]) if on else ("normal", None))
    assert arrived("Kim <kim@customer.test>", "b@x.test") == ("normal", None)
    send(ana, "/lists/VIPS", {**member, "members": "kim@customer.test", "seen": 2})
    assert arrived("Camille <camille@customer.test>", "c@x.test") == ("normal", None)


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("text", "closes"),
    [
        ("Merci beaucoup !", True),
        ("Thanks, but it is still broken, please call me at once.", False),
        ("Still broken", False),
    ],
)
def test_f8_a_short_thank_you_by_mail_is_handled_without_a_reply(
    desk: Desk, ana: FlaskClient, text: str, closes: bool, on: bool
) -> None:
    code = from_recipe(desk, ana, "F8_thanks")
    if not on:
        off(ana, code)
    ticket = take(desk, a_mail(message_id="first@customer.test")).item_id
    assert ticket is not None
    send(ana, f"/tickets/{ticket}/fields/status", {"value": "waiting_customer"})
    take(desk, a_mail(text, In_Reply_To="<first@customer.test>"))
    desk.work()
    state = desk.state(ticket)
    done = ("closed", ["no reply needed"]) if closes and on else ("waiting_customer", None)
    assert (state["status"], state.get("tags")) == done
    assert [one for one in messages(desk, ticket) if one.author_kind == "bot"] == []


@pytest.mark.parametrize("on", [True, False])
def test_o28_a_billable_timesheet_that_is_approved_by_page_is_marked_to_be_billed(
    desk: Desk, ana: FlaskClient, on: bool
) -> None:
    code = from_recipe(desk, ana, "O28_timesheet_approved")
    if not on:
        off(ana, code)
    sheets = []
    for billing in ("billable", "not_billable"):
        sheet = {"subject": f"Week of {billing}", "fields.hours": "2.5", "fields.billing": billing}
        made = send(ana, "/items/timesheet/new", sheet)
        sheets.append(int(made.headers["Location"].rpartition("/")[2]))
    desk.work()
    for sheet_id in sheets:
        send(ana, f"/tickets/{sheet_id}/details", {"was:fields.approval": "draft", "fields.approval": "approved"})
    desk.work()
    billed, other = sheets
    assert desk.state(billed).get("tags") == (["to-bill"] if on else None)
    assert said(desk, billed) == ([("Approved: 2.5 hours to bill.", False)] if on else [])
    assert (desk.state(other).get("tags"), said(desk, other)) == (None, [])


@pytest.mark.parametrize("on", [True, False])
def test_t6_a_job_that_enters_a_stage_on_its_board_tells_the_next_people(
    desk: Desk, ana: FlaskClient, on: bool
) -> None:
    a_pipeline(desk, "Collect", "Review")
    code = from_recipe(desk, ana, "T6_next_stage")
    if not on:
        off(ana, code)
    made = send(ana, "/items/job/new", {"subject": "Return 2025", "pipeline": "tax"})
    job = int(made.headers["Location"].rpartition("/")[2])
    desk.work()
    moved = send(ana, f"/tickets/{job}/stage", {"was": "collect", "stage": "next", "back": "board"})
    assert moved.status_code == 303
    desk.work()
    assert desk.state(job)["fields.stage"] == "review"
    told = "Return 2025: Review" in text_of(ana.get("/bell"))
    assert (told, ("The job is now in stage Review.", False) in said(desk, job)) == (on, on)


CASES: list[tuple[str, str, dict[str, JSON]]] = [
    ("H5_department", "My invoice is wrong", {"team": "billing", "assignees": ["ana"]}),
    ("H6_several_actions", "Please cancel my order", {"priority": "high", "team": "billing", "tags": ["cancellation"]}),
    ("W15_danger_words", "There was an accident", {"priority": "urgent", "tags": ["danger"]}),
    ("W5_by_category", "It was harassment", {"team": "hr"}),
    ("W7_grave_report", "It was a threat", {"priority": "critical"}),
    ("F1_theme_alert", "Your staff was rude", {"tags": ["staff"]}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "text", "gives"), CASES, ids=[one[0] for one in CASES])
@pytest.mark.parametrize("on", [True, False])
def test_w5_w7_w15_f1_h5_h6_a_mail_is_handled_as_the_recipe_says(
    desk: Desk, ana: FlaskClient, recipe: str, text: str, gives: dict[str, JSON], on: bool
) -> None:
    code = from_recipe(desk, ana, recipe)
    if not on:
        off(ana, code)
    hit, miss = desk.state(by_mail(desk, text)), desk.state(by_mail(desk, "Good morning"))
    assert {key: hit.get(key) == value for key, value in gives.items()} == dict.fromkeys(gives, on)
    assert all(miss.get(key) != value for key, value in gives.items())


def test_a_code_means_the_same_in_the_demo_and_in_a_new_desk() -> None:
    demo = {one["code"]: one for one in (*map(demo_desk.table, demo_desk.TABLES), *demo_desk.templates())}
    new = {one.code: one.content for one in shipped.defaults()}
    assert {code: demo[code] for code in demo.keys() & new} == {code: new[code] for code in demo.keys() & new}
