"""What can go wrong with what should happen.

RulesError
├─ TableInvalid      the table as written has problems; `problems` lists all of them, each with its cell
├─ UnknownField      no such field; the message says which one is near
├─ OperandRefused    an operator does not take this value
├─ ActionRefused     an action does not take these parameters; nothing was planned
├─ ConditionFailed   a condition could not be decided on these facts; its row counts as unknown
├─ TemplateInvalid   a text with placeholders that do not exist
├─ FactsInvalid      stored facts or a stored trace that cannot be read back
└─ UnknownEntry      the rule list has no entry with this code
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Most problems one table reports at once; the last one says that there are more.
MAX_PROBLEMS = 200
#: How many allowed values a message lists before it only counts the rest.
MAX_LISTED = 12
#: How many names are compared to find the one that was probably meant.
MAX_COMPARED = 300


class RulesError(Exception):
    """Base of everything `rules` raises on purpose."""


class UnknownField(RulesError):
    """Conditions cannot look at this field: it does not exist."""


class OperandRefused(RulesError):
    """The operator does not take this value."""


class ActionRefused(RulesError):
    """The action does not take these parameters. Nothing was planned."""


class ConditionFailed(RulesError):
    """The condition could not be decided on these facts."""


class TemplateInvalid(RulesError):
    """The text has placeholders that do not exist."""


class FactsInvalid(RulesError):
    """Stored facts or a stored trace cannot be read back."""


class UnknownEntry(RulesError):
    """The rule list has no entry with this code."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where.

    `where` is {"row": id, "column": id} for a cell, {"row": id, "group": "2.1"} in a group, {"row": id} for a row,
    {"column": id} for a column's head and {"table": key} for the rest. `code` is stable and meant for programs,
    `message` is a sentence for people."""

    where: Mapping[str, str]
    code: str
    message: str

    def __str__(self) -> str:
        place = ", ".join(f"{kind} {key}" for kind, key in self.where.items())
        return f"{place}: {self.message}"


class TableInvalid(RulesError):
    """The table has problems. Nothing was saved."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        shown = "; ".join(str(problem) for problem in self.problems[:3])
        more = f" (and {len(self.problems) - 3} more)" if len(self.problems) > 3 else ""
        super().__init__(f"{shown}{more}")


def no_such(what: str, given: object, allowed: Iterable[str] | Mapping[str, str]) -> str:
    """The sentence for a name that is not in `allowed`: what was given, what is near, what there is.

    With a mapping of keys to labels, a label typed in place of its key is recognised too."""
    pairs = allowed.items() if isinstance(allowed, Mapping) else ((key, key) for key in allowed)
    labels = {str(key): label for key, label in pairs}
    text = str(given)[:80]
    near = _nearest(text, labels)
    hint = f" Did you mean {near!r}?" if near else ""
    keys = list(labels)
    if not keys:
        return f"There is no {what} {text!r}; none exist yet."
    listed = ", ".join(keys[:MAX_LISTED])
    more = f" and {len(keys) - MAX_LISTED} more" if len(keys) > MAX_LISTED else ""
    return f"There is no {what} {text!r}.{hint} Allowed: {listed}{more}."


def _nearest(text: str, labels: Mapping[str, str]) -> str:
    names = {key.casefold(): key for key in labels}
    names.update({label.casefold(): key for key, label in labels.items() if label.casefold() not in names})
    wanted = text.casefold()
    if wanted in names:
        return names[wanted]
    # Comparing costs about 20 µs a name, and a table may have hundreds of problems.
    close = difflib.get_close_matches(wanted, list(names)[:MAX_COMPARED], n=1, cutoff=0.6)
    if close:
        return names[close[0]]
    # "status" for "ticket.status": the end of a dotted name is what people remember.
    ends = [key for key in labels if key.casefold().endswith(f".{wanted}")]
    return ends[0] if len(ends) == 1 else ""
