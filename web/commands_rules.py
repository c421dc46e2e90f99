"""The `flask` commands about rules, scripts and connections: files in and out, and tries that change nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

import click
from flask import Blueprint
from flask.cli import AppGroup
from flask_babel import force_locale
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import UnknownConnection
from connectors.store import OperationInfo
from connectors.system import Input
from jobs.live import Desk
from jobs.preview import LAST_EVENTS, MOST_EVENTS, Preview, preview
from jobs.replays import work as replays
from jobs.replays.work import Picked
from jobs.runs import outcome_json, script_api
from jobs.tryout import Mode, RecordedGateway, Tried, answers_of, try_on, try_script
from rules import files
from rules import store as rule_list
from rules.engine import compile_ruleset, decide
from rules.errors import FactsInvalid, TableInvalid
from rules.store import EntryKind, EntryNotFound
from rules.vocabulary import Vocabulary
from tickets import lists
from tickets.errors import ItemNotFound
from tickets.kinds import KIND_PLURALS, statuses_of
from tickets.people import Permission, Viewer
from tickets.tables import Team
from tickets.values import JSON
from web import rules_files, rules_files_lists, rules_offline, shipped
from web.context import services
from web.importing import How, bring_in
from web.names_store import names
from web.rules_assumed import assumed

P = ParamSpec("P")

#: Largest file read, in bytes.
MAX_BYTES = 20_000_000

#: Registers the commands with the application; it has no pages.
pages = Blueprint("commands_rules", __name__, cli_group=None)

rules = AppGroup("rules", help="The rule list: import, export, lint, decide, replay, play.")
script = AppGroup("script", help="Scripts: check and try.")
connection = AppGroup("connection", help="Connections to other systems.")
for group in (rules, script, connection):
    pages.cli.add_command(group)

JSON_FLAG = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def in_english(command: Callable[P, None]) -> Callable[P, None]:
    """The command's words are English: nobody is signed in whose language could be taken."""

    @wraps(command)
    def run_command(*args: P.args, **kwargs: P.kwargs) -> None:
        with force_locale("en"):
            command(*args, **kwargs)

    return run_command


def _stop(problems: Sequence[str], *, as_json: bool = False) -> NoReturn:
    """Say what is wrong and end with exit code 1."""
    if as_json:
        _print({"problems": list(problems)})
    else:
        for one in problems:
            click.echo(one, err=True)
    sys.exit(1)


def _print(data: object) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_BYTES:
        _stop([f"{path}: has more than {MAX_BYTES} bytes; split it"])
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows editors put a byte order mark first
    except UnicodeDecodeError as error:
        _stop([f"{path}: is not UTF-8 text (byte {error.start})"])


def _data(path: Path) -> Any:
    try:
        return files.load(_text(path))
    except files.FileInvalid as error:
        _stop([f"{path}: {error}"])


def _desk() -> Desk:
    """The live desk; ends with a sentence where there is no database to read it from."""
    try:
        return _read_desk()
    except SQLAlchemyError as error:
        _stop([f"The database cannot be read ({type(error).__name__}). Make it with: flask db upgrade"])


def _read_desk() -> Desk:
    with services().db.read() as db:
        return services().live.current(db)


def _everything() -> Viewer:
    """Who types commands on the host sees every ticket."""
    with services().db.read() as db:
        teams = frozenset(db.execute(select(Team.key)).scalars())
    return Viewer("host", "Host", "", frozenset(Permission), teams, frozenset(), frozenset())


# Rules -----------------------------------------------------------------------------------------------------------


