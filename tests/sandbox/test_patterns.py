r"""`re` in scripts says what Python's says, for every alphabet, except for what cannot be matched in linear time."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sandbox.child.patterns import MOST_CHARS, Pattern, ReError
from tests.environment.proportion import in_proportion
from tests.environment.selection import examples
from tests.sandbox.hosts import Host

EDGES = {
    "french": (r"\bété\b", "un été, l'été, étés", ["été", "été"]),
    "polish": (r"\bżółw\b", "żółw żółwie (żółw)", ["żółw", "żółw"]),
    "greek": (r"\b\w+\b", "καλή μέρα", ["καλή", "μέρα"]),
    "cyrillic": (r"\bсчёт\b", "счёта счёт", ["счёт"]),
    "begins_beyond_ascii": (r"\bé", "é aé é", ["é", "é"]),
    "not_an_edge": (r"\Bé\B", "aéa é", ["é"]),
    "digits": (r"\d+", "٣٤ 12", ["٣٤", "12"]),
    "spaces": (r"\S+", "a\u00a0b\u2003c", ["a", "b", "c"]),
    "no_letters": (r"\W+", "é—ü", ["—"]),
    "ascii_only": (r"(?a)\w+", "été", ["t"]),
    "any_case": (r"(?i)\bÉTÉ\b", "été", ["été"]),
    "two_edges_at_one_place": (r"\b\bé\b\b", "é", ["é"]),
    "only_edges": (r"\b", "é ü", ["", "", "", ""]),
    "repeated": (r"(?:\bé\b ?)+", "é é é", ["é é é"]),
    "groups": (r"\b(\w)(\w*)\b", "été ü", [("é", "té"), ("ü", "")]),
    "lines": (r"(?m)^\bé\b$", "é\né\néa", ["é", "é"]),
    "end": (r"é\b\Z", "é é", ["é"]),
    "verbose": ("(?x) \\b é \\b  # a letter", "é", ["é"]),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_letters_digits_and_spaces_are_those_of_every_alphabet(name: str) -> None:
    pattern, text, found = EDGES[name]
    assert Pattern(pattern, 0).findall(text) == found == re.findall(pattern, text)


def said(how: Any, *given: Any) -> Any:
    match = how(*given)
    return None if match is None else (match.group(), match.groups(), match.span())


PARTS = st.sampled_from(
    [r"\b", r"\B", r"\w", r"\W", r"\d", r"\s", "é", "a", ".", "[^a]", "[aé]", r"[\wé]", "(a|é)", "(?:é)", "1", " ",
     "(?m:^)", "(?m:$)", "(?:|a)", "(?:é??|a)", "(a|)", r"(?:\b|1)"]
)  # fmt: skip
EMPTY = ("\\b", "\\B", "(?m:^)", "(?m:$)", "(?:|a)", "(?:é??|a)", "(a|)", "(?:\\b|1)")
TIMES = st.sampled_from(["", "", "", "*", "+", "?", "{1,2}", "+?"])


@given(st.lists(st.tuples(PARTS, TIMES), min_size=1, max_size=4), st.text("aé1 -_\nż", max_size=8), st.integers(0, 3))
@example([(r"\b", ""), (r"\w", "+"), (r"\b", "")], "é-ż a_1", 0)
@example([(r"\w", ""), (r"\B", ""), (r"\w", "")], "1é", 0)
@example([(r"\w", "*"), (r"\b", "")], "é", 0)
@example([(r"(a|)", ""), (r"\w", "+?")], "aé1", 2)
@example([("(?:|a)", "")], "aéa", 0)
@example([("(?:é??|a)", ""), ("(?m:$)", "")], "é\na", 1)
@examples(250)
def test_what_is_found_is_what_python_finds(parts: list[tuple[str, str]], text: str, most: int) -> None:
    """Also after a find of nothing, which Python follows by one that moves on. What may be nothing is not repeated
    here: what a group in such a repeat holds is RE2's own, and said in docs/scripting.md."""
    pattern = "".join(part + ("" if part in EMPTY else times) for part, times in parts)
    assume(text or r"\B" not in pattern)  # Python before 3.14 finds no \B in an empty text, against its own rule
    ours, python = Pattern(pattern, 0), re.compile(pattern)
    for how in ("search", "match", "fullmatch"):
        assert said(getattr(ours, how), text) == said(getattr(python, how), text)
    assert [(one.span(), one.groups()) for one in ours.finditer(text)] == [
        (one.span(), one.groups()) for one in python.finditer(text)
    ]
    assert ours.findall(text) == python.findall(text)
    assert ours.split(text, most) == python.split(text, most)
    assert ours.subn("<\\g<0>>", text, most) == python.subn("<\\g<0>>", text, most)


