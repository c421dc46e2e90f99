"""A receiver of webhooks: signed requests as Standard Webhooks describes them (www.standardwebhooks.com).

Every request carries `webhook-id` (the same for every try, also as Idempotency-Key), `webhook-timestamp` and
`webhook-signature` (HMAC-SHA256 over id, timestamp and body), so that the receiver can tell ours from others' and drop
copies. Any 2xx is an answer; its body is not looked at.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar, cast

from pydantic import Field, SecretStr, field_validator

from connectors.records import AnswerField, AnswerType
from connectors.system import Call, Input, InputType, Operation, Result, System, SystemConfig
from tickets.values import JSON, iso

#: Bytes of a signing secret, as the standard says.
SECRET_BYTES = range(24, 65)
PREFIX = "whsec_"


class WebhookConfig(SystemConfig):
    """Where requests go, and what they are signed with."""

    path: str = Field(default="/", max_length=500, title="Path", json_schema_extra={"order": 20})
    secret: SecretStr = Field(
        title="Signing secret",
        description="whsec_ and 24 to 64 bytes as base64; the receiver has the same.",
        json_schema_extra={"order": 30},
    )

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        if not value.startswith("/") or any(ord(char) <= 32 for char in value):
            raise ValueError("begins with a slash and holds no spaces")
        return value

    @field_validator("secret")
    @classmethod
    def _secret(cls, value: SecretStr) -> SecretStr:
        if len(_key(value.get_secret_value())) not in SECRET_BYTES:
            raise ValueError("is whsec_ and 24 to 64 bytes as base64")
        return value


class Webhook(System):
    """Tells one address what happens here."""

    kind: ClassVar[str] = "webhook"
    label: ClassVar[str] = "Webhook"
    doc: ClassVar[str] = "Signed requests to one address, as Standard Webhooks describes them."
    Config: ClassVar[type[SystemConfig]] = WebhookConfig

    def operations(self) -> Mapping[str, Operation]:
        return {
            "send": Operation(
                name="send",
                label="Send",
                kind="write",
                inputs=(
                    Input("event", doc="The event's name, e.g. ticket.escalated"),
                    Input("at", required=False, doc="When it happened, ISO 8601; now when left out"),
                    Input("data", InputType.BODY, required=False, doc="What happened"),
                ),
                fields={"status": AnswerField(AnswerType.NUMBER, "Status")},
                run=self._send,
                timeout_s=15,
                doc="Tells the receiver; the same idempotency key is one event.",
                repeatable=True,
            )
        }

    def probe(self, call: Call) -> str:
        status = self._post(call, f"probe-{time.time_ns()}", "deskhand.test", "", None)
        return f"It took a signed test event and answered {status}"

    def _send(self, call: Call) -> Result:
        status = self._post(call, call.idempotency_key, call.text("event"), call.text("at"), call.args.get("data"))
        return Result({"status": status})

    def _post(self, call: Call, key: str, event: str, at: str, data: JSON) -> int:
        config = cast(WebhookConfig, self.config)
        # One moment for all tries: a receiver may refuse timestamps that are more than five minutes old.
        now = datetime.now(UTC)
        body = json.dumps({"type": event, "timestamp": at or iso(now), "data": data}, ensure_ascii=False).encode()
        stamp = str(int(now.timestamp()))
        id_ = hashlib.sha256(key.encode()).hexdigest()[:32]
        answer = call.http.request(
            "POST",
            config.path,
            raw_body=body,
            headers={
                "Content-Type": "application/json",
                "webhook-id": f"msg_{id_}",
                "webhook-timestamp": stamp,
                "webhook-signature": signature(config.secret.get_secret_value(), f"msg_{id_}", stamp, body),
                "Idempotency-Key": f"msg_{id_}",
            },
        )
        return answer.status


def signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    """The `webhook-signature` header: "v1," and the HMAC-SHA256 over id, timestamp and body, base64."""
    signed = hmac.new(_key(secret), f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        return b""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
