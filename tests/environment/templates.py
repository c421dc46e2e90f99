"""The templates of pages, compiled once per session: each test makes an application, which would compile them anew."""

from __future__ import annotations

from types import CodeType

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

#: More than there are templates; beyond it nothing is kept any more.
MOST_KEPT = 2_000


class _Kept(BytecodeCache):
    """Compiled templates in memory, each with the checksum of the text it was made from."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None and len(self._codes) < MOST_KEPT:
            self._codes[bucket.key, bucket.checksum] = bucket.code


def compile_templates_once() -> None:
    """From now on, for this process."""
    Flask.jinja_options = {"bytecode_cache": _Kept()}
