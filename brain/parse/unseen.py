"""What a page has and its readers don't see: it must not become knowledge, or anybody could plant an answer there.

Seen without a browser: the attributes `hidden` and `aria-hidden`, inline styles, and the page's own style sheets as far as
their rules are simple (a tag, a class or an id). Styles that come from other files are not known.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

Attrs = Sequence[tuple[str, str | None]]

_STYLE = re.compile(r"<style\b[^>]*>(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_NOISE = re.compile(r"/\*.*?\*/|<!--|-->", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE = re.compile(r"(?:[a-z][\w-]*)?(?:[.#][\w-]+)?", re.IGNORECASE)
_HIDING = re.compile(
    r"(?:^|;)(?:display:none|visibility:(?:hidden|collapse)|opacity:0?(?:\.0+)?%?(?=;|!|$)"
    r"|font-size:0?(?:\.0+)?(?:px|r?em|pt|%)?(?=;|!|$)|clip-path:inset\((?:50|100)%|text-indent:-\d{3,}"
    r"|(?:left|top|right|bottom|margin-left|margin-top):-\d{4,}|transform:scale\(0|color:transparent)",
)
_NOTHING = re.compile(r"(?:^|;)(?:max-)?(?:width|height):[01](?:px|r?em|pt|%)?(?=;|!|$)")
_MOST = 200_000
"""Characters of style sheets that are looked at."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The simple selectors (`tag`, `.class`, `tag.class`, `#id`) that the page's own styles hide."""

    selectors: frozenset[str] = frozenset()

    def hides(self, tag: str, attrs: Attrs) -> bool:
        """Whether an element isn't shown, going by its tag and attributes."""
        names = dict(attrs)
        if "hidden" in names or (names.get("aria-hidden") or "").strip().lower() == "true":
            return True
        if _hiding(names.get("style") or ""):
            return True
        if not self.selectors:
            return False
        own = [f".{name}" for name in (names.get("class") or "").split()]
        own += [f"#{names['id']}"] if names.get("id") else []
        return any(
            s in self.selectors or tag + s in self.selectors for s in ("", *own) if s or tag in self.selectors
        )


def unseen_by(page: str) -> Unseen:
    """What a page's own style sheets hide."""
    found: set[str] = set()
    for sheet in _STYLE.findall(page):
        for selector, rule in _RULE.findall(_outside_media(_NOISE.sub("", sheet[:_MOST]))):
            if _hiding(rule):
                found.update(s for one in selector.split(",") if (s := one.strip()) and _SIMPLE.fullmatch(s))
    return Unseen(frozenset(found))


def _hiding(style: str) -> bool:
    if ":" not in style:
        return False
    plain = "".join(style.split()).lower()
    return bool(_HIDING.search(plain)) or ("overflow:hidden" in plain and bool(_NOTHING.search(plain)))


def _outside_media(sheet: str) -> str:
    """The sheet without its `@media` blocks and the like: what hides a menu on paper hides nothing on a screen."""
    out: list[str] = []
    depth, inside = 0, False
    for part in re.split(r"([{}])", sheet):
        if part == "{":
            depth += 1
        elif part == "}":
            depth = max(depth - 1, 0)
        elif depth == 0 and "@" in part:
            head, _, _ = part.rpartition(";")
            out.append(head)
            inside = True
            continue
        if not inside:
            out.append(part)
        elif depth == 0:
            inside = False
    return "".join(out)
