"""What leaves, once, and what arrives: who may see it, when it is not wanted, where passwords and mails go."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

OUTBOX = "tests/jobs/test_outbox.py::"
ROWS = "tests/rows/"
APPROVAL = ROWS + "test_f9_approval.py::"
AGAIN = ROWS + "test_n9_outbox_recheck.py::"
WINDOW = ROWS + "test_f10_f11_send_window.py::"
NOTICES = ROWS + "test_f13_f16_notifications.py::"
CENTRE = ROWS + "test_o5_o20_messages_centre.py::"
UNSEEN = ROWS + "test_o7_unseen_fallback.py::"
TEMPLATES = ROWS + "test_o17_send_template.py::"
SYSTEM = ROWS + "test_o6_system_message.py::"
BOXES = ROWS + "test_mailboxes_per_brand.py::"
HOSTILE = "tests/rows/test_hostile_mail.py::"
HOOKS = "tests/connectors/test_webhook.py::"
PAGE = "tests/connectors/test_mail_page.py::"

BOUNCED = "tests/rows/test_bounced_mail.py::"

MUTATIONS = (
    Mutation(
        "mail: what is held back is not tried again with everything",
        "jobs/outbox.py",
        "        query = query.where(~((OutboxRow.status == HELD) & goes_nowhere(OutboxRow.recipient)))\n",
        "        pass\n",
        BOUNCED + "test_what_is_written_by_itself_does_not_go_to_an_address_that_takes_no_mail_until_a_person_says_so",
    ),
    Mutation(
        "nothing goes by itself to an address that takes no mail",
        "jobs/outbox.py",
        "            _look_at_address(connection, row)\n",
        "",
        BOUNCED + "test_what_is_written_by_itself_does_not_go_to_an_address_that_takes_no_mail_until_a_person_says_so",
    ),
    Mutation(
        "a full mailbox is an address that takes mail",
        "jobs/bounces.py",
        "    if mail.returned.no_such_address:\n",
        "    if True:\n",
        BOUNCED + "test_a_mailbox_that_is_full_or_one_mail_that_is_refused_holds_nothing_back[5.2.2 mailbox full]",
    ),
    Mutation(
        "only of a ticket's own customer is it said that an address is well",
        "web/ticket.py",
        "        if customer is None or address not in customer.emails:\n",
        "        if False:\n",
        BOUNCED + "test_what_is_written_by_itself_does_not_go_to_an_address_that_takes_no_mail_until_a_person_says_so",
    ),
    Mutation(
        "a report counts only with the recipient of that very mail",
        "jobs/bounces.py",
        "        if row is not None and row.recipient.lower() in mail.returned.addresses:\n",
        "        if row is not None:\n",
        BOUNCED + "test_a_report_about_something_else_marks_nothing_and_rings_nowhere",
    ),
    Mutation(
        "a corrected address is taken from nobody else",
        "tickets/people.py",
        "    if person_by_email(connection, new) is not None:\n        return False\n",
        "    if person_by_email(connection, new) is not None:\n"
        "        connection.execute(delete(PersonAddress).where(PersonAddress.address == new))\n",
        BOUNCED + "test_an_address_that_somebody_else_has_stays_theirs_though_the_mail_goes_there",
    ),
    Mutation(
        "a mail that is only late has not come back",
        "connectors/channels/email.py",
        'str(block.get("action", "")).strip().lower() != "failed"',
        "False",
        BOUNCED + "test_a_report_about_something_else_marks_nothing_and_rings_nowhere",
    ),
    Mutation(
        "outbox: only about tickets one may see",
        "web/outbox_store.py",
        "    seen = and_(OutboxRow.item_id.is_not(None), visible(viewer))\n",
        "    seen = and_(OutboxRow.item_id.is_not(None))\n",
        APPROVAL + "test_who_may_not_see_the_ticket_can_do_nothing_with_its_reply",
    ),
    Mutation(
        "a mail that was seen leaves when a person says so",
        "jobs/outbox.py",
        " or row.payload.get(SEEN_OR_NOT):\n",
        ":\n",
        UNSEEN + "test_what_was_seen_is_e_mailed_all_the_same_when_a_person_says_so",
    ),
    Mutation(
        "a digest that is being sent holds no later line",
        "jobs/notices.py",
        "        or_(OutboxRow.lease_until.is_(None), OutboxRow.lease_until < now),\n",
        "",
        NOTICES + "test_what_rings_while_a_digest_is_sent_stands_in_the_next_one",
    ),
    Mutation(
        "mail: what a server says holds no NUL",
        "connectors/channels/smtp.py",
        'char if char.isprintable() else " "',
        "char",
        OUTBOX + "test_what_a_server_says_is_kept_without_what_no_text_can_hold[sqlite]",
    ),
    Mutation(
        "a reminder that will not be sent is not told",
        "jobs/forecast.py",
        'OutboxRow.status == "due", _is_wanted())',
        'OutboxRow.status == "due")',
        "tests/jobs/test_forecast.py::test_a_reminder_is_told_while_its_request_is_open_and_its_link_works[sqlite]",
    ),
    Mutation(
        "suggested reply: only on a ticket one may see",
        "jobs/suggestions.py",
        "    item = store.read_item(connection, found, viewer=viewer, lock=True)\n",
        "    item = store.read_item(connection, found, lock=True)\n",
        APPROVAL + "test_who_may_not_see_the_ticket_can_do_nothing_with_its_reply",
    ),
    Mutation(
        "suggested reply: decided once",
        "jobs/suggestions.py",
        "        .where(OutboxRow.id == row_id, OutboxRow.status.in_(WAITING))\n",
        "        .where(OutboxRow.id == row_id)\n",
        APPROVAL + "test_of_two_who_answer_at_once_the_second_is_told_and_nothing_is_sent_twice",
    ),
    Mutation(
        "suggested reply: an answer in between cancels it",
        "jobs/suggestions.py",
        "    if later is not None:\n",
        "    if later is None and later is not None:\n",
        AGAIN + "test_an_answer_of_the_customer_in_between_cancels_it",
    ),
    Mutation(
        "suggested reply: the row is asked again",
        "jobs/rechecking.py",
        "    if row_key not in decision.fired:\n",
        "    if not row_key:\n",
        AGAIN + "test_what_is_no_longer_so_cancels_it",
    ),
    Mutation(
        "suggested reply: a rule that is off sends nothing",
        "jobs/rechecking.py",
        "    if live is None or not live.enabled:\n",
        "    if live is None:\n",
        AGAIN + "test_a_rule_that_was_switched_off_sends_nothing_that_still_waited",
    ),
    Mutation(
        "suggested reply: its own row's changes are no reason",
        "jobs/rechecking.py",
        "    facts = gather(connection, event, item, _own_changes(later, event), desk.vocabulary, now)\n",
        "    facts = gather(connection, event, item, [], desk.vocabulary, now)\n",
        AGAIN + "test_what_the_row_itself_changed_does_not_cancel_its_reply",
    ),
    Mutation(
        "send window: closed when it was missed",
        "jobs/suggestions.py",
        "        if opens > now:\n",
        "        if opens < now:\n",
        WINDOW + "test_what_nobody_sent_while_the_window_was_open_waits_for_the_next_one",
    ),
    Mutation(
        "template: a colleague who may not see the ticket any more gets none",
        "jobs/sending.py",
        '                "user": colleague,\n',
        "",
        TEMPLATES + "test_a_colleague_who_may_not_see_the_ticket_any_more_gets_none_and_the_customer_does",
    ),
    Mutation(
        "notice: whoever may not see the ticket any more gets none",
        "jobs/outbox.py",
        '                if row.payload.get("user") and not may_still_see(connection, row):\n',
        '                if row.kind == "" and not may_still_see(connection, row):\n',
        NOTICES + "test_a_mail_to_somebody_who_may_not_see_the_ticket_any_more_is_cancelled",
    ),
    Mutation(
        "notification: only from that origin",
        "jobs/recipients.py",
        "    if wanted and not (of_brand or of_place):\n",
        "    if not wanted and not (of_brand or of_place):\n",
        NOTICES + "test_f13_only_an_item_of_that_origin_notifies_them",
    ),
    Mutation(
        "notification: a place does not ring its whole brand",
        "jobs/recipients.py",
        "        if (of_brand and brand in row.brands) or (of_place and location in row.locations)\n",
        "        if brand in row.brands or location in row.locations\n",
        NOTICES + "test_f13_without_people_a_place_rings_its_own_people_and_not_the_whole_brand",
    ),
    Mutation(
        "template by e-mail: colleagues who may see the ticket",
        "jobs/recipients.py",
        "            store.read_item(connection, item_id, viewer=viewer)\n",
        "            store.read_item(connection, item_id)\n",
        TEMPLATES + "test_a_colleague_who_may_not_see_the_ticket_gets_none",
    ),
    Mutation(
        "template: switched off is not sent",
        "jobs/applying.py",
        "                if template is not None and not template.enabled:\n",
        "                if template is None:\n",
        TEMPLATES + "test_o21_a_template_that_is_switched_off_is_not_sent_and_the_rest_of_its_row_is_done",
    ),
    Mutation(
        "template: not deleted while something names it",
        "web/messages_pages.py",
        "        if found:\n",
        "        if not code:\n",
        CENTRE + "test_o19_a_template_that_something_names_is_not_deleted",
    ),
    Mutation(
        "system message: cannot be switched off",
        "web/messages_pages.py",
        "    if code in SYSTEM_TEXTS:\n",
        "    if not code:\n",
        SYSTEM + "test_it_can_be_reworded_but_neither_switched_off_nor_deleted",
    ),
    Mutation(
        "samples: values of a ticket one may see",
        "web/rules_templates.py",
        "    query = select(WorkItem.id).where(visible(me())).order_by(WorkItem.id.desc()).limit(1)\n",
        "    query = select(WorkItem.id).order_by(WorkItem.id.desc()).limit(1)\n",
        CENTRE + "test_a_ticket_i_may_not_see_lends_no_values",
    ),
    Mutation(
        "mail: what was seen in the portal is not sent",
        "jobs/outbox.py",
        "        if _seen_meanwhile(connection, row):\n",
        "        if not row.id:\n",
        UNSEEN + "test_a_reply_that_was_seen_in_the_portal_is_not_e_mailed_and_the_outbox_says_why",
    ),
    Mutation(
        "mail: internal notes are not quoted",
        "jobs/letters.py",
        "Message.id < before, Message.public, Message.author_kind",
        "Message.id < before, Message.author_kind",
        UNSEEN + "test_a_reply_not_seen_within_a_minute_is_e_mailed_once",
    ),
    Mutation(
        "mail: what people wrote is no markup",
        "connectors/channels/mail_page.py",
        "    pieces.append(escape(text[at:]))\n",
        "    pieces.append(text[at:])\n",
        PAGE + "test_what_people_wrote_never_becomes_markup",
    ),
    Mutation(
        "webhook: the signature covers the body",
        "connectors/systems/webhook.py",
        '    signed = hmac.new(_key(secret), f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()\n',
        '    signed = hmac.new(_key(secret), f"{id_}.{timestamp}.".encode(), hashlib.sha256).digest()\n',
        HOOKS + "test_the_signature_is_the_one_of_the_standards_example",
    ),
    Mutation(
        "mail server: inside the address ceiling",
        "connectors/channels/dialling.py",
        '    ceiling.check("https" if encrypted else "http", host, port, addresses)\n',
        "",
        BOXES + "test_an_address_the_installation_may_not_reach_is_refused_at_the_test",
    ),
    Mutation(
        "mail server: a password is only sent encrypted",
        "jobs/mailboxes.py",
        '    if kind == "smtp" and user and security == "plain":\n',
        '    if kind == "" and user and security == "plain":\n',
        BOXES + "test_settings_that_make_no_sense_are_refused_and_nothing_is_saved",
    ),
    Mutation(
        "mail: our own Message-IDs lead to our own tickets",
        "jobs/intake.py",
        "            own = _OWN_ID.fullmatch(reference)\n            if own and self",
        "            own = _OWN_ID.fullmatch(reference) if not rows else None\n            if own and self",
        HOSTILE + "test_a_mail_under_the_id_of_our_own_draws_no_answers_to_its_ticket[before]",
    ),
    Mutation(
        "mail: the first to use a Message-ID keeps its answers",
        "jobs/intake.py",
        "            .order_by(Message.id)\n            .limit(1_000)\n",
        "            .order_by(Message.id.desc())\n            .limit(1_000)\n",
        HOSTILE + "test_a_mail_under_a_customers_id_draws_no_answers_to_its_ticket",
    ),
    Mutation(
        "reply: of two who answer at once the second reads first",
        "web/ticket.py",
        "            if other is not None:\n                raise _Overtaken(other)\n",
        "",
        "tests/web/test_two_replies.py::test_of_two_who_answer_at_once_the_second_reads_the_first_and_keeps_the_words",
    ),
    Mutation(
        "a mail that a server had and did not answer for is said to have been there",
        "connectors/channels/smtp.py",
        "perhaps=smtp.last_code == GO_ON)",
        "perhaps=False)",
        OUTBOX + "test_a_server_that_ends_after_the_mail_and_before_its_250_gets_it_again_under_the_same_id[sqlite]",
    ),
    Mutation(
        "a mail that may have arrived twice says so when it has left",
        "jobs/outbox.py",
        '                last_error=COPY if row.payload.get("perhaps") else "",\n',
        '                last_error="",\n',
        OUTBOX + "test_a_server_that_ends_after_the_mail_and_before_its_250_gets_it_again_under_the_same_id[sqlite]",
    ),
    Mutation(
        "a mail that may have arrived says so when it is given up",
        "jobs/outbox.py",
        '        if perhaps or row.payload.get("perhaps"):\n',
        "        if False:\n",
        OUTBOX + "test_a_mail_that_may_have_arrived_says_so_when_it_is_given_up[sqlite]",
    ),
    Mutation(
        "a delivery that ends its workers is given up",
        "jobs/outbox.py",
        "if row.cut_off >= MOST_CUT_OFF:",
        "if False:",
        OUTBOX + "test_a_mail_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_leaves",
    ),
    Mutation(
        "a change that ends its workers may have been made",
        "jobs/outbox.py",
        'status = "unclear" if begun(row) else "failed"',
        'status = "failed"',
        "tests/rows/test_changes.py::test_a_change_that_ends_every_worker_is_not_said_to_be_undone_once_it_was_begun",
    ),
    Mutation(
        "a delivery that ends its workers is taken alone",
        "jobs/outbox.py",
        "_take(services, token, 1, suspected(OutboxRow)) or ",
        "",
        OUTBOX + "test_a_mail_that_ends_every_worker_is_given_up_and_one_that_shared_its_worker_leaves",
    ),
    Mutation(
        "a worker that is to end gives back what it has not sent",
        "jobs/outbox.py",
        "if time.monotonic() >= end or stopping():",
        "if time.monotonic() >= end:",
        OUTBOX + "test_who_is_asked_to_end_during_a_send_gives_the_rest_back_at_once",
    ),
    Mutation(
        "what failed together does not come back together",
        "jobs/outbox.py",
        "* random.uniform(0.75, JITTER)",
        "* (JITTER - 0.25)",
        "tests/jobs/test_outbox.py::test_what_failed_together_does_not_come_back_together",
    ),
)
