"""Runs a walk-through of docs/examples/walkthroughs: its desk, its rules, its steps by mail, page, portal and clock.

The steps are described in docs/examples/walkthroughs/README.md. What a step expects is compared with what came out, and
every difference is a sentence; nothing here decides anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import yaml
from flask.testing import FlaskClient
from sqlalchemy import func, insert, select

from jobs import timers
from jobs.tables import OutboxRow
from rules import store as rule_list
from rules.store import EntryKind
from tests.jobs.levels import a_policy
from tests.rows.desk import a_pipeline, said_to_customer, switch
from tests.rows.maildesk import MailDesk, recipient, text_of
from tests.rows.questions import answer, link_in, make_list
from tests.web.desk import send, token
from tickets.tables import (
    Brand,
    Location,
    LocationGroup,
    LocationGroupMember,
    Mailbox,
    Team,
    WorkItem,
)

FILES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "walkthroughs"
EXAMPLES = FILES.parent
_SPAN = re.compile(r"(\d+) (minutes?|hours?|days?)")


class NotMet(AssertionError):
    """What a step expects is not what came out."""


@dataclass
class Walk:
    """One walk-through on one desk. `named` are the items by the names that the file gives them."""

    desk: MailDesk
    story: Mapping[str, Any]
    tmp: Path
    browsers: dict[str, FlaskClient] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)
    read_mails: int = 0

    # The desk ------------------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """People, places, questions and rules of the file; the rules by the import that managers use."""
        desk = self.story.get("desk", {})
        with self.desk.services.db.write() as connection:
            for key, team in desk.get("teams", {}).items():
                connection.execute(insert(Team).values(key=key, label=team["label"], restricted="restricted" in team))
            for key, label in desk.get("brands", {}).items():
                connection.execute(insert(Brand).values(key=key, label=label))
                address = f"hello@{key}.example"
                connection.execute(insert(Mailbox).values(key=key, address=address, brand=key, secret_sha256=key * 8))
            for key, place in desk.get("locations", {}).items():
                connection.execute(insert(Location).values(key=key, label=place["label"]))
            for key, group in desk.get("location_groups", {}).items():
                connection.execute(insert(LocationGroup).values(key=key, label=group["label"]))
                for one in group["locations"]:
                    connection.execute(insert(LocationGroupMember).values(group=key, location=one))
        for key, person in desk.get("people", {}).items():
            roles, teams = person.get("roles", ["agent"]), person.get("teams", [])
            self.browsers[key] = self.desk.browser(key, *roles, name=person["name"], teams=tuple(teams))
        boss = self.browsers[self.story["manager"]]
        for one in desk.get("questions", []):
            asked = [(q["ask"], q.get("type", "text"), "; ".join(q.get("choices", []))) for q in one["questions"]]
            more = {"anonymous": "1"} if one.get("anonymous") else {}
            make_list(boss, one["for"], one["label"], *asked, kind=one.get("kind", "ticket"), **more)
        for key, line in desk.get("pipelines", {}).items():
            moves = tuple(one["stage"] for one in line if one.get("automove"))
            a_pipeline(self.desk.desk, *(one["stage"] for one in line), automove=moves, key=key)
        for key, body in desk.get("service_levels", {}).items():
            targets = {name: int(hours * 3600) for name, hours in body["hours"].items()}
            a_policy(self.desk.services, key, targets=targets, near_s=int(body.get("near_hours", 0) * 3600))
        files = [EXAMPLES / f"{name}.yaml" for name in self.story.get("examples", [])]
        own = self.tmp / "rules.yaml"
        own.write_text(yaml.safe_dump(self.story["rules"], allow_unicode=True, sort_keys=False), encoding="utf-8")
        for path in (*files, own):
            done = self.desk.app.test_cli_runner().invoke(args=["rules", "import", str(path)])
            assert done.exit_code == 0, f"{path.name}: {done.output}"
        with self.desk.services.db.read() as connection:
            self.codes = [one.code for one in rule_list.entries(connection, EntryKind.TABLE)]
        self._time_passes()

    def rules_off(self) -> None:
        for code in self.codes:
            switch(self.desk.desk, code, on=False)

    # Steps ---------------------------------------------------------------------------------------------------------

    def steps(self) -> int:
        """Every step in its order; the number of expectations that were met. Raises `NotMet` with the step."""
        met = 0
        doing: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "mail": self._mail,
            "form": self._form,
            "create": self._create,
            "change": self._change,
            "write": self._write,
            "procedure": self._procedure,
            "ask": self._ask,
            "answer": self._answer,
            "request": self._request,
            "open": self._open,
            "run": self._run,
            "reply_that_waits": self._suggested,
            "wait": self._wait,
        }
        for number, step in enumerate(self.story["steps"], 1):
            for verb in step:
                if verb in doing:
                    doing[verb](step[verb])
                    self._settle()
            if "then" in step:
                found = self._differences(step["then"])
                if found:
                    raise NotMet(f"Step {number} ({step['say']}): " + "; ".join(found))
                met += 1
            assert step.keys() <= {"say", "then", *doing}, f"step {number} has an unknown word: {sorted(step)}"
        return met

    def _time_passes(self, **span: float) -> None:
        self.desk.desk.clock.move(**span)
        timers.tick(self.desk.services, budget_s=30)
        self._settle()

    def _settle(self) -> None:
        while self.desk.desk.work():
            pass
        self.desk.deliver()

    def _wait(self, step: Any) -> None:
        found = _SPAN.fullmatch(str(step))
        assert found, f"wait {step!r}: a number of minutes, hours or days"
        self._time_passes(**{f"{found[2].rstrip('s')}s": int(found[1])})

    def _mail(self, step: Mapping[str, Any]) -> None:
        store = step.get("to", "shop")
        headers = {"Subject": step["subject"]} if "subject" in step else {}
        if "about" in step:
            headers = {"Subject": f"Re: [#{self.named[step['about']]}]"}
        to = "support@shop.example" if store == "shop" else f"hello@{store}.example"
        sender, text = step["from"], step["text"]
        made = self.desk.receive(text, sender=sender, to=to, box=store, **headers).item_id
        assert made is not None
        if "as" in step:
            self.named[step["as"]] = made

    def _form(self, step: Mapping[str, Any]) -> None:
        browser, key = self.desk.app.test_client(), step["form"]
        page = browser.get(f"/portal/forms/{key}")
        data = {f"a:{question}": value for question, value in step["answers"].items()}
        who = {"email": step["from"]} if "from" in step else {"anonymous": "1", "email": ""}
        done = browser.post(f"/portal/forms/{key}", data={"csrf_token": token(page), **data, **who})
        assert done.status_code == 200
        self._newest(step["as"])
        code = re.search(r'class="bigcode">([^<]+)<', done.get_data(as_text=True))
        if code:
            entered = browser.get("/portal/report")
            browser.post("/portal/report", data={"csrf_token": token(entered), "code": code[1]})
            self.browsers[f"reporter of {step['as']}"] = browser

    def _newest(self, name: str) -> None:
        with self.desk.services.db.read() as connection:
            self.named[name] = connection.execute(select(func.max(WorkItem.id))).scalar_one()

    def _create(self, step: Mapping[str, Any]) -> None:
        made = send(self.browsers[step["by"]], f"/items/{step['kind']}/new", dict(step["with"]))
        assert made.status_code == 303, made.get_data(as_text=True)
        self._newest(step["as"])

    def _change(self, step: Mapping[str, Any]) -> None:
        browser, number = self.browsers[step["by"]], self.named[step["item"]]
        for name, value in step["to"].items():
            if name in ("status", "priority", "team", "assignees"):
                done = send(browser, f"/tickets/{number}/fields/{name}", {"value": value})
            else:
                was = self.desk.desk.state(number).get(name)
                done = send(browser, f"/tickets/{number}/details", {f"was:{name}": was or "", name: value})
            assert done.status_code < 400, done.get_data(as_text=True)

    def _write(self, step: Mapping[str, Any]) -> None:
        kind = "note" if step.get("internal") else "reply"
        path = f"/tickets/{self.named[step['item']]}/messages"
        assert send(self.browsers[step["by"]], path, {"text": step["text"], "kind": kind}).status_code < 400

    def _procedure(self, step: Mapping[str, Any]) -> None:
        path = f"/tickets/{self.named[step['item']]}/procedures/{step['procedure']}"
        answers = {f"a:{key}": value for key, value in step["answers"].items()}
        assert send(self.browsers[step["by"]], path, answers).status_code < 400

    def _ask(self, step: Mapping[str, Any]) -> None:
        asked = {"item": str(self.named[step["item"]]), "list": step["questions"]}
        assert send(self.browsers[step["by"]], "/requests/new", asked).status_code == 303

    def _answer(self, step: Mapping[str, Any]) -> None:
        mail = next(one for one in reversed(self.desk.sink.taken) if recipient(one) == step["from"])
        status, page = answer(self.desk.app, link_in(mail), **step["answers"])
        assert status == step.get("refused", 303), page

    def _request(self, step: Mapping[str, Any]) -> None:
        """What staff do with a request by its number: complete it, or link it to an item."""
        data = {"do": step["do"], **({"item": str(self.named[step["item"]])} if "item" in step else {})}
        assert send(self.browsers[step["by"]], f"/requests/{step['number']}", data).status_code == 303

    def _open(self, step: Mapping[str, Any]) -> None:
        done = send(self.browsers[step["by"]], f"/tickets/{self.named[step['item']]}/seen", {"up_to": "1000000"})
        assert done.status_code < 400

    def _run(self, step: Mapping[str, Any]) -> None:
        done = send(self.browsers[step["by"]], f"/tickets/{self.named[step['item']]}/run/{step['rule']}")
        assert done.status_code < 400

    def _suggested(self, step: Mapping[str, Any]) -> None:
        """Approve or reject the newest reply that waits on an item."""
        with self.desk.services.db.read() as connection:
            found = select(OutboxRow.id).where(
                OutboxRow.kind == "reply", OutboxRow.item_id == self.named[step["item"]], OutboxRow.status == "approval"
            )
            number = connection.execute(found.order_by(OutboxRow.id.desc()).limit(1)).scalar_one_or_none()
        if number is None:
            raise NotMet(f"No reply waits on {step['item']}")
        data = {"text": step["text"]} if "text" in step else {}
        assert send(self.browsers[step["by"]], f"/outbox/{number}/{step['do']}", data).status_code == 303

    # What came out -------------------------------------------------------------------------------------------------

    def _differences(self, wanted: Mapping[str, Any]) -> list[str]:
        found: list[str] = []
        for name, fields in wanted.get("items", {}).items():
            state = self.desk.desk.state(self.named[name])
            found += [
                f"{name}.{key} is {state.get(key)!r}, not {value!r}"
                for key, value in fields.items()
                if state.get(key) != value
            ]
        if "mails" in wanted:
            found += self._mail_differences(wanted["mails"])
        self.read_mails = len(self.desk.sink.taken)
        for name, says in wanted.get("bot", {}).items():
            said = said_to_customer(self.desk.desk, self.named[name])
            if not said or says not in said[-1]:
                found.append(f"the bot said {said[-1:]} on {name}, not {says!r}")
        for who, says in wanted.get("bell", {}).items():
            if says not in self.browsers[who].get("/bell").get_data(as_text=True):
                found.append(f"{who}'s bell does not say {says!r}")
        for one in wanted.get("pages", []):
            path = re.sub(r"\{([^}]+)\}", lambda match: str(self.named[match[1]]), one["page"])
            shown = self.browsers[one["by"]].get(path).get_data(as_text=True)
            found += [
                f"{path} does not show {says!r} to {one['by']}" for says in one.get("shows", []) if says not in shown
            ]
            found += [f"{path} shows {says!r} to {one['by']}" for says in one.get("hides", []) if says in shown]
        return found

    def _mail_differences(self, wanted: list[Mapping[str, str]]) -> list[str]:
        came: list[EmailMessage] = self.desk.sink.taken[self.read_mails :]
        left = list(came)
        found = []
        for one in wanted:
            fits = (
                mail
                for mail in left
                if recipient(mail) == one["to"] and one.get("says", "") in f"{mail['Subject']}\n{text_of(mail)}"
            )
            match = next(fits, None)
            if match is None:
                found.append(f"no mail to {one['to']} says {one.get('says', '')!r}")
            else:
                left.remove(match)
        return [*found, *(f"a mail to {recipient(mail)} that nobody expected: {mail['Subject']}" for mail in left)]
