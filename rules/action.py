"""What an action is: one record, its parameters and its form. The catalogue of all of them is rules.actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from rules.facts import Facts
from rules.templates import render
from rules.vocabulary import Vocabulary
from tickets.effects import Effect
from tickets.values import JSON

Params: TypeAlias = Mapping[str, JSON]


class ParamType(StrEnum):
    """What a parameter takes; the form's widget and the check follow from it."""

    TEXT = "text"
    LONG_TEXT = "long_text"  # with placeholders when it comes from a table
    CHOICE = "choice"
    CHOICES = "choices"
    TAGS = "tags"  # a list of free texts
    BOOL = "bool"
    NUMBER = "number"
    JSON = "json"
    GIVEN = "given"  # what the script named beside it declares to take
    INPUTS = "inputs"  # what the change named beside it takes
    FIELD = "field"  # the key of a state field
    VALUE = "value"  # whatever the field named beside it takes


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `options` gives the allowed values of this desk; `default` is used when it is left out.

    `filled` says that a short text has placeholders, too; `names` are placeholders that only this parameter knows."""

    key: str
    label: str
    type: ParamType
    doc: str
    required: bool = True
    options: Callable[[Vocabulary], Mapping[str, str]] | None = None
    default: JSON = None
    filled: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FormField:
    """A parameter as a form shows it in this desk."""

    key: str
    label: str
    type: ParamType
    required: bool
    doc: str
    options: Mapping[str, str] | None
    default: JSON


@dataclass(frozen=True, slots=True)
class Desk:
    """What an action's `effects` may look at. `literal`: texts are taken as they are, without placeholders."""

    facts: Facts
    vocabulary: Vocabulary
    literal: bool

    def text(self, text: str, extra: Mapping[str, str] | None = None) -> str:
        """`text` with its placeholders filled in; `extra` has the values of names that only this text knows."""
        return text if self.literal else render(text, self.facts, self.vocabulary, extra).text


Effects: TypeAlias = Callable[[Params, Desk], tuple[Effect, ...]]
Check: TypeAlias = Callable[[dict[str, JSON], Vocabulary], None]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a step can do. `effects` gets cleaned parameters; `check` looks at several of them together.

    `in_scripts` says whether scripts do it as a method of `ticket`, too; what changes a connected system they do by
    that system's own name."""

    key: str
    label: str
    doc: str
    params: tuple[Param, ...]
    effects: Effects
    check: Check | None = None
    in_scripts: bool = True

    def form(self, vocabulary: Vocabulary) -> tuple[FormField, ...]:
        """The form fields for a step of this action in this desk."""
        return tuple(
            FormField(
                param.key,
                param.label,
                param.type,
                param.required,
                param.doc,
                param.options(vocabulary) if param.options else None,
                param.default,
            )
            for param in self.params
        )


def texts(value: JSON) -> tuple[str, ...]:
    """The members of a list parameter."""
    return tuple(str(one) for one in value) if isinstance(value, (list, tuple)) else ()


def optional(param: Param) -> Param:
    """The same parameter where it may be left out."""
    return replace(param, required=False)
