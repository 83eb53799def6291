"""Facts that a sentence states and that can be checked word for word: numbers, amounts, times, dates, phones, addresses.

Each fact is a set of readings (`1.000` is a thousand here and one there); it is borne out where one of them stands in what it
rests on, written in whatever way.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

from brain.days import day_terms
from brain.words import fold

Fact = frozenset[str]
"""Readings of one fact; one of them has to be there."""

_MONTHS: Final = {
    name: place
    for place, names in enumerate(
        (
            "january jan enero janeiro janvier januar gennaio يناير जनवरी",
            "february feb febrero fevereiro fevrier februar febbraio فبراير फरवरी",
            "march mar marzo marco mars marz مارس मार्च",
            "april apr abril avril aprile ابريل अप्रैल",
            "may mayo maio mai maggio مايو मई",
            "june jun junio junho juin juni giugno يونيو जून",
            "july jul julio julho juillet juli luglio يوليو जुलाई",
            "august aug agosto aout اغسطس अगस्त",
            "september sep sept septiembre setembro septembre settembre سبتمبر सितंबर",
            "october oct octubre outubro octobre oktober okt ottobre اكتوبر अक्टूबर",
            "november nov noviembre novembro novembre نوفمبر नवंबर",
            "december dec diciembre dezembro decembre dezember dez dicembre ديسمبر दिसंबर",
        ),
        1,
    )
    for name in names.split()
}
_WORDS: Final = {
    word: str(value)
    for value, words in {
        1: "one uno una um uma un une ein eine einen einem einer واحد एक",
        2: "two dos dois duas deux zwei due twice double doble dobro اثنان اثنين दो",
        3: "three tres trois drei tre ثلاثه तीन",
        4: "four cuatro quatro quatre vier quattro اربعه चार",
        5: "five cinco cinq funf cinque خمسه पांच पाँच",
        6: "six seis sechs sei سته छह",
        7: "seven siete sete sept sieben sette سبعه सात",
        8: "eight ocho oito huit acht otto ثمانيه आठ",
        9: "nine nueve nove neuf neun تسعه नौ",
        10: "ten diez dez dix zehn dieci عشره दस",
        11: "eleven once onze elf undici",
        12: "twelve doce doze douze zwolf dodici",
        14: "fourteen catorce quatorze vierzehn quattordici",
        15: "fifteen quince quinze funfzehn quindici",
        20: "twenty veinte vinte vingt zwanzig venti عشرون عشرين बीस",
        24: "twenty-four veinticuatro vierundzwanzig ventiquattro",
        30: "thirty treinta trinta trente dreissig trenta ثلاثون ثلاثين तीस",
        40: "forty cuarenta quarenta quarante vierzig quaranta",
        50: "fifty cincuenta cinquenta cinquante funfzig cinquanta half medio mitad metade moitie halfte meta "
        "خمسون خمسين पचास",
        60: "sixty sesenta sessenta soixante sechzig sessanta",
        90: "ninety noventa neunzig novanta",
        100: "hundred cien cento cent hundert مئه सौ",
        1000: "thousand mil mille tausend الف हज़ार",
    }.items()
    for word in words.split()
}
"""Words that stand for a number in what a sentence rests on; an answer's own words are not taken for facts, as too many of
them mean something else in another language."""

_SURE: Final = frozenset(
    (
        "two",
        "three",
        "four",
        "five",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "fifteen",
        "twenty",
        "thirty",
    )
)
"""Those of them that are a fact in an answer, too."""

_CURRENCY: Final = {
    "€": "eur", "eur": "eur", "euro": "eur", "euros": "eur", "$": "usd", "usd": "usd", "us$": "usd", "dollar": "usd",
    "dollars": "usd", "dolares": "usd", "£": "gbp", "gbp": "gbp", "pound": "gbp", "pounds": "gbp", "r$": "brl", "brl": "brl",
    "reais": "brl", "₹": "inr", "inr": "inr", "rupees": "inr", "¥": "jpy", "chf": "chf", "mxn": "mxn", "aed": "aed",
    "dirham": "aed", "dirhams": "aed", "sar": "sar", "درهم": "aed", "ريال": "sar", "يورو": "eur", "دولار": "usd",
    "रुपये": "inr", "यूरो": "eur",
}  # fmt: skip
_PERCENT: Final = (
    r"(?:%|٪|percent\b|per cent\b|por ?ciento\b|por ?cento\b|pour ?cent\b|prozent\b|per cento\b|"
    r"في المئه|بالمئه|प्रतिशत)"
)
_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"'`|]+", re.IGNORECASE)
_CLOCK: Final = re.compile(
    r"(?<![\d.,:])(?P<hour>[01]?\d|2[0-4])\s?(?:(?P<mark>[:h]|\.(?=[0-5]\d\s*(?:[ap]\.?\s?m\b|uhr|h\b)))(?P<minute>[0-5]\d))?\s?"
    r"(?P<after>a\.?\s?m\b\.?|p\.?\s?m\b\.?|uhr\b|h\b|hrs?\b|o'?clock\b|مساء|صباحا|بجे|बजे)?",
)
_NOON: Final = {"noon": 720, "midday": 720, "mediodia": 720, "meio-dia": 720, "midi": 720, "mittag": 720, "mezzogiorno": 720,
                "midnight": 1440, "medianoche": 1440, "meia-noite": 1440, "minuit": 1440, "mitternacht": 1440}  # fmt: skip
_RANGE: Final = re.compile(
    r"(?<![\d.,:/])(\d{1,2})(?:[:.h]([0-5]\d))?\s?(?:[-–—]|to|till|until|through|bis|a|al|ate|as|alle|الى|الي|से|and|y|e|und)\s?"
    r"(\d{1,2})(?:[:.h]([0-5]\d))?(?![\d/])"
)
_PHONE: Final = re.compile(r"(?<![\w.,])(?:\+|00)?\(?\d[\d\s()./-]{5,18}\d(?![\w])")
_NO_PHONE: Final = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,3}(?:[.,]\d{3})+|(?:19|20)\d\d\D+(?:19|20)\d\d"
)
"""A date, a number with its thousands, years from and to."""

_ISO: Final = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_SHORT_DATE: Final = re.compile(r"(?<![\d/.])(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?(?![\d/])")
_NAMED: Final = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY_MONTH: Final = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th|\.|er|º|°)?\s(?:of\s|de\s|di\s)?(?<!\w)({_NAMED})(?!\w)|(?<!\w)({_NAMED})\.?\s(\d{{1,2}})(?:st|nd|rd|th)?(?!\d|:)"
)
_NUMBER: Final = re.compile(
    r"(?<![\w.,])\d+(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?"
)
_LIST: Final = re.compile(r"^\s*(?:\d{1,2}[.)]|[-•*])\s+", re.MULTILINE)
_AMOUNT: Final = re.compile(
    r"(?P<before>us\$|r\$|[€$£₹¥]|\b(?:eur|usd|gbp|brl|inr|chf|mxn|aed|sar)\b)?\s?(?P<number>\d[\d.,'’\u00a0 ]*\d|\d)\s?"
    r"(?P<after>[€$£₹¥]|(?:eur|usd|gbp|brl|inr|chf|mxn|aed|sar|euros?|dollars?|dolares|pounds?|reais|rupees|dirhams?|درهم|ريال|يورو|دولار|रुपये|यूरो)(?!\w))?"
)
_UNIT: Final = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(unit)}(?!\w)" if unit.isalpha() else re.escape(unit)
        for unit in sorted(_CURRENCY, key=len, reverse=True)
    )
)
_HOURS: Final = {
    "hour": 1, "hours": 1, "hrs": 1, "stunde": 1, "stunden": 1, "day": 24, "days": 24, "workdays": 24, "dia": 24, "dias": 24,
    "jour": 24,
    "jours": 24,
    "tag": 24, "tage": 24, "tagen": 24, "arbeitstage": 24, "arbeitstagen": 24, "werktage": 24, "werktagen": 24,
    "giorno": 24, "giorni": 24, "week": 168, "weeks": 168, "semana": 168, "semanas": 168, "semaine": 168, "semaines": 168,
    "woche": 168, "wochen": 168, "settimana": 168, "settimane": 168,
}  # fmt: skip
_ALSO_HOURS: Final = {**_HOURS, "hora": 1, "horas": 1, "heure": 1, "heures": 1, "ora": 1, "ore": 1, "h": 1}
"""“18 heures” is a time of day as well: an answer's own is not taken for a span."""
_MONTH_SPANS: Final = {
    "month": 1, "months": 1, "mes": 1, "meses": 1, "mois": 1, "monat": 1, "monate": 1, "monaten": 1, "mese": 1, "mesi": 1,
    "year": 12,
    "years": 12, "ano": 12, "anos": 12, "an": 12, "ans": 12, "annee": 12, "annees": 12, "jahr": 12, "jahre": 12, "jahren": 12,
    "anno": 12, "anni": 12,
}  # fmt: skip
_SPANS: Final = "|".join(sorted({*_HOURS, *_MONTH_SPANS} - {"an"}, key=len, reverse=True))
_ALL_SPANS: Final = "|".join(sorted({*_ALSO_HOURS, *_MONTH_SPANS}, key=len, reverse=True))
_COUNTED: Final = "|".join(sorted(_SURE, key=len, reverse=True))
_LASTING: Final = re.compile(
    rf"(?<![\w.,:/€$£-])(\d{{1,4}}|{_COUNTED})[\s-]"
    rf"(?:(?:working|business|full|calendar|consecutive|whole)[\s-])?({_SPANS})(?!\w)"
)
_LASTS: Final = re.compile(rf"(?<=[\s\d-])(?:{_ALL_SPANS})(?!\w)")
_DENIES: Final = re.compile(
    r"\b(?:not|no|never|cannot|nor|none|neither|nicht|kein\w*|nie|niemals|pas|jamais|aucun\w*|nunca|jamas|tampoco|ningun\w*|nao|"
    r"nenhum\w*|non|mai|nessun\w*)\b|n['’]t\b|(?<!\w)(?:لا|ليس|ليست|لن|لم|غير|नहीं|मत|न)(?!\w)"
)
_LIMITS: Final = re.compile(
    r"\b(?:without|only|clos\w*|except\w*|unless|free|exclud\w*|forbidden|prohibit\w*|banned|refus\w*|un\w{4,}|outside|instead|nothing|"
    r"nobody|impossible|optional|exempt\w*|waive\w*|lack\w*|too|stop\w*|end(?:s|ed)|sold out|out of|less|zero|void|allerg\w*|"
    r"ohne|nur|ausser|ausgenommen|geschlossen|verboten|gratis|kostenlos\w*|frei|sans|seulement|uniquement|sauf|ferme\w*|interdit\w*|"
    r"gratuit\w*|sin|solo|solamente|excepto|salvo|cerrad\w*|prohibid\w*|sem|apenas|exceto|fechad\w*|proibid\w*|senza|soltanto|"
    r"eccetto|tranne|chius\w*|vietat\w*)\b|(?<!\w)(?:بدون|فقط|مجان\w*|مغلق\w*|ممنوع\w*|बिना|केवल|सिर्फ|बंद|मुफ्त)"
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)?")


