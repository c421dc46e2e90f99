"""Scripts in files: what their text does against what the file says it may do, their tests, and who has to agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.live import Desk
from jobs.runs import manifest_of, script_api, with_manifest
from jobs.script_tests import run_all
from rules.store import EntryKind, Stored
from sandbox.client import Sandbox
from sandbox.contract import Checked, Manifest
from sandbox.errors import BadContract, ServiceUnavailable
from web.rules_files import FileEntry

#: Most differences of failing tests that are named per script.
NAMED_TESTS = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found about the scripts of a file: `contents` as they are to be published, with what each may do.

    `gained` is what a script may do beyond its live version, for those that gain something."""

    errors: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    contents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    gained: Mapping[str, Manifest] = field(default_factory=dict)


def judge(sandbox: Sandbox, desk: Desk, entries: Sequence[FileEntry], stored: Sequence[Stored], name: str) -> Judged:
    """Check the scripts of a file as publishing one does: manifest, tests, what each gains. Changes nothing.

    The manifest of a version is what its text shows, whatever a file says. One that a file carries must cover that, so
    that a script which grew is seen by whoever reads the file."""
    api = script_api(desk)
    live = {one.code: one for one in stored}
    errors: list[str] = []
    hints: list[str] = []
    contents: dict[str, Mapping[str, object]] = {}
    gained: dict[str, Manifest] = {}
    for one in entries:
        if one.kind is not EntryKind.SCRIPT:
            continue
        checked = sandbox.check(str(one.content.get("source", "")), api)
        place = f"{name}: {one.code}"
        errors += [f"{place}: {sentence}" for sentence in _against_manifest(one.content.get("manifest"), checked)]
        if _grants_more(one.content.get("manifest"), checked):
            hints.append(f"{place}: the file's manifest says more than the text does; granted is what the text does.")
        plain = {key: value for key, value in one.content.items() if key != "manifest"}
        contents[one.code] = with_manifest(plain, checked.manifest)
        if not checked.ok:
            continue  # said with the other problems of the file; its tests would only say it again
        failed = [result for result in run_all(sandbox, desk, one.content) if not result.passed]
        errors += [
            f"{place}: the stored test {result.name!r} fails: {result.differences[0]}"
            for result in failed[:NAMED_TESTS]
        ]
        more = checked.manifest.beyond(_live_manifest(sandbox, desk, live.get(one.code)))
        if more:
            gained[one.code] = more
    return Judged(tuple(errors), tuple(hints), contents, gained)


def _against_manifest(given: object, checked: Checked) -> list[str]:
    if given is None:
        return []
    try:
        declared = Manifest.from_json(given)
    except BadContract as error:
        return [f"{error}."]
    more = checked.manifest.beyond(declared)
    names = [*more.actions, *more.operations, *more.changes, *more.fields_read]
    return [f"its text does more than its manifest says: {', '.join(names)}."] if names else []


def _grants_more(given: object, checked: Checked) -> bool:
    try:
        return given is not None and bool(Manifest.from_json(given).beyond(checked.manifest))
    except BadContract:
        return False


def _live_manifest(sandbox: Sandbox, desk: Desk, stored: Stored | None) -> Manifest:
    if stored is None or stored.content is None:
        return Manifest()
    try:
        return manifest_of(sandbox, desk, stored.content)
    except ServiceUnavailable:
        return Manifest()  # then everything counts as new
