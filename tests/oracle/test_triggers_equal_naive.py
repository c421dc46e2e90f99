"""On random triggers and events a table runs when a naive reading of its triggers says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.engine import NO_INDEX, Entry, compile_ruleset, decide
from rules.parse import parse_table
from rules.triggers import TRIGGERS, clean_trigger
from tests.environment.selection import examples
from tests.rules.desk import DESK, a_table_as_data, some_facts, tagging

STATUSES = ["open", "solved", "waiting_team"]
CODES = ["A01", "A02"]
#: What time triggers wait for; of each kind two that differ in one word.
TIMED: list[dict[str, Any]] = [
    {"on": "time_in_state", "status": "open", "for": "1 h"},
    {"on": "time_in_state", "status": "open", "for": "2 h"},
    {"on": "no_reply", "by": "agent", "for": "1 h"},
    {"on": "no_reply", "by": "customer", "for": "1 h"},
    {"on": "before_date", "field": "ticket.due_at", "by": "1 d"},
    {"on": "after_date", "field": "ticket.due_at", "by": "1 d"},
    {"on": "sla_near", "target": "first_reply"},
    {"on": "sla_near", "target": "resolution"},
    {"on": "sla_breached", "target": "first_reply"},
    {"on": "schedule", "cron": "0 9 * * 1"},
    {"on": "schedule", "cron": "0 9 * * 2"},
]


def _some(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([None, *values])


@st.composite
def triggers(draw: st.DrawFn) -> dict[str, Any]:
    on = draw(st.sampled_from(list(TRIGGERS)))
    given: dict[str, Any] = {"on": on}
    match on:
        case "message":
            given |= {"by": draw(_some(["customer", "agent", "bot", "anyone"])),
                      "visibility": draw(_some(["public", "internal"]))}  # fmt: skip
        case "changed":
            given["field"] = draw(_some(["ticket.status", "ticket.priority"]))
            if given["field"] == "ticket.status":
                given |= {"from": draw(_some(STATUSES)), "to": draw(_some(STATUSES))}
        case "stage_entered":
            given["stage"] = draw(_some(["collect", "prepare"]))
        case "request_completed":
            given["questions"] = draw(_some(["papers"]))
        case "form_answered":
            given["form"] = draw(_some(["report"]))
        case "procedure_answered":
            given["form"] = draw(_some([])) or None
        case "context_updated":
            given["key"] = draw(_some(["crm", "billing"]))
        case "script_finished":
            given |= {"script": draw(_some(["double_charge"])), "status": draw(_some(["failed", "finished"]))}
        case timed if timed in {one["on"] for one in TIMED}:
            given = dict(draw(st.sampled_from([one for one in TIMED if one["on"] == timed])))
    return {key: value for key, value in given.items() if value is not None}


#: The kind of event that a trigger is about where it is not called so.
KIND_OF = {"stage_entered": "changed", "procedure_answered": "form_answered", **{one["on"]: "timer" for one in TIMED}}
KINDS = sorted({KIND_OF.get(on, on) for on in TRIGGERS})


@st.composite
def events(draw: st.DrawFn, about: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of `some_facts`; three of four events are of the kind that this trigger is about."""
    mostly = KIND_OF.get(about["on"], about["on"])
    kind = draw(st.sampled_from([mostly, mostly, mostly, *KINDS]) if draw(st.booleans()) else st.just(mostly))
    payload: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    message = run = None
    if draw(st.booleans()):
        changes["status"] = draw(st.permutations(STATUSES))[:2]
    if draw(st.integers(0, 3)) == 0:
        changes["fields.stage"] = [None, draw(st.sampled_from(["collect", "prepare"]))]
    match kind:
        case "message":
            author = draw(st.sampled_from(["customer", "agent", "bot", "third_party"]))
            message = {"author": author, "public": draw(st.booleans()), "new_text": "hello"}
        case "context_updated":
            payload["keys"] = draw(st.lists(st.sampled_from(["crm", "billing"]), min_size=1, unique=True))
        case "script_finished":
            script = draw(st.sampled_from(["double_charge", "another"]))
            run = {"script": script, "status": draw(st.sampled_from(["failed", "finished"])), "error": ""}
        case "run_now":
            payload["entry"] = draw(st.sampled_from(CODES))
        case "request_completed":
            payload["list"] = draw(st.sampled_from(["papers", "other"]))
        case "form_answered":
            payload = {"purpose": draw(st.sampled_from(["form", "procedure"])), "form": "report"}
        case "timer":
            waited = dict(about) if about in TIMED and draw(st.booleans()) else draw(st.sampled_from(TIMED))
            rule = TRIGGERS[waited["on"]].timed
            assert rule is not None
            on, params = waited["on"], {key: value for key, value in waited.items() if key != "on"}
            digest = rule(clean_trigger(on, params, DESK)).digest
            entry = draw(st.sampled_from(CODES))
            payload = {"entry": entry, "timer": f"{entry}:{digest}", "rule": digest, "waited": waited}
            if draw(st.integers(0, 3)) == 0:
                payload["overtaken"] = True
    if kind in ("timer", "run_now", "request_completed", "linked_done"):
        changes = {}
    return {"kind": kind, "changes": changes, "payload": payload, "message": message, "run": run}


