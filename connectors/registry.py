"""Every kind of system there is. Adding one means adding it here; nothing registers itself by being imported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.system import System
from connectors.systems.http_json import HttpJson
from connectors.systems.stripe import Stripe
from connectors.systems.tryton import Tryton
from connectors.systems.webhook import Webhook


def by_kind(systems: Iterable[type[System]]) -> Mapping[str, type[System]]:
    """The systems by their kind. Raises `ValueError` when two claim the same one."""
    found: dict[str, type[System]] = {}
    for system in systems:
        if system.kind in found:
            raise ValueError(f"{system.__name__} and {found[system.kind].__name__} are both of kind {system.kind!r}")
        found[system.kind] = system
    return found


CONNECTORS: Mapping[str, type[System]] = by_kind((Tryton, Stripe, HttpJson, Webhook))
