"""What the actions that say something share: a text or a template, in whose name, and the bare names of subjects."""

from __future__ import annotations

from collections.abc import Mapping

from rules.action import Desk, Param, Params, ParamType
from rules.errors import ActionRefused
from rules.templates import render
from rules.vocabulary import DEFAULT_LANGUAGE
from tickets.values import JSON

#: Names a notification's texts may use besides the placeholders of fields: the item's origin, its day, its customer.
BARE_NAMES = ("zone", "date", "customer")

TEXT = Param(
    "text", "Text", ParamType.LONG_TEXT, "The text; {{ticket.*}} and {{customer.*}} are filled in from a table."
)
TEMPLATE = Param(
    "template",
    "Template",
    ParamType.CHOICE,
    "A template instead of a text, in the ticket's language where it has one.",
    required=False,
    options=lambda vocabulary: {one.code: one.name for one in vocabulary.templates.values()},
)
POSTER = Param(
    "poster",
    "In the name of",
    ParamType.CHOICE,
    "A colleague in whose name it stands; none: the bot.",
    required=False,
    options=lambda vocabulary: vocabulary.users,
)


def one_of_two(params: Mapping[str, JSON], what: str) -> None:
    """Raises `ActionRefused` unless there is either a text or a template."""
    if ("text" in params) == ("template" in params):
        raise ActionRefused(f"{what} takes either a text or a template, and one of them.")


def worded(params: Params, desk: Desk) -> tuple[str, str, str, str]:
    """Text, subject, the template's code and the language used. Raises `ActionRefused`."""
    code = params.get("template")
    if not isinstance(code, str):
        return desk.text(str(params["text"])), "", "", ""
    language = str(desk.facts.item.get("language") or (desk.facts.customer or {}).get("language") or DEFAULT_LANGUAGE)
    chosen = desk.vocabulary.templates[code].text_for(language)
    if chosen is None:
        raise ActionRefused(f"The template {code} has no text in any language.")
    used, text = chosen
    # Templates are written by managers, so their placeholders are filled in for scripts too.
    body = render(text.body, desk.facts, desk.vocabulary).text
    return body, render(text.subject, desk.facts, desk.vocabulary).text, code, used


def bare_values(desk: Desk) -> dict[str, str]:
    """What BARE_NAMES stand for. The zone is the item's location, else its brand."""
    item, words = desk.facts.item, desk.vocabulary
    location, brand = str(item.get("location") or ""), str(item.get("brand") or "")
    return {
        "zone": words.locations.get(location, location) or words.brands.get(brand, brand),
        "date": str(item.get("created_at") or desk.facts.now)[:10],
        "customer": str((desk.facts.customer or {}).get("name") or (desk.facts.customer or {}).get("email") or ""),
    }
