"""Only Slack's own requests of now pass, and a refusal says nothing."""

import pytest
from slack_sdk.signature import SignatureVerifier

from channels.slack.signature import sign, verify
from gateway.model.errors import NotAuthentic
from tests.providers.slack_api_events import SECRET, as_json, direct, signed
from tests.slack.rig import NOW, Rig

BODY = as_json(direct("hola"))
AT = NOW.timestamp()


def headers(at: float = AT, secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    return {name.lower(): value for name, value in signed(body, secret, at).items()}


@pytest.mark.parametrize("shift", [0, 299, 300, -299, -300])
def test_what_slack_signed_passes(shift: int) -> None:
    verify(SECRET, headers(AT + shift), BODY, NOW)


def test_slacks_own_library_signs_the_same() -> None:
    stamp = str(int(AT))
    theirs = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=BODY)
    assert theirs == sign(SECRET, stamp, BODY)


@pytest.mark.parametrize(
    "sent",
    [
        headers(AT + 301),
        headers(AT - 301),
        headers(secret="another"),
        headers(body=BODY + b" "),
        {},
        {**headers(), "x-slack-signature": ""},
        {**headers(), "x-slack-signature": "v0=ñ"},
        {**headers(), "x-slack-signature": headers()["x-slack-signature"].upper()},
        {**headers(), "x-slack-request-timestamp": str(int(AT) - 1)},
        {**headers(), "x-slack-request-timestamp": ""},
        {**headers(), "x-slack-request-timestamp": "NaN"},
        {**headers(), "x-slack-request-timestamp": "9" * 400},
        {**headers(), "x-slack-request-timestamp": f"{int(AT)}.0"},
    ],
)
def test_everything_else_is_refused_without_a_word(sent: dict[str, str]) -> None:
    with pytest.raises(NotAuthentic) as caught:
        verify(SECRET, sent, BODY, NOW)
    assert str(caught.value) == ""


def test_a_stamp_that_is_no_time_is_refused_though_it_is_signed() -> None:
    for stamp in ("", "soon", "1" * 30, "-5"):
        sent = {"x-slack-request-timestamp": stamp, "x-slack-signature": sign(SECRET, stamp, BODY)}
        with pytest.raises(NotAuthentic):
            verify(SECRET, sent, BODY, NOW)


def test_an_empty_secret_never_verifies() -> None:
    with pytest.raises(NotAuthentic):
        verify("", headers(secret=""), BODY, NOW)


async def test_a_browsers_visit_is_not_answered(rig: Rig) -> None:
    with pytest.raises(NotAuthentic):
        rig.adapter.challenge("token", {"hub.mode": "subscribe"})
