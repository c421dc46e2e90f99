"""Each preset of the demo page ends in a named refusal, and nothing of what it was after happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import services
from jobs.demo.breakouts import BREAK_OUTS, BreakOut, try_out
from tests.demo.conftest import settings_for
from tests.environment.databases import MakeDatabase
from tests.environment.sandbox import SandboxService


@pytest.mark.parametrize(
    "attempt",
    [
        # Which takes all the seconds that a script has.
        pytest.param(attempt, id=attempt.key, marks=[pytest.mark.slow] if attempt.key == "loop" else [])
        for attempt in BREAK_OUTS
    ],
)
def test_the_attempt_is_stopped_by_name(
    attempt: BreakOut, sandbox_service: SandboxService, make_database: MakeDatabase, tmp_path: Path
) -> None:
    escaped = Path("/tmp/escaped")
    escaped.unlink(missing_ok=True)
    built = services.build(settings_for(tmp_path, make_database("sqlite"), str(sandbox_service.socket)))
    try:
        outcome = try_out(built, attempt)
    finally:
        built.close()
    assert outcome.error is not None
    assert outcome.error.code in attempt.stopped_by
    assert outcome.error.line is not None
    assert (outcome.actions, outcome.log, outcome.calls) == ((), (), ())
    assert not escaped.exists()


def test_there_are_six_attempts_with_six_sources() -> None:
    assert len({one.key for one in BREAK_OUTS}) == len({one.source for one in BREAK_OUTS}) == 6
