"""Loading plays the history through the product; loading twice or into somebody's desk changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, distinct, func, select
from sqlalchemy.orm import InstrumentedAttribute

from jobs import live
from jobs.automove import pending
from jobs.demo import desk as demo_desk
from jobs.demo import load, places, projects
from jobs.demo.errors import AlreadyLoaded, NotOurs
from jobs.runs import script_api
from jobs.services import Services, build
from jobs.tables import DecisionRow, OutboxRow, RunRow
from rules import store as rule_list
from rules.as_python import as_python
from rules.from_python import from_python
from rules.lint import lint
from rules.parse import parse_table, problems
from tests.builders import FrozenClock, a_user
from tests.demo.conftest import NOW, TICKETS, Played, made_places, settings_for
from tests.environment.databases import MakeDatabase
from tickets import people, store
from tickets.item import ItemKind
from tickets.kinds import STAGE
from tickets.tables import EventRow, History, Lane, Message, WorkItem
from tickets.values import JSON
from tickets.visibility import visible
from web import shipped
from web.recipes import recipes


def count(connection: Connection, column: Any, *where: ColumnElement[bool] | InstrumentedAttribute[bool]) -> int:
    return connection.execute(select(func.count(column)).where(*where)).scalar_one()


def test_the_history_was_decided_by_the_product_and_is_at_rest(desk: Services, played: Played) -> None:
    with desk.db.read() as connection:
        assert count(connection, WorkItem.id, WorkItem.kind == ItemKind.TICKET) == TICKETS
        assert (
            played.loaded.figures["events"]
            == count(connection, EventRow.id)
            == count(connection, distinct(DecisionRow.event_id))
        )
        assert count(connection, EventRow.id, EventRow.status != "done") == 0
        assert count(connection, Lane.item_id, Lane.due_at <= NOW) == 0
        # What automations did carries its table, row or run.
        causes = connection.execute(select(History.cause)).scalars().all()
        assert {cause["kind"] for cause in causes} == {"person", "table", "script", "system"}
        assert all(cause["row"] for cause in causes if cause["kind"] == "table")
        times = connection.execute(select(func.min(EventRow.at), func.max(EventRow.at))).one()
        assert times[1] <= NOW


def test_every_ticket_got_a_team_and_most_an_answer(desk: Services) -> None:
    with desk.db.read() as connection:
        assert count(connection, WorkItem.id, WorkItem.team.is_(None)) == 0
        statuses = set(connection.execute(select(WorkItem.status).distinct()).scalars())
        assert {"open", "solved", "closed"} <= statuses
        answered = count(connection, distinct(Message.item_id), Message.author_kind == "agent", Message.public)
        assert answered > TICKETS // 2
        assert count(connection, RunRow.id, RunRow.status == "finished") > 3


def test_jobs_stand_in_stages_of_two_pipelines_and_some_got_there_by_themselves(desk: Services) -> None:
    with desk.db.read() as connection:
        jobs = connection.execute(select(WorkItem.id, WorkItem.fields).where(WorkItem.kind == ItemKind.JOB)).all()
        pipelines = store.pipelines(connection)
        moved = connection.execute(
            select(History.item_id).where(History.cause["label"].as_string() == "Automove", History.field == STAGE)
        ).all()
    assert len(jobs) == len(projects.PLANS)
    assert {one.fields["pipeline"] for one in jobs} == set(pipelines) == {"lighting", "trade"}
    stages = {one.fields["stage"] for one in jobs}
    assert {"first_call", "measures", "plan", "handed_over", "papers", "credit_check"} <= stages
    held = {one.fields["job_status"] for one in jobs if "job_status" in one.fields}
    assert held == {"waiting_electrician", "customer_thinks", "papers_missing"}
    assert len(moved) >= 5
    with desk.db.read() as connection:
        # A bank debit under way is pending: the pipeline waits until it is cleared.
        paying = [one.id for one in jobs if one.fields["stage"] == "plan"]
        open_parts = [pending(connection, store.read_item(connection, number)) for number in paying]
    assert open_parts == [(2, 1), (2, 1)]


def test_no_mail_of_the_played_month_is_ever_sent(desk: Services) -> None:
    with desk.db.read() as connection:
        assert count(connection, OutboxRow.id, OutboxRow.status == "cancelled") > TICKETS // 2
        assert count(connection, OutboxRow.id, OutboxRow.status != "cancelled") == 0


def test_one_row_of_the_triage_table_is_never_reached_and_nothing_else_is_wrong(desk: Services) -> None:
    with desk.db.read() as connection:
        words = live.vocabulary(connection)
        assert live.load(connection, rule_list.revision(connection)).broken == {}
    found = [
        (name, problem.where.get("row"), problem.code)
        for name in demo_desk.TABLES
        for problem in lint(parse_table(demo_desk.table(name), words), words)
    ]
    assert found == [("A01_triage", "gold-twice", "unreachable")]
    with desk.db.read() as connection:
        fired = connection.execute(select(History.cause)).scalars().all()
    assert "gold-twice" not in {cause["row"] for cause in fired}


#: What ships and no script can say: rows that do not fire every time.
NOT_AS_SCRIPTS = {"O27_due_date_moved", "W12_time_in_status"}


def test_what_ships_is_python_that_the_sandbox_takes_and_reads_back_as_the_same(desk: Services) -> None:
    """N10 on a corpus: the demo's tables, those of a new desk, and the recipes that this desk has the words for."""
    with desk.db.read() as connection:
        known = live.load(connection, rule_list.revision(connection))
    shipping: dict[str, Mapping[str, Any]] = {name: demo_desk.table(name) for name in demo_desk.TABLES}
    shipping |= {one.code: one.content for one in shipped.defaults()}
    shipping |= {key: {**one.draft, "code": "R1"} for key, one in recipes().items()}
    words = known.vocabulary
    shipping = {name: data for name, data in shipping.items() if not problems(data, words)}
    assert len(shipping) > 10
    left = set()
    for name, data in shipping.items():
        table = parse_table(data, words)
        written = as_python(table, words)
        if written.missing:
            left.add(name)
            continue
        checked = desk.sandbox.check(written.source, script_api(known))
        assert [one.message for one in checked.problems if one.severity == "error"] == [], name
        around: dict[str, JSON] = {
            key: data[key] for key in ("code", "name", "kind", "triggers", "scope") if key in data
        }
        again = parse_table(from_python(written.source, around, words), words)
        assert as_python(again, words).source == written.source, name
    assert left == NOT_AS_SCRIPTS


