"""What workers and the web call: check a script, run a script, ask how the jail stands."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.broker import Broker, Lease, start_frame
from sandbox.contract import (
    Checked,
    Gateway,
    Health,
    Layer,
    Manifest,
    Outcome,
    Problem,
    RunRequest,
    ScriptApi,
    ScriptError,
)
from sandbox.errors import BadContract, Code, ProtocolError, ServiceUnavailable
from sandbox.limits import Limits
from sandbox.source import source_problem

#: How long to wait for the service to answer, and for a free place when every child is taken.
_CONNECT_S = 5.0
_PLACE_S = 30.0
_ANSWER_BYTES = 65_536
_DEFAULT = Limits()


class Sandbox:
    """The door to the sandbox service on this host. Holds no connection and no state, so threads may share one."""

    def __init__(self, socket_path: str | Path, limits: Limits = _DEFAULT) -> None:
        self._path = Path(socket_path)
        self._limits = limits

    @property
    def limits(self) -> Limits:
        """How much each run may use."""
        return self._limits

    def check(self, source: str, api: ScriptApi) -> Checked:
        """All problems of a script and what it reads and does. Never raises for a script or for a missing service:
        both are problems of severity "error", so nothing unchecked is published."""
        early = source_problem(source, self._limits)
        if early is not None:
            return Checked((early,), Manifest())
        try:
            start = start_frame("check", RunRequest(source, api), self._limits)
            lease = self._lease()
        except ServiceUnavailable as error:
            return _unchecked(Code.SANDBOX_UNAVAILABLE, str(error))
        except ProtocolError as error:
            return _unchecked(Code.VALUE, str(error))
        try:
            return Broker(lease, self._limits, api, frozenset(), frozenset(), None).check(start)
        except ProtocolError as error:
            return _unchecked(Code.PROTOCOL, str(error))
        finally:
            lease.close()

    def compiled(self, source: str) -> bytes | None:
        """The compiled form of a sound script, from a child that compiled it and ran nothing; None when there is none
        to be had. Opaque to the caller: to be kept under `sandbox.stamp.code_key` and given back in a `RunRequest`,
        never read outside the jail. Raises `ServiceUnavailable`."""
        if source_problem(source, self._limits) is not None:
            return None
        api = ScriptApi()
        try:
            start = start_frame("compile", RunRequest(source, api), self._limits)
        except ProtocolError:
            return None  # larger than `start_kb`; the run that wanted it says so
        lease = self._lease()
        try:
            return Broker(lease, self._limits, api, frozenset(), frozenset(), None).compiled(start)
        finally:
            lease.close()

    def run(self, request: RunRequest, gateway: Gateway, *, cancelled: Callable[[], bool] | None = None) -> Outcome:
        """Run a script to its end, asking `gateway` for it. Returns within `wall_s`, plus seconds for the child's end.

        Raises `BadContract` when the request itself is wrong; everything a script can cause is in the outcome."""
        early = source_problem(request.source, self._limits)
        if early is not None:
            error = ScriptError(early.code, early.message, early.line, early.column, early.hint)
            return Outcome("refused", error)
        try:
            if datetime.fromisoformat(request.now).tzinfo is None:
                raise BadContract(f"now has no zone: {request.now!r}")
            start = start_frame("run", request, self._limits)
        except (TypeError, ValueError) as error:
            raise BadContract(f"This run cannot be sent: {error}") from error
        except ProtocolError as error:
            return Outcome("failed", ScriptError(Code.VALUE, str(error), hint="Give the script fewer facts."))
        try:
            lease = self._lease()
        except ServiceUnavailable as error:
            return Outcome("unavailable", ScriptError(Code.SANDBOX_UNAVAILABLE, str(error)))
        try:
            grants, actions = request.api.only(request.grants), request.api.only_actions(request.actions)
            return Broker(lease, self._limits, request.api, grants, actions, gateway, cancelled).run(start)
        finally:
            lease.close()

    def health(self) -> Health:
        """How the service stands. Never raises: a service that does not answer is a Health that is not ready."""
        try:
            with self._connect() as talk:
                said, _ = _ask(talk, {"t": "health"})
        except ServiceUnavailable as error:
            return Health(False, str(error), {}, 0, 0, "")
        layers = {name: Layer(one["up"], one["required"], one["reason"]) for name, one in said["layers"].items()}
        return Health(said["ready"], said["reason"], layers, said["pid"], said["runs"], said["since"], said["python"])

    def _connect(self) -> socket.socket:
        talk = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        talk.settimeout(_CONNECT_S)
        try:
            talk.connect(str(self._path))
        except OSError as error:
            talk.close()
            raise ServiceUnavailable(
                f"No sandbox service answers at {self._path} ({error.strerror or error}). Scripts did not run; "
                "start it with `python -m sandbox.service --socket PATH`"
            ) from error
        return talk

    def _lease(self) -> Lease:
        talk = self._connect()
        try:
            talk.settimeout(_PLACE_S)
            wish = {"t": "lease", "cpu_s": self._limits.cpu_s, "memory_mb": self._limits.memory_mb}
            said, fds = _ask(talk, wish)
            if not said.get("ok") or len(fds) != 3:
                for fd in fds:
                    os.close(fd)
                raise ServiceUnavailable(str(said.get("reason") or "The sandbox service gave no child"))
        except ServiceUnavailable:
            talk.close()
            raise
        return Lease(socket.socket(fileno=fds[0]), fds[1], fds[2], talk)


def _ask(talk: socket.socket, request: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
    try:
        talk.send(json.dumps(request).encode())
        data, fds, _, _ = socket.recv_fds(talk, _ANSWER_BYTES, 3, socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise ServiceUnavailable(f"The sandbox service does not answer ({error}). Scripts did not run") from error
    if not data:
        raise ServiceUnavailable("The sandbox service hung up. Scripts did not run; its log says why")
    return dict(json.loads(data)), fds


def _unchecked(code: Code, message: str) -> Checked:
    return Checked((Problem(1, 0, 1, 1, code, "error", message),), Manifest())
