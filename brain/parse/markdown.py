"""Markdown, read through markdown-it's tokens."""

import re
from collections.abc import Iterator, Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from brain.parse import Parsed
from brain.parse.build import Builder
from brain.parse.html import html_text

_FRONT = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_TITLE = re.compile(r"^title:\s*[\"']?(.*?)[\"']?\s*$", re.MULTILINE)


def parse_markdown(text: str) -> Parsed:
    """Sections of a Markdown file. The title is that of its front matter, else its first heading."""
    title = ""
    if front := _FRONT.match(text):
        text = text[front.end() :]
        if found := _TITLE.search(front[1]):
            title = found[1]
    builder = Builder(title)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    walk = iter(tokens)
    for token in walk:
        _top(builder, token, walk)
    return builder.finish()


def _top(builder: Builder, token: Token, walk: Iterator[Token]) -> None:
    if token.type == "heading_open":
        builder.heading(int(token.tag[1]), _text(_until(walk, "heading_close", token)))
    elif token.type in ("bullet_list_open", "ordered_list_open"):
        builder.block(_list(token, _until(walk, token.type.replace("open", "close"), token)))
    elif token.type == "table_open":
        builder.table(_rows(_until(walk, "table_close", token)))
    elif token.type == "inline":
        builder.block(_inline(token))
    elif token.type in ("fence", "code_block"):
        builder.block(token.content)
    elif token.type == "html_block":
        builder.block(html_text(token.content))


def _until(walk: Iterator[Token], kind: str, opened: Token) -> list[Token]:
    """The tokens inside an element: up to its closing token on the same level."""
    inside: list[Token] = []
    for token in walk:
        if token.type == kind and token.level == opened.level:
            break
        inside.append(token)
    return inside


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(_inline(token) for token in tokens if token.type == "inline")


def _list(opened: Token, tokens: Sequence[Token]) -> str:
    """A line an item, nested ones too; a numbered list keeps its numbers."""
    lines: list[str] = []
    fresh, ordered, number = False, [opened.type == "ordered_list_open"], 0
    for token in tokens:
        if token.type.endswith("list_open"):
            ordered.append(token.type == "ordered_list_open")
        elif token.type.endswith("list_close"):
            ordered.pop()
        elif token.type == "list_item_open":
            fresh, number = True, int(token.info) if token.info.isdigit() else 0
        elif token.type in ("inline", "fence", "code_block"):
            text = _inline(token) if token.type == "inline" else token.content
            text = " ".join(text.split())
            if fresh or not lines:
                lines.append((f"{number}. " if ordered[-1] and number else "- ") + text)
            else:
                lines[-1] += " " + text
            fresh = False
    return "\n".join(lines)


def _rows(tokens: Sequence[Token]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(_inline(token))
    return rows


def _inline(token: Token) -> str:
    """What a reader sees of a line: marks, tags and addresses of links are left out, and what tags hide."""
    children = token.children or ()
    if any(child.type == "html_inline" for child in children):
        return html_text("".join(_as_html(child) for child in children))
    parts: list[str] = []
    for child in children:
        if child.type in ("text", "code_inline", "image"):
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append(" ")
        elif child.type == "hardbreak":
            parts.append("\n")
    return "".join(parts)


def _as_html(child: Token) -> str:
    if child.type == "html_inline":
        return child.content
    if child.type in ("text", "code_inline", "image"):
        return escape(child.content)
    return {"softbreak": " ", "hardbreak": "<br>"}.get(child.type, "")
