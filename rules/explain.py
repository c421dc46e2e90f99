"""Why, and why not: one entry of the rule list against one item, all rows and all conditions.

It calls the function that decides, so it cannot tell another story; it only keeps everything that function saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rules.engine import EFFECTS_PER_ROOT, Entry, explain_entry
from rules.facts import Facts
from rules.trace import EntryTrace
from rules.vocabulary import Vocabulary
from tickets.values import JSON


def explain(
    entry: Entry,
    facts: Facts,
    vocabulary: Vocabulary,
    *,
    held: frozenset[str] = frozenset(),
    staged: Mapping[str, JSON] | None = None,
    wait_over: bool = False,
    effects_left: int = EFFECTS_PER_ROOT,
) -> EntryTrace:
    """The full trace of this entry on these facts: every row with every condition, also those never reached.

    An entry that is switched off or not triggered by the event is explained too; its verdict is `not_triggered`,
    its reason says which of the two, and its rows show what would have held."""
    trace = explain_entry(
        entry, facts, vocabulary, held=held, staged=staged or {}, wait_over=wait_over, effects_left=effects_left
    )
    return trace if entry.enabled else replace(trace, reason="It is switched off.")
