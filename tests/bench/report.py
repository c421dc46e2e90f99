"""What every benchmark prints and writes: figures with a unit, which way is better, a target, and whether it holds.

A ratio compares two things measured in one run, interleaved, and decides the exit code; a budget is an absolute time on
this machine and never does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured number. `holds` is whether it meets `target`; None target: only told."""

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    kind: Literal["ratio", "budget"]
    target: float | None = None

    @property
    def holds(self) -> bool:
        if self.target is None:
            return True
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def python() -> str:
    """The Python this ran on. One that was optimised by a profile of itself is faster, and not every build says so
    of itself."""
    flags = " ".join(str(sysconfig.get_config_var(name)) for name in ("CONFIG_ARGS", "PY_CORE_CFLAGS"))
    by_profile = re.search("--enable-optimizations|-fprofile-(instr-)?use", flags)
    how = "with profile-guided optimisation" if by_profile else "whose build names no profile-guided optimisation"
    return f"Python {platform.python_version()}, {how}"


def machine() -> dict[str, object]:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": python(),
        "system": platform.platform(),
        "load": list(os.getloadavg()),
    }


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def finish(figures: Sequence[Figure], file: Path | None) -> int:
    """Print a table, write the file, and return the exit code: 1 when a ratio does not hold."""
    print(python())
    width = max(len(one.name) for one in figures)
    for one in figures:
        target = "" if one.target is None else f"{'<=' if one.better == 'lower' else '>='} {one.target:g}"
        mark = "" if one.target is None else "holds" if one.holds else "DOES NOT HOLD"
        print(f"{one.name:{width}}  {one.value:12.3f} {one.unit:14} {target:10} {mark}")
    if file is not None:
        data = {"machine": machine(), "figures": [{**asdict(one), "holds": one.holds} for one in figures]}
        file.write_text(json.dumps(data, indent=2) + "\n")
    broken = [one.name for one in figures if one.kind == "ratio" and not one.holds]
    if broken:
        print(f"These ratios do not hold: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0..1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
