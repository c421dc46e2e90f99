"""Why something a script or a step asked for was not done, in the reader's language.

The sandbox has its own catalogue (`sandbox.messages`). Here stand the sentences of the rules' actions, of a script's
parameters and of what waits for it, by their English text; a test holds the list and the code together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask_babel import get_locale

from sandbox.messages import Catalogue, translated

#: English: (French, Polish, Romanian).
REFUSALS: Mapping[str, tuple[str, str, str]] = {
    # Parameters of actions
    "{label} needs {param}.": (
        "{label} : il manque {param}.",
        "{label}: brakuje {param}.",
        "{label}: lipsește {param}.",
    ),
    "{label} takes a text, not {given}.": (
        "{label} attend un texte, pas {given}.",
        "{label} przyjmuje tekst, nie {given}.",
        "{label} primește un text, nu {given}.",
    ),
    "{label} takes text, not {given}.": (
        "{label} attend un texte, et non {given}.",
        "{label} przyjmuje tekst, a nie {given}.",
        "{label} primește text, nu {given}.",
    ),
    "{label} takes at most {n} characters, not {given}.": (
        "{label} accepte au plus {n} caractères, pas {given}.",
        "{label} przyjmuje najwyżej {n} znaków, nie {given}.",
        "{label} acceptă cel mult {n} caractere, nu {given}.",
    ),
    "{label} takes at most {n} characters.": (
        "{label} accepte au plus {n} caractères.",
        "{label} przyjmuje najwyżej {n} znaków.",
        "{label} acceptă cel mult {n} caractere.",
    ),
    "{label} takes a list of texts.": (
        "{label} attend une liste de textes.",
        "{label} przyjmuje listę tekstów.",
        "{label} primește o listă de texte.",
    ),
    "{label} takes a list of texts, not {given}.": (
        "{label} attend une liste de textes, pas {given}.",
        "{label} przyjmuje listę tekstów, nie {given}.",
        "{label} primește o listă de texte, nu {given}.",
    ),
    "{label} needs at least one.": (
        "{label} : il en faut au moins un.",
        "{label}: potrzebna jest co najmniej jedna pozycja.",
        "{label}: este nevoie de cel puțin una.",
    ),
    "{label} takes at most {n}, not {given}.": (
        "{label} en accepte au plus {n}, pas {given}.",
        "{label} przyjmuje najwyżej {n}, nie {given}.",
        "{label} acceptă cel mult {n}, nu {given}.",
    ),
    "{label} takes at most {n} texts, not {given}.": (
        "{label} accepte au plus {n} textes, pas {given}.",
        "{label} przyjmuje najwyżej {n} tekstów, nie {given}.",
        "{label} acceptă cel mult {n} texte, nu {given}.",
    ),
    "{label} takes at most {n} values of {given} characters.": (
        "{label} accepte au plus {n} valeurs de {given} caractères.",
        "{label} przyjmuje najwyżej {n} wartości po {given} znaków.",
        "{label} acceptă cel mult {n} valori de {given} caractere.",
    ),
    "{label}: each has at most {n} ordinary characters.": (
        "{label} : chacun a au plus {n} caractères ordinaires.",
        "{label}: każda pozycja ma najwyżej {n} zwykłych znaków.",
        "{label}: fiecare are cel mult {n} caractere obișnuite.",
    ),
    "{label} takes yes or no.": (
        "{label} attend oui ou non.",
        "{label} przyjmuje tak lub nie.",
        "{label} primește da sau nu.",
    ),
    "{label} takes yes or no, not {given}.": (
        "{label} attend oui ou non, pas {given}.",
        "{label} przyjmuje tak lub nie, a nie {given}.",
        "{label} primește da sau nu, nu {given}.",
    ),
    "{label} takes a number.": (
        "{label} attend un nombre.",
        "{label} przyjmuje liczbę.",
        "{label} primește un număr.",
    ),
    "{label} takes a number, not {given}.": (
        "{label} attend un nombre, pas {given}.",
        "{label} przyjmuje liczbę, nie {given}.",
        "{label} primește un număr, nu {given}.",
    ),
    "{label} takes a number of at most {n}.": (
        "{label} attend un nombre d'au plus {n}.",
        "{label} przyjmuje liczbę nie większą niż {n}.",
        "{label} primește un număr de cel mult {n}.",
    ),
    "{label} takes a person's id, not {given}.": (
        "{label} attend l'identifiant d'une personne, pas {given}.",
        "{label} przyjmuje identyfikator osoby, nie {given}.",
        "{label} primește identificatorul unei persoane, nu {given}.",
    ),
    "{label} takes a time with its zone, not {given}.": (
        "{label} attend une heure avec son fuseau, pas {given}.",
        "{label} przyjmuje czas ze strefą, nie {given}.",
        "{label} primește o oră cu fusul ei, nu {given}.",
    ),
    "{label} takes a date, YYYY-MM-DD, not {given}.": (
        "{label} attend une date, AAAA-MM-JJ, pas {given}.",
        "{label} przyjmuje datę, RRRR-MM-DD, nie {given}.",
        "{label} primește o dată, AAAA-LL-ZZ, nu {given}.",
    ),
    "{label} is one of {names}, not {given}.": (
        "{label} est l'un de {names}, pas {given}.",
        "{label} to jedno z {names}, nie {given}.",
        "{label} este una dintre {names}, nu {given}.",
    ),
    "{label} cannot be set by a rule.": (
        "{label} ne peut pas être fixé par une règle.",
        "{label} nie może być ustawione przez regułę.",
        "{label} nu poate fi setat de o regulă.",
    ),
    # Names that are not there
    "There is no {what} {given}. Did you mean {near}? Allowed: {names}.": (
        "Il n'y a pas de {what} {given}. Vouliez-vous dire {near} ? Possibles : {names}.",
        "Nie ma {what} {given}. Czy chodziło o {near}? Dozwolone: {names}.",
        "Nu există {what} {given}. Ați vrut {near}? Permise: {names}.",
    ),
    "There is no {what} {given}. Allowed: {names}.": (
        "Il n'y a pas de {what} {given}. Possibles : {names}.",
        "Nie ma {what} {given}. Dozwolone: {names}.",
        "Nu există {what} {given}. Permise: {names}.",
    ),
    "There is no {what} {given}; none exist yet.": (
        "Il n'y a pas de {what} {given} ; il n'en existe pas encore.",
        "Nie ma {what} {given}; jeszcze żadne nie istnieje.",
        "Nu există {what} {given}; încă nu există niciunul.",
    ),
    # What single actions refuse
    "A {kind} has no {what}.": ("Un {kind} n'a pas de {what}.", "{kind} nie ma: {what}.", "Un {kind} nu are {what}."),
    "A {kind} has no stage {given}.": (
        "Un {kind} n'a pas d'étape {given}.",
        "{kind} nie ma etapu {given}.",
        "Un {kind} nu are etapa {given}.",
    ),
    "Nobody can be next: the ticket has no team, and the step names none.": (
        "Personne ne peut être le suivant : le ticket n'a pas d'équipe et l'étape n'en nomme aucune.",
        "Nikt nie może być następny: zgłoszenie nie ma zespołu, a krok żadnego nie wskazuje.",
        "Nimeni nu poate urma: tichetul nu are echipă, iar pasul nu numește niciuna.",
    ),
    "The new item would have no subject.": (
        "Le nouvel élément n'aurait pas d'objet.",
        "Nowy element nie miałby tematu.",
        "Noul element nu ar avea subiect.",
    ),
    "{given} is not the number of an item.": (
        "{given} n'est pas le numéro d'un élément.",
        "{given} nie jest numerem elementu.",
        "{given} nu este numărul unui element.",
    ),
    "The template {code} has no text in any language.": (
        "Le modèle {code} n'a de texte dans aucune langue.",
        "Szablon {code} nie ma tekstu w żadnym języku.",
        "Șablonul {code} nu are text în nicio limbă.",
    ),
    "A message takes either a text or a template, and one of them.": (
        "Un message prend un texte ou un modèle, et l'un des deux.",
        "Wiadomość przyjmuje tekst albo szablon, jedno z nich.",
        "Un mesaj primește un text sau un șablon, unul dintre ele.",
    ),
    "Name at least one user or team to notify.": (
        "Nommez au moins un utilisateur ou une équipe à prévenir.",
        "Podaj co najmniej jedną osobę lub zespół do powiadomienia.",
        "Numiți cel puțin un utilizator sau o echipă de anunțat.",
    ),
    "A card's key has up to 40 letters, digits, - and _.": (
        "La clé d'une carte a jusqu'à 40 lettres, chiffres, - et _.",
        "Klucz karty ma do 40 liter, cyfr, - i _.",
        "Cheia unui card are până la 40 de litere, cifre, - și _.",
    ),
    "A card takes data, or the error that says why there are none.": (
        "Une carte prend des données, ou l'erreur qui dit pourquoi il n'y en a pas.",
        "Karta przyjmuje dane albo błąd, który mówi, dlaczego ich nie ma.",
        "Un card primește date sau eroarea care spune de ce lipsesc.",
    ),
    "A script's parameters are names with values.": (
        "Les paramètres d'un script sont des noms avec des valeurs.",
        "Parametry skryptu to nazwy z wartościami.",
        "Parametrii unui script sunt nume cu valori.",
    ),
    "Rules wait for a script 0 to {n} whole seconds, not {given}.": (
        "Les règles attendent un script de 0 à {n} secondes entières, pas {given}.",
        "Reguły czekają na skrypt od 0 do {n} pełnych sekund, nie {given}.",
        "Regulile așteaptă un script între 0 și {n} secunde întregi, nu {given}.",
    ),
    "A lookup's inputs are names with values.": (
        "Les entrées d'une recherche sont des noms avec des valeurs.",
        "Dane wejściowe zapytania to nazwy z wartościami.",
        "Intrările unei căutări sunt nume cu valori.",
    ),
    "The script needs {label} ({name}).": (
        "Le script a besoin de {label} ({name}).",
        "Skrypt potrzebuje {label} ({name}).",
        "Scriptul are nevoie de {label} ({name}).",
    ),
    "{label} takes either a text or a template, and one of them.": (
        "{label} prend un texte ou un modèle, et l'un des deux.",
        "{label} przyjmuje tekst albo szablon, jedno z nich.",
        "{label} primește un text sau un șablon, unul dintre ele.",
    ),
    "{given} is not an e-mail address.": (
        "{given} n'est pas une adresse e-mail.",
        "{given} nie jest adresem e-mail.",
        "{given} nu este o adresă de e-mail.",
    ),
    "Say who gets it: the customer, people, teams or addresses.": (
        "Dites qui le reçoit : le client, des personnes, des équipes ou des adresses.",
        "Podaj, kto to dostaje: klient, osoby, zespoły lub adresy.",
        "Spuneți cine îl primește: clientul, persoane, echipe sau adrese.",
    ),
    "A subject, a comment and the suggested reply are of its e-mail; say yes to e-mail.": (
        "Objet, commentaire et réponse proposée font partie de son e-mail ; dites oui à l'e-mail.",
        "Temat, komentarz i proponowana odpowiedź należą do e-maila; zaznacz tak przy e-mailu.",
        "Subiectul, comentariul și răspunsul propus țin de e-mail; spuneți da la e-mail.",
    ),
    "A webhook's data are names with values.": (
        "Les données d'un webhook sont des noms avec des valeurs.",
        "Dane webhooka to nazwy z wartościami.",
        "Datele unui webhook sunt nume cu valori.",
    ),
    "An event's name has letters, digits and _, in parts between dots, e.g. ticket.escalated.": (
        "Le nom d'un événement a des lettres, des chiffres et _, en parties entre points, p. ex. ticket.escalated.",
        "Nazwa zdarzenia ma litery, cyfry i _, w częściach między kropkami, np. ticket.escalated.",
        "Numele unui eveniment are litere, cifre și _, în părți între puncte, de ex. ticket.escalated.",
    ),
    "There is no day {given}; write {example}.": (
        "Il n'y a pas de jour {given} ; écrivez {example}.",
        "Nie ma dnia {given}; napisz {example}.",
        "Nu există ziua {given}; scrieți {example}.",
    ),
    "There is no time zone {given}; write for instance Europe/Paris.": (
        "Il n'y a pas de fuseau horaire {given} ; écrivez par exemple Europe/Paris.",
        "Nie ma strefy czasowej {given}; napisz na przykład Europe/Paris.",
        "Nu există fusul orar {given}; scrieți de exemplu Europe/Paris.",
    ),
    "{given} is no time of the day; write for instance 09:00.": (
        "{given} n'est pas une heure du jour ; écrivez par exemple 09:00.",
        "{given} nie jest godziną; napisz na przykład 09:00.",
        "{given} nu este o oră a zilei; scrieți de exemplu 09:00.",
    ),
    "A snooze ends after a while or at a time, not both.": (
        "Une mise en veille finit après un délai ou à une heure, pas les deux.",
        "Uśpienie kończy się po pewnym czasie albo o danej porze, nie jedno i drugie.",
        "O amânare se termină după un timp sau la o oră, nu ambele.",
    ),
    "A ticket is snoozed until a time to come, not until {given}.": (
        "Un ticket est mis en veille jusqu'à une heure à venir, pas jusqu'à {given}.",
        "Zgłoszenie usypia się do czasu, który nadejdzie, nie do {given}.",
        "Un tichet este amânat până la o oră viitoare, nu până la {given}.",
    ),
    "Say how long, until when, or until whose answer the ticket sleeps.": (
        "Dites combien de temps, jusqu'à quand ou jusqu'à la réponse de qui le ticket dort.",
        "Podaj, jak długo, do kiedy lub do czyjej odpowiedzi zgłoszenie śpi.",
        "Spuneți cât timp, până când sau până la răspunsul cui doarme tichetul.",
    ),
    "There is no calendar {given} any more.": (
        "Il n'y a plus de calendrier {given}.",
        "Nie ma już kalendarza {given}.",
        "Nu mai există calendarul {given}.",
    ),
    # What a script declares to take
    "{where} is a mapping, e.g. {example}.": (
        "{where} est une correspondance, p. ex. {example}.",
        "{where} to odwzorowanie, np. {example}.",
        "{where} este o mapare, de ex. {example}.",
    ),
    "{where} needs a name of small letters, digits and _ (up to {n}), which begins with a letter.": (
        "{where} : il faut un nom en minuscules, chiffres et _ (jusqu'à {n}), qui commence par une lettre.",
        "{where}: potrzebna jest nazwa z małych liter, cyfr i _ (do {n}), zaczynająca się literą.",
        "{where}: este nevoie de un nume din litere mici, cifre și _ (până la {n}), care începe cu o literă.",
    ),
    "{where}: this name is taken by Python; choose another one.": (
        "{where} : ce nom est pris par Python ; choisissez-en un autre.",
        "{where}: ta nazwa jest zajęta przez Pythona; wybierz inną.",
        "{where}: numele este folosit de Python; alegeți altul.",
    ),
    "{where}: required is true or false.": (
        "{where} : required vaut true ou false.",
        "{where}: required to true albo false.",
        "{where}: required este true sau false.",
    ),
    "{where}: the default does not fit. {why}": (
        "{where} : la valeur par défaut ne convient pas. {why}",
        "{where}: wartość domyślna nie pasuje. {why}",
        "{where}: valoarea implicită nu se potrivește. {why}",
    ),
    "{where}: only a choice has options.": (
        "{where} : seul un choix a des options.",
        "{where}: tylko wybór ma opcje.",
        "{where}: doar o alegere are opțiuni.",
    ),
    "{where}: a choice needs 1 to {n} options, none of them empty.": (
        "{where} : un choix a besoin de 1 à {n} options, aucune vide.",
        "{where}: wybór potrzebuje od 1 do {n} opcji, żadnej pustej.",
        "{where}: o alegere are nevoie de 1 până la {n} opțiuni, niciuna goală.",
    ),
    "{what} is a text of at most {n} characters.": (
        "{what} est un texte d'au plus {n} caractères.",
        "{what} to tekst o długości najwyżej {n} znaków.",
        "{what} este un text de cel mult {n} caractere.",
    ),
    "Two parameters are called {name}.": (
        "Deux paramètres s'appellent {name}.",
        "Dwa parametry nazywają się {name}.",
        "Doi parametri se numesc {name}.",
    ),
    "The parameters are a list.": (
        "Les paramètres sont une liste.",
        "Parametry to lista.",
        "Parametrii sunt o listă.",
    ),
    "A script has at most {n} parameters, not {given}.": (
        "Un script a au plus {n} paramètres, pas {given}.",
        "Skrypt ma najwyżej {n} parametrów, nie {given}.",
        "Un script are cel mult {n} parametri, nu {given}.",
    ),
    # What a chain of events may do, and what the list does about a script
    "this chain of events may not do more; its limit of effects is reached.": (
        "cette suite d'événements ne peut pas en faire plus ; sa limite d'effets est atteinte.",
        "ten łańcuch zdarzeń nie może zrobić więcej; osiągnięto limit skutków.",
        "acest lanț de evenimente nu poate face mai mult; limita de efecte este atinsă.",
    ),
    "this chain of events has reached its limit of effects": (
        "cette suite d'événements a atteint sa limite d'effets",
        "ten łańcuch zdarzeń osiągnął limit skutków",
        "acest lanț de evenimente a atins limita de efecte",
    ),
    "script {code} is switched off": (
        "le script {code} est désactivé",
        "skrypt {code} jest wyłączony",
        "scriptul {code} este dezactivat",
    ),
    "there is no script {code}": (
        "il n'y a pas de script {code}",
        "nie ma skryptu {code}",
        "nu există scriptul {code}",
    ),
    "{label} stopped it: {reason}": (
        "{label} l'a arrêté : {reason}",
        "{label} zatrzymał to: {reason}",
        "{label} l-a oprit: {reason}",
    ),
    "{row} waits for {code} ({name}), at most {n} s": (
        "{row} attend {code} ({name}), au plus {n} s",
        "{row} czeka na {code} ({name}), najwyżej {n} s",
        "{row} așteaptă {code} ({name}), cel mult {n} s",
    ),
    "{label} took longer than the rules wait for it; they went on without it": (
        "{label} a duré plus longtemps que les règles ne l'attendent ; elles ont continué sans lui",
        "{label} trwał dłużej, niż czekają na niego reguły; poszły dalej bez niego",
        "{label} a durat mai mult decât îl așteaptă regulile; au continuat fără el",
    ),
    "{label} did not end well ({status}); the rules went on without it": (
        "{label} s'est mal terminé ({status}) ; les règles ont continué sans lui",
        "{label} nie zakończył się dobrze ({status}); reguły poszły dalej bez niego",
        "{label} nu s-a încheiat bine ({status}); regulile au continuat fără el",
    ),
}
_CATALOGUE = Catalogue(REFUSALS)
_LINE = re.compile(r"Line (\d+): (.*)", re.DOTALL)
_NOTHING = " Nothing of this run was applied."
#: What stands around a refusal, by language: its line, and that nothing was done.
_AROUND: Mapping[str, tuple[str, str]] = {
    "fr": ("Ligne {n} : ", " Rien de cette exécution n'a été appliqué."),
    "pl": ("Wiersz {n}: ", " Nic z tego uruchomienia nie zastosowano."),
    "ro": ("Linia {n}: ", " Nimic din această rulare nu a fost aplicat."),
}


def told(text: str, language: str) -> str:
    """A refusal in this language; as it is where no catalogue has such a sentence, and in English."""
    around = _AROUND.get(language)
    if around is None or not text:
        return text
    line = _LINE.fullmatch(text)
    if line is not None:
        return around[0].format(n=line[1]) + told(line[2], language)
    if text.endswith(_NOTHING):
        return told(text.removesuffix(_NOTHING), language) + around[1]
    # Ours first: "Text takes text, not a number." and the sandbox's "text takes text, not a number" are two sentences.
    said = _CATALOGUE.translated(text, language)
    return said if said != text else translated(text, language)


def known(text: str) -> bool:
    """Whether this catalogue has the sentence."""
    return _CATALOGUE.known(text)


def said(text: str) -> str:
    """A sentence of the sandbox or a refusal in the reader's language."""
    return told(text, str(get_locale() or "en")[:2])


def full_stop(text: str) -> str:
    """Such a sentence in the reader's language with its full stop, so that another may follow."""
    text = said(text)
    return text if not text or text[-1] in ".!?:" else f"{text}."
