"""What may be stored as JSON: the quick look at a value and the one that says where it is wrong agree on everything.

And the one text form of a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.environment.selection import examples
from tickets.values import MAX_DEPTH, from_iso, iso, json_problem


class Words(str):
    pass


SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(st.characters(codec=None, categories=("L", "N", "Cc", "Cs")), max_size=5),
    st.sampled_from([Words("w"), b"bytes", {1}, "\x00", "\ud800", "é"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers(0, 3)), inner, max_size=4),
    ),
    max_leaves=12,
)


def at_length(value: Any, depth: int = 0) -> int | None:
    """How many values there are in this one, None when one of them may not be stored: the rule, spelt out."""
    if depth > MAX_DEPTH:
        return None
    match value:
        case None | bool():
            return 1
        case int():
            return 1 if type(value) is int and -(2**63) <= value < 2**63 else None
        case float():
            return 1 if type(value) is float and value - value == 0 else None
        case str():
            bad = type(value) is not str or "\x00" in value or any("\ud800" <= one <= "\udfff" for one in value)
            return None if bad else 1
        case list() | tuple():
            inside = [at_length(one, depth + 1) for one in value]
        case dict():
            if any(type(key) is not str for key in value):
                return None
            inside = [at_length(one, depth + 1) for pair in value.items() for one in pair]
        case _:
            return None
    return None if None in inside else 1 + sum(one for one in inside if one is not None)


@examples(60)
@given(VALUES, st.integers(1, 30))
def test_what_is_refused_is_what_the_rule_refuses(value: Any, most: int):
    length = at_length(value)
    fits = length is not None and length <= most
    assert (json_problem(value, most=most) is None) is fits


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, 2**63]}, "value.a[1] is an integer beyond 64 bit"),
        ({"a": float("nan")}, "value.a is not a finite number"),
        (["a\x00"], "value[0] holds a NUL character"),
        ({"é\ud800": 1}, "value key holds half of a surrogate pair"),
        ({"a": {1: 2}}, "value.a has the key 1, which is not text; put it in quotes: '1'"),
        ([b"a"], "value[0] is a bytes, which cannot be stored"),
    ],
)
def test_a_refusal_says_where_and_why(value: Any, problem: str):
    assert json_problem(value) == problem


def test_what_lies_too_deep_is_refused_and_an_empty_list_at_the_last_level_is_not():
    deep: Any = []
    for _ in range(MAX_DEPTH):
        deep = [deep]
    assert json_problem(deep) is None
    assert json_problem([deep]) == f"value{'[0]' * (MAX_DEPTH + 1)} is nested more than {MAX_DEPTH} levels deep"


def test_the_hour_that_a_zone_has_twice_is_two_hours_as_text():
    once = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
    for _ in range(2):
        assert iso(once) == "2026-10-25T00:30:00.000000+00:00"
        assert iso(once.replace(fold=1)) == "2026-10-25T01:30:00.000000+00:00"
        assert iso(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == "2026-10-25T00:30:00.000000+00:00"


def test_a_moment_outside_the_years_there_are_is_refused_like_one_without_a_zone():
    for text in ("0001-01-01T00:00:00+02:00", "9999-12-31T23:00:00-02:00", "2026-01-01T00:00:00"):
        with pytest.raises(ValueError, match=r"is no moment in UTC|has no time zone"):
            from_iso(text)
        with pytest.raises(ValueError, match=r"is no moment in UTC|has no time zone"):
            iso(datetime.fromisoformat(text))
    assert iso(from_iso("0001-01-01T00:00:00+00:00")) == "0001-01-01T00:00:00.000000+00:00"
