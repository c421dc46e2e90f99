"""Edits of a table as functions from document to document: what changes, and that nothing else does."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from rules.action import ParamType
from rules.parse import parse_table
from rules.vocabulary import Vocabulary
from tests.environment.selection import examples
from tests.rules.desk import DESK as MANY_WORDS
from tickets.item import FieldType, StateField
from tickets.values import JSON
from web import rules_document as documents
from web.rules_document import Document, EditRefused, tidy
from web.rules_edits import Desk, edit
from web.rules_forms import compact, condition_form, read_condition, read_step, step_form

TOPIC = StateField("fields.topic", "Topic", FieldType.CHOICE, {"refund": "Refund", "delivery": "Delivery"})
WORDS = Vocabulary(teams={"billing": "Billing", "sales": "Sales"}, users={"ana": "Ana"}, custom_fields={"topic": TOPIC})
DESK = Desk(WORDS, (), "Europe/Paris")


def a_document() -> Document:
    return tidy(
        {
            "code": "A01",
            "name": "Triage",
            "triggers": [{"on": "created"}],
            "columns": [
                {"id": "c1", "field": "ticket.fields.topic", "op": "is"},
                {"id": "c2", "field": "message.text"},
            ],
            "steps": [{"id": "s1", "do": "assign_team"}, {"id": "s2", "do": "add_tags"}],
            "rows": [
                {"id": "r1", "if": {"c1": {"value": "refund"}}, "then": {"s1": {"team": "billing"}}},
                {"id": "r2", "if": {}, "then": {"s2": {"tags": ["x"]}}},
                {"id": "r3", "if": {}, "then": {}},
            ],
            "otherwise": {"then": {"s1": {"team": "sales"}}},
        }
    )


def do(document: Document, /, **fields: str | list[str]) -> Document:
    form = MultiDict[str, str]()
    for key, value in fields.items():
        form.setlist(key.replace("__", "."), [value] if isinstance(value, str) else value)
    return edit(document, form, DESK).document


def order(document: Document) -> list[str]:
    return [row["id"] for row in document["rows"]]


def test_a_cell_is_filled_from_its_form_and_nothing_else_changes() -> None:
    before = a_document()
    after = do(before, do="cell", row="r2", column="c1", c1__op="any_of", c1__value=["refund", "delivery"])
    assert documents.cell(after, "r2", "c1") == {"value": ["refund", "delivery"]}
    after["rows"][1]["if"].pop("c1")
    assert after == before


def test_emptying_a_cell_takes_it_out() -> None:
    after = do(a_document(), do="cell", row="r1", column="c1", clear="1")
    assert documents.cell(after, "r1", "c1") is None
    assert after["rows"][0]["if"] == {}


def test_an_edit_never_touches_the_document_it_was_given() -> None:
    before = a_document()
    kept = copy.deepcopy(before)
    for fields in (
        {"do": "cell", "row": "r1", "column": "c1", "clear": "1"},
        {"do": "move_row", "row": "r1", "by": "1"},
        {"do": "delete_column", "column": "c1"},
        {"do": "column", "column": "c1", "op": "is_not"},
        {"do": "delete_row", "row": "otherwise"},
        {"do": "duplicate_row", "row": "r1"},
    ):
        do(before, **fields)
    assert before == kept


@pytest.mark.parametrize(
    ("by", "expected"),
    [("-1", ["r2", "r1", "r3"]), ("1", ["r1", "r3", "r2"]), ("-9", ["r2", "r1", "r3"]), ("9", ["r1", "r3", "r2"])],
)
def test_a_row_moves_and_stays_at_the_end_it_has_reached(by: str, expected: list[str]) -> None:
    assert order(do(a_document(), do="move_row", row="r2", by=by)) == expected


def test_a_row_moves_right_above_another_one() -> None:
    assert order(do(a_document(), do="move_row", row="r3", before="r1")) == ["r3", "r1", "r2"]


def test_a_duplicate_stands_below_its_row_with_an_id_nobody_had() -> None:
    desk = Desk(WORDS, ("r7", "r3", "s9"), "UTC")
    after = edit(a_document(), MultiDict({"do": "duplicate_row", "row": "r1"}), desk)
    assert order(after.document) == ["r1", "r8", "r2", "r3"]
    assert after.document["rows"][1]["if"] == {"c1": {"value": "refund"}}
    assert after.row == "r8"


def test_deleting_a_column_deletes_its_cells_everywhere() -> None:
    after = do(a_document(), do="delete_column", column="s1")
    assert [one["id"] for one in after["steps"]] == ["s2"]
    assert after["rows"][0]["then"] == {}
    assert after["otherwise"]["then"] == {}


def test_a_new_default_operator_leaves_what_cells_say() -> None:
    after = do(a_document(), do="column", column="c1", op="is_not")
    assert after["columns"][0]["op"] == "is_not"
    assert after["rows"][0]["if"]["c1"] == {"op": "is", "value": "refund"}
    back = do(after, do="column", column="c1", op="is")
    assert back["rows"][0]["if"]["c1"] == {"value": "refund"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"do": "cell", "row": "r9", "column": "c1"}, "no row r9"),
        ({"do": "cell", "row": "r1", "column": "c9"}, "no column c9"),
        ({"do": "cell", "row": "otherwise", "column": "c1", "c1__op": "is", "c1__value": "refund"}, "no conditions"),
        ({"do": "add_condition", "field": "ticket.colour"}, "There is no field 'ticket.colour'"),
        ({"do": "add_step", "action": "explode"}, "Choose what the new column should do"),
        ({"do": "column", "column": "s1", "op": "is"}, "Only columns on the left"),
        ({"do": "document", "document": "[1]"}, "That is not a table"),
        ({"do": "document", "document": "{"}, "That is not a table"),
        ({"do": "drop_table"}, "asks for nothing"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_in_a_sentence(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(EditRefused, match=sentence):
        do(a_document(), **fields)


def test_a_table_has_at_most_sixty_columns() -> None:
    document = a_document()
    document["columns"] = [{"id": f"c{n}", "field": "message.text"} for n in range(1, 59)]
    with pytest.raises(EditRefused, match="at most 60 columns"):
        do(document, do="add_step", action="assign_team")


# Forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "op", "values", "cell"),
    [
        ("ticket.fields.topic", "any_of", ["refund"], {"value": "refund"}),
        ("ticket.fields.topic", "none_of", ["refund"], {"op": "is_not", "value": "refund"}),
        ("ticket.fields.topic", "none_of", ["refund", "delivery"], {"op": "none_of", "value": ["refund", "delivery"]}),
        ("ticket.published", "is", ["true"], {"value": True}),
        ("customer.open_items", "greater", ["1 234,50"], {"op": "greater", "value": 1234.5}),
        ("customer.open_items", "is", ["3"], {"value": 3}),
        ("ticket.due_at", "less", ["2026-11-21 09:00"], {"op": "less", "value": "2026-11-21T08:00:00.000000+00:00"}),
        ("ticket.fields.topic", "empty", [], {"op": "empty"}),
        ("ticket.fields.topic", "any_of", [], None),
        ("ticket.fields.topic", "", ["refund"], None),
    ],
)
def test_a_sent_cell_is_read_in_its_shortest_form(field: str, op: str, values: list[str], cell: JSON) -> None:
    form = MultiDict[str, str]({"c1.op": op})
    form.setlist("c1.value", values)
    assert read_condition(form, {"id": "c1", "field": field, "op": "is"}, WORDS, "Europe/Paris") == cell


def test_between_takes_both_its_fields() -> None:
    form = MultiDict({"c1.op": "between", "c1.value": "1", "c1.high": "9"})
    cell = read_condition(form, {"id": "c1", "field": "customer.open_items", "op": "is"}, WORDS, "UTC")
    assert cell == {"op": "between", "value": [1, 9]}


def test_keywords_stand_one_per_line_and_keep_their_commas() -> None:
    form = MultiDict({"c1.op": "contains_any", "c1.more": "charged twice\r\nso, again\r\n\r\ncharged twice"})
    cell = read_condition(form, {"id": "c1", "field": "message.text", "op": "contains_any"}, WORDS, "UTC")
    assert cell == {"value": ["charged twice", "so, again"]}


def test_a_step_without_any_value_is_an_empty_cell() -> None:
    head = {"id": "s1", "do": "post_message"}
    assert read_step(MultiDict({"s1.text": "", "s1.public": "false"}), head, WORDS) is None
    assert read_step(MultiDict({"s1.text": "Hi\r\nthere", "s1.public": "false"}), head, WORDS) == {
        "text": "Hi\nthere",
        "public": False,
    }


def test_a_value_is_read_as_the_chosen_field_takes_it() -> None:
    head = {"id": "s1", "do": "set_field"}
    read = read_step(MultiDict({"s1.field": "published", "s1.value": "true"}), head, WORDS)
    assert read == {"field": "published", "value": True}
    read = read_step(MultiDict({"s1.field": "ticket.tags", "s1.value": "a\nb"}), head, WORDS)
    assert read == {"field": "ticket.tags", "value": ["a", "b"]}


VALUES = st.lists(st.sampled_from(["refund", "delivery"]), min_size=1, max_size=2, unique=True)


@examples(60)
@given(
    values=VALUES,
    op=st.sampled_from(["is", "is_not", "any_of", "none_of"]),
    default=st.sampled_from(["is", "any_of", "is_not"]),
)
def test_a_cell_shown_as_a_form_and_sent_back_means_the_same(values: list[str], op: str, default: str) -> None:
    """What the engine compiles from the cell is the same before and after the form."""
    if op in ("is", "is_not") and len(values) > 1:
        op = {"is": "any_of", "is_not": "none_of"}[op]
    head = {"id": "c1", "field": "ticket.fields.topic", "op": default}
    cell: dict[str, Any] = {"op": op, "value": values if op in ("any_of", "none_of") else values[0]}
    shown = condition_form(head, cell, WORDS)
    form = MultiDict[str, str]({"c1.op": next(one.key for one in shown.ops if one.chosen)})
    form.setlist("c1.value", [one.key for one in shown.widgets[0].choices if one.chosen])
    again = read_condition(form, head, WORDS, "UTC")
    assert meaning(head, again) == meaning(head, cell)
    in_order = sorted(values, key=list(TOPIC.options or {}).index)
    assert again == compact(op, in_order, default)


def meaning(head: dict[str, Any], cell: JSON) -> tuple[str, frozenset[str]]:
    table = parse_table(
        {
            "code": "A01",
            "name": "T",
            "triggers": [{"on": "created"}],
            "columns": [head],
            "rows": [{"id": "r1", "if": {"c1": cell}}],
        },
        WORDS,
    )
    condition = table.rows[0].conditions[0]
    values = condition.value if isinstance(condition.value, list) else [condition.value]
    plain = {"any_of": "is", "none_of": "is_not"}.get(condition.op, condition.op)
    return plain, frozenset(str(one) for one in values)


def test_every_action_has_a_form_that_reads_back_as_nothing_when_it_is_empty() -> None:
    from rules.actions import ACTIONS

    for action in ACTIONS:
        head = {"id": "s1", "do": action}
        shown = step_form(head, None, WORDS)
        # The inputs of a change are those of the chosen one; no system of this desk may be changed.
        shown_ones = [one for one in ACTIONS[action].params if one.type is not ParamType.INPUTS]
        assert [one.name for one in shown.widgets] == [f"s1.{one.key}" for one in shown_ones]
        assert read_step(MultiDict(), head, WORDS) is None


def test_a_change_in_a_system_has_a_field_for_each_input_and_reads_back_what_it_shows() -> None:
    words = replace(WORDS, changes=MANY_WORDS.changes)
    head = {"id": "s1", "do": "change_system"}
    cell: dict[str, JSON] = {
        "change": "crm.add_note",
        "inputs": {"text": "One\n{{ticket.subject}}", "amount": "12.50", "urgent": True},
        "recheck": False,
    }
    shown = {one.name: one for one in step_form(head, cell, words).widgets}
    assert [name for name in shown if name.startswith("s1.inputs.")] == [
        f"s1.inputs.crm.add_note.{name}" for name in ("email", "text", "amount", "times", "urgent", "on")
    ]
    assert [one.key for one in shown["s1.change"].choices] == ["crm.add_note"]
    text, urgent = shown["s1.inputs.crm.add_note.text"], shown["s1.inputs.crm.add_note.urgent"]
    assert (text.kind, text.value, text.required, text.hidden) == ("long", "One\n{{ticket.subject}}", True, False)
    assert [(one.key, one.chosen) for one in urgent.choices] == [("true", True), ("false", False)]
    # Left out, the address is the customer's: it is not required, and the form says so.
    email = shown["s1.inputs.crm.add_note.email"]
    assert (email.required, "Left out: Customer's e-mail." in email.help) == (False, True)
    form = MultiDict({name: one.value for name, one in shown.items() if one.kind not in ("radio", "choice", "ticks")})
    form["s1.change"], form["s1.recheck"], form["s1.inputs.crm.add_note.urgent"] = "crm.add_note", "false", "true"
    assert read_step(form, head, words) == cell
    # The system may not be changed any more: what was entered is not lost by saving the form.
    kept = {one.name: one for one in step_form(head, cell, WORDS).widgets}
    form = MultiDict({"s1.change": "crm.add_note", "s1.recheck": "false", "s1.inputs": kept["s1.inputs"].value})
    assert read_step(form, head, WORDS) == cell
    hidden = [one for one in step_form(head, None, words).widgets if one.name.startswith("s1.inputs.")]
    assert all(one.hidden and one.shown_for == ("crm.add_note",) for one in hidden)


# Paste -----------------------------------------------------------------------------------------------------------


def test_a_block_from_a_spreadsheet_fills_cells_and_adds_rows() -> None:
    text = (
        "Refund, Delivery\tcontains none of VAT\tBilling\n"
        "\tcharged twice, débité\tSales\tone, two\n"
        "is empty\t\tbilling\n"
    )
    after = do(a_document(), do="paste", row="r2", column="c1", text=text)
    assert order(after) == ["r1", "r2", "r3", "r4"]
    assert after["rows"][1]["if"] == {
        "c1": {"value": ["refund", "delivery"]},
        "c2": {"op": "contains_none", "value": ["VAT"]},
    }
    assert after["rows"][1]["then"]["s1"] == {"team": "billing"}
    assert after["rows"][2]["if"] == {"c2": {"value": ["charged twice", "débité"]}}
    assert after["rows"][2]["then"] == {"s1": {"team": "sales"}, "s2": {"tags": ["one", "two"]}}
    assert after["rows"][3]["if"] == {"c1": {"op": "empty"}}
    parse_table(after, WORDS)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_paste_has_a_row_per_line_whatever_ends_a_line(line_end: str) -> None:
    after = do(a_document(), do="paste", row="r1", column="c1", text=line_end.join(["Reefund", "Inwoice", ""]))
    assert [row["if"].get("c1") for row in after["rows"][:2]] == [{"value": "Reefund"}, {"value": "Inwoice"}]


def test_a_word_nobody_knows_is_pasted_as_it_is_so_that_its_cell_says_so() -> None:
    after = do(a_document(), do="paste", row="r1", column="c1", text="Reefund")
    assert after["rows"][0]["if"]["c1"] == {"value": "Reefund"}


@pytest.mark.parametrize(
    ("row", "column", "text", "sentence"),
    [
        ("r1", "s2", "a\tb", "2 columns wide, but from here there are 1"),
        ("otherwise", "s1", "Billing", "Choose a cell of a row"),
        ("r1", "c1", "\n \n", "nothing to paste"),
        ("r1", "c1", "x\n" * 5_001, "at most 5000 rows, not 5001"),
        ("r1", "c1", "x" * 131_073, "A pasted cell has at most 131072 characters"),
    ],
)
def test_a_paste_that_does_not_fit_is_refused(row: str, column: str, text: str, sentence: str) -> None:
    with pytest.raises(EditRefused, match=sentence):
        do(a_document(), do="paste", row=row, column=column, text=text)


# Odd drafts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"rows": 7},
        {"rows": [None, {"id": 3}, {"id": "r1", "if": []}]},
        {"columns": {"a": 1}},
        {"triggers": ["created"]},
    ],
)
def test_a_draft_of_any_shape_becomes_a_document(content: dict[str, Any]) -> None:
    document = tidy(content)
    assert all(isinstance(document[key], list) for key in ("triggers", "columns", "steps", "rows"))
    assert tidy(document) == document
