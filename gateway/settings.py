"""Settings: one frozen object, read from the environment once and validated whole.

A wrong value does not stop at the first: `load` reports every one, a line each, naming the variable and what
it expects. No secret has a default; in development a key is made and kept under `DATA_DIR` instead.
"""

import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

KNOWN_KEYS = frozenset({"secret", "changeme", "change-me", "development", "password", "test", "default"})
"""Values that people paste from examples: never a secret."""

MIN_KEY = 32


class SettingsError(Exception):
    """Wrong settings; `lines` has one a setting."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Settings:
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = "http://127.0.0.1:8080"
    environment: Literal["development", "production"] = "development"
    data_dir: Path = Path("data")
    mongodb_uri: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    secret_keys: tuple[str, ...] = field(default=(), repr=False)
    cohere_api_key: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (
        ip_network("127.0.0.0/8"),
        ip_network("::1/128"),
    )
    egress_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    vector_search: bool = False
    """Whether MongoDB's own vector search is used where the server has it."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    sentry_dsn: str | None = field(default=None, repr=False)
    whatsapp_api_url: str = "https://graph.facebook.com"
    telegram_api_url: str = "https://api.telegram.org"
    slack_api_url: str = "https://slack.com/api/"
    cohere_api_url: str = "https://api.cohere.com"
    stripe_api_url: str = "https://api.stripe.com"
    answers_internal_hosts: tuple[str, ...] = ()
    """Hosts inside our own network that tenants may name as their provider of answers (`127.0.0.1:11434`)."""
    whatsapp_app_secret: str | None = field(default=None, repr=False)
    whatsapp_verify_token: str | None = field(default=None, repr=False)
    slack_client_id: str | None = None
    slack_client_secret: str | None = field(default=None, repr=False)
    slack_signing_secret: str | None = field(default=None, repr=False)
    slack_app_token: str | None = field(default=None, repr=False)

    @property
    def production(self) -> bool:
        return self.environment == "production"


def _port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 <= int(value) <= 65535:
        raise ValueError("a port number from 0 to 65535 (0 takes a free one)")
    return int(value)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        for name in allowed:
            if value.casefold() == name.casefold():
                return name
        raise ValueError("one of " + ", ".join(allowed))

    return check


def _http(value: str) -> str:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
    ):
        raise ValueError("an address such as https://parley.example.com, without user, query or fragment")
    return value.rstrip("/")


def _scheme(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if scheme not in schemes or not separator or not rest:
            raise ValueError("an address that begins with " + " or ".join(f"{s}://" for s in schemes))
        return value

    return check


def _keys(value: str) -> tuple[str, ...]:
    keys = tuple(k.strip() for k in value.split(",") if k.strip())
    if not keys:
        raise ValueError("at least one key, newest first, separated by commas")
    for place, key in enumerate(keys, 1):
        if len(key) < MIN_KEY or key.casefold() in KNOWN_KEYS or len(set(key)) < 8:
            raise ValueError(
                f"at least {MIN_KEY} random characters a key, and key {place} is weaker"
                " (python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
            )
    return keys


def _networks(value: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(n.strip(), strict=False) for n in value.split(",") if n.strip())
    except ValueError:
        raise ValueError("networks or addresses such as 127.0.0.1,10.0.0.0/8, separated by commas") from None


def _hosts(value: str) -> tuple[str, ...]:
    hosts = tuple(h.strip().lower() for h in value.split(",") if h.strip())
    for host in hosts:
        try:
            parts = urlsplit("//" + host)
            plain = all(char.isalnum() or char in ".:-_[]" for char in host)
            good = plain and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("hosts such as ollama,127.0.0.1:11434, separated by commas, without https://")
    return hosts


def _switch(value: str) -> bool:
    if value.casefold() not in ("on", "off"):
        raise ValueError("on or off")
    return value.casefold() == "on"


def _text(value: str) -> str:
    return value


def _path(value: str) -> Path:
    return Path(value)


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "HOST": _text,
    "PORT": _port,
    "PUBLIC_URL": _http,
    "ENVIRONMENT": _one_of("development", "production"),
    "DATA_DIR": _path,
    "MONGODB_URI": _scheme("mongodb", "mongodb+srv"),
    "REDIS_URL": _scheme("redis", "rediss", "unix"),
    "SECRET_KEYS": _keys,
    "COHERE_API_KEY": _text,
    "TRUSTED_PROXIES": _networks,
    "EGRESS_ALLOW": _networks,
    "VECTOR_SEARCH": _switch,
    "LOG_LEVEL": _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
    "LOG_FORMAT": _one_of("text", "json"),
    "SENTRY_DSN": _scheme("http", "https"),
    "WHATSAPP_API_URL": _http,
    "TELEGRAM_API_URL": _http,
    "SLACK_API_URL": _http,
    "COHERE_API_URL": _http,
    "STRIPE_API_URL": _http,
    "ANSWERS_INTERNAL_HOSTS": _hosts,
    "WHATSAPP_APP_SECRET": _text,
    "WHATSAPP_VERIFY_TOKEN": _text,
    "SLACK_CLIENT_ID": _text,
    "SLACK_CLIENT_SECRET": _text,
    "SLACK_SIGNING_SECRET": _text,
    "SLACK_APP_TOKEN": _text,
}


def load(environ: Mapping[str, str]) -> Settings:
    """The settings that the environment describes. An empty variable counts as not set.

    Raises SettingsError with a line for every wrong one.
    """
    values: dict[str, object] = {}
    wrong: list[str] = []
    for name, parse in _PARSERS.items():
        raw = environ.get(name, "").strip()
        if not raw:
            continue
        try:
            values[name.lower()] = parse(raw)
        except ValueError as error:
            wrong.append(f"{name}: expected {error}")
    if values.get("environment") == "production":
        wrong += [
            f"{name}: required when ENVIRONMENT=production"
            for name in ("SECRET_KEYS", "MONGODB_URI")
            if not environ.get(name, "").strip()
        ]
    if wrong:
        raise SettingsError(wrong)
    if "public_url" not in values:
        host = str(values.get("host", "127.0.0.1"))
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 (compared, not bound)
        values["public_url"] = f"http://{f'[{shown}]' if ':' in shown else shown}:{values.get('port', 8080)}"
    return Settings(**values)  # type: ignore[arg-type]


def development_key(data_dir: Path) -> str:
    """The key of a development install, made once and readable by its owner only."""
    path = data_dir / "secret.key"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        # Written whole under another name and then linked: nobody ever reads half a key, and the first one stands.
        fresh = data_dir / f"secret.key.{secrets.token_hex(4)}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)
        fresh.unlink()
    key = path.read_text(encoding="ascii").strip()
    if len(key) < MIN_KEY:
        raise SettingsError(
            [f"{path}: expected a key of at least {MIN_KEY} characters; restore it, or delete the file"]
        )
    return key
