"""Personal data taken out of what is kept as a test: what names, reaches or locates a person is replaced.

The same text by the same replacement wherever it stands, so that a question asked with an e-mail address still finds
its answer. Texts that people write are replaced as a whole: no list of patterns knows whom they name. What is left are
keys, numbers, choices and short words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from rules.facts import Facts
from tickets.values import JSON

#: Most names and addresses looked for in texts; characters below which a text is no address worth looking for.
MAX_NAMES = 500
SHORTEST = 4
#: Characters from which on a text is replaced whole; the patterns would take long for what somebody made to hurt.
LONGEST = 2_000
#: Words of letters from which on a text is taken for written by somebody, under any key; and under a key for texts.
WORDS = 6
NOTE_WORDS = 3
#: Words of a personal name at most; longer ones are looked for as a whole only.
NAME_WORDS = 4

_EMAIL = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")
_LINK = re.compile(r"\b(https?://[^/\s?#]+)[/?#]\S+")
_IP = re.compile(
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"
    r"|(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}(?![\w:])"
)
_IBAN = re.compile(
    r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,}(?: ?(?=[A-Z]*\d)[A-Z0-9]{1,4})?\b|\b[a-z]{2}\d{2}(?=\w*\d)[a-z0-9]{11,30}\b"
)
#: Anything with nine digits or more and what people write between them, or with fewer in groups; a moment is none.
_PHONE = re.compile(
    r"\+?\d(?:[ \u00a0\u2009()./-]{0,2}\d){8,}"
    r"|(?<![\w.,-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?\d{3}|\d{3})[ .-]\d{4}(?![\w.,-])"
    r"|(?<![\w.,-])\+?\d{2,4}(?:[ .-]\d{2,4}){2,}(?![\w.,-])"
)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ][\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?")
#: Keys whose value names or locates a person, whatever it looks like; French, Polish and Romanian ones beside them.
_NAMES = (
    "name firstname lastname forename surname nickname fullname username login handle contact person owner holder "
    "nom prenom imie nazwisko nume prenume"
)
_REACHES = (
    "phone telephone telefon tel mobile cell gsm msisdn whatsapp fax address addr adresse adres adresa street rue "
    "ulica strada city town ville miasto oras zip zipcode postcode postal iban bic swift vat pan card ssn pesel nip "
    "cnp siret passport birthday birth birthdate dob ip lat lng latitude longitude signature employer password secret "
    "token"
)
_TEXTS = (
    "text body note notes comment comments description memo message subject title summary remark remarks content "
    "details"
)


def _keys(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|_)(?:{'|'.join(words.split())})s?(?:$|_)")


_NAME_KEY, _REACH_KEY, _TEXT_KEY = _keys(_NAMES), _keys(_REACHES), _keys(_TEXTS)
#: Marks that may stand behind a letter unseen or as its accent, and letters that do not come apart into one and a mark.
_MARKS = "[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]*"
_ODD: Mapping[str, str] = {"l": "[lł]", "o": "[oø]", "d": "[dđð]", "i": "[iıİ]"}
_PLAIN = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "ı": "i"})


class Mask:
    """Replaces what names or reaches a person in the facts, parameters and calls of one run."""

    def __init__(self, customer: Mapping[str, JSON] | None, *beside: JSON) -> None:
        """`beside` are answers and parameters: who is named there is looked for everywhere, too."""
        self._known: dict[tuple[str, str], str] = {}
        found = {one for part in (customer, *beside) for one in _named(part)}
        # The longest first: "Ann Marie Ek" before "Ann".
        self._name = _pattern(sorted(found, key=lambda one: (-len(one), one))[:MAX_NAMES])

    def facts(self, facts: Facts, kept: Collection[str] = ()) -> Facts:
        """The facts without personal data; the item's fields `kept` hold choices of the desk and stay as they are.

        Subject and message are replaced whole: what somebody wrote may hold anything."""
        message = None
        if facts.message is not None:
            message = {key: self.value(value, key) for key, value in facts.message.items()}
            message |= {key: "(what the customer wrote)" for key in ("text", "new_text") if message.get(key)}
            message |= {"subject": "(the subject)"} if message.get("subject") else {}
        event = {key: self.value(value, key) for key, value in facts.event.items()}
        event["actor_ref"] = "someone"
        changes = facts.event.get("changes")
        if isinstance(changes, Mapping):
            event["changes"] = {key: self._field(key, value, kept) for key, value in changes.items()}
        return replace(
            facts,
            item={key: self._field(key, value, kept) for key, value in facts.item.items()},
            customer=(
                None
                if facts.customer is None
                else {key: _ours(key, self.value(value, key)) for key, value in facts.customer.items()}
            ),
            message=message,
            event=event,
        )

    def _field(self, key: str, value: JSON, kept: Collection[str]) -> JSON:
        """A field of the item, or what a change of it was before and after."""
        if key in kept:
            return value
        if key == "subject":
            if isinstance(value, (list, tuple)):
                return [one and "(the subject)" for one in value]
            return value and "(the subject)"
        if isinstance(value, (list, tuple)):
            return [_ours(key, self.value(one, key)) for one in value]
        return _ours(key, self.value(value, key))

    def call(self, call: Mapping[str, JSON]) -> dict[str, JSON]:
        """A recorded call: what was asked and answered without personal data, its own words as they are."""
        masked: dict[str, JSON] = {}
        for key, value in call.items():
            if key in ("args", "answer"):
                masked[key] = self.value(value, key)
            else:
                masked[key] = self.text(value) if key == "message" and isinstance(value, str) else value
        return masked

    def value(self, value: JSON, key: str = "") -> JSON:
        """A JSON value without personal data, keys too."""
        if isinstance(value, str):
            plain = _key(key)
            if value and (_NAME_KEY.search(plain) or _REACH_KEY.search(plain)) and not _EMAIL.fullmatch(value):
                return self._as("Person", value)
            words = len(re.findall(r"[^\W\d_]{2,}", _EMAIL.sub(" ", value)))
            if words >= WORDS or (words >= NOTE_WORDS and _TEXT_KEY.search(plain)):
                return self._as("Text", value)
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(name): self.value(inner, name) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(inner, key) for inner in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _REACH_KEY.search(_key(key)):
            # A telephone number, a latitude: still a number, the same for the same.
            return 1000 + int(self._as("Number", repr(value)).removeprefix("Number "))
        return value

    def text(self, text: str) -> str:
        """A text with addresses, links, numbers of telephones and accounts, and the names that are known replaced."""
        if _MOMENT.fullmatch(text):
            return text
        if len(text) > LONGEST:
            return self._as("Text", text)
        text = _EMAIL.sub(lambda found: self._email(found[0]), text)
        text = _LINK.sub(lambda found: f"{found[1]}/{self._as('link', found[0]).replace(' ', '-')}", text)
        text = _IBAN.sub(lambda found: self._as("Account", found[0]), text)
        text = _IP.sub(lambda found: self._as("Address", found[0]), text)
        text = _PHONE.sub(lambda found: found[0] if _MOMENT.match(found[0]) else self._as("Number", found[0]), text)
        if self._name is None:
            return text
        apart = unicodedata.normalize("NFD", text)
        masked = self._name.sub(lambda found: self._as("Person", found[0]), apart)
        return text if masked == apart else unicodedata.normalize("NFC", masked)

    def _email(self, address: str) -> str:
        return self._known.setdefault(("email", address.casefold()), f"person{self._count('email')}@example.com")

    def _as(self, kind: str, text: str) -> str:
        return self._known.setdefault((kind, _folded(text)), f"{kind} {self._count(kind)}")

    def _count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self._known) + 1


def _key(key: str) -> str:
    """A key as small words: "firstName", "first-name" and "First name" are all "first_name"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"[^0-9a-z]+", "_", _folded(apart))


