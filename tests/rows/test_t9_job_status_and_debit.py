"""T9: a job's own status goes back to Active once all is done; a bank debit counts when it is cleared, or at once."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.rows.desk import a_pipeline, a_rule, item_named
from tests.rows.maildesk import MailDesk
from tests.rows.questions import a_job, a_list, ask, stage
from tests.web.desk import send
from tickets import store as items


@pytest.fixture
def boss(mail_desk: MailDesk) -> FlaskClient:
    return mail_desk.browser("boss", "admin")


def details(staff: FlaskClient, item: int, field: str, before: str, after: str) -> int:
    data = {f"was:fields.{field}": before, f"fields.{field}": after}
    return send(staff, f"/tickets/{item}/details", data).status_code


@pytest.mark.parametrize("automove", [True, False], ids=["toggle on", "toggle off"])
def test_t9_a_jobs_own_status_goes_back_to_active_within_its_stage(
    mail_desk: MailDesk, boss: FlaskClient, automove: bool
) -> None:
    a_pipeline(mail_desk.desk, "Collect", "Review")
    a_list(mail_desk)
    data = {"label": "Waiting for signature", **({"automove": "1"} if automove else {})}
    assert send(boss, "/pipelines/tax/statuses", data).status_code == 303
    a_rule(
        mail_desk.desk,
        {"on": "changed", "field": "ticket.fields.job_status"},
        when={"ticket.fields.job_status": ("empty", None)},
        then=[("add_tags", {"tags": ["active_again"]})],
        kind="job",
    )
    job = a_job(mail_desk, boss)
    ask(boss, job)
    ask(boss, job, title="Last year's papers")
    assert details(boss, job, "job_status", "", "waiting_for_signature") == 303
    send(boss, f"/tickets/{job}/fields/status", {"value": "on_hold"})
    mail_desk.work()
    page = boss.get("/items/job").get_data(as_text=True)
    assert "Waiting for signature" in page
    send(boss, "/requests/1", {"do": "complete"})
    assert stage(mail_desk, job) == "collect"
    assert mail_desk.desk.state(job)["fields.job_status"] == "waiting_for_signature"  # one is still open

    send(boss, "/requests/2", {"do": "complete"})
    assert stage(mail_desk, job) == "collect"  # the stage does not move by itself; only the status does
    mail_desk.work()
    state = mail_desk.desk.state(job)
    assert ("fields.job_status" in state, state["status"]) == ((False, "open") if automove else (True, "on_hold"))
    assert state.get("tags") == (["active_again"] if automove else None)
    said = boss.get(f"/tickets/{job}").get_data(as_text=True)
    assert ("<b>Automove</b><span>Job status " in said) is automove


@pytest.mark.parametrize("debit", ["cleared", "at_once"])
def test_t9_a_bank_debit_counts_once_it_is_cleared_or_at_once(
    mail_desk: MailDesk, boss: FlaskClient, debit: str
) -> None:
    a_pipeline(mail_desk.desk, "Pay", "Review", automove=("Pay",))
    if debit == "at_once":  # waiting is how it is unless somebody says otherwise
        assert send(boss, "/pipelines/tax/payments", {"debit": debit}).status_code == 303
    job = a_job(mail_desk, boss)
    assert send(boss, "/items/task/new", {"subject": "Invoice 118"}).status_code == 303
    invoice = item_named(mail_desk.desk, "Invoice 118")
    send(boss, f"/tickets/{job}/links", {"way": "contains", "number": str(invoice)})
    assert details(boss, invoice, "payment_status", "", "due") == 303
    assert stage(mail_desk, job) == "pay"
    assert details(boss, invoice, "payment_status", "due", "debit") == 303
    assert stage(mail_desk, job) == ("review" if debit == "at_once" else "pay")
    page = boss.get(f"/tickets/{job}").get_data(as_text=True)
    assert "Bank debit under way" in page.split('id="c-links"')[1].split("</section>")[0]
    pending = "1 pending" in boss.get("/items/job/board").get_data(as_text=True)
    assert pending is (debit == "cleared")
    # A debit that comes back unpaid is not done, whatever the setting.
    if debit == "cleared":
        assert details(boss, invoice, "payment_status", "debit", "failed") == 303
        assert stage(mail_desk, job) == "pay"
        assert details(boss, invoice, "payment_status", "failed", "paid") == 303
        assert stage(mail_desk, job) == "review"


def test_t9_a_status_that_a_job_has_is_not_removed_and_ends_with_the_pipeline(
    mail_desk: MailDesk, boss: FlaskClient
) -> None:
    a_pipeline(mail_desk.desk, "Collect")
    a_pipeline(mail_desk.desk, "Advise", key="advice")
    send(boss, "/pipelines/tax/statuses", {"label": "Extended"})
    job = a_job(mail_desk, boss)
    assert details(boss, job, "job_status", "", "extended") == 303
    assert send(boss, "/job-statuses/extended", {"do": "remove"}).status_code == 422
    assert send(boss, "/job-statuses/nowhere", {"do": "remove"}).status_code == 404
    assert send(boss, "/job-statuses/extended", {"label": "On extension", "automove": "1"}).status_code == 303
    with mail_desk.services.db.read() as connection:
        [kept] = items.pipelines(connection)["tax"].statuses
    assert (kept.label, kept.automove) == ("On extension", True)
    # A status of one pipeline means nothing in another.
    assert send(boss, f"/tickets/{job}/stage", {"was": "collect", "stage": "advise"}).status_code == 303
    state = mail_desk.desk.state(job)
    assert (state["fields.pipeline"], state.get("fields.job_status")) == ("advice", None)
    assert send(boss, "/job-statuses/extended", {"do": "remove"}).status_code == 303
    with mail_desk.services.db.read() as connection:
        assert items.pipelines(connection)["tax"].statuses == ()
