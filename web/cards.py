"""Facts from outside, whatever their shape, as something a person can read: pairs, rows, or a text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tickets.values import JSON
from web.look import plain

#: Most pairs, rows and columns of a card, and characters of a text; what is cut is counted on the card.
PAIRS = 14
ROWS = 12
COLUMNS = 4
TEXT_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Card:
    """One context card. Exactly one of `pairs`, `rows` (with `columns`), `text` is filled, or none when it is empty."""

    key: str
    title: str
    source: str
    fetched_at: datetime
    stale_since: datetime | None
    error: str
    pairs: Sequence[tuple[str, str]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    text: str = ""
    more: int = 0  # pairs or rows left out
    again: int | None = None  # the lookup that can be asked once more
    next_try: datetime | None = None

    @property
    def empty(self) -> bool:
        return not (self.pairs or self.rows or self.text)


def card(row: Any, now: datetime, *, again: int | None = None, next_try: datetime | None = None) -> Card:
    """The card of one row of `tickets.store.context_cards`."""
    data: JSON = (row.body or {}).get("data")
    candidates = isinstance(data, Mapping) and set(data) == {"candidates"}
    parts = _parts(data["candidates"] if candidates and isinstance(data, Mapping) else data)
    stale = row.fresh_until if row.fresh_until is not None and row.fresh_until < now and not row.error else None
    return Card(
        key=row.key,
        title=row.title or row.key,
        source=row.source,
        fetched_at=row.fetched_at,
        stale_since=stale,
        error=row.error,
        again=again,
        next_try=next_try,
        **parts,
    )


def heading(key: str) -> str:
    """A field of somebody else's system as a heading: "customer_since" is "Customer since"."""
    words = key.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:60]


def _parts(data: JSON) -> dict[str, Any]:
    if data is None or data == "" or data == [] or data == {}:
        return {}
    if isinstance(data, Mapping):
        # One list inside, such as {"charges": [...]}, is a table with the list's name already in the card's title.
        lists = [value for value in data.values() if _is_table(value)]
        if len(data) == 1 and lists:
            return _table(lists[0])
        pairs = [(heading(key), plain(value, 160)) for key, value in data.items() if value is not None]
        return {"pairs": pairs[:PAIRS], "more": max(0, len(pairs) - PAIRS)}
    if _is_table(data):
        return _table(data)
    if isinstance(data, Sequence) and not isinstance(data, str):
        return {"rows": [[plain(one, 160)] for one in data[:ROWS]], "more": max(0, len(data) - ROWS)}
    if isinstance(data, str):
        return {"text": data[:TEXT_CHARS]}
    return {"text": json.dumps(data, ensure_ascii=False)[:TEXT_CHARS]}


def _is_table(data: JSON) -> bool:
    return (
        isinstance(data, Sequence)
        and not isinstance(data, str)
        and bool(data)
        and all(isinstance(row, Mapping) for row in data)
    )


def _table(data: JSON) -> dict[str, Any]:
    assert isinstance(data, Sequence)
    records = [row for row in data if isinstance(row, Mapping)]
    shown = records[:ROWS]
    # Only columns that fit a card and say something: flat values, those that most rows have first.
    counts: dict[str, int] = {}
    for row in shown:
        for key, value in row.items():
            if value is not None and not isinstance(value, (Mapping, list, tuple)):
                counts[key] = counts.get(key, 0) + 1
    keys = sorted(counts, key=lambda key: -counts[key])[:COLUMNS]
    if not keys:
        return {"text": json.dumps(data, ensure_ascii=False)[:TEXT_CHARS]}
    return {
        "columns": [heading(key) for key in keys],
        "rows": [["" if row.get(key) is None else plain(row[key], 60) for key in keys] for row in shown],
        "more": len(records) - len(shown),
    }
