"""The demo tenant: made on the first start in development, so that there is something to click."""

from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from brain.ingest import add_path
from gateway.bootstrap import Gateway
from gateway.model.errors import NotFound
from gateway.model.tenant import Channel, Site, Tenant
from gateway.widget import DEMO_SITE

TENANT = "demo"
EMAIL = "demo@example.com"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@dataclass(frozen=True, slots=True)
class Demo:
    tenant: str
    email: str
    link: str


async def prepare(gateway: Gateway) -> Demo:
    """Make what is missing of the demo, let its page in under today's address, and make a sign-in link."""
    store, now = gateway.store, gateway.clock()
    try:
        await store.directory.tenant(TENANT)
    except NotFound:
        await store.directory.add_tenant(Tenant(TENANT, "Lumen Bikes", now, region="GB"))
    await _site(gateway)
    results = await add_path(store.knowledge, gateway.embedder, TENANT, SAMPLES, now, base=SAMPLES)
    for result in results:
        if result.outcome == "refused":
            logger.warning("sample {}: {}", result.origin, result.reason)
    user = await store.access.user_by_email(EMAIL) or await store.access.create_user(
        TENANT, EMAIL, "Demo", now
    )
    return Demo(TENANT, EMAIL, await store.access.create_link(user, now))


async def _site(gateway: Gateway) -> None:
    directory = gateway.store.directory
    public = gateway.settings.public_url
    port = public.rsplit(":", 1)[-1]
    origins = tuple(dict.fromkeys([public, f"http://127.0.0.1:{port}", f"http://localhost:{port}"]))
    try:
        channel = await directory.channel(DEMO_SITE)
    except NotFound:
        site = Site(
            title="Lumen Bikes",
            greeting="Hi! Ask me about repairs, rentals or opening hours.",
            color="#0f766e",
            region="GB",
        )
        await directory.add_channel(
            Channel(
                DEMO_SITE, TENANT, "web", DEMO_SITE, "Demo page", gateway.clock(), origins=origins, site=site
            )
        )
        return
    if channel.origins != origins:
        await directory.set_channel(channel, settings={"origins": list(origins)})
