"""Placeholders are names only: filled in once, unknown ones refused at save, missing ones reported."""

from __future__ import annotations

import pytest

from rules.fields import all_fields
from rules.templates import GROUPS, Rendered, placeholders, render, text_problems
from tests.rules.desk import DESK, NOW, some_facts

FACTS = some_facts({"subject": "Facture", "team": "billing", "tags": ["a", "b"], "published": True, "due_at": NOW})


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Hello {{customer.name}}!", "Hello Camille!"),
        ("{{ ticket.id }}", "4812"),
        ("{{ticket.status}} {{ticket.team}}", "Open Billing"),
        ("{{ticket.tags}}", "a, b"),
        ("{{ticket.published}}", "yes"),
        ("{{ticket.due_at}}", "2026-11-21 09:31 UTC"),
        ("no placeholder { } {x}", "no placeholder { } {x}"),
    ],
)
def test_names_are_filled_in_as_people_read_them(text: str, result: str) -> None:
    assert text_problems(text, DESK) == []
    assert render(text, FACTS, DESK) == Rendered(result)


def test_a_name_without_a_value_becomes_nothing_and_is_reported_once() -> None:
    assert render("{{ticket.location}}-{{ticket.location}}", FACTS, DESK) == Rendered("-", ("ticket.location",))


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Hello {{customer.name}},", "Hello,"),
        ("Hello {{customer.name}} {{customer.email}}.", "Hello ."),
        ("Hello {{customer.name}} there", "Hello  there"),
        ("{{customer.name}}, hello", ", hello"),
    ],
)
def test_somebody_without_a_name_is_greeted_without_a_gap(text: str, result: str) -> None:
    assert render(text, some_facts({}, customer={"id": 1, "name": None, "email": None}), DESK).text == result


def test_a_value_is_never_looked_through_for_placeholders() -> None:
    facts = some_facts({"subject": "{{customer.email}} {{ticket.subject}}"})
    assert render("{{ticket.subject}}", facts, DESK).text == "{{customer.email}} {{ticket.subject}}"


def test_nothing_is_escaped_in_plain_text() -> None:
    assert render("{{ticket.subject}}", some_facts({"subject": "<b>&"}), DESK).text == "<b>&"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{custmer.name}}", "There is no placeholder 'custmer.name'. Did you mean 'customer.name'?"),
        ("{{event.actor}}", "There is no placeholder 'event.actor'."),
        ("{{erp.find_party.tier}}", "There is no placeholder 'erp.find_party.tier'."),
        ("{{ticket.__class__}}", "There is no placeholder 'ticket.__class__'."),
        ("{{ticket.id|upper}}", "There is no placeholder 'ticket.id|upper'."),
        ("{{}}", "There is no placeholder ''."),
        ("Hello {{customer.name", "A placeholder is opened with {{ but not closed with }}."),
        ("x" * 20_001, "A text has at most 20000 characters, not 20001."),
        ("{{ticket.id}}" * 101, "A text has at most 100 placeholders, not 101."),
    ],
)
def test_a_text_that_cannot_be_rendered_has_its_problem(text: str, problem: str) -> None:
    [sentence] = text_problems(text, DESK)
    assert sentence.startswith(problem)


def test_a_forbidden_name_renders_as_nothing_even_when_it_was_saved_before() -> None:
    facts = some_facts(lookups={"erp.find_party": {"state": "known", "data": {"tier": "gold"}}})
    assert render("{{erp.find_party.tier}}", facts, DESK) == Rendered("", ("erp.find_party.tier",))


def test_the_result_has_a_bound() -> None:
    facts = some_facts({"subject": "x" * 500})
    rendered = render("{{ticket.subject}}" * 200, facts, DESK)
    assert (len(rendered.text), rendered.cut) == (60_000, True)


def test_the_menu_of_placeholders_is_the_ticket_and_its_customer() -> None:
    keys = {one.key for one in placeholders(DESK)}
    assert keys == {one.key for one in all_fields(DESK) if one.key.split(".")[0] in GROUPS}
    assert {"ticket.fields.topic", "customer.name"} <= keys
