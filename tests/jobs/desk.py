"""A working desk for tests of `jobs`: parts on a real database and Redis, published tables, drained lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from connectors import store as connections
from jobs import automation, enrichment, runs, timers
from jobs.outbox import queue_message
from jobs.services import Services, build
from jobs.settings import Settings
from jobs.tables import DecisionRow, RunRow
from rules import files
from rules import store as rule_list
from rules.store import EntryKind
from run_tool.places import ROOT
from sandbox.client import Sandbox
from sandbox.limits import Limits
from tests.builders import ANA, BY_ANA, FrozenClock, a_desk
from tests.connectors.upstream import HOOKS_SECRET
from tickets import people, store
from tickets.attachments import NewAttachment
from tickets.effects import SetField, StateEffect
from tickets.events import AUTOMATION, Actor, ActorKind
from tickets.item import Item
from tickets.people import Viewer
from tickets.store import AnyRow, NewMessage
from tickets.tables import EventRow, Notification
from tickets.values import JSON

#: A run's longest wall time here, in seconds: on a busy machine two seconds of the processor may take twenty.
WALL_S = 60.0
#: Seconds one turn of work goes on here: however busy the machine is, it comes to its end.
BUDGET_S = 60.0
EXAMPLES = ROOT / "docs" / "examples"
CAMILLE = Actor(ActorKind.CUSTOMER, "1", "Camille Laurent")


@contextmanager
def a_working_desk(
    database_url: str, folder: Path, *, redis_url: str = "", sandbox_socket: str = "", **settings: Any
) -> Iterator[Services]:
    """Services on this database with the people of `a_desk`, and a clock that stands still.

    Without `redis_url` Redis is away, which must not matter."""
    chosen = Settings(
        data_dir=folder,
        database_url=database_url,
        redis_url=redis_url or f"unix://{folder}/no-redis.sock",
        sandbox_socket=sandbox_socket,
        **{"drain_budget_s": BUDGET_S, **settings},
    )
    services = build(chosen, clock=FrozenClock())
    services = replace(services, sandbox=Sandbox(chosen.sandbox, Limits(wall_s=WALL_S)))
    a_desk(services.db)
    yield services
    services.close()


def connect_hooks(connection: Connection, services: Services, url: str) -> None:
    """The connection `hooks`, which tells a receiver of webhooks there."""
    connections.save_connection(
        connection,
        services.box,
        name="hooks",
        kind="webhook",
        config={"base_url": url, "path": "/in", "secret": HOOKS_SECRET},
        allow_write=True,
        now=services.clock.now(),
    )
    rule_list.bump(connection)


#: A CRM that knows customers by their address, as operations of a connection of kind http_json.
CRM = {
    "operations": [
        {
            "name": "find_customer",
            "path": "/customers",
            "inputs": [{"name": "email", "type": "email", "bind": "customer.email"}],
            "query": {"email": "{email}"},
            "map": {"id": "id", "name": "name", "tier": "tier"},
            "cache_s": 0,
            "stale_s": 0,
            "timeout_s": 30,
        }
    ]
}
#: A table that asks it.
BY_TIER = """
code: A01
name: By tier
kind: ticket
triggers: [{on: created}]
hit: first
wait_s: 60
columns: [{id: c1, field: crm.find_customer.tier, op: is}]
steps: [{id: s1, do: set_priority}]
rows: [{id: r1, if: {c1: {value: gold}}, then: {s1: {priority: high}}}]
"""


@contextmanager
def a_desk_with_a_crm(
    database_url: str, folder: Path, crm_url: str, sandbox_socket: str, **settings: Any
) -> Iterator[Services]:
    """A working desk with the connection `crm` to this address, and the sandbox at this socket."""
    given = {"address_ceiling": "127.0.0.0/8", "sandbox_socket": sandbox_socket, **settings}
    with a_working_desk(database_url, folder, **given) as services:
        with services.db.write() as connection:
            config: dict[str, Any] = {**CRM, "base_url": crm_url}
            connections.save_connection(
                connection, services.box, name="crm", kind="http_json", config=config, now=services.clock.now()
            )
            rule_list.bump(connection)
        yield services


def let_write(services: Services, operations: Sequence[Mapping[str, JSON]], *, careful: bool = True) -> None:
    """The connection `crm` may be changed from now on, by these operations; `careful`: it carries out each key once."""
    with services.db.write() as connection:
        info = connections.connection_named(connection, "crm")
        config = {"base_url": info.config["base_url"], "operations": list(operations), "idempotent": careful}
        connections.save_connection(
            connection,
            services.box,
            name="crm",
            kind="http_json",
            config=config,
            now=services.clock.now(),
            allow_write=True,
        )
        rule_list.bump(connection)


def clock_of(services: Services) -> FrozenClock:
    assert isinstance(services.clock, FrozenClock)
    return services.clock


def publish(services: Services, kind: EntryKind, content: str | Mapping[str, Any]) -> str:
    """Publish a table, script or template given as YAML or data; returns its code."""
    data: dict[str, Any] = files.load(content) if isinstance(content, str) else dict(content)
    with services.db.write() as connection:
        now = services.clock.now()
        code = rule_list.create(
            connection, kind, data.get("name", "Unnamed"), data, author="ana", now=now, code=data.get("code")
        )
        rule_list.publish(connection, code, author="ana", note="", seen=1, now=now)
    return code


def table(services: Services, content: str) -> str:
    """Publish a table that must parse."""
    code = publish(services, EntryKind.TABLE, content)
    with services.db.read() as connection:
        assert services.live.current(connection).broken == {}
    return code


def work(services: Services) -> int:
    """Drain lanes, lookups and runs until nothing is due; returns the events handled."""
    handled = 0
    while True:
        done = automation.drain(services, budget_s=30)
        asked = enrichment.enrich(services)
        ran = runs.run_due(services)
        handled += done
        if not done and not asked and not ran:
            return handled


def item(services: Services, item_id: int) -> Item:
    with services.db.read() as connection:
        return store.read_item(connection, item_id)


def decisions(services: Services, item_id: int) -> list[AnyRow]:
    """The item's decisions, oldest first."""
    with services.db.read() as connection:
        return list(
            connection.execute(
                select(
                    DecisionRow.event_id,
                    DecisionRow.part,
                    DecisionRow.outcome,
                    DecisionRow.done,
                    DecisionRow.skipped,
                    DecisionRow.notes,
                    DecisionRow.trace,
                    DecisionRow.facts,
                )
                .where(DecisionRow.item_id == item_id)
                .order_by(DecisionRow.id)
            )
        )