def _folded(text: str) -> str:
    """Without accents, unseen marks and case, every space the same."""
    apart = unicodedata.normalize("NFD", text.translate(_PLAIN))
    plain = "".join(char for char in apart if not unicodedata.combining(char) and unicodedata.category(char) != "Cf")
    return " ".join(plain.casefold().split())


def _named(value: JSON, key: str = "") -> Iterator[str]:
    """Every name and address in this value, by its keys, and the words of names."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _named(inner, name)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _named(inner, key)
    elif isinstance(value, str):
        whole, plain = " ".join(value.split()), _key(key)
        if _EMAIL.fullmatch(whole):
            local = whole.partition("@")[0]
            if re.search(r"[._+-]", local) and len(local) > SHORTEST:
                yield local
        elif _NAME_KEY.search(plain):
            words = [word for word in re.split(r"[\s,._-]+", whole) if len(word) > 1 and word.isalpha()]
            if whole and not whole.isdecimal() and len(whole) > 1:
                yield whole
            if len(words) <= NAME_WORDS:
                yield from words
        elif _REACH_KEY.search(plain) and len(whole) >= SHORTEST:
            yield whole


def _ours(key: str, value: JSON) -> JSON:
    """The numbers of the ticket and its customer lead back to the person as well."""
    return 1 if key in ("id", "customer") and isinstance(value, int) else value


def _pattern(names: Collection[str]) -> re.Pattern[str] | None:
    """These names as whole words, whatever their accents, case and spaces."""
    made = [_loose(_folded(one)) for one in names]
    # A letter ends a name, "_" and digits do not: ann_ek and ek2 name her.
    return re.compile(rf"(?<![^\W\d_])(?:{'|'.join(made)})(?![^\W\d_])", re.IGNORECASE) if made else None


def _loose(name: str) -> str:
    return "".join(r"\s+" if char == " " else _ODD.get(char, re.escape(char)) + _MARKS for char in name)
