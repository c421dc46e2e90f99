"""A template put into the reply that somebody is writing, with this ticket's values: they send what they have read."""

from __future__ import annotations

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from jobs.facts import facts_now
from rules.templates import render
from rules.vocabulary import DEFAULT_LANGUAGE
from tickets import store as items
from tickets.people import Permission
from web.access import me, needs
from web.context import now, services
from web.ticket import TEXT_CHARS, canned, show

pages = Blueprint("answering", __name__)


@pages.post("/tickets/<int:item_id>/template")
@needs(Permission.WORK_TICKETS)
def insert(item_id: int) -> ResponseReturnValue:
    """The reply as it was typed with a template's text behind it, in the ticket's language. Nothing is sent or kept.

    With scripts only the text field is answered, so that chosen files stay; without, the page."""
    typed = request.form.get("text", "").replace("\r\n", "\n")
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=me())
        desk = services().live.current(connection)
        facts = facts_now(connection, item, now())
    code = request.form.get("template", "")
    if not code:
        return _answer(item_id, typed, gettext("Choose a template first."))
    template = desk.vocabulary.templates.get(code)
    if template is None or code not in canned(desk):
        abort(404)
    language = str(item.state.get("language") or (facts.customer or {}).get("language") or DEFAULT_LANGUAGE)
    chosen = template.text_for(language)
    if chosen is None:
        return _answer(item_id, typed, gettext("This template has no text."))
    body = render(chosen[1].body, facts, desk.vocabulary.of(item.kind)).text
    text = f"{typed.rstrip()}\n\n{body}" if typed.strip() else body
    if len(text) > TEXT_CHARS:
        sentence = gettext("A message has at most %(n)s characters; this one has %(m)s.", n=TEXT_CHARS, m=len(text))
        return _answer(item_id, typed, sentence)
    return _answer(item_id, text, "")


def _answer(item_id: int, text: str, problem: str) -> ResponseReturnValue:
    status = 422 if problem else 200
    if request.headers.get("HX-Request") == "true":
        return render_template("ticket_reply_part.html", draft=text, problem=problem), status
    return show(item_id, draft=text, problem=problem, status=status)
