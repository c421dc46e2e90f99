"""Canaries: a secret that goes in must not come out of anything but the Authorization header."""

from __future__ import annotations

import base64
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from connectors import store
from connectors.errors import BadConfig, ConnectorError, SecretsUnreadable
from connectors.registry import CONNECTORS
from connectors.secrets import Scrubber, SecretBox
from tests.connectors.desk import FIND, Desk, http_json
from tests.connectors.upstream import Asked, Reply, Serve, as_json
from tickets.db import Database
from tickets.values import JSON

#: Every way of writing it differs from the others, and repr() leaves it as it is.
CANARY = "cana/ry+Secret=97&%?x"
FORMS = [
    CANARY,
    quote(CANARY, safe=""),
    json.dumps(CANARY)[1:-1],
    base64.b64encode(CANARY.encode()).decode().rstrip("="),
    base64.b64encode(f"{CANARY}:".encode()).decode().rstrip("="),
    base64.b64encode(f"me:{CANARY}".encode()).decode().rstrip("="),
]

CONFIGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "stripe": lambda url: {"base_url": url, "api_key": CANARY},
    "tryton": lambda url: {"base_url": url, "database": "d", "username": "me", "password": CANARY},
    "http_json": lambda url: http_json(url, FIND, auth="basic", username="me", secret=CANARY),
    "http_json bearer": lambda url: http_json(url, FIND, auth="bearer", secret=CANARY),
    "http_json header": lambda url: http_json(url, FIND, auth="header", header_name="X-Api-Key", secret=CANARY),
}


#: It signs with its secret and never sends it.
SIGNING = base64.b64encode((CANARY * 2).encode()).decode()
FORMS.append(SIGNING)
KEPT: dict[str, Callable[[str], dict[str, Any]]] = {
    **CONFIGS,
    "webhook": lambda url: {"base_url": url, "secret": f"whsec_{SIGNING}"},
}


def no_canary(*things: Any) -> None:
    for thing in things:
        text = f"{thing!r} {thing!s}"
        for form in FORMS:
            assert form not in text


def test_every_kind_of_system_is_watched() -> None:
    assert {name.split()[0] for name in KEPT} == set(CONNECTORS)


def echo(asked: Asked) -> Reply:
    """What a careless API does: everything it was sent, back in the answer, its errors and its headers."""
    sent = {"headers": asked.headers, "body": asked.body.decode(), "query": asked.query}
    return as_json(
        {
            "error": {"message": json.dumps(sent)},
            "items": [{"id": json.dumps(sent), "full_name": json.dumps(asked.headers)}],
        },
        400 if "bad" in asked.query.get("email", "") else 200,
        headers={"Request-Id": asked.headers.get("authorization", "")[:200]},
    )


@pytest.mark.parametrize("case", CONFIGS)
def test_a_secret_is_in_no_answer_error_log_row_or_repr(
    desk: Desk, serve: Serve, case: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    kind = case.split()[0]
    replies: list[Callable[[Asked], Reply]] = [
        echo,
        lambda asked: Reply(echo(asked).body, 401),
        lambda asked: Reply(echo(asked).body, 403),
        lambda asked: Reply(echo(asked).body, 422),
        lambda asked: Reply(echo(asked).body, 500),
        lambda asked: Reply(b"<html>" + echo(asked).body, content_type="text/html"),
    ]
    server = serve(replies[0])
    config = CONFIGS[case](server.url)
    operation = "find_party" if kind == "tryton" else "find_customer"
    for number, reply in enumerate(replies):
        server.answer = reply
        name = f"c{number}"
        info = desk.connect(name, kind, config)
        no_canary(info, store.describe([info]))
        for email in ("ada@example.net", "bad@example.net"):
            try:
                no_canary(desk.gateway.call(name, operation, {"email": email}, deadline_s=60, cause="test"))
            except ConnectorError as error:
                no_canary(error, error.sentence, error.args, vars(error), error.__context__, error.__cause__)
        no_canary(desk.gateway.test(name, deadline_s=60))
    if kind == "http_json":
        assert "•••" in desk.records()[0].data["v"]["name"]
    sent = " ".join(f"{asked.headers} {asked.body.decode()}" for asked in server.asked)
    assert any(form in sent for form in FORMS), "the secret was never sent, so this test shows nothing"
    no_canary(desk.audit(), desk.records(), desk.gateway.health(), desk.gateway, desk.box)
    no_canary(caplog.text, *(vars(record) for record in caplog.records), *capfd.readouterr())
    stored = _database_bytes(desk.db)
    assert len(stored) > 10_000
    assert [form for form in FORMS if form.encode() in stored] == []


@pytest.mark.parametrize("case", KEPT)
def test_a_configuration_shows_and_dumps_no_secret(case: str) -> None:
    config = CONNECTORS[case.split()[0]].Config.model_validate(KEPT[case]("https://erp.test"))
    no_canary(config, config.model_dump(mode="json"), config.model_dump_json(), config.model_json_schema())
    no_canary(CONNECTORS[case.split()[0]](config))


@pytest.mark.parametrize("case", KEPT)
def test_a_refused_configuration_does_not_repeat_what_was_typed(desk: Desk, case: str) -> None:
    config = {**KEPT[case]("https://erp.test"), "base_url": "nonsense", "surprise": CANARY}
    with pytest.raises(BadConfig) as caught:
        desk.connect("c", case.split()[0], config)
    assert {problem.field for problem in caught.value.problems} >= {"base_url", "surprise"}
    no_canary(caught.value, caught.value.problems, caught.value.__context__, caught.value.__cause__)


def test_the_form_never_holds_a_secret() -> None:
    for kind in CONNECTORS:
        fields = {field.name: field for field in store.form(kind)}
        secrets = [field for field in fields.values() if field.type == "secret"]
        assert [field.default for field in secrets] == [None]
        assert list(fields) == [field.name for field in sorted(fields.values(), key=lambda field: field.order)]
        assert all(field.label for field in fields.values())


# The box


def test_what_is_sealed_can_be_opened_and_not_read() -> None:
    box = SecretBox([SecretBox.generate_key()])
    sealed = box.seal({"key": CANARY})
    no_canary(sealed)
    assert box.open(sealed) == {"key": CANARY}
    assert box.seal({"key": CANARY}) != sealed


def test_keys_are_rotated_without_losing_a_secret(desk: Desk, db: Database) -> None:
    old, new = SecretBox.generate_key(), SecretBox.generate_key()
    desk = Desk(db, box=SecretBox([old]))
    desk.connect("billing", "stripe", KEPT["stripe"]("http://127.0.0.1:9"))
    both = SecretBox([new, old])
    with db.write() as connection:
        assert store.rotate_secrets(connection, both) == 1
    with db.read() as connection:
        sealed = store.sealed_secrets(connection, "billing")
    assert SecretBox([new]).open(sealed) == {"api_key": CANARY}
    with pytest.raises(SecretsUnreadable) as caught:
        SecretBox([old]).open(sealed)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("keys", [[], ["canary-not-a-key"], ["A" * 44]])
def test_a_bad_key_is_refused_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="key") as caught:
        SecretBox(keys)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_lost_key_is_a_sentence_and_not_a_crash(desk: Desk, serve: Serve) -> None:
    server = serve(lambda _asked: as_json({}))
    desk.connect("billing", "stripe", KEPT["stripe"](server.url))
    other = Desk(desk.db, clock=desk.clock)
    with pytest.raises(SecretsUnreadable, match="Enter them again"):
        other.call("billing", "find_customer", email="a@example.net")
    result = other.gateway.test("billing")
    assert (result.ok, result.error) == (False, "secrets_unreadable")
    assert server.asked == []


