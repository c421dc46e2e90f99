"""The kinds of work item: the statuses, priorities, fields and pipelines each of them has. No I/O.

All kinds share one store. What differs is said here once, and pages, API, rules and the store read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tickets.item import CUSTOM, PRIORITIES, STATE_FIELDS, STATUSES, FieldType, ItemKind, StateField, state_field

#: What somebody who works with a kind calls one of it, and several.
KIND_LABELS: Mapping[str, str] = {
    ItemKind.TICKET: "Ticket",
    ItemKind.TASK: "Task",
    ItemKind.PROJECT: "Project",
    ItemKind.TIMESHEET: "Timesheet",
    ItemKind.JOB: "Job",
}
KIND_PLURALS: Mapping[str, str] = {
    ItemKind.TICKET: "Tickets",
    ItemKind.TASK: "Tasks",
    ItemKind.PROJECT: "Projects",
    ItemKind.TIMESHEET: "Timesheets",
    ItemKind.JOB: "Jobs",
}
#: The statuses of each kind, the first one for new items. "solved" and "closed" are finished, whatever they are called.
STATUSES_OF: Mapping[str, Mapping[str, str]] = {
    ItemKind.TICKET: STATUSES,
    ItemKind.TASK: {
        "open": "To do",
        "in_progress": "In progress",
        "waiting_customer": "Waiting for customer",
        "waiting_team": "Waiting for another team",
        "snoozed": "Snoozed",
        "closed": "Done",
    },
    ItemKind.PROJECT: {"open": "Planned", "in_progress": "In progress", "on_hold": "On hold", "closed": "Completed"},
    ItemKind.TIMESHEET: {"open": "Open", "closed": "Closed"},
    ItemKind.JOB: {"open": "Active", "waiting_customer": "Waiting for client", "on_hold": "On hold", "closed": "Done"},
}
#: Every status there is, for what may look at items of several kinds.
ALL_STATUSES: Mapping[str, str] = {
    **{key: label for statuses in STATUSES_OF.values() for key, label in statuses.items()},
    **STATUSES,
}
#: How the priorities read where a kind shows stars; the stored keys are the same for all kinds.
STARS: Mapping[str, str] = {
    "low": "1 star",
    "normal": "2 stars",
    "high": "3 stars",
    "urgent": "4 stars",
    "critical": "5 stars",
}
STARRED = frozenset({ItemKind.TASK, ItemKind.PROJECT})
APPROVALS: Mapping[str, str] = {
    "draft": "Draft",
    "submitted": "Submitted",
    "approved": "Approved",
    "rejected": "Rejected",
}
BILLING: Mapping[str, str] = {"billable": "Billable", "not_billable": "Not billable"}
#: How a task that a customer pays for stands. A bank debit takes days until it is cleared, and may fail.
PAYMENTS: Mapping[str, str] = {
    "due": "Due",
    "debit": "Bank debit under way",
    "paid": "Paid",
    "failed": "Failed",
}
PIPELINE, STAGE, APPROVAL = CUSTOM + "pipeline", CUSTOM + "stage", CUSTOM + "approval"
JOB_STATUS, PAYMENT = CUSTOM + "job_status", CUSTOM + "payment_status"
#: The statuses of a job that hold it up; with its own status over, it is active again.
HELD_UP = frozenset({"waiting_customer", "on_hold"})
#: Kinds that stand in a stage of a pipeline.
STAGED = frozenset({ItemKind.JOB})
#: The fields that a kind has from the start, by key without "fields."; this desk's own stand beside them.
KIND_FIELDS: Mapping[str, Mapping[str, StateField]] = {
    ItemKind.TASK: {
        "payment_status": StateField(PAYMENT, "Payment", FieldType.CHOICE, PAYMENTS),
    },
    ItemKind.TIMESHEET: {
        "hours": StateField(CUSTOM + "hours", "Hours", FieldType.NUMBER),
        "billing": StateField(CUSTOM + "billing", "Billing type", FieldType.CHOICE, BILLING),
        "approval": StateField(APPROVAL, "Approval status", FieldType.CHOICE, APPROVALS),
    },
    ItemKind.JOB: {
        "pipeline": StateField(PIPELINE, "Pipeline", FieldType.CHOICE),
        "stage": StateField(STAGE, "Stage", FieldType.CHOICE),
        "job_status": StateField(JOB_STATUS, "Job status", FieldType.CHOICE),
    },
}
#: What a new item of a kind has unless somebody says otherwise.
FIRST_VALUES: Mapping[str, Mapping[str, str]] = {ItemKind.TIMESHEET: {APPROVAL: "draft"}}
#: Most stages of one pipeline, and most pipelines.
MOST_STAGES = 40
#: Most statuses of its own that one pipeline has.
MOST_JOB_STATUSES = 20
MOST_PIPELINES = 100


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a pipeline. `automove`: a job leaves it by itself once everything linked to it is done."""

    key: str
    label: str
    automove: bool = False


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Why a job of this pipeline stands still, in the desk's own words; a job without one is active.

    `automove`: it is active again by itself once everything linked to it is done."""

    key: str
    label: str
    automove: bool = False


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages that items of a kind go through, in order. Keys of stages and of statuses are unique in the desk.

    `debit_at_once`: a payment by bank debit counts as made before it is cleared."""

    key: str
    label: str
    kind: str
    stages: tuple[Stage, ...]
    statuses: tuple[JobStatus, ...] = ()
    debit_at_once: bool = False

    def after(self, stage: str) -> Stage | None:
        """The stage that follows, None on the last and for a stage that is not in this pipeline."""
        keys = [one.key for one in self.stages]
        place = keys.index(stage) + 1 if stage in keys else len(keys)
        return self.stages[place] if place < len(keys) else None


def statuses_of(kind: str) -> Mapping[str, str]:
    """The statuses of this kind by key; of "any" kind all there are."""
    return STATUSES_OF.get(kind, ALL_STATUSES)


def priorities_of(kind: str) -> Mapping[str, str]:
    """The priorities by key, in the words of this kind: five of them, or one to five stars."""
    return STARS if kind in STARRED else PRIORITIES


def field_of(kind: str, key: str, custom: Mapping[str, StateField]) -> StateField:
    """The field with this key as this kind has it. Raises `UnknownField`."""
    found = state_field(key, custom)
    return replace(found, options=statuses_of(kind)) if found is STATE_FIELDS["status"] else found


def fields_of(
    kind: str, custom: Mapping[str, StateField], pipelines: Mapping[str, Pipeline] | None = None
) -> dict[str, StateField]:
    """The fields of this kind beside those of all, by key without "fields.": built in first, then this desk's own."""
    built_in = dict(KIND_FIELDS.get(kind, {}))
    if kind in STAGED:
        here = [one for one in (pipelines or {}).values() if one.kind == kind]
        built_in["pipeline"] = replace(built_in["pipeline"], options={one.key: one.label for one in here})
        built_in["stage"] = replace(
            built_in["stage"], options={stage.key: stage.label for one in here for stage in one.stages}
        )
        own = {status.key: status.label for one in here for status in one.statuses}
        if own:
            built_in["job_status"] = replace(built_in["job_status"], options=own)
        else:
            del built_in["job_status"]  # a desk that names none is not asked for one
    return {**built_in, **{key: field for key, field in custom.items() if key not in built_in}}


def pipeline_of(stage: str, pipelines: Mapping[str, Pipeline]) -> Pipeline | None:
    """The pipeline that has this stage, or None."""
    return next((one for one in pipelines.values() if any(each.key == stage for each in one.stages)), None)
