"""Files with a message or an answer: their caps, and their bytes, kept once however many carry them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from tickets.db import upsert
from tickets.errors import AttachmentRefused
from tickets.tables import Blob

#: One attachment, one message's attachments together, and how many, at most.
ATTACHMENT_BYTES = 10_000_000
MESSAGE_BYTES = 25_000_000
ATTACHMENTS = 20


@dataclass(frozen=True, slots=True)
class NewAttachment:
    name: str
    media_type: str
    data: bytes


def store_blob(connection: Connection, data: bytes) -> str:
    """Keep these bytes once; the SHA-256 in hexadecimal names them."""
    digest = hashlib.sha256(data).hexdigest()
    connection.execute(
        upsert(connection, Blob)
        .values(sha256=digest, size=len(data), data=data)
        .on_conflict_do_nothing(index_elements=["sha256"])
    )
    return digest


def check_attachments(attachments: Sequence[NewAttachment]) -> None:
    """Raises `AttachmentRefused` with the cap that was passed."""
    if len(attachments) > ATTACHMENTS:
        raise AttachmentRefused(f"A message carries at most {ATTACHMENTS} files, not {len(attachments)}")
    for one in attachments:
        if len(one.data) > ATTACHMENT_BYTES:
            raise AttachmentRefused(f"{one.name} is larger than {ATTACHMENT_BYTES // 1_000_000} MB")
    if sum(len(one.data) for one in attachments) > MESSAGE_BYTES:
        raise AttachmentRefused(f"The files of one message together are larger than {MESSAGE_BYTES // 1_000_000} MB")
