"""Templates of a business account at the Graph API, and what its numbers may do.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
https://developers.facebook.com/docs/graph-api/guides/upload (the sample of a media header)
https://developers.facebook.com/documentation/business-messaging/whatsapp/messaging-limits
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from channels import http
from channels.read import items, mapping, word
from channels.whatsapp.errors import send_error
from channels.whatsapp.graph import Graph, token_of
from channels.whatsapp.media import upload
from gateway.model.content import Media, Template
from gateway.model.errors import NotFound, SendError
from gateway.model.ports import AccountTold, Files, Submitted
from gateway.model.tenant import Channel

PAGE: Final = 100
MOST_PAGES: Final = 1000
FIELDS: Final = "id,name,language,status,category,parameter_format,components,quality_score,rejected_reason,correct_category"
STANDING: Final = "quality_rating,whatsapp_business_manager_messaging_limit"
SAMPLE_TYPES: Final = frozenset({"image/jpeg", "image/png", "video/mp4", "application/pdf"})

_TIERS: Final = {
    "TIER_50": 50,
    "TIER_250": 250,
    "TIER_1K": 1000,
    "TIER_2K": 2000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
}
_UNLIMITED: Final = frozenset({"TIER_UNLIMITED", "UNLIMITED", "-1"})


class WhatsAppTemplates:
    """One for the process: the port `TemplateAdapter`."""

    def __init__(self, graph: Graph, files: Files) -> None:
        self._graph = graph
        self._files = files

    def business(self, channel: Channel) -> str:
        return str(channel.config.get("waba_id") or "")

    async def rows(self, channel: Channel) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        query = {"fields": FIELDS, "limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            answer = await self._asked(channel, query)
            rows = answer.get("data")
            if not isinstance(rows, list):
                # Taken for an empty list, it would mark every template as deleted.
                raise SendError(
                    "whatsapp:malformed", "WhatsApp's list of templates can't be read.", retryable=True
                )
            yield [mapping(row) for row in rows]
            paging = mapping(answer.get("paging"))
            after = word(mapping(paging.get("cursors")).get("after"))
            if not paging.get("next") or not after:
                return
            query = {**query, "after": after}
        raise SendError("whatsapp:malformed", "WhatsApp's list of templates does not end.")

    async def _asked(self, channel: Channel, query: Mapping[str, str]) -> Mapping[str, Any]:
        business = self.business(channel)
        if not business:
            raise SendError("whatsapp:no_waba", "The channel has no waba_id: `channel set` gives it one.")
        return await self._graph.call(channel, "GET", business, "message_templates", query=query)

    async def create(self, channel: Channel, definition: Mapping[str, Any]) -> Submitted:
        answer = await self._call(
            channel, "POST", self.business(channel), "message_templates", body=dict(definition)
        )
        remote = word(answer.get("id"))
        if not remote:
            raise SendError(
                "whatsapp:no_id", "WhatsApp's answer holds no id.", retryable=True, outcome="unknown"
            )
        return Submitted(remote, word(answer.get("status")), word(answer.get("category")))

    async def edit(self, channel: Channel, remote: str, definition: Mapping[str, Any]) -> None:
        await self._call(channel, "POST", remote, body=dict(definition))

    async def delete(self, channel: Channel, name: str, remote: str | None) -> None:
        query = {"name": name, **({"hsm_id": remote} if remote else {})}
        await self._call(channel, "DELETE", self.business(channel), "message_templates", query=query)

    async def _call(self, channel: Channel, method: str, *path: str, **more: Any) -> Mapping[str, Any]:
        """As `Graph.call`; a refusal says what the provider says to its user, for that names the mistake."""
        reply = await self._graph.exchange(channel, method, *path, **more)
        if reply.ok:
            return reply.body
        refused = send_error(reply.status, reply.body, reply.wait)
        told = mapping(reply.body.get("error"))
        parts = [word(told.get(n))[:300].strip() for n in ("error_user_title", "error_user_msg")]
        said = ". ".join(p.rstrip(".") for p in parts if p)
        raise replace(refused, text=f"{refused.text} {said}.") if said else refused

    async def sample(self, channel: Channel, file: str) -> str:
        try:
            opened = await self._files.open(channel.tenant, file)
        except NotFound:
            raise SendError("whatsapp:no_file", "The sample file is not there any more.") from None
        if opened.mime not in SAMPLE_TYPES:
            text = f"A sample is a JPEG, PNG, MP4 or PDF file; this one is {opened.mime}."
            raise SendError("whatsapp:file_type", text)
        token = token_of(channel)
        told = await self._graph.call(channel, "GET", "debug_token", query={"input_token": token})
        app = word(mapping(told.get("data")).get("app_id"))
        described = {
            "file_name": opened.name or "sample",
            "file_length": str(opened.size),
            "file_type": opened.mime,
        }
        begun = await self._graph.call(channel, "POST", app or "0", "uploads", query=described)
        session, _, signature = word(begun.get("id")).partition("?")
        reply = await self._graph.exchange(
            channel,
            "POST",
            session or "0",
            data=opened.read(),
            query=dict(parse_qsl(signature)) or None,
            headers={
                "Authorization": f"OAuth {token}",
                "file_offset": "0",
                "Content-Length": str(opened.size),
                "Content-Type": "application/octet-stream",
            },
            timeout=http.UPLOAD,
        )
        if not reply.ok:
            raise send_error(reply.status, reply.body, reply.wait)
        handle = word(reply.body.get("h"))
        if not handle:
            raise SendError(
                "whatsapp:no_id", "WhatsApp's answer holds no handle of the sample.", retryable=True
            )
        return handle

    async def standing(self, channel: Channel) -> AccountTold:
        told = await self._graph.call(channel, "GET", channel.account, query={"fields": STANDING})
        limit = limit_of(told.get("whatsapp_business_manager_messaging_limit"))
        rating = word(told.get("quality_rating")).upper()
        return replace(limit, quality=rating if rating in ("GREEN", "YELLOW", "RED") else "")


def limit_of(told: object) -> AccountTold:
    """A messaging limit, told as a tier or a number (-1: none)."""
    name = word(told).upper()
    if name in _UNLIMITED:
        return AccountTold(unlimited=True)
    if name.isascii() and name.isdigit() and len(name) < 12:
        return AccountTold(limit=int(name))
    return AccountTold(limit=_TIERS.get(name))


async def with_files(graph: Graph, files: Files, channel: Channel, template: Template) -> Template:
    """The template with the provider's ids in place of our files'. Raises SendError."""
    return replace(
        template,
        components=tuple([await _component(graph, files, channel, c) for c in template.components]),
    )


async def _component(
    graph: Graph, files: Files, channel: Channel, component: Mapping[str, Any]
) -> dict[str, Any]:
    done = []
    for item in items(component.get("parameters")):
        parameter = dict(mapping(item))
        kind = word(parameter.get("type"))
        ours = word(mapping(parameter.get(kind)).get("id"))
        if kind in ("image", "video", "document") and ours.startswith("f_"):
            known = await files.uploaded(channel.tenant, ours, channel.id)
            media = Media(kind, file=ours)  # type: ignore[arg-type]
            given = known or await upload(graph, files, channel, media)
            parameter[kind] = {**mapping(parameter.get(kind)), "id": given}
        done.append(parameter)
    return {**component, "parameters": done} if done else dict(component)
