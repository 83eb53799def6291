"""A web site as browsers meet it: whether it takes anybody, and how pages are answered."""

from aiohttp import web

from gateway.model.errors import NotFound
from gateway.model.tenant import Channel
from gateway.store.directory import Directory


async def open_site(directory: Directory, site: str) -> Channel:
    """The site, if it is one and takes visitors. Raises NotFound."""
    if not site.isprintable():
        raise NotFound("no such site")  # NUL or a lone surrogate: no store takes it, so none has it
    channel = await directory.channel(site)
    if channel.kind != "web" or channel.state != "active":
        raise NotFound(site)
    return channel


def told(request: web.Request, answer: web.Response) -> web.Response:
    """A refusal, too, is told to the page that asked: it holds nothing that another origin may not know."""
    answer.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "null")
    answer.headers["Access-Control-Expose-Headers"] = "Retry-After"
    answer.headers["Vary"] = "Origin"
    answer.headers["Cache-Control"] = "no-store"
    return answer
