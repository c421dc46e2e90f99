"""The back office answers over real HTTP, can really be stopped, and is commanded only with its token."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.demo import control, places
from jobs.demo.backoffice import BackOffice, Mood
from jobs.demo.errors import BackOfficeAway, NotLoaded, PortsTaken
from jobs.demo.places import Places, SystemName
from jobs.demo.world import customers, double_charged
from run_tool.commands import die_with_parent
from run_tool.places import ROOT
from tests.demo.conftest import NOW

CAMILLE = "camille.laurent@courrier.example"


def ask(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode()
        return answer.status, json.loads(body) if answer.headers["Content-Type"] == "application/json" else body
    finally:
        connection.close()


def headers_of(found: Places, system: SystemName) -> dict[str, str]:
    key = found.keys[system]
    return {"X-Api-Key": key} if system is SystemName.ERP else {"Authorization": f"Bearer {key}"}


def test_each_system_answers_about_camille_laurent_over_http(office: BackOffice, found: Places) -> None:
    crm = ask(found.ports["crm"], f"/api/customers?email={CAMILLE}", headers_of(found, SystemName.CRM))
    assert crm[0] == 200
    assert (crm[1]["customers"][0]["name"], crm[1]["customers"][0]["tier"]) == ("Camille Laurent", "gold")
    erp = headers_of(found, SystemName.ERP)
    orders = ask(found.ports["erp"], f"/api/orders?email={CAMILLE}", erp)[1]["orders"]
    assert ask(found.ports["erp"], f"/api/orders/{orders[0]['number']}", erp)[1]["total"] == orders[0]["total"]
    assert ask(found.ports["erp"], f"/api/parties?email={CAMILLE}", erp)[1]["parties"][0]["credit_hold"] is False
    billing = headers_of(found, SystemName.BILLING)
    (customer,) = ask(found.ports["billing"], f"/v1/customers?email={CAMILLE}", billing)[1]["data"]
    charges = ask(found.ports["billing"], f"/v1/charges?customer={customer['id']}", billing)[1]["data"]
    doubled = [one for one in charges if one["metadata"]["order"] == orders[0]["number"]]
    assert [one["amount"] for one in doubled] == [6490, 6490]
    assert doubled[0]["created"] - doubled[1]["created"] == 41


@pytest.mark.parametrize("system", list(SystemName))
def test_without_the_key_a_system_says_401_and_nothing_else(
    office: BackOffice, found: Places, system: SystemName
) -> None:
    paths = {"crm": "/api/customers", "erp": "/api/orders", "billing": "/v1/customers"}
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"}, {"Authorization": "Basic !!"}):
        status, body = ask(found.ports[system], f"{paths[system]}?email={CAMILLE}", headers)
        assert status == 401
        assert "Camille" not in json.dumps(body)


def test_billing_pages_as_stripe_does(office: BackOffice, found: Places) -> None:
    billing = headers_of(found, SystemName.BILLING)
    seen: list[str] = []
    after = ""
    while True:
        path = f"/v1/customers?limit=20{f'&starting_after={after}' if after else ''}"
        page = ask(found.ports["billing"], path, billing)[1]
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = seen[-1]
    known = customers(found.seed, found.began)
    assert seen == [one_id for one in known if "billing" in one.systems for one_id in one.billing_ids]


def test_a_stopped_system_refuses_connections_until_it_is_started(office: BackOffice, found: Places) -> None:
    control.set_mood(found, SystemName.ERP, Mood.STOPPED)
    assert control.moods(found) == {"crm": "up", "erp": "stopped", "billing": "up"}
    with pytest.raises(ConnectionRefusedError):
        ask(found.ports["erp"], "/api/ping")
    assert ask(found.ports["crm"], "/api/ping", headers_of(found, SystemName.CRM))[0] == 200
    control.set_mood(found, SystemName.ERP, Mood.UP)
    assert ask(found.ports["erp"], "/api/ping", headers_of(found, SystemName.ERP)) == (
        200,
        {"ok": True, "system": "erp"},
    )


def test_a_system_can_answer_with_a_proxys_error_page_or_late(office: BackOffice, found: Places) -> None:
    control.set_mood(found, SystemName.CRM, Mood.HTML_ERROR)
    status, body = ask(found.ports["crm"], "/api/ping", headers_of(found, SystemName.CRM))
    assert (status, body[:6]) == (502, "<html>")
    control.set_mood(found, SystemName.CRM, Mood.SLOW)
    connection = http.client.HTTPConnection("127.0.0.1", found.ports["crm"], timeout=0.2)
    connection.request("GET", "/api/ping", headers=headers_of(found, SystemName.CRM))
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_without_the_token_nothing_can_be_commanded(office: BackOffice, found: Places) -> None:
    with pytest.raises(BackOfficeAway, match="401"):
        control.set_mood(replace(found, token="guessed"), SystemName.ERP, Mood.STOPPED)
    with pytest.raises(BackOfficeAway, match="401"):
        control.add_customer(replace(found, token=""), customers(found.seed, found.began)[0])
    assert control.moods(found) == {"crm": "up", "erp": "up", "billing": "up"}
    assert not found.added.exists()


def test_a_customer_told_to_the_back_office_is_known_after_a_restart(office: BackOffice, found: Places) -> None:
    new = double_charged(found.seed, NOW.date(), language="pl", name="Kinga Sowa", city="Opole", number=12_345_678)
    control.add_customer(found, new)
    office.stop()
    again = BackOffice(found)
    again.start()
    try:
        parties = ask(found.ports["erp"], f"/api/parties?email={new.email}", headers_of(found, SystemName.ERP))[1]
        assert parties["parties"][0]["name"] == "Kinga Sowa"
        owner = again.books.by_billing_id(new.billing_ids[0])
        assert owner is not None
        assert owner.doubled() == new.orders[0]
    finally:
        again.stop()


def test_what_is_no_customer_is_refused_and_not_kept(office: BackOffice, found: Places) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", found.control_port, timeout=60)
    connection.request("POST", "/customers", b'{"name": "x"}', {"Authorization": f"Bearer {found.token}"})
    assert connection.getresponse().status == 400
    connection.close()
    assert not found.added.exists()


def test_a_taken_port_stops_the_start_and_leaves_none_open(found: Places) -> None:
    other = BackOffice(found)
    other.start()
    second = BackOffice(found)
    try:
        with pytest.raises(PortsTaken, match=str(found.ports["erp"])):
            second.start()
        assert {server.mood for server in second.servers.values()} == {Mood.STOPPED}
    finally:
        other.stop()


def test_a_second_desk_on_this_machine_gets_ports_of_its_own(tmp_path: Path) -> None:
    first = BackOffice(places.make(tmp_path / "one", today=NOW.date()))
    first.start()
    try:
        second = places.make(tmp_path / "two", today=NOW.date())
        assert not {*second.ports.values(), second.control_port} & {
            *first.places.ports.values(),
            first.places.control_port,
        }
        again = places.make(tmp_path / "one", today=NOW.date())
        assert (again.ports, again.control_port) == (first.places.ports, first.places.control_port)
    finally:
        first.stop()


def test_the_places_are_for_their_owner_alone_and_do_not_show_keys(found: Places) -> None:
    assert (places.path(found.folder.parent).stat().st_mode & 0o777) == 0o600
    assert not any(secret in repr(found) for secret in (*found.keys.values(), found.token))


def test_without_a_demo_there_are_no_places(tmp_path: Path) -> None:
    with pytest.raises(NotLoaded, match="flask demo load"):
        places.read(tmp_path / "nothing")


def test_the_program_serves_until_sigterm(found: Places) -> None:
    env = {**os.environ, "DESKHAND_DATA_DIR": str(found.folder.parent)}
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.backoffice"],
        cwd=ROOT,
        env=env,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        for _ in range(600):
            try:
                assert control.moods(found) == {"crm": "up", "erp": "up", "billing": "up"}
                break
            except BackOfficeAway:
                assert process.poll() is None
                # Not a wait for luck: the program needs its imports, and says by answering that it is there.
                signal.sigtimedwait([], 0.1)
        else:
            pytest.fail("the back office did not come up")
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_back_office_leaves_the_port_of_the_desks_own_pages_alone(tmp_path: Path) -> None:
    """Nobody listens there while a first start loads the demo."""
    first = places.make(tmp_path / "one", today=NOW.date())
    taken = {first.control_port, *first.ports.values()}
    for port in sorted(taken):
        other = places.make(tmp_path / str(port), today=NOW.date(), but=port)
        assert taken & {other.control_port, *other.ports.values()} == set()
