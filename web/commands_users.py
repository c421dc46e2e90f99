"""The `flask` commands about people and what may come in: users, their API tokens, mailboxes."""

from __future__ import annotations

import re
import secrets
import sys

import click
from flask import Flask
from flask.cli import AppGroup

from jobs import mailboxes
from tickets.people import ROLES
from web import api_store, names_store
from web.context import services
from web.forms import looks_like_email
from web.passwords import WeakPassword, hash_password

user = AppGroup("user", help="People who work here, and their API tokens.")
mailbox = AppGroup("mailbox", help="Addresses customers write to.")

KEY = re.compile(r"[a-z][a-z0-9_]{0,59}")
#: Longest life of a token, in days.
TOKEN_DAYS = 3_650


def _key(value: str) -> str:
    if not KEY.fullmatch(value):
        raise click.ClickException(f"{value!r} is no key: lower case letters, digits and _, a letter first")
    return value


@user.command("add")
@click.argument("key")
@click.option("--name", required=True, help="As colleagues see it.")
@click.option("--email", required=True, help="The address they sign in with.")
@click.option("--role", "roles", multiple=True, type=click.Choice(sorted(ROLES)), default=("agent",), show_default=True)
@click.option("--team", "teams", multiple=True, help="A team's key; may be given several times.")
@click.option("--zone", default="UTC", show_default=True, help="IANA time zone.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def add(
    key: str, name: str, email: str, roles: tuple[str, ...], teams: tuple[str, ...], zone: str, password_stdin: bool
) -> None:
    """Make an account for KEY, a short name such as ana. Asks for the password."""
    _key(key)
    if not looks_like_email(email):
        raise click.ClickException(f"{email!r} is not an e-mail address")
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:
        hashed = hash_password(password)
    except WeakPassword as error:
        raise click.ClickException(str(error)) from error
    with services().db.write() as connection:
        if api_store.user_exists(connection, key, email):
            raise click.ClickException(f"There is a user {key} or one with {email} already; nothing was changed")
        known = names_store.names(connection).teams
        for team in teams:
            if team not in known:
                raise click.ClickException(f"There is no team {team!r}; there are: {', '.join(known) or 'none'}")
        api_store.add_user(
            connection,
            teams=teams,
            key=key,
            name=name,
            email=email.strip().lower(),
            roles=list(roles),
            password_hash=hashed,
            zone=zone,
            created_at=services().clock.now(),
        )
    click.echo(f"{name} can sign in as {email.strip().lower()}.")


@user.command("list")
def listing() -> None:
    """Show who works here."""
    with services().db.read() as connection:
        everybody = api_store.colleagues(connection)
    for one in everybody:
        state = "" if one.active else "  (switched off)"
        click.echo(f"{one.key:16} {one.email:32} {', '.join(one.roles):24} {', '.join(one.teams)}{state}".rstrip())
    if not everybody:
        click.echo("Nobody yet: flask user add --help")


@user.command("token")
@click.argument("key", metavar="USER")
@click.option("--name", default="", help="What the token is for.")
@click.option(
    "--days", type=click.IntRange(1, TOKEN_DAYS), default=365, show_default=True, help="How long it is valid."
)
def token(key: str, name: str, days: int) -> None:
    """Make an API token for USER and print it, once: only its hash is kept."""
    with services().db.write() as connection:
        if key not in names_store.names(connection).working:
            raise click.ClickException(f"There is no active user {key!r}")
        made = api_store.new_token(connection, user=key, name=name, now=services().clock.now(), days=days)
    click.echo(made)


@mailbox.command("add")
@click.argument("address")
@click.option("--key", default="", help="A short name; default: made from the address.")
@click.option("--brand", default=None, help="The brand its tickets are for.")
def add_mailbox(address: str, key: str, brand: str | None) -> None:
    """Make a mailbox for ADDRESS and print its secret, once: a mail server hands mail in with it."""
    if not looks_like_email(address):
        raise click.ClickException(f"{address!r} is not an e-mail address")
    key = _key(key or re.sub(r"[^a-z0-9]+", "_", address.lower()).strip("_")[:60])
    secret = secrets.token_urlsafe(32)
    with services().db.write() as connection:
        if brand is not None and names_store.brand(connection, brand) is None:
            raise click.ClickException(f"There is no brand {brand!r}")
        try:
            mailboxes.add_mailbox(connection, key=key, address=address, brand=brand, secret=secret)
        except mailboxes.MailboxExists as error:
            raise click.ClickException(str(error)) from error
    click.echo(secret)


def install(app: Flask) -> None:
    """Give the application these commands."""
    app.cli.add_command(user)
    app.cli.add_command(mailbox)
