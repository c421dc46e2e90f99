"""The templates of pages, compiled once per run: each application would compile them anew, and each worker too."""

from __future__ import annotations

from pathlib import Path
from types import CodeType

from flask import Flask
from jinja2 import BytecodeCache, FileSystemBytecodeCache
from jinja2.bccache import Bucket

#: More than there are templates; beyond it nothing is kept any more.
MOST_KEPT = 2_000


class _Kept(BytecodeCache):
    """Compiled templates in memory, each with the checksum of the text it was made from; and in a folder, where the
    workers of a run have one in common."""

    def __init__(self, shared: BytecodeCache | None) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}
        self._shared = shared

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))
        if bucket.code is None and self._shared is not None:
            self._shared.load_bytecode(bucket)
            self._keep(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._keep(bucket)
        if self._shared is not None:
            self._shared.dump_bytecode(bucket)

    def _keep(self, bucket: Bucket) -> None:
        if bucket.code is not None and len(self._codes) < MOST_KEPT:
            self._codes[bucket.key, bucket.checksum] = bucket.code


def compile_templates_once(of_the_run: Path | None) -> None:
    """From now on, for this process; for all workers of a run, in the folder that they have in common."""
    shared = None
    if of_the_run is not None:
        folder = of_the_run / "templates"
        folder.mkdir(exist_ok=True)
        shared = FileSystemBytecodeCache(str(folder))
    Flask.jinja_options = {"bytecode_cache": _Kept(shared)}
