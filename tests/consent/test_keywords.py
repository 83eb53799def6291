"""Keywords: every word of the lists in every dress that people give it, and what only looks like one."""

from pathlib import Path

import pytest

from consent.keywords import EVERYTHING, STANDARD, Family, in_content, match, standard
from consent.means import proposes
from consent.words import LANGUAGES, language_of, told
from gateway.model.content import Album, Media, Reply, Text
from gateway.model.permission import OptIn, Permissions

P = Permissions()


def wide(word: str) -> str:
    """In full-width letters."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in word)


DRESSES = (
    "{}", " {} ", "\n{}\t", "{}.", "{}!!!", "¡{}!", "«{}»", "“{}”", "'{}'", "„{}“", "*{}*", "_{}_", "({})", "{}…", "- {} -",
    "{} 🛑", "🙏🏽{}", "{}\ufe0f", "\u200b{}\u200b", "\u202b{}\u202c", "\ufeff{}", "{}\u00ad", "{}。", "{}؟",
    "{}،", "{}।", "\u3164{}",
)  # fmt: skip


@pytest.mark.parametrize("family", STANDARD)
def test_every_word_in_every_dress_and_case_is_one(family: Family) -> None:
    words = standard(family)
    assert len(words) > 20
    for word in words:
        for form in {
            word,
            word.upper(),
            word.title(),
            wide(word),
            wide(word.upper()),
            word.replace(" ", "   "),
        }:
            for dress in DRESSES:
                found = match(dress.format(form), P)
                assert found is not None, dress.format(form)
                assert found.family == family, dress.format(form)


ACCENTED = (
    "ARRÊT", "Désabonner", "DÉSINSCRIRE", "arrêtez", "cancelar suscripción", "Cancelar inscrição", "não quero mais mensagens",
    "Aufhören", "Annulla l'iscrizione", "annuler l’abonnement", "إيقاف", "إلغاء الاشتراك", "أوقف", "تَوَقَّف",
    "توقـــف", "الغاء الإشتراك",
    "opt-out", "Opt–Out", "STOP-ALL", "S.T.O.P.", "stop, stop, stop!", "बंद करें।", "ⓢⓣⓞⓟ", "𝐒𝐓𝐎𝐏",
    "unsubscrıbe", "Nicht mehr: STOPP"[12:],
)  # fmt: skip


@pytest.mark.parametrize("text", ACCENTED)
def test_as_people_write_it(text: str) -> None:
    found = match(text, P)
    assert found is not None
    assert found.family == "stop"


NEAR = (
    # English
    "please stop by tomorrow", "stop by", "where is the bus stop?", "nonstop", "stopwatch",
    "can I cancel my order?", "cancel order",
    "the end", "weekend", "endless", "end of the month", "quit smoking course", "I never quit", "no",
    "no thanks", "yes", "ok", "fine",
    "stop it by 5", "don't stop", "help yourself", "startup", "start tomorrow", "unsubscribed?!? why",
    "remove me from the waiting list",
    # Spanish, Portuguese
    "para", "fin", "no gracias", "alto y claro", "la baja médica", "salir de casa", "parar en Madrid",
    "cancelar", "cancelar pedido",
    "sair de casa", "não", "pare", "para ti", "bajar", "talla alta", "altos",
    # French, German, Italian
    "arrêt de bus", "fin", "non", "non merci", "annuler", "halt mal", "stoppen Sie bitte den Versand", "nein",
    "Ende", "Widerruf",
    "fine", "ferma posta", "fermata", "basta", "basta così", "annulla", "no grazie", "disdetta",
    # Hindi, Arabic
    "नहीं", "बंद", "दुकान कब बंद होती है", "रुकिए मैं देखता हूँ", "لا", "لا شكرا", "وقف", "موقف السيارات",
    "متى تتوقف الحافلة", "الغاء", "الغاء الطلب",
    # Nothing at all
    "", " ", "🛑", "✋", "...", "\u200b", "?", "1", "stop" * 100, "stop " + "x" * 500,
)  # fmt: skip


@pytest.mark.parametrize("text", NEAR)
def test_what_only_looks_like_a_stop(text: str) -> None:
    found = match(text, P)
    assert found is None or found.family != "stop"


def test_a_tenant_adds_words_takes_words_out_and_has_words_that_agree() -> None:
    own = Permissions(
        keywords={"stop": ("Basta ya",), "help": ("SOS",)},
        not_keywords=("End",),
        opt_ins={"News!": OptIn("marketing", "I want the news."), "stop news": OptIn("news")},
    )
    assert match("¡basta, ya!", own) is not None
    assert match("end", own) is None
    assert match("END", P) is not None
    assert getattr(match("sos", own), "family", None) == "help"
    found = match("NEWS", own)
    assert found is not None
    assert (found.family, found.opt_in) == ("opt_in", OptIn("marketing", "I want the news."))
    # What is taken out comes back when the tenant says so itself.
    both = Permissions(keywords={"stop": ("end",)}, not_keywords=("end",))
    assert getattr(match("end", both), "family", None) == "stop"


def test_the_scope_is_the_tenants_but_all_is_all() -> None:
    marketing = Permissions(stop_scope="marketing")
    assert getattr(match("STOP", marketing), "scope", None) == "marketing"
    for word in EVERYTHING.split("|"):
        found = match(word, marketing)
        assert found is not None, word
        assert (found.family, found.scope) == ("stop", "all"), word


def test_a_caption_counts_and_a_button_does_not() -> None:
    picture = Media("image", "m", None, caption="Stop.")
    assert getattr(in_content(picture, P), "family", None) == "stop"
    assert getattr(in_content(Album((Media("image", "a", None), picture)), P), "family", None) == "stop"
    assert in_content(Album((picture, Media("image", "b", None, caption="and the blue one"))), P) is None
    assert in_content(Reply("x", "Stop"), P) is None
    assert getattr(in_content(Text("Stop"), P), "family", None) == "stop"


def test_all_is_said_in_eight_languages_and_a_foreign_word_tells_which() -> None:
    for what in ("stopped", "stopped_marketing", "ask_stop", "kept", "agreed", "confirm", "wording"):
        assert len({told(what, language) for language in LANGUAGES}) == 8, what
    baja, stop = match("BAJA", P), match("STOP", P)
    assert baja is not None
    assert stop is not None
    assert (language_of(baja, "en"), language_of(baja, "es-MX"), language_of(stop, "de")) == (
        "es",
        "es-MX",
        "de",
    )


PROPOSED = (
    "Please don't text me any more", "leave me alone!!", "Take me off your list, please",
    "how do I unsubscribe?", "stop sending me these",
    "I don’t want to receive messages", "do not contact me again", "Dejen de escribirme por favor",
    "no quiero recibir más publicidad",
    "quiero darme de baja del boletín", "não me mandem mais nada", "me tire da lista", "não quero mais receber isso",
    "arrêtez de m'écrire", "je ne veux plus recevoir vos pubs", "laissez-moi tranquille", "Schreiben Sie mir nicht mehr!",
    "Lasst mich in Ruhe", "nehmen Sie mich von der Liste", "non scrivetemi più", "lasciatemi in pace",
    "non voglio più ricevere messaggi",
    "मुझे मैसेज मत भेजो", "मेरा नंबर हटा दो", "कृपया मुझे परेशान न करें", "لا ترسلوا لي رسائل", "اتركوني وشأني",
    "أريد إلغاء الاشتراك من فضلكم",
)  # fmt: skip

NOT_PROPOSED = (
    "please stop by tomorrow", "the bus won't stop sending me crazy", "Do you have a stop button?",
    "I want to cancel my order",
    "remove me from the waiting list please", "don't leave me alone with this wardrobe",
    "I don't want to receive my parcel on Monday",
    "no quiero recibir el paquete hoy", "¿me dejan en paz y salvo el contrato?", "não quero receber o pedido em casa",
    "je ne veux plus recevoir le colis demain", "Ist die Liste der Farben aktuell?", "in Ruhe lesen", "la lista dei prezzi",
    "non voglio ricevere il pacco", "नंबर क्या है?", "मैसेज मिला, धन्यवाद", "ما هو رقمي؟", "متى ترسلون الطلب؟",
    "Are you alone in the shop?",
    "Text me the address", "write to me tomorrow", "stop", "",
)  # fmt: skip


@pytest.mark.parametrize("text", PROPOSED)
def test_what_looks_like_an_opt_out_is_asked_about(text: str) -> None:
    assert match(text, P) is None
    assert proposes(text)


@pytest.mark.parametrize("text", NOT_PROPOSED)
def test_what_is_none_is_answered(text: str) -> None:
    assert not proposes(text)


def test_the_documentation_lists_every_word() -> None:
    text = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
    for by_language in STANDARD.values():
        for words in by_language.values():
            assert f"| {', '.join(words.split('|'))} |" in text
