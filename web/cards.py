"""Facts from outside, whatever their shape, as something a person can read: pairs, small tables, or a text.

What a value is, is read off the value: "310.89 PLN" is money, "2026-10-27T08:45:00+00:00" a time in the reader's zone.
Nothing is guessed of numbers: a number without a currency beside it stays as it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from babel.numbers import NumberFormatError
from flask_babel import format_currency, format_date, format_datetime

from tickets.values import JSON, from_iso
from web.look import plain

#: Most pairs, rows and columns of a card, tables in one, characters of a text and of a value; what is cut is counted on
#: the card. Values beyond FOLD_CHARS are folded.
PAIRS = 14
ROWS = 12
COLUMNS = 4
TABLES = 4
#: Characters that stand beside each other in the narrow column of cards.
LINE_CHARS = 41
TEXT_CHARS = 4_000
CELL_CHARS = 60
FOLD_CHARS = 90


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. `kind`: text, money, number, time, or state (a word that says how it stands, with its `tone`)."""

    text: str
    kind: str = "text"
    tone: str = ""
    short: str = ""  # the beginning of a text that is folded

    @property
    def right(self) -> bool:
        return self.kind in ("money", "number")


@dataclass(frozen=True, slots=True)
class Table:
    """Some records, a row each. A list of plain values has no columns. `more` rows are left out; where fields are left
    out for want of room, `whole` is everything as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    more: int = 0
    whole: str = ""

    def right(self, column: int) -> bool:
        """Whether the column holds amounts and nothing else."""
        cells = [row[column] for row in self.rows if row[column].text]
        return bool(cells) and all(cell.right for cell in cells)


@dataclass(frozen=True, slots=True)
class Card:
    """One context card: pairs, then tables, or a text; none of them when it is empty."""

    key: str
    title: str
    source: str  # whose words these are, for people: "Billing"
    asked: str  # connection and operation: "billing.list_charges"
    icon: str
    fetched_at: datetime
    stale_since: datetime | None
    error: str
    pairs: Sequence[tuple[str, Cell]] = ()
    tables: Sequence[Table] = ()
    text: str = ""
    more: int = 0  # pairs or tables left out
    again: int | None = None  # the lookup that can be asked once more
    next_try: datetime | None = None

    @property
    def empty(self) -> bool:
        return not (self.pairs or self.tables or self.text)


def card(
    row: Any,
    now: datetime,
    *,
    systems: Mapping[str, str] | None = None,
    again: int | None = None,
    next_try: datetime | None = None,
) -> Card:
    """The card of one row of `tickets.cards.context_cards`. `systems`: names and labels of the connections."""
    data: JSON = (row.body or {}).get("data")
    if isinstance(data, Mapping) and set(data) == {"candidates"}:
        data = data["candidates"]
    stale = row.fresh_until if row.fresh_until is not None and row.fresh_until < now and not row.error else None
    system, _, operation = row.source.partition(".")
    return Card(
        key=row.key,
        title=_title(row, systems or {}),
        source=(systems or {}).get(system) or row.source,
        asked=row.source if operation else "",
        icon=icon_of(operation or row.key, system),
        fetched_at=row.fetched_at,
        stale_since=stale,
        error=row.error,
        again=again,
        next_try=next_try,
        **_parts(data, now),
    )


def told_apart(cards: Sequence[Card], taken: Iterable[str] = ()) -> list[Card]:
    """The same cards, no two under one title: the source is added, and what was asked where that is not enough."""
    used = Counter([*(title.casefold() for title in taken), *(one.title.casefold() for one in cards)])
    named = [
        replace(one, title=f"{one.title} ({one.source})") if used[one.title.casefold()] > 1 and one.source else one
        for one in cards
    ]
    again = Counter(one.title.casefold() for one in named)
    return [replace(one, title=f"{one.title} {one.key}") if again[one.title.casefold()] > 1 else one for one in named]


def heading(key: str) -> str:
    """A field of somebody else's system as a heading: "customer_since" is "Customer since"."""
    words = key.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:60]


#: Words in an operation's name that say what its records are about.
_ICONS = (
    ("receipt", frozenset("bill billing charge charges invoice invoices payment payments refund refunds".split())),
    ("package", frozenset("delivery order orders parcel parcels product products shipment shipments stock".split())),
    ("user", frozenset("account contact contacts crm customer customers party person profile user users".split())),
)


