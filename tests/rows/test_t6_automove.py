"""T1 to T9: a request goes out by mail, is answered by its link without signing in, and the job moves by itself."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from rules import store as rule_list
from tests.rows.desk import a_pipeline, a_rule
from tests.rows.maildesk import MailDesk
from tests.rows.questions import a_job, a_list, answer, ask, link_in, stage
from tests.web.desk import send, token
from tickets.tables import StageRow


@pytest.mark.parametrize("automove", [True, False], ids=["toggle on", "toggle off"])
def test_t2_t3_t6_t8_t9_a_job_moves_when_the_client_has_answered_all_of_its_requests(
    mail_desk: MailDesk, automove: bool
) -> None:
    staff = mail_desk.browser("ana", name="Ana Nowak")
    a_pipeline(mail_desk.desk, "Collect", "Prepare", "Review", automove=("Collect",) if automove else ())
    a_list(mail_desk)
    a_rule(
        mail_desk.desk,
        {"on": "stage_entered", "stage": "prepare"},
        then=[("add_tags", {"tags": ["prepared"]})],
        kind="job",
    )
    job = a_job(mail_desk, staff)
    ask(staff, job)
    ask(staff, job, title="Last year's papers")
    first, second = (link_in(mail) for mail in mail_desk.work())

    # T3: what is required has to be answered; T2: what is answered is kept.
    status, page = answer(mail_desk.app, first, year="2025")
    assert (status, "Please answer this." in page, "2025" in page) == (422, True, True)
    assert stage(mail_desk, job) == "collect"

    assert answer(mail_desk.app, first, year="2025", married="no")[0] == 303
    assert stage(mail_desk, job) == "collect"
    assert "1 pending" in staff.get("/items/job/board").get_data(as_text=True)

    assert answer(mail_desk.app, second, year="2024", married="yes")[0] == 303
    assert stage(mail_desk, job) == ("prepare" if automove else "collect")
    # T8: the board shows it after a reload; T9: entering the stage ran its rules.
    board = staff.get("/items/job/board").get_data(as_text=True)
    assert (board.index(">Prepare ") < board.index("Return 2025")) is automove
    assert mail_desk.desk.state(job).get("tags") == (["prepared"] if automove else None)


def test_t6_staff_may_set_it_completed_and_the_last_stage_is_never_left(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect", "Review", automove=("Collect", "Review"))
    a_list(mail_desk)
    job = a_job(mail_desk, staff)
    for request, after in ((1, "review"), (2, "review")):
        ask(staff, job)
        assert send(staff, f"/requests/{request}", {"do": "complete"}).status_code == 303
        assert stage(mail_desk, job) == after
    assert "Ana" in staff.get("/requests/1").get_data(as_text=True)


def test_t5_a_request_is_linked_to_a_job_later_and_counts_there(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect", "Review", automove=("Collect",))
    a_list(mail_desk)
    job = a_job(mail_desk, staff)
    made = send(staff, "/requests/new", {"email": "camille@customer.test", "list": "papers"})
    assert made.status_code == 303
    [mail] = mail_desk.work()
    assert "1 pending" not in staff.get("/items/job/board").get_data(as_text=True)
    assert send(staff, "/requests/1", {"do": "link", "item": str(job)}).status_code == 303
    assert "1 pending" in staff.get("/items/job/board").get_data(as_text=True)
    assert answer(mail_desk.app, link_in(mail), year="2025", married="no")[0] == 303
    assert stage(mail_desk, job) == "review"


def test_t4_with_sign_in_the_link_alone_opens_nothing(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect")
    a_list(mail_desk)
    ask(staff, a_job(mail_desk, staff), sign_in="1")
    [mail] = mail_desk.work()
    path = link_in(mail)
    assert path == "/portal/requests/1"
    browser = mail_desk.app.test_client()
    assert browser.get(path).location.startswith("/portal/sign-in")
    page = browser.get("/portal/sign-in?next=/portal/requests/1")
    browser.post("/portal/sign-in", data={"csrf_token": token(page), "email": "camille@customer.test"})
    [way_in] = mail_desk.work()
    entering = browser.get(link_in(way_in))
    assert "Which year?" not in entering.get_data(as_text=True)
    entered = browser.post(link_in(way_in), data={"csrf_token": token(entering)})
    assert entered.location == "/portal/requests/1"
    assert "Which year?" in browser.get(path).get_data(as_text=True)


def test_t1_reminders_stop_once_it_is_answered(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect")
    a_list(mail_desk)
    ask(staff, a_job(mail_desk, staff), remind="daily")
    [first] = mail_desk.work()
    [reminder] = mail_desk.later(hours=24)
    assert (first["Subject"], reminder["Subject"]) == ("Your papers", "Reminder: Your papers")
    assert answer(mail_desk.app, link_in(reminder), year="2025", married="no")[0] == 303
    assert mail_desk.later(hours=24 * 7) == []


def test_t7_a_toggle_switched_off_meanwhile_holds_the_job(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect", "Review", automove=("Collect",))
    a_list(mail_desk)
    job = a_job(mail_desk, staff)
    ask(staff, job)
    with mail_desk.services.db.write() as connection:
        connection.execute(update(StageRow).where(StageRow.key == "collect").values(automove=False))
        rule_list.bump(connection)
    send(staff, "/requests/1", {"do": "complete"})
    assert stage(mail_desk, job) == "collect"
