"""A Redis server for the tests, on a unix socket, that a test may stop, start and kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from run_tool.commands import die_with_parent
from run_tool.redis_server import redis_arguments, redis_server, wait_until_it_answers

STOP_DEADLINE_S = 30


class RedisServer:
    """One redis-server process on `socket`; `url` is what redis.Redis.from_url takes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket = folder / "redis.sock"
        self.url = f"unix://{quote(str(self.socket))}"
        self._arguments = redis_arguments(redis_server(Path(sys.executable)), self.socket)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; running already is fine."""
        if self._process is not None and self._process.poll() is None:
            return
        with (self.socket.parent / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        wait_until_it_answers(self.socket)

    def stop(self) -> None:
        """Stop it in good order; what it held is gone."""
        self._end(kill=False)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self._end(kill=True)

    def pause(self) -> None:
        """Stop it answering without closing anything (SIGSTOP), as a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a paused one go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, *, kill: bool) -> None:
        if self._process is None:
            return
        self._process.kill() if kill else self._process.terminate()
        try:
            self._process.wait(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self.socket.unlink(missing_ok=True)
