"""What forms of several pages read the same way."""

from __future__ import annotations

from flask import request

from tickets.store import NewAttachment


def looks_like_email(text: str) -> bool:
    """Whether this can be an address: one @ with something on both sides, no spaces or controls, at most 320 long."""
    name, at, host = text.rpartition("@")
    return (
        bool(name and at and "." in host.strip("."))
        and len(text) <= 320
        and not any(char.isspace() or ord(char) < 32 or char in '<>,;"' for char in text)
    )


def received_files() -> list[NewAttachment]:
    """The files of the field "files". Names lose their folders; nothing is written to disk here."""
    return [
        NewAttachment(
            name=(file.filename or "file").replace("\\", "/").rpartition("/")[2][:255] or "file",
            media_type=(file.mimetype or "application/octet-stream")[:120],
            data=file.read(),
        )
        for file in request.files.getlist("files")
        if file.filename
    ]
