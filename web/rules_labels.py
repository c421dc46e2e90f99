"""The records of the rule language in the reader's language: operators, triggers, fields and what they offer.

Records say English. Short words of theirs ("by", "changed") mean other things elsewhere on the pages, so they are kept
apart in the catalogs by a context (`web.catalogs`). Names that people of this desk gave stay as they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from flask_babel import gettext, pgettext

from rules.errors import UnknownField
from rules.fields import Field, field
from rules.operators import Operator
from rules.templates import shown
from rules.triggers import TriggerParam
from rules.vocabulary import Vocabulary
from tickets.values import JSON
from web.catalogs import GROUP, OPERATOR, TRIGGER
from web.labels import in_words

#: Options worked out for a desk without names of its own, kept in a process.
MOST_KEPT = 500


def operator_label(operator: Operator) -> str:
    """As menus say it: "is any of"."""
    return pgettext(OPERATOR, operator.label)


def operator_sentence(operator: Operator) -> str:
    """As a condition says it, with {value} for the operand: "is any of {value}"."""
    return pgettext(OPERATOR, operator.sentence)


def param_label(param: TriggerParam) -> str:
    """What narrows a trigger, as it stands in a sentence: "from"."""
    return pgettext(TRIGGER, param.label)


def group_label(group: str) -> str:
    """A group of fields; those of connected systems are called as their connection is."""
    said = pgettext(GROUP, group) if group else ""
    return said if said != group else in_words(group)


def field_options(found: Field, vocabulary: Vocabulary) -> dict[str, str]:
    """What a field can be, as keys and labels; teams, users and their like by their own names."""
    return _said(found.options or {}, _fixed_of_field(found.key, vocabulary.kind))


def param_options(options: Callable[[Vocabulary], Mapping[str, str]] | None, vocabulary: Vocabulary) -> dict[str, str]:
    """What a parameter of an action or a trigger can be."""
    return {} if options is None else _said(options(vocabulary), _fixed(options, vocabulary.kind))


def value_words(found: Field | None, value: JSON, vocabulary: Vocabulary) -> str:
    """A value as people read it."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if found is None:
        return str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(value_words(found, one, vocabulary) for one in value)
    if isinstance(value, str) and value in (found.options or {}):
        return field_options(found, vocabulary)[value]
    return shown(found, value)


def _said(options: Mapping[str, str], fixed: frozenset[str]) -> dict[str, str]:
    return {key: in_words(label) if key in fixed else label for key, label in options.items()}


@lru_cache(maxsize=MOST_KEPT)
def _fixed(options: Callable[[Vocabulary], Mapping[str, str]], kind: str) -> frozenset[str]:
    """The keys that are offered on every desk, so that their labels are ours."""
    return frozenset(options(Vocabulary(kind=kind)))


@lru_cache(maxsize=MOST_KEPT)
def _fixed_of_field(key: str, kind: str) -> frozenset[str]:
    try:
        return frozenset(field(key, Vocabulary(kind=kind)).options or ())
    except UnknownField:
        return frozenset()
