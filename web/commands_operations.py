"""The `flask` commands of whoever runs the installation: what was not delivered, what was set aside, and
erasing a person.
"""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict

import click
from flask import Flask
from flask.cli import AppGroup

from jobs import outbox as deliveries
from jobs import parked as set_aside
from jobs.erasure import erase
from jobs.queues import Work
from tickets import people
from tickets.errors import PersonNotFound
from web.context import services

outbox = AppGroup("outbox", help="E-mail on its way out.")


@outbox.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_undelivered(as_json: bool) -> None:
    """List the newest deliveries that were given up or held back, with the reason."""
    with services().db.read() as connection:
        rows = deliveries.undelivered(connection)
    if as_json:
        click.echo(json.dumps([{**asdict(one), "created_at": one.created_at.isoformat()} for one in rows], indent=2))
        return
    for one in rows:
        about = f"ticket {one.item_id}" if one.item_id is not None else "no ticket"
        click.echo(
            f"{one.id:6} {one.status:7} {one.created_at:%Y-%m-%d %H:%M} {about} to {one.recipient}: {one.reason}"
        )
    if not rows:
        click.echo("Everything was delivered or is on its way.")


@outbox.command("retry")
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "all_of_them", is_flag=True, help="Every one that was given up or held back.")
def retry(ids: tuple[int, ...], all_of_them: bool) -> None:
    """Try these again, by the numbers `flask outbox list` shows, or --all."""
    if bool(ids) == all_of_them:
        raise click.UsageError("Say which: numbers from `flask outbox list`, or --all. Nothing was changed.")
    desk = services()
    with desk.db.write() as connection:
        count = deliveries.retry(connection, desk.clock.now(), None if all_of_them else ids)
    desk.queues.hint(Work.OUTBOX)
    click.echo(f"{count} will be tried again.")


events = AppGroup("events", help="Events that could not be handled.")


@events.command("list")
def list_parked() -> None:
    """List the newest events that were set aside after an error."""
    with services().db.read() as connection:
        rows = set_aside.parked(connection)
    for one in rows:
        click.echo(
            f"{one.id:8} {one.at:%Y-%m-%d %H:%M} ticket {one.item_id}, {one.kind}, {one.tries} tries: {one.error}"
        )
    if not rows:
        click.echo("No event is set aside.")


@events.command("retry")
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "all_of_them", is_flag=True, help="Every one in the list.")
def retry_parked(ids: tuple[int, ...], all_of_them: bool) -> None:
    """Handle these again, by the numbers `flask events list` shows, or --all."""
    if bool(ids) == all_of_them:
        raise click.UsageError("Say which: numbers from `flask events list`, or --all. Nothing was changed.")
    desk = services()
    with desk.db.write() as connection:
        count = set_aside.handle_again(connection, desk.clock.now(), None if all_of_them else ids)
    desk.queues.hint(Work.DRAIN)
    click.echo(f"{count} will be handled again.")


person = AppGroup("person", help="People who write to us.")


@person.command("erase")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do it. Without this it is only said who would be erased.")
def erase_person(who: str, yes: bool) -> None:
    """Erase a person, given by number or e-mail address: name, addresses, words, and all that was recorded of them."""
    desk = services()
    with desk.db.read() as connection:
        found = int(who) if who.isdecimal() and len(who) < 10 else people.person_by_email(connection, who)
        try:
            known = people.customer(connection, found or 0)
        except PersonNotFound:
            raise click.ClickException(f"There is no person {who}. Nothing was changed.") from None
    called = known.name or "without a name"
    if not yes:
        click.echo(f"Person {known.id}, {called}, {', '.join(known.emails) or 'no address'}. Nothing was changed.")
        click.echo("This cannot be undone. Say --yes to erase this person.")
        return
    done = erase(desk, known.id, by=f"flask, {getpass.getuser()}")
    click.echo(f"Person {known.id} was erased: " + ", ".join(f"{count} {what}" for what, count in done.rows.items()))
    click.echo("Backups still hold what they held; docs/operations.md says what to do about them.")


def install(app: Flask) -> None:
    """Give the application these commands."""
    app.cli.add_command(outbox)
    app.cli.add_command(events)
    app.cli.add_command(person)