@rules.command("import")
@click.argument("file", type=FILE)
@click.option("--dry-run", is_flag=True, help="Say what would change and change nothing.")
@click.option("--author", default="import", show_default=True, help="Who the versions say published them.")
@click.option("--note", default="", help="The versions' note; default: the file's name.")
@JSON_FLAG
@in_english
def import_(file: Path, dry_run: bool, author: str, note: str, as_json: bool) -> None:
    """Publish the tables, templates and scripts of FILE: checked first, then all of them in one transaction or none."""
    _desk()  # says so where there is no database
    how = How.LOOK if dry_run else How.PUBLISH
    try:
        done = bring_in(_text(file), str(file), how, author=author, note=note or f"Imported from {file.name}")
    except rules_files.FileRefused as refused:
        _stop([*refused.problems, "Nothing was imported."] if not as_json else refused.problems, as_json=as_json)
    if as_json:
        _print(
            {
                "dry_run": dry_run,
                "lists": {key: list(said) for key, said in done.lists.items()},
                "entries": [
                    {
                        "code": one.entry.code,
                        "kind": one.entry.kind,
                        "what": one.what,
                        "changes": one.lines,
                        "asked": one.asks,
                    }
                    for one in done.steps
                ],
                "hints": list(done.hints),
            }
        )
        return
    for key, said in done.lists.items():
        click.echo(f"list {key}: {'; '.join(said)}")
    for one in done.steps:
        click.echo(f"{one.entry.code} {one.entry.name}: {one.what}")
        for line in one.lines:
            click.echo(f"    {line}")
        if one.asks:
            click.echo("    may do more than the live version: it is live as soon as somebody else agrees")
    for hint in done.hints:
        click.echo(f"hint: {hint}")
    click.echo(
        f"{done.live} of {len(done.steps)} entries {'would change' if dry_run else 'are new or changed, and live'}."
    )


@rules.command("defaults")
@in_english
def defaults() -> None:
    """Publish the tables that a new desk begins with. Refused when the rule list holds anything or ever did."""
    try:
        with services().db.write() as db:
            entries = shipped.install(db, services().clock.now())
    except shipped.NotNew as error:
        _stop([str(error)])
    for one in entries:
        click.echo(f"{one.code} {one.name}")


@rules.command("export")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A file instead of the screen.")
@JSON_FLAG
def export(out: Path | None, as_json: bool) -> None:
    """Print everything that is live, and the named lists, as YAML (or JSON) that `import` reads back."""
    with services().db.read() as db:
        named = rules_files_lists.as_data(lists.lists(db))
        text = rules_files.export(rule_list.entries(db), named, as_json=as_json)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@rules.command("lint")
@click.argument("file", type=FILE)
@JSON_FLAG
@in_english
def lint(file: Path, as_json: bool) -> None:
    """Say what is wrong in FILE, with row and cell, in the words of this desk. Exit code 1 for what must be mended."""
    try:
        entries = rules_files.read(_text(file), str(file))
        named = rules_files_lists.read(_text(file), str(file))
    except rules_files.FileRefused as refused:
        _stop(refused.problems, as_json=as_json)
    words = rules_files_lists.with_lists(_desk().vocabulary, named)
    errors, hints = rules_files.problems(entries, words, str(file), None)
    if as_json:
        _print({"problems": errors, "hints": hints})
    else:
        for one in errors:
            click.echo(one, err=True)
        for one in hints:
            click.echo(f"hint: {one}")
        if not errors and not hints:
            click.echo(f"{len(entries)} entries, nothing to mend.")
    sys.exit(1 if errors else 0)


