"""The parameters a script declares: read from its content, and what a step gives checked against them.

A version lists them in `params`; a step that runs it fills them in, and the script reads `params.<name>`. A script that
lists none takes any names, as scripts did before they could declare theirs.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from rules.errors import ActionRefused, no_such
from rules.vocabulary import GivenType, ScriptParam
from tickets.values import JSON, json_problem

#: Most parameters of one script, options of one, and members of a list; longest name, label and text, in characters.
MAX_PARAMS = 20
MAX_OPTIONS = 100
MAX_MEMBERS = 100
MAX_NAME_CHARS = 40
MAX_LABEL_CHARS = 80
MAX_DOC_CHARS = 300
MAX_TEXT_CHARS = 2_000
#: Largest number, either way: beyond it a float is no longer exact to the unit.
MAX_NUMBER = 2**53
#: Longest wait of the rule list for a script, in seconds; more would hold a ticket for what a person should look at.
LONGEST_WAIT_S = 600

_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: What `params` can do itself; a parameter of that name could not be read as `params.<name>`.
_TAKEN = frozenset({"get", "items", "keys", "values", "copy", "update", "pop"})
_KEYS = ("name", "label", "type", "required", "default", "options", "doc")


class ParamsInvalid(Exception):
    """The declaration cannot be used. `problems` are sentences, each naming its parameter. Nothing was saved."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(self.problems[:3]))


def declared(content: Mapping[str, JSON]) -> tuple[ScriptParam, ...]:
    """The parameters that a script's content declares. Raises `ParamsInvalid` with every problem."""
    listed = content.get("params")
    if listed is None:
        return ()
    if not isinstance(listed, (list, tuple)):
        raise ParamsInvalid(["The parameters are a list."])
    if len(listed) > MAX_PARAMS:
        raise ParamsInvalid([f"A script has at most {MAX_PARAMS} parameters, not {len(listed)}."])
    problems: list[str] = []
    found: list[ScriptParam] = []
    for number, one in enumerate(listed, 1):
        try:
            param = _one(one, number)
        except ActionRefused as error:
            problems.append(str(error))
            continue
        if any(other.name == param.name for other in found):
            problems.append(f"Two parameters are called {param.name}.")
        found.append(param)
    if problems:
        raise ParamsInvalid(problems)
    return tuple(found)


def declared_or_none(content: Mapping[str, JSON]) -> tuple[ScriptParam, ...]:
    """Like `declared`; nothing where the declaration cannot be used, which publishing has said."""
    try:
        return declared(content)
    except ParamsInvalid:
        return ()


def _one(data: JSON, number: int) -> ScriptParam:
    where = f"Parameter {number}"
    if not isinstance(data, Mapping):
        raise ActionRefused(f"{where} is a mapping, e.g. {{name: days, type: number}}.")
    for key in data:
        if key not in _KEYS:
            raise ActionRefused(f"{where}: {no_such('key of a parameter', key, _KEYS)}")
    name = data.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise ActionRefused(
            f"{where} needs a name of small letters, digits and _ (up to {MAX_NAME_CHARS}), which begins with a letter."
        )
    where = f"Parameter {name}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _TAKEN:
        raise ActionRefused(f"{where}: this name is taken by Python; choose another one.")
    label = _text(data.get("label"), f"{where}: the label", MAX_LABEL_CHARS) or name.replace("_", " ").capitalize()
    doc = _text(data.get("doc"), f"{where}: the explanation", MAX_DOC_CHARS)
    kind = data.get("type", GivenType.TEXT.value)
    if not isinstance(kind, str) or kind not in {one.value for one in GivenType}:
        raise ActionRefused(f"{where}: {no_such('type', kind, [one.value for one in GivenType])}")
    required = data.get("required", False)
    if not isinstance(required, bool):
        raise ActionRefused(f"{where}: required is true or false.")
    param = ScriptParam(name, label, GivenType(kind), required, None, _options(data.get("options"), kind, where), doc)
    default = data.get("default")
    if default is None:
        return param
    try:
        default = clean_value(param, default)
    except ActionRefused as error:
        raise ActionRefused(f"{where}: the default does not fit. {error}") from None
    return ScriptParam(name, label, param.type, required, default, param.options, doc)