def test_the_scripts_pass_the_check_of_the_sandbox(desk: Services) -> None:
    with desk.db.read() as connection:
        api = script_api(live.load(connection, rule_list.revision(connection)))
    for _name, file in demo_desk.SCRIPTS.values():
        assert desk.sandbox.check(demo_desk.script(file), api).problems == ()


def test_tables_and_scripts_have_versions_from_before_and_within_the_month(desk: Services) -> None:
    with desk.db.read() as connection:
        assert [one.version for one in rule_list.versions(connection, "A01")] == [2, 1]
        assert [one.version for one in rule_list.versions(connection, "S02")] == [2, 1]
        assert all(one.draft is None for one in rule_list.entries(connection))
        decided = set(connection.execute(select(DecisionRow.revision)).scalars())
        assert len(decided) == 3


def test_the_restricted_teams_tickets_are_hidden_from_the_manager(desk: Services) -> None:
    with desk.db.write() as connection:
        ticket = connection.execute(select(WorkItem.id).limit(1)).scalar_one()
        connection.execute(WorkItem.__table__.update().where(WorkItem.id == ticket).values(team="hr"))  # type: ignore[attr-defined]
        ana, helen = people.viewer(connection, "ana"), people.viewer(connection, "helen")
        assert ana is not None
        assert helen is not None
        assert count(connection, WorkItem.id, WorkItem.id == ticket, visible(ana)) == 0
        assert store.read_item(connection, ticket, viewer=helen).id == ticket


def test_how_to_sign_in_is_written_for_the_owner_alone(played: Played) -> None:
    path = played.folder / "sign-in.txt"
    assert path == played.loaded.sign_in
    assert (path.stat().st_mode & 0o777) == 0o600
    assert f"Password: {played.loaded.password}\n" in path.read_text()
    assert len(played.loaded.password.split("-")) == 4


def test_loading_again_changes_nothing_and_says_so(desk: Services) -> None:
    before = places.path(desk.settings.data).read_bytes()
    with pytest.raises(AlreadyLoaded, match="loaded already"):
        load.load(desk, lambda _password: "another hash")
    assert places.path(desk.settings.data).read_bytes() == before
    with desk.db.read() as connection:
        assert count(connection, WorkItem.id, WorkItem.kind == ItemKind.TICKET) == TICKETS


@pytest.mark.slow
def test_a_load_that_was_cut_short_begins_anew(desk: Services) -> None:
    (places.path(desk.settings.data).parent / "unfinished").touch()
    again = load.load(desk, lambda _password: "hash", count=3)
    assert again.figures["tickets"] == 3
    with desk.db.read() as connection:
        assert count(connection, WorkItem.id, WorkItem.kind == ItemKind.TICKET) == 3
    with pytest.raises(AlreadyLoaded):
        load.load(desk, lambda _password: "hash", count=3)


def test_a_marker_left_behind_does_not_cost_anybody_their_desk(desk: Services) -> None:
    (places.path(desk.settings.data).parent / "unfinished").touch()
    with desk.db.write() as connection:
        a_user(connection, "mine")
    with pytest.raises(AlreadyLoaded):
        load.load(desk, lambda _password: "hash", count=3)
    with desk.db.read() as connection:
        assert count(connection, WorkItem.id, WorkItem.kind == ItemKind.TICKET) == TICKETS


def test_reset_empties_the_demo_desk(desk: Services) -> None:
    load.reset(desk)
    with desk.db.read() as connection:
        assert demo_desk.is_empty(connection)
        assert rule_list.revision(connection) == 0
    assert not (desk.settings.data / "sign-in.txt").exists()


@pytest.mark.postgres
def test_the_demo_loads_and_resets_on_postgresql(make_database: MakeDatabase, played: Played, tmp_path: Path) -> None:
    made_places(tmp_path)
    built = build(settings_for(tmp_path, make_database("postgres"), played.socket), clock=FrozenClock(NOW))
    try:
        assert load.load(built, lambda _password: "hash", count=8).figures["tickets"] == 8
        with built.db.read() as connection:
            assert count(connection, EventRow.id, EventRow.status != "done") == 0
        load.reset(built)
        with built.db.read() as connection:
            assert demo_desk.is_empty(connection)
    finally:
        built.close()


def test_a_desk_of_somebodys_own_is_neither_filled_nor_emptied(make_database: MakeDatabase, tmp_path: Path) -> None:
    built = build(settings_for(tmp_path, make_database("sqlite")), clock=FrozenClock(NOW))
    try:
        with built.db.write() as connection:
            a_user(connection, "mine")
        with pytest.raises(NotOurs, match="data of its own"):
            load.load(built, lambda _password: "hash")
        with pytest.raises(NotOurs, match="Nothing was deleted"):
            load.reset(built)
        assert not places.path(tmp_path).exists()
        with built.db.read() as connection:
            assert people.viewer(connection, "mine") is not None
            assert people.viewer(connection, "ana") is None
    finally:
        built.close()
