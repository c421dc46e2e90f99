"""What the editor wants to know beyond the policy: names that nothing has, calls that cannot work, and the manifest.

It judges nothing that the jail or the broker relies on. Like the policy, it only ever runs inside the jail.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from typing import Any

from sandbox import names
from sandbox.contract import MANIFEST_NAMES, Manifest, Method, Problem, ScriptApi
from sandbox.errors import Code
from sandbox.hints import did_you_mean, json_argument_hint, name_hint, signature, too_many_arguments
from sandbox.source import lines_of

#: So many names are compared with wrong ones to find what was meant, some half a second; the rest get no such hint.
MOST_COMPARED = 25_000


class Places:
    """Where a node stands, in characters; the parser counts bytes."""

    def __init__(self, source: str) -> None:
        self._lines = lines_of(source)

    def problem(self, node: ast.AST, code: Code, severity: Any, message: str, hint: str = "") -> Problem:
        line = getattr(node, "lineno", 1)
        end_line = getattr(node, "end_lineno", None) or line
        column = self.column(line, getattr(node, "col_offset", 0))
        end_column = self.column(end_line, getattr(node, "end_col_offset", None) or 0)
        if (end_line, end_column) <= (line, column):
            end_line, end_column = line, column + 1
        return Problem(line, column, end_line, end_column, code, severity, message, hint)

    def column(self, line: int, offset: int) -> int:
        if not 1 <= line <= len(self._lines):
            return 0
        text = self._lines[line - 1]
        if text.isascii():
            return min(offset, len(text))
        return len(text.encode()[:offset].decode(errors="ignore"))


class Closer(ast.NodeVisitor):
    """The second look, over the untouched tree: names nothing defines, calls that cannot work, and the manifest."""

    def __init__(self, api: ScriptApi, places: Places) -> None:
        self.problems: list[Problem] = []
        self._api = api
        self._places = places
        self._bound: set[str] = set()
        self._read: list[ast.Name] = []
        self._seen: list[tuple[ast.Attribute, ast.Call | None]] = []
        self._fields: set[str] = set()
        self._actions: set[str] = set()
        self._operations: set[str] = set()
        self._changes: set[str] = set()
        self._behind: set[int] = set()
        self._compared = 0

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read.append(node)
        else:
            self._bind(node, node.id)

    def visit_Call(self, node: ast.Call) -> None:
        match node.func:
            case ast.Attribute(value=ast.Constant(value=str()) | ast.JoinedStr(), attr="format" | "format_map"):
                self._say(node.func, Code.FORBIDDEN, "Text has no format() in scripts", 'Use an f-string: f"{name}".')
        if isinstance(node.func, ast.Attribute):
            self._attribute(node.func, node)
            self.visit(node.func.value)
            for part in (*node.args, *node.keywords):
                self.visit(part)
        else:
            self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute(node, None)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`ticket.fields["x"]`, `customer["x"]` and the like name what they read."""
        match node:
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id="ticket"), attr=("fields" | "context") as family),
                slice=ast.Constant(value=str() as key),
            ):
                self._fields.add(f"ticket.{family}.{key}")
                self._behind.add(id(node.value))
                self._behind.add(id(node.value.value))  # type: ignore[attr-defined]
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key)) if name in names.FACTS:
                self._fields.add(f"{name}.{key}")
                self._behind.add(id(node.value))
        self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        """`if customer` and `customer is None` only look whether there is one: that hands nothing on."""
        match node:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) | ast.Assert(test=test):
                self._only_tested(test)
            case ast.UnaryOp(op=ast.Not(), operand=test):
                self._only_tested(test)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(
                isinstance(one, (ast.Is, ast.IsNot)) for one in ops
            ):
                for one in (left, *others):
                    self._only_tested(one)
            case ast.comprehension(ifs=tests):
                for one in tests:
                    self._only_tested(one)
        super().generic_visit(node)

    def _only_tested(self, node: ast.expr) -> None:
        if isinstance(node, ast.Name):
            self._behind.add(id(node))
        elif isinstance(node, ast.BoolOp):
            for one in node.values:
                self._only_tested(one)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._bind(node, node.name)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._bind(node, node.name)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self._bind(node, node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        if node.value is not None:
            self.visit(node.value)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node, node.name)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            # `import json` leaves the name to what it is anyway.
            if alias.asname or alias.name not in names.FACADES:
                self.visit(alias)

    def visit_alias(self, node: ast.alias) -> None:
        self._bind(node, node.asname or node.name)

    def _bind(self, node: ast.AST, name: str) -> None:
        if name in self._bound:
            return
        self._bound.add(name)
        if not name.isascii() and any(_looks_like_another(char) for char in name):
            message = f"The name {name!r} holds letters that can look like others"
            self.problems.append(
                self._places.problem(
                    node, Code.SUSPICIOUS, "warning", message, "Use the letters a-z, digits and _ in names."
                )
            )

    def _attribute(self, node: ast.Attribute, call: ast.Call | None) -> None:
        if isinstance(node.value, ast.Name):
            self._seen.append((node, call))

    def finish(self) -> None:
        """Judge what was gathered; only now is every name known, wherever it is defined."""
        for node, call in self._seen:
            assert isinstance(node.value, ast.Name)
            owner = node.value.id
            if owner in self._bound:
                self._hidden(owner)
                continue
            self._behind.add(id(node.value))
            if owner == "ticket":
                self._on_ticket(node, call)
            elif owner in self._api.connections:
                self._on_connection(owner, node, call)
            elif owner in names.FACADES:
                self._on_facade(owner, node, call)
            elif owner in names.FACTS:
                # `.get("x")` and its like read through the record itself.
                key = _first_text(call) if node.attr == "get" and call else node.attr
                whole = key is None or node.attr in ("items", "keys", "values")
                self._fields.add(f"{owner}.*" if whole else f"{owner}.{key}")
        known = names.ALL | self._api.connections.keys() | self._bound
        for name in self._read:
            if name.id.startswith("_") and name.id != "_":
                continue  # the policy refuses it, with a better reason
            if name.id not in known:
                hint = self._hint(name, known)
                self.problems.append(
                    self._places.problem(name, Code.NAME, "error", f"Nothing is called {name.id!r} here", hint)
                )
            elif id(name) not in self._behind:
                # Handed on under another name: what happens to it there is not visible in the text.
                self._hidden(name.id)

    def _hidden(self, name: str) -> None:
        """All that this name could stand for. Also for a name the script binds itself somewhere, a parameter for
        example: which of the two is meant where, the text does not tell."""
        if name == "ticket":
            self._fields.add("ticket.*")
            self._actions.add("*")
        elif name in names.FACTS:
            self._fields.add(f"{name}.*")
        elif name in self._api.connections:
            self._operations.add(f"{name}.*")
            self._changes |= {f"{name}.{key}" for key, one in self._api.connections[name].items() if one.writes}

    def manifest(self) -> Manifest:
        """What the text shows. A part that would be longer than may be said is said by its stars: all of it."""
        return Manifest(
            _listed(self._fields),
            _listed(self._actions, lambda _: "*"),
            _listed(self._operations),
            # Nothing stands for these. There are as many as operations that write, and the broker says no to the rest.
            tuple(sorted(self._changes)[:MANIFEST_NAMES]),
        )

    def _on_ticket(self, node: ast.Attribute, call: ast.Call | None) -> None:
        action = self._api.actions.get(node.attr)
        if not isinstance(node.ctx, ast.Load):
            hint = (
                "Facts are read-only; call one of the ticket's actions: " + ", ".join(sorted(self._api.actions))[:300]
            )
            self._say(node, Code.FORBIDDEN, f"ticket.{node.attr} cannot be assigned", hint)
        elif action is not None:
            self._actions.add(node.attr)
            if call is not None:
                self._arguments(f"ticket.{node.attr}", action, call)
        elif call is not None and node.attr not in ("get", "keys", "values", "items"):
            self._say(
                node, Code.ATTRIBUTE, f"ticket has no action {node.attr!r}", self._near(node.attr, self._api.actions)
            )
        elif id(node) not in self._behind:
            key = _first_text(call) if call else node.attr
            self._fields.add("ticket.*" if key is None or node.attr in ("keys", "values", "items") else f"ticket.{key}")

    def _on_connection(self, owner: str, node: ast.Attribute, call: ast.Call | None) -> None:
        operations = self._api.connections[owner]
        method = operations.get(node.attr)
        if not isinstance(node.ctx, ast.Load):
            self._say(node, Code.FORBIDDEN, f"{owner}.{node.attr} cannot be assigned", "Use a name of your own.")
        elif method is None:
            self._say(
                node, Code.ATTRIBUTE, f"{owner} has no operation {node.attr!r}", self._near(node.attr, operations)
            )
        else:
            (self._changes if method.writes else self._operations).add(f"{owner}.{node.attr}")
            if call is not None:
                self._arguments(f"{owner}.{node.attr}", method, call)

    def _on_facade(self, owner: str, node: ast.Attribute, call: ast.Call | None) -> None:
        members = names.MEMBERS[owner]
        if isinstance(node.ctx, ast.Load) and node.attr not in members and not node.attr.startswith("_"):
            hint = names.INSTEAD.get(f"{owner}.{node.attr}") or self._near(node.attr, members)
            self._say(node, Code.ATTRIBUTE, f"{owner} has no attribute {node.attr!r}", hint)
        elif call is not None and owner == "json" and node.attr in members:
            # Named so often out of habit that it is told before a run ends in it.
            what = f"{owner}.{node.attr}"
            takes = [part.split("=")[0] for part in members[node.attr][1:-1].split(", ")]
            for keyword in call.keywords:
                if keyword.arg is not None and keyword.arg not in takes:
                    hint = json_argument_hint(what, keyword.arg)
                    self._say(keyword, Code.ARGUMENT, f"{what} has no argument {keyword.arg!r}", hint)

    def _arguments(self, what: str, method: Method, call: ast.Call) -> None:
        takes = [param.name for param in method.params]
        open_ended = any(isinstance(one, ast.Starred) for one in call.args) or any(k.arg is None for k in call.keywords)
        given = set() if open_ended else set(takes[: len(call.args)])
        if len(call.args) > len(takes) and not open_ended:
            message = too_many_arguments(what, len(takes), len(call.args))
            self._say(call.args[len(takes)], Code.ARGUMENT, message, _signature(what, method))
        for keyword in call.keywords:
            if keyword.arg is None:
                continue
            if keyword.arg not in takes:
                hint = self._near(keyword.arg, takes) or _signature(what, method)
                self._say(keyword, Code.ARGUMENT, f"{what} has no argument {keyword.arg!r}", hint)
            elif keyword.arg in given:
                self._say(keyword, Code.ARGUMENT, f"{what} gets {keyword.arg!r} twice", _signature(what, method))
            given.add(keyword.arg)
        missing = [param.name for param in method.params if param.required and param.name not in given]
        if missing and not open_ended:
            self._say(call, Code.ARGUMENT, f"{what} needs {' and '.join(missing)}", _signature(what, method))

    def _hint(self, name: ast.Name, known: Collection[str]) -> str:
        return name_hint(name.id, known, dotted=id(name) in self._behind) if self._may_compare(known) else ""

    def _near(self, wrong: str, known: Collection[str]) -> str:
        return did_you_mean(wrong, known) if self._may_compare(known) else ""

    def _may_compare(self, known: Collection[str]) -> bool:
        # Finding the nearest of a thousand names takes milliseconds, and a text pasted in has thousands of wrong ones.
        self._compared += len(known)
        return self._compared <= MOST_COMPARED

    def _say(self, node: ast.AST, code: Code, message: str, hint: str = "") -> None:
        self.problems.append(self._places.problem(node, code, "error", message, hint))


def _listed(found: set[str], star: Callable[[str], str] = lambda one: f"{one.partition('.')[0]}.*") -> tuple[str, ...]:
    return tuple(sorted(found if len(found) <= MANIFEST_NAMES else {star(one) for one in found}))


def _signature(what: str, method: Method) -> str:
    return signature(what, ((one.name, one.required) for one in method.params))


def _looks_like_another(char: str) -> bool:
    """Whether this letter can be taken for another one: anything but Latin letters, and of these the dotless i.

    French and Polish words make good names; Cyrillic ones read like names that they are not."""
    return not char.isascii() and (not "\u00c0" <= char <= "\u024f" or char == "\u0131")


def _first_text(call: ast.Call | None) -> str | None:
    match call:
        case ast.Call(args=[ast.Constant(value=str() as key), *_]):
            return key
    return None
