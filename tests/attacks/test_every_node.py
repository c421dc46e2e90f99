"""Every kind of syntax this Python has: what is refused is refused, what is allowed carries no attack.

The list is Python's own, so a new Python with new syntax fails here until somebody has looked at it."""

from __future__ import annotations

import ast

import pytest

from tests.attacks.judge import refused
from tests.sandbox.hosts import Host, TableGateway

#: Never the outcome of parsing a script: other modes, type comments, and what only old Pythons made.
NOT_FROM_A_SCRIPT = frozenset(
    "AST mod stmt expr expr_context boolop operator unaryop cmpop excepthandler pattern type_ignore type_param"
    " Interactive Expression FunctionType TypeIgnore Suite AugLoad AugStore Param Num Str Bytes NameConstant"
    " Ellipsis ast_Ellipsis Index ExtSlice slice".split()
)
NODES = sorted(
    name
    for name, kind in vars(ast).items()
    if isinstance(kind, type) and issubclass(kind, ast.AST) and name.lstrip("_") not in NOT_FROM_A_SCRIPT
)
OUT = "().__class__"
OPERATORS = dict(
    zip(
        "Add Sub Mult Div FloorDiv Mod Pow MatMult LShift RShift BitOr BitXor BitAnd Eq NotEq Lt LtE Gt GtE In Is"
        " And Or".split(),
        "+ - * / // % ** @ << >> | ^ & == != < <= > >= in is and or".split(),
        strict=True,
    )
) | {"IsNot": "is not", "NotIn": "not in"}
#: What scripts have, with a way out put where the node lets one stand.
ALLOWED = {
    **{name: f"x = 1 {sign} {OUT}" for name, sign in OPERATORS.items()},
    "Invert": f"x = ~{OUT}",
    "Not": f"x = not {OUT}",
    "UAdd": f"x = +{OUT}",
    "USub": f"x = -{OUT}",
    "AnnAssign": f"x: int = {OUT}",
    "Assert": f"assert {OUT}, {OUT}",
    "Assign": "_getattr_ = 1",
    "Attribute": OUT,
    "AugAssign": "class A: pass\nA.__dict__ += 1",
    "BinOp": f"x = {OUT} + {OUT}",
    "BoolOp": f"x = {OUT} or 1",
    "Break": f"while {OUT}:\n    break",
    "Call": "f = getattr\nf((), '__class__')",
    "ClassDef": "class _getattr_: pass",
    "Compare": f"x = 1 < {OUT} < 3",
    "Constant": "x = 'a'.__class__",
    "Continue": "for x in [().__class__]:\n    continue",
    "Del": "del ticket.status",
    "Delete": "class A: pass\ndel A.__dict__",
    "Dict": f"x = {{{OUT}: {OUT}}}",
    "DictComp": f"x = {{1: {OUT} for y in [1]}}",
    "ExceptHandler": "try:\n    1/0\nexcept Exception as _getattr_:\n    pass",
    "Expr": OUT,
    "For": "for ticket.status in [1]:\n    pass",
    "FormattedValue": f"x = f'{{{OUT}}}'",
    "FunctionDef": "def _getattr_(a, b): pass",
    "GeneratorExp": f"x = list({OUT} for y in [1])",
    "Global": "def f():\n    global _getattr_\n    _getattr_ = 1\nf()",
    "If": f"if {OUT}:\n    pass",
    "IfExp": f"x = 1 if {OUT} else 2",
    "Import": "import os",
    "ImportFrom": "from os import path",
    "JoinedStr": f"x = f'{{1:{{{OUT}}}}}'",
    "Lambda": "f = lambda _getattr_: 1",
    "List": f"x = [{OUT}]",
    "ListComp": f"x = [{OUT} for y in [1]]",
    "Load": "x = __builtins__",
    "Module": "__metaclass__ = int",
    "Name": "x = __import__",
    "NamedExpr": "(_getattr_ := 1)",
    "Nonlocal": "def f():\n    x = 1\n    def g():\n        nonlocal x, _getattr_\n    _getattr_ = 1",
    "Pass": f"def f(x={OUT}):\n    pass",
    "Raise": f"raise ValueError({OUT})",
    "Return": f"def f():\n    return {OUT}\nf()",
    "Set": f"x = {{{OUT}}}",
    "SetComp": f"x = {{{OUT} for y in [1]}}",
    "Slice": f"x = [1][{OUT}:]",
    "Starred": f"x = [*{OUT}]",
    "Store": "for _write_ in [1]: pass",
    "Subscript": "x = ticket['_x'].__class__",
    "Try": f"try:\n    {OUT}\nfinally:\n    {OUT}",
    "Tuple": f"x = ({OUT},)",
    "UnaryOp": f"x = -{OUT}",
    "While": f"while {OUT}:\n    pass",
    "Yield": f"def f():\n    yield {OUT}\nlist(f())",
    "YieldFrom": f"def f():\n    yield from {OUT}\nlist(f())",
    "alias": "import json as _getattr_",
    "arg": "def f(_getattr_, /): pass",
    "arguments": "def f(*, _getattr_=1, **_write_): pass",
    "comprehension": "x = [1 for _getiter_ in [1]]",
    "keyword": f"x = dict(a={OUT})",
}
#: What scripts do not have.
REFUSED = {
    "AsyncFor": "async def f():\n    async for x in y: pass",
    "AsyncFunctionDef": "async def f(): pass",
    "AsyncWith": "async def f():\n    async with x: pass",
    "Await": "async def f():\n    await x",
    "Match": "match 1:\n    case _: pass",
    "MatchAs": "match 1:\n    case x: pass",
    "MatchClass": "match ticket:\n    case object(__class__=x): print('PWNED', x)",
    "MatchMapping": "match customer:\n    case {'name': x}: print('PWNED', x)",
    "MatchOr": "match 1:\n    case 1 | 2: pass",
    "MatchSequence": "match [1]:\n    case [x]: pass",
    "MatchSingleton": "match None:\n    case None: pass",
    "MatchStar": "match [1]:\n    case [*x]: pass",
    "MatchValue": "match 1:\n    case 1: pass",
    "match_case": "match 1:\n    case 1 if now(): pass",
    "With": "with crm as x: pass",
    "withitem": "with crm: pass",
    "TryStar": "try:\n    1/0\nexcept* Exception:\n    print('PWNED')",
    # Python 3.12 to 3.14
    "TypeAlias": "type X = int",
    "TypeVar": "def f[T](x): pass",
    "ParamSpec": "class A[**P]: pass",
    "TypeVarTuple": "def f[*T](x): pass",
    "TemplateStr": "x = t'{1}'",
    "Interpolation": "x = t'{().__class__}'",
}


