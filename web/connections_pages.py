"""Connections: how each connected system fares, its settings from its own schema, and a test in plain words.

Secrets are write-only: the page says that one is set, never what it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from connectors import store as connections
from connectors.errors import BadConfig, UnknownConnection
from connectors.gateway import TestResult
from connectors.registry import CONNECTORS
from connectors.store import ConnectionInfo
from connectors.system import FormField
from rules import store as rule_list
from tickets.people import Permission
from tickets.values import JSON
from web.access import needs
from web.context import now, services
from web.errors import refuse
from web.labels import in_words
from web.limits import limiter, person
from web.used_by import Use, uses, uses_of

pages = Blueprint("connections", __name__)

PERMISSION = Permission.EDIT_CONNECTIONS
#: Seconds a test may take; tests per person and minute; longest value of one field, in characters; calls listed.
TEST_S = 10.0
TESTS_PER_MINUTE = "20/minute"
VALUE_CHARS = 20_000
CALLS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of the form with what stands in it."""

    field: FormField
    text: str
    checked: bool
    is_set: bool
    problem: str


@pages.get("/connections")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """Every connection: status, last success, breaker, calls today, and who uses it."""
    health = services().gateway.health()
    with services().db.read() as connection:
        entries = rule_list.entries(connection)
        vocabulary = services().live.current(connection).vocabulary
    used = uses_of(entries, [("connection", one.name) for one in health], vocabulary)
    return render_template(
        "connections_list.html",
        health=health,
        used={name: [use.entry for use in found] for (_, name), found in used.items()},
        kinds={kind: in_words(system.label) for kind, system in CONNECTORS.items()},
    )


@pages.get("/connections/new")
@needs(PERMISSION)
def choose() -> ResponseReturnValue:
    """Which kind of system to connect."""
    return render_template("connections_new.html", systems=list(CONNECTORS.values()))


@pages.get("/connections/new/<kind>")
@needs(PERMISSION)
def new(kind: str) -> ResponseReturnValue:
    """The empty form of a kind."""
    _known(kind)
    return _form(kind, None, {}, {})


@pages.post("/connections/new/<kind>")
@needs(PERMISSION)
def create(kind: str) -> ResponseReturnValue:
    """Make a connection."""
    _known(kind)
    name = request.form.get("name", "").strip()
    problems: dict[str, str] = {}
    with services().db.read() as connection:
        if any(one.name == name for one in connections.connections(connection)):
            problems["name"] = gettext("There is already a connection of this name. Nothing was saved.")
    if problems:
        return _form(kind, None, _values(kind, {}), problems)
    return _save(kind, name, None)


def _known(kind: str) -> None:
    if kind not in CONNECTORS:
        abort(404)


def _uses(connection: Connection, name: str) -> list[Use]:
    return uses(rule_list.entries(connection), "connection", name, services().live.current(connection).vocabulary)


def _info(connection: Connection, name: str) -> ConnectionInfo:
    try:
        return connections.connection_named(connection, name)
    except UnknownConnection:
        abort(404)


@pages.get("/connections/<name>")
@needs(PERMISSION)
def page(name: str) -> ResponseReturnValue:
    """One connection: its form, what it can be asked, its last calls."""
    with services().db.read() as connection:
        info = _info(connection, name)
    return _form(info.kind, info, info.config, {})


@pages.post("/connections/<name>")
@needs(PERMISSION)
def change(name: str) -> ResponseReturnValue:
    """Change a connection. A secret left blank stays as it is."""
    with services().db.read() as connection:
        info = _info(connection, name)
    return _save(info.kind, name, info)


def _save(kind: str, name: str, info: ConnectionInfo | None) -> ResponseReturnValue:
    problems: dict[str, str] = {}
    values = _values(kind, problems)
    if not problems:
        try:
            with services().db.write() as connection:
                connections.save_connection(
                    connection,
                    services().box,
                    name=name,
                    kind=kind,
                    config=values,
                    label=" ".join(request.form.get("label", "").split()),
                    enabled="enabled" in request.form,
                    allow_write="allow_write" in request.form,
                    now=now(),
                )
                # Columns and scripts depend on what this connection can be asked.
                rule_list.bump(connection)
        except BadConfig as error:
            problems = {one.field.partition(".")[0]: one.message for one in error.problems}
    if problems:
        return _form(kind, info, values, problems)
    flash(gettext("The connection is saved. Test it to see whether it answers."), "ok")
    return redirect(url_for("connections.page", name=name))