def plain(text: str) -> str:
    """Folded, with every script's digits as ours."""
    digits = "".join(
        str(unicodedata.digit(char)) if not char.isascii() and char.isdigit() else char for char in text
    )
    return fold(digits.replace("٫", ".").replace("٬", ","))


def stated(text: str) -> list[Fact]:
    """What a sentence states, each with its readings. Numbers that count a list's rows state nothing."""
    rest = _LIST.sub("", plain(text))
    found: list[Fact] = []
    for pattern, read in ((_MAIL, _mail), (_URL, _url), (_PHONE, _phone), (_ISO, _iso)):
        rest = _taken(rest, pattern, read, found)
    rest = _taken(rest, _DAY_MONTH, _day_month, found)
    rest = _taken(rest, _LASTING, _lasting, found)
    found += _percents(rest)
    found += _currencies(rest)
    rest = _taken(rest, _SHORT_DATE, _short_date, found)
    rest = _taken(rest, _CLOCK, _clock, found)
    found += (readings for number in _NUMBER.findall(rest) if (readings := _readings(number)))
    # Days as spans: “Tuesday to Saturday” names five, and none of them is the Sunday.
    found += (frozenset({day}) for day in sorted(day_terms(rest)))
    words = {word for word in _WORD.findall(rest) if word in _SURE}
    found += (frozenset({"n" + _WORDS[word]}) for word in words)
    found += (frozenset({f"t{_NOON[word]}"}) for word in _WORD.findall(rest) if word in _NOON)
    return found


