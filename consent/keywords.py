"""Keywords: words that stop, start or ask for help by themselves, when they are all that was said. Pure.

The English STOP family is that of the FCC (47 CFR 64.1200(a)(10): stop, quit, end, revoke, opt out, cancel, unsubscribe are
always a revocation, https://www.ecfr.gov/current/title-47/section-64.1200) and of the carriers (STOPALL). In the other
languages the families hold what only means this. Words that are everyday answers as well ("no", "fin", Italian "fine",
Spanish "para", "cancelar" alone) are not in them: what they may mean is asked (`consent.means`). A tenant adds words and
takes words out (`Permissions`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from consent.folding import fold
from gateway.model.content import Album, Content, Media, Text
from gateway.model.permission import OptIn, Permissions, StopScope

Family = Literal["stop", "start", "help", "opt_in"]

MOST: Final = 64
"""Characters of a keyword at most, once what surrounds it is gone."""

STOP: Final[Mapping[str, str]] = {
    "en": "stop|stop all|stopall|stop it|stop now|please stop|stop please|stop messages|stop messaging|stop messaging me"
    "|stop texting|stop texting me|stop sending messages|unsubscribe|unsubscribe me|unsubscribe all|unsub|cancel|end|quit"
    "|revoke|opt out|optout|opt me out|remove me|s t o p",
    "es": "alto|baja|dar de baja|darme de baja|dame de baja|deme de baja|de baja|baja todo|quiero darme de baja"
    "|cancelar suscripcion|cancelar la suscripcion|cancelar mi suscripcion|anular suscripcion|anular la suscripcion"
    "|desuscribir|desuscribirme|desuscribirse|desuscripcion|no mas mensajes|no quiero mas mensajes|detener|detener mensajes"
    "|parar|salir|stop mensajes",
    "pt": "parar|parar tudo|sair|descadastrar|descadastre|me descadastre|cancelar inscricao|cancelar a inscricao"
    "|cancelar minha inscricao|cancelar assinatura|cancelar subscricao|cancelar a subscricao|anular subscricao"
    "|remover inscricao|desinscrever|desinscrever me|desinscreva me|nao quero mais mensagens|chega de mensagens"
    "|parar mensagens|remova me",
    "fr": "arret|arrete|arreter|arretez|arretez tout|arreter tout|tout arreter|stop tout|desabonner|desabonne"
    "|desabonnement|desabonnez moi|me desabonner|se desabonner|desinscrire|desinscription|desinscrivez moi|me desinscrire"
    "|stop sms|stop pub|plus de messages|annuler abonnement|annuler mon abonnement|annuler labonnement",
    "de": "stopp|stoppen|stopp alles|alles stoppen|halt|abmelden|abmeldung|mich abmelden|bitte abmelden|abbestellen"
    "|abbestellung|austragen|bitte austragen|keine nachrichten|keine nachrichten mehr|keine weiteren nachrichten"
    "|aufhoren|aufhoeren|newsletter abbestellen",
    "it": "ferma|ferma tutto|fermare|fermati|basta messaggi|annulla iscrizione|annulla liscrizione|annullare iscrizione"
    "|cancella iscrizione|cancella liscrizione|cancellami|cancellatemi|disiscrivi|disiscrivimi|disiscrivermi|disiscrizione"
    "|disiscriviti|rimuovimi|rimuovetemi|niente messaggi|non voglio piu messaggi|stop messaggi|interrompi"
    "|revoca consenso",
    "hi": "रोकें|रोको|रोक दो|रोक दें|रोकिए|रुकें|रुको|रुकिए|बंद करें|बंद करो|बंद कर दो|बंद कीजिए|बन्द करें|बन्द करो|स्टॉप|स्टाप|संदेश बंद करें"
    "|मैसेज बंद करें|मैसेज बंद करो|मैसेज मत भेजो|संदेश न भेजें|सदस्यता रद्द करें|सदस्यता समाप्त करें|अनसब्सक्राइब|अनसब्सक्राइब करें"
    "|सब बंद करें|band karo|band karen|band kare|roko|rokein|message band karo",
    "ar": "ايقاف|ايقاف الكل|ايقاف الرسائل|اوقف|اوقفوا|اوقف الرسائل|اوقفوا الرسائل|توقف|توقفوا|قف|ستوب|الغاء الاشتراك"
    "|الغ الاشتراك|الغي الاشتراك|الغاء اشتراكي|الغ اشتراكي|الغاء التسجيل|انسحاب|لا مزيد من الرسائل"
    "|لا ترسل|لا ترسلوا|لا ترسل رسائل|لا اريد رسائل|كفي رسائل",
}

EVERYTHING: Final = (
    "stop all|stopall|unsubscribe all|baja todo|parar tudo|arretez tout|arreter tout|tout arreter|stop tout|stopp alles"
    "|alles stoppen|ferma tutto|सब बंद करें|ايقاف الكل"
)
"""Those of the family that end everything, whatever the tenant's scope."""

