"""What each operator says yes and no to, and what it says when there is no value or nobody knows it."""

from __future__ import annotations

from typing import Any

import pytest

from rules.errors import ConditionFailed, OperandRefused, TableInvalid
from rules.folding import fold, has_keyword
from rules.operators import OPERATORS, Looks, Operand, Takes, clean_operand, operators_for, type_for, with_hours
from rules.trace import RowVerdict
from tests.environment.proportion import in_proportion
from tests.rules.desk import DESK, a_table, decided, some_facts, tagging, tags_of
from tickets.item import FieldType

T, L, C, S = FieldType.TEXT, FieldType.LONG_TEXT, FieldType.CHOICE, FieldType.CHOICES
N, M, W, P, B = FieldType.NUMBER, FieldType.MONEY, FieldType.TIME, FieldType.PERSON, FieldType.BOOL
NOON, EVENING = "2026-11-21T12:00:00+00:00", "2026-11-21T18:00:00+00:00"

#: operator, type, operand, a value it says yes to, a value it says no to
CASES: list[tuple[str, FieldType, Any, Any, Any]] = [
    ("is", T, "Zwrot", "zwrót", "zwroty"),
    ("is", L, "a  b", "A B", "ab"),
    ("is", C, "email", "email", "Email"),
    ("is", N, 3, 3.0, 4),
    ("is", N, 0.1, 0.1, 0.2),
    ("is", M, "64.90", "64.9", "64.91"),
    ("is", B, True, True, False),
    ("is", P, 7, 7, 8),
    ("is", W, NOON, "2026-11-21T13:00:00+01:00", EVENING),
    ("is_not", T, "refund", "invoice", "Refund"),
    ("is_not", N, 3, 4, 3.0),
    ("is_not", B, True, False, True),
    ("any_of", C, ["email", "form"], "form", "chat"),
    ("any_of", T, ["gold", "platine"], "PLATINÉ", "silver"),
    ("any_of", N, [1, 2], 2, 3),
    ("none_of", C, ["email", "form"], "chat", "form"),
    ("none_of", M, ["1", "2"], "3", "2.00"),
    ("not_empty", T, None, "x", None),
    ("greater", N, 100, 100.5, 100),
    ("greater", M, "9", "10", "9.00"),
    ("greater", W, NOON, EVENING, NOON),
    ("greater_or_equal", N, 100, 100, 99),
    ("less", N, 0, -1, 0),
    ("less", W, EVENING, NOON, EVENING),
    ("less_or_equal", M, "9", "9.00", "9.01"),
    ("between", N, [1, 3], 3, 3.1),
    ("between", N, [1, 3], 1, 0.9),
    ("between", W, [NOON, EVENING], "2026-11-21T15:00:00+00:00", "2026-11-21T18:00:01+00:00"),
    ("contains_any", L, ["refund", "zwrot"], "I want a REFUND!", "my refunds"),
    ("contains_any", T, ["facture"], "Double prélèvement sur ma facturé", "manufacture"),
    ("contains_none", L, ["refund"], "my refunds", "a refund"),
    ("contains_all", L, ["refund", "order"], "ORDER 12: réfund", "a refund of orders"),
    ("ends_with", T, ["zwrot", "!"], "Proszę o ZWRÓT", "zwroty"),
    ("ends_with", T, ["714"], "20-7714", "20-7714 b"),
    ("matches", T, r"\bfv[-/ ]?\d{4}\b", "Faktura FV-2041", "Faktura FV-20412"),
    ("matches", T, "zwrot", "Proszę o ZWRÓT!", "zwr ot"),
    ("matches", L, "(?m)^numéro: łódź$", "x\nNUMERO: Lodz\ny", "numéro: łódź 2"),
    ("older_than", W, "72 h", 72 * 3600, 72 * 3600 - 1),
    ("newer_than", W, "3 days", 72 * 3600 - 1, 72 * 3600),
    ("newer_than", W, "1 min", -5, 61),
    ("in_working_time", W, "office", "2026-11-20T16:59:00+00:00", "2026-11-20T17:00:00+00:00"),
    ("out_of_working_time", W, "office", "2026-11-21T12:00:00+00:00", "2026-11-20T12:00:00+00:00"),
    ("fresh_within", T, "2 w", 14 * 86400 - 1, 14 * 86400),
    ("starts_with", T, ["re:", "fw"], "RE: hello", "about re:"),
    ("starts_with", T, ["20-"], "20-7714", "120-7714"),
    ("has_any", S, ["vip", "b"], ["a", "VIP"], ["vips"]),
    ("has_all", S, ["vip", "b"], ["a", "B", "VIP"], ["a", "vip"]),
    ("has_none", S, ["vip", "b"], ["a", "c"], ["a", "b"]),
    ("changed", C, None, ["open", "solved"], ["open", "open"]),
    ("changed_to", C, ["solved", "closed"], ["open", "solved"], ["solved", "open"]),
    ("changed_to", C, ["solved"], [None, "solved"], ["solved", "solved"]),
    ("changed_to", S, ["vip"], [["a"], ["a", "vip"]], [["a", "vip"], ["a", "b", "vip"]]),
    ("changed_from", C, ["open"], ["open", None], [None, "open"]),
    ("changed_from", S, ["vip"], [["vip"], None], [["a"], ["vip"]]),
]


