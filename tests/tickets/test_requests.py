"""Answers to questions, and the fields of an item that have their keys."""

from __future__ import annotations

import pytest

from tickets.effects import SetField
from tickets.item import FieldType, StateField
from tickets.requests import answers_as_fields
from tickets.values import JSON

KNOWN = {
    "leaves": StateField("fields.leaves", "Leaves", FieldType.TIME),
    "plan": StateField("fields.plan", "Plan", FieldType.TEXT),
}


def written(answer: JSON, zone: str = "Europe/Paris") -> JSON:
    """What this answer to "When do you leave?" makes of the field; None where it is left alone. The plan is taken."""
    found = {
        one.field: one.value
        for one in answers_as_fields(KNOWN, {"leaves": answer, "plan": "basic"}, zone)
        if isinstance(one, SetField)
    }
    assert found.pop("fields.plan") == "basic"
    return found.get("fields.leaves")


def test_a_date_is_its_midnight_in_the_zone():
    assert written("2026-11-24") == "2026-11-23T23:00:00.000000+00:00"
    assert written("2026-11-24", "UTC") == "2026-11-24T00:00:00.000000+00:00"


@pytest.mark.parametrize("answer", ["next week.", "2026-13-45", "0001-01-01", "soon", True, 5])
def test_an_answer_that_is_no_moment_leaves_the_field_alone_and_the_others_are_written(answer: JSON):
    """A question in free text may have the key of a date; "next week." is as long as one."""
    assert written(answer) is None
