r"""Patterns of scripts: Python's, read by Python's own parser, matched by RE2 in time linear in the text.

The parser's tree is written anew in RE2's words, so `\w`, `\d`, `\s` and `\b` mean what they mean in Python, for every
alphabet. What cannot be matched in linear time is refused, with its name.

Two things RE2 does not know. Its own `\b` knows ASCII letters only; and it has no way to ask for the find that Python
takes after one of nothing, which is the first one that moves on. Where one of them matters the text is searched in
*cells*: each character stands between two ASCII characters that are word characters, or line feeds, exactly where it
is, so that `\b`, `^` and `$` see them; and a sign in each cell says whether a find may end there.
"""

from __future__ import annotations

import re as real_re
from collections.abc import Callable, Iterator, Sequence
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import re2

#: A cell: what the character is to its left neighbour, whether a find may end here, the character, what it is to its
#: right neighbour. All but the character itself are one byte long.
_CELL = 4
_WORD_SIDE, _OTHER_SIDE = "w", "-"
_ENDS, _ENDS_NOT = 1, 2
#: The signs of a cell in patterns, and a whole cell.
_SIGN = r"[\x{0}-\x{7f}]"
_ANY_CELL = rf"(?s:{_SIGN}{_SIGN}.{_SIGN})"
#: A find ends before a cell that says it may, or with the text.
_MAY_END = rf"(?:{_SIGN}\x{{{_ENDS:x}}}|\z)"
MOST_CHARS = 5_000
#: RE2's own limit for {n,m}.
MOST_TIMES = 1000

FLAGS = {
    **dict.fromkeys(("IGNORECASE", "I"), real_re.I),
    **dict.fromkeys(("MULTILINE", "M"), real_re.M),
    **dict.fromkeys(("DOTALL", "S"), real_re.S),
    **dict.fromkeys(("VERBOSE", "X"), real_re.X),
    **dict.fromkeys(("ASCII", "A"), real_re.A),
    **dict.fromkeys(("UNICODE", "U"), real_re.U),
}
_ALL_FLAGS = real_re.I | real_re.M | real_re.S | real_re.X | real_re.A | real_re.U

# The classes in RE2's words. Connecting punctuation is listed one by one, because `_` is one and belongs to words.
_WORD, _DIGIT = r"\p{L}\p{N}_", r"\p{Nd}"
_NO_WORD = (
    r"\p{M}\p{S}\p{Z}\p{C}\p{Pd}\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{Po}"
    r"\x{203f}\x{2040}\x{2054}\x{fe33}\x{fe34}\x{fe4d}-\x{fe4f}\x{ff3f}"
)
_SPACE = r"\t-\r\x{1c}-\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_NO_SPACE = (
    r"\x{0}-\x{8}\x{e}-\x{1b}\x{21}-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}"
)
_CATEGORIES = {
    sre.CATEGORY_WORD: (_WORD, "0-9A-Za-z_"),
    sre.CATEGORY_NOT_WORD: (_NO_WORD, r"\W"),
    sre.CATEGORY_DIGIT: (_DIGIT, "0-9"),
    sre.CATEGORY_NOT_DIGIT: (r"\P{Nd}", r"\D"),
    sre.CATEGORY_SPACE: (_SPACE, r"\t-\r "),
    sre.CATEGORY_NOT_SPACE: (_NO_SPACE, r"\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{10ffff}"),
}
_NOT_LINEAR = "Patterns have no lookahead, lookbehind or back-references"


