"""The first sentence of docs/architecture.md, stated once more without any tool: who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: What of ours each package may import, besides itself.
MAY_IMPORT = {
    "tickets": set(),
    "rules": {"tickets"},
    "sandbox": set(),
    "connectors": {"tickets"},
    "jobs": {"tickets", "rules", "sandbox", "connectors"},
    "web": {"tickets", "rules", "sandbox", "connectors", "jobs"},
    "run_tool": set(),
}
#: The one home of each library that could otherwise be anywhere.
HOMES = {
    "flask": {"web"},
    "apiflask": {"web"},
    "RestrictedPython": {"sandbox"},
    "requests": {"connectors"},
    "rq": {"jobs"},
    "redis": {"jobs", "connectors"},
    "sqlalchemy": {"tickets", "rules", "connectors", "jobs", "web"},
    "alembic": {"tickets"},
}


def imports_of(source: str) -> set[str]:
    """The top-level names `source` imports, anywhere in it, also under TYPE_CHECKING."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def broken(package: str, names: set[str]) -> set[str]:
    """Those of `names` that a module of `package` may not import."""
    ours = names & set(MAY_IMPORT) - {package} - MAY_IMPORT[package]
    return ours | {name for name in names & set(HOMES) if package not in HOMES[name]}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    modules = sorted((ROOT / package).rglob("*.py"))
    assert modules, f"{package}/ has no modules"
    outside = {
        str(module.relative_to(ROOT)): names
        for module in modules
        if "node_modules" not in module.parts and (names := broken(package, imports_of(module.read_text())))
    }
    assert outside == {}


@pytest.mark.parametrize(
    ("package", "source", "names"),
    [
        ("tickets", "import rules.engine", {"rules"}),
        ("rules", "def f():\n    from jobs import lanes", {"jobs"}),
        ("rules", "from sandbox.client import Sandbox", {"sandbox"}),
        ("sandbox", "from tickets.values import JSON", {"tickets"}),
        ("connectors", "import rules", {"rules"}),
        ("jobs", "from flask import g", {"flask"}),
        ("web", "import requests, rq", {"requests", "rq"}),
        ("run_tool", "import jobs", {"jobs"}),
        ("web", "import jobs, tickets.db", set()),
    ],
)
def test_an_import_the_wrong_way_is_seen(package: str, source: str, names: set[str]) -> None:
    assert broken(package, imports_of(source)) == names


def test_run_tool_needs_nothing_installed() -> None:
    """./run starts with a bare Python: nothing but its standard library is there yet."""
    import sys

    outside = set()
    for module in (ROOT / "run_tool").rglob("*.py"):
        outside |= imports_of(module.read_text()) - set(sys.stdlib_module_names) - {"run_tool"}
    assert outside == set()
