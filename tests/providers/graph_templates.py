"""The stand-in's templates of the business account: pages of them, new ones, changes, deletions, samples of media headers.

    graph.templates.add("order_ready", body="Your order {{1}} is ready.", category="UTILITY")
    graph.templates.approve("order_ready", category="MARKETING")       # as Meta does it: another category than was asked for
    graph.templates.broken = "no_data"                                 # its list is malformed from now on

What it is sent is checked against
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components and
https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management,
written here a second time on purpose: the gateway's own rules are not asked.
"""

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from aiohttp import web

from tests.providers.graph_account import Account
from tests.providers.graph_rules import Refusal

_VARIABLE = re.compile(r"\{\{(\w+)\}\}")


class Templates:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._ids = itertools.count(1_000_000_000_000_001)
        self._sessions: dict[str, int] = {}
        self.handles: dict[str, bytes] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.pages = 0
        self.broken: Literal["", "no_data", "endless"] = ""
        self.categories: dict[str, str] = {}
        """By name: the category that a new one gets, whatever was asked for."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self._account.templates

    # Commands

    def add(
        self,
        name: str,
        *,
        body: str = "Hello, all is well.",
        language: str = "en_US",
        status: str = "APPROVED",
        category: str = "UTILITY",
        examples: list[str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        part: dict[str, Any] = {"type": "BODY", "text": body}
        if examples:
            part["example"] = {"body_text": [examples]}
        row = {
            "id": str(next(self._ids)),
            "name": name,
            "language": language,
            "status": status,
            "category": category,
            "parameter_format": "POSITIONAL",
            "components": [part],
            **more,
        }
        self.rows.append(row)
        return row

    def row(self, name: str, language: str = "en_US") -> dict[str, Any]:
        return next(r for r in self.rows if r["name"] == name and r["language"] == language)

    def approve(self, name: str, language: str = "en_US", category: str | None = None) -> dict[str, Any]:
        row = self.row(name, language)
        row["status"] = "APPROVED"
        row["category"] = category or row["category"]
        return row

    # Serving

    def knows(self, method: str, name: str, edge: str) -> bool:
        if edge == "message_templates":
            return name == self._account.waba
        if method == "POST":
            of_app = edge == "uploads" and name == self._account.app
            return of_app or name.startswith("upload:") or any(r.get("id") == name for r in self.rows)
        return False

    async def answer(self, request: web.BaseRequest, name: str, edge: str) -> Mapping[str, Any]:
        if "whatsapp_business_management" not in self._account.scopes:
            raise Refusal(200, "Permissions error", status=403)
        if edge == "uploads":
            return self._session(request)
        if name.startswith("upload:"):
            return await self._upload(request, name)
        if request.method == "GET":
            return self._page(request)
        if request.method == "DELETE":
            return self._delete(request)
        body = json.loads(await request.read())
        self.calls.append((request.method, name, body))
        return self._edit(name, body) if not edge else self._create(body)

    def _page(self, request: web.BaseRequest) -> Mapping[str, Any]:
        self.pages += 1
        if self.broken == "no_data":
            return {"data": None}
        limit, after = int(request.query.get("limit", "25")), request.query.get("after", "0")
        if not 0 < limit <= 1000 or not after.isdigit():
            raise Refusal(100, "Invalid parameter")
        start = int(after)
        rows = self.rows[start : start + limit]
        if request.query.get("fields"):
            asked = {*request.query["fields"].split(","), "id"}
            rows = [{k: v for k, v in r.items() if k in asked} for r in rows]
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + len(rows))}}
        if start + limit < len(self.rows) or self.broken == "endless":
            paging["next"] = f"{request.url}&after={start + len(rows)}"
            paging["cursors"]["after"] = "0" if self.broken == "endless" else str(start + len(rows))
        return {"data": rows, "paging": paging}

    def _create(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if set(body) - {"name", "language", "category", "components", "parameter_format"}:
            raise Refusal(100, "Invalid parameter: unknown field")
        name, language = body["name"], body["language"]
        if not re.fullmatch(r"[a-z0-9_]{1,512}", name) or not re.fullmatch(
            r"[a-z]{2,3}(_[A-Z]{2})?", language
        ):
            raise Refusal(100, "Invalid parameter: name or language")
        if any(r["name"] == name and r["language"] == language for r in self.rows):
            raise Refusal(100, "Content in this language already exists", subcode=2388024)
        _check(body["category"], body["components"], body.get("parameter_format") == "NAMED")
        self._check_samples(body["components"])
        row = {
            **body,
            "id": str(next(self._ids)),
            "status": "PENDING",
            "category": self.categories.get(name, body["category"]),
        }
        self.rows.append(row)
        return {"id": row["id"], "status": "PENDING", "category": row["category"]}

    def _edit(self, remote: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        row = next(r for r in self.rows if r.get("id") == remote)
        if row["status"] not in ("APPROVED", "REJECTED", "PAUSED"):
            raise Refusal(
                100, "Templates can be edited when approved, rejected or paused only", subcode=2388004
            )
        if "category" in body and row["status"] == "APPROVED":
            raise Refusal(100, "The category of an approved template can't be changed", subcode=2388004)
        components = body.get("components", row["components"])
        named = any(not n.isdigit() for c in components for n in _VARIABLE.findall(c.get("text", "")))
        _check(body.get("category", row["category"]), components, named)
        self._check_samples(components)
        row.update(body, status="PENDING")
        return {"success": True}

    def _delete(self, request: web.BaseRequest) -> Mapping[str, Any]:
        name, remote = request.query.get("name", ""), request.query.get("hsm_id")
        gone = [r for r in self.rows if r["name"] == name and remote in (None, r.get("id"))]
        if not gone:
            raise Refusal(100, "Message template not found", subcode=2593002)
        self.calls.append(("DELETE", name, remote))
        self._account.templates = [r for r in self.rows if r not in gone]
        return {"success": True}

    # Samples

    def _session(self, request: web.BaseRequest) -> Mapping[str, Any]:
        kinds = ("application/pdf", "image/jpeg", "image/jpg", "image/png", "video/mp4")
        if request.query.get("file_type") not in kinds or not request.query.get("file_length", "").isdigit():
            raise Refusal(100, "Invalid parameter: file_type or file_length")
        session = f"upload:{next(self._ids)}"
        self._sessions[session] = int(request.query["file_length"])
        return {"id": f"{session}?sig=ARZ{session[-4:]}"}

    async def _upload(self, request: web.BaseRequest, session: str) -> Mapping[str, Any]:
        if request.headers.get("Authorization", "").split(" ")[0] != "OAuth":
            raise Refusal(190, "Invalid OAuth access token", status=401)
        if request.headers.get("file_offset") != "0" or request.query.get("sig") != f"ARZ{session[-4:]}":
            raise Refusal(100, "Invalid parameter: file_offset or signature")
        data = await request.read()
        if len(data) != self._sessions.get(session):
            raise Refusal(100, "Invalid parameter: the file is not as long as it was said to be")
        handle = f"4::{session}"
        self.handles[handle] = data
        return {"h": handle}

    def _check_samples(self, components: list[dict[str, Any]]) -> None:
        for part in components:
            if part.get("format") in ("IMAGE", "VIDEO", "DOCUMENT"):
                handles = part.get("example", {}).get("header_handle", [])
                known = handles and (handles[0] in self.handles or str(handles[0]).startswith("https://"))
                if not known:
                    raise Refusal(100, "Missing sample parameter: header_handle", subcode=2388043)


def _check(category: str, components: list[dict[str, Any]], named: bool) -> None:
    """Raises Refusal for what the review would reject at once."""
    if category not in ("MARKETING", "UTILITY", "AUTHENTICATION"):
        raise Refusal(100, "Invalid parameter: category")
    kinds = [c.get("type") for c in components]
    if kinds.count("BODY") != 1 or len(set(kinds)) != len(kinds):
        raise Refusal(100, "Invalid parameter: components")
    for part in components:
        if category == "AUTHENTICATION":
            _check_code(part)
        else:
            _PARTS[part["type"]](part, named)


def _check_code(part: dict[str, Any]) -> None:
    match part["type"]:
        case "BODY" if "text" not in part and isinstance(part.get("add_security_recommendation", True), bool):
            return
        case "FOOTER" if 1 <= part.get("code_expiration_minutes", 0) <= 90:
            return
        case "BUTTONS" if [b["type"] for b in part["buttons"]] == ["OTP"]:
            return
    raise Refusal(100, "Invalid parameter: an authentication template has preset parts", subcode=2388042)


def _check_header(part: dict[str, Any], named: bool) -> None:
    if part.get("format") not in ("TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"):
        raise Refusal(100, "Invalid parameter: format")
    if part["format"] == "TEXT":
        found = _VARIABLE.findall(part["text"])
        if not 0 < len(part["text"]) <= 60 or len(found) > 1:
            raise Refusal(100, "Message header can't be longer than 60 characters", subcode=2388047)
        _samples(part, "header_text", found, named)


def _check_body(part: dict[str, Any], named: bool) -> None:
    text = part["text"]
    if not 0 < len(text) <= 1024:
        raise Refusal(100, "Message body is too long", subcode=2388040)
    found = _VARIABLE.findall(text)
    if re.match(r"\s*\{\{", text) or re.search(r"\}\}\s*$", text):
        raise Refusal(100, "Variables can't be at the start or end of the template.", subcode=2388299)
    _samples(part, "body_text", list(dict.fromkeys(found)), named)


def _samples(part: dict[str, Any], what: str, found: list[str], named: bool) -> None:
    if not found:
        return
    if named != all(not n.isdigit() for n in found):
        raise Refusal(100, "Invalid parameter: parameter_format", subcode=2388073)
    example = part.get("example", {})
    if named:
        given = [p["example"] for p in example.get(f"{what}_named_params", [])]
    else:
        rows = example.get(what, [])
        given = rows[0] if what == "body_text" and rows else rows
        if sorted(map(int, found)) != list(range(1, len(found) + 1)):
            raise Refusal(100, "Variable parameters are not sequential", subcode=2388065)
    if len([g for g in given if g]) != len(found):
        raise Refusal(
            100, f"component of type {part['type']} is missing expected field(s) (example)", subcode=2388043
        )


def _check_footer(part: dict[str, Any], named: bool) -> None:
    if not 0 < len(part["text"]) <= 60 or "{{" in part["text"]:
        raise Refusal(100, "Message footer can't be longer than 60 characters", subcode=2388072)


def _check_buttons(part: dict[str, Any], named: bool) -> None:
    kinds = [b["type"] for b in part["buttons"]]
    groups = [k == "QUICK_REPLY" for k in kinds]
    switches = sum(a != b for a, b in itertools.pairwise(groups))
    if not 0 < len(kinds) <= 10 or kinds.count("URL") > 2 or kinds.count("PHONE_NUMBER") > 1 or switches > 1:
        raise Refusal(100, "Invalid combination of buttons", subcode=2388098)
    for b in part["buttons"]:
        if b["type"] != "COPY_CODE" and not 0 < len(b["text"]) <= 25:
            raise Refusal(100, "Button text is too long", subcode=2388055)
        if b["type"] == "URL" and "{{" in b["url"]:
            _check_url(b)


def _check_url(b: dict[str, Any]) -> None:
    if not b["url"].endswith("}}") or not (b.get("example") or [""])[0]:
        raise Refusal(100, "A variable stands at the end of an address, with a sample", subcode=2388073)


_PARTS = {"HEADER": _check_header, "BODY": _check_body, "FOOTER": _check_footer, "BUTTONS": _check_buttons}
