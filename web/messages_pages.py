"""The messages centre: every automatic message and template with who sends it, to whom, in which languages, on or off.

A *message* is posted in the conversation and e-mailed if it is not seen; a *template* is a text that automations share,
sent as a message or directly by e-mail. The system's own cannot be switched off or deleted, but worded anew.
"""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy import Connection

from jobs.facts import facts_now
from jobs.leaving import queue
from jobs.queues import Work
from jobs.system_texts import SYSTEM_TEXTS
from rules import store as rule_list
from rules.actions import ACTIONS
from rules.store import EntryKind, EntryNotFound, Stored
from rules.templates import render
from tickets import store as items
from tickets.item import LANGUAGES
from tickets.people import Permission
from tickets.values import JSON, iso
from web import messages_list, rules_templates
from web.access import me, needs
from web.context import now, services
from web.errors import refuse
from web.forms import a_number
from web.used_by import still_used, uses, uses_of

pages = Blueprint("messages", __name__)

PERMISSION = Permission.EDIT_RULES
GROUPS = {
    "system": lazy_gettext("From the system"),
    "template": lazy_gettext("Templates"),
    "rule": lazy_gettext("Written in rules"),
    "script": lazy_gettext("Written in scripts"),
}
AUDIENCES = {
    "customers": lazy_gettext("Customers"),
    "colleagues": lazy_gettext("Colleagues"),
    "both": lazy_gettext("Customers and colleagues"),
}


@pages.get("/messages")
@needs(PERMISSION)
def index() -> ResponseReturnValue:
    """All of them."""
    with services().db.read() as connection:
        stored = rule_list.entries(connection)
        vocabulary = services().live.current(connection).vocabulary
    found = messages_list.lines(stored)
    templates = [one.code for one in found if one.group == "template"]
    used = uses_of(stored, [("template", code) for code in templates], vocabulary)
    return render_template(
        "messages.html",
        groups=[(key, str(label), [one for one in found if one.group == key]) for key, label in GROUPS.items()],
        used={code: used["template", code] for code in templates},
        audiences=AUDIENCES,
        languages=LANGUAGES,
        actions={one.key: one.label for one in ACTIONS.values()},
    )


@pages.post("/messages/<code>/switch")
@needs(PERMISSION)
def switch(code: str) -> ResponseReturnValue:
    """Switches a template on or off, live at once. While it is off, steps that would send it are skipped and say so."""
    on = request.form.get("on") == "1"
    with services().db.write() as connection:
        stored = _template(connection, code)
        rule_list.switch(connection, code, enabled=on)
    flash(
        gettext("%(name)s is on.", name=stored.name)
        if on
        else gettext("%(name)s is off: nothing sends it until it is switched on.", name=stored.name),
        "ok",
    )
    return redirect(url_for("templates.template", code=code), 303)


@pages.post("/messages/<code>/delete")
@needs(PERMISSION)
def delete(code: str) -> ResponseReturnValue:
    """Deletes a template that nothing names any more. What was sent keeps its own words."""
    with services().db.write() as connection:
        stored = _template(connection, code)
        vocabulary = services().live.current(connection).vocabulary
        # Drafts and what is switched off count: a rule that is switched on tomorrow must find its text.
        found = uses(rule_list.entries(connection), "template", code, vocabulary)
        if found:
            raise refuse(422, still_used(f"{code} {stored.name}", found))
        rule_list.remove(connection, code, now=now())
    flash(gettext("%(name)s is deleted. What was sent with it stays as it was sent.", name=stored.name), "ok")
    return redirect(url_for("messages.index"), 303)


