"""What the store takes and gives: saves, values, who sees a ticket, and transactions of SQLite."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

STORE = "tests/tickets/test_store.py::"
CARDS = "tests/jobs/test_context_updated.py::"

MUTATIONS = (
    Mutation(
        "what changed later counts although it was said with a message",
        "tickets/store.py",
        "_EVENTS.c.changes != []",
        "_EVENTS.c.kind == EventKind.CHANGED.value",
        STORE + "test_what_was_only_said_is_no_later_change_and_the_end_of_a_script_is_one[sqlite]",
    ),
    Mutation(
        "the end of a script counts as what came later",
        "tickets/store.py",
        ", _EVENTS.c.kind == EventKind.SCRIPT.value",
        "",
        STORE + "test_what_was_only_said_is_no_later_change_and_the_end_of_a_script_is_one[sqlite]",
    ),
    Mutation(
        "a card of its own is an event of its kind",
        "tickets/store.py",
        "EventKind.CHANGED if total else EventKind.CONTEXT",
        "EventKind.CHANGED",
        CARDS + "test_a_card_raises_context_updated_and_a_table_that_waits_for_it_acts",
    ),
    Mutation(
        "a write waits for the disk",
        "tickets/db.py",
        "            if self._kind is not _DURABLE:\n                return\n",
        "            return\n",
        "tests/tickets/test_disk.py::test_a_write_returns_once_the_log_is_on_the_disk_with_it",
    ),
    Mutation(
        "only a worker goes on while the disk takes its time",
        "tickets/db.py",
        "_to_disk(connection, None if self._held is None else self._database._behind)",
        "_to_disk(connection, self._database._behind)",
        "tests/tickets/test_disk.py::test_a_write_returns_once_the_log_is_on_the_disk_with_it",
    ),
    Mutation(
        "what nobody puts on the disk waits for it by itself",
        "tickets/db.py",
        "            _waits(connection, True)\n",
        "",
        "tests/tickets/test_disk.py::test_what_begins_a_transaction_of_its_own_waits_for_the_disk_by_itself",
    ),
    Mutation(
        "no more than so many commits wait for the disk behind a worker",
        "tickets/disk.py",
        "        if self._asked - self._done >= MOST_BEHIND:",
        "        if False:",
        "tests/tickets/test_disk.py::test_a_worker_waits_itself_when_too_much_waits_behind_it",
    ),
    Mutation(
        "a disk that refuses behind a worker is told",
        "tickets/disk.py",
        "                self._refused = error\n",
        "                pass\n",
        "tests/tickets/test_disk.py::test_a_disk_that_refused_behind_a_worker_is_told_with_its_next_write",
    ),
    Mutation(
        "what waits when its connection closes is put on the disk",
        "tickets/disk.py",
        "                fd, self._fd = self._fd, None\n                try:\n                    os.fdatasync(fd)",
        "                fd, self._fd = self._fd, None\n                try:\n                    pass",
        "tests/tickets/test_disk.py::test_what_still_waits_when_its_connection_closes_is_on_the_disk_first",
    ),
    Mutation(
        "the log is folded back behind a worker",
        "tickets/disk.py",
        "                    logs[-1].fold()",
        "                    pass",
        "tests/tickets/test_disk.py::test_the_log_is_folded_back_behind_a_worker_and_begins_anew",
    ),
    Mutation(
        "what is sent waits for all before it to be on the disk",
        "tickets/db.py",
        "            log.to_disk()\n",
        "            pass\n",
        "tests/jobs/test_on_the_disk.py::test_a_mail_leaves_once_all_before_it_is_on_the_disk",
    ),
    Mutation(
        "nothing is kept of what came after the database gave a transaction up",
        "tickets/db.py",
        "        elif not cast(Any, connection.connection.dbapi_connection).in_transaction:",
        "        elif False:",
        "tests/tickets/test_db.py::test_a_transaction_that_the_database_gave_up_keeps_nothing_of_what_came_after_it",
    ),
    Mutation(
        "what the database gave up by itself is not taken for committed",
        "tickets/db.py",
        "    if commit and not driver.in_transaction:",
        "    if False:",
        "tests/tickets/test_db.py::test_a_transaction_that_the_database_gave_up_keeps_nothing_of_what_came_after_it",
    ),
    Mutation(
        "who did not get SQLite's lock gives the connection back",
        "tickets/db.py",
        "            if self._held is None:\n                connection.close()\n            raise",
        "            raise",
        "tests/tickets/test_db.py::test_a_writer_that_waited_too_long_keeps_no_connection",
    ),
    Mutation(
        "restricted teams",
        "tickets/visibility.py",
        "WorkItem.team.not_in(select(Team.key).where(Team.restricted))",
        "WorkItem.team.is_not(None)",
        STORE + "test_a_restricted_teams_ticket_is_seen_by_its_members_alone",
    ),
    Mutation(
        "a save over a newer version",
        "tickets/store.py",
        "if seen_version is not None and seen_version != item.version:",
        "if False:",
        STORE + "test_a_save_over_a_newer_version_is_refused",
    ),
    Mutation(
        "no event for no change",
        "tickets/store.py",
        "    if not total and not messages and not context and kind is None:",
        "    if False:",
        STORE + "test_a_write_that_ends_where_it_began_stores_nothing",
    ),
    Mutation(
        "the cap on attachments",
        "tickets/attachments.py",
        "        if len(one.data) > ATTACHMENT_BYTES:",
        "        if False:",
        STORE + "test_an_attachment_over_the_cap_is_refused_and_the_message_with_it",
    ),
    Mutation(
        "values fit their field",
        "tickets/store.py",
        "        return SetField(effect.field, clean_value(target, effect.value))",
        "        return effect",
        STORE + "test_a_value_the_field_does_not_take_is_refused_and_nothing_changes",
    ),
)
