"""What each action plans, what it refuses, and that tables and scripts go through the same door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rules.actions import ACTIONS, Call, PlannedCall, clean_params, plan, plan_calls, script_methods, step_sentence
from rules.errors import ActionRefused, TableInvalid
from tests.rules.desk import DESK, a_table, some_facts
from tickets.effects import (
    AddTo,
    AssignNext,
    CallWebhook,
    ChangeSystem,
    CreateItem,
    Effect,
    Follow,
    LinkTo,
    LookUp,
    Notify,
    PostMessage,
    RemoveFrom,
    RunScript,
    SendMail,
    SendRequest,
    SetContext,
    SetField,
    SuggestReply,
)

FACTS = some_facts({"subject": "Double charge", "tags": ["a"], "assignees": ["ion"]})

#: action, parameters, the effects
PLANS: list[tuple[str, dict[str, Any], tuple[Effect, ...]]] = [
    ("set_field", {"field": "fields.topic", "value": "refund"}, (SetField("fields.topic", "refund"),)),
    ("set_field", {"field": "ticket.subject", "value": " New  one "}, (SetField("subject", "New one"),)),
    ("set_field", {"field": "subject"}, (SetField("subject", None),)),
    ("set_field", {"field": "published", "value": True}, (SetField("published", True),)),
    ("set_field", {"field": "assignees", "value": ["ana"]}, (SetField("assignees", ["ana"]),)),
    ("set_status", {"status": "solved"}, (SetField("status", "solved"),)),
    ("set_priority", {"priority": "high"}, (SetField("priority", "high"),)),
    ("assign_team", {"team": "billing"}, (SetField("team", "billing"),)),
    ("assign", {"users": ["ana"]}, (SetField("assignees", ["ana"]),)),
    ("add_assignee", {"users": "ana"}, (AddTo("assignees", ("ana",)),)),
    ("add_tags", {"tags": ["b", " b ", "c"]}, (AddTo("tags", ("b", "c")),)),
    ("remove_tags", {"tags": ["a", "z"]}, (RemoveFrom("tags", ("a", "z")),)),
    ("post_message", {"text": "Hi {{customer.name}}"}, (PostMessage("Hi Camille", public=True),)),
    (
        "post_message",
        {"template": "E01", "public": False},
        (PostMessage("Hello Camille, ticket 4812.", False, "E01", "en", "About Double charge"),),
    ),
    ("add_note", {"text": "Look at {{ticket.subject}}"}, (PostMessage("Look at Double charge", public=False),)),
    (
        "notify",
        {"users": ["ana"], "teams": ["billing"], "text": "See {{ticket.id}}"},
        (Notify(("ana",), ("billing",), "See 4812"),),
    ),
    ("set_due_date", {"for": "2 days"}, (SetField("due_at", "2026-11-23T09:31:00.000000+00:00"),)),
    # NOW is a Saturday: two hours of work later it is Monday, eleven.
    (
        "set_due_date",
        {"for": "2 h", "calendar": "office"},
        (SetField("due_at", "2026-11-23T11:00:00.000000+00:00"),),
    ),
    ("apply_sla", {"policy": "gold"}, (SetField("sla", "gold"),)),
    (
        "snooze",
        {"for": "4 h", "answer": "team"},
        (
            SetField("status", "snoozed"),
            SetField("snoozed_until", "2026-11-21T13:31:00.000000+00:00"),
            SetField("snoozed_for", "team"),
            SetField("snoozed_from", "open"),
        ),
    ),
    *(
        (
            "snooze",
            given,
            (
                SetField("status", "snoozed"),
                SetField("snoozed_for", stored),
                SetField("snoozed_from", "open"),
            ),
        )
        for given, stored in (({"team": "billing"}, "team:billing"), ({"person": "ion"}, "person:ion"))
    ),
    ("set_published", {"published": True}, (SetField("published", True),)),
    ("archive", {"archived": True}, (SetField("archived", True),)),
    (
        "handled_without_reply",
        {"status": "solved"},
        (SetField("status", "solved"), AddTo("tags", ("no reply needed",))),
    ),
    ("assign_next", {"team": "billing", "turns": "round_robin"}, (AssignNext("billing"),)),
    ("assign_next", {"team": "billing", "turns": "fewest_open"}, (AssignNext("billing", fewest=True),)),
    ("follow", {"users": ["ana"]}, (Follow(("ana",)),)),
    (
        "create_item",
        {"kind": "project", "subject": "Reports like {{ticket.subject}}", "way": "contains"},
        (CreateItem("project", "Reports like Double charge", "contains"),),
    ),
    (
        "create_item",
        {"kind": "job", "subject": "Return", "stage": "collect", "customer": False},
        (CreateItem("job", "Return", "part_of", stage="collect", customer=False),),
    ),
    ("send_request", {"questions": "papers", "remind": "daily"}, (SendRequest("papers", remind_h=24),)),
    ("send_request", {"questions": "papers", "sign_in": True}, (SendRequest("papers", sign_in=True),)),
    ("link", {"number": "#12", "way": "part_of"}, (LinkTo(12, "part_of"),)),
    (
        "notify",
        {
            "teams": ["billing"],
            "text": "{{customer}} wrote",
            "email": True,
            "subject": "{{zone}} {{date}} {{customer}}: {{ticket.id}}",
            "comment": "Please call.",
            "brands": ["acme"],
        },
        (
            Notify(
                (),
                ("billing",),
                "Camille wrote",
                email=True,
                subject=" 2026-11-21 Camille: 4812",
                comment="Please call.",
                brands=("acme",),
            ),
        ),
    ),
    (
        "send_template",
        {"template": "E01", "to": ["customer"], "users": ["ana"], "addresses": ["Boss@shop.example"]},
        (
            SendMail(
                ("customer", "user:ana", "address:boss@shop.example"),
                {"en": ("About Double charge", "Hello Camille, ticket 4812."), "fr": ("", "Bonjour Camille.")},
                "E01",
            ),
        ),
    ),
    (
        "suggest_reply",
        {
            "text": "Hi {{customer.name}}",
            "approval": False,
            "days": ["fri", "mon"],
            "window_from": "09:00",
            "window_until": "17:30",
            "zone": "Europe/Paris",
        },
        (
            SuggestReply(
                "Hi Camille",
                False,
                window={"days": ["mon", "fri"], "from": "09:00", "until": "17:30", "zone": "Europe/Paris"},
            ),
        ),
    ),
    (
        "suggest_reply",
        {"template": "E01"},
        (SuggestReply("Hello Camille, ticket 4812.", True, "About Double charge", "E01", "en"),),
    ),
    (
        "webhook",
        {"connection": "hooks", "event": "ticket.escalated", "data": {"n": 1}},
        (
            CallWebhook(
                "hooks",
                "ticket.escalated",
                {
                    "ticket": dict(FACTS.item),
                    "customer": {key: (FACTS.customer or {}).get(key) for key in ("id", "name", "email", "language")},
                    "data": {"n": 1},
                },
            ),
        ),
    ),
    (
        "set_context",
        {"key": "billing", "data": {"n": 2}, "title": "Payments", "source": "billing.list_charges"},
        (SetContext("billing", {"n": 2}, "Payments", "billing.list_charges"),),
    ),
    (
        "set_context",
        {"key": "erp", "error": "The ERP did not answer", "data": {"n": 2}},
        (SetContext("erp", None, error="The ERP did not answer"),),
    ),
    ("run_script", {"script": "double_charge", "params": {"days": 3}}, (RunScript("double_charge", {"days": 3}),)),
    ("look_up", {"lookup": "erp.find_party"}, (LookUp("erp", "find_party", {"email": "camille@example.com"}),)),
    (
        "look_up",
        {"lookup": "erp.find_party", "args": {"email": "x@y.z"}},
        (LookUp("erp", "find_party", {"email": "x@y.z"}),),
    ),
    (
        "change_system",
        {"change": "crm.add_note", "inputs": {"text": "{{ticket.subject}}!", "amount": " 12.50 ", "times": "3"}},
        (
            ChangeSystem(
                "crm",
                "add_note",
                {"email": "camille@example.com", "text": "Double charge!", "amount": "12.50", "times": 3},
            ),
        ),
    ),
    (
        "change_system",
        {
            "change": "crm.add_note",
            "inputs": {"email": "x@y.z", "text": "a\nb", "urgent": False, "on": "2026-11-22"},
            "recheck": False,
        },
        (
            ChangeSystem(
                "crm",
                "add_note",
                {"email": "x@y.z", "text": "a\nb", "urgent": False, "on": "2026-11-22"},
                recheck=False,
            ),
        ),
    ),
]


@pytest.mark.alike
@pytest.mark.parametrize(("action", "params", "effects"), PLANS)
def test_an_action_plans_its_effects(action: str, params: dict[str, Any], effects: tuple[Effect, ...]) -> None:
    assert plan(action, params, FACTS, DESK) == effects


def test_every_action_has_its_plan() -> None:
    assert {case[0] for case in (*PLANS, *KIND_PLANS)} == set(ACTIONS)


#: action, parameters, the item's kind and state, the effects
KIND_PLANS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[Effect, ...]]] = [
    (
        "move_stage",
        {"stage": "review"},
        {"kind": "job"},
        (SetField("fields.pipeline", "tax"), SetField("fields.stage", "review")),
    ),
    (
        "move_stage",
        {"stage": "next"},
        {"kind": "job", "fields.pipeline": "tax", "fields.stage": "collect"},
        (SetField("fields.stage", "prepare"),),
    ),
    ("move_stage", {"stage": "next"}, {"kind": "job", "fields.pipeline": "tax", "fields.stage": "review"}, ()),
    ("set_approval", {"approval": "approved"}, {"kind": "timesheet"}, (SetField("fields.approval", "approved"),)),
    ("set_field", {"field": "fields.effort", "value": 3}, {"kind": "task"}, (SetField("fields.effort", 3),)),
    ("set_status", {"status": "in_progress"}, {"kind": "task"}, (SetField("status", "in_progress"),)),
]


@pytest.mark.parametrize(("action", "params", "state", "effects"), KIND_PLANS)
def test_an_action_plans_what_the_kind_of_item_has(
    action: str, params: dict[str, Any], state: dict[str, Any], effects: tuple[Effect, ...]
) -> None:
    assert plan(action, params, some_facts(state), DESK) == effects


@pytest.mark.parametrize(
    ("action", "params", "kind", "sentence"),
    [
        ("move_stage", {"stage": "review"}, "ticket", "A ticket has no stage."),
        ("set_approval", {"approval": "approved"}, "job", "A job has no approval status."),
        ("set_status", {"status": "in_progress"}, "ticket", "There is no status 'in_progress'."),
        ("set_status", {"status": "solved"}, "task", "There is no status 'solved'."),
        ("set_field", {"field": "fields.effort", "value": 3}, "ticket", "There is no ticket field 'fields.effort'."),
        ("set_field", {"field": "fields.topic", "value": "refund"}, "task", "There is no ticket field 'fields.topic'."),
        ("set_field", {"field": "fields.stage", "value": "review"}, "job", "Stage cannot be set by a rule."),
        ("assign_next", {"turns": "round_robin"}, "task", "Nobody can be next: the ticket has no team"),
        ("create_item", {"kind": "task", "subject": "x", "stage": "collect"}, "ticket", "A task has no stage"),
        ("link", {"number": "x"}, "task", "'x' is not the number of an item."),
    ],
)
def test_an_action_refuses_what_the_kind_of_item_has_not(
    action: str, params: dict[str, Any], kind: str, sentence: str
) -> None:
    with pytest.raises(ActionRefused) as refused:
        plan(action, params, some_facts({"kind": kind}), DESK)
    assert str(refused.value).startswith(sentence)


#: what is already so on FACTS
@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("set_status", {"status": "open"}),
        ("set_field", {"field": "team"}),
        ("assign", {"users": ["ion"]}),
        ("add_tags", {"tags": ["a"]}),
        ("remove_tags", {"tags": ["z"]}),
    ],
)
def test_a_step_that_would_change_nothing_plans_nothing(action: str, params: dict[str, Any]) -> None:
    assert plan(action, params, FACTS, DESK) == ()


def test_assign_replaces_and_add_assignee_adds() -> None:
    [replaced] = plan("assign", {"users": ["ana"]}, FACTS, DESK)
    [added] = plan("add_assignee", {"users": ["ana"]}, FACTS, DESK)
    assert (replaced, added) == (SetField("assignees", ["ana"]), AddTo("assignees", ("ana",)))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("snooze", {"answer": "team", "team": "billing"}, "A ticket sleeps until one answer"),
    ("snooze", {"team": "billing", "person": "ion"}, "A ticket sleeps until one answer"),
    ("snooze", {"person": "nobody"}, "There is no awaited colleague 'nobody'. Allowed: ana, ion."),
    ("notify", {"users": ["ana"], "text": "x", "comment": "y"}, "A subject, a comment and the suggested reply are of"),
    (
        "notify",
        {"users": ["ana"], "text": "x", "email": True, "subject": "{{secret}}"},
        "There is no placeholder 'secret'",
    ),
    ("post_message", {"text": "{{zone}}"}, "There is no placeholder 'zone'"),
    ("send_template", {"template": "E01"}, "Say who gets it"),
    ("send_template", {"template": "E01", "addresses": ["nobody"]}, "'nobody' is not an e-mail address."),
    ("suggest_reply", {}, "A suggested reply takes either a text or a template"),
    ("suggest_reply", {"text": "x", "window_from": "9 o'clock"}, '"9 o\'clock" is no time of the day'),
    ("suggest_reply", {"text": "x", "zone": "Mars/Olympus"}, "There is no time zone 'Mars/Olympus'"),
    ("suggest_reply", {"text": "x", "days": ["someday"]}, "There is no send window: days 'someday'."),
    ("webhook", {"connection": "hooks", "event": "a b"}, "An event's name has letters"),
    ("webhook", {"connection": "crm", "event": "a"}, "There is no connection 'crm'."),
    ("asign", {}, "There is no action 'asign'. Did you mean 'assign'?"),
    ("assign_team", {}, "Assign team needs team."),
    ("assign_team", {"team": "Biling"}, "There is no team 'Biling'. Did you mean 'billing'?"),
    ("assign_team", {"team": ["billing"]}, "Team takes a text, not list."),
    ("assign_team", {"team": "billing", "user": "x"}, "There is no parameter of 'assign_team' 'user'. Allowed: team."),
    ("assign", {"users": []}, "Assign needs people."),
    ("assign", {"users": ["anna"]}, "There is no people 'anna'. Did you mean 'ana'?"),
    ("set_status", {"status": "pending"}, "There is no status 'pending'."),
    ("set_field", {"field": "statsu", "value": "open"}, "There is no ticket field 'statsu'."),
    ("set_field", {"field": "customer", "value": 3}, "Customer cannot be set by a rule."),
    ("set_field", {"field": "team", "value": "nope"}, "There is no team 'nope'."),
    ("set_field", {"field": "assignees", "value": ["nope"]}, "There is no assignees 'nope'."),
    ("set_field", {"field": "fields.amount", "value": "3"}, "Amount takes a number, not '3'."),
    ("add_tags", {"tags": [1]}, "Tags takes a list of texts."),
    ("add_tags", {"tags": ["x" * 201]}, "Tags: each has at most 200 ordinary characters."),
    ("add_tags", {"tags": [f"t{at}" for at in range(101)]}, "Tags takes at most 100, not 101."),
    ("add_tags", {"tags": [" "]}, "Tags needs at least one."),
    ("post_message", {}, "A message takes either a text or a template, and one of them."),
    ("post_message", {"text": "x", "template": "E01"}, "A message takes either a text or a template"),
    ("post_message", {"template": "E99"}, "There is no template 'E99'. Allowed: E01."),
    ("post_message", {"text": "x", "public": "yes"}, "Public takes yes or no. Write true or false."),
    (
        "set_field",
        {"field": "published", "value": "yes"},
        "Published takes yes or no, written true or false, not 'yes'.",
    ),
    ("add_note", {"text": "x" * 20_001}, "Text takes at most 20000 characters, not 20001."),
    (
        "add_note",
        {"text": "Hi {{customer.nmae}}"},
        "There is no placeholder 'customer.nmae'.",
    ),
    ("notify", {"text": "x"}, "Name at least one user or team to notify."),
    ("set_context", {"key": "a b", "data": 1}, "A card's key has up to 40 letters, digits, - and _."),
    ("set_context", {"key": "a"}, "A card takes data, or the error that says why there are none."),
    ("set_context", {"key": "a", "data": "x" * 70_000}, "Data takes at most 64000 characters."),
    ("set_context", {"key": "a", "data": {"x": float("inf")}}, "Data.x is not a finite number."),
    ("set_context", {"key": "a", "data": {"x": object()}}, "Data.x is a object, which cannot be stored."),
    ("run_script", {"script": "nope"}, "There is no script 'nope'. Allowed: double_charge."),
    ("run_script", {"script": "double_charge", "params": [1]}, "A script's parameters are names with values."),
    ("look_up", {"lookup": "erp.find"}, "There is no lookup 'erp.find'."),
    ("look_up", {"lookup": "erp.find_party", "args": {"mail": 1}}, "There is no input of erp.find_party 'mail'."),
    ("look_up", {"lookup": "billing.list_charges"}, "billing.list_charges needs limit."),
    ("change_system", {"change": "crm.put"}, "There is no change 'crm.put'."),  # a whole body: for scripts
    ("change_system", {"change": "crm.add_note"}, "crm.add_note needs text."),
    ("change_system", {"change": "crm.add_note", "inputs": ["x"]}, "The inputs of a change are names with values."),
    ("change_system", {"change": "crm.add_note", "inputs": {"texts": "x"}}, "There is no input of crm.add_note"),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "x", "on": "soon"}}, "On takes a date, YYYY-MM"),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "x", "times": "1.5"}}, "Times takes a whole numb"),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "x", "urgent": "no"}}, "Urgent takes yes or no."),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "x", "amount": "NaN"}}, "Amount takes an amount"),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "{{x}}"}}, "There is no placeholder 'x'."),
    (
        "change_system",
        {"change": "crm.add_note", "inputs": {"text": "{{ticket.id}}" * 21}},
        "Text takes at most 20 placeholders, not 21.",
    ),
    ("change_system", {"change": "crm.add_note", "inputs": {"text": "x" * 20_001}}, "Text takes at most 20000 char"),
]


@pytest.mark.alike
@pytest.mark.parametrize(("action", "params", "sentence"), REFUSED)
def test_what_makes_no_sense_is_refused_with_a_sentence(action: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ActionRefused) as refused:
        plan(action, params, FACTS, DESK)
    assert str(refused.value).startswith(sentence)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("action", "params", "sentence"), [case for case in REFUSED if case[0] in ACTIONS and "{{" not in str(case[1])]
)
def test_a_table_and_a_script_are_refused_alike(action: str, params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TableInvalid) as invalid:
        a_table([{"id": "r1", "then": {"s1": params}}], columns=[], steps=[{"id": "s1", "do": action}])
    assert [one for one in invalid.value.problems if one.where == {"row": "r1", "column": "s1"}]
    with pytest.raises(ActionRefused) as refused:
        plan_calls([Call(action, params, 3)], FACTS, DESK)
    assert str(refused.value).startswith(f"Line 3: {sentence}")


def test_a_template_speaks_the_tickets_language_where_it_can() -> None:
    def language(state: dict[str, Any], customer: dict[str, Any] | None = None) -> str:
        [effect] = plan("post_message", {"template": "E01"}, some_facts(state, customer=customer), DESK)
        assert isinstance(effect, PostMessage)
        return effect.language

    assert language({"language": "fr"}) == "fr"
    assert language({}, {"name": "Camille", "language": "fr"}) == "fr"
    assert language({"language": "pl"}) == "en"


def test_a_lookup_with_nothing_to_ask_with_plans_nothing() -> None:
    assert plan("look_up", {"lookup": "erp.find_party"}, some_facts(customer={"name": "Camille"}), DESK) == ()


def test_a_scripts_text_is_sent_as_it_is() -> None:
    """What a customer wrote may stand in it, and must not be read as a placeholder."""
    text = "The customer wrote: {{ticket.assignees}} {{nonsense"
    [planned] = plan_calls([Call("add_note", {"text": text}, 3)], FACTS, DESK)
    assert planned.effects == (PostMessage(text, public=False),)
    with pytest.raises(ActionRefused):
        plan("add_note", {"text": text}, FACTS, DESK)


def test_a_scripts_calls_see_what_the_ones_before_staged() -> None:
    calls = [Call("add_tags", {"tags": ["x"]}, 1), Call("add_tags", {"tags": ["x"]}, 2)]
    assert plan_calls(calls, FACTS, DESK) == (
        PlannedCall(calls[0], (AddTo("tags", ("x",)),)),
        PlannedCall(calls[1], ()),
    )


def test_one_refused_call_refuses_the_run_and_names_its_line() -> None:
    with pytest.raises(ActionRefused) as refused:
        plan_calls([Call("add_tags", {"tags": ["x"]}, 1), Call("assign_team", {"team": "x"}, 7)], FACTS, DESK)
    assert str(refused.value).startswith("Line 7: There is no team 'x'.")


def test_a_script_has_the_limit_of_effects_too() -> None:
    calls = [Call("add_note", {"text": "x"}, line) for line in range(3)]
    assert len(plan_calls(calls, FACTS, DESK, effects_left=3)) == 3
    with pytest.raises(ActionRefused, match="Line 2: this chain of events may not do more"):
        plan_calls(calls, FACTS, DESK, effects_left=2)


def test_script_methods_are_exactly_the_catalogue() -> None:
    methods = {method.name: method for method in script_methods(DESK)}
    assert set(methods) == {key for key, action in ACTIONS.items() if action.in_scripts}
    assert set(ACTIONS) - set(methods) == {"change_system"}  # a method of the connection, under its own grant
    assert [(one.name, one.type, one.required) for one in methods["set_context"].params] == [
        ("key", "text", True),
        ("data", "json", False),
        ("title", "text", False),
        ("source", "text", False),
        ("error", "text", False),
    ]
    assert methods["assign_team"].params[0].doc == "The team. One of: billing, first_line, platform."


def test_form_fields_offer_what_this_desk_has() -> None:
    [team] = ACTIONS["assign_team"].form(DESK)
    assert (team.key, team.label, team.type, team.required, team.options) == (
        "team",
        "Team",
        "choice",
        True,
        DESK.teams,
    )
    assert "ticket.customer" not in (ACTIONS["set_field"].form(DESK)[0].options or {})


def test_a_script_changes_a_system_by_its_own_name_with_values_as_they_are() -> None:
    call = Call("crm.add_note", {"email": "x@y.z", "text": "{{ticket.subject}}", "times": 2}, 4)
    [planned] = plan_calls([call], FACTS, DESK)
    assert planned.effects == (
        ChangeSystem("crm", "add_note", {"email": "x@y.z", "text": "{{ticket.subject}}", "times": 2}, recheck=False),
    )
    assert step_sentence("crm.add_note", call.params, DESK).startswith("Change in a system: CRM: Add a note")


@pytest.mark.parametrize(
    ("action", "params", "refusal"),
    [
        ("crm.add_note", {"text": "x"}, "crm.add_note needs email."),  # nothing is filled in for a script
        ("crm.add_note", {"email": "x@y.z", "text": "x", "by": "me"}, "There is no input of crm.add_note 'by'."),
        ("crm.drop", {}, "There is no change 'crm.drop'."),
        ("change_system", {"change": "crm.add_note", "inputs": {"email": "x@y.z", "text": "x"}}, None),
    ],
)
def test_a_scripts_change_is_refused_with_its_line(action: str, params: dict[str, Any], refusal: str | None) -> None:
    if refusal is None:
        assert action not in {method.name for method in script_methods(DESK)}
        return
    with pytest.raises(ActionRefused) as refused:
        plan_calls([Call(action, params, 7)], FACTS, DESK)
    assert str(refused.value).startswith(f"Line 7: {refusal}")


def test_a_change_whose_input_is_missing_or_wrong_on_this_ticket_is_refused() -> None:
    nobody = some_facts({"subject": "x"}, customer={"name": "Camille"})
    with pytest.raises(ActionRefused, match=r"crm\.add_note needs email"):
        plan("change_system", {"change": "crm.add_note", "inputs": {"text": "x"}}, nobody, DESK)
    unasked: dict[str, Any] = {"change": "crm.add_note", "inputs": {"text": "{{erp.find_party.tier}}"}}
    with pytest.raises(ActionRefused, match="Tier is not known"):
        plan("change_system", unasked, FACTS, DESK)
    wrong: dict[str, Any] = {"change": "crm.add_note", "inputs": {"text": "x", "amount": "{{ticket.subject}}"}}
    with pytest.raises(ActionRefused, match=r"Amount takes an amount like 64\.90, not 'Double charge'"):
        plan("change_system", wrong, FACTS, DESK)


def test_money_of_another_system_is_sent_exactly_as_it_was_read() -> None:
    facts = some_facts(
        lookups={"erp.find_party": {"state": "known", "data": {"receivable": "0.10"}, "fetched_at": "", "reason": ""}}
    )
    inputs = {"text": "owes {{erp.find_party.receivable}}", "amount": "{{erp.find_party.receivable}}"}
    [effect] = plan("change_system", {"change": "crm.add_note", "inputs": inputs}, facts, DESK)
    assert isinstance(effect, ChangeSystem)
    assert (effect.args["amount"], effect.args["text"]) == ("0.10", "owes 0.10")


def test_cleaning_is_idempotent() -> None:
    for action, params, _ in PLANS:
        once = clean_params(action, params, DESK)
        assert clean_params(action, once, DESK) == once


def test_a_step_reads_as_a_sentence() -> None:
    assert step_sentence("assign_team", {"team": "billing"}, DESK) == "Assign team: Billing"
    card: dict[str, Any] = {
        "key": "orders",
        "data": [{"number": "20-7714"}],
        "title": "Orders",
        "source": "erp.list_orders",
    }
    assert step_sentence("set_context", card, DESK) == "Set context: orders · Orders · erp.list_orders"
    assert step_sentence("post_message", {"template": "E01", "public": False}, DESK) == (
        "Post message: Refund received · not public"
    )


def test_a_template_without_any_text_is_refused_when_it_is_sent() -> None:
    empty = replace(DESK, templates={"E01": replace(DESK.templates["E01"], texts={})})
    with pytest.raises(ActionRefused, match="The template E01 has no text in any language"):
        plan("post_message", {"template": "E01"}, FACTS, empty)
