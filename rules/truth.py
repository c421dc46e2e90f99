"""What a condition, a group and a row say when they can say neither yes nor no, and what that may still become."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from rules.facts import LookupKey
from rules.trace import Truth, cut


# Tuples, which are made several times as fast as frozen records.
class Undecided(NamedTuple):
    """What a condition says when it can say neither yes nor no."""

    reason: str
    lookup: LookupKey | None = None
    worth_waiting: bool = False
    failed: bool = False


#: What something undecided may still turn out to be, one bit each: yes, no, undecided for good, failed for good.
YES, NO, UNCLEAR, FAILED = 1, 2, 4, 8


class Open(NamedTuple):
    """Conditions that cannot be decided yet, or at all, and what they may become together.

    `may` counts the answers on their way, `may_at_last` those too that a table that never goes without waits for."""

    leaves: tuple[Undecided, ...]
    may: int
    may_at_last: int

    @classmethod
    def leaf(cls, undecided: Undecided) -> Open:
        if undecided.failed:
            return cls((undecided,), FAILED, FAILED)
        return cls((undecided,), YES | NO if undecided.worth_waiting else UNCLEAR, YES | NO)

    @property
    def failed(self) -> bool:
        """Whether an error is in it: of two reasons to be undecided that is the one that weighs."""
        return any(one.failed for one in self.leaves)

    def opposite(self) -> Open:
        return Open(self.leaves, opposite(self.may), opposite(self.may_at_last))


class Lack(NamedTuple):
    """What is said of a row that could not be decided."""

    lookups: tuple[LookupKey, ...]
    reason: str
    error: str  # "" when nothing went wrong
    without: tuple[str, ...]  # what the table went without: names of lookups, or why there is no value

    @classmethod
    def of(cls, truth: Open) -> Lack:
        if len(truth.leaves) == 1:  # as most are; said in a third of the time
            [leaf] = truth.leaves
            lookups = () if leaf.lookup is None else (leaf.lookup,)
            if leaf.failed:
                return cls(lookups, cut(leaf.reason), leaf.reason, ())
            return cls(lookups, cut(leaf.reason), "", (leaf.lookup.name if leaf.lookup else leaf.reason,))
        failed = truth.failed
        reasons = [one.reason for one in truth.leaves if one.failed or not failed]
        return cls(
            tuple(dict.fromkeys(one.lookup for one in truth.leaves if one.lookup is not None)),
            cut("; ".join(dict.fromkeys(reasons))),
            reasons[0] if failed else "",
            () if failed else tuple(one.lookup.name if one.lookup else one.reason for one in truth.leaves),
        )


def opposite(may: int) -> int:
    return (may & ~(YES | NO)) | (NO if may & YES else 0) | (YES if may & NO else 0)


def both(one: int, other: int) -> int:
    """What "one and other" may become: no weighs most, then failed, then undecided."""
    # At least one is no; or none is and at least one failed; and so on down.
    result = (one | other) & NO
    result |= FAILED if (one | other) & FAILED and one & ~NO and other & ~NO else 0
    calm_one, calm_other = one & (YES | UNCLEAR), other & (YES | UNCLEAR)
    result |= UNCLEAR if (one | other) & UNCLEAR and calm_one and calm_other else 0
    return result | (one & other & YES)


Answer: TypeAlias = bool | Undecided
#: A row's truth: yes, no, or the conditions that could not be decided.
RowTruth: TypeAlias = bool | Open


def ends(truth: RowTruth) -> bool:
    """Whether a *first* table looks at no row behind this one."""
    return truth is True or certainly_failed(truth)


def certainly_failed(truth: RowTruth) -> bool:
    """Whether an error keeps the row undecided whatever is answered: a *first* table ends there."""
    return not isinstance(truth, bool) and truth.may == FAILED


def awaited(truth: RowTruth) -> tuple[LookupKey, ...]:
    """The lookups of a row whose answer is on its way."""
    if isinstance(truth, bool):
        return ()
    return tuple(one.lookup for one in truth.leaves if one.lookup is not None and one.worth_waiting)


def may_become(truth: Open, never_without: bool) -> int:
    """What an undecided row may still turn out to be. A failed one waits for answers on their way only."""
    return truth.may_at_last if never_without and not truth.failed else truth.may


def could_match(truth: Open, never_without: bool) -> bool:
    """Whether answers could make this row match: all that it lacks is on its way, or is to be had without fail."""
    return bool(may_become(truth, never_without) & YES)


def truth_of(truth: RowTruth) -> Truth:
    return Truth.UNKNOWN if not isinstance(truth, bool) else Truth.TRUE if truth else Truth.FALSE
