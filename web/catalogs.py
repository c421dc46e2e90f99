"""The texts of pages in other languages: gathered from the code, kept as .po files, compiled when the web starts.

English is the text in the code. `python -m web.catalogs` gathers it, and what the catalogues of fields, kinds and
statuses say, into the .po files; a text without a translation is shown in English.
"""

from __future__ import annotations

import io
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import Translations

from connectors.registry import CONNECTORS
from connectors.system import System, form_fields
from jobs.system_texts import SYSTEM_TEXTS
from rules import actions, fields, operators, triggers
from rules import compiled as compiled_rules
from rules.fields import field as field_by_key
from rules.parse import KINDS
from rules.vocabulary import Vocabulary
from tickets import item, kinds
from web.recipes import recipes

log = logging.getLogger(__name__)

ROOT = Path(__file__).parent
TRANSLATIONS = ROOT / "translations"
#: The languages beside English.
OTHERS = ("fr", "pl", "ro")

#: What the short words of rules are, where they stand: "by" of a trigger is another word than "by" on a page.
OPERATOR, TRIGGER, GROUP = "operator", "trigger", "group of fields"

_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.js", "jinja2")]
_KEYWORDS: Mapping[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "_l": None,
}
#: Systems whose operations are what each connection says, in whatever language.
_OWN_OPERATIONS = frozenset({"http_json"})
_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%%")


def gathered() -> Catalog:
    """Every text that pages may show, without translations."""
    catalog = Catalog(project="Deskhand", charset="utf-8")
    for file, _line, message, _comments, _context in extract_from_dir(ROOT, _METHODS, keywords=_KEYWORDS):
        catalog.add(message, locations=[(f"web/{file}", 0)])
    for text in sorted(set(_of_catalogues()) - {""}):
        catalog.add(text, locations=[("catalogues", 0)])
    for context, text in sorted(set(_of_rules())):
        catalog.add(text, context=context, locations=[("catalogues", 0)])
    return catalog


def _of_rules() -> Iterator[tuple[str, str]]:
    """The short words of the rule language, each with what it is: `pgettext(OPERATOR, operator.label)`."""
    for operator in operators.OPERATORS.values():
        yield from ((OPERATOR, operator.label), (OPERATOR, operator.sentence))
    for trigger in triggers.TRIGGERS.values():
        yield from ((TRIGGER, param.label) for param in trigger.params)
    yield from ((GROUP, record.group) for record in fields.FIELDS.values())
    yield GROUP, fields.CONTEXT_GROUP


def _of_catalogues() -> Iterator[str]:
    """Names that the code passes on: `gettext(field.label)`."""
    for labels in (item.STATUSES, item.PRIORITIES, item.CHANNELS, kinds.KIND_LABELS, kinds.KIND_PLURALS):
        yield from labels.values()
    yield from kinds.ALL_STATUSES.values()
    for known in (item.STATE_FIELDS, *kinds.KIND_FIELDS.values()):
        for field in known.values():
            yield field.label
            yield from (field.options or {}).values()
    nobodys = Vocabulary()
    for record in fields.FIELDS.values():
        yield record.label
        yield from (field_by_key(record.key, nobodys).options or {}).values()
    yield from (operator.doc for operator in operators.OPERATORS.values())
    for action in actions.ACTIONS.values():
        yield from (action.label, action.doc)
        for param in action.params:
            yield from (param.label, param.doc)
            yield from (param.options(nobodys) if param.options else {}).values()
    for system in CONNECTORS.values():
        yield from (system.label, system.doc)
        for part in form_fields(system.Config):
            yield from (part.label, part.doc, *part.choices)
        if system.kind not in _OWN_OPERATIONS:
            yield from _of_operations(system)
    for shipped in recipes().values():
        yield from (shipped.name, shipped.doc)
    for text in SYSTEM_TEXTS.values():
        yield from (text.name, text.when)
    yield from compiled_rules.GROUP_WORDS.values()
    yield from KINDS.values()
    for trigger in triggers.TRIGGERS.values():
        yield trigger.label
        for narrowed in trigger.params:
            yield narrowed.doc
            yield from (narrowed.options(nobodys) if narrowed.options else {}).values()