def icon_of(operation: str, system: str) -> str:
    """The icon of what was asked about: user, receipt or package where the name says so."""
    for words in (re.findall(r"[a-z]+", operation.lower()), [system.lower()]):
        for icon, known in _ICONS:
            if known.intersection(words):
                return icon
    return "layers"


def _title(row: Any, systems: Mapping[str, str]) -> str:
    """The card's own title; a lookup's card, which is called after its question, as people would call it."""
    system, _, operation = row.source.partition(".")
    if row.title and row.title not in (row.source, f"{system}: {operation.replace('_', ' ')}"):
        return str(row.title)
    if system in systems and operation:
        return heading(re.sub(r"^(find|get|list|search|fetch)_", "", operation))
    return str(row.title or row.key)


def _parts(data: JSON, now: datetime) -> dict[str, Any]:
    if data is None or data == "" or data == [] or data == {}:
        return {}
    if isinstance(data, Mapping):
        return _of_mapping(data, now)
    if _is_list(data):
        return {"tables": [_table("", data, now)]}
    if isinstance(data, str):
        return {"text": data[:TEXT_CHARS]}
    return {"text": json.dumps(data, ensure_ascii=False)[:TEXT_CHARS]}


def _of_mapping(data: Mapping[str, JSON], now: datetime) -> dict[str, Any]:
    tables = {key: value for key, value in data.items() if _is_table(value)}
    # A single list inside, such as {"charges": [...]}, has its name in the card's title already.
    titled = len(data) > 1
    pairs = [
        (heading(key), cell)
        for key, value in data.items()
        if key not in tables and value is not None and not _goes_with_money(key, data)
        for cell in [_cell(key, value, data, now, plain_chars=TEXT_CHARS)]
    ]
    return {
        "pairs": pairs[:PAIRS],
        "tables": [_table(heading(key) if titled else "", tables[key], now) for key in list(tables)[:TABLES]],
        "more": max(0, len(pairs) - PAIRS) + max(0, len(tables) - TABLES),
    }


def _is_list(data: JSON) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str) and bool(data)


def _is_table(data: JSON) -> bool:
    return _is_list(data) and all(isinstance(row, Mapping) for row in data)  # type: ignore[union-attr]


def _table(title: str, data: JSON, now: datetime) -> Table:
    assert isinstance(data, Sequence)
    assert not isinstance(data, str)
    shown = data[:ROWS]
    more = len(data) - len(shown)
    records = [row for row in shown if isinstance(row, Mapping)]
    keys = _columns(records)
    if len(records) < len(shown) or not keys:
        return Table(title, (), [[Cell(plain(row, CELL_CHARS * 2))] for row in shown], more)
    cells = {
        key: [
            Cell("") if row.get(key) is None else _cell(key, row[key], row, now, plain_chars=CELL_CHARS)
            for row in records
        ]
        for key in keys
    }
    chosen = set(_that_fit(keys, cells))
    # A time comes first and an amount last, where the eye looks for them; the others as their system orders them.
    shown_keys = sorted(
        (key for key in dict.fromkeys(key for row in records for key in row) if key in chosen),
        key=lambda key: (_MONEY_KEYS.match(key) is not None) - (_TIME_KEYS.match(key) is not None),
    )
    told = {*shown_keys, "currency"}
    cut = any(value is not None and key not in told for row in records for key, value in row.items())
    return Table(
        title,
        [heading(key) for key in shown_keys],
        [[cells[key][index] for key in shown_keys] for index in range(len(records))],
        more,
        json.dumps(shown, ensure_ascii=False, indent=1)[:TEXT_CHARS] if cut else "",
    )


def _that_fit(keys: Sequence[str], cells: Mapping[str, Sequence[Cell]]) -> list[str]:
    """The first of these columns that have room beside each other; always at least one."""
    fit: list[str] = []
    room = LINE_CHARS
    for key in keys[:COLUMNS]:
        # A word of state stands in a pill, which takes two characters more.
        width = max(len(heading(key)), *(len(cell.text) + 2 * (cell.kind == "state") for cell in cells[key]))
        if not fit or width <= room:
            fit.append(key)
            room -= width
    return fit


def _columns(records: Sequence[Mapping[str, JSON]]) -> list[str]:
    """The fields that say something in a narrow table, what matters most first: flat values, those most rows have."""
    counts: dict[str, int] = {}
    for row in records:
        for key, value in row.items():
            if value is not None and not isinstance(value, (Mapping, list, tuple)) and not _goes_with_money(key, row):
                counts[key] = counts.get(key, 0) + 1
    return sorted(counts, key=lambda key: (_rank(key), -counts[key]))


