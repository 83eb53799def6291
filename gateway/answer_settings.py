"""What a person may set about answers, from words or from JSON: each with what is taken, and a sentence where it is not."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime
from typing import Any, Final, get_args

from brain.links import host_of
from brain.providers.registry import SECRET, address_fault
from gateway.model.answers import AnswerSettings, Caps, ProviderName
from gateway.model.errors import Invalid
from gateway.model.tenant import Tenant

Read = Callable[[str, Any], Any]
_DEFAULT: Final = AnswerSettings()
_LANGUAGE: Final = re.compile(r"[a-zA-Z]{2,3}(?:-[a-zA-Z0-9]{2,8})*")
_MODEL: Final = re.compile(r"[\w./:@-]{1,120}")
MOST_ITEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Field:
    """`read` takes a word of the command line or a value of JSON. Raises Invalid, naming the field."""

    help: str
    metavar: str
    read: Read


def _one_of(*allowed: str) -> Read:
    def read(name: str, value: Any) -> Any:
        if value not in allowed:
            raise Invalid(name, "one of " + ", ".join(allowed))
        return value

    return read


def _text(most: int) -> Read:
    def read(name: str, value: Any) -> Any:
        if not isinstance(value, str) or len(value) > most or "\x00" in value:
            raise Invalid(name, f"a text of at most {most} characters")
        return value.strip()

    return read


def _model(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not _MODEL.fullmatch(value):
        raise Invalid(name, "a model's name, such as command-a-03-2025 or llama3.1:8b")
    return value


def _items(each: Callable[[str, str], str]) -> Read:
    def read(name: str, value: Any) -> Any:
        found = [v.strip() for v in value.split(",")] if isinstance(value, str) else value
        if (
            not isinstance(found, list | tuple)
            or not all(isinstance(v, str) for v in found)
            or len(found) > MOST_ITEMS
        ):
            raise Invalid(name, f"at most {MOST_ITEMS}, separated by commas")
        return tuple(dict.fromkeys(each(name, v) for v in found if v and v != "none"))

    return read


def _language(name: str, value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise Invalid(name, "tags of languages, such as en,es,pt-BR")
    return value


def _topic(name: str, value: str) -> str:
    if len(value) > 100:
        raise Invalid(name, "topics of at most 100 characters each, separated by commas")
    return value


def _host(name: str, value: str) -> str:
    host = host_of(value)
    if host is None or "." not in host:
        raise Invalid(name, "hosts such as shop.example.com, separated by commas")
    return host


def _flag(name: str, value: Any) -> Any:
    said = {"yes": True, "no": False, True: True, False: False}
    if not isinstance(value, str | bool) or value not in said:
        raise Invalid(name, "yes or no")
    return said[value]


def _share(name: str, value: Any) -> Any:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if not 0 <= found <= 1 or isinstance(value, bool):
        raise Invalid(name, "a number from 0 to 1 (how much support an answer needs), or default")
    return found


def _count(name: str, value: Any) -> Any:
    """`none`: no bound."""
    if value in ("none", None):
        return None
    text = "" if isinstance(value, bool) else str(value)
    # Longer ones Python does not even read.
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > 10**12:
        raise Invalid(name, "a whole number, or none for no bound")
    return int(text)


def _prices(name: str, value: Any) -> Any:
    """`MODEL=IN/OUT,…`, or a mapping to pairs."""
    expected = (
        "MODEL=IN/OUT in millionths of USD per 1,000 tokens, such as my-model=150/600, separated by commas"
    )
    pairs: dict[str, Any] = {}
    if isinstance(value, str):
        for item in (v.strip() for v in value.split(",") if v.strip() and v.strip() != "none"):
            model, _, both = item.partition("=")
            pairs[model] = both.split("/")
    elif isinstance(value, Mapping):
        pairs = dict(value)
    else:
        raise Invalid(name, expected)
    found = {}
    for model, both in pairs.items():
        if not _MODEL.fullmatch(model) or not isinstance(both, list | tuple) or len(both) != 2:
            raise Invalid(name, expected)
        numbers = [str(v) for v in both]
        if not all(n.isascii() and n.isdigit() and len(n) < 20 and int(n) <= 10**9 for n in numbers):
            raise Invalid(name, expected)
        found[model] = (int(numbers[0]), int(numbers[1]))
    return found


FIELDS: Final[Mapping[str, Field]] = {
    "provider": Field("who writes answers: auto, local, cohere or openai (any compatible endpoint)", "NAME",
                      _one_of(*get_args(ProviderName))),
    "model": Field("the provider's model", "NAME", _model),
    "smaller": Field("the model that is asked where the first fails", "NAME", _model),
    "address": Field("of an OpenAI-compatible endpoint, up to /v1", "URL", _text(500)),
    "tone": Field("neutral, friendly or formal", "TONE", _one_of("neutral", "friendly", "formal")),
    "length": Field("short, medium or long", "LENGTH", _one_of("short", "medium", "long")),
    "languages": Field("the languages to answer in, the first one for anybody else; none: the customer's own", "TAGS",
                       _items(_language)),
    "forbidden": Field("topics that are never answered", "TOPICS", _items(_topic)),
    "greeting": Field("what is said to a greeting", "TEXT", _text(1000)),
    "instructions": Field("the business's own words on manner", "TEXT", _text(2000)),
    "hand_over": Field("what follows when there is no answer: offer, queue or nothing", "WHAT",
                       _one_of("offer", "queue", "nothing")),
    "links": Field("hosts that answers may link to besides those of the documents", "HOSTS", _items(_host)),
    "threshold": Field("the least support of an answer, 0 to 1", "NUMBER", _share),
    "cache": Field("whether the same question may be answered from memory: yes or no", "YES|NO", _flag),
    "stream": Field("whether answers are shown while they are written: yes or no", "YES|NO", _flag),
    "holding": Field("whether who waits for four seconds is told so: yes or no", "YES|NO", _flag),
    "prices": Field("the models' prices, where they differ from the list", "MODEL=IN/OUT", _prices),
    **{
        f"cap_{f.name}": Field(f"{f.name.replace('_', ': ')} a day at most; none: no bound", "NUMBER", _count)
        for f in fields(Caps)
    },
}  # fmt: skip
"""Everything but hours and forms, which have commands of their own."""


def option(name: str) -> str:
    """A setting as the command line calls it."""
    return "--" + name.replace("_", "-")


def changed(
    settings: AnswerSettings,
    given: Mapping[str, Any],
    internal: tuple[str, ...],
    named: Callable[[str], str] = option,
) -> AnswerSettings:
    """Settings with what is given (`default`, or null for one without a text, takes one back). `named` is how whoever gave it
    calls a setting. Raises Invalid."""
    own: dict[str, Any] = {}
    caps: dict[str, Any] = {}
    for name, value in given.items():
        field = FIELDS.get(name)
        if field is None:
            raise Invalid(named(name), "no such setting")
        cap = name.removeprefix("cap_") if name.startswith("cap_") else None
        if value == "default" or (value is None and cap is None):
            read = getattr(_DEFAULT.caps, cap) if cap else getattr(_DEFAULT, name)
        else:
            read = field.read(named(name), value)
        if cap:
            caps[cap] = read
        else:
            own[name] = read or None if name in ("address", "greeting") else read
    found = replace(settings, **own, caps=replace(settings.caps, **caps))
    if found.address is not None and ("address" in own or found.provider == "openai"):
        fault = address_fault(found.address, internal)
        if fault:
            raise Invalid(named("address"), fault)
    return found


def seen(tenant: Tenant) -> dict[str, Any]:
    """A tenant's settings as they may be seen: of its key only whether there is one. Without hours and forms."""
    found = asdict(tenant.answers)
    for name in ("hours", "forms"):
        del found[name]
    prices = {model: list(both) for model, both in tenant.answers.prices.items()}
    return {"has_key": SECRET in tenant.secrets, **found, "prices": prices}


def with_key(
    tenant: Tenant, settings: AnswerSettings, key: str | None, named: str = "--key"
) -> tuple[dict[str, str | None], bool]:
    """What to do with the tenant's key, and whether one is forgotten: it never goes to another provider or address than that
    which it was given for. Raises Invalid."""
    if key is not None:
        if key == "none":
            return {SECRET: None}, False
        if not 8 <= len(key) <= 500 or not key.isascii() or not key.isprintable() or " " in key:
            raise Invalid(named, "the provider's key: 8 to 500 characters without spaces")
        return {SECRET: key}, False
    before = tenant.answers
    moved = _family(before) != _family(settings)
    forgot = moved and SECRET in tenant.secrets
    return ({SECRET: None} if forgot else {}), forgot


def _family(settings: AnswerSettings) -> tuple[str, str]:
    """Who a key is for. What answers locally sends it nowhere, and keeps it for Cohere."""
    if settings.provider == "openai":
        return "openai", settings.address or ""
    return "cohere", ""


def day_of(name: str, given: str | None, now: datetime) -> date:
    """A day, today without one. Raises Invalid."""
    try:
        return date.fromisoformat(given) if given else now.date()
    except ValueError:
        raise Invalid(name, "a day such as 2026-11-22") from None
