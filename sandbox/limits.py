"""How much one run may use. The broker enforces every line here; child and kernel enforce most a second time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one run. Waiting for a connection counts as wall time, not as CPU time."""

    wall_s: float = 10.0
    cpu_s: int = 2  # SIGXCPU here, SIGKILL one second later
    memory_mb: int = 128  # address space above what the empty child has
    calls: int = 50  # connector calls; the next ones get an error the script can catch
    calls_over: int = 10  # so many errors later the run is killed
    message_kb: int = 256  # one frame, in either direction
    start_kb: int = 4096  # source and facts together
    out_kb: int = 8192  # everything the child may say in one run
    actions: int = 100
    value_kb: int = 64  # one action parameter
    log_kb: int = 64
    log_lines: int = 1000
    source_kb: int = 64
    source_lines: int = 2000
    depth: int = 32  # nesting of one JSON value
    values: int = 20_000  # parts of one JSON value
    problems: int = 50  # problems reported by one check
    error_chars: int = 1000  # message of a script error

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"The limit {name} must be more than 0, not {getattr(self, name)!r}")


#: Nobody gets more than this, whatever the caller asks: the service clamps and the child applies it.
MOST_CPU_S = 60
MOST_MEMORY_MB = 1024


@dataclass(frozen=True, slots=True)
class HostLimits:
    """What one host's sandbox service keeps and allows. Read from DESKHAND_SANDBOX_<NAME> or the command line."""

    children: int = 40  # at one time: the runs of one worker, and people's checks and tries beside them
    ready: int = 2  # children kept waiting for the next script
    recycle_runs: int = 10_000  # children of one zygote; all of them share its address layout
    recycle_s: float = 3600.0  # age of one zygote

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, not {getattr(self, name)!r}")


#: What a child of the self-test gets, whatever scripts get: its attack on memory must fail by its own limit.
TEST_CPU_S = 2
TEST_MEMORY_MB = 128
