"""Doors and permissions, what is not visible, forms of others, headers and escaping, the API, mail that comes in."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

DOORS = "tests/web/test_doors.py::"
ESCAPING = "tests/web/test_escaping.py::"
HEADERS = "tests/web/test_headers.py::"
INBOX = "tests/web/test_inbox.py::"
PAGES = "tests/web/test_pages.py::"
PORTAL = "tests/web/test_portal.py::"
TICKET = "tests/web/test_ticket.py::"
RULES = "tests/web/test_rules_editor.py::"
RUNS = "tests/web/test_runs_pages.py::"
SCRIPTS = "tests/web/test_scripts_pages.py::"
CONNECTIONS = "tests/web/test_connections_pages.py::"
VISIBILITY = "tests/web/test_visibility.py::"
API = "tests/intake/test_api.py::"
MAIL_DOOR = "tests/intake/test_inbound_door.py::"
MAIL = "tests/intake/test_ingest.py::"
PREVIEW = "tests/jobs/test_preview.py::"
TRY = "tests/jobs/test_tryout.py::"


def _asks(part: str, file: str, old: str, new: str) -> Mutation:
    """A page that asks for less than its part of the desk does."""
    return Mutation(
        f"permission: {part}", file, old, new, DOORS + "test_every_page_asks_for_the_permission_of_its_part"
    )


def _unseen(what: str, file: str, old: str, new: str, test: str) -> Mutation:
    return Mutation(f"not visible: {what}", file, old, new, test)


MUTATIONS = (
    # Doors
    Mutation(
        "a view says who may open it",
        "web/access.py",
        "        if endpoint not in UNMARKED and not hasattr(view, MARK):",
        "        if False:",
        DOORS + "test_a_view_that_does_not_say_who_may_open_it_stops_the_app",
    ),
    Mutation(
        "the permission of a page",
        "web/access.py",
        "            if not me().may(permission):\n                abort(403)\n",
        "",
        DOORS + "test_a_role_opens_exactly_the_pages_of_its_permissions[none]",
    ),
    Mutation(
        "signing in before a permission",
        "web/access.py",
        "                return ask_to_sign_in()\n            if not me()",
        "                return view(*args, **kwargs)\n            if not me()",
        DOORS + "test_nobody_gets_past_a_door_without_signing_in",
    ),
    Mutation(
        "signing in where any role will do",
        "web/access.py",
        "        if not current_user.is_authenticated:\n            return ask_to_sign_in()\n        return view",
        "        return view",
        DOORS + "test_nobody_gets_past_a_door_without_signing_in",
    ),
    _asks(
        "connections",
        "web/connections_pages.py",
        "PERMISSION = Permission.EDIT_CONNECTIONS",
        "PERMISSION = Permission.WORK_TICKETS",
    ),
    _asks("rules", "web/rules_pages.py", "PERMISSION = Permission.EDIT_RULES", "PERMISSION = Permission.WORK_TICKETS"),
    _asks(
        "scripts", "web/scripts_pages.py", "PERMISSION = Permission.EDIT_SCRIPTS", "PERMISSION = Permission.EDIT_RULES"
    ),
    _asks(
        "the list of mails",
        "web/inbound.py",
        "@needs(Permission.SETTINGS)\ndef mails",
        "@needs(Permission.WORK_TICKETS)\ndef mails",
    ),
    _asks(
        "making a ticket of a mail",
        "web/inbound.py",
        "@needs(Permission.SETTINGS)\ndef adopt",
        "@needs(Permission.WORK_TICKETS)\ndef adopt",
    ),
    _asks(
        "a mail as it came",
        "web/inbound.py",
        "@needs(Permission.SETTINGS)\ndef raw",
        "@needs(Permission.WORK_TICKETS)\ndef raw",
    ),
    _asks("the inbox", "web/inbox.py", "@needs(Permission.WORK_TICKETS)", '@__import__("web.access").access.signed_in'),
    _asks(
        "the list of runs",
        "web/runs_pages.py",
        "@needs(Permission.WORK_TICKETS)\ndef index",
        '@__import__("web.access").access.signed_in\ndef index',
    ),
    _asks(
        "a run",
        "web/runs_pages.py",
        "@needs(Permission.WORK_TICKETS)\ndef run",
        '@__import__("web.access").access.signed_in\ndef run',
    ),
    _asks(
        "a ticket",
        "web/ticket.py",
        "@needs(Permission.WORK_TICKETS)\ndef page",
        '@__import__("web.access").access.signed_in\ndef page',
    ),
    _asks(
        "changing a ticket",
        "web/ticket.py",
        "@needs(Permission.WORK_TICKETS)\ndef change",
        '@__import__("web.access").access.signed_in\ndef change',
    ),
    Mutation(
        "the source of a run is the developers'",
        "web/runs_pages.py",
        "me().may(Permission.EDIT_SCRIPTS)",
        "True",
        RUNS + "test_the_source_is_shown_to_developers_alone",
    ),
    # Signing in, forms of others
    Mutation(
        "a form needs the session's token",
        "web/__init__.py",
        "    csrf.init_app(app)\n",
        "    csrf.init_app(app)\n    app.config['WTF_CSRF_CHECK_DEFAULT'] = False\n",
        DOORS + "test_every_form_without_the_sessions_token_is_refused",
    ),
    Mutation(
        "the portal's form needs its token",
        "web/__init__.py",
        "    csrf.exempt(inbound.programs)\n",
        "    csrf.exempt(inbound.programs)\n    csrf.exempt(portal.pages)\n",
        PORTAL + "test_a_form_sent_from_another_site_is_refused",
    ),
    Mutation(
        "the session cookie is out of reach of scripts",
        "web/__init__.py",
        "        SESSION_COOKIE_HTTPONLY=True,\n",
        "        SESSION_COOKIE_HTTPONLY=False,\n",
        DOORS + "test_the_session_cookie_is_lax_and_out_of_reach_of_scripts",
    ),
    Mutation(
        "the session cookie is lax",
        "web/__init__.py",
        '        SESSION_COOKIE_SAMESITE="Lax",\n',
        "",
        DOORS + "test_the_session_cookie_is_lax_and_out_of_reach_of_scripts",
    ),
    Mutation(
        "next: a path and nothing else",
        "web/access.py",
        '    if not target.startswith("/") or "\\\\" in target or any(',
        '    if "\\\\" in target or any(',
        DOORS + "test_sign_in_never_leads_off_the_site",
    ),
    Mutation(
        "next: backslashes",
        "web/access.py",
        'or "\\\\" in target or any(',
        "or any(",
        DOORS + "test_sign_in_never_leads_off_the_site",
    ),
    Mutation(
        "next: control characters",
        "web/access.py",
        " or any(ord(char) < 33 or ord(char) == 127 for char in target):",
        ":",
        DOORS + "test_sign_in_never_leads_off_the_site",
    ),
    Mutation(
        "next: another host",
        "web/access.py",
        '    if parts.scheme or parts.netloc or target.startswith("//"):',
        "    if False:",
        DOORS + "test_sign_in_never_leads_off_the_site",
    ),
    Mutation(
        "next, as the sign-in page gets it",
        "web/signin.py",
        '    target = safe_path(request.form.get("next"))\n    email',
        '    target = request.form.get("next") or "/"\n    email',
        DOORS + "test_sign_in_never_leads_off_the_site",
    ),
    Mutation(
        "back, as the error page gets it",
        "web/errors.py",
        ' if referrer.startswith(request.host_url) else "/"',
        " if False else referrer",
        PAGES + "test_go_back_never_leads_to_another_site",
    ),
    Mutation(
        "guessing passwords",
        "web/signin.py",
        "@limiter.limit(PER_CALLER)\n",
        "",
        DOORS + "test_guessing_passwords_is_slowed_down_per_caller",
    ),
    Mutation(
        "guessing one account's password from many places",
        "web/signin.py",
        "@limiter.limit(PER_ACCOUNT, key_func=_account)\n",
        "",
        DOORS + "test_guessing_one_accounts_password_is_slowed_down_wherever_it_comes_from",
    ),
    Mutation(
        "the password is checked",
        "web/signin.py",
        "    if account is None or not right:",
        "    if account is None:",
        DOORS + "test_a_wrong_password_and_an_unknown_address_look_the_same",
    ),
    Mutation(
        "a new password ends sessions",
        "web/access.py",
        "    if found is None or not hmac.compare_digest(stamp_of(found.password_hash), stamp):",
        "    if found is None:",
        DOORS + "test_a_new_password_ends_every_open_session",
    ),
    Mutation(
        "a fresh session for who signs in",
        "web/signin.py",
        "    session.clear()\n    session.permanent = True\n",
        "    session.permanent = True\n",
        DOORS + "test_signing_in_starts_a_fresh_session",
    ),
    Mutation(
        "signing out",
        "web/signin.py",
        "    logout_user()\n    session.clear()\n",
        "",
        DOORS + "test_signing_out_ends_the_session",
    ),
    Mutation(
        "floods of the customers' form",
        "web/portal.py",
        "@limiter.limit(PER_CALLER)\n",
        "",
        PORTAL + "test_one_caller_cannot_flood_the_desk",
    ),
    Mutation(
        "robots in the customers' form",
        "web/portal.py",
        '    if request.form.get("website"):',
        "    if False:",
        PORTAL + "test_a_robot_is_thanked_and_nothing_is_kept",
    ),
    Mutation(
        "NUL characters",
        "web/__init__.py",
        "    app.before_request(refuse_nul)\n",
        "",
        HEADERS + "test_a_nul_character_is_refused_before_a_database_sees_it",
    ),
    # Not visible
    _unseen(
        "rows of the inbox",
        "web/inbox_store.py",
        "        .where(mine, visible(who))\n        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())",
        "        .where(mine)\n        .order_by(WorkItem.updated_at.desc(), WorkItem.id.desc())",
        INBOX + "test_a_restricted_teams_ticket_is_not_listed_found_or_opened_by_others",
    ),
    _unseen(
        "totals of the inbox",
        "web/inbox_store.py",
        "counted = select(WorkItem.id).where(mine, visible(who))",
        "counted = select(WorkItem.id).where(mine)",
        VISIBILITY + "test_a_hidden_ticket_is_in_no_total_of_the_inbox",
    ),
    _unseen(
        "whether a queue has anything",
        "web/inbox_store.py",
        "*conditions(connection, who, Filter(queue=queue)), visible(who))",
        "*conditions(connection, who, Filter(queue=queue)))",
        VISIBILITY + "test_a_hidden_ticket_is_in_no_total_of_the_inbox",
    ),
    _unseen(
        "counting for a filter",
        "web/inbox_store.py",
        "    if not wanted.narrowed and wanted.queue in",
        "    if wanted.queue in",
        INBOX + "test_hidden_tickets_are_counted_but_never_for_a_filter",
    ),
    _unseen(
        "tags that are suggested",
        "web/inbox_store.py",
        ".where(WorkItem.tags.is_not(None), visible(who))",
        ".where(WorkItem.tags.is_not(None))",
        VISIBILITY + "test_tags_of_hidden_tickets_are_not_suggested",
    ),
    _unseen(
        "the customer's other tickets",
        "web/ticket_store.py",
        "        .where(theirs, visible(who))\n",
        "        .where(theirs)\n",
        TICKET + "test_the_customers_other_tickets_are_links_and_hidden_ones_a_number",
    ),
    _unseen(
        "files",
        "web/ticket_store.py",
        ".where(Attachment.id == attachment_id, visible(who))",
        ".where(Attachment.id == attachment_id)",
        TICKET + "test_a_file_comes_back_as_a_download_that_nothing_opens",
    ),
    _unseen(
        "asking a lookup again",
        "web/ticket_store.py",
        ".where(LookupRow.id == lookup_id, visible(who))",
        ".where(LookupRow.id == lookup_id)",
        TICKET + "test_a_lookup_of_a_hidden_ticket_cannot_be_asked",
    ),
    _unseen(
        "the menu's counts",
        "web/shell_store.py",
        '*conditions(connection, who, Filter(queue="mine")), visible(who))',
        '*conditions(connection, who, Filter(queue="mine")))',
        VISIBILITY + "test_the_menu_counts_no_hidden_ticket",
    ),
    _unseen(
        "lines of the bell",
        "web/bell_store.py",
        ".where(Notification.user == who.key, visible(who))",
        ".where(Notification.user == who.key)",
        PAGES + "test_a_line_about_a_ticket_one_may_no_longer_see_is_gone",
    ),
    _unseen(
        "the bell is one's own",
        "web/bell_store.py",
        "    mine = [Notification.user == who.key]\n",
        "    mine = [Notification.user != '']\n",
        PAGES + "test_nobody_reads_or_settles_anothers_line",
    ),
    _unseen(
        "a ticket, read or written",
        "tickets/store.py",
        "        query = query.where(visible(viewer))\n",
        "        pass\n",
        TICKET + "test_a_hidden_ticket_can_neither_be_read_nor_written",
    ),
    _unseen(
        "the list of the API",
        "web/api_store.py",
        "parts: list[ColumnElement[bool]] = [visible(viewer)]",
        "parts: list[ColumnElement[bool]] = []",
        API + "test_what_the_user_may_not_see_does_not_exist",
    ),
    _unseen(
        "a ticket of the API",
        "web/api.py",
        "item_id, viewer=_caller().viewer)\n        found",
        "item_id)\n        found",
        API + "test_what_the_user_may_not_see_does_not_exist",
    ),
    _unseen(
        "changing a ticket by the API",
        "web/api.py",
        "viewer=viewer, lock=True)\n        state",
        "lock=True)\n        state",
        API + "test_what_the_user_may_not_see_does_not_exist",
    ),
    _unseen(
        "writing on a ticket by the API",
        "web/api.py",
        "viewer=viewer, lock=True)\n    customer",
        "lock=True)\n    customer",
        API + "test_what_the_user_may_not_see_does_not_exist",
    ),
    _unseen(
        "the timeline of the API",
        "web/api.py",
        "item_id, viewer=_caller().viewer)\n        past",
        "item_id)\n        past",
        API + "test_what_the_user_may_not_see_does_not_exist",
    ),
    _unseen(
        "a run of the API",
        "web/api_store.py",
        "        read_item(connection, row.item_id, viewer=viewer)\n",
        "        pass\n",
        API + "test_a_run_is_told_with_its_log_and_only_to_who_may_see_its_ticket",
    ),
    _unseen(
        "the list of runs",
        "web/runs_store.py",
        "conditions: list[ColumnElement[bool]] = [visible(viewer)]",
        "conditions: list[ColumnElement[bool]] = []",
        RUNS + "test_runs_on_tickets_one_may_not_see_are_not_there",
    ),
    _unseen(
        "a run",
        "web/runs_store.py",
        ".where(RunRow.id == run_id, visible(viewer))",
        ".where(RunRow.id == run_id)",
        RUNS + "test_runs_on_tickets_one_may_not_see_are_not_there",
    ),
    _unseen(
        "how scripts fared lately",
        "web/runs_store.py",
        "        .where(visible(viewer))\n",
        "",
        VISIBILITY + "test_a_script_is_not_tried_on_hidden_tickets_and_their_runs_are_not_counted",
    ),
    _unseen(
        "tickets to try a script on",
        "web/runs_store.py",
        '.where(WorkItem.kind == "ticket", visible(viewer))',
        '.where(WorkItem.kind == "ticket")',
        VISIBILITY + "test_a_script_is_not_tried_on_hidden_tickets_and_their_runs_are_not_counted",
    ),
    _unseen(
        "trying a script",
        "jobs/tryout.py",
        "item = store.read_item(connection, item_id, viewer=viewer)",
        "item = store.read_item(connection, item_id)",
        TRY + "test_a_ticket_the_viewer_may_not_see_is_not_tried_on",
    ),
    _unseen(
        "the preview of a table",
        "jobs/preview.py",
        "EventRow.kind != EventKind.LATE_ANSWER, visible(viewer))",
        "EventRow.kind != EventKind.LATE_ANSWER)",
        PREVIEW + "test_tickets_the_viewer_may_not_see_are_counted_and_not_shown",
    ),
    _unseen(
        "how many tickets have a value",
        "web/rules_store.py",
        "timedelta(days=COUNTED_DAYS), visible(viewer))",
        "timedelta(days=COUNTED_DAYS))",
        VISIBILITY + "test_values_of_hidden_tickets_are_not_counted_for_a_rule",
    ),
    _unseen(
        "mails of a ticket",
        "jobs/intake.py",
        "    return or_(InboundMail.item_id.is_(None), visible(viewer))",
        '    return InboundMail.outcome != ""',
        MAIL + "test_what_one_may_not_see_is_neither_listed_nor_handed_out",
    ),
    # Headers and escaping
    Mutation(
        "the Content-Security-Policy",
        "web/headers.py",
        '        response.headers.setdefault("Content-Security-Policy", policy())\n',
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "no scripts but ours",
        "web/headers.py",
        "    \"script-src 'self'\",\n",
        "    \"script-src 'self' 'unsafe-inline'\",\n",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "nobody frames us",
        "web/headers.py",
        "    \"frame-ancestors 'none'\",\n",
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "types are not guessed",
        "web/headers.py",
        '    "X-Content-Type-Options": "nosniff",\n',
        "",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "pages are not kept",
        "web/headers.py",
        'response.headers.setdefault("Cache-Control", "no-store")',
        "pass",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "a nonce only where it is asked for",
        "web/headers.py",
        '    nonce = g.get("style_nonce")\n',
        "    nonce = style_nonce()\n",
        HEADERS + "test_every_answer_carries_the_policy_and_is_not_kept",
    ),
    Mutation(
        "what people write is escaped",
        "web/__init__.py",
        "    app.extensions[EXTENSION] = services\n",
        "    app.extensions[EXTENSION] = services\n    app.jinja_env.autoescape = False\n",
        ESCAPING + "test_nothing_anybody_writes_runs_on_any_page",
    ),
    Mutation(
        "mail's HTML is cleaned",
        "web/mail_html.py",
        "            tags=set(_TAGS),\n",
        '            tags={*_TAGS, "form", "img", "input"},\n',
        ESCAPING + "test_mail_keeps_its_text_and_nothing_that_acts",
    ),
    Mutation(
        "what links in mail may do",
        "web/mail_html.py",
        '            url_schemes={"http", "https", "mailto", "tel"},\n',
        '            url_schemes={"http", "https", "mailto", "tel", "javascript", "data"},\n',
        ESCAPING + "test_mail_keeps_its_text_and_nothing_that_acts",
    ),
    Mutation(
        "links in mail tell nobody",
        "web/mail_html.py",
        'link_rel="noopener noreferrer nofollow",',
        "link_rel=None,",
        ESCAPING + "test_a_link_in_mail_tells_nobody_where_it_was_clicked",
    ),
    Mutation(
        "a mail is a download",
        "web/inbound.py",
        "f'attachment; filename=\"mail-{mail_id}.eml\"'",
        "'inline'",
        MAIL_DOOR + "test_the_list_shows_what_became_no_ticket_with_its_reason_and_the_raw_mail",
    ),
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
        "jobs/intake.py",
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
        "        if automatic:\n            return self._automatic",
        "        if False:\n            return self._automatic",
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
    # Rules, scripts and connections in the browser
    Mutation(
        "a draft that somebody saved meanwhile is not published",
        "rules/store.py",
        "    if current.draft_count != seen:",
        "    if False:",
        RULES + "test_a_draft_somebody_saved_meanwhile_is_not_published",
    ),
    Mutation(
        "no script is published unchecked",
        "sandbox/client.py",
        "            return _unchecked(Code.SANDBOX_UNAVAILABLE, str(error))\n",
        "            return Checked((), Manifest())\n",
        SCRIPTS + "test_no_script_is_published_while_the_sandbox_is_away",
    ),
)