def test_every_kind_of_syntax_has_an_attack() -> None:
    assert set(NODES) - ALLOWED.keys() - REFUSED.keys() == set()
    assert not ALLOWED.keys() & REFUSED.keys()


@pytest.mark.alike
@pytest.mark.parametrize("name", [name for name in NODES if name in ALLOWED])
def test_allowed_syntax_carries_no_way_out(host: Host, name: str) -> None:
    source = ALLOWED[name]
    assert getattr(ast, name) in {type(node) for node in ast.walk(ast.parse(source))}
    refused(host, source + "\nprint('PWNED')", "FORBIDDEN", "SYNTAX")


@pytest.mark.parametrize("name", [name for name in NODES if name in REFUSED])
def test_other_syntax_is_refused_before_anything_runs(host: Host, name: str) -> None:
    source = REFUSED[name]
    assert getattr(ast, name) in {type(node) for node in ast.walk(ast.parse(source))}
    gateway = TableGateway()
    outcome = host.run("print('started')\ncrm.find_customer(email='a')\n" + source + "\nprint('PWNED')", gateway)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("refused", "FORBIDDEN")
    assert outcome.error.hint
    assert outcome.error.line is not None
    assert outcome.error.line >= 3
    assert (outcome.log, outcome.actions, gateway.calls) == ((), (), [])
