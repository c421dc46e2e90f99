"""The `flask` commands about the installation itself. Those about rules, users and the demo have files of their own."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext

from jobs import doctor as checks
from jobs import worker as workers
from jobs.queues import Work
from tickets import migrate
from tickets.errors import CopyRefused, UpgradeRefused
from web.context import services

database = AppGroup("db", help="The database.")


@database.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema."""
    try:
        migrate.upgrade(services().settings.database)
    except UpgradeRefused as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The database is at schema {migrate.head()}.")


@database.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Copy an SQLite database to FILE while it is at work. PostgreSQL has pg_dump."""
    try:
        size = migrate.copy(services().db, file)
    except CopyRefused as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Copied to {file}: {size:,} bytes, schema {migrate.head()}. Keep secrets.json apart from it.")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Say what is up, what is missing and what to do. Exit code 1 when something is missing."""
    findings = checks.examine(services())
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], indent=2))
    else:
        width = max(len(one.name) for one in findings)
        for one in findings:
            todo = f"  -> {one.todo}" if one.todo else ""
            click.echo(f"{one.state.upper():8} {one.name:{width}}  {one.detail}{todo}")
    sys.exit(1 if any(one.state is checks.State.MISSING for one in findings) else 0)


@click.command("worker")
@click.argument("kind", type=click.Choice([work.value for work in Work]))
def worker(kind: str) -> None:
    """Run one worker of this kind until it is told to stop."""
    sys.exit(workers.main([kind]))


@click.command("clock")
def clock() -> None:
    """Run the clock, which looks for due work nobody was told about."""
    sys.exit(workers.main(["clock"]))


def install(app: Flask) -> None:
    """Give the application these commands."""
    for command in (database, doctor, worker, clock):
        app.cli.add_command(command)
