"""The zygote's memory in one piece and on large pages: a fork then has less to copy, and an exit less to take apart.

For each page that a process has, a fork and an exit look into the kernel's record of it, and pages that came one by one
have theirs all over memory. With 2 MB at a time they lie in a row. A kernel or a C library that has none of this leaves
everything as it was; only time is lost.
"""

from __future__ import annotations

import ctypes


class _Allocator(ctypes.Structure):
    """Where Python's own allocator has its arenas from: called with `context`, then a size, or a place and a size."""

    _fields_ = [("context", ctypes.c_void_p), ("allocate", ctypes.c_void_p), ("free", ctypes.c_void_p)]


_LARGE_BYTES = 2 << 20
_COLLAPSE = 25
_PAGE_BYTES = 4096
#: An arena of Python's is smaller. The C library makes mappings of what is large; after one of this size was dropped,
#: it takes what is smaller from its heap.
_DROPPED_BYTES = 2 << 20
_libc = ctypes.PyDLL(None)
_python = ctypes.pythonapi
_usual = _Allocator()


def begin() -> bool:
    """From now on arenas are taken from the heap, not as mappings between libraries. Whether that can be had here."""
    try:
        allocate = ctypes.cast(_libc.aligned_alloc, ctypes.c_void_p).value
    except AttributeError:
        return False
    malloc, free = _libc.malloc, _libc.free
    malloc.argtypes, malloc.restype, free.argtypes = [ctypes.c_size_t], ctypes.c_void_p, [ctypes.c_void_p]
    free(malloc(_DROPPED_BYTES))
    _python.PyObject_GetArenaAllocator(ctypes.byref(_usual))
    # aligned_alloc(context, size). One that is dropped is unmapped like any other: it is whole pages, and what the C
    # library notes about its neighbours stands outside.
    _python.PyObject_SetArenaAllocator(ctypes.byref(_Allocator(_PAGE_BYTES, allocate, _usual.free)))
    return True


def end() -> int:
    """Take arenas from where they usually come, and put the heap on large pages. Returns how many bytes lie there."""
    if not _usual.allocate:
        return 0
    _python.PyObject_SetArenaAllocator(ctypes.byref(_usual))
    advise = _libc.madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    taken = 0
    for first, past in _own_memory():
        for place in range(-(-first // _LARGE_BYTES) * _LARGE_BYTES, past - _LARGE_BYTES + 1, _LARGE_BYTES):
            if advise(place, _LARGE_BYTES, _COLLAPSE) == 0:
                taken += _LARGE_BYTES
    return taken


def _own_memory() -> list[tuple[int, int]]:
    """Where memory lies that may be written to and came from no file, in bytes."""
    found = []
    try:
        with open("/proc/self/maps") as maps:
            for line in maps:
                where, rights, _, _, inode, *name = line.split()
                if (rights, inode) == ("rw-p", "0") and name in ([], ["[heap]"]):
                    first, _, past = where.partition("-")
                    found.append((int(first, 16), int(past, 16)))
    except OSError:
        return []
    return found
