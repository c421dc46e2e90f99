"""Looking once more, at the moment something leaves, whether the row that wrote it would still write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from jobs.asking import ask_for
from jobs.facts import gather
from jobs.queues import Work
from jobs.scripts_at_work import with_scripts_at_work
from jobs.services import Services
from rules.engine import decide
from rules.errors import RulesError
from rules.facts import LookupKey
from tickets import store
from tickets.events import Event
from tickets.item import Item


class NotKnownNow(Exception):
    """What the row depends on is to be found out: by a script at work, or by connected systems, which `have_asked`
    asks. Look once more when that has answered."""

    def __init__(self, sentence: str, event: Event, lookups: tuple[LookupKey, ...] = ()) -> None:
        super().__init__(sentence)
        self.event, self.lookups = event, lookups


def have_asked(services: Services, unknown: NotKnownNow) -> None:
    """Ask what is not known, unless somebody does already: the answers of then may have been about another customer."""
    with services.db.write() as connection:
        for key in unknown.lookups:
            ask_for(connection, unknown.event, key, services.clock.now())
    if unknown.lookups:
        services.queues.hint(Work.ENRICHMENT)


def row_says_no(
    services: Services, connection: Connection, item: Item, payload: Mapping[str, Any], now: datetime, *, did: str
) -> str:
    """Why this row would not write it now, "" when it would: the same event, the item as others have left it.

    `payload` has the "event" and the "row_key" it came from; `did` is the verb of the sentence: "suggested it".
    Raises `NotKnownNow`."""
    desk = services.live.current(connection)
    row_key = str(payload["row_key"])
    code = row_key.partition("/")[0]
    live = next((one for one in desk.ruleset.entries if one.code == code), None)
    if live is None or not live.enabled:
        return f"{code}, which {did}, is switched off"
    event = store.event(connection, int(payload["event"]))
    later = store.later_events(connection, item.id, event.seq)
    facts = gather(connection, event, item, _own_changes(later, event), desk.vocabulary, now)
    facts = with_scripts_at_work(facts, connection, desk, event, later)
    try:
        decision = decide(desk.ruleset, facts, only_rows=frozenset({row_key}))
    except RulesError as error:
        return f"{code}, which {did}, cannot be decided any more: {error}"
    if row_key not in decision.fired:
        undecided = any(one.row_key == row_key and not one.failed for one in decision.skipped)
        if decision.wait is not None or (undecided and facts.writing):
            sentence = f"the row of {code} that {did} depends on an answer that is awaited"
            raise NotKnownNow(sentence, event, decision.wait.lookups if decision.wait is not None else ())
        return f"the row of {code} that {did} does not match any more"
    return ""


def _own_changes(later: list[Event], event: Event) -> list[Event]:
    """The changes of the event's own chain that nobody else has touched since: they are no reason to think again."""
    others = {one.field for each in later if each.root_id != event.root_id for one in each.changes}
    return [
        replace(each, changes=tuple(one for one in each.changes if one.field not in others))
        for each in later
        if each.root_id == event.root_id
    ]