def test_errors_survive_the_way_to_another_process_without_baggage() -> None:
    for kind in (ConnectorError, SecretsUnreadable):
        assert str(pickle.loads(pickle.dumps(kind("x")))) == "x"  # noqa: S301


# The scrubber


def test_a_secret_with_quotes_is_scrubbed_from_json_too() -> None:
    secret = 'quote"and\\slash'
    assert Scrubber([secret]).text(json.dumps({"said": secret})) == '{"said": "•••"}'


@pytest.mark.parametrize("form", FORMS[:4])
def test_a_secret_is_scrubbed_in_every_form_it_travels_in(form: str) -> None:
    scrubber = Scrubber([CANARY])
    assert scrubber.text(f"before {form} after") == "before ••• after"
    assert scrubber.data({f"k{form}": [{"x": f"<{form}>"}]}) == {"k•••": [{"x": "<•••>"}]}


@pytest.mark.parametrize("user", ["", "a", "ab", "abc", "abcd", "ü"])
def test_a_password_is_scrubbed_from_basic_credentials_of_any_user(user: str) -> None:
    sent = base64.b64encode(f"{user}:{CANARY}".encode()).decode()
    scrubbed = Scrubber([CANARY]).text(f"Basic {sent} was refused")
    assert "•••" in scrubbed
    found = base64.b64decode(scrubbed.split()[1].split("•••")[0] + "====")
    assert CANARY.encode()[:2] not in found
    assert scrubbed.endswith("was refused")


def test_a_session_is_scrubbed_like_the_password_it_came_from(desk: Desk, serve: Serve) -> None:
    def careless(asked: Asked) -> Reply:
        match asked.json["method"]:
            case "common.db.login":
                return as_json([1, "canary-session-0123456789", None])
            case "model.res.user.get_preferences":
                return as_json({"company": 1})
        return as_json({"error": ["UserError", [f"no such session {asked.headers['authorization']}", ""]]})

    desk.connect("erp", "tryton", KEPT["tryton"](serve(careless).url))
    with pytest.raises(ConnectorError) as caught:
        desk.call("erp", "find_party", email="a@example.net")
    assert "no such session Session •••" in caught.value.sentence
    assert base64.b64encode(b"canary")[:6].decode() not in caught.value.sentence


def test_scrubbing_leaves_everything_else_alone() -> None:
    data: JSON = {"a": [1, True, None, 2.5, "text"], "b": {}}
    assert Scrubber([CANARY]).data(data) == data
    assert Scrubber([]).data(data) is data


def test_a_short_secret_does_not_tear_answers_apart() -> None:
    assert Scrubber(["ab"]).text("abracadabra") == "abracadabra"


def _database_bytes(db: Database) -> bytes:
    path = db.url.removeprefix("sqlite:///")
    found = b""
    for suffix in ("", "-wal"):
        try:
            with open(path + suffix, "rb") as file:
                found += file.read()
        except FileNotFoundError:
            pass
    return found
