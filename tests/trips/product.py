"""The whole product as a customer has it: `./run` in a folder of its own, reached over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import requests

from run_tool.places import ROOT
from tests.environment.ports import free_port
from tests.environment.started import logged, start

#: Seconds until /readyz says yes, and until everything is gone again.
START_S = 180
STOP_S = 60
#: Seconds a command may take.
COMMAND_S = 120
#: Seconds one thing may take to become visible.
SEE_S = 120


class NotSeen(AssertionError):
    """Something that should have become visible did not, in the time it has."""


@dataclass
class Product:
    """One running Deskhand. `token` is an API token, `mailbox` the secret of the mailbox tests write to."""

    folder: Path
    database_url: str
    ceiling: str
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    token: str = ""
    mailbox: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")},
            "DESKHAND_DATA_DIR": str(self.folder),
            "DESKHAND_DATABASE_URL": self.database_url,
            "DESKHAND_PORT": str(self.port),
            "DESKHAND_ADDRESS_CEILING": self.ceiling,
            **self.settings,
        }

    def start(self) -> None:
        with (self.folder / "run.log").open("ab") as log:
            self._process = logged([str(ROOT / "run"), "--empty"], self.environ, log)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        log_text = (self.folder / "run.log").read_text()
        self.stop()
        raise NotSeen(f"./run did not get ready in {START_S} s:\n{log_text[-3000:]}")

    def stop(self) -> None:
        """Ctrl-C, as a person would."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise NotSeen("./run did not stop after Ctrl-C") from None

    def flask(self, *arguments: str, stdin: str = "") -> str:
        """Run a `flask` command of this desk, which reads `stdin`; its output."""
        with start("flask", ["--app", "wsgi", *arguments], self.environ, keep=True, told=stdin) as command:
            said, complained = (text.decode() for text in command.communicate(COMMAND_S))
        assert command.returncode == 0, f"flask {' '.join(arguments)}: {said}{complained}"
        return said

    def send(self, *, sender: str, name: str, subject: str, text: str, headers: Mapping[str, str] | None = None) -> int:
        """Hand in an e-mail as a mail server would; the ticket's number."""
        mail = EmailMessage()
        mail["From"] = f"{name} <{sender}>"
        mail["To"] = "support@shop.example"
        mail["Subject"] = subject
        mail["Message-ID"] = make_msgid(domain="customer.example")
        for key, value in (headers or {}).items():
            mail[key] = value
        mail.set_content(text)
        answer = requests.post(
            f"{self.url}/inbound/email",
            data=mail.as_bytes(),
            headers={"Content-Type": "message/rfc822", "Authorization": f"Bearer {self.mailbox}"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        return int(answer.json()["ticket"])

    def get(self, path: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def see(self, ticket: int, what: str, true: Any, *, seconds: float = SEE_S) -> dict[str, Any]:
        """The ticket's timeline as soon as `true(timeline)` holds. Raises `NotSeen` with what is there instead."""
        end = time.monotonic() + seconds
        timeline: dict[str, Any] = {}
        while time.monotonic() < end:
            timeline = self.get(f"/tickets/{ticket}/timeline")
            if true(timeline):
                return timeline
            time.sleep(0.25)
        raise NotSeen(f"Ticket {ticket}: {what} did not come in {seconds} s. There is: {str(timeline)[:4000]}")

    def workers(self) -> set[int]:
        """The processes of this desk, by their environment."""
        mark = f"DESKHAND_DATA_DIR={self.folder}\0".encode()
        found = set()
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in path.read_bytes() + b"\0":
                    found.add(int(path.parent.name))
            except OSError:
                continue
        return found
