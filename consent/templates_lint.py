"""What a provider would refuse of a template, told before it is submitted. Pure.

Each rule names the page that says so:
[components] https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/components
[overview]   https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview
[review]     https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-review
[languages]  https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/supported-languages
[codes]      https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/authentication-templates/copy-code-button-authentication-templates
[errors]     https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from consent.templates import FILE, MEDIA_KINDS, VARIABLE, names, written
from gateway.model.template import CATEGORIES, Button, Header, TemplateDef

NAME: Final = re.compile(r"[a-z0-9_]{1,512}", re.ASCII)
NAMED: Final = re.compile(r"[a-z][a-z0-9_]{0,99}", re.ASCII)
PHONE: Final = re.compile(r"\+?[0-9]{5,20}", re.ASCII)

HEADER: Final = 60
BODY: Final = 1024
FOOTER: Final = 60
BUTTON: Final = 25
URL: Final = 2000
PHONE_LENGTH: Final = 20
CODE: Final = 15
BUTTONS: Final = 10
MOST_OF: Final = {"reply": 10, "url": 2, "phone": 1, "copy_code": 1, "flow": 1, "otp": 1}
MINUTES: Final = range(1, 91)

_SIGNS: Final = re.compile(
    "[\U0001f000-\U0001faff\U00002600-\U000027bf\U0001f1e6-\U0001f1ff\u2b50\u2b55\u231a\u231b\ufe0f]"
)
"""Emojis; arrows, currencies and the like are text."""

_LISTED: Final = """af sq ar ar_AE ar_EG ar_LB ar_MA ar_QA az be_BY bn bn_IN bg ca zh_CN zh_HK zh_TW hr cs da prs_AF nl nl_BE en
    en_AE en_AU en_CA en_GB en_GH en_IE en_IN en_JM en_MY en_NZ en_QA en_SG en_UG en_US en_ZA et fil fi fr fr_BE fr_CA fr_CH fr_CI
    fr_MA ka de de_AT de_CH el gu ha he hi hu id ga it ja kn kk rw_RW ko ky_KG lo lv lt mk ms ml mr nb ps_AF fa pl pt_BR
    pt_PT pa ro ru sr si_LK sk sl es es_AR es_CL es_CO es_CR es_DO es_EC es_ES es_HN es_MX es_PA es_PE es_UY sw sv ta te th
    tr uk ur uz vi zu"""
LANGUAGES: Final = frozenset(_LISTED.split())
"""As the provider lists them; a country follows the language."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the field, what is wrong with it and how to mend it, and the page that says so."""

    field: str
    text: str
    source: str


def lint(template: TemplateDef) -> list[Problem]:
    """Everything that the provider would refuse, in the order of the fields; nothing if it may be submitted."""
    parts = _AUTHENTICATION if template.category == "AUTHENTICATION" else _PARTS
    return [problem for check in (_name, *parts) for problem in check(template)]


def _name(t: TemplateDef) -> Iterator[Problem]:
    if not NAME.fullmatch(t.name):
        text = "1 to 512 lower-case letters, digits and underscores"
        yield Problem("name", text, "overview")
    if t.language not in LANGUAGES:
        yield Problem(
            "language", "a language that the provider knows, such as en_US, es or pt_BR", "languages"
        )
    if t.category not in CATEGORIES:
        yield Problem("category", "one of " + ", ".join(CATEGORIES), "overview")


# The parts ------------------------------------------------------------------------------------------------


def _header(t: TemplateDef) -> Iterator[Problem]:
    header = t.header
    if header is None:
        return
    if header.kind in MEDIA_KINDS:
        if not header.example:
            text = f"a sample {header.kind}: the id of an uploaded file"
            yield Problem("header.example", text, "components")
        return
    if header.kind == "text":
        yield from _header_text(header)


