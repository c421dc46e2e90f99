"""What the caller's side believes of a child: frames, sizes, grants, counts, deadlines, and the verdict.

Not here, because three places refuse them: NaN and infinities in what a child says.
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

RESOURCES = "tests/attacks/test_resources.py::"
WIRE = "tests/attacks/test_wire.py::"
RUN = "tests/sandbox/test_run.py::"
ASKING = "tests/sandbox/test_asking.py::"
CLAIMS = "sandbox/claims.py"


def _forged(name: str, old: str, new: str, case: str, file: str = "sandbox/broker.py") -> Mutation:
    """What a child that speaks the protocol as it likes is told by."""
    return Mutation(name, file, old, new, WIRE + f"test_a_forged_frame_ends_the_run_with_nothing_done[{case}]")


MUTATIONS = (
    Mutation(
        "grants",
        "sandbox/broker.py",
        "            if what not in self.grants:\n",
        "            if False:\n",
        RUN + "test_an_operation_without_a_grant_is_denied_and_not_called",
    ),
    Mutation(
        "the number of calls",
        "sandbox/broker.py",
        "            if asked > self.limits.calls:\n",
        "            if False:\n",
        RESOURCES + "test_the_call_after_the_last_raises_an_error_that_says_so",
    ),
    Mutation(
        "calls after the last",
        "sandbox/broker.py",
        "            if asked > self.limits.calls + self.limits.calls_over:\n",
        "            if False:\n",
        RESOURCES + "test_a_script_that_catches_that_error_and_goes_on_is_killed",
    ),
    Mutation(
        "the size of a frame",
        "sandbox/wire.py",
        "        if size > self._cap_bytes:\n",
        "        if False:\n",
        WIRE + "test_a_forged_length_is_refused_before_its_bytes_are_kept",
    ),
    Mutation(
        "the size of an answer",
        "sandbox/wire.py",
        "    if len(body) > cap_bytes:\n",
        "    if False:\n",
        RESOURCES + "test_an_answer_that_is_too_large_is_an_error_of_the_call",
    ),
    Mutation(
        "all that a child may say",
        "sandbox/broker.py",
        "                if self._out_bytes > self.limits.out_kb * 1024:",
        "                if False:",
        RESOURCES + "test_everything_said_has_one_bound",
    ),
    Mutation(
        "the number of actions",
        "sandbox/broker.py",
        "        if len(self._actions) >= self.limits.actions:\n            raise",
        "        if False:\n            raise",
        WIRE + "test_a_flood_of_actions_ends_the_run",
    ),
    Mutation(
        "the length of the log",
        "sandbox/broker.py",
        "        if len(self._log) >= self.limits.log_lines or",
        "        if False and",
        WIRE + "test_a_flood_of_log_lines_ends_the_run",
    ),
    _forged("ids count up", '        if frame["id"] != self._last_id + 1:\n', "        if False:\n", "id_skipped"),
    Mutation(
        "an id is used once",
        "sandbox/broker.py",
        '        if frame["id"] != self._last_id + 1:\n',
        '        if frame["id"] < self._last_id:\n',
        WIRE + "test_an_id_used_twice_is_refused_and_not_called_again",
    ),
    Mutation(
        "no calls in advance",
        "sandbox/broker.py",
        "        if self._reader.pending:\n            raise",
        "        if False:\n            raise",
        WIRE + "test_calls_in_advance_are_refused_before_the_first_is_made",
    ),
    Mutation(
        "the first result wins",
        "sandbox/broker.py",
        "if over is None and frame is not None and self._more_came():",
        "if False:",
        WIRE + "test_a_second_result_undoes_the_first",
    ),
    _forged(
        "exact types",
        "        if type(frame[name]) not in",
        "        if not frame and type(frame[name]) not in",
        "bool_for_int",
        CLAIMS,
    ),
    _forged(
        "fields that nobody asked for",
        'if wanted is None or frame.keys() - {"t"} != wanted.keys():',
        "if wanted is None or not frame.keys() >= wanted.keys():",
        "extra_field",
        CLAIMS,
    ),
    _forged(
        "exact JSON: NUL",
        '            if "\\x00" in part:\n',
        "            if False:\n",
        "nul_in_a_value",
        "sandbox/wire.py",
    ),
    _forged(
        "exact JSON: half of a pair",
        'if not part.isascii() and any("\\ud800" <= char <= "\\udfff" for char in part):',
        "if False:",
        "surrogate_in_a_value",
        "sandbox/wire.py",
    ),
    _forged(
        "exact JSON: 64 bit",
        "            if not -(2**63) <= part < 2**63:  # type: ignore[operator]\n                return f",
        "            if not -(2**99) <= part < 2**99:\n                return f",
        "huge_int",
        "sandbox/wire.py",
    ),
    _forged("exact JSON: depth", "        if level > depth:\n", "        if False:\n", "deep", "sandbox/wire.py"),
    _forged(
        "exact JSON: number of values",
        "        if seen > values:\n",
        "        if False:\n",
        "many_values",
        "sandbox/wire.py",
    ),
    _forged(
        "exact JSON: a key once",
        "    if len(made) != len(pairs):\n",
        "    if False:\n",
        "duplicate_key",
        "sandbox/wire.py",
    ),
    _forged(
        "only looks plain: NUL",
        'rb"\\\\u|[0-9]{17}|[0-9][eE]"',
        'rb"[0-9]{17}|[0-9][eE]"',
        "nul_in_a_value",
        "sandbox/wire.py",
    ),
    _forged("only looks plain: 64 bit", "|[0-9]{17}|", "|", "huge_int", "sandbox/wire.py"),
    _forged(
        "only looks plain: depth",
        '        and body.count(b"{") + body.count(b"[") <= depth\n',
        "",
        "deep",
        "sandbox/wire.py",
    ),
    _forged(
        "only looks plain: number of values",
        "        len(body) <= values  # a value takes a character at least\n        and ",
        "        ",
        "many_values",
        "sandbox/wire.py",
    ),
    _forged("only looks small", "6 * len(self._reader.body)", "0 * len(self._reader.body)", "large_parameter"),
    _forged(
        "actions that were not offered",
        '        if method is None:\n            raise ProtocolError("The child asked for an action',
        '        if False:\n            raise ProtocolError("The child asked for an action',
        "unknown_action",
    ),
    _forged(
        "arguments that an operation does not take",
        'trouble = "unknown argument" if param is None else type_problem(param, value)',
        "trouble = None if param is None else type_problem(param, value)",
        "transport_argument",
    ),
    _forged(
        "arguments of another type",
        'trouble = "unknown argument" if param is None else type_problem(param, value)',
        'trouble = "unknown argument" if param is None else None',
        "wrong_parameter_type",
    ),
    _forged(
        "arguments that must be there",
        "        if any(param.required and param.name not in given for param in method.params):",
        "        if False:",
        "missing_argument",
    ),
    _forged(
        "the size of a value",
        'not all_small and len(wire.encode({"": value}, 1 << 30)) > most_bytes:',
        "False:",
        "large_parameter",
    ),
    _forged(
        "lines that do not exist",
        "    if line is not None and not 0 <= line <= limits.source_lines:",
        "    if False:",
        "huge_line",
        CLAIMS,
    ),
    _forged(
        "columns that do not exist",
        "    if column is not None and not 0 <= column <= limits.source_kb * 1024:",
        "    if False:",
        "huge_column",
        CLAIMS,
    ),
    _forged(
        "codes of problems are those of a check",
        'one["code"] not in PROBLEM_CODES:',
        'one["code"] not in Code.__members__.values():',
        "problem_that_would_be_tried_again",
        CLAIMS,
    ),
    Mutation(
        "a refusal does not excuse a violation",
        "sandbox/broker.py",
        "    if code in _VIOLATION_CODES:\n",
        "    if code in _VIOLATION_CODES and not refused:\n",
        WIRE + "test_a_refusal_does_not_excuse_a_violation",
    ),
    _forged(
        "problems at places that do not exist",
        "        if any(not 0 <= n <= limits.source_kb * 1024 for n in numbers):",
        "        if False:",
        "problem_nowhere",
        CLAIMS,
    ),
    _forged(
        "error codes that are not the child's",
        '    if kind == "error" and frame["code"] not in CHILD_CODES:',
        "    if False:",
        "own_error_code",
        CLAIMS,
    ),
    _forged(
        "out of time before the time is over",
        "            if over.error.code == Code.TIMEOUT_CPU and not cpu_used:",
        "            if False:",
        "early_out_of_time",
    ),
    Mutation(
        "the kernel's word before the child's",
        "sandbox/broker.py",
        "        if end.signal == signal.SIGSYS:\n",
        "        if False:\n",
        WIRE + "test_a_result_does_not_excuse_a_violation",
    ),
    Mutation(
        "a jail that was not finished",
        "sandbox/broker.py",
        "        if end.exit_code == EXIT_NO_JAIL:\n",
        "        if False:\n",
        WIRE
        + "test_a_child_that_could_not_finish_its_jail_is_no_fault_of_the_script[71-unavailable-SANDBOX_UNAVAILABLE]",
    ),
    Mutation(
        "claims need evidence",
        "sandbox/broker.py",
        "            Code.RUNTIME if unfounded else code,",
        "            code,",
        WIRE + "test_a_claim_without_a_failed_call_is_not_believed",
    ),
    Mutation(
        "the deadline",
        "sandbox/broker.py",
        "        return self._started + self.limits.wall_s - time.monotonic()",
        "        return self._started + self.limits.wall_s + 40 - time.monotonic()",
        WIRE + "test_a_child_that_never_reads_its_answers_meets_the_deadline",
    ),
    Mutation(
        "a run does not wait for its gateway",
        "sandbox/broker.py",
        "                self._await_answer(question)\n",
        "                question.answer()\n",
        ASKING + "test_a_run_ends_in_its_own_time_while_the_gateway_still_hangs",
    ),
    Mutation(
        "a child that dies during a question",
        "sandbox/broker.py",
        "                if not more:\n                    raise _Gone\n",
        "                if not more:\n                    continue\n",
        ASKING + "test_a_child_that_dies_during_a_question_ends_the_run",
    ),
    Mutation(
        "questions at once",
        "sandbox/asking.py",
        "            elif self._made < AT_ONCE:",
        "            elif self._made < 2 * AT_ONCE:",
        ASKING + "test_hung_questions_are_bounded_and_one_that_nobody_waits_for_is_never_asked",
    ),
    Mutation(
        "cancelling",
        "sandbox/broker.py",
        "        if self.cancelled is not None and self.cancelled():",
        "        if False:",
        RUN + "test_a_cancelled_run_ends_soon_and_applies_nothing",
    ),
    Mutation(
        "a child that lives on is killed",
        "sandbox/broker.py",
        "            self.lease.kill()\n        return _End(None)",
        "        return _End(None)",
        WIRE + "test_a_child_that_lives_on_after_its_result_is_killed_and_its_result_stands",
    ),
    Mutation(
        "no result without the kernel's word",
        "sandbox/broker.py",
        "        if end.status is None:\n",
        "        if False:\n",
        WIRE + "test_a_result_is_not_believed_while_nobody_says_how_its_child_ended",
    ),
    Mutation(
        "no result of a process that failed",
        "sandbox/broker.py",
        "        if end.exit_code:\n",
        "        if False:\n",
        WIRE + "test_a_result_does_not_excuse_an_end_that_no_child_of_ours_has",
    ),
    Mutation(
        "answers are JSON too",
        "sandbox/broker.py",
        '        if trouble is not None:\n            raise CallFailed("bad_request", f"{frame[\'c\']} gave',
        '        if False:\n            raise CallFailed("bad_request", f"{frame[\'c\']} gave',
        WIRE + "test_an_answer_that_is_not_json_never_reaches_the_child",
    ),
    Mutation(
        "texts of the child are cleaned",
        "sandbox/source.py",
        '_CONTROL.sub("", text[: most + 1])',
        "text[: most + 1]",
        WIRE + "test_texts_from_the_child_are_cleaned_and_cut",
    ),
    Mutation(
        "a failed script has no actions",
        "sandbox/broker.py",
        "            return Outcome(status, error, (), tuple(self._log)",
        "            return Outcome(status, error, tuple(self._actions), tuple(self._log)",
        RUN + "test_a_failed_script_has_no_actions",
    ),
)
