"""The actions around an item: its stage and approval, who sees it, who gets it next, and the items beside it."""

from __future__ import annotations

from rules.action import Action, Desk, Param, Params, ParamType, texts
from rules.errors import ActionRefused, no_such
from rules.vocabulary import Vocabulary
from tickets.effects import AddTo, AssignNext, CreateItem, Effect, Follow, LinkTo, SendRequest, SetField
from tickets.item import FINISHED, ItemKind
from tickets.kinds import APPROVAL, APPROVALS, KIND_LABELS, PIPELINE, STAGE, pipeline_of
from tickets.values import JSON

#: What `move_stage` takes for the stage after the one the item is in.
NEXT_STAGE = "next"
TURNS = {"round_robin": "In turn", "fewest_open": "Who has the fewest open"}
WAYS = {"part_of": "it is part of this one", "contains": "it contains this one", "relates": "it relates to this one"}
#: How often a request is reminded of, and the hours between two reminders.
REMINDERS = {
    "never": ("Never", 0),
    "daily": ("Every day", 24),
    "every_3_days": ("Every 3 days", 72),
    "weekly": ("Every week", 168),
}
#: The tag that says that nobody was answered.
HANDLED_TAG = "no reply needed"
#: The longest subject of an item that a rule creates, in characters.
SUBJECT_CHARS = 500


def _has(field: str, desk: Desk, label: str) -> None:
    """Raises `ActionRefused` where the kind of item does not have this field."""
    if field.removeprefix("fields.") not in desk.vocabulary.custom_fields:
        kind = KIND_LABELS.get(desk.vocabulary.kind, desk.vocabulary.kind)
        raise ActionRefused(f"A {kind.casefold()} has no {label}.")


def _move_stage(params: Params, desk: Desk) -> tuple[Effect, ...]:
    _has(STAGE, desk, "stage")
    wanted, pipelines = str(params["stage"]), desk.vocabulary.pipelines
    if wanted == NEXT_STAGE:
        here = str(desk.facts.item.get(STAGE) or "")
        pipeline = pipeline_of(here, pipelines)
        following = pipeline.after(here) if pipeline is not None else None
        if pipeline is None or following is None:
            return ()  # in no stage, or in the last one
        wanted = following.key
    else:
        pipeline = pipeline_of(wanted, pipelines)
        if pipeline is None:
            raise ActionRefused(no_such("stage", wanted, _stages(desk.vocabulary)))
    return (SetField(PIPELINE, pipeline.key), SetField(STAGE, wanted))


def _stages(vocabulary: Vocabulary) -> dict[str, str]:
    return {
        NEXT_STAGE: "The next one",
        **{
            stage.key: f"{pipeline.label}: {stage.label}"
            for pipeline in vocabulary.pipelines.values()
            for stage in pipeline.stages
        },
    }


def _set_approval(params: Params, desk: Desk) -> tuple[Effect, ...]:
    _has(APPROVAL, desk, "approval status")
    return (SetField(APPROVAL, params["approval"]),)


def _assign_next(params: Params, desk: Desk) -> tuple[Effect, ...]:
    team = str(params.get("team") or desk.facts.item.get("team") or "")
    if not team:
        raise ActionRefused("Nobody can be next: the ticket has no team, and the step names none.")
    turns = str(params["turns"])
    return (AssignNext(team, fewest=turns == "fewest_open"),)


def _create_item(params: Params, desk: Desk) -> tuple[Effect, ...]:
    subject = " ".join(desk.text(str(params["subject"])).split())[:SUBJECT_CHARS]
    if not subject:
        raise ActionRefused("The new item would have no subject.")
    kind, stage = str(params["kind"]), str(params.get("stage") or "")
    return (
        CreateItem(
            kind=kind,
            subject=subject,
            way=str(params.get("way") or "part_of"),
            team=str(params.get("team") or ""),
            assignees=texts(params.get("users")),
            stage=stage,
            customer=bool(params.get("customer")),
        ),
    )


def _check_create(params: dict[str, JSON], vocabulary: Vocabulary) -> None:
    stage = params.get("stage")
    if not stage:
        return
    found = pipeline_of(str(stage), vocabulary.pipelines)
    if found is None or found.kind != params.get("kind"):
        raise ActionRefused(f"A {params.get('kind')!s} has no stage {str(stage)!r}.")


def _link(params: Params, _desk: Desk) -> tuple[Effect, ...]:
    number = str(params["number"]).strip().removeprefix("#")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
        raise ActionRefused(f"{str(params['number'])[:20]!r} is not the number of an item.")
    return (LinkTo(int(number), str(params.get("way") or "relates")),)


def _send_request(params: Params, _desk: Desk) -> tuple[Effect, ...]:
    return (
        SendRequest(
            str(params["questions"]), bool(params.get("sign_in")), REMINDERS[str(params.get("remind") or "never")][1]
        ),
    )


def _follow(params: Params, _desk: Desk) -> tuple[Effect, ...]:
    return (Follow(texts(params["users"])),)


