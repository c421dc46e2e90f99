"""The form in which questions are written: a row for each, and some empty ones."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from tickets.questions import MOST_QUESTIONS, Question, QuestionType, keyed, questions_from
from tickets.values import JSON

#: Empty rows below the questions that are there.
SPARE = 3


def type_words() -> dict[str, str]:
    return {
        QuestionType.TEXT: gettext("Text"),
        QuestionType.CHOICE: gettext("Choice"),
        QuestionType.DATE: gettext("Date"),
        QuestionType.FILE: gettext("File"),
        QuestionType.YES_NO: gettext("Yes or no"),
    }


def rows(questions: Sequence[Question]) -> list[Question]:
    """The questions and spare rows; a new question is required until somebody says otherwise."""
    spare = min(SPARE if questions else SPARE + 2, MOST_QUESTIONS - len(questions))
    return [*questions, *(Question("", "", QuestionType.TEXT) for _ in range(spare))]


def typed(form: MultiDict[str, str]) -> tuple[Question, ...]:
    """The questions as they were typed, right or wrong: a refused form shows them again, so that nothing is lost."""
    known = {one.value for one in QuestionType}
    return tuple(
        Question(
            form.get(f"key{number}", ""),
            form[f"label{number}"],
            QuestionType(form[f"type{number}"]) if form.get(f"type{number}") in known else QuestionType.TEXT,
            form.get(f"required{number}") == "1",
            tuple(one.strip() for one in form.get(f"options{number}", "").split(";") if one.strip()),
            form.get(f"help{number}", ""),
        )
        for number in range(MOST_QUESTIONS)
        if form.get(f"label{number}", "").strip()
    )


def read_questions(form: MultiDict[str, str]) -> tuple[Question, ...]:
    """The questions of the form, rows without a text left out. Keys stay with their questions. Raises `BadValue`."""
    found: list[JSON] = []
    taken: list[str] = []
    for number in range(MOST_QUESTIONS):
        label = form.get(f"label{number}", "").strip()
        if not label:
            continue
        key = form.get(f"key{number}", "").strip() or keyed(label, taken)
        taken.append(key)
        found.append(
            {
                "key": key,
                "label": label,
                "type": form.get(f"type{number}", "text"),
                "required": form.get(f"required{number}") == "1",
                "options": [one.strip() for one in form.get(f"options{number}", "").split(";") if one.strip()],
                "help": form.get(f"help{number}", "").strip(),
            }
        )
    return questions_from(found)
