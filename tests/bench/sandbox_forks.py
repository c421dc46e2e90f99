"""Fork servers without a jail, for `./run bench sandbox`: what our run costs is compared with what they cost.

Started like the zygote and spoken to like it, so that client, messages and script are the same; no wall is raised.
The kinds of child: "F" is a whole run with its broker, "C" runs kept code alone and answers its own questions, "X" only
ends. Never part of the product.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

KEPT, EXIT = b"C", b"X"


def serve_plain(control: socket.socket) -> NoReturn:
    """Fork on request until the control socket closes."""
    os.register_at_fork = lambda **_: None  # type: ignore[assignment]  # as in the zygote
    from sandbox import wire
    from sandbox.child.main import Child, preload, serve
    from sandbox.ending import ENDED
    from sandbox.zygote import FORK, HELLO, ORDER, PIDFD, _receive

    class Alone(Child):
        """A child that asks nobody and tells nobody."""

        _asked: Any = None

        def _send(self, frame: Any, *, later: bool = False) -> None:
            self._asked = frame.get("id", 0)

        def _receive(self, cap_bytes: int) -> wire.Frame:
            if self._asked is None:
                self._asked = 0
                return super()._receive(cap_bytes)
            return {"id": self._asked, "ok": {"name": "Ann"}}

    preload()
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    gc.collect()
    gc.freeze()
    control.send(HELLO + json.dumps({}).encode())
    ends: dict[int, int] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == woken:
                os.read(woken, 4096)
                while ends:
                    child, status, used = os.wait4(-1, os.WNOHANG)
                    if child == 0:
                        break
                    pipe = ends.pop(child)
                    os.write(pipe, ENDED.pack(status, int((used.ru_utime + used.ru_stime) * 1e6), used.ru_maxrss))
                    os.close(pipe)
                continue
            data, fds = _receive(control)
            if not data:
                os._exit(0)
            kind = ORDER.unpack(data)[0]
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                if kind == FORK:
                    serve(fds[0])
                elif kind == KEPT:
                    Alone(fds[0]).live()
                os._exit(0)
            os.close(fds[0])
            ends[child] = fds[1]
            pidfd = os.pidfd_open(child)
            socket.send_fds(control, [PIDFD], [pidfd])
            os.close(pidfd)


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])
    serve_plain(socket.socket(fileno=int(sys.argv[2])))
