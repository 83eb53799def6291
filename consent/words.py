"""What is said about consent, in the eight languages of the keywords."""

from collections.abc import Mapping
from typing import Final

from consent.keywords import Keyword

LANGUAGES: Final = ("en", "es", "pt", "fr", "de", "it", "hi", "ar")

_TOLD: Final[Mapping[str, Mapping[str, str]]] = {
    "stopped": {
        "en": "You won't get any more messages from me. /start brings me back.",
        "es": "No le enviaré más mensajes. Con /start vuelvo.",
        "pt": "Não lhe enviarei mais mensagens. Com /start volto.",
        "fr": "Vous ne recevrez plus de messages de ma part. Avec /start, je reviens.",
        "de": "Sie bekommen keine Nachrichten mehr von mir. Mit /start komme ich zurück.",
        "it": "Non riceverà più messaggi da me. Con /start torno.",
        "hi": "अब आपको मेरी ओर से कोई संदेश नहीं मिलेगा। /start लिखने पर मैं लौट आऊँगा।",
        "ar": "لن أرسل إليك أي رسائل أخرى. اكتب ‎/start لأعود.",
    },
    "stopped_marketing": {
        "en": "You won't get any more advertising from us. We still answer what you ask here. /start takes this back.",
        "es": "No le enviaremos más publicidad. Seguimos respondiendo a lo que pregunte aquí. Con /start se deshace.",
        "pt": "Não lhe enviaremos mais publicidade. Continuamos a responder ao que perguntar aqui. /start desfaz isto.",
        "fr": "Vous ne recevrez plus notre publicité. Nous répondons toujours à vos questions ici. /start annule cela.",
        "de": "Sie bekommen keine Werbung mehr von uns. Fragen beantworten wir hier weiterhin. /start nimmt das zurück.",
        "it": "Non riceverà più pubblicità da noi. Continuiamo a rispondere alle sue domande qui. Con /start si annulla.",
        "hi": "अब आपको हमसे कोई विज्ञापन नहीं मिलेगा। यहाँ आपके सवालों के जवाब मिलते रहेंगे। /start से यह वापस होता है।",
        "ar": "لن نرسل إليك أي إعلانات بعد الآن. سنواصل الرد على أسئلتك هنا. اكتب ‎/start للتراجع.",
    },
    "ask_stop": {
        "en": "Shall I stop writing to you?",
        "es": "¿Quiere que deje de escribirle?",
        "pt": "Quer que eu deixe de lhe escrever?",
        "fr": "Voulez-vous que je cesse de vous écrire ?",
        "de": "Soll ich Ihnen nicht mehr schreiben?",
        "it": "Vuole che smetta di scriverle?",
        "hi": "क्या मैं आपको संदेश भेजना बंद कर दूँ?",
        "ar": "هل تريد أن أتوقف عن مراسلتك؟",
    },
    "yes_stop": {
        "en": "Yes, stop",
        "es": "Sí, no más",
        "pt": "Sim, parar",
        "fr": "Oui, arrêter",
        "de": "Ja, aufhören",
        "it": "Sì, basta",
        "hi": "हाँ, बंद करें",
        "ar": "نعم، توقف",
    },
    "no_keep": {
        "en": "No, go on",
        "es": "No, siga",
        "pt": "Não, continue",
        "fr": "Non, continuer",
        "de": "Nein, weiter",
        "it": "No, continui",
        "hi": "नहीं, जारी रखें",
        "ar": "لا، تابع",
    },
    "kept": {
        "en": "All right, nothing changes. STOP ends it at any time.",
        "es": "De acuerdo, no cambia nada. STOP lo termina cuando quiera.",
        "pt": "Certo, nada muda. STOP termina a qualquer momento.",
        "fr": "Très bien, rien ne change. STOP y met fin à tout moment.",
        "de": "In Ordnung, es ändert sich nichts. STOP beendet es jederzeit.",
        "it": "Va bene, non cambia nulla. STOP lo termina in ogni momento.",
        "hi": "ठीक है, कुछ नहीं बदलेगा। STOP लिखकर इसे कभी भी बंद करें।",
        "ar": "حسنًا، لن يتغير شيء. اكتب STOP لإنهائه في أي وقت.",
    },
    "agreed": {
        "en": "Thank you, we have noted that you agree. STOP ends it at any time.",
        "es": "Gracias, hemos anotado su consentimiento. STOP lo termina cuando quiera.",
        "pt": "Obrigado, registámos o seu consentimento. STOP termina a qualquer momento.",
        "fr": "Merci, nous avons noté votre accord. STOP y met fin à tout moment.",
        "de": "Danke, wir haben Ihre Einwilligung notiert. STOP beendet sie jederzeit.",
        "it": "Grazie, abbiamo annotato il suo consenso. STOP lo termina in ogni momento.",
        "hi": "धन्यवाद, आपकी सहमति दर्ज कर ली गई है। STOP लिखकर इसे कभी भी बंद करें।",
        "ar": "شكرًا، سجلنا موافقتك. اكتب STOP لإنهائها في أي وقت.",
    },
    "confirm": {
        "en": "Please confirm that you agree:",
        "es": "Confirme, por favor, que está de acuerdo:",
        "pt": "Confirme, por favor, que concorda:",
        "fr": "Veuillez confirmer votre accord :",
        "de": "Bitte bestätigen Sie Ihre Einwilligung:",
        "it": "Confermi, per favore, il suo consenso:",
        "hi": "कृपया अपनी सहमति की पुष्टि करें:",
        "ar": "يُرجى تأكيد موافقتك:",
    },
    "yes_agree": {
        "en": "Yes, I agree",
        "es": "Sí, de acuerdo",
        "pt": "Sim, concordo",
        "fr": "Oui, d'accord",
        "de": "Ja, gern",
        "it": "Sì, accetto",
        "hi": "हाँ, सहमत हूँ",
        "ar": "نعم، أوافق",
    },
    "wording": {
        "en": "I want to get messages ({purpose}) from {business} here.",
        "es": "Quiero recibir aquí mensajes ({purpose}) de {business}.",
        "pt": "Quero receber aqui mensagens ({purpose}) de {business}.",
        "fr": "Je veux recevoir ici des messages ({purpose}) de {business}.",
        "de": "Ich möchte hier Nachrichten ({purpose}) von {business} bekommen.",
        "it": "Voglio ricevere qui messaggi ({purpose}) da {business}.",
        "hi": "मैं यहाँ {business} से संदेश ({purpose}) पाना चाहता/चाहती हूँ।",
        "ar": "أريد أن أتلقى هنا رسائل ({purpose}) من {business}.",
    },
}


def told(what: str, language: str | None) -> str:
    """One line, in the language or in English."""
    texts = _TOLD[what]
    return texts.get((language or "en").split("-")[0].lower(), texts["en"])


def language_of(keyword: Keyword, language: str | None) -> str | None:
    """In which language to answer a keyword: the customer's, if the word is one in it; else the word's own, for what they typed
    says more than what somebody set. A word of several, or of English (which everybody types), tells nothing."""
    base = (language or "").split("-")[0].lower()
    if not keyword.languages or base in keyword.languages or "en" in keyword.languages:
        return language
    return keyword.languages[0] if len(keyword.languages) == 1 else language
