"""Since when: the moments that time rules count from. Kept with the item by every write; no I/O.

*Last modified* counts what people do: enrichment, service levels and automations do not move it. Whoever is waited for
is known by the oldest of their unanswered messages: a customer who writes again does not begin to wait anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from tickets.values import record


@record
class Stamps:
    """The moments of one item.

    `status_since`: when it came into its status. `modified_at`: a person's last change. `unanswered_since`: the oldest
    of the customer's public messages that nobody here has answered. `replied_at`: our newest public reply, while the
    customer has not written since. `first_reply_at`: the first public reply a person here ever gave. `opened_at`: when
    somebody here first opened it, or worked on it without (`tickets.store.opened`)."""

    status_since: datetime
    modified_at: datetime
    unanswered_since: datetime | None = None
    replied_at: datetime | None = None
    first_reply_at: datetime | None = None
    opened_at: datetime | None = None


def after_messages(stamps: Stamps, said: Iterable[tuple[str, bool]], now: datetime) -> Stamps:
    """The stamps after these messages, (author, public) each, in order.

    Only a person's public reply answers a customer: neither a note nor the bot does."""
    for author, public in said:
        if not public:
            continue
        if author == "customer":
            since = now if stamps.unanswered_since is None else stamps.unanswered_since
            stamps = replace(stamps, unanswered_since=since, replied_at=None)
        elif author == "agent":
            first = now if stamps.first_reply_at is None else stamps.first_reply_at
            stamps = replace(stamps, unanswered_since=None, replied_at=now, first_reply_at=first)
    return stamps
