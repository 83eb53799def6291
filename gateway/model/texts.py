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


LANGUAGES: Mapping[str, tuple[str, ...]] = {
    "en": ("english",),
    "es": ("español", "espanol", "spanish"),
    "pt": ("português", "portugues", "portuguese"),
    "ar": ("العربية", "arabic", "عربي"),
}
"""The languages that the core speaks, each with the names that a person may call it."""

_TOLD: Mapping[str, Mapping[str, str]] = {
    "greeting": {
        "en": "Hello! This is {business}. Ask me anything; /human brings a person.",
        "es": "¡Hola! Somos {business}. Pregúnteme lo que quiera; con /human le atiende una persona.",
        "pt": "Olá! Somos {business}. Pergunte o que quiser; com /human fala com uma pessoa.",
        "fr": "Bonjour ! Ici {business}. Posez-moi vos questions ; /human appelle une personne.",
        "de": "Hallo! Hier ist {business}. Fragen Sie, was Sie möchten; /human holt einen Menschen.",
        "it": "Salve! Qui {business}. Mi chieda quello che vuole; /human chiama una persona.",
        "hi": "नमस्ते! यह {business} है। कुछ भी पूछिए; /human लिखने पर कोई व्यक्ति जवाब देगा।",
        "ar": "مرحبًا! معك {business}. اسأل ما تشاء؛ واكتب ‎/human للتحدث مع شخص.",
    },
    "help": {
        "en": "Write your question, and I answer from our own documents.\n"
        "/human - talk to a person\n/language - choose the language\n/stop - no more messages",
        "es": "Escriba su pregunta y respondo con nuestros documentos.\n"
        "/human - hablar con una persona\n/language - elegir el idioma\n/stop - no recibir más mensajes",
        "pt": "Escreva a sua pergunta e respondo com os nossos documentos.\n"
        "/human - falar com uma pessoa\n/language - escolher o idioma\n/stop - não receber mais mensagens",
        "fr": "Écrivez votre question, et je réponds avec nos documents.\n"
        "/human - parler à une personne\n/language - choisir la langue\n/stop - plus de messages",
        "de": "Schreiben Sie Ihre Frage, und ich antworte aus unseren Unterlagen.\n"
        "/human - mit einem Menschen sprechen\n/language - die Sprache wählen\n/stop - keine Nachrichten mehr",
        "it": "Scriva la sua domanda e rispondo con i nostri documenti.\n"
        "/human - parlare con una persona\n/language - scegliere la lingua\n/stop - niente più messaggi",
        "hi": "अपना सवाल लिखिए, मैं हमारे दस्तावेज़ों से जवाब दूँगा।\n"
        "/human - किसी व्यक्ति से बात करें\n/language - भाषा चुनें\n/stop - और संदेश नहीं",
        "ar": "اكتب سؤالك وسأجيب من مستنداتنا.\n‎/human - التحدث مع شخص\n‎/language - اختيار اللغة\n‎/stop - إيقاف الرسائل",
    },
    "form": {
        "en": "Thank you, we have it.",
        "es": "Gracias, lo hemos recibido.",
        "pt": "Obrigado, recebemos.",
        "ar": "شكرًا لك، لقد استلمناه.",
    },
    "human": {
        "en": "I've told our team. A person will answer you here.",
        "es": "He avisado a nuestro equipo. Una persona le responderá aquí.",
        "pt": "Avisei a nossa equipa. Uma pessoa vai responder-lhe aqui.",
        "ar": "أبلغتُ فريقنا. سيجيبك شخص هنا.",
    },
    "holding": {
        "en": "One moment, please: I'm looking that up.",
        "es": "Un momento, por favor: lo estoy buscando.",
        "pt": "Um momento, por favor: estou a procurar.",
        "fr": "Un instant, s'il vous plaît : je cherche.",
        "de": "Einen Moment bitte: ich sehe nach.",
        "it": "Un momento, per favore: sto cercando.",
        "hi": "कृपया एक क्षण: मैं देख रहा हूँ।",
        "ar": "لحظة من فضلك: أبحث عن ذلك.",
    },
    "away": {
        "en": "Our team is away now and back on {when}.",
        "es": "Nuestro equipo no está ahora y vuelve el {when}.",
        "pt": "A nossa equipa não está agora e volta em {when}.",
        "fr": "Notre équipe est absente et revient le {when}.",
        "de": "Unser Team ist gerade nicht da und ab {when} wieder für Sie da.",
        "it": "Il nostro team ora non c'è e torna il {when}.",
        "hi": "हमारी टीम अभी उपलब्ध नहीं है और {when} को लौटेगी।",
        "ar": "فريقنا غير متاح الآن ويعود في {when}.",
    },
    "language": {
        "en": "I'll speak English with you.",
        "es": "Hablaré con usted en español.",
        "pt": "Vou falar consigo em português.",
        "ar": "سأتحدث معك بالعربية.",
    },
    "slow_down": {
        "en": "You are writing faster than I can answer. Please wait a minute; our team can read all of it.",
        "es": "Escribe más rápido de lo que puedo responder. Espere un minuto, por favor; nuestro equipo puede leerlo todo.",
        "pt": "Está a escrever mais depressa do que consigo responder. Aguarde um minuto; a nossa equipa pode ler tudo.",
        "ar": "أنت تكتب أسرع مما أستطيع الرد. انتظر دقيقة من فضلك؛ يمكن لفريقنا قراءة كل شيء.",
    },
    "languages": {
        "en": "Which language shall I speak?",
        "es": "¿En qué idioma le hablo?",
        "pt": "Em que idioma devo falar?",
        "ar": "بأي لغة أتحدث معك؟",
    },
}


def told(what: str, language: str | None) -> str:
    """One of the core's own lines, in the language or in English."""
    return _in(_TOLD[what], language)
