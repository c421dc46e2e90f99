"""What the editor shows before anything runs: every problem with its place, and the manifest."""

from __future__ import annotations

import pytest

from sandbox.client import Sandbox
from sandbox.contract import Manifest, ScriptApi
from sandbox.limits import Limits
from sandbox.messages import translated
from tests.sandbox.hosts import API, Host


def test_a_sound_script_has_no_problems_and_a_manifest(host: Host) -> None:
    source = (
        'found = crm.find_customer(email=customer.email)\nif found is None and ticket.status == "open":\n'
        '    ticket.add_tags(["unknown"])\n    print(ticket.fields["order"], ticket["priority"], event.get("kind"))\n'
        'for order in erp.list_orders(customer["email"], limit=5):\n    ticket.add_note(order.id)\n'
    )
    checked = host.sandbox.check(source, API)
    assert checked.problems == ()
    assert checked.ok
    assert checked.manifest == Manifest(
        fields_read=("customer.email", "event.kind", "ticket.fields.order", "ticket.priority", "ticket.status"),
        actions=("add_note", "add_tags"),
        operations=("crm.find_customer", "erp.list_orders"),
    )


def test_a_card_by_its_key_is_that_card_and_the_cards_are_all_of_them(host: Host) -> None:
    named = host.sandbox.check('print(ticket.context["crm.find_customer"].data, ticket.context["a b"])', API)
    assert named.manifest.fields_read == ("ticket.context.a b", "ticket.context.crm.find_customer")
    for source in ('print(ticket.context.get("crm"))', "print(ticket.context.crm)", 'print("crm" in ticket.context)'):
        assert host.sandbox.check(source, API).manifest.fields_read == ("ticket.context",)


def test_what_the_text_hides_is_in_the_manifest_as_a_star(host: Host) -> None:
    source = "t = ticket\nc = crm\nfor key in customer:\n    print(key)\nprint(event.items())\n"
    assert host.sandbox.check(source, API).manifest == Manifest(
        fields_read=("customer.*", "event.*", "ticket.*"),
        actions=("*",),
        operations=("crm.*",),
        changes=("crm.delete_customer",),  # by its name: no star stands for what changes a system
    )


def test_more_facts_than_a_manifest_holds_are_a_star_and_not_left_out(host: Host) -> None:
    lines = [f"print(ticket.fields['x{number}'], customer.name)" for number in range(600)]
    manifest = host.sandbox.check("\n".join(lines), API).manifest
    assert manifest.fields_read == ("customer.*", "ticket.*")
    assert len(host.sandbox.check("\n".join(lines[:400]), API).manifest.fields_read) == 401


def test_asking_whether_there_is_one_hands_nothing_on(host: Host) -> None:
    source = "if not customer or customer is None:\n    stop()\nx = 1 if customer and event else 2\n"
    assert host.sandbox.check(source, API).manifest.fields_read == ()
    assert host.sandbox.check("x = customer or 1\n", API).manifest.fields_read == ("customer.*",)