def borne_out(texts: Iterable[str]) -> frozenset[str]:
    """Every reading of every fact in what an answer may rest on."""
    return frozenset(reading for text in texts for reading in _all(plain(text)))


def _all(text: str) -> Iterator[str]:
    for pattern, read in (
        (_MAIL, _mail), (_URL, _url), (_PHONE, _phone), (_ISO, _iso), (_DAY_MONTH, _day_month), (_SHORT_DATE, _short_date),
        (_CLOCK, _clock),
    ):  # fmt: skip
        for found in pattern.finditer(text):
            yield from read(found)
    for fact in (*_percents(text), *_currencies(text)):
        yield from (reading for reading in fact if not reading.endswith("*"))
    for unit in _UNIT.findall(text):
        yield f"{_CURRENCY[unit]}*"
    for number in _NUMBER.findall(text):
        yield from _readings(number)
    for digits in re.findall(r"(?<![\d.,])\d+(?![.,]?\d)", text):
        yield "n" + (digits.lstrip("0") or "0")
    for found in _CLOCK.finditer(text):
        if found.group("mark"):  # `9:00` also stands for the 9 of “from 9”
            yield f"n{int(found.group('hour'))}"
    for found in _LASTS.finditer(text):
        # `2 to 5 working days` is two days as well.
        for word in re.findall(r"\d+|[^\W\d_]+", text[max(0, found.start() - 28) : found.start()]):
            yield from _span(_WORDS.get(word, word), found.group())
    if "24/7" in text:
        yield "h24"
    for found in _RANGE.finditer(text):
        yield from _hours(found)
    yield from day_terms(text)
    for word in _WORD.findall(text):
        if word in _WORDS:
            yield "n" + _WORDS[word]
        if word in _NOON:
            yield f"t{_NOON[word]}"


