"""What the database is asked about items, and whom the clock passes by."""

from __future__ import annotations

from tests.mutations.mutation import Mutation

SELECTING = "tests/jobs/test_selecting.py::"
ONE = SELECTING + "test_a_condition_finds_what_the_engine_finds_or_leaves_it_possible"
COUNTING = "tests/jobs/test_counting.py::"
PASSED_BY = "tests/jobs/test_passed_by.py::"


def _form(key: str, above: str, form: str, other: str) -> Mutation:
    """An operator that is asked of the database as something else; `above` are the lines of its record before that."""
    own = f"{above}\n        sql="
    return Mutation(f"the SQL form of {key}", "rules/operators.py", f"{own}{form},", f"{own}{other},", ONE)


def _asked(name: str, old: str, new: str, test: str = ONE) -> Mutation:
    return Mutation(f"in SQL: {name}", "jobs/selecting.py", old, new, test)


def _word(name: str, old: str, new: str, test: str = ONE) -> Mutation:
    return Mutation(f"in SQL: {name}", "jobs/sqlwords.py", old, new, test)


def _clock(name: str, old: str, new: str, test: str) -> Mutation:
    return Mutation(name, "jobs/timers.py", old, new, PASSED_BY + test)


def _count(name: str, old: str, new: str, test: str) -> Mutation:
    return Mutation(f"counting: {name}", "jobs/counting.py", old, new, COUNTING + test)