class ReError(ValueError):
    """The pattern is not one that can be matched in linear time, or no pattern at all."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_ascii", "_cells", "_edges", "_empty", "_names", "_plain", "_tree", "pattern")

    def __init__(self, pattern: str, flags: int) -> None:
        self.pattern = _text(pattern)
        if type(flags) is not int and not isinstance(flags, real_re.RegexFlag):
            raise TypeError("Flags are re.I, re.M and their like")
        if flags & ~_ALL_FLAGS:
            raise ReError("Only re.I, re.M, re.S, re.X, re.A and re.U are available")
        if len(pattern) > MOST_CHARS:
            raise ReError(f"A pattern has at most {MOST_CHARS} characters")
        try:
            self._tree = parser.parse(pattern, int(flags))
            self._names = dict(self._tree.state.groupdict)
            #: Whether it may find nothing at all, as `a*` does.
            self._empty = self._tree.getwidth()[0] == 0
            plain = _Writer(self._tree)
            self._plain = _compiled(plain.text)
        except real_re.error as error:
            raise ReError(f"{error.msg[:200]} at position {error.pos}") from None
        except (RecursionError, OverflowError):
            raise ReError("The pattern is nested too deeply") from None
        self._edges = plain.edges
        self._ascii = plain.edges == {True}
        self._cells: dict[str, Any] = {}

    def search(self, text: str) -> Match | None:
        return next(self._found(text, "search"), None)

    def match(self, text: str) -> Match | None:
        return next(self._found(text, "match"), None)

    def fullmatch(self, text: str) -> Match | None:
        return next(self._found(text, "fullmatch"), None)

    def findall(self, text: str) -> list[Any]:
        made: list[Any] = []
        for found in self._found(text, "finditer"):
            groups = found.groups("")
            made.append(found.group() if not groups else groups[0] if len(groups) == 1 else groups)
        return made

    def finditer(self, text: str) -> Iterator[Match]:
        return iter(list(self._found(text, "finditer")))

    def split(self, text: str, maxsplit: int = 0) -> list[Any]:
        pieces: list[Any] = []
        at = 0
        for number, found in enumerate(self._found(text, "finditer")):
            if 0 < maxsplit <= number:
                break
            pieces += [text[at : found.start()], *found.groups()]
            at = found.end()
        return [*pieces, text[at:]]

    def sub(self, repl: str | Callable[[Match], str], text: str, count: int = 0) -> str:
        return self.subn(repl, text, count)[0]

    def subn(self, repl: str | Callable[[Match], str], text: str, count: int = 0) -> tuple[str, int]:
        pieces: list[str] = []
        at = times = 0
        for found in self._found(text, "finditer"):
            if 0 < count <= times:
                break
            put = _expanded(repl, found) if type(repl) is str else _text(repl(found))  # type: ignore[operator]
            pieces += [text[at : found.start()], put]
            at = found.end()
            times += 1
        return "".join([*pieces, text[at:]]), times

    def _found(self, text: str, how: str) -> Iterator[Match]:
        """The matches, with places in `text`. RE2's own edges are Python's in ASCII text, its first find always is."""
        if how == "finditer" and self._empty:
            yield from self._found_in_cells(_text(text), how)
        elif not self._edges or _text(text).isascii() or self._ascii:
            found = getattr(self._plain, how)(_text(text))
            for one in found if how == "finditer" else [found] if found is not None else []:
                yield Match(text, [one.span(group) for group in range(self._plain.groups + 1)], self._names)
        else:
            yield from self._found_in_cells(text, how)

    def _found_in_cells(self, text: str, how: str) -> Iterator[Match]:
        """The matches, each sought from the end of the one before; after one of nothing as Python does: first one that
        begins there and moves on, else any from the next character on."""
        cells = _in_cells(text, self._ascii)
        at = place = 0  # the same, in bytes of the cells and in characters of the text
        stuck = False  # nothing was found here: the next find must move on
        while True:
            one = None
            if stuck and at < len(cells):
                cells[at + 1] = _ENDS_NOT
                one = self._in_cells("advance").match(cells, at)
                cells[at + 1] = _ENDS
            if one is None:
                if stuck:
                    if at == len(cells):
                        return
                    at += _CELL - 1 + _utf8_bytes(cells[at + 2])
                    place += 1
                way = self._in_cells("search" if how == "finditer" else how)
                one = (way.fullmatch if how == "fullmatch" else way.match)(cells, at)
                if one is None:
                    return
            spans = []
            for group in range(1, self._plain.groups + 2):
                start, end = one.span(group)
                first = place + len(cells[at:start].decode()) // _CELL
                spans.append((first, first + len(cells[start:end].decode()) // _CELL) if start >= 0 else (-1, -1))
            yield Match(text, spans, self._names)
            if how != "finditer":
                return
            at, place = one.end(1), spans[0][1]
            stuck = spans[0][0] == place

    def _in_cells(self, how: str) -> Any:
        """The pattern for cells; its first group is what was found. Raises `ReError`."""
        if how not in self._cells:
            text = _Writer(self._tree, cells=True).text
            # Whole cells are skipped by the pattern, so that nothing is found from the middle of one.
            around = {"search": f"(?:{_ANY_CELL})*?({text})", "advance": f"({text}){_MAY_END}"}
            self._cells[how] = _compiled(around.get(how, f"({text})"))
        return self._cells[how]


class Match:
    """One match."""

    __slots__ = ("_names", "_spans", "_whole")

    def __init__(self, text: str, spans: Sequence[tuple[int, int]], names: dict[str, int]) -> None:
        self._whole = text
        self._spans = spans
        self._names = names

    def group(self, *groups: int | str) -> Any:
        if len(groups) > 1:
            return tuple(self._one(group, None) for group in groups)
        return self._one(groups[0] if groups else 0, None)

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        return tuple(self._one(group, default) for group in range(1, len(self._spans)))

    def groupdict(self, default: Any = None) -> dict[str, Any]:
        return {name: self._one(group, default) for name, group in self._names.items()}

    def start(self, group: int | str = 0) -> int:
        return self.span(group)[0]

    def end(self, group: int | str = 0) -> int:
        return self.span(group)[1]

    def span(self, group: int | str = 0) -> tuple[int, int]:
        number = self._names.get(group, -1) if type(group) is str else group
        if type(number) is not int or not 0 <= number < len(self._spans):
            raise IndexError("no such group")
        return self._spans[number]

    def __getitem__(self, group: int | str) -> Any:
        return self._one(group, None)

    def _one(self, group: int | str, default: Any) -> Any:
        start, end = self.span(group)
        return default if start < 0 else self._whole[start:end]


def compiled(of: str | Pattern, flags: int) -> Pattern:
    """A pattern from its text, or the one that is given. Raises `ReError` and `TypeError`."""
    return of if type(of) is Pattern else Pattern(of, flags)  # type: ignore[arg-type]


class _Writer:
    """The tree in RE2's words, for plain text or for cells. Raises `ReError`."""

    def __init__(self, tree: Any, *, cells: bool = False) -> None:
        #: Whether its edges are those of ASCII words, one entry per kind.
        self.edges: set[bool] = set()
        self._cells = cells
        self.text = self._all(tree, tree.state.flags)
        if len(self.edges) > 1:
            raise ReError("The edges of words in one pattern are all with re.A, or all without")

    def _all(self, tree: Any, flags: int) -> str:
        return "".join(self._one(kind, value, flags) for kind, value in tree)

    def _one(self, kind: Any, value: Any, flags: int) -> str:
        if kind is sre.LITERAL:
            return self._character(_code(value), flags)
        if kind is sre.NOT_LITERAL:
            return self._character(f"[^{_code(value)}]", flags)
        if kind is sre.ANY:
            return self._character("(?s:.)" if flags & real_re.S else r"[^\n]", 0)
        if kind is sre.IN:
            return self._character(self._class(value, flags), flags)
        if kind is sre.BRANCH:
            return f"(?:{'|'.join(self._all(one, flags) for one in value[1])})"
        if kind is sre.SUBPATTERN:
            number, added, removed, inner = value
            text = self._all(inner, (flags | added) & ~removed)
            name = next((key for key, group in inner.state.groupdict.items() if group == number), "")
            return f"(?:{text})" if number is None else f"(?P<{name}>{text})" if name else f"({text})"
        if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self._repeat(value, flags) + ("?" if kind is sre.MIN_REPEAT else "")
        if kind is sre.AT:
            return self._at(value, flags)
        if kind in (sre.ASSERT, sre.ASSERT_NOT, sre.GROUPREF, sre.GROUPREF_EXISTS):
            raise ReError(_NOT_LINEAR)
        raise ReError(f"Patterns have no {str(kind).lower().replace('_', ' ')}")

    def _character(self, text: str, flags: int) -> str:
        if flags & real_re.I:
            text = f"(?i:{text})"
        return f"(?:{_SIGN}{_SIGN}{text}{_SIGN})" if self._cells else text

    def _class(self, items: Any, flags: int) -> str:
        negated = bool(items) and items[0][0] is sre.NEGATE
        text = ""
        for kind, value in items[negated:]:
            if kind is sre.LITERAL:
                text += _code(value)
            elif kind is sre.RANGE:
                text += f"{_code(value[0])}-{_code(value[1])}"
            else:
                text += _CATEGORIES[value][bool(flags & real_re.A)]
        return f"[{'^' if negated else ''}{text}]"

    def _repeat(self, value: Any, flags: int) -> str:
        least, most, inner = int(value[0]), value[1], value[2]
        endless = most is sre.MAXREPEAT
        if least > MOST_TIMES or (not endless and most > MOST_TIMES):
            raise ReError(f"Nothing is repeated more than {MOST_TIMES} times, except without end")
        short = {(0, True): "*", (1, True): "+"}.get((least, endless))
        times = short or ("?" if (least, most) == (0, 1) else f"{{{least},{'' if endless else most}}}")
        return f"(?:{self._all(inner, flags)}){times}"

    def _at(self, value: Any, flags: int) -> str:
        if value is sre.AT_BEGINNING_STRING or (value is sre.AT_BEGINNING and not flags & real_re.M):
            return r"\A"
        if value is sre.AT_BEGINNING:
            return "(?m:^)"
        if value is sre.AT_END_STRING or (value is sre.AT_END and not flags & real_re.M):
            return r"\z"
        if value is sre.AT_END:
            return "(?m:$)"
        self.edges.add(bool(flags & real_re.A))
        return r"\B" if value is sre.AT_NON_BOUNDARY else r"\b"


