"""flask user ... and flask mailbox ...: accounts, tokens and mailboxes from the command line."""

from __future__ import annotations

from apiflask import APIFlask
from sqlalchemy import select

from tests.intake.api import Api
from tests.intake.mail import a_mail
from tests.web.desk import Desk, sign_in
from tickets import people
from tickets.people import Permission
from tickets.tables import Mailbox, TeamMember, User


def flask(app: APIFlask, *arguments: str, typed: str = "") -> tuple[int, str]:
    """Exit code and everything printed."""
    result = app.test_cli_runner().invoke(args=list(arguments), input=typed)
    return result.exit_code, result.output


def add(app: APIFlask, *more: str, key: str = "ana", typed: str = "correct horse battery\n") -> tuple[int, str]:
    return flask(
        app, "user", "add", key, "--name", "Ana", "--email", "Ana@acme.test", "--password-stdin", *more, typed=typed
    )


def test_a_user_is_added_and_can_sign_in(desk: Desk, app: APIFlask) -> None:
    assert add(app, "--role", "admin", "--team", "billing") == (0, "Ana can sign in as ana@acme.test.\n")
    assert sign_in(app.test_client(), "ana@acme.test", "correct horse battery").status_code == 302
    with desk.services.db.read() as connection:
        ana = people.viewer(connection, "ana")
    assert ana is not None
    assert (ana.teams, ana.may(Permission.SETTINGS)) == (frozenset({"billing"}), True)
    assert flask(app, "user", "list")[1].split() == ["ana", "ana@acme.test", "admin", "billing"]


def test_the_password_is_asked_for_twice_and_not_shown(desk: Desk, app: APIFlask) -> None:
    code, said = flask(
        app,
        *("user", "add", "ana", "--name", "Ana", "--email", "ana@acme.test"),
        typed="correct horse battery\ncorrect horse battery\n",
    )
    assert (code, "correct horse" in said) == (0, False)


def test_a_user_that_is_not_possible_is_not_added(desk: Desk, app: APIFlask) -> None:
    add(app)
    refusals = {
        "There is a user ana": add(app),
        "There is a user bea or one with": add(app, key="bea"),
        "is no key": add(app, key="Ana Nowak"),
        "A password has 10 to 200 characters": add(app, key="cleo", typed="short\n"),
        "'emperor' is not one of": add(app, "--role", "emperor", key="cleo"),
    }
    for said, (code, output) in refusals.items():
        assert code != 0
        assert said in output
    code, output = flask(
        app,
        *("user", "add", "cleo", "--name", "C", "--email", "c@acme.test", "--team", "nowhere", "--password-stdin"),
        typed="correct horse battery\n",
    )
    assert (code, "There is no team 'nowhere'" in output) == (1, True)
    with desk.services.db.read() as connection:
        assert connection.execute(select(User.key)).scalars().all() == ["ana"]
        assert connection.execute(select(TeamMember.user)).scalars().all() == []


def test_a_token_is_printed_once_and_works(desk: Desk, app: APIFlask) -> None:
    add(app)
    code, printed = flask(app, "user", "token", "ana", "--name", "shop", "--days", "2")
    assert code == 0
    api = Api(app.test_client(), desk.services, "ana")
    api.token = printed.strip()
    assert api.get("tickets").status_code == 200
    desk.clock.move(days=2)
    assert api.get("tickets").status_code == 401
    code, said = flask(app, "user", "token", "nobody")
    assert (code, said) == (1, "Error: There is no active user 'nobody'\n")


def test_a_mailbox_is_added_and_takes_mail_with_the_printed_secret(desk: Desk, app: APIFlask) -> None:
    code, secret = flask(app, "mailbox", "add", "Hello@Nord.test", "--brand", "acme")
    assert code == 0
    answer = app.test_client().post(
        "/inbound/email",
        data=a_mail(to="hello@nord.test"),
        content_type="message/rfc822",
        headers={"Authorization": f"Bearer {secret.strip()}"},
    )
    assert answer.status_code == 202
    assert flask(app, "mailbox", "add", "hello@nord.test")[0] == 1
    assert flask(app, "mailbox", "add", "x@nord.test", "--brand", "nowhere")[0] == 1
    with desk.services.db.read() as connection:
        boxes = connection.execute(select(Mailbox.key, Mailbox.address).order_by(Mailbox.key)).all()
    assert [tuple(box) for box in boxes] == [
        ("acme_support", "support@acme.test"),
        ("hello_nord_test", "hello@nord.test"),
    ]
