"""Named lists in files: `lists: {VIPS: {label: VIPs, people: true, entries: [...]}}` beside `tables`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask_babel import gettext
from sqlalchemy import Connection

from rules import files
from rules.vocabulary import NamedList, Vocabulary
from tickets import lists
from tickets.errors import SettingRefused
from tickets.journal import Change
from tickets.lists import MAX_LISTS, ListSpec
from web.refusals import said
from web.rules_files import NAMED_LISTS, FileRefused

_KEYS = ("label", "people", "entries")
#: Most entries that a difference names before it only counts the rest.
NAMED_ENTRIES = 5


def read(text: str, name: str) -> dict[str, ListSpec]:
    """The lists of a file that `web.rules_files.read` could read. Raises `FileRefused` with every problem's place."""
    data = files.load(text)
    listed = data.get(NAMED_LISTS) if isinstance(data, Mapping) else None
    if listed is None:
        return {}
    if not isinstance(listed, Mapping) or len(listed) > MAX_LISTS:
        raise FileRefused(
            [gettext("%(file)s: lists is a mapping of at most %(n)s keys, e.g. VIPS, to lists", file=name, n=MAX_LISTS)]
        )
    found: dict[str, ListSpec] = {}
    wrong: list[str] = []
    for key, one in listed.items():
        try:
            found[str(key)] = _spec(str(key), one)
        except SettingRefused as refused:
            wrong.append(gettext("%(file)s: list %(list)s: %(why)s", file=name, list=key, why=said(str(refused))))
    if wrong:
        raise FileRefused(wrong)
    return found


def _spec(key: str, data: Any) -> ListSpec:
    if not isinstance(data, Mapping):
        raise SettingRefused("A list is a mapping with label and entries.")
    unknown = sorted(set(map(str, data)) - set(_KEYS))
    if unknown:
        raise SettingRefused(f"A list has no {unknown[0]!r}; it has {', '.join(_KEYS)}.")
    label, people, entries = data.get("label", key), data.get("people", False), data.get("entries") or []
    if not isinstance(label, str) or not isinstance(people, bool) or not isinstance(entries, list):
        raise SettingRefused("label is a text, people yes or no, entries a list.")
    if not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in entries):
        raise SettingRefused("Its entries are texts or numbers.")
    lists.check_list_key(key)
    spec = ListSpec(key, label, people, tuple(str(one) for one in entries))
    return replace(spec, members=lists.clean_members(spec.members, people=people))


def with_lists(vocabulary: Vocabulary, found: Mapping[str, ListSpec]) -> Vocabulary:
    """The vocabulary with these lists in it."""
    named = {key: NamedList(one.label, one.members) for key, one in found.items()}
    return replace(vocabulary, lists={**vocabulary.lists, **named}) if named else vocabulary


def apply(connection: Connection, found: Mapping[str, ListSpec], by: Change) -> dict[str, tuple[str, ...]]:
    """Save what is new or different, in the caller's transaction; what that was, in words, by list.

    Raises `FileRefused`."""
    present = lists.lists(connection)
    done: dict[str, tuple[str, ...]] = {}
    for key, one in found.items():
        old = present.get(key)
        said = ("new",) if old is None else _differences(old, one)
        if not said:
            continue
        try:
            lists.save_list(connection, replace(one, saves=old.saves if old is not None else 0), by)
        except SettingRefused as refused:
            raise FileRefused([f"list {key}: {refused}"]) from None
        done[key] = said
    return done


def _differences(old: ListSpec, new: ListSpec) -> tuple[str, ...]:
    said = []
    if (old.label, old.people) != (new.label, new.people):
        said.append(f"{old.label} -> {new.label}")
    for word, left, right in (("added", new.members, old.members), ("removed", old.members, new.members)):
        known = set(right)
        some = [one for one in left if one not in known]
        if some:
            more = f" and {len(some) - NAMED_ENTRIES} more" if len(some) > NAMED_ENTRIES else ""
            said.append(f"{word}: {', '.join(some[:NAMED_ENTRIES])}{more}")
    return tuple(said)


def as_data(found: Mapping[str, ListSpec]) -> dict[str, Any]:
    """The lists as a file has them."""
    return {
        key: {"label": one.label, **({"people": True} if one.people else {}), "entries": list(one.members)}
        for key, one in found.items()
    }
