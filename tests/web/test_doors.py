"""Who gets in: every view says who may open it, and the app holds it to that."""

from __future__ import annotations

import pytest
from apiflask import APIFlask
from flask import Blueprint
from flask.testing import FlaskClient
from werkzeug.exceptions import NotFound

import web
from tests.web.desk import PASSWORD, Desk, address_of, let_in, send, sign_in, token
from tickets.people import ROLES, Permission
from web.access import MARK, UNMARKED, NotSaid, check_views, safe_path

#: Parts of addresses that only take some words.
MADE_UP = {"form": "csv"}


def paths(app: APIFlask) -> dict[str, tuple[str, object]]:
    """Every GET and POST address of the app with made-up parts, and what its view said about itself."""
    found = {}
    for rule in app.url_map.iter_rules():
        values = {name: 1 if name.endswith("_id") else MADE_UP.get(name, "x") for name in rule.arguments}
        method = "GET" if "GET" in (rule.methods or ()) else "POST"
        view = app.view_functions[rule.endpoint]
        if rule.endpoint not in UNMARKED:
            found[f"{method} {address_of(app, rule, values)}"] = (method, getattr(view, MARK))
    return found


def test_a_view_that_does_not_say_who_may_open_it_stops_the_app(app: APIFlask) -> None:
    app.view_functions["forgotten"] = lambda: "secret"
    with pytest.raises(NotSaid, match="forgotten"):
        check_views(app)


