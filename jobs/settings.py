"""Every setting of the product: read once from the environment, frozen, unknown DESKHAND_ names refused.

Each has its unit in its name or its sentence. docs/operations.md lists them; a test holds the two together.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as Source

from sandbox.limits import Limits

#: What the name of each begins with in the environment.
PREFIX = "DESKHAND_"


class UnknownSetting(Exception):
    """The environment names a DESKHAND_ setting that does not exist."""


class Settings(BaseSettings):
    """Settings, from DESKHAND_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: Source, env_settings: Source, *_: Source, **__: Source
    ) -> tuple[Source, ...]:
        """From the environment alone: no file that happens to lie in the folder, which takes as long again to find. An
        environment that names none of them is not asked for each."""
        if not any(name.upper().startswith(PREFIX) for name in os.environ):
            return (init_settings,)
        return init_settings, env_settings

    data_dir: Path = Field(Path("data"), description="Folder of everything this host keeps.")
    database_url: str = Field("", description="sqlite:///PATH or postgresql://...; default: SQLite in the data folder.")
    redis_url: str = Field("", description="redis:// or unix://PATH; default: a socket in the data folder.")
    sandbox_socket: str = Field("", description="Socket of this host's sandbox service; default: in the data folder.")
    secret_file: str = Field(
        "", description="JSON file with the signing and sealing keys, mode 0600; made on first use."
    )
    port: int = Field(8421, description="Port of the web server on 127.0.0.1.")
    address_ceiling: str = Field(
        "",
        description="Private addresses connectors may reach, comma separated: HOST:PORT or ADDRESS/BITS.",
    )
    demo: bool = Field(False, description="Whether the demo page and its back office are offered.")
    lease_s: float = Field(10, gt=0, description="Seconds a worker may hold a lane before another may take it.")
    drain_budget_s: float = Field(2, gt=0, description="Seconds one drain job goes on claiming lanes.")
    event_tries: int = Field(5, ge=1, description="Times an event is tried before it is parked.")
    effects_per_root: int = Field(100, ge=1, description="Effects one automatic chain may have.")
    depth_per_root: int = Field(5, ge=1, description="Automatic steps one chain may be long.")
    run_lease_s: float = Field(
        60, ge=5, description="Seconds a worker may hold a run of a script before another may take it."
    )
    lookup_deadline_s: float = Field(10, gt=0, description="Seconds one lookup may take.")
    lookup_retry_s: int = Field(
        60, ge=1, description="Seconds until a failed lookup is tried again; doubles each time, at most 1 hour."
    )
    lookup_tries: int = Field(12, ge=1, description="Times a lookup is tried before it is left as failed.")
    sweep_s: float = Field(0.5, gt=0, description="Seconds between looks for due work in the database.")
    smtp_url: str = Field(
        "",
        description="smtp://[USER:PASSWORD@]HOST:PORT or smtps://...; empty: e-mail is kept in the outbox unsent.",
    )
    outbox_lease_s: float = Field(60, gt=0, description="Seconds one delivery may take before it is tried by another.")
    changes_per_hour: int = Field(
        60, gt=0, description="Changes in one connected system within an hour; more are held back and listed."
    )
    mail_from: str = Field(
        "support@localhost.localdomain",
        description="Sender of outgoing e-mail, and where servers report what they could not deliver: let it be a "
        "mailbox that Deskhand reads.",
    )
    public_url: str = Field("", description="Address customers and colleagues reach the product under.")
    secure_cookies: bool = Field(False, description="Whether cookies are sent over HTTPS only; set it behind TLS.")
    second_person: bool = Field(
        False, description="Whether a script that may do more than before is live only when a second person agrees."
    )
    keep_decisions_days: int = Field(
        365, ge=1, description="Days until how an event was decided, and what a script did, is dropped."
    )
    keep_checked_days: int = Field(90, ge=1, description="Days until a decision that found nothing to do is dropped.")
    keep_answers_days: int = Field(90, ge=1, description="Days until stored answers of connections are dropped.")
    keep_bell_days: int = Field(
        365, ge=1, description="Days until a line of the bell is dropped; it stays as long as a decision at least."
    )
    keep_sent_days: int = Field(30, ge=1, description="Days until the record of a sent e-mail is dropped.")
    log_json: bool = Field(False, description="Whether all processes log JSON, one object per line.")
    metrics_token: str = Field("", description="Who sends this as a bearer token may read /metrics; empty: nobody.")
    web_body_mb: int = Field(30, ge=1, description="Largest request body, in megabytes.")
    script_wall_s: float = Field(10, gt=0, le=45, description="Seconds one run of a script may take, waiting included.")
    script_cpu_s: int = Field(2, gt=0, le=60, description="Seconds one run may compute.")
    script_memory_mb: int = Field(128, gt=0, le=1024, description="Megabytes of memory one run may use.")
    script_calls: int = Field(50, gt=0, le=1000, description="Calls of connections in one run; the next ones fail.")
    script_calls_over: int = Field(10, gt=0, description="Calls beyond that after which the run is ended.")
    script_message_kb: int = Field(256, gt=0, le=4096, description="Kilobytes of one answer of a connection.")
    script_start_kb: int = Field(4096, gt=0, le=16384, description="Kilobytes of source and facts together.")
    script_out_kb: int = Field(8192, gt=0, le=65536, description="Kilobytes a run may say altogether.")
    script_actions: int = Field(100, gt=0, le=1000, description="Actions one run may ask for.")
    script_value_kb: int = Field(
        64, gt=0, le=4096, description="Kilobytes of one value given to an action or a connection."
    )
    script_log_kb: int = Field(64, gt=0, description="Kilobytes of the log of one run.")
    script_log_lines: int = Field(1000, gt=0, description="Lines of the log of one run.")
    script_source_kb: int = Field(64, gt=0, le=1024, description="Kilobytes of the text of a script.")
    script_source_lines: int = Field(2000, gt=0, le=20000, description="Lines of the text of a script.")
    script_depth: int = Field(32, gt=0, le=64, description="Levels one value may be nested.")
    script_values: int = Field(20000, gt=0, le=200000, description="Parts one value may have.")
    script_problems: int = Field(50, gt=0, description="Problems one check reports.")
    script_error_chars: int = Field(1000, gt=0, description="Characters of the message of a script's error.")
    sandbox_children: int = Field(
        40,
        gt=0,
        description="Scripts that run at the same time on one host. Each takes three open files of the sandbox "
        "service, which raises its own limit as far as it may and otherwise does not start.",
    )
    sandbox_ready: int = Field(2, gt=0, description="Children kept ready for the next script, on one host.")
    sandbox_recycle_runs: int = Field(10000, gt=0, description="Children of one zygote until it is replaced.")
    sandbox_recycle_s: float = Field(3600, gt=0, description="Seconds until a zygote is replaced.")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings of this process. Raises `UnknownSetting` with the nearest names."""
        known = {f"{PREFIX}{name.upper()}" for name in cls.model_fields}
        outside = {"DESKHAND_TEST_PG_URL", "DESKHAND_TEST_CACHE", "DESKHAND_TEST_CLOCK"}
        unknown = sorted(
            name for name in environ if name.startswith(PREFIX) and name not in known and name not in outside
        )
        if unknown:
            raise UnknownSetting(f"There is no setting {', '.join(unknown)}; docs/operations.md lists all of them")
        return cls()

    @property
    def data(self) -> Path:
        return self.data_dir.resolve()

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data}/deskhand.db"

    @property
    def redis(self) -> str:
        return self.redis_url or f"unix://{self.data}/redis/redis.sock"

    @property
    def sandbox(self) -> str:
        return self.sandbox_socket or str(self.data / "sandbox" / "sandbox.sock")

    @property
    def script_limits(self) -> Limits:
        """How much one run of a script may use."""
        return Limits(**{name: getattr(self, f"script_{name}") for name in Limits.__dataclass_fields__})

    @cached_property
    def keys(self) -> Keys:
        return Keys.load(Path(self.secret_file) if self.secret_file else self.data / "secrets.json")


class Keys:
    """The installation's own keys. Never shown, never logged."""

    def __init__(self, session: str, sealing: tuple[str, ...]) -> None:
        self.session = session
        #: Newest first; the others only open what was sealed with them.
        self.sealing = sealing

    @classmethod
    def load(cls, path: Path) -> Keys:
        """The keys in this file, made when there is none yet; two processes at once get the same ones."""
        if not path.exists():
            from cryptography.fernet import Fernet

            path.parent.mkdir(parents=True, exist_ok=True)
            made = {"session": secrets.token_urlsafe(48), "sealing": [Fernet.generate_key().decode()]}
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(made, file)
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first; its keys count
            finally:
                draft.unlink()
        data: dict[str, Any] = json.loads(path.read_text())
        return cls(str(data["session"]), tuple(str(one) for one in data["sealing"]))

    def __repr__(self) -> str:
        return "Keys(...)"
