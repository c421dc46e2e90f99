"""What a script may say: the policy, its hooks, builtins and facades.

Not here, because another wall makes them unnecessary: `await` and the like (no async function gets past its own rule),
the unpacking hooks (nothing in a script's reach has hooks that they would meet), and the list of a facade's members (it
is the dictionary that is asked).
"""

from __future__ import annotations

from tests.mutations.mutation import Mutation

ATTRIBUTES = "tests/attacks/test_attributes.py::"
CLASSES = "tests/attacks/test_classes_and_guards.py::"
BOMBS = "tests/attacks/test_compile_bombs.py::"
FRAMES = "tests/attacks/test_frames_and_errors.py::"
IMPORTS = "tests/attacks/test_imports.py::"
TEXT = "tests/attacks/test_text.py::"
EVERY_GUARD = "tests/attacks/test_every_guard.py::"
NO_ADDRESS = "tests/attacks/test_every_guard.py::test_text_that_a_script_makes_holds_no_address"
EVERY_NODE = "tests/attacks/test_every_node.py::"
LANGUAGE = "tests/sandbox/test_language.py::"
RUN = "tests/sandbox/test_run.py::"
PATTERNS = "tests/sandbox/test_patterns.py::"
CHECK = "tests/sandbox/test_check.py::"


def _hook(name: str, ours: str, plain: str, test: str = "test_a_hook_refuses_what_it_is_there_for") -> Mutation:
    """One hook of the language replaced by what Python does by itself."""
    old, new = f'        "{name}": {ours},\n', f'        "{name}": {plain},\n'
    return Mutation(f"the hook {name}", "sandbox/child/guards.py", old, new, f"{EVERY_GUARD}{test}[{name}]")


def _builtin(name: str, ours: str, test: str = "") -> Mutation:
    """One builtin of ours replaced by Python's."""
    where = test or f"{EVERY_GUARD}test_a_builtin_is_no_way_out[{name}]"
    return Mutation(f"the builtin {name}", "sandbox/child/guards.py", f'        "{name}": {ours},\n', "", where)


MUTATIONS = (
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
        "an error in finally instead of a limit",
        "sandbox/policy.py",
        "        if node.finalbody:\n",
        "        if False:\n",
        FRAMES + "test_an_error_raised_in_finally_does_not_hide_a_limit",
    ),
    Mutation(
        "what a text is filled with",
        "sandbox/child/guards.py",
        "    return all(type(one) in _PLAIN for one in values)\n",
        "    return True\n",
        TEXT + "test_no_output_shows_an_address",
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
        "addresses in the order of a set",
        "sandbox/child/guards.py",
        '        return int(vars(self).setdefault("_number", next(_numbers)))\n',
        "        return super().__hash__()\n",
        "tests/sandbox/test_language.py::test_where_an_object_lies_in_memory_does_not_decide_its_place_in_a_set",
    ),
    Mutation(
        "addresses in bytes",
        "sandbox/child/guards.py",
        "    if kind is bytes:\n",
        "    if False:\n",
        TEXT + "test_bytes_that_a_script_makes_hold_no_address[b'%a' % now]",
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
        "            exec(compiled.code, self._names(start))\n            manifest = compiled.manifest\n",
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
    Mutation(
        "the builtin print",
        "sandbox/child/main.py",
        '        scope["__builtins__"]["print"] = self._print\n',
        "",
        RUN + "test_a_script_asks_prints_and_acts",
    ),
    _builtin("repr", "repr_", NO_ADDRESS + "[repr(now)]"),
    _builtin("str", "Text()"),
    _builtin("super", "Parents"),
    Mutation(
        "private attributes behind super()",
        "sandbox/child/guards.py",
        "        if kind is Parents and name in MAGIC:\n",
        "        if kind is Parents:\n",
        CLASSES + "test_super_finds_only_what_the_script_put_into_its_own_classes[module]",
    ),
    Mutation(
        "what super() finds in classes that are not the script's",
        "sandbox/child/guards.py",
        "        if type(base) is ScriptClass and name in vars(base):\n            return getattr(super(",
        "        if name in vars(base):\n            return getattr(super(",
        CLASSES + "test_super_finds_only_what_the_script_put_into_its_own_classes[method_of_an_error]",
    ),
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
)
