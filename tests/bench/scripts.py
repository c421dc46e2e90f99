"""`./run bench scripts`: what one run of a script costs, and how many run together, against plain things beside it.

Our run makes two calls, two writes and one print. It is measured from the source and from kept code, interleaved with a
check of the same source; then 50 runs at once against an upstream that takes 500 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sandbox.contract import RunRequest
from tests.bench.report import Figure, arguments, finish, percentile
from tests.sandbox.hosts import API, CUSTOMER, NOW, TICKET, TableGateway, a_host

ROUNDS = 150
AT_ONCE = 50
UPSTREAM_S = 0.5

SOURCE = """
found = crm.find_customer(email=customer.email)
party = erp.find_party(email=customer.email)
if found is not None and party is not None:
    ticket.set_context("crm", {"name": found.name}, title="Customer", source="crm.find_customer")
    ticket.add_tags(["known"])
    print("found", found.name)
""" + "\n".join(
    f"def step_{number}(given):\n    kept = [x * 2 for x in range(given) if x % 2]\n    return sum(kept) + {number}\n"
    for number in range(15)
)


def main() -> int:
    """Measure, print, and return the exit code."""
    given = arguments(__doc__ or "").parse_args()
    gateway = TableGateway({"crm.find_customer": {"name": "Ann"}, "erp.find_party": {"id": 1}})
    with a_host() as host:
        code = host.sandbox.compiled(SOURCE) or b""
        assert code

        def run(kept: bytes, through: TableGateway = gateway) -> tuple[float, float]:
            """Milliseconds until the outcome, and the child's own of CPU."""
            request = RunRequest(SOURCE, API, ticket=TICKET, customer=CUSTOMER, now=NOW, code=kept)
            began = time.perf_counter()
            outcome = host.sandbox.run(request, through)
            assert outcome.status == "finished", outcome.error
            return (time.perf_counter() - began) * 1000, float(outcome.usage.cpu_ms)

        measured: dict[str, list[tuple[float, float]]] = {"source": [], "kept": []}
        rounds: tuple[tuple[str, Callable[[], tuple[float, float]]], ...] = (
            ("source", lambda: run(b"")),
            ("kept", lambda: run(code)),
        )
        for _ in range(ROUNDS):
            for name, one in rounds:
                measured[name].append(one())
                time.sleep(0.004)  # a ready child is forked meanwhile, as between two tickets
        slow = TableGateway({"crm.find_customer": _slow, "erp.find_party": {"id": 1}})
        began = time.perf_counter()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(lambda _: run(code, slow), range(AT_ONCE)))
        together_s = time.perf_counter() - began
    wall = {name: [one[0] for one in found] for name, found in measured.items()}
    cpu = {name: sum(one[1] for one in found) / len(found) for name, found in measured.items()}
    return finish(
        [
            Figure("kept code, p50", percentile(wall["kept"], 0.5), "ms", "lower", "budget", 2.5),
            Figure("kept code, p99", percentile(wall["kept"], 0.99), "ms", "lower", "budget", 10),
            Figure("from source, p50", percentile(wall["source"], 0.5), "ms", "lower", "budget"),
            Figure("child CPU, kept code", cpu["kept"], "ms", "lower", "budget"),
            Figure("child CPU, from source", cpu["source"], "ms", "lower", "budget"),
            Figure("kept code to source, CPU", cpu["kept"] / cpu["source"], "x", "lower", "ratio", 0.8),
            Figure(f"{AT_ONCE} at once, {UPSTREAM_S:g} s upstream", together_s, "s", "lower", "budget", 1.5),
        ],
        given.json,
    )


def _slow(email: str) -> dict[str, str]:
    time.sleep(UPSTREAM_S)
    return {"name": email}


if __name__ == "__main__":
    sys.exit(main())
