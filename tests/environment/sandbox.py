"""The sandbox service for tests: the real one, started as `./run` starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from run_tool.commands import die_with_parent, tail
from run_tool.places import ROOT
from sandbox.client import Sandbox

START_DEADLINE_S = 90
STOP_DEADLINE_S = 30


class SandboxService:
    """One `python -m sandbox.service` process; `socket` is what sandbox.client.Sandbox takes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket = folder / "sandbox.sock"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it runs scripts; raises RuntimeError with its last lines when it does not."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.service", "--socket", str(self.socket)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._process = process
        until = time.monotonic() + START_DEADLINE_S
        while not Sandbox(self.socket).health().ready:
            if process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"The sandbox service did not start:\n{tail(self._log.read_text(errors='replace'))}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in good order; killed when it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
