"""What the doctor makes of Meta's answers: a line each, with its exact fix. Everything here is pure.

https://developers.facebook.com/docs/graph-api/reference/debug_token,
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/phone-numbers
and https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from channels.read import items, mapping, word
from channels.whatsapp.graph import VERSIONS, version_of
from gateway.model.errors import SendError
from gateway.model.ports import Finding
from gateway.model.tenant import Channel

Answer = Mapping[str, Any] | SendError
"""What Meta answered to a question, or why it did not."""

SCOPES: Final = ("whatsapp_business_messaging", "whatsapp_business_management")
USEFUL_FIELDS: Final = (
    "smb_message_echoes",
    "history",
    "calls",
    "user_preferences",
    "message_template_status_update",
    "message_template_quality_update",
    "template_category_update",
    "account_update",
    "account_alerts",
    "phone_number_quality_update",
    "phone_number_name_update",
    "business_capability_update",
    "security",
)
_SOON: Final = timedelta(days=14)
NEW_TOKEN: Final = (
    "In Business settings > System users, make a token that never expires for this app with the permissions "
    f"{' and '.join(SCOPES)}, and enter it with `channel set --access-token`."
)


def untold(name: str, error: SendError, fix: str) -> Finding:
    """What a refused question means: red when Meta refused it for good, unknown when it may pass."""
    if error.retryable:
        return Finding(name, None, f"could not be asked: {error.text}", "Try again in a few minutes.")
    return Finding(name, False, f"{error.text} ({error.code})", fix)


# The token and the app ------------------------------------------------------------------------------------


def token(told: Answer, debug: Mapping[str, Any], waba: str, now: datetime) -> Iterator[Finding]:
    if isinstance(told, SendError):
        yield untold("access token", told, NEW_TOKEN)
        return
    if debug.get("is_valid") is not True:
        yield Finding("access token", False, "The access token has expired or was revoked.", NEW_TOKEN)
        return
    yield _expiry(debug, now)
    granted = {word(scope) for scope in debug.get("scopes") or () if isinstance(scope, str)}
    lacking = [scope for scope in SCOPES if scope not in granted]
    if lacking:
        yield Finding("permissions", False, f"The token lacks {' and '.join(lacking)}.", NEW_TOKEN)
    else:
        yield Finding("permissions", True, "The token may send and read the account.")
    bound = [
        mapping(scope) for scope in items(debug.get("granular_scopes")) if mapping(scope).get("target_ids")
    ]
    away = [word(s.get("scope")) for s in bound if s.get("scope") in SCOPES and waba not in _ids(s)]
    if away:
        fix = f"In Business settings > System users > Assign assets, give the system user the account {waba}."
        yield Finding(
            "assigned account", False, f"The token may not use account {waba} ({', '.join(away)}).", fix
        )


def _ids(scope: Mapping[str, Any]) -> list[str]:
    ids = scope.get("target_ids")
    return [word(target) for target in ids] if isinstance(ids, list) else []


def _expiry(debug: Mapping[str, Any], now: datetime) -> Finding:
    ends = debug.get("expires_at")
    if not isinstance(ends, int) or ends <= 0:
        return Finding("access token", True, "The token is valid and does not expire.")
    until = datetime.fromtimestamp(min(ends, 4_000_000_000), UTC)
    text = f"The token is valid until {until:%Y-%m-%d}."
    return Finding("access token", until - now > _SOON, text, "" if until - now > _SOON else NEW_TOKEN)


def app_secret(proven: Answer, number: Answer) -> Finding:
    """The same question with and without a proof made of the secret: only a wrong secret makes them differ."""
    name, fix = (
        "app secret",
        "Copy it anew from the app's dashboard, App settings > Basic, with `channel set --app-secret`.",
    )
    if isinstance(proven, Mapping):
        return Finding(name, True, "The app secret belongs to the token's app.")
    if isinstance(number, SendError):
        return Finding(
            name, None, "could not be told: the number itself can't be read", "Mend the number first."
        )
    if proven.retryable:
        return untold(name, proven, fix)
    return Finding(
        name, False, "The app secret is not the one of the token's app: webhooks would be refused.", fix
    )


# The number and the account -------------------------------------------------------------------------------


def belongs(numbers: Answer, account: str, waba: str) -> Finding:
    fix = "Take both ids from the app's dashboard, WhatsApp > API setup, and enter them with `channel set`."
    if isinstance(numbers, SendError):
        return untold("business account", numbers, f"Is {waba or 'no id'} the business account's id? {fix}")
    ids = [word(mapping(item).get("id")) for item in items(numbers.get("data"))]
    if account in ids:
        return Finding("business account", True, "The phone number belongs to the business account.")
    return Finding(
        "business account", False, f"Phone number id {account} is not among those of account {waba}.", fix
    )


def number(told: Answer, proven: Answer) -> Iterator[Finding]:
    if isinstance(told, SendError) and isinstance(proven, Mapping):
        fix = "In the app's dashboard, App settings > Advanced > Security, turn off `Require app secret`."
        yield Finding(
            "phone number", False, "The app wants a proof with each call: nothing can be sent.", fix
        )
        return
    if isinstance(told, SendError):
        fix = "Take the phone number id from the app's dashboard, WhatsApp > API setup."
        yield untold("phone number", told, fix)
        return
    shown = word(told.get("display_phone_number")) or "the number"
    yield _registered(told, shown)
    yield _graded("quality", word(told.get("quality_rating")), ("GREEN", "UNKNOWN", "NA"), _QUALITY_FIX)
    yield _graded("display name", word(told.get("name_status")), _GOOD_NAMES, _NAME_FIX)
    limit = word(told.get("whatsapp_business_manager_messaging_limit"))
    yield Finding("messaging limit", True if limit else None, limit or "Meta does not say it.")
    health = mapping(told.get("health_status"))
    if health:
        yield _health(health)


_GOOD_NAMES: Final = ("APPROVED", "AVAILABLE_WITHOUT_REVIEW")
_QUALITY_FIX: Final = (
    "Customers block or report the messages: send fewer templates, to those who want them only."
)
_NAME_FIX: Final = (
    "In WhatsApp Manager > Phone numbers > Profile, edit the display name and wait for its approval."
)


def _graded(name: str, value: str, good: Sequence[str], fix: str) -> Finding:
    if not value:
        return Finding(name, None, "Meta does not say it.")
    return Finding(name, value in good, value, "" if value in good else fix)


def _registered(number: Mapping[str, Any], shown: str) -> Finding:
    status, platform = word(number.get("status")), word(number.get("platform_type"))
    if platform and platform != "CLOUD_API":
        fix = "Register the number with the Cloud API: POST /{phone number id}/register with a PIN."
        return Finding("phone number", False, f"{shown} is not on the Cloud API ({platform}).", fix)
    if word(number.get("code_verification_status")) == "NOT_VERIFIED":
        fix = "In WhatsApp Manager > Phone numbers, verify the number by SMS or call."
        return Finding("phone number", False, f"{shown} was never verified by code.", fix)
    if status and status != "CONNECTED":
        fix = "Register it (POST /{phone number id}/register with a PIN), or see WhatsApp Manager for why it is limited."
        return Finding("phone number", False, f"{shown} is {status}.", fix)
    test = ", a test number" if word(number.get("account_mode")) == "SANDBOX" else ""
    return Finding("phone number", True, f"{shown} is connected{test}.")


def _health(health: Mapping[str, Any]) -> Finding:
    can = word(health.get("can_send_message"))
    if can == "AVAILABLE":
        return Finding("health", True, "Messages can be sent.")
    errors = [
        mapping(e) for part in items(health.get("entities")) for e in items(mapping(part).get("errors"))
    ]
    why = " ".join(word(error.get("error_description"))[:300] for error in errors)
    how = " ".join(word(error.get("possible_solution"))[:300] for error in errors)
    return Finding(
        "health",
        False,
        f"Sending is {can.lower() or 'in doubt'}. {why}".strip(),
        how or "See WhatsApp Manager.",
    )


def account(told: Answer) -> Finding:
    if isinstance(told, SendError):
        return untold("account review", told, "Check the business account's id and the token's permissions.")
    fix = "In Business Support Home, see why the account was not approved, and ask for another review."
    return _graded("account review", word(told.get("account_review_status")), ("APPROVED",), fix)


# Webhooks -------------------------------------------------------------------------------------------------


def subscription(subscribed: Answer, app: str) -> Finding:
    name = "webhook subscription"
    fix = "Subscribe the app: POST /{business account id}/subscribed_apps with this token."
    if isinstance(subscribed, SendError):
        return untold(name, subscribed, fix)
    ids = [word(_subscriber(item).get("id")) for item in items(subscribed.get("data"))]
    if not ids or (app and app not in ids):
        return Finding(
            name, False, "This app is not subscribed to the business account: nothing would arrive.", fix
        )
    return Finding(name, True, "This app is subscribed to the business account.")


def _subscriber(item: object) -> Mapping[str, Any]:
    return mapping(mapping(item).get("whatsapp_business_api_data"))


def callback(number: Answer, subscribed: Answer, fields: Answer, app: str, webhook: str) -> Finding:
    """Where Meta sends webhooks: the number's own address, else the account's, else the app's."""
    name = "callback address"
    found = next((url for url in _callbacks(number, subscribed, fields, app) if url), "")
    if not found:
        return Finding(name, None, "Meta does not say it.", f"It should be {webhook}")
    if found.rstrip("/") in (webhook.rstrip("/"), webhook.rstrip("/").rpartition("/")[0]):
        return Finding(name, True, found)
    fix = f"In the app's dashboard, WhatsApp > Configuration (or the override), enter {webhook}"
    return Finding(name, False, f"Meta sends webhooks to {found}", fix)


