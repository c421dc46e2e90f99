"""The language of scripts: Python, read with RestrictedPython's rules and ours, every refusal with place and way out.

This is the first fence and the one that talks to people. It is not the wall: that is the jail around the process that
runs this. Only ever called inside that process, because parsing hostile text is already a risk.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

from RestrictedPython.transformer import (
    INSPECT_ATTRIBUTES,
    IOPERATOR_TO_STR,
    RestrictingNodeTransformer,
    copy_locations,
)

from sandbox import names
from sandbox.closer import Closer, Places
from sandbox.contract import Manifest, Problem, ScriptApi
from sandbox.errors import Code
from sandbox.limits import Limits
from sandbox.source import source_problem

#: The file name in tracebacks by which script frames are told from ours.
SCRIPT = "<script>"

#: Special methods that classes in scripts may define. Each only ever runs script code.
MAGIC = frozenset(
    f"__{name}__"
    for name in "init str repr len bool iter next contains getitem setitem call eq ne lt le gt ge hash add".split()
)

_UNSUPPORTED = {
    "AsyncFunctionDef": ("async functions", "Write a plain def; calls wait for their answer by themselves."),
    "AsyncFor": ("async for", "Write a plain for."),
    "AsyncWith": ("async with", "Calls need no with."),
    "Await": ("await", "Leave it out; calls wait for their answer by themselves."),
    "Match": ("match", "Use if / elif."),
    "TryStar": ("except*", "Use except."),
    "With": ("with", "There is nothing to open or close in a script; leave it out."),
    "TypeAlias": ("type statements", "Leave it out."),
    "TypeVar": ("type parameters", "Leave them out."),
    "ParamSpec": ("type parameters", "Leave them out."),
    "TypeVarTuple": ("type parameters", "Leave them out."),
    "TemplateStr": ("template strings", "Use an f-string."),
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A script's code, or None where `problems` holds an error."""

    code: CodeType | None
    problems: tuple[Problem, ...]
    manifest: Manifest


def compile_script(source: str, api: ScriptApi, limits: Limits, *, look_closer: bool) -> Compiled:
    """Parse, judge and compile. `look_closer` adds what the editor wants: unknown names and arguments, the manifest."""
    early = source_problem(source, limits)
    if early is not None:
        return Compiled(None, (early,), Manifest())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "invalid escape sequence" and its like go nowhere from here
        try:
            tree = ast.parse(source, SCRIPT)
        except SyntaxError as error:
            return Compiled(None, (_syntax(error, source),), Manifest())
        except (RecursionError, MemoryError, ValueError):
            return Compiled(None, (_too_deep(),), Manifest())
        found: list[Problem] = []
        manifest = Manifest()
        place = Places(source)
        code: CodeType | None = None
        try:
            if look_closer:
                closer = Closer(api, place)
                closer.visit(tree)
                closer.finish()
                found, manifest = closer.problems, closer.manifest()
            policy = Policy(place)
            tree = policy.visit(tree)
            found = policy.problems + found
            if not policy.problems:
                code = compile(tree, SCRIPT, "exec", dont_inherit=True)
        except SyntaxError as error:
            found = [_syntax(error, source), *found]
        except (RecursionError, MemoryError):
            found = [_too_deep(place, _deepest(tree)), *found]
        except (AttributeError, TypeError, ValueError):
            # A refused node leaves a hole that later visitors may stumble over. Without a refusal it is our bug.
            if not policy.problems:
                raise
            found = policy.problems + found
    found.sort(key=lambda one: (one.severity, one.line, one.column))
    return Compiled(code, _first(list(_distinct(found)), limits.problems), manifest)


