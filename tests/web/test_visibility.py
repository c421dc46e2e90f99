"""What a person may not see is in no count, no menu and no suggestion either."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, insert

from run_tool.places import ROOT
from tests.web.desk import Desk
from tests.web.runs import a_run
from tickets import people
from tickets.people import Viewer
from tickets.tables import TeamMember
from web import inbox_store, rules_store, runs_store, shell_store
from web.inbox_store import Filter


@pytest.fixture
def hidden(desk: Desk, agent: FlaskClient) -> int:
    """The only ticket there is: of the restricted team, assigned to ana all the same."""
    return desk.ticket("About a colleague", team="ethics", assignees=["ana"], tags=["complaint"])


@pytest.fixture
def ana(desk: Desk, hidden: int) -> Viewer:
    with desk.services.db.read() as connection:
        found = people.viewer(connection, "ana")
    assert found is not None
    return found


@pytest.mark.parametrize("queue", ["mine", "all", "waiting", "closed"])
def test_a_hidden_ticket_is_in_no_total_of_the_inbox(desk: Desk, ana: Viewer, queue: str) -> None:
    with desk.services.db.read() as connection:
        assert inbox_store.inbox(connection, ana, Filter(queue=queue)).total == 0
        assert inbox_store.any_in(connection, ana, queue) is False


def test_the_menu_counts_no_hidden_ticket(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert shell_store.waiting(connection, ana, cap=10) == shell_store.Waiting(0, 0, 0)


def test_the_menu_counts_by_the_teams_that_a_person_is_in_at_that_moment(desk: Desk, ana: Viewer) -> None:
    """The same person twice, of whom the menu has a statement ready."""
    waiting = []
    for inside in (False, True, False):
        with desk.services.db.write() as connection:
            mine = (TeamMember.user == "ana", TeamMember.team == "ethics")
            connection.execute(
                insert(TeamMember).values(team="ethics", user="ana") if inside else delete(TeamMember).where(*mine)
            )
        with desk.services.db.read() as connection:
            who = people.viewer(connection, "ana")
            assert who is not None
            waiting.append(shell_store.waiting(connection, who, cap=10).mine)
    assert waiting == [0, 1, 0]


def test_tags_of_hidden_tickets_are_not_suggested(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert inbox_store.tags_in_use(connection, ana) == []


def test_values_of_hidden_tickets_are_not_counted_for_a_rule(desk: Desk, ana: Viewer) -> None:
    with desk.services.db.read() as connection:
        assert rules_store.value_counts(connection, ana, "tags", desk.clock.now()) == {}


def test_a_script_is_not_tried_on_hidden_tickets_and_their_runs_are_not_counted(
    desk: Desk, hidden: int, ana: Viewer
) -> None:
    a_run(desk, hidden)
    with desk.services.db.read() as connection:
        assert runs_store.recent_tickets(connection, ana) == []
        assert runs_store.lately(connection, ana, ["S01"]) == {"S01": dict.fromkeys(runs_store.OUTCOMES, 0)}


# The only door ----------------------------------------------------------------------------------------------------

#: What narrows a select of items to somebody's own.
DOORS = {
    "visible": "what a colleague may see",
    "may_see": "requests and what they are linked to, by `visible`",
    "_may_see": "the outbox and the mails that came, by `visible`",
    "theirs": "what a customer may see in the portal: their own published items",
}
#: Functions that read items with no door, and why nobody sees through them what they may not.
WITHOUT = {
    "web/items_store.py:progress": "counts the parts of items that `_lines` gave, which went through the door",
    "web/outbox_store.py:suggestions": "of one item, which its caller read with a viewer",
    "web/replays_store.py:_items": "`items` and `all_items` narrow it by `visible`; the opposite is only counted",
    # Workers act for nobody and decide about every item.
    "jobs/applying.py:_sent_already": "whether the automation itself has sent the same on this item",
    "jobs/erasure.py:_items": "what has to go when a person is erased, on every team's items",
    "jobs/erasure.py:_events_of_theirs": "the same, of what they wrote on tickets of others",
    "jobs/erasure.py:erase": "the same, for one person",
    "jobs/forecast.py:entries": "of one item, which its caller read with a viewer",
    "jobs/preview.py:<module>": "`_cases` narrows it by `visible`; `beside` only counts",
    "jobs/intake.py:_by_reference": "which ticket a mail answers; what may be written on it is asked afterwards",
    "jobs/intake.py:_existing": "whether there is a ticket with the number a subject names; the same",
    "jobs/outbox.py:_server": "the brand a mail leaves in the name of",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func
            yield (
                (name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""),
                node,
            )


def names(*trees: ast.AST) -> set[str]:
    return {node.id for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)}


def reads_items(tree: ast.AST) -> list[ast.Call]:
    """The calls that read the table of items, by itself, by a column, or by a name that was given one before."""
    words = {"WorkItem"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "WorkItem" in names(node.value):
            words |= names(*node.targets)
    return [
        call
        for name, call in calls(tree)
        if name in READS and words & names(*call.args, *(keyword.value for keyword in call.keywords))
    ]


READS = frozenset({"select", "join", "outerjoin", "select_from", "add_columns"})


def without_a_door(source: str) -> list[str]:
    """The functions, and `<module>` for what stands in none, that read items and go through no door."""
    module = ast.parse(source)
    functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [one.name for one in functions if reads_items(one) and not {name for name, _ in calls(one)} & DOORS.keys()]
    if any(reads_items(one) for one in module.body if not isinstance(one, ast.FunctionDef | ast.ClassDef)):
        found.append("<module>")
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def a(c): return c.execute(select(WorkItem.id))", ["a"]),
        ("def a(c): return c.execute(select(WorkItem.id).where(visible(who)))", []),
        ("def a(c): return c.execute(select(Message.id).join(WorkItem, WorkItem.id == Message.item_id))", ["a"]),
        ("def a(c): return c.execute(select(func.count()).select_from(WorkItem))", ["a"]),
        ("def a(who): return visible(who)\ndef b(c): return c.execute(select(WorkItem.__table__))", ["b"]),
        ("class A:\n def a(self): return select(aliased(WorkItem).id)", ["a"]),
        ("def a(c):\n brand = WorkItem.brand\n return c.execute(select(brand))", ["a"]),
        ("ALL = select(WorkItem.id)", ["<module>"]),
        ("def a(c): return c.execute(select(Person.id))", []),
    ],
)
def test_the_search_for_doors_finds_what_goes_through_none(source: str, found: list[str]) -> None:
    assert without_a_door(source) == found


def test_items_are_read_through_the_door_alone() -> None:
    """What forgets it shows somebody a restricted team's items."""
    parts = [*ROOT.glob("web/*.py"), *ROOT.glob("jobs/*.py")]
    found = {f"{one.parent.name}/{one.name}:{name}" for one in parts for name in without_a_door(one.read_text("utf-8"))}
    assert found == WITHOUT.keys()