PROBLEMS = {
    "syntax": ("x = 1\ny = (2\n", ("SYNTAX", 2, 4, "'(' was never closed")),
    "indent": ("if 1:\nx = 1\n", ("SYNTAX", 2, 0, "expected an indented block after 'if' statement on line 1")),
    "return": ("x = 1\nreturn x\n", ("SYNTAX", 2, 0, "'return' outside function")),
    "name": ("x = 1\nprint(x, foo)\n", ("NAME", 2, 9, "Nothing is called 'foo' here")),
    "private": ("x = ticket._id\n", ("FORBIDDEN", 1, 4, "The attribute '_id' starts with an underscore")),
    "import": ("import os\n", ("FORBIDDEN", 1, 0, "os cannot be imported")),
    "with": ("with crm: pass\n", ("FORBIDDEN", 1, 0, "Scripts have no with")),
    "match": ("match 1:\n    case 1: pass\n", ("FORBIDDEN", 1, 0, "Scripts have no match")),
    "operation": ('x = crm.find("a")\n', ("ATTRIBUTE", 1, 4, "crm has no operation 'find'")),
    "action": ('ticket.add_tag(["a"])\n', ("ATTRIBUTE", 1, 0, "ticket has no action 'add_tag'")),
    "json": ("x = json.dumps([], default=str)\n", ("ARGUMENT", 1, 19, "json.dumps has no argument 'default'")),
    "keyword": ('crm.find_customer(emial="a")\n', ("ARGUMENT", 1, 18, "crm.find_customer has no argument 'emial'")),
    "missing": ("crm.find_customer()\n", ("ARGUMENT", 1, 0, "crm.find_customer needs email")),
    "too_many": ('crm.find_customer("a", 1)\n', ("ARGUMENT", 1, 23, "crm.find_customer takes 1 argument, not 2")),
    "assign_fact": ('ticket.status = "x"\n', ("FORBIDDEN", 1, 0, "ticket.status cannot be assigned")),
    "after_wide_text": ('x = "€€", foo\n', ("NAME", 1, 10, "Nothing is called 'foo' here")),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_has_its_code_place_and_sentence(host: Host, name: str) -> None:
    source, (code, line, column, message) = PROBLEMS[name]
    checked = host.sandbox.check(source, API)
    assert not checked.ok
    found = [(one.code, one.line, one.column, one.message) for one in checked.problems]
    assert (code, line, column, message) in found
    for one in checked.problems:
        assert (one.end_line, one.end_column) > (one.line, one.column)


def test_all_problems_come_at_once_in_the_order_of_the_text(host: Host) -> None:
    checked = host.sandbox.check("import os\nfoo\nx = bar._y\ncrm.nothing()\n", API)
    assert [(one.line, one.code) for one in checked.problems] == [
        (1, "FORBIDDEN"),
        (2, "NAME"),
        (3, "FORBIDDEN"),
        (3, "NAME"),
        (4, "ATTRIBUTE"),
    ]


def test_problems_are_bounded_and_the_last_place_says_how_many_more_there_are(host: Host) -> None:
    all_said = host.sandbox.check("foo.bar\n" * 50, API).problems
    assert {one.message for one in all_said} == {"Nothing is called 'foo' here"}
    bounded = host.sandbox.check("foo.bar\n" * 500, API).problems
    assert bounded[:49] == all_said[:49]
    assert (len(all_said), len(bounded), bounded[49].line) == (50, 50, 50)
    assert (bounded[49].message, bounded[49].hint) == (
        "451 more problems are not shown",
        "Mend those above first.",
    )
    assert translated(bounded[49].message, "fr") == "451 autres problèmes ne sont pas affichés"


HINTS = {
    "print(tiket)": "Did you mean 'ticket'?",
    "x = true": "Write True.",
    "type(1)": "Use isinstance(x, ...).",
    "open('x')": "Scripts have no files; write to the ticket, or ask a connection.",
    "import requests": "Ask a connection, e.g. crm.find_customer(email=...).",
    "return": 'At the top level use stop("reason") to end the script.',
    "match 1:\n    case 1: pass": "Use if / elif.",
    "async def f(): pass": "Write a plain def; calls wait for their answer by themselves.",
    "ticket.add_tagz(['a'])": "Did you mean 'add_tags'?",
    "x = '{}'.format(1)": 'Use an f-string: f"{name}".',
    "crm.find(email='a')": "Did you mean 'find_customer'?",
}


@pytest.mark.parametrize("source", HINTS)
def test_a_problem_has_a_working_alternative(host: Host, source: str) -> None:
    hints = [one.hint for one in host.sandbox.check(source, API).problems]
    assert any(HINTS[source] in hint for hint in hints), hints


@pytest.mark.slow
def test_a_text_with_very_many_wrong_names_gets_hints_for_the_first_of_them(host: Host) -> None:
    """To compare each with all others would take longer than a check may, and its author would see a time limit."""
    source = "".join(f"customer_{i}_alpha = {i}\n" for i in range(900))
    source += "".join(f"print(custamer_{i}_alpho)\n" for i in range(1000))
    problems = host.sandbox.check(source, API).problems
    assert {one.code for one in problems} == {"NAME"}
    assert problems[0].hint == "Did you mean 'customer_0_alpha'?"
    assert [one.hint for one in problems[40:49]] == [""] * 9
    few = host.sandbox.check("tiket = 1\n" + "x = customar.name\n" * 49, API).problems
    assert [one.hint for one in few] == ["Did you mean 'customer'?"] * 49


def test_a_format_call_is_seen_before_anything_runs(host: Host) -> None:
    for text in ('"{}"', 'f"{1}"', "'a' 'b'"):
        [problem] = host.sandbox.check(f"x = {text}.format(1)\n", API).problems
        assert (problem.code, problem.line, problem.hint) == ("FORBIDDEN", 1, 'Use an f-string: f"{name}".')
    assert host.sandbox.check("x = '{}'.strip()\nlog.format = 1\n", API).problems == ()


def test_what_a_facade_lacks_is_seen_before_anything_runs(host: Host) -> None:
    source = "import json\nx = json.load('1')\ny = datetime.now()\nz = random.seed(3)\n"
    problems = host.sandbox.check(source, API).problems
    assert [(one.code, one.line, one.column, one.message, one.hint) for one in problems] == [
        ("ATTRIBUTE", 2, 4, "json has no attribute 'load'", "Did you mean 'loads'?"),
        ("ATTRIBUTE", 3, 4, "datetime has no attribute 'now'", "Use now()."),
        ("ATTRIBUTE", 4, 4, "random has no attribute 'seed'", problems[2].hint),
    ]
    assert problems[2].hint.startswith("There are: choice, ")
    fine = "from datetime import datetime\nimport math as m\nimport json\nx = datetime.now(), m.floor(1)\n"
    assert (
        host.sandbox.check(fine + "x = json.loads('1')\nre = customer\nx = re.name, datetime.UTC\n", API).problems == ()
    )


def test_a_name_of_the_script_wins_over_a_connection(host: Host) -> None:
    assert host.sandbox.check("crm = {'a': 1}\nprint(crm.get('a'))\n", API).problems == ()


def test_checking_runs_nothing(host: Host) -> None:
    checked = host.sandbox.check('while True:\n    crm.find_customer(email="a")\n', API)
    assert checked.problems == ()


def test_without_a_service_nothing_counts_as_checked() -> None:
    checked = Sandbox("/nonexistent/s.sock").check("x = 1", API)
    assert not checked.ok
    assert checked.problems[0].code == "SANDBOX_UNAVAILABLE"


def test_what_is_too_much_to_be_sent_to_a_child_is_a_problem_and_no_error(host: Host) -> None:
    small = Sandbox(host.path, Limits(start_kb=1))
    long = "x = 1" + "\ny = 2" * 300
    [problem] = small.check(long, API).problems
    assert (problem.code, problem.severity) == ("VALUE", "error")
    assert translated(problem.message, "fr") == "La source et les faits dépassent ensemble 1 ko"
    assert small.compiled(long) is None
    assert small.compiled("x = 1") is not None


def test_what_stands_before_a_dot_is_not_taken_for_a_function(host: Host) -> None:
    """`chr` looks like `crn`, and nobody means it."""
    [problem] = host.sandbox.check("crn.find_customer(email='a')", API).problems
    assert (problem.message, problem.hint) == ("Nothing is called 'crn' here", "Did you mean 'crm'?")
    without = ScriptApi(API.actions, {})
    [problem] = host.sandbox.check("crm.find_customer(email='a')", without).problems
    assert "chr" not in problem.hint
    [problem] = host.sandbox.check("print(cr('a'))", without).problems
    assert problem.hint == "Did you mean 'chr'?"
