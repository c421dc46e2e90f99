"""Any JSON over HTTP API, described as data: no code, and no URL that an input could steer.

An operation names a path below the connection's address. Inputs go into whole path segments (percent-encoded), whole
query values or whole body values; they are never pasted into a larger text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from jmespath.exceptions import JMESPathError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from connectors import paths
from connectors.errors import Ambiguous, BadAnswer, BadRequest
from connectors.http import MAX_ANSWER_BYTES, Answer
from connectors.records import AnswerField, AnswerType
from connectors.system import Call, Input, InputType, Operation, Result, System, SystemConfig, candidates
from tickets.values import JSON, iso

PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
#: Most operations of one connection, inputs or fields of one operation, and records of one answer.
MAX_OPERATIONS = 50
MAX_FIELDS = 100
MAX_RECORDS = 1_000
#: Headers that are ours to set.
OWN_HEADERS = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "content-type", "accept", "cookie", "user-agent")
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class InputPart(_Part):
    name: str
    type: InputType = InputType.TEXT
    required: bool = True
    doc: str = Field(default="", max_length=500)
    bind: str = Field(default="", max_length=100)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return _word(value)


class FieldPart(_Part):
    """Where a field of the answer is, what it holds, and how it is called."""

    path: str = Field(max_length=500)
    type: AnswerType = AnswerType.ANY
    label: str = Field(default="", max_length=120)

    @field_validator("path")
    @classmethod
    def _path(cls, value: str) -> str:
        return _expression(value)


class PaginatePart(_Part):
    """How further pages are asked for. There is no guessing: an API that pages must be told so.

    cursor: the answer holds the next cursor at `cursor_path`, sent as `param`. page: `param` counts from `first`.
    offset: `param` grows by the number of records received."""

    type: Literal["cursor", "page", "offset"]
    param: str = Field(min_length=1, max_length=60)
    cursor_path: str = Field(default="", max_length=500)
    first: int = Field(default=1, ge=0, le=1)
    limit_param: str = Field(default="", max_length=60)
    limit: int = Field(default=100, ge=1, le=1_000)
    max_pages: int = Field(default=5, ge=1, le=20)

    @model_validator(mode="after")
    def _whole(self) -> PaginatePart:
        if self.type == "cursor":
            if not self.cursor_path:
                raise ValueError("cursor paging needs cursor_path, where the answer holds the next cursor")
            _expression(self.cursor_path)
        return self


class OperationPart(_Part):
    """One operation, as a manager writes it."""

    name: str
    label: str = Field(default="", max_length=120)
    doc: str = Field(default="", max_length=1_000)
    kind: Literal["read", "write"] = "read"
    inputs: list[InputPart] = Field(default_factory=list, max_length=MAX_FIELDS)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str = Field(max_length=500)
    query: dict[str, str | int | bool] = Field(default_factory=dict, max_length=MAX_FIELDS)
    body: dict[str, Any] | None = None
    select: str = Field(default="@", max_length=500)
    map: dict[str, str | FieldPart] = Field(min_length=1, max_length=MAX_FIELDS)
    match: Literal["one", "list"] = "one"
    #: Whether a null at `select` means that there is no such record. Otherwise it means that the answer is not the
    #: expected one: an API that renames a field must not turn every customer into a stranger.
    null_is_none: bool = False
    cache_s: float = Field(default=600, ge=0, le=604_800)
    stale_s: float = Field(default=86_400, ge=0, le=2_592_000)
    timeout_s: float = Field(default=10, gt=0, le=60)
    paginate: PaginatePart | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        return _word(value)

    @field_validator("select")
    @classmethod
    def _select(cls, value: str) -> str:
        return _expression(value)

    @field_validator("map")
    @classmethod
    def _map(cls, value: dict[str, str | FieldPart]) -> dict[str, str | FieldPart]:
        for name, part in value.items():
            _word(name)
            if isinstance(part, str):
                _expression(part)
        return value

    @model_validator(mode="after")
    def _whole(self) -> OperationPart:
        if not self.path.startswith("/") or any(char in self.path for char in "?#\\") or "//" in self.path:
            raise ValueError("path must begin with one slash and hold no ?, # or \\; queries go into query")
        for segment in self.path.split("/"):
            if segment in (".", ".."):
                raise ValueError("path must not hold . or .. as a segment")
            if ("{" in segment or "}" in segment) and not PLACE.fullmatch(segment):
                raise ValueError(f"an input must fill a whole path segment, not a part of {segment!r}")
        names = [one.name for one in self.inputs]
        if len(set(names)) != len(names):
            raise ValueError("two inputs have the same name")
        used = {match for segment in self.path.split("/") for match in PLACE.findall(segment)}
        required = {one.name for one in self.inputs if one.required}
        if not used <= required:
            raise ValueError(f"path uses {', '.join(sorted(used - required))}, which must be a required input")
        for text in _texts([self.query, self.body]):
            if ("{" in text or "}" in text) and PLACE.search(text):
                place = PLACE.fullmatch(text)
                if place is None:
                    raise ValueError(f"{text!r}: an input must be the whole value, not a part of it")
                used.add(place[1])
        unknown = used - set(names)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is used but is not an input")
        if self.kind == "read" and self.method not in ("GET", "POST"):
            raise ValueError(f"{self.method} changes things; an operation that reads is GET or POST")
        if self.body is not None and self.method == "GET":
            raise ValueError("GET has no body")
        if self.paginate is not None and (self.match != "list" or self.kind != "read"):
            raise ValueError("only a read with match: list has pages")
        return self


class HttpJsonConfig(SystemConfig):
    auth: Literal["none", "basic", "bearer", "header"] = Field(
        default="none", title="Sign in with", json_schema_extra={"order": 20}
    )
    username: str = Field(default="", title="User name", max_length=200, json_schema_extra={"order": 21})
    header_name: str = Field(default="", title="Header", max_length=60, json_schema_extra={"order": 22})
    secret: SecretStr | None = Field(
        default=None, title="Password, token or key", max_length=4_000, json_schema_extra={"order": 23}
    )
    test_path: str = Field(
        default="/",
        title="Path to test with",
        max_length=500,
        description="Asked with GET; should need the credentials and change nothing.",
        json_schema_extra={"order": 30},
    )
    idempotency_header: str = Field(
        default="Idempotency-Key",
        title="Header for the idempotency key",
        max_length=60,
        description="Sent with every write.",
        json_schema_extra={"order": 31},
    )
    idempotent: bool = Field(
        default=False,
        title="Repeats writes safely",
        description="The API promises that a repeated key is carried out once; writes may then be sent again.",
        json_schema_extra={"order": 32},
    )
    max_answer_bytes: int = Field(
        default=MAX_ANSWER_BYTES,
        ge=1_000,
        le=MAX_ANSWER_BYTES,
        title="Largest answer in bytes",
        json_schema_extra={"order": 92},
    )
    operations: list[OperationPart] = Field(
        default_factory=list, max_length=MAX_OPERATIONS, title="Operations", json_schema_extra={"order": 40}
    )

    @model_validator(mode="after")
    def _whole(self) -> HttpJsonConfig:
        if self.auth != "none" and self.secret is None:
            raise ValueError(f"sign-in with {self.auth} needs a secret")
        if self.auth == "basic" and (not self.username or ":" in self.username):
            raise ValueError("sign-in with basic needs a user name without a colon")
        if self.auth == "header":
            _header(self.header_name)
        _header(self.idempotency_header)
        if self.secret is not None and any(not " " <= char <= "~" for char in self.secret.get_secret_value()):
            raise ValueError("the secret holds characters that cannot be sent in a header")
        if not self.test_path.startswith("/") or any(char in self.test_path for char in "#\\ "):
            raise ValueError("the path to test with must begin with a slash")
        names = [one.name for one in self.operations]
        if len(set(names)) != len(names):
            raise ValueError("two operations have the same name")
        return self


class HttpJson(System):
    """Operations that are configuration."""

    kind: ClassVar[str] = "http_json"
    label: ClassVar[str] = "HTTP and JSON"
    doc: ClassVar[str] = "Any API that answers with JSON, described without code."
    Config: ClassVar[type[SystemConfig]] = HttpJsonConfig

    def __init__(self, config: SystemConfig) -> None:
        super().__init__(config)
        assert isinstance(config, HttpJsonConfig)
        self._config = config

    def operations(self) -> Mapping[str, Operation]:
        return {part.name: self._operation(part) for part in self._config.operations}

    def probe(self, call: Call) -> str:
        headers, auth = self._credentials()
        answer = call.http.request("GET", self._config.test_path, headers=headers, auth=auth)
        answer.json(call.http.way.label)
        return f"The system answered {answer.status} with JSON."

    def _operation(self, part: OperationPart) -> Operation:
        fields = {name: _field(name, one) for name, one in part.map.items()}
        return Operation(
            part.name,
            part.label or part.name.replace("_", " ").capitalize(),
            part.kind,
            tuple(Input(one.name, one.type, one.required, one.doc, one.bind) for one in part.inputs),
            {name: AnswerField(one.type, one.label) for name, one in fields.items()},
            lambda call: self._run(part, fields, call),
            many=part.match == "list",
            cache_s=part.cache_s,
            stale_s=part.stale_s,
            timeout_s=part.timeout_s,
            doc=part.doc,
            repeatable=self._config.idempotent,
        )

    def _run(self, part: OperationPart, fields: Mapping[str, FieldPart], call: Call) -> Result:
        label = call.http.way.label
        records: list[JSON] = []
        truncated = False
        cursor: str | None = None
        pages = part.paginate
        for page in range(pages.max_pages if pages else 1):
            query = _query(part.query, call.args)
            if pages is not None:
                query += _page_params(pages, page, len(records), cursor)
            answer = self._send(part, call, query)
            if answer is None:
                return Result(None)
            if part.kind == "write" and not answer.body.strip():
                return Result({})  # done, and nothing to tell: 204 and its like
            data = answer.json(label)
            got = _selected(part, data, label)
            records += [_mapped(fields, one, label) for one in got]
            if len(records) > MAX_RECORDS:
                records, truncated = records[:MAX_RECORDS], True
                break
            # A page may be empty and name a further one: what was filtered out over there is not the end.
            if pages is None or (not got and pages.type != "cursor"):
                break
            if pages.type == "cursor":
                following = _search(pages.cursor_path, data, label)
                if following in (None, "", False):
                    break
                # The same cursor twice would ask for the same page for ever.
                if str(following) == cursor:
                    truncated = bool(got)
                    break
                cursor = str(following)
            elif len(got) < pages.limit:
                break
        else:
            # The pages ran out before the data did.
            truncated = pages is not None
        if part.match == "list":
            return Result(records, truncated)
        if len(records) > 1:
            found = [one for one in records if isinstance(one, Mapping)]
            raise Ambiguous(f"{label} has {len(records)} records that match", candidates=candidates(found))
        return Result(records[0] if records else None)

    def _send(self, part: OperationPart, call: Call, query: Sequence[tuple[str, str]]) -> Answer | None:
        headers, auth = self._credentials()
        if part.kind == "write":
            headers[self._config.idempotency_header] = call.idempotency_key
        # "Nothing here" is the answer none only where the path names the record; else the path itself is wrong.
        names_it = any(PLACE.fullmatch(segment) for segment in part.path.split("/"))
        none = (404, 410) if part.match == "one" and part.kind == "read" and names_it else ()
        answer = call.http.request(
            part.method,
            _path(part.path, call.args),
            params=query,
            json_body=_filled(part.body, call.args) if part.body is not None else None,
            headers=headers,
            auth=auth,
            accept_status=none,
        )
        return None if answer.status in none else answer

    def _credentials(self) -> tuple[dict[str, str], tuple[str, str] | None]:
        secret = self._config.secret.get_secret_value() if self._config.secret is not None else ""
        match self._config.auth:
            case "basic":
                return {}, (self._config.username, secret)
            case "bearer":
                return {"Authorization": f"Bearer {secret}"}, None
            case "header":
                return {self._config.header_name: secret}, None
            case _:
                return {}, None


def _word(value: str) -> str:
    if not WORD.fullmatch(value):
        raise ValueError("must be a lower-case letter, then up to 39 letters, digits or _")
    return value


def _expression(value: str) -> str:
    try:
        paths.check(value)
        return value
    except JMESPathError:
        pass
    raise ValueError("is not a JMESPath expression")


def _header(name: str) -> None:
    if not HEADER.fullmatch(name) or name.casefold() in OWN_HEADERS:
        raise ValueError(f"{name!r} cannot be used as a header here")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _field(name: str, part: str | FieldPart) -> FieldPart:
    if isinstance(part, str):
        part = FieldPart(path=part)
    return part if part.label else part.model_copy(update={"label": name.replace("_", " ").capitalize()})


def _path(template: str, args: Mapping[str, JSON]) -> str:
    segments = []
    for segment in template.split("/"):
        place = PLACE.fullmatch(segment)
        if place is None:
            segments.append(quote(segment, safe="-._~!$&'()*+,;=:@%"))
            continue
        value = str(args[place[1]])
        if value in (".", ".."):
            raise BadRequest(f"{place[1]} may not be {value!r}. Nothing was sent.")
        segments.append(quote(value, safe=""))
    return "/".join(segments)


def _query(template: Mapping[str, str | int | bool], args: Mapping[str, JSON]) -> list[tuple[str, str]]:
    """The query's pairs; one whose optional input is absent is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in template.items():
        place = PLACE.fullmatch(value) if isinstance(value, str) else None
        found: JSON = args.get(place[1]) if place else value
        if found is not None:
            pairs.append((name, str(found).lower() if isinstance(found, bool) else str(found)))
    return pairs


