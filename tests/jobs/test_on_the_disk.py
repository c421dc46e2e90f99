"""Nothing leaves the house before everything that led to it is on the disk, whatever is still put there behind it."""

from __future__ import annotations

import threading
from pathlib import Path

from jobs import automation, outbox
from tests.builders import a_ticket
from tests.environment.disk import SOON_S, a_watched_disk
from tests.jobs.desk import a_reply, a_working_desk
from tests.jobs.sink import MailSink
from tests.jobs.workers import until
from tickets.db import Database


def test_a_mail_leaves_once_all_before_it_is_on_the_disk(
    sqlite_database: Database, tmp_path: Path, sink: MailSink
) -> None:
    with (
        a_working_desk(sqlite_database.url, tmp_path, smtp_url=sink.url, mail_from="help@shop.example") as desk,
        a_watched_disk(desk.db) as disk,
    ):
        ticket = a_ticket(desk.db)
        a_reply(desk, ticket.item_id)
        disk.free.clear()
        assert automation.drain(desk) == 2  # decided, and gone on, while the disk takes its time
        assert until(lambda: bool(disk.asked), seconds=SOON_S)
        sending = threading.Thread(target=outbox.deliver, args=(desk,))
        sending.start()
        sending.join(0.3)
        assert (sending.is_alive(), sink.taken) == (True, [])
        disk.free.set()
        sending.join(SOON_S)
        assert len(sink.taken) == 1
