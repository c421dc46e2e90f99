"""Rule lists as YAML that a person can read and keep in git; the same data as in the database and the editor.

YAML 1.2 truth values: only `true` and `false`. In YAML 1.1 the key `on` of a trigger would read as True.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

#: The largest file read, in characters.
MAX_FILE_CHARS = 5_000_000


class FileInvalid(Exception):
    """The file is not YAML, or too large."""


class _Loader(yaml.SafeLoader):
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _with_plain_booleans(kind: Any) -> None:
    kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in kind.yaml_implicit_resolvers.items()
    }
    kind.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


_with_plain_booleans(_Loader)
_with_plain_booleans(_Dumper)


def load(text: str) -> Any:
    """The data in a YAML (or JSON) text. Raises `FileInvalid` with the place."""
    if len(text) > MAX_FILE_CHARS:
        raise FileInvalid(f"The file has more than {MAX_FILE_CHARS} characters; split it")
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise FileInvalid(f"This is not YAML{where}: {getattr(error, 'problem', error)}") from error


def dump(data: Any) -> str:
    """The YAML text of this data, keys in their order, which `load` reads back as it was."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
