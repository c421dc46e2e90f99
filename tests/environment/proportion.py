"""Whether the time that something takes grows with its size and no faster, on a machine that also does other things."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds below which a time is mostly the clock's own grain.
GRAIN_S = 0.001
#: How often both sizes are measured before the answer is no.
MOST_TIMES = 3


def in_proportion(work: Callable[[int], object], small: int, large: int, *, most: float) -> bool:
    """Whether `work(large)` takes no more than `most` times as long as `work(small)`.

    What counts is this thread's own time on the processor, at its best: others who use the same caches make some
    measurements longer, and none shorter. `most` lies well between what is in proportion and its square.
    """
    least = {small: float("inf"), large: float("inf")}
    for _ in range(MOST_TIMES):
        for size in least:
            began = time.thread_time()
            work(size)
            least[size] = min(least[size], time.thread_time() - began)
        if least[large] <= most * max(least[small], GRAIN_S):
            return True
    return False
