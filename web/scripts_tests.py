"""The tests stored with a script: they stand in its draft, are published with it, and must pass for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs.script_tests import MAX_TESTS, BadTest, RunNotFound, ScriptTest, from_run, run_all, run_test
from rules import files
from rules import store as rule_list
from rules.files import FileInvalid
from rules.store import EntryKind, EntryNotFound, StaleDraft, Stored
from tickets.people import Permission
from tickets.values import JSON
from web import runs_store
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.limits import limiter
from web.refusals import said

tests = Blueprint("tests", __name__)

PERMISSION = Permission.EDIT_SCRIPTS
#: A page of tests runs each of them; per person and minute.
TESTS_PER_MINUTE = "30/minute"
#: Longest text of one test, in characters; runs offered to make a test from.
TEST_CHARS = 100_000
RUNS_OFFERED = 20


def _who() -> str:
    return f"script-tests:{me().key}"


def stored_script(connection: Connection, code: str) -> Stored:
    """The script with this code. Aborts with 404 for anything else."""
    try:
        stored = rule_list.entry(connection, code)
    except EntryNotFound:
        abort(404)
    if stored.kind is not EntryKind.SCRIPT:
        abort(404)
    return stored


@tests.get("/scripts/<code>/tests")
@limiter.limit(TESTS_PER_MINUTE, key_func=_who)
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """Every test with how it comes out on the draft, and the runs one can make a test from."""
    return _page(code)


def _page(code: str, *, problem: str = "", text: str = "", number: int = -1, status: int = 200) -> ResponseReturnValue:
    with services().db.read() as connection:
        stored = stored_script(connection, code)
        desk = services().live.current(connection)
        recent = runs_store.runs(connection, me(), runs_store.RunFilter(script=code)).rows
    results = run_all(services().sandbox, desk, stored.working)
    _, present = _present(code)
    page = render_template(
        "scripts_tests.html",
        entry=stored,
        code=code,
        results=results,
        texts=[files.dump(one) for one in present],
        runs=[one for one in recent if one.finished_at is not None][:RUNS_OFFERED],
        most=MAX_TESTS,
        problem=problem,
        text=text,
        number=number,
    )
    return page, status


def _save(code: str, made: list[JSON]) -> ResponseReturnValue:
    """The draft with these tests. Aborts with 409 when somebody saved meanwhile, 422 when there are too many."""
    if len(made) > MAX_TESTS:
        raise refuse(422, gettext("A script has at most %(n)s tests. Nothing was saved.", n=MAX_TESTS))
    with services().db.write() as connection:
        stored = stored_script(connection, code)
        kept = {key: value for key, value in stored.working.items() if key != "asked"}
        try:
            rule_list.save_draft(
                connection,
                code,
                {**kept, "tests": made},
                author=me().key,
                seen=request.form.get("seen", -1, type=a_number),
                now=now(),
            )
        except StaleDraft as stale:
            raise refuse(409, said(str(stale))) from None
    return redirect(url_for("scripts.tests.index", code=code))


def _present(code: str) -> tuple[Stored, list[JSON]]:
    with services().db.read() as connection:
        stored = stored_script(connection, code)
    found = stored.working.get("tests", [])
    return stored, list(found) if isinstance(found, list) else []


def _number(present: list[JSON]) -> int:
    number = request.form.get("n", -1, type=a_number)
    if not 0 <= number < len(present):
        raise refuse(422, gettext("There is no such test any more. Nothing was saved."))
    return number


@tests.post("/scripts/<code>/tests/from-run")
@limiter.limit(TESTS_PER_MINUTE, key_func=_who)
@needs(PERMISSION)
def make_from_run(code: str) -> ResponseReturnValue:
    """A test of what a run saw and was told, without personal data."""
    stored, present = _present(code)
    try:
        made = from_run(services(), code, stored.working, request.form.get("run", -1, type=a_number), me())
    except RunNotFound as missing:
        raise refuse(422, gettext("%(why)s. No test was made.", why=said(str(missing)))) from None
    flash(gettext("The test is made. Read what it expects, and what was masked."), "ok")
    return _save(code, [*present, made.to_json()])


@tests.post("/scripts/<code>/tests/save")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Replace one test by what was typed, or add it."""
    _, present = _present(code)
    text = request.form.get("text", "")
    number = request.form.get("n", -1, type=a_number)
    if len(text) > TEST_CHARS:
        raise refuse(422, gettext("A test has at most %(n)s characters. Nothing was saved.", n=TEST_CHARS))
    try:
        made = ScriptTest.from_json(files.load(text)).to_json()
    except (FileInvalid, BadTest) as wrong:
        return _page(
            code,
            problem=gettext("%(why)s. Nothing was saved.", why=said(str(wrong))),
            text=text,
            number=number,
            status=422,
        )
    if number >= 0:
        present[_number(present)] = made
        return _save(code, present)
    return _save(code, [*present, made])


@tests.post("/scripts/<code>/tests/expect")
@needs(PERMISSION)
def expect(code: str) -> ResponseReturnValue:
    """Let a test expect what the draft does now."""
    stored, present = _present(code)
    number = _number(present)
    with services().db.read() as connection:
        desk = services().live.current(connection)
    try:
        test = ScriptTest.from_json(present[number])
    except BadTest as wrong:
        raise refuse(422, gettext("%(why)s. Nothing was saved.", why=said(str(wrong)))) from None
    result = run_test(services().sandbox, desk, stored.working, test)
    changed: Mapping[str, Any] = {**test.to_json(), "expect": dict(result.got)}
    present[number] = changed
    return _save(code, present)


@tests.post("/scripts/<code>/tests/delete")
@needs(PERMISSION)
def delete(code: str) -> ResponseReturnValue:
    """Take a test away from the draft."""
    _, present = _present(code)
    del present[_number(present)]
    return _save(code, present)
