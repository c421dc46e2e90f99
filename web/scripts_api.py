"""What the script editor completes: the same names the sandbox gives a script, with their sentences.

Built from the catalogue of actions, the connections' operations and the sandbox's own list of names, so that completion
cannot offer what a script does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext

from jobs.live import Desk
from jobs.runs import script_api
from rules.fields import CLOCKS, FIELDS
from rules.vocabulary import ScriptParam
from sandbox.child import names
from sandbox.contract import Method, Param
from tickets.item import STATE_FIELDS
from web.labels import in_words

Member = dict[str, Any]

#: What the type words of parameters look like in a signature.
_TYPES: Mapping[str, str] = {
    "text": "str",
    "number": "number",
    "integer": "int",
    "decimal": "Decimal",
    "bool": "bool",
    "date": "date",
    "list": "list",
    "any": "any",
    "json": "any",
}
#: How a script's own sentence about a parameter goes on, as `rules.actions.script_methods` writes it.
_ALLOWED = " One of: "


def _facts() -> dict[str, str]:
    return {
        "ticket": gettext("The ticket this run is about: read its fields, call its actions."),
        "customer": gettext("Who wrote, or None."),
        "event": gettext("What happened: kind, actor, changes."),
        "history": gettext("The ticket's past events, oldest first."),
        "params": gettext("What the rule that runs this script gives it."),
    }


def _verbs() -> dict[str, tuple[str, str]]:
    return {
        "log": ("(*values)", gettext("Write a line into the run's log.")),
        "now": ("()", gettext("The moment the run began.")),
        "stop": (
            '(reason="")',
            gettext("End here. What was done so far stands; the reason is shown on the ticket."),
        ),
    }


def completion(desk: Desk, takes: Sequence[ScriptParam] = ()) -> dict[str, Any]:
    """`{"globals": {name: member}, "types": {type: {"members": {name: member}}}}` for the editor, in the reader's
    language.

    `takes` are the parameters that the script declares."""
    api = script_api(desk)
    facts = _facts()
    ticket: dict[str, Member] = {}
    for key, field in STATE_FIELDS.items():
        ticket[key] = {"kind": "property", "type": field.type.value, "doc": _said(field.label)}
    for key, record in CLOCKS.items():
        ticket[key] = {"kind": "property", "type": record.type.value, "doc": _said(record.label)}
    ticket["id"] = {"kind": "property", "type": "number", "doc": gettext("The ticket's number")}
    ticket["customer"] = {"kind": "object", "type": "Customer", "doc": facts["customer"]}
    ticket["message"] = {"kind": "object", "type": "Message", "doc": gettext("The message of this event, or None.")}
    ticket["fields"] = {
        "kind": "object",
        "doc": gettext("The desk's own fields."),
        "members": {
            key: {"kind": "property", "type": field.type.value, "doc": field.label}
            for key, field in desk.vocabulary.custom_fields.items()
        },
    }
    ticket["context"] = {
        "kind": "object",
        "doc": gettext(
            "The ticket's context cards by key, as they stood when the run began. "
            "Each has data, title, source, fetched_at, fresh_until, error."
        ),
    }
    ticket |= {name: _method(method) for name, method in api.actions.items()}
    everything: dict[str, Member] = {name: {"kind": "property"} for name in sorted(names.BUILTINS | names.EXCEPTIONS)}
    facade = gettext("A part of Python's module of this name; import it or just use it.")
    everything |= {
        name: {"kind": "object", "doc": facade, "members": _of_facade(name)} for name in sorted(names.FACADES)
    }
    everything |= {name: {"kind": "method", "sig": sig, "doc": doc} for name, (sig, doc) in _verbs().items()}
    everything |= {
        name: {"kind": "object", "type": name.capitalize(), "doc": facts.get(name, "")} for name in sorted(names.FACTS)
    }
    everything["params"]["members"] = {
        one.name: {
            "kind": "property",
            "type": one.type.value,
            "doc": " ".join(text for text in (f"{one.label}.", one.doc, _left_out(one)) if text),
        }
        for one in takes
    }
    labels = {one.connection: one.connection_label for one in desk.operations}
    for connection, operations in api.connections.items():
        everything[connection] = {
            "kind": "object",
            "doc": gettext("The connection %(name)s.", name=labels.get(connection, connection)),
            "members": {name: _method(method, connection=True) for name, method in operations.items()},
        }
    return {
        "globals": everything,
        "types": {
            "Ticket": {"members": ticket},
            "Customer": {"members": _part("customer")},
            "Message": {"members": _part("message")},
            "Event": {"members": _part("event")},
        },
    }


def _of_facade(name: str) -> dict[str, Member]:
    return {
        one: {"kind": "method", "sig": sig} if sig else {"kind": "property"} for one, sig in names.MEMBERS[name].items()
    }


def _left_out(param: ScriptParam) -> str:
    if param.required and param.default is None:
        return ""
    return gettext("Left out: %(value)s.", value=repr(param.default))


def _part(part: str) -> dict[str, Member]:
    return {
        record.key.partition(".")[2]: {"kind": "property", "type": record.type.value, "doc": _said(record.label)}
        for record in FIELDS.values()
        if record.key.startswith(f"{part}.")
    }


def _sent_after(method: Method, connection: bool) -> tuple[str, ...]:
    if not (connection and method.writes):
        return ()
    return (gettext("It is sent after the run has ended well; the answer here is a receipt."),)


def _method(method: Method, connection: bool = False) -> Member:
    shown = ", ".join(_shown(one) for one in method.params)
    required = [one for one in method.params if one.required] or list(method.params[:1])
    snippet = ", ".join(f"{one.name}=${{{one.name}}}" for one in required)
    return {
        "kind": "method",
        "sig": f"({shown})",
        "doc": " ".join(
            text if text[-1:] in ".!?" else f"{text}."
            for text in (
                _said(method.doc),
                *_sent_after(method, connection),
                *(f"{one.name}: {_said(one.doc)}" for one in method.params if one.doc),
            )
        ),
        "snippet": f"{method.name}({snippet})",
    }


def _said(doc: str) -> str:
    """A sentence of the catalogues in the reader's language; the values that stand behind it are the desk's own."""
    sentence, found, allowed = doc.partition(_ALLOWED)
    more = gettext("One of: %(names)s", names=allowed) if found else ""
    return " ".join(text for text in (in_words(sentence), more) if text)


def _shown(param: Param) -> str:
    return f"{param.name}: {_TYPES[param.type]}" + ("" if param.required else " = None")
