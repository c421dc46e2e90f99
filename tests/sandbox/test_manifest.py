"""The manifest: what it covers, what goes beyond it, and that a run gets nothing else, from the host's side too."""

from __future__ import annotations

import pytest

from sandbox.contract import Manifest, Method, Param, ScriptApi, type_problem
from sandbox.errors import BadContract
from tests.sandbox.hosts import API, Host, TableGateway

TYPED = ScriptApi(
    connections={
        "erp": {
            "orders": Method(
                "orders",
                (
                    Param("since", "date", False),
                    Param("most", "integer", False),
                    Param("over", "decimal", False),
                    Param("open", "bool", False),
                ),
                "Orders.",
            )
        }
    }
)


def test_an_action_outside_the_manifest_ends_the_run_and_nothing_of_it_stands(host: Host) -> None:
    source = 'ticket.add_tags(["seen"])\ntry:\n    ticket.add_note("more")\nexcept Exception:\n    pass\n'
    outcome = host.run(source, actions=frozenset({"add_tags"}))
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.error.line) == ("failed", "DENIED", 3)
    assert outcome.actions == ()
    assert [one.action for one in host.run(source, actions=frozenset({"add_tags", "add_note"})).actions] == [
        "add_tags",
        "add_note",
    ]
    assert len(host.run(source, actions=frozenset({"*"})).actions) == 2


def test_a_star_of_one_connection_grants_its_operations_and_no_others(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": {"id": 1}, "erp.find_party": {"id": 2}})
    grants = frozenset({"crm.*"})
    assert host.run('crm.find_customer(email="a")\n', gateway, grants=grants).status == "finished"
    denied = host.run('erp.find_party(email="a")\n', gateway, grants=grants)
    assert denied.error is not None
    assert denied.error.code == "DENIED"
    assert [name for name, _ in gateway.calls] == ["crm.find_customer"]


def test_a_name_bound_again_somewhere_is_in_the_manifest_as_a_star(host: Host) -> None:
    source = (
        "def call(crm):\n    return crm\ncrm.delete_customer(id=1)\n"
        "def note(ticket):\n    return 1\nticket.add_note('x')\n"
    )
    assert host.sandbox.check(source, API).manifest == Manifest(
        ("ticket.*",), ("*",), ("crm.*",), ("crm.delete_customer",)
    )


def test_what_goes_beyond_is_what_the_other_does_not_cover() -> None:
    live = Manifest(("customer.*", "ticket.fields"), ("add_tags",), ("crm.*",))
    draft = Manifest(
        ("customer.email", "ticket.fields.order", "ticket.subject"),
        ("add_note", "add_tags"),
        ("crm.find_customer", "erp.find_party"),
    )
    assert draft.beyond(live) == Manifest(("ticket.subject",), ("add_note",), ("erp.find_party",))
    assert not live.beyond(live)
    assert live.beyond(draft) == Manifest(("customer.*", "ticket.fields"), (), ("crm.*",))
    assert not draft.beyond(Manifest(("customer.*", "ticket.*"), ("*",), ("crm.*", "erp.*")))


@pytest.mark.parametrize(
    "stored", [None, {}, {"actions": []}, {"actions": "add_tags", "fields_read": [], "operations": []}]
)
def test_what_is_no_manifest_is_refused(stored: object) -> None:
    with pytest.raises(BadContract):
        Manifest.from_json(stored)
    assert Manifest.from_json(Manifest(("a.b",), ("c",)).to_json()) == Manifest(("a.b",), ("c",))


GOOD = {
    "since": ("datetime.date(2026, 11, 22)", "2026-11-22"),
    "most": ("5", 5),
    "over": ('decimal.Decimal("1.10")', "1.10"),
    "open": ("True", True),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_typed_input_arrives_as_its_type(host: Host, name: str) -> None:
    text, value = GOOD[name]
    gateway = TableGateway({"erp.orders": []})
    assert host.run(f"erp.orders({name}={text})\n", gateway, api=TYPED).status == "finished"
    assert gateway.calls == [("erp.orders", {name: value})]


@pytest.mark.parametrize(
    "call",
    [
        'since="22.11.2026"',
        'since="2026-13-01"',
        "since=now()",
        'most="5"',
        "most=1.5",
        "most=True",
        "over=1.1",
        'over="a lot"',
        'over="NaN"',
        'over="1E+999999"',
        'over="1e-9999999999"',
        'open="yes"',
    ],
)
def test_an_input_of_a_wrong_type_is_refused_and_nobody_is_asked(host: Host, call: str) -> None:
    gateway = TableGateway({"erp.orders": []})
    outcome = host.run(f"erp.orders({call})\n", gateway, api=TYPED)
    assert outcome.error is not None
    assert outcome.error.code == "VALUE"
    assert gateway.calls == []


def test_the_host_judges_typed_inputs_itself() -> None:
    """The same function stands on both sides of the wire; the child's word about a date is only a claim."""
    assert type_problem(Param("since", "date", True), "2026-11-22") is None
    assert type_problem(Param("since", "date", True), "2026-11-22; drop") is not None
    assert type_problem(Param("since", "date", True), "٢٠٢٦-١١-٢٢") is not None
