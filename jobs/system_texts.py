"""The texts that the product itself sends. They cannot be switched off or deleted, but they can be worded anew.

A reworded one is an entry of the rule list with the code given here, edited and published like any template; until
there is a live version the default below is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from rules.store import EntryRow, VersionRow
from rules.vocabulary import Template, TemplateText


@dataclass(frozen=True, slots=True)
class SystemText:
    """One of them. `extra` are the placeholders only it knows, with what each stands for."""

    code: str
    name: str
    audience: str  # "colleagues" or "customers"
    when: str
    extra: Mapping[str, str]
    texts: Mapping[str, TemplateText]

    @property
    def template(self) -> Template:
        return Template(self.code, self.name, self.texts)


NEW_MESSAGE, UNSEEN_REPLY, DIGEST = "M01", "M02", "M03"

SYSTEM_TEXTS: Mapping[str, SystemText] = {
    one.code: one
    for one in (
        SystemText(
            NEW_MESSAGE,
            "New message in a conversation",
            "colleagues",
            "Somebody wrote on an item that a colleague follows or has.",
            {
                "message.author": "who wrote",
                "message.text": "what was newly written",
                "link": "the item's address",
            },
            {
                "en": TemplateText("{{message.author}} wrote:\n\n{{message.text}}", "New message: {{ticket.subject}}"),
                "fr": TemplateText(
                    "{{message.author}} a écrit :\n\n{{message.text}}", "Nouveau message : {{ticket.subject}}"
                ),
                "pl": TemplateText(
                    "{{message.author}} pisze:\n\n{{message.text}}", "Nowa wiadomość: {{ticket.subject}}"
                ),
                "ro": TemplateText("{{message.author}} a scris:\n\n{{message.text}}", "Mesaj nou: {{ticket.subject}}"),
            },
        ),
        SystemText(
            UNSEEN_REPLY,
            "Reply the customer has not seen",
            "customers",
            "A public message was not seen in the portal within a minute, or cannot be seen there.",
            {
                "message.text": "the message",
                "first_message": "how the conversation began",
                "conversation": "the earlier messages this customer may see",
            },
            {
                language: TemplateText("{{message.text}}\n\n{{conversation}}", "{{ticket.subject}}: {{first_message}}")
                for language in ("en", "fr", "pl", "ro")
            },
        ),
        SystemText(
            DIGEST,
            "Digest of the bell",
            "colleagues",
            "A colleague wants one mail instead of many: what stands unread in the bell.",
            {"count": "how many lines", "lines": "the lines"},
            {
                "en": TemplateText("{{count}} new since the last digest:\n\n{{lines}}", "Deskhand: {{count}} new"),
                "fr": TemplateText(
                    "{{count}} nouvelles depuis le dernier résumé :\n\n{{lines}}", "Deskhand : {{count}} nouvelles"
                ),
                "pl": TemplateText("Nowe od ostatniego podsumowania: {{count}}\n\n{{lines}}", "Nowe: {{count}}"),
                "ro": TemplateText("{{count}} noi de la ultimul rezumat:\n\n{{lines}}", "Deskhand: {{count}} noi"),
            },
        ),
    )
}


def text_of(connection: Connection, code: str, language: str) -> TemplateText:
    """The live wording of a system text in this language, else in English; what was never reworded is the default."""
    content = connection.execute(
        select(VersionRow.content)
        .join(EntryRow, (EntryRow.code == VersionRow.code) & (EntryRow.live_version == VersionRow.version))
        .where(EntryRow.code == code)
    ).scalar_one_or_none()
    default = SYSTEM_TEXTS[code].template
    if content is not None:
        texts = {
            key: TemplateText(body=str(text.get("body", "")), subject=str(text.get("subject", "")))
            for key, text in content.get("texts", {}).items()
        }
        reworded = Template(code, default.name, texts).text_for(language)
        if reworded is not None and reworded[1].body.strip():
            return reworded[1]
    found = default.text_for(language)
    assert found is not None
    return found[1]
