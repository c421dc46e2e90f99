"""Groups and scope by the form; and that the forms offer the whole language of conditions and triggers, and no more."""

from __future__ import annotations

import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from rules.fields import all_fields
from rules.operators import OPERATORS, operators_for
from rules.parse import MAX_TRIGGERS
from rules.triggers import TRIGGERS
from rules.vocabulary import NamedList
from tests.rules.desk import DESK
from tests.web.cells import cells, the_condition
from tests.web.desk import TRIAGE, Desk, send
from tests.web.pages import edit, stored, text_of, words
from tickets.item import FieldType
from tickets.values import JSON
from web.rules_forms import CellForm, condition_form, read_condition, trigger_forms


def groups(desk: Desk, manager: FlaskClient, **fields: object) -> Any:
    return edit(manager, desk, do="groups", next="groups", **fields)


# Groups ----------------------------------------------------------------------------------------------------------


def test_a_group_made_in_the_form_decides_and_its_negative_twin_does_not(desk: Desk, manager: FlaskClient) -> None:
    """Refund or invoice in the text, and none of: (a VIP's tag, and high priority)."""
    desk.publish({**TRIAGE, "columns": [], "rows": [{"id": "r1", "then": {"s1": {"team": "billing"}}}]})
    made = groups(desk, manager, row="r1", group="g", g__newkind="any")
    assert made.headers["Location"] == "/rules/A01/rows/r1/groups"
    groups(desk, manager, row="r1", add="g1", g1__new="message.text")
    page = text_of(manager.get("/rules/A01/rows/r1/groups"))
    assert 'name="g1-1.more"' in page
    assert "needs a value" in page
    said = {"g1-1.op": "contains_any", "g1-1.more": "refund\r\ninvoice", "g1.kind": "any"}
    groups(desk, manager, row="r1", group="g", g__newkind="none", **said)
    groups(desk, manager, row="r1", group="g2", g2__newkind="all", **said)
    groups(desk, manager, row="r1", add="g2-1", **{"g2-1.new": "ticket.tags", **said})
    said |= {"g2.kind": "none", "g2-1.kind": "all", "g2-1-1.op": "has_any", "g2-1-1.more": "vip"}
    groups(desk, manager, row="r1", add="g2-1", **{"g2-1.new": "ticket.priority", **said})
    said |= {"g2-1-2.op": "any_of", "g2-1-2.value": "high"}
    answer = groups(desk, manager, row="r1", done="1", **said)
    assert answer.headers["Location"] == "/rules/A01#row-r1"
    vip = [{"field": "ticket.tags", "value": ["vip"]}, {"field": "ticket.priority", "value": "high"}]
    assert stored(desk).working["rows"][0]["groups"] == [
        {"any": [{"field": "message.text", "value": ["refund", "invoice"]}]},
        {"none": [{"all": vip}]},
    ]
    assert "at least one of (Message contains refund, invoice)" in words(text_of(manager.get("/rules/A01")))
    send(manager, "/rules/A01/publish", {"seen": stored(desk).draft_count, "note": "groups"})
    cases = {
        desk.ticket(text="a refund please"): "billing",
        desk.ticket(text="a refund please", tags=["vip"]): "billing",
        desk.ticket(text="a refund please", tags=["vip"], priority="high"): "sales",
        desk.ticket(text="hello"): "sales",
    }
    desk.work()
    assert {item: desk.state(item)["team"] for item in cases} == cases


def test_a_condition_and_a_group_are_taken_away_and_the_rest_stays(desk: Desk, manager: FlaskClient) -> None:
    members: list[JSON] = [{"field": "message.text", "value": ["a"]}, {"field": "message.subject", "value": "b"}]
    desk.publish({**TRIAGE, "rows": [{"id": "r1", "groups": [{"any": members}, {"none": members}]}]})
    groups(desk, manager, row="r1", remove="g1-1")
    assert stored(desk).working["rows"][0]["groups"] == [{"any": members[1:]}, {"none": members}]
    groups(desk, manager, row="r1", remove="g1")
    assert stored(desk).working["rows"][0]["groups"] == [{"none": members}]
    groups(desk, manager, row="r1", remove="g1")
    assert "groups" not in stored(desk).working["rows"][0]