def _header_text(header: Header) -> Iterator[Problem]:
    text, field = header.text, "header.text"
    if not text.strip():
        yield Problem(field, "a text, or no header at all", "components")
    if len(text) > HEADER:
        yield Problem(field, f"at most {HEADER} characters; it has {len(text)}", "components")
    if "\n" in text or "*" in text or _SIGNS.search(text):
        yield Problem(field, "no new line, no asterisk and no emoji", "review")
    yield from _variables(text, field)
    found = VARIABLE.findall(text)
    if len(found) > 1:
        yield Problem(field, "at most one variable", "components")
    if found and found[0].isdecimal() and found[0] != "1":
        yield Problem(field, "its variable is {{1}}: each part counts from one", "review")
    if found and not header.example.strip():
        yield Problem("header.example", f"a sample for {written(found[0])}", "components")


def _body(t: TemplateDef) -> Iterator[Problem]:
    text = t.body
    if not text.strip():
        yield Problem("body", "a text: it is the one part that every template has", "components")
        return
    if len(text) > BODY:
        yield Problem("body", f"at most {BODY} characters; it has {len(text)}", "components")
    if re.search(r"\n{3,}", text):
        yield Problem("body", "not more than two new lines together", "review")
    yield from _variables(text, "body")
    yield from _places(text)
    found = names(text)
    if found and all(n.isdecimal() for n in found):
        wanted = [str(n) for n in range(1, len(found) + 1)]
        if sorted(found, key=int) != wanted:
            yield Problem("body", f"variables in sequence: {', '.join(map(written, wanted))}", "review")
    yield from (
        Problem(f"examples.{n[:64]}", f"a sample for {written(n)}", "components")
        for n in found
        if not t.examples.get(n, "").strip()
    )
    for n in t.examples:
        if n not in found:
            yield Problem(
                f"examples.{n[:64]}", "a variable of the body; there is none of this name", "components"
            )
    yield from _mixed(t)


def _mixed(t: TemplateDef) -> Iterator[Problem]:
    header = names(t.header.text) if t.header and t.header.kind == "text" else []
    kinds = {n.isdecimal() for n in (*names(t.body), *header)}
    if len(kinds) > 1:
        yield Problem("body", "variables that are all numbers or all names, in the header, too", "overview")


def _variables(text: str, field: str) -> Iterator[Problem]:
    """How variables are written."""
    if "{{" in VARIABLE.sub("", text) or "}}" in VARIABLE.sub("", text):
        yield Problem(
            field,
            "variables in two pairs of braces, such as {{1}}: one is not closed, or not opened",
            "review",
        )
    for name in names(text):
        if not (name.isdecimal() or NAMED.fullmatch(name)):
            told = (
                f"{written(name[:40])}: a variable is a number, or lower-case letters, digits and underscores"
            )
            yield Problem(field, told, "overview")


def _places(text: str) -> Iterator[Problem]:
    """Where variables stand in the body, and among how many words."""
    spots = [m.span() for m in VARIABLE.finditer(text)]
    if not spots:
        return
    if not text[: spots[0][0]].strip() or not text[spots[-1][1] :].strip():
        yield Problem("body", "no variable at its start or end: put words before and behind it", "review")
    if any(not text[a[1] : b[0]].strip() for a, b in pairwise(spots)):
        yield Problem("body", "words between two variables", "review")
    words = len(VARIABLE.sub(" x ", text).split())
    needed = 3 * len(spots) + 1
    if words < needed:
        told = f"more words for its variables: at least {needed} with them, and it has {words}"
        yield Problem("body", told, "review")


def _footer(t: TemplateDef) -> Iterator[Problem]:
    if len(t.footer) > FOOTER:
        yield Problem("footer", f"at most {FOOTER} characters; it has {len(t.footer)}", "components")
    if "{{" in t.footer:
        yield Problem("footer", "no variables", "components")
    if "\n" in t.footer or _SIGNS.search(t.footer):
        yield Problem("footer", "no new line and no emoji", "review")


# Buttons --------------------------------------------------------------------------------------------------