def _callbacks(number: Answer, subscribed: Answer, fields: Answer, app: str) -> Iterator[str]:
    if isinstance(number, Mapping):
        where = mapping(number.get("webhook_configuration"))
        yield from (word(where.get(level)) for level in ("phone_number", "whatsapp_business_account"))
    if isinstance(subscribed, Mapping):
        rows = [mapping(item) for item in items(subscribed.get("data"))]
        yield from (
            word(r.get("override_callback_uri")) for r in rows if word(_subscriber(r).get("id")) == app
        )
    if isinstance(number, Mapping):
        yield word(mapping(number.get("webhook_configuration")).get("application"))
    yield word(_subscribed_object(fields).get("callback_url"))


def _subscribed_object(fields: Answer) -> Mapping[str, Any]:
    rows = [mapping(item) for item in items(fields.get("data"))] if isinstance(fields, Mapping) else []
    return next((row for row in rows if row.get("object") == "whatsapp_business_account"), {})


def fields(told: Answer) -> Finding:
    name = "webhook fields"
    fix = "In the app's dashboard, WhatsApp > Configuration, subscribe to the field `messages`."
    if isinstance(told, SendError):
        return Finding(name, None, f"could not be read: {told.text}", fix)
    row = _subscribed_object(told)
    names = [word(mapping(item).get("name")) for item in items(row.get("fields"))]
    if "messages" not in names or row.get("active") is False:
        return Finding(
            name, False, "The app does not get the field `messages`: no customer would be heard.", fix
        )
    missing = [field for field in USEFUL_FIELDS if field not in names]
    more = f" Not subscribed: {', '.join(missing)}." if missing else ""
    return Finding(name, True, f"`messages` is subscribed.{more}")


