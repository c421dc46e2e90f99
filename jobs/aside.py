"""What was set aside for an error, whole events or rows of tables: the event it was, and how far such lists go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from tickets.tables import EventRow, WorkItem

#: Events that are listed, and handled again by one command.
LISTED = 200
#: How far what is hidden from somebody is counted.
HIDDEN_CAP = 1_000


@dataclass(frozen=True, slots=True)
class Aside:
    """One event of which something was set aside."""

    id: int
    item_id: int
    seq: int
    kind: str
    at: datetime
    subject: str


#: The columns of an `Aside`, in its order; the item is joined to the event.
COLUMNS = (
    EventRow.id,
    EventRow.item_id,
    EventRow.seq,
    EventRow.kind,
    EventRow.at,
    func.coalesce(WorkItem.subject, "").label("subject"),
)


def counted(connection: Connection, found: Select[Any]) -> int:
    """How many rows a statement finds, up to `HIDDEN_CAP`."""
    return connection.execute(select(func.count()).select_from(found.limit(HIDDEN_CAP).subquery())).scalar_one()
