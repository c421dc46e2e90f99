"""Pages in French, Polish and Romanian: every text is translated, with the placeholders it has in English."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from flask.testing import FlaskClient

from web import catalogs


@pytest.fixture(scope="module")
def texts() -> Catalog:
    """Every text of the code; gathering them takes a second."""
    return catalogs.gathered()


@pytest.mark.parametrize("language", catalogs.OTHERS)
def test_every_text_of_the_code_is_translated_with_its_placeholders(texts: Catalog, language: str) -> None:
    assert catalogs.problems(texts, language) == []


@pytest.mark.parametrize(
    ("language", "heading"),
    [("fr", "Comment pouvons-nous"), ("pl", "pomóc"), ("ro", "ajuta"), ("en", "How can we help?")],
)
def test_a_customer_reads_the_form_in_the_language_of_the_browser(
    client: FlaskClient, language: str, heading: str
) -> None:
    page = client.get("/form/acme", headers={"Accept-Language": language}).get_data(as_text=True)
    assert f'<html lang="{language}">' in page
    assert heading in page


def test_a_missing_translation_and_a_lost_placeholder_are_found(
    texts: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogs, "TRANSLATIONS", tmp_path)
    assert catalogs.update(texts, ["fr"])["fr"] > 1_000
    source = tmp_path / "fr" / "LC_MESSAGES" / "messages.po"
    text = source.read_text(encoding="utf-8")
    assert 'msgid "Inbox"\nmsgstr ""' in text
    source.write_text(text.replace('msgid "Inbox"\nmsgstr ""', 'msgid "Inbox"\nmsgstr "Réception %(name)s"'), "utf-8")
    found = catalogs.problems(texts, "fr")
    assert "other placeholders: 'Inbox'" in found
    assert "no translation: 'Sign in'" in found
