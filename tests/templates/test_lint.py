"""What is refused of a template before the provider sees it: a case a row, each of which the stand-in's own rules refuse, too."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consent.templates_lint import LANGUAGES, lint
from gateway.model.template import Button, Header, TemplateDef

GOOD = TemplateDef(
    id="t",
    tenant="acme",
    account="1",
    name="order_ready",
    language="en_US",
    category="UTILITY",
    body="Hello {{1}}, your order {{2}} is ready to be picked up today.",
    updated=datetime(2026, 11, 1, tzinfo=UTC),
    examples={"1": "Ana", "2": "A-17"},
)
LINK = Button("url", "Track it", "https://shop.example/orders/{{1}}", "https://shop.example/orders/A-17")
REPLY = Button("reply", "Thanks")
PHONE = Button("phone", "Call us", "+34600123456")
CODE = Button("copy_code", "", "SUMMER20")
OTP = Button("otp", "", "COPY_CODE")
AUTH = replace(GOOD, category="AUTHENTICATION", body="", examples={}, buttons=(OTP,))


def replies(count: int) -> tuple[Button, ...]:
    return tuple(Button("reply", f"Answer {n}") for n in range(count))


FINE: dict[str, TemplateDef] = {
    "numbered": GOOD,
    "named": replace(
        GOOD,
        body="Hello {{first_name}}, your order {{order}} is ready to be picked up.",
        examples={"first_name": "Ana", "order": "A-17"},
    ),
    "without variables": replace(GOOD, body="We are open again.", examples={}),
    "header and footer": replace(
        GOOD, header=Header("text", "Order {{1}}", "A-17"), footer="Lumen Bikes, Porto"
    ),
    "image": replace(GOOD, header=Header("image", example="4::aW")),
    "place": replace(GOOD, header=Header("location")),
    "longest": replace(GOOD, body="x" * 1024, examples={}, footer="y" * 60),
    "ten replies": replace(GOOD, buttons=replies(10)),
    "grouped": replace(GOOD, buttons=(LINK, PHONE, REPLY)),
    "replies first": replace(GOOD, buttons=(REPLY, LINK)),
    "coupon": replace(GOOD, category="MARKETING", buttons=(CODE,)),
    "code": replace(AUTH, security=True, expires=10),
    "an arrow is no emoji": replace(GOOD, footer="Next → shop"),
}


@pytest.mark.parametrize("name", FINE)
def test_what_may_be_submitted(name: str) -> None:
    assert lint(FINE[name]) == []


def body(text: str, **examples: str) -> dict[str, Any]:
    return {"body": text, "examples": {k.removeprefix("n"): v for k, v in examples.items()}}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "name with a capital": ({"name": "Order_ready"}, "name"),
    "name with a space": ({"name": "order ready"}, "name"),
    "name too long": ({"name": "a" * 513}, "name"),
    "name empty": ({"name": ""}, "name"),
    "language unknown": ({"language": "xx_YY"}, "language"),
    "language with a dash": ({"language": "en-US"}, "language"),
    "body empty": (body(" "), "body"),
    "body too long": (body("x" * 1025), "body"),
    "variable at the start": (body("{{1}} your order is ready now", n1="Ana"), "body"),
    "variable at the end": (body("Your order is ready now, {{1}}", n1="Ana"), "body"),
    "adjacent": (body("Hello there {{1}} {{2}} your order is ready now", n1="a", n2="b"), "body"),
    "not in sequence": (body("Hello {{1}}, your order {{3}} is ready now today", n1="a", n3="b"), "body"),
    "not from one": (body("Hello {{2}}, your order is ready", n2="a"), "body"),
    "zero in front": (body("Hello {{01}}, your order is ready", n01="a"), "body"),
    "too few words": (body("Hello {{1}}, see {{2}} now", n1="a", n2="b"), "body"),
    "mixed": (body("Hello {{1}}, your order {{order}} is ready to go", n1="a", order="b"), "body"),
    "not closed": (body("Hello {{1}, your order is ready", n1="a"), "body"),
    "special sign": (body("Hello {{na#me}}, your order is ready"), "body"),
    "capital": (body("Hello {{Name}}, your order is ready", Name="Ana"), "body"),
    "many new lines": (body("Hello\n\n\nWe are open"), "body"),
    "no example": (body("Hello {{1}}, your order is ready"), "examples.1"),
    "example of nothing": (body("We are open again", n1="x"), "examples.1"),
    "header too long": ({"header": Header("text", "x" * 61)}, "header.text"),
    "header with two": ({"header": Header("text", "{{1}} and {{2}}", "a")}, "header.text"),
    "header from two": ({"header": Header("text", "Order {{2}}", "a")}, "header.text"),
    "header without example": ({"header": Header("text", "Order {{1}}")}, "header.example"),
    "header on two lines": ({"header": Header("text", "One\nTwo")}, "header.text"),
    "header with an asterisk": ({"header": Header("text", "*Order*")}, "header.text"),
    "header with an emoji": ({"header": Header("text", "Order 🎉")}, "header.text"),
    "header empty": ({"header": Header("text", " ")}, "header.text"),
    "image without sample": ({"header": Header("image")}, "header.example"),
    "footer too long": ({"footer": "x" * 61}, "footer"),
    "footer with a variable": ({"footer": "Order {{1}}"}, "footer"),
    "footer with an emoji": ({"footer": "Bye 👋"}, "footer"),
    "eleven buttons": ({"buttons": replies(11)}, "buttons"),
    "three links": (
        {"buttons": tuple(Button("url", f"L{n}", f"https://shop.example/{n}") for n in range(3))},
        "buttons",
    ),
    "two numbers": ({"buttons": (PHONE, replace(PHONE, text="Call again"))}, "buttons"),
    "two codes": ({"buttons": (CODE, replace(CODE, value="B"))}, "buttons"),
    "not grouped": ({"buttons": (REPLY, LINK, Button("reply", "Stop"))}, "buttons"),
    "others not grouped": ({"buttons": (LINK, REPLY, PHONE)}, "buttons"),
    "same text": ({"buttons": (REPLY, Button("reply", "thanks "))}, "buttons"),
    "button too long": ({"buttons": (Button("reply", "x" * 26),)}, "buttons.1.text"),
    "button with a variable": ({"buttons": (Button("reply", "Hi {{1}}"),)}, "buttons.1.text"),
    "button with an emoji": ({"buttons": (Button("reply", "Yes 👍"),)}, "buttons.1.text"),
    "variable in the middle of an address": (
        {"buttons": (Button("url", "Go", "https://shop.example/{{1}}/x", "https://shop.example/a/x"),)},
        "buttons.1.value",
    ),
    "two variables in an address": (
        {"buttons": (Button("url", "Go", "https://shop.example/{{1}}{{2}}", "https://shop.example/a"),)},
        "buttons.1.value",
    ),
    "address without example": ({"buttons": (replace(LINK, example=""),)}, "buttons.1.example"),
    "no address": ({"buttons": (Button("url", "Go", "shop.example"),)}, "buttons.1.value"),
    "all variable": ({"buttons": (Button("url", "Go", "{{1}}", "https://shop.example"),)}, "buttons.1.value"),
    "wa.me": ({"buttons": (Button("url", "Go", "https://wa.me/34600"),)}, "buttons.1.value"),
    "number too long": ({"buttons": (Button("phone", "Call", "+" + "1" * 21),)}, "buttons.1.value"),
    "code too long": ({"buttons": (Button("copy_code", "", "x" * 16),)}, "buttons.1.example"),
    "otp elsewhere": ({"buttons": (OTP,)}, "buttons.1"),
}
BAD_CODES: dict[str, tuple[dict[str, Any], str]] = {
    "header": ({"header": Header("text", "Your code")}, "header"),
    "own words": ({"body": "Your code is here"}, "body"),
    "footer": ({"footer": "Lumen"}, "footer"),
    "no minutes": ({"expires": 0}, "expires"),
    "too many minutes": ({"expires": 91}, "expires"),
    "no button": ({"buttons": ()}, "buttons"),
    "a link": ({"buttons": (LINK,)}, "buttons"),
    "one tap": ({"buttons": (Button("otp", "", "ONE_TAP"),)}, "buttons.1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_provider_would_refuse(name: str) -> None:
    change, field = BAD[name]
    problems = lint(replace(GOOD, **change))
    assert field in [p.field for p in problems]
    assert all(p.text and p.source for p in problems)


@pytest.mark.parametrize("name", BAD_CODES)
def test_what_the_provider_would_refuse_of_a_code(name: str) -> None:
    change, field = BAD_CODES[name]
    assert [p.field for p in lint(replace(AUTH, **change))] == [field]


def test_the_languages_are_written_as_the_provider_writes_them() -> None:
    assert {"en", "en_US", "pt_BR", "zh_HK", "fil"} <= LANGUAGES and len(LANGUAGES) > 90
