"""Whatever customers, systems and scripts write, a page shows it as text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from connectors.channels.email import HTML_CHARS, HTML_TAGS
from jobs.tables import RunRow
from tests.web.desk import NOW, TRIAGE, Desk, send
from tickets.tables import Location, Team
from web.mail_html import clean

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "{{ 7*7 }}{% raw %}",
    "<a href='javascript:alert(1)'>x</a>",
    "javascript:alert(1)",
    "\u202egnp.exe <b>bold</b>",
    "<!--><script>alert(1)//-->",
)


def a_run_that_says(evil: str, item_id: int) -> dict[str, object]:
    """A failed script run whose error, log and calls all hold `evil`."""
    call = {"connection": evil, "operation": evil, "args": {}, "status": "failed", "message": evil, "ms": 3, "line": 1}
    return {
        "key": "evil",
        "item_id": item_id,
        "event_id": 1,
        "script": "A01",
        "version": 1,
        "params": {},
        "cause": {},
        "root_id": 1,
        "depth": 1,
        "status": "failed",
        "attempt": 1,
        "outcome": {
            "error": {"code": "x", "message": evil, "line": 3},
            "stop_reason": evil,
            "log": [{"at_ms": 1, "line": 1, "text": evil}],
            "calls": [{**call, "answer": None}],
            "usage": {"wall_ms": 12},
        },
        "created_at": NOW,
    }


class Probe(HTMLParser):
    """Collects what a browser would run: scripts without a source, handlers, addresses with code."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        ours = tag == "script" and (given.get("src") or "").startswith("/static/")
        if tag in ("script", "iframe", "object", "embed", "style", "base", "img", "video") and not ours:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.found.append(f"{tag} {name}")
            if name in ("href", "src", "action", "formaction") and (value or "").strip().lower().startswith(
                ("javascript:", "data:", "vbscript:")
            ):
                self.found.append(f"{tag} {name}={value}")


def runs(page: str) -> list[str]:
    probe = Probe()
    probe.feed(page)
    return probe.found


def test_the_probe_sees_what_it_is_for() -> None:
    assert runs("<script>1</script>") == ["<script>"]
    assert runs("<b onclick=x>") == ["b onclick"]
    assert runs("<a href=' JavaScript:x'>") == ["a href= JavaScript:x"]


#: Opened on every page in a plain run: text, the end of an attribute, an address and a template.
TRIED_FIRST = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7*7 }}{% raw %}",
)


@pytest.mark.parametrize(
    "evil", [pytest.param(one, marks=[] if one in TRIED_FIRST else [pytest.mark.slow]) for one in EVIL]
)
def test_nothing_anybody_writes_runs_on_any_page(evil: str, desk: Desk, agent: FlaskClient) -> None:
    desk.publish({**TRIAGE, "name": evil})
    ticket = desk.ticket(
        f"refund {evil}",
        evil,
        name=evil[:180],
        email="x@customer.test",
        author_name=evil,
        html=f"<p>{evil}</p>",
        tags=[evil],
    )
    desk.card(ticket, "crm.get", {evil: evil, "rows": [evil], "nested": {evil: evil}}, title=evil)
    desk.card(ticket, "crm.rows", {"rows": [{evil: evil, "b": evil}]}, title=evil)
    desk.card(ticket, "crm.down", None, title=evil, error=evil)
    with desk.services.db.write() as connection:
        connection.execute(update(Team).where(Team.key == "billing").values(label=evil))
        connection.execute(Location.__table__.insert().values(key="paris", label=evil))  # type: ignore[attr-defined]
    desk.work()
    with desk.services.db.write() as connection:
        connection.execute(insert(RunRow).values(**a_run_that_says(evil, ticket)))
    send(agent, f"/tickets/{ticket}/messages", {"text": evil, "kind": "note"})
    send(agent, f"/tickets/{ticket}/tags", {"add": evil.replace(",", "")})
    pages = [
        "/?queue=all",
        f"/?queue=all&text={evil}",
        f"/tickets/{ticket}",
        f"/tickets/{ticket}?view=automation",
        f"/tickets/{ticket}/why/A01",
        f"/sign-in?next={evil}",
        "/more",
    ]
    for path in pages:
        answer = agent.get(path)
        assert answer.status_code in (200, 302), path
        assert runs(answer.get_data(as_text=True)) == [], path
    # It is there, as text: nothing was lost on the way.
    assert agent.get(f"/tickets/{ticket}").get_data(as_text=True).count("alert(1)") >= ("alert(1)" in evil)


@pytest.mark.alike
@pytest.mark.parametrize("evil", EVIL)
def test_what_a_form_gives_back_for_correction_is_text(evil: str, desk: Desk, agent: FlaskClient) -> None:
    for path, data in (
        ("/tickets/new", {"subject": "", "text": evil, "email": evil, "name": evil}),
        ("/form/acme", {"subject": evil, "text": "", "email": evil, "name": evil}),
    ):
        answer = send(agent, path, data)
        assert answer.status_code == 422
        assert runs(answer.get_data(as_text=True)) == []


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p>Hi <b>there</b></p>", "<p>Hi <b>there</b></p>"),
        ("<script>alert(1)</script>after", "after"),
        ("<style>p{}</style><p style='color:red' class='x' id='y'>a</p>", "<p>a</p>"),
        ('<img src="https://tracker.test/x.gif">', ""),
        ('<form action="https://evil.test"><input name="password">a</form>', "a"),
        ('<iframe src="https://evil.test"></iframe>b', "b"),
        ('<meta http-equiv="refresh" content="0;url=https://evil.test">c', "c"),
        ('<svg><a href="javascript:alert(1)">x</a></svg>d', "d"),
        ('<a href="javascript:alert(1)">x</a>', '<a rel="noopener noreferrer nofollow" target="_blank">x</a>'),
        ('<base href="https://evil.test/">e', "e"),
        (
            "<table><tr><td onclick=x colspan=2>f</td></tr></table>",
            '<table><tbody><tr><td colspan="2">f</td></tr></tbody></table>',
        ),
    ],
)
def test_mail_keeps_its_text_and_nothing_that_acts(html: str, left: str) -> None:
    assert words(clean(html)) == words(left)


def words(html: str) -> list[str]:
    """The parts of HTML whatever order its attributes are written in."""
    return sorted(str(html).replace(">", " > ").replace("<", " < ").split())


def test_a_link_in_mail_tells_nobody_where_it_was_clicked() -> None:
    assert words(clean('<a href="https://shop.test/x">x</a>')) == words(
        '<a href="https://shop.test/x" target="_blank" rel="noopener noreferrer nofollow">x</a>'
    )


@pytest.mark.slow
def test_html_beyond_the_bounds_of_mail_is_cut_before_it_is_cleaned() -> None:
    """Mail is cut when it comes in; what another door stored deeper must not hold up a page for minutes."""
    kept = HTML_TAGS - 1
    assert clean("<p>x" + "<div>" * 40_000) == "<p>x</p>" + "<div>" * kept + "</div>" * kept
    assert clean("a" * (HTML_CHARS + 5)) == "a" * HTML_CHARS
    assert clean("<b>" * 10) == "<b>" * 10 + "</b>" * 10
