"""One ticket: what was said and done, what is known about the customer, what comes next, and everything one can change.

Each change is a plain form. It carries the value the person saw, so nobody overwrites what somebody else has just set.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import Blueprint, abort, flash, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import Connection

from jobs import bounces
from jobs.automove import pending
from jobs.forecast import forecast
from jobs.live import Desk
from jobs.outbox import queue_message
from jobs.queues import Work
from jobs.system_texts import SYSTEM_TEXTS
from jobs.telling import tell_of_message
from rules.actions import step_sentence
from rules.vocabulary import ANY_KIND, Vocabulary
from tickets import people
from tickets import requests as customer_requests
from tickets import store as items
from tickets.attachments import check_attachments
from tickets.cards import context_cards
from tickets.clocks import zone_of
from tickets.effects import AddTo, RemoveFrom, SetField, StateEffect
from tickets.errors import AttachmentRefused, BadValue, PersonNotFound, StaleItem
from tickets.events import AUTOMATION, CLOCK, SYSTEM, Actor, ActorKind, Cause
from tickets.item import FINISHED, LANGUAGES, STATE_FIELDS, Item
from tickets.kinds import KIND_LABELS, KIND_PLURALS, PAYMENTS, STAGE, STAGED, pipeline_of, priorities_of, statuses_of
from tickets.people import Customer, Permission, Viewer
from tickets.questions import Purpose, questions_from
from tickets.snooze import SNOOZED, asleep
from tickets.values import JSON
from web import links, requests_store, seen_store, ticket_store
from web.access import me, needs
from web.bulk import runnable
from web.cards import Card, card, told_apart
from web.coming import why_not
from web.coming import words as coming_words
from web.context import now, services
from web.forms import a_number, received_files
from web.item_forms import inputs
from web.items_pages import editable, shown_as
from web.labels import PRIORITY_TONES, STATUS_TONES, Labels, by_itself, event_word, status_of
from web.levels_view import levels_of
from web.look import age
from web.mail_html import clean
from web.names_store import names as all_names
from web.outbox_store import suggestions
from web.snooze_pages import SNOOZES
from web.timeline import Changed, Group, Said, Step, origins, timeline
from web.traced import step_words
from web.why import Moment
from web.why import why as explain

pages = Blueprint("ticket", __name__)

#: Longest message a person writes here, in characters, and longest list of tags one form adds.
TEXT_CHARS = 50_000
TAGS_AT_ONCE = 20
#: Most people one ticket is assigned to.
MOST_ASSIGNEES = 50
#: Fields that are changed in place, in the order of the page's head.
EDITABLE = ("status", "team", "assignees", "priority", "language")
VIEWS = ("timeline", "messages", "automation")


@pages.get("/tickets/<int:item_id>")
@needs(Permission.WORK_TICKETS)
def page(item_id: int) -> ResponseReturnValue:
    """The whole ticket."""
    return show(item_id)


@pages.get("/tickets/<int:item_id>/version")
@needs(Permission.WORK_TICKETS)
def version(item_id: int) -> ResponseReturnValue:
    """How often the ticket was changed: an open page asks, and shows what is new."""
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=me())
    return jsonify(version=item.version)


@dataclass(frozen=True, slots=True)
class Refused:
    """Answers to a procedure that were not kept: what was given, and what is wrong with it, by question."""

    procedure: str
    given: Mapping[str, str]
    problems: Mapping[str, str]


def show(
    item_id: int,
    *,
    draft: str = "",
    problem: str = "",
    refused: Refused | None = None,
    unlinked: links.Unlinked | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    """The page of an item that I may see, with what was refused just now still in its place."""
    viewer = me()
    view = request.args.get("view", "timeline")
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=viewer)
        past = ticket_store.past(connection, item_id)
        customer = _customer(connection, item)
        held = bounces.held(connection, customer.emails) if customer is not None else {}
        labels = _labels(connection, item, customer)
        others, hidden = (
            ticket_store.others_of_customer(connection, viewer, customer.id, item_id)
            if customer is not None
            else ([], 0)
        )
        asked = ticket_store.lookups(connection, item_id)
        cards = _cards(context_cards(connection, item_id), asked, labels.names.systems)
        followers = seen_store.followers(connection, item_id)
        linked, links_hidden = links.linked(connection, viewer, item_id)
        coming = forecast(connection, item_id, now())
        service_levels = levels_of(connection, [item_id], now()).get(item_id, [])
        suggested = suggestions(connection, item_id)
        desk = services().live.current(connection)
        zone = zone_of(connection, item.state.get("brand"), viewer.zone)
        details = inputs(editable(labels.names, labels.custom), item.state, zone)
        stages = _stages(connection, item)
        requests = customer_requests.of_item(connection, item_id)
        counts_pending = pending(connection, item)
        procedures = [
            (one.key, one.label, questions_from(one.questions))
            for one in requests_store.question_lists(connection, Purpose.PROCEDURE, active=True)
            if one.kind == item.kind
        ]
        answered_files = requests_store.procedure_files(connection, item_id) if procedures else {}
        entries = timeline(past)
        told_of = {told.other for entry in entries if isinstance(entry, Changed) for told in entry.links}
        reachable = ticket_store.visible_of(connection, viewer, sorted(told_of))
    shown = {
        "timeline": lambda entry: True,
        "messages": lambda entry: isinstance(entry, Said),
        "automation": lambda entry: isinstance(entry, Group),
    }.get(view, lambda entry: True)
    counts = {
        "messages": sum(isinstance(entry, Said) for entry in entries),
        "automation": sum(len(entry.automations) for entry in entries if isinstance(entry, Group)),
    }
    body = render_template(
        "ticket.html",
        item=item,
        state=item.state,
        labels=labels,
        customer=customer,
        held=held,
        others=others,
        hidden=hidden,
        cards=cards,
        followers=followers,
        linked=linked,
        links_hidden=links_hidden,
        link_words=links.ways(),
        unlinked=unlinked,
        reachable=reachable,
        newest_message=max((row.id for rows in past.messages.values() for row in rows), default=0),
        coming=coming,
        service_levels=service_levels,
        coming_words=coming_words,
        why_not=why_not,
        by_itself=by_itself,
        status_of=status_of,
        payments=PAYMENTS,
        suggested=suggested,
        cut=past.cut,
        view=view,
        entries=[entry for entry in entries if shown(entry)],
        kind_of=lambda entry: type(entry).__name__.lower(),
        views=_views(item_id, view, counts),
        snoozes=SNOOZES,
        choices=_choices(labels, asleep=asleep(item.state)),
        custom=sorted(labels.custom),
        kind_label=KIND_LABELS[item.kind],
        kind_plural=KIND_PLURALS[item.kind],
        details=[(one, shown_as(one)) for one in details],
        stages=stages,
        runnable=runnable(desk, item.kind),
        canned=canned(desk),
        requests=requests,
        pending=counts_pending,
        procedures=procedures,
        answered_files=answered_files,
        refused=refused,
        finished=FINISHED,
        tables=[
            entry
            for entry in desk.ruleset.entries
            if entry.enabled and entry.table is not None and entry.table.kind in (item.kind, ANY_KIND)
        ],
        origins=origins(past),
        written=written,
        clean_html=clean,
        sentence=lambda step: _sentence(step, desk.vocabulary),
        anchor=anchor,
        status_tones=STATUS_TONES,
        priority_tones=PRIORITY_TONES,
        draft=draft,
        problem=problem,
        then=request.form.get("then", ""),
    )
    return make_response(body, status)


def canned(desk: Desk) -> dict[str, str]:
    """The templates that may stand in a reply, by code: those that are on, without the texts of the system."""
    return {
        one.code: f"{one.code} {one.name}"
        for one in desk.vocabulary.templates.values()
        if one.enabled and one.texts and one.code not in SYSTEM_TEXTS
    }


def _views(item_id: int, current: str, counts: Mapping[str, int]) -> list[tuple[str, str, bool, int]]:
    words = {"timeline": gettext("Timeline"), "messages": gettext("Messages"), "automation": gettext("Automation")}
    return [
        (
            words[key],
            url_for("ticket.page", item_id=item_id, view=key if key != "timeline" else None),
            key == (current if current in VIEWS else "timeline"),
            counts.get(key, 0),
        )
        for key in VIEWS
    ]


def _labels(connection: Connection, item: Item, customer: Customer | None) -> Labels:
    known = {} if customer is None else {customer.id: customer.name or customer.email}
    return Labels(all_names(connection), items.custom_fields(connection, item.kind), known, item.kind)


def _stages(connection: Connection, item: Item) -> list[tuple[str, str]]:
    """The stages of the pipeline the item stands in, or all of them while it is in none; none for other kinds."""
    if item.kind not in STAGED:
        return []
    known = items.pipelines(connection)
    own = pipeline_of(str(item.state.get(STAGE) or ""), known)
    chosen = [own] if own is not None else [one for one in known.values() if one.kind == item.kind]
    return [
        (stage.key, stage.label if own is not None else f"{one.label}: {stage.label}")
        for one in chosen
        for stage in one.stages
    ]


def _customer(connection: Connection, item: Item) -> Customer | None:
    person = item.state.get("customer")
    if not isinstance(person, int):
        return None
    try:
        return people.customer(connection, person)
    except PersonNotFound:
        return None


def _cards(rows: Sequence[items.AnyRow], asked: Sequence[items.AnyRow], systems: Mapping[str, str]) -> list[Card]:
    """The context cards, each with the lookup behind it where there is one. Failed ones stand first."""
    newest = {f"{row.connection}.{row.operation}": row for row in reversed(asked)}
    made = []
    for row in rows:
        lookup = newest.get(row.source) or newest.get(row.key)
        made.append(
            card(
                row,
                now(),
                systems=systems,
                again=None if lookup is None else lookup.id,
                next_try=lookup.due_at if lookup is not None and lookup.state == "failed" else None,
            )
        )
    apart = told_apart(made, taken=(gettext("Customer"), gettext("Next"), gettext("Details"), gettext("Links")))
    return sorted(apart, key=lambda one: (not one.error, one.title))


def _choices(labels: Labels, *, asleep: bool) -> dict[str, list[tuple[str, str]]]:
    """What each field in the head can be set to: key and words.

    Nothing is put to sleep as if that were a status like another: it would never wake. There is a button for it."""
    nobody = ("", gettext("none"))
    return {
        "status": [(key, labels.one("status", key)) for key in statuses_of(labels.kind) if key != SNOOZED or asleep],
        "team": [nobody, *labels.names.teams.items()],
        "assignees": list(labels.names.colleagues.items()),
        "priority": [(key, labels.one("priority", key)) for key in priorities_of(labels.kind)],
        "language": [nobody, *((key, labels.one("language", key)) for key in LANGUAGES)],
    }


def _sentence(step: Step, vocabulary: Vocabulary) -> str:
    """A step in today's words, for traces that kept none. What a card says is told by the card."""
    if step.action == "set_context":
        return gettext("Wrote the card %(title)s", title=step.params.get("title") or step.params.get("key") or "?")
    return step_words(step.action, step_sentence(step.action, step.params, vocabulary))


