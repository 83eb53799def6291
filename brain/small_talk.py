"""Greetings, thanks and farewells: answered shortly, in their own language, when nothing else is said."""

from brain.rules import normalise

_PHRASES: dict[str, dict[str, str]] = {
    "greeting": {
        "en": "hi|hello|hey|hey there|hi there|hello there|good morning|good afternoon|"
        "good evening|good day|hiya",
        "es": "hola|buenas|buenos dias|buenas tardes|buenas noches|hola buenas|hola buenos dias|"
        "hola que tal|que tal",
        "pt": "oi|ola|bom dia|boa tarde|boa noite|oi tudo bem|ola tudo bem|tudo bem",
        "ar": "مرحبا|السلام عليكم|اهلا|اهلا وسهلا|صباح الخير|مساء الخير|سلام",
    },
    "thanks": {
        "en": "thanks|thank you|thank you very much|thank you so much|thanks a lot|many thanks|"
        "thx|ty|great thanks|ok thanks|okay thanks|ok thank you|perfect thanks|cheers|"
        "thanks for your help|thanks so much",
        "es": "gracias|muchas gracias|mil gracias|ok gracias|vale gracias|perfecto gracias|"
        "gracias por todo|muchisimas gracias|gracias por la ayuda",
        "pt": "obrigado|obrigada|muito obrigado|muito obrigada|valeu|ok obrigado|ok obrigada|"
        "perfeito obrigado",
        "ar": "شكرا|شكرا جزيلا|شكرا لك|شكرا لكم|مشكور|جزاك الله خيرا",
    },
    "farewell": {
        "en": "bye|goodbye|bye bye|see you|see you later|see you soon|have a nice day|"
        "good night|have a good day",
        "es": "adios|hasta luego|hasta pronto|chao|nos vemos|que tengas buen dia",
        "pt": "tchau|ate logo|ate mais|adeus|tenha um bom dia",
        "ar": "مع السلامه|الي اللقاء|وداعا",
    },
}
_ANSWERS = {
    ("greeting", "en"): "Hello! How can I help you?",
    ("greeting", "es"): "¡Hola! ¿En qué puedo ayudarle?",
    ("greeting", "pt"): "Olá! Como posso ajudar?",
    ("greeting", "ar"): "مرحبًا! كيف يمكنني مساعدتك؟",
    ("thanks", "en"): "You're welcome! Is there anything else I can help you with?",
    ("thanks", "es"): "¡De nada! ¿Puedo ayudarle en algo más?",
    ("thanks", "pt"): "De nada! Posso ajudar em mais alguma coisa?",
    ("thanks", "ar"): "على الرحب والسعة! هل هناك شيء آخر يمكنني مساعدتك به؟",
    ("farewell", "en"): "Goodbye! Write to us any time.",
    ("farewell", "es"): "¡Hasta pronto! Escríbanos cuando quiera.",
    ("farewell", "pt"): "Até logo! Escreva quando quiser.",
    ("farewell", "ar"): "مع السلامة! راسلنا في أي وقت.",
}
_KNOWN = {
    normalise(phrase): (kind, language)
    for kind, languages in _PHRASES.items()
    for language, phrases in languages.items()
    for phrase in phrases.split("|")
}


def small_talk(text: str, greeting: str | None = None) -> str | None:
    """The answer to a message that is only a greeting, thanks or a farewell; None for any other. `greeting` is the
    tenant's own."""
    if len(text) > 60:
        return None
    words = "".join(char if char.isalnum() else " " for char in normalise(text))
    kind = _KNOWN.get(" ".join(words.split()))
    if kind and greeting and kind[0] == "greeting":
        return greeting
    return _ANSWERS[kind] if kind else None
