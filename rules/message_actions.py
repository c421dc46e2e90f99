"""The actions that tell somebody: messages, notes, the bell and its e-mail."""

from __future__ import annotations

from rules.action import Action, Desk, Param, Params, ParamType, optional, texts
from rules.errors import ActionRefused
from rules.vocabulary import Vocabulary
from rules.wording import BARE_NAMES, POSTER, TEMPLATE, TEXT, bare_values, one_of_two, worded
from tickets.effects import Effect, Notify, PostMessage
from tickets.values import JSON


def _post_message(params: Params, desk: Desk) -> tuple[Effect, ...]:
    text, subject, code, language = worded(params, desk)
    return (PostMessage(text, bool(params["public"]), code, language, subject, str(params.get("poster") or "")),)


def _add_note(params: Params, desk: Desk) -> tuple[Effect, ...]:
    return (PostMessage(desk.text(str(params["text"])), public=False),)


def _notify(params: Params, desk: Desk) -> tuple[Effect, ...]:
    names = bare_values(desk)
    return (
        Notify(
            texts(params.get("users")),
            texts(params.get("teams")),
            desk.text(str(params["text"]), names),
            email=bool(params.get("email")),
            subject=desk.text(str(params.get("subject") or ""), names),
            comment=desk.text(str(params.get("comment") or ""), names),
            with_suggestion=bool(params.get("with_suggestion")),
            brands=texts(params.get("brands")),
            locations=texts(params.get("locations")),
            groups=texts(params.get("location_groups")),
        ),
    )


def _check_message(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    one_of_two(params, "A message")


def _check_notify(params: dict[str, JSON], _vocabulary: Vocabulary) -> None:
    if not any(params.get(key) for key in ("users", "teams", "brands", "locations", "location_groups")):
        raise ActionRefused("Name at least one user or team to notify.")
    if not params.get("email"):
        unused = [key for key in ("subject", "comment", "with_suggestion") if params.get(key)]
        if unused:
            raise ActionRefused("A subject, a comment and the suggested reply are of its e-mail; say yes to e-mail.")


def _named(key: str, label: str, doc: str, of: str) -> Param:
    return Param(key, label, ParamType.CHOICES, doc, required=False, options=lambda vocabulary: getattr(vocabulary, of))


MESSAGE_ACTIONS: tuple[Action, ...] = (
    Action(
        "post_message",
        "Post message",
        "Write a message from the bot: a text or a template, for the customer (public) or as an internal note.",
        (
            optional(TEXT),
            TEMPLATE,
            Param(
                "public",
                "Public",
                ParamType.BOOL,
                "Yes: the customer gets it. No: an internal note.",
                required=False,
                default=True,
            ),
            POSTER,
        ),
        _post_message,
        _check_message,
    ),
    Action("add_note", "Add note", "Write an internal note.", (TEXT,), _add_note),
    Action(
        "notify",
        "Notify",
        "Tell people and teams in the bell, and by e-mail where wanted.",
        (
            _named("users", "People", "Who.", "users"),
            _named("teams", "Teams", "Which.", "teams"),
            Param(
                "text",
                "Text",
                ParamType.LONG_TEXT,
                "The text; {{ticket.*}}, {{customer.*}}, {{zone}}, {{date}} and {{customer}} are filled in.",
                names=BARE_NAMES,
            ),
            _named("brands", "Only from brands", "Only when it comes from one of these, or is theirs.", "brands"),
            _named("locations", "Only from locations", "Only when it comes from one of these.", "locations"),
            _named(
                "location_groups",
                "Only from location groups",
                "Only when its location is in one of these.",
                "location_groups",
            ),
            Param("email", "E-mail", ParamType.BOOL, "Yes: by e-mail, too.", required=False, default=False),
            Param(
                "subject",
                "Subject of the e-mail",
                ParamType.TEXT,
                "May use {{zone}}, {{date}}, {{customer}} and fields.",
                required=False,
                filled=True,
                names=BARE_NAMES,
            ),
            Param(
                "comment",
                "Comment in the e-mail",
                ParamType.LONG_TEXT,
                "For the colleagues who get it.",
                required=False,
                names=BARE_NAMES,
            ),
            Param(
                "with_suggestion",
                "Show the suggested reply",
                ParamType.BOOL,
                "Yes: the e-mail shows the reply that waits for approval.",
                required=False,
                default=False,
            ),
        ),
        _notify,
        _check_notify,
    ),
)
