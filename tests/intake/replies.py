"""A corpus of replies as mail programs send them: what the customer wrote, and the text it came in.

The quoting styles are those of Gmail, Outlook, Apple Mail, Thunderbird, Yahoo, Proton, GMX and their phones, in the
languages of the desk; the words around them are made up. `docs/decisions/0006` says who else was measured on it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a customer may have written, by language: several paragraphs, a list, a question after thanks.
WROTE = {
    "en": "Hello,\n\nthe parcel arrived, but the cup is broken.\nI would like:\n- a new cup\n- an apology\n\nThank you",
    "fr": "Bonjour,\n\nle colis est arrivé, mais la tasse est cassée.\nJe voudrais :\n- une autre tasse\n\nMerci",
    "pl": "Dzień dobry,\n\npaczka dotarła, ale kubek jest rozbity.\nProszę o:\n- nowy kubek\n\nDziękuję",
    "ro": "Bună ziua,\n\ncoletul a ajuns, dar cana este spartă.\nVreau:\n- o cană nouă\n\nMulțumesc",
}
#: What was answered before, and stands quoted below.
BEFORE = {
    "en": "Has your parcel arrived?\nWrite $closeticket when all is well.\n\n-- \nAna Nowak\nAcme Support",
    "fr": "Votre colis est-il arrivé ?\nÉcrivez $closeticket si tout va bien.\n\n-- \nAna Nowak\nAcme",
    "pl": "Czy paczka dotarła?\nProszę napisać $closeticket, gdy wszystko gra.\n\n-- \nAna Nowak\nAcme",
    "ro": "A ajuns coletul?\nScrieți $closeticket dacă totul e bine.\n\n-- \nAna Nowak\nAcme",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """One mail's text, and what of it is new."""

    name: str
    text: str
    new: str


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


# "On ... wrote:" ---------------------------------------------------------------------------------------------------

_WROTE_LINES = {
    "Gmail, en": ("en", "On Sat, Nov 21, 2026 at 10:31 AM Acme Support <support@acme.test> wrote:\n"),
    "Gmail, wrapped, en": ("en", "On Sat, Nov 21, 2026 at 10:31 AM Acme Support <\nsupport@acme.test> wrote:\n"),
    "Gmail, fr": ("fr", "Le sam. 21 nov. 2026 à 10:31, Acme Support <support@acme.test> a écrit :\n"),
    "Gmail, wrapped, fr": ("fr", "Le sam. 21 nov. 2026 à 10:31, Acme Support <support@acme.test> a\nécrit :\n"),
    "Gmail, pl": ("pl", "sob., 21 lis 2026 o 10:31 Acme Support <support@acme.test> napisał(a):\n"),
    "Gmail, ro": ("ro", "În sâm., 21 nov. 2026 la 10:31, Acme Support <support@acme.test> a scris:\n"),
    "Gmail, wrapped, ro": ("ro", "În sâm., 21 nov. 2026 la 10:31, Acme Support <support@acme.test>\na scris:\n"),
    "Apple Mail, en": ("en", "On 21 Nov 2026, at 10:31, Acme Support <support@acme.test> wrote:\n"),
    "Apple Mail, fr": ("fr", "Le 21 nov. 2026 à 10:31, Acme Support <support@acme.test> a écrit :\n"),
    "Apple Mail, pl": ("pl", "Wiadomość napisana przez Acme <s@acme.test> w dniu 21.11.2026, o godz. 10:31:\n"),
    "Apple Mail, ro": ("ro", "Pe 21 nov. 2026, la 10:31, Acme Support <support@acme.test> a scris:\n"),
    "Thunderbird, en": ("en", "On 11/21/26 10:31, Acme Support wrote:"),
    "Thunderbird, fr": ("fr", "Le 21/11/2026 à 10:31, Acme Support a écrit :"),
    "Thunderbird, pl": ("pl", "W dniu 21.11.2026 o 10:31, Acme Support pisze:"),
    "Thunderbird, ro": ("ro", "În 21.11.2026 10:31, Acme Support a scris:"),
    "Yahoo, en": ("en", "On Saturday, November 21, 2026 at 10:31:12 AM GMT+1, Acme <support@acme.test> wrote:\n"),
    "Yahoo, fr": ("fr", "Le samedi 21 novembre 2026 à 10:31:12 UTC+1, Acme Support <support@acme.test> a écrit :\n"),
    "Proton, en": ("en", "On Saturday, November 21st, 2026 at 10:31 AM, Acme Support <support@acme.test> wrote:\n"),
    "Proton, pl": ("pl", "sobota, 21 listopada 2026 10:31, Acme Support <support@acme.test> napisał(a):\n"),
    "Onet, pl": ("pl", "Dnia 21 listopada 2026 10:31 Acme Support <support@acme.test> napisał(a):\n"),
    "Roundcube, en": ("en", "On 2026-11-21 10:31, Acme Support wrote:"),
    "Roundcube, pl": ("pl", "W dniu 2026-11-21 10:31, Acme Support napisał(a):"),
    "K-9, en": ("en", 'On November 21, 2026 10:31:12 AM GMT+01:00, "Acme Support" <support@acme.test> wrote:'),
    "K-9, fr": ("fr", "Le 21 novembre 2026 10:31:12 GMT+01:00, Acme Support <support@acme.test> a écrit :"),
}  # fmt: skip
#: The same header lines from programs which do not mark the quoted lines with ">".
_UNMARKED = ("Yahoo, en", "Apple Mail, ro", "Gmail, pl", "K-9, fr")