def anchor(key: str) -> str:
    """A card's key as part of an element's id."""
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in key)


def written(value: JSON) -> str:
    """A value as a form carries it, to compare with later: what the person saw when the page came."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


@pages.get("/tickets/<int:item_id>/why/<code>")
@needs(Permission.WORK_TICKETS)
def why(item_id: int, code: str) -> ResponseReturnValue:
    """Why a table did, or did not do, something here: every row, every condition, with what stood there."""
    with services().db.read() as connection:
        item = items.read_item(connection, item_id, viewer=me())
        desk = services().live.current(connection)
        found = explain(connection, desk, item_id, code, request.args.get("event", type=a_number))
        names = all_names(connection)
    if code not in names.entries:
        abort(404)
    part = request.headers.get("HX-Request") == "true"
    return render_template(
        "ticket_why_part.html" if part else "ticket_why.html",
        item=item,
        found=found,
        code=code,
        name=names.entries[code],
        event_words=_event_words,
    )


def _event_words(one: Moment) -> str:
    """One event as a choice: what, who, when."""
    actor = {AUTOMATION.name: gettext("Automation"), SYSTEM.name: gettext("System"), CLOCK.name: gettext("Clock")}
    return f"{event_word(one.kind)}, {actor.get(one.actor, one.actor)}, {age(one.at)}"


# Changing --------------------------------------------------------------------------------------------------------


@pages.post("/tickets/<int:item_id>/fields/<field>")
@needs(Permission.WORK_TICKETS)
def change(item_id: int, field: str) -> ResponseReturnValue:
    """Sets one field of the head."""
    if field not in EDITABLE:
        abort(404)
    seen = request.form.get("was")
    values = [value for value in request.form.getlist("value")[:MOST_ASSIGNEES] if value]
    value: JSON = values if field == "assignees" else (values[0] if values else None)

    def effects(connection: Connection, item: Item) -> Sequence[StateEffect]:
        _check_exists(connection, field, value)
        _check_seen(item, field, seen)
        return (SetField(field, value),)

    _change(item_id, effects)
    return _back(item_id)


@pages.post("/tickets/<int:item_id>/tags")
@needs(Permission.WORK_TICKETS)
def tag(item_id: int) -> ResponseReturnValue:
    """Adds tags (separated by commas) or takes one away. Others' tags stay, so nothing can be overwritten."""
    added = [one for one in (part.strip() for part in request.form.get("add", "").split(",")) if one]
    removed = request.form.get("remove", "").strip()
    if len(added) > TAGS_AT_ONCE:
        raise BadValue(gettext("Add at most %(n)s tags at once.", n=TAGS_AT_ONCE))
    effects: list[StateEffect] = []
    if added:
        effects.append(AddTo("tags", tuple(added)))
    if removed:
        effects.append(RemoveFrom("tags", (removed,)))
    _change(item_id, lambda connection, item: effects)
    return _back(item_id)