@pytest.mark.alike
@pytest.mark.parametrize(("key", "type", "operand", "yes", "no"), CASES)
def test_an_operator_says_yes_to_one_value_and_no_to_its_twin(
    key: str, type: FieldType, operand: Any, yes: Any, no: Any
) -> None:
    operator = OPERATORS[key]
    assert type in operator.types
    operand = with_hours(operator, clean_operand(operator, type, operand), DESK.hours)
    test = operator.test(type, operand)
    assert test(yes) is True
    if no is not None:
        assert test(no) is False


def test_every_operator_has_its_case() -> None:
    assert {case[0] for case in CASES} | {"empty"} == set(OPERATORS)


def test_empty_is_true_only_where_there_is_no_value() -> None:
    table = a_table(
        [tagging("empty", c1={"op": "empty"}), tagging("full", c1={"op": "not_empty"})],
        columns=[{"id": "c1", "field": "ticket.team"}],
    )
    assert tags_of(decided(some_facts(), table)) == ["empty"]
    assert tags_of(decided(some_facts({"team": "billing"}), table)) == ["full"]


NEGATIVE = {"is_not", "none_of", "empty", "contains_none", "has_none"}


@pytest.mark.parametrize("key", sorted(OPERATORS))
def test_a_missing_value_makes_positive_operators_false_and_negative_ones_true(key: str) -> None:
    operator = OPERATORS[key]
    assert operator.when_missing is (key in NEGATIVE)
    value: Any
    name, value = {
        Operand.NONE: ("ticket.fields.amount", None),
        Operand.PAIR: ("ticket.fields.amount", [1, 2]),
    }.get(operator.operand, ("ticket.fields.amount", 1))
    if FieldType.NUMBER not in operator.types:
        name, value = ("ticket.tags", "vip") if FieldType.CHOICES in operator.types else ("ticket.subject", "vip")
    if operator.takes is Takes.CALENDAR:
        name, value = "ticket.due_at", "office"
    if operator.takes is Takes.DURATION:
        name, value = "context.payments.duplicate" if operator.looks is Looks.FETCHED else "ticket.due_at", "1 h"
    cell = {"op": key} if value is None else {"op": key, "value": value}
    table = a_table([tagging("hit", c1=cell)], columns=[{"id": "c1", "field": name}])
    assert tags_of(decided(some_facts(), table)) == (["hit"] if key in NEGATIVE else [])


