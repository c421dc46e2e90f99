"""Rule lists as YAML that a person can read and keep in git; the same data as in the database and the editor.

YAML 1.2 truth values: only `true` and `false`. In YAML 1.1 the key `on` of a trigger would read as True. There is no
`<<` either: merged again and again, a few lines would fill the memory. A number is one only where it would be written
the same again; order 0123, a version 1.10 and half past twelve, 12:30, stay the texts that they are, and so do dates. A
key that stands twice in one mapping is refused: the first one would be lost without a word.
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
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(made) < len(node.value):
            seen: set[Any] = set()
            for key, _ in node.value:
                name = self.construct_object(key, deep=True)
                if name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {str(name)[:80]!r} stands here twice", key.start_mark
                    )
                seen.add(name)
        return made


def _int_or_text(_loader: Any, node: yaml.ScalarNode) -> int | str:
    text: str = node.value
    return int(text) if _PLAIN_INT.fullmatch(text) else text


def _float_or_text(_loader: Any, node: yaml.ScalarNode) -> float | str:
    text: str = node.value
    if text.lstrip("+-").lower() in (".inf", ".nan"):
        return float(text.replace(".", ""))
    try:
        number = float(text)
    except ValueError:
        return text  # 190:20:30.15, which YAML 1.1 takes for a number to the base of sixty
    # As Python writes it, or as YAML does: 1.0e+16.
    return number if repr(number) in (text, text.replace(".0e", "e")) else text


def _as_written(_loader: Any, node: yaml.ScalarNode) -> str:
    text: str = node.value
    return text


_PLAIN_INT = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
_Loader.add_constructor("tag:yaml.org,2002:int", _int_or_text)
_Loader.add_constructor("tag:yaml.org,2002:float", _float_or_text)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_written)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """Of the ends of lines that YAML knows, the one of EBCDIC would come back as another; as \\N it does not."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if "\x85" in data else None)


_Dumper.add_representer(str, _Dumper.represent_text)


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
            return json.loads(text, object_pairs_hook=_once)
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


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("A key stands twice")
    return made


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