# One value -------------------------------------------------------------------------------------------------------

_AMOUNT = re.compile(r"(-?\d{1,15}(?:\.\d{1,4})?) ([A-Z]{3})")
_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,4})?")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?")
_LETTER_BEFORE_DIGIT = re.compile(r"([A-Z])(?=\d)")
_MONEY_KEYS = re.compile(r"(?i)(.*_)?(amount|balance|due|price|receivable|refunded|sum|total)$")
_TIME_KEYS = re.compile(r"(?i)(at|date|day|time|when|created|.*_(at|date|time))$")
_STATE_KEYS = re.compile(r"(?i)(.*_)?(state|status|tier)$")
_NAME_KEYS = re.compile(r"(?i)(id|key|.*_id)$")
_TONES = {
    **dict.fromkeys("active captured confirmed delivered done ok paid posted succeeded".split(), "ok"),
    **dict.fromkeys("draft gold hold late pending platinum processing shipped waiting".split(), "warn"),
    **dict.fromkeys("cancelled canceled declined disputed duplicate failed lost overdue refused".split(), "bad"),
}


def _rank(key: str) -> int:
    """What a narrow table shows first: when, how much and how it stands; a system's own ids last."""
    if _NAME_KEYS.match(key):
        return 2
    return 0 if any(one.match(key) for one in (_TIME_KEYS, _MONEY_KEYS, _STATE_KEYS)) else 1


def _goes_with_money(key: str, record: Mapping[str, JSON]) -> bool:
    """Whether this is the currency of amounts beside it, and shown with them."""
    return key.lower() == "currency" and any(_currency(one, record) for one in record)


def _currency(key: str, record: Mapping[str, JSON]) -> str:
    """The currency of the amount under `key`, "" when it is none."""
    currency, value = record.get("currency"), record.get(key)
    if not (isinstance(currency, str) and _CURRENCY.fullmatch(currency) and _MONEY_KEYS.match(key)):
        return ""
    # Decimal text only: a bare integer may count cents, and to guess is to be wrong by a hundred.
    return currency.upper() if isinstance(value, str) and _DECIMAL.fullmatch(value) else ""


def _cell(key: str, value: JSON, record: Mapping[str, JSON], now: datetime, *, plain_chars: int) -> Cell:
    if isinstance(value, Mapping) and set(value) == {"amount", "currency"} and _currency("amount", value):
        return Cell(_money(str(value["amount"]), str(value["currency"])), "money")
    if isinstance(value, bool) or value is None or isinstance(value, (Mapping, list, tuple)):
        return _text(plain(value, plain_chars))
    if isinstance(value, (int, float)):
        return Cell(plain(value), "number")
    text = str(value)
    found = _AMOUNT.fullmatch(text)
    if found:
        return Cell(_money(found[1], found[2]), "money")
    currency = _currency(key, record)
    if currency:
        return Cell(_money(text, currency), "money")
    if _MONEY_KEYS.match(key) and _DECIMAL.fullmatch(text):
        return Cell(text, "money")
    time = _time(text, now)
    if time:
        return Cell(time, "time")
    if _STATE_KEYS.match(key) and len(text) <= 30:
        return Cell(heading(text), "state", _TONES.get(text.lower().rstrip("?"), ""))
    return _text(plain(text, plain_chars))


def _text(text: str) -> Cell:
    return Cell(text, short=text[:FOLD_CHARS] + "…" if len(text) > FOLD_CHARS else "")


def _money(amount: str, currency: str) -> str:
    try:
        shown = format_currency(Decimal(amount), currency.upper())
    except (InvalidOperation, NumberFormatError, ValueError):
        return f"{amount} {currency}"
    # A sign stands close to its amount; a code of letters needs a gap to be read.
    return _LETTER_BEFORE_DIGIT.sub("\\1\N{NARROW NO-BREAK SPACE}", shown)


def _time(text: str, now: datetime) -> str:
    """A date, or a time in the reader's zone, without the year where it is this one; "" for what is neither.

    A time that does not know its zone is shown as its system wrote it."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return format_date(day, "d MMM" if day.year == now.year else "d MMM y")
        found = _MOMENT.fullmatch(text)
        if found is None:
            return ""
        zoned = found[1] is not None
        at = from_iso(text) if zoned else datetime.fromisoformat(text)
        return format_datetime(at, "d MMM HH:mm" if at.year == now.year else "d MMM y HH:mm", rebase=zoned)
    except (ValueError, OverflowError):
        return ""