class Policy(RestrictingNodeTransformer):
    """RestrictedPython's allow-list, with places and hints, plus the everyday Python it lacks."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.problems: list[Problem] = []
        self._places = places
        self._class_body: list[int] = []
        #: What stands around a node: "" for a class, the name of the first parameter for a method, None for another
        #: function.
        self._around: list[str | None] = []

    # How refusals are said

    def refuse(self, node: ast.AST, message: str, hint: str = "") -> None:
        self.problems.append(self._places.problem(node, Code.FORBIDDEN, "error", message, hint))

    def error(self, node: ast.AST, info: str) -> None:
        self.refuse(node, info)

    def warn(self, node: ast.AST, info: str) -> None:
        """RestrictedPython's own warnings are about print collectors, which we do not use."""

    def not_allowed(self, node: ast.AST) -> None:
        kind = type(node).__name__
        what, hint = _UNSUPPORTED.get(kind, (kind, "Write it with plain statements."))
        self.refuse(node, f"Scripts have no {what}", hint)

    def generic_visit(self, node: ast.AST) -> Any:
        """What has no rule is refused; it stays in the tree so that other visitors find no hole."""
        self.not_allowed(node)
        return node

    def visit_Await(self, node: ast.Await) -> Any:
        self.not_allowed(node)
        return node

    def visit_TemplateStr(self, node: ast.AST) -> Any:
        self.not_allowed(node)
        return node

    # Names and attributes

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        if name is None or name == "_":
            return
        if name.startswith("_"):
            if allow_magic_methods and name in MAGIC and id(node) in self._class_body:
                return
            hint = names.INSTEAD.get(name, "Names that start with _ are private; rename it.")
            self.refuse(node, f"The name {name!r} starts with an underscore", hint)
        elif name.endswith("__roles__"):
            self.refuse(node, f"The name {name!r} is reserved", "Rename it.")

    def visit_Name(self, node: ast.Name) -> Any:
        node = self.node_contents_visit(node)
        self.check_name(node, node.id)
        return node

    def _check_attribute(self, node: ast.Attribute) -> None:
        if node.attr.startswith("_") and node.attr != "_":
            self.refuse(
                node, f"The attribute {node.attr!r} starts with an underscore", "Names that start with _ are private."
            )
        elif node.attr.endswith("__roles__") or node.attr in INSPECT_ATTRIBUTES:
            self.refuse(node, f"The attribute {node.attr!r} is reserved", "Scripts cannot look inside the interpreter.")

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        reading = isinstance(node.ctx, ast.Load)
        if not (reading and node.attr in MAGIC and _is_super(node.value)):
            self._check_attribute(node)
        node = self.node_contents_visit(node)
        if reading:
            return _call(node, "_getattr_", node.value, ast.Constant(node.attr))
        node.value = _call(node.value, "_write_", node.value)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
            self.refuse(node, f"Scripts have no {node.func.id}", names.INSTEAD[node.func.id])
            return node
        if _is_super(node) and not node.args and not node.keywords:
            first = self._around[-1] if self._around else None
            if not first:
                self.refuse(node, "super() works directly in a method only", "Name the class: super(Name, self).")
                return node
            # Python finds both by itself where `super` is its own. The class is a cell that no script can name.
            return _call(node, "super", ast.Name("__class__", ast.Load()), ast.Name(first, ast.Load()))
        return super().visit_Call(node)

    # Statements that RestrictedPython refuses although they are harmless here

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """`x.a += 1` and `x[i] += 1` evaluate `x` (and `i`) once, like Python does."""
        operator = ast.Constant(IOPERATOR_TO_STR[type(node.op)])
        match node.target:
            case ast.Attribute(value=owner, attr=attr):
                self._check_attribute(node.target)
                call = _call(node, "_augattr_", self.visit(owner), ast.Constant(attr), operator, self.visit(node.value))
                return _expression(call, node)
            case ast.Subscript(value=owner, slice=index):
                call = _call(node, "_augitem_", self.visit(owner), self.visit(index), operator, self.visit(node.value))
                return _expression(call, node)
            case _:
                return super().visit_AugAssign(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Annotations are allowed and ignored."""
        if node.value is None:
            kept: ast.stmt = ast.Pass()
        else:
            kept = ast.Assign(targets=[node.target], value=node.value)
        copy_locations(kept, node)
        return kept if node.value is None else self.visit(kept)

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return self.node_contents_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        return self.visit_Global(node)

    def visit_Global(self, node: Any) -> Any:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        made: list[ast.stmt] = []
        for alias in node.names:
            if alias.name not in names.FACADES:
                self._refuse_import(node, alias.name)
                continue
            self.check_name(node, alias.asname)
            made.append(_assign(node, alias.asname or alias.name, "_import_", ast.Constant(alias.name)))
        return made or [_pass(node)]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        module = node.module or ""
        if module == "__future__" and not node.level:
            return _pass(node)
        if module not in names.FACADES or node.level:
            self._refuse_import(node, module)
            return _pass(node)
        made: list[ast.stmt] = []
        for alias in node.names:
            if alias.name == "*":
                self.refuse(node, "`import *` is not available", f"Write {module}.name, or name what you need.")
                continue
            self.check_name(node, alias.name)
            self.check_name(node, alias.asname)
            arguments = (ast.Constant(module), ast.Constant(alias.name))
            made.append(_assign(node, alias.asname or alias.name, "_import_", *arguments))
        return made or [_pass(node)]

    def _refuse_import(self, node: ast.AST, module: str) -> None:
        allowed = ", ".join(sorted(names.FACADES))
        hint = names.INSTEAD.get(module.partition(".")[0], "")
        self.refuse(node, f"{module or 'This'} cannot be imported", f"{hint} {allowed} are already there.".strip())

    # Errors: nothing may catch a limit

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        node = self.node_contents_visit(node)
        self.check_name(node, node.name)
        if node.type is None:
            node.type = ast.Name("_Exception_", ast.Load())
            copy_locations(node.type, node)
        node.body.insert(0, _expression(_call(node.body[0], "_caught_"), node.body[0]))
        return node

    def visit_Try(self, node: ast.Try) -> Any:
        for statement in node.finalbody:
            for leaving in _leaves(statement):
                self.refuse(
                    leaving,
                    f"`{type(leaving).__name__.lower()}` inside `finally` would swallow errors",
                    "Move it behind the try statement.",
                )
        node = self.node_contents_visit(node)
        if node.finalbody:
            # An error of its own would put itself in the place of the one on its way, which may be a limit.
            node.finalbody.insert(0, _expression(_call(node.finalbody[0], "_caught_"), node.finalbody[0]))
        return node

    def visit_With(self, node: ast.With) -> Any:
        self.not_allowed(node)
        return node

    # Text: nothing shows an address, nothing walks a format string

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        node = self.node_contents_visit(node)
        spec = node.format_spec or ast.Constant("")
        node.value = _call(node, "_format_", node.value, ast.Constant(node.conversion), spec)
        node.conversion, node.format_spec = -1, None
        return node

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        node = self.node_contents_visit(node)
        if isinstance(node.op, ast.Mod):
            return _call(node, "_mod_", node.left, node.right)
        return node

    # Functions and classes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        first = next((one.arg for one in (*node.args.posonlyargs, *node.args.args)), None)
        self._around.append(first if self._around and self._around[-1] == "" else None)
        try:
            return super().visit_FunctionDef(node)
        finally:
            self._around.pop()

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._around.append(None)
        try:
            return super().visit_Lambda(node)
        finally:
            self._around.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        if node.keywords:
            self.refuse(node.keywords[0], "Classes take no keyword arguments", "Leave it out.")
        if getattr(node, "type_params", None):
            self.refuse(node, "Scripts have no type parameters", "Leave them out.")
        self._class_body.extend(id(one) for one in node.body)
        node.keywords = []
        self._around.append("")
        try:
            made: Any = super().visit_ClassDef(node)
        finally:
            self._around.pop()
        copy_locations(made, node)
        return made


def _is_super(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _leaves(node: ast.AST, in_loop: bool = False) -> Iterable[ast.AST]:
    """The statements in `node` that would leave the block it stands in."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
            return
        case ast.Return():
            yield node
        case ast.Break() | ast.Continue():
            if not in_loop:
                yield node
        case ast.For() | ast.While():
            for inner in node.body:
                yield from _leaves(inner, True)
            for inner in node.orelse:
                yield from _leaves(inner, in_loop)
        case _:
            for inner_node in ast.iter_child_nodes(node):
                yield from _leaves(inner_node, in_loop)


def _call(place: Any, function: str, *arguments: ast.expr) -> ast.Call:
    made = ast.Call(func=ast.Name(function, ast.Load()), args=list(arguments), keywords=[])
    copy_locations(made, place)
    return made


def _expression(call: ast.expr, place: Any) -> ast.Expr:
    made = ast.Expr(call)
    copy_locations(made, place)
    return made


def _assign(place: Any, name: str, function: str, *arguments: ast.expr) -> ast.Assign:
    made = ast.Assign(targets=[ast.Name(name, ast.Store())], value=_call(place, function, *arguments))
    copy_locations(made, place)
    return made


def _pass(place: Any) -> ast.Pass:
    made = ast.Pass()
    copy_locations(made, place)
    return made


_SYNTAX_HINTS: Mapping[str, str] = {
    "'return' outside function": 'At the top level use stop("reason") to end the script.',
    "'await' outside function": "Leave it out; calls wait for their answer by themselves.",
    "Maybe you meant '=='": "Compare with ==.",
    "too many nested parentheses": "Use fewer brackets.",
    "f-string": "Use the other kind of quotes inside the braces.",
}


def _syntax(error: SyntaxError, source: str) -> Problem:
    line = max(1, error.lineno or 1)
    column = max(0, (error.offset or 1) - 1)
    end_line = max(line, error.end_lineno or line)
    end_column = max(0, (error.end_offset or 0) - 1)
    if (end_line, end_column) <= (line, column):
        end_line, end_column = line, column + 1
    message = str(error.msg or "invalid syntax")[:200]
    hint = next((text for words, text in _SYNTAX_HINTS.items() if words in message), "")
    return Problem(line, column, end_line, end_column, Code.SYNTAX, "error", message, hint)


def _too_deep(places: Places | None = None, node: ast.AST | None = None) -> Problem:
    """Where it is deepest, if the parser got so far."""
    message, hint = "The script is nested too deeply to be read", "Use fewer brackets, or a dict instead of many elif."
    if places is None or node is None:
        return Problem(1, 0, 1, 1, Code.SYNTAX, "error", message, hint)
    return places.problem(node, Code.SYNTAX, "error", message, hint)


def _deepest(tree: ast.AST) -> ast.AST | None:
    """The node with a place that stands in the most others, found without recursion."""
    found: tuple[int, ast.AST | None] = (0, None)
    stack = [(tree, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > found[0] and hasattr(node, "lineno"):
            found = depth, node
        stack.extend((inner, depth + 1) for inner in ast.iter_child_nodes(node))
    return found[1]


def _distinct(problems: Iterable[Problem]) -> Iterable[Problem]:
    seen: set[tuple[int, int, str]] = set()
    for one in problems:
        key = (one.line, one.column, one.message)
        if key not in seen:
            seen.add(key)
            yield one


def _first(problems: list[Problem], most: int) -> tuple[Problem, ...]:
    """At most `most` of them. When there are more, the last place says how many stay unsaid."""
    if len(problems) <= most:
        return tuple(problems)
    unsaid = problems[most - 1 :]
    message = f"{len(unsaid)} more problems are not shown"
    return (*problems[: most - 1], replace(unsaid[0], message=message, hint="Mend those above first."))
