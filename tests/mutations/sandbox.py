"""The language's policy, every layer of the jail, the broker between child and gateway, and the host service.

Not here, because another wall makes them unnecessary: `await` and the like (no async function gets past its own rule),
the unpacking hooks (nothing in a script's reach has hooks that they would meet), the check for x32 calls (no number of
theirs is on the lists), the parent death signal of the zygote's outer half (it ends with the inner one), NaN and
infinities in what a child says (three places refuse them), and the list of a facade's members (it is the dictionary
that is asked).
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ATTRIBUTES = "tests/attacks/test_attributes.py::"
CLASSES = "tests/attacks/test_classes_and_guards.py::"
BOMBS = "tests/attacks/test_compile_bombs.py::"
ESCAPED = "tests/attacks/test_escaped.py::"
FRAMES = "tests/attacks/test_frames_and_errors.py::"
IMPORTS = "tests/attacks/test_imports.py::"
RESOURCES = "tests/attacks/test_resources.py::"
TEXT = "tests/attacks/test_text.py::"
WIRE = "tests/attacks/test_wire.py::"
EVERY_GUARD = "tests/attacks/test_every_guard.py::"
NO_ADDRESS = "tests/attacks/test_every_guard.py::test_text_that_a_script_makes_holds_no_address"
EVERY_NODE = "tests/attacks/test_every_node.py::"
LANGUAGE = "tests/sandbox/test_language.py::"
LAYERS = "tests/sandbox/test_layers.py::"
RUN = "tests/sandbox/test_run.py::"
HOST_LIMITS = "tests/sandbox/test_host_limits.py::"
PATTERNS = "tests/sandbox/test_patterns.py::"
ASKING = "tests/sandbox/test_asking.py::"
SERVICE = "tests/sandbox/test_service.py::"
CHECK = "tests/sandbox/test_check.py::"


def _rlimit(name: str, old: str, test: str) -> Mutation:
    return Mutation(f"rlimits: {name}", "sandbox/jail.py", f"        {old}\n", "", LAYERS + test)


def _forged(name: str, old: str, new: str, case: str, file: str = "sandbox/broker.py") -> Mutation:
    """What a child that speaks the protocol as it likes is told by."""
    return Mutation(name, file, old, new, WIRE + f"test_a_forged_frame_ends_the_run_with_nothing_done[{case}]")


def _hook(name: str, ours: str, plain: str, test: str = "test_a_hook_refuses_what_it_is_there_for") -> Mutation:
    """One hook of the language replaced by what Python does by itself."""
    old, new = f'        "{name}": {ours},\n', f'        "{name}": {plain},\n'
    return Mutation(f"the hook {name}", "sandbox/child/guards.py", old, new, f"{EVERY_GUARD}{test}[{name}]")


def _builtin(name: str, ours: str, test: str = "") -> Mutation:
    """One builtin of ours replaced by Python's."""
    where = test or f"{EVERY_GUARD}test_a_builtin_is_no_way_out[{name}]"
    return Mutation(f"the builtin {name}", "sandbox/child/guards.py", f'        "{name}": {ours},\n', "", where)


_LIMITS = "test_a_childs_limits_are_the_kernels_own"

