"""Settings: a wrong one stops the start with one line that names it, and no secret has a default."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings import _PARSERS, KNOWN_KEYS, Settings, SettingsError, development_key, load

GOOD = "kX3v9QmZ7rT1yW5uB8nC2dF6gH0jL4pA"
ROOT = Path(__file__).parent.parent.parent

WRONG = {
    "PORT": ("x", "-1", "65536", "80.5", "٨٠", "0x50"),
    "PUBLIC_URL": ("parley.example", "ftp://x", "https://", "https://u:p@x", "https://x/?a=1", "https://x:99999", "https://[::1"),
    "ENVIRONMENT": ("prod", "staging"),
    "MONGODB_URI": ("localhost:27017", "http://x", "mongodb://"),
    "REDIS_URL": ("localhost", "http://x", "redis://"),
    "SECRET_KEYS": (",", "short", "a" * 40, "changeme", f"{GOOD},short", "development", "secret" * 1),
    "TRUSTED_PROXIES": ("proxy.example", "10.0.0.0/99"),
    "EGRESS_ALLOW": ("intranet.example", "10.0.0.0/99"),
    "VECTOR_SEARCH": ("maybe", "1"),
    "LOG_LEVEL": ("LOUD",),
    "LOG_FORMAT": ("xml",),
    "SENTRY_DSN": ("x",),
    "WHATSAPP_API_URL": ("graph.facebook.com", "file:///etc/passwd"),
    "TELEGRAM_API_URL": ("x",),
    "SLACK_API_URL": ("x",),
    "COHERE_API_URL": ("x",),
    "STRIPE_API_URL": ("x",),
    "ANSWERS_INTERNAL_HOSTS": ("https://ollama", "a b", "x/y"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_wrong_value_is_named_with_what_is_expected(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: value})
    [line] = refused.value.lines
    assert line.startswith(f"{name}: expected ")
    assert "\n" not in line
    if name == "SECRET_KEYS" and len(value) > 8:
        assert value not in line


def test_every_setting_that_can_be_wrong_is_tried_here() -> None:
    texts = {n for n, parse in _PARSERS.items() if parse.__name__ in ("_text", "_path")}
    assert set(WRONG) == set(_PARSERS) - texts
    assert {n.lower() for n in _PARSERS} == set(Settings.__dataclass_fields__)


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: values[0] for name, values in WRONG.items()})
    assert [line.split(":")[0] for line in refused.value.lines] == [n for n in _PARSERS if n in WRONG]


@pytest.mark.parametrize("missing", [("SECRET_KEYS",), ("MONGODB_URI",), ("SECRET_KEYS", "MONGODB_URI")])
def test_production_needs_its_keys_and_its_database(missing: tuple[str, ...]) -> None:
    whole = {"ENVIRONMENT": "production", "SECRET_KEYS": GOOD, "MONGODB_URI": "mongodb://db/parley"}
    load(whole)
    with pytest.raises(SettingsError) as refused:
        load({k: " " if k in missing else v for k, v in whole.items()})
    assert refused.value.lines == [f"{name}: required when ENVIRONMENT=production" for name in missing]


def test_no_known_key_is_taken_however_it_is_written() -> None:
    for key in KNOWN_KEYS:
        for written in (key, key.upper(), f" {key} ", f"{key},{key}"):
            with pytest.raises(SettingsError):
                load({"SECRET_KEYS": written})


def test_what_is_right_is_read() -> None:
    found = load(
        {
            "PORT": "0",
            "HOST": "0.0.0.0",
            "SECRET_KEYS": f" {GOOD} , {GOOD}x ",
            "LOG_LEVEL": "debug",
            "REDIS_URL": " ",
        }
    )
    assert (found.port, found.log_level, found.redis_url) == (0, "DEBUG", None)
    assert found.secret_keys == (GOOD, f"{GOOD}x")
    assert found.public_url == "http://127.0.0.1:0"
    assert load({"HOST": "::1", "PORT": "81"}).public_url == "http://[::1]:81"
    assert load({"PUBLIC_URL": "https://parley.example/"}).public_url == "https://parley.example"
    assert load({}) == Settings()


def test_settings_do_not_print_their_secrets() -> None:
    secrets = {
        n: f"canary-{n}-{GOOD}" for n in _PARSERS if any(w in n for w in ("SECRET", "TOKEN", "API_KEY"))
    }
    secrets["MONGODB_URI"] = "mongodb://user:canary@db/parley"
    secrets["SENTRY_DSN"] = "https://canary@sentry.example/1"
    assert "canary" not in repr(load(secrets))


def test_no_secret_has_a_default() -> None:
    found = Settings()
    for name in Settings.__dataclass_fields__:
        if any(word in name for word in ("secret", "token", "api_key", "dsn", "uri")):
            assert not getattr(found, name), name


def test_a_development_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    key = development_key(folder)
    assert len(key) >= 32
    assert development_key(folder) == key
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600
    assert development_key(tmp_path / "other") != key


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"PORT": "x", "LOG_LEVEL": "LOUD"}, ["PORT", "LOG_LEVEL"]),
        ({"ENVIRONMENT": "production"}, ["SECRET_KEYS", "MONGODB_URI"]),
        (
            {"ENVIRONMENT": "production", "MONGODB_URI": "mongodb://db/x", "SECRET_KEYS": "changeme"},
            ["SECRET_KEYS"],
        ),
    ],
)
def test_the_program_exits_with_two_and_a_line_a_setting(
    tmp_path: Path, given: dict[str, str], lines: list[str]
) -> None:
    clean = {k: v for k, v in os.environ.items() if k not in _PARSERS}
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "run"],
        cwd=ROOT, env={**clean, "DATA_DIR": str(tmp_path), **given}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == lines
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
