"""Why something was not done, in the reader's language: refusals, failures of connected systems, notes of decisions.

What is stored and logged is English; whoever shows it asks here. The sandbox has its own catalogue, whose form these
have (`sandbox.messages`). Labels that stand in a sentence are those of the pages (`web.catalogs`). A test holds the
files in `sentences/` and the code that says their sentences together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from flask_babel import get_locale

from sandbox.messages import Catalogue, translated
from web import catalogs

_FILES = Path(__file__).parent / "sentences"
#: What an action, its parameters or a script's parameters refuse.
REFUSALS = Catalogue.read(_FILES / "refusals.txt")
#: What became of a step, a chain of events, a mail.
NOTES = Catalogue.read(_FILES / "notes.txt")
#: How a connected system failed.
FAILURES = Catalogue.read(_FILES / "failures.txt")
#: Why a condition or a row came out as it did.
TRACES = Catalogue.read(_FILES / "traces.txt")
#: What is wrong with a table, its cells, a list or a file of them, and what a table says without meaning it.
PROBLEMS = Catalogue.read(_FILES / "problems.txt")
_ALL = (REFUSALS, NOTES, FAILURES, TRACES, PROBLEMS)
#: Sentences kept in a process, so that a page with the same one in fifty places looks for it once.
MOST_KEPT = 2_000
_LINE = re.compile(r"Line (\d+): (.*)", re.DOTALL)
_NOTHING = " Nothing of this run was applied."
#: What stands around a refusal, by language: its line, and that nothing was done.
_AROUND: Mapping[str, tuple[str, str]] = {
    "fr": ("Ligne {n} : ", " Rien de cette exécution n'a été appliqué."),
    "pl": ("Wiersz {n}: ", " Nic z tego uruchomienia nie zastosowano."),
    "ro": ("Linia {n}: ", " Nimic din această rulare nu a fost aplicat."),
}


@lru_cache(maxsize=MOST_KEPT)
def told(text: str, language: str) -> str:
    """A refusal, failure or note in this language; as it is in English, and where no catalogue has such a sentence."""
    around = _AROUND.get(language)
    if around is None or not text:
        return text
    line = _LINE.fullmatch(text)
    if line is not None:
        return around[0].format(n=line[1]) + told(line[2], language)
    if text.endswith(_NOTHING):
        return told(text.removesuffix(_NOTHING), language) + around[1]
    # Ours first: "Text takes text, not a number." and the sandbox's "text takes text, not a number" are two sentences.
    for catalogue in _ALL:
        said = catalogue.translated(text, language, _within)
        if said != text:
            return said
    # What a comparison refuses is a clause until somebody makes a sentence of it.
    clause = PROBLEMS.translated(text.removesuffix("."), language, _within) if text.endswith(".") else text
    if clause not in (text, text.removesuffix(".")):
        return f"{clause}."
    return translated(text, language)


def _within(text: str, language: str) -> str:
    """What stands in a sentence: others, one after the other, a label of a page, or something of its own."""
    parts = [told(part, language) for part in text.split("; ")]
    said = "; ".join(parts)
    if said == text and not text.endswith("."):
        said = told(f"{text}.", language).removesuffix(".")
    return said if said != text else catalogs.label(text, language)


def known(text: str) -> bool:
    """Whether one of these catalogues has the sentence."""
    return any(catalogue.known(text) for catalogue in _ALL)


def said(text: str) -> str:
    """A sentence of the sandbox or a refusal in the reader's language."""
    return told(text, str(get_locale() or "en")[:2])


def full_stop(text: str) -> str:
    """Such a sentence in the reader's language with its full stop, so that another may follow."""
    text = said(text)
    return text if not text or text[-1] in ".!?:" else f"{text}."
