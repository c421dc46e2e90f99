"""docs/operations.md says what there is."""

from __future__ import annotations

import re

from jobs.settings import Settings
from run_tool.places import ROOT
from run_tool.start import WORKERS
from run_tool.supervise import LOG_BYTES, PAUSE_MOST_S, START_TRIES, STOP_DEADLINE_S, STOP_LAST_DEADLINE_S

TEXT = (ROOT / "docs" / "operations.md").read_text()


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    listed = dict(re.findall(r"^\| `DESKHAND_(\w+)` \| (.*? \| .*) \|$", TEXT, re.MULTILINE))
    expected = {}
    for name, field in Settings.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        expected[name.upper()] = f"`{default}` | {field.description}" if default else f" | {field.description}"
    assert listed == expected


def test_every_worker_is_listed() -> None:
    assert re.findall(r"`python -m jobs\.worker (\w+)`", TEXT) == list(WORKERS)


def test_the_limits_it_names_are_the_limits() -> None:
    assert f"at most {PAUSE_MOST_S:g} s" in TEXT
    assert START_TRIES == 4
    assert "four deaths" in TEXT
    total = STOP_DEADLINE_S + STOP_LAST_DEADLINE_S
    assert (
        f"within {total:g} s (web and workers get {STOP_DEADLINE_S:g} s, then Redis {STOP_LAST_DEADLINE_S:g} s)" in TEXT
    )
    assert f"at most {LOG_BYTES // 1_000_000} MB" in TEXT