def _of_operations(system: type[System]) -> Iterator[str]:
    # What a kind can be asked is the same whatever the connection is set to, so it needs none to be listed.
    for operation in system.operations(object.__new__(system)).values():
        yield from (operation.label, operation.doc, *(one.doc for one in operation.inputs))


def stored(language: str) -> Catalog:
    """The catalog of this language as it is kept, empty where there is none."""
    path = _po(language)
    if not path.exists():
        return Catalog(locale=language, project="Deskhand", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update(template: Catalog, languages: Iterable[str] = OTHERS) -> dict[str, int]:
    """Bring the .po files to the texts of the code; how many have no translation, by language."""
    missing: dict[str, int] = {}
    for language in languages:
        catalog = stored(language)
        catalog.update(template, no_fuzzy_matching=True, update_header_comment=False)
        catalog.obsolete.clear()
        path = _po(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        out = io.BytesIO()
        write_po(out, catalog, width=120, omit_header=False, sort_output=True, no_location=True)
        # The times of the header would make every update a change.
        lines = [line for line in out.getvalue().splitlines(keepends=True) if b"-Date:" not in line]
        path.write_bytes(b"".join(lines))
        missing[language] = sum(1 for message in catalog if message.id and not _whole(message.string))
    return missing


def compiled() -> None:
    """Make the .mo file of every .po that is newer. Where the folder cannot be written pages stay English, and it is
    logged."""
    for language in OTHERS:
        source, target = _po(language), _po(language).with_suffix(".mo")
        if not source.exists() or (target.exists() and target.stat().st_mtime >= source.stat().st_mtime):
            continue
        try:
            with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
                write_mo(file, stored(language))
            os.replace(file.name, target)
        except OSError as error:
            log.warning("translations.not_compiled", extra={"language": language, "error": type(error).__name__})


@cache
def _texts(language: str) -> Translations:
    compiled()
    return Translations.load(str(TRANSLATIONS), [language], "messages")  # type: ignore[return-value]


def phrase(text: str, context: str, language: str) -> str:
    """A short word of rules in this language, outside of any page; `context` is what it is: OPERATOR, say."""
    return str(_texts(language).pgettext(context, text))


def label(text: str, language: str) -> str:
    """A label in this language, outside of any page; in small letters where it is given so, as it is where unknown."""
    found: str = _texts(language).gettext(text)
    if found == text and text[:1].islower():
        known: str = _texts(language).gettext(text[:1].upper() + text[1:])
        found = known[:1].lower() + known[1:]
    return found


def problems(template: Catalog, language: str) -> list[str]:
    """What is wrong with a language: texts of the code without translation, and placeholders that are not those of
    the text."""
    catalog = stored(language)
    found = []
    for message in template:
        if not message.id:
            continue
        own = catalog.get(_forms(message.id)[0], message.context)
        if own is None or not _whole(own.string):
            found.append(f"no translation: {message.id!r}")
            continue
        if message.context == OPERATOR and "{value}" in str(message.id) and not str(own.string).endswith(" {value}"):
            # Cells show what stands before the value as muted words of their own.
            found.append(f"does not end with the value: {message.id!r}")
        wanted = set(_PLACEHOLDER.findall(_forms(message.id)[-1]))
        for text in _forms(own.string):
            given = set(_PLACEHOLDER.findall(text))
            # A number may be left out where the word says it: "1 ticket", "ein Ticket".
            if given - wanted or (wanted - given - {"num"}):
                found.append(f"other placeholders: {message.id!r}")
    return found


def _forms(text: object) -> tuple[str, ...]:
    """A text, or the forms of one with a plural."""
    return tuple(str(one or "") for one in text) if isinstance(text, (tuple, list)) else (str(text or ""),)


def _whole(string: object) -> bool:
    return all(_forms(string))


def _po(language: str) -> Path:
    return TRANSLATIONS / language / "LC_MESSAGES" / "messages.po"


if __name__ == "__main__":
    for code, count in update(gathered()).items():
        print(f"{code}: {count} without a translation")  # noqa: T201