# Header blocks -----------------------------------------------------------------------------------------------------

_BLOCKS = {
    "Outlook, en": ("en", "From: Acme Support <support@acme.test>\nSent: Saturday, November 21, 2026 10:31 AM\n"
                          "To: camille@customer.test\nSubject: RE: My order\n"),
    "Outlook with a rule, en": ("en", "________________________________\nFrom: Acme Support <support@acme.test>\n"
                                      "Sent: Saturday, November 21, 2026 10:31\nTo: Camille\nSubject: Re: My order\n"),
    "Old Outlook, en": ("en", "-----Original Message-----\nFrom: Acme Support [mailto:support@acme.test]\n"
                              "Sent: 21 November 2026 10:31\nTo: camille@customer.test\nSubject: RE: My order\n"),
    "Outlook, fr": ("fr", "De : Acme Support <support@acme.test>\nEnvoyé : samedi 21 novembre 2026 10:31\n"
                          "À : camille@customer.test\nObjet : RE: Ma commande\n"),
    "Old Outlook, fr": ("fr", "-----Message d'origine-----\nDe : Acme Support [mailto:support@acme.test]\n"
                              "Envoyé : samedi 21 novembre 2026 10:31\nÀ : Camille\nObjet : RE: Ma commande\n"),
    "Outlook, pl": ("pl", "Od: Acme Support <support@acme.test>\nWysłane: sobota, 21 listopada 2026 10:31\n"
                          "Do: camille@customer.test\nTemat: Odp: Zamówienie\n"),
    "Old Outlook, pl": ("pl", "-----Wiadomość oryginalna-----\nOd: Acme Support <support@acme.test>\n"
                              "Wysłano: sobota, 21 listopada 2026 10:31\nDo: Jan\nTemat: RE: Zamówienie\n"),
    "Outlook, ro": ("ro", "De la: Acme Support <support@acme.test>\nTrimis: sâmbătă, 21 noiembrie 2026 10:31\n"
                          "Către: camille@customer.test\nSubiect: RE: Comanda\n"),
    "Apple Mail on a phone, bold labels, en": ("en", "*From:* Acme Support <support@acme.test>\n"
                                                     "*Date:* Saturday, 21 November 2026 at 10:31\n*To:* Camille\n"
                                                     "*Subject:* Re: My order\n"),
    "Gmail on a phone, fr": ("fr", "-------- Message d'origine --------\nDe : Acme Support <support@acme.test>\n"
                                   "Date : 21/11/2026 10:31 (GMT+01:00)\nÀ : Camille\nObjet : Re: Ma commande\n"),
    "Samsung, en": ("en", "-------- Original message --------\nFrom: Acme Support <support@acme.test>\n"
                          "Date: 21/11/2026 10:31 (GMT+01:00)\nTo: Camille\nSubject: Re: My order\n"),
    "Samsung, pl": ("pl", "-------- Oryginalna wiadomość --------\nOd: Acme Support <support@acme.test>\n"
                          "Data: 21.11.2026 10:31 (GMT+01:00)\nDo: Jan\nTemat: Odp: Zamówienie\n"),
    "Samsung, ro": ("ro", "-------- Mesaj original --------\nDe la: Acme Support <support@acme.test>\n"
                          "Data: 21.11.2026 10:31 (GMT+01:00)\nCătre: Ion\nSubiect: Re: Comanda\n"),
}  # fmt: skip