def _filled(template: Any, args: Mapping[str, JSON]) -> JSON:
    """The body, with every "{input}" replaced by that input's value; an absent optional one takes its key along."""
    if isinstance(template, str):
        place = PLACE.fullmatch(template)
        return args.get(place[1]) if place else template
    if isinstance(template, dict):
        return {
            key: _filled(inner, args)
            for key, inner in template.items()
            if not (isinstance(inner, str) and (place := PLACE.fullmatch(inner)) and place[1] not in args)
        }
    if isinstance(template, list):
        return [_filled(inner, args) for inner in template]
    return template


def _page_params(pages: PaginatePart, page: int, received: int, cursor: str | None) -> list[tuple[str, str]]:
    pairs = [(pages.limit_param, str(pages.limit))] if pages.limit_param else []
    match pages.type:
        case "cursor":
            return pairs + ([(pages.param, cursor)] if cursor is not None else [])
        case "page":
            return [*pairs, (pages.param, str(page + pages.first))]
        case "offset":
            return [*pairs, (pages.param, str(received))]


def _selected(part: OperationPart, data: Any, label: str) -> list[Any]:
    """The records in the answer. Raises `BadAnswer` when what is there is neither records nor a stated none."""
    found = _search(part.select, data, label)
    if found is None and part.null_is_none:
        return []
    if isinstance(found, dict) and part.match == "one":
        found = [found]
    if not isinstance(found, list):
        raise BadAnswer(f"{label}: {part.name} found no record and no list at {part.select!r} in the answer")
    return found


