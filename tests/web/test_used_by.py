"""Who uses what is read from the catalogues: whatever a step, column or trigger can name is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from apiflask import APIFlask

from rules.action import ParamType
from rules.actions import ACTIONS
from rules.store import EntryKind, Stored
from tests.rules.desk import DESK
from tickets.values import JSON
from web.used_by import _MAPPINGS, uses


def entry(content: dict[str, JSON]) -> Stored:
    return Stored("A01", EntryKind.TABLE, "T", 1, True, 1, content, None, 0, "", None)


def named() -> Iterator[tuple[str, str, str, str]]:
    """(action, parameter, part, key) of everything in this desk that a step can name."""
    for action in ACTIONS.values():
        for param in action.params:
            options = param.options(DESK) if param.options else {}
            for part, name in _MAPPINGS.items():
                if options is getattr(DESK, name) and options:
                    yield action.key, param.key, part, next(iter(options))


STEPS = sorted(named())


@pytest.mark.alike
@pytest.mark.parametrize(("action", "param", "part", "key"), STEPS, ids=[f"{one[0]}-{one[1]}" for one in STEPS])
def test_what_a_step_names_is_used(app: APIFlask, action: str, param: str, part: str, key: str) -> None:
    many = next(one for one in ACTIONS[action].params if one.key == param).type in (ParamType.CHOICES, ParamType.TAGS)
    value: JSON = [key] if many else key
    table: dict[str, JSON] = {
        "steps": [{"id": "s1", "do": action}],
        "rows": [{"id": "r1", "then": {"s1": {param: value}}}],
    }
    with app.test_request_context():
        (use,) = uses([entry(table)], part, key, DESK)
        assert use.places[0].startswith("Row 1, ")
        assert uses([entry(table)], part, "another", DESK) == []


def test_steps_name_teams_users_brands_locations_scripts_and_more() -> None:
    assert {part for _, _, part, _ in STEPS} >= {"team", "user", "script"}


IN_OFFICE: dict[str, JSON] = {"op": "in_working_time", "value": "office"}
DUE: dict[str, JSON] = {"id": "c", "field": "ticket.due_at"}
OUT_OF: dict[str, JSON] = {**DUE, "op": "out_of_working_time"}
CLAUSE: dict[str, JSON] = {"field": "ticket.due_at", **IN_OFFICE}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ({"columns": [DUE], "rows": [{"id": "r1", "if": {"c": IN_OFFICE}}]}, "Row 1, Due"),
        ({"columns": [OUT_OF], "rows": [{"id": "r1", "if": {"c": "office"}}]}, "Row 1, Due"),
        ({"rows": [{"id": "r1", "groups": [{"any": [CLAUSE]}]}]}, "Row 1, group"),
        ({"scope": [CLAUSE]}, "scope"),
    ],
)
def test_a_calendar_is_used_by_conditions_wherever_they_stand(
    app: APIFlask, content: dict[str, JSON], place: str
) -> None:
    with app.test_request_context():
        (use,) = uses([entry(content)], "calendar", "office", DESK)
        assert use.places[0].startswith(place)
        assert uses([entry(content)], "calendar", "another", DESK) == []
        assert uses([entry(content)], "sla", "office", DESK) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_line_of_a_script_is_the_one_its_editor_shows(app: APIFlask, end: str) -> None:
    source = end.join(["log('one\u2028two\x0cthree')", "ticket.assign_team(team='billing')"])
    script = replace(entry({"source": source}), code="S01", kind=EntryKind.SCRIPT)
    with app.test_request_context():
        (use,) = uses([script], "team", "billing", DESK)
        assert use.places == ("line 2",)