@pages.post("/connections/<name>/test")
@limiter.limit(TESTS_PER_MINUTE, key_func=person)
@needs(PERMISSION)
def test(name: str) -> ResponseReturnValue:
    """Ask the system one harmless question and say what happened."""
    with services().db.read() as connection:
        info = _info(connection, name)
    result = services().gateway.test(name, deadline_s=TEST_S)
    with services().db.read() as connection:
        info = _info(connection, name)
    return _form(info.kind, info, info.config, {}, result=result)


@pages.post("/connections/<name>/delete")
@needs(PERMISSION)
def delete(name: str) -> ResponseReturnValue:
    """Forget a connection. Refused while a table or a script uses it."""
    with services().db.write() as connection:
        _info(connection, name)
        found = _uses(connection, name)
        if found:
            listed = ", ".join(one.sentence for one in found[:10])
            raise refuse(
                422, gettext("These still use it: %(users)s. Change them first. Nothing was deleted.", users=listed)
            )
        connections.delete_connection(connection, name)
        rule_list.bump(connection)
    flash(gettext("The connection %(name)s is gone, with its credentials and stored answers.", name=name), "ok")
    return redirect(url_for("connections.index"))


# The form --------------------------------------------------------------------------------------------------------


def _values(kind: str, problems: dict[str, str]) -> dict[str, JSON]:
    """The form as configuration. What cannot even be read is put into `problems`."""
    values: dict[str, JSON] = {}
    for field in connections.form(kind):
        text = request.form.get(f"c.{field.name}", "")
        if len(text) > VALUE_CHARS:
            problems[field.name] = gettext("At most %(n)s characters.", n=VALUE_CHARS)
            continue
        try:
            value = _value(field, text, request.form)
        except ValueError as error:
            problems[field.name] = gettext("This does not read: %(why)s", why=str(error))
            values[field.name] = text
            continue
        if value is not None:
            values[field.name] = value
    return values


def _value(field: FormField, text: str, form: MultiDict[str, str]) -> JSON:
    match field.type:
        case "bool":
            return f"c.{field.name}" in form
        case "number":
            return None if not text.strip() else float(text) if "." in text else int(text)
        case "list":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "json":
            found: JSON = json.loads(text) if text.strip() else None
            return found
        case "secret":
            return text or None
        case _:
            return text.strip() or None


def _form(
    kind: str,
    info: ConnectionInfo | None,
    values: Mapping[str, JSON],
    problems: Mapping[str, str],
    *,
    result: TestResult | None = None,
) -> ResponseReturnValue:
    settings = []
    for field in connections.form(kind):
        value = values.get(field.name, field.default)
        settings.append(
            Setting(
                replace(field, label=in_words(field.label), doc=in_words(field.doc)),
                _text(field, value),
                bool(value),
                info is not None and field.name in info.secrets_set,
                problems.get(field.name, ""),
            )
        )
    operations: list[Any] = []
    calls: Sequence[Any] = ()
    found: list[Use] = []
    health = None
    if info is not None:
        health = next((one for one in services().gateway.health() if one.name == info.name), None)
        with services().db.read() as connection:
            operations = connections.describe([info])
            calls = connections.last_calls(connection, info.name, limit=CALLS_SHOWN)
            found = _uses(connection, info.name)
    page = render_template(
        "connections_form.html",
        kind=kind,
        system=CONNECTORS.get(kind),
        info=info,
        health=health,
        name=request.form.get("name", info.name if info else ""),
        label=request.form.get("label", info.label if info else "") if problems or info is None else info.label,
        enabled=("enabled" in request.form) if problems else info.enabled if info else True,
        allow_write=("allow_write" in request.form) if problems else info.allow_write if info else False,
        settings=settings,
        problems={(key if key in ("name", "label", "kind") else f"c.{key}"): text for key, text in problems.items()},
        own=problems,
        result=result,
        operations=operations,
        calls=calls,
        used=found,
        choices=lambda field: [(one, in_words(one)) for one in field.choices],
        in_words=in_words,
    )
    return page, 422 if problems else 200


def _text(field: FormField, value: JSON) -> str:
    if field.type == "secret" or value is None:
        return ""
    if field.type == "list" and isinstance(value, (list, tuple)):
        return "\n".join(str(one) for one in value)
    if field.type == "json":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return str(value)
