"""Ways out through attributes: everything with an underscore, and everything a type does not list."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

WALKS = {
    "class_of_a_tuple": 'print("PWNED", ().__class__)',
    "bases": 'print("PWNED", ().__class__.__bases__[0].__subclasses__())',
    "mro": 'print("PWNED", int.__mro__)',
    "subclasses_of_a_type": 'print("PWNED", list.__subclasses__())',
    "dict_of_the_ticket": 'print("PWNED", ticket.__dict__)',
    "slots_of_the_ticket": 'print("PWNED", ticket.__slots__)',
    "globals_of_a_function": 'def f(): pass\nprint("PWNED", f.__globals__)',
    "code_of_a_function": 'def f(): pass\nprint("PWNED", f.__code__)',
    "closure_of_an_operation": 'print("PWNED", crm.find_customer.__closure__)',
    "self_of_a_method": 'print("PWNED", "".join.__self__)',
    "func_of_a_method": 'class A:\n    def m(self): pass\nprint("PWNED", A().m.__func__)',
    "wrapped": 'print("PWNED", now.__wrapped__)',
    "builtins": 'print("PWNED", print.__builtins__)',
    "module": 'print("PWNED", print.__module__)',
    "reduce": 'print("PWNED", "".__reduce_ex__(2))',
    "init_of_a_class": 'class A: pass\nprint("PWNED", A.__init__)',
    "doc_of_json": 'print("PWNED", json.__doc__)',
    "loader_of_json": 'print("PWNED", json.__loader__)',
    "single_underscore_member": 'print("PWNED", re.compile("a")._compiled)',
    "set_a_private_attribute": 'class A: pass\na = A()\na.__class__ = A\nprint("PWNED")',
    "set_a_class_of_a_fact": 'customer.__class__ = dict\nprint("PWNED")',
    "delete_a_private_attribute": 'class A: pass\ndel A.__dict__\nprint("PWNED")',
    "augment_a_private_attribute": 'class A: pass\nA.__dict__ += 1\nprint("PWNED")',
    "full_width_underscore": 'print("PWNED", ().\uff3f\uff3fclass\uff3f\uff3f)',
    "name_with_underscores": 'print("PWNED", __builtins__)',
    "name_of_a_guard": '_getattr_ = lambda a, b: "PWNED"\nprint(ticket.nothing)',
    "guard_as_parameter": 'def f(_getattr_): return ().x\nprint("PWNED")',
    "guard_as_positional_only": 'def f(_getattr_, /): return ().x\nprint("PWNED")',
    "guard_as_keyword_only": 'def f(*, _getattr_): return ().x\nprint("PWNED")',
    "guard_as_star": 'def f(*_getattr_): return ().x\nprint("PWNED")',
    "guard_as_double_star": 'def f(**_getattr_): return ().x\nprint("PWNED")',
    "guard_as_lambda_parameter": 'f = lambda _write_: 1\nprint("PWNED")',
    "guard_as_walrus": '(_getitem_ := 1)\nprint("PWNED")',
    "guard_as_loop_variable": 'for _getiter_ in [1]: pass\nprint("PWNED")',
    "guard_as_comprehension_variable": 'x = [1 for _getiter_ in [1]]\nprint("PWNED")',
    "guard_as_exception_name": 'try:\n    1/0\nexcept Exception as _getattr_:\n    pass\nprint("PWNED")',
    "guard_as_class": 'class _getattr_: pass\nprint("PWNED")',
    "guard_as_function": 'def _getattr_(a, b): pass\nprint("PWNED")',
    "guard_as_import": 'import json as _getattr_\nprint("PWNED")',
    "guard_from_import": 'from json import loads as _getattr_\nprint("PWNED")',
    "guard_as_global": 'def f():\n    global _getattr_\nprint("PWNED")',
    "guard_as_nonlocal": 'def f():\n    x = 1\n    def g():\n        nonlocal _getattr_\nprint("PWNED")',
    "guard_as_star_target": '*_getattr_, b = [1, 2]\nprint("PWNED")',
    "guard_in_annotation": '_getattr_: int = 1\nprint("PWNED")',
    "metaclass_hook": '__metaclass__ = int\nprint("PWNED")',
    "roles": 'x__roles__ = 1\nprint("PWNED")',
    "attribute_roles": 'class A: pass\nA.x__roles__ = 1\nprint("PWNED")',
    "del_a_guard": 'del _getattr_\nprint("PWNED")',
}


@pytest.mark.alike
@pytest.mark.parametrize("name", WALKS)
def test_private_names_are_refused_before_anything_runs(host: Host, name: str) -> None:
    refused(host, 'print("started")\n' + WALKS[name], "FORBIDDEN", "SYNTAX")
    assert host.run('print("started")\n' + WALKS[name]).log == ()


BY_TEXT = {
    "getattr_dunder": 'print("PWNED", getattr((), "__class__"))',
    "getattr_joined": 'print("PWNED", getattr((), "_" + "_class_" + "_"))',
    "getattr_default": 'print("PWNED", getattr((), "__class__", 1))',
    "getattr_from_a_fact": 'print("PWNED", getattr((), json.loads(\'"__class__"\')))',
    "hasattr_dunder": 'print("PWNED", hasattr((), "__class__"))',
    "map_getattr": 'print("PWNED", list(map(getattr, [()], ["__class__"])))',
    "apply_getattr": 'print("PWNED", getattr(*[(), "__class__"]))',
    "sorted_key_getattr": 'print("PWNED", sorted([1], key=lambda x: getattr(x, "__class__")))',
}


@pytest.mark.parametrize("name", BY_TEXT)
def test_private_names_are_refused_when_they_come_as_text(host: Host, name: str) -> None:
    refused(host, BY_TEXT[name], "FORBIDDEN")


CLOSED = {
    "mro_of_a_type": 'print("PWNED", int.mro())',
    "gi_frame_by_text": 'print("PWNED", getattr((x for x in [1]), "gi_frame"))',
    "function_attribute": 'def f(): pass\nprint("PWNED", f.x)',
    "operation_attribute": 'print("PWNED", crm.find_customer.name)',
    "connection_members": 'print("PWNED", crm.operations)',
    "facade_members": 'print("PWNED", json.members)',
    "ticket_facts": 'print("PWNED", ticket.facts)',
    "ticket_actions": 'print("PWNED", ticket.actions)',
    "log_write": 'print("PWNED", log.write)',
    "match_inner": 'print("PWNED", re.match("a", "a").re)',
    "unbound_dict_method": 'print("PWNED", dict.update)',
    "unbound_list_method": 'print("PWNED", list.append)',
    "tuple_of_a_decimal": 'print("PWNED", decimal.Decimal(1).as_tuple())',
    "time_tuple": 'print("PWNED", now().timetuple())',
    "range_type": 'print("PWNED", range.start)',
    "text_type_member": 'print("PWNED", str.mro)',
    "random_state": 'print("PWNED", random.getstate)',
    "random_class": 'print("PWNED", random.Random)',
    "decimal_context": 'print("PWNED", decimal.getcontext())',
    "method_attribute": 'print("PWNED", [].append.x)',
    "exception_traceback": 'try:\n    1/0\nexcept Exception as e:\n    print("PWNED", e.tb_frame)',
}


@pytest.mark.alike
@pytest.mark.parametrize("name", CLOSED)
def test_a_type_has_only_the_attributes_it_lists(host: Host, name: str) -> None:
    refused(host, CLOSED[name], "ATTRIBUTE", "FORBIDDEN")


def test_an_attribute_name_that_only_pretends_to_be_text_is_refused(host: Host) -> None:
    source = 'class S:\n    def startswith(self, x): return False\nprint("PWNED", getattr((), S()))'
    assert "An attribute's name is text" in refused(host, source, "RUNTIME")


def test_default_of_getattr_does_not_hide_a_refusal(host: Host) -> None:
    assert harmless(host, 'print(getattr((), "nothing", 5), hasattr([], "append"), hasattr([], "nothing"))') == [
        "5 True False"
    ]
