"""Which events make a table run, and which do not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rules.engine import Entry, compile_ruleset, decide
from rules.errors import OperandRefused, TableInvalid
from rules.triggers import TRIGGERS, clean_trigger
from tests.rules.desk import DESK, a_table, decided, some_facts, tagging, tags_of

MAIL = {"author": "customer", "public": True, "new_text": "hello"}
NOTE = {"author": "agent", "public": False, "new_text": "hello"}
SOLVED = {"status": ["open", "solved"]}
RUN = {"script": "double_charge", "status": "failed", "error": "x"}


def runs(trigger: dict[str, Any], kind: str, **facts: Any) -> bool:
    table = a_table([tagging("ran")], triggers=[trigger])
    return tags_of(decided(some_facts(kind=kind, **facts), table)) == ["ran"]


def timed(on: str, *, entry: str = "A01", **params: Any) -> dict[str, Any]:
    """The event of a timer that waited for this trigger."""
    rule = TRIGGERS[on].timed
    assert rule is not None
    digest = rule(clean_trigger(on, params, DESK)).digest
    return {"payload": {"entry": entry, "timer": f"{entry}:{digest}", "rule": digest, "episode": "since noon"}}


def overtaken(facts: dict[str, Any]) -> dict[str, Any]:
    return {"payload": {**facts["payload"], "overtaken": True}}


IN_TEAM = {"status": "waiting_team", "for": "72 h"}

#: trigger, what makes it run, what does not
CASES: list[tuple[dict[str, Any], tuple[str, dict[str, Any]], tuple[str, dict[str, Any]]]] = [
    ({"on": "created"}, ("created", {}), ("message", {"message": MAIL})),
    ({"on": "message"}, ("message", {"message": NOTE}), ("created", {"message": MAIL})),
    ({"on": "message", "by": "customer"}, ("message", {"message": MAIL}), ("message", {"message": NOTE})),
    (
        {"on": "message", "by": "customer"},
        ("message", {"message": MAIL}),
        ("message", {"message": {**MAIL, "author": "third_party"}}),
    ),
    ({"on": "message", "by": "anyone"}, ("message", {"message": NOTE}), ("changed", {"changes": SOLVED})),
    ({"on": "message", "visibility": "public"}, ("message", {"message": MAIL}), ("message", {"message": NOTE})),
    ({"on": "message", "visibility": "internal"}, ("message", {"message": NOTE}), ("message", {"message": MAIL})),
    ({"on": "changed"}, ("changed", {"changes": SOLVED}), ("changed", {"changes": {}})),
    ({"on": "changed"}, ("message", {"message": MAIL, "changes": SOLVED}), ("created", {"changes": SOLVED})),
    (
        {"on": "changed", "field": "ticket.status"},
        ("changed", {"changes": SOLVED}),
        ("changed", {"changes": {"team": [None, "billing"]}}),
    ),
    (
        {"on": "changed", "field": "status", "to": "solved"},
        ("changed", {"changes": SOLVED}),
        ("changed", {"changes": {"status": ["solved", "open"]}}),
    ),
    (
        {"on": "changed", "field": "status", "from": ["open", "snoozed"], "to": "solved"},
        ("script_finished", {"changes": SOLVED}),
        ("changed", {"changes": {"status": ["waiting_team", "solved"]}}),
    ),
    (
        {"on": "changed", "field": "tags", "to": "vip"},
        ("changed", {"changes": {"tags": [["a"], ["a", "vip"]]}}),
        ("changed", {"changes": {"tags": [["vip"], ["a", "vip"]]}}),
    ),
    (
        {"on": "stage_entered"},
        ("created", {"changes": {"fields.stage": [None, "collect"]}}),
        ("changed", {"changes": {"fields.stage": ["collect", None]}}),
    ),
    (
        {"on": "stage_entered", "stage": "prepare"},
        ("changed", {"changes": {"fields.stage": ["collect", "prepare"]}}),
        ("changed", {"changes": {"fields.stage": ["prepare", "review"]}}),
    ),
    (
        {"on": "request_completed", "questions": "papers"},
        ("request_completed", {"payload": {"list": "papers"}}),
        ("request_completed", {"payload": {"list": "other"}}),
    ),
    (
        {"on": "run_now"},
        ("run_now", {"payload": {"entry": "A01"}}),
        ("run_now", {"payload": {"entry": "A02"}}),
    ),
    ({"on": "linked_done"}, ("linked_done", {}), ("request_completed", {"payload": {"list": "papers"}})),
    (
        {"on": "form_answered", "form": "report"},
        ("created", {"payload": {"purpose": "form", "form": "report"}}),
        ("created", {}),
    ),
    (
        {"on": "procedure_answered"},
        ("form_answered", {"payload": {"purpose": "procedure", "form": "inquiry"}}),
        ("form_answered", {"payload": {"purpose": "form", "form": "report"}}),
    ),
    (
        {"on": "procedure_answered", "procedure": "inquiry"},
        ("form_answered", {"payload": {"purpose": "procedure", "form": "inquiry"}}),
        ("form_answered", {"payload": {"purpose": "procedure", "form": "other"}}),
    ),
    ({"on": "context_updated"}, ("context_updated", {}), ("changed", {"changes": SOLVED})),
    (
        {"on": "context_updated", "key": "billing"},
        ("context_updated", {"payload": {"keys": ["crm", "billing"]}}),
        ("context_updated", {"payload": {"keys": ["crm"]}}),
    ),
    (
        {"on": "context_updated"},
        ("changed", {"changes": SOLVED, "payload": {"keys": ["crm"]}}),
        ("script_finished", {"run": RUN, "payload": {"keys": []}}),
    ),
    ({"on": "script_finished"}, ("script_finished", {"run": RUN}), ("script_finished", {})),
    (
        {"on": "script_finished", "script": "double_charge"},
        ("script_finished", {"run": RUN}),
        ("script_finished", {"run": {**RUN, "script": "another"}}),
    ),
    (
        {"on": "script_finished", "script": "double_charge", "status": ["failed", "limit"]},
        ("script_finished", {"run": RUN}),
        ("script_finished", {"run": {**RUN, "status": "finished"}}),
    ),
    (
        {"on": "time_in_state", "status": ["waiting_team"], "for": "3 d"},
        ("timer", timed("time_in_state", **IN_TEAM)),
        ("timer", timed("time_in_state", **{**IN_TEAM, "for": "71 h"})),
    ),
    (
        {"on": "time_in_state", **IN_TEAM},
        ("timer", timed("time_in_state", **IN_TEAM)),
        ("timer", timed("time_in_state", entry="A02", **IN_TEAM)),
    ),
    (
        {"on": "no_reply", "for": "4 h"},
        ("timer", timed("no_reply", by="agent", **{"for": "4 h"})),
        ("timer", timed("no_reply", by="customer", **{"for": "4 h"})),
    ),
    (
        {"on": "no_reply", "for": "4 h"},
        ("timer", timed("no_reply", **{"for": "4 h"})),
        ("timer", overtaken(timed("no_reply", **{"for": "4 h"}))),
    ),
    (
        {"on": "before_date", "field": "due_at", "by": "2 d"},
        ("timer", timed("before_date", field="ticket.due_at", by="48 h")),
        ("timer", timed("after_date", field="ticket.due_at", by="48 h")),
    ),
    (
        {"on": "after_date", "field": "last_modified", "by": "7 d"},
        ("timer", timed("after_date", field="ticket.last_modified", by="7 d")),
        ("timer", timed("after_date", field="ticket.created_at", by="7 d")),
    ),
    (
        {"on": "sla_near", "target": "first_reply"},
        ("timer", timed("sla_near", target="first_reply")),
        ("timer", timed("sla_breached", target="first_reply")),
    ),
    (
        {"on": "sla_breached", "target": "resolution"},
        ("timer", timed("sla_breached", target="resolution")),
        ("timer", timed("sla_breached", target="next_reply")),
    ),
    (
        {"on": "schedule", "cron": "0  9 * * 1"},
        ("timer", timed("schedule", cron="0 9 * * 1")),
        ("timer", timed("schedule", cron="0 9 * * 1", zone="Europe/Paris")),
    ),
]


@pytest.mark.alike
@pytest.mark.parametrize(("trigger", "yes", "no"), CASES)
def test_a_trigger_runs_its_table_on_its_events_only(trigger: dict[str, Any], yes: Any, no: Any) -> None:
    assert runs(trigger, yes[0], **yes[1])
    assert not runs(trigger, no[0], **no[1])


def test_every_trigger_has_its_case() -> None:
    assert {case[0]["on"] for case in CASES} == set(TRIGGERS)


def test_one_of_several_triggers_is_enough() -> None:
    table = a_table([tagging("ran")], triggers=[{"on": "created"}, {"on": "message", "by": "customer"}])
    assert tags_of(decided(some_facts(), table)) == ["ran"]
    assert tags_of(decided(some_facts(kind="message", message=MAIL), table)) == ["ran"]
    assert tags_of(decided(some_facts(kind="message", message=NOTE), table)) == []


def test_a_table_runs_on_its_kind_of_item_only() -> None:
    task = some_facts({"kind": "task"})
    assert decided(task, a_table([tagging("ran")])).trace.entries == ()
    assert tags_of(decided(task, a_table([tagging("ran")], kind="any"))) == ["ran"]


def test_a_switched_off_entry_does_not_run() -> None:
    off = Entry("A01", "Triage", 1, 1, enabled=False, table=a_table([tagging("ran")]))
    assert decide(compile_ruleset(1, [off], DESK), some_facts()).fired == ()


def test_the_bare_word_on_in_yaml_is_understood() -> None:
    data = yaml.safe_load("[{on: created}]")
    assert data == [{True: "created"}]
    assert a_table([tagging("ran")], triggers=data).triggers[0].on == "created"


@pytest.mark.parametrize(
    ("trigger", "sentence"),
    [
        ({"on": "create"}, "There is no trigger 'create'. Did you mean 'created'?"),
        ({"on": "message", "by": "costumer"}, "There is no author 'costumer'. Did you mean 'customer'?"),
        ({"on": "created", "by": "customer"}, "'is created' takes no parameters, and so no 'by'."),
        ({"on": "time_in_state", "for": "3 h", "status": "opne"}, "There is no status 'opne'. Did you mean 'open'?"),
        ({"on": "time_in_state", "for": "3 h", "status": [["open"]]}, "Which is takes a text, not ['open']."),
        ({"on": "script_finished", "status": {"failed": 1}}, "Outcome takes a text, not {'failed': 1}."),
        ({"on": "no_reply", "for": "3 h", "calendar": "moon"}, "There is no calendar 'moon'."),
        ({"on": "sla_near", "target": "frist_reply"}, "There is no target 'frist_reply'. Did you mean 'first_reply'?"),
        ({"on": "message", "who": "x"}, "There is no parameter of 'message' 'who'. Allowed: by, visibility."),
        ({"on": "message", "by": ["customer", "agent"]}, "From takes one value, not 2."),
        ({"on": "changed", "to": "solved"}, "'from' and 'to' need a field."),
        ({"on": "changed", "field": "status", "to": "sloved"}, "There is no status 'sloved'. Did you mean 'solved'?"),
        ({"on": "changed", "field": "customer.email"}, "There is no ticket field 'customer.email'."),
        ({"on": "script_finished", "script": "nope"}, "There is no script 'nope'. Allowed: double_charge."),
        ({"on": "context_updated", "key": "x" * 201}, "Card takes at most 200 characters."),
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused_with_what_is_allowed(trigger: dict[str, Any], sentence: str) -> None:
    params = {key: value for key, value in trigger.items() if key != "on"}
    with pytest.raises(OperandRefused) as refused:
        clean_trigger(trigger["on"], params, DESK)
    assert str(refused.value).startswith(sentence)
    with pytest.raises(TableInvalid):
        a_table(triggers=[trigger])


def test_a_change_that_cannot_be_compared_parks_the_table_and_says_so() -> None:
    table = a_table([tagging("ran")], triggers=[{"on": "changed", "field": "fields.amount", "to": 3}])
    decision = decided(some_facts(kind="changed", changes={"fields.amount": [1, "many"]}), table)
    assert decision.fired == ()
    assert decision.notes == ("A01: its trigger could not be decided: 'many' is not a number",)
    assert decision.trace.entries[0].verdict == "parked"


@pytest.mark.parametrize(
    ("on", "params", "said"),
    [
        ("time_in_state", {"status": "open"}, "'stays in a status' needs 'for'"),
        ("time_in_state", {"for": "soon"}, "'soon' is not a duration such as 30 min"),
        ("time_in_state", {"for": "2 h", "status": "sleeping"}, "There is no"),
        ("no_reply", {"for": "2 h", "calendar": "nights"}, "There is no"),
        ("after_date", {}, "needs 'field'"),
        ("after_date", {"field": "subject"}, "There is no"),
        ("schedule", {"cron": "every day"}, "'every day' is not a schedule: it has five fields"),
        ("schedule", {"cron": "0 9 31 2 *"}, "Bad day-of-month"),
        ("schedule", {"cron": "0 9 * * *", "zone": "Mars"}, "'Mars' is not a time zone such as Europe/Paris"),
    ],
)
def test_a_time_trigger_that_says_nothing_is_refused_with_what_it_takes(on: str, params: Any, said: str) -> None:
    with pytest.raises(OperandRefused, match=said.replace("(", r"\(")):
        clean_trigger(on, params, DESK)
