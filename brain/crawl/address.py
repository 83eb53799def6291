"""Addresses of pages: in one form each, and none of the endless ones that calendars and sessions make."""

import html
import re
from collections import Counter
from collections.abc import Iterator

from yarl import URL

MAX_URL = 1000
MAX_SEGMENTS = 12
MAX_REPEATS = 3
"""How often one segment may stand in a path: `/a/b/a/b/a/b` is a link that goes in a circle."""

MAX_QUERIES = 30
"""Pages of one path that differ only in what stands behind the `?`."""

MAX_DATES = 40
"""Pages whose paths differ only in two or more numbers: `/calendar/2031/07`."""

# No part goes over a "<": a page of nothing but openings of tags is read in a time that grows with its length alone.
_A = re.compile(
    r"<a\s[^<>]{0,2000}?href\s{0,20}=\s{0,20}(\"[^\"<]{0,2000}\"|'[^'<]{0,2000}'|[^\s\"'<>]{1,2000})",
    re.IGNORECASE,
)
_LINK = re.compile(r"<(?:link|base|meta)\s[^<>]{0,2000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)")
_SESSION = re.compile(r"(?:PHPSESSID|j?sessionid|sid|session_?id|osCsid|cfid|cftoken|zenid|utm_\w+|fbclid|gclid|msclkid|mc_[ce]id)", re.IGNORECASE)  # fmt: skip # noqa: E501
_PATH_SESSION = re.compile(r";jsessionid=[^/?]*|/\(S\([^)]*\)\)", re.IGNORECASE)
_FILES = re.compile(
    r"\.(?:jpe?g|png|gif|webp|svg|ico|css|m?js|json|xml|gz|zip|rar|7z|exe|dmg|apk|mp[34]|m4[av]|avi|mov|webm|ogg|wav|woff2?|ttf|eot"
    r"|docx?|xlsx?|pptx?|ics|rss|atom)$",
    re.IGNORECASE,
)


def normal(base: URL, link: str) -> URL | None:
    """The address that a link on a page means, in its one form; None for what is no page of the web."""
    link = html.unescape(link.strip().strip("\"'")).strip()
    if not link or len(link) > MAX_URL or link.startswith(("#", "javascript:", "mailto:", "tel:", "data:")):
        return None
    try:
        url = base.join(URL(link)).with_fragment(None)
        if url.scheme not in ("http", "https") or not url.host:
            return None
        path = _PATH_SESSION.sub("", url.raw_path) or "/"
        query = [(k, v) for k, v in url.query.items() if not _SESSION.fullmatch(k)]
        return URL.build(
            scheme=url.scheme, host=url.host, port=url.explicit_port, path=path, encoded=True
        ).with_query(query)
    except (ValueError, UnicodeError):
        return None


def same_site(one: URL, other: URL) -> bool:
    """Whether both are of one host; http and https are, with and without `www.`."""
    if (one.host or "").removeprefix("www.") != (other.host or "").removeprefix("www."):
        return False
    return one.port == other.port or {one.port, other.port} <= {80, 443}


def is_page(url: URL) -> bool:
    """Whether an address may be a page, going by its path."""
    return not _FILES.search(url.path)


class Bounds:
    """Counts what could go on for ever. One a run."""

    def __init__(self) -> None:
        self._queries: Counter[str] = Counter()
        self._dates: Counter[str] = Counter()

    def takes(self, url: URL) -> bool:
        """Whether to go to an address that was not seen before."""
        segments = [s for s in url.path.split("/") if s]
        if len(str(url)) > MAX_URL or len(segments) > MAX_SEGMENTS:
            return False
        if segments and Counter(segments).most_common(1)[0][1] >= MAX_REPEATS:
            return False
        if url.query_string:
            self._queries[url.path] += 1
            if self._queries[url.path] > MAX_QUERIES:
                return False
        shape = re.sub(r"\d+", "#", url.path)
        if shape.count("#") >= 2 and not re.search(
            r"[^\d/-]{4,}[^/]*$", url.path.rstrip("/").rsplit("/", 1)[-1]
        ):
            self._dates[shape] += 1
            return self._dates[shape] <= MAX_DATES
        return True


def links(page: URL, text: str) -> Iterator[URL]:
    """Where the links of an HTML page lead, in their order; each address once."""
    base = normal(page, _attribute(text, "base", "href") or "") or page
    for url in dict.fromkeys(normal(base, found[1]) for found in _A.finditer(text)):
        if url is not None:
            yield url


def canonical(page: URL, text: str) -> URL | None:
    """The address that a page says is its own, if it is of the same site."""
    for tag in _LINK.finditer(text[:200_000]):
        values = _values(tag[0])
        if values.get("rel", "").lower() == "canonical":
            url = normal(page, values.get("href", ""))
            return url if url is not None and same_site(url, page) else None
    return None


def _attribute(text: str, tag: str, name: str) -> str | None:
    for found in _LINK.finditer(text[:200_000]):
        if found[0][1 : len(tag) + 1].lower() == tag:
            return _values(found[0]).get(name)
    return None


def _values(tag: str) -> dict[str, str]:
    return {name.lower(): value.strip("\"'") for name, value in _ATTRIBUTE.findall(tag)}
