"""What ./run mutate switches off, one list per package. `old` must stand exactly once in `file`."""

from __future__ import annotations

from tests.mutations.clock import MUTATIONS as CLOCK
from tests.mutations.connectors import MUTATIONS as CONNECTORS
from tests.mutations.desk import MUTATIONS as DESK
from tests.mutations.mail import MUTATIONS as MAIL
from tests.mutations.mutation import Mutation
from tests.mutations.rules import MUTATIONS as RULES
from tests.mutations.sandbox import MUTATIONS as SANDBOX
from tests.mutations.scripts import MUTATIONS as SCRIPTS
from tests.mutations.web import MUTATIONS as WEB
from tests.mutations.work import MUTATIONS as WORK

MUTATIONS: tuple[Mutation, ...] = (*WORK, *RULES, *SANDBOX, *SCRIPTS, *CONNECTORS, *WEB, *CLOCK, *DESK, *MAIL)

__all__ = ["MUTATIONS", "Mutation"]