def _code(value: int) -> str:
    return f"\\x{{{value:x}}}"


def _compiled(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ReError(f"The pattern cannot be used: {why.partition(':')[0][:200]}") from None


def _in_cells(text: str, ascii_words: bool) -> bytearray:
    """The text in cells, in UTF-8. It can be written to: the signs are one byte each."""
    made = []
    for char in text:
        word = char.isalnum() or char == "_"
        if ascii_words and not char.isascii():
            word = False
        side = "\n" if char == "\n" else _WORD_SIDE if word else _OTHER_SIDE
        made.append(f"{side}{chr(_ENDS)}{char}{side}")
    return bytearray("".join(made).encode())


def _utf8_bytes(first: int) -> int:
    """How many bytes the character has that begins with this one."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "\\": "\\"}
_TEMPLATE = real_re.compile(r"\\(?:g<(\w+)>|([1-9][0-9]?)|(.))", real_re.S)


def _expanded(template: str, found: Match) -> str:
    r"""The replacement with `\1`, `\g<name>` and escapes filled in. Raises `ReError`."""

    def fill(reference: real_re.Match[str]) -> str:
        named, number, letter = reference.groups()
        if letter is not None:
            if letter in _ESCAPES:
                return _ESCAPES[letter]
            if letter.isalnum():
                raise ReError(f"bad escape \\{letter} in the replacement")
            return f"\\{letter}"
        group = int(number or named) if (number or named).isdecimal() else named
        try:
            return str(found._one(group, ""))
        except IndexError:
            raise ReError(f"invalid group reference {group} in the replacement") from None

    return _TEMPLATE.sub(fill, template)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError("Patterns work on text")
    return value