MUTATIONS = (
    # seccomp
    Mutation(
        "seccomp: the child's filter",
        "sandbox/zygote.py",
        "        seccomp_filter.install()\n",
        "",
        ESCAPED + "test_nothing_succeeds[nobody-write_to_stderr]",
    ),
    Mutation(
        "seccomp: the zygote's filter",
        "sandbox/zygote.py",
        "_raise_wall(filter_of_zygote.install)",
        '""',
        LAYERS + "test_the_zygote_and_each_child_stand_behind_a_filter_of_their_own",
    ),
    Mutation(
        "seccomp: memory that becomes code",
        "sandbox/seccomp.py",
        "_jump(_JSET, _PROT_EXEC, 0, 1)",
        "_jump(_JSET, 0, 0, 1)",
        ESCAPED + "test_nothing_succeeds[nobody-map_code]",
    ),
    Mutation(
        "seccomp: memory protected as code later",
        "sandbox/seccomp.py",
        'numbers(["mmap", "mprotect"], machine)',
        'numbers(["mmap", "mprotect"], machine)[:1] + [10]',
        LAYERS + "test_memory_becomes_code_under_no_call",
    ),
    Mutation(
        "seccomp: another architecture",
        "sandbox/seccomp.py",
        "_jump(_JEQ, _ARCHES[machine][1], 1, 0)",
        "_jump(_JGE, 0, 1, 0)",
        LAYERS + "test_system_calls_of_another_architecture_kill",
    ),
    Mutation(
        "seccomp: one descriptor to read and write",
        "sandbox/seccomp.py",
        "_jump(_JEQ, fd, 0, 1)",
        "_jump(_JGE, 0, 0, 1)",
        LAYERS + "test_a_child_reads_and_writes_its_own_descriptor_only",
    ),
    Mutation(
        "seccomp: what is not named kills",
        "sandbox/seccomp.py",
        '"KILL": [_do(_RET, _KILL)],',
        '"KILL": [_do(_RET, _ALLOW)],',
        LAYERS + "test_a_call_that_is_not_named_kills",
    ),
    Mutation(
        "seccomp: clone3",
        "sandbox/seccomp.py",
        '"ENOSYS": [_do(_RET, _ERRNO | errno.ENOSYS)],',
        '"ENOSYS": [_do(_RET, _ALLOW)],',
        LAYERS + "test_only_the_zygote_forks_and_nobody_by_clone3",
    ),
    Mutation(
        "seccomp: files and sockets of the zygote",
        "sandbox/seccomp.py",
        'numbers(CHILD_EPERM, machine), "EPERM")\n    answers |= dict.fromkeys(numbers(ZYGOTE_ALLOW',
        'numbers(CHILD_EPERM, machine), "ALLOW")\n    answers |= dict.fromkeys(numbers(ZYGOTE_ALLOW',
        LAYERS + "test_what_opens_a_way_out_is_refused_to_both",
    ),
    # rlimits
    _rlimit(
        "address space",
        "resource.RLIMIT_AS: (base_bytes + memory_mb * 1024 * 1024,) * 2,",
        "test_a_childs_memory_is_what_the_zygote_has_and_its_limit",
    ),
    _rlimit("CPU time", "resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),", _LIMITS),
    _rlimit("file size", "resource.RLIMIT_FSIZE: (0, 0),", _LIMITS),
    _rlimit("open files", "resource.RLIMIT_NOFILE: (8, 8),", _LIMITS),
    _rlimit("core files", "resource.RLIMIT_CORE: (0, 0),", _LIMITS + "[Max core file size-0-0]"),
    _rlimit("processes", "resource.RLIMIT_NPROC: (0, 0),", _LIMITS),
    _rlimit("stack", "resource.RLIMIT_STACK: (8 << 20, 8 << 20),", _LIMITS),
    _rlimit("locked memory", "resource.RLIMIT_MEMLOCK: (0, 0),", _LIMITS),
    _rlimit("message queues", "resource.RLIMIT_MSGQUEUE: (0, 0),", _LIMITS),
    Mutation(
        "rlimits: a second from SIGXCPU to SIGKILL",
        "sandbox/jail.py",
        "(cpu_s, cpu_s + 1)",
        "(cpu_s, cpu_s + 60)",
        ESCAPED + "test_a_child_that_ignores_every_signal_is_killed_for_its_cpu",
    ),
    Mutation(
        "memory never ends in the script's hands",
        "sandbox/child/guards.py",
        "    if isinstance(error, MemoryError):\n        raise error",
        "    if isinstance(error, MemoryError):\n        return",
        RESOURCES + "test_taking_too_much_memory_ends_the_script[caught]",
    ),
    # Other layers
    Mutation(
        "a child dies with its zygote",
        "sandbox/zygote.py",
        "        jail.close_all_but(fd)\n        jail.die_with_parent()\n",
        "        jail.close_all_but(fd)\n",
        LAYERS + "test_a_child_dies_with_its_zygote_also_without_a_pid_namespace",
    ),
    Mutation(
        "the zygote dies with its outer half",
        "sandbox/zygote.py",
        "    base_bytes = jail.address_space_bytes()\n    jail.die_with_parent()\n",
        "    base_bytes = jail.address_space_bytes()\n",
        ESCAPED + "test_when_the_outer_half_of_the_zygote_is_killed_everything_below_it_dies",
    ),
    Mutation(
        "an empty environment",
        "sandbox/service.py",
        'env={"PYTHONHASHSEED": "0"}',
        'env={**os.environ, "PYTHONHASHSEED": "0"}',
        SERVICE + "test_all_required_layers_stand_and_are_named",
    ),
    Mutation(
        "an environment that is not empty is told",
        "sandbox/zygote.py",
        "    if strange:\n",
        "    if False:\n",
        LAYERS + "test_a_zygote_with_an_environment_says_so",
    ),
    Mutation(
        "descriptors of others are told",
        "sandbox/zygote.py",
        "    if fds != [0, 1, 2, CHILD_FD]:\n",
        "    if False:\n",
        LAYERS + "test_a_zygote_with_a_descriptor_of_others_says_so",
    ),
    Mutation(
        "a standard stream of others is told",
        "sandbox/zygote.py",
        "    if not all(stat.S_ISCHR(",
        "    if False and not all(stat.S_ISCHR(",
        LAYERS + "test_a_zygote_with_a_standard_stream_of_others_says_so",
    ),
    Mutation(
        "hashes at random are told",
        "sandbox/zygote.py",
        "    if sys.flags.hash_randomization:",
        "    if False:",
        LAYERS + "test_a_zygote_that_hashes_at_random_says_so",
    ),
    Mutation(
        "a child's other descriptors are closed",
        "sandbox/jail.py",
        "    os.closerange(4, 2**31 - 1)\n",
        "",
        ESCAPED + "test_the_child_has_no_descriptor_but_its_own",
    ),
    Mutation(
        "root is dropped",
        "sandbox/zygote.py",
        "    if drop_to >= 0 and os.geteuid() == 0:",
        "    if False:",
        SERVICE + "test_the_zygote_has_no_environment_no_files_and_no_root",
    ),
    Mutation(
        "no new privileges",
        "sandbox/jail.py",
        "    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:",
        "    if False:",
        SERVICE + "test_the_zygote_has_no_environment_no_files_and_no_root",
    ),
    Mutation(
        "capabilities in a namespace of its own",
        "sandbox/zygote.py",
        "_raise_wall(jail.no_capabilities)",
        '""',
        LAYERS + "test_nobody_below_the_service_holds_a_capability",
    ),
    Mutation(
        "nobody looks into the processes",
        "sandbox/jail.py",
        "    if _libc.prctl(_DUMPABLE, 0, 0, 0, 0) != 0:",
        "    if False:",
        LAYERS + "test_nobody_of_the_same_user_may_look_into_them",
    ),
    Mutation(
        "a missing layer is told",
        "sandbox/zygote.py",
        "        return str(error)\n",
        '        return ""\n',
        SERVICE + "test_a_missing_layer_is_named_and_a_required_one_refuses_scripts[landlock-False-landlock]",
    ),
    Mutation(
        "landlock that the kernel does not have",
        "sandbox/jail.py",
        "    if abi <= 0:\n",
        "    if abi <= 0:\n        return 0\n    if False:\n",
        SERVICE + "test_a_missing_layer_is_named_and_a_required_one_refuses_scripts[landlock-False-landlock]",
    ),
    Mutation(
        "namespaces that the kernel refuses",
        "sandbox/jail.py",
        "    if _libc.unshare(_NAMESPACES) != 0:\n",
        "    if _libc.unshare(_NAMESPACES) != 0:\n        return\n    if False:\n",
        SERVICE + "test_a_missing_layer_is_named_and_a_required_one_refuses_scripts[namespaces-False-namespaces]",
    ),
    Mutation(
        "a missing required layer refuses scripts",
        "sandbox/service.py",
        "if layers.get(name, name)]\n        reason",
        "if False]\n        reason",
        SERVICE + "test_a_missing_layer_is_named_and_a_required_one_refuses_scripts[seccomp-True-seccomp]",
    ),
    Mutation(
        "the self-test",
        "sandbox/service.py",
        "            if not refused:\n",
        "            if False:\n",
        SERVICE + "test_a_missing_layer_is_named_and_a_required_one_refuses_scripts[rlimits-True-rlimits]",
    ),
    Mutation(
        "more than the machine allows is clamped",
        "sandbox/zygote.py",
        "min(memory_mb, MOST_MEMORY_MB)",
        "memory_mb",
        LAYERS + "test_the_zygote_gives_no_child_more_than_the_machine_allows",
    ),
    # The service
    Mutation(
        "strangers on the socket",
        "sandbox/service.py",
        "        if uid not in (os.geteuid(), 0):",
        "        if False:",
        SERVICE + "test_another_user_is_hung_up_on_even_where_the_files_would_let_him_in",
    ),
    Mutation(
        "the socket's mode",
        "sandbox/service.py",
        "os.umask(0o177)",
        "os.umask(0o077)",
        SERVICE + "test_the_socket_is_closed_to_others",
    ),
    Mutation(
        "the socket's folder",
        "sandbox/service.py",
        "    if found.st_uid != os.geteuid() or found.st_mode & 0o077:",
        "    if False:",
        SERVICE + "test_a_folder_open_to_others_is_refused",
    ),
    Mutation(
        "two services on one socket",
        "sandbox/service.py",
        '                raise AlreadyRunning(f"A sandbox service answers on {path} already")',
        "                pass",
        SERVICE + "test_a_socket_left_behind_is_replaced_and_a_live_one_is_not",
    ),
    Mutation(
        "a caller that talks nonsense",
        "sandbox/service.py",
        '            log.warning("sandbox.bad_request")\n            self._hang_up(caller)\n',
        '            log.warning("sandbox.bad_request")\n',
        SERVICE + "test_a_caller_that_talks_nonsense_is_hung_up_on",
    ),
    Mutation(
        "a zygote is replaced when it is old",
        "sandbox/service.py",
        "now - zygote.born >= self._limits.recycle_s",
        "False",
        HOST_LIMITS + "test_a_zygote_is_replaced_when_it_is_old",
    ),
    Mutation(
        "a zygote is replaced after so many runs",
        "sandbox/service.py",
        "zygote.forks >= self._limits.recycle_runs",
        "False",
        HOST_LIMITS + "test_a_zygote_is_replaced_after_so_many_runs_and_a_run_under_way_ends_well",
    ),
    Mutation(
        "a replaced zygote waits for the runs it forked",
        "sandbox/service.py",
        "for retired in [one for one in self._retired if one.lent == 0]:",
        "for retired in list(self._retired):",
        HOST_LIMITS + "test_a_zygote_is_replaced_after_so_many_runs_and_a_run_under_way_ends_well",
    ),
    Mutation(
        "children at one time",
        "sandbox/service.py",
        ">= self._limits.children:",
        ">= 1_000:",
        HOST_LIMITS + "test_no_more_children_than_allowed_run_at_one_time_and_the_others_wait",
    ),
    Mutation(
        "a child ends with its caller's lease",
        "sandbox/service.py",
        "            caller.child.end()\n            caller.child = None\n",
        "            caller.child = None\n",
        LAYERS + "test_a_child_that_computes_ends_when_its_caller_lets_go",
    ),
    # The language
    Mutation(
        "private names",
        "sandbox/policy.py",
        '        if name.startswith("_"):\n            if allow',
        "        if False:\n            if allow",
        ATTRIBUTES + "test_private_names_are_refused_before_anything_runs",
    ),
    Mutation(
        "private attributes",
        "sandbox/policy.py",
        '        if node.attr.startswith("_") and node.attr != "_":',
        "        if False:",
        ATTRIBUTES + "test_private_names_are_refused_before_anything_runs",
    ),
    Mutation(
        "private attributes by text",
        "sandbox/child/guards.py",
        '    if name.startswith("_"):\n',
        "    if False:\n",
        ATTRIBUTES + "test_private_names_are_refused_when_they_come_as_text",
    ),
    Mutation(
        "attribute names that only pretend to be text",
        "sandbox/child/guards.py",
        '    if type(name) is not str:\n        raise TypeError("An attribute\'s name is text")\n',
        "",
        ATTRIBUTES + "test_an_attribute_name_that_only_pretends_to_be_text_is_refused",
    ),
    Mutation(
        "attributes that a type does not list",
        "sandbox/child/guards.py",
        "        if name in allowed:\n            return _bound(thing, name)\n",
        "        if hasattr(thing, name):\n            return _bound(thing, name)\n",
        ATTRIBUTES + "test_a_type_has_only_the_attributes_it_lists",
    ),
    Mutation(
        "attributes of types themselves",
        "sandbox/child/guards.py",
        "        allowed = TYPE_ATTRIBUTES.get(thing, frozenset())\n        if name in allowed:\n",
        "        allowed = TYPE_ATTRIBUTES.get(thing, frozenset())\n        if hasattr(thing, name):\n",
        ATTRIBUTES + "test_a_type_has_only_the_attributes_it_lists",
    ),
    Mutation(
        "every attribute through its guard",
        "sandbox/policy.py",
        '            return _call(node, "_getattr_", node.value, ast.Constant(node.attr))',
        "            return node",
        TEXT + "test_no_format_string_walks_attributes",
    ),
    Mutation(
        "format strings",
        "sandbox/child/guards.py",
        '    "capitalize casefold center count encode endswith expandtabs find index',
        '    "capitalize casefold center count encode endswith expandtabs find format format_map index',
        TEXT + "test_no_format_string_walks_attributes",
    ),
    Mutation(
        "what an exception carries",
        "sandbox/child/guards.py",
        "    if name in allowed and hasattr(error, name):",
        "    if hasattr(error, name):",
        FRAMES + "test_an_exception_gives_only_its_text",
    ),
    Mutation(
        "imports",
        "sandbox/policy.py",
        "            if alias.name not in names.FACADES:\n",
        "            if False:\n",
        IMPORTS + "test_only_the_facades_can_be_imported",
    ),
    Mutation(
        "imports from a module",
        "sandbox/policy.py",
        "        if module not in names.FACADES or node.level:",
        "        if False:",
        IMPORTS + "test_only_the_facades_can_be_imported",
    ),
    Mutation(
        "statements without a rule",
        "sandbox/policy.py",
        "        self.not_allowed(node)\n        return node\n\n    def visit_Await",
        "        return self.node_contents_visit(node)\n\n    def visit_Await",
        CLASSES + "test_statements_without_a_rule_are_refused",
    ),
    Mutation(
        "with statements",
        "sandbox/policy.py",
        "    def visit_With(self, node: ast.With) -> Any:\n        self.not_allowed(node)\n        return node",
        "    def visit_With(self, node: ast.With) -> Any:\n        return self.node_contents_visit(node)",
        CLASSES + "test_statements_without_a_rule_are_refused[with]",
    ),
    Mutation(
        "hooks of classes",
        "sandbox/policy.py",
        "if allow_magic_methods and name in MAGIC and",
        "if allow_magic_methods and",
        CLASSES + "test_hooks_that_python_calls_behind_the_scenes_cannot_be_defined",
    ),
    Mutation(
        "keywords of classes",
        "sandbox/policy.py",
        "        if node.keywords:\n",
        "        if False:\n",
        CLASSES + "test_odd_classes_are_refused_before_anything_runs",
    ),
    Mutation(
        "what a class may inherit from",
        "sandbox/child/guards.py",
        "            if type(base) is not ScriptClass and not",
        "            if False and not",
        CLASSES + "test_a_class_inherits_only_from_scripts_classes_and_exceptions",
    ),
    Mutation(
        "guarded writes",
        "sandbox/policy.py",
        '        node.value = _call(node.value, "_write_", node.value)\n',
        "",
        CLASSES + "test_only_the_scripts_own_things_can_be_changed",
    ),
    Mutation(
        "what may be written to",
        "sandbox/child/guards.py",
        '    raise Forbidden(f"{describe(thing)} cannot be changed", "Assign to a name of your own.")',
        "    return thing",
        CLASSES + "test_only_the_scripts_own_things_can_be_changed",
    ),
    Mutation(
        "methods that change a fact",
        "sandbox/child/guards.py",
        '_ROWS = _set("count index")',
        "_ROWS = _LIST",
        CLASSES + "test_only_the_scripts_own_things_can_be_changed[fact_list]",
    ),
    Mutation(
        "a fact in place gives a new value",
        "sandbox/child/guards.py",
        "    if type(thing) is Rows:\n        thing = list(thing)\n",
        "    if False:\n        pass\n",
        CLASSES + "test_methods_of_the_type_do_not_change_a_fact_either",
    ),
    Mutation(
        "types have no items",
        "sandbox/child/guards.py",
        "    if isinstance(thing, type):\n        raise TypeError(",
        "    if False:\n        raise TypeError(",
        CLASSES + "test_types_have_no_items",
    ),
    Mutation(
        "only plain values leave the script",
        "sandbox/child/values.py",
        "    if kind in (set, frozenset):\n",
        "    if True:\n        return str(value)\n    if kind in (set, frozenset):\n",
        CLASSES + "test_only_plain_values_leave_the_script",
    ),
    Mutation(
        "leaving a finally",
        "sandbox/policy.py",
        "            for leaving in _leaves(statement):",
        "            for leaving in ():",
        FRAMES + "test_finally_cannot_swallow_an_error",
    ),
    Mutation(
        "a bare except catches no stop",
        "sandbox/policy.py",
        'node.type = ast.Name("_Exception_", ast.Load())\n            copy_locations(node.type, node)',
        "pass",
        FRAMES + "test_nothing_swallows_stop",
    ),
    Mutation(
        "no addresses in output",
        "sandbox/child/values.py",
        '    return _ADDRESS.sub("", text) if " at 0x" in text else text',
        "    return text",
        TEXT + "test_no_output_shows_an_address",
    ),
    Mutation(
        "dangerous builtins",
        "sandbox/child/guards.py",
        "    made = {name: own.get(name, real.get(name)) for name in names.BUILTINS}",
        "    made = real | {name: own.get(name, real.get(name)) for name in names.BUILTINS}",
        IMPORTS + "test_dangerous_builtins_are_not_there",
    ),
    Mutation(
        "invisible characters in the source",
        "sandbox/source.py",
        "    if found is None:\n        return None\n",
        "    return None\n",
        BOMBS + "test_some_sources_are_not_even_parsed",
    ),
    Mutation(
        "the size of the source",
        "sandbox/source.py",
        "    if size > limits.source_kb * 1024:",
        "    if False:",
        BOMBS + "test_some_sources_are_not_even_parsed",
    ),
    Mutation(
        "checking runs nothing",
        "sandbox/child/main.py",
        "            manifest = compiled.manifest\n",
        "            exec(compiled.code, self._names(start, _SCOPE))\n            manifest = compiled.manifest\n",
        CHECK + "test_checking_runs_nothing",
    ),
    # Every hook and every builtin of ours, in turn
    _hook("_getattr_", "getattr_", "getattr"),
    _hook("_getitem_", "getitem_", "operator.getitem"),
    _hook("_write_", "write_", "lambda thing: thing"),
    _hook("_augattr_", "augattr_", "lambda a, n, o, v: dict.__setitem__(a, n, getattr_(a, n) + v)"),
    _hook("_augitem_", "augitem_", "lambda a, i, o, v: operator.setitem(a, i, a[i] + v)"),
    _hook("_apply_", "apply_", "lambda call, *args, **more: call(*args)"),
    _hook("_caught_", "caught_", "lambda: None"),
    _hook("__metaclass__", "ScriptClass", "type"),
    _hook(
        "_inplacevar_",
        "inplace_",
        "lambda op, thing, value: _IN_PLACE[op](thing, value)",
        "test_a_hook_changes_what_it_is_there_for",
    ),
    _hook("_mod_", "mod_", "operator.mod", "test_a_hook_changes_what_it_is_there_for"),
    _hook(
        "_format_", "format_", "lambda value, _, spec: format(value, spec)", "test_a_hook_changes_what_it_is_there_for"
    ),
    _hook("_Exception_", "Exception", "BaseException", "test_a_bare_except_takes_nothing_that_ends_the_script"),
    _builtin("format", "format_builtin", NO_ADDRESS + "[format(now)]"),
    _builtin("getattr", "getattr_builtin"),
    _builtin("hasattr", "hasattr_builtin"),
    _builtin("isinstance", "isinstance_", LANGUAGE + "test_it_works[isinstance]"),
    _builtin("issubclass", "issubclass_", LANGUAGE + "test_it_works[subclass_of_text]"),
    _builtin("print", "print_", RUN + "test_a_script_asks_prints_and_acts"),
    _builtin("repr", "repr_", NO_ADDRESS + "[repr(now)]"),
    _builtin("str", "Text()"),
    Mutation(
        "a shuffled fact",
        "sandbox/child/facades.py",
        '| {"shuffle": shuffle}',
        '| {"shuffle": method("shuffle")}',
        EVERY_GUARD + "test_a_member_of_a_facade_is_no_way_out[random.shuffle]",
    ),
    Mutation(
        "hooks of json.loads",
        "sandbox/child/facades.py",
        '{"loads": loads,',
        '{"loads": real_json.loads,',
        EVERY_GUARD + "test_a_member_of_a_facade_is_no_way_out[json.loads]",
    ),
    Mutation(
        "hooks of json.dumps",
        "sandbox/child/facades.py",
        '"dumps": dumps}',
        '"dumps": real_json.dumps}',
        EVERY_GUARD + "test_a_member_of_a_facade_is_no_way_out[json.dumps]",
    ),
    Mutation(
        "flags of patterns",
        "sandbox/child/patterns.py",
        "        if flags & ~_ALL_FLAGS:\n",
        "        if False:\n",
        EVERY_GUARD + "test_a_member_of_a_facade_is_no_way_out[re.compile]",
    ),
    Mutation(
        "patterns that cannot be linear",
        "sandbox/child/patterns.py",
        "            raise ReError(_NOT_LINEAR)\n",
        '            return ""\n',
        IMPORTS + "test_patterns_that_cannot_be_linear_are_refused_with_a_reason",
    ),
    Mutation(
        "edges of words beyond ASCII",
        "sandbox/child/patterns.py",
        "if not self._edges or _text(text).isascii()",
        "if True or _text(text).isascii()",
        PATTERNS + "test_edges_letters_digits_and_spaces_are_those_of_every_alphabet",
    ),
    Mutation(
        "names of imports",
        "sandbox/policy.py",
        "            self.check_name(node, alias.asname)\n            made.append(_assign(node, alias.as",
        "            made.append(_assign(node, alias.as",
        EVERY_NODE + "test_allowed_syntax_carries_no_way_out[alias]",
    ),
    Mutation(
        "names of global and nonlocal",
        "sandbox/policy.py",
        "        for name in node.names:\n            self.check_name(node, name)\n        return node",
        "        return node",
        ATTRIBUTES + "test_private_names_are_refused_before_anything_runs[guard_as_global]",
    ),
    Mutation(
        "names of handlers",
        "sandbox/policy.py",
        "        self.check_name(node, node.name)\n        if node.type is None:",
        "        if node.type is None:",
        EVERY_NODE + "test_allowed_syntax_carries_no_way_out[ExceptHandler]",
    ),
    Mutation(
        "attributes that are added to",
        "sandbox/policy.py",
        "                self._check_attribute(node.target)\n",
        "",
        ATTRIBUTES + "test_private_names_are_refused_before_anything_runs[augment_a_private_attribute]",
    ),
    # The broker
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
        "            if self._last_id > self.limits.calls:\n",
        "            if False:\n",
        RESOURCES + "test_the_call_after_the_last_raises_an_error_that_says_so",
    ),
    Mutation(
        "calls after the last",
        "sandbox/broker.py",
        "            if self._last_id > self.limits.calls + self.limits.calls_over:\n",
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
        "            if type(frame[name]) not in",
        "            if not frame and type(frame[name]) not in",
        "bool_for_int",
    ),
    _forged(
        "fields that nobody asked for",
        'if wanted is None or frame.keys() - {"t"} != wanted.keys():',
        "if wanted is None or not frame.keys() >= wanted.keys():",
        "extra_field",
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
        'len(wire.encode({"": value}, 1 << 30)) > self.limits.value_kb * 1024:',
        "False:",
        "large_parameter",
    ),
    _forged(
        "lines that do not exist",
        "        if line is not None and not 0 <= line <= self.limits.source_lines:",
        "        if False:",
        "huge_line",
    ),
    _forged(
        "error codes that are not the child's",
        '        if kind == "error" and frame["code"] not in CHILD_CODES:',
        "        if False:",
        "own_error_code",
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
        "        return self._started + self.limits.wall_s + 3 - time.monotonic()",
        WIRE + "test_a_child_that_never_reads_its_answers_meets_the_deadline",
    ),
    Mutation(
        "a run does not wait for its gateway",
        "sandbox/broker.py",
        "                self._await_answer(question.bell)\n",
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
        "ThreadPoolExecutor(AT_ONCE,",
        "ThreadPoolExecutor(2 * AT_ONCE,",
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
