"""A script that stands in the rule list itself: as the table of one row that says the same.

Its content says when it runs (`triggers`) and on what (`kind`, `scope`); its row has no conditions and one step, which
runs the script with the defaults of its parameters. So it is ordered, held, waited for and explained like any table.
"""

from __future__ import annotations

from collections.abc import Mapping

from tickets.values import JSON

#: The id of the row that a listed script is; the ledger of fired rows goes by it.
ROW = "listed"
_STEP = "run"
#: The keys of a script's content that make it an entry of the list.
KEYS = ("triggers", "kind", "scope")


def is_listed(content: Mapping[str, JSON]) -> bool:
    """Whether this version of a script has triggers of its own."""
    return bool(content.get("triggers"))


def as_table(code: str, content: Mapping[str, JSON]) -> dict[str, JSON]:
    """The data of the table that a listed script is; `rules.parse` says what is wrong with it."""
    data: dict[str, JSON] = {
        "code": code,
        "name": content.get("name"),
        "kind": content.get("kind") or "ticket",
        "triggers": content.get("triggers"),
        "hit": "first",
        "wait_s": 0,
        "steps": [{"id": _STEP, "do": "run_script"}],
        "rows": [{"id": ROW, "then": {_STEP: {"script": code}}}],
    }
    if content.get("scope"):
        data["scope"] = content["scope"]
    return data
