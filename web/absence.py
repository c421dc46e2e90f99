"""Being away: until when nothing is given to somebody by "next available"."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy import select, update

from tickets.errors import BadValue
from tickets.tables import User
from web.access import me, signed_in
from web.context import now, services

pages = Blueprint("absence", __name__)

#: The longest absence, in days.
LONGEST_DAYS = 400


@pages.get("/away")
@signed_in
def page() -> ResponseReturnValue:
    """Until when I am away."""
    with services().db.read() as connection:
        until = connection.execute(select(User.absent_until).where(User.key == me().key)).scalar_one()
    away = until is not None and until > now()
    return render_template("absence.html", until=until if away else None)


@pages.post("/away")
@signed_in
def save() -> ResponseReturnValue:
    """I am away until the end of this day in my zone, or here again."""
    given = request.form.get("last_day", "").strip()
    until = None
    if given and request.form.get("do") != "back":
        try:
            day = date.fromisoformat(given) + timedelta(days=1)
            until = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(me().zone)).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadValue(gettext("This is not a date. Nothing was changed.")) from error
        if not now() < until < now() + timedelta(days=LONGEST_DAYS):
            raise BadValue(gettext("Choose a day from today on, within %(n)s days.", n=LONGEST_DAYS))
    with services().db.write() as connection:
        connection.execute(update(User).where(User.key == me().key).values(absent_until=until))
    flash(gettext("Nothing is given to you by itself until then.") if until else gettext("Welcome back."), "ok")
    return redirect(url_for("absence.page"), 303)