def _taken(text: str, pattern: re.Pattern[str], read: object, found: list[Fact]) -> str:
    """The text without what `read` takes for a fact, which is added to `found`."""

    def take(match: re.Match[str]) -> str:
        readings: Fact = read(match)  # type: ignore[operator]
        if not readings:
            return match.group()
        found.append(readings)
        return " "

    return pattern.sub(take, text)


def _mail(found: re.Match[str]) -> Fact:
    return frozenset({"@" + found.group().lower().rstrip(".")})


def _url(found: re.Match[str]) -> Fact:
    address = re.sub(r"^https?://", "", found.group().lower()).removeprefix("www.")
    return frozenset({"/" + address.rstrip(".,;:!?)]}/#")})


def _phone(found: re.Match[str]) -> Fact:
    digits = re.sub(r"\D", "", found.group())
    if len(digits) < 7 or _NO_PHONE.fullmatch(found.group()):
        return frozenset()
    thousands = re.fullmatch(r"\d{1,3}(?: \d{3})+", found.group())
    return frozenset({"p" + digits[-7:]}) | (_readings(found.group()) if thousands else frozenset())


def _iso(found: re.Match[str]) -> Fact:
    return frozenset({f"d{int(found.group(2))}-{int(found.group(3))}"})


def _day_month(found: re.Match[str]) -> Fact:
    day, month = found.group(1) or found.group(4), found.group(2) or found.group(3)
    return frozenset({f"d{_MONTHS[month]}-{int(day)}"}) if 1 <= int(day) <= 31 else frozenset()


def _short_date(found: re.Match[str]) -> Fact:
    """`24/12`, and what may as well be a number or a time (`9.30`)."""
    one, two = int(found.group(1)), int(found.group(2))
    readings = {
        f"d{month}-{day}" for day, month in ((one, two), (two, one)) if 1 <= month <= 12 and 1 <= day <= 31
    }
    if found.group(3) is None and "." in found.group():
        readings |= _readings(found.group())
        if one < 25 and two < 60 and len(found.group(2)) == 2:
            readings.add(f"t{one * 60 + two}")
    return frozenset(readings)


