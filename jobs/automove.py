"""A job moves to its next stage by itself once everything linked to it is done, where its stage says so.

Looked at with the event that finished something: a request that was completed, an item that is part of the job. The
job's own rules have decided about that event before, so a rule that moves the job itself is not moved past.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from jobs.deciding import Read
from tickets import linking, requests, store
from tickets.effects import SetField, StateEffect
from tickets.events import AUTOMATION, Cause, EventKind
from tickets.item import FINISHED, Item
from tickets.kinds import HELD_UP, JOB_STATUS, PAYMENT, PIPELINE, STAGE, STAGED, Pipeline, Stage, pipeline_of
from tickets.values import JSON

CAUSE = Cause("system", label="Automove")
#: The events after which it is looked whether everything is done.
ENDINGS = frozenset({EventKind.REQUEST, EventKind.LINKED})


def next_stage(stage: str, pipelines: Mapping[str, Pipeline]) -> Stage | None:
    """Where a job in this stage may go by itself; None where the stage does not say so, and on the last one."""
    pipeline = pipeline_of(stage, pipelines)
    if pipeline is None or not any(one.key == stage and one.automove for one in pipeline.stages):
        return None
    return pipeline.after(stage)


def back_to_active(state: Mapping[str, JSON], pipelines: Mapping[str, Pipeline]) -> list[StateEffect]:
    """What ends a job's own status, where that status says that it ends by itself; else nothing."""
    held = state.get(JOB_STATUS)
    own = pipelines.get(str(state.get(PIPELINE)))
    if own is None or not any(one.key == held and one.automove for one in own.statuses):
        return []
    effects: list[StateEffect] = [SetField(JOB_STATUS, None)]
    return [*effects, SetField("status", "open")] if state.get("status") in HELD_UP else effects


def pending(connection: Connection, item: Item) -> tuple[int, int]:
    """Of an item: how many requests and items belong to it, and how many of them are not done."""
    own = store.pipelines(connection).get(str(item.state.get(PIPELINE))) if item.kind in STAGED else None
    at_once = own is not None and own.debit_at_once
    parts, open_parts = linking.belonging(connection, item.id, debit_at_once=at_once)
    asked, open_requests = requests.counted(connection, [item.id]).get(item.id, (0, 0))
    return parts + asked, open_parts + open_requests


def consider(connection: Connection, read: Read, now: datetime, *, longest: int) -> bool:
    """Move the job of this event on, and make it active again, if everything linked to it is done; True when it was
    changed.

    The caller holds the item. `longest` is how many automatic steps a chain of events may have."""
    event = read.event
    if event.kind not in ENDINGS or read.item.kind not in STAGED or event.depth >= longest:
        return False
    item = store.read_item(connection, event.item_id)
    here = item.state.get(STAGE)
    if here is None or here != read.item.state.get(STAGE) or item.state.get("status") in FINISHED:
        return False  # it is in no stage, somebody moved it meanwhile, or it is over
    pipelines = store.pipelines(connection)
    following = next_stage(str(here), pipelines)
    effects = back_to_active(item.state, pipelines)
    if following is not None:
        effects.append(SetField(STAGE, following.key))
    if not effects:
        return False
    total, still_open = pending(connection, item)
    if not total or still_open:
        return False
    store.change_item(
        connection,
        item,
        lines=[store.Lines(tuple(effects), CAUSE)],
        actor=AUTOMATION,
        now=now,
        chain=store.Chain(root_id=event.root_id, depth=event.depth + 1),
    )
    return True


def tell_owners(connection: Connection, read: Read, now: datetime, *, longest: int) -> bool:
    """Tell the items that the event's item is part of that it was finished or paid; True when any was told."""
    event = read.event
    finished = any(
        (one.field == "status" and one.after in FINISHED and one.before not in FINISHED)
        or (one.field == PAYMENT and one.after in ("debit", "paid"))
        for one in event.changes
    )
    if not finished or event.depth >= longest:
        return False
    told = False
    for owner in linking.owners(connection, event.item_id):
        item = store.read_item(connection, owner, lock=True)
        payload: dict[str, JSON] = {"item": event.item_id}
        store.change_item(
            connection,
            item,
            lines=(),
            actor=AUTOMATION,
            now=now,
            kind=EventKind.LINKED,
            chain=store.Chain(root_id=event.root_id, depth=event.depth + 1, payload=payload),
        )
        told = True
    return told
