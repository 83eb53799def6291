"""Light, safe minification of JavaScript and CSS: comments go, white space shrinks, nothing is renamed.

JavaScript is cut into tokens first, so that strings, templates and regular expressions pass unchanged. What
cannot be told apart without a full parser (a slash after `}`) is refused rather than guessed.
"""

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | (?P<space>   \s+ )
  | (?P<string>  "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' )
  | (?P<number>  (?<![\w$]) \.?\d[\w.]* )
  | (?P<word>    \#?[\w$]+ )
  | (?P<mark>    [{}()\[\];,<>=!+\-*%&|^~?:.@] )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_BEFORE_REGEX = {
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "else",
    "do",
    "await",
}


class Refused(Exception):
    """A source that this minifier does not dare to touch; the text says where and why."""


def _template_end(text: str, start: int) -> int:
    """The index after the template literal that begins at `start`, nested `${…}` included."""
    at = start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == "`":
            return at + 1
        elif text.startswith("${", at):
            depth, at = 1, at + 2
            while depth:
                if at >= len(text):
                    break
                if text[at] == "`":
                    at = _template_end(text, at)
                    continue
                depth += {"{": 1, "}": -1}.get(text[at], 0)
                at += 1
        else:
            at += 1
    raise Refused(f"template literal without an end at {start}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kinds and texts in order. A division is a `mark`."""
    at, kind, last = 0, "mark", ";"
    while at < len(text):
        if text[at] == "`":
            end = _template_end(text, at)
            kind, last = "string", text[at:end]
            yield kind, last
            at = end
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] != "/":
                raise Refused(f"unexpected {text[at]!r} at {at}")
            if kind == "mark" and last == "}":
                raise Refused(f"a slash after a closing brace at {at}: name the value first")
            name = kind == "word" and last not in _BEFORE_REGEX
            value = name or kind in ("string", "number") or last in ")]"
            regex = None if value else _REGEX.match(text, at)
            if not value and regex is None:
                raise Refused(f"neither a division nor a regular expression at {at}")
            found = "/" if regex is None else regex[0]
            kind, last = ("mark" if regex is None else "string"), found
            yield kind, found
            at += len(found)
            continue
        if match.lastgroup not in ("comment", "space"):
            kind, last = str(match.lastgroup), match[0]
        yield str(match.lastgroup), match[0]
        at = match.end()


def javascript(text: str) -> str:
    """`text` without comments and needless white space; line ends that may stand for a semicolon stay."""
    out: list[str] = []
    gap = ""
    for kind, token in _tokens(text):
        if kind in ("comment", "space"):
            gap = "\n" if "\n" in token or gap == "\n" else " "
            continue
        before = out[-1][-1] if out else "{"
        if gap == "\n" and before not in "{([;,:?=&|" and token not in ("}", ")", "]", ".", "?."):
            out.append("\n")
        elif gap:
            words = re.match(r"[\w$#]", token) and re.match(r"[\w$]", before)
            signs = before in "+-/" and token[0] in "+-/"
            point = before.isdigit() and token[0] == "."
            if words or signs or point:
                out.append(" ")
        gap = ""
        out.append(token)
    return "".join(out)


def css(text: str) -> str:
    """`text` without comments and needless white space. Strings in it must hold no braces or semicolons."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ?([{};,>]) ?", r"\1", text)
    text = re.sub(r"(?<=[{;])([\w-]+): ", r"\1:", text)
    return text.replace(";}", "}").strip()
