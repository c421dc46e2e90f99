"""What this machine does not have: locally a named skip, in CI a failure."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

#: Reasons already met in this session, for the closing summary.
REASONS: list[str] = []


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def absent(reason: str) -> NoReturn:
    """Leave the test out because of `reason`; in CI (CI=true) fail it, so that nothing is left out unnoticed."""
    if reason not in REASONS:
        REASONS.append(reason)
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