def ana(services: Services, key: str = "ana") -> Viewer:
    """Ana, or another colleague, as who looks at something."""
    with services.db.read() as connection:
        found = people.viewer(connection, key)
    assert found is not None
    return found


def by_hand(services: Services, item_id: int, *effects: StateEffect, actor: Actor = ANA) -> None:
    """A person, Ana unless told otherwise, changes an item."""
    with services.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        lines = [store.Lines(effects, BY_ANA)]
        store.change_item(connection, current, lines=lines, actor=actor, now=services.clock.now())


def dotted(values: Mapping[str, JSON]) -> dict[str, JSON]:
    """Values by field: `fields__stage` is the field `fields.stage`."""
    return {name.replace("__", "."): value for name, value in values.items()}


def tick(services: Services) -> None:
    """What the clock and a worker do until there is nothing left to do."""
    timers.tick(services, budget_s=30)
    work(services)


def save(services: Services, item_id: int, actor: Actor = ANA, /, **state: JSON) -> None:
    """A person gives these fields values."""
    by_hand(services, item_id, *(SetField(name, value) for name, value in dotted(state).items()), actor=actor)


def say(services: Services, item_id: int, author: str, *, public: bool = True, by: str | None = None) -> None:
    """Somebody writes on an item: an agent, the customer, the bot."""
    with services.db.write() as connection:
        current = store.read_item(connection, item_id, lock=True)
        said = store.NewMessage(author=author, public=public, channel="email", text="Hello?", author_user=by)
        actor = {"agent": ANA, "customer": CAMILLE, "bot": AUTOMATION}[author]
        store.change_item(connection, current, lines=(), messages=[said], actor=actor, now=services.clock.now())


def tags(services: Services, item_id: int) -> list[str]:
    """The item's tags, as they stand."""
    found = item(services, item_id).state.get("tags", [])
    assert isinstance(found, list)
    return [str(one) for one in found]


def events(desk: Services) -> list[tuple[int, str]]:
    """Each event's number of decisions that settled it, and its status, in order."""
    with desk.db.read() as connection:
        settled = (
            select(DecisionRow.event_id, func.count().label("times"))
            .where(DecisionRow.outcome != "waiting")
            .group_by(DecisionRow.event_id)
            .subquery()
        )
        rows = connection.execute(
            select(func.coalesce(settled.c.times, 0), EventRow.status)
            .outerjoin(settled, settled.c.event_id == EventRow.id)
            .order_by(EventRow.id)
        )
        return [(row[0], row[1]) for row in rows]


def a_reply(services: Services, item_id: int, *, automatic: bool = False, text: str = "We look into it.") -> int:
    """A public reply on this ticket, queued; its message's number."""
    files = (NewAttachment("receipt.pdf", "application/pdf", b"%PDF-1"),)
    with services.db.write() as connection:
        message = NewMessage(
            author="bot" if automatic else "agent",
            public=True,
            channel="email",
            text=text,
            subject="About your order",
            author_user=None if automatic else "ana",
            automatic=automatic,
            attachments=() if automatic else files,
        )
        current = store.read_item(connection, item_id, lock=True)
        made = store.change_item(
            connection, current, lines=(), actor=ANA, now=services.clock.now(), messages=(message,)
        )
        assert made.message_id is not None
        queue_message(connection, current, made.message_id, services.clock.now())
        return made.message_id


def the_run(services: Services) -> Any:
    """The only run there is."""
    with services.db.read() as connection:
        return connection.execute(select(RunRow.status, RunRow.outcome, RunRow.attempt, RunRow.due_at, RunRow.id)).one()


def example(services: Services, name: str) -> None:
    """Publish this table of the documentation, and let the clock look at what there is."""
    table(services, (EXAMPLES / f"{name}.yaml").read_text())
    tick(services)


def switched_off(services: Services, code: str) -> None:
    """Switch a rule off: the negative twin."""
    with services.db.write() as connection:
        rule_list.switch(connection, code, enabled=False)


def bells(services: Services) -> list[str]:
    """Whose bells rang, in order of their keys."""
    with services.db.read() as connection:
        return list(connection.execute(select(Notification.user).order_by(Notification.user)).scalars())
