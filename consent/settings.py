"""What a tenant sets about permission, as plain values for people and programs: shown, checked, changed. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from consent.entries import purposes
from consent.folding import fold
from consent.hours import is_zone
from gateway.model.consent import PURPOSES
from gateway.model.errors import Invalid
from gateway.model.limits import parse
from gateway.model.permission import FAMILIES, Cap, OptIn, Permissions, Quiet

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_REGION: Final = re.compile(r"[A-Z]{2}|\*", re.ASCII)
_HOURS: Final = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)", re.ASCII)
CATEGORIES: Final = ("marketing", "utility", "authentication")
MOST_CAP, MOST_BREAKER, MOST_PRICE = 20, 1000, 1_000_000
"""As many sends of marketing are remembered for each customer: a larger cap would never be reached."""
MOST_WORDS, MOST_WORD, MOST_WORDING, MOST_PAYLOAD = 500, 64, 2000, 64


def shown(p: Permissions) -> dict[str, Any]:
    """Every field as plain JSON values, in the forms that `changed` takes."""
    return {
        "purposes": list(p.purposes),
        "stop_scope": p.stop_scope,
        "double_opt_in": p.double_opt_in,
        "timezone": p.timezone,
        "quiet": f"{p.quiet.start:%H:%M}-{p.quiet.end:%H:%M}" if p.quiet else None,
        "cap": _capped(p.cap),
        "daily": p.daily,
        "breaker": _capped(p.breaker),
        "keywords": {family: list(words) for family, words in p.keywords.items()},
        "not_keywords": list(p.not_keywords),
        "opt_ins": {w: {"purpose": o.purpose, "wording": o.wording} for w, o in p.opt_ins.items()},
        "deep_links": {x: {"purpose": o.purpose, "wording": o.wording} for x, o in p.deep_links.items()},
        "currency": p.currency,
        "prices": {category: dict(regions) for category, regions in p.prices.items()},
    }


def changed(p: Permissions, changes: Mapping[str, Any]) -> Permissions:
    """With some fields set anew. Raises Invalid, naming the field and what is expected."""
    read: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in _READ:
            raise Invalid(name, "one of " + ", ".join(_READ))
        read[name] = _READ[name](value)
    after = replace(p, **read)
    known = purposes(after)
    for name in ("opt_ins", "deep_links"):
        for word, opt_in in getattr(after, name).items():
            if opt_in.purpose not in known:
                raise Invalid(f"{name}.{word}", "a purpose: one of " + ", ".join(known))
    return after


def _capped(cap: Cap | None) -> str | None:
    return f"{cap.most}/{int(cap.within.total_seconds())} seconds" if cap else None


def _purposes(value: Any) -> tuple[str, ...]:
    found = _words("purposes", value)
    for name in found:
        if not _NAME.fullmatch(name) or name in PURPOSES:
            raise Invalid(
                "purposes", "names of your own in a-z, 0-9, - and _, besides service, utility, marketing"
            )
    return found


def _scope(value: Any) -> str:
    if value not in ("all", "marketing"):
        raise Invalid("stop_scope", "all or marketing")
    return str(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid("double_opt_in", "true or false")
    return value


def _timezone(value: Any) -> str:
    if not isinstance(value, str) or not is_zone(value):
        raise Invalid("timezone", "a time zone such as Europe/Madrid")
    return value


def _quiet(value: Any) -> Quiet | None:
    if value is None:
        return None
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    try:
        if found is not None and found[1] != found[2]:  # a whole day, or nothing of it?
            return Quiet(*(time.fromisoformat(part) for part in found.groups()))
    except ValueError:
        pass
    raise Invalid("quiet", "hours such as 21:00-08:00, or null for none")


def _cap_of(name: str, highest: int) -> Callable[[Any], Cap | None]:
    def read(value: Any) -> Cap | None:
        if value is None:
            return None
        try:
            most, seconds = parse(str(value).replace(" seconds", " second"))
        except ValueError:
            most, seconds = _many_seconds(name, value)
        if most < 1 or seconds < 1:
            raise Invalid(name, "how many within what time, such as 2/day, or null for none")
        if most > highest:
            raise Invalid(name, f"at most {highest} within a time, or null for none")
        return Cap(most, timedelta(seconds=seconds))

    return read


def _many_seconds(name: str, value: Any) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9}) seconds?", str(value), re.ASCII)
    if found is None:
        raise Invalid(name, "how many within what time, such as 2/day or 20/600 seconds, or null for none")
    return int(found[1]), int(found[2])


def _daily(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100_000_000:
        raise Invalid("daily", "a number of messages, or null for the provider's own limit")
    return value


def _words(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MOST_WORDS:
        raise Invalid(name, f"a list of at most {MOST_WORDS} words")
    for word in value:
        if not isinstance(word, str) or not fold(word) or len(word) > MOST_WORD or not _is_kept(word):
            raise Invalid(name, f"words of at most {MOST_WORD} characters with a letter or a digit")
    return tuple(dict.fromkeys(value))


def _is_kept(text: str, most: int = MOST_WORD) -> bool:
    """Whether every database can keep it: no NUL, no half of a character."""
    return len(text) <= most and not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text)


def _keywords(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not set(value) <= set(FAMILIES):
        raise Invalid("keywords", "lists of words under " + ", ".join(FAMILIES))
    return {family: _words(f"keywords.{family}", words) for family, words in value.items()}


def _opt_ins_of(name: str) -> Callable[[Any], dict[str, OptIn]]:
    def read(value: Any) -> dict[str, OptIn]:
        if not isinstance(value, Mapping) or len(value) > MOST_WORDS:
            raise Invalid(name, 'such as {"NEWS": {"purpose": "marketing", "wording": "…"}}')
        if not all(isinstance(word, str) and _is_kept(word) for word in value):
            raise Invalid(name, "words of characters that can be written")
        return {word: _opt_in(f"{name}.{word}"[:100], name, word, told) for word, told in value.items()}

    return read


def _opt_in(field: str, name: str, word: str, told: Any) -> OptIn:
    if not isinstance(told, Mapping) or not set(told) <= {"purpose", "wording"}:
        raise Invalid(field, '{"purpose": …, "wording": …}')
    purpose, wording = told.get("purpose"), told.get("wording", "")
    if not isinstance(purpose, str) or not isinstance(wording, str) or not _is_kept(wording, MOST_WORDING):
        raise Invalid(field, f"a purpose, and a wording of at most {MOST_WORDING} characters")
    if name == "deep_links":
        # https://core.telegram.org/bots/features#deep-linking
        if not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{MOST_PAYLOAD}}}", word, re.ASCII):
            raise Invalid(field, f"a payload of 1 to {MOST_PAYLOAD} of A-Z, a-z, 0-9, _ and -")
    else:
        _words(field, [word])
    return OptIn(purpose, wording)


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise Invalid("currency", "three capital letters, such as EUR")
    return value


def _prices(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, Mapping) or not set(value) <= set(CATEGORIES):
        raise Invalid("prices", "prices by region under " + ", ".join(CATEGORIES))
    found: dict[str, dict[str, str]] = {}
    for category, regions in value.items():
        if not isinstance(regions, Mapping):
            raise Invalid(f"prices.{category}", 'such as {"ES": "0.0615", "*": "0.08"}')
        for region, price in regions.items():
            if not _REGION.fullmatch(str(region)) or not _is_price(price):
                raise Invalid(
                    f"prices.{category}.{region}",
                    'a country in two capital letters or *, and a price such as "0.06"',
                )
        found[category] = {str(r): str(price) for r, price in regions.items()}
    return found


def _is_price(price: Any) -> bool:
    try:
        amount = Decimal(price) if isinstance(price, str) else None
    except InvalidOperation:
        return False
    # Not "1e999999", of which every sum would have a million digits.
    return amount is not None and len(price) <= 32 and amount.is_finite() and 0 <= amount < MOST_PRICE


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "purposes": _purposes,
    "stop_scope": _scope,
    "double_opt_in": _flag,
    "timezone": _timezone,
    "quiet": _quiet,
    "cap": _cap_of("cap", MOST_CAP),
    "daily": _daily,
    "breaker": _cap_of("breaker", MOST_BREAKER),
    "keywords": _keywords,
    "not_keywords": lambda value: _words("not_keywords", value),
    "opt_ins": _opt_ins_of("opt_ins"),
    "deep_links": _opt_ins_of("deep_links"),
    "currency": _currency,
    "prices": _prices,
}
