"""One application for the tests of pages, lent to one desk after the other: making it takes longer than most pages.

An application knows its desk by its services and its keys; what else it was made from, its settings, has to be the
same. Whatever a test changes in its configuration or its addresses it changes for itself alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from apiflask import APIFlask

from jobs.services import Services
from web import create_app
from web.context import EXTENSION
from web.limits import limiter

#: Settings of which an application takes nothing when it is made, or what `lent` gives it anew.
OF_THE_DESK = {"data_dir", "database_url", "sandbox_socket", "secret_file"}

_kept: dict[str, tuple[APIFlask, dict[str, Any]]] = {}


@contextmanager
def lent(services: Services) -> Iterator[APIFlask]:
    """An application on these services, as `create_app` makes it. A bug in a page fails the test that opens it."""
    made_from = services.settings.model_dump_json(exclude=OF_THE_DESK)
    app, config = _kept.pop(made_from) if made_from in _kept else _made(services)
    before = _shape(app)
    app.config.clear()
    app.config.update(config, SECRET_KEY=services.settings.keys.session, TESTING=True)
    app.extensions[EXTENSION] = services
    # There is one limiter in a process: whoever's Redis was away last, it counts in memory, for the desk before, too.
    if limiter._fallback_limiter is not None:
        limiter._fallback_limiter.storage.reset()
    yield app
    if _shape(app) == before:
        _kept[made_from] = (app, config)


def _made(services: Services) -> tuple[APIFlask, dict[str, Any]]:
    app = create_app(services)
    return app, dict(app.config)


def _shape(app: APIFlask) -> tuple[object, ...]:
    """What is not as it was when a test has changed the application itself: then it is not lent again."""
    hooks = (app.before_request_funcs, app.after_request_funcs)
    # Looking for the handler of an error leaves an empty place where there is none.
    handlers = (by_class for by_code in app.error_handler_spec.values() for by_class in by_code.values())
    return (
        dict(app.view_functions),
        sum(1 for _ in app.url_map.iter_rules()),
        [sum(map(len, one.values())) for one in hooks],
        sum(map(len, handlers)),
        dict(app.jinja_env.globals),
    )
