"""What the sandbox says to people, in English, French, Polish and Romanian: one catalogue, by the English text.

The code that refuses says it in English; whoever shows it asks here for the reader's language. The sentences stand in
`messages.txt` beside this file, and a test holds them and the code together. A file that lacks a language or a
placeholder is not read at all, so nothing starts with half a sentence. Others may keep theirs in the same form:

    # A line of comment.
    [words]

    a number
    fr: un nombre
    pl: liczbę
    ro: un număr

    [sentences]

    {param} takes {wanted!w}, not {given!w}
    fr: {param} attend {wanted}, pas {given}
    pl: {param} przyjmuje {wanted}, nie {given}
    ro: {param} primește {wanted}, nu {given}

`{name}` stands for what the sentence is about (names, numbers and Python stay as they are), `{name!w}` for one of the
file's own words and nothing else, `{name!t}` for one of them or whatever the caller can tell in that language: the
label of a field, say, or another sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from string import Formatter
from typing import TypeAlias

from sandbox.errors import BadCatalogue
from sandbox.names import INSTEAD

LANGUAGES = ("fr", "pl", "ro")
#: Longest text that can be a sentence of ours, in characters.
MOST_CHARS = 2_000
_SECTIONS = ("words", "sentences")

#: (text, language) -> the text in that language, as it is where it has none.
Translate: TypeAlias = Callable[[str, str], str]
#: By their English text: the text in each of `LANGUAGES`.
Texts: TypeAlias = Mapping[str, Mapping[str, str]]

#: What never has a space, so that no sentence of somebody else is taken for one of ours; and what stands in quotes.
_SHAPES: Mapping[str, str] = {
    **dict.fromkeys(("call", "connection", "module", "action", "param"), r"\S+"),
    "quoted": "'[^']*'|\"[^\"]*\"",
}


def _as_it_is(text: str, language: str) -> str:
    return text


@dataclass(frozen=True)
class Catalogue:
    """Sentences by their English text, matched with what was filled in."""

    sentences: Texts
    words: Texts

    @classmethod
    def read(cls, path: Path) -> Catalogue:
        """The catalogue in this file. Raises `BadCatalogue` with the line that is wrong."""
        return cls.parse(path.read_text(encoding="utf-8"), path.name)

    @classmethod
    def parse(cls, text: str, name: str) -> Catalogue:
        """The catalogue in a text of the form above. Raises `BadCatalogue` with the line that is wrong."""
        sections: dict[str, dict[str, Mapping[str, str]]] = {section: {} for section in _SECTIONS}
        into = sections["sentences"]
        english, begun, others = "", 0, dict[str, str]()
        for number, line in enumerate([*text.split("\n"), ""], 1):
            if line.startswith("#"):
                continue
            if not line:
                if english:
                    _complete(f"{name}, line {begun}", english, others)
                    if english in into:
                        raise BadCatalogue(f"{name}, line {begun}: {english!r} stands there twice")
                    into[english] = others
                english, others = "", {}
            elif line[0] == "[" and line[-1] == "]" and line[1:-1] in sections and not english:
                into = sections[line[1:-1]]
            elif not english:
                english, begun = line, number
            else:
                language, _, said = line.partition(": ")
                if language not in LANGUAGES or language in others:
                    raise BadCatalogue(f"{name}, line {number}: not one more of {', '.join(LANGUAGES)}: {line[:40]!r}")
                others[language] = said
        return cls(sections["sentences"], sections["words"])

    def translated(self, text: str, language: str, told: Translate = _as_it_is) -> str:
        """The sentence in this language; as it is in English, and where there is no such sentence here.

        `told` is asked for what stands in the sentence and may be told in that language, too."""
        found = self._lookup(text) if language in LANGUAGES else None
        if found is None:
            return text
        english, parts = found
        for name, how in _holes(english):
            if how:
                word = self.words.get(parts[name])
                parts[name] = told(parts[name], language) if word is None else word[language]
        said = self.sentences[english][language].format(**parts)
        # A label in small letters may come to stand at the beginning.
        return said[:1].upper() + said[1:] if text[:1].isupper() else said

    def known(self, text: str) -> bool:
        """Whether there is such a sentence here."""
        return self._lookup(text) is not None

    def _lookup(self, text: str) -> tuple[str, dict[str, str]] | None:
        if not text or len(text) > MOST_CHARS:
            return None
        for english, pattern in self._patterns:
            found = pattern.fullmatch(text)
            if found is not None:
                return english, found.groupdict()
        return None

    @cached_property
    def _patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        """The sentences to match with, those that say the most of their own first."""
        words = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        made = []
        for english in self.sentences:
            parts = list(Formatter().parse(english))
            pattern = ""
            for literal, name, _, how in parts:
                pattern += re.escape(literal)
                if name is not None:
                    pattern += f"(?P<{name}>{words if how == 'w' else _SHAPES.get(name, '.+?')})"
            own = sum(len(literal) for literal, *_ in parts)
            made.append((own, english, re.compile(pattern, re.DOTALL)))
        made.sort(key=lambda one: (-one[0], one[1]))
        return tuple((english, pattern) for _, english, pattern in made)


def _holes(text: str) -> list[tuple[str, str]]:
    """What is filled in: (name, how it is told in other languages), "" for what stays as it is."""
    return [(name, how or "") for _, name, _, how in Formatter().parse(text) if name is not None]


def _complete(where: str, english: str, others: Mapping[str, str]) -> None:
    """Raises `BadCatalogue` unless every language says the same things and ends alike."""
    for language in LANGUAGES:
        said = others.get(language, "").strip()
        if not said:
            raise BadCatalogue(f"{where}: no {language} for {english!r}")
        try:
            wanted, given = _holes(english), _holes(said)
        except ValueError as error:
            raise BadCatalogue(f"{where}: {error}") from None
        if any(how for _, how in given) or {name for name, _ in wanted} != {name for name, _ in given}:
            raise BadCatalogue(f"{where}: other placeholders in {language} than in {english!r}")
        if said.endswith(".") != english.endswith("."):
            raise BadCatalogue(f"{where}: only one of English and {language} ends with a full stop: {english!r}")


CATALOGUE = Catalogue.read(Path(__file__).with_suffix(".txt"))


def translated(text: str, language: str) -> str:
    """The sandbox's sentence in this language; as it is in English, and where the catalogue has no such sentence."""
    if language not in LANGUAGES or not text:
        return text
    # "Scripts have no processes. json, re are already there.": one of the fixed hints, then another sentence.
    for first in _hints():
        if text.startswith(f"{first} "):
            return f"{translated(first, language)} {translated(text[len(first) + 1 :], language)}"
    return CATALOGUE.translated(text, language)


def known(text: str) -> bool:
    """Whether the catalogue has this sentence."""
    return CATALOGUE.known(text)


@cache
def _hints() -> tuple[str, ...]:
    return tuple(sorted(set(INSTEAD.values()), key=len, reverse=True))
