"""One catalogue of what the sandbox says, in four languages: complete, and each refusal with a rewrite that works."""

from __future__ import annotations

import ast
import re

import pytest

from sandbox import names, policy
from sandbox.errors import BadCatalogue
from sandbox.messages import CATALOGUE, LANGUAGES, Catalogue, known, translated
from tests.sandbox.hosts import API, ROOT, Host

#: Functions whose text arguments people read, by file.
SAYING = {
    "sandbox/policy.py": {"refuse"},
    "sandbox/closer.py": {"_say"},
    "sandbox/source.py": {"_problem"},
    "sandbox/broker.py": {"_Over", "ScriptError"},
    "sandbox/claims.py": {"ScriptError"},
    "sandbox/child/guards.py": {"Forbidden"},
    "sandbox/child/facades.py": {"Forbidden"},
    "sandbox/child/values.py": {"BadValue"},
}
#: What only tells of a bug or of an attack, in the log's language.
NOT_FOR_AUTHORS = ("The child ", "Your script raised")


def said_in(path: str) -> list[str]:
    """Every text literal those functions are given, with "x" for what is filled in."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in SAYING[path]:
            found += [text for one in node.args if (text := filled(one)) and " " in text]
    return [text for text in found if not text.startswith(NOT_FOR_AUTHORS)]


def filled(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(one.value) if isinstance(one, ast.Constant) else "x" for one in parts)
        case _:
            return ""


def test_everything_the_code_says_is_in_the_catalogue() -> None:
    said = {text for path in SAYING for text in said_in(path)} - {"x x are already there.", "x stands here"}
    assert len(said) > 45
    assert "x cannot be imported" in said
    assert [text for text in sorted(said) if not known(text)] == []


def test_every_hint_is_in_the_catalogue() -> None:
    hints = {
        *names.INSTEAD.values(),
        *(hint for _, hint in policy._UNSUPPORTED.values()),
        *(f"Scripts have no {what}" for what, _ in policy._UNSUPPORTED.values()),
        *policy._SYNTAX_HINTS.values(),
    }
    assert [text for text in sorted(hints) if not known(text)] == []


def test_a_translation_is_not_the_english_sentence_again() -> None:
    assert len(CATALOGUE.sentences) > 150
    for english, others in CATALOGUE.sentences.items():
        assert english not in others.values()


WHOLE = """\
[words]

a number
fr: un nombre
pl: liczbę
ro: un număr

[sentences]

