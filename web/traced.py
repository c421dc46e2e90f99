"""What a trace says, in the reader's language. A trace keeps English words, of the day it was made.

Its sentences are put together of a label, an operator's sentence and values, so they are taken apart again by what the
records say today; what is not found among them (a label changed since, a name somebody gave) stays as it was kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from flask import Flask
from flask_babel import get_locale, gettext

from rules.action import ParamType
from rules.actions import ACTIONS
from rules.compiled import GROUP_WORDS
from rules.errors import UnknownField
from rules.fields import field
from rules.operators import OPERATORS, Operator
from rules.trace import RowVerdict, Seen
from rules.vocabulary import ANY_KIND, Vocabulary
from tickets.item import FieldType, ItemKind
from web.labels import in_words
from web.refusals import said
from web.rules_labels import MOST_KEPT, group_label, operator_sentence

#: How a step ends that found all as it should be.
_NOTHING = " (nothing to change)"
#: How an entry begins to say that it is not for this ticket.
_SCOPE = "The ticket is out of its scope: "
#: The parts of an event that a value can be read from, as their groups of fields are called.
_PARTS = frozenset({"Customer", "Message", "Event", "Run"})


def install(app: Flask) -> None:
    """Lets the pages that show a trace say it: `traced.label(seen)`."""
    known = (label, expected, actual, source, reason, verdict, step_words)
    app.jinja_env.globals.update(traced={one.__name__: one for one in known})


def label(seen: Seen) -> str:
    """What was looked at, behind the groups it stands in: "One of: Topic"."""
    text, groups = seen.label, []
    while found := next((word for word in GROUP_WORDS.values() if text.startswith(f"{word}: ")), ""):
        groups.append(in_words(found))
        text = text.removeprefix(f"{found}: ")
    return ": ".join([*groups, in_words(text)])


def expected(seen: Seen) -> str:
    """The test with its operand: "is any of Gold, Platinum"."""
    operator = OPERATORS.get(seen.operator)
    before = operator.sentence.partition("{value}")[0] if operator is not None else ""
    if operator is None or _english() or not seen.expected.startswith(before):
        return seen.expected
    values = seen.expected.removeprefix(before)
    low, both, high = values.partition(" and ")
    if operator.key == "between" and both:
        values = gettext("%(low)s and %(high)s", low=low, high=high)
    return operator_sentence(operator).replace("{value}", _values(seen.field, values))


def actual(seen: Seen) -> str:
    """What stood there, and for a change what stood there before: "Open → Solved"."""
    return seen.actual if _english() else " → ".join(_values(seen.field, one) for one in seen.actual.split(" → "))


def source(seen: Seen) -> str:
    """Where it came from: a part of the event, or a connected system by its name."""
    known = seen.source.capitalize()
    return group_label(known).lower() if known in _PARTS else seen.source


def reason(text: str) -> str:
    """Why there is no value, or why a row did not fire; several are told one by one."""
    if text.startswith(_SCOPE) and not _english():
        conditions = text.removeprefix(_SCOPE).removesuffix(".").split("; ")
        text = f"{_SCOPE}{'; '.join(_condition(one) for one in conditions)}."
    whole = said(text)
    return whole if whole != text else "; ".join(said(part) for part in text.split("; "))


def _condition(words: str) -> str:
    """A condition in one sentence, "Team is Billing": the longest of what an operator may say in it is the operator."""
    for before, operator in _sentences():
        looked_at, found, values = words.partition(f" {before}")
        if found:
            told = operator_sentence(operator).replace("{value}", values)
            return f"{in_words(looked_at)} {told}"
    return words


@lru_cache(maxsize=1)
def _sentences() -> tuple[tuple[str, Operator], ...]:
    found = ((one.sentence.partition("{value}")[0], one) for one in OPERATORS.values())
    return tuple(sorted(found, key=lambda one: -len(one[0])))


def verdict(one: RowVerdict) -> str:
    """What became of a row."""
    return {
        RowVerdict.FIRED: gettext("fired"),
        RowVerdict.HELD: gettext("had fired before"),
        RowVerdict.WAITING: gettext("waiting"),
        RowVerdict.SKIPPED: gettext("could not be decided"),
        RowVerdict.FAILED: gettext("failed"),
        RowVerdict.STOPPED: gettext("stopped"),
        RowVerdict.NOT_MATCHED: gettext("did not match"),
        RowVerdict.NOT_REACHED: gettext("not reached"),
    }[one]


def step_words(action: str, sentence: str) -> str:
    """A step of a fired row: "Set priority: High"."""
    record = ACTIONS.get(action)
    if record is None or _english() or not sentence.startswith(record.label):
        return sentence
    rest = sentence.removeprefix(record.label)
    ending = gettext("(nothing to change)") if rest.endswith(_NOTHING) else ""
    rest = rest.removesuffix(_NOTHING).removeprefix(": ")
    known = _of_action(action)
    told = " · ".join(", ".join(_one(word, known) for word in part.split(", ")) for part in rest.split(" · "))
    label = in_words(record.label)
    return " ".join(part for part in (f"{label}: {told}" if told else label, ending) if part)


def _one(word: str, known: frozenset[str]) -> str:
    negated = word.startswith("not ") and word.removeprefix("not ").capitalize() in known
    if negated:
        return gettext("not %(what)s", what=in_words(word.removeprefix("not ").capitalize()).lower())
    if word in known:
        return in_words(word)
    return in_words(word.capitalize()).lower() if word.capitalize() in known and word.islower() else word


def _values(key: str, values: str) -> str:
    known = _of_field(key)
    return ", ".join(_value(one, known) for one in values.split(", "))


def _value(one: str, known: frozenset[str]) -> str:
    if one.startswith("the list "):
        return gettext("list %(name)s", name=one.removeprefix("the list "))
    return in_words(one) if one in known else one


def _english() -> bool:
    return str(get_locale() or "en")[:2] == "en"


@lru_cache(maxsize=MOST_KEPT)
def _of_field(key: str) -> frozenset[str]:
    """The words that the values of this field have on every desk; none for a field that only this desk has."""
    return frozenset(_words_of_field(key))


def _words_of_field(key: str) -> Iterator[str]:
    for kind in (*ItemKind, ANY_KIND):
        try:
            found = field(key, Vocabulary(kind=str(kind)))
        except UnknownField:
            return
        yield from (found.options or {}).values()
        if found.type is FieldType.BOOL:
            yield from ("yes", "no")
    yield "nothing"


@lru_cache(maxsize=MOST_KEPT)
def _of_action(action: str) -> frozenset[str]:
    """The words that parameters of this action have on every desk, and the labels of those that are a yes or no."""
    found: set[str] = set()
    for param in ACTIONS[action].params:
        for kind in (*ItemKind, ANY_KIND):
            found |= set((param.options(Vocabulary(kind=str(kind))) if param.options else {}).values())
        if param.type is ParamType.BOOL:
            found.add(param.label)
    return frozenset(found)
