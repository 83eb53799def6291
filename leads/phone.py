"""Phone numbers as customers write them, to E.164 or to a reason why not.

Metadata: https://github.com/google/libphonenumber (phonenumberslite).
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType, ValidationResult

Kind = Literal[
    "mobile",
    "fixed_line",
    "fixed_line_or_mobile",
    "voip",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal",
    "pager",
    "uan",
    "voicemail",
    "unknown",
]
Problem = Literal["empty", "not_a_number", "too_short", "too_long", "missing_prefix", "bad_prefix", "invalid"]

MAX_TEXT: Final = 250
_MEXICO, _BRAZIL = 52, 55
_KINDS: Final[dict[int, Kind]] = {
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}
_LENGTHS: Final[dict[int, Problem]] = {
    ValidationResult.TOO_SHORT: "too_short",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "too_short",
    ValidationResult.TOO_LONG: "too_long",
    ValidationResult.INVALID_COUNTRY_CODE: "bad_prefix",
}


@dataclass(frozen=True, slots=True)
class Phone:
    """`e164` is "+" and digits. `region` is an ISO country code, None for numbers of no country."""

    e164: str
    kind: Kind
    region: str | None


def check_phone(text: str, region: str | None) -> Phone | Problem:
    """The number that the text is, or contains; else what is wrong with it.

    `region` (an ISO country code) is assumed for numbers without "+" or "00". Digits of any script are
    read; an extension is dropped. Several numbers: the first valid one.
    """
    text = text.strip()[:MAX_TEXT]
    if not text:
        return "empty"
    region = region.upper() if region else None
    found = _whole(text, region)
    if isinstance(found, Phone) or not any(char.isalpha() or char in "/,;|\n" for char in text):
        return found
    return _inside(text, region) or found


def example_phone(region: str | None) -> str:
    """A made-up mobile number of the region as people there would write it abroad."""
    number = phonenumbers.example_number_for_type((region or "ES").upper(), PhoneNumberType.MOBILE)
    if number is None:
        return "+34 612 34 56 78"
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)


def _whole(text: str, region: str | None) -> Phone | Problem:
    try:
        number = phonenumbers.parse(_international(text), region)
    except NumberParseException as error:
        return _unparsed(error.error_type, text)
    number.extension = None
    for candidate in (number, _repaired(number)):
        if candidate is not None and phonenumbers.is_valid_number(candidate):
            return _phone(candidate)
    return _LENGTHS.get(phonenumbers.is_possible_number_with_reason(number), "invalid")


def _international(text: str) -> str:
    """The text with "+" for the international prefix "00", which most of the world dials."""
    digits = re.sub(r"[\s().\-/]", "", text)
    doubled = len(digits) > 9 and all(char.isdecimal() and int(char) == 0 for char in digits[:2])
    return "+" + digits[2:] if doubled else text


def _unparsed(kind: int, text: str) -> Problem:
    if not any(char.isdecimal() for char in text):
        return "not_a_number"
    has_prefix = text.lstrip().startswith(("+", "＋", "00", "tel:+"))
    match kind:
        case NumberParseException.INVALID_COUNTRY_CODE:
            return "bad_prefix" if has_prefix else "missing_prefix"
        case NumberParseException.TOO_SHORT_NSN | NumberParseException.TOO_SHORT_AFTER_IDD:
            return "too_short"
        case NumberParseException.TOO_LONG:
            return "too_long"
    return "too_short" if sum(char.isdecimal() for char in text) < 3 else "not_a_number"


def _repaired(number: phonenumbers.PhoneNumber) -> phonenumbers.PhoneNumber | None:
    """The same line by today's plan, for two old ways of writing that WhatsApp ids still use.

    Mexico wrote a 1 before mobile numbers until 2019; Brazil's mobile numbers got a 9 in front until 2016.
    """
    national = str(number.national_number)
    if number.country_code == _MEXICO and len(national) == 11 and national.startswith("1"):
        national = national[1:]
    elif number.country_code == _BRAZIL and len(national) == 10 and national[2] in "6789":
        national = f"{national[:2]}9{national[2:]}"
    else:
        return None
    return phonenumbers.PhoneNumber(country_code=number.country_code, national_number=int(national))


def _inside(text: str, region: str | None) -> Phone | None:
    """The first valid number within a sentence ("call me on 600 …")."""
    for match in phonenumbers.PhoneNumberMatcher(text, region):
        return _phone(match.number)
    return None


def _phone(number: phonenumbers.PhoneNumber) -> Phone:
    region = phonenumbers.region_code_for_number(number)
    return Phone(
        phonenumbers.format_number(number, PhoneNumberFormat.E164),
        _KINDS.get(phonenumbers.number_type(number), "unknown"),
        # "001" is the metadata's name for numbers of no country.
        region if region and region.isalpha() else None,
    )
