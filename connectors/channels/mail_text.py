"""The words of a mail: text from HTML, what was newly written, and in which language. Every pass is linear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import nh3

#: Words that are looked at to guess a language.
LANGUAGE_WORDS = 2_000

_DROPPED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_HALVES = re.compile(r"[\ud800-\udfff]")


def plain(text: str) -> str:
    """`text` as we store it: line ends \\n, without NUL and other control characters, without half surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _HALVES.sub("\N{REPLACEMENT CHARACTER}", _DROPPED.sub("", text))


def first_tags(html: str, tags: int) -> str:
    """`html` up to this many tags: cleaning HTML that is nested tens of thousands deep takes many seconds."""
    at = -1
    for _ in range(tags + 1):
        at = html.find("<", at + 1)
        if at < 0:
            return html
    return html[:at]


# Text from HTML --------------------------------------------------------------------------------------------------

_BLOCKS = frozenset("p div tr table ul ol h1 h2 h3 h4 h5 h6 pre blockquote hr".split())
_TAGS = {*_BLOCKS, "br", "li", "td", "th", "a", "img"}


def html_to_text(html: str) -> str:
    """The readable text of a mail's HTML: a line per block, "- " for list items, "> " inside quotations, link targets
    in brackets where they differ from their text. The caller bounds `html`."""
    if not html.strip():
        return ""
    # nh3 first: it is linear and closes what was left open, which the standard library's parser is not and does not.
    tidy = nh3.clean(
        html,
        tags=_TAGS,
        attributes={"a": {"href"}, "img": {"alt"}},
        clean_content_tags={"script", "style", "title"},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel=None,
    )
    reader = _Reader()
    reader.feed(tidy)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._verbatim = 0
        self._link = ""
        self._link_text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS or tag == "li":
            self._break()
        if tag == "br":
            self._break(keep_empty=True)
        elif tag == "li":
            self._line.append("- ")
        elif tag in ("td", "th"):
            self._line.append(" ")
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "pre":
            self._verbatim += 1
        elif tag == "a":
            self._link, self._link_text = dict(attrs).get("href") or "", []
        elif tag == "img":
            self._line.append(dict(attrs).get("alt") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._break()
        if tag in ("p", "table", "ul", "ol", "pre", "blockquote"):
            self._blank()
        if tag == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif tag == "pre":
            self._verbatim = max(0, self._verbatim - 1)
        elif tag == "a":
            target = self._link.removeprefix("mailto:").removeprefix("tel:")
            if target and target not in "".join(self._link_text):
                self._line.append(f" [{target[:500]}]")
            self._link = ""

    def handle_data(self, data: str) -> None:
        if self._link:
            self._link_text.append(data)
        if self._verbatim:
            first, *more = data.split("\n")
            self._line.append(first)
            for line in more:
                self._break(keep_empty=True)
                self._line.append(line)
        else:
            self._line.append(re.sub(r"[\s\u200b\u200c\ufeff]+", " ", data))

    def _break(self, *, keep_empty: bool = False) -> None:
        line = "".join(self._line)
        line = line.rstrip() if self._verbatim else " ".join(line.split())
        self._line = []
        if line or keep_empty:
            self._lines.append(("> " * min(self._quotes, 8) + line).rstrip())

    def _blank(self) -> None:
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def text(self) -> str:
        self._break()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")


# What was newly written ------------------------------------------------------------------------------------------

#: "On 5 May Ana wrote:" ends like this, in the languages customers' mail programs speak.
_WROTE = re.compile(
    r"(?:wrote|writes|a écrit|a ecrit|napisał\(a\)|napisał|napisała|napisali|pisze|a scris|schrieb|ha scritto"
    r"|escribió|schreef)\s?:$",
    re.IGNORECASE,
)
_WROTE_STARTS = ("on ", "le ", "w dniu ", "dnia ", "dn. ", "în ", "in ", "pe ", "la ", "am ", "il ", "el ", "op ")
#: Apple Mail says it in another order in Polish: who first, then when, and nothing that means "wrote" at the end.
_WRITTEN_BY = ("wiadomość napisana przez ",)
_ORIGINAL = frozenset(
    {
        "original message",
        "original appointment",
        "message d'origine",
        "message d’origine",
        "message original",
        "wiadomość oryginalna",
        "oryginalna wiadomość",
        "wiadomość źródłowa",
        "mesaj original",
        "mesajul original",
        "mesaj inițial",
        "ursprüngliche nachricht",
    }
)
#: How the subject of a forwarded mail begins.
_FORWARDING = ("fw:", "fwd:", "tr:", "tr :", "pd:", "wg:", "redirecționat:")
_FORWARDED = ("forwarded message", "message transféré", "przekazana", "redirecționat", "mesaj redirectionat")
_FROM_LABELS = ("from:", "de:", "de :", "de la:", "od:", "von:")
_OTHER_LABELS = (
    *("sent:", "date:", "to:", "cc:", "subject:"),
    *("envoyé:", "envoyé :", "date :", "à:", "à :", "cc :", "objet:", "objet :"),
    *("wysłano:", "data:", "do:", "dw:", "temat:"),
    *("trimis:", "către:", "catre:", "subiect:"),
    *("gesendet:", "an:", "betreff:"),
)
_DEVICES = (
    *("sent from my", "sent from mail", "get outlook for", "envoyé de mon", "envoyé depuis", "télécharger outlook"),
    *(
        "wysłano z",
        "wysłane z",
        "pobierz outlook",
        "pobierz aplikację outlook",
        "trimis de pe",
        "trimis din",
        "obțineți outlook",
    ),
)
_REGARDS = frozenset(
    {
        *("best regards", "kind regards", "regards", "warm regards", "yours sincerely", "sincerely", "many thanks"),
        *("cordialement", "bien cordialement", "bien à vous", "salutations", "sincères salutations", "bonne journée"),
        *("pozdrawiam", "z poważaniem", "serdecznie pozdrawiam", "z wyrazami szacunku", "pozdrawiam serdecznie"),
        *("cu stimă", "cu stima", "cu respect", "o zi bună", "o zi buna", "toate cele bune"),
    }
)
#: What may follow the regards and still be a signature: lines, and characters of each.
_SIGNATURE_LINES = 8
_SIGNATURE_CHARS = 80


def forwards(subject: str) -> bool:
    """Whether a mail with this subject is meant to hand on another one: then that is what its sender wants read."""
    return subject.lower().startswith(_FORWARDING)


def newly_written(text: str, *, answer: bool = False) -> str:
    """`text` without quoted mail and signature; all of it when nothing else would be left (a bare forward).

    Of an `answer` nothing may be left: whoever sends back our own words with none of theirs has not said them, and no
    rule takes "write $closeticket when all is well" for the customer's wish.

    Looks at lines only and is linear: mail is written by strangers, and the usual regular expressions for this can be
    made to run for minutes."""
    lines = text.split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if line.startswith(">"):
            at += 1
            continue
        if line:
            header = _quote_header(lines, at)
            if header:
                after = _next_line(lines, at + header)
                if after.startswith(">"):
                    at += header  # answers may stand between the quoted lines
                    continue
                break
            if _starts_quoted_mail(lines, at) and not _forwards(kept):
                break
        kept.append(lines[at].rstrip())
        at += 1
    written = "\n".join(_without_signature(kept)).strip()
    return re.sub(r"\n{3,}", "\n\n", written) or ("" if answer else text.strip())


def _quote_header(lines: Sequence[str], at: int) -> int:
    """How many lines the "On ... wrote:" at this line takes, 0 when there is none."""
    joined = ""
    for count in (1, 2, 3):
        if at + count > len(lines) or len(lines[at + count - 1]) > 300:
            return 0
        joined = f"{joined} {lines[at + count - 1].strip()}".strip()
        named = any(char.isdigit() for char in joined) or "@" in joined
        written_by = joined.lower().startswith(_WRITTEN_BY)
        starts = written_by or joined.lower().startswith(_WROTE_STARTS)
        if named and written_by and joined.endswith(":"):
            return count
        if named and (count == 1 or starts) and _WROTE.search(joined[-40:]):
            return count
        if not starts and not joined[:1].isdigit():
            return 0
    return 0


def _starts_quoted_mail(lines: Sequence[str], at: int) -> bool:
    line = lines[at].strip()
    if line.startswith("--") and line.strip("- ").lower() in _ORIGINAL:
        return True
    if len(line) >= 20 and not line.strip("_"):
        following = next((one for one in range(at + 1, min(at + 4, len(lines))) if lines[one].strip()), None)
        return following is not None and _header_block(lines, following)
    return _header_block(lines, at)


def _header_block(lines: Sequence[str], at: int) -> bool:
    """Whether a block such as "From: / Sent: / To: / Subject:" begins here: three labels, the first one From."""
    if not _label(lines[at]).startswith(_FROM_LABELS):
        return False
    return sum(_label(line).startswith(_OTHER_LABELS) for line in lines[at + 1 : at + 7]) >= 2


def _label(line: str) -> str:
    return line[:60].strip(" *\t").replace("\N{NO-BREAK SPACE}", " ").replace("*", "").lower()


def _forwards(kept: Sequence[str]) -> bool:
    """Whether the line before says that what follows is forwarded: then that is what the sender wants read."""
    last = next((line for line in reversed(kept[-4:]) if line.strip()), "").lower()
    return any(word in last for word in _FORWARDED)


def _next_line(lines: Sequence[str], at: int) -> str:
    return next((line.strip() for line in lines[at : at + 5] if line.strip()), "")


def _without_signature(lines: list[str]) -> list[str]:
    for at, line in enumerate(lines):
        if line.strip() in ("--", "\N{EM DASH}") and any(one.strip() for one in lines[:at]):
            lines = lines[:at]
            break
    filled = [at for at, line in enumerate(lines) if line.strip()]
    for at in filled[-5:]:
        if at != filled[0] and len(lines[at]) <= 120 and lines[at].strip().lower().startswith(_DEVICES):
            lines = lines[:at]
            break
    filled = [at for at, line in enumerate(lines) if line.strip()]
    for at in filled[-(_SIGNATURE_LINES + 1) :]:
        if at == filled[0] or lines[at].strip(" ,.!\t").lower() not in _REGARDS:
            continue
        if all(len(line) <= _SIGNATURE_CHARS and not line.rstrip().endswith("?") for line in lines[at + 1 :]):
            return lines[:at]
    return lines


# Languages -------------------------------------------------------------------------------------------------------

_STOP_WORDS = {
    "en": "the and is are was you your my i we have has had not this that with for from please order would could "
    "hello hi dear thanks thank been it to of in on but what when",
    "fr": "le la les des une un et est je vous nous mon ma mes votre pas pour avec que qui sur dans bonjour merci "
    "commande suis été cette ce ai du au j'ai c'est ne plus deux",
    "pl": "nie jest się na że to mam moje mój moja proszę dzień dobry jak czy dla od za zamówienie zamówienia był była "
    "przez po ale jestem są i w z do o już które który dwa",
    "ro": "nu este sunt și și să am pentru comanda mea meu cu din la vă rog bună ziua mulțumesc că care pe un o fost "
    "dar mai de ce iar ați două salut",
}
_WORDS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}
_LETTERS = {"pl": frozenset("ąęłśźżćń"), "ro": frozenset("ășțşţ"), "fr": frozenset("çêèœûù")}


def guess_language(text: str) -> str:
    """en, fr, pl or ro by common words and letters, "" when the text does not say."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", text[: LANGUAGE_WORDS * 10].lower())[:LANGUAGE_WORDS]
    scores = {
        language: sum(word.replace("’", "'") in stops for word in words)
        + sum(bool(_LETTERS.get(language, frozenset()) & set(word)) for word in words)
        for language, stops in _WORDS.items()
    }
    ranked = sorted(scores.items(), key=lambda pair: pair[1], reverse=True)
    (best, most), (_, second) = ranked[0], ranked[1]
    return best if most >= 2 and most > second else ""
