"""Where the zygote's objects lie in memory.

A child shares every page with the zygote until one of them writes to it, and Python writes to whatever it looks at: it
counts references. So each page that a run touches is copied, some 500 of them, and that is the dearest part of a run.
What lies together costs fewer pages.
"""

from __future__ import annotations

#: Python's allocator takes objects of up to 512 bytes from pools of 16 kB, each for one size, and puts the first one
#: behind a head of 48 bytes. That is of no use elsewhere, and then wrong figures here only cost some memory.
_POOL_BYTES, _HEAD_BYTES, _STEP_BYTES, _LARGEST_BYTES = 16_384, 48, 16, 512
#: Sizes that the C library hands out, from large holes to small ones.
_LARGER_BYTES = (65_536, 32_768, 16_384, 8_192, 4_096, 2_048, 1_536, 1_024, 768, 640, 576, 544)
#: The most that is taken of one size.
_MOST_BYTES = 200_000
#: What fills the holes; kept for good.
_kept: list[object] = []


def fill_holes() -> int:
    """Take up the room that is free between the objects there are, so that those made from now on lie together.

    In the holes, each would lie on another page. Returns how many bytes it took, at most some 8 MB; some 500 kB as a
    rule."""
    taken = 0
    # Behind all that is there: what the C library places there or later is no hole.
    end = id(bytes(100_000))
    for size in _LARGER_BYTES:
        for _ in range(_MOST_BYTES // size + 1):
            one = _of(size)
            taken += size
            if id(one) >= end:
                break
    for size in range(2 * _STEP_BYTES, _LARGEST_BYTES + 1, _STEP_BYTES):
        for _ in range(_MOST_BYTES // size):
            one = _of(size)
            taken += size
            if id(one) % _POOL_BYTES == _HEAD_BYTES:
                break  # the first of a new pool: the old ones are full
    return taken


def _of(size: int) -> object:
    """An object of `size` bytes that nobody else has."""
    one = bytes(size - 33) if size > 33 else (1 << 31) + len(_kept)
    _kept.append(one)
    return one