# Signatures --------------------------------------------------------------------------------------------------------

_SIGNED = {
    "a signature's own line": ("en", "\n\n-- \nCamille Laurent\nParis"),
    "regards, en": ("en", "\n\nKind regards,\nCamille Laurent\n+33 1 23 45 67 89"),
    "regards, fr": ("fr", "\n\nBien cordialement,\nCamille Laurent\n01 23 45 67 89"),
    "regards, pl": ("pl", "\n\nZ poważaniem\nJan Kowalski\ntel. 600 100 200"),
    "regards, ro": ("ro", "\n\nCu stimă,\nIon Popescu"),
    "iPhone, en": ("en", "\n\nSent from my iPhone"),
    "iPhone, fr": ("fr", "\n\nEnvoyé de mon iPhone"),
    "iPhone, pl": ("pl", "\n\nWysłane z iPhone'a"),
    "iPhone, ro": ("ro", "\n\nTrimis de pe iPhone-ul meu"),
    "Outlook on a phone, en": ("en", "\n\nGet Outlook for Android<https://aka.ms/AAb9ysg>"),
    "Outlook on a phone, pl": ("pl", "\n\nPobierz aplikację Outlook dla systemu Android"),
    "Samsung, fr": ("fr", "\n\nEnvoyé depuis mon appareil Galaxy"),
}

# What has to stay --------------------------------------------------------------------------------------------------

_STAYS = {
    "thanks, and then what it is about": "Thanks,\nmy order number is 12345 and the street is Long Lane 5",
    "a list of wishes": "I want:\n- a refund\n- an apology\n- a new cup",
    "labels of a parcel, not of a mail": "Data: 12.05\nDo: Kraków\nWaga: 2 kg",
    "a sentence that begins like a header": "From: Paris\nI come tomorrow",
    "a sentence with wrote in it": "On Monday your colleague wrote: the parcel left. It did not.",
    "a question after the regards": "Best regards,\nwhere is my parcel?",
    "dashes between paragraphs": "First order: 100\n\n---\n\nSecond order: 200",
    "fr: a sentence of a letter": "Le 5 mai, votre collègue a écrit : je vous rembourse. Rien reçu.",
    "pl: what happened on a day": "W dniu 21.11.2026 odebrałem paczkę.\nKubek był rozbity.",
    "ro: what happened on a day": "În 21.11.2026 am primit coletul.\nCana era spartă.",
    "a bare forward": "See below\n---------- Forwarded message ---------\nFrom: x@y.test\nDate: today\nSubject: s\n"
                      "To: z@y.test\n\nthe point",
    "only a quote": "> only quoted",
}  # fmt: skip


