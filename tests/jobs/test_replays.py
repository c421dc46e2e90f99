"""The replay lab: past tickets once more, on the live rule list and with drafts in place; nothing else is touched."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from jobs import aside, retention
from jobs.erasure import erase
from jobs.replays import lab, scratch, story, told
from jobs.replays import work as replays
from jobs.replays.work import Refused
from jobs.services import Services
from jobs.tables import ReplayRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.builders import a_ticket
from tests.jobs.desk import clock_of, item, publish, save, say, table, tick, work
from tests.jobs.lab_desk import (
    ask,
    carry_out,
    draft,
    everything_else,
    fields,
    outcomes,
    replay,
    row,
)
from tickets.tables import EventRow, User
from tickets.values import iso

LIVE = """
code: A01
name: Fires
kind: ticket
triggers: [{on: created}]
hit: first
columns: [{id: c1, field: ticket.subject, op: contains_any}]
steps: [{id: s1, do: set_priority}, {id: s2, do: post_message}]
rows: [{id: r1, if: {c1: {value: [fire]}}, then: {s1: {priority: urgent}, s2: {text: We are coming., public: true}}}]
"""
#: Two drafts, of which the second waits for what the first one does.
TAGS = """
code: A02
name: Water is wet
kind: ticket
triggers: [{on: created}]
columns: [{id: c1, field: ticket.subject, op: contains_any}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, if: {c1: {value: [water]}}, then: {s1: {tags: [wet]}}}]
"""
FOLLOWS = """
code: A03
name: What is wet is urgent
kind: ticket
triggers: [{on: changed, field: ticket.tags}]
columns: [{id: c1, field: ticket.tags, op: has_any}]
steps: [{id: s1, do: set_priority}, {id: s2, do: notify}]
rows: [{id: r1, if: {c1: {value: [wet]}}, then: {s1: {priority: high}, s2: {users: [ion], text: Bring a towel}}}]
"""
SILENT = """
code: A04
name: Nobody answered
triggers: [{on: no_reply, for: 24 h}]
steps: [{id: s1, do: add_tags}]
rows: [{id: r1, then: {s1: {tags: [late]}}}]
"""


def the_past(desk: Services) -> tuple[int, int]:
    """A fire and some water, of which the second was answered after an hour; the numbers of both."""
    table(desk, LIVE)
    fire, water = a_ticket(desk.db, subject="A fire").item_id, a_ticket(desk.db, subject="Cold water").item_id
    tick(desk)
    clock_of(desk).forward(hours=1)
    say(desk, water, "agent", by="ana")
    save(desk, water, team="billing")
    tick(desk)
    clock_of(desk).forward(days=3)
    return fire, water


def test_one_draft_sets_off_the_row_of_another_and_neither_does_anything_alone(desk: Services) -> None:
    fire, water = the_past(desk)
    draft(desk, TAGS)
    draft(desk, FOLLOWS)
    alone = outcomes(desk, replay(desk, "A03"))
    assert [one.status for one in alone.values()] == ["same", "same"]
    both = outcomes(desk, replay(desk, "A02", "A03"))
    assert (both[fire].status, both[water].status) == ("same", "changed")
    found = both[water].outcome
    assert fields(found) == {"priority": ("normal", "high"), "tags": (None, ["wet"])}
    assert (found["more"], found["less"]) == ([["notify", "ion: Bring a towel"]], [])
    assert found["rows"] == {"live": {}, "draft": {"A02/r1": 1, "A03/r1": 1}}
    told = [
        (one["what"], one.get("code") or one.get("who"), one.get("about"))
        for one in found["lines"]["draft"]
        if one["what"] in ("event", "field", "step")
    ]
    assert told == [
        ("event", "Camille Laurent", "created"),
        ("field", "A02", "tags"),
        ("step", "A03", "notify"),
        ("field", "A03", "priority"),
        ("event", "Ana Nowak", "message"),
        ("event", "Ana Nowak", "changed"),
        ("field", "Ana Nowak", "team"),
    ]
    # A step is told in its words; that it goes by e-mail or not is a switch.
    [step] = [one["text"] for one in found["lines"]["draft"] if one["what"] == "step"]
    assert step == "users: ion, text: Bring a towel"


def test_a_row_that_is_called_like_a_run_is_counted_as_the_row_it_is(desk: Services) -> None:
    """Nor is "A_2/run1" what a pattern would take it for."""
    _, water = the_past(desk)
    publish(desk, EntryKind.SCRIPT, {"code": "A_2", "name": "Does nothing", "source": "pass\n"})
    draft(desk, TAGS.replace("id: r1", "id: run1"))
    found = outcomes(desk, replay(desk, "A02"))
    assert found[water].outcome["rows"] == {"live": {}, "draft": {"A02/run1": 1}}


def test_a_timer_fires_under_the_new_list_alone_where_nobody_answered_in_time(desk: Services) -> None:
    fire, water = the_past(desk)
    draft(desk, SILENT)
    found = outcomes(desk, replay(desk, "A04"))
    assert fields(found[fire].outcome) == {"tags": (None, ["late"])}
    late = [one for one in found[fire].outcome["lines"]["draft"] if one.get("about") == "timer"]
    due = iso(item(desk, fire).created_at + timedelta(hours=24))
    assert [(one["code"], one["at"]) for one in late] == [("A04", due)]
    assert found[water].status == "same"
    assert found[water].outcome["rows"] == {"live": {}, "draft": {}}


def test_what_the_live_list_really_did_it_does_again_and_says_so(desk: Services) -> None:
    the_past(desk)
    draft(desk, LIVE.replace("urgent", "high"))
    replay_id = replay(desk, "A01")
    found = outcomes(desk, replay_id)
    assert [one.faithful for one in found.values()] == [True, True]
    with desk.db.read() as connection:
        totals = replays.totals(connection, replay_id)
    assert (totals.all, totals.changed, totals.same, totals.faithful, totals.compared) == (2, 1, 1, 2, 2)
    assert totals.rows == {"A01/r1": (1, 1)}


def test_what_the_rules_of_then_did_and_those_of_now_do_not_is_named(desk: Services) -> None:
    fire, water = the_past(desk)
    with desk.db.write() as connection:
        rule_list.switch(connection, "A01", enabled=False)
    draft(desk, TAGS)
    found = outcomes(desk, replay(desk, "A02"))
    assert (found[fire].faithful, found[water].faithful) == (False, True)
    real = found[fire].outcome["real"]
    assert fields(real) == {"priority": ("urgent", "normal")}
    assert real["less"] == [["message", "We are coming."]]


def test_the_live_desk_is_as_it_was_but_for_the_replays_own_rows(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    draft(desk, SILENT)
    replay_id = ask(desk, "A02", "A04")
    before = everything_else(desk)
    assert carry_out(desk) == 2
    assert everything_else(desk) == before
    assert row(desk, replay_id).status == "done"
    assert list((desk.settings.data / "replays").iterdir()) == []  # the scratch databases went with it


@pytest.mark.slow
def test_the_same_replay_comes_to_the_same_twice(desk: Services) -> None:
    the_past(desk)
    for one in (TAGS, FOLLOWS, SILENT):
        draft(desk, one)
    first, second = (replay(desk, "A02", "A03", "A04") for _ in range(2))
    assert [(one.status, one.outcome) for one in outcomes(desk, first).values()] == [
        (one.status, one.outcome) for one in outcomes(desk, second).values()
    ]


def test_tickets_of_a_restricted_team_are_neither_played_nor_named_to_others(desk: Services) -> None:
    table(desk, LIVE)
    seen, hidden = a_ticket(desk.db).item_id, a_ticket(desk.db, team="hr").item_id
    tick(desk)
    draft(desk, TAGS)
    replay_id = replay(desk, "A02")
    assert list(outcomes(desk, replay_id)) == [seen]
    assert row(desk, replay_id).hidden == 1
    assert list(outcomes(desk, replay(desk, "A02", by="hania"))) == [seen, hidden]


@pytest.mark.slow
def test_hidden_tickets_are_counted_up_to_a_bound(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "HIDDEN_CAP", 2)
    table(desk, LIVE)
    draft(desk, TAGS)
    seen = a_ticket(desk.db).item_id
    for count in (1, 2, 2):
        a_ticket(desk.db, team="hr")
        tick(desk)
        replay_id = replay(desk, "A02")
        assert (list(outcomes(desk, replay_id)), row(desk, replay_id).hidden) == ([seen], count)


def test_a_ticket_that_is_restricted_meanwhile_is_left_out_with_its_reason(desk: Services) -> None:
    fire, water = the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    save(desk, water, team="hr")
    carry_out(desk)
    found = outcomes(desk, replay_id)
    assert (found[fire].status, found[water].status) == ("same", "failed")
    assert found[water].outcome == {"problem": "It is not visible any more to who asked"}


def test_a_rule_list_or_a_draft_that_changes_ends_it_and_what_was_played_stays(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    of_list, of_draft = ask(desk, "A02"), ask(desk, "A02")
    replays.carry_on(desk, budget_s=0)
    assert sorted(one.status for one in outcomes(desk, of_list).values()) == ["same", "waiting"]
    with desk.db.write() as connection:
        rule_list.bump(connection)
    carry_out(desk)
    assert (row(desk, of_list).status, row(desk, of_list).problem) == ("ended", "changed")
    assert sorted(one.status for one in outcomes(desk, of_list).values()) == ["same", "waiting"]
    of_draft = ask(desk, "A02")
    draft(desk, TAGS.replace("wet", "damp"))
    assert carry_out(desk) == 0
    assert (row(desk, of_draft).status, row(desk, of_draft).problem) == ("ended", "changed")


def test_what_is_published_while_the_desks_are_furnished_ends_it_before_an_item_is_played(
    desk: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    furnish = lab._furnish

    def late(*given: Any, **more: Any) -> None:
        furnish(*given, **more)
        with desk.db.write() as connection:
            rule_list.bump(connection)

    monkeypatch.setattr(lab, "_furnish", late)
    assert carry_out(desk) == 0
    assert (row(desk, replay_id).status, row(desk, replay_id).problem) == ("ended", "changed")
    assert [one.status for one in outcomes(desk, replay_id).values()] == ["waiting", "waiting"]


@pytest.mark.slow
def test_more_lines_than_are_kept_are_said_to_be_more(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    fire, water = the_past(desk)
    draft(desk, LIVE.replace("urgent", "high"))
    monkeypatch.setattr(told, "LINES", 2)
    monkeypatch.setattr(replays, "LINES", 2)
    found = outcomes(desk, replay(desk, "A01"))
    assert [len(found[fire].outcome["lines"][side]) for side in ("live", "draft")] == [2, 2]
    assert {"what": "lines", "n": 2} in found[fire].outcome["notes"]
    assert "lines" not in found[water].outcome


def test_somebody_stops_it_and_nothing_is_played_any_more(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    with desk.db.write() as connection:
        assert replays.stop(connection, replay_id, desk.clock.now())
    assert carry_out(desk) == 0
    assert row(desk, replay_id).status == "stopped"
    assert [one.status for one in outcomes(desk, replay_id).values()] == ["waiting", "waiting"]
    with desk.db.write() as connection:
        assert not replays.stop(connection, replay_id, desk.clock.now())


def test_who_lost_its_lease_writes_nothing_and_another_goes_on(desk: Services) -> None:
    """The worker was killed, or stood still for too long, with an item in hand."""
    the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    with desk.db.write() as connection:
        until = desk.clock.now() + timedelta(seconds=replays.LEASE_S)
        dead = {"token": "of the dead", "lease_until": until, "tries": 1}
        connection.execute(update(ReplayRow).where(ReplayRow.id == replay_id).values(dead))
    assert carry_out(desk) == 0  # it is held
    held = row(desk, replay_id)
    clock_of(desk).forward(seconds=replays.LEASE_S + 1)
    assert carry_out(desk) == 2
    assert row(desk, replay_id).status == "done"
    before = outcomes(desk, replay_id)
    late = replays._Slice(desk, "of the dead", held)
    assert not late._keep(next(iter(before)), "changed", False, {})
    assert outcomes(desk, replay_id) == before


@pytest.mark.slow
def test_an_item_that_ends_whoever_plays_it_is_left_out_after_some_tries(desk: Services) -> None:
    fire, water = the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    with desk.db.write() as connection:
        connection.execute(update(ReplayRow).values(tries=replays.TRIES))
    assert carry_out(desk) == 1
    found = outcomes(desk, replay_id)
    assert (found[fire].status, found[water].status) == ("failed", "changed")
    assert found[fire].outcome["problem"] == "Whoever played it was cut off, again and again"


@pytest.mark.slow
def test_more_than_twenty_events_from_outside_are_cut_and_it_is_said(desk: Services) -> None:
    table(desk, LIVE)
    item_id = a_ticket(desk.db, subject="A fire").item_id
    work(desk)
    for number in range(story.MOST_EVENTS):
        clock_of(desk).forward(minutes=1)
        save(desk, item_id, subject=f"A fire, {number}")
    tick(desk)
    draft(desk, LIVE.replace("urgent", "high"))
    found = outcomes(desk, replay(desk, "A01"))[item_id]
    assert found.outcome["notes"] == [{"what": "events", "n": 20}]
    assert fields(found.outcome) == {"priority": ("urgent", "high")}
    assert found.faithful is True  # as far as it was told


@pytest.mark.slow
def test_a_schedule_that_ticks_on_and_on_is_cut_and_it_is_said(desk: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "MOST_MOMENTS", 12)
    table(desk, LIVE)
    item_id = a_ticket(desk.db).item_id
    work(desk)
    clock_of(desk).forward(hours=lab.MOST_MOMENTS + 10)
    draft(
        desk,
        SILENT.replace("{on: no_reply, for: 24 h}", "{on: schedule, cron: 0 * * * *, zone: UTC}"),
    )
    found = outcomes(desk, replay(desk, "A04"))[item_id]
    assert found.outcome["notes"] == [{"what": "moments", "n": 12}]
    assert fields(found.outcome) == {"tags": (None, ["late"])}


def test_a_replay_whose_time_is_over_ends_with_what_it_has(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    with desk.db.write() as connection:
        connection.execute(update(ReplayRow).values(worked_ms=int(replays.WORK_S * 1000) - 1))
    carry_out(desk)
    assert (row(desk, replay_id).status, row(desk, replay_id).problem) == ("ended", "late")
    assert "waiting" in [one.status for one in outcomes(desk, replay_id).values()]


def test_too_many_at_once_nothing_picked_and_no_draft_are_refused_and_nothing_is_written(desk: Services) -> None:
    the_past(desk)
    with pytest.raises(Refused, match="A01 has no draft"):
        ask(desk, "A01")
    with pytest.raises(Refused, match="No draft was chosen"):
        ask(desk)
    draft(desk, TAGS)
    with pytest.raises(Refused, match="No ticket that you may see was picked"):
        ask(desk, "A02", status="solved")
    with desk.db.read() as connection:
        assert connection.execute(select(ReplayRow.id)).all() == []
    for _ in range(replays.AT_ONCE):
        ask(desk, "A02")
    with pytest.raises(Refused, match="2 replays of yours are under way"):
        ask(desk, "A02")


def test_a_draft_that_cannot_be_read_is_refused_by_name_and_nothing_is_written(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS.replace("ticket.subject", "ticket.nonsense"))
    with pytest.raises(Refused, match=r"The draft of A02 cannot be read: .*nonsense"):
        ask(desk, "A02")
    with desk.db.read() as connection:
        assert connection.execute(select(ReplayRow.id)).all() == []


def changes_of(connection: Connection, item_id: int) -> list[Any]:
    query = select(EventRow.changes).where(EventRow.item_id == item_id, EventRow.seq == 1)
    return connection.execute(query).scalar_one()


def test_an_item_whose_past_fits_the_desk_no_more_is_named_and_the_others_are_played(desk: Services) -> None:
    fire, water = the_past(desk)
    with desk.db.write() as connection:
        gone = [*changes_of(connection, fire), {"field": "fields.gone", "before": None, "after": "x"}]
        connection.execute(update(EventRow).where(EventRow.item_id == fire, EventRow.seq == 1).values(changes=gone))
        team = [*changes_of(connection, water), {"field": "team", "before": None, "after": "dissolved"}]
        connection.execute(update(EventRow).where(EventRow.item_id == water, EventRow.seq == 1).values(changes=team))
    third = a_ticket(desk.db, subject="More water").item_id
    draft(desk, TAGS)
    found = outcomes(desk, replay(desk, "A02"))
    assert [found[one].status for one in (fire, water, third)] == ["failed", "failed", "changed"]
    assert "fields.gone" in found[fire].outcome["problem"]
    assert found[water].outcome == {"problem": replays.UNKNOWN_NAMES}


def test_a_person_who_left_has_nothing_played_for_them(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    with desk.db.write() as connection:
        connection.execute(update(User).where(User.key == "ana").values(active=False))
    assert carry_out(desk) == 0
    assert (row(desk, replay_id).status, row(desk, replay_id).problem) == ("ended", "gone")


@pytest.mark.slow
def test_a_replay_is_kept_for_thirty_days_and_then_gone_with_its_items(desk: Services) -> None:
    the_past(desk)
    draft(desk, TAGS)
    replay_id = replay(desk, "A02")
    clock_of(desk).forward(days=retention.REPLAY_DAYS)
    retention.prune(desk)
    assert len(outcomes(desk, replay_id)) == 2
    clock_of(desk).forward(seconds=1)
    gone = retention.prune(desk)
    assert (gone["replayed"], gone["replays"]) == (2, 1)
    with desk.db.read() as connection:
        assert replays.replay_of(connection, replay_id) is None
    assert outcomes(desk, replay_id) == {}


def test_who_is_erased_while_their_ticket_is_played_is_in_no_outcome(desk: Services) -> None:
    fire, water = the_past(desk)
    draft(desk, TAGS)
    replay_id = ask(desk, "A02")
    person = item(desk, water).state["customer"]
    assert isinstance(person, int)
    with desk.db.write() as connection:
        connection.execute(update(ReplayRow).values(token="mine"))
    under_way = replays._Slice(desk, "mine", row(desk, replay_id))
    erase(desk, person, by="a test")
    assert under_way._keep(fire, "changed", None, {"more": [["message", "Camille"]]})
    assert outcomes(desk, replay_id) == {}


@pytest.mark.parametrize("taken_by", ["the clock", "the next replay on this host"])
def test_what_a_killed_worker_left_is_taken_away_and_what_one_works_in_stays(desk: Services, taken_by: str) -> None:
    """The clock may run on another host."""
    orphan, working = scratch.new_folder(desk), scratch.new_folder(desk)
    assert orphan.stat().st_mode & 0o077 == 0
    (orphan / "scratch.db").write_bytes(b"Camille")
    old = orphan.stat().st_mtime - scratch.ORPHAN_S - 60
    os.utime(orphan, (old, old))
    if taken_by == "the clock":
        assert retention.prune(desk)["scratch"] == 1
    else:
        scratch.new_folder(desk)
    assert (orphan.exists(), working.exists()) == (False, True)
