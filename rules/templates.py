"""Texts with {{ticket.*}} and {{customer.*}} in them. Names only, no logic; an unknown name is a problem at save.

The result is plain text, so nothing is escaped here; whoever shows it as HTML escapes it there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rules.errors import UnknownField, no_such
from rules.facts import Facts, Known
from rules.fields import FIELDS, Field, all_fields, field
from rules.vocabulary import Template, TemplateText, Vocabulary
from tickets.item import FieldType
from tickets.values import JSON, from_iso

__all__ = ["MAX_TEXT_CHARS", "Rendered", "Template", "TemplateText", "placeholders", "render", "text_problems"]

#: Longest text with placeholders, longest result, and most placeholders in one text.
MAX_TEXT_CHARS = 20_000
MAX_RENDERED_CHARS = 60_000
MAX_PLACEHOLDERS = 100
#: The groups of fields a customer may read about in a message.
GROUPS = frozenset({"ticket", "customer"})

_PLACEHOLDER = re.compile(r"\{\{([^{}]{0,200})\}\}")
#: The same with the space before it, where a comma or a full stop follows: "Hello {{customer.name}},".
_SPACED = re.compile(r"( ?)\{\{([^{}]{0,200})\}\}(?=([,.;:]?))")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The text to send, the names that had no value (they became nothing), and whether it had to be cut."""

    text: str
    missing: tuple[str, ...] = ()
    cut: bool = False


def placeholders(vocabulary: Vocabulary) -> tuple[Field, ...]:
    """Every name a text may use, for menus and docs."""
    return tuple(one for one in all_fields(vocabulary) if one.key.partition(".")[0] in GROUPS)


def text_problems(text: str, vocabulary: Vocabulary, extra: Collection[str] = ()) -> list[str]:
    """What is wrong with the text, as sentences; empty when it can be rendered. `extra` names are allowed besides."""
    if len(text) > MAX_TEXT_CHARS:
        return [f"A text has at most {MAX_TEXT_CHARS} characters, not {len(text)}."]
    names = [match.group(1).strip() for match in _PLACEHOLDER.finditer(text)]
    if len(names) > MAX_PLACEHOLDERS:
        return [f"A text has at most {MAX_PLACEHOLDERS} placeholders, not {len(names)}."]
    problems = []
    for name in dict.fromkeys(names):
        if name in extra:
            continue
        if name.partition(".")[0] not in GROUPS or not _exists(name, vocabulary):
            allowed = {one.key: one.label for one in placeholders(vocabulary)} | {one: one for one in extra}
            problems.append(no_such("placeholder", name, allowed))
    if "{{" in _PLACEHOLDER.sub("", text):
        problems.append("A placeholder is opened with {{ but not closed with }}.")
    return problems


def render(text: str, facts: Facts, vocabulary: Vocabulary, extra: Mapping[str, str] | None = None) -> Rendered:
    """Fill the placeholders in, each once: values are never looked through for placeholders of their own.

    `extra` has the values of names that only this kind of text knows.
    A name without a value, or that no longer exists, becomes nothing and is listed; with it goes the space that would
    stand before a comma or a full stop: somebody without a name reads "Hello,"."""
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        space, name, after = match.groups()
        value = value_of(name.strip())
        return value if not value and after else space + value

    def value_of(name: str) -> str:
        if extra and name in extra:
            return extra[name]
        if name.partition(".")[0] in GROUPS and _exists(name, vocabulary):
            found = field(name, vocabulary)
            reading = found.read(facts)
            if isinstance(reading, Known):
                return shown(found, reading.value)
        missing.append(name)
        return ""

    result = _SPACED.sub(fill, text)
    return Rendered(result[:MAX_RENDERED_CHARS], tuple(dict.fromkeys(missing)), len(result) > MAX_RENDERED_CHARS)


def shown(field: Field, value: JSON) -> str:
    """A value as people read it: labels for keys, yes and no, a readable time, a comma between members."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(field, one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(field, inner)}" for key, inner in value.items())
    if field.type is FieldType.TIME:
        try:
            return from_iso(str(value)).strftime("%Y-%m-%d %H:%M UTC")
        except ValueError:
            return str(value)
    return (field.options or {}).get(str(value), str(value)) if value is not None else "nothing"


def _exists(name: str, vocabulary: Vocabulary) -> bool:
    if name in FIELDS:
        return True
    try:
        field(name, vocabulary)
    except UnknownField:
        return False
    return True
