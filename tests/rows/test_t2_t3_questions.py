"""T2 T3: a request is for what can be answered at once; its questions are required unless this one request says no."""

from __future__ import annotations

import pytest

from tests.rows.desk import a_pipeline
from tests.rows.maildesk import MailDesk
from tests.rows.questions import a_job, a_list, answer, ask, link_in, stage
from tests.web.desk import send


def test_t3_answers_are_required_unless_one_request_leaves_them_open(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    a_pipeline(mail_desk.desk, "Collect", "Review", automove=("Collect",))
    a_list(mail_desk)
    strict, easy = (a_job(mail_desk, staff, subject) for subject in ("Strict", "Easy"))
    assert 'name="optional"' in staff.get("/requests/new").get_data(as_text=True)
    ask(staff, strict)
    ask(staff, easy, optional="1")
    by_rule, by_gear = (link_in(mail) for mail in mail_desk.work())
    status, page = answer(mail_desk.app, by_rule, year="2025")
    assert (status, "Please answer this." in page, stage(mail_desk, strict)) == (422, True, "collect")
    assert answer(mail_desk.app, by_gear, year="2025")[0] == 303
    assert stage(mail_desk, easy) == "review"
    assert "Are you married?" in staff.get("/requests/2").get_data(as_text=True)
    # The list itself still requires them, for the next request.
    ask(staff, easy)
    [next_one] = mail_desk.work()
    assert answer(mail_desk.app, link_in(next_one), year="2025")[0] == 422


def test_t3_questions_of_ones_own_are_required_one_by_one(mail_desk: MailDesk) -> None:
    staff = mail_desk.browser("ana")
    own = {"email": "camille@customer.test", "title": "Two things", "label0": "Which year?", "required0": "1",
           "label1": "A remark?", "type0": "text", "type1": "text"}  # fmt: skip
    for _ in range(2):
        assert send(staff, "/requests/new", own).status_code == 303
    with_year, without = (link_in(mail) for mail in mail_desk.work())
    assert answer(mail_desk.app, with_year, which_year="2025")[0] == 303
    status, page = answer(mail_desk.app, without, a_remark="No remark")
    assert (status, page.count("Please answer this.")) == (422, 2)  # above, and at the one question


@pytest.mark.parametrize(("many", "said"), [(3, False), (12, True)])
def test_t2_a_long_list_is_sent_with_the_advice_to_split_it(mail_desk: MailDesk, many: int, said: bool) -> None:
    staff = mail_desk.browser("ana")
    asked = {"email": "camille@customer.test", "title": "Your year"}
    for n in range(many):
        asked |= {f"label{n}": f"Question {n}?", f"type{n}": "text", f"required{n}": "1"}
    assert send(staff, "/requests/new", asked).status_code == 303
    page = staff.get("/requests/1").get_data(as_text=True)
    assert ("are many to answer at once" in page) is said
    # All of them stand on one page and are answered at one sitting.
    [mail] = mail_desk.work()
    path = link_in(mail)
    form = mail_desk.app.test_client().get(path).get_data(as_text=True)
    assert all(f"Question {n}?" in form for n in range(many))
    assert answer(mail_desk.app, path, **{f"question_{n}": f"Reply {n}." for n in range(many)})[0] == 303
    page = staff.get("/requests/1").get_data(as_text=True)
    assert all(f"Reply {n}." in page for n in range(many))