@pytest.mark.parametrize("key", sorted(key for key, one in OPERATORS.items() if one.looks is not Looks.CHANGE))
def test_an_unknown_value_satisfies_no_operator(key: str) -> None:
    operator = OPERATORS[key]
    types = {M: "receivable", T: "address.country", S: "groups", W: "since"}
    path = next(path for type, path in types.items() if type in operator.types)
    value = {Operand.PAIR: ["1", "2"], Operand.NONE: None}.get(operator.operand, "1")
    value = {Takes.DURATION: "1 h", Takes.CALENDAR: "office"}.get(operator.takes, value)
    cell = {"op": key} if value is None else {"op": key, "value": value}
    columns = [{"id": "c1", "field": f"erp.find_party.{path}"}]
    table = a_table([tagging("hit", c1=cell)], columns=columns, wait_s=0)
    facts = some_facts(lookups={"erp.find_party": {"state": "failed", "reason": "The ERP did not answer"}})
    decision = decided(facts, table)
    assert decision.fired == ()
    [row] = decision.trace.entries[0].rows
    assert (row.verdict, row.reason) == (RowVerdict.SKIPPED, "The ERP did not answer")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Prélèvement  ÉTÉ", "prelevement ete"),
        ("Łódź żółć", "lodz zolc"),
        ("Mulțumesc", "multumesc"),
        ("Straße", "strasse"),
        ("İstanbul ısı", "istanbul isi"),
        ("l’été", "l'ete"),
        ("ﬁn\u00a0\t\n.", "fin ."),
    ],
)
def test_folding_takes_case_accents_and_spaces_away(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(folded) == folded


@pytest.mark.parametrize(
    ("text", "keyword", "found"),
    [
        ("please $closeticket now", "$closeticket", True),
        ("x$closeticket", "$closeticket", True),  # it begins with a sign: no edge needed there
        ("$closetickets", "$closeticket", False),  # but it ends with a letter
        ("c++ and c#", "c++", True),
        ("abc++", "c++", False),
        ("order #42", "#42", True),
        ("order #421", "#42", False),
        ("prefund refund", "refund", True),
        ("prefund", "refund", False),
        ("refund_request", "refund", True),  # _ is no letter
        ("возврат денег", "возврат", True),
        ("возвраты", "возврат", False),
        ("refund", "refund request", False),
        ("日本語", "本", False),
    ],
)
def test_a_word_edge_is_needed_only_where_the_keyword_has_a_letter_or_digit(
    text: str, keyword: str, found: bool
) -> None:
    assert has_keyword(fold(text), fold(keyword)) is found


@pytest.mark.parametrize(
    ("key", "type", "operand", "sentence"),
    [
        ("empty", T, "x", "'is empty' takes no value."),
        ("is", T, None, "'is' needs a value."),
        ("is", T, ["a", "b"], "'is' takes one value, not 2."),
        ("any_of", T, [], "'is any of' needs a value."),
        ("any_of", T, ["x"] * 1001, "One cell takes at most 1000 values, not 1001."),
        ("between", N, [1], "'is between' takes two values, the lower and the higher one."),
        ("between", N, [3, 1], "'is between' needs the lower value first."),
        ("greater", N, "many", "'many' is not a number."),
        ("greater", N, True, "True is not a number."),
        ("greater", N, "1e999999", "'1e999999' is not a number."),
        ("greater", N, "NaN", "'NaN' is not a number."),
        ("greater", W, "2026-11-21", "'2026-11-21' is not a time with a zone."),
        ("is", B, "yes", "'yes' is neither yes nor no. Write true or false."),
        ("is", P, "Ana", "'Ana' is not a person's id."),
        ("is", T, {"a": 1}, "{'a': 1} is not a text."),
        ("contains_any", T, ["\u0301"], "A value needs at least one letter, digit or sign."),
        ("older_than", W, "3", "'3' is not a duration such as 30 min, 72 h, 7 d or 2 w."),
        ("older_than", W, "30 s", "'30 s' is not a duration such as 30 min, 72 h, 7 d or 2 w."),
        ("older_than", W, "0 h", "A duration is from 1 min to 3650 d, not '0 h'."),
        ("newer_than", W, "999999999 w", "A duration is from 1 min to 3650 d, not '999999999 w'."),
        ("fresh_within", T, ["1 h", "2 h"], "'was fetched within' takes one value, not 2."),
        ("matches", T, "x" * 501, "A pattern has at most 500 characters, not 501."),
        ("contains_any", T, ["x" * 2001], "A value has at most 2000 characters, not 2001."),
    ],
)
def test_an_operand_that_makes_no_sense_is_refused_with_a_sentence(
    key: str, type: FieldType, operand: Any, sentence: str
) -> None:
    with pytest.raises(OperandRefused) as refused:
        clean_operand(OPERATORS[key], type, operand)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("pattern", ["(", r"(?=x)", r"(a)\1", "((((((x{500}){500}){500}){500}){500}){500})"])
def test_a_pattern_that_is_none_or_takes_too_much_is_refused(pattern: str) -> None:
    with pytest.raises(OperandRefused, match=r"is not a pattern: .* have no lookahead, lookbehind or back-references"):
        clean_operand(OPERATORS["matches"], T, pattern)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "operand", "piece"),
    [
        ("contains_any", ["a" * 20], "a"),  # found everywhere, and nowhere a word of its own
        ("contains_all", ["x", "y"], "xa "),
        ("contains_any", ["x"], "\u1e9b\u0323"),  # to be folded letter by letter
        ("ends_with", ["x"], "  e\u0301"),
    ],
)
def test_keywords_take_time_in_proportion_to_the_text(key: str, operand: list[str], piece: str) -> None:
    """A megabyte of what is worst for them takes some ten times as long as a tenth of it; a hundred times would be
    what strangers can do to a desk."""
    test = OPERATORS[key].test(L, operand)

    def find(length: int) -> None:
        assert test(piece * (length // len(piece)) + "b") is False

    assert in_proportion(find, 100_000, 1_000_000, most=40)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["a", "ab"])
def test_a_long_keyword_takes_no_longer_than_a_short_one_that_is_nowhere_a_word(word: str) -> None:
    """A hundred times as long a keyword once took a hundred times as long on a text that repeats it."""
    text = word * (400_000 // len(word))

    def find(length: int) -> None:
        assert has_keyword(text, word * (length // len(word))) is False

    assert in_proportion(find, 20, 2_000, most=20)


def test_a_pattern_takes_time_in_proportion_to_the_text() -> None:
    test = OPERATORS["matches"].test(L, r"(a|aa)+(b+)+$")

    def find(length: int) -> None:
        assert test("a" * length) is False

    find(1_000)
    # Ten times the text; a backtracking matcher would need longer than the universe has.
    assert in_proportion(find, 50_000, 500_000, most=30)


@pytest.mark.parametrize(
    ("written", "stored"),
    [("72 h", "72 h"), ("72h", "72 h"), ("3 Days", "3 d"), (" 007  weeks", "7 w"), ("90 m", "90 min")],
)
def test_a_duration_has_one_stored_form(written: str, stored: str) -> None:
    assert clean_operand(OPERATORS["older_than"], W, written) == stored


def test_the_age_of_a_time_is_counted_from_now() -> None:
    columns = [{"id": "c1", "field": "ticket.due_at", "op": "older_than"}]
    table = a_table(
        [tagging("late", c1="1 h"), tagging("soon", c1={"op": "newer_than", "value": "1 h"})], columns=columns
    )
    due = {age: {"due_at": f"2026-11-21T{age}:00.000000+00:00"} for age in ("08:31", "08:32", "10:00")}
    assert tags_of(decided(some_facts(due["08:31"]), table)) == ["late"]
    assert tags_of(decided(some_facts(due["08:32"]), table)) == ["soon"]
    assert tags_of(decided(some_facts(due["10:00"]), table)) == ["soon"]
    assert tags_of(decided(some_facts(), table)) == []


def test_a_fact_is_fresh_by_when_it_was_fetched_and_undecided_when_nobody_noted_that() -> None:
    columns = [{"id": "c1", "field": "context.payments.duplicate", "op": "fresh_within"}]
    table = a_table([tagging("fresh", c1="30 min")], columns=columns)

    def card(at: str) -> dict[str, Any]:
        return {"payments": {"data": {"duplicate": True}, "title": "Payments", "fetched_at": at}}

    assert tags_of(decided(some_facts(context=card("2026-11-21T09:02:00+00:00")), table)) == ["fresh"]
    assert tags_of(decided(some_facts(context=card("2026-11-21T09:01:00+00:00")), table)) == []
    decision = decided(some_facts(context=card("")), table)
    assert decision.fired == ()
    assert decision.trace.entries[0].rows[0].verdict is RowVerdict.FAILED
    assert decision.trace.entries[0].rows[0].reason == "Duplicate payment: nobody noted when it was fetched"


def test_freshness_is_asked_only_of_facts_from_outside() -> None:
    with pytest.raises(TableInvalid, match="'was fetched within' does not fit: Subject is not fetched from outside"):
        a_table([tagging("r1")], columns=[{"id": "c1", "field": "ticket.subject", "op": "fresh_within"}])


def test_a_value_outside_the_menu_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(OperandRefused) as refused:
        clean_operand(OPERATORS["is"], C, "Emial", {"email": "E-mail", "form": "Web form"}, "channel")
    assert str(refused.value) == "There is no channel 'Emial'. Did you mean 'email'? Allowed: email, form."


def test_a_value_of_the_wrong_sort_fails_the_condition_instead_of_being_no() -> None:
    with pytest.raises(ConditionFailed, match="'many' is not a number"):
        OPERATORS["greater"].test(N, 1)("many")
    with pytest.raises(ConditionFailed, match="is not a list"):
        OPERATORS["has_none"].test(S, ["a"])("a")


def test_an_undeclared_field_is_compared_as_what_the_operand_is() -> None:
    assert type_for(OPERATORS["is"], None, 3) is N
    assert type_for(OPERATORS["is"], None, True) is B
    assert type_for(OPERATORS["greater"], None, "12.5") is N
    assert type_for(OPERATORS["greater"], None, NOON) is W
    assert type_for(OPERATORS["contains_any"], None, ["x"]) is T
    assert type_for(OPERATORS["has_any"], None, ["x"]) is S
    assert type_for(OPERATORS["any_of"], None, ["x"]) is T


def test_menus_offer_operators_about_changes_only_for_fields_of_the_ticket() -> None:
    assert "changed_to" in {one.key for one in operators_for(C)}
    assert "changed_to" not in {one.key for one in operators_for(C, state=False)}
    assert {one.key for one in operators_for(B, state=False)} == {"is", "is_not", "empty", "not_empty"}