AFTER_NOTHING = {
    "runs_of_letters": (r"\w*", "ab é-", ["ab", "", "é", "", ""]),
    "an_edge_after_nothing": (r"\w*\b", "é", ["é", ""]),
    "lazy": (r"a*?", "aa", ["", "a", "", "a", ""]),
    "nothing_first": (r"|a|b", "ab", ["", "a", "", "b", ""]),
    "lines": (r"(?m)^.*$", "a\n\né", ["a", "", "é"]),
    "ends_of_lines": (r"(?m)$", "a\n\né", ["", "", ""]),
    "begins_of_lines": (r"(?m)^", "a\n\né", ["", "", ""]),
    "beyond_one_byte": (r"x?", "é€😀", ["", "", "", ""]),
    "edges_of_ascii_words": (r"(?a)\b|é", "aé b", ["", "", "é", "", ""]),
    "many_edges": (r"\b" * 20 + "é?", "é", ["é", ""]),
    "repeated_edges": (r"(?:\bé?){3}", "é", ["é", ""]),
    "nowhere": (r"", "", [""]),
    "signs_of_the_search_itself": (r"[w\-\x01\x02]?", "w\x01\x02-x", ["w", "\x01", "\x02", "-", "", ""]),
}


@pytest.mark.parametrize("name", AFTER_NOTHING)
def test_after_nothing_is_found_the_next_find_moves_on_as_pythons_does(name: str) -> None:
    pattern, text, found = AFTER_NOTHING[name]
    assert Pattern(pattern, 0).findall(text) == found == re.findall(pattern, text)


def test_edges_of_two_kinds_in_one_pattern_are_refused() -> None:
    with pytest.raises(ReError, match=r"all with re\.A, or all without"):
        Pattern(r"\b(?a:\b)", 0)
    assert Pattern(r"(?a:\bb\b)", 0).findall("éb b") == ["b", "b"] == re.findall(r"(?a:\bb\b)", "éb b")


SUBSTITUTIONS = [
    (r"(a)(é)", r"\2\1", "aé aé", "éa éa"),
    (r"(?P<x>é)", r"[\g<x>]", "é", "[é]"),
    (r"(a)|(b)", r"\1-\2", "ab", "a--b"),
    (r"a", r"\\\n", "a", "\\\n"),
    (r"\bé", r"\g<0>!", "é aé", "é! aé"),
]


@pytest.mark.parametrize(("pattern", "put", "text", "made"), SUBSTITUTIONS)
def test_a_replacement_is_filled_in_as_python_does(pattern: str, put: str, text: str, made: str) -> None:
    assert Pattern(pattern, 0).sub(put, text) == made == re.sub(pattern, put, text)


REFUSED = {
    r"(?=a)": "no lookahead",
    r"(?<!a)b": "no lookahead, lookbehind",
    r"(a)\1": "back-references",
    r"(?>a)": "no atomic group",
    r"a*+": "no possessive repeat",
    r"(a)?(?(1)b|c)": "back-references",
    "(": "missing ), unterminated subpattern at position 0",
    "a{1001}": "repeated more than 1000 times",
    "a" * (MOST_CHARS + 1): f"at most {MOST_CHARS} characters",
    "(" * 2_000 + ")" * 2_000: "nested too deeply",
}


@pytest.mark.parametrize("pattern", REFUSED, ids=lambda one: one[:20])
def test_what_cannot_be_matched_in_linear_time_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(ReError, match=re.escape(REFUSED[pattern])):
        Pattern(pattern, 0)


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"\b(é+)+\b$", r"(.*?,){11}P", r"(\w|é)*\b!", r"(?:x\b)?"])
def test_time_grows_with_the_text_and_not_faster(pattern: str) -> None:
    def search(length: int) -> None:
        Pattern(pattern, 0).search("é" + "a" * length + "b,")

    search(1_000)
    assert in_proportion(search, 8_000, 80_000, most=40)


def test_a_script_finds_words_of_its_own_language(host: Host) -> None:
    source = r"""
m = re.search(r"\bnuméro\s+(?P<n>\d+)\b", "Le numéro 42é, le numéro 43.")
print(m["n"], m.start(), m.span("n"), re.sub(r"\bété\b", "hiver", "l'été"), re.subn("é", "e", "été"))
print(re.compile(r"(?x) \w+ # word", re.I).findall("Été à"), re.split(r"\W+", "à, b"))
"""
    assert host.logged(source) == ["43 18 (25, 27) l'hiver ('ete', 2)", "['Été', 'à'] ['à', 'b']"]
