"""Every automatic message of the desk in one list: the system's, templates, and the texts that rules hold themselves.

Pure: it reads the stored entries alone. Drafts and switched-off entries are listed, too, and say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.system_texts import SYSTEM_TEXTS
from rules.store import EntryKind, Stored
from rules.table import OTHERWISE
from sandbox.source import lines_of
from web.scripts_content import source_of

#: Characters of a text that the list shows, and lines at most.
EXCERPT_CHARS = 120
MOST_LINES = 1_000
#: The actions that say something, and who hears it; "" depends on the cell.
SAYS: Mapping[str, str] = {
    "post_message": "",
    "suggest_reply": "customers",
    "send_template": "",
    "notify": "colleagues",
    "add_note": "colleagues",
}
_CALL = re.compile(r"\bticket\.(" + "|".join(SAYS) + r")\(")


@dataclass(frozen=True, slots=True)
class Line:
    """One automatic message. `id` is what it is called by; `audience`: customers, colleagues, both, ""."""

    id: str
    group: str  # system, template, rule, script
    code: str  # the entry it belongs to
    name: str
    action: str
    text: str
    audience: str
    languages: tuple[str, ...]
    on: bool
    live: bool
    draft: bool
    reworded: bool = False


def lines(stored: Sequence[Stored]) -> list[Line]:
    """System texts, templates, then what tables and scripts say, at most MOST_LINES."""
    by_code = {one.code: one for one in stored}
    said = [one for entry in stored for one in _said(entry)]
    found = [_system(by_code.get(code), code) for code in SYSTEM_TEXTS]
    for entry in stored:
        if entry.kind is EntryKind.TEMPLATE and entry.code not in SYSTEM_TEXTS:
            heard = {_audience(action, cell) for _, action, cell in said if cell.get("template") == entry.code}
            found.append(_template(entry, heard))
    for entry in stored:
        if entry.kind is EntryKind.TABLE:
            found += [_own(entry, place, action, cell) for place, action, cell in _said(entry) if cell.get("text")]
        elif entry.kind is EntryKind.SCRIPT:
            found += _script(entry)
    return found[:MOST_LINES]


def _system(entry: Stored | None, code: str) -> Line:
    text = SYSTEM_TEXTS[code]
    content = entry.working if entry is not None else {}
    languages = tuple(content.get("texts", {})) or tuple(text.texts)
    live = entry is not None and entry.live_version is not None
    draft = entry is not None and entry.draft is not None
    return Line(code, "system", code, text.name, "", text.when, text.audience, languages, True, True, draft, live)


def _template(entry: Stored, heard: set[str]) -> Line:
    texts = entry.working.get("texts", {})
    first = next((str(text.get("body", "")) for text in texts.values() if text.get("body")), "")
    audience = heard.pop() if len(heard) == 1 else "both" if heard else ""
    return Line(
        entry.code,
        "template",
        entry.code,
        entry.name,
        "",
        _excerpt(first),
        audience,
        tuple(key for key, text in texts.items() if text.get("body")),
        entry.enabled,
        entry.live_version is not None,
        entry.draft is not None,
    )


def _own(entry: Stored, place: str, action: str, cell: Mapping[str, Any]) -> Line:
    return Line(
        f"{entry.code}/{place}",
        "rule",
        entry.code,
        entry.name,
        action,
        _excerpt(str(cell.get("text", ""))),
        _audience(action, cell),
        (),
        entry.enabled,
        entry.live_version is not None,
        entry.draft is not None,
    )


def _script(entry: Stored) -> Iterator[Line]:
    for number, line in enumerate(lines_of(source_of(entry.working)), 1):
        for match in _CALL.finditer(line.partition("#")[0]):
            yield Line(
                f"{entry.code}:{number}",
                "script",
                entry.code,
                entry.name,
                match[1],
                _excerpt(line.strip()),
                SAYS[match[1]],
                (),
                entry.enabled,
                entry.live_version is not None,
                entry.draft is not None,
            )


def _said(entry: Stored) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Row, action and cell of everything a table's rows say: of its draft where it has one, and of what is live."""
    if entry.kind is not EntryKind.TABLE:
        return
    seen: list[tuple[str, str, Mapping[str, Any]]] = []
    for content in (entry.draft, entry.content):
        if not content:
            continue
        does = {str(head.get("id")): str(head.get("do", "")) for head in content.get("steps", ())}
        rows = [(str(row.get("id")), row.get("then")) for row in content.get("rows", ())]
        last = content.get(OTHERWISE)
        rows.append((OTHERWISE, last.get("then") if isinstance(last, Mapping) else None))
        for place, cells in rows:
            for step, cell in (cells or {}).items():
                one = (place, does.get(step, ""), cell)
                if isinstance(cell, Mapping) and does.get(step) in SAYS and one not in seen:
                    seen.append(one)
    yield from seen


def _audience(action: str, cell: Mapping[str, Any]) -> str:
    if action == "post_message":
        return "colleagues" if cell.get("public") is False else "customers"
    if action == "send_template":
        outside = "customer" in (cell.get("to") or ()) or bool(cell.get("addresses"))
        inside = bool(cell.get("users") or cell.get("teams") or set(cell.get("to") or ()) - {"customer"})
        return "both" if outside and inside else "customers" if outside else "colleagues"
    return SAYS[action]


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT_CHARS else line[: EXCERPT_CHARS - 1] + "…"