@pages.post("/tickets/<int:item_id>/messages")
@needs(Permission.WORK_TICKETS)
def write(item_id: int) -> ResponseReturnValue:
    """Sends a reply or keeps an internal note, with files, and sets a status in the same moment if wanted."""
    text = request.form.get("text", "").replace("\r\n", "\n").strip()
    public = request.form.get("kind") != "note"
    then = request.form.get("then", "")
    try:
        files = received_files()
        check_attachments(files)
    except AttachmentRefused as error:
        return show(item_id, draft=text, problem=str(error), status=413)
    if not text and not files:
        return show(item_id, problem=gettext("There is nothing to send yet: write something first."), status=422)
    if len(text) > TEXT_CHARS:
        sentence = gettext("A message has at most %(n)s characters; this one has %(m)s.", n=TEXT_CHARS, m=len(text))
        return show(item_id, draft=text, problem=sentence, status=422)
    viewer = me()
    message = items.NewMessage(
        author="agent",
        public=public,
        channel="email" if public else "api",
        text=text,
        author_user=viewer.key,
        author_name=viewer.name,
        author_address=viewer.email,
        attachments=tuple(files),
    )

    up_to = request.form.get("up_to", type=a_number)

    def effects(connection: Connection, item: Item) -> Sequence[StateEffect]:
        if public and up_to is not None:
            # Asked under the item's lock: of two who answer at once, the second reads the first one's answer.
            other = ticket_store.written_since(connection, item.id, up_to, viewer.key)
            if other is not None:
                raise _Overtaken(other)
        return (SetField("status", then),) if then in statuses_of(item.kind) else ()

    try:
        _change(item_id, effects, message=message)
    except _Overtaken as overtaken:
        sentence = gettext(
            "%(name)s has written since you opened this. Nothing was sent: read it above, then send yours again.",
            name=overtaken.name or gettext("Somebody"),
        )
        if files:
            sentence += " " + gettext("Choose your files again.")
        return show(item_id, draft=text, problem=sentence, status=409)
    return _back(item_id)


