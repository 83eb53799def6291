"""Who may call, and what a refusal says (nothing)."""

import pytest

from channels.whatsapp.signature import challenge, verify
from gateway.model.errors import NotAuthentic
from tests.providers.graph_webhooks import signed

SECRET = "canary-app-secret"
BODY = '{"object":"whatsapp_business_account","entry":[],"ü":"😀"}'.encode()
GOOD = signed(BODY, SECRET)["X-Hub-Signature-256"]


def refused(secret: str, headers: dict[str, str], body: bytes = BODY) -> None:
    with pytest.raises(NotAuthentic) as caught:
        verify(secret, headers, body)
    assert str(caught.value) == ""


def test_the_right_signature_passes() -> None:
    verify(SECRET, {"x-hub-signature-256": GOOD}, BODY)


def test_every_flipped_bit_of_the_signature_is_refused() -> None:
    raw = GOOD.encode()
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            refused(SECRET, {"x-hub-signature-256": changed.decode("utf-8", "surrogateescape")})


def test_every_flipped_bit_of_the_body_is_refused() -> None:
    for place in range(len(BODY)):
        changed = bytearray(BODY)
        changed[place] ^= 1
        refused(SECRET, {"x-hub-signature-256": GOOD}, bytes(changed))


@pytest.mark.parametrize(
    "header",
    [
        "",
        "sha256=",
        GOOD.removeprefix("sha256="),
        GOOD.replace("sha256", "sha1"),
        "SHA256=" + GOOD.removeprefix("sha256="),
        "sha256=" + GOOD.removeprefix("sha256=").upper(),
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD},{GOOD}",
        GOOD[:-1],
        GOOD + "0",
        "sha256=é",
        "sha256=\udcff\udcfe",
        "\ud800" * 71,
        "x" * 100_000,
    ],
)
def test_other_headers_are_refused(header: str) -> None:
    refused(SECRET, {"x-hub-signature-256": header})


def test_no_header_other_secret_or_empty_secret_is_refused() -> None:
    refused(SECRET, {})
    refused("another", {"x-hub-signature-256": GOOD})
    refused("", {"x-hub-signature-256": signed(BODY, "")["X-Hub-Signature-256"]})


QUERY = {"hub.mode": "subscribe", "hub.verify_token": "pässword", "hub.challenge": "1158201444"}


def test_the_challenge_is_answered() -> None:
    assert challenge("pässword", QUERY) == "1158201444"


@pytest.mark.parametrize(
    ("token", "changes"),
    [
        ("other", {}),
        ("", {"hub.verify_token": ""}),
        ("pässword", {"hub.mode": "unsubscribe"}),
        ("pässword", {"hub.verify_token": "password"}),
        ("pässword", {"hub.verify_token": "\ud800"}),
        ("pässword", {"hub.challenge": ""}),
        ("pässword", {"hub.challenge": "<script>alert(1)</script>"}),
        ("pässword", {"hub.challenge": "1" * 300}),
    ],
)
def test_other_challenges_are_refused(token: str, changes: dict[str, str]) -> None:
    with pytest.raises(NotAuthentic):
        challenge(token, QUERY | changes)


@pytest.mark.parametrize("missing", QUERY)
def test_incomplete_challenges_are_refused(missing: str) -> None:
    with pytest.raises(NotAuthentic):
        challenge("pässword", {name: value for name, value in QUERY.items() if name != missing})
