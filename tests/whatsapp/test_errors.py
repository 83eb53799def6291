"""Every error WhatsApp or the way to it can make leads to one decision, and the README lists it."""

import ssl
from pathlib import Path
from unittest.mock import Mock

import aiohttp
import pytest
from pywa import errors as pywa_errors

import channels.whatsapp
from channels.kit import http_error, retry_after, transport_error
from channels.whatsapp.errors import (
    DECISIONS,
    RANGES,
    UNMAPPED,
    Decision,
    decision,
    failure,
    mapped,
    send_error,
)
from tests.whatsapp.test_payloads import NOW

README = (Path(channels.whatsapp.__file__).parent / "README.md").read_text()


def upstream(kind: type[pywa_errors.WhatsAppError] = pywa_errors.WhatsAppError) -> set[int]:
    """Every code that pywa, which follows Meta's list, knows by name."""
    own = set(kind.__error_codes__ or ())
    return own.union(*(upstream(child) for child in kind.__subclasses__()))


def test_every_code_that_pywa_knows_is_mapped() -> None:
    codes = upstream()
    assert len(codes) > 100
    assert [code for code in sorted(codes) if decision(code) is UNMAPPED] == []


DOCUMENTED = (
    # Authorisation, integrity, throttling and the rest of the page on error codes.
    *(0, 3, 10, 190, 200, 299, 368, 130497, 131031, 4, 80007, 130429, 131048, 131056, 131064, 133016),
    *(1, 2, 33, 100, 130472, 131000, 131005, 131008, 131009, 131016, 131021, 131026, 131030, 131037, 131042),
    *(131045, 131047, 131049, 131050, 131051, 131052, 131053, 131057, 131058, 131060, 131062, 131063),
    *(132000, 132001, 132005, 132007, 132012, 132015, 132016, 132068, 132069, 133000, 133004, 133005, 133006),
    *(133008, 133009, 133010, 133015, 134011, 134100, 134101, 134102, 135000, 137000),
    # Coexistence, groups, flows, block lists, calls, usernames.
    *(2593107, 2593108, 2593109, 131020, 131041, 131059, 131201, 131207, 131208, 131215, 139000, 139100),
    *(138000, 138006, 138021, 147001),
)


def test_every_documented_code_is_mapped() -> None:
    assert [code for code in DOCUMENTED if not mapped(f"whatsapp:{code}")] == []
    assert not mapped("whatsapp:5555")
    assert mapped("whatsapp:timeout")


def test_the_readme_lists_every_row() -> None:
    for code, row in DECISIONS.items():
        assert f"| {code} | {effect(row)} | {row.text} |" in README
    for first, last, row in RANGES:
        assert f"| {first}-{last} | {effect(row)} | {row.text} |" in README


def effect(row: Decision) -> str:
    if row.disable_channel:
        return "channel off"
    if row.opt_out:
        return "opt out"
    wait = f" after {row.wait:g} s" if row.wait else ""
    return f"again{wait}" if row.retryable else "failed"


def answer(code: int, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "secret canary +34600111222", **more}}


@pytest.mark.parametrize(
    ("status", "body", "retryable", "wait", "off", "out"),
    [
        (400, answer(131047), False, None, False, False),
        (400, answer(131050), False, None, False, True),
        (401, answer(190), False, None, True, False),
        (403, answer(230), False, None, True, False),
        (400, answer(100), False, None, False, False),
        (400, answer(100, error_subcode=33), False, None, True, False),
        (400, answer(131056), True, 6, False, False),
        (400, answer(987654), True, None, False, False),
        (400, answer(100, is_transient=True), True, None, False, False),
        (401, answer(190, is_transient=True), False, None, True, False),
        (429, answer(4), True, 60, False, False),
        (500, answer(131000), True, None, False, False),
        (503, {}, True, None, False, False),
        (400, {}, False, None, False, False),
        (400, None, False, None, False, False),
        (400, {"error": "text"}, False, None, False, False),
        (400, {"error": {"code": "130429"}}, True, 5, False, False),
        (400, {"error": {"code": [1]}}, False, None, False, False),
    ],
)
def test_decisions(
    status: int, body: object, retryable: bool, wait: float | None, off: bool, out: bool
) -> None:
    error = send_error(status, body, None)
    assert (error.retryable, error.wait, error.disable_channel, error.opt_out) == (retryable, wait, off, out)
    assert error.outcome == "refused"
    assert "canary" not in str(error)


