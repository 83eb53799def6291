"""What each kind of message becomes on each channel, and that docs/channels.md says so."""

from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from channels import registry, rendering
from gateway.model.content import Content

PAGE = Path(__file__).resolve().parents[2] / "docs" / "channels.md"
MARK = "<!-- rendering -->"
SAID_BY_CUSTOMERS = {"reply", "form_reply", "order", "command", "system", "unsupported"}


def test_the_page_holds_the_table_as_it_is_printed() -> None:
    _, written, _ = PAGE.read_text(encoding="utf-8").split(MARK)
    printed = rendering.markdown(rendering.table(registry.CAPABILITIES))
    again = "`python -m gateway channel rendering --markdown` prints what belongs between the marks"
    assert written.strip().splitlines() == printed, again


def test_every_kind_that_a_business_can_send_has_a_row() -> None:
    kinds = {f.default for kind in get_args(Content) for f in fields(kind) if f.name == "type"}
    assert {content.type for content in rendering.SAMPLES.values()} == kinds - SAID_BY_CUSTOMERS


@pytest.mark.parametrize(
    ("kind", "channel", "becomes"),
    [
        ("text with formatting", "web", "native"),
        ("answer with its source", "whatsapp", "as text"),
        ("video of 12 MB", "whatsapp", "native"),
        ("video of 25 MB", "telegram", "native"),
        ("album of 3 pictures", "telegram", "native"),
        ("album of 3 pictures", "whatsapp", "3 x image"),
        ("location", "slack", "as text"),
        ("3 buttons", "whatsapp", "native"),
        ("9 buttons", "whatsapp", "as list"),
        ("40 buttons", "whatsapp", "numbered text"),
        ("40 buttons", "slack", "as list"),
        ("form", "web", "native"),
        ("template", "whatsapp", "native"),
        ("edit", "telegram", "native"),
    ],
)
def test_a_cell_says_what_is_sent(kind: str, channel: str, becomes: str) -> None:
    assert rendering.table(registry.CAPABILITIES)[kind][channel] == becomes


@pytest.mark.parametrize(
    ("kind", "channel", "reason"),
    [
        ("video of 25 MB", "whatsapp", "at most 16 MB"),
        ("program (.exe)", "whatsapp", "application/pdf"),
        ("form", "telegram", "step by step"),
        ("flow", "slack", "on WhatsApp only"),
        ("template", "web", "Send the text itself"),
        ("edit", "whatsapp", "Send a correction"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(kind: str, channel: str, reason: str) -> None:
    said = rendering.table(registry.CAPABILITIES)[kind][channel]
    assert said.startswith("refused: ")
    assert reason in said
