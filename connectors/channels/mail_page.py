"""The HTML half of an outgoing mail: plain text in, one small page out, its styles written onto each element.

Mail programs drop style sheets, scripts and everything that is loaded from elsewhere, so there is none of it: no image,
no remote style, no class that means anything. What people wrote is escaped; only http and https links are made links.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import css_inline

#: Characters of one part, and parts of one mail.
PART_CHARS = 60_000
PARTS = 40

_CSS = """
body { margin: 0; padding: 16px; font: 15px/1.5 -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: #1f2421; background: #ffffff; }
p { margin: 0 0 12px; }
a { color: #0b6e67; }
.card { border: 1px solid #d9d6cf; border-radius: 6px; padding: 12px; margin: 0 0 12px; }
.earlier { margin: 16px 0 0; padding: 0 0 0 12px; border-left: 2px solid #d9d6cf; color: #5c615e; font-size: 14px; }
.who { margin: 0 0 4px; font-size: 13px; color: #5c615e; }
.button { display: inline-block; padding: 8px 14px; border-radius: 6px; background: #0b6e67; color: #ffffff;
  text-decoration: none; }
.foot { margin: 20px 0 0; font-size: 12px; color: #5c615e; }
"""

#: Parses nothing but what this module writes, and never asks the network or the disk.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, extra_css=_CSS)

_LINK = re.compile(r"https?://[^\s<>\"']{1,2000}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?")
_BLANK = re.compile(r"\n[ \t]*\n\s*")


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a mail. `kind`: text, card, earlier (`who` wrote it), button (`text` leads to `who`), foot."""

    kind: str
    text: str
    who: str = ""


def html_page(parts: Sequence[Part], *, language: str, title: str) -> str:
    """The parts as a whole HTML document with inline styles. Empty parts are left out."""
    inner = "".join(_part(one) for one in parts[:PARTS] if one.text.strip())
    lang = language if _LANGUAGE.fullmatch(language) else "en"
    return _INLINER.inline(
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
        f"<body>{inner}</body></html>"
    )


def plain_page(parts: Sequence[Part]) -> str:
    """The same parts as plain text: what was said earlier is quoted with ">", as mail programs do."""
    lines: list[str] = []
    for one in parts[:PARTS]:
        text = one.text[:PART_CHARS].strip()
        if not text:
            continue
        match one.kind:
            case "earlier":
                lines.append("\n".join([one.who, *(f"> {line}".rstrip() for line in text.split("\n"))]))
            case "button":
                lines.append(f"{text}: {one.who}")
            case "foot":
                lines.append(f"-- \n{text}")
            case _:
                lines.append(text)
    return "\n\n".join(lines) + "\n"


def _part(one: Part) -> str:
    text = one.text[:PART_CHARS].strip()
    match one.kind:
        case "earlier":
            return f'<blockquote class="earlier"><p class="who">{escape(one.who)}</p>{_paragraphs(text)}</blockquote>'
        case "button":
            if not _LINK.fullmatch(one.who):
                return f"<p>{escape(text)}</p>"
            return f'<p><a class="button" href="{escape(one.who, quote=True)}">{escape(text)}</a></p>'
        case "card":
            return f'<div class="card">{_paragraphs(text)}</div>'
        case "foot":
            return f'<p class="foot">{_linked(text)}</p>'
        case _:
            return _paragraphs(text)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_linked(one)}</p>" for one in _BLANK.split(text) if one.strip())


def _linked(text: str) -> str:
    pieces: list[str] = []
    at = 0
    for match in _LINK.finditer(text):
        target = match[0].rstrip(".,;:!?)")
        pieces.append(escape(text[at : match.start()]))
        pieces.append(f'<a href="{escape(target, quote=True)}">{escape(target)}</a>')
        at = match.start() + len(target)
    pieces.append(escape(text[at:]))
    return "".join(pieces).replace("\n", "<br>")
