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
import socket
import sys
from typing import Any, NoReturn

KEPT, EXIT = b"C", b"X"


def serve_plain(control: socket.socket) -> NoReturn:
    """Fork on request until the control socket closes."""
    os.register_at_fork = lambda **_: None  # as in the zygote
    from sandbox import heap

    heap.begin()  # as in the zygote, like all that is not a wall
    import sandbox.policy  # noqa: F401  what a run hardly touches comes first
    from sandbox import packing

    packing.fill_holes()
    from sandbox import jail, wire
    from sandbox.child.main import Child, preload, serve
    from sandbox.ending import ENDED
    from sandbox.zygote import _SPACE_FOR_TWO, _TWO, FORK, HELLO, ORDER, PIDFD

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
    heap.end()
    gc.collect()
    packing.fill_holes()
    gc.freeze()
    control.send(HELLO + json.dumps({}).encode())
    living: dict[int, tuple[int, int]] = {}
    bury = jail.Burial().of
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != control.fileno():
                poll.unregister(fd)
                ended, pipe = living.pop(fd)
                os.write(pipe, ENDED.pack(*bury(ended)))
                os.close(fd)
                os.close(pipe)
                continue
            data, ancillary, _, _ = control.recvmsg(ORDER.size, _SPACE_FOR_TWO)
            if not data:
                os._exit(0)
            fds = _TWO.unpack(ancillary[0][2])
            kind = ORDER.unpack(data)[0]
            child = jail.fork()
            if child == 0:
                if kind == FORK:
                    serve(fds[0])
                elif kind == KEPT:
                    Alone(fds[0]).live()
                os._exit(0)
            os.close(fds[0])
            pidfd = os.pidfd_open(child)
            living[pidfd] = (child, fds[1])
            poll.register(pidfd, select.POLLIN)
            socket.send_fds(control, [PIDFD], [pidfd])


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])
    serve_plain(socket.socket(fileno=int(sys.argv[2])))
