"""Addresses in what goes out: only those of hosts that are allowed stay; of the others their words stay.

Channels turn whatever looks like an address into a link, so whatever looks like one counts: with a scheme or without, with a
scheme or dots disguised, in Markdown or HTML, with letters that only look Latin.
"""

import html
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from brain.edited import Edited

_HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]|\u200d(?![\u2640-\u27bf\ufe0f\U0001f000-\U0001faff])"
)
"""Characters that are not seen and could part or hide words. What joins emoji stays; in Indic and Arabic words a joiner is
lost, which changes their look and not their meaning."""

_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_WIDE: Final = re.compile("[\uff01-\uff5e]")
_DOTS: Final = re.compile(r"(?<=[A-Za-z0-9])[\u3002\uff61\u2024\ufe52](?=[A-Za-z0-9])")
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_SCRIPT: Final = re.compile(
    r"<(script|style|iframe|object|svg|template|noscript)\b[^>]*>.*?(?:</\1\s*>|$)", re.IGNORECASE | re.DOTALL
)
_COMMENT: Final = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_BREAK: Final = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\b[^>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"</?[A-Za-z!?][^<>]*(?:>|$)")
_DEFINITION: Final = re.compile(r"^[ \t]{0,3}\[[^\]\n]{1,200}\]:[^\n]*$", re.MULTILINE)
_IMAGE: Final = re.compile(r"!\[([^\]\n]{0,300})\](?:\([^)\s]*(?:\s+[^)\n]*)?\)?|\[[^\]\n]*\])")
_LINK: Final = re.compile(r"\[([^\]\[\n]{1,300})\]\(\s*<?([^)\s>]*)>?(?:\s+[^)\n]*)?\)?")
_REFERENCE: Final = re.compile(r"(\[[^\]\[\n]{1,300}\])\[[^\]\n]{1,200}\]")
_MAIL: Final = re.compile(r"\b(?:mailto|tel|sms|callto):(?=[\w+@.-])(?://)?", re.IGNORECASE)
_END: Final = r"[^\s<>\"'“”‘’«»`|{}\\^]"
_SCHEME: Final = re.compile(
    rf"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{{1,20}}\s?:\s?/{{1,3}}\s?{_END}+(?:\\{_END}*)?|"
    rf"(?<![A-Za-z0-9])(?:(?:javascript|vbscript|livescript|blob|view-source|magnet|tg|whatsapp|viber|skype)\s?:(?=\S)"
    rf"|data\s?:(?=[\w.+-]+/|[;,])){_END}*",
    re.IGNORECASE,
)
_DOT: Final = r"(?:\.|\s?[\[({]\s?(?:\.|dot|punkt|punto|ponto|point)\s?[\])}]\s?)"
_GENERIC: Final = (
    "com|net|org|info|biz|edu|gov|mil|int|app|dev|page|site|online|shop|store|xyz|top|club|live|link|click|icu|vip|cloud|tech|"
    "website|space|fun|blog|news|world|pro|name|mobi|tel|travel|jobs|museum|coop|aero|asia|cat|agency|digital|email|today|support|"
    "help|services|solutions|group|company|center|zone|work|works|run|lol|win|bid|loan|download|stream|review|trade|date|party|"
    "science|account|accountant|bank|money|cash|finance|chat|social|media|network|systems|host|hosting|wiki|bar|cafe|art|design|"
    "pizza|ninja|guru|rocks|tips|deals|crypto|casino|poker|wtf|porn|xxx|cfd|sbs|cyou|monster|vacations|ventures|lgbt|moe|ooo|"
    "studio|photo|video|tv|zip|mov|example|test|invalid|localhost|local|onion|internal|lan|arpa"
)
_COUNTRY: Final = (
    "a[cdefgilmoqrstuwxz]|b[abdefghijmnorstvwyz]|c[acdfghiklmnoruvwxyz]|d[ejkmoz]|e[ceghrstu]|f[ijkmor]|g[abdefghilmnpqrstuwy]|"
    "h[kmnrtu]|i[delmnoqrst]|j[emop]|k[eghimnprwyz]|l[abcikrstuvy]|m[acdeghklmnopqrstuvwxyz]|n[acefgilopruz]|om|p[aefghklmnrstwy]|"
    "qa|r[eosuw]|s[abcdeghijklmnorstuvxyz]|t[cdfghjklmnortvwz]|u[agksyz]|v[aceginu]|w[fs]|y[et]|z[amw]"
)
_HOST: Final = re.compile(
    rf"(?<![\w@./-])(?://)?(?:[\w-]{{1,63}}{_DOT}){{1,8}}(?P<top>(?:{_GENERIC}|{_COUNTRY}|xn--[a-z0-9-]{{2,59}}|[^\W\d_a-z]{{2,}}))"
    rf"(?![\w@-])(?::\d{{1,5}})?(?:[/?#]{_END}*)?",
    re.IGNORECASE,
)
_LIKELY: Final = re.compile(
    rf"(?<![\w@./-])(?:www{_DOT}(?:[\w-]{{1,63}}{_DOT}){{1,7}}[a-z]{{2,24}}(?![\w@-])(?::\d{{1,5}})?(?:[/?#]{_END}*)?"
    rf"|(?:[\w-]{{2,63}}{_DOT}){{1,7}}(?P<top>[a-z]{{3,24}})(?:/|[?#](?=\w)){_END}*)",
    re.IGNORECASE,
)
"""Below a top-level domain that is not in the lists: with `www.`, or with a path."""
_NUMBERS: Final = re.compile(rf"(?<![\w.])(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?::\d{{1,5}}|/)(?:{_END}*)")
_TRAILING: Final = ".,;:!?)]}*_~'\"…。"
_EMPTY: Final = re.compile(r"[ \t]*(?:\(\s*\)|\[\s*\]|<\s*>)")
_SPACES: Final = re.compile(r"[ \t]{2,}")
_BEFORE_MARK: Final = re.compile(r"[ \t]+(?=[.,;!?](?:\s|$))|[ \t]+$", re.MULTILINE)
_NOT_TOP: Final = frozenset({"am", "pm"})