@rules.command("decide")
@click.option("--tables", "tables_file", type=FILE, required=True, help="Tables, in the order in which they run.")
@click.option("--events", "events_file", type=FILE, required=True, help="Facts: one, a list, or {events: [...]}.")
@click.option("--vocabulary", "words_file", type=FILE, help="The desk's words; default: what the tables name.")
@JSON_FLAG
@in_english
def decide_(tables_file: Path, events_file: Path, words_file: Path | None, as_json: bool) -> None:
    """Decide events by tables, both from files. No database is opened, nothing is changed."""
    try:
        entries = rules_files.read(_text(tables_file), str(tables_file))
        tables = [one.content for one in entries if one.kind is EntryKind.TABLE]
        words = rules_offline.vocabulary(_data(words_file)) if words_file is not None else assumed(tables)
        words = rules_files_lists.with_lists(words, rules_files_lists.read(_text(tables_file), str(tables_file)))
        words = rules_files.with_entries(words, [one for one in entries if one.kind is not EntryKind.TABLE])
        errors, _ = rules_files.problems(entries, words, str(tables_file), None)
        if errors:
            raise rules_files.FileRefused(errors)
        ruleset = rules_offline.ruleset(tables, words)
    except rules_files.FileRefused as refused:
        _stop(refused.problems, as_json=as_json)
    except (rules_offline.VocabularyRefused, TableInvalid, ValueError) as error:
        _stop([f"{words_file or tables_file}: {error}"], as_json=as_json)
    found = _data(events_file)
    if isinstance(found, Mapping) and "events" in found:
        found = found["events"]
    decisions: list[JSON] = []
    for number, one in enumerate(found if isinstance(found, list) else [found], 1):
        try:
            if not isinstance(one, Mapping):
                raise FactsInvalid("an event is a mapping")
            decisions.append(rules_offline.decision_json(decide(ruleset, rules_offline.facts(one))))
        except FactsInvalid as error:
            _stop([f"{events_file}: event {number}: {error}"], as_json=as_json)
    if as_json:
        _print({"decisions": decisions})
        return
    for number, decision in enumerate(decisions, 1):
        assert isinstance(decision, Mapping)
        fired = decision["fired"]
        said = ", ".join(str(key) for key in fired) if isinstance(fired, list) and fired else "no row"
        click.echo(f"event {number}: {said}")
        planned = decision["planned"]
        for step in planned if isinstance(planned, list) else []:
            assert isinstance(step, Mapping)
            click.echo(f"    {step['row']} {step['action']} {json.dumps(step['params'], ensure_ascii=False)}")


@rules.command("replay")
@click.option("--table", "code", required=True, help="The table's code.")
@click.option("--last", default=LAST_EVENTS, show_default=True, type=click.IntRange(1, MOST_EVENTS))
@JSON_FLAG
@in_english
def replay(code: str, last: int, as_json: bool) -> None:
    """What the draft of a table (or, without one, the live version) would do on the last events. Changes nothing."""
    try:
        with services().db.read() as db:
            stored = rule_list.entry(db, code)
        made = preview(services(), code, stored.working, _everything(), last)
    except EntryNotFound as error:
        _stop([f"{error}."], as_json=as_json)
    except TableInvalid as error:
        entry = rules_files.FileEntry(EntryKind.TABLE, code, stored.name, stored.working)
        words = _desk().vocabulary
        _stop([rules_files.place(entry, one, words, "draft") for one in error.problems], as_json=as_json)
    if as_json:
        data = asdict(made)
        data["since"] = None if made.since is None else made.since.isoformat()
        for one in data["different"]:
            one["at"] = one["at"].isoformat()
        _print(data)
    else:
        _print_preview(made)


