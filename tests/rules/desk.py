"""One small desk, and builders that show only what matters to a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.engine import Decision, Entry, RuleSet, compile_ruleset, decide
from rules.facts import Facts
from rules.parse import parse_table
from rules.ruleset import INDEX_FROM_ROWS
from rules.table import Table
from rules.trace import RowVerdict
from rules.vocabulary import (
    ChangeInput,
    ChangeSpec,
    FieldSpec,
    LookupSpec,
    NamedList,
    Template,
    TemplateText,
    Vocabulary,
)
from tickets.calendar import Calendar
from tickets.item import FieldType, StateField
from tickets.kinds import Pipeline, Stage
from tickets.values import JSON

NOW = "2026-11-21T09:31:00.000000+00:00"

#: Monday to Friday, nine to five, in UTC.
OFFICE: dict[str, JSON] = {
    "zone": "UTC",
    "week": {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
}

DESK = Vocabulary(
    teams={"billing": "Billing", "first_line": "First line", "platform": "Platform"},
    users={"ana": "Ana Nowak", "ion": "Ion Popescu"},
    brands={"acme": "Acme"},
    locations={"paris": "Paris"},
    webhooks={"hooks": "Hooks"},
    custom_fields={
        "topic": StateField(
            "topic", "Topic", FieldType.CHOICE, {"refund": "Refund", "invoice": "Invoice", "outage": "Outage"}
        ),
        "amount": StateField("amount", "Amount", FieldType.NUMBER),
        "price": StateField("price", "Price", FieldType.MONEY),
        "labels": StateField("labels", "Labels", FieldType.CHOICES, {"a": "A", "b": "B"}),
    },
    templates={
        "E01": Template(
            "E01",
            "Refund received",
            {
                "en": TemplateText("Hello {{customer.name}}, ticket {{ticket.id}}.", "About {{ticket.subject}}"),
                "fr": TemplateText("Bonjour {{customer.name}}."),
            },
        )
    },
    pipelines={
        "tax": Pipeline(
            "tax",
            "Tax return",
            "job",
            (Stage("collect", "Collect", True), Stage("prepare", "Prepare"), Stage("review", "Review")),
        )
    },
    other_fields={"task": {"effort": StateField("fields.effort", "Effort", FieldType.NUMBER)}},
    requests={"papers": "Papers"},
    forms={"report": "Report"},
    procedures={"inquiry": "Inquiry"},
    scripts={"double_charge": "Double charge"},
    lookups={
        "erp.find_party": LookupSpec(
            "erp",
            "find_party",
            "ERP party",
            {"email": "E-mail"},
            {"email": "customer.email"},
            {
                "receivable": FieldSpec("Receivable", FieldType.MONEY),
                "tier": FieldSpec("Tier", FieldType.CHOICE, {"gold": "Gold", "silver": "Silver"}),
                "address.country": FieldSpec("Country"),
                "groups": FieldSpec("Groups", FieldType.CHOICES),
                "since": FieldSpec("Customer since", FieldType.TIME),
            },
        ),
        "crm.get_account": LookupSpec(
            "crm",
            "get_account",
            "CRM account",
            {"name": "Name"},
            {"name": "customer.name"},
            {"vip": FieldSpec("VIP", FieldType.BOOL), "score": FieldSpec("Score", FieldType.NUMBER)},
        ),
        "billing.list_charges": LookupSpec(
            "billing",
            "list_charges",
            "Charges",
            {"account": "Account", "limit": "Limit"},
            {"account": "crm.get_account.score"},
            {"count": FieldSpec("Charges", FieldType.NUMBER)},
        ),
    },
    changes={
        "crm.add_note": ChangeSpec(
            "crm",
            "add_note",
            "CRM: Add a note",
            (
                ChangeInput("email", "Email", "email", bind="customer.email"),
                ChangeInput("text", "Text", "lines"),
                ChangeInput("amount", "Amount", "decimal", required=False),
                ChangeInput("times", "Times", "integer", required=False),
                ChangeInput("urgent", "Urgent", "bool", required=False),
                ChangeInput("on", "On", "date", required=False),
            ),
        ),
        "crm.put": ChangeSpec("crm", "put", "CRM: Put", (ChangeInput("data", "Data", "body"),)),
    },
    context={"payments.duplicate": FieldSpec("Duplicate payment", FieldType.BOOL)},
    calendars={"office": "Office"},
    hours={"office": Calendar.from_json(OFFICE)},
    slas={"gold": "Gold"},
    lists={
        "WRITTEN": NamedList("Written channels", ("email", "form")),
        "MONEY": NamedList("Words for money", ("refund", "no refund-42")),
        "NOBODY": NamedList("Nobody yet", ()),
    },
)


def some_facts(
    state: Mapping[str, Any] | None = None,
    *,
    kind: str = "created",
    changes: Mapping[str, Any] | None = None,
    message: Mapping[str, Any] | None = None,
    customer: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    lookups: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None,
    actor: str = "customer",
) -> Facts:
    """Facts about ticket 4812 of a customer named Camille, unless told otherwise."""
    return Facts(
        item={"id": 4812, "kind": "ticket", "created_at": NOW, "status": "open", **(state or {})},
        event={"id": 1, "kind": kind, "at": NOW, "actor": actor, "changes": changes or {}, "payload": payload or {}},
        now=NOW,
        customer={"id": 7, "name": "Camille", "email": "camille@example.com"} if customer is None else customer,
        message=message,
        context=context or {},
        lookups=lookups or {},
        run=run,
    )


def a_table_as_data(
    rows: list[dict[str, Any]] | None = None,
    *,
    columns: list[dict[str, Any]] | None = None,
    steps: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A valid table: rows of one column `c1` on the ticket's channel, one step `s1` that sets tags."""
    return {
        "code": "A01",
        "name": "Triage",
        "triggers": [{"on": "created"}],
        "columns": columns if columns is not None else [{"id": "c1", "field": "ticket.channel", "op": "is"}],
        "steps": steps if steps is not None else [{"id": "s1", "do": "add_tags"}],
        "rows": rows if rows is not None else [{"id": "r1", "if": {"c1": "email"}, "then": {"s1": {"tags": ["mail"]}}}],
        **more,
    }


def a_table(*args: Any, **more: Any) -> Table:
    return parse_table(a_table_as_data(*args, **more), DESK)


def tagging(id: str, tag: str | None = None, /, **cells: Any) -> dict[str, Any]:
    """A row that sets one tag (its id) when its cells hold."""
    return {"id": id, "if": cells, "then": {"s1": {"tags": [tag or id]}}}


#: From how many rows on a list is looked up in an index; another way to decide the same.
index_from = INDEX_FROM_ROWS


def a_list(*tables: Table) -> RuleSet:
    entries = [Entry(table.code, table.name, 1, at, table=table) for at, table in enumerate(tables)]
    return compile_ruleset(1, entries, DESK, index_from=index_from)


def decided(facts: Facts, *tables: Table, **how: Any) -> Decision:
    """The decision; and its trace, worked out by asking every row, must tell of the same rows."""
    decision = decide(a_list(*tables), facts, **how)
    assert rows_fired(decision) == sorted(decision.fired)
    return decision


def rows_fired(decision: Decision) -> list[str]:
    """The rows that fired, as the trace tells."""
    return sorted(
        f"{entry.code}/{row.row}"
        for entry in decision.trace.entries
        for row in entry.rows
        if row.verdict is RowVerdict.FIRED
    )


def tags_of(decision: Decision) -> list[str]:
    """The tags that a decision would leave on the ticket."""
    tags = decision.staged.get("tags") or []
    assert isinstance(tags, list)
    return tags
