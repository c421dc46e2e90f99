"""What text is equal to what: case, accents and spaces folded away, and where a keyword ends.

Text is compared without case and accents; a keyword needs a word edge only on the side where it begins or ends with a
letter or digit itself, and so "refund" is not in "refunded" but "c++" is in "c++17".
"""

from __future__ import annotations

import functools
import re
import unicodedata

#: How many folded texts are kept, long ones (messages) and short ones (tags): one decision looks at each often.
FOLDED_LONG_TEXTS, FOLDED_SHORT_TEXTS, SHORT_CHARS = 16, 4_096, 200

#: Letters that Unicode does not take apart into a base letter and an accent.
_UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "ʼ": "'"}
)


def fold(text: str) -> str:
    """`text` as comparisons see it: no case, no accents, one kind of apostrophe, single spaces."""
    return _fold_short(text) if len(text) <= SHORT_CHARS else _fold_long(text)


def _fold(text: str) -> str:
    if text.isascii() and text.isprintable() and "  " not in text and not (text[:1] == " " or text[-1:] == " "):
        return text.lower()  # nothing else to do: by far the most texts
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_UNDECOMPOSED)
    plain = unicodedata.normalize("NFKD", plain)
    if not plain.isascii():
        plain = _unmarked(plain)
    return " ".join(plain.split())


def _unmarked(text: str) -> str:
    return "".join(char for char in text if not unicodedata.combining(char))


_fold_short = functools.lru_cache(maxsize=FOLDED_SHORT_TEXTS)(_fold)
_fold_long = functools.lru_cache(maxsize=FOLDED_LONG_TEXTS)(_fold)


def has_keyword(folded: str, keyword: str) -> bool:
    """Whether folded text contains a folded keyword, with a word edge where the keyword has a letter or digit."""
    left, right = keyword[0].isalnum(), keyword[-1].isalnum()
    at = folded.find(keyword)
    for _ in range(MOST_LOOKS):
        if at < 0:
            return False
        end = at + len(keyword)
        if not (left and at > 0 and folded[at - 1].isalnum()) and not (
            right and end < len(folded) and folded[end].isalnum()
        ):
            return True
        at = folded.find(keyword, at + 1)
    # Where it stands nearly everywhere but nowhere as a word, looking at each place takes its length each time. With
    # all edges written out one search is enough.
    return at >= 0 and _with_edges(keyword) in _with_edges(folded)


#: At how many places a keyword is looked at before the edges of the text are written out.
MOST_LOOKS = 50
#: What `str.isalnum` says yes to: all that is a word for `re`, but for "_".
_WORD = re.compile(r"[^\W_]+")


@functools.lru_cache(maxsize=FOLDED_LONG_TEXTS)
def _with_edges(folded: str) -> str:
    # Folded text has no line breaks of its own.
    return _WORD.sub("\n\\g<0>\n", folded)


#: As `_UNDECOMPOSED`, for text that keeps its case.
_UNDECOMPOSED_CASED = {
    **_UNDECOMPOSED,
    **{ord(chr(char).upper()): other.upper() for char, other in _UNDECOMPOSED.items() if chr(char) not in "ı’‘ʼ"},
}


def without_accents(text: str) -> str:
    """`text` as patterns see it: no accents and one kind of apostrophe, but its case, lines and spaces as they are."""
    if text.isascii():
        return text
    return _unmarked(unicodedata.normalize("NFD", text)).translate(_UNDECOMPOSED_CASED)
