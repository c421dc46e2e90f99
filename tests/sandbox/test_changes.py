"""A script that changes a connected system: it is collected and never sent, and granted by its name alone."""

from __future__ import annotations

from sandbox.contract import Manifest
from sandbox.limits import Limits
from tests.sandbox.hosts import API, Host, TableGateway

CHANGE = frozenset({"crm.delete_customer"})
TRIES = """
try:
    crm.delete_customer(id=1)
except Exception:
    pass
ticket.add_tags(["seen"])
"""


def test_a_change_is_collected_in_order_and_answered_with_a_receipt(host: Host) -> None:
    gateway = TableGateway({})
    source = (
        'ticket.add_note("a")\nfirst = crm.delete_customer(id=3)\nsecond = crm.delete_customer(4)\n'
        "print(first.pending, first.change, second.number)\n"
    )
    outcome = host.run(source, gateway, grants=CHANGE)
    assert outcome.status == "finished"
    assert [(one.action, one.params, one.line) for one in outcome.actions] == [
        ("add_note", {"text": "a"}, 1),
        ("crm.delete_customer", {"id": 3}, 2),
        ("crm.delete_customer", {"id": 4}, 3),
    ]
    assert [line.text for line in outcome.log] == ["True crm.delete_customer 2"]
    assert (gateway.calls, outcome.calls, outcome.usage.calls) == ([], (), 0)


def test_a_change_nobody_agreed_to_ends_the_run_and_nothing_of_it_stands(host: Host) -> None:
    gateway = TableGateway({})
    for grants in (frozenset(), frozenset({"crm.find_customer"})):
        outcome = host.run(TRIES, gateway, grants=grants)
        assert outcome.error is not None
        assert (outcome.status, outcome.error.code, outcome.error.line) == ("failed", "DENIED", 3)
        assert outcome.error.message == "This script may not change crm.delete_customer"
        assert outcome.actions == ()
    assert gateway.calls == []
    assert len(host.run(TRIES, gateway, grants=CHANGE).actions) == 2


def test_a_star_grants_no_change(host: Host) -> None:
    for star in ("crm.*", "*"):
        outcome = host.run(TRIES, TableGateway({}), grants=frozenset({star}))
        assert outcome.error is not None
        assert outcome.error.code == "DENIED"
        assert outcome.actions == ()


def test_a_run_that_fails_has_changed_nothing(host: Host) -> None:
    outcome = host.run("crm.delete_customer(id=3)\nraise ValueError('no')\n", TableGateway({}), grants=CHANGE)
    assert outcome.status == "failed"
    assert outcome.actions == ()


def test_changes_count_as_actions_and_not_as_calls(host: Host) -> None:
    gateway = TableGateway({"crm.find_customer": {"id": 1}})
    source = "for n in range({n}):\n    crm.delete_customer(id=n)\nprint(crm.find_customer(email='a').id)\n"
    grants = CHANGE | {"crm.find_customer"}
    calls, most = Limits().calls, Limits().actions
    few = host.run(source.replace("{n}", str(min(calls + 5, most))), gateway, grants=grants)
    assert (few.status, len(few.actions), few.usage.calls) == ("finished", min(calls + 5, most), 1)
    many = host.run(source.replace("{n}", str(most + 1)), gateway, grants=grants)
    assert many.error is not None
    assert (many.status, many.error.code, many.actions) == ("limit", "OUTPUT_LIMIT", ())


def test_the_manifest_names_what_a_script_changes_apart_from_what_it_asks(host: Host) -> None:
    source = "if crm.find_customer(email='a') is None:\n    crm.delete_customer(id=1)\n"
    found = host.sandbox.check(source, API).manifest
    assert (found.operations, found.changes) == (("crm.find_customer",), ("crm.delete_customer",))
    assert Manifest.from_json(found.to_json()) == found


def test_a_change_goes_beyond_every_manifest_that_does_not_name_it() -> None:
    draft = Manifest((), (), (), ("crm.delete_customer",))
    for live in (Manifest(), Manifest((), ("*",), ("crm.*", "*")), Manifest((), (), (), ("crm.merge",))):
        assert draft.beyond(live) == draft
        assert bool(draft.beyond(live))
    assert not draft.beyond(draft)


def test_a_manifest_of_before_there_were_changes_grants_none() -> None:
    old = {"fields_read": [], "actions": ["*"], "operations": ["crm.*"]}
    assert Manifest.from_json(old).changes == ()
    assert Manifest.from_json(old).to_json() == old
