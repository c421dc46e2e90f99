"""Who gets in, and what nobody sees who may not: permissions, signing in, tickets that are not visible."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

DOORS = "tests/web/test_doors.py::"
HEADERS = "tests/web/test_headers.py::"
INBOX = "tests/web/test_inbox.py::"
PAGES = "tests/web/test_pages.py::"
PASSWORDS = "tests/web/test_passwords.py::"
PORTAL = "tests/web/test_portal.py::"
TICKET = "tests/web/test_ticket.py::"
RUNS = "tests/web/test_runs_pages.py::"
VISIBILITY = "tests/web/test_visibility.py::"
API = "tests/intake/test_api.py::"
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
        "the menu counts for the person as they are now",
        "web/shell_store.py",
        "    key = connection.dialect.name, who, cap\n",
        "    key = connection.dialect.name, who.key, cap\n",
        "tests/web/test_visibility.py::test_the_menu_counts_by_the_teams_that_a_person_is_in_at_that_moment",
    ),
    Mutation(
        "pipelines: jobs one may not see are counted as hidden",
        "web/pipelines_pages.py",
        "connection.execute(every.where(visible(viewer)))",
        "connection.execute(every)",
        "tests/web/test_pipelines.py::test_jobs_of_a_restricted_team_are_counted_as_hidden_and_still_hold_their_stage",
    ),
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
    _asks("rules", "web/rules_open.py", "PERMISSION = Permission.EDIT_RULES", "PERMISSION = Permission.WORK_TICKETS"),
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
        "a new ticket",
        "web/ticket_new.py",
        "@needs(Permission.WORK_TICKETS)\ndef form",
        '@__import__("web.access").access.signed_in\ndef form',
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
        "what guessing a stored password costs",
        "web/passwords.py",
        "PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)",
        "PasswordHasher(time_cost=1, memory_cost=65_536, parallelism=4)",
        PASSWORDS + "test_a_stored_password_costs_who_guesses_what_rfc_9106_recommends",
    ),
    Mutation(
        "no password where there is none",
        "web/passwords.py",
        "    return bool(stored)\n",
        "    return True\n",
        PASSWORDS + "test_without_a_stored_password_none_is_right[None]",
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
        "counted(connection, theirs.where(visible(who)), ",
        "counted(connection, theirs, ",
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
        "    told = not wanted.narrowed and wanted.queue in",
        "    told = wanted.queue in",
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
        "(_AN_ITEM.with_for_update() if lock else _AN_ITEM).where(visible(viewer))",
        "_AN_ITEM.with_for_update() if lock else _AN_ITEM",
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
        "item_id, viewer=the_caller().viewer)\n        found",
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
        "item_id, viewer=the_caller().viewer)\n        past",
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
        "_DECIDED.where(visible(viewer))",
        "_DECIDED",
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
        "jobs/mail_list.py",
        "    return or_(InboundMail.item_id.is_(None), visible(viewer))",
        '    return InboundMail.outcome != ""',
        MAIL + "test_what_one_may_not_see_is_neither_listed_nor_handed_out",
    ),
    Mutation(
        "api: an address that matches no route is refused in the same form",
        "web/api.py",
        "isinstance(request.routing_exception, NotFound):",
        "False:",
        "tests/intake/test_api.py::"
        "test_a_number_that_can_be_no_tickets_is_refused_like_every_other[sqlite-tickets/2147483648]",
    ),
)
