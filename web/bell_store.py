"""The bell of one person: lines about items they may see."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from tickets.people import Viewer
from tickets.store import AnyRow
from tickets.tables import Notification, User, WorkItem
from tickets.visibility import visible

#: Lines that the page shows, newest kept.
BELL_LINES = 100


def bell(connection: Connection, who: Viewer) -> list[AnyRow]:
    """The newest lines of this person's bell, about items they may still see."""
    return list(
        connection.execute(
            select(
                Notification.id,
                Notification.item_id,
                Notification.text,
                Notification.cause,
                Notification.created_at,
                Notification.read_at,
                WorkItem.subject,
            )
            .join(WorkItem, WorkItem.id == Notification.item_id)
            .where(Notification.user == who.key, visible(who))
            .order_by(Notification.created_at.desc(), Notification.id.desc())
            .limit(BELL_LINES)
        )
    )


def read_bell(connection: Connection, who: Viewer, now: datetime, notification_id: int | None = None) -> int | None:
    """Mark one line (or all) as read; returns the item of the one line, None if it is not theirs."""
    mine = [Notification.user == who.key]
    if notification_id is not None:
        mine.append(Notification.id == notification_id)
    connection.execute(update(Notification).where(*mine, Notification.read_at.is_(None)).values(read_at=now))
    if notification_id is None:
        return None
    return connection.execute(select(Notification.item_id).where(*mine)).scalar_one_or_none()


def mail_of(connection: Connection, who: Viewer) -> str:
    """How this person wants what rings by e-mail: at_once, digest or never."""
    return connection.execute(select(User.mail).where(User.key == who.key)).scalar_one()


def set_mail(connection: Connection, who: Viewer, wish: str) -> None:
    connection.execute(update(User).where(User.key == who.key).values(mail=wish))
