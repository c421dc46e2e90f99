"""Lists in pages: how many rows a page has, how far a list is counted, and what the line below it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from flask import request
from flask_babel import gettext
from sqlalchemy import Connection, Select, func, select

from web.forms import a_number

#: Rows of one page, how far a list is counted, and the furthest page that can be asked for.
PAGE_ROWS = 50
COUNT_CAP = 1_000
LAST_PAGE = COUNT_CAP // PAGE_ROWS

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paged(Generic[Row]):
    """One page of a list. `total` stops at COUNT_CAP, and `more_than_total` says that it did; `hidden` are those that
    the list would have, did the viewer see them."""

    total: int
    more_than_total: bool
    hidden: int
    page: int
    pages: int
    rows: Sequence[Row] = ()

    @property
    def offset(self) -> int:
        """How many rows stand on the pages before this one."""
        return (self.page - 1) * PAGE_ROWS

    def of(self, rows: Sequence[Row]) -> Paged[Row]:
        """The page with its rows."""
        return replace(self, rows=rows)

    @property
    def said(self) -> str:
        """Which rows these are, of how many; "" for none."""
        if not self.rows:
            return ""
        first, last = self.offset + 1, self.offset + len(self.rows)
        if self.more_than_total:
            return gettext("%(first)s–%(last)s of more than %(total)s", first=first, last=last, total=self.total)
        return gettext("%(first)s–%(last)s of %(total)s", first=first, last=last, total=self.total)


def asked_page() -> int:
    """The page that the address asks for, as far as there can be one."""
    return min(max(1, request.args.get("page", 1, type=a_number)), LAST_PAGE)


def counted(connection: Connection, shown: Select[Any], page: int, *, hidden: Select[Any] | None = None) -> Paged[Any]:
    """The page of a list, still without its rows: `shown` selects all it has, `hidden` what is kept from the viewer.

    A page beyond the last is the last."""

    def number(wanted: Select[Any], most: int) -> Any:
        return select(func.count()).select_from(wanted.limit(most).subquery()).scalar_subquery()

    counts = select(number(shown, COUNT_CAP + 1))
    if hidden is not None:
        counts = counts.add_columns(number(hidden, COUNT_CAP))
    total, *more = connection.execute(counts).one()
    pages = max(1, -(-min(total, COUNT_CAP) // PAGE_ROWS))
    at = min(max(1, page), pages)
    return Paged(min(total, COUNT_CAP), total > COUNT_CAP, more[0] if more else 0, at, pages)