# What it is about
{name} takes {wanted!w}.
fr: {name} attend {wanted}.
pl: {name} przyjmuje {wanted}.
ro: {name} primește {wanted}.
"""


def test_a_catalogue_says_its_sentences_with_its_own_words() -> None:
    found = Catalogue.parse(WHOLE, "some.txt")
    assert found.translated("days takes a number.", "pl") == "days przyjmuje liczbę."
    assert found.translated("days takes a walk.", "pl") == "days takes a walk."
    assert found.translated("days takes a number.", "en") == "days takes a number."


HALF = {
    "a_language_is_missing": ("pl: {name} przyjmuje {wanted}.\n", "", "line 11: no pl for"),
    "a_language_stands_twice": ("pl: {name}", "fr: {name}", "line 13: not one more of fr, pl, ro"),
    "an_unknown_language": ("pl: {name}", "de: {name}", "line 13: not one more of fr, pl, ro"),
    "a_translation_is_empty": ("fr: un nombre", "fr:  ", "line 3: no fr for 'a number'"),
    "a_placeholder_is_missing": ("pl: {name} przyjmuje", "pl: To przyjmuje", "line 11: other placeholders in pl"),
    "a_placeholder_too_many": ("ro: {name}", "ro: {name} {n}", "line 11: other placeholders in ro"),
    "a_placeholder_misspelt": ("fr: {name}", "fr: {nom}", "line 11: other placeholders in fr"),
    "a_brace_left_open": ("fr: {name}", "fr: {name", "line 11: "),
    "no_full_stop": ("przyjmuje {wanted}.", "przyjmuje {wanted}", "only one of English and pl ends with a full stop"),
    "a_sentence_stands_twice": ("[sentences]", "a number\nfr: a\npl: b\nro: c\n\n[sentences]", "stands there twice"),
}


@pytest.mark.parametrize("name", HALF)
def test_a_catalogue_with_half_a_sentence_is_not_read(name: str) -> None:
    whole, half, why = HALF[name]
    assert WHOLE.count(whole) == 1
    with pytest.raises(BadCatalogue, match=re.escape(why)):
        Catalogue.parse(WHOLE.replace(whole, half), "some.txt")


def test_what_a_sentence_is_about_stays_as_it_is() -> None:
    assert translated("Nothing is called 'tiket' here", "fr") == "Rien ne s'appelle 'tiket' ici"
    assert translated("crm.find needs email", "pl") == "crm.find wymaga: email"
    assert translated("The name '{x.__class__}' is reserved", "ro") == "Numele '{x.__class__}' este rezervat"
    assert translated("name 'tiket' is not defined", "pl") == "nazwa 'tiket' nie jest zdefiniowana"
    both = "Scripts have no processes. json, re are already there."
    assert translated(both, "fr") == "Les scripts n'ont pas de processus. json, re sont déjà là."


def test_words_that_are_not_ours_and_other_languages_are_left_alone() -> None:
    assert translated("The shop needs a new lock", "fr") == "The shop needs a new lock"
    assert translated("Use except.", "en") == "Use except."
    assert translated("Use except.", "xx") == "Use except."
    assert translated("", "fr") == ""
    assert translated("x" * 5_000 + " cannot be imported", "fr") == "x" * 5_000 + " cannot be imported"


#: What is refused: what works instead.
REWRITES = {
    "import os": "import json",
    "import requests\nrequests.get('x')": "crm.find_customer(email='a@example.com')",
    "with crm: pass": "crm.find_customer(email='a@example.com')",
    "match 1:\n    case 1: pass": "if 1 == 1:\n    pass",
    "async def f(): pass": "def f():\n    pass",
    "x = type(1)": "x = isinstance(1, int)",
    "x = ticket._id": "x = ticket.id",
    "_x = 1": "x = 1",
    "open('x')": "ticket.add_note('x')",
    "eval('1')": "json.loads('1')",
    "exit()": "stop('done')",
    "x = true": "x = True",
    "ticket.status = 'open'": "ticket.set_field(field='status', value='open')",
    "return": "stop()",
    "from math import *": "from math import floor",
    "ticket.add_tag(['a'])": "ticket.add_tags(['a'])",
    "crm.find_customer(emial='a')": "crm.find_customer(email='a')",
    "x = '{}'.format(1)": "x = f'{1}'",
    "ticket.tags.append('x')": "x = [*ticket.tags, 'x']",
    "ticket.add_tags({'a'})": "ticket.add_tags(sorted({'a'}))",
}


@pytest.mark.alike
@pytest.mark.parametrize("refused", REWRITES)
def test_what_is_refused_is_said_in_every_language_and_its_rewrite_works(host: Host, refused: str) -> None:
    checked = host.sandbox.check(refused, API)
    errors = [(one.message, one.hint) for one in checked.problems if one.severity == "error"]
    if not errors:  # only seen while it runs
        outcome = host.run(refused)
        assert outcome.error is not None
        errors = [(outcome.error.message, outcome.error.hint)]
    assert all(hint for _, hint in errors), errors
    # A hint of one word is the signature of what was called: Python in every language.
    for text in (text for pair in errors for text in pair if " " in text):
        for language in LANGUAGES:
            assert translated(text, language) != text, (language, text)
    assert host.sandbox.check(REWRITES[refused], API).ok
    assert host.run(REWRITES[refused]).status in ("finished", "stopped")


#: What people mistype, as Python says it.
MISTYPED = {
    "brackets": "[" * 300,
    "no_colon": "if True\n    pass",
    "tabs": "if 1:\n\tx = 1\n        y = 2\n",
    "no_end": "x = 'a",
    "no_end_of_three": 'x = """a',
    "two_kinds_of_bracket": "x = (1]",
    "two_lines_of_bracket": "x = (1,\n2]",
    "a_number": "x = 1a",
    "a_quote_from_a_letter": "x = “a”",
    "a_break": "break",
    "a_continue": "continue",
    "a_yield": "yield 1",
    "a_call": "f(a=1, 2)",
    "twice": "f(a=1, a=2)",
    "an_assignment": "1 = x",
    "a_try": "try:\n    pass\nx = 1",
    "indent": "x = 1\n  y = 2",
    "nothing_inside": "if True:\nx = 1",
}


@pytest.mark.parametrize("name", MISTYPED)
def test_what_people_mistype_is_said_in_every_language(host: Host, name: str) -> None:
    problem = host.sandbox.check(MISTYPED[name], API).problems[0]
    for language in LANGUAGES:
        assert translated(problem.message, language) != problem.message, problem
