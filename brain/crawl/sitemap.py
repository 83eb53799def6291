"""Sitemaps (https://www.sitemaps.org/protocol.html), read by their one interesting tag: no XML parser, no entities."""

import html
import re
import zlib
from itertools import islice

from yarl import URL

from brain.crawl.address import normal
from brain.crawl.fetch import Failed

MAX_BYTES = 20 * 1024 * 1024
MAX_SITEMAPS = 50
MAX_ADDRESSES = 50_000
"""What the protocol allows in one."""

# What stands between the tags is trimmed afterwards: neighbouring runs of spaces could be shared out in endless ways.
_LOC = re.compile(
    r"<(?:\w{1,20}:)?loc>([^<]{0,2000}(?:<!\[CDATA\[[^<]{0,2000})?)</(?:\w{1,20}:)?loc>", re.IGNORECASE
)
_INDEX = re.compile(r"<(?:\w{1,20}:)?sitemapindex[\s>]", re.IGNORECASE)


def is_sitemap(url: URL) -> bool:
    """Whether an address is that of a sitemap, going by its ending."""
    return url.path.lower().endswith((".xml", ".xml.gz"))


def read_sitemap(at: URL, body: bytes) -> tuple[bool, list[URL]]:
    """Whether it is an index of sitemaps, and the addresses in it. Raises Failed."""
    if body.startswith(b"\x1f\x8b"):
        body = _unpacked(body)
    text = body.decode("utf-8", "replace")
    head = text[:4096]
    if "<urlset" not in head and not _INDEX.search(head) and not re.search(r"<\w{1,20}:urlset", head):
        raise Failed("wrong", "This is not a sitemap: no list of addresses in XML.")
    found = [normal(at, html.unescape(_told(loc[1]))) for loc in islice(_LOC.finditer(text), MAX_ADDRESSES)]
    return bool(_INDEX.search(head)), [url for url in found if url is not None]


def _told(inside: str) -> str:
    return inside.strip().removeprefix("<![CDATA[").removesuffix("]]>").strip()


def _unpacked(body: bytes) -> bytes:
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        out = unpack.decompress(body, MAX_BYTES + 1)
    except zlib.error:
        raise Failed("wrong", "The sitemap is packed, and damaged.") from None
    if len(out) > MAX_BYTES:
        raise Failed("wrong", f"The sitemap is larger than {MAX_BYTES // 2**20} MB.")
    return out
