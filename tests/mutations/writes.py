"""Writes in connected systems: who may, once per key, and what is known of one whose answer was lost."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

WRITES = "tests/connectors/test_writes.py::"

MUTATIONS = (
    Mutation(
        "gateway: a write needs the connection",
        "connectors/gateway.py",
        "        if not info.allow_write:",
        "        if False:",
        WRITES + "test_a_write_needs_connection_caller_and_key_to_agree",
    ),
    Mutation(
        "gateway: a write needs the caller",
        "connectors/gateway.py",
        "        if not allow_write:",
        "        if False:",
        WRITES + "test_a_write_needs_connection_caller_and_key_to_agree",
    ),
    Mutation(
        "gateway: a write needs a key",
        "connectors/gateway.py",
        "        if not idempotency_key:",
        "        if False:",
        WRITES + "test_a_write_needs_connection_caller_and_key_to_agree",
    ),
    Mutation(
        "gateway: a write is sent once",
        "connectors/gateway.py",
        '            key = f"{loaded.key}:{operation}:write:{told}"',
        '            key = f"{loaded.key}:{operation}:write:{told}{time.monotonic()}"',
        WRITES + "test_a_write_with_the_same_key_is_sent_once",
    ),
    Mutation(
        "gateway: a key is for one write",
        "connectors/gateway.py",
        "            if stored.inputs_hash != inputs_hash:",
        "            if False:",
        WRITES + "test_a_key_is_not_used_for_two_different_writes",
    ),
    Mutation(
        "gateway: a write that may have been sent is not sent again",
        "connectors/gateway.py",
        'if sent_before and asked.kind == "write" and not asked.repeatable:',
        "if False:",
        WRITES + "test_a_write_that_may_have_been_sent_before_is_not_sent_again",
    ),
    Mutation(
        "gateway: a write whose end is open is unclear",
        "connectors/http.py",
        "said_no = self.status is not None and 300 <= self.status < 500 and self.status not in (303, 408)",
        "said_no = self.status is not None",
        WRITES + "test_a_write_whose_end_is_open_is_unclear_and_sent_once",
    ),
    Mutation(
        "gateway: a write that never left is not unclear",
        "connectors/http.py",
        "return self.may_have_arrived and not said_no",
        "return not said_no",
        WRITES + "test_a_write_that_never_left_is_not_unclear",
    ),
    Mutation(
        "gateway: a no to a second try says nothing of the first",
        "connectors/http.py",
        '        if method != "GET" and self.exchange.open:',
        "        if False:",
        WRITES + "test_a_no_to_a_second_try_says_nothing_of_the_first",
    ),
    Mutation(
        "gateway: a failed write is not sent again",
        "connectors/gateway.py",
        'repeatable=asked.kind == "read" or asked.repeatable',
        "repeatable=True",
        WRITES + "test_a_write_that_fails_is_not_sent_again_on_its_own",
    ),
    Mutation(
        "gateway: a change ends the use of answers from before it",
        "connectors/gateway.py",
        '        return asked.kind == "read" and stored.writes < self.info.writes\n',
        "        return False\n",
        WRITES + "test_a_change_ends_the_use_of_what_its_connection_answered_before_in_every_process",
    ),
    Mutation(
        "gateway: so does one that may have been made",
        "connectors/gateway.py",
        "        if failure.may_be_done:\n            with",
        "        if False:\n            with",
        WRITES + "test_a_change_that_may_have_been_made_does_so_too_and_a_refused_one_does_not",
    ),
)
