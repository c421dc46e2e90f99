"""The actions that tell somebody: messages, notes and the bell."""

from __future__ import annotations

from rules.action import Action, Desk, Param, Params, ParamType, optional, texts
from rules.errors import ActionRefused
from rules.templates import render
from rules.vocabulary import DEFAULT_LANGUAGE, Vocabulary
from tickets.effects import Effect, Notify, PostMessage
from tickets.values import JSON


def _post_message(params: Params, desk: Desk) -> tuple[Effect, ...]:
    public = bool(params["public"])
    code = params.get("template")
    if not isinstance(code, str):
        return (PostMessage(desk.text(str(params["text"])), public),)
    language = str(desk.facts.item.get("language") or (desk.facts.customer or {}).get("language") or DEFAULT_LANGUAGE)
    chosen = desk.vocabulary.templates[code].text_for(language)
    if chosen is None:
        raise ActionRefused(f"The template {code} has no text in any language.")
    used, text = chosen
    # Templates are written by managers, so their placeholders are filled in for scripts too.
    body = render(text.body, desk.facts, desk.vocabulary).text
    subject = render(text.subject, desk.facts, desk.vocabulary).text
    return (PostMessage(body, public, code, used, subject),)


def _add_note(params: Params, desk: Desk) -> tuple[Effect, ...]:
    return (PostMessage(desk.text(str(params["text"])), public=False),)


def _notify(params: Params, desk: Desk) -> tuple[Effect, ...]:
    return (Notify(texts(params.get("users")), texts(params.get("teams")), desk.text(str(params["text"]))),)


def _check_message(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if ("text" in params) == ("template" in params):
        raise ActionRefused("A message takes either a text or a template, and one of them.")


def _check_notify(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not params.get("users") and not params.get("teams"):
        raise ActionRefused("Name at least one user or team to notify.")


_TEXT = Param(
    "text", "Text", ParamType.LONG_TEXT, "The text; {{ticket.*}} and {{customer.*}} are filled in from a table."
)


MESSAGE_ACTIONS: tuple[Action, ...] = (
    Action(
        "post_message",
        "Post message",
        "Write a message from the bot: a text or a template, for the customer (public) or as an internal note.",
        (
            optional(_TEXT),
            Param(
                "template",
                "Template",
                ParamType.CHOICE,
                "A template instead of a text, in the ticket's language where it has one.",
                required=False,
                options=lambda vocabulary: {one.code: one.name for one in vocabulary.templates.values()},
            ),
            Param(
                "public",
                "Public",
                ParamType.BOOL,
                "Yes: the customer gets it. No: an internal note.",
                required=False,
                default=True,
            ),
        ),
        _post_message,
        _check_message,
    ),
    Action("add_note", "Add note", "Write an internal note.", (_TEXT,), _add_note),
    Action(
        "notify",
        "Notify",
        "Tell people and teams in the bell.",
        (
            Param(
                "users",
                "People",
                ParamType.CHOICES,
                "Who.",
                required=False,
                options=lambda vocabulary: vocabulary.users,
            ),
            Param(
                "teams",
                "Teams",
                ParamType.CHOICES,
                "Which.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            _TEXT,
        ),
        _notify,
        _check_notify,
    ),
)
