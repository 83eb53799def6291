"""What a campaign says to one person: its template's variables filled in, as a template or as plain content. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from channels.degrade import degrade
from consent import templates
from gateway.campaigns_audience import Person, Wants
from gateway.model.campaign import Campaign
from gateway.model.capabilities import Capabilities
from gateway.model.consent import MARKETING, SERVICE, UTILITY
from gateway.model.content import Buttons, Content, Link, ListMenu, Template, Text
from gateway.model.errors import Invalid
from gateway.model.template import TemplateDef

CONTACT_FIELDS: Final = ("name", "phone", "email", "language")
_PATH: Final = re.compile(r"(contact|lead|row)\.(.+)", re.DOTALL)
_OPT_OUT: Final[Mapping[str, str]] = {
    "en": "Reply STOP to end.",
    "es": "Responde STOP para no recibir más.",
    "pt": "Responda STOP para não receber mais.",
    "fr": "Répondez STOP pour ne plus en recevoir.",
    "de": "Antworten Sie STOP, um nichts mehr zu erhalten.",
    "it": "Rispondi STOP per non riceverne più.",
    "hi": "बंद करने के लिए STOP लिखकर भेजें।",
    "ar": "أرسل STOP لإيقاف الرسائل.",
}
_WAY_OUT: Final = re.compile(
    r"\b(stop|unsubscribe|opt.?out|baja|parar|sair|desinscrever|désabonner|arrêter|abmelden|abbestellen|annulla|disiscri)"
    r"|बंद|إيقاف|إلغاء",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a variable's value comes from: `kind` is `contact`, `lead`, `row` or `text`."""

    kind: str
    name: str
    fallback: str | None = None


class Missing(Exception):
    """Nothing is known for a variable, and it has no fallback; the text says which."""


def read_source(variable: str, path: str) -> Source:
    """Raises Invalid, naming the variable."""
    field = f"variables.{variable[:64]}"
    given = path.strip()
    if len(given) >= 2 and given[0] == given[-1] == '"':
        if not given[1:-1].strip():
            raise Invalid(field, "a text that is not empty")
        return Source("text", given[1:-1])
    head, mark, fallback = given.partition("|")
    found = _PATH.fullmatch(head.strip())
    if found is None:
        raise Invalid(
            field, 'contact.NAME, lead.FIELD or row.COLUMN, with a fallback behind "|"; or a text in quotes'
        )
    kind, name = found[1], found[2].strip()
    if kind == "contact" and name not in CONTACT_FIELDS:
        raise Invalid(field, "one of " + ", ".join(f"contact.{f}" for f in CONTACT_FIELDS))
    return Source(kind, name.lower() if kind == "row" else name, " ".join(fallback.split()) if mark else None)


def sources_of(campaign: Campaign) -> dict[str, Source]:
    return {variable: read_source(variable, path) for variable, path in campaign.variables.items()}


def wants_of(sources: Mapping[str, Source]) -> Wants:
    of_contact = frozenset(s.name for s in sources.values() if s.kind == "contact")
    return Wants(of_contact, any(s.kind == "lead" for s in sources.values()))


def filled(sources: Mapping[str, Source], person: Person) -> dict[str, str]:
    """The value of each variable: one line each, as the provider wants it. Raises Missing."""
    values = {}
    for variable, source in sources.items():
        value = " ".join(_value(source, person).split()) or source.fallback
        if not value:
            raise Missing(
                f"Nothing is known for {{{{{variable}}}}} ({source.kind}.{source.name}), and it has no fallback."
            )
        values[variable] = value
    return values


def _value(source: Source, person: Person) -> str:
    match source.kind:
        case "text":
            return source.name
        case "row":
            return person.row.get(source.name, "")
        case "lead":
            lead = person.lead
            if lead is None:
                return ""
            own = {"name": lead.name, "phone": lead.phone, "email": lead.email or ""}
            return own.get(source.name) or lead.fields.get(source.name, "")
    known = person.known
    of_contact = {
        "name": person.name or (known.name if known else None),
        "phone": (known.phone if known else None)
        or (f"+{person.address}" if person.address.isdecimal() else None),
        "email": known.email if known else None,
        "language": person.language,
    }
    return of_contact[source.name] or ""


def wanted_languages(campaign: Campaign, own: str | None, usual: str) -> list[str]:
    """In which order to look for a language: the contact's own, the campaign's, the tenant's."""
    return list(dict.fromkeys(tag for tag in (own, *campaign.languages, usual) if tag))


def purpose_in(campaign: Campaign, template: TemplateDef, capabilities: Capabilities) -> str:
    """What its messages are for. Where they go as plain content nothing else tells that their template is marketing."""
    told = "template" in capabilities.kinds or template.category != "MARKETING"
    return campaign.purpose if told or campaign.purpose not in (SERVICE, UTILITY) else MARKETING


def content_of(
    campaign: Campaign,
    template: TemplateDef,
    values: Mapping[str, str],
    capabilities: Capabilities,
    language: str | None,
) -> list[Content]:
    """The message or messages that one person gets, in order. Raises Invalid."""
    if "template" in capabilities.kinds:
        return [Template(template.name, template.language, templates.components(template, values))]
    parts = templates.plain(template, values)
    promotes = purpose_in(campaign, template, capabilities) not in (SERVICE, UTILITY)
    if campaign.opt_out and promotes and not has_way_out(template):
        parts = _with_way_out(parts, language or template.language)
    return [shown for part in parts for shown in degrade(part, capabilities, language=language)[0]]


def has_way_out(template: TemplateDef) -> bool:
    """Whether it says itself how to have no more of it: a button, its footer, or the text."""
    words = (template.footer, template.body, *(b.text for b in template.buttons))
    return any(_WAY_OUT.search(text) for text in words)


def _with_way_out(parts: Sequence[Content], language: str) -> list[Content]:
    line = _OPT_OUT.get(language.replace("_", "-").split("-")[0].lower(), _OPT_OUT["en"])
    last = parts[-1]
    if isinstance(last, Text | Buttons | Link | ListMenu):
        return [*parts[:-1], replace(last, text=f"{last.text}\n\n{line}")]
    return [*parts, Text(line)]
