"""What can go wrong with what is true.

TicketsError
├─ ItemNotFound        no such item, or not visible to the one who asks (the same answer on purpose)
├─ PersonNotFound
├─ StaleItem           somebody saved a newer version first
├─ UnknownField        a field that this kind of item does not have
├─ BadValue            a value the field does not take
├─ AttachmentRefused   larger or more than a message may carry
├─ SettingRefused      a team, field, list ... cannot be saved or removed like that
├─ StaleSetting        somebody saved a newer version of it first
├─ UpgradeRefused      the schema cannot be brought to this version; the database is as it was
└─ Fenced              our lease on a lane has passed to another worker; nothing was written
"""

from __future__ import annotations


class TicketsError(Exception):
    """Base of everything `tickets` raises on purpose."""


class UpgradeRefused(TicketsError):
    """The database cannot be brought to this version's schema. It is as it was before."""


class ItemNotFound(TicketsError):
    """There is no such item, or it is not visible to you."""


class PersonNotFound(TicketsError):
    """There is no such person."""


class StaleItem(TicketsError):
    """Somebody changed this item since you opened it. Nothing was saved; reload and try again."""


class UnknownField(TicketsError):
    """This kind of item has no such field."""


class BadValue(TicketsError):
    """The field does not take this value."""


class CopyRefused(TicketsError):
    """The database cannot be copied like that. There is no copy, and nothing was changed."""


class AttachmentRefused(TicketsError):
    """The attachment is larger than allowed, or the message carries too many."""


class SettingRefused(TicketsError):
    """This part of the desk's set-up cannot be saved or removed like that. Nothing was changed."""


class StaleSetting(TicketsError):
    """Somebody saved it since you opened it. Nothing of yours was saved."""


class Fenced(TicketsError):
    """The lease on this lane passed to another worker. Nothing was written; the other one goes on."""
