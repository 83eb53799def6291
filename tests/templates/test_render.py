"""What the customer sees, what the provider is sent, and the same elsewhere: one template, three forms. And which language."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consent.templates import checked, components, pick, plain, preview, render
from consent.templates_wire import definition, read
from gateway.model.content import Buttons, Link, Location, Media, Text
from gateway.model.errors import Invalid
from gateway.model.template import Button, Header, TemplateDef

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PLAIN = TemplateDef("t", "acme", "1", "order", "en_US", "UTILITY", "Hi {{2}}, {{1}} is *ready* now.", NOW)
LINK = Button("url", "Track", "https://shop.example/o/{{1}}", "https://shop.example/o/A-1")
FULL = replace(
    PLAIN,
    header=Header("text", "Order {{1}}", "A-1"),
    footer="Lumen",
    buttons=(LINK, Button("phone", "Call", "+34600"), Button("reply", "Stop")),
    examples={"1": "A-1", "2": "Ana"},
)
VALUES = {"1": "A-17", "2": "Ana", "header.1": "A-17", "button.1": "A-17?x=1"}
NAMED = replace(
    PLAIN, body="Hi {{first_name}}, {{order}} is ready.", header=Header("text", "For {{order}}", "A-1")
)
NUMBER = {"type": "text"}


def test_what_the_customer_sees() -> None:
    shown = render(FULL, VALUES)
    assert (shown.header, shown.body, shown.footer) == ("Order A-17", "Hi Ana, A-17 is *ready* now.", "Lumen")
    assert [(b.kind, b.text, b.value) for b in shown.buttons] == [
        ("url", "Track", "https://shop.example/o/A-17?x=1"),
        ("phone", "Call", "+34600"),
        ("reply", "Stop", ""),
    ]
    # A value is text: it is not looked into.
    assert render(PLAIN, {"1": "{{2}}", "2": "{{1}}"}).body == "Hi {{1}}, {{2}} is *ready* now."
    assert preview(FULL, {"2": "Eva"}).body == "Hi Eva, A-1 is *ready* now."


def test_what_the_provider_is_sent() -> None:
    assert components(FULL, {**VALUES, "button.3.payload": "stop:now"}) == (
        {"type": "header", "parameters": [{"type": "text", "text": "A-17"}]},
        {"type": "body", "parameters": [{"type": "text", "text": "A-17"}, {"type": "text", "text": "Ana"}]},
        {
            "type": "button",
            "index": "0",
            "sub_type": "url",
            "parameters": [{"type": "text", "text": "A-17?x=1"}],
        },
        {
            "type": "button",
            "index": "2",
            "sub_type": "quick_reply",
            "parameters": [{"type": "payload", "payload": "stop:now"}],
        },
    )
    assert components(NAMED, {"first_name": "Ana", "order": "A-17"}) == (
        {"type": "header", "parameters": [{"type": "text", "parameter_name": "order", "text": "A-17"}]},
        {
            "type": "body",
            "parameters": [
                {"type": "text", "parameter_name": "first_name", "text": "Ana"},
                {"type": "text", "parameter_name": "order", "text": "A-17"},
            ],
        },
    )


@pytest.mark.parametrize(
    ("template", "values", "sent"),
    [
        (replace(PLAIN, body="It is ready."), {}, ()),
        (
            replace(PLAIN, body="Look.", header=Header("image")),
            {"header": "https://shop.example/a.png"},
            (
                {
                    "type": "header",
                    "parameters": [{"type": "image", "image": {"link": "https://shop.example/a.png"}}],
                },
            ),
        ),
        (
            replace(PLAIN, body="Look.", header=Header("document")),
            {"header": "1234567890"},
            ({"type": "header", "parameters": [{"type": "document", "document": {"id": "1234567890"}}]},),
        ),
        (
            replace(PLAIN, body="Here.", header=Header("location")),
            {"header": "41.15,-8.61,Café,Rua 1, Porto"},
            (
                {
                    "type": "header",
                    "parameters": [
                        {
                            "type": "location",
                            "location": {
                                "latitude": "41.15",
                                "longitude": "-8.61",
                                "name": "Café",
                                "address": "Rua 1, Porto",
                            },
                        }
                    ],
                },
            ),
        ),
        (
            replace(PLAIN, body="Take it.", buttons=(Button("copy_code", "", "", "SUMMER"),)),
            {"button.1": "WINTER25"},
            (
                {
                    "type": "button",
                    "index": "0",
                    "sub_type": "copy_code",
                    "parameters": [{"type": "coupon_code", "coupon_code": "WINTER25"}],
                },
            ),
        ),
        (
            replace(PLAIN, category="AUTHENTICATION", body="", buttons=(Button("otp", ""),)),
            {"1": "4711"},
            (
                {"type": "body", "parameters": [{"type": "text", "text": "4711"}]},
                {
                    "type": "button",
                    "sub_type": "url",
                    "index": "0",
                    "parameters": [{"type": "text", "text": "4711"}],
                },
            ),
        ),
    ],
    ids=["none", "link", "id", "place", "coupon", "code"],
)
def test_components_of_every_kind(template: TemplateDef, values: dict[str, str], sent: Any) -> None:
    assert components(template, values) == sent


@pytest.mark.parametrize(
    ("template", "values", "field"),
    [
        (PLAIN, {"1": "x"}, "values.2"),
        (PLAIN, {"1": "x", "2": " "}, "values.2"),
        (PLAIN, {"1": "x", "2": "y", "3": "z"}, "values.3"),
        (PLAIN, {"1": "x", "2": "a\tb"}, "values.2"),
        (PLAIN, {"1": "x", "2": "a     b"}, "values.2"),
        (PLAIN, {"1": "x", "2": "y" * 1025}, "values.2"),
        (replace(PLAIN, header=Header("image")), {"1": "x", "2": "y", "header": "cat.png"}, "values.header"),
        (replace(PLAIN, header=Header("location")), {"1": "x", "2": "y", "header": "Porto"}, "values.header"),
        (replace(PLAIN, header=Header("location")), {"1": "x", "2": "y", "header": "91,0"}, "values.header"),
        (
            replace(PLAIN, category="AUTHENTICATION", body="", buttons=(Button("otp", ""),)),
            {"1": "x" * 16},
            "values.1",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_named(
    template: TemplateDef, values: dict[str, str], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        checked(template, values)
    assert refused.value.field == field


def test_elsewhere_it_is_plain_content() -> None:
    [said] = plain(FULL, VALUES)
    assert isinstance(said, Buttons)
    assert said.text == (
        "Order A-17\n\nHi Ana, A-17 is ready now.\n\nLumen\n\nTrack: https://shop.example/o/A-17?x=1\nCall: +34600"
    )
    assert [c.title for c in said.choices] == ["Stop"]
    one = plain(replace(FULL, buttons=(LINK,)), VALUES)
    assert one == [
        Link("Order A-17\n\nHi Ana, A-17 is ready now.\n\nLumen", "Track", "https://shop.example/o/A-17?x=1")
    ]
    assert plain(
        replace(PLAIN, body="Hi _{{first_name}}_ of {{a_b_c}}"), {"first_name": "Ana", "a_b_c": "x"}
    ) == [Text("Hi Ana of x")]
    pictured = replace(PLAIN, body="Look.", header=Header("image"))
    file = "f_" + "a" * 24
    assert plain(pictured, {"header": file}) == [Media("image", file=file), Text("Look.")]
    placed = replace(PLAIN, body="Here.", header=Header("location"))
    assert plain(placed, {"header": "1,2,Shop"})[0] == Location(1, 2, "Shop")


def test_what_is_submitted_reads_back_as_the_same() -> None:
    for template in (FULL, NAMED, replace(PLAIN, category="AUTHENTICATION", body="", expires=5, security=True,
                                          buttons=(Button("otp", "Copy", "COPY_CODE"),))):  # fmt: skip
        given = replace(template, examples={n: "x" for n in ("1", "2") if n in template.examples})
        row = {**definition(given), "id": "77", "status": "APPROVED"}
        back = read(row, "acme", "1", NOW)
        assert back is not None
        for name in (
            "name",
            "language",
            "category",
            "header",
            "body",
            "footer",
            "buttons",
            "security",
            "expires",
        ):
            assert getattr(back, name) == getattr(given, name), name
        assert (back.state, back.remote, back.raw) == ("APPROVED", "77", {})


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"name": "x"},
        {"name": 5, "language": "en", "components": "no"},
        {
            "name": "x",
            "language": "en",
            "components": [None, 5, {"type": "HEADER", "format": 7}, {"type": "BODY"}],
        },
        {
            "name": "x",
            "language": "en",
            "category": "NEW",
            "components": [{"type": "BUTTONS", "buttons": [None]}],
        },
        {
            "name": "x",
            "language": "en",
            "status": "SOMETHING",
            "components": [{"type": "BODY", "example": []}],
        },
    ],
)
def test_a_row_that_makes_no_sense_is_read_without_harm(row: dict[str, Any]) -> None:
    found = read(row, "acme", "1", NOW)
    if found is not None:
        assert not found.usable
        # One that nobody has heard of is allowed least.
        assert found.category in ("MARKETING",)


LANGUAGES = [replace(PLAIN, language=x, id=x) for x in ("en_US", "pt_BR", "es", "es_MX")]


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        (["es_MX"], "es_MX"),
        (["es-mx"], "es_MX"),
        (["es_AR", "en_US"], "es"),
        (["pt", "en_US"], "pt_BR"),
        (["pt_PT", "en_US"], "pt_BR"),
        (["fr", "es"], "es"),
        (["fr", "de"], "en_US"),
        ([], "en_US"),
        ([""], "en_US"),
        (["en"], "en_US"),
    ],
)
def test_the_language_that_fits_best(wanted: list[str], got: str) -> None:
    found = pick(LANGUAGES, wanted)
    assert found is not None and found.language == got
    assert pick([], wanted) is None
