"""Showing a message with less than it asks for: what a channel can't carry becomes what it can, or is refused with
a reason that a person can act on. Everything here is pure; what a channel can is data (`Capabilities`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from channels.kit import split_text, units
from gateway.model.capabilities import Capabilities
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Edit,
    Flow,
    Form,
    Link,
    ListMenu,
    Location,
    Media,
    Request,
    SharedContact,
    Source,
    Text,
)
from gateway.model.conversation import Pending
from gateway.model.errors import Invalid
from gateway.model.markup import escape

Shown = tuple[list[Content], Pending | None]

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {"choose": "Choose", "number": "Reply with a number.", "source": "Source", "page": "p."},
    "es": {"choose": "Elegir", "number": "Responde con un número.", "source": "Fuente", "page": "pág."},
    "pt": {"choose": "Escolher", "number": "Responda com um número.", "source": "Fonte", "page": "pág."},
    "ar": {"choose": "اختر", "number": "أجب برقم.", "source": "المصدر", "page": "ص."},
}
_INCOMING_ONLY: Final = frozenset({"reply", "order", "form_reply", "command", "system", "unsupported"})


def degrade(
    content: Content, capabilities: Capabilities, *, language: str | None = None, message: str = ""
) -> Shown:
    """What to send in place of `content` on a channel that can show only so much, in order.

    Buttons that do not fit become a list, and what fits neither becomes numbered text; then the second value
    says how a typed number is to be understood (`message` is copied into it). Sources become a last line
    where the channel does not show them. Long text becomes several messages, an album single files, a file of a kind
    that the channel lacks a document, a place or a person's card lines of text. A blank text becomes nothing.
    Raises Invalid for what nothing can stand in for, with the reason.
    """
    words = _words(language)
    match content:
        case Text():
            return _text(content, capabilities, words), None
        case Buttons():
            return _buttons(content, capabilities, words, message)
        case ListMenu():
            if _list_fits(content, capabilities):
                return [content], None
            return _numbered(content.text, content.choices, capabilities, words, message, content.markup)
        case Media():
            return _media(content, capabilities), None
        case Album(items=items):
            return _album(items, capabilities), None
        case Location() if "location" not in capabilities.kinds:
            return _text(Text(_place(content)), capabilities, words), None
        case Contacts(contacts=contacts) if "contacts" not in capabilities.kinds:
            return _text(Text("\n\n".join(_card(c) for c in contacts)), capabilities, words), None
        case Link():
            return _link(content, capabilities, words), None
        case Request():
            return _request(content, capabilities, words), None
        case Edit(content=changed) if "edit" in capabilities.kinds:
            return _edit(content, changed, capabilities, words), None
        case Form() if not capabilities.forms:
            raise Invalid("content", "a channel that shows forms; ask step by step here")
        case Form():
            return [content], None
    if content.type in _INCOMING_ONLY or content.type not in capabilities.kinds:
        raise Invalid("content", _REFUSED.get(content.type, "a kind of message that can be sent"))
    if isinstance(content, Flow):
        _check_length("content.text", content.text, capabilities.button_text_length)
    return [content], None


_REFUSED: Final = {
    "template": "a channel with templates: they exist on WhatsApp only. Send the text itself",
    "flow": "a channel with flows: they exist on WhatsApp only. Ask in plain messages",
    "reaction": "a channel that shows reactions. Answer in words",
    "edit": "a channel where what was sent can be changed. Send a correction",
    "deleted": "a channel where what was sent can be taken back. Send a correction",
}


# Text -----------------------------------------------------------------------------------------------------


def _text(content: Text, capabilities: Capabilities, words: Mapping[str, str]) -> list[Content]:
    if not capabilities.sources and content.sources:
        content = Text(
            _with_sources(content.text, content.sources, words, content.markup), markup=content.markup
        )
    pieces = split_text(content.text, capabilities.text_length)
    if not pieces:
        return []
    # The sources belong to the whole answer, so they stand under its end.
    parts = [Text(piece, markup=content.markup) for piece in pieces[:-1]]
    return [*parts, Text(pieces[-1], content.sources, content.markup)]


def _edit(
    edit: Edit, changed: Content, capabilities: Capabilities, words: Mapping[str, str]
) -> list[Content]:
    shown, _ = degrade(changed, capabilities)
    if len(shown) != 1 or shown[0].type != changed.type:
        raise Invalid("content.content", "what fits into one message here: a change can't become two")
    return [edit]


def _check_length(name: str, text: str, longest: int) -> None:
    if not 0 < units(text) <= longest:
        raise Invalid(name, f"1 to {longest} characters")


# Choices --------------------------------------------------------------------------------------------------


def _buttons(content: Buttons, capabilities: Capabilities, words: Mapping[str, str], message: str) -> Shown:
    if content.sources and not capabilities.sources:
        text = _with_sources(content.text, content.sources, words, content.markup)
        content = replace(content, text=text, sources=())
    if _buttons_fit(content, capabilities):
        return [content], None
    menu = ListMenu(content.text, words["choose"], content.choices, content.markup)
    if not content.sources and _list_fits(menu, capabilities):
        return [menu], None
    return _numbered(content.text, content.choices, capabilities, words, message, content.markup)


def _buttons_fit(content: Buttons, capabilities: Capabilities) -> bool:
    return (
        0 < units(content.text) <= capabilities.button_text_length
        and len(content.choices) <= capabilities.buttons
        and _titles_fit(content.choices, capabilities.button_length)
    )


def _list_fits(content: ListMenu, capabilities: Capabilities) -> bool:
    return (
        0 < units(content.text) <= capabilities.text_length
        and len(content.choices) <= capabilities.list_rows
        and _titles_fit(content.choices, capabilities.row_length)
    )


def _titles_fit(choices: Sequence[Choice], longest: int) -> bool:
    # Providers refuse a message whose ids or titles repeat.
    return (
        len(choices) > 0
        and all(0 < units(choice.title) <= longest for choice in choices)
        and len({choice.id for choice in choices}) == len(choices)
        and len({choice.title for choice in choices}) == len(choices)
    )


def _numbered(
    text: str,
    choices: Sequence[Choice],
    capabilities: Capabilities,
    words: Mapping[str, str],
    message: str,
    markup: bool,
) -> Shown:
    kept = escape if markup else str
    lines = [f"{number}. {kept(_row(choice))}" for number, choice in enumerate(choices, 1)]
    whole = "\n\n".join(part for part in (text, "\n".join(lines), words["number"] if lines else "") if part)
    pending = Pending(message, tuple((choice.id, choice.title) for choice in choices)) if choices else None
    return [Text(piece, markup=markup) for piece in split_text(whole, capabilities.text_length)], pending


def _row(choice: Choice) -> str:
    return f"{choice.title} - {choice.description}" if choice.description else choice.title


def _link(content: Link, capabilities: Capabilities, words: Mapping[str, str]) -> list[Content]:
    fits = (
        0 < units(content.text) <= capabilities.button_text_length
        and 0 < units(content.title) <= capabilities.button_length
    )
    if "link" in capabilities.kinds and fits:
        return [content]
    text = content.text if content.markup else escape(content.text)
    linked = f"{text}\n\n[{escape(content.title)}]({content.url})".strip()
    return _text(Text(linked, markup=True), capabilities, words)


def _request(content: Request, capabilities: Capabilities, words: Mapping[str, str]) -> list[Content]:
    if content.wants in capabilities.requests and 0 < units(content.text) <= capabilities.button_text_length:
        return [content]
    return _text(Text(content.text, markup=content.markup), capabilities, words)


# Files ----------------------------------------------------------------------------------------------------


def _media(content: Media, capabilities: Capabilities) -> list[Content]:
    shown, reason = _as_taken(content, capabilities)
    if shown is None:
        raise Invalid("content", reason)
    rule = capabilities.media[shown.media]
    if not shown.caption or units(shown.caption) <= rule.caption:
        return [shown]
    following = split_text(shown.caption, capabilities.text_length)
    return [
        replace(shown, caption=None, markup=False),
        *(Text(piece, markup=shown.markup) for piece in following),
    ]


def _as_taken(content: Media, capabilities: Capabilities) -> tuple[Media | None, str]:
    """The file as a kind that the channel takes, or why it takes it as none."""
    reasons: list[str] = []
    for kind in dict.fromkeys((content.media, *(("audio",) if content.media == "voice" else ()), "document")):
        rule = capabilities.media.get(kind)
        if rule is None:
            continue
        mime = content.mime.partition(";")[0].strip().lower()
        if rule.mimes and mime and mime not in rule.mimes:
            reasons.append(
                f"a file that the channel takes as {kind}: {', '.join(sorted(rule.mimes))}; not {mime}"
            )
        elif content.size is not None and content.size > rule.most_bytes:
            most, size = _megabytes(rule.most_bytes), _megabytes(content.size)
            reasons.append(
                f"at most {most} for this kind of file here; this one has {size}. Make it smaller or send a link"
            )
        else:
            return replace(content, media=kind), ""
    # What is wrong with it as what it is says more than what is wrong with it as something else.
    return None, reasons[0] if reasons else "a channel that carries files"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB".replace(".0 MB", " MB") if size >= 100_000 else f"{size / 1024:.0f} kB"


def _album(items: Sequence[Media], capabilities: Capabilities) -> list[Content]:
    if not items:
        raise Invalid("content.items", "at least one file")
    shown = [_media(item, capabilities) for item in items]
    fits = all(len(s) == 1 and s[0].type == "media" for s in shown)
    pictures = {"image", "video"}
    kinds = {s[0].media for s in shown if isinstance(s[0], Media)}
    alike = kinds <= pictures or (len(kinds) == 1 and kinds <= {"document", "audio"})
    if capabilities.album and fits and alike and len(items) > 1:
        flat = [s[0] for s in shown if isinstance(s[0], Media)]
        groups = [flat[i : i + capabilities.album] for i in range(0, len(flat), capabilities.album)]
        return [Album(tuple(g)) if len(g) > 1 else g[0] for g in groups]
    return [part for s in shown for part in s]


# Words in place of what can't be shown --------------------------------------------------------------------


def _place(content: Location) -> str:
    named = "\n".join(part for part in (content.name, content.address) if part)
    return f"{named}\nhttps://www.google.com/maps?q={content.latitude:.6f},{content.longitude:.6f}".strip()


def _card(contact: SharedContact) -> str:
    return "\n".join(p for p in (contact.name, contact.organisation, *contact.phones, *contact.emails) if p)


def _with_sources(text: str, sources: Sequence[Source], words: Mapping[str, str], markup: bool) -> str:
    # The same document often supports several passages; naming it once is enough.
    kept = escape if markup else str
    named = dict.fromkeys(kept(_source(source, words)) for source in sources)
    return f"{text}\n\n{words['source']}: {'; '.join(named)}"


def _source(source: Source, words: Mapping[str, str]) -> str:
    page = f", {words['page']} {source.page}" if source.page is not None else ""
    return f"{source.title}{page}" + (f" ({source.url})" if source.url else "")


def _words(language: str | None) -> Mapping[str, str]:
    return _WORDS.get((language or "en").replace("_", "-").split("-")[0].lower(), _WORDS["en"])
