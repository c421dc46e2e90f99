"""Rule lists as YAML that a person can read and keep in git; the same data as in the database and the editor.

YAML 1.2 truth values: only `true` and `false`. In YAML 1.1 the key `on` of a trigger would read as True. There is no
`<<` either: merged again and again, a few lines would fill the memory.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

#: The largest file read, in characters, and how deep lists and mappings may stand in each other.
MAX_FILE_CHARS = 5_000_000
MAX_FILE_DEPTH = 100
#: Most values in one file, or in one table: as many rows as a table may have, each with a dozen filled cells.
MAX_FILE_VALUES = 1_000_000
#: libyaml's, where the wheel has it: five times as fast.
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FileInvalid(Exception):
    """The file is not YAML, or too large."""


class _Loader(_SafeLoader):  # type: ignore[misc]  # one of two, known when this runs
    pass


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _with_plain_booleans(kind: Any) -> None:
    kind.yaml_implicit_resolvers = {
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:merge")
        ]
        for first, resolvers in kind.yaml_implicit_resolvers.items()
    }
    kind.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")


_with_plain_booleans(_Loader)
_with_plain_booleans(_Dumper)


def load(text: str) -> Any:
    """The data in a YAML (or JSON) text. Raises `FileInvalid` with the place."""
    if len(text) > MAX_FILE_CHARS:
        raise FileInvalid(f"The file has more than {MAX_FILE_CHARS} characters; split it")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # YAML may begin so, too, and says where it is wrong
    try:
        _not_too_deep(text)
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        # libyaml finds what is missing at the end on a line behind the last.
        lines = text.count("\n") + 1
        where = f" at line {min(mark.line + 1, lines)}, column {mark.column + 1}" if mark else ""
        raise FileInvalid(f"This is not YAML{where}: {getattr(error, 'problem', error)}") from error


def _not_too_deep(text: str) -> None:
    """Raises `FileInvalid`. Asked first: libyaml goes down by calling itself, and would take the process with it."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_FILE_DEPTH:
                where = f" at line {event.start_mark.line + 1}" if event.start_mark else ""
                raise FileInvalid(f"Its lists stand in each other more than {MAX_FILE_DEPTH} levels deep{where}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def dump(data: Any) -> str:
    """The YAML text of this data, keys in their order, which `load` reads back as it was."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