MUTATIONS = (
    _form("is", '        "The value is this one.",', "exactly(Shape.AMONG)", "exactly_not(Shape.AMONG)"),
    _form(
        "is_not",
        '        "The value is another one, or there is none.",\n        when_missing=True,',
        "exactly_not(Shape.AMONG)",
        "exactly(Shape.AMONG)",
    ),
    _form("any_of", '        "The value is one of these.",', "exactly(Shape.AMONG)", "exactly_not(Shape.AMONG)"),
    _form(
        "none_of",
        '        "The value is not among these, or there is none.",\n        when_missing=True,',
        "exactly_not(Shape.AMONG)",
        "exactly(Shape.AMONG)",
    ),
    _form("empty", "        when_missing=True,", "exactly_not(Shape.PRESENT)", "exactly(Shape.PRESENT)"),
    _form("not_empty", '        "There is a value.",', "exactly(Shape.PRESENT)", "exactly_not(Shape.PRESENT)"),
    _form("greater", '        "More, or later.",', "exactly(Shape.GREATER)", "exactly_not(Shape.GREATER)"),
    _form(
        "greater_or_equal",
        '        "This much or more, then or later.",',
        "exactly_not(Shape.LESS)",
        "exactly(Shape.LESS)",
    ),
    _form("less", '        "Less, or earlier.",', "exactly(Shape.LESS)", "exactly_not(Shape.LESS)"),
    _form(
        "less_or_equal",
        '        "This much or less, then or earlier.",',
        "exactly_not(Shape.GREATER)",
        "exactly(Shape.GREATER)",
    ),
    _form(
        "between",
        '        "From the first value to the second, both included.",',
        "exactly(Shape.BETWEEN)",
        "exactly_not(Shape.BETWEEN)",
    ),
    _form(
        "contains_any",
        '        "One of the keywords stands in the text, as a word where it is one.",',
        "Asked(Grade.SUPERSET, Shape.CONTAINS_ANY)",
        "exactly(Shape.CONTAINS_ANY)",
    ),
    _form(
        "contains_all",
        '        "Every one of the keywords stands in the text, as a word where it is one.",',
        "Asked(Grade.SUPERSET, Shape.CONTAINS_ALL)",
        "exactly(Shape.CONTAINS_ALL)",
    ),
    _form(
        "starts_with",
        '        "The text begins with one of these; the rest of the word does not matter.",',
        "exactly(Shape.STARTS)",
        "exactly_not(Shape.STARTS)",
    ),
    _form(
        "ends_with",
        '        "The text ends with one of these; the rest of the word does not matter.",',
        "exactly(Shape.ENDS)",
        "exactly_not(Shape.ENDS)",
    ),
    _form("older_than", "        takes=Takes.DURATION,", "exactly(Shape.OLDER)", "exactly_not(Shape.OLDER)"),
    _form("newer_than", "        takes=Takes.DURATION,", "exactly_not(Shape.OLDER)", "exactly(Shape.OLDER)"),
    _form("has_any", '        "One of these is in the set.",', "exactly(Shape.HAS_ANY)", "exactly_not(Shape.HAS_ANY)"),
    _form("has_all", '        "All of these are in the set.",', "exactly(Shape.HAS_ALL)", "exactly_not(Shape.HAS_ALL)"),
    _form("has_none", "        when_missing=True,", "exactly_not(Shape.HAS_ANY)", "exactly(Shape.HAS_ANY)"),
    _asked("greater", "test = value.sql > wanted[0]", "test = value.sql >= wanted[0]"),
    _asked("less", "test = value.sql < wanted[0]", "test = value.sql <= wanted[0]"),
    _asked("between, its lower end", "and_(value.sql >= wanted[0],", "and_(value.sql > wanted[0],"),
    _asked("between, its higher end", "value.sql <= wanted[1])", "value.sql < wanted[1])"),
    _asked("older, at the limit", "value.sql <= limit", "value.sql < limit"),
    _asked("what SQL cannot compare is possible", "or_(self.sql.is_(None), test), certain", "test, certain"),
    _asked(
        "what SQL cannot compare is not sure", "_found(and_(self.sql.is_not(None), test)", "_found(~(self.sql > test)"
    ),
    _asked("keywords are never sure", "certain = asked.grade is Grade.EXACT", "certain = True"),
    _asked(
        "a missing value",
        "any_of([opposite(value.there), here]) if operator.when_missing else",
        "any_of([opposite(value.there), here]) if False else",
    ),
    _asked("an empty list", "ALWAYS if operator.when_missing else NEVER", "NEVER"),
    _asked(
        "what cannot be asked is possible",
        "ANY = Found(_NO, _YES, narrows=False",
        "ANY = Found(_NO, _NO, narrows=False",
    ),
    _asked(
        "the opposite of possible is not sure",
        "Found(not_(found.may), not_(found.sure)",
        "Found(not_(found.sure), not_(found.may)",
    ),
    _asked(
        "a number that no double holds", "if Decimal(repr(float(number))) == number else None", "if number else None"
    ),
    _asked("what is no list", "or_(not_(listed), maybe)", "maybe"),
    _asked(
        "ages are counted from a moment",
        "        if now is None:\n            return ANY\n",
        "        now = now or utc_now()\n",
        SELECTING + "test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out",
    ),
    _asked(
        "an otherwise row",
        "        if compiled.otherwise_key:\n            return inside\n",
        "",
        SELECTING + "test_a_table_may_act_where_its_scope_and_one_of_its_rows_may_hold",
    ),
    _asked(
        "more conditions than a statement takes",
        "        if _too_much(All((scope, *rows))):\n",
        "        if False:\n",
        SELECTING + "test_a_table_larger_than_one_statement_takes_is_narrowed_by_its_scope_alone",
    ),
    _word("letters outside ASCII", 'or_(text.op("GLOB")("*[^ -~]*"), func.trim(text)', "or_(func.trim(text)"),
    _word("spaces at the ends", 'func.trim(text) != text, func.instr(text, "  ") > 0', 'func.instr(text, "  ") > 0'),
    _word("a day that no month has", 'func.date(day, "+0 days") == day', "func.date(day) == day"),
    _word("a text that is no number", '(and_(kind == "text", _plain_number(value)), cast', '(kind == "text", cast'),
    _word("true is not one", 'self._kind(column, path) == "integer", self._value', "~false(), self._value"),
    _word("an empty text is no value", 'and_(kind == "text", value == "")', 'and_(kind == "text", value == "?")'),
    _word("an empty list is no value", 'and_(kind == "array", value == "[]")', 'and_(kind == "array", value == "?")'),
    Mutation(
        "a schedule passes by what its rows rule out",
        "jobs/timers.py",
        "    where.append(acting(ruleset, row.entry, connection.dialect.name, now).may)\n",
        "",
        PASSED_BY + "test_a_schedule_passes_by_what_its_rows_rule_out_and_asks_the_engine_about_the_rest",
    ),
    Mutation(
        "a schedule passes by only what could not match",
        "jobs/timers.py",
        "row.entry, connection.dialect.name, now).may",
        "row.entry, connection.dialect.name, now).sure",
        PASSED_BY + "test_a_schedule_passes_by_what_its_rows_rule_out_and_asks_the_engine_about_the_rest",
    ),
    _clock(
        "a walk passes by what the table could do nothing on",
        "        test = picks.test if picks.name == row.picks else true()\n",
        "        test = true()\n",
        "test_on_publish_only_items_that_the_table_may_act_on_get_timers",
    ),
    _clock(
        "conditions of a new version are walked for again",
        "            if kind != was_kind or (was_picks and picks.name != was_picks):\n",
        "            if kind != was_kind:\n",
        "test_a_version_with_other_conditions_gives_timers_to_those_that_the_last_one_passed_by",
    ),
    _clock(
        "what came due before a new version is entered as before",
        ', "picked_at": since}',
        "}",
        "test_a_version_with_other_conditions_gives_timers_to_those_that_the_last_one_passed_by",
    ),
    _clock(
        "dates are walked for whatever the conditions say",
        "moments = rule.on in (On.STATE, On.REPLY) or (rule.on is On.DATE and rule.field in MOMENTS)",
        "moments = rule.on in (On.STATE, On.REPLY, On.DATE)",
        "test_a_date_is_waited_for_whatever_the_conditions_say_now",
    ),
    _clock(
        "a walk looks through a stretch at a time",
        "                query = query.where(_ITEMS.c.id <= last)\n",
        "                pass\n",
        "test_a_walk_that_finds_hardly_anything_stops_after_a_stretch_all_the_same",
    ),
    _clock(
        "a schedule looks through a stretch at a time",
        "        where.append(_ITEMS.c.id <= last)\n",
        "            pass\n",
        "test_a_schedule_that_takes_hardly_any_item_stops_after_a_stretch_all_the_same",
    ),
    _clock(
        "a day to both sides of a date in any zone",
        "zip(window, (-ONE_DAY, ONE_DAY), strict=True)",
        "zip(window, (ONE_DAY * 0, ONE_DAY * 0), strict=True)",
        "test_what_comes_due_while_a_walk_goes_on_is_first_by_working_time_and_any_date_too",
    ),
    Mutation(
        "working time counts for what comes due soon",
        "tickets/timers.py",
        "    if not rule.calendar:\n        offset =",
        "    if rule:\n        offset =",
        "tests/tickets/test_begins.py::test_the_two_moments_leave_out_what_is_due_earlier_or_later",
    ),
    Mutation(
        "an item that was passed by until its time was over is late for good",
        "tickets/clocks.py",
        "        passed = is_new and bool(one.picks) and due_at < now\n",
        "        passed = False\n",
        PASSED_BY + "test_an_item_passed_by_until_its_time_was_over_is_late_for_good_like_any_other",
    ),
    Mutation(
        "opening an item keeps no timers",
        "rules/fields.py",
        '_moment("opened_at", "First opened at", lasting=False)',
        '_moment("opened_at", "First opened at")',
        SELECTING + "test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out",
    ),
    Mutation(
        "a rule about levels goes live for what was there",
        "jobs/timers.py",
        "stamps, running)",
        "stamps, {})",
        "tests/jobs/test_levels.py::test_a_rule_about_levels_that_goes_live_is_for_tickets_that_were_there_too",
    ),
    _asked("whose customer", "_PERSONS.c.id == _ITEMS.c.customer", "_PERSONS.c.id == _ITEMS.c.id"),
    _asked(
        "the oldest address of a customer",
        "        .order_by(_ADDRESSES.c.id)\n",
        "        .order_by(-_ADDRESSES.c.id)\n",
    ),
    _asked("addresses that are e-mail", '_ADDRESSES.c.kind == "email"', '_ADDRESSES.c.kind == "phone"'),
    Mutation(
        "in SQL: a customer is written without their items",
        "rules/fields.py",
        "Stored(column, lasting=False, of=Other.CUSTOMER)",
        "Stored(column, of=Other.CUSTOMER)",
        SELECTING + "test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out",
    ),
    Mutation(
        "in SQL: a policy changes without its items",
        "rules/fields.py",
        "Stored(column, lasting=False, of=Other.CLOCK, which=target)",
        "Stored(column, of=Other.CLOCK, which=target)",
        SELECTING + "test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out",
    ),
    Mutation(
        "in SQL: a card is written without its item",
        "rules/fields.py",
        "loose=True, lasting=False, of=Other.CARD",
        "loose=True, of=Other.CARD",
        SELECTING + "test_without_a_moment_only_what_no_passing_of_time_changes_rules_anything_out",
    ),
    Mutation(
        "in SQL: clocks without a policy",
        "rules/fields.py",
        "stored.of is Other.CLOCK and not vocabulary.slas",
        "stored.of is Other.CLOCK and False",
        SELECTING + "test_without_a_policy_the_clocks_that_are_left_of_one_are_not_asked",
    ),
    Mutation(
        "in SQL: a number in a path picks from a list",
        "rules/fields.py",
        "    if all(_NAME.fullmatch(part) for part in parts):\n",
        "    if parts:\n",
        ONE,
    ),
    _asked("which clock", "*([_CLOCKS.c.target == stored.which] if stored.which else [])", "*([])"),
    _asked("whose clock", "own = [_CLOCKS.c.item_id == _ITEMS.c.id, ", "own = ["),
    _asked(
        "a breach that was",
        "        (_CLOCKS.c.breached_at.is_not(None), State.BREACHED.value),\n",
        "",
    ),
    _asked("a target that was met", "        (_CLOCKS.c.met_at.is_not(None), State.MET.value),\n", ""),
    _asked("a clock that is paused", "        (due.is_(None), State.PAUSED.value),\n", ""),
    _asked("a clock that runs out", "(due <= literal(now, UtcDateTime())", "(due < literal(now, UtcDateTime())"),
    _asked("whose card", "own = [_CARDS.c.item_id == _ITEMS.c.id, ", "own = ["),
    _asked("which card", "_CARDS.c.key == stored.which, _CARDS.c.current]", "_CARDS.c.current]"),
    _asked(
        "the card as it is now",
        "_CARDS.c.key == stored.which, _CARDS.c.current]",
        "_CARDS.c.key == stored.which, ~_CARDS.c.current]",
    ),
    _asked("a card in error is not sure", "row.where(found.sure, not_(failed))", "row.where(found.sure)"),
    _asked("a card in error is possible", "row.where(or_(found.may, failed))", "row.where(found.may)"),
    _asked("an item without the row", "not_(exists(row)) if condition.operator.when_missing", "_NO if condition"),
    _asked(
        "what a column counts a card in error as",
        "found.exact and settled,",
        "found.exact,",
        SELECTING + "test_a_column_that_counts_a_card_in_error_as_something_is_left_to_the_engine",
    ),
    _word(
        "a path goes inwards",
        '"".join(f\'."{name}"\' for name in path)',
        '"".join(f\'."{name}"\' for name in path[-1:])',
    ),
    # How many items match now
    _count(
        "only what the reader may see",
        "list[ColumnElement[bool]] = [visible(viewer)]",
        "list[ColumnElement[bool]] = []",
        "test_a_row_counts_what_it_matches_and_nothing_its_reader_may_not_see",
    ),
    _count(
        "only items of the table's kind",
        '        if kind != "any":\n',
        "        if False:\n",
        "test_only_items_of_the_tables_kind_and_in_its_scope_are_counted",
    ),
    _count(
        "what SQL leaves open is looked at",
        "        return self._looked_at(node, found, whole, may - sure)",
        "        return whole",
        "test_what_sql_leaves_open_the_engine_decides",
    ),
    _count(
        "a row that needs an event says so",
        "        if event is not None:\n",
        "        if False:\n",
        "test_a_row_that_needs_an_answer_or_an_event_says_so_instead_of_none",
    ),
    _count(
        "more items than are counted",
        "            self.more = self.connection",
        "            _ = self.connection",
        "test_more_items_than_are_counted_make_it_at_least",
    ),
    _count(
        "the engine's looks have a bound that says so",
        "        if seen < undecided:\n",
        "        if False:\n",
        "test_the_engine_looks_at_so_many_items_and_says_when_that_was_not_all",
    ),
)