def runs(trigger: Mapping[str, Any], event: Mapping[str, Any], code: str) -> bool:
    """Whether this trigger of the table with this code is about the event, read word by word."""
    on, kind, payload, changes = trigger["on"], event["kind"], event["payload"], event["changes"]
    match on:
        case "created" | "linked_done":
            return bool(kind == on)
        case "message":
            message = event["message"]
            by, visibility = trigger.get("by", "anyone"), trigger.get("visibility")
            return (
                kind == "message"
                and (by == "anyone" or message["author"] == by)
                and (visibility is None or message["public"] is (visibility == "public"))
            )
        case "changed":
            name = trigger.get("field", "").removeprefix("ticket.")
            if kind == "created" or not changes or (name and name not in changes):
                return False
            before, after = changes.get(name, (None, None))
            return trigger.get("from") in (None, before) and trigger.get("to") in (None, after)
        case "stage_entered":
            stage = changes.get("fields.stage", (None, None))[1]
            return stage is not None and trigger.get("stage") in (None, stage)
        case "request_completed":
            return kind == on and trigger.get("questions") in (None, payload["list"])
        case "run_now":
            return kind == on and payload["entry"] == code
        case "form_answered" | "procedure_answered":
            purpose = on.removesuffix("_answered")
            return payload.get("purpose") == purpose and trigger.get("form") in (None, payload["form"])
        case "context_updated":
            return kind == on and trigger.get("key") in (None, *payload["keys"])
        case "script_finished":
            run = event["run"]
            return (
                run is not None
                and trigger.get("script") in (None, run["script"])
                and trigger.get("status") in (None, run["status"])
            )
    return kind == "timer" and payload["waited"] == trigger and payload["entry"] == code and "overtaken" not in payload


@examples(300)
@given(st.data(), st.lists(st.lists(triggers(), min_size=1, max_size=3), min_size=1, max_size=2), st.booleans())
def test_a_table_runs_when_one_of_its_triggers_is_about_the_event(
    data: st.DataObject, given_triggers: list[list[dict[str, Any]]], indexed: bool
) -> None:
    event = data.draw(events(data.draw(st.sampled_from(given_triggers[0]))))
    tables = [
        parse_table(a_table_as_data([tagging(f"ran-{code}")], code=code, triggers=wanted, hit="every"), DESK)
        for code, wanted in zip(CODES, given_triggers, strict=False)
    ]
    entries = [Entry(one.code, one.name, 1, at, table=one) for at, one in enumerate(tables)]
    ruleset = compile_ruleset(1, entries, DESK, index_from=0 if indexed else NO_INDEX)
    decision = decide(ruleset, some_facts(**event))
    said = [
        code
        for code, wanted in zip(CODES, given_triggers, strict=False)
        if any(runs(one, event, code) for one in wanted)
    ]
    assert [key.partition("/")[0] for key in decision.fired] == said
