"""Tables as files and as cells of a spreadsheet: what goes out comes in again as the same, over the whole language."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from rules import files
from rules.actions import ACTIONS
from rules.dump import dump_table
from rules.engine import decide
from rules.parse import MAX_ROWS, parse_table
from tests.environment.selection import examples
from tests.oracle.lists import tables
from tests.rules.desk import DESK
from tests.web.cells import cells, the_condition
from tests.web.desk import TRIAGE, Desk, send
from tests.web.pages import edit, stored, text_of
from tickets.values import JSON
from web import rules_files, rules_offline
from web import rules_text as texts
from web.rules_document import IF, THEN, canonical, tidy
from web.rules_edits import Desk as EditDesk
from web.rules_edits import edit as edited

EDITS = EditDesk(DESK, (), "UTC")


# Files -----------------------------------------------------------------------------------------------------------


@examples(60)
@given(data=tables("A07"))
def test_a_table_written_as_yaml_or_json_is_read_as_the_same_table(data: dict[str, Any]) -> None:
    table = parse_table(data, DESK)
    for text in (files.dump(dump_table(table)), json.dumps(dump_table(table)), files.dump(data)):
        (entry,) = rules_files.read(text, "file")
        assert (entry.code, parse_table(entry.content, DESK)) == ("A07", table)
    # And once more through what another YAML reader makes of it: nothing hangs on ours, but for the key `on`.
    again = yaml.safe_load(files.dump(dump_table(table)).replace("- on:", "- 'on':"))
    assert parse_table(again, DESK) == table


def a_long_table(rows: int) -> dict[str, Any]:
    """A table of more values than a message or a cell may hold."""
    cells = {IF: {"c1": {"value": "chat"}, "c2": {"value": ["refund"]}}, THEN: {"s1": {"team": "billing"}}}
    return {**TRIAGE, "code": "A01", "rows": [{"id": f"r{n}", **cells} for n in range(1, rows + 1)]}


@pytest.mark.parametrize(
    ("write", "rows"), [pytest.param(files.dump, 1_700, marks=pytest.mark.slow), (json.dumps, MAX_ROWS)]
)
def test_a_file_of_more_values_than_a_message_may_hold_is_read(write: Callable[[object], str], rows: int) -> None:
    data = a_long_table(rows)
    (entry,) = rules_files.read(write({"tables": [data]}), "file")
    assert len(entry.content["rows"]) == rows
    assert entry.content["rows"][-1] == data["rows"][-1]


def test_a_long_table_is_put_back_by_undo() -> None:
    data = tidy(a_long_table(MAX_ROWS))
    form = MultiDict({"do": "document", "document": json.dumps(data)})
    assert edited(tidy(TRIAGE), form, EDITS).document == data


@pytest.mark.parametrize("text", ["[" * 200_000 + "]" * 200_000, "{a: " * 200 + "}" * 200, "- " * 5_000 + "x"])
def test_a_file_nested_without_end_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(files.FileInvalid, match=f"more than {files.MAX_FILE_DEPTH} levels deep at line 1"):
        files.load(text)


def test_a_file_nested_as_deep_as_allowed_is_read() -> None:
    data = files.load("[" * files.MAX_FILE_DEPTH + "]" * files.MAX_FILE_DEPTH)
    assert json.dumps(data).count("[") == files.MAX_FILE_DEPTH


@pytest.mark.slow
def test_a_few_lines_that_mean_a_million_are_refused() -> None:
    """Ten references to ten references, seven times over."""
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8))
    with pytest.raises(rules_files.FileRefused, match="more than 1000000 values"):
        rules_files.read(text, "file")
    merged = "a: &a {x: 1}\nb: {<<: [*a, *a]}\n"
    assert files.load(merged) == {"a": {"x": 1}, "b": {"<<": [{"x": 1}, {"x": 1}]}}


@pytest.mark.parametrize(
    "written",
    [
        "0123",
        "12:30",
        "1.10",
        "100.00",
        "1_000",
        "0x1F",
        "0o17",
        "+5",
        "1e3",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "no",
    ],
)
def test_what_would_not_be_written_the_same_again_is_no_number_and_no_date(written: str) -> None:
    """An order number lost its zeros, and half past twelve was 750."""
    for text in (f"{{a: {written}}}", f"a: {written}", f"- a: [{written}]"):
        assert json.dumps(written) in json.dumps(files.load(text))
    assert files.load(files.dump({"a": written})) == {"a": written}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"])
def test_ends_of_lines_come_back_from_a_file_as_they_were(end: str) -> None:
    for text in (end, f"a{end}b", f"a{end}{end}b{end}", f"a\n{end}b"):
        assert files.load(files.dump({text: [text]})) == {text: [text]}


@pytest.mark.parametrize("value", [0, 7, -12, 2**63 - 1, 0.5, -1.25, 1e16, 1.5e-7, 2.5e300, True, None, "0.50", "null"])
def test_numbers_come_back_from_a_file_as_they_were(value: object) -> None:
    back = files.load(files.dump({"a": [value]}))
    assert back == {"a": [value]}
    assert type(back["a"][0]) is type(value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("code: A01\nname: x\ncode: A02\n", "line 3, column 1: the key 'code' stands here twice"),
        ("rows:\n  - id: r1\n    if: {c1: refund, c1: invoice}\n", "line 3, column 22: the key 'c1' stands here twice"),
        ('{"rows": [{"id": "r1", "if": {"c1": "a", "c1": "b"}}]}', "line 1, column 42: the key 'c1' stands here twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused_with_its_place(text: str, place: str) -> None:
    """The first of them was lost without a word: of two conditions one was left."""
    with pytest.raises(rules_files.FileRefused) as refused:
        rules_files.read(text, "file")
    assert refused.value.problems == (f"file: This is not YAML at {place}",)
    assert files.load("[{a: 1}, {a: 2}, {b: {a: 3}, a: 4}]") == [{"a": 1}, {"a": 2}, {"b": {"a": 3}, "a": 4}]


# Cells -----------------------------------------------------------------------------------------------------------


def through_a_spreadsheet(text: str) -> str:
    """The text after it was a cell of a TSV file."""
    (line,) = csv.reader(io.StringIO(texts.separated([[texts.harmless(text), "x"]], "\t")), delimiter="\t")
    return line[0]


@pytest.mark.slow
def test_every_operator_of_every_field_as_text_is_the_same_cell_again(app: APIFlask) -> None:
    with app.test_request_context():
        for field, operator, cell in cells():
            for default in ("", operator.key):
                head = {"id": "c", "field": field.key, **({"op": default} if default else {})}
                text = texts.cell_text(IF, head, cell, DESK)
                again = texts.from_text(IF, head, through_a_spreadsheet(text), DESK)
                said = {"op": operator.key, **again} if isinstance(again, dict) and default else again
                assert (text, the_condition(field, said)) == (text, the_condition(field, cell))


NASTY = st.sampled_from(
    ["a, b", 'say "hi"', "is empty", "contains none of VAT", "is: x", "list MONEY", "=1+1", "-5", "'quoted", "{}", "{x",
     "@home", "+40", " spaced  out ", "łódź", "one\ttab", "is", "changed", "yes", "1 234,50", ";"]
)  # fmt: skip

#: Values which readers of other languages would take for an operator or a list.
OF_OTHERS = st.sampled_from(
    ["est vide", "n'est pas vide", "ne contient aucun de TVA", "commence par a, b", "liste MONEY",
     "jest puste", "zawiera wszystkie z x", "nu este gol", "lista MONEY", "Ouvert", "oui"]
)  # fmt: skip


@examples(120)
@example(values=["0\r", "a, b"], op="contains_any", default="is")
@given(
    values=st.lists(st.one_of(NASTY, st.text(max_size=12)), min_size=1, max_size=3),
    op=st.sampled_from(["contains_any", "contains_none", "any_of", "is", "starts_with", "matches"]),
    default=st.sampled_from(["contains_any", "is", "any_of"]),
)
def test_a_cell_with_any_words_in_it_comes_back_as_it_was(values: list[str], op: str, default: str) -> None:
    head = {"id": "c", "field": "message.text", "op": default}
    several = op not in ("is", "matches")
    cell: dict[str, JSON] = {"op": op, "value": list(values) if several else values[0]}
    text = texts.cell_text(IF, head, cell, DESK)
    again = texts.from_text(IF, head, through_a_spreadsheet(text).strip(), DESK)
    assert texts._same(IF, head, again, cell, DESK), text
    assert not through_a_spreadsheet(text).startswith(("=", "+", "-", "@"))


@examples(30)
@given(
    values=st.lists(st.one_of(OF_OTHERS, st.text(max_size=12)), min_size=1, max_size=3),
    op=st.sampled_from(["contains_any", "contains_none", "is", "starts_with"]),
    default=st.sampled_from(["contains_any", "is", "any_of"]),
)
def test_a_cell_comes_back_as_it_was_whatever_the_readers_language_is(values: list[str], op: str, default: str) -> None:
    head = {"id": "c", "field": "message.text", "op": default}
    cell: dict[str, JSON] = {"op": op, "value": list(values) if op != "is" else values[0]}
    text = through_a_spreadsheet(texts.cell_text(IF, head, cell, DESK)).strip()
    for language in texts.READERS:
        again = texts.from_text(IF, head, text, DESK, language)
        assert texts._same(IF, head, again, cell, DESK), (text, language)


def test_every_action_as_text_is_the_same_step_again() -> None:
    samples: dict[str, dict[str, JSON]] = {
        "assign_team": {"team": "billing"},
        "add_tags": {"tags": ["a, b", "c"]},
        "post_message": {"template": "E01", "public": False},
        "set_field": {"field": "ticket.fields.topic", "value": "refund"},
        "notify": {"users": ["ana"], "teams": ["billing"], "text": "Look"},
    }
    for action in ACTIONS:
        cell = samples.get(action, {ACTIONS[action].params[0].key: "x"})
        head = {"id": "s", "do": action}
        text = texts.cell_text(THEN, head, cell, DESK)
        assert texts.from_text(THEN, head, through_a_spreadsheet(text), DESK) == cell
    assert texts.cell_text(THEN, {"id": "s", "do": "assign_team"}, {"team": "billing"}, DESK) == "Billing"


@examples(40)
@given(data=tables("A07"))
def test_a_grid_exported_and_pasted_back_is_the_same_grid(data: dict[str, Any]) -> None:
    document = tidy({**data, "rows": [*data["rows"], {"id": "r99", "if": {}, "then": {"prio": {"priority": "low"}}}]})
    text = texts.separated(texts.lines(document, DESK), "\t")
    empty = tidy({**document, "rows": [{**row, "if": {}, "then": {}} for row in document["rows"]]})
    first = {"row": empty["rows"][0]["id"], "column": document["columns"][0]["id"]}
    form = MultiDict({"do": "paste", **first, "text": text})
    assert parse_table(edited(empty, form, EDITS).document, DESK) == parse_table(document, DESK)


# Through the page ------------------------------------------------------------------------------------------------


def test_the_grid_is_downloaded_for_a_spreadsheet_and_pasted_back(desk: Desk, manager: FlaskClient) -> None:
    desk.publish()
    assert text_of(manager.get("/rules/A01.tsv")) == 'Chat\t\tSales\t""\n\t"refund, invoice"\tBilling\tHigh\n'.replace(
        '""', ""
    ).replace('"refund, invoice"', "refund, invoice")
    rows = list(csv.reader(io.StringIO(text_of(manager.get("/rules/A01.csv")))))
    assert rows[0] == ["Row", "Channel", "Subject", "Assign team", "Set priority"]
    assert rows[2] == ["2", "", "refund, invoice", "Billing", "High"]
    before = canonical(stored(desk).working)
    edit(manager, desk, do="paste", row="r1", column="c1", text=text_of(manager.get("/rules/A01.tsv")))
    assert canonical({**stored(desk).working}) == before


def test_a_formula_is_text_in_the_spreadsheet_and_itself_again_in_the_table(desk: Desk, manager: FlaskClient) -> None:
    rows: list[JSON] = [{"id": "r1", "if": {"c2": {"value": ["=HYPERLINK(1)"]}}, "then": {"s1": {"team": "sales"}}}]
    desk.publish({**TRIAGE, "rows": rows})
    text = text_of(manager.get("/rules/A01.tsv"))
    assert text.startswith("\t'=HYPERLINK(1)")
    edit(manager, desk, do="paste", row="r1", column="c1", text=text)
    assert stored(desk).working["rows"][0]["if"]["c2"] == {"value": ["=HYPERLINK(1)"]}


@pytest.mark.slow
def test_a_paste_of_as_many_rows_as_a_table_may_have_works_and_one_more_names_the_cap(
    desk: Desk, manager: FlaskClient
) -> None:
    desk.publish({**TRIAGE, "rows": [{"id": "r1"}]})
    text = "\n".join(f"Chat\tword{n}\tBilling" for n in range(MAX_ROWS))
    began = time.process_time()
    assert send(manager, "/rules/A01/paste", {"row": "r1", "column": "c1", "text": text}).status_code == 200
    edit(manager, desk, do="paste", row="r1", column="c1", text=text)
    print(f"{MAX_ROWS} rows previewed and saved in {time.process_time() - began:.1f} s of the processor")
    assert len(stored(desk).working["rows"]) == MAX_ROWS
    assert stored(desk).working["rows"][-1]["if"]["c2"] == {"value": [f"word{MAX_ROWS - 1}"]}
    answer = send(manager, "/rules/A01/paste", {"row": "r1", "column": "c1", "text": text + "\nChat"})
    assert f"at most {MAX_ROWS} rows, not {MAX_ROWS + 1}" in text_of(manager.get("/rules/A01")) + text_of(answer)
    assert len(stored(desk).working["rows"]) == MAX_ROWS


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"]
)
def test_a_text_ten_times_as_long_takes_about_ten_times_as_long(pattern: str) -> None:
    """Backtracking would take for ever on the shorter one already."""
    table = {"code": "A01", "name": "T", "triggers": [{"on": "created"}], "steps": [{"id": "s", "do": "add_tags"}],
             "columns": [{"id": "c", "field": "message.text", "op": "matches"}],
             "rows": [{"id": "r1", "if": {"c": pattern}, "then": {"s": {"tags": ["x"]}}}]}  # fmt: skip
    ruleset = rules_offline.ruleset([table], DESK)
    took = []
    for size in (100_000, 1_000_000):
        facts: dict[str, JSON] = {
            "now": "2026-11-21T09:31:00.000000+00:00",
            "item": {"id": 1, "kind": "ticket"},
            "event": {"id": 1, "kind": "created", "actor": "customer", "at": "2026-11-21T09:31:00.000000+00:00"},
            "message": {"author": "customer", "public": True, "new_text": "a" * size + "!", "text": ""},
        }
        began = time.process_time()
        decide(ruleset, rules_offline.facts(facts))
        took.append(time.process_time() - began)
    assert took[1] < 40 * took[0] + 1
