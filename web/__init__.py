"""PEOPLE: pages, portal, API, inbound. `create_app(services)` makes the one Flask application.

A page is a module here with a blueprint called `pages`, listed in PAGES. Each view says who may open it (`web.access`);
SQL for a page is in the `*_store` module of its name; what is written goes through `tickets.store`, as everywhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from apiflask import APIFlask
from flask import Blueprint
from flask_wtf.csrf import CSRFProtect

from web import (
    absence,
    access,
    answering,
    api,
    api_requests,
    bell,
    bulk,
    bundles,
    chat,
    coming,
    commands,
    commands_demo,
    commands_operations,
    commands_rules,
    commands_users,
    connections_pages,
    demo_page,
    errors,
    headers,
    health,
    hours_pages,
    inbound,
    inbox,
    items_pages,
    limits,
    lists_pages,
    look,
    mailservers_pages,
    messages_pages,
    metrics,
    outbox_pages,
    pipelines_pages,
    portal,
    portal_forms,
    portal_items,
    portal_requests,
    portal_signin,
    procedures,
    questions_pages,
    request_log,
    requests_pages,
    rules_pages,
    rules_templates,
    runs_pages,
    scripts_pages,
    set_aside,
    settings_pages,
    shell,
    signin,
    snooze_pages,
    templates_versions,
    ticket,
    ticket_new,
    traced,
)
from web.context import EXTENSION
from web.forms import Number, refuse_nul

if TYPE_CHECKING:
    from jobs.services import Services

__all__ = ["PAGES", "create_app", "csrf"]

#: Every page of the product, in the order of the menu. A new page is one module and one line here.
PAGES: tuple[Blueprint, ...] = (
    signin.pages,
    set_aside.pages,
    shell.pages,
    inbox.pages,
    ticket.pages,
    ticket_new.pages,
    snooze_pages.pages,
    items_pages.pages,
    bulk.pages,
    absence.pages,
    answering.pages,
    pipelines_pages.pages,
    bell.pages,
    coming.pages,
    outbox_pages.pages,
    messages_pages.pages,
    mailservers_pages.pages,
    rules_pages.pages,
    rules_templates.pages,
    templates_versions.pages,
    lists_pages.pages,
    scripts_pages.pages,
    connections_pages.pages,
    runs_pages.pages,
    settings_pages.pages,
    hours_pages.pages,
    commands_rules.pages,
    portal.pages,
    chat.pages,
    chat.programs,
    requests_pages.pages,
    questions_pages.pages,
    procedures.pages,
    portal_signin.pages,
    portal_forms.pages,
    portal_items.pages,
    portal_requests.pages,
    inbound.pages,
    inbound.programs,
    api_requests.pages,  # the API, with its part about links and requests
    health.pages,
    metrics.pages,
)

#: Cookie sessions are guarded by this everywhere; an API or inbound blueprint with its own token is exempted by name.
csrf = CSRFProtect()

#: How long a session lasts without being used.
SESSION = timedelta(hours=12)


def create_app(services: Services) -> APIFlask:
    """The web application on these services. Raises `NotSaid` for a view that does not say who may open it."""
    settings = services.settings
    app = APIFlask(__name__, title="Deskhand", spec_path="/api/openapi.json", docs_path=None, json_errors=False)
    app.config.update(
        SECRET_KEY=settings.keys.session,
        SESSION_COOKIE_NAME="__Host-session" if settings.secure_cookies else "session",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=SESSION,
        MAX_CONTENT_LENGTH=settings.web_body_mb * 1_000_000,
        MAX_FORM_MEMORY_SIZE=2_000_000,
        # A table with as many triggers as it may have sends 600 fields.
        MAX_FORM_PARTS=1_000,
        # The token lives as long as the session: a form left open over lunch still sends.
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_TRANSLATION_DIRECTORIES="translations",
    )
    app.extensions[EXTENSION] = services
    app.url_map.converters["int"] = Number
    app.before_request(refuse_nul)
    csrf.init_app(app)
    headers.install(app)
    access.install(app)
    limits.install(app, settings.redis)
    look.install(app)
    traced.install(app)
    bundles.install(app)
    shell.install(app)
    errors.install(app)
    request_log.install(app)
    csrf.exempt(inbound.programs)
    csrf.exempt(api.pages)
    csrf.exempt(chat.programs)
    api.install(app)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)
    demo_page.install(app)
    access.check_views(app)
    commands.install(app)
    commands_users.install(app)
    commands_demo.install(app)
    commands_operations.install(app)
    return app
