"""Campaigns over the API: made, prepared, started, paused, resumed, cancelled; what became of each recipient."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field

from gateway.api.openapi import Operation
from gateway.api.shapes import PageQuery, Shape, _plausible
from gateway.campaigns import Campaigns, Outcome, Wanted
from gateway.campaigns_audience import Audience
from gateway.model.campaign import Campaign, CampaignState

MOST_VARIABLES = 50


class CampaignMaking(Shape):
    """One template to many contacts. It is a draft: prepare it, look at the estimate, then start it."""

    channel: str
    name: Annotated[str, Field(min_length=1, max_length=200)]
    template: Annotated[str, Field(max_length=512, description="The template's name")]
    audience: Audience
    languages: Annotated[
        tuple[str, ...],
        Field(
            max_length=50,
            description="In this order, behind each contact's own; empty: all that the template has",
        ),
    ] = ()
    purpose: Annotated[str, Field(max_length=64)] = "marketing"
    variables: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]],
        Field(
            default_factory=dict,
            max_length=MOST_VARIABLES,
            description='For each of the template\'s: `contact.name`, `lead.FIELD`, `row.COLUMN`, with a fallback behind "|";'
            " or a text in quotes",
        ),
    ]
    at: Annotated[
        Annotated[AwareDatetime, AfterValidator(_plausible)] | None,
        Field(description="When it starts; without it, at once"),
    ] = None
    local: Annotated[
        bool,
        Field(description="At that time of day (as read in the business's own zone) in each contact's zone"),
    ] = False
    per_minute: Annotated[
        int | None, Field(ge=1, le=100_000, description="At most so many in any minute")
    ] = None
    opt_out: Annotated[
        bool, Field(description="Add the way out where the template has none and the channel allows it")
    ] = True


class CampaignShape(Shape):
    id: str
    channel: str
    name: str
    template: str
    languages: list[str]
    purpose: str
    variables: dict[str, str]
    audience: dict[str, Any]
    at: datetime | None
    local: bool
    per_minute: int | None
    opt_out: bool
    state: CampaignState
    reason: str
    estimate: Annotated[
        dict[str, Any],
        Field(
            description="Recipients, allowed, refused by reason, cost, seconds, first and last: see docs/campaigns.md"
        ),
    ]
    prepared: Annotated[int, Field(description="Lines or conversations that preparing has read so far")]
    created: datetime
    started: datetime | None
    ended: datetime | None
    by: str

    @classmethod
    def of(cls, c: Campaign) -> "CampaignShape":
        made: dict[str, Any] = {
            "languages": list(c.languages),
            "variables": dict(c.variables),
            "audience": dict(c.audience),
        }
        made |= {"estimate": dict(c.estimate), "prepared": int(c.progress.get("read", 0))}
        return cls(**{**{f: getattr(c, f) for f in cls.model_fields if f not in made}, **made})


class CampaignMade(Shape):
    campaign: CampaignShape
    warnings: list[str]


class CampaignList(Shape):
    items: list[CampaignShape]
    next: datetime | None = None


class CampaignResults(Shape):
    counts: Annotated[
        dict[str, int], Field(description="By state: waiting, refused, cancelled, queued, sent, read …")
    ]
    cost: str
    currency: str
    unpriced: dict[str, int]
    at: datetime | None


class RecipientShape(Shape):
    id: str
    place: int
    address: str
    name: str | None
    contact: str | None
    conversation: str | None
    message: str | None
    language: str
    region: str | None
    due: datetime | None
    state: str
    reason: str
    text: str

    @classmethod
    def of(cls, o: Outcome) -> "RecipientShape":
        own: dict[str, Any] = {"state": o.state, "reason": o.reason, "text": o.text}
        return cls(**own, **{f: getattr(o.recipient, f) for f in cls.model_fields if f not in own})


class RecipientPage(Shape):
    items: list[RecipientShape]
    next: int | None


class RecipientQuery(Shape):
    """`next` of the last page goes into `after`. Of those in a state a page may be short, or empty, and not the last."""

    after: Annotated[int, Field(ge=0, le=2**40)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    state: Annotated[str | None, Field(max_length=20)] = None


class WrongShape(Shape):
    line: int
    text: str


class WrongPage(Shape):
    items: list[WrongShape]
    next: int | None


class WrongQuery(Shape):
    after: Annotated[int, Field(ge=0, le=2**40, description="Only lines behind this one")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class CampaignOperations:
    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        one = "/campaigns/{campaign}"
        self.operations = (
            Operation(
                "POST", "/campaigns", "Make a campaign", self.create_campaign, CampaignMade,
                body=CampaignMaking, tag="campaigns",
            ),
            Operation(
                "GET", "/campaigns", "Campaigns, newest first", self.list_campaigns, CampaignList,
                query=PageQuery, tag="campaigns",
            ),
            Operation("GET", one, "One campaign", self.get_campaign, CampaignShape, tag="campaigns"),
            Operation("POST", one + "/prepare", "Find its recipients", self.prepare_campaign, CampaignShape, tag="campaigns"),
            Operation("POST", one + "/start", "Start it", self.start_campaign, CampaignShape, tag="campaigns"),
            Operation("POST", one + "/pause", "Pause it", self.pause_campaign, CampaignShape, tag="campaigns"),
            Operation("POST", one + "/resume", "Go on with it", self.resume_campaign, CampaignShape, tag="campaigns"),
            Operation("POST", one + "/cancel", "Cancel it", self.cancel_campaign, CampaignShape, tag="campaigns"),
            Operation("GET", one + "/results", "What became of it", self.campaign_results, CampaignResults, tag="campaigns"),
            Operation(
                "GET", one + "/recipients", "What became of each recipient", self.campaign_recipients, RecipientPage,
                query=RecipientQuery, tag="campaigns",
            ),
            Operation(
                "GET", one + "/errors", "Lines of its list that are no recipients", self.campaign_errors, WrongPage,
                query=WrongQuery, tag="campaigns",
            ),
        )  # fmt: skip

    async def create_campaign(self, tenant: str, body: CampaignMaking) -> CampaignMade:
        """Make a draft. The audience is a filter over the channel's conversations, a list of contacts, or a CSV file that was
        uploaded (`POST /files`), with a column `phone` or `contact`; see docs/campaigns.md. `warnings` are worth reading."""
        given = {f: getattr(body, f) for f in CampaignMaking.model_fields if f != "audience"}
        wanted = Wanted(**given, audience=body.audience.model_dump(mode="json", exclude_none=True), by="api")
        made, warnings = await self._campaigns.create(tenant, wanted)
        return CampaignMade(campaign=CampaignShape.of(made), warnings=warnings)

    async def list_campaigns(self, tenant: str, query: PageQuery) -> CampaignList:
        """Campaigns, the latest first."""
        page = await self._campaigns.page(tenant, query.before, query.limit)
        return CampaignList(items=[CampaignShape.of(c) for c in page.items], next=page.next)

    async def get_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """One campaign, with its estimate once it is `ready`."""
        return CampaignShape.of(await self._campaigns.get(tenant, campaign))

    async def prepare_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """Find out who its recipients are, in the background, until it is `ready` or `failed`. Nothing is sent."""
        return await self._changed(self._campaigns.prepare, tenant, campaign)

    async def start_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """Send it, each recipient when they are due. Each is asked about again then."""
        return await self._changed(self._campaigns.start, tenant, campaign)

    async def pause_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """Hold it back: what is queued is not sent until it goes on."""
        return await self._changed(self._campaigns.pause, tenant, campaign)

    async def resume_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """Go on with one that was paused, or was stopped for a reason that has ended (else 409)."""
        return await self._changed(self._campaigns.resume, tenant, campaign)

    async def cancel_campaign(self, tenant: str, campaign: str) -> CampaignShape:
        """End it: what is not out yet is never sent."""
        return await self._changed(self._campaigns.cancel, tenant, campaign)

    async def _changed(
        self, change: Callable[[str, str], Awaitable[Campaign]], tenant: str, campaign: str
    ) -> CampaignShape:
        return CampaignShape.of(await change(tenant, campaign))

    async def campaign_results(self, tenant: str, campaign: str) -> CampaignResults:
        """How many recipients stand where, and what it cost by the tenant's prices. Counted in the background: `at` says when
        the oldest part of it was."""
        found = await self._campaigns.results(tenant, campaign)
        return CampaignResults(
            counts=dict(found.counts),
            cost=str(found.cost),
            currency=found.currency,
            unpriced=dict(found.unpriced),
            at=found.at,
        )

    async def campaign_recipients(self, tenant: str, campaign: str, query: RecipientQuery) -> RecipientPage:
        """Recipients in their order, each as it stands now, with the reason in plain words."""
        page = await self._campaigns.outcomes(tenant, campaign, query.after, query.limit, query.state)
        return RecipientPage(items=[RecipientShape.of(o) for o in page.items], next=page.next)

    async def campaign_errors(self, tenant: str, campaign: str, query: WrongQuery) -> WrongPage:
        """Lines of a list or CSV file that are no recipients, each with the reason."""
        found = await self._campaigns.wrong(tenant, campaign, query.after, query.limit)
        following = found[-1].line if len(found) == query.limit else None
        return WrongPage(items=[WrongShape(line=w.line, text=w.text) for w in found], next=following)