_WAY = Param(
    "way",
    "How it belongs to this one",
    ParamType.CHOICE,
    "The new or other item is part of this one, contains it, or just relates to it.",
    required=False,
    options=lambda _vocabulary: WAYS,
)

ITEM_ACTIONS: tuple[Action, ...] = (
    Action(
        "move_stage",
        "Move to stage",
        "Move a job to this stage of a pipeline, or to the next one; on the last stage `next` does nothing.",
        (Param("stage", "Stage", ParamType.CHOICE, "The stage, or next.", options=_stages),),
        _move_stage,
    ),
    Action(
        "set_approval",
        "Set approval status",
        "Give a timesheet this approval status.",
        (
            Param(
                "approval",
                "Approval status",
                ParamType.CHOICE,
                "The approval status.",
                options=lambda _vocabulary: APPROVALS,
            ),
        ),
        _set_approval,
    ),
    Action(
        "set_published",
        "Publish in the portal",
        "Show the item to its customer in the portal, or hide it there.",
        (Param("published", "Published", ParamType.BOOL, "Yes: the customer sees it. No: it is hidden."),),
        lambda params, _desk: (SetField("published", params["published"]),),
    ),
    Action(
        "archive",
        "Archive",
        "Take the item out of every queue but the closed one, or bring it back.",
        (Param("archived", "Archived", ParamType.BOOL, "Yes: out of the queues. No: back again."),),
        lambda params, _desk: (SetField("archived", True if params["archived"] else None),),
    ),
    Action(
        "handled_without_reply",
        "Handled without reply",
        "Close the item as done without an answer to the customer, and say so with a tag.",
        (
            Param(
                "status",
                "Status",
                ParamType.CHOICE,
                "What it is then: solved or closed.",
                options=lambda vocabulary: {
                    key: vocabulary.statuses[key] for key in sorted(FINISHED & {*vocabulary.statuses})
                },
            ),
        ),
        lambda params, _desk: (
            SetField("status", params["status"]),
            AddTo("tags", (HANDLED_TAG,)),
        ),
    ),
    Action(
        "assign_next",
        "Assign next available",
        "Give the item to the next person of a team who is not away: in turn, or who has the fewest open.",
        (
            Param(
                "team",
                "Team",
                ParamType.CHOICE,
                "Whose people; left out: the item's own team.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            Param(
                "turns",
                "Who is next",
                ParamType.CHOICE,
                "In turn, or who has the fewest open.",
                options=lambda _vocabulary: TURNS,
            ),
        ),
        _assign_next,
    ),
    Action(
        "follow",
        "Follow",
        "Let these people be told of every message on it.",
        (Param("users", "People", ParamType.CHOICES, "Who.", options=lambda vocabulary: vocabulary.users),),
        _follow,
    ),
    Action(
        "create_item",
        "Create item",
        "Make a task, project, job, timesheet or ticket, linked to this one.",
        (
            Param(
                "kind",
                "Kind",
                ParamType.CHOICE,
                "What is made.",
                options=lambda _vocabulary: {one.value: KIND_LABELS[one] for one in ItemKind},
            ),
            Param(
                "subject",
                "Subject",
                ParamType.LONG_TEXT,
                "Its subject; {{ticket.*}} and {{customer.*}} are filled in from a table.",
            ),
            _WAY,
            Param(
                "team",
                "Team",
                ParamType.CHOICE,
                "Its team.",
                required=False,
                options=lambda vocabulary: vocabulary.teams,
            ),
            Param(
                "users",
                "People",
                ParamType.CHOICES,
                "Who has it.",
                required=False,
                options=lambda vocabulary: vocabulary.users,
            ),
            Param(
                "stage",
                "Stage",
                ParamType.CHOICE,
                "For a job: the stage it begins in.",
                required=False,
                options=lambda vocabulary: {
                    key: label for key, label in _stages(vocabulary).items() if key != NEXT_STAGE
                },
            ),
            Param(
                "customer",
                "For the same customer",
                ParamType.BOOL,
                "Whether it has this item's customer.",
                required=False,
                default=True,
            ),
        ),
        _create_item,
        _check_create,
    ),
    Action(
        "send_request",
        "Send request",
        "Ask the customer a list of questions, linked to this item; nothing where the item has no customer.",
        (
            Param(
                "questions",
                "Questions",
                ParamType.CHOICE,
                "The list of questions.",
                options=lambda vocabulary: vocabulary.requests,
            ),
            Param(
                "sign_in",
                "Only after signing in",
                ParamType.BOOL,
                "Yes: the customer signs in to the portal to answer. No: the link in the mail is enough.",
                required=False,
                default=False,
            ),
            Param(
                "remind",
                "Reminders",
                ParamType.CHOICE,
                "How often the customer is reminded, at most five times.",
                required=False,
                options=lambda _vocabulary: {key: label for key, (label, _) in REMINDERS.items()},
            ),
        ),
        _send_request,
    ),
    Action(
        "link",
        "Link",
        "Link the item to another one that exists, by its number.",
        (Param("number", "Number", ParamType.TEXT, "The other item's number."), _WAY),
        _link,
    ),
)
