"""Why something a script or a step asked for was not done, in the reader's language.

The sandbox has its own catalogue, whose form this one has (`sandbox.messages`). In `sentences/refusals.txt` stand those
of the rules' actions, of a script's parameters and of what waits for it; a test holds the file and the code together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from flask_babel import get_locale

from sandbox.messages import Catalogue, translated

REFUSALS = Catalogue.read(Path(__file__).parent / "sentences" / "refusals.txt")
_LINE = re.compile(r"Line (\d+): (.*)", re.DOTALL)
_NOTHING = " Nothing of this run was applied."
#: What stands around a refusal, by language: its line, and that nothing was done.
_AROUND: Mapping[str, tuple[str, str]] = {
    "fr": ("Ligne {n} : ", " Rien de cette exécution n'a été appliqué."),
    "pl": ("Wiersz {n}: ", " Nic z tego uruchomienia nie zastosowano."),
    "ro": ("Linia {n}: ", " Nimic din această rulare nu a fost aplicat."),
}


def told(text: str, language: str) -> str:
    """A refusal in this language; as it is where no catalogue has such a sentence, and in English."""
    around = _AROUND.get(language)
    if around is None or not text:
        return text
    line = _LINE.fullmatch(text)
    if line is not None:
        return around[0].format(n=line[1]) + told(line[2], language)
    if text.endswith(_NOTHING):
        return told(text.removesuffix(_NOTHING), language) + around[1]
    # Ours first: "Text takes text, not a number." and the sandbox's "text takes text, not a number" are two sentences.
    said = REFUSALS.translated(text, language)
    return said if said != text else translated(text, language)


def known(text: str) -> bool:
    """Whether this catalogue has the sentence."""
    return REFUSALS.known(text)


def said(text: str) -> str:
    """A sentence of the sandbox or a refusal in the reader's language."""
    return told(text, str(get_locale() or "en")[:2])


def full_stop(text: str) -> str:
    """Such a sentence in the reader's language with its full stop, so that another may follow."""
    text = said(text)
    return text if not text or text[-1] in ".!?:" else f"{text}."
