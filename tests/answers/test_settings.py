"""Settings of answers, by the command line and the API: every field, every mistake, and never a key to the wrong one."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.answer_settings import FIELDS
from gateway.commands import parser
from gateway.commands.context import Context, Failed
from gateway.model.errors import Invalid
from gateway.model.tenant import Tenant
from gateway.settings import Settings, SettingsError, load
from gateway.store import Store
from tests.conftest import MovableClock, Running, make_tenant
from tests.providers.cohere import CohereStandIn
from tests.providers.openai import OpenAIStandIn

KEY = "a-provider-key-123456"


class Line:
    """The command line, without a process."""

    def __init__(self, settings: Settings, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = settings
        self.store = store
        self._capsys = capsys
        self.said = ""

    async def __call__(self, *words: str) -> Any:
        args = parser().parse_args(["answers", *words, "--tenant", "acme", "--json"])
        self._capsys.readouterr()
        try:
            await args.call(Context(self.settings, self.store, True), args)
        finally:
            out, self.said = self._capsys.readouterr()
            self.shown = out
        return json.loads(out)

    async def tenant(self) -> Tenant:
        return await self.store.directory.tenant("acme")


@pytest.fixture
async def line(settings: Settings, store: Store, capsys: pytest.CaptureFixture[str]) -> Line:
    await make_tenant(store)
    return Line(settings, store, capsys)


async def test_every_setting_can_be_set_and_taken_back(line: Line) -> None:
    given = {
        "provider": "cohere", "model": "m:1", "smaller": "m-2", "tone": "formal", "length": "long", "languages": "en,pt-BR",
        "forbidden": "politics, medical advice", "greeting": "Welcome!", "instructions": "Be kind.", "hand_over": "queue",
        "links": "https://Shop.Example.com/x,pay.example.com", "threshold": "0.4", "cache": "no", "stream": "no", "holding": "no",
        "prices": "m:1=10/20", "cap_contact_tokens": "5000", "cap_tenant_tokens": "none", "cap_tenant_money": "2000000",
    }  # fmt: skip
    words = [f"--{n.replace('_', '-')}={v}" for n, v in given.items()]
    shown = await line("set", *words, "--key", KEY)
    assert {n: shown[n] for n in ("provider", "languages", "links", "threshold", "cache", "prices")} == {
        "provider": "cohere", "languages": ["en", "pt-BR"], "links": ["shop.example.com", "pay.example.com"],
        "threshold": 0.4, "cache": False, "prices": {"m:1": [10, 20]},
    }  # fmt: skip
    assert (
        shown["caps"]["contact_tokens"],
        shown["caps"]["tenant_tokens"],
        shown["caps"]["tenant_money"],
    ) == (5000, None, 2000000)
    assert (shown["answered_by"], shown["has_key"]) == ("cohere", True)
    assert KEY not in line.shown
    back = await line("set", *(f"--{n.replace('_', '-')}=default" for n in given))
    fresh = (await line.tenant()).answers
    assert fresh == replace(type(fresh)()) and back["caps"]["tenant_tokens"] == 5_000_000
    assert set(FIELDS) - set(given) == {
        "address",
        "cap_conversation_tokens",
        "cap_conversation_money",
        "cap_contact_money",
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("provider", "gpt"), ("tone", "rude"), ("length", "9"), ("languages", "en,???"), ("links", "nohost"), ("threshold", "2"),
        ("threshold", "x"), ("cache", "maybe"), ("prices", "m=1"), ("prices", "m=a/b"), ("cap-tenant-tokens", "-1"),
        ("cap-tenant-money", "1.5"), ("model", "a b"), ("address", "https://user:pw@x.example/v1"),
        ("address", "http://api.example.com/v1"), ("address", "https://api.example.com:8443/v1"), ("address", "nonsense"),
        ("address", "https://x.example/v1?key=1"), ("forbidden", "x" * 101), ("hand-over", "fire"),
    ],
)  # fmt: skip
async def test_every_mistake_names_its_option(line: Line, option: str, value: str) -> None:
    before = (await line.tenant()).answers
    with pytest.raises(Invalid) as raised:
        await line("set", f"--{option}={value}")
    assert raised.value.field == f"--{option}" and raised.value.expected
    assert (await line.tenant()).answers == before


async def test_a_key_never_goes_to_another_provider_or_address(line: Line) -> None:
    await line("set", "--provider=openai", "--address=https://a.example/v1", "--model=m", "--key", KEY)
    assert (await line.tenant()).secrets == {"answers": KEY}
    await line("set", "--tone=formal")
    assert (await line.tenant()).secrets == {"answers": KEY}
    await line("set", "--address=https://b.example/v1")
    assert (await line.tenant()).secrets == {} and "forgotten" in line.said
    await line("set", "--key", KEY)
    await line("set", "--provider=auto")
    assert (await line.tenant()).secrets == {}


async def test_what_lacks_something_is_answered_here_and_says_so(line: Line) -> None:
    shown = await line("set", "--provider=openai")
    assert shown["answered_by"] == "local" and "--address and --model" in line.said
    with pytest.raises(Invalid):
        await line("set")


async def test_people_can_read_it(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    await line("set", "--prices=m=1/2", "--cap-tenant-tokens=none", "--cap-contact-tokens=5")
    for words in (["show"], ["check"], ["spent"]):
        args = parser().parse_args(["answers", *words, "--tenant", "acme"])
        await args.call(Context(line.settings, line.store, False), args)
    said = capsys.readouterr().out
    assert "contact_tokens=5, tenant_tokens=none" in said and "prices: m=1/2" in said
    assert "Answered locally" in said and "Nothing was spent" in said


async def test_check_says_what_is_wrong_and_what_to_do(line: Line, openai: OpenAIStandIn) -> None:
    assert await line("check") == []
    host = openai.url.removeprefix("http://")
    line.settings = replace(line.settings, answers_internal_hosts=(host,))
    await line(
        "set", "--provider=openai", f"--address={openai.url}/v1", "--model=m", "--key", str(openai.key)
    )
    assert [f["ok"] for f in await line("check")] == [True]
    for behaviour, word in (("401", "--key-stdin"), ("404", "--model"), ("429", "limit"), ("500", "later")):
        openai.always = behaviour
        with pytest.raises(Failed):
            await line("check")
        finding = json.loads(line.shown)[0]
        assert not finding["ok"] and word in finding["fix"]
        assert str(openai.key) not in line.shown + line.said
    line.settings = replace(line.settings, answers_internal_hosts=())
    calls = len(openai.calls)
    assert await line("check") == [] and len(openai.calls) == calls


async def test_what_was_spent_is_shown(line: Line) -> None:
    from datetime import UTC, datetime

    from gateway.model.spending import Bound

    assert await line("spent") == []
    await line.store.spending.reserve(
        "acme", datetime.now(UTC).date(), [Bound("contact", "p")], 10, 2_500_000
    )
    assert await line("spent") == [{"scope": "contact", "id": "p", "tokens": 10, "usd": 2.5, "calls": 1}]
    with pytest.raises(Invalid, match="--day"):
        await line("spent", "--day=yesterday")


@pytest.mark.parametrize("value", ["https://x", "a b", "x/y", "u@h", "h:0"])
def test_internal_hosts_are_hosts(value: str) -> None:
    with pytest.raises(SettingsError, match="ANSWERS_INTERNAL_HOSTS"):
        load({"ANSWERS_INTERNAL_HOSTS": value})


def test_internal_hosts_are_read() -> None:
    assert load({"ANSWERS_INTERNAL_HOSTS": " Ollama:11434, vllm "}).answers_internal_hosts == (
        "ollama:11434",
        "vllm",
    )


# The API --------------------------------------------------------------------------------------------------


class Api:
    def __init__(self, running: Running, key: str) -> None:
        self._running = running
        self._headers = {"Authorization": f"Bearer {key}"}

    async def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        url = f"{self._running.url}/api/v1/answers{path}"
        async with self._running.http.request(method, url, json=body, headers=self._headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None


@pytest.fixture
async def api(running: Running, clock: MovableClock) -> AsyncIterator[Api]:
    _, secret = await running.store.access.create_key("acme", "test", clock())
    yield Api(running, secret)


async def test_the_api_sets_and_shows(api: Api, running: Running) -> None:
    status, shown = await api(
        "PATCH",
        "",
        {"provider": "cohere", "languages": ["es"], "caps": {"contact_tokens": 7, "tenant_tokens": None}},
    )
    assert (status, shown["languages"], shown["caps"]["contact_tokens"], shown["caps"]["tenant_tokens"]) == (
        200,
        ["es"],
        7,
        None,
    )
    assert (shown["answered_by"], shown["has_key"]) == ("local", False)
    assert (await api("PUT", "/key", {"key": KEY}))[0] == 204
    status, shown = await api("GET", "")
    assert (shown["answered_by"], shown["has_key"]) == ("cohere", True) and KEY not in json.dumps(shown)
    assert (await running.store.directory.tenant("acme")).secrets == {"answers": KEY}
    assert (await api("PUT", "/key", {"key": None}))[0] == 204
    for body, field in (
        ({"provider": "x"}, "body.provider"), ({"caps": {"contact_tokens": -1}}, "body.caps.contact_tokens"),
        ({"caps": {"nothing": 1}}, "body.caps.nothing"), ({"address": "http://169.254.169.254/v1"}, "body.address"),
        ({"secrets": {}}, "body.secrets"),
    ):  # fmt: skip
        status, problem = await api("PATCH", "", body)
        assert status == 422 and field in json.dumps(problem)


async def test_the_api_says_what_the_bot_would(api: Api, running: Running, cohere: CohereStandIn) -> None:
    from brain.embed import LocalEmbedder
    from brain.ingest import add_file

    await add_file(
        running.store.knowledge,
        LocalEmbedder(),
        "acme",
        "a.md",
        b"# Prices\n\nA full service costs 120 euros.",
        running.clock(),
    )
    status, said = await api("POST", "/ask", {"text": "How much does a full service cost?", "top": 3})
    assert (status, said["known"], said["by"]) == (200, True, "local")
    assert "120 euros" in said["text"] and said["passages"][0]["support"] >= said["threshold"]
    assert said["sources"][0]["title"].endswith("Prices")
    status, said = await api("POST", "/ask", {"text": "Who won the war?"})
    assert (status, said["known"], said["why"]) == (200, False, "support")
    assert (await api("POST", "/ask", {"text": "x", "channel": "ch_none"}))[0] == 404
    assert (await api("GET", "/spent"))[1]["items"] == []
    assert (await api("GET", "/spent?day=x"))[0] == 422