class _Overtaken(Exception):
    """Somebody, named here, wrote to the customer or as the customer since the page was opened. Nothing was sent."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@pages.post("/tickets/<int:item_id>/seen")
@needs(Permission.WORK_TICKETS)
def seen(item_id: int) -> ResponseReturnValue:
    """Notes that I have seen the messages up to this one. The page says so itself, once it is shown."""
    with services().db.write() as connection:
        seen_store.mark_seen(connection, me(), item_id, request.form.get("up_to", 0, type=a_number), now())
    return "", 204


@pages.post("/tickets/<int:item_id>/follow")
@needs(Permission.WORK_TICKETS)
def follow(item_id: int) -> ResponseReturnValue:
    """Follows the ticket, or no more: followers find a line in their bell for each message of the customer."""
    with services().db.write() as connection:
        if request.form.get("on") == "1":
            seen_store.follow(connection, me(), item_id)
        else:
            seen_store.unfollow(connection, me(), item_id)
    return _back(item_id)


@pages.post("/tickets/<int:item_id>/address")
@needs(Permission.WORK_TICKETS)
def address_well(item_id: int) -> ResponseReturnValue:
    """Says that an address of the customer, from which an e-mail came back for good, takes mail again."""
    address = request.form.get("address", "")
    with services().db.write() as connection:
        customer = _customer(connection, items.read_item(connection, item_id, viewer=me()))
        if customer is None or address not in customer.emails:
            raise BadValue(gettext("This is no address of the ticket's customer."))
        done = bounces.say_well(connection, me(), item_id, address, now())
    if done:
        services().queues.hint(Work.DRAIN)
        flash(gettext("Automatic e-mails go there again. What was held back is in the outbox."), "ok")
    return _back(item_id)


@pages.post("/tickets/<int:item_id>/links")
@needs(Permission.WORK_TICKETS)
def link(item_id: int) -> ResponseReturnValue:
    """Links another ticket, named by its number. One that is not visible to me is as one that is not there."""
    way, given = request.form.get("way", ""), request.form.get("number", "")
    try:
        with services().db.write() as connection:
            items.read_item(connection, item_id, viewer=me())
            links.link_typed(connection, me(), item_id, way, given, now())
    except BadValue as refused:
        return show(item_id, unlinked=links.Unlinked(way, given.strip()[: links.TYPED_CHARS], str(refused)), status=422)
    services().queues.hint(Work.DRAIN)
    return _back(item_id)


@pages.post("/tickets/<int:item_id>/links/<int:link_id>/remove")
@needs(Permission.WORK_TICKETS)
def unlink(item_id: int, link_id: int) -> ResponseReturnValue:
    """Takes a link away, on both tickets."""
    with services().db.write() as connection:
        links.unlink(connection, me(), item_id, link_id, now())
    services().queues.hint(Work.DRAIN)
    return _back(item_id)


@pages.post("/lookups/<int:lookup_id>/again")
@needs(Permission.WORK_TICKETS)
def ask_again(lookup_id: int) -> ResponseReturnValue:
    """Asks a connection once more, as soon as a worker is free."""
    with services().db.write() as connection:
        item_id = ticket_store.ask_again(connection, me(), lookup_id, now())
    if item_id is None:
        abort(404)
    services().queues.hint(Work.ENRICHMENT)
    flash(gettext("Asked once more. The answer will stand on its card."), "ok")
    return _back(item_id)


def _change(
    item_id: int,
    effects: Callable[[Connection, Item], Sequence[StateEffect]],
    *,
    message: items.NewMessage | None = None,
) -> None:
    """One transaction: the change, its event and lane, and the mail it causes. Workers are told after it."""
    viewer = me()
    mailed = False
    with services().db.write() as connection:
        item = items.read_item(connection, item_id, viewer=viewer, lock=True)
        made = items.change_item(
            connection,
            item,
            lines=(items.Lines(tuple(effects(connection, item)), Cause("person", label=viewer.name)),),
            actor=_actor(viewer),
            now=now(),
            messages=() if message is None else (message,),
        )
        if message is not None and made.message_id is not None:
            # Who answers has read: without scripts, this is how a ticket stops being unread.
            seen_store.mark_seen(connection, viewer, item_id, made.message_id, now())
        if message is not None and message.public and made.message_id is not None:
            queue_message(connection, item, made.message_id, now())
        if message is not None and made.message_id is not None:
            tell_of_message(connection, item_id, made.message_id, now())
            mailed = True
    services().queues.hint(Work.DRAIN)
    if mailed:
        services().queues.hint(Work.OUTBOX)


def _actor(viewer: Viewer) -> Actor:
    return Actor(ActorKind.AGENT, viewer.key, viewer.name)


def _check_seen(item: Item, field: str, seen: str | None) -> None:
    """Raises `StaleItem` when the field is no longer what the page showed."""
    if seen is not None and seen != written(item.state.get(field)):
        label = STATE_FIELDS[field].label
        raise StaleItem(
            gettext(
                "%(field)s was changed by somebody else since you opened this page. Nothing was saved.", field=label
            )
        )


def _check_exists(connection: Connection, field: str, value: JSON) -> None:
    """Raises `BadValue` for a team or person that is not there; the other fields know their own choices."""
    if field == "team" and value is not None and value not in all_names(connection).teams:
        raise BadValue(gettext("There is no such team."))
    if field == "assignees" and value:
        assert isinstance(value, list)
        unknown = [one for one in value if one not in all_names(connection).working]
        if unknown:
            raise BadValue(gettext("There is nobody called %(name)s here.", name=unknown[0]))


def _back(item_id: int) -> ResponseReturnValue:
    return redirect(url_for("ticket.page", item_id=item_id), 303)


# Files -----------------------------------------------------------------------------------------------------------


@pages.get("/files/<int:attachment_id>")
@needs(Permission.WORK_TICKETS)
def file(attachment_id: int) -> ResponseReturnValue:
    """A file of a message, always as a download: whatever is in it, no browser opens it on our address."""
    with services().db.read() as connection:
        found = ticket_store.attachment(connection, me(), attachment_id)
    if found is None:
        abort(404)
    response = make_response(found.data)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers.set("Content-Disposition", "attachment", filename=found.name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