def _buttons(t: TemplateDef) -> Iterator[Problem]:
    if len(t.buttons) > BUTTONS:
        yield Problem("buttons", f"at most {BUTTONS}; there are {len(t.buttons)}", "components")
    for kind, most in MOST_OF.items():
        count = sum(b.kind == kind for b in t.buttons)
        if count > most:
            yield Problem("buttons", f"at most {most} of the kind {kind}; there are {count}", "components")
    runs = [k for k, before in zip(_groups(t), ("", *_groups(t)), strict=False) if k != before]
    if runs.count("reply") > 1 or runs.count("other") > 1:
        yield Problem("buttons", "reply buttons together, and the others together", "components")
    texts = [b.text.strip().lower() for b in t.buttons]
    if len(set(texts)) < len(texts):
        yield Problem("buttons", "a text of its own for each button", "components")
    for number, button in enumerate(t.buttons, 1):
        yield from _button(button, f"buttons.{number}")


def _groups(t: TemplateDef) -> Sequence[str]:
    return ["reply" if b.kind == "reply" else "other" for b in t.buttons]


def _button(b: Button, field: str) -> Iterator[Problem]:
    if b.kind == "otp":
        yield Problem(
            field, "code buttons of this kind in authentication templates only: `copy_code` here", "codes"
        )
    if b.kind != "copy_code" and not 0 < len(b.text.strip()) <= BUTTON:
        yield Problem(f"{field}.text", f"1 to {BUTTON} characters", "components")
    if "{{" in b.text or "\n" in b.text or _SIGNS.search(b.text):
        yield Problem(f"{field}.text", "no variable, no new line and no emoji", "review")
    match b.kind:
        case "url":
            yield from _url(b, field)
        case "phone" if not (PHONE.fullmatch(b.value) and len(b.value) <= PHONE_LENGTH):
            yield Problem(
                f"{field}.value", "a phone number of at most 20 digits, with its country", "components"
            )
        case "copy_code" if not 0 < len(b.example or b.value) <= CODE:
            yield Problem(f"{field}.example", f"a sample code of 1 to {CODE} characters", "components")
        case "flow" if not b.value:
            yield Problem(f"{field}.value", "the flow's id", "components")


def _url(b: Button, field: str) -> Iterator[Problem]:
    url = b.value
    bare = VARIABLE.sub("", url)
    if not re.match(r"https?://[^/\s{}]+", bare) or len(url) > URL or re.search(r"\s", bare):
        yield Problem(
            f"{field}.value", f"an address of at most {URL} characters, with https://", "components"
        )
    if "wa.me/" in bare or "//wa.link" in bare:
        yield Problem(f"{field}.value", "an address that does not lead back into WhatsApp (wa.me)", "review")
    found = list(VARIABLE.finditer(url))
    if "{{" in bare or "}}" in bare or len(found) > 1 or (found and found[0].end() != len(url)):
        yield Problem(f"{field}.value", "one variable at most, and at its end", "components")
    elif found and not b.example.strip():
        yield Problem(
            f"{field}.example", "a sample: the whole address with the variable filled in", "components"
        )


# Authentication -------------------------------------------------------------------------------------------


def _code(t: TemplateDef) -> Iterator[Problem]:
    """An authentication template has the provider's own words; only what may be switched is a person's."""
    if t.header is not None:
        yield Problem("header", "none: an authentication template has no header", "codes")
    if t.body and not re.search(r"\{\{\s*1\s*\}\}", t.body):
        yield Problem("body", "nothing: the provider writes the text of an authentication template", "codes")
    if t.footer and t.expires is None:
        yield Problem("footer", "nothing: `expires`, in minutes, makes the provider's own", "codes")
    if t.expires is not None and t.expires not in MINUTES:
        yield Problem("expires", f"{MINUTES.start} to {MINUTES.stop - 1} minutes", "codes")
    if [b.kind for b in t.buttons] != ["otp"]:
        yield Problem("buttons", "one button of the kind otp, which copies the code", "codes")
    for b in t.buttons:
        if b.kind == "otp" and (len(b.text) > BUTTON or b.value not in ("", "COPY_CODE")):
            yield Problem("buttons.1", f"a text of at most {BUTTON} characters; it copies the code", "codes")


def has_own_sample(template: TemplateDef) -> bool:
    """Whether the header's sample is a file of ours, which has to be uploaded first."""
    return bool(
        template.header and template.header.kind in MEDIA_KINDS and FILE.fullmatch(template.header.example)
    )


_PARTS: Final = (_header, _body, _footer, _buttons)
_AUTHENTICATION: Final = (_code,)
