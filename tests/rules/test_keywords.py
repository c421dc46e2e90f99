"""One pass over a text finds the keywords that `has_keyword` finds one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.folding import MOST_LOOKS, fold, has_keyword
from rules.forms import Unfit
from rules.keywords import Keywords
from tests.environment.selection import examples

#: Words inside words, phrases that share a word, signs beside letters, letters that fold, letters of two bytes.
SOME = [
    "refund",
    "fund",
    "re",
    "no refund",
    "refund now",
    "c++",
    "c",
    "!!",
    "#42",
    "42",
    "zwrót",
    "zwrotu",
    "заказ",
    "é",
]
TEXTS = st.lists(st.sampled_from([*SOME, "REFUND", "refunds", "_", "-", "  ", "\t", "Заказы", "ß", "x"]), max_size=6)


def finding(keywords: list[str], wholes: list[str]) -> tuple[Keywords, dict[str, int]]:
    found = Keywords()
    known = list(dict.fromkeys(found.know(one) for one in keywords))
    brings = {one: 1 << at for at, one in enumerate(known)}
    found.finish(brings, {fold(one): 1 << (100 + at) for at, one in enumerate(wholes)})
    return found, brings


@examples(200)
@given(st.lists(st.sampled_from(SOME), max_size=8), TEXTS, st.sampled_from(["", " ", ". "]))
def test_what_one_pass_finds_is_what_each_search_finds(keywords: list[str], words: list[str], between: str) -> None:
    text = between.join(words)
    if not fold(text):
        return
    found, brings = finding(keywords, [])
    there = {one for one in brings if has_keyword(fold(text), one)}
    assert found.there(text) == there
    assert found.bits(lambda brought: brought, 0)(text) == sum(brings[one] for one in there)


@examples(100)
@given(st.lists(st.sampled_from(SOME), max_size=8), TEXTS, st.sampled_from(["", " ", ". "]), st.integers(0, 255))
def test_a_search_for_some_keywords_finds_those_of_them_that_are_there(
    keywords: list[str], words: list[str], between: str, wanted: int
) -> None:
    text = between.join(words)
    found, brings = finding(keywords, [])
    quickly = found.quickly(wanted)
    assert (quickly is None) == ("!!" in brings)
    if quickly is not None and text.isascii():
        search, brought_by = quickly
        data = text.lower().encode()
        there = {one for one in brings if has_keyword(fold(text), one)}
        assert brought_by(search(data), data, text) & wanted == sum(brings[one] for one in there) & wanted


def test_a_phrase_is_there_where_all_of_it_is() -> None:
    found, brings = finding(["no refund", "late"], [])
    for quickly in (found.quickly(3), found.quickly()):
        assert quickly is not None
        search, brought_by = quickly
        for text, there in (("refund", 0), ("A refund late", brings["late"]), ("No  REFUND!", brings["no refund"])):
            data = text.lower().encode()
            assert brought_by(search(data), data, text) == there


def test_what_keeps_a_search_for_few_words_from_single_letters_is_no_keyword() -> None:
    found, brings = finding(["refund", "late"], [])
    quickly = found.quickly(3)
    assert quickly is not None
    search, brought_by = quickly
    for text, there in (("\1\1\1\1 \4\4\4\4", 0), ("\2\2\2\2 late", brings["late"])):
        data = text.encode()
        assert search(data)
        assert brought_by(search(data), data, text) == there


@pytest.mark.parametrize("others", [[], ["!!"], ["no refund"]])
def test_a_keyword_ends_at_a_word_edge_on_both_sides(others: list[str]) -> None:
    found, brings = finding(["refund", "fund", *others], [])
    sets = found.bits(lambda brought: brought, 0)
    for text in ("refund", "A REFUND.", "x-refund_y", "refund\x00"):
        assert sets(text) == brings["refund"]
    for text in ("refunds", "1refund", "Prefund x", "érefund", "refundé", "x"):
        assert sets(text) == 0


def test_a_text_that_is_one_as_a_whole_says_so_beside_its_keywords() -> None:
    found, _ = finding(["refund", "now"], ["Refund  now"])
    sets = found.bits(lambda brought: brought, 7)
    assert sets("REFUND NOW") == 1 | 2 | 1 << 100
    assert sets("refund now!") == 1 | 2
    assert sets("") == 7


def test_of_nothing_but_spaces_nothing_is_said() -> None:
    for keywords in (["refund"], ["refund", "!!"], []):
        sets = finding(keywords, [])[0].bits(lambda brought: brought, 0)
        for text in (" ", "\t\n", "\x1f", "\u00a0"):
            with pytest.raises(Unfit):
                sets(text)
        assert sets("a") == 0
    with pytest.raises(Unfit):
        Keywords().know(" ")


def test_many_keywords_are_found_as_few_are() -> None:
    """Beyond its bound the search is not a table of all states."""
    words = [f"word{at}" for at in range(4_000)]
    found, brings = finding(words, [])
    assert found.there("a word7, word3999 and word40001") == {"word7", "word3999"}
    assert found.bits(lambda brought: brought, 0)("word7") == brings["word7"]


@pytest.mark.parametrize(
    ("keyword", "alike", "there", "not_there"),
    [
        ("refund", "xrefund refunds ", "refund", "1refund"),
        ("ab ab a", "ab ", "ab ab a.", "ab ab2"),  # stands there at every second word, and ends inside the next one
        ("$go", "$gone $góx $go2 ", "x$go", "$ go"),
        ("c++", "xc++ ", "c++17", "éc++"),
        ("_a_", "_b_ ", "1_a_1", "_A-"),
    ],
)
@pytest.mark.parametrize("before", [0, 3, MOST_LOOKS + 5])
def test_a_keyword_is_found_behind_any_number_of_places_where_it_is_no_word(
    keyword: str, alike: str, there: str, not_there: str, before: int
) -> None:
    assert has_keyword(fold(alike * before + there), fold(keyword))
    assert not has_keyword(fold(alike * before + not_there), fold(keyword))
