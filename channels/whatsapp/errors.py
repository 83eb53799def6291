"""What WhatsApp's error codes mean and what to do about each.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from channels.kit import http_error
from channels.read import mapping, word
from gateway.model.errors import SendError
from gateway.model.lanes import Scope
from gateway.model.message import Failure

_DOCS: Final = "https://developers.facebook.com/documentation/business-messaging/whatsapp"
PAGE: Final = f"{_DOCS}/support/error-codes"
GROUPS: Final = f"{_DOCS}/groups/error-codes"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a code leads to. `wait` is in seconds and used when the answer has no Retry-After. `scope` is whom it concerns."""

    text: str
    retryable: bool = False
    wait: float | None = None
    scope: Scope = "message"
    opt_out: bool = False
    window_closed: bool = False
    disable_channel: bool = False
    page: str = PAGE


def _later(text: str, wait: float | None = None) -> Decision:
    """Again later, this message alone."""
    return Decision(text, retryable=True, wait=wait)


def _busy(text: str, wait: float) -> Decision:
    """The whole number is to wait."""
    return Decision(text, retryable=True, wait=wait, scope="channel")


def _down(text: str) -> Decision:
    """WhatsApp itself fails: a few in a row, and the number is left alone for a while."""
    return Decision(text, retryable=True, scope="channel")


def _off(text: str) -> Decision:
    return Decision(text, disable_channel=True)


UNMAPPED: Final = Decision("WhatsApp gave a code that Parley does not know.", retryable=True)
"""Retried once, for a new code is as likely to pass as not."""

DECISIONS: Final[Mapping[int, Decision]] = {
    # Credentials and the account: a person has to act before anything can be sent.
    0: _off("The access token is not valid any more."),
    3: _off("The app lacks the permission to send."),
    10: _off("The app's permission was not granted or was removed."),
    33: _off("The phone number was deleted from the business account."),
    101: _off("The app's id or secret is not valid."),
    102: _off("The access token's session has ended."),
    190: _off("The access token has expired or was revoked."),
    368: _off("WhatsApp has blocked the business account for breaking a policy."),
    131005: _off("The app's permission was not granted or was removed."),
    131031: _off("WhatsApp has locked the business account."),
    131045: _off("The phone number's registration is not valid."),
    133010: _off("The phone number is not registered with the Cloud API."),
    # Too much, too fast: the message itself is fine.
    4: _busy("The app made too many calls.", 60),
    17: _busy("The token's user made too many calls.", 60),
    32: _busy("The app made too many calls for this account.", 60),
    341: _busy("The app reached its limit for the moment.", 300),
    613: _busy("The app made too many calls of one kind.", 60),
    80007: _busy("The business account reached its rate limit.", 60),
    130429: _busy("The phone number reached its sending rate.", 5),
    131048: _busy("WhatsApp limits this number because its messages were blocked or reported.", 3600),
    131056: Decision("Too many messages to this one customer in a short time.", True, 6, "recipient"),
    131064: _busy("The account reached its limit because of how its templates were classified.", 3600),
    133016: _busy("The number was registered or deregistered too often.", 3600),
    # Faults on their side.
    1: _down("WhatsApp had an unknown fault."),
    2: _down("WhatsApp is overloaded or down for the moment."),
    131000: _down("WhatsApp had an unknown fault."),
    131016: _down("A part of WhatsApp is not available for the moment."),
    131057: _busy("The business account is in maintenance.", 300),
    2494100: _busy("The phone number is in maintenance.", 300),
    133004: _down("WhatsApp's server is not available for the moment."),
    135000: _later("WhatsApp could not process the message."),
    130472: Decision("WhatsApp did not send the message: the customer is in an experiment."),
    134101: _later("The template is still being prepared.", 600),
    # The recipient.
    131020: Decision("The group has no other members.", page=GROUPS),
    131041: Decision("The group does not exist, or the number is not a member.", page=GROUPS),
    131059: Decision("The list of groups has to be read from its start again.", page=GROUPS),
    131021: Decision("The sender and the recipient are the same number."),
    131026: Decision("WhatsApp cannot deliver to this customer: no account, an old app, or they blocked us."),
    131030: Decision("The recipient is not on the test number's list of recipients."),
    131047: Decision("More than 24 hours have passed since the customer's last message.", window_closed=True),
    131049: Decision("WhatsApp held the message back so that the customer gets less marketing."),
    131050: Decision("The customer stopped marketing messages from this business.", opt_out=True),
    131062: Decision("This kind of message cannot be sent to a customer without a visible phone number."),
    137000: Decision("The customer's identity changed since it was last confirmed."),
    130497: Decision("The business account may not write to customers in this country."),
    # The message.
    100: Decision("WhatsApp did not accept a value in the message."),
    131008: Decision("The message lacks a value that WhatsApp requires."),
    131009: Decision("A value in the message is not valid."),
    131051: Decision("WhatsApp does not support this kind of message."),
    131052: _later("WhatsApp could not fetch the file that the customer sent."),
    131053: Decision("WhatsApp could not take the file of the message."),
    131058: Decision("The template hello_world can be sent from test numbers only."),
    131060: Decision(
        "The customer's message is not given to the API: it can be read in the business's app only."
    ),
    131055: Decision("This way of sending is not allowed for the message."),
    # The account's standing.
    131037: Decision("The phone number's display name is not approved yet."),
    131042: Decision("The business account has a payment problem."),
    131044: Decision("The business account has a payment problem."),
    134011: Decision("The terms of payments on WhatsApp were not accepted yet."),
    134100: Decision("Only marketing messages can be sent this way."),
    134102: Decision("The template cannot be used this way for the moment."),
    2593107: Decision("History or contacts were asked for too often: it is possible once."),
    2593108: Decision("History or contacts can be asked for within 24 hours after connecting only."),
    2593109: Decision("The business does not share its chat history."),
    131063: Decision("Marketing templates are switched off for the Cloud API on this account."),
    # Templates and flows.
    132000: Decision("The number of the template's values does not fit."),
    132001: Decision("The template does not exist in this language or is not approved."),
    132005: Decision("The template's text is too long once filled in."),
    132007: Decision("The template breaks a content policy."),
    132008: Decision("A value for the template is not valid."),
    132012: Decision("A value for the template has the wrong format."),
    132015: Decision("The template is paused because of its quality."),
    132016: Decision("The template is disabled for good because of its quality."),
    132068: Decision("The form (flow) is blocked."),
    132069: Decision("The form (flow) is limited to a few messages an hour."),
}
"""By code. Sentences are for the business's own people and say nothing of the message."""

