"""`python -m jobs.backoffice`: the demo desk's CRM, ERP and billing, until told to stop."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from jobs.demo import places
from jobs.demo.backoffice import BackOffice
from jobs.demo.errors import NotLoaded, PortsTaken
from jobs.settings import Settings


def main() -> int:
    """Serve until SIGTERM or SIGINT. 2 when there is no demo desk here, 1 when a port is taken."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        found = places.read(Settings.from_environ().data)
    except NotLoaded as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    office = BackOffice(found)
    try:
        office.start()
    except PortsTaken as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    # In steps, so that a signal that came between two waits is never slept through.
    while not stop.wait(1):
        pass
    office.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
