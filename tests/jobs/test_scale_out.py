"""Two webs and four workers on six hosts, one PostgreSQL and one Redis by two URLs: the promises hold across them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, insert, select

from jobs.letters import header_id
from jobs.tables import DecisionRow, OutboxRow
from run_tool.redis_server import redis_arguments, redis_server
from tests.chaos import MAIL_FROM, Postgres
from tests.chaos_desk import ANSWER_ALL
from tests.environment.hosts import Host, Network, some_hosts
from tests.environment.ports import free_port
from tests.jobs.desk import a_working_desk, table
from tests.jobs.sink import MailSink, a_mail_sink
from tests.jobs.workers import until
from tickets.db import Database
from tickets.migrate import upgrade
from tickets.tables import EventRow, Lane, Mailbox, Message

#: Customers that write at once, and mails of each. Seconds a lane is held, and until all must be done.
CUSTOMERS = 12
MAILS = 5
LEASE_S = 2
DONE_S = 300
#: How long a host's cable is pulled, in seconds: longer than it may hold a lane.
PULLED_S = LEASE_S + 2
SECRET = "m" * 43
PASSWORD = "only-for-this-test"


@pytest.fixture
def network() -> Iterator[Network]:
    with some_hosts(6) as made:
        yield made


def a_redis(network: Network, folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A Redis server that hosts reach by its address and a password."""
    port = free_port(network.here)
    folder.mkdir(mode=0o700)
    arguments = redis_arguments(redis_server(Path(sys.executable)), folder / "redis.sock")
    arguments[arguments.index("--port") + 1] = str(port)
    arguments += ["--bind", network.here, "--requirepass", PASSWORD]
    return Host(network.here).start(arguments, os.environ, folder / "log"), f"redis://:{PASSWORD}@{network.here}:{port}"


def a_mail(customer: int, number: int) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Customer {customer} <c{customer}@customer.example>"
    mail["To"] = "support@shop.example"
    mail["Subject"] = f"Case {customer}"
    mail["Message-ID"] = f"<{customer}.{number}@customer.example>"
    if number:
        mail["In-Reply-To"] = f"<{customer}.0@customer.example>"
    mail.set_content(f"[{customer}.{number}]")
    return mail.as_bytes()


def write(webs: list[str], customer: int) -> None:
    """What one customer's mail server does: each mail to one of the webs, again until one has taken it."""
    for number in range(MAILS):
        for attempt in range(60):
            try:
                answer = requests.post(
                    f"{webs[(customer + number + attempt) % len(webs)]}/inbound/email",
                    data=a_mail(customer, number),
                    headers={"Content-Type": "message/rfc822", "Authorization": f"Bearer {SECRET}"},
                    timeout=30,
                )
            except requests.RequestException:
                time.sleep(0.5)
                continue
            if answer.status_code in (200, 202):
                break
            time.sleep(0.5)
        else:
            raise AssertionError(f"mail {customer}.{number} was taken by nobody: {answer.status_code} {answer.text}")


