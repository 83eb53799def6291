"""Files that customers send in Slack, fetched from its hosts."""

import pytest

from gateway.model.errors import SendError
from tests.providers.slack_api import Fault
from tests.slack.rig import (
    TOKEN,
    Rig,
    clean,
)


async def fetched(rig: Rig, file: str) -> tuple[int, str]:
    size = 0
    async with rig.adapter.fetch(rig.channel, file) as download:
        async for part in download.chunks:
            size += len(part)
        return size, download.mime


async def fetch_fails(rig: Rig, file: str) -> SendError:
    with pytest.raises(SendError) as caught:
        await fetched(rig, file)
    return clean(caught.value)


async def test_a_file_is_fetched_with_the_token(rig: Rig) -> None:
    file = rig.slack.add_file("tour.mp4", "video/mp4", pattern=25 * 1024 * 1024)
    assert await fetched(rig, file.id) == (25 * 1024 * 1024, "video/mp4")


async def test_redirects_on_slacks_own_hosts_keep_the_token(rig: Rig) -> None:
    file = rig.slack.add_file("a.png", "image/png", body=b"png")
    file.url = f"{rig.slack.url}/files/moved/{file.id}"
    assert await fetched(rig, file.id) == (3, "image/png")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/a.png",
        "https://files.slack.com.evil.example/a.png",
        "https://slack.com@evil.example/a",
        "http://files.slack.com/a.png",
        "https://notslack.com/a.png",
        "https://files.slack.com:8443/a",
        "file:///etc/passwd",
        "https://[::1",
    ],
)
async def test_the_token_goes_to_slack_only(rig: Rig, url: str) -> None:
    file = rig.slack.add_file("a.png", "image/png", body=b"png")
    file.url = url
    error = await fetch_fails(rig, file.id)
    assert (error.code, error.retryable) == ("slack:foreign_host", False)


async def test_the_sign_in_page_is_not_taken_for_the_file(rig: Rig) -> None:
    workspace = rig.slack.workspaces[TOKEN]
    picture = rig.slack.add_file("a.png", "image/png", body=b"png")
    page = rig.slack.add_file("a.html", "text/html", body=b"<p>real</p>")
    assert await fetched(rig, page.id) == (11, "text/html")
    workspace.locked = True
    for file in (picture, page):
        assert (await fetch_fails(rig, file.id)).code == "slack:sign_in"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (Fault.http(404, "download"), "slack:file_gone", False),
        (Fault.http(500, "download"), "slack:http_500", True),
        (Fault("drop", method="download"), "slack:broken", True),
        (Fault.error("ratelimited", method="files.info", retry_after=2), "slack:ratelimited", True),
        (Fault.error("file_deleted", method="files.info"), "slack:file_deleted", False),
    ],
)
async def test_a_fetch_that_fails_has_a_decision(rig: Rig, fault: Fault, code: str, retryable: bool) -> None:
    file = rig.slack.add_file("a.bin", "application/pdf", pattern=200_000)
    rig.slack.misbehave(fault)
    error = await fetch_fails(rig, file.id)
    assert (error.code, error.retryable, error.outcome) == (code, retryable, "refused")


async def test_a_deleted_file_is_gone_for_good(rig: Rig) -> None:
    file = rig.slack.add_file("a.png", "image/png", body=b"png", mode="tombstone")
    assert not (await fetch_fails(rig, file.id)).retryable
    assert (await fetch_fails(rig, "F0NONE")).code == "slack:file_not_found"
