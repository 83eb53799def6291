"""The REST API: every operation is for the tenant of the key that it is called with."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from html import escape
from typing import Any

from aiohttp import web

from channels import registry
from gateway import media
from gateway.api import shapes
from gateway.api.answers import AnswerOperations
from gateway.api.campaigns import CampaignOperations
from gateway.api.consents import ConsentOperations
from gateway.api.dead_letters import DeadLetterOperations
from gateway.api.decisions import DecisionOperations
from gateway.api.goldens import GoldenOperations
from gateway.api.hours import HoursOperations
from gateway.api.knowledge import KnowledgeOperations
from gateway.api.openapi import BadRequest, Operation, checked, document, read_json
from gateway.api.questions import QuestionOperations
from gateway.api.rules import RuleOperations
from gateway.api.templates import TemplateOperations
from gateway.campaigns import Campaigns
from gateway.desk import Desk
from gateway.facts import window_of
from gateway.files import FileLinks
from gateway.handoff import set_owner
from gateway.knowing import Knowing
from gateway.model.conversation import Conversation
from gateway.model.errors import Invalid, NotFound
from gateway.model.file import File
from gateway.model.limits import Limits
from gateway.model.ports import Clock
from gateway.model.work import Work
from gateway.ops.door import too_many
from gateway.ops.problems import problem
from gateway.presence import Presence
from gateway.questions import Questions
from gateway.reopen import Reopen
from gateway.store import Store
from gateway.template_sync import TemplateSync
from gateway.templates import Templates

Handler = Callable[[web.Request], Awaitable[web.Response]]
PREFIX = "/api/v1"


class Api:
    def __init__(
        self,
        store: Store,
        work: Work,
        clock: Clock,
        public_url: str,
        desk: Desk,
        links: FileLinks,
        limits: Limits,
        presence: Presence,
        templates: Templates,
        template_sync: TemplateSync,
        reopen: Reopen,
        campaigns: Campaigns,
        *,
        knowledge: KnowledgeOperations,
        answers: AnswerOperations,
        questions: Questions,
        knowing: Knowing,
    ) -> None:
        self._store = store
        self._limits = limits
        self._presence = presence
        self._work = work
        self._clock = clock
        self._public_url = public_url
        self._desk = desk
        self._links = links
        self.operations = (
            Operation(
                "GET", "/conversations", "Conversations, newest first", self.list_conversations,
                shapes.ConversationPage, query=shapes.PageQuery, tag="conversations",
            ),
            Operation(
                "GET", "/conversations/{conversation}", "One conversation", self.get_conversation,
                shapes.ConversationShape, tag="conversations",
            ),
            Operation(
                "GET", "/conversations/{conversation}/messages", "A conversation's messages", self.list_messages,
                shapes.MessagePage, query=shapes.MessageQuery, tag="conversations",
            ),
            Operation(
                "POST", "/conversations/{conversation}/messages", "Send a message", self.send_message,
                shapes.MessageList, body=shapes.Sending, tag="conversations",
            ),
            Operation(
                "GET", "/conversations/{conversation}/presence", "Whether the customer is there", self.get_presence,
                shapes.PresenceShape, tag="conversations",
            ),
            Operation(
                "POST", "/conversations/{conversation}/typing", "Show that somebody types", self.show_typing,
                None, tag="conversations",
            ),
            Operation(
                "POST", "/files", "Upload a file", self.upload_file, shapes.FileShape, query=shapes.UploadQuery,
                tag="files", upload=True,
            ),
            Operation("GET", "/files/{file}", "One file", self.get_file, shapes.FileShape, tag="files"),
            Operation(
                "GET", "/channels/{channel}/events", "What happened to a channel", self.list_events, shapes.EventList,
                query=shapes.LimitQuery, tag="channels",
            ),
            Operation(
                "PUT", "/conversations/{conversation}/owner", "Who answers", self.change_owner,
                shapes.ConversationShape, body=shapes.OwnerChange, tag="conversations",
            ),
            Operation(
                "GET", "/leads", "Leads, newest first", self.list_leads, shapes.LeadPage,
                query=shapes.PageQuery, tag="leads",
            ),
            Operation("GET", "/channels", "Connected channels", self.list_channels, shapes.ChannelList, tag="channels"),
            *knowledge.operations,
            *answers.operations,
            *TemplateOperations(store, templates, template_sync, reopen, desk).operations,
            *DeadLetterOperations(store, work, clock).operations,
            *ConsentOperations(store, work, clock).operations,
            *CampaignOperations(campaigns).operations,
            *DecisionOperations(store).operations,
            *RuleOperations(store).operations,
            *HoursOperations(store).operations,
            *QuestionOperations(store, questions, clock).operations,
            *GoldenOperations(store, knowing, clock).operations,
        )  # fmt: skip

    def routes(self) -> list[web.RouteDef]:
        return [
            *(web.route(o.method, PREFIX + o.path, self._handler(o)) for o in self.operations),
            web.get("/api/openapi.json", self.openapi),
            web.get("/api/docs", self.docs),
        ]

    def _handler(self, operation: Operation) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
            key = (
                await self._store.access.key(secret.strip())
                if scheme.lower() == "bearer" and secret
                else None
            )
            if key is None:
                return problem(
                    401, "key", "Send a key: Authorization: Bearer KEY. `key create` makes one.",
                    headers={"WWW-Authenticate": "Bearer"},
                )  # fmt: skip
            own = (await self._store.directory.tenant(key.tenant)).limits
            if wait := await self._limits.take("api", key.id, own):
                return too_many("api", wait)
            values: dict[str, Any] = dict(request.match_info)
            try:
                if operation.query is not None:
                    values["query"] = checked(operation.query, dict(request.query), "query")
                elif request.query:
                    raise BadRequest(
                        [{"field": f"query.{n}", "expected": "no such parameter"} for n in request.query]
                    )
                if operation.body is not None:
                    values["body"] = checked(operation.body, await read_json(request), "body")
                if operation.upload:
                    values["chunks"] = _uploaded(request)
            except BadRequest as error:
                return error.answer()
            answer = await operation.call(key.tenant, **values)
            if answer is None:
                return web.Response(status=204)
            return web.Response(
                text=answer.model_dump_json(),
                content_type="application/json",
                headers={"Cache-Control": "no-store"},
            )

        return handle

    async def list_conversations(self, tenant: str, query: shapes.PageQuery) -> shapes.ConversationPage:
        """Conversations by their last message, newest first."""
        page = await self._store.of(tenant).conversations.recent(query.before, self._clock(), query.limit)
        return shapes.ConversationPage(items=[await self._shown(c) for c in page.items], next=page.next)

    async def get_conversation(self, tenant: str, conversation: str) -> shapes.ConversationShape:
        """One conversation."""
        found = await self._store.of(tenant).conversations.get(conversation)
        if found is None:
            raise NotFound(conversation)
        return await self._shown(found)

    async def _shown(self, found: Conversation) -> shapes.ConversationShape:
        channel = await self._store.directory.channel(found.channel)
        hours = registry.CAPABILITIES[channel.kind].service_window_hours
        until = window_of(found, hours)
        return shapes.ConversationShape.of(
            found, shapes.WindowShape.of(until, self._clock()) if hours is not None else None
        )

    async def list_messages(
        self, tenant: str, conversation: str, query: shapes.MessageQuery
    ) -> shapes.MessagePage:
        """The latest messages, oldest first. `more` says that there are older ones: ask with `before`."""
        await self.get_conversation(tenant, conversation)
        page = await self._store.of(tenant).messages.before(conversation, query.before, query.limit)
        return shapes.MessagePage(items=[shapes.MessageShape.of(m) for m in page.messages], more=page.more)

    async def send_message(self, tenant: str, conversation: str, body: shapes.Sending) -> shapes.MessageList:
        """Queue a message of a person's. The conversation is theirs from then on, and the bot is silent. What the channel
        can't show as it is becomes what it can, perhaps several messages; what nothing can stand in for is refused. While
        the service window is closed free text is refused (409), unless it may wait (`hold`): a `template` is not."""
        if (body.content is None) == (body.template is None):
            raise Invalid("body", "one of content and template")
        if body.template is not None:
            if body.reply_to is not None:
                raise Invalid("body.reply_to", "nothing: a template quotes no message")
            t = body.template
            sent = await self._desk.say_template(tenant, conversation, t.name, t.language, t.values, body.key)
        else:
            sent = await self._desk.say(
                tenant, conversation, body.content or {}, body.reply_to, body.key, body.hold
            )
        return shapes.MessageList(items=[shapes.MessageShape.of(m) for m in sent])

    async def get_presence(self, tenant: str, conversation: str) -> shapes.PresenceShape:
        """Whether the visitor has the widget open (`present`), and typed within the last seconds (`typing`). Only the web
        tells; elsewhere both are false."""
        present, typing = await self._presence.of(tenant, conversation)
        return shapes.PresenceShape(present=present, typing=typing)

    async def show_typing(self, tenant: str, conversation: str) -> None:
        """Show the customer for a few seconds that somebody of the business is typing. On other channels than the web as far
        as the provider allows it: WhatsApp marks the customer's last message as read by it, Slack shows it in threads only.
        Where there is no way it is refused (422)."""
        await self._presence.show_typing(tenant, conversation)

    async def upload_file(
        self, tenant: str, query: shapes.UploadQuery, chunks: AsyncIterator[bytes]
    ) -> shapes.FileShape:
        """Upload a file of at most 100 MB, as the body itself. Its `id` then goes into a message's content:
        {"type": "media", "media": "document", "file": "f_…"}. One that is never sent is removed after a week."""
        files = self._store.of(tenant).files
        file = await media.take(files, tenant, "", None, query.name, chunks, media.MOST_BYTES, self._clock())
        return self._file(file)

    async def get_file(self, tenant: str, file: str) -> shapes.FileShape:
        """A file that a customer sent, or that was uploaded, with an address to download it from."""
        return self._file(await self._store.of(tenant).files.get(file))

    def _file(self, file: File) -> shapes.FileShape:
        ready = file.state == "ready"
        url = self._public_url + self._links.of(file.tenant, file.id) if ready else None
        small = (
            self._public_url + self._links.of(file.tenant, file.id, "thumbnail") if file.thumbnail else None
        )
        return shapes.FileShape.of(file, url, small)

    async def list_events(self, tenant: str, channel: str, query: shapes.LimitQuery) -> shapes.EventList:
        """What the provider told about the account itself, newest first: templates, quality, restrictions."""
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(channel)
        events = await self._store.of(tenant).events.latest(channel, query.limit)
        return shapes.EventList(
            items=[
                shapes.EventShape(**{f: getattr(e, f) for f in shapes.EventShape.model_fields})
                for e in events
            ]
        )

    async def change_owner(
        self, tenant: str, conversation: str, body: shapes.OwnerChange
    ) -> shapes.ConversationShape:
        """Hand the conversation to a person (`agent`), to the queue, or back to the bot. What the bot had queued is
        withdrawn when it is no longer the owner."""
        saved = await set_owner(self._store.of(tenant), conversation, body.owner)
        return await self._shown(saved)

    async def list_leads(self, tenant: str, query: shapes.PageQuery) -> shapes.LeadPage:
        """Leads by their last change, newest first."""
        page = await self._store.of(tenant).conversations.leads(query.before, self._clock(), query.limit)
        return shapes.LeadPage(items=[shapes.LeadShape.of(x) for x in page.items], next=page.next)

    async def list_channels(self, tenant: str) -> shapes.ChannelList:
        """The tenant's channels; never their secrets."""
        found = await self._store.directory.channels(tenant)
        return shapes.ChannelList(items=[shapes.ChannelShape.of(c, self._public_url) for c in found])

    async def openapi(self, request: web.Request) -> web.Response:
        return web.json_response(self._document())

    def _document(self) -> dict[str, Any]:
        return document(self.operations, self._public_url + PREFIX)

    async def docs(self, request: web.Request) -> web.Response:
        """The API as a page, made from the OpenAPI document; no script."""
        return web.Response(
            text=_page(self._document()),
            content_type="text/html",
            headers={
                "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'"
            },
        )