# The rest -------------------------------------------------------------------------------------------------


def public(webhook: str) -> Finding:
    """Whether Meta can call an address: it is https and not of a network of one's own."""
    parts = urlsplit(webhook)
    host = parts.hostname or ""
    try:
        outside = ip_address(host).is_global
    except ValueError:
        outside = "." in host and not host.endswith((".local", ".internal", ".localhost"))
    if parts.scheme == "https" and outside:
        return Finding("public address", True, webhook)
    fix = "Set PUBLIC_URL to the https:// address at which this server is reached from outside."
    return Finding("public address", False, f"Meta can't call {webhook}", fix)


def version(channel: Channel, now: datetime) -> Finding:
    used, today = version_of(channel), now.date()
    fix = f"Set `api_version` to {max(VERSIONS, key=_newest)} with `channel set --api-version`, or leave it out."
    ends = VERSIONS.get(used, date.min if _newest(used) < min(map(_newest, VERSIONS)) else date.max)
    if ends is None or ends - today > timedelta(days=90):
        return Finding("API version", None if ends == date.max else True, used)
    gone = "is not answered any more" if ends <= today else f"is answered until {ends} only"
    return Finding("API version", False, f"{used} {gone}.", fix)


def _newest(version: str) -> float:
    return float(version.removeprefix("v"))


_BAD_TEMPLATES: Final = ("REJECTED", "PAUSED", "DISABLED", "LIMIT_EXCEEDED", "LOCKED")


def templates(told: Answer) -> Finding:
    if isinstance(told, SendError):
        return untold("templates", told, f"The token needs {SCOPES[1]}.")
    rows = [mapping(item) for item in items(told.get("data"))]
    bad = [
        f"{word(r.get('name'))} ({word(r.get('status')).lower()})"
        for r in rows
        if r.get("status") in _BAD_TEMPLATES
    ]
    if bad:
        named = ", ".join(bad[:10]) + (f" and {len(bad) - 10} more" if len(bad) > 10 else "")
        return Finding(
            "templates", False, named, "In WhatsApp Manager > Message templates, edit or replace them."
        )
    approved = sum(row.get("status") == "APPROVED" for row in rows)
    return Finding("templates", True, f"{approved} of {len(rows)} approved.")
