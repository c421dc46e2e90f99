"""Mailboxes: the addresses customers write to, one per brand; how each is looked into and sent from, with a test."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from sqlalchemy import Connection, select, update

from jobs import mailboxes
from jobs.queues import Work
from tickets.people import Permission
from tickets.store import AnyRow
from tickets.tables import Mailbox
from web.access import me, needs
from web.context import services
from web.errors import refuse
from web.forms import a_number, looks_like_email
from web.names_store import names

pages = Blueprint("mailservers", __name__)

KINDS = {"imap": lazy_gettext("Receiving (IMAP)"), "smtp": lazy_gettext("Sending (SMTP)")}
SECURITIES = {
    "tls": lazy_gettext("TLS from the start"),
    "starttls": lazy_gettext("STARTTLS"),
    "plain": lazy_gettext("none: only inside your own network"),
}
PORTS = {"imap": 993, "smtp": 465}


@pages.get("/mailboxes")
@needs(Permission.SETTINGS)
def index() -> ResponseReturnValue:
    """Every mailbox with how it is read and sent from."""
    return _index({}, {})


def _index(given: Mapping[str, str], problems: Mapping[str, str]) -> str:
    with services().db.read() as connection:
        rows = connection.execute(
            select(Mailbox.key, Mailbox.address, Mailbox.brand, Mailbox.active).order_by(Mailbox.key)
        ).all()
        found = [(row, mailboxes.accounts(connection, row.key)) for row in rows]
        brands = names(connection).brands
    return render_template("mailboxes.html", found=found, brands=brands, given=given, problems=problems, kinds=KINDS)


@pages.post("/mailboxes")
@needs(Permission.SETTINGS)
def create() -> ResponseReturnValue:
    """A new mailbox. Its secret for handing mail in over HTTP is made with `flask mailbox add`; this one has none."""
    given = {"address": request.form.get("address", "").strip().lower(), "brand": request.form.get("brand", "")}
    if not looks_like_email(given["address"]):
        return _index(given, {"address": gettext("This is not an e-mail address.")}), 422
    key = re.sub(r"[^a-z0-9]+", "_", given["address"]).strip("_")[:60]
    try:
        with services().db.write() as connection:
            if given["brand"] and given["brand"] not in names(connection).brands:
                raise refuse(422, gettext("Choose one of the list."))
            mailboxes.add_mailbox(
                connection,
                key=key,
                address=given["address"],
                brand=given["brand"] or None,
                secret=secrets.token_urlsafe(32),
            )
    except mailboxes.MailboxExists as error:
        return _index(given, {"address": str(error)}), 422
    flash(gettext("The mailbox is there. Say how it is read and sent from."), "ok")
    return redirect(url_for("mailservers.mailbox", key=key), 303)


@pages.get("/mailboxes/<key>")
@needs(Permission.SETTINGS)
def mailbox(key: str) -> ResponseReturnValue:
    """One mailbox."""
    return _page(key, "", {}, "")


def _page(key: str, kind: str, given: Mapping[str, Any], problem: str) -> str:
    with services().db.read() as connection:
        row = _row(connection, key)
        accounts = mailboxes.accounts(connection, key)
        brands = names(connection).brands
    return render_template(
        "mailbox.html",
        row=row,
        brands=brands,
        kinds=KINDS,
        accounts=accounts,
        configs={one: given if one == kind else accounts[one].config if one in accounts else {} for one in KINDS},
        ports=PORTS,
        securities=list(SECURITIES.items()),
        problem=problem,
        problem_kind=kind,
    )


@pages.post("/mailboxes/<key>/switch")
@needs(Permission.SETTINGS)
def switch(key: str) -> ResponseReturnValue:
    """Takes a mailbox out of use or back: what is handed in for one out of use is refused."""
    with services().db.write() as connection:
        _row(connection, key)
        connection.execute(update(Mailbox).where(Mailbox.key == key).values(active=request.form.get("on") == "1"))
    return redirect(url_for("mailservers.mailbox", key=key), 303)


@pages.post("/mailboxes/<key>/<kind>")
@needs(Permission.SETTINGS)
def save(key: str, kind: str) -> ResponseReturnValue:
    """Saves how a mailbox is read or sent from. A blank password keeps the one there is, for the same server."""
    if kind not in KINDS:
        abort(404)
    given: dict[str, Any] = {
        "host": request.form.get("host", ""),
        "port": request.form.get("port", type=a_number),
        "user": request.form.get("user", ""),
        "security": request.form.get("security", "tls"),
        "folder": request.form.get("folder", ""),
        "from_the_start": request.form.get("from_the_start") == "1",
    }
    try:
        with services().db.write() as connection:
            _row(connection, key)
            if request.form.get("do") == "remove":
                mailboxes.remove_account(connection, key, kind)
            else:
                mailboxes.save_account(
                    services(),
                    connection,
                    key,
                    kind,
                    given,
                    password=request.form.get("password", "")[:500],
                    enabled=request.form.get("enabled") == "1",
                )
    except mailboxes.AccountRefused as error:
        return _page(key, kind, {**given, "enabled": request.form.get("enabled") == "1"}, str(error)), 422
    services().queues.hint(Work.ENRICHMENT)
    flash(gettext("Saved."), "ok")
    return redirect(url_for("mailservers.mailbox", key=key), 303)


@pages.post("/mailboxes/<key>/<kind>/test")
@needs(Permission.SETTINGS)
def test(key: str, kind: str) -> ResponseReturnValue:
    """Tries what is saved: signs in and looks, or sends a mail to me."""
    if kind not in KINDS:
        abort(404)
    with services().db.read() as connection:
        _row(connection, key)
    if kind == "imap":
        worked, said = mailboxes.try_imap(services(), key)
    else:
        worked, said = mailboxes.try_smtp(services(), key, (me().name, me().email))
    flash(said, "ok" if worked else "bad")
    return redirect(url_for("mailservers.mailbox", key=key), 303)


def _row(connection: Connection, key: str) -> AnyRow:
    row = connection.execute(
        select(Mailbox.key, Mailbox.address, Mailbox.brand, Mailbox.active).where(Mailbox.key == key)
    ).one_or_none()
    if row is None:
        abort(404)
    return row
