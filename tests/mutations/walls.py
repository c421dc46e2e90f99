"""Every layer of the jail, and the service that lends its children.

Not here, because another wall makes them unnecessary: the check for x32 calls (no number of theirs is on the lists) and
the parent death signal of the zygote's outer half (it ends with the inner one).
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ESCAPED = "tests/attacks/test_escaped.py::"
RESOURCES = "tests/attacks/test_resources.py::"
LAYERS = "tests/sandbox/test_layers.py::"
HOST_LIMITS = "tests/sandbox/test_host_limits.py::"
SERVICE = "tests/sandbox/test_service.py::"
_LIMITS = "test_a_childs_limits_are_the_kernels_own"


def _rlimit(name: str, old: str, test: str) -> Mutation:
    return Mutation(f"rlimits: {name}", "sandbox/jail.py", f"        {old}\n", "", LAYERS + test)


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
        "seccomp: the clocks of other processes",
        "sandbox/seccomp.py",
        "_jump(_JGE, _CLOCK_OF_A_PROCESS, 0, 1)",
        "_jump(_JGE, 0, 1, 1)",
        ESCAPED + "test_nothing_succeeds[nobody-clock_of_the_first]",
    ),
    Mutation(
        "seccomp: waiting by the clocks of other processes",
        "sandbox/seccomp.py",
        'numbers(["clock_gettime", "clock_nanosleep"], machine), "OWN_CLOCK"',
        'numbers(["clock_gettime"], machine), "OWN_CLOCK"',
        LAYERS + "test_no_process_reads_or_waits_for_the_clock_of_another",
    ),
    Mutation(
        "seccomp: futexes of other processes",
        "sandbox/seccomp.py",
        "_jump(_JSET, _FUTEX_PRIVATE, 0, len(_FUTEX_CALLS) + 1)",
        "_jump(_JGE, 0, 0, 0)",
        ESCAPED + "test_two_runs_at_once_cannot_signal_each_other_through_the_code_they_share[nobody]",
    ),
    Mutation(
        "seccomp: locks that name a process",
        "sandbox/seccomp.py",
        "(0, 1, 9, 10)",
        "(0, 1, 6, 9, 10)",
        ESCAPED + "test_no_lock_tells_which_processes_there_are[nobody-seccomp_and_rlimits_alone]",
    ),
    Mutation(
        "seccomp: advice about memory that others have",
        "sandbox/seccomp.py",
        "_jump(_JEQ, _FREE, 0, 1)",
        "_jump(_JGE, 0, 0, 1)",
        ESCAPED + "test_nothing_succeeds[nobody-merge_pages]",
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
        "        _close_all_but(fd)\n        _die_with_parent()\n",
        "        _close_all_but(fd)\n",
        LAYERS + "test_a_child_dies_with_its_zygote_also_without_a_pid_namespace",
    ),
    Mutation(
        "a child whose zygote is gone already",
        "sandbox/zygote.py",
        "        if _getppid() != zygote:\n",
        "        if False:\n",
        LAYERS + "test_a_child_whose_zygote_is_gone_by_the_time_it_asks_to_die_with_it_reads_nothing[True-71 nothing]",
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
        "sandbox/processes.py",
        'env={"PYTHONHASHSEED": "0",',
        'env={**os.environ, "PYTHONHASHSEED": "0",',
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
        "    _closerange(4, _HIGHEST_FD)\n",
        "",
        ESCAPED + "test_the_child_has_no_descriptor_but_its_own",
    ),
    Mutation(
        "no memory that children share",
        "sandbox/child/main.py",
        "flags=mmap.MAP_PRIVATE |",
        "flags=mmap.MAP_SHARED |",
        ESCAPED + "test_a_run_leaves_nothing_in_memory_for_the_next_one[nobody]",
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
)
