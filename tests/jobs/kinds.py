"""Items other than tickets: made, and moved through a pipeline of three stages."""

from __future__ import annotations

from sqlalchemy import insert

from jobs.services import Services
from tests.builders import ANA
from tests.jobs.desk import dotted
from tickets import store
from tickets.item import ItemKind
from tickets.tables import PipelineRow, StageRow
from tickets.values import JSON


def a_rule(do: str, params: str, *, code: str = "A01", kind: str = "ticket", on: str = "{on: created}") -> str:
    """A table that does this one thing with every such item."""
    return f"""
code: {code}
name: {do}
kind: {kind}
triggers: [{on}]
columns: []
steps: [{{id: s1, do: {do}}}]
rows: [{{id: r1, then: {{s1: {params}}}}}]
"""


def a_pipeline(services: Services) -> None:
    """The pipeline `tax` of jobs: collect, prepare, review."""
    with services.db.write() as connection:
        connection.execute(insert(PipelineRow).values(key="tax", label="Tax return", kind="job"))
        for place, key in enumerate(("collect", "prepare", "review")):
            values = {"key": key, "pipeline": "tax", "label": key.capitalize(), "position": place, "automove": False}
            connection.execute(insert(StageRow).values(values))


def make(services: Services, kind: ItemKind, **state: JSON) -> int:
    """An item of this kind that Ana made; its number."""
    with services.db.write() as connection:
        made = store.create_item(
            connection, kind=kind, state={"subject": "Work", **dotted(state)}, actor=ANA, now=services.clock.now()
        )
    return made.item_id
