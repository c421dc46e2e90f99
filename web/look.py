"""What templates can use: times as people write them, sizes, initials, icons, the theme, who is signed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, has_request_context, request
from flask_babel import Babel, format_datetime, get_locale, gettext, ngettext
from markupsafe import Markup

from tickets.item import LANGUAGES
from tickets.values import JSON, from_iso
from web import catalogs, portal_session
from web.access import may, viewer_or_none
from web.bundles import file
from web.context import now
from web.headers import style_nonce
from web.refusals import full_stop, said

#: Longest text of one value on a page, in characters; the rest is cut with an ellipsis.
VALUE_CHARS = 400
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def icon(name: str, size: str = "", label: str = "") -> Markup:
    """An icon of static/img/icons.svg. With a `label` it speaks, else it is decoration."""
    return _icon(file("img/icons.svg"), name, size, label)


@lru_cache(maxsize=1_000)
def _icon(file: str, name: str, size: str, label: str) -> Markup:
    spoken = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="i {}" {}><use href="{}#{}"/></svg>').format(size, spoken, file, name)


def moment(at: datetime | str | None) -> Markup:
    """A time in the reader's zone, e.g. "Sat 21 Nov, 09:31", with the full form as its title."""
    known = _time(at)
    return _time_element(known, _short(known)) if known else Markup("")


def clock(at: datetime | str | None) -> Markup:
    """Only hours and minutes for today, else like `moment`."""
    known = _time(at)
    if known is None:
        return Markup("")
    return _time_element(known, _words(known, "HH:mm") if _is_today(known) else _short(known))


def ago(at: datetime | str | None) -> Markup:
    """How long ago, under a day; after that the date. For lists and sources."""
    known = _time(at)
    return _time_element(known, age(known)) if known else Markup("")


def age(at: datetime | str) -> str:
    """The text of `ago`, also for the future ("in 5 min")."""
    known = _time(at)
    assert known is not None
    seconds = (now() - known).total_seconds()
    if seconds < 0:
        ahead = -seconds
        if ahead < HOUR:
            return gettext("in %(n)s min", n=max(1, round(ahead / MINUTE)))
        if ahead < DAY:
            return gettext("in %(n)s h", n=round(ahead / HOUR))
        return _short(known)
    if seconds < MINUTE:
        return gettext("just now")
    if seconds < HOUR:
        return gettext("%(n)s min ago", n=int(seconds // MINUTE))
    if seconds < DAY:
        return gettext("%(n)s h ago", n=int(seconds // HOUR))
    return _short(known)


def duration(seconds: float) -> str:
    """A length of time: "< 1 ms", "14 ms", "1.4 s", "3 min"."""
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    if seconds < HOUR:
        return f"{round(seconds / MINUTE)} min"
    return f"{seconds / HOUR:.1f} h"


def file_size(size: int) -> str:
    """Bytes as people read them: "820 B", "14 kB", "2.1 MB"."""
    if size < 1_000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1_000:.0f} kB"
    return f"{size / 1_000_000:.1f} MB"


def initials(name: str) -> str:
    """Up to two letters for the round mark beside a name."""
    words = [word for word in name.replace("@", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


def plain(value: JSON, limit: int = VALUE_CHARS) -> str:
    """Any stored value as text for a page."""
    match value:
        case None:
            text = gettext("none")
        case True:
            text = gettext("yes")
        case False:
            text = gettext("no")
        case str():
            text = value
        case int() | float():
            text = str(value)
        case Mapping():
            text = ", ".join(f"{key}: {plain(one)}" for key, one in value.items()) or gettext("none")
        case Sequence():
            text = ", ".join(plain(one) for one in value) or gettext("none")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def theme() -> str:
    """The colour scheme this browser chose: auto, light or dark."""
    chosen = request.cookies.get("theme", "auto") if has_request_context() else "auto"
    return chosen if chosen in ("light", "dark") else "auto"


def install(app: Flask) -> None:
    catalogs.compiled()
    Babel(app, locale_selector=_locale, timezone_selector=_zone)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        moment=moment,
        clock=clock,
        ago=ago,
        duration=duration,
        file_size=file_size,
        initials=initials,
        plain=plain,
        pairs=lambda keys: [(key, key) for key in keys],
    )
    app.jinja_env.filters.update(said=said, full_stop=full_stop)
    app.jinja_env.globals.update(
        icon=icon,
        theme=theme,
        may=may,
        viewer=viewer_or_none,
        portal_customer=portal_session.customer,
        style_nonce=style_nonce,
        language=lambda: str(get_locale() or "en"),
        ngettext=ngettext,
    )


def _locale() -> str:
    known = tuple(LANGUAGES)
    if _in_portal():
        chosen = portal_session.language()
        return chosen or request.accept_languages.best_match(known, default="en") or "en"
    viewer = viewer_or_none()
    if viewer is not None and viewer.language in known:
        return viewer.language
    return request.accept_languages.best_match(known, default="en") or "en"


def _in_portal() -> bool:
    """Pages for customers are in their language and zone, whoever else is signed in in this browser."""
    return (request.blueprint or "").startswith("portal_")


def _zone() -> str:
    viewer = viewer_or_none()
    zone = (portal_session.zone() if _in_portal() else viewer.zone if viewer is not None else "") or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return zone


def _time(at: datetime | str | None) -> datetime | None:
    """Stored texts are ours, but a script may have written one into a card: what is no time shows nothing."""
    if isinstance(at, str):
        try:
            return from_iso(at)
        except ValueError:
            return None
    return at


def _is_today(at: datetime) -> bool:
    zone = _zone()
    return in_zone(at, zone).date() == in_zone(now(), zone).date()


def in_zone(at: datetime, zone: str) -> datetime:
    """This moment there. The first and the last day there are, which other systems write for "never", stay in UTC
    where they would be outside the calendar."""
    try:
        return at.astimezone(ZoneInfo(zone))
    except OverflowError:
        return at.astimezone(UTC)


def _words(at: datetime, form: str) -> str:
    try:
        return format_datetime(at, form)
    except OverflowError:  # as in `in_zone`
        return format_datetime(at, form, rebase=False)


def _short(at: datetime) -> str:
    far = abs(now() - at) > timedelta(days=300)
    return _words(at, "d MMM y" if far else "EEE d MMM, HH:mm")


def _time_element(at: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), _words(at, "full"), text
    )
