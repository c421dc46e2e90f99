"""`flask demo load` and `flask demo reset`."""

from __future__ import annotations

import sys

import click
from flask import Flask
from flask.cli import AppGroup

from jobs.demo import load as loading
from jobs.demo.errors import AlreadyLoaded, DemoError
from jobs.demo.stories import TICKETS
from web.context import services
from web.passwords import hash_password

demo = AppGroup("demo", help="The demo desk.")


@demo.command("load")
@click.option("--tickets", type=click.IntRange(1, TICKETS), default=TICKETS, show_default=True)
def load(tickets: int) -> None:
    """Fill an empty desk with a small company, its rules, and tickets of thirty days.

    Loading again changes nothing and says so. Stop this desk's workers before; ./run loads before it starts them."""
    try:
        loaded = loading.load(services(), hash_password, said=lambda line: click.echo(f"  {line} ..."), count=tickets)
    except AlreadyLoaded as error:
        click.echo(str(error))
        return
    except DemoError as error:
        _give_up(error)
    click.echo("Loaded " + ", ".join(f"{number} {name}" for name, number in loaded.figures.items()) + ".")
    click.echo(loaded.sign_in.read_text().rstrip())


@demo.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Delete everything in a demo desk, so that it can be loaded anew. Refuses on any other desk."""
    if not yes:
        click.confirm("Delete every ticket, rule, person and connection of this demo desk?", abort=True)
    try:
        loading.reset(services())
    except DemoError as error:
        _give_up(error)
    click.echo("The desk is empty. Load the demo with: flask demo load")


def _give_up(error: Exception) -> None:
    click.echo(str(error), err=True)
    sys.exit(1)


def install(app: Flask) -> None:
    """Give the application these commands."""
    app.cli.add_command(demo)
