"""The mails that were handed in, as people see them: what became of each, and its bytes as they came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, LargeBinary, and_, func, not_, or_, select

from connectors.channels.email import glance
from jobs.intake import Outcome
from tickets.people import Viewer
from tickets.tables import Blob, InboundMail, WorkItem
from tickets.visibility import visible

#: Rows of one page of the list, and how far it counts.
PAGE_ROWS = 50
COUNT_CAP = 1_000
#: Bytes of a mail's beginning that the list reads for its sender and subject.
GLANCE_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was handed in."""

    id: int
    mailbox: str
    sender: str
    subject: str
    outcome: Outcome
    reason: str
    item_id: int | None
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class MailPage:
    """One page of the list, newest first. `total` stops at COUNT_CAP; `hidden` mails belong to tickets one may not
    see."""

    mails: tuple[Mail, ...]
    total: int
    hidden: int
    page: int
    pages: int


def mails(connection: Connection, viewer: Viewer, *, outcomes: Iterable[str] = (), page: int = 1) -> MailPage:
    """The mails handed in that `viewer` may see, narrowed to these outcomes when there are any."""
    wanted = [one for one in outcomes if one in set(Outcome)]
    narrowed = InboundMail.outcome.in_(wanted) if wanted else InboundMail.outcome != ""
    shown = and_(narrowed, _may_see(viewer))
    base = select(InboundMail.id).outerjoin(WorkItem, WorkItem.id == InboundMail.item_id)

    def count(condition: ColumnElement[bool]) -> int:
        counted = base.where(condition).limit(COUNT_CAP).subquery()
        return connection.execute(select(func.count()).select_from(counted)).scalar_one()

    total = count(shown)
    pages = max(1, -(-total // PAGE_ROWS))
    page = min(max(1, page), pages)
    rows = connection.execute(
        select(
            InboundMail.id,
            InboundMail.mailbox,
            InboundMail.outcome,
            InboundMail.reason,
            InboundMail.item_id,
            Blob.size,
            func.substr(Blob.data, 1, GLANCE_BYTES, type_=LargeBinary).label("start"),
            InboundMail.received_at,
        )
        .outerjoin(WorkItem, WorkItem.id == InboundMail.item_id)
        .join(Blob, Blob.sha256 == InboundMail.blob)
        .where(shown)
        .order_by(InboundMail.id.desc())
        .limit(PAGE_ROWS)
        .offset((page - 1) * PAGE_ROWS)
    )
    return MailPage(
        tuple(
            Mail(
                row.id,
                row.mailbox,
                *glance(row.start),
                Outcome(row.outcome),
                row.reason,
                row.item_id,
                row.size,
                row.received_at,
            )
            for row in rows
        ),
        total,
        count(and_(narrowed, not_(_may_see(viewer)))),
        page,
        pages,
    )


def raw_mail(connection: Connection, viewer: Viewer, mail_id: int) -> bytes | None:
    """The bytes of this mail as they came, or None when there is none that `viewer` may see."""
    return connection.execute(
        select(Blob.data)
        .join(InboundMail, InboundMail.blob == Blob.sha256)
        .outerjoin(WorkItem, WorkItem.id == InboundMail.item_id)
        .where(InboundMail.id == mail_id, _may_see(viewer))
    ).scalar_one_or_none()


def _may_see(viewer: Viewer) -> ColumnElement[bool]:
    return or_(InboundMail.item_id.is_(None), visible(viewer))
