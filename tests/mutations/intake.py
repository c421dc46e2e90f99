"""What programs send: the API, and mail that comes in."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

API = "tests/intake/test_api.py::"
MAIL_DOOR = "tests/intake/test_inbound_door.py::"
MAIL = "tests/intake/test_ingest.py::"

MUTATIONS = (
    # The API
    Mutation(
        "API: a token",
        "web/api.py",
        "    if found is None:\n        said",
        "    if found is None and _bearer():\n        said",
        API + "test_without_a_token_nobody_gets_in",
    ),
    Mutation(
        "API: the token's secret",
        "web/api_store.py",
        "    if row is None or not hmac.compare_digest(row.secret_sha256, _digest(match[2])):",
        "    if row is None:",
        API + "test_a_token_with_a_wrong_secret_expired_revoked_or_of_somebody_gone_is_none",
    ),
    Mutation(
        "API: a revoked token",
        "web/api_store.py",
        "    if row.revoked_at is not None or (",
        "    if (",
        API + "test_a_token_with_a_wrong_secret_expired_revoked_or_of_somebody_gone_is_none",
    ),
    Mutation(
        "API: an expired token",
        "web/api_store.py",
        " or (row.expires_at is not None and row.expires_at <= now):",
        ":",
        API + "test_a_token_with_a_wrong_secret_expired_revoked_or_of_somebody_gone_is_none",
    ),
    Mutation(
        "API: only a token's hash is kept",
        "web/api_store.py",
        "    return hashlib.sha256(secret.encode()).hexdigest()",
        "    return secret",
        API + "test_only_the_hash_of_a_token_is_kept",
    ),
    Mutation(
        "API: the role of a token's user",
        "web/api.py",
        "    if not caller.viewer.may(Permission.WORK_TICKETS):",
        "    if False:",
        API + "test_a_user_without_a_role_that_works_tickets_gets_403",
    ),
    Mutation(
        "API: an Idempotency-Key",
        "web/api.py",
        "    if kept is not None:\n        return _again(kept, asked)\n",
        "",
        API + "test_the_same_request_under_the_same_key_is_done_once_and_answered_alike",
    ),
    Mutation(
        "API: a key is for one request",
        "web/api.py",
        "    if kept.request_sha256 != asked:",
        "    if False:",
        API + "test_another_request_under_the_same_key_is_refused",
    ),
    Mutation(
        "API: a request under way",
        "web/api.py",
        "    if kept.status == api_store.IN_FLIGHT:",
        "    if False:",
        API + "test_a_request_under_way_is_409_and_a_dead_one_is_done_again",
    ),
    Mutation(
        "API: keys are each token's own",
        "web/api_store.py",
        "        .values(principal=token, key=key,",
        '        .values(principal="", key=key,',
        API + "test_keys_are_each_tokens_own_and_forgotten_after_a_day",
    ),
    Mutation(
        "API: a refusal gives its key back",
        "web/api.py",
        "            api_store.release_key(connection, token, key, claimed_at)\n",
        "            pass\n",
        API + "test_a_refusal_gives_the_key_back",
    ),
    Mutation(
        "API: the number of keys",
        "web/api_store.py",
        "    if used >= KEYS:",
        "    if False:",
        API + "test_keys_within_a_day_are_bounded",
    ),
    Mutation(
        "API: an older version",
        "web/api.py",
        "            seen_version=seen,\n",
        "",
        API + "test_a_change_of_an_older_version_is_refused_and_nothing_is_saved",
    ),
    # Mail that comes in
    Mutation(
        "mail: the mailbox's secret",
        "jobs/mailboxes.py",
        "found = [row.key for row in rows if hmac.compare_digest(row.secret_sha256, digest)]",
        "found = [row.key for row in rows]",
        MAIL_DOOR + "test_without_the_secret_nothing_is_kept",
    ),
    Mutation(
        "mail: a switched-off mailbox",
        "jobs/intake.py",
        ".where(Mailbox.key == mailbox_key, Mailbox.active)",
        ".where(Mailbox.key == mailbox_key)",
        MAIL + "test_an_unknown_or_switched_off_mailbox_takes_nothing",
    ),
    Mutation(
        "mail: one that was cut short",
        "web/inbound.py",
        "    if len(mail) != request.content_length:",
        "    if False:",
        MAIL_DOOR + "test_a_mail_cut_short_on_the_way_is_not_kept_and_the_whole_one_is_no_duplicate",
    ),
    Mutation(
        "mail: what is declared something else",
        "web/inbound.py",
        "    if request.mimetype != MEDIA_TYPE:",
        "    if False:",
        MAIL_DOOR + "test_what_is_not_declared_a_mail_is_refused",
    ),
    Mutation(
        "mail: taken in once",
        "jobs/intake.py",
        "            return _duplicate(connection, mailbox_key, fingerprint, blob, now)",
        "            row_id = _claim(connection, mailbox_key, _fingerprint(str(mail)), blob, now)",
        MAIL + "test_the_same_message_id_in_the_same_mailbox_is_taken_in_once",
    ),
    Mutation(
        "mail: who takes part",
        "jobs/intake.py",
        "        if sender in self._participants(item):\n            return self._customer",
        "        if True:\n            return self._customer",
        MAIL + "test_a_stranger_on_the_thread_is_a_third_party_internal_and_no_customer",
    ),
    Mutation(
        "mail: a number in the subject",
        "jobs/intake.py",
        "        return item_id if mail.sender.address in self._participants(item) else None",
        "        return item_id",
        MAIL + "test_a_number_in_the_subject_counts_only_for_a_participant",
    ),
    Mutation(
        "mail: the signature of a reply address",
        "jobs/intake.py",
        "if match and hmac.compare_digest(match[2], _signature(int(match[1]), self.settings.keys.session)):",
        "if match:",
        MAIL + "test_a_signed_reply_address_finds_the_ticket_and_a_forged_one_does_not",
    ),
    Mutation(
        "mail: a made-up Message-ID of ours",
        "jobs/intake.py",
        "            if own and self._is_message_of(int(own[2]), int(own[1])):",
        "            if own:",
        MAIL + "test_a_made_up_message_id_of_ours_finds_nothing",
    ),
    Mutation(
        "mail: a colleague who may not see the ticket",
        "jobs/intake.py",
        "            store.read_item(self.connection, item.id, viewer=found)\n",
        "            pass\n",
        MAIL + "test_a_colleague_who_may_not_see_the_ticket_is_a_third_party",
    ),
    Mutation(
        "mail: a colleague's From makes nothing public",
        "jobs/intake.py",
        "messages=(replace(message, public=bool(reached)),),",
        "messages=(replace(message, public=True),),",
        MAIL + "test_a_colleagues_answer_is_an_agents_internal_unless_the_customer_has_it",
    ),
    Mutation(
        "mail: a machine's makes no ticket",
        "jobs/intake.py",
        "        if automatic:\n            row = bounces",
        "        if False:\n            row = bounces",
        MAIL + "test_a_machines_mail_makes_no_ticket_and_says_why",
    ),
    Mutation(
        "mail: no rule answers a machine",
        "jobs/intake.py",
        "            kind=EventKind.CHANGED,\n",
        "",
        MAIL + "test_a_machines_mail_on_a_thread_is_attached_and_no_rule_for_messages_answers_it",
    ),
    Mutation(
        "mail: the hourly cap of a sender",
        "jobs/intake.py",
        "        if self._sent_lately(sender) >= SENDER_MAILS_PER_HOUR:",
        "        if False:",
        MAIL + "test_beyond_the_hourly_cap_of_a_sender_mails_are_kept_and_become_nothing",
    ),
    Mutation(
        "mail: an address in the name is not the sender",
        "connectors/channels/email.py",
        '_NAMED.sub(_quoted, " ".join(self.raw(name).split()))',
        '" ".join(self.raw(name).split())',
        "tests/intake/test_email.py::"
        "test_an_address_in_the_name_is_not_the_sender[bob@corp.test <eve@elsewhere.test>-bob@corp.test]",
    ),
    Mutation(
        "mail: a footer alone is not what somebody wrote",
        "connectors/channels/email.py",
        '                text = "" if one.choice in chosen else html_to_text(short)\n',
        '                text = ""\n',
        "tests/intake/test_email.py::test_html_beside_a_plain_part_is_read_unless_it_says_the_same"
        "[parts0-Please refund order 5\\n\\nChecked by ScanMail]",
    ),
)
