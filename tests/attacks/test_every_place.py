"""Every place of the grammar where an expression or a target may stand: a private attribute hides in none of them, and
through none is a fact written."""

from __future__ import annotations

import pytest

from tests.attacks.judge import harmless, refused
from tests.sandbox.hosts import Host

PRIVATE = "().__class__"
#: Where an expression may stand; `HERE` is the expression.
PLACES = {
    "default": "def f(x=HERE): pass",
    "keyword_default": "def f(*, x=HERE): pass",
    "lambda_default": "f = lambda x=HERE: x",
    "decorator": "@HERE\ndef f(): pass",
    "class_decorator": "@HERE\nclass A: pass",
    "base": "class A(HERE): pass",
    "class_body": "class A:\n    x = HERE",
    "format": "f'{HERE}'",
    "format_spec": "f'{1:{HERE}}'",
    "spec_in_a_spec": "f'{1:{2:{HERE}}}'",
    "format_debug": "f'{HERE=}'",
    "comprehension_condition": "[1 for x in [1] if HERE]",
    "comprehension_source": "[1 for x in HERE]",
    "inner_comprehension_source": "[1 for x in [1] for y in HERE]",
    "dict_comprehension": "{1: HERE for x in [1]}",
    "dict_comprehension_key": "{HERE: 1 for x in [1]}",
    "set_comprehension": "{HERE for x in [1]}",
    "generator": "list(HERE for x in [1])",
    "slice": "[1][HERE:]",
    "slice_end": "[1][:HERE]",
    "slice_step": "[1][::HERE]",
    "index": "[1][HERE]",
    "starred_index": "x = [1]\nx[*HERE]",
    "raise": "raise HERE",
    "raise_from": "raise ValueError() from HERE",
    "assert": "assert HERE",
    "assert_message": "assert 0, HERE",
    "except_type": "try:\n    1/0\nexcept HERE:\n    pass",
    "except_types": "try:\n    1/0\nexcept (ValueError, HERE):\n    pass",
    "walrus": "(y := HERE)",
    "yield": "def f():\n    yield HERE",
    "yield_from": "def f():\n    yield from HERE",
    "return": "def f():\n    return HERE",
    "star_argument": "print(*HERE)",
    "double_star_argument": "print(**HERE)",
    "keyword_argument": "print(sep=HERE)",
    "called": "HERE()",
    "dict_unpacking": "{**HERE}",
    "list_unpacking": "[*HERE]",
    "set_unpacking": "{*HERE}",
    "ternary": "1 if HERE else 2",
    "and": "1 and HERE",
    "comparison": "1 < HERE < 2",
    "not": "not HERE",
    "in": "1 in HERE",
    "augmenting_a_name": "x = 1\nx += HERE",
    "augmenting_an_attribute": "class A:\n    x = 1\na = A()\na.x += HERE",
    "augmenting_an_item": "x = [1]\nx[HERE] += 1",
    "augmented_owner": "HERE.x += 1",
    "target_owner": "HERE.x = 1",
    "annotated_target_owner": "HERE.x: int = 1",
    "annotated_value": "x: int = HERE",
    "loop_target_owner": "for HERE.x in [1]: pass",
    "delete": "del HERE",
    "delete_item": "x = [1]\ndel x[HERE]",
    "loop_else": "for x in []: pass\nelse: HERE",
    "while": "while HERE: pass",
    "try_else": "try: pass\nexcept ValueError: pass\nelse: HERE",
    "finally": "try: pass\nfinally: HERE",
    "handler": "try:\n    1/0\nexcept Exception:\n    HERE",
    "lambda": "f = lambda: HERE",
    "nested_function": "def f():\n    def g():\n        HERE",
    "method": "class A:\n    def m(self): return HERE",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", PLACES)
def test_a_private_attribute_hides_in_no_place_of_the_grammar(host: Host, name: str) -> None:
    source = PLACES[name].replace("HERE", PRIVATE)
    refused(host, f'print("PWNED")\n{source}', "FORBIDDEN", "SYNTAX")


@pytest.mark.parametrize(
    "made", ["x: HERE = 1", "x: HERE", "def f(x: HERE): pass", "def f(*x: HERE): pass", "def f() -> HERE: pass"]
)
def test_an_annotation_is_never_evaluated(host: Host, made: str) -> None:
    for one in (PRIVATE, 'print("PWNED")', "crm.find_customer(email='a')"):
        assert harmless(host, made.replace("HERE", one)) == []


#: What no script writes to.
FACTS = (
    "ticket.status",
    "ticket.tags[0]",
    "ticket.fields['order']",
    "customer['name']",
    "customer.emails[0]",
    "params['x']",
    "math.pi",
)
#: Where a target may stand; `HERE` is the target.
TARGETS = {
    "assignment": "HERE = 1",
    "chain": "b = HERE = 1",
    "annotated": "HERE: int = 1",
    "augmented": "HERE += 1",
    "tuple": "(HERE, b) = (1, 2)",
    "list": "[b, HERE] = [1, 2]",
    "starred": "*HERE, b = [1, 2]",
    "nested": "(b, (HERE, c)) = (1, (2, 3))",
    "loop": "for HERE in [1]: pass",
    "loop_tuple": "for b, HERE in [(1, 2)]: pass",
    "comprehension": "[1 for HERE in [1]]",
    "comprehension_tuple": "[1 for (b, HERE) in [(1, 2)]]",
    "generator": "list(1 for HERE in [1])",
    "set_comprehension": "{1 for HERE in [1]}",
    "dict_comprehension": "{1: 1 for HERE in [1]}",
    "delete": "del HERE",
    "delete_several": "b = 1\ndel b, HERE",
    "slice": "HERE[0:1] = [1]",
    "with": "with crm as HERE: pass",
}


@pytest.mark.alike
@pytest.mark.parametrize("name", TARGETS)
def test_no_target_of_the_grammar_writes_to_a_fact(host: Host, name: str) -> None:
    for fact in FACTS:
        source = TARGETS[name].replace("HERE", fact) + '\nprint("PWNED")'
        refused(host, source, "FORBIDDEN", "SYNTAX", "ATTRIBUTE", "RUNTIME")
