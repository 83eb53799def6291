"""Templates over the API: drafts, what the provider has of them, and those that fit a conversation."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from consent.templates import Shown, variables
from consent.templates_lint import lint
from consent.templates_wire import with_draft
from gateway.api.openapi import Operation
from gateway.api.shapes import MessageList, MessageShape, Shape
from gateway.desk import Desk
from gateway.model.errors import Invalid, NotFound
from gateway.model.template import ButtonKind, Category, HeaderKind, TemplateDef
from gateway.reopen import Offer, Reopen
from gateway.store import Store
from gateway.template_sync import TemplateSync
from gateway.templates import Templates

Values = Annotated[
    dict[str, str],
    Field(
        description="The variables by key: `1` or `name` of the body, `header`, `button.1`; see docs/templates.md"
    ),
]


class HeaderShape(Shape):
    kind: HeaderKind
    text: str = ""
    example: str = ""


class ButtonShape(Shape):
    kind: ButtonKind
    text: str = ""
    value: str = ""
    example: str = ""


class DraftShape(Shape):
    """What a person writes of a template; what is left out stays as it is."""

    category: Category | None = None
    header: HeaderShape | None = None
    body: str | None = None
    footer: str | None = None
    buttons: list[ButtonShape] | None = None
    examples: dict[str, str] | None = None
    security: bool | None = None
    expires: int | None = None

    def draft(self) -> dict[str, Any]:
        given = self.model_dump(exclude_unset=True)
        empty = {"header", "expires"}
        return {
            k: v
            for k, v in given.items()
            if k not in ("name", "language", "channel") and (v is not None or k in empty)
        }


class NewTemplate(DraftShape):
    name: Annotated[str, Field(max_length=512)]
    language: Annotated[str, Field(max_length=16)] = "en_US"
    channel: Annotated[
        str | None,
        Field(description="A WhatsApp channel; without it the template is for channels without approval"),
    ] = None


class VariableShape(Shape):
    key: str
    kind: str
    where: str
    example: str
    required: bool


class ShownShape(Shape):
    """What the customer sees."""

    header: str
    media: list[str] | None
    body: str
    footer: str
    buttons: list[dict[str, str]]

    @classmethod
    def of(cls, shown: Shown) -> "ShownShape":
        return cls(
            header=shown.header,
            media=list(shown.media) if shown.media else None,
            body=shown.body,
            footer=shown.footer,
            buttons=[dict(asdict(b)) for b in shown.buttons],
        )


class TemplateShape(Shape):
    id: str
    account: str
    name: str
    language: str
    category: str
    coming: Annotated[str, Field(description="The category that the provider will move it to")]
    state: str
    usable: bool
    quality: str
    reason: str
    remote: str | None
    header: HeaderShape | None
    body: str
    footer: str
    buttons: list[ButtonShape]
    examples: dict[str, str]
    security: bool
    expires: int | None
    variables: list[VariableShape]
    draft: Annotated[dict[str, Any], Field(description="What was changed here and not submitted yet")]
    editable: bool
    updated: datetime
    synced: datetime | None

    @classmethod
    def of(cls, t: TemplateDef) -> "TemplateShape":
        same = (
            "id",
            "account",
            "name",
            "language",
            "category",
            "coming",
            "state",
            "usable",
            "quality",
            "reason",
            "remote",
            "body",
            "footer",
            "security",
            "expires",
            "updated",
            "synced",
        )
        return cls(
            **{f: getattr(t, f) for f in same},
            header=HeaderShape(**asdict(t.header)) if t.header else None,
            buttons=[ButtonShape(**asdict(b)) for b in t.buttons],
            examples=dict(t.examples),
            variables=variable_shapes(t),
            draft=dict(t.draft),
            editable=not t.raw,
        )


def variable_shapes(t: TemplateDef) -> list[VariableShape]:
    return [
        VariableShape(key=v.key, kind=v.kind, where=v.where, example=v.example, required=v.required)
        for v in variables(t)
    ]


class TemplatePageShape(Shape):
    items: list[TemplateShape]
    next: str | None


class TemplateQuery(Shape):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str | None, Field(max_length=600, description="`next` of the page before")] = None
    channel: Annotated[str | None, Field(description="Only those of its business account")] = None


class ProblemList(Shape):
    items: list[dict[str, str]]


class ValuesBody(Shape):
    values: Values = Field(default_factory=dict)


class TestBody(Shape):
    """To one conversation, or to a phone number on a channel."""

    conversation: str | None = None
    channel: str | None = None
    phone: str | None = None
    values: Values = Field(default_factory=dict)
    key: Annotated[str | None, Field(min_length=1, max_length=128)] = None


class SyncedShape(Shape):
    seen: int
    added: int
    changed: int
    deleted: int


class OfferShape(Shape):
    id: str
    name: str
    language: str
    category: str
    variables: list[VariableShape]
    values: dict[str, str]
    lacking: list[str]
    shown: ShownShape
    allowed: bool
    reason: Annotated[str, Field(description="Why it would not be sent now, and what to do")]

    @classmethod
    def of(cls, offer: Offer) -> "OfferShape":
        t, refused = offer.template, offer.refused
        return cls(
            id=t.id,
            name=t.name,
            language=t.language,
            category=t.category,
            variables=variable_shapes(t),
            values=dict(offer.values),
            lacking=list(offer.lacking),
            shown=ShownShape.of(offer.shown),
            allowed=refused is None,
            reason=f"{refused.text} {refused.remedy}".strip() if refused else "",
        )


class OfferList(Shape):
    items: list[OfferShape]


class OfferQuery(Shape):
    find: Annotated[str, Field(max_length=512, description="Part of the name")] = ""


class TemplateOperations:
    def __init__(
        self, store: Store, templates: Templates, sync: TemplateSync, reopen: Reopen, desk: Desk
    ) -> None:
        self._store = store
        self._templates = templates
        self._sync = sync
        self._reopen = reopen
        self._desk = desk
        one, tag = "/templates/{template}", "templates"
        self.operations = (
            Operation(
                "GET", "/templates", "Templates, by name", self.list_templates, TemplatePageShape,
                query=TemplateQuery, tag=tag,
            ),
            Operation(
                "POST", "/templates", "Write a draft", self.create_template, TemplateShape, body=NewTemplate, tag=tag
            ),
            Operation("GET", one, "One template", self.get_template, TemplateShape, tag=tag),
            Operation("PATCH", one, "Change a draft", self.edit_template, TemplateShape, body=DraftShape, tag=tag),
            Operation("DELETE", one, "Delete a template", self.delete_template, TemplateShape, tag=tag),
            Operation("GET", one + "/lint", "What would be refused of it", self.lint_template, ProblemList, tag=tag),
            Operation("POST", one + "/submit", "Have it approved", self.submit_template, TemplateShape, tag=tag),
            Operation("POST", one + "/discard", "Put a change away", self.discard_draft, TemplateShape, tag=tag),
            Operation(
                "POST", one + "/preview", "What the customer will see", self.preview_template, ShownShape,
                body=ValuesBody, tag=tag,
            ),
            Operation("POST", one + "/test", "Send it to one", self.test_template, MessageList, body=TestBody, tag=tag),
            Operation(
                "POST", "/channels/{channel}/templates/sync", "Ask the provider for its templates",
                self.sync_templates, SyncedShape, tag=tag,
            ),
            Operation(
                "GET", "/conversations/{conversation}/templates", "Templates to write with again",
                self.list_offers, OfferList, query=OfferQuery, tag="conversations",
            ),
        )  # fmt: skip

    async def list_templates(self, tenant: str, query: TemplateQuery) -> TemplatePageShape:
        """Templates by name and language: drafts, and what the provider has."""
        page = await self._templates.page(tenant, query.after, query.limit, query.channel)
        return TemplatePageShape(items=[TemplateShape.of(t) for t in page.items], next=page.next)

    async def create_template(self, tenant: str, body: NewTemplate) -> TemplateShape:
        """Write a new draft. It is not submitted yet: `lint` tells what would be refused."""
        made = await self._templates.create(tenant, body.name, body.language, body.draft(), body.channel)
        return TemplateShape.of(made)

    async def get_template(self, tenant: str, template: str) -> TemplateShape:
        """One template."""
        return TemplateShape.of(await self._templates.get(tenant, template))

    async def edit_template(self, tenant: str, template: str, body: DraftShape) -> TemplateShape:
        """Change a draft. What the provider has approved stays in use until the change is submitted and approved."""
        return TemplateShape.of(await self._templates.edit(tenant, template, body.draft()))

    async def delete_template(self, tenant: str, template: str) -> TemplateShape:
        """Delete it, at the provider too. What is queued with it is refused from now on."""
        return TemplateShape.of(await self._templates.delete(tenant, template))

    async def lint_template(self, tenant: str, template: str) -> ProblemList:
        """What the provider would refuse of the draft, with the page that says so; nothing if it may be submitted."""
        found = with_draft(await self._templates.get(tenant, template))
        return ProblemList(items=[asdict(p) for p in lint(found)])

    async def submit_template(self, tenant: str, template: str) -> TemplateShape:
        """Submit a draft for approval; refused (422) with its first mistake."""
        return TemplateShape.of(await self._templates.submit(tenant, template))

    async def discard_draft(self, tenant: str, template: str) -> TemplateShape:
        """Put away what was changed and not submitted."""
        return TemplateShape.of(await self._templates.discard(tenant, template))

    async def preview_template(self, tenant: str, template: str, body: ValuesBody) -> ShownShape:
        """The draft with its variables filled in, by its own samples where no value is given."""
        return ShownShape.of(await self._templates.preview(tenant, template, body.values))

    async def test_template(self, tenant: str, template: str, body: TestBody) -> MessageList:
        """Send it to one conversation, or to one number. Permission is asked as for any message."""
        sent = await test_of(
            self._templates, self._desk, tenant, template, body.values, body.conversation, body.channel, body.phone,
            body.key,
        )  # fmt: skip
        return MessageList(items=[MessageShape.of(m) for m in sent])

    async def sync_templates(self, tenant: str, channel: str) -> SyncedShape:
        """Bring the provider's templates here now; it is done by itself every hour."""
        found = await self._store.directory.channel(channel)
        if found.tenant != tenant:
            raise NotFound(channel)
        return SyncedShape(**asdict(await self._sync.sync(found)))

    async def list_offers(self, tenant: str, conversation: str, query: OfferQuery) -> OfferList:
        """Templates that may be used in a conversation, in the customer's language as far as there is one, filled in from
        contact, lead and conversation. `allowed` says whether permission would let it pass now."""
        found = await self._reopen.offers(tenant, conversation, find=query.find)
        return OfferList(items=[OfferShape.of(o) for o in found])


async def test_of(
    templates: Templates,
    desk: Desk,
    tenant: str,
    template: str,
    values: Mapping[str, str],
    conversation: str | None,
    channel: str | None,
    phone: str | None,
    key: str | None = None,
) -> list[Any]:
    """Send one template to one conversation, or to a number. Raises Invalid, NotFound, Conflict."""
    found = await templates.get(tenant, template)
    if conversation is None:
        if channel is None or phone is None:
            raise Invalid("conversation", "a conversation; or a channel and a phone number")
        conversation = await desk.begin(tenant, channel, phone)
    return await desk.say_template(tenant, conversation, found.name, found.language, values, key)
