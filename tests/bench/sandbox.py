"""`./run bench sandbox`: what one run of a script costs, beside forks without a jail and beside other products.

Our run makes two calls, two writes and one print. Everything runs on one pinned core, in rounds of shuffled order; a
cost is the CPU time of all processes that take part, client, service, zygote and children. Then the latency from a
ready child, and 50 runs at once against an upstream that takes 500 ms.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.broker import Broker, Lease, start_frame
from sandbox.contract import Outcome, RunRequest
from sandbox.limits import Limits
from sandbox.processes import Child, Zygote
from sandbox.zygote import FORK
from tests.bench.report import Figure, arguments, finish, percentile
from tests.bench.sandbox_forks import EXIT, KEPT
from tests.bench.sandbox_peers import PEERS
from tests.sandbox.hosts import API, CUSTOMER, NOW, ROOT, TICKET, Host, TableGateway, a_host, descendants, wait_until

ROUNDS = 12
#: Runs of one variant in one round; those that start a Python cost more, those without a process much less.
BATCH = 20
BATCHES = {"python -c with RestrictedPython": 3, "bubblewrap + python": 3, "in-process exec": 400, "asteval": 60}
LATENCIES = 150
AT_ONCE = 50
UPSTREAM_S = 0.5
LOCK = Path(__file__).with_name("sandbox_peers.lock.txt")

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


def gateway() -> TableGateway:
    return TableGateway({"crm.find_customer": {"name": "Ann"}, "erp.find_party": {"id": 1}})


def request(code: bytes) -> RunRequest:
    return RunRequest(SOURCE, API, ticket=TICKET, customer=CUSTOMER, now=NOW, code=code)


def sound(outcome: Outcome) -> None:
    assert outcome.status == "finished", outcome.error
    assert (len(outcome.actions), len(outcome.calls), len(outcome.log)) == (2, 2, 1)


@dataclass
class Variant:
    """One way to run the script: `batch(n)` runs it n times; `others` are processes that work for it, not this one."""

    name: str
    batch: Callable[[int], None]
    others: Callable[[], set[int]]
    runs: int = 0
    own_s: float = 0.0

    def measure(self, runs: int) -> None:
        began = time.process_time()
        self.batch(runs)
        self.own_s += time.process_time() - began
        self.runs += runs

    def others_s(self) -> float:
        """CPU seconds of its other processes so far, and of all children they have buried."""
        return sum(cpu_s(pid) for pid in self.others())


def cpu_s(pid: int) -> float:
    """Of one process: its own to the nanosecond, its buried children's to the clock tick."""
    with contextlib.suppress(OSError):
        buried = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
        own_ns = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        return own_ns / 1e9 + sum(map(int, buried)) / os.sysconf("SC_CLK_TCK")
    return 0.0


# The variants --------------------------------------------------------------------------------------------------------


def ours(name: str, host: Host, code: bytes) -> Variant:
    def batch(runs: int) -> None:
        for _ in range(runs):
            sound(host.sandbox.run(request(code), gateway()))

    return Variant(name, batch, lambda: {host.process.pid} | descendants(host.process.pid))


@contextmanager
def unjailed() -> Iterator[Host]:
    """The same service with every wall off."""
    with tempfile.TemporaryDirectory(prefix="dh-sb-") as folder:
        path = Path(folder, "s.sock")
        program = str(ROOT / "tests" / "bench" / "sandbox_unjailed.py")
        with subprocess.Popen([sys.executable, program, str(path)], cwd=ROOT, text=True) as process:
            host = Host(path, process, Path(folder, "log"), Limits())
            try:
                wait_until(path.exists, 15)
                yield host
            finally:
                process.terminate()
                process.wait(15)


def forked(name: str, server: Zygote, code: bytes, kind: bytes = FORK) -> Variant:
    """A bare fork server without service or ready children; with FORK the very broker and messages that ours has."""
    limits = Limits()

    def once() -> None:
        child = server.fork(kind, 0, 0)
        if kind == FORK:
            lease = leased(child)
            try:
                broker = Broker(lease, limits, API, API.only(None), API.only_actions(None), gateway())
                sound(broker.run(start_frame("run", request(code), limits)))
            finally:
                lease.service.close()
                child.end()
            return
        if kind == KEPT:
            child.talk.sendall(start_frame("run", request(code), limits))
        assert select.select([child.ended_fd], [], [], 10)[0]
        child.end()

    def batch(runs: int) -> None:
        for _ in range(runs):
            once()

    return Variant(name, batch, lambda: {server.process.pid} | descendants(server.process.pid))


def leased(child: Child) -> Lease:
    return Lease(child.talk, child.ended_fd, child.pidfd, socket.socket(socket.AF_UNIX))