def _clock(found: re.Match[str]) -> Fact:
    hour, minute, after = (
        int(found.group("hour")),
        int(found.group("minute") or 0),
        found.group("after") or "",
    )
    if not found.group("mark") and not after:
        return frozenset()
    half = after.replace(".", "").replace(" ", "")
    if half in ("pm", "مساء"):
        return frozenset({f"t{(hour % 12 + 12) * 60 + minute}"})
    if half in ("am", "صباحا"):
        return frozenset({f"t{hour % 12 * 60 + minute}"})
    if after in ("o'clock", "oclock", "बजे"):
        return frozenset({f"t{h * 60 + minute}" for h in (hour, hour + 12)})
    return frozenset({f"t{hour * 60 + minute}"}) | (
        frozenset({f"n{hour}"}) if half in ("h", "hr", "hrs") else frozenset()
    )


def _lasting(found: re.Match[str]) -> Fact:
    return _span(_WORDS.get(found.group(1), found.group(1)), found.group(2))


def _span(count: str, unit: str) -> Fact:
    """A span of time, in hours or months: 48 hours are two days, 24 months two years, and two weeks are neither."""
    if not count.isdigit() or len(count) > 4:
        return frozenset()
    if unit in _MONTH_SPANS:
        return frozenset({f"m{int(count) * _MONTH_SPANS[unit]}"})
    return frozenset({f"h{int(count) * _ALSO_HOURS[unit]}"})


def counts(word: str) -> bool:
    """Whether a word stands for a number."""
    return word in _WORDS


def kind(fact: Fact) -> str:
    """What is compared with each other: amounts of a currency, spans of time, shares; "" for anything else."""
    one = min(fact)
    if one[:1] in "hm" and one[1:].isdigit():
        return "span"
    return "%" if one[:1] == "%" else one[:3] if one[:3] in _CURRENCY.values() else ""


def _hours(found: re.Match[str]) -> Iterator[str]:
    """Both ends of `9-5`, which may be hours of either half of the day."""
    for hour, minute in ((found.group(1), found.group(2)), (found.group(3), found.group(4))):
        if int(hour) <= 24:
            for h in {int(hour), int(hour) + 12 if int(hour) <= 12 else int(hour)}:
                yield f"t{h * 60 + int(minute or 0)}"


def _percents(text: str) -> list[Fact]:
    return [
        frozenset("%" + reading for reading in _readings(number))
        for number in re.findall(rf"(\d+(?:[.,]\d+)?)\s?{_PERCENT}", text)
    ]


def _currencies(text: str) -> list[Fact]:
    """An amount with its currency: `€120`, `120 euros`."""
    found: list[Fact] = []
    for match in _AMOUNT.finditer(text):
        unit = _CURRENCY.get((match.group("before") or match.group("after") or "").strip())
        readings = _readings(match.group("number").strip()) if unit else frozenset()
        if readings:
            # `Prices in euros` above a table: the unit stands elsewhere, and the number is a fact of its own.
            found.append(frozenset((*(f"{unit}{reading}" for reading in readings), f"{unit}*")))
    return found


def _readings(number: str) -> Fact:
    """A written number's values: thousands may be parted by a dot, a comma, an apostrophe or a space, and so may decimals."""
    text = re.sub(r"['’\u00a0\u202f ]", "", number)
    ways = {text.replace(",", "").replace(".", "") if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", text) else ""}
    last = max(text.rfind("."), text.rfind(","))
    if last >= 0:
        ways.add(re.sub(r"[.,]", "", text[:last]) + "." + text[last + 1 :])
    else:
        ways.add(text)
    values = set()
    for way in ways - {""}:
        try:
            values.add("n" + format(Decimal(way).normalize(), "f"))
        except InvalidOperation:
            continue
    return frozenset(values)


def denies(text: str) -> bool:
    """Whether a sentence says that something is not so."""
    return bool(_DENIES.search(plain(text)))


def limits(text: str) -> bool:
    """Whether a text denies, excepts or bounds anything at all."""
    return bool(_DENIES.search(plain(text)) or _LIMITS.search(plain(text)))
