"""Who is told what happened: that somebody wrote, the followers of a ticket and the people it is assigned to; that
an event could not be handled, those who edit rules. In their bell.

The one place for it. Whoever stores a message of a customer or a third party on a ticket that people may already have
calls this in the same transaction. A form or a mail that makes a new ticket does not: nobody has it yet.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection, select

from jobs.notices import mail_colleagues
from jobs.recipients import MOST_FOLLOWERS, followers, who_may_see
from jobs.system_texts import NEW_MESSAGE
from tickets import store
from tickets.events import Cause
from tickets.people import Permission, permissions_of
from tickets.tables import Message, Notification, User

__all__ = [
    "MOST_ASSIGNEES",
    "MOST_FOLLOWERS",
    "TOLD_AUTHORS",
    "tell_of_message",
    "tell_of_parked",
    "tell_of_row",
    "tell_of_timer",
]

#: Most assignees one message is told to.
MOST_ASSIGNEES = 100
#: Users that are looked through for those who edit rules, and characters that tell one error from another.
MOST_USERS = 10_000
KIND_CHARS = 200
#: Whose messages are told: people's, and what our own rules post. What a machine wrote to us is not.
TOLD_AUTHORS = ("customer", "third_party", "agent", "bot")


def tell_of_message(connection: Connection, item_id: int, message_id: int, now: datetime) -> tuple[str, ...]:
    """Ring the bells for this message and e-mail it, once however often this is called; the keys of who is told.

    The one message of the system: it goes to colleagues alone, internal words too, and cannot be switched off. Only
    active users who work tickets and may see this one are told; when nobody follows it or has it, nobody is. A
    colleague's words, and those of the bot, go to the followers, and never back to who wrote them."""
    message = connection.execute(
        select(
            Message.author_kind, Message.author_name, Message.author_address, Message.author_user, Message.automatic
        ).where(Message.id == message_id, Message.item_id == item_id)
    ).one_or_none()
    if message is None or message.author_kind not in TOLD_AUTHORS:
        return ()
    by_bot = message.author_kind == "bot"
    if message.automatic and not by_bot:
        return ()
    assignees = store.read_item(connection, item_id).state.get("assignees") or ()
    assert isinstance(assignees, (list, tuple))
    ours = by_bot or message.author_kind == "agent"
    have_it = () if ours else tuple(str(one) for one in assignees[:MOST_ASSIGNEES])
    wanted = {*followers(connection, item_id), *have_it} - {message.author_user}
    viewers = who_may_see(connection, wanted, item_id)
    told = tuple(one.key for one in viewers)
    who = message.author_name or message.author_address or "Somebody"
    text = f"{who}, who does not take part, wrote" if message.author_kind == "third_party" else f"{who} wrote"
    store.notify(
        connection, told, item_id, text, cause=Cause("person", label=who), key=f"message:{message_id}", now=now
    )
    mail_colleagues(
        connection,
        viewers,
        item_id,
        {"message_id": message_id, "system": NEW_MESSAGE},
        key=f"message:{message_id}",
        cause=Cause("system", label=NEW_MESSAGE),
        now=now,
    )
    return told


def tell_of_parked(connection: Connection, item_id: int, error: str, now: datetime) -> tuple[str, ...]:
    """Tell those who edit rules, and so can handle it again, that an event was set aside; the keys of those told.

    A bug sets aside many events with one error: each error is told once an hour, whatever it hits."""
    text = f"An event of this ticket could not be handled and was set aside: {error[:KIND_CHARS]}"
    return tell_editors(connection, item_id, text, f"parked:{_kind(error)}:{now:%Y%m%d%H}", now)


def tell_of_row(
    connection: Connection, item_id: int, row_key: str, reason: str, revision: int, now: datetime
) -> tuple[str, ...]:
    """Tell those who edit rules that a row could not be decided for an error and was set aside; the keys of those told.

    Once for each row and reason of one revision of the rule list, however many tickets it hits."""
    text = f"The row {row_key} could not be decided for this ticket and was set aside: {reason[:KIND_CHARS]}"
    return _tell_once(connection, item_id, text, f"row:{row_key[:40]}:{revision}:{_kind(reason)}", now)


def tell_of_timer(
    connection: Connection, item_id: int, code: str, reason: str, revision: int, now: datetime
) -> tuple[str, ...]:
    """Tell those who edit rules that a time came on which a table cannot do anything, as it cannot be read; the keys of
    those told. Once for each table and reason of one revision of the rule list."""
    text = f"{code} waited for a time that has come, and cannot be read. It is tried again: {reason[:KIND_CHARS]}"
    return _tell_once(connection, item_id, text, f"timer:{code[:40]}:{revision}:{_kind(reason)}", now)


def _tell_once(connection: Connection, item_id: int, text: str, key: str, now: datetime) -> tuple[str, ...]:
    known = select(Notification.id).where(Notification.key.like(f"{key}:%")).limit(1)
    if connection.execute(known).first() is not None:
        return ()
    return tell_editors(connection, item_id, text, key, now)


def _kind(error: str) -> str:
    """A short name for everything that fails with the same words."""
    return hashlib.sha256(error[:KIND_CHARS].encode()).hexdigest()[:16]


def tell_editors(connection: Connection, item_id: int, text: str, key: str, now: datetime) -> tuple[str, ...]:
    """Tell those who edit rules and may see the item; the keys of those told."""
    users = connection.execute(select(User.key, User.roles).where(User.active).order_by(User.key).limit(MOST_USERS))
    # Those first: however many others there are, they are not among the ones that are looked up one by one.
    editors = [one.key for one in users if Permission.EDIT_RULES in permissions_of(one.roles)]
    told = tuple(one.key for one in who_may_see(connection, editors, item_id))
    cause = Cause("system", label="Automation")
    store.notify(connection, told, item_id, text, cause=cause, key=key, now=now)
    return told
