"""The actions whose effect waits or leaves the house: suggested replies, templates by e-mail, webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rules.action import Action, Desk, Param, Params, ParamType, optional, texts
from rules.errors import ActionRefused
from rules.templates import render
from rules.vocabulary import Vocabulary
from rules.window import DAYS, window
from rules.wording import POSTER, TEMPLATE, TEXT, one_of_two, worded
from tickets.effects import CallWebhook, Effect, SendMail, SuggestReply
from tickets.values import JSON

#: Who a template can be sent to besides people, teams and addresses by name.
ROLES: Mapping[str, str] = {
    "customer": "The customer",
    "assignees": "Who has the ticket",
    "followers": "Who follows it",
    "team": "The ticket's team",
}
#: An event's name as Standard Webhooks wants it.
_EVENT = re.compile(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+){0,5}")
_ADDRESS = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,250}\.[^\s@<>,;\".]{1,60}")


def _suggest(params: Params, desk: Desk) -> tuple[Effect, ...]:
    text, subject, code, language = worded(params, desk)
    approval = bool(params["approval"])
    chosen = window(
        texts(params.get("days")),
        str(params.get("window_from") or ""),
        str(params.get("window_until") or ""),
        str(params.get("zone") or ""),
    )
    return (
        SuggestReply(
            text,
            approval,
            subject,
            code,
            language,
            str(params.get("poster") or ""),
            {} if approval else chosen.to_json(),
        ),
    )


def _check_suggest(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    one_of_two(params, "A suggested reply")
    days = texts(params.get("days"))
    hours = (str(params.get("window_from") or ""), str(params.get("window_until") or ""))
    window(days, *hours, str(params.get("zone") or ""))


def _send_template(params: Params, desk: Desk) -> tuple[Effect, ...]:
    code = str(params["template"])
    found = desk.vocabulary.templates[code]
    written = {
        language: (
            render(text.subject, desk.facts, desk.vocabulary).text,
            render(text.body, desk.facts, desk.vocabulary).text,
        )
        for language, text in found.texts.items()
        if text.body.strip()
    }
    if not written:
        raise ActionRefused(f"The template {code} has no text in any language.")
    to = (
        *texts(params.get("to")),
        *(f"user:{one}" for one in texts(params.get("users"))),
        *(f"team:{one}" for one in texts(params.get("teams"))),
        *(f"address:{one.lower()}" for one in texts(params.get("addresses"))),
    )
    return (SendMail(to, written, code),)


def _check_send(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not any(params.get(key) for key in ("to", "users", "teams", "addresses")):
        raise ActionRefused("Say who gets it: the customer, people, teams or addresses.")
    for one in texts(params.get("addresses")):
        if not _ADDRESS.fullmatch(one):
            raise ActionRefused(f"{one!r} is not an e-mail address.")


def _webhook(params: Params, desk: Desk) -> tuple[Effect, ...]:
    customer = desk.facts.customer or {}
    given = params.get("data")
    data: dict[str, JSON] = {
        "ticket": dict(desk.facts.item),
        "customer": {key: customer.get(key) for key in ("id", "name", "email", "language")} if customer else None,
        "data": dict(given) if isinstance(given, Mapping) else None,
    }
    return (CallWebhook(str(params["connection"]), str(params["event"]), data),)


def _check_webhook(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not _EVENT.fullmatch(str(params["event"])) or len(str(params["event"])) > 120:
        raise ActionRefused("An event's name has letters, digits and _, in parts between dots, e.g. ticket.escalated.")
    if params.get("data") is not None and not isinstance(params["data"], Mapping):
        raise ActionRefused("A webhook's data are names with values.")


OUTGOING_ACTIONS: tuple[Action, ...] = (
    Action(
        "send_template",
        "Send template",
        "E-mail a template to these recipients; nothing is posted in the conversation.",
        (
            Param(
                "template",
                "Template",
                ParamType.CHOICE,
                "Which; each recipient gets it in their own language where it has one.",
                options=lambda vocabulary: {one.code: one.name for one in vocabulary.templates.values()},
            ),
            Param("to", "To", ParamType.CHOICES, "Who, as the ticket says.", required=False, options=lambda _: ROLES),
            Param(
                "users",
                "People",
                ParamType.CHOICES,
                "Colleagues by name.",
                required=False,
                options=lambda vocabulary: vocabulary.users,
            ),
            Param(
                "teams",
                "Teams",
                ParamType.CHOICES,
                "Everybody in these teams.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            Param("addresses", "Addresses", ParamType.TAGS, "E-mail addresses, whoever reads them.", required=False),
        ),
        _send_template,
        _check_send,
    ),
    Action(
        "suggest_reply",
        "Suggest reply",
        "Prepare a reply that waits for a person, or for its send window, after which it publishes itself.",
        (
            optional(TEXT),
            TEMPLATE,
            Param(
                "approval",
                "Continue validating manually",
                ParamType.BOOL,
                "Yes: a person approves, edits or rejects it. No: it publishes itself within the send window.",
                required=False,
                default=True,
            ),
            POSTER,
            Param(
                "days",
                "Send window: days",
                ParamType.CHOICES,
                "Days when it may publish itself; none: every day.",
                required=False,
                options=lambda _: DAYS,
            ),
            Param("window_from", "Send window: from", ParamType.TEXT, "For instance 09:00.", required=False),
            Param("window_until", "Send window: until", ParamType.TEXT, "For instance 18:00.", required=False),
            Param("zone", "Send window: time zone", ParamType.TEXT, "For instance Europe/Paris.", required=False),
        ),
        _suggest,
        _check_suggest,
    ),
    Action(
        "webhook",
        "Webhook",
        "Tell a connected system by a signed request; tried again until it answers.",
        (
            Param(
                "connection",
                "Connection",
                ParamType.CHOICE,
                "Which connection of kind webhook.",
                options=lambda vocabulary: vocabulary.webhooks,
            ),
            Param("event", "Event", ParamType.TEXT, "Its name there, e.g. ticket.escalated."),
            Param("data", "Data", ParamType.JSON, "More facts to send along.", required=False),
        ),
        _webhook,
        _check_webhook,
    ),
)
