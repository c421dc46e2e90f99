"""A bounded part of `./run fuzz`: the same every time, so that a failure is the change's own."""

from __future__ import annotations

import random

import pytest

from tests import fuzz
from tests.environment.selection import tries
from tests.sandbox.hosts import Host


@pytest.mark.slow
def test_random_sources_and_bytes_find_nothing(host: Host) -> None:
    fuzz.rounds(host, seed=1, sources=tries(60), wires=6, readers=tries(400))


def test_the_fuzzer_would_tell(host: Host) -> None:
    """It is not deaf: an outcome that must not be is a finding, with its seed."""
    with pytest.raises(fuzz.Found, match="something shows"):
        fuzz.try_source(host, "print('root:x:0:0')")
    assert len({fuzz.a_source(random.Random(number)) for number in range(50)}) > 45
    assert fuzz.a_source(random.Random(7)) == fuzz.a_source(random.Random(7))