def _options(data: JSON, kind: str, where: str) -> tuple[str, ...]:
    if kind != GivenType.CHOICE:
        if data:
            raise ActionRefused(f"{where}: only a choice has options.")
        return ()
    listed = data if isinstance(data, (list, tuple)) else []
    options = tuple(dict.fromkeys(_text(one, f"{where}: an option", MAX_LABEL_CHARS) for one in listed))
    if not options or "" in options or len(options) > MAX_OPTIONS:
        raise ActionRefused(f"{where}: a choice needs 1 to {MAX_OPTIONS} options, none of them empty.")
    return options


def _text(value: JSON, what: str, most: int) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or json_problem(value) is not None or len(value) > most:
        raise ActionRefused(f"{what} is a text of at most {most} characters.")
    return " ".join(value.split())


def clean_given(params: Sequence[ScriptParam], given: Mapping[str, JSON]) -> dict[str, JSON]:
    """What a step gives, in the form that is stored; defaults are left out. Raises `ActionRefused` with a sentence.

    Without declared parameters anything may be given."""
    if not params:
        return dict(given)
    known = {one.name: one for one in params}
    for name in given:
        if name not in known:
            raise ActionRefused(no_such("parameter of this script", name, {one.name: one.label for one in params}))
    cleaned: dict[str, JSON] = {}
    for one in params:
        value = given.get(one.name)
        if value is None or value == "" or value == []:
            if one.required and one.default is None:
                raise ActionRefused(f"The script needs {one.label} ({one.name}).")
            continue
        cleaned[one.name] = clean_value(one, value)
    return cleaned


def complete(params: Sequence[ScriptParam], given: Mapping[str, JSON]) -> dict[str, JSON]:
    """What the script gets as `params`: every declared name, with its default, else None, where nothing was given.

    Raises `ActionRefused` with a sentence."""
    cleaned = clean_given(params, given)
    return {**{one.name: one.default for one in params}, **cleaned}


def clean_value(param: ScriptParam, value: JSON) -> JSON:
    """This value as the parameter takes it. Raises `ActionRefused` with a sentence."""
    return _CLEAN[param.type](param, value)


def _clean_text(param: ScriptParam, value: JSON) -> JSON:
    if not isinstance(value, str):
        raise ActionRefused(f"{param.label} takes a text, not {_kind(value)}.")
    if len(value) > MAX_TEXT_CHARS:
        raise ActionRefused(f"{param.label} takes at most {MAX_TEXT_CHARS} characters, not {len(value)}.")
    problem = json_problem(value, param.label)
    if problem:
        raise ActionRefused(f"{problem}.")
    return value


def _clean_number(param: ScriptParam, value: JSON) -> JSON:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ActionRefused(f"{param.label} takes a number, not {_kind(value)}.")
    # Compared this way round, "not a number" is refused too.
    if not abs(value) <= MAX_NUMBER:
        raise ActionRefused(f"{param.label} takes a number of at most {MAX_NUMBER}.")
    return value


def _clean_bool(param: ScriptParam, value: JSON) -> JSON:
    if not isinstance(value, bool):
        raise ActionRefused(f"{param.label} takes yes or no, not {_kind(value)}. Write true or false.")
    return value


def _clean_choice(param: ScriptParam, value: JSON) -> JSON:
    if not isinstance(value, str) or value not in param.options:
        raise ActionRefused(no_such(param.label, value, param.options))
    return value


def _clean_date(param: ScriptParam, value: JSON) -> JSON:
    try:
        # Whole days only: Python also reads "20261122" and weeks, which no form shows.
        if isinstance(value, str) and len(value) == 10 and date.fromisoformat(value).isoformat() == value:
            return value
    except ValueError:
        pass
    raise ActionRefused(f"{param.label} takes a date, YYYY-MM-DD, not {str(value)[:40]!r}.")


def _clean_texts(param: ScriptParam, value: JSON) -> JSON:
    if not isinstance(value, (list, tuple)):
        raise ActionRefused(f"{param.label} takes a list of texts, not {_kind(value)}.")
    if len(value) > MAX_MEMBERS:
        raise ActionRefused(f"{param.label} takes at most {MAX_MEMBERS} texts, not {len(value)}.")
    return [_clean_text(param, one) for one in value]


_CLEAN: Mapping[GivenType, Callable[[ScriptParam, JSON], JSON]] = {
    GivenType.TEXT: _clean_text,
    GivenType.NUMBER: _clean_number,
    GivenType.BOOL: _clean_bool,
    GivenType.CHOICE: _clean_choice,
    GivenType.DATE: _clean_date,
    GivenType.TEXTS: _clean_texts,
}


def _kind(value: JSON) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "nothing" if value is None else "a list" if isinstance(value, (list, tuple)) else "a record"