def _search(expression: str, data: Any, label: str) -> Any:
    try:
        return paths.search(expression, data)
    except (JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError):
        pass
    raise BadAnswer(f"{label}: {expression!r} does not fit the answer")


def _mapped(fields: Mapping[str, FieldPart], record: Any, label: str) -> dict[str, JSON]:
    found = {name: _typed(one, _search(one.path, record, label), name, label) for name, one in fields.items()}
    if all(value is None for value in found.values()):
        raise BadAnswer(f"{label}: a record in the answer has none of the fields {', '.join(fields)}")
    return found


def _typed(part: FieldPart, value: Any, name: str, label: str) -> JSON:
    """`value` as what the field says it holds. Raises `BadAnswer`: a wrong type now is a wrong decision later."""
    if value is None:
        return None
    try:
        match part.type:
            case AnswerType.ANY:
                return _plain(value)
            case AnswerType.TEXT:
                if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
                    return str(value)
            case AnswerType.NUMBER:
                if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                    return _plain(value)
                if isinstance(value, str):
                    return _plain(Decimal(value))
            case AnswerType.MONEY:
                if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool):
                    number = Decimal(value)
                    if number.is_finite() and -30 < number.adjusted() < 30:
                        return f"{number:f}"
            case AnswerType.BOOL:
                if isinstance(value, bool):
                    return value
            case AnswerType.TIME:
                return _time(value)
            case AnswerType.DATE:
                return date.fromisoformat(str(value)[:10]).isoformat()
            case AnswerType.TEXTS:
                if isinstance(value, list) and all(isinstance(one, str) for one in value):
                    return list(value)
    except (ValueError, ArithmeticError, OSError):  # the last: what time is it after 10**18 seconds
        pass
    raise BadAnswer(f"{label}: the field {name} is not a {part.type.value}")


def _time(value: Any) -> str:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return iso(datetime.fromtimestamp(float(value), UTC))
    at = datetime.fromisoformat(str(value))
    # A time without a zone could mean any of 24 hours.
    return iso(at)


def _plain(value: Any) -> JSON:
    """`value` with Decimals as JSON numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