def left(db: Database) -> int:
    with db.read() as connection:
        waiting = (
            select(func.count()).where(EventRow.status != "done"),
            select(func.count()).where(Lane.due_at.is_not(None)),
            select(func.count()).where(OutboxRow.status == "due"),
        )
        return sum(connection.execute(one).scalar_one() for one in waiting)


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_six_hosts_apply_everything_once_and_in_order_while_one_is_killed_and_one_cut_off(
    network: Network, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        sink = stack.enter_context(a_mail_sink(network.here))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deskhand-hosts-")))
        folder.chmod(0o755)  # PostgreSQL runs as nobody
        postgres = Postgres(folder / "pg", listen=network.here)
        postgres.start()
        stack.callback(postgres.stop)
        redis, redis_url = a_redis(network, tmp_path / "redis")
        stack.callback(_end, redis)
        upgrade(postgres.url)
        with a_working_desk(postgres.url, tmp_path) as services:
            table(services, ANSWER_ALL)
            with services.db.write() as connection:
                digest = sha256(SECRET.encode()).hexdigest()
                connection.execute(
                    insert(Mailbox).values(key="m", address="support@shop.example", secret_sha256=digest)
                )
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DESKHAND_")},
            "DESKHAND_DATABASE_URL": postgres.url_at(network.here),
            "DESKHAND_REDIS_URL": redis_url,
            "DESKHAND_SECRET_FILE": str(tmp_path / "secrets.json"),
            "DESKHAND_SMTP_URL": sink.url,
            "DESKHAND_MAIL_FROM": MAIL_FROM,
            "DESKHAND_LEASE_S": str(LEASE_S),
            "DESKHAND_OUTBOX_LEASE_S": "5",
        }
        webs = [_web(stack, host, environ, tmp_path) for host in network.hosts[:2]]
        kinds = ("drain", "drain", "drain", "outbox")
        workers = [
            _process(stack, host, [sys.executable, "-m", "jobs.worker", kind], environ, tmp_path / f"{kind}{at}")
            for at, (host, kind) in enumerate(zip(network.hosts[2:], kinds, strict=True))
        ]
        for web in webs:
            assert until(lambda web=web: _answers(web)), web  # type: ignore[misc]
        db = Database(postgres.url)
        stack.callback(db.close)
        with ThreadPoolExecutor(CUSTOMERS) as customers:
            written = [customers.submit(write, webs, customer) for customer in range(CUSTOMERS)]
            assert until(lambda: _events(db) > CUSTOMERS)
            workers[0].kill()  # a host burns down
            network.hosts[3].pull_the_cable()
            time.sleep(PULLED_S)
            network.hosts[3].plug_it_in()
            for one in written:
                one.result()
        assert until(lambda: left(db) == 0, seconds=DONE_S), f"{left(db)} are left"
        _nothing_lost_doubled_or_out_of_order(db, sink)


def _nothing_lost_doubled_or_out_of_order(db: Database, sink: MailSink) -> None:
    with db.read() as connection:
        rows = connection.execute(
            select(
                Message.id,
                Message.item_id,
                Message.seq,
                Message.author_kind,
                Message.text,
                EventRow.id.label("event_id"),
                EventRow.root_id,
            )
            .join(EventRow, (EventRow.item_id == Message.item_id) & (EventRow.seq == Message.seq))
            .order_by(Message.item_id, Message.seq)
        ).all()
        decided = connection.execute(select(func.count(), func.count(func.distinct(DecisionRow.event_id)))).one()
        events = connection.execute(select(func.count()).select_from(EventRow)).scalar_one()
    asked = [row for row in rows if row.author_kind == "customer"]
    answers = [row for row in rows if row.author_kind == "bot"]
    wanted = {f"[{customer}.{number}]" for customer in range(CUSTOMERS) for number in range(MAILS)}
    assert Counter(row.text.strip() for row in asked) == dict.fromkeys(wanted, 1)
    assert len({row.item_id for row in asked}) == CUSTOMERS
    assert Counter(row.root_id for row in answers) == {row.event_id: 1 for row in asked}
    assert tuple(decided) == (events, events)
    for item_id in {row.item_id for row in asked}:
        roots = [row.root_id for row in answers if row.item_id == item_id]
        assert roots == [row.event_id for row in asked if row.item_id == item_id]
    assert set(sink.ids()) == {f"<{header_id(row.item_id, row.id, MAIL_FROM)}>" for row in answers}


def _web(stack: ExitStack, host: Host, environ: Mapping[str, str], folder: Path) -> str:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"{host.address}:{port}", "--threads", "8"]
    command += ["--worker-class", "gthread", "--no-control-socket", "wsgi:app"]
    _process(stack, host, command, environ, folder / f"web-{host.address}-{port}")
    return f"http://{host.address}:{port}"


def _process(
    stack: ExitStack, host: Host, command: list[str], environ: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    """One process on this host, with a data folder of its own; ended with the test."""
    folder.mkdir()
    process = host.start(command, {**environ, "DESKHAND_DATA_DIR": str(folder)}, folder / "log")
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(12)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def _events(db: Database) -> int:
    with db.read() as connection:
        return connection.execute(select(func.count()).select_from(EventRow)).scalar_one()