def test_their_retry_after_outweighs_ours() -> None:
    assert send_error(429, answer(4), 7).wait == 7


def test_a_failed_status_is_explained() -> None:
    assert failure("131026").text == DECISIONS[131026].text
    assert failure("").code == failure("x").code == "whatsapp:unknown"


KEY = Mock(ssl=False, host="graph", port=443)
RESPONSE = Mock()


@pytest.mark.parametrize(
    ("error", "code", "outcome", "retryable"),
    [
        (aiohttp.ClientConnectorError(KEY, OSError()), "connect", "refused", True),
        (aiohttp.ClientConnectorDNSError(KEY, OSError()), "connect", "refused", True),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()), "connect", "refused", True),
        (aiohttp.ConnectionTimeoutError(), "connect", "refused", True),
        (aiohttp.SocketTimeoutError(), "timeout", "unknown", True),
        (aiohttp.ServerTimeoutError(), "timeout", "unknown", True),
        (TimeoutError(), "timeout", "unknown", True),
        (aiohttp.ServerDisconnectedError(), "broken", "unknown", True),
        (aiohttp.ClientOSError(), "broken", "unknown", True),
        (aiohttp.ClientConnectionResetError(), "broken", "unknown", True),
        (aiohttp.ClientPayloadError(), "broken", "unknown", True),
        (aiohttp.ClientResponseError(RESPONSE, ()), "broken", "unknown", True),
        (aiohttp.InvalidURL("http://secret@"), "address", "refused", False),
    ],
)
def test_broken_exchanges(error: aiohttp.ClientError, code: str, outcome: str, retryable: bool) -> None:
    found = transport_error("whatsapp", error)
    assert (found.code, found.outcome, found.retryable) == (f"whatsapp:{code}", outcome, retryable)
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("status", "retryable", "outcome"),
    [
        (301, False, "refused"),
        (404, False, "refused"),
        (408, True, "refused"),
        (429, True, "refused"),
        (500, True, "refused"),
        (502, True, "refused"),
        (504, True, "unknown"),
    ],
)
def test_statuses_alone(status: int, retryable: bool, outcome: str) -> None:
    error = http_error("whatsapp", status, None)
    assert (error.retryable, error.outcome) == (retryable, outcome)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        (" 0 ", 0.0),
        ("999999999999", 86_400.0),
        ("Sat, 21 Nov 2026 10:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 09:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 10:01:00", 60.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "body", "wait", "scope"),
    [
        (400, answer(131056), None, "recipient"),
        (400, answer(131056), 20, "recipient"),
        (429, answer(131056), None, "recipient"),
        (400, answer(130429), None, "channel"),
        (400, answer(131048), None, "channel"),
        *((500, answer(code), None, "channel") for code in (1, 2, 131000, 131016, 133004)),
        (400, answer(131000), None, "channel"),
        (400, answer(131052), None, "message"),
        # A template that is being prepared holds up nobody else.
        (400, answer(134101), None, "message"),
        (400, answer(131047), None, "message"),
        (400, answer(131026), None, "message"),
        (400, answer(987654), None, "message"),
        (429, answer(987654), 7, "channel"),
        (503, {}, None, "channel"),
        (400, {}, None, "message"),
    ],
)
def test_whom_a_refusal_concerns(status: int, body: object, wait: float | None, scope: str) -> None:
    assert send_error(status, body, wait).scope == scope
