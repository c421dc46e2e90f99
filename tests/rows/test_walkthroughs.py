"""The walk-throughs of docs/examples, one per product: each step does what it says, and not without the rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rules import files
from run_tool.rows import rows
from tests.rows.maildesk import MailDesk
from tests.rows.walkthrough import FILES, NotMet, Walk

#: Each is a working day of a desk: many pages, mails and days of its clock.
pytestmark = pytest.mark.slow

STORIES = sorted(path.stem for path in FILES.glob("*.yaml"))


def story(name: str) -> dict[str, Any]:
    loaded = files.load((FILES / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_every_product_has_a_walk_through_that_names_its_rows() -> None:
    letters = {one: {row[0] for row in story(one)["rows"]} for one in STORIES}
    assert sorted(letters) == ["ecommerce", "fullwhere", "onedesk", "taxdome", "whispli"]
    assert sorted(letter for one in letters.values() for letter in one) == sorted("FHOTW")
    assert [row for one in STORIES for row in story(one)["rows"] if row not in rows()] == []
    readme = (FILES / "README.md").read_text(encoding="utf-8")
    assert all(f"{one}.yaml" in readme for one in STORIES)


@pytest.mark.parametrize("name", STORIES)
def test_each_step_of_the_walk_through_does_what_it_says(name: str, mail_desk: MailDesk, tmp_path: Path) -> None:
    told = story(name)
    walk = Walk(mail_desk, told, tmp_path)
    walk.set_up()
    assert walk.steps() == sum("then" in step for step in told["steps"])


@pytest.mark.parametrize("name", STORIES)
def test_with_its_rules_off_the_first_expectation_is_not_met(name: str, mail_desk: MailDesk, tmp_path: Path) -> None:
    walk = Walk(mail_desk, story(name), tmp_path)
    walk.set_up()
    walk.rules_off()
    with pytest.raises(NotMet):
        walk.steps()
