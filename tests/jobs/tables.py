"""Tables, scripts and a connection that tests of several subjects work with."""

from __future__ import annotations

from jobs.services import Services
from rules.store import EntryKind
from tests.jobs.desk import publish
from tickets.values import JSON

#: What is charged twice goes to billing, everything else to the first line.
TRIAGE = """
code: A01
name: Triage
kind: ticket
triggers: [{on: created}]
hit: first
columns:
  - {id: c1, field: message.text, op: contains_any}
steps:
  - {id: s1, do: assign_team}
  - {id: s2, do: set_priority}
  - {id: s3, do: add_tags}
rows:
  - id: r1
    if: {c1: {value: [charged twice]}}
    then: {s1: {team: billing}, s2: {priority: high}, s3: {tags: [double-charge]}}
otherwise: {then: {s1: {team: first_line}}}
"""

WAITING = """
code: A21
name: Too long with another team
triggers: [{on: time_in_state, status: waiting_team, for: 72 h}]
steps: [{id: s1, do: add_tags}]
rows:
  - {id: r1, then: {s1: {tags: [too-long]}}}
"""

ANSWER_AND_TAG = """
code: A01
name: Answer and tag
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: post_message}, {id: s2, do: add_tags}]
rows: [{id: r1, then: {s1: {text: We look into it., public: true}, s2: {tags: [answered]}}}]
"""

RUNS_IT = """
code: A01
name: Enrich
kind: ticket
triggers: [{on: created}]
hit: first
steps: [{id: s1, do: run_script}]
rows: [{id: r1, then: {s1: {script: S01}}}]
"""

#: Looks the customer up in the CRM, and writes down what it says.
SCRIPT = """
person = crm.find_customer(email=customer.email)
if person is None:
    ticket.add_note("The CRM does not know this address.")
else:
    print("found", person.name)
    ticket.set_context("crm", person, title="Customer", source="crm.find_customer")
    ticket.add_tags(["tier-" + person.tier])
    if person["tier"] == "gold":
        ticket.set_priority("high")
"""


def script(services: Services, source: str) -> None:
    """Publish this as the script that `RUNS_IT` runs."""
    publish(services, EntryKind.SCRIPT, {"code": "S01", "name": "Enrich", "source": source})


#: An ERP that knows what customers owe, as operations of a connection of kind http_json.
ERP: dict[str, JSON] = {
    "operations": [
        {
            "name": "find_party",
            "path": "/parties",
            "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
            "query": {"email": "{email}"},
            "map": {"id": "id", "name": "name", "receivable": {"path": "receivable", "type": "money"}},
            "cache_s": 300,
            "stale_s": 0,
            "timeout_s": 10,
        }
    ]
}
