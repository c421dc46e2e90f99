"""Questions put to people: their types, and what an answer to each may be. No I/O.

A list of questions is a request to a customer, a form for a reporter or a procedure for a handler; all are alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from tickets.errors import BadValue
from tickets.values import JSON

#: Most questions of one list, most choices of one question, longest texts in characters.
MOST_QUESTIONS = 60
MOST_OPTIONS = 50
LABEL_CHARS = 300
HELP_CHARS = 1_000
ANSWER_CHARS = 10_000
#: Most files that answer one question.
MOST_FILES = 10
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")


class Purpose(StrEnum):
    """What a list of questions is for."""

    REQUEST = "request"  # a customer is asked, about an item or before there is one
    FORM = "form"  # a reporter fills it in, and an item is made of it
    PROCEDURE = "procedure"  # a handler goes through it on an item


class QuestionType(StrEnum):
    TEXT = "text"
    CHOICE = "choice"
    DATE = "date"
    FILE = "file"
    YES_NO = "yes_no"


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `options` are the choices of a choice, in order; each is its own key."""

    key: str
    label: str
    type: QuestionType
    required: bool = True
    options: tuple[str, ...] = ()
    help: str = ""

    def to_json(self) -> dict[str, JSON]:
        return {
            "key": self.key,
            "label": self.label,
            "type": self.type.value,
            "required": self.required,
            "options": list(self.options),
            "help": self.help,
        }


def questions_from(data: JSON) -> tuple[Question, ...]:
    """The questions that `data` describes. Raises `BadValue` with the first thing that is wrong."""
    if not isinstance(data, (list, tuple)) or not data:
        raise BadValue("Ask at least one question")
    if len(data) > MOST_QUESTIONS:
        raise BadValue(f"At most {MOST_QUESTIONS} questions, not {len(data)}")
    found: list[Question] = []
    for number, one in enumerate(data, 1):
        question = _question(one, number)
        if any(question.key == other.key for other in found):
            raise BadValue(f"Question {number} has the same key as another one: {question.key}")
        found.append(question)
    return tuple(found)


def _question(data: JSON, number: int) -> Question:
    if not isinstance(data, Mapping):
        raise BadValue(f"Question {number} is not a question")
    label = " ".join(str(data.get("label") or "").split())
    if not 1 <= len(label) <= LABEL_CHARS:
        raise BadValue(f"Question {number} has 1 to {LABEL_CHARS} characters")
    try:
        type = QuestionType(str(data.get("type") or "text"))
    except ValueError:
        raise BadValue(f"Question {number}: {str(data.get('type'))[:40]!r} is not a type of question") from None
    key = str(data.get("key") or "") or f"q{number}"
    if not _KEY.fullmatch(key):
        raise BadValue(f"Question {number}: a key is up to 40 small letters, digits and _")
    given = data.get("options") or ()
    options = (
        tuple(dict.fromkeys(" ".join(str(one).split())[:200] for one in given))
        if isinstance(given, (list, tuple))
        else ()
    )
    options = tuple(one for one in options if one)
    if type is QuestionType.CHOICE and not 2 <= len(options) <= MOST_OPTIONS:
        raise BadValue(f"Question {number} has 2 to {MOST_OPTIONS} choices")
    return Question(
        key,
        label,
        type,
        bool(data.get("required", True)),
        options if type is QuestionType.CHOICE else (),
        str(data.get("help") or "")[:HELP_CHARS],
    )


def clean_answer(question: Question, text: str) -> JSON:
    """What somebody wrote or chose, in the form that is stored; None for nothing. Raises `BadValue`.

    Files are not given as text; see `missing`."""
    text = text.replace("\r\n", "\n").strip()
    if not text or question.type is QuestionType.FILE:
        return None
    match question.type:
        case QuestionType.TEXT:
            if len(text) > ANSWER_CHARS:
                raise BadValue(f"At most {ANSWER_CHARS} characters")
            return text
        case QuestionType.CHOICE:
            if text not in question.options:
                raise BadValue("Choose one of the list")
            return text
        case QuestionType.DATE:
            try:
                return date.fromisoformat(text).isoformat()
            except ValueError:
                raise BadValue("This is not a date") from None
        case QuestionType.YES_NO:
            if text not in ("yes", "no"):
                raise BadValue("Choose yes or no")
            return text == "yes"


def missing(questions: Sequence[Question], answers: Mapping[str, JSON], files: Mapping[str, int]) -> list[Question]:
    """The required questions that have no answer. `files` counts the files given for each question."""
    return [
        one
        for one in questions
        if one.required
        and (not files.get(one.key) if one.type is QuestionType.FILE else answers.get(one.key) in (None, ""))
    ]


def keyed(label: str, taken: Sequence[str]) -> str:
    """A key like this label that is not taken."""
    base = re.sub(r"[^a-z0-9]+", "_", label.casefold()).strip("_")[:30]
    base = base if base and base[0].isalpha() else f"q_{base}".rstrip("_")
    return next(key for key in (base, *(f"{base}_{n}" for n in range(2, len(taken) + 3))) if key not in taken)