@pytest.mark.parametrize(
    "fields",
    [{"group": "g1-1"}, {"add": "g9", "g9__new": "message.text"}, {"remove": "g7"}, {"remove": "gx"}, {"add": "g"},
     {"add": "g1", "g1__new": "no.such.field"}],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(
    desk: Desk, manager: FlaskClient, fields: dict[str, str]
) -> None:
    inner = {"all": [{"field": "message.text", "value": ["a"]}]}
    desk.publish({**TRIAGE, "rows": [{"id": "r1", "groups": [{"any": [inner]}]}]})
    groups(desk, manager, row="r1", **fields)
    assert stored(desk).draft is None
    assert 'class="notice bad"' in text_of(manager.get("/rules/A01"))


def test_the_scope_keeps_other_brands_out_and_takes_nothing_from_outside(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    groups(desk, manager, row="scope", add="g", g__new="ticket.brand")
    groups(desk, manager, row="scope", done="1", g1__op="any_of", g1__value="acme")
    assert stored(desk).working["scope"] == [{"field": "ticket.brand", "value": "acme"}]
    assert "Only for Brand is Acme Store" in words(text_of(manager.get("/rules/A01")))
    send(manager, "/rules/A01/publish", {"seen": stored(desk).draft_count, "note": "scope"})
    inside, outside = desk.ticket("An invoice", brand="acme"), desk.ticket("An invoice")
    desk.work()
    assert desk.state(inside)["team"] == "billing"
    assert "team" not in desk.state(outside)
    page = text_of(manager.get("/rules/A01/rows/scope/groups"))
    assert 'value="ticket.brand"' in page
    assert 'value="context.' not in page


# The whole language ------------------------------------------------------------------------------------------------


def sent(shown: CellForm) -> MultiDict[str, str]:
    """What a browser sends of this form as it is shown."""
    form = MultiDict[str, str]({f"{shown.column}.op": next(one.key for one in shown.ops if one.chosen)})
    for one in shown.widgets:
        if one.kind in ("ticks", "choice"):
            form.setlist(one.name, [choice.key for choice in one.choices if choice.chosen])
        else:
            form[one.name] = one.value
            if one.kind == "pair":
                form[f"{shown.column}.high"] = one.high
    return form


@pytest.mark.slow
def test_every_operator_of_every_field_goes_through_the_form_and_means_the_same(app: APIFlask) -> None:
    used = set()
    with app.test_request_context():
        for field, operator, cell in cells():
            head = {"id": "c", "field": field.key}
            shown = condition_form(head, cell, DESK)
            again = read_condition(sent(shown), head, DESK, "UTC")
            assert (field.key, the_condition(field, again)) == (field.key, the_condition(field, cell))
            used.add(operator.key)
    assert used == set(OPERATORS)


def test_a_cell_offers_the_operators_its_field_takes_and_no_other(app: APIFlask) -> None:
    with app.test_request_context():
        for field in all_fields(DESK):
            offered = {one.key for one in condition_form({"id": "c", "field": field.key}, None, DESK).ops}
            allowed = {one.key for one in operators_for(field.type, state=bool(field.state_key), outside=field.outside)}
            # With boxes to tick, one word stands for one and for several values.
            assert offered <= allowed, field.key
            assert allowed - offered <= {"is", "is_not"}, field.key


def test_a_named_list_can_be_ticked_wherever_a_cell_takes_several_values(app: APIFlask) -> None:
    words_with = DESK.__class__(**{**_plain(DESK), "lists": {"L": NamedList("List", ())}})
    with app.test_request_context():
        for field in all_fields(words_with):
            shown = condition_form({"id": "c", "field": field.key}, None, words_with)
            ticked = any(one.name == "c.list" for one in shown.widgets)
            assert ticked is (field.type not in (FieldType.BOOL, FieldType.PERSON)), field.key


def _plain(vocabulary: Any) -> dict[str, Any]:
    return {key: getattr(vocabulary, key) for key in vocabulary.__dataclass_fields__ if key != "worked_out"}


def test_every_trigger_of_the_language_can_be_chosen_and_no_other(app: APIFlask) -> None:
    with app.test_request_context():
        lines = trigger_forms({"triggers": [{"on": "created"}] * 7}, DESK)
    assert [one.key for one in lines[0].choices] == list(TRIGGERS)
    assert len(lines) == 8


def test_saving_the_settings_loses_no_trigger(desk: Desk, manager: FlaskClient) -> None:
    many: list[JSON] = [{"on": "created"}, *({"on": "changed", "field": name} for name in
                        ("status", "priority", "team", "brand", "language"))]  # fmt: skip
    desk.publish({**TRIAGE, "triggers": many})
    fields: dict[str, object] = {"name": "T", "kind": "ticket", "hit": "first", "wait": "none"}
    page = text_of(manager.get("/rules/A01/settings"))
    for number, line in enumerate(many):
        assert isinstance(line, dict)
        assert f'name="t{number}.on"' in page
        fields[f"t{number}.on"] = line["on"]
        if "field" in line:
            fields[f"t{number}.changed.field"] = f"ticket.{line['field']}"
    edit(manager, desk, do="settings", **fields)
    assert [one["on"] for one in stored(desk).working["triggers"]] == ["created"] + ["changed"] * 5


def test_a_table_with_as_many_triggers_as_it_may_have_is_saved_by_its_form(desk: Desk, manager: FlaskClient) -> None:
    names = [one.key for one in all_fields(DESK) if one.state_key and not one.state_key.startswith("fields.")]
    many: list[JSON] = [{"on": "changed", "field": names[n % len(names)], "to": [f"v{n}"]} for n in range(MAX_TRIGGERS)]
    desk.publish({**TRIAGE, "triggers": many})
    page = text_of(manager.get("/rules/A01/settings"))
    sent_names = re.findall(r'name="(t\d+\.[a-z_.]+)"', page)
    fields: dict[str, object] = dict.fromkeys(sent_names, "")
    fields |= {"name": "T", "kind": "ticket", "hit": "first", "wait": "none"}
    for number, line in enumerate(many):
        assert isinstance(line, dict)
        fields[f"t{number}.on"] = "changed"
        fields |= {f"t{number}.changed.field": line["field"], f"t{number}.changed.to": f"v{number}"}
    assert len(fields) > 500
    edit(manager, desk, do="settings", **fields)
    assert stored(desk).working["triggers"] == many