@pages.post("/messages/<code>/reword")
@needs(PERMISSION)
def reword(code: str) -> ResponseReturnValue:
    """Opens one of the system's texts in the editor, beginning with its present wording."""
    known = SYSTEM_TEXTS.get(code)
    if known is None:
        abort(404)
    with services().db.write() as connection:
        try:
            rule_list.entry(connection, code)
        except EntryNotFound:
            texts: dict[str, JSON] = {
                language: {"subject": text.subject, "body": text.body} for language, text in known.texts.items()
            }
            draft: dict[str, JSON] = {"texts": texts}
            rule_list.create(connection, EntryKind.TEMPLATE, known.name, draft, author=me().key, now=now(), code=code)
    return redirect(url_for("templates.template", code=code), 303)


@pages.post("/messages/<code>/test")
@needs(PERMISSION)
def test(code: str) -> ResponseReturnValue:
    """E-mails a text to me, with the values of a real ticket, in the language of the button."""
    language = request.form.get("language", "")
    with services().db.write() as connection:
        stored = rules_templates.template_or_404(connection, code)
        text = stored.working.get("texts", {}).get(language)
        if not isinstance(text, dict) or not text.get("body"):
            raise refuse(422, gettext("There is no text in this language yet. Nothing was sent."))
        sample = rules_templates.sample(connection, request.form.get("ticket", type=a_number))
        if sample is None:
            raise refuse(422, gettext("There is no ticket to take values from yet. Nothing was sent."))
        item = items.read_item(connection, sample, viewer=me())
        vocabulary = services().live.current(connection).vocabulary
        facts = facts_now(connection, item, now())
        extra = rules_templates.extra_values(code)
        subject = render(str(text.get("subject", "")), facts, vocabulary, extra).text
        queue(
            connection,
            key=f"test:{code}:{me().key}:{iso(now())}",
            kind="template",
            recipient=me().email,
            item_id=item.id,
            payload={
                "to": me().email,
                "name": me().name,
                "subject": gettext("Test: %(subject)s", subject=subject or stored.name),
                "language": language,
                "template": code,
                "parts": [{"kind": "text", "text": render(str(text["body"]), facts, vocabulary, extra).text}],
                "cause": {"kind": "person", "label": me().name},
            },
            due_at=now(),
            now=now(),
        )
    services().queues.hint(Work.OUTBOX)
    flash(
        gettext("A test is on its way to %(address)s, with the values of ticket %(n)s.", address=me().email, n=sample),
        "ok",
    )
    return redirect(url_for("templates.template", code=code, ticket=sample), 303)


@pages.post("/messages/<code>/automation")
@needs(PERMISSION)
def automation(code: str) -> ResponseReturnValue:
    """A new rule that sends this template, as a draft that is switched off: the shortcut beside a new template."""
    by_mail = request.form.get("as") == "mail"
    with services().db.write() as connection:
        stored = _template(connection, code)
        if stored.live_version is None:
            raise refuse(422, gettext("Publish the template first; a rule can only send what is live."))
        cell: dict[str, JSON] = {"template": code, "to": ["customer"]} if by_mail else {"template": code}
        draft: dict[str, JSON] = {
            "kind": "ticket",
            "enabled": True,
            "triggers": [{"on": "created"}],
            "hit": "first",
            "wait_s": 0,
            "columns": [{"id": "c1", "field": "ticket.brand", "op": "is"}],
            "steps": [{"id": "s1", "do": "send_template" if by_mail else "post_message"}],
            "rows": [{"id": "r1", "if": {}, "then": {"s1": cell}}],
        }
        name = gettext("Send %(name)s", name=stored.name)
        table = rule_list.create(connection, EntryKind.TABLE, name, draft, author=me().key, now=now())
    flash(gettext("A draft that sends it to new tickets' customers. Say when, then publish it."), "ok")
    return redirect(url_for("rules.editor.table", code=table), 303)


def _template(connection: Connection, code: str) -> Stored:
    """A template that people made; the system's own are refused."""
    if code in SYSTEM_TEXTS:
        raise refuse(422, gettext("This message belongs to the system: it can be worded anew, and nothing else."))
    return rules_templates.template_or_404(connection, code)
