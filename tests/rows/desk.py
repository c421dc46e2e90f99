"""What tests of rows do: publish a rule, switch it off, find what a page made."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import insert, select

from rules import store as rule_list
from tests.web.desk import NOW, Desk
from tickets.tables import Brand, Message, PipelineRow, StageRow, WorkItem
from tickets.values import JSON

__all__ = [
    "NOW",
    "Brand",
    "Steps",
    "a_pipeline",
    "a_rule",
    "item_named",
    "said_to_customer",
    "shown_messages",
    "switch",
]

_ARTICLE = re.compile(r'<article class="msg( internal)?"[^>]*>(.*?)</article>', re.DOTALL)
_AUTHOR = re.compile(r"<b>(.*?)</b>", re.DOTALL)

#: Actions with their parameters.
Steps: TypeAlias = Sequence[tuple[str, Mapping[str, JSON]]]


def a_rule(
    desk: Desk,
    *triggers: Mapping[str, JSON],
    when: Mapping[str, tuple[str, JSON]] | None = None,
    then: Steps,
    kind: str = "ticket",
    name: str = "Rule",
) -> str:
    """Publish a table with one row; its code. `when`: field to operator and value; `then`: actions with parameters."""
    conditions = list((when or {}).items())
    return desk.publish(
        {
            "name": name,
            "kind": kind,
            "enabled": True,
            "triggers": list(triggers),
            "hit": "every",
            "wait_s": 0,
            "columns": [{"id": f"c{n}", "field": field, "op": op} for n, (field, (op, _)) in enumerate(conditions, 1)],
            "steps": [{"id": f"s{n}", "do": action} for n, (action, _) in enumerate(then, 1)],
            "rows": [
                {
                    "id": "r1",
                    "if": {f"c{n}": {"value": value} for n, (_, (_, value)) in enumerate(conditions, 1)},
                    "then": {f"s{n}": params for n, (_, params) in enumerate(then, 1)},
                }
            ],
        }
    )


def switch(desk: Desk, code: str, *, on: bool) -> None:
    """Switch a rule on or off: the negative twin of each row."""
    with desk.services.db.write() as connection:
        rule_list.switch(connection, code, enabled=on)


def a_pipeline(desk: Desk, *stages: str, automove: tuple[str, ...] = (), key: str = "tax") -> None:
    """A pipeline with these stages, keys in lower case; jobs leave those in `automove` by themselves."""
    with desk.services.db.write() as connection:
        connection.execute(insert(PipelineRow).values(key=key, label=key.capitalize(), kind="job"))
        for place, stage in enumerate(stages):
            connection.execute(
                insert(StageRow).values(
                    key=stage.lower(), pipeline=key, label=stage, position=place, automove=stage in automove
                )
            )
        rule_list.bump(connection)


def item_named(desk: Desk, subject: str) -> int:
    """The number of the one item with this subject."""
    with desk.services.db.read() as connection:
        return connection.execute(select(WorkItem.id).where(WorkItem.subject == subject)).scalar_one()


def shown_messages(page: str) -> list[tuple[str, bool, str]]:
    """The messages of a ticket's page: whose name stands over each, whether it is public, and its words."""
    found = []
    for internal, inside in _ARTICLE.findall(page):
        author = _AUTHOR.search(inside)
        words = " ".join(re.sub(r"<[^>]+>", " ", html.unescape(inside)).split())
        found.append((author[1].strip() if author else "", not internal, words))
    return found


def said_to_customer(desk: Desk, item_id: int) -> list[str]:
    """The public messages of the bot on an item, oldest first."""
    with desk.services.db.read() as connection:
        found = (
            select(Message.text)
            .where(Message.item_id == item_id, Message.public, Message.author_kind == "bot")
            .order_by(Message.id)
        )
        return list(connection.execute(found).scalars())
