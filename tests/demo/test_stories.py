"""The people, orders and texts of the demo: invented, consistent, and in the words the triage table looks for."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from string import Template

import pytest

from jobs.demo import desk
from jobs.demo.mail import new_customer
from jobs.demo.places import SEED, Places
from jobs.demo.stories import DAYS, LANGUAGES, SHARES, TICKETS, Did, message, stories, texts
from jobs.demo.world import Customer, customers
from rules.folding import fold, has_keyword
from tests.demo.conftest import NOW

PEOPLE = customers(SEED, NOW.date())


def test_the_same_seed_and_day_give_the_same_people_and_stories() -> None:
    assert customers(SEED, NOW.date()) == PEOPLE
    assert stories(PEOPLE, seed=SEED, now=NOW) == stories(PEOPLE, seed=SEED, now=NOW)
    assert stories(PEOPLE, seed=SEED + 1, now=NOW) != stories(PEOPLE, seed=SEED, now=NOW)


def test_nobody_in_the_demo_has_an_address_that_could_exist() -> None:
    assert {one.email.rpartition(".")[2] for one in PEOPLE} == {"example"}
    assert len({one.email for one in PEOPLE}) == len(PEOPLE) == 48


def test_a_customer_survives_the_way_to_the_back_office_and_back() -> None:
    assert [Customer.from_json(one.to_json()) for one in PEOPLE] == list(PEOPLE)


def test_camille_laurent_paid_one_order_twice() -> None:
    camille = next(one for one in PEOPLE if one.name == "Camille Laurent")
    doubled = camille.doubled()
    assert doubled is not None
    assert [one.amount for one in camille.charges if one.order == doubled.number] == [doubled.total] * 2


def test_there_are_400_stories_over_30_days_in_four_languages() -> None:
    told = stories(PEOPLE, seed=SEED, now=NOW)
    assert len(told) == TICKETS == 400
    assert {one.customer.language for one in told} == set(LANGUAGES)
    begins = [one.acts[0].at for one in told]
    assert begins == sorted(begins)
    assert timedelta(days=DAYS - 2) < NOW - begins[0] <= timedelta(days=DAYS)
    assert NOW - begins[-1] < timedelta(hours=6)
    assert all(act.at <= NOW for one in told for act in one.acts)
    ends = Counter(one.acts[-1].did for one in told)
    assert min(ends[Did.ASKED], ends[Did.ANSWERED], ends[Did.SOLVED], ends[Did.CLOSED]) > 15


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_can_be_filled_in(language: str) -> None:
    values = dict.fromkeys(("order", "product", "amount", "date", "city", "name"), "x")
    spoken = texts(language)
    assert set(spoken["topics"]) == set(spoken["answers"]) == set(SHARES)
    for topic in spoken["topics"].values():
        assert len(topic["subjects"]) == len(topic["bodies"])
        for text in (*topic["subjects"], *topic["bodies"]):
            assert "$" not in Template(text).substitute(values)
    for answers in spoken["answers"].values():
        for text in answers:
            assert "$" not in Template(text).substitute(values)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("topic", "row"), [("double_charge", "twice"), ("conduct", "conduct"), ("delivery", "parcel")])
def test_the_triage_table_knows_the_words_customers_use(language: str, topic: str, row: str) -> None:
    rows = desk.table("A01_triage")["rows"]
    for body in texts(language)["topics"][topic]["bodies"]:
        first = next((one["id"] for one in rows if _says(body, one["if"].get("words"))), None)
        assert (body, first) == (body, row)


def _says(text: str, cell: dict[str, list[str]] | None) -> bool:
    return cell is not None and any(has_keyword(fold(text), fold(word)) for word in cell["value"])


def test_a_made_up_customer_is_new_and_has_paid_twice(found: Places) -> None:
    made = [new_customer(found, random.Random(number), NOW) for number in range(40)]
    assert len({one.email for one in made}) == 40
    assert {one.language for one in made} == set(LANGUAGES)
    known = {order.number for one in PEOPLE for order in one.orders}
    for one in made:
        assert one.doubled() == one.orders[0]
        assert one.orders[0].number not in known
        subject, text = message(random.Random(1), one, one.orders[0], "double_charge")
        assert "$" not in subject + text
        assert one.name in text
