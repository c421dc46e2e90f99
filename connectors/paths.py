"""JMESPath over answers whose fractions are Decimal, so that amounts stay exact.

The library knows only int and float: to its functions a Decimal is no number, its to_number cuts one to a whole number,
and a fraction written in an expression is a float, which equals next to none.
"""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, cast

import jmespath
from jmespath.functions import Functions, signature
from jmespath.parser import ParsedResult

#: Expressions that are kept ready in one process; there are a hundred fields to an operation.
KEPT = 1_000


def check(expression: str) -> None:
    """Raises `jmespath.exceptions.JMESPathError` for what is no expression."""
    _compiled(expression)


def search(expression: str, data: Any) -> Any:
    """What is at `expression` in `data`. Raises `JMESPathError`, and what arithmetic raises."""
    return _compiled(expression).search(data, options=_OPTIONS)


@lru_cache(maxsize=KEPT)
def _compiled(expression: str) -> ParsedResult:
    return ParsedResult(expression, _exact(jmespath.compile(expression).parsed))


def _exact(part: Any) -> Any:
    """A part of an expression, with its fractions as they were written."""
    if isinstance(part, float):
        return Decimal(repr(part))
    if isinstance(part, dict):
        return {key: _exact(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [_exact(inner) for inner in part]
    return part


class _Functions(Functions):
    """The library's functions, which take a Decimal for a number."""

    def _get_allowed_pytypes(self, types: Any) -> tuple[Any, Any]:
        allowed, within = cast("Any", super())._get_allowed_pytypes(types)
        return _with_decimal(allowed), [_with_decimal(one) for one in within]

    def _convert_to_jmespath_type(self, name: str) -> str:
        return "number" if name == "Decimal" else str(cast("Any", super())._convert_to_jmespath_type(name))

    @signature({"types": ["array-number"]})
    def _func_avg(self, numbers: list[Any]) -> Decimal | None:
        return Decimal(sum(numbers)) / len(numbers) if numbers else None

    # Not by way of an int: that of 1e999999999 takes all memory.
    @signature({"types": ["number"]})
    def _func_ceil(self, number: Any) -> Decimal:
        return Decimal(number).to_integral_value(ROUND_CEILING)

    @signature({"types": ["number"]})
    def _func_floor(self, number: Any) -> Decimal:
        return Decimal(number).to_integral_value(ROUND_FLOOR)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = Decimal(value)
            except InvalidOperation:
                return None
        if isinstance(value, Decimal):
            return value if value.is_finite() else None
        return cast("Any", super())._func_to_number(value)

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        if isinstance(value, (str, Decimal)):
            return str(value)
        return json.dumps(value, separators=(",", ":"), default=float)

    @signature({"types": []})
    def _func_type(self, value: Any) -> Any:
        return "number" if isinstance(value, Decimal) else cast("Any", super())._func_type(value)


def _with_decimal(names: Any) -> list[str]:
    return [*names, "Decimal"] if "float" in names else list(names)


_OPTIONS = jmespath.Options(custom_functions=_Functions())
