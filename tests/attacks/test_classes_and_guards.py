"""Ways out through classes of the script's own, hooks on them, and the guards themselves."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

MAGIC = (
    "__new__ __del__ __getattr__ __getattribute__ __setattr__ __delattr__ __class__ __reduce__ __reduce_ex__"
    " __getstate__ __init_subclass__ __set_name__ __get__ __set__ __prepare__ __instancecheck__ "
    "__subclasshook__ __mro_entries__"
    " __class_getitem__ __enter__ __exit__ __format__ __index__ __dir__ __sizeof__ __await__ __aiter__ __missing__"
).split()


@pytest.mark.alike
@pytest.mark.parametrize("name", MAGIC)
def test_hooks_that_python_calls_behind_the_scenes_cannot_be_defined(host: Host, name: str) -> None:
    refused(host, f'class A:\n    def {name}(self, *a): return 1\nA()\nprint("PWNED")', "FORBIDDEN")


CLASSES = {
    "metaclass": 'class A(metaclass=int): pass\nprint("PWNED")',
    "keyword": 'class A(x=1): pass\nprint("PWNED")',
    "slots": 'class A:\n    __slots__ = ()\nprint("PWNED")',
    "class_dict": 'class A:\n    __dict__ = 1\nprint("PWNED")',
    "module_level_magic": 'def __init__(self): pass\nprint("PWNED")',
    "magic_in_a_function": 'def f():\n    def __init__(self): pass\nprint("PWNED")',
    "lambda_magic": 'class A:\n    __init__ = lambda self: None\nprint("PWNED")',
}


@pytest.mark.parametrize("name", CLASSES)
def test_odd_classes_are_refused_before_anything_runs(host: Host, name: str) -> None:
    refused(host, CLASSES[name], "FORBIDDEN")


BASES = {
    "str": "class A(str): pass",
    "int": "class A(int): pass",
    "dict": "class A(dict): pass",
    "list": "class A(list): pass",
    "a_real_type": "class A(property): pass",
    "datetime": "class A(datetime.datetime): pass",
    "decimal": "class A(decimal.Decimal): pass",
    "an_instance": "class A(ticket): pass",
    "a_function": "class A(print): pass",
    "stop_iteration": "class A(StopIteration): pass",
    "starred": "class A(*[int]): pass",
}


@pytest.mark.parametrize("name", BASES)
def test_a_class_inherits_only_from_scripts_classes_and_exceptions(host: Host, name: str) -> None:
    refused(host, BASES[name] + '\nprint("PWNED")', "FORBIDDEN", "RUNTIME")


WRITES = {
    "fact": "ticket.priority = 'high'",
    "fact_item": "ticket.fields['order'] = 'x'",
    "fact_del": "del customer.name",
    "fact_augmented": "ticket.tags += ['x']",
    "fact_list": "ticket.tags.append('x')",
    "fact_list_sort": "ticket.tags.sort()",
    "fact_dict": "customer.update(name='x')",
    "fact_pop": "customer.pop('name')",
    "answer": "crm.find_customer(email='a').tags.append('x')",
    "facade": "json.loads = print",
    "facade_member": "math.pi = 3",
    "connection": "crm.find_customer = print",
    "function": "def f(): pass\nf.x = 1",
    "builtin_type": "dict.get = 1",
    "exception_type": "ValueError.x = 1",
    "unavailable": "Unavailable.from_call = True",
    "instance_of_exception": "try:\n    1/0\nexcept Exception as e:\n    e.x = 1",
    "tuple": "x = (1,)\nx[0] = 2",
    "text": "x = 'a'\nx[0] = 'b'",
    "through_unpacking": "(ticket.status, b) = (1, 2)",
    "through_for": "for ticket.status in [1]: pass",
    "through_star": "*ticket.tags, b = [1, 2]",
    "now": "now.x = 1",
    "log": "log.x = 1",
    "method_on_type": "list.append = 1",
    "comprehension_target": "[1 for ticket.x in [1]]",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", WRITES)
def test_only_the_scripts_own_things_can_be_changed(host: Host, name: str) -> None:
    refused(host, WRITES[name] + '\nprint("PWNED")', "FORBIDDEN", "ATTRIBUTE", "RUNTIME")


def test_methods_of_the_type_do_not_change_a_fact_either(host: Host) -> None:
    source = "x = ticket.tags\nx += ['new']\ny = customer\ny |= {'name': 'x'}\n"
    assert harmless(host, source + "print(ticket.tags, customer.name, x, y['name'])") == [
        "['vip'] Ann Ek ['vip', 'new'] x"
    ]


ESCAPING = {
    "subclass_of_text_as_value": "class A:\n    def __str__(self): return 'x'\nticket.add_note(A())",
    "function_as_value": "ticket.set_context('k', print)",
    "connection_as_value": "ticket.set_context('k', crm)",
    "generator_as_value": "ticket.add_tags(x for x in 'ab')",
    "set_as_value": "ticket.add_tags({'a'})",
    "class_as_value": "class A: pass\nticket.set_context('k', [A])",
    "exception_as_value": "ticket.set_context('k', ValueError('x'))",
    "exception_of_ours": "class D(Exception):\n    def isoformat(self): return 'PWNED'\nticket.set_context('k', D())",
}


@pytest.mark.parametrize("name", ESCAPING)
def test_only_plain_values_leave_the_script(host: Host, name: str) -> None:
    assert "cannot leave the script" in (message := refused(host, ESCAPING[name], "VALUE")) or "set" in message


TYPES_AS_ITEMS = {
    "list": "list[int]",
    "dict": "dict[str, int]",
    "tuple": "tuple[int]",
    "own": "class A: pass\nA[int]",
    "exception": "Exception[int]",
}


@pytest.mark.parametrize("name", TYPES_AS_ITEMS)
def test_types_have_no_items(host: Host, name: str) -> None:
    refused(host, TYPES_AS_ITEMS[name] + '\nprint("PWNED")', "RUNTIME")


STATEMENTS = {
    "async_def": "async def f(): pass",
    "await": "await x",
    "async_for": "async def f():\n    async for x in y: pass",
    "async_comprehension": "async def f():\n    return [x async for x in y]",
    "match": "match 1:\n    case int(): pass",
    "match_class_pattern": "match ticket:\n    case object(__class__=c): print('PWNED', c)",
    "with": "with crm as c: pass",
    "exec": "exec('1')",
    "eval": "eval('1')",
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements_without_a_rule_are_refused(host: Host, name: str) -> None:
    refused(host, STATEMENTS[name] + '\nprint("PWNED")', "FORBIDDEN", "SYNTAX")


ANY_NAME = "class A:\n    def __eq__(self, other): return True\n    def __hash__(self): return 1\n"
ODD = {
    "a_name_like_every_name": ANY_NAME + "getattr(ticket, A())",
    "an_item_like_every_item": ANY_NAME + "ticket[A()]",
    "asking_for_a_name_like_every_name": ANY_NAME + "hasattr(crm, A())",
    "an_assignment_in_a_comprehension": "[(_getattr_ := x) for x in [1]]",
    "an_assignment_in_a_lambda": "(lambda: (__import__ := 1))()",
    "a_private_name_in_wide_letters": "getattr((), '\uff3f\uff3fclass\uff3f\uff3f')",
    "a_format_in_a_format": "x = f'{1:{().__class__}}'",
    "a_format_of_a_connection": "format(crm, '{0.__class__}')",
    "a_function_for_what_is_no_json": "json.dumps({'a': crm}, default=str)",
    "a_function_for_each_object": "json.loads('{}', object_hook=print)",
    "a_codec_by_a_path": "'x'.encode('../../etc/passwd')",
    "a_codec_that_is_a_module": "b'x'.decode('os')",
    "a_zone_of_its_own": "class Z:\n    def utcoffset(self, at): print('PWNED')\ndatetime.datetime.now(Z())",
    "a_file_to_print_to": "print('x', **{'file': ticket})",
    "the_function_of_a_property": "property(len).fget",
    "the_precision_of_all_decimals": "decimal.getcontext().prec = 10**9",
    "a_fact_put_in_disorder": "random.shuffle(ticket.tags)",
    "the_order_of_a_class": "class A: pass\nA.mro()",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", ODD)
def test_odd_ways_lead_nowhere(host: Host, name: str) -> None:
    refused(host, ODD[name] + '\nprint("PWNED")', "FORBIDDEN", "ATTRIBUTE", "RUNTIME")


def test_a_decorator_gets_only_what_the_script_has(host: Host) -> None:
    assert harmless(host, "def d(f):\n    return 5\n@d\ndef g(): pass\n@d\nclass A: pass\nprint(g, A)") == ["5 5"]


def test_unpacking_cannot_reach_a_hook(host: Host) -> None:
    source = "class A:\n    def __iter__(self): return iter([1, 2])\na, b = A()\nprint(a, b, [x for x in A()], *A())"
    assert harmless(host, source) == ["1 2 [1, 2] 1 2"]


def test_shadowing_a_builtin_does_not_reach_the_guards(host: Host) -> None:
    source = (
        "Exception = 1\niter = 2\ngetattr = 3\ntry:\n    1/0\nexcept:\n    print('caught')\nfor x in [1]:\n    print(x)"
    )
    assert harmless(host, source) == ["caught", "1"]


#: In a method of a class of the script's own, or outside.
SUPER = {
    "method_of_an_error": "class A(Exception):\n    def m(self): return super().with_traceback\n"
    "print('PWNED', A().m())",
    "arguments_of_an_error": "class A(Exception):\n    def m(self): return super().args\nprint('PWNED', A('x').m())",
    "text_of_an_error": "class A(Exception):\n    def m(self): return super().__str__()\nprint('PWNED', A('x').m())",
    "hash": "class A:\n    def m(self): return super().__hash__\nprint('PWNED', A().m())",
    "dict": "class A:\n    n = 1\nclass B(A):\n    def m(self): return getattr(super(), '__dict__')\n"
    "print('PWNED', B().m())",
    "module": "class A:\n    n = 1\nclass B(A):\n    def m(self): return getattr(super(), '__module__')\n"
    "print('PWNED', B().m())",
    "class": "class A:\n    def m(self): return getattr(super(), '__class__')\nprint('PWNED', A().m())",
    "the_cell": "class A:\n    def m(self): return __class__\nprint('PWNED', A().m())",
    "its_inside": "class A: pass\nprint('PWNED', super(A, A()).owner)",
    "its_type": "print('PWNED', super.mro)",
    "a_fact": "class A: pass\nprint('PWNED', super(A, ticket))",
    "a_fact_as_self": "class A:\n    def m(self):\n        self = ticket\n        return super().facts\n"
    "print('PWNED', A().m())",
    "a_builtin_type": "print('PWNED', super(Exception, ValueError('x')))",
    "an_error_that_is_not_own": "class A(Exception): pass\nprint('PWNED', super(A, ValueError('x')))",
    "assigned": "class A:\n    def m(self): super().x = 5\nA().m()\nprint('PWNED')",
    "assigned_magic": "class A:\n    def m(self): super().__init__ = 5\nA().m()\nprint('PWNED')",
    "as_a_base": "class A(super): pass\nprint('PWNED')",
    "outside": "print('PWNED', super())",
    "in_a_class_body": "class A:\n    x = super()\nprint('PWNED')",
    "in_an_inner_function": "class A:\n    def m(self):\n        def inner(): return super()\nprint('PWNED')",
    "in_an_inner_lambda": "class A:\n    def m(self): return lambda: super()\nprint('PWNED')",
    "magic_of_another_call": "class A:\n    def m(self): return supper().__init__\nprint('PWNED')",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", SUPER)
def test_super_finds_only_what_the_script_put_into_its_own_classes(host: Host, name: str) -> None:
    refused(host, SUPER[name], "FORBIDDEN", "ATTRIBUTE", "RUNTIME")


def test_what_super_hands_out_shows_nothing_of_ours(host: Host) -> None:
    source = "class A:\n    def m(self): return super()\nprint(A().m(), super)\nclass B:\n"
    source += "    def m(self): return super().__init__\nprint(B().m())\n"
    assert harmless(host, source + "try:\n    B().m()(1)\nexcept TypeError as e:\n    print(e)") == [
        "<super> <class 'super'>",
        "<function super().__init__>",
        "super().__init__() takes no arguments where no class behind this one has an __init__",
    ]
