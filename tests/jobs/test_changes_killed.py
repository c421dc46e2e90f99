"""Changes in a connected system whose deliverer dies at any step: made once, or set aside where nobody can know."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jobs import outbox
from jobs.services import Services
from jobs.tables import OutboxRow
from tests.jobs.noting import a_change, allow
from tests.jobs.workers import killed_at
from tests.rows.changes import Crm
from tickets.tables import ContextFact


@pytest.fixture
def crm(notes: Crm) -> Crm:
    return notes


@pytest.fixture
def desk(noting_desk: Services) -> Services:
    return noting_desk


def ended(desk: Services) -> tuple[str, int]:
    """What became of the only change, and how many cards tell of it."""
    with desk.db.read() as connection:
        [status] = connection.execute(select(OutboxRow.status).where(OutboxRow.kind == "change")).scalars()
        told = connection.execute(select(ContextFact.id).where(ContextFact.key == "crm_add_note")).all()
    return status, len(told)


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("step", "asked"),
    [
        (("after", "jobs.outbox:_claim"), 1),
        (("after", "jobs.changes:_begin"), 1),  # it is noted, and nothing was sent
        (("after", "connectors.http:Http.request"), 2),  # it was carried out, and nobody here knows
        (("after", "connectors.gateway:Gateway.call"), 1),  # its answer is kept, and nothing stands on the ticket
        (("after", "tickets.store:change_item"), 1),  # all is written, nothing is committed
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else str(step),
)
def test_a_change_whose_deliverer_is_killed_at_any_step_is_made_once_under_one_key(
    desk: Services, crm: Crm, step: tuple[str, str], asked: int
) -> None:
    allow(desk, crm, careful=True)
    a_change(desk)
    killed_at(desk, "outbox", *step)
    assert outbox.deliver(desk) == 1
    assert len(crm.done) == 1
    assert (len(crm.asked), len({one.headers["idempotency-key"] for one in crm.asked})) == (asked, 1)
    assert ended(desk) == ("sent", 1)


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("step", "made", "status"),
    [
        (("after", "jobs.outbox:_claim"), 1, "sent"),  # nothing had begun: it is made
        (("after", "jobs.changes:_begin"), 0, "unclear"),  # nobody can know that nothing was sent
        (("after", "connectors.http:Http.request"), 1, "unclear"),
        (("after", "connectors.gateway:Gateway.call"), 1, "sent"),  # its answer was kept
    ],
    ids=lambda step: " ".join(step) if isinstance(step, tuple) else str(step),
)
def test_a_system_without_keys_is_never_asked_twice_whatever_dies(
    desk: Services, crm: Crm, step: tuple[str, str], made: int, status: str
) -> None:
    allow(desk, crm, careful=False)
    a_change(desk)
    killed_at(desk, "outbox", *step)
    while outbox.deliver(desk):
        pass
    assert len(crm.done) == len(crm.asked) == made
    assert ended(desk) == (status, 1)
