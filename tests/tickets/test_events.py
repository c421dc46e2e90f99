"""Net changes, and the item as of an earlier event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import ANA, MORNING
from tickets.effects import AddTo, RemoveFrom, SetField, StateEffect, apply
from tickets.events import Change, Event, EventKind, net, undo
from tickets.values import JSON

FIELDS = st.sampled_from(["status", "priority", "team"])
VALUES = st.sampled_from([None, "a", "b", "c"])
EFFECTS: st.SearchStrategy[StateEffect] = st.one_of(
    st.builds(SetField, FIELDS, VALUES),
    st.builds(AddTo, st.just("tags"), st.tuples(st.sampled_from(["x", "y"]))),
    st.builds(RemoveFrom, st.just("tags"), st.tuples(st.sampled_from(["x", "y"]))),
)


def test_changes_fold_into_one_per_field_and_what_came_to_nothing_is_dropped() -> None:
    changes = [Change("a", 1, 2), Change("b", 1, 2), Change("a", 2, 3), Change("b", 2, 1)]
    assert net(changes) == (Change("a", 1, 3),)


@given(st.lists(st.lists(EFFECTS, min_size=1, max_size=4), min_size=1, max_size=6), st.data())
def test_undoing_later_events_gives_the_state_as_it_was(groups: list[list[StateEffect]], data: st.DataObject) -> None:
    states: list[dict[str, JSON]] = [{}]
    events: list[Event] = []
    for number, effects in enumerate(groups, start=1):
        after, changes = apply(states[-1], effects)
        events.append(Event(number, 1, number, EventKind.CHANGED, MORNING, ANA, number, 0, changes))
        states.append(after)
    point = data.draw(st.integers(0, len(groups)))
    later = data.draw(st.permutations(events[point:]))
    assert undo(states[-1], later) == states[point]