async def _uploaded(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Invalid for a compressed one."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Invalid("body", "an uncompressed body")
    async for part in request.content.iter_chunked(64 * 1024):
        yield part


def _page(api: dict[str, Any]) -> str:
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parley API</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="stylesheet" href="/console/console.css"></head><body><main class="page"><h1>Parley API</h1>',
        f"<p>Base address <code>{escape(api['servers'][0]['url'])}</code>. Send your key with every call: "
        "<code>Authorization: Bearer KEY</code>. Make one with <code>python -m gateway key create --tenant T</code>. "
        'Errors are <code>application/problem+json</code>. Machine-readable: <a href="/api/openapi.json">openapi.json</a>.</p>',
    ]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            parts.append(f'<section class="operation"><h2><code>{method.upper()} {escape(path)}</code></h2>')
            parts.append(f"<p>{escape(operation['description'])}</p>")
            if operation["parameters"]:
                parts.append(
                    "<table><thead><tr><th>Parameter</th><th>In</th><th>Schema</th></tr></thead><tbody>"
                )
                for p in operation["parameters"]:
                    schema = escape(json.dumps(p["schema"]))
                    parts.append(
                        f"<tr><td><code>{escape(p['name'])}</code></td><td>{p['in']}</td><td><code>{schema}</code></td></tr>"
                    )
                parts.append("</tbody></table>")
            parts.append("</section>")
    parts.append("<h2>Shapes</h2>")
    for name, schema in sorted(api["components"]["schemas"].items()):
        shown = escape(json.dumps(schema, indent=2))
        parts.append(f"<details><summary>{escape(name)}</summary><pre>{shown}</pre></details>")
    parts.append("</main></body></html>")
    return "".join(parts)