RANGES: Final[tuple[tuple[int, int, Decision], ...]] = (
    (200, 299, _off("The app's permission was not granted or was removed.")),
    (131200, 131299, Decision("WhatsApp did not accept a group's message or change.", page=GROUPS)),
    (132000, 132999, Decision("WhatsApp did not accept the template.")),
    (133000, 133999, Decision("The phone number's registration has a problem.")),
    (138000, 138999, Decision("WhatsApp did not accept the call.")),
    (139000, 139999, Decision("WhatsApp did not accept the change of a form (flow) or of a block list.")),
    (147000, 147999, Decision("WhatsApp did not accept the username.")),
    (2388000, 2388999, Decision("WhatsApp did not accept a new template or a number's move.")),
    (2494160, 2494199, Decision("WhatsApp did not accept the sign-up.")),
)
"""By first and last code, for what has no row of its own: most of these no message can lead to."""

_MISSING_OBJECT: Final = 33
"""Subcode of 100: the phone number id does not exist, or not for this token."""


def decision(code: int, subcode: int = 0) -> Decision:
    """What to do about a code: by its own row, its range, or as an unknown one."""
    if code == 100 and subcode == _MISSING_OBJECT:
        return _off("The phone number id does not exist, or the token may not use it.")
    return DECISIONS.get(code) or next(_ranges(code), UNMAPPED)


def _ranges(code: int) -> Iterator[Decision]:
    return (known for first, last, known in RANGES if first <= code <= last)


def mapped(code: str) -> bool:
    """Whether a code that WhatsApp gave, as in `SendError.code`, is one that we know."""
    digits = code.removeprefix("whatsapp:")
    return not (digits.isascii() and digits.isdigit()) or decision(int(digits)) is not UNMAPPED


def failure(code: str) -> Failure:
    """What a `failed` status says, for the message's record. `code` is the provider's digits, or ""."""
    if not (code.isascii() and code.isdigit()):
        return Failure("whatsapp:unknown", "WhatsApp did not say why.")
    return Failure(f"whatsapp:{code}", decision(int(code)).text)


def is_opt_out(code: str) -> bool:
    """Whether a `failed` status says that its customer wants no marketing. `code` is the provider's digits, or ""."""
    return code.isascii() and code.isdigit() and decision(int(code)).opt_out


def send_error(status: int, answer: object, wait: float | None) -> SendError:
    """The error of an answer with an HTTP status from 400 on. `wait` is its Retry-After, in seconds."""
    error = mapping(mapping(answer).get("error"))
    code, subcode = _number(error, "code"), _number(error, "error_subcode")
    if code is None:
        return http_error("whatsapp", status, wait)
    known = decision(code, subcode or 0)
    # Their own flag, and a status that says so, outweigh a row written for the common case.
    passing = status == 429 or (error.get("is_transient") is True and not known.disable_channel)
    found = SendError(
        code=f"whatsapp:{code}",
        text=known.text,
        retryable=known.retryable or passing,
        wait=wait if wait is not None else known.wait,
        scope=known.scope,
        opt_out=known.opt_out,
        window_closed=known.window_closed,
        disable_channel=known.disable_channel,
        most_attempts=2 if known is UNMAPPED else None,
    )
    if known.scope == "message" and (status == 429 or status >= 500 or wait is not None):
        found = replace(found, scope="channel")
    return replace(found, disable_channel=False) if passing else found


def _number(error: Mapping[str, Any], name: str) -> int | None:
    digits = word(error.get(name))
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