def _corpus() -> list[Reply]:
    found: list[Reply] = []
    for name, (language, header) in _WROTE_LINES.items():
        new, before = WROTE[language], BEFORE[language]
        found.append(Reply(name, f"{new}\n\n{header}\n{_quoted(before)}\n", new))
        if name in _UNMARKED:
            found.append(Reply(f"{name}, unmarked", f"{new}\n\n{header}\n{before}\n", new))
    for name, (language, header) in _BLOCKS.items():
        new, before = WROTE[language], BEFORE[language]
        found.append(Reply(name, f"{new}\n\n{header}\n{before}\n", new))
        found.append(Reply(f"{name}, twice", f"{new}\n\n{header}\n{before}\n\n{header}\n{before}\n", new))
    for name, (language, signature) in _SIGNED.items():
        new = WROTE[language]
        found.append(Reply(f"{name}, alone", new + signature, new))
        header = next(line for where, line in _WROTE_LINES.values() if where == language)
        found.append(Reply(f"{name}, above a quote", f"{new}{signature}\n\n{header}\n{_quoted(BEFORE[language])}", new))
    between = "> Has your parcel arrived?\nYes, yesterday.\n> Was it whole?\nNo, the cup is broken."
    found.append(
        Reply("answers between the lines", f"{_WROTE_LINES['Gmail, en'][1]}\n{between}",
              "Yes, yesterday.\nNo, the cup is broken.")
    )  # fmt: skip
    found += [Reply(name, text, text) for name, text in _STAYS.items()]
    return found


CORPUS = _corpus()

# Replies that are HTML alone ---------------------------------------------------------------------------------------

_OLD = "<p>Has your parcel arrived?</p><p>Write $closeticket when all is well.</p>"
HTML_NEW = "Hello,\n\nthe parcel arrived, but the cup is broken.\n\n- a new cup\n- an apology"
_NEW = "<p>Hello,</p><p>the parcel arrived, but the cup is broken.</p><ul><li>a new cup<li>an apology</ul>"
HTML_CORPUS = {
    "Gmail": f'<div dir="ltr">{_NEW}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">'
    'On Sat, Nov 21, 2026 at 10:31 AM Acme &lt;<a href="mailto:support@acme.test">support@acme.test</a>&gt; wrote:<br>'
    f'</div><blockquote class="gmail_quote" style="margin:0">{_OLD}</blockquote></div>',
    "Apple Mail": f'<html><head></head><body dir="auto">{_NEW}<br><blockquote type="cite">'
    "<div>On 21 Nov 2026, at 10:31, Acme &lt;support@acme.test&gt; wrote:</div></blockquote>"
    f'<blockquote type="cite">{_OLD}</blockquote></body></html>',
    "Outlook": f'<div class="WordSection1">{_NEW}<div style="border:none;border-top:solid #E1E1E1 1.0pt">'
    '<p class="MsoNormal"><b>From:</b> Acme &lt;support@acme.test&gt;<br><b>Sent:</b> Saturday, 21 November 2026 10:31'
    f"<br><b>To:</b> Camille<br><b>Subject:</b> RE: My order</p></div>{_OLD}</div>",
    "Outlook on the web": f'<div class="elementToProof">{_NEW}</div><hr tabindex="-1"><div id="divRplyFwdMsg">'
    "<font><b>From:</b> Acme &lt;support@acme.test&gt;<br><b>Sent:</b> Saturday, November 21, 2026 10:31 AM<br>"
    f"<b>To:</b> Camille<br><b>Subject:</b> Re: My order</font></div><div>{_OLD}</div>",
    "Thunderbird": f'<html><body>{_NEW}<div class="moz-cite-prefix">On 11/21/26 10:31, Acme Support wrote:<br></div>'
    f'<blockquote type="cite" cite="mid:x@acme.test">{_OLD}</blockquote></body></html>',
    "Yahoo": f'<div class="yahoo-style-wrap">{_NEW}</div><div class="yahoo_quoted"><div>'
    "On Saturday, November 21, 2026 at 10:31:12 AM GMT+1, Acme &lt;support@acme.test&gt; wrote:</div>"
    f"<div>{_OLD}</div></div>",
}
