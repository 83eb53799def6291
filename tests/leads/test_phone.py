"""Numbers as people write them."""

import pytest

from leads.phone import Phone, check_phone, example_phone

ES = "+34600111222"

VALID = [
    ("+34 600 111 222", None, ES, "mobile", "ES"),
    ("600111222", "ES", ES, "mobile", "ES"),
    ("600111222", "es", ES, "mobile", "ES"),
    ("34600111222", "ES", ES, "mobile", "ES"),
    ("  600-11-12-22  ", "ES", ES, "mobile", "ES"),
    ("0034 600 111 222", None, ES, "mobile", "ES"),
    ("0034600111222", "US", ES, "mobile", "ES"),
    ("tel:+34600111222", None, ES, "mobile", "ES"),
    ("٦٠٠١١١٢٢٢", "ES", ES, "mobile", "ES"),
    ("+٣٤٦٠٠١١١٢٢٢", None, ES, "mobile", "ES"),
    ("٠٠٩٦٦٥٠١٢٣٤٥٦٧", None, "+966501234567", "mobile", "SA"),
    ("۰۰۹۸۹۱۲۳۴۵۶۷۸۹", None, "+989123456789", "mobile", "IR"),
    ("＋３４ ６００１１１２２２", None, ES, "mobile", "ES"),
    ("600 111 222 ext. 12", "ES", ES, "mobile", "ES"),
    ("600111222;ext=5", "ES", ES, "mobile", "ES"),
    ("\u202a+34 600 111 222\u202c", None, ES, "mobile", "ES"),
    ("call me on 600 111 222 please", "ES", ES, "mobile", "ES"),
    ("600111222 / 600111333", "ES", ES, "mobile", "ES"),
    ("+44 (0)20 7946 0958", None, "+442079460958", "fixed_line", "GB"),
    ("+44 56 0000 0000", None, "+445600000000", "voip", "GB"),
    ("202-555-0123", "US", "+12025550123", "fixed_line_or_mobile", "US"),
    ("1-800-FLOWERS", "US", "+18003569377", "toll_free", "US"),
    ("+800 1234 5678", None, "+80012345678", "toll_free", None),
    ("+5215512345678", None, "+525512345678", "fixed_line_or_mobile", "MX"),
    ("5215512345678", "MX", "+525512345678", "fixed_line_or_mobile", "MX"),
    ("+553188887777", None, "+5531988887777", "mobile", "BR"),
    ("+5531988887777", None, "+5531988887777", "mobile", "BR"),
    ("011 15 2345 6789", "AR", "+5491123456789", "mobile", "AR"),
]

PROBLEMS = [
    ("", "ES", "empty"),
    ("   ", None, "empty"),
    ("hola", "ES", "not_a_number"),
    ("+", "ES", "not_a_number"),
    ("🙂", None, "not_a_number"),
    ("600111222", None, "missing_prefix"),
    ("123", None, "missing_prefix"),
    ("+999123456789", None, "bad_prefix"),
    ("1", "ES", "too_short"),
    ("00", "ES", "too_short"),
    ("+34", "ES", "too_short"),
    ("555-0123", "US", "too_short"),
    ("911", "US", "too_short"),
    ("600111222333", "ES", "too_long"),
    ("9" * 10_000, "ES", "too_long"),
    ("+34 999 999 999", None, "invalid"),
]


@pytest.mark.parametrize(("text", "region", "e164", "kind", "country"), VALID)
def test_a_number_is_understood(
    text: str, region: str | None, e164: str, kind: str, country: str | None
) -> None:
    found = check_phone(text, region)
    assert isinstance(found, Phone)
    assert (found.e164, found.kind, found.region) == (e164, kind, country)
    # What was found passes again by itself, so that a stored number needs no region.
    assert check_phone(found.e164, None) == found


@pytest.mark.parametrize(("text", "region", "problem"), PROBLEMS)
def test_what_is_wrong_is_named(text: str, region: str | None, problem: str) -> None:
    assert check_phone(text, region) == problem


@pytest.mark.parametrize("region", ["ES", "es", "US", "BR", "SA", "zz", None])
def test_the_example_is_a_number_that_passes(region: str | None) -> None:
    assert isinstance(check_phone(example_phone(region), None), Phone)
