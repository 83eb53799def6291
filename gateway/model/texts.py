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
    return _in(UNSUPPORTED, language)


BROKEN: Mapping[str, str] = {
    "en": "Sorry, something went wrong on our side and I can't answer this. Our team will see it.",
    "es": "Lo siento, algo ha fallado por nuestra parte y no puedo responder. Nuestro equipo lo verá.",
    "pt": "Desculpe, algo falhou do nosso lado e não consigo responder. A nossa equipa vai ver.",
    "ar": "عذرًا، حدث خطأ من جانبنا ولا أستطيع الرد على هذا. سيطّلع فريقنا على الأمر.",
}


def broken(language: str | None) -> str:
    """What is said in the end when an answer breaks again and again."""
    return _in(BROKEN, language)


def _in(texts: Mapping[str, str], language: str | None) -> str:
    return texts.get((language or "en").split("-")[0].lower(), texts["en"])
