"""What goes back when a cause's changes are taken back, and what stays because others changed it since."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickets.effects import AddTo, RemoveFrom, SetField, apply
from tickets.undoing import Kept, Line, backwards


def lines(*told: tuple[str, object, object, bool]) -> list[Line]:
    return [Line(n, field, before, after, ours) for n, (field, before, after, ours) in enumerate(told, 1)]  # type: ignore[arg-type]


def test_a_value_goes_back_to_what_it_was_before_the_first_of_our_writes_in_a_row() -> None:
    effects, kept = backwards(lines(("priority", "low", "high", True), ("priority", "high", "urgent", True)))
    assert effects == (SetField("priority", "low"),)
    assert kept == ()


def test_what_somebody_changed_since_stays_and_is_named() -> None:
    effects, kept = backwards(lines(("priority", "low", "high", True), ("priority", "high", "urgent", False)))
    assert effects == ()
    assert kept == (Kept("priority", since=2),)


def test_a_write_after_somebody_elses_goes_back_to_theirs_alone() -> None:
    told = (
        ("priority", "low", "high", True),
        ("priority", "high", "normal", False),
        ("priority", "normal", "high", True),
    )
    assert backwards(lines(*told)) == ((SetField("priority", "normal"),), ())


def test_what_somebody_put_back_by_hand_needs_nothing() -> None:
    assert backwards(lines(("team", "billing", "first_line", True), ("team", "first_line", "billing", False))) == (
        (),
        (),
    )


def test_a_field_that_was_empty_is_emptied() -> None:
    assert backwards(lines(("team", None, "billing", True))) == ((SetField("team", None),), ())


def test_of_a_set_only_our_members_go_and_a_neighbour_stays() -> None:
    told = (("tags", ["old"], ["new", "old"], True), ("tags", ["new", "old"], ["mine", "new", "old"], False))
    assert backwards(lines(*told)) == ((RemoveFrom("tags", ("new",)),), ())


def test_a_member_somebody_took_out_and_put_in_again_is_theirs() -> None:
    told = (("tags", None, ["vip"], True), ("tags", ["vip"], None, False), ("tags", None, ["vip"], False))
    assert backwards(lines(*told)) == ((), (Kept("tags", since=3, member="vip"),))


def test_a_member_we_took_out_comes_back() -> None:
    assert backwards(lines(("tags", ["a", "b"], ["b"], True))) == ((AddTo("tags", ("a",)),), ())


def test_what_we_never_wrote_is_left_alone() -> None:
    assert backwards(lines(("priority", "low", "high", False))) == ((), ())


values = st.sampled_from([None, "a", "b", "c"])
members = st.frozensets(st.sampled_from("abc"))


@given(st.sampled_from(["x", "y"]), values, st.lists(st.tuples(values, st.booleans()), max_size=8))
def test_a_field_ends_as_the_last_write_of_others_left_it(
    field: str, first: str | None, writes: list[tuple[str | None, bool]]
) -> None:
    """The naive meaning: whoever wrote last keeps the word; where that was us, the others' last word holds."""
    told, now, others = [], first, first
    last_ours = False
    for value, ours in writes:
        if value == now:
            continue
        told.append((field, now, value, ours))
        now, last_ours = value, ours
        others = others if ours else value
    effects, kept = backwards(lines(*told))
    after, _ = apply({} if now is None else {field: now}, effects)
    assert after.get(field) == (others if last_ours else now)
    assert not (effects and kept)


@given(members, st.lists(st.tuples(members, st.booleans()), max_size=6))
def test_each_member_of_a_set_ends_as_the_last_of_others_left_it(
    first: frozenset[str], writes: list[tuple[frozenset[str], bool]]
) -> None:
    told, now = [], first
    theirs = dict.fromkeys("abc", True)  # whether the member's last change was somebody else's, or none
    word = {one: one in first for one in "abc"}
    for value, ours in writes:
        if value == now:
            continue
        told.append(("tags", sorted(now) or None, sorted(value) or None, ours))
        for one in now ^ value:
            theirs[one] = not ours
            word[one] = word[one] if ours else one in value
        now = value
    effects, _ = backwards(lines(*told))
    after, _ = apply({"tags": sorted(now)} if now else {}, effects)
    assert frozenset(after.get("tags", ())) == {  # type: ignore[arg-type]
        one for one in "abc" if (one in now if theirs[one] else word[one])
    }
