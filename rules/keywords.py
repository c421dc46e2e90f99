"""All keywords that rows look for in one text, found in one pass over it.

A keyword has a word edge wherever it begins or ends with a letter or digit, so each of its words stands in the text as
a whole word. What is searched for are whole words only: two of them never overlap, and a search that goes on behind
each match misses none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from rules.folding import fold, has_keyword
from rules.forms import Unfit, longest_word

#: Up to how many bytes of words the search is a table of all its states, which is faster and larger: in bytes of words.
MOST_IN_TABLE_BYTES = 20_000

#: Up to how many bytes of words may be searched for in parts, each of which is kept.
FEW_BYTES = 2_000

#: Of so few words, but not of one, a search may look for two or three letters of them, which every text is full of: it
#: is several times as slow then. With these beside them it cannot. Hardly a text has them, and they bring nothing.
FEW_WORDS, _NEVER = 12, (b"\1\1\1\1", b"\2\2\2\2", b"\3\3\3\3", b"\4\4\4\4")

#: The words in a text: which, and where they begin and end, in bytes.
Hits: TypeAlias = Sequence[tuple[int, int, int]]
Search: TypeAlias = Callable[[bytes], Hits]
#: A search of an ASCII text in small letters, and what its hits bring: from them, that text, and the text as it is.
Quickly: TypeAlias = tuple[Search, Callable[[Hits, bytes, str], int]]

#: The bytes beside which an ASCII word has an edge.
_EDGES = frozenset(code for code in range(128) if not chr(code).isalnum())
#: The same by byte, which is looked up in a third of the time.
_IS_EDGE = tuple(code in _EDGES for code in range(128))


def _search_nothing(_data: bytes) -> list[tuple[int, int, int]]:
    return []


def _search_for(words: Sequence[str]) -> Search:
    data = [word.encode() for word in words]
    if not data:
        return _search_nothing
    small = sum(map(len, data)) <= MOST_IN_TABLE_BYTES
    how = Implementation.DFA if small else Implementation.ContiguousNFA
    return BytesAhoCorasick(data, matchkind=MatchKind.LeftmostLongest, implementation=how).find_matches_as_indexes


def _search_for_few(words: Sequence[str]) -> Search:
    data = [word.encode() for word in words]
    if not data:
        return _search_nothing
    if 1 < len(data) <= FEW_WORDS:
        data += _NEVER
    how = Implementation.ContiguousNFA  # the smallest, as there may be many of these
    return BytesAhoCorasick(data, matchkind=MatchKind.LeftmostLongest, implementation=how).find_matches_as_indexes


class Keywords:
    """Which keywords stand in a text: `know` them all, `finish`, then ask.

    What is found is told as one number, the "or" of what each keyword found brings."""

    def __init__(self) -> None:
        self._whole: dict[str, None] = {}  # keywords that are one word
        self._phrases: dict[str, list[str]] = {}  # all others, by their longest word
        self._signs: dict[str, None] = {}  # those without a letter or digit
        self._search: Search = _search_nothing
        self._words: list[str] = []
        self._brings: list[int] = []  # by word
        self._texts: Mapping[str, int] = {}  # what whole texts bring
        self._others: list[tuple[str, int, int | None]] = []  # keyword, what it brings, the word in it
        #: Whether there are so few that a search for some of them costs little to keep.
        self.few = True

    def know(self, keyword: str) -> str:
        """How this keyword is called among those found. Raises `Unfit` for one of nothing but spaces."""
        folded = fold(keyword)
        if not folded:
            raise Unfit
        longest = longest_word(folded)
        if longest == folded:
            self._whole[folded] = None
        elif not longest:
            self._signs[folded] = None
        elif folded not in self._phrases.setdefault(longest, []):
            self._phrases[longest].append(folded)
        return folded

    def finish(self, brings: Mapping[Any, int], texts: Mapping[str, int]) -> None:
        """No more keywords come. `brings` is what each one brings, nothing for those that are not in it; `texts` what
        a text brings that is one of these as a whole, folded."""
        self._texts = texts
        self._words = list(dict.fromkeys((*self._whole, *self._phrases)))
        self._brings = [brings.get(word, 0) if word in self._whole else 0 for word in self._words]
        at = {word: place for place, word in enumerate(self._words)}
        self._others = [(one, brings.get(one, 0), None) for one in self._signs]
        self._others += [(one, brings.get(one, 0), at[word]) for word, some in self._phrases.items() for one in some]
        self._search = _search_for(self._words)
        self.few = sum(len(word.encode()) for word in self._words) <= FEW_BYTES

    def bits(self, of_brought: Callable[[int], int], missing: int) -> Callable[[str], int]:
        """A function from a text to the bits that it makes: `of_brought` of what was found, `missing` without a text.

        It raises `Unfit` for a text of nothing but spaces."""
        nothing = of_brought(0)

        def more(text: str) -> int:
            if not text:
                return missing
            words, others = self._found(text)
            found = self._texts.get(fold(text), 0) if self._texts else 0
            for at in words:
                found |= self._brings[at]
            for _, one in others:
                found |= one
            return of_brought(found)

        quickly = self.quickly()
        if quickly is None:
            return more
        search, brought_by = quickly

        def bits(text: str) -> int:
            if not text.isascii():
                return more(text)
            data = text.lower().encode()
            hits = search(data)
            if hits:
                return of_brought(brought_by(hits, data, text))
            if not text:
                return missing
            if text.isspace():
                raise Unfit
            return nothing

        return bits

    def quickly(self, wanted: int | None = None) -> Quickly | None:
        """What ASCII texts bring, in two steps; of keywords that bring something of `wanted`, if only they matter.

        Without a hit a text that is more than spaces brings nothing. None where that cannot be said of it: signs and
        whole texts are looked for otherwise."""
        if self._signs or self._texts:
            return None
        others = [one for one in self._others if wanted is None or one[1] & wanted]
        asked = {at for _, _, at in others}
        if wanted is None:
            search, brings = self._search, self._brings
        else:
            some = [at for at, one in enumerate(self._brings) if one & wanted or at in asked]
            search = _search_for_few([self._words[at] for at in some])
            brings = [*(self._brings[at] for at in some), *(0 for _ in _NEVER)]
            place = {at: now for now, at in enumerate(some)}
            others = [(one, bits, place[at]) for one, bits, at in others if at is not None]
        edge = _IS_EDGE

        def brought_by(hits: Hits, data: bytes, _text: str) -> int:
            found = 0
            data += b" "  # which is behind the last byte, and before the first
            for at, begin, end in hits:
                if edge[data[end]] and edge[data[begin - 1]]:
                    found |= brings[at]
            return found

        if not others:
            return search, brought_by

        def brought_with_phrases(hits: Hits, data: bytes, text: str) -> int:
            found, there = brought_by(hits, data, text), {at for at, _, _ in hits}
            likely = [(one, bits) for one, bits, at in others if at in there]
            folded = fold(text) if likely else ""
            for one, bits in likely:
                found |= bits if has_keyword(folded, one) else 0
            return found

        return search, brought_with_phrases

    def there(self, text: str) -> frozenset[str]:
        """The keywords that stand in this text. Raises `Unfit` for one of nothing but spaces."""
        words, others = self._found(text)
        whole = (word for word in map(self._words.__getitem__, words) if word in self._whole)
        return frozenset((*whole, *(keyword for keyword, _ in others)))

    def _found(self, text: str) -> tuple[set[int], list[tuple[str, int]]]:
        """The words found, by their place, and the other keywords with what they bring."""
        if text.isascii():
            folded, data = "", f"{text} ".lower().encode()
            found = self._search(data)
            words = {at for at, begin, end in found if data[end] in _EDGES and data[begin - 1] in _EDGES}
        else:
            folded = fold(text)
            hits = {at for at, _, _ in self._search(folded.encode())}
            words = {at for at in hits if has_keyword(folded, self._words[at])}
        likely = [(one, brings) for one, brings, at in self._others if at is None or at in words]
        if likely or not words:
            folded = folded or fold(text)
            if not folded:
                raise Unfit
        return words, [(one, brings) for one, brings in likely if has_keyword(folded, one)]
