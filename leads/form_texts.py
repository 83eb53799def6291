"""What a small form says by itself, in the languages that the lead flow speaks."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class FormWords:
    left: str
    gave_up: str
    leave: str
    bad_number: str
    between: str
    bad_date: str
    bad_choice: str
    choose: str


_WORDS: Final = {
    "en": FormWords(
        "All right, I've stopped. Nothing was sent.",
        "Let's leave it there; you can start again at any time.",
        "(Write “cancel” to stop.)",
        "Please write one number.",
        "It has to be between {least} and {most}.",
        "Please write a date such as 2026-12-31 or 31/12/2026.",
        "Please choose one of: {choices}.",
        "Choose",
    ),
    "es": FormWords(
        "De acuerdo, lo dejo. No se ha enviado nada.",
        "Dejémoslo aquí; puede empezar de nuevo cuando quiera.",
        "(Escriba «cancelar» para dejarlo.)",
        "Escriba un número, por favor.",
        "Tiene que estar entre {least} y {most}.",
        "Escriba una fecha, por ejemplo 2026-12-31 o 31/12/2026.",
        "Elija una de estas: {choices}.",
        "Elegir",
    ),
    "pt": FormWords(
        "Está bem, parei. Nada foi enviado.",
        "Ficamos por aqui; pode recomeçar quando quiser.",
        "(Escreva “cancelar” para parar.)",
        "Escreva um número, por favor.",
        "Tem de estar entre {least} e {most}.",
        "Escreva uma data, por exemplo 2026-12-31 ou 31/12/2026.",
        "Escolha uma destas: {choices}.",
        "Escolher",
    ),
    "ar": FormWords(
        "حسنًا، توقفت. لم يُرسل شيء.",
        "لنتوقف هنا؛ يمكنك البدء من جديد في أي وقت.",
        "(اكتب «إلغاء» للتوقف.)",
        "اكتب رقمًا واحدًا من فضلك.",
        "يجب أن يكون بين {least} و{most}.",
        "اكتب تاريخًا مثل 2026-12-31 أو 31/12/2026.",
        "اختر واحدًا من: {choices}.",
        "اختيار",
    ),
}


def form_words(language: str | None) -> FormWords:
    """In the language, or in English."""
    return _WORDS.get((language or "en").split("-")[0].lower(), _WORDS["en"])
