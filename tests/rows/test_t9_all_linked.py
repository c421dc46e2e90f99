"""T9: a job moves only when everything linked to it is done, by hand or by a rule, whatever kind it is."""

from __future__ import annotations

import pytest

from tests.rows.desk import a_pipeline, a_rule, item_named
from tests.rows.maildesk import MailDesk
from tests.rows.questions import a_job, a_list, answer, ask, link_in, stage
from tests.web.desk import send

#: What stands for the elements of a job: a document or an invoice to file is a task, a chat is a ticket.
PARTS = (("task", "Sign the return"), ("task", "Invoice 2025-17"), ("project", "Proposal for the audit"))


@pytest.mark.parametrize("last", [False, True], ids=["a stage with another after it", "the last stage"])
def test_t9_a_job_waits_for_requests_tasks_tickets_and_projects_alike(mail_desk: MailDesk, last: bool) -> None:
    staff = mail_desk.browser("ana")
    stages = ("Collect",) if last else ("Collect", "Review", "File")
    a_pipeline(mail_desk.desk, *stages, automove=("Collect",))
    a_list(mail_desk)
    by_rule = {"kind": "task", "subject": "Check {{ticket.subject}}", "way": "part_of"}
    a_rule(mail_desk.desk, {"on": "created"}, then=[("create_item", by_rule)], kind="job")
    job = a_job(mail_desk, staff)
    ask(staff, job)
    [mail] = mail_desk.work()
    parts = [item_named(mail_desk.desk, "Check Return 2025")]
    for kind, subject in PARTS:
        assert send(staff, f"/items/{kind}/new", {"subject": subject}).status_code == 303
        parts.append(item_named(mail_desk.desk, subject))
    chat = mail_desk.app.test_client()
    assert chat.post("/chat/acme/start", json={"text": "Is it done?", "email": "kim@x.test"}).status_code == 201
    parts.append(item_named(mail_desk.desk, "Is it done?"))
    for part in parts[1:]:
        linked = send(staff, f"/tickets/{job}/links", {"number": str(part), "way": "contains"})
        assert linked.status_code < 400

    def board() -> str:
        return str(staff.get("/items/job/board").get_data(as_text=True))

    assert stage(mail_desk, job) == "collect"
    assert "6 pending" in board()
    assert answer(mail_desk.app, link_in(mail), year="2025", married="no")[0] == 303
    for number, part in enumerate(parts, 1):
        assert stage(mail_desk, job) == "collect"
        assert f"{6 - number} pending" in board()
        assert send(staff, f"/tickets/{part}/fields/status", {"value": "closed"}).status_code < 400
    assert stage(mail_desk, job) == ("collect" if last else "review")
