"""What forms of several pages read the same way."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_babel import gettext
from werkzeug.routing import IntegerConverter

from tickets.attachments import NewAttachment
from web.errors import refuse

#: The largest number a database key can be; an address with a larger one leads nowhere.
LARGEST_KEY = 2**31 - 1


class Number(IntegerConverter):
    """`<int:...>` in addresses: only numbers that can be a key, so that a database never sees another."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"max": LARGEST_KEY, **kwargs})


def a_number(text: str) -> int:
    """`type=a_number` of a field: a number that can be a key or a count of ours; any other counts as none given.

    Raises `ValueError`."""
    found = int(text)
    if abs(found) > LARGEST_KEY:
        raise ValueError(f"{text[:20]} is a number of nothing")
    return found


def refuse_nul() -> None:
    """A NUL character in any field is refused: PostgreSQL cannot store it, and nobody types it."""
    for fields in (request.args, request.form):
        if any("\x00" in key or "\x00" in value for key, values in fields.lists() for value in values):
            raise refuse(400, gettext("The form holds a character that is no text."))


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
    return files_of("files")


def files_of(field: str) -> list[NewAttachment]:
    """The files of this field, with names that are only names."""
    return [
        NewAttachment(
            name=_file_name(file.filename or ""),
            media_type=(file.mimetype or "application/octet-stream")[:120],
            data=file.read(),
        )
        for file in request.files.getlist(field)
        if file.filename
    ]


def _file_name(given: str) -> str:
    """The last part of a path, without what could end a header, hide an ending or lead to another folder."""
    name = given.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable()).strip(" .")
    return name[-255:] or "file"
