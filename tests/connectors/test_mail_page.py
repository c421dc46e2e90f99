"""The HTML half of a mail says what the text half says, and nothing of what people wrote becomes markup."""

from __future__ import annotations

import pytest

from connectors.channels.mail_page import Part, html_page, plain_page

HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)> "javascript:alert(1)" </p></body>'


@pytest.mark.parametrize("kind", ["text", "card", "earlier", "button", "foot"])
def test_what_people_wrote_never_becomes_markup(kind: str) -> None:
    page = html_page([Part(kind, HOSTILE, HOSTILE)], language='en"><b>', title=HOSTILE)
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert 'href="javascript' not in page


def test_styles_stand_on_the_elements_and_nothing_is_loaded_from_elsewhere() -> None:
    page = html_page(
        [Part("earlier", "Yes.", "Ana:"), Part("text", "See https://a.example/b).")], language="en", title="t"
    )
    assert "<style" not in page
    assert 'class="earlier" style="' in page
    assert '<a href="https://a.example/b" style="' in page
    assert "src=" not in page


def test_the_text_half_quotes_what_was_said_earlier_and_gives_a_buttons_address() -> None:
    parts = [Part("text", "Hello."), Part("earlier", "One\n\nTwo", "Ana:"), Part("button", "Open", "https://a.example")]
    assert plain_page(parts) == "Hello.\n\nAna:\n> One\n>\n> Two\n\nOpen: https://a.example\n"


def test_an_empty_part_leaves_no_trace() -> None:
    assert plain_page([Part("text", " "), Part("text", "Hello.")]) == "Hello.\n"