@rules.command("play")
@click.option("--draft", "codes", multiple=True, help="An entry whose draft is put in place; may be repeated.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 3650), help="Tickets created since then.")
@click.option("--tickets", default=replays.ITEMS, show_default=True, type=click.IntRange(1, replays.MOST_ITEMS))
@click.option(
    "--kind",
    default="ticket",
    show_default=True,
    type=click.Choice([str(one) for one in KIND_PLURALS]),
    help="Items of this kind.",
)
@click.option("--status", default="", help="Those that are in this status now; by its key, e.g. waiting_customer.")
@click.option("--team", default="", help="Those that this team has now; by its key.")
@click.option("--scripts/--no-scripts", default=True, help="Run scripts, too, with the answers that were recorded.")
@JSON_FLAG
@in_english
def play(
    codes: tuple[str, ...], days: int, tickets: int, kind: str, status: str, team: str, scripts: bool, as_json: bool
) -> None:
    """Let past tickets happen again from their beginning, with drafts in place; without one, to see whether the live
    rules end where it really ended. Changes, sends and asks nothing."""
    now = services().clock.now()
    with services().db.read() as db:
        teams = names(db).teams
    for what, given, known in (("status", status, statuses_of(kind)), ("team", team, teams)):
        if given and given not in known:
            _stop([f"There is no {what} {given} for {kind}s; there are: {', '.join(known)}."], as_json=as_json)
    picked = Picked(now - timedelta(days=days), now, kind, status, team, most=tickets)
    try:
        played = list(replays.play_now(services(), codes, picked, _everything(), scripts=scripts))
    except (EntryNotFound, replays.Refused) as error:
        _stop([f"{error}."], as_json=as_json)
    if as_json:
        _print([asdict(one) for one in played])
        return
    changed = sum(one.status == "changed" for one in played)
    compared = [one.faithful for one in played if one.faithful is not None]
    click.echo(
        f"{len(played)} tickets: {changed} would differ. "
        f"The live rules end where it really ended on {sum(compared)} of {len(compared)}."
    )
    for one in played:
        found = replays.difference_of(one.outcome)
        parts = [f"{change.field}: {change.live} -> {change.draft}" for change in found.fields]
        parts += [f"+ {kind} {what}" for kind, what in found.more] + [f"- {kind} {what}" for kind, what in found.less]
        parts += [f"{name} is not recorded" for name in one.outcome.get("missing", ())]
        parts += [one.outcome["problem"]] if "problem" in one.outcome else []
        if parts:
            click.echo(f"  ticket {one.item_id}: {'; '.join(parts)}")


def _print_preview(made: Preview) -> None:
    against = f"version {made.live_version}" if made.live_version else "a list without it"
    click.echo(f"{made.code} against {against} on {made.events} events: {len(made.different)} would differ.")
    for reason, count in made.skipped.items():
        click.echo(f"  {count} skipped: {reason}.")
    for row, hits in made.hits.items():
        click.echo(f"  row {row}: {hits.draft}" + (f" (live {hits.live})" if hits.live != hits.draft else ""))
    for one in made.different:
        parts = [f"{change.field}: {change.live} -> {change.draft}" for change in one.fields]
        parts += [f"+ {kind} {what}" for kind, what in one.more] + [f"- {kind} {what}" for kind, what in one.less]
        click.echo(f"  ticket {one.item_id}: {'; '.join(parts)}")


# Scripts ---------------------------------------------------------------------------------------------------------


@script.command("check")
@click.argument("file", type=FILE)
@JSON_FLAG
def check(file: Path, as_json: bool) -> None:
    """Say what is wrong in a script: line, column, code, and the way out. Exit code 1 for errors."""
    checked = services().sandbox.check(_text(file), script_api(_desk_or_empty(())))
    if as_json:
        _print({"ok": checked.ok, "problems": [asdict(one) for one in checked.problems],
                "manifest": asdict(checked.manifest)})  # fmt: skip
    else:
        for one in checked.problems:
            where = f"{file}:{one.line}:{one.column + 1}"
            click.echo(f"{where}: {one.severity} {one.code}: {one.message} {one.hint}".rstrip())
        if not checked.problems:
            click.echo("No problems found.")
    sys.exit(0 if checked.ok else 1)


@script.command("run")
@click.argument("file", type=FILE)
@click.option("--ticket", required=True, help="A ticket's number, or a file with facts.")
@click.option("--live", is_flag=True, help="Ask the connections, read only.")
@click.option("--recorded", type=FILE, help="A file with recorded calls: a list, or {calls: [...]}.")
@JSON_FLAG
def run(file: Path, ticket: str, live: bool, recorded: Path | None, as_json: bool) -> None:
    """Try a script and print what it would do. Nothing is applied; without --live no connection is opened."""
    if live and recorded is not None:
        _stop(["Take --live or --recorded, not both."], as_json=as_json)
    source = _text(file)
    calls = _calls(recorded) if recorded is not None else []
    if ticket.removeprefix("#").isdecimal() and recorded is None:
        try:
            made = try_script(
                services(), source, int(ticket.removeprefix("#")), _everything(), Mode.LIVE if live else Mode.RECORDED
            )
        except ItemNotFound as error:
            _stop([f"{error}."], as_json=as_json)
    else:
        made = _run_on_file(source, ticket, live, calls, as_json)
    _print_tried(made, as_json)
    sys.exit(0 if made.outcome.status in ("finished", "stopped") and not made.refused else 1)


def _calls(path: Path) -> list[Mapping[str, Any]]:
    data = _data(path)
    found = data.get("calls", []) if isinstance(data, Mapping) else data
    if not isinstance(found, list) or not all(
        isinstance(one, Mapping) and one.get("connection") and one.get("operation") for one in found
    ):
        _stop([f"{path}: recorded calls are a list of {{connection, operation, args, status, answer}}"])
    return found


def _run_on_file(source: str, ticket: str, live: bool, calls: list[Mapping[str, Any]], as_json: bool) -> Tried:
    if live:
        _stop(["--live needs a ticket of this desk, by its number."], as_json=as_json)
    path = Path(ticket)
    if not path.is_file():
        _stop([f"{ticket} is neither the number of a ticket nor a file."], as_json=as_json)
    data = _data(path)
    try:
        if not isinstance(data, Mapping):
            raise FactsInvalid("facts are a mapping")
        facts = rules_offline.facts(data)
    except FactsInvalid as error:
        _stop([f"{path}: {error}"], as_json=as_json)
    number = facts.item.get("id")
    return try_on(
        services().sandbox,
        _desk_or_empty(calls),
        source,
        facts,
        RecordedGateway(answers_of(calls)),
        item_id=number if isinstance(number, int) else 0,
    )


def _desk_or_empty(calls: Sequence[Mapping[str, Any]]) -> Desk:
    """The desk of the database, or an empty one where there is none; operations that calls name exist in both."""
    try:
        desk = _read_desk()
    except SQLAlchemyError:
        desk = Desk(0, Vocabulary(), compile_ruleset(0, (), Vocabulary()), {}, (), {})
    known = {(one.connection, one.name) for one in desk.operations}
    added: dict[tuple[str, str], set[str]] = {}
    for call in calls:
        name = (str(call["connection"]), str(call["operation"]))
        if name not in known:
            added.setdefault(name, set()).update(call.get("args") or {})
    operations = tuple(
        OperationInfo(
            connection=name,
            connection_label=name,
            name=operation,
            label=operation,
            kind="read",
            inputs=tuple(Input(key, required=False) for key in sorted(inputs)),
            bind={},
            fields={},
            many=False,
            record="raw",
            doc="",
            cache_s=0,
            timeout_s=10,
            allowed=True,
        )
        for (name, operation), inputs in added.items()
    )
    return replace(desk, operations=(*desk.operations, *operations))


def _print_tried(made: Tried, as_json: bool) -> None:
    outcome = outcome_json(made.outcome)
    if as_json:
        _print(
            {
                "status": "refused" if made.refused else made.outcome.status,
                "error": {"message": made.refused} if made.refused else outcome["error"],
                "stop_reason": made.outcome.stop_reason,
                "log": outcome["log"],
                "effects": [asdict(one) for one in made.effects],
                "calls": outcome["calls"],
                "usage": outcome["usage"],
            }
        )
        return
    error = made.outcome.error
    for call in made.outcome.calls:
        said = call.message or call.status
        click.echo(f"line {call.line}: {call.connection}.{call.operation}: {said} ({call.ms} ms)")
    for line in made.outcome.log:
        click.echo(f"line {line.line}: {line.text}")
    for one in made.effects:
        change = f": {one.before} -> {one.after}" if one.kind == "field" else f" {one.text}".rstrip()
        click.echo(f"would: {one.kind} {one.about}{change}")
    if error is not None:
        where = f"line {error.line}: " if error.line else ""
        click.echo(f"{made.outcome.status}: {where}{error.message} {error.hint} ({error.code})", err=True)
    if made.refused:
        click.echo(f"refused: {made.refused}", err=True)
    click.echo(f"{made.outcome.status}, {made.outcome.usage.wall_ms} ms. Nothing was changed.")


# Connections -------------------------------------------------------------------------------------------------------


@connection.command("test")
@click.argument("name")
@JSON_FLAG
def test(name: str, as_json: bool) -> None:
    """Ask the connected system one harmless question and say what happened. Exit code 1 when it does not work."""
    try:
        result = services().gateway.test(name)
    except UnknownConnection as error:
        _stop([f"{error.sentence}."], as_json=as_json)
    if as_json:
        _print(asdict(result))
    else:
        click.echo(f"{'works' if result.ok else 'does not work'}: {result.reading}")
        if result.request_line:
            click.echo(f"    {result.request_line} -> {result.status or 'no answer'} in {result.ms} ms")
    sys.exit(0 if result.ok else 1)
