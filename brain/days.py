"""Days of the week: “Tuesday to Friday” also means Wednesday, and a weekend is two of them."""

import re

_NAMES = (
    "monday mondays lunes segunda-feira الاثنين montag montags lundi lundis lunedi",
    "tuesday tuesdays martes terca-feira الثلاثاء dienstag dienstags mardi mardis martedi",
    "wednesday wednesdays miercoles quarta-feira الاربعاء mittwoch mittwochs mercredi mercredis mercoledi",
    "thursday thursdays jueves quinta-feira الخميس donnerstag donnerstags jeudi jeudis giovedi",
    "friday fridays viernes sexta-feira الجمعه freitag freitags vendredi vendredis venerdi",
    "saturday saturdays sabado sabados السبت samstag samstags sonnabend samedi samedis sabati",
    "sunday sundays domingo domingos الاحد sonntag sonntags dimanche dimanches domenica",
)
# These are days only inside a span: alone, `sat` is a verb and `segunda` a second one.
_SHORT = ("mon segunda", "tue tues terca", "wed quarta", "thu thurs quinta", "fri sexta", "sat", "sun")
_LONG = {name: place for place, names in enumerate(_NAMES) for name in names.split()}
_ANY = {name: place for place, names in enumerate(_SHORT) for name in names.split()} | _LONG


def _either(names: dict[str, int]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_TO = "to|through|thru|until|till|a|al|ao|ate|bis|au|-|–|الي"
_SPAN = re.compile(rf"\b({_either(_ANY)})\.?\s?(?:{_TO})\s?({_either(_ANY)})\b")
_ONE = re.compile(rf"\b(?:{_either(_LONG)})\b")
_WEEKEND = re.compile(r"\bweekends?\b|\bwochenenden?\b|\bfine settimana\b|\bfi(?:n|m|nes|ns) de semana\b")


def day_terms(folded: str) -> set[str]:
    """Terms (`§day0` is Monday) for every day that a folded text names or spans."""
    days = {_LONG[name] for name in _ONE.findall(folded)}
    for first, last in _SPAN.findall(folded):
        start, end = _ANY[first], _ANY[last]
        days |= {day % 7 for day in range(start, end + 1 + 7 * (end < start))}
    if _WEEKEND.search(folded):
        days |= {5, 6}
    return {f"§day{day}" for day in days}


def is_day(folded_word: str) -> bool:
    """Whether a word alone names a day, or the weekend; it is then counted as such and not as a word."""
    return folded_word in _LONG or folded_word in ("weekend", "weekends")
