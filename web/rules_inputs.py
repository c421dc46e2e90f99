"""The inputs of a change in a connected system as form fields, and back: one field for each, typed by its operation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from rules.action import FormField
from rules.vocabulary import Vocabulary
from tickets.values import JSON
from web.labels import in_words
from web.rules_document import EditRefused
from web.rules_widgets import MAX_FORM_CHARS, Choice, Widget, as_text, yes_no
from web.rules_words import field_or_none


def input_widgets(id: str, param: FormField, data: Mapping[str, Any], vocabulary: Vocabulary) -> list[Widget]:
    """A field for each input of each change that steps can make, those of the chosen one shown."""
    chosen = str(data.get("change") or "")
    kept = data.get(param.key)
    given: Mapping[str, JSON] = kept if isinstance(kept, Mapping) else {}
    found: list[Widget] = []
    if chosen and chosen not in vocabulary.changes:
        # A system that may not be changed any more: what was entered for it stays as it was.
        text = "" if kept is None else json.dumps(kept, ensure_ascii=False, indent=1)
        found.append(Widget(f"{id}.{param.key}", param.label, "json", text, help=param.doc))
    for name, spec in vocabulary.changes.items():
        if not spec.in_tables:
            continue
        for one in spec.inputs:
            if one.type == "body":
                continue
            text = as_text(given.get(one.name)) if name == chosen else ""
            usual = gettext("Left out: %(value)s.", value=_bound_words(one.bind, vocabulary)) if one.bind else ""
            said = in_words(one.doc) if one.doc else ""
            doc = said if not said or said[-1] in ".!?" else f"{said}."
            filled = param.doc if one.type in ("text", "lines") else ""
            help = " ".join(part for part in (doc, usual, filled) if part)
            kind = {"lines": "long", "bool": "radio"}.get(one.type, "line")
            choices = tuple(Choice(k, v, k == text) for k, v in yes_no().items()) if kind == "radio" else ()
            needed = one.required and not one.bind
            widget = Widget(f"{id}.{param.key}.{name}.{one.name}", one.label, kind, text, "", choices, help, needed)
            found.append(replace(widget, shown_by=f"{id}.change", shown_for=(name,), hidden=name != chosen))
    return found


def _bound_words(bind: str, vocabulary: Vocabulary) -> str:
    found = field_or_none(bind, vocabulary)
    return in_words(found.label) if found is not None else bind


def read_inputs(form: MultiDict[str, str], id: str, key: str, vocabulary: Vocabulary) -> JSON:
    """What the form says of the inputs of the chosen change, None for nothing. A wrong value stays as it was typed."""
    name = form.get(f"{id}.change", "")
    spec = vocabulary.changes.get(name)
    found: dict[str, JSON] = {}
    for one in spec.inputs if spec is not None else ():
        text = form.get(f"{id}.{key}.{name}.{one.name}", "").replace("\r\n", "\n").strip()
        if len(text) > MAX_FORM_CHARS:
            raise EditRefused(gettext("%(label)s has at most %(n)s characters.", label=one.label, n=MAX_FORM_CHARS))
        if text:
            found[one.name] = {"true": True, "false": False}.get(text, text) if one.type == "bool" else text
    return found or None