START: Final[Mapping[str, str]] = {
    "en": "start|unstop|restart|resume|subscribe|resubscribe|opt in|optin|opt me in|start again",
    "es": "iniciar|empezar|comenzar|reanudar|suscribir|suscribirme|suscribirse|alta|darme de alta|dar de alta",
    "pt": "iniciar|comecar|recomecar|retomar|inscrever|inscrever me|subscrever|voltar a receber",
    "fr": "demarrer|commencer|reprendre|recommencer|abonner|mabonner|sabonner|reabonner",
    "de": "starten|anmelden|wieder anmelden|fortsetzen|weitermachen|abonnieren",
    "it": "inizia|iniziare|avvia|riprendi|riprendere|ricomincia|iscrivimi|iscriviti|riattiva",
    "hi": "शुरू|शुरू करें|शुरू करो|शुरु|शुरु करें|शुरु करो|फिर से शुरू करें|चालू करें|चालू करो|स्टार्ट|सदस्यता लें|shuru karo|shuru karen",
    "ar": "ابدا|ابدأ|بدء|ابدا من جديد|استئناف|تشغيل|اشتراك|اشترك|ستارت",
}

HELP: Final[Mapping[str, str]] = {
    "en": "help|help me|please help",
    "es": "ayuda|ayudame|ayudeme",
    "pt": "ajuda|ajude me|me ajuda",
    "fr": "aide|aidez moi|aide moi|a laide",
    "de": "hilfe|bitte hilfe",
    "it": "aiuto|aiutami|aiutatemi",
    "hi": "मदद|मदद करें|मदद करो|मदद चाहिए|सहायता|हेल्प|madad|madad karo",
    "ar": "مساعده|المساعده|ساعدني|ساعدوني",
}

STANDARD: Final[Mapping[Family, Mapping[str, str]]] = {"stop": STOP, "start": START, "help": HELP}


@dataclass(frozen=True, slots=True)
class Keyword:
    """What a word means here. `scope` is of the `stop` family, `opt_in` of a word that agrees to a purpose. `languages`: those
    in which the word is one; none for a tenant's own."""

    family: Family
    word: str
    scope: StopScope = "all"
    opt_in: OptIn | None = None
    languages: tuple[str, ...] = ()


def match(text: str, permissions: Permissions) -> Keyword | None:
    """The keyword that is all that a text says, or None. Of several meanings: stop, agree, start, help."""
    if len(text) > 4 * MOST and len(text := text.strip()) > 4 * MOST:
        return None
    said = fold(text)
    if not said or len(said) > MOST:
        return None
    return _of(said, permissions) or _of(_once(said), permissions)


def spoken(content: Content) -> str | None:
    """What a content says in words: its text, or what stands under a file; None for anything else."""
    match content:
        case Text(text=text):
            return text
        case Media(caption=caption):
            return caption or None
        case Album(items=items):
            return "\n".join(m.caption for m in items if m.caption) or None
    return None


def in_content(content: Content, permissions: Permissions) -> Keyword | None:
    """The keyword that is all that a content says."""
    said = spoken(content)
    return match(said, permissions) if said else None


def standard(family: Family, language: str | None = None) -> tuple[str, ...]:
    """The words of a standard family, as they are listed: for people and for tests."""
    by_language = STANDARD[family]
    wanted = by_language.values() if language is None else (by_language[language],)
    return tuple(dict.fromkeys(word for words in wanted for word in words.split("|")))


def _of(said: str, permissions: Permissions) -> Keyword | None:
    family, languages = _standard().get(said, (None, ()))
    if family is not None and said in _folded(permissions.not_keywords):
        family, languages = None, ()
    own = {name for name, words in permissions.keywords.items() if said in _folded(words)}
    if "stop" in own or family == "stop":
        everything = said in _everything()
        return Keyword("stop", said, "all" if everything else permissions.stop_scope, languages=languages)
    for word, opt_in in permissions.opt_ins.items():
        if fold(word) == said:
            return Keyword("opt_in", said, opt_in=opt_in)
    if "start" in own or family == "start":
        return Keyword("start", said, languages=languages)
    if "help" in own or family == "help":
        return Keyword("help", said, languages=languages)
    return None


def _once(said: str) -> str:
    """The word that is said again and again: "STOP STOP STOP"."""
    words = said.split()
    return words[0] if len(words) > 1 and len(set(words)) == 1 else ""


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(word) for word in words)


@cache
def _standard() -> dict[str, tuple[Family, tuple[str, ...]]]:
    found: dict[str, tuple[Family, tuple[str, ...]]] = {}
    for family, by_language in STANDARD.items():
        for language, words in by_language.items():
            for word in words.split("|"):
                said = fold(word)
                there = found.get(said, (family, ()))
                if there[0] == family:  # the families are asked in order: a stop stays a stop
                    found[said] = family, tuple(dict.fromkeys((*there[1], language)))
    return found


@cache
def _everything() -> frozenset[str]:
    return _folded(EVERYTHING.split("|"))
