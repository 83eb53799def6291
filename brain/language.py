"""The language of a text, from its script and its commonest words: enough to file a passage under, never to translate by.

A letter of its own gives some languages away at once (kana, Hangul, Hebrew, Thai, Devanagari, Greek); Latin, Cyrillic and
Arabic letters are shared, so there the small words decide that every text is full of.
"""

import re
from collections import Counter
from functools import cache

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_SAMPLE = 4000
"""Characters looked at: more does not change the answer."""

_LEAST_SHARE = 0.5
"""Of the letters, what the winning script must have."""

_LEAST_WORDS = 2
"""Small words that must be found; one alone may be a name."""

_SCRIPTS = (
    ("kana", "\u3040-\u30ff"),
    ("ko", "\u1100-\u11ff\uac00-\ud7af"),
    ("han", "\u3400-\u4dbf\u4e00-\u9fff"),
    ("he", "\u0590-\u05ff"),
    ("th", "\u0e00-\u0e7f"),
    ("hi", "\u0900-\u097f"),
    ("bn", "\u0980-\u09ff"),
    ("ta", "\u0b80-\u0bff"),
    ("el", "\u0370-\u03ff\u1f00-\u1fff"),
    ("cyrillic", "\u0400-\u04ff"),
    ("arabic", "\u0600-\u06ff\u0750-\u077f"),
    ("latin", "A-Za-z\u00aa-\u024f\u1e00-\u1eff"),
)

_WORDS = {
    "latin": {
        "en": "the and of to is in that it you for are with this on your we be have not at or from our can will "
        "if by an as do does what how when where there which was no yes all please any about us may",
        "es": "el la los las de del que en y un una por con para es se no su al lo como más pero sus le ya o este sí "
        "porque esta entre cuando muy sin sobre también hay está son puede usted nuestro nuestra dónde qué cómo",
        "pt": "o a os as de do da dos das que em e um uma por com para é se não seu sua ao no na como mais mas foi ele "
        "ou este isso também há está são pode você nosso nossa onde quando muito sem sobre nos pelo pela até",
        "fr": "le la les des de du et en un une que qui pour dans ce il est sur pas ne au avec se plus par nous vous "
        "votre notre sont être cette ou mais si tout elle aux où comment quand peut avez ces leur",
        "de": "der die das und in zu den von ist mit sich des auf für nicht ein eine dem im es an werden aus er hat dass "
        "sie nach wird bei einer um am sind noch wie einem über so zum kann wir ihr ihre unser oder wenn nur was wo",
        "it": "il lo la i gli le di del della dei che e un una per con non è si da sono in al come più ma anche questo "
        "nel alla se ci o ha dove quando nostro nostra può essere molto sul dal tutti vostro cosa",
        "nl": "de het een en van in is dat op te voor met zijn niet aan er om ook als dan maar bij of uit nog kan wij u "
        "uw onze wordt naar deze door wat waar hoe heeft we je worden geen",
        "sv": "och att det i en som på är av för med den till inte har de om ett vi kan du eller från vid så ska hur vår",
        "da": "og at det i en som på er af for med den til ikke har de om et vi kan du eller fra ved så skal hvor vores",
        "pl": "i w na z do się nie to jest że o od po za jak dla są przez czy ale lub może co przy oraz tym ich nasz",
        "tr": "ve bir bu için ile de da ne çok daha gibi olarak var mı mi değil en kadar sonra veya olan her biz siz",
        "ro": "și de la în cu a pe este nu un o care din se pentru mai sau sunt că ce au al dar fi prin dacă ne vă",
        "cs": "a v na se je že s z do o to i k pro ale by jako za po od nebo jsou není který při jak při však",
        "id": "dan yang di untuk dengan ini itu dari ke tidak pada adalah kami anda akan dalam atau juga bisa ada oleh",
        "sw": "na ya wa kwa ni la za katika hii kama au yako yetu sisi hapa kila saa bei siku",
        "vi": "và của là có không được cho trong một các này với người khi đã để những bạn chúng tôi hoặc",
    },
    "cyrillic": {
        "ru": "и в не на что с по это как к из у за от для до но вы мы или при все если есть можно нет то так его она",
        "uk": "і в не на що з по це як до із у за від для та але ви ми або при всі якщо є можна немає то так його вона",
        "bg": "и в не на че с по това как от за да се са е но или при ако има може ние вие към след като който",
        "sr": "и у не на да са за је се од до као али или при све ако има може ми ви то што није су",
    },
    "arabic": {
        "ar": "في من على إلى أن هذا هذه التي الذي عن مع لا ما هو هي كل أو كان قد بعد قبل يمكن يمكنك لدينا نحن خلال لكم ثم",
        "fa": "و در به از که این را با است برای آن یک می خود تا بر هم نیز شما ما یا اگر باشد شود کنید های هر پس",
        "ur": "اور کے میں کی ہے سے کا کو پر یہ نے ہیں کہ اس آپ ہم یا نہیں کر لیے تک بھی جو ایک",
    },
}  # fmt: skip

_TELLING = {"fa": "پچژگ", "ur": "ٹڈڑںے", "uk": "іїєґ", "ru": "ыэъё", "sr": "ђјљњћџ"}
"""Letters that a language has and its neighbours lack: each counts as a small word."""


def guess(text: str) -> str | None:
    """A BCP 47 tag (`en`, `pt`, `zh`); None where nothing tells: too few words, numbers, a language that is not known."""
    sample = text[:_SAMPLE]
    letters = len(_LETTER.findall(sample))
    if not letters:
        return None
    counts = {name: len(_letters(span).findall(sample)) for name, span in _SCRIPTS}
    if counts["kana"] and counts["kana"] + counts["han"] >= letters * _LEAST_SHARE:
        return "ja"
    script, most = max(counts.items(), key=lambda item: item[1])
    if most < letters * _LEAST_SHARE:
        return None
    if script == "han":
        return "zh"
    return _by_words(script, sample) if script in _WORDS else script


def _by_words(script: str, sample: str) -> str | None:
    words = Counter(_WORD.findall(sample.lower()))
    scores = {
        language: sum(words[word] for word in small) + _telling(language, sample)
        for language, small in _small(script).items()
    }
    (best, most), (_, second) = sorted(scores.items(), key=lambda item: -item[1])[:2]
    return best if most >= _LEAST_WORDS and most > second else None


def _telling(language: str, sample: str) -> int:
    return sum(sample.count(letter) for letter in _TELLING.get(language, ""))


@cache
def _letters(span: str) -> re.Pattern[str]:
    return re.compile(f"[{span}]")


@cache
def _small(script: str) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in _WORDS[script].items()}