@contextmanager
def fork_server() -> Iterator[Zygote]:
    program = str(ROOT / "tests" / "bench" / "sandbox_forks.py")
    path = json.dumps([str(ROOT), *[one for one in sys.path if one]])
    server = Zygote(lambda fd: [sys.executable, "-s", "-S", "-P", program, path, str(fd)])
    try:
        server.hello()
        yield server
    finally:
        server.stop()


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Variant]:
    program = str(ROOT / "tests" / "bench" / "sandbox_peers.py")
    with subprocess.Popen(
        [sys.executable, program, name, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        talk = (process.stdin, process.stdout)
        assert talk[1].readline() == "ok\n"

        def batch(runs: int) -> None:
            talk[0].write(f"{runs}\n")
            talk[0].flush()
            assert talk[1].readline() == "ok\n"

        try:
            yield Variant(name, batch, lambda: {process.pid} | descendants(process.pid))
        finally:
            talk[0].close()
            process.wait(20)


def have_peers() -> Path:
    """The other products, from a hash lock, in a folder of their own."""
    folder = ROOT / ".tools" / "bench" / f"sandbox-{sys.version_info.major}.{sys.version_info.minor}"
    stamp = folder / "installed"
    lock = LOCK.read_text()
    if not stamp.exists() or stamp.read_text() != lock:
        with_uv = importlib.util.find_spec("uv") is not None
        tool = ["uv", "pip", "install", "--python", sys.executable] if with_uv else ["pip", "install"]
        exact = ["--require-hashes", "--no-deps", "--target", str(folder), "-r", str(LOCK)]
        subprocess.run([sys.executable, "-m", *tool, *exact], check=True, timeout=600)
        stamp.write_text(lock)
    return folder


# Measuring -----------------------------------------------------------------------------------------------------------


def costs_ms(rounds: int) -> dict[str, float]:
    """CPU milliseconds of one run, by variant."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(a_host(limits=Limits())) for _ in range(2)]
        open_ones = [stack.enter_context(unjailed()) for _ in range(2)]
        code = hosts[0].sandbox.compiled(SOURCE) or b""
        assert code
        servers = [stack.enter_context(fork_server()) for _ in range(3)]
        variants = [
            ours("ours, kept code", hosts[0], code),
            ours("ours, from source", hosts[1], b""),
            ours("unjailed fork, kept code", open_ones[0], code),
            ours("unjailed fork, from source", open_ones[1], b""),
            forked("bare fork server with our broker, kept code", servers[0], code),
            forked("fork + kept code, no broker", servers[1], code, KEPT),
            forked("fork + exit", servers[2], b"", EXIT),
        ]
        folder = have_peers()
        for name in PEERS:
            if name.startswith("bubblewrap") and shutil.which("bwrap") is None:
                print("bubblewrap is not installed here, so it is left out")
                continue
            variants.append(stack.enter_context(peer(name, folder)))
        for one in variants:
            one.batch(3)
        _settled(hosts, open_ones)
        before = {one.name: one.others_s() for one in variants}
        for _ in range(rounds):
            for one in random.sample(variants, len(variants)):
                one.measure(BATCHES.get(one.name, BATCH))
        _settled(hosts, open_ones)
        return {one.name: (one.own_s + one.others_s() - before[one.name]) / one.runs * 1000 for one in variants}


def _settled(hosts: list[Host], open_ones: list[Host]) -> None:
    """Every service has its two ready children and no other."""
    for host, processes in [*((one, 4) for one in hosts), *((one, 3) for one in open_ones)]:
        wait_until(lambda host=host, wanted=processes: len(descendants(host.process.pid)) == wanted, 15)  # type: ignore[misc]


def latencies_ms() -> tuple[list[float], float]:
    """Milliseconds until the outcome from a ready child; seconds for many runs at once on a slow upstream."""
    with a_host(limits=Limits()) as host:
        code = host.sandbox.compiled(SOURCE) or b""
        took = []
        for _ in range(LATENCIES):
            time.sleep(0.006)  # a ready child is forked meanwhile, as between two tickets
            began = time.perf_counter()
            sound(host.sandbox.run(request(code), gateway()))
            took.append((time.perf_counter() - began) * 1000)
        slow = TableGateway({"crm.find_customer": _slow, "erp.find_party": {"id": 1}})
        began = time.perf_counter()
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(lambda _: sound(host.sandbox.run(request(code), slow)), range(AT_ONCE)))
        return took, time.perf_counter() - began


def _slow(email: str) -> dict[str, str]:
    time.sleep(UPSTREAM_S)
    return {"name": email}


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="more rounds, steadier figures")
    given = parser.parse_args()
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(everywhere)})
    cost = costs_ms(given.rounds)
    os.sched_setaffinity(0, everywhere)
    took, together_s = latencies_ms()
    kept, source = cost["ours, kept code"], cost["ours, from source"]
    python = cost["python -c with RestrictedPython"]
    figures = [Figure(name, value, "ms CPU", "lower", "budget") for name, value in cost.items()]
    figures += [
        Figure("ours to unjailed fork, kept code", kept / cost["unjailed fork, kept code"], "x", "lower",
               "ratio", 1.25),
        Figure("ours to unjailed fork, from source", source / cost["unjailed fork, from source"], "x",
               "lower", "ratio", 1.25),
        Figure("ours to fork + kept code", kept / cost["fork + kept code, no broker"], "x", "lower", "ratio", 2),
        Figure("python -c to ours", python / kept, "x", "higher", "ratio", 10),
        Figure("from a ready child, p50", percentile(took, 0.5), "ms", "lower", "budget", 2.5),
        Figure("from a ready child, p99", percentile(took, 0.99), "ms", "lower", "budget", 10),
        Figure(f"{AT_ONCE} at once, {UPSTREAM_S:g} s upstream", together_s, "s", "lower", "budget", 1.5),
    ]  # fmt: skip
    return finish(figures, given.json)


if __name__ == "__main__":
    sys.exit(main())
