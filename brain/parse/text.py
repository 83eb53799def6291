"""Plain text: paragraphs between empty lines, and headings guessed from their shape."""

import re

from brain.parse import Parsed
from brain.parse.build import Builder

_UNDERLINE = re.compile(r"[=\-~]{3,}")
_ITEM = re.compile(r"[-*•–·]\s|\(?\d{1,3}[.)]\s")


def parse_text(text: str) -> Parsed:
    """Sections of a text file. It has no title: its name is the title."""
    builder = Builder(title=None)
    blocks = [block for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.strip("\n")) if block.strip()]
    for position, block in enumerate(blocks):
        lines = [line.strip() for line in block.split("\n") if line.strip()]
        if len(lines) >= 2 and _UNDERLINE.fullmatch(lines[1]):
            builder.heading(2, lines[0])
            lines = lines[2:]
        elif len(lines) == 1 and position + 1 < len(blocks) and _is_heading(lines[0]):
            builder.heading(2, lines[0])
            continue
        builder.block(flow(lines))
    return builder.finish()


def flow(lines: list[str]) -> str:
    """Lines as a paragraph: broken lines are joined, a list keeps a line an item."""
    if any(_ITEM.match(line) for line in lines):
        out: list[str] = []
        for line in lines:
            if _ITEM.match(line) or not out:
                out.append(re.sub(r"^[*•–·]\s+", "- ", line))
            else:
                out[-1] += " " + line
        return "\n".join(out)
    return "\n".join(lines) if _is_table(lines) else " ".join(lines)


def _is_heading(line: str) -> bool:
    return len(line) <= 70 and len(line.split()) <= 9 and line[-1] not in ".,;!…" and not _ITEM.match(line)


def _is_table(lines: list[str]) -> bool:
    """Short lines such as an address or a list of opening hours keep their breaks."""
    return len(lines) > 1 and max(len(line) for line in lines) < 50
