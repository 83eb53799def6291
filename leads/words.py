"""What short answers mean, in every language at once: people switch languages, and buttons stay behind."""

import unicodedata
from functools import cache
from typing import Final, Literal

from leads.texts import LANGUAGES

Meaning = Literal["yes", "no", "skip", "cancel"]

_YES: Final = (
    "yes|yes please|yeah|yep|sure|ok|okay|of course|please do|please"
    "|si|si por favor|claro|vale|de acuerdo|por supuesto|por favor"
    "|sim|sim por favor|claro que sim|pode|pode ser|com certeza"
    "|نعم|نعم من فضلك|اجل|ايوه|ايوا|اكيد|طبعا|تمام|حسنا|موافق"
)
_NO: Final = (
    "no|no thanks|no thank you|nope|not now|no need"
    "|no gracias|ahora no|no hace falta"
    "|nao|nao obrigado|nao obrigada|agora nao|nao precisa"
    "|لا|لا شكرا|ليس الان|لا داعي"
)
_SKIP: Final = (
    "skip|skip it|none|no email|i dont have one|i have none"
    "|omitir|saltar|ninguno|no tengo|sin correo"
    "|pular|saltar|nenhum|nao tenho|sem email"
    "|تخطي|تخط|تجاوز|لا يوجد|ليس لدي"
)
_CANCEL: Final = (
    "cancel|stop|quit|exit|forget it|never mind|nevermind|i changed my mind"
    "|cancelar|cancela|parar|para|dejalo|olvidalo|salir|basta"
    "|cancele|deixa|deixa pra la|esquece|sair|pare"
    "|الغاء|الغ|توقف|قف|انس الامر|خروج"
)
_ARABIC: Final = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ـ": None})


def fold(text: str) -> str:
    """The text for comparing: no case, accents, punctuation, vowel signs or doubled spaces."""
    bare = unicodedata.normalize("NFKD", text.translate(_ARABIC))
    kept = (
        char if char.isalnum() else "" if char in "'’" else " "
        for char in bare
        if not unicodedata.category(char).startswith("M")
    )
    return " ".join("".join(kept).casefold().split())


def meaning(text: str) -> frozenset[Meaning]:
    """What the whole text may mean as a short answer; nothing for anything longer."""
    if len(text) > 60:
        return frozenset()
    said = fold(text)
    return frozenset(name for name, words in _meanings().items() if said in words)


def is_question(text: str) -> bool:
    """Whether the text asks rather than answers: it has a question mark of any script."""
    return any(mark in text for mark in "?？؟¿")


@cache
def _meanings() -> dict[Meaning, frozenset[str]]:
    spoken = LANGUAGES.values()
    return {
        "yes": frozenset(_YES.split("|")) | {fold(w.yes) for w in spoken},
        "no": frozenset(_NO.split("|")) | {fold(w.no) for w in spoken},
        "skip": frozenset(_SKIP.split("|")) | {fold(w.skip) for w in spoken},
        "cancel": frozenset(_CANCEL.split("|")) | {fold(w.cancel) for w in spoken},
    }
