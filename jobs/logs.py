"""How processes log: one line per event with its facts, as words or as JSON, and never what went over the wire."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

#: Characters of one fact on a log line; the rest is cut off.
FACT_CHARS = 500

_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}


def configure(*, as_json: bool, level: int = logging.INFO) -> None:
    """Log to standard error from now on, one line per record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Words())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Its debug lines hold addresses with their queries, which may hold what nobody should read.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    # Six lines about its own parts before each answer of a command, which an operator reads as trouble.
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)


def facts(record: logging.LogRecord) -> dict[str, object]:
    """What the record says besides its event: `extra`, each value short and of a JSON type."""
    found: dict[str, object] = {}
    for name, value in record.__dict__.items():
        if name in _STANDARD:
            continue
        plain = value if value is None or isinstance(value, (bool, int, float)) else str(value)[:FACT_CHARS]
        found[name] = plain
    return found


class Words(logging.Formatter):
    """2026-11-22T09:30:00.123Z WARNING jobs.outbox outbox.later outbox=7 tries=2"""

    def format(self, record: logging.LogRecord) -> str:
        said = [_at(record), record.levelname, record.name, record.getMessage()]
        said += [f"{name}={value}" for name, value in facts(record).items()]
        line = " ".join(" ".join(said).split())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One JSON object per line: at, level, logger, event, the facts, and error with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        # "event" names the line; the number of an event that it is about has a name of its own.
        line.update({name if name not in line else f"{name}_id": value for name, value in facts(record).items()})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _at(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
