"""What the stand-in for Meta's Graph API knows of a business account, its app and its numbers: all in order, until a
test plants something wrong.

    graph.account.scopes.remove("whatsapp_business_management")
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.providers.graph_rules import Refusal
from tests.providers.graph_webhooks import WABA

APP = "1234567890123456"


def _number() -> dict[str, Any]:
    return {
        "display_phone_number": "15550783881",
        "verified_name": "Stand-in",
        "status": "CONNECTED",
        "quality_rating": "GREEN",
        "name_status": "APPROVED",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "account_mode": "LIVE",
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "throughput": {"level": "STANDARD"},
        "health_status": {"can_send_message": "AVAILABLE", "entities": []},
    }


@dataclass(slots=True)
class Account:
    """`secret` None: any proof made of an app secret is right. `callback` is the app's own address."""

    app: str = APP
    secret: str | None = None
    proof_wanted: bool = False
    valid: bool = True
    expires: int = 0
    scopes: list[str] = field(
        default_factory=lambda: [
            "whatsapp_business_messaging",
            "whatsapp_business_management",
            "public_profile",
        ]
    )
    targets: list[str] | None = None
    waba: str = WABA
    numbers: list[str] | None = None
    number: dict[str, Any] = field(default_factory=_number)
    review: str = "APPROVED"
    subscribed: list[str] = field(default_factory=lambda: [APP])
    override: str | None = None
    callback: str = ""
    fields: list[str] = field(default_factory=lambda: ["messages", "account_update"])
    templates: list[dict[str, Any]] = field(
        default_factory=lambda: [{"name": "hello_world", "language": "en_US", "status": "APPROVED"}]
    )

    def prove(self, token: str, proof: str | None) -> None:
        """Raises Refusal for a proof that was not made of the app's secret."""
        if proof is None and self.proof_wanted:
            raise Refusal(100, "API calls from the server require an appsecret_proof argument")
        if proof is None or self.secret is None:
            return
        right = hmac.new(self.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(proof, right):
            raise Refusal(100, "Invalid appsecret_proof provided in the API argument")

    def debug(self) -> Mapping[str, Any]:
        bound = {"target_ids": self.targets} if self.targets is not None else {}
        return {
            "data": {
                "app_id": self.app,
                "type": "SYSTEM_USER",
                "application": "Parley",
                "expires_at": self.expires,
                "is_valid": self.valid,
                "scopes": self.scopes,
                "granular_scopes": [{"scope": scope, **bound} for scope in self.scopes],
            }
        }

    def answer(self, name: str, edge: str, numbers: list[str], token: str) -> Mapping[str, Any]:
        """The answer to `GET /{name}/{edge}` about the business account or the app. Raises Refusal."""
        if name == self.app and edge == "subscriptions":
            return self._subscriptions(token)
        if name != self.waba:
            raise Refusal(100, "Unsupported get request. Object does not exist.", subcode=33)
        if "whatsapp_business_management" not in self.scopes:
            raise Refusal(200, "Permissions error", status=403)
        if edge == "phone_numbers":
            return {
                "data": [{"id": number} for number in (numbers if self.numbers is None else self.numbers)]
            }
        if edge == "subscribed_apps":
            override = {"override_callback_uri": self.override} if self.override else {}
            return {
                "data": [
                    {"whatsapp_business_api_data": {"id": app, "name": "app"}, **override}
                    for app in self.subscribed
                ]
            }
        if edge == "message_templates":
            return {"data": self.templates}
        return {"id": self.waba, "name": "Stand-in", "account_review_status": self.review}

    def _subscriptions(self, token: str) -> Mapping[str, Any]:
        if token != f"{self.app}|{self.secret}" and self.secret is not None:
            raise Refusal(190, "Invalid OAuth access token signature.", status=401)
        fields = [{"name": name, "version": "v26.0"} for name in self.fields]
        row = {
            "object": "whatsapp_business_account",
            "callback_url": self.callback,
            "active": True,
            "fields": fields,
        }
        return {"data": [row]}