def test_nobody_gets_past_a_door_without_signing_in(app: APIFlask, client: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = False  # the door itself must hold, not the token in front of it
    for address, (method, mark) in paths(app).items():
        if str(mark).startswith("open:"):
            continue
        answer = client.open(address.partition(" ")[2], method=method)
        assert (address, answer.status_code) == (address, 302)
        assert answer.location.startswith("/sign-in"), address


#: The role that opens nothing; a plain run leaves out the others.
NONE = "none"


@pytest.mark.parametrize("role", [*(pytest.param(one, marks=pytest.mark.slow) for one in ROLES), NONE])
def test_a_role_opens_exactly_the_pages_of_its_permissions(role: str, desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", *([] if role == NONE else [role]))
    browser = app.test_client()
    let_in(browser, email)
    app.config["WTF_CSRF_ENABLED"] = False
    for address, (method, mark) in paths(app).items():
        if not isinstance(mark, Permission):
            continue
        answer = browser.open(address.partition(" ")[2], method=method)
        assert (answer.status_code == 403) is (mark not in ROLES.get(role, frozenset())), address


#: What each part of the desk asks for, written down a second time on purpose: a view that asks for less stands out.
ASKED = {
    "absence": "signed in",
    "answering": Permission.WORK_TICKETS,
    "bell": "signed in",
    "bulk": Permission.WORK_TICKETS,
    "coming": Permission.WORK_TICKETS,
    "connections": Permission.EDIT_CONNECTIONS,
    "hours": Permission.SETTINGS,
    "inbox": Permission.WORK_TICKETS,
    "lists": Permission.EDIT_RULES,
    "items": Permission.WORK_TICKETS,
    "mailboxes": Permission.SETTINGS,
    "pipelines": Permission.SETTINGS,
    "mailservers": Permission.SETTINGS,
    "messages": Permission.EDIT_RULES,
    "outbox": Permission.WORK_TICKETS,
    "procedures": Permission.WORK_TICKETS,
    "questions": Permission.EDIT_RULES,
    "requests": Permission.WORK_TICKETS,
    "rules": Permission.EDIT_RULES,
    "runs": Permission.WORK_TICKETS,
    "scripts": Permission.EDIT_SCRIPTS,
    "settings": Permission.SETTINGS,
    "snooze": Permission.WORK_TICKETS,
    "set_aside": Permission.EDIT_RULES,
    "shell": "signed in",
    "template_versions": Permission.EDIT_RULES,
    "templates": Permission.EDIT_RULES,
    "ticket": Permission.WORK_TICKETS,
    "ticket_new": Permission.WORK_TICKETS,
}
OPEN = {
    "api",
    "chat",
    "chat_messages",
    "health",
    "inbound",
    "metrics",
    "portal",
    "portal_forms",
    "portal_items",
    "portal_requests",
    "portal_signin",
    "signin",
}


def test_every_page_asks_for_the_permission_of_its_part(app: APIFlask) -> None:
    for endpoint, view in app.view_functions.items():
        part = endpoint.partition(".")[0]
        if endpoint not in UNMARKED and part not in OPEN:
            assert (endpoint, getattr(view, MARK)) == (endpoint, ASKED[part])


def test_what_is_open_to_all_is_only_what_guards_itself(app: APIFlask) -> None:
    for endpoint, view in app.view_functions.items():
        if str(getattr(view, MARK, "")).startswith("open:"):
            assert endpoint.partition(".")[0] in OPEN, endpoint


def test_the_menu_shows_only_what_one_may_open(desk: Desk, app: APIFlask) -> None:
    browser = app.test_client()
    let_in(browser, desk.user("kim"))
    page = browser.get("/more").get_data(as_text=True)
    assert "/sign-out" in page
    assert ">Inbox<" not in page


@pytest.mark.slow
def test_every_form_without_the_sessions_token_is_refused(app: APIFlask, agent: FlaskClient, desk: Desk) -> None:
    ticket = desk.ticket("Refund")
    before = desk.state(ticket)
    tried = 0
    for rule in app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.endpoint.partition(".")[0] in TOKEN_GUARDED:
            continue
        values = {name: ticket if name.endswith("_id") else "status" for name in rule.arguments}
        path = address_of(app, rule, values)
        for token_given in ({}, {"csrf_token": "made-up"}):
            answer = agent.post(path, data={"value": "closed", "text": "hi", **token_given})
            assert (path, answer.status_code) == (path, 400)
        tried += 1
    assert tried >= 8
    assert desk.state(ticket) == before


#: Blueprints without a session: a token of their own says who asks.
TOKEN_GUARDED = frozenset({"api", "chat_messages", "inbound", "demo"})


def test_a_token_of_another_session_is_refused(app: APIFlask, agent: FlaskClient, desk: Desk) -> None:
    ticket = desk.ticket("Refund")
    other = app.test_client()
    stolen = token(other.get("/sign-in"))
    answer = agent.post(f"/tickets/{ticket}/fields/status", data={"csrf_token": stolen, "value": "closed"})
    assert answer.status_code == 400
    assert desk.state(ticket)["status"] == "open"


def test_a_partial_update_sends_its_token_in_a_header(agent: FlaskClient, desk: Desk) -> None:
    ticket = desk.ticket("Refund")
    held = token(agent.get("/more"))
    answer = agent.post(
        f"/tickets/{ticket}/fields/status",
        data={"value": "solved"},
        headers={"X-CSRF-Token": held, "HX-Request": "true"},
    )
    assert answer.status_code == 303
    assert desk.state(ticket)["status"] == "solved"


def test_no_page_changes_anything_when_it_is_only_opened(app: APIFlask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.partition(".")[0] == "api":
            continue  # its answer to addresses that do not exist takes every method
        methods = rule.methods or set()
        assert not {"GET", "POST"} <= methods, f"{rule.rule} does two things; make two views"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "/\t/evil.test",
        "/%0d%0a//evil.test\r\n",
        "javascript:alert(1)",
        "evil.test",
        " //evil.test",
        "///evil.test",
        "",
        "/" + "a" * 3000,
    ],
)
def test_sign_in_never_leads_off_the_site(target: str, desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", "agent")
    browser = app.test_client()
    form = browser.get("/sign-in")
    answer = browser.post(
        "/sign-in",
        data={"csrf_token": token(form), "email": email, "password": "a long enough password", "next": target},
    )
    assert answer.status_code == 302
    assert answer.location == "/"


def test_a_path_of_ours_is_kept() -> None:
    assert safe_path("/tickets/3?view=messages") == "/tickets/3?view=messages"


def test_sign_in_leads_back_to_the_page_one_wanted(desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", "agent")
    browser = app.test_client()
    wall = browser.get("/?queue=all&text=a")
    assert wall.location == "/sign-in?next=/?queue%3Dall%26text%3Da"
    form = browser.get(wall.location)
    assert 'value="/?queue=all&amp;text=a"' in form.get_data(as_text=True)
    answer = browser.post(
        "/sign-in",
        data={
            "csrf_token": token(form),
            "email": email.upper(),
            "password": "a long enough password",
            "next": "/?queue=all&text=a",
        },
    )
    assert answer.location == "/?queue=all&text=a"


def test_a_partial_update_without_a_session_loads_the_sign_in_page(client: FlaskClient) -> None:
    answer = client.get(
        "/bell", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/tickets/1?view=messages"}
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/tickets/1?view%3Dmessages"


@pytest.mark.parametrize(
    ("email", "password"),
    [("kim@deskhand.test", "a wrong long password"), ("nobody@deskhand.test", "a long enough password"), ("", "")],
)
def test_a_wrong_password_and_an_unknown_address_look_the_same(
    email: str, password: str, desk: Desk, app: APIFlask
) -> None:
    desk.user("kim", "agent")
    browser = app.test_client()
    answer = sign_in(browser, email, password)
    assert answer.status_code == 422
    assert "The e-mail address or the password is not right" in answer.get_data(as_text=True)
    assert browser.get("/").status_code == 302


def test_someone_who_left_cannot_sign_in_and_is_signed_out(desk: Desk, app: APIFlask) -> None:
    from sqlalchemy import update

    from tickets.tables import User

    email = desk.user("kim", "agent")
    inside, outside = app.test_client(), app.test_client()
    sign_in(inside, email)
    assert inside.get("/").status_code == 200
    with desk.services.db.write() as connection:
        connection.execute(update(User).where(User.key == "kim").values(active=False))
    assert inside.get("/").status_code == 302
    assert sign_in(outside, email).status_code == 422


def test_a_new_password_ends_every_open_session(desk: Desk, app: APIFlask) -> None:
    from sqlalchemy import update

    from tickets.tables import User
    from web.passwords import hash_password

    email = desk.user("kim", "agent")
    browser = app.test_client()
    sign_in(browser, email)
    with desk.services.db.write() as connection:
        connection.execute(
            update(User).where(User.key == "kim").values(password_hash=hash_password("another long password"))
        )
    assert browser.get("/").status_code == 302


def test_signing_in_starts_a_fresh_session(desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", "agent")
    browser = app.test_client()
    browser.get("/sign-in")
    with browser.session_transaction() as planted:
        planted["planted"] = "by somebody before"
    sign_in(browser, email)
    with browser.session_transaction() as session:
        assert "planted" not in session


def test_who_is_let_in_has_the_session_that_signing_in_opens(desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", "agent")
    by_the_form, let = app.test_client(), app.test_client()
    assert sign_in(by_the_form, email).status_code == 302
    let_in(let, email)
    with by_the_form.session_transaction() as signed_in, let.session_transaction() as without_the_form:
        del without_the_form["csrf_token"]  # The form's own went with the session before.
        assert dict(without_the_form) == dict(signed_in)
    assert signed_in["_user_id"].startswith("kim|")


def test_signing_out_ends_the_session(agent: FlaskClient) -> None:
    answer = send(agent, "/sign-out")
    assert answer.location == "/sign-in"
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert agent.get("/").status_code == 302


@pytest.mark.slow
def test_guessing_passwords_is_slowed_down_per_caller(desk: Desk, app: APIFlask) -> None:
    email = desk.user("kim", "agent")
    browser = app.test_client()
    seen = [sign_in(browser, f"guess{n}@deskhand.test").status_code for n in range(11)]
    assert seen == [422] * 10 + [429]
    assert sign_in(browser, email).status_code == 429
    page = sign_in(browser, email).get_data(as_text=True)
    assert "Too many attempts" in page


@pytest.mark.slow
def test_guessing_one_accounts_password_is_slowed_down_wherever_it_comes_from(desk: Desk, app: APIFlask) -> None:
    """Thirty guesses an hour, each from another address: no caller is anywhere near its own limit."""
    email = desk.user("kim", "agent")
    browser = app.test_client()
    form = {"csrf_token": token(browser.get("/sign-in")), "email": email, "password": "not this one"}
    seen = [
        browser.post("/sign-in", data=form, environ_base={"REMOTE_ADDR": f"127.0.1.{n}"}).status_code for n in range(31)
    ]
    assert seen == [422] * 30 + [429]
    right = {**form, "password": PASSWORD}
    assert browser.post("/sign-in", data=right, environ_base={"REMOTE_ADDR": "127.0.2.1"}).status_code == 429


def test_the_session_cookie_is_lax_and_out_of_reach_of_scripts(desk: Desk, app: APIFlask) -> None:
    answer = sign_in(app.test_client(), desk.user("kim", "agent"))
    cookie = next(value for name, value in answer.headers if name == "Set-Cookie" and value.startswith("session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_every_blueprint_of_the_list_is_served(app: APIFlask) -> None:
    assert all(isinstance(one, Blueprint) and one.name in app.blueprints for one in web.PAGES)


def test_an_address_that_is_not_there_is_no_redirect(agent: FlaskClient) -> None:
    assert agent.get("/nowhere").status_code == NotFound.code
