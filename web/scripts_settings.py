"""When a script runs and what it takes: its triggers, kind and scope in the rule list, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from jobs.holding import wait_s
from rules import store as rule_list
from rules.listed import is_listed
from rules.parse import KINDS
from rules.script_params import LONGEST_WAIT_S, MAX_PARAMS
from rules.store import StaleDraft
from rules.vocabulary import GivenType, ScriptParam
from tickets.people import Permission
from tickets.values import JSON, json_problem
from web import rules_groups, rules_words, scripts_content
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.refusals import said
from web.rules_document import EditRefused
from web.rules_forms import field_menu, read_given, read_triggers, trigger_forms
from web.scripts_tests import stored_script

settings = Blueprint("settings", __name__)

PERMISSION = Permission.EDIT_SCRIPTS
#: Empty lines for new parameters in the form; longest text of one of its fields, in characters.
EMPTY_LINES = 2
FIELD_CHARS = 10_000


@settings.get("/scripts/<code>/settings")
@needs(PERMISSION)
def index(code: str) -> ResponseReturnValue:
    """The form over the draft."""
    return _page(code)


def _page(code: str, content: Mapping[str, Any] | None = None, problem: str = "") -> ResponseReturnValue:
    """The form; with `content` what was typed, which was not saved."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
        words = services().live.current(connection).vocabulary
    shown = stored.working if content is None else content
    kind = kind_of(shown)
    listed = [dict(one) for one in shown.get("params") or () if isinstance(one, Mapping)]
    page = render_template(
        "scripts_settings.html",
        entry=stored,
        code=code,
        listed=is_listed(shown),
        triggers=trigger_forms({"triggers": list(shown.get("triggers") or ())}, words),
        kinds=KINDS,
        kind=kind,
        scope=rules_groups.forms(scope_of(shown), words.of(kind)),
        group_kinds=rules_groups.kinds(),
        fields=field_menu(words.of(kind), outside=False),
        only_for=rules_words.members(scope_of(shown), words.of(kind)),
        wait_s=wait_s(shown),
        longest_wait_s=LONGEST_WAIT_S,
        params=[*listed, *({} for _ in range(min(EMPTY_LINES, MAX_PARAMS - len(listed))))],
        types={
            GivenType.TEXT.value: gettext("text"),
            GivenType.NUMBER.value: gettext("number"),
            GivenType.BOOL.value: gettext("yes or no"),
            GivenType.CHOICE.value: gettext("one of"),
            GivenType.DATE.value: gettext("date"),
            GivenType.TEXTS.value: gettext("several texts"),
        },
        default_text=default_text,
        problems=scripts_content.problems_of(code, {**shown, "name": stored.name}, words),
        problem=problem,
        when=rules_words.triggers(shown, words) if is_listed(shown) else "",
        seen=stored.draft_count,
    )
    return page, 422 if problem else 200


@settings.post("/scripts/<code>/settings")
@needs(PERMISSION)
def save(code: str) -> ResponseReturnValue:
    """Put what the form says into the draft. What is wrong in it is shown, and stops a publish."""
    with services().db.read() as connection:
        stored = stored_script(connection, code)
        desk = services().live.current(connection)
    if json_problem(request.form.to_dict()) is not None or any(len(one) > FIELD_CHARS for one in request.form.values()):
        raise refuse(422, gettext("The form holds a text that cannot be stored. Nothing was saved."))
    content = {key: value for key, value in stored.working.items() if key != "asked"}
    try:
        content["params"] = read_params(request.form)
    except EditRefused as refused:
        return _page(code, content, gettext("%(why)s Nothing was saved.", why=refused))
    content["wait_s"] = _sent_wait(content)
    content["triggers"] = read_triggers(request.form)
    content["kind"] = request.form.get("kind") if request.form.get("kind") in KINDS else "ticket"
    # What the form shows of the scope is in the words of the kind it was made for, whatever is chosen now.
    words = desk.vocabulary.of(kind_of(stored.working))
    try:
        content["scope"] = rules_groups.read_members(
            scope_of(stored.working), request.form, words, me().zone, scope=True
        )
    except EditRefused as refused:
        return _page(code, content, gettext("%(why)s Nothing was saved.", why=refused))
    for key in ("params", "triggers", "scope"):
        if not content[key]:
            del content[key]
    with services().db.write() as connection:
        try:
            seen = request.form.get("seen", -1, type=a_number)
            rule_list.save_draft(connection, code, content, author=me().key, seen=seen, now=now())
        except StaleDraft as stale:
            raise refuse(409, said(str(stale))) from None
    shaped = any(request.form.get(one) for one in ("add", "group", "remove"))
    return redirect(url_for("scripts.settings.index", code=code, _anchor="scope" if shaped else None))


def _sent_wait(content: Mapping[str, Any]) -> int:
    """How long rules wait for the script, in seconds. Aborts with 422 for what is no such number."""
    if "wait_s" not in request.form:
        return wait_s(content)
    given = request.form["wait_s"].strip()
    if not (given.isascii() and given.isdigit() and len(given) <= 4 and int(given) <= LONGEST_WAIT_S):
        raise refuse(
            422,
            gettext("Rules wait for a script 0 to %(most)s seconds. Nothing was saved.", most=LONGEST_WAIT_S),
        )
    return int(given)


def scope_of(content: Mapping[str, Any]) -> list[JSON]:
    """The conditions of its scope, of which all must hold."""
    found = content.get("scope")
    return list(found) if isinstance(found, (list, tuple)) else []


def kind_of(content: Mapping[str, Any]) -> str:
    """The kind of items it runs on in the rule list; what is no kind is a ticket here, and said as a problem."""
    kind = content.get("kind")
    return kind if isinstance(kind, str) and kind in KINDS else "ticket"


def read_params(form: MultiDict[str, str]) -> list[JSON]:
    """The declared parameters as the form says them, lines without a name left out. Raises `EditRefused`."""
    found: list[JSON] = []
    for number in range(MAX_PARAMS):
        name = form.get(f"p{number}.name", "").strip()
        if not name:
            if form.get(f"p{number}.label", "").strip() or form.get(f"p{number}.doc", "").strip():
                raise EditRefused(gettext("Parameter %(n)s needs a name.", n=number + 1))
            continue
        kind = form.get(f"p{number}.type", GivenType.TEXT.value)
        if kind not in {one.value for one in GivenType}:
            kind = GivenType.TEXT.value
        one: dict[str, JSON] = {"name": name, "type": kind}
        for key in ("label", "doc"):
            text = " ".join(form.get(f"p{number}.{key}", "").split())
            if text:
                one[key] = text
        if form.get(f"p{number}.required") == "1":
            one["required"] = True
        if kind == GivenType.CHOICE:
            options = [part.strip() for part in form.get(f"p{number}.options", "").split(",") if part.strip()]
            one["options"] = list[JSON](options)
        default = _read_default(form, f"p{number}.default", ScriptParam(name, name, GivenType(kind)))
        if default is not None:
            one["default"] = default
        found.append(one)
    return found


def _read_default(form: MultiDict[str, str], name: str, param: ScriptParam) -> JSON:
    if param.type is GivenType.BOOL:
        text = form.get(name, "").strip()
        return {"yes": True, "no": False, "true": True, "false": False}.get(text.casefold(), text or None)
    if param.type is GivenType.TEXTS:
        return [part.strip() for part in form.get(name, "").split(",") if part.strip()] or None
    return read_given(form, name, param)


def default_text(value: JSON) -> str:
    """A default as the form shows it: lists by commas, yes and no as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)
