"""Where the zygote's objects lie in memory.

A child shares every page with the zygote until one of them writes to it, and Python writes to whatever it looks at: it
counts references. So each page that a run touches is copied, some 500 of them, and that is the dearest part of a run.
What lies together costs fewer pages.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import struct
import sys
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any

#: Python's allocator takes objects of up to 512 bytes from pools of 16 kB, each for one size, and puts the first one
#: behind a head of 48 bytes. That is of no use elsewhere, and then wrong figures here only cost some memory.
_POOL_BYTES, _HEAD_BYTES, _STEP_BYTES, _LARGEST_BYTES = 16_384, 48, 16, 512
#: Sizes that the C library hands out, from large holes to small ones: it keeps a list for every 16 bytes.
_LARGER_BYTES = (*(1 << power for power in range(16, 11, -1)), *range(2_032, 512, -16))
#: The most that is taken of one size, and of all sizes beyond `_LARGEST_BYTES`.
_MOST_BYTES, _MOST_LARGER_BYTES = 200_000, 8 << 20
#: What is given back of up to this size is not put together again, so it would be a hole itself.
_CACHED_BYTES = 1_032
#: What the C library leaves at the end of its heap.
_LEFT_BYTES = 8_192
_libc = ctypes.PyDLL(None)
_malloc, _free, _sbrk = _libc.malloc, _libc.free, _libc.sbrk
_malloc.argtypes, _free.argtypes, _sbrk.argtypes = [ctypes.c_size_t], [ctypes.c_void_p], [ctypes.c_ssize_t]
_malloc.restype = _sbrk.restype = ctypes.c_void_p
#: What fills the holes; kept for good.
_kept: list[object] = []
#: An entry of /proc/self/pagemap, and its bits for a page that is there and that no other process has.
_ENTRY, _OWN = struct.Struct("Q"), 1 << 63 | 1 << 56
#: From this count on an object is immortal, and looking at it writes nothing.
_IMMORTAL = 1 << 30
#: More pages than that are not what a run writes to, but a kernel that answers something else.
_MOST_PAGES = 4_096


def fill_holes() -> int:
    """Take up the room that is free between the objects there are, so that those made from now on lie together.

    In the holes, each would lie on another page. Returns how many bytes it took, at most some 14 MB; some 500 kB as a
    rule. What it takes of larger holes it never touches, so that no child has to share it."""
    taken = 0
    # Behind all that is there, now that nothing free is left at the end: what comes to lie there was no hole.
    end = _trimmed_end()
    for size in _LARGER_BYTES:
        while taken + size <= _MOST_LARGER_BYTES:
            at = _malloc(size)
            if at is None or at >= end:
                if size > _CACHED_BYTES:
                    _free(at)
                break
            taken += size
    for size in range(2 * _STEP_BYTES, _LARGEST_BYTES + 1, _STEP_BYTES):
        for _ in range(_MOST_BYTES // size):
            one = _of(size)
            taken += size
            if id(one) % _POOL_BYTES == _HEAD_BYTES:
                break  # the first of a new pool: the old ones are full
    return taken


def _trimmed_end() -> int:
    """Where the C library's heap ends, after what is free at its end was given back; 0 for one that cannot do that."""
    try:
        _libc.malloc_trim(ctypes.c_size_t(0))
        return int(_sbrk(0)) - _LEFT_BYTES
    except AttributeError:
        return 0


def gather(act: Callable[[], object]) -> int:
    """Have it done, and lay the code of all functions that had a part in it side by side.

    The interpreter counts in a function's code whenever it runs, and modules have one used function among many that
    are not. New code knows nothing of what was learned, so it wants to be rehearsed again. Returns how many pieces
    moved."""
    called: dict[int, CodeType] = {}  # by id: a copy is equal

    def seen(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called[id(frame.f_code)] = frame.f_code

    sys.setprofile(seen)
    try:
        act()
    finally:
        sys.setprofile(None)
    everything = gc.get_objects()
    fill_holes()
    moved: dict[int, CodeType] = {}
    for one in everything:
        if type(one) is FunctionType and id(one.__code__) in called:
            one.__code__ = _moved(one.__code__, called, moved)
    return len(moved)


def _moved(code: CodeType, called: dict[int, CodeType], moved: dict[int, CodeType]) -> CodeType:
    """A copy of it, with copies of those of its inner functions that ran."""
    if id(code) not in moved:
        parts = [_moved(one, called, moved) if id(one) in called else one for one in code.co_consts]
        moved[id(code)] = code.replace(co_consts=tuple(parts))
    return moved[id(code)]


def written_by(act: Callable[[], object]) -> list[object]:
    """An object on each page that the act writes to, as far as there is one; none where the kernel does not say.

    Whoever copies the list counts a reference in each, and then has a copy of those pages: a child that does so while
    it waits need not do it when somebody waits for it. A fork does the act, so nothing of it stays here."""
    everything = gc.get_objects()
    # Before the forks: what is made later may lie where they have something else.
    candidates = (*everything, *gc.get_referents(*everything), *set(map(type, everything)))
    told, tell = os.pipe()
    stay, go = os.pipe()
    # A page that this process writes to meanwhile is the actor's alone, unless somebody else has it, too.
    keeper = _forked(lambda: None, tell, stay, go)
    actor = _forked(act, tell, stay, go)
    os.close(tell)
    os.close(stay)
    both_ready = len(os.read(told, 1) + os.read(told, 1)) == 2
    written = _own_pages(actor) if both_ready else set()
    os.close(told)
    os.close(go)
    for child in (keeper, actor):
        os.waitpid(child, 0)
    found: dict[int, object] = {}
    for one in candidates:
        page = id(one) // mmap.PAGESIZE
        if page in written and page not in found and sys.getrefcount(one) < _IMMORTAL:
            found[page] = one
    del everything, candidates, one
    _trimmed_end()  # what they took is no memory that a child may have
    return list(found.values())


def _forked(act: Callable[[], object], tell: int, stay: int, go: int) -> int:
    """A child that has it done, says so, and can be looked at until `go` is closed or its parent gone."""
    child = os.fork()
    if child == 0:
        try:
            os.close(go)
            act()
            os.write(tell, b"x")
            os.close(tell)
            os.read(stay, 1)
        finally:
            os._exit(0)
    return child


def _own_pages(process: int) -> set[int]:
    """The numbers of the pages that this process shares with no other; none where that cannot be read."""
    own: set[int] = set()
    try:
        with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/pagemap", "rb", buffering=0) as pagemap:
            for line in maps:
                where, rights, *_ = line.split()
                if rights != "rw-p":
                    continue
                first, end = (int(part, 16) // mmap.PAGESIZE for part in where.split("-"))
                said = os.pread(pagemap.fileno(), (end - first) * _ENTRY.size, first * _ENTRY.size)
                own |= {n for n, (entry,) in enumerate(_ENTRY.iter_unpack(said), first) if entry & _OWN == _OWN}
    except OSError:
        return set()
    return own if len(own) <= _MOST_PAGES else set()


def _of(size: int) -> object:
    """An object of `size` bytes that nobody else has."""
    one = bytes(size - 33) if size > 33 else (1 << 31) + len(_kept)
    _kept.append(one)
    return one
