"""What each kind of message becomes on each channel: told by the code that does it, for people and for docs/channels.md."""

from collections.abc import Mapping
from typing import Final

from channels.degrade import degrade
from gateway.model.capabilities import Capabilities
from gateway.model.content import (
    Album,
    Buttons,
    Choice,
    Contacts,
    Content,
    Deleted,
    Edit,
    Flow,
    Form,
    FormField,
    Link,
    ListMenu,
    Location,
    Media,
    Reaction,
    Request,
    SharedContact,
    Source,
    Template,
    Text,
)
from gateway.model.errors import Invalid

Table = Mapping[str, Mapping[str, str]]
"""By kind of message, by channel, what it becomes."""

_THREE: Final = tuple(Choice(str(n), title) for n, title in enumerate(("Prices", "Hours", "Delivery")))
_NINE: Final = tuple(Choice(str(n), f"Choice {n}") for n in range(9))
_FORTY: Final = tuple(Choice(str(n), f"Choice {n}") for n in range(40))
_PLACE: Final = Location(52.52, 13.405, "Office", "Main Street 1")

SAMPLES: Final[Mapping[str, Content]] = {
    "text": Text("Hello"),
    "text with formatting": Text(
        "**Open** until _six_, see [hours](https://shop.example/hours)", markup=True
    ),
    "text of 10,000 characters": Text(("A sentence of some length. " * 370).strip()),
    "answer with its source": Text("Two years.", (Source("Warranty", page=2),)),
    "image": Media("image", "image/jpeg", file="f_x", size=200_000, caption="Our shop"),
    "video of 12 MB": Media("video", "video/mp4", file="f_x", size=12_000_000),
    "video of 25 MB": Media("video", "video/mp4", file="f_x", size=25 * 2**20),
    "audio": Media("audio", "audio/mpeg", file="f_x", size=900_000),
    "voice": Media("voice", "audio/ogg", file="f_x", size=90_000),
    "document": Media("document", "application/pdf", file="f_x", size=900_000, name="offer.pdf"),
    "sticker": Media("sticker", "image/webp", file="f_x", size=60_000),
    "program (.exe)": Media(
        "document", "application/vnd.microsoft.portable-executable", file="f_x", size=9_000, name="setup.exe"
    ),
    "album of 3 pictures": Album(
        tuple(Media("image", "image/jpeg", file=f"f_{n}", size=200_000) for n in range(3))
    ),
    "location": _PLACE,
    "contacts": Contacts((SharedContact("Ana Silva", ("+351910000000",)),)),
    "3 buttons": Buttons("How can I help?", _THREE),
    "9 buttons": Buttons("How can I help?", _NINE),
    "40 buttons": Buttons("How can I help?", _FORTY),
    "list": ListMenu("How can I help?", "Choose", _NINE),
    "link button": Link("Our prices", "Open", "https://shop.example/prices"),
    "ask for the location": Request("Where are you?", "location", "Share"),
    "ask for the phone": Request("How can we call you?", "phone", "Share"),
    "form": Form("Your details", (FormField("name", "Name"),), "Send", "Cancel"),
    "flow": Flow("Book a table", "Book", "123456"),
    "template": Template("order_update", "en"),
    "reaction": Reaction("👍", "m_x"),
    "edit": Edit("m_x", Text("Corrected")),
    "deletion": Deleted("m_x"),
}


def table(channels: Mapping[str, Capabilities]) -> Table:
    return {
        kind: {channel: _becomes(content, can) for channel, can in channels.items()}
        for kind, content in SAMPLES.items()
    }


def _becomes(content: Content, capabilities: Capabilities) -> str:
    try:
        shown, pending = degrade(content, capabilities)
    except Invalid as error:
        return f"refused: needs {error.expected}"
    if shown == [content]:
        return "native"
    if pending is not None:
        return "numbered text"
    kinds = [c.media if isinstance(c, Media) else c.type for c in shown]
    if len(set(kinds)) == 1 and len(kinds) > 1:
        return f"{len(kinds)} x {kinds[0]}"
    return "as " + " and ".join(kinds)


def as_rows(found: Table) -> list[dict[str, object]]:
    return [{"kind": kind, **by_channel} for kind, by_channel in found.items()]


def markdown(found: Table) -> list[str]:
    """The table as lines of Markdown; refusals as numbered notes below it."""
    channels = list(next(iter(found.values())))
    notes: dict[str, int] = {}
    lines = [f"| message | {' | '.join(channels)} |", f"|{'---|' * (len(channels) + 1)}"]
    for kind, by_channel in found.items():
        cells = [_cell(by_channel[c], notes) for c in channels]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return [*lines, "", *(f"{number}. {text[0].upper()}{text[1:]}." for text, number in notes.items())]


def _cell(said: str, notes: dict[str, int]) -> str:
    if not said.startswith("refused: "):
        return said
    number = notes.setdefault(said.removeprefix("refused: "), len(notes) + 1)
    return f"refused ({number})"
