"""What the core itself says to a customer, in the languages that it speaks."""

from collections.abc import Mapping

UNSUPPORTED: Mapping[str, str] = {
    "en": "Sorry, I can't read this kind of message here yet. Please write it as text.",
    "es": "Lo siento, todavía no puedo leer este tipo de mensaje aquí. Escríbalo como texto, por favor.",
    "pt": "Desculpe, ainda não consigo ler este tipo de mensagem aqui. Escreva em texto, por favor.",
    "ar": "عذرًا، لا أستطيع قراءة هذا النوع من الرسائل هنا بعد. يُرجى كتابتها نصًّا.",
}


def unsupported(language: str | None) -> str:
    """The answer to a kind of message that we can't read, in the language or in English."""
    return UNSUPPORTED.get((language or "en").split("-")[0].lower(), UNSUPPORTED["en"])