def allowed_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """Hosts from addresses or bare names, in lower case, as they stand in an address."""
    return frozenset(host for given in hosts if (host := host_of(given)))


def host_of(address: str) -> str | None:
    """The host of an address or a bare name, in ASCII; None for what is no address of the web, or hides where it goes."""
    text = address.strip()
    if "\\" in text or re.search(r"[\x00-\x20]", text):
        return None
    try:
        parts = urlsplit(text if "//" in text[:10] else "//" + text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in ("", "http", "https") or parts.username is not None or not host:
        return None
    if port is not None and port not in (80, 443):
        host = f"{host}:{port}"
    try:
        return (
            host.rstrip(".").encode("idna").decode().lower()
            if not host.isascii()
            else host.rstrip(".").lower()
        )
    except UnicodeError:
        return None


def is_allowed(address: str, allowed: frozenset[str]) -> bool:
    """Whether an address leads to an allowed host, or to one below it."""
    host = host_of(address)
    if host is None or not re.fullmatch(r"[a-z0-9.:-]+", host):
        return False
    bare = host.removeprefix("www.")
    return any(
        bare == own.removeprefix("www.") or host.endswith("." + own.removeprefix("www.")) for own in allowed
    )


def without_hidden(text: Edited) -> Edited:
    """Without characters that nobody sees, and with full-width letters as plain ones."""
    text = text.sub(_CONTROL, " ").sub(_HIDDEN, "")
    return text.sub(_WIDE, lambda found: chr(ord(found.group()) - 0xFEE0)).sub(_DOTS, ".")


def without_foreign(text: Edited, allowed: frozenset[str]) -> Edited:
    """Plain text: HTML and Markdown give way to their words, and of addresses those of allowed hosts stay."""
    text = without_hidden(text.sub(_ENTITY, lambda found: html.unescape(found.group())))
    text = text.sub(_COMMENT, "").sub(_SCRIPT, "").sub(_BREAK, "\n").sub(_TAG, "")
    text = text.sub(_DEFINITION, "").sub(_IMAGE, r"\1").sub(_REFERENCE, r"\1").sub(_MAIL, "")
    text = text.sub(_LINK, lambda found: _linked(found.group(1), found.group(2), allowed))
    text = text.sub(_SCHEME, lambda found: _kept(found.group(), allowed))
    text = text.sub(_NUMBERS, lambda found: _kept(found.group(), allowed))
    text = text.sub(_HOST, lambda found: _bare(found, allowed))
    text = text.sub(_LIKELY, lambda found: _likely(found, allowed))
    # Spaces first: the others would look at each row of them from every one of its places.
    return text.sub(_SPACES, " ").sub(_EMPTY, "").sub(_SPACES, " ").sub(_BEFORE_MARK, "")


def _linked(words: str, address: str, allowed: frozenset[str]) -> str:
    if not is_allowed(address, allowed) or not address.lower().startswith(("http://", "https://")):
        return words
    return address if words.strip() in address else f"{words} {address}"


def _kept(found: str, allowed: frozenset[str]) -> str:
    """An address that stays, or what followed it and is none of it."""
    address = found.rstrip(_TRAILING)
    return found if is_allowed(address, allowed) else found[len(address) :].replace("\\", "")


def _bare(found: re.Match[str], allowed: frozenset[str]) -> str:
    whole, top = found.group(), found.group("top")
    if is_allowed(whole.rstrip(_TRAILING), allowed):
        return whole
    before = whole[: found.start("top") - found.start()]
    plain = found.end("top") == found.end()
    if plain and top.lower() in _NOT_TOP and before.count(".") == 1 and len(before) <= 4:
        return whole
    if plain and _glued(before, top):
        return re.sub(r"\.(?=[^\W\d_])", ". ", whole)
    return _kept(whole, allowed)


def _likely(found: re.Match[str], allowed: frozenset[str]) -> str:
    """As `_bare`; `Mr.Smith/Jones` is parted, and no address any more."""
    whole, top = found.group(), found.group("top")
    if top and top[:1].isupper() and top[1:].islower() and not is_allowed(whole.rstrip(_TRAILING), allowed):
        return re.sub(r"\.(?=[^\W\d_])", ". ", whole)
    return _kept(whole, allowed)


def _glued(before: str, top: str) -> bool:
    """Whether two sentences stand without a space between them (`closed.We are`): a space makes it no address, and loses
    nothing. So does it for letters of other scripts."""
    titled = top[:1].isupper() and top[1:].islower()
    return (titled and top.lower() not in _GENERIC.split("|")) or not top.isascii()
