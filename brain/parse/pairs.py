"""Questions and answers: the columns of a table or the fields of JSON that hold them.

JSON is a list of objects with a question and an answer each, such a list under `questions`, `faq`, `items` or `data`, or one
object of questions to answers. A `title` beside the list is the document's.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from brain.parse import Parsed, Refused, Section
from brain.parse.encoding import clean, one_line, squeeze

QUESTION = frozenset(
    ("question", "questions", "q", "pregunta", "preguntas", "pergunta", "perguntas", "frage", "domanda", "سؤال", "السؤال")
)  # fmt: skip
ANSWER = frozenset(
    ("answer", "answers", "a", "respuesta", "respuestas", "resposta", "respostas", "antwort", "réponse", "risposta", "جواب",
     "الجواب")
)  # fmt: skip
_LISTS = ("questions", "faq", "faqs", "items", "data", "pairs")
_SHAPE = 'Use a list of objects with "question" and "answer".'


MOST = 500
"""Characters of a question; a longer one is text."""


def pair(question: str, answer: str) -> Section | None:
    """A section for a question and its answer; None if one of them is empty."""
    asked = one_line(clean(question))
    lines = (squeeze(line) for line in clean(answer).split("\n"))
    said = "\n".join(line for line in lines if line)
    if len(asked) > MOST:
        # Nobody asks a page: it is part of what is said.
        return Section((asked, said)) if said else Section((asked,))
    return Section((said,), question=asked) if asked and said else None


def parse_json(text: str) -> Parsed:
    """Sections of a JSON file. Raises Refused, naming the field, for one of another shape."""
    try:
        found = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise Refused(f"The file isn't valid JSON: there is a mistake{where}. Correct it there.") from error
    except RecursionError as error:
        raise Refused(f"The JSON is nested too deeply. {_SHAPE}") from error
    title, where, entries = _entries(found)
    sections = [s for i, entry in enumerate(entries) if (s := _section(f"{where}[{i}]", entry))]
    if not sections:
        raise Refused(f"No entry has both a question and an answer. {_SHAPE}")
    return Parsed(title, tuple(sections))


def _entries(found: Any) -> tuple[str, str, Sequence[Any]]:
    if isinstance(found, list):
        return "", "", found
    if not isinstance(found, dict):
        raise Refused(f"The JSON is a single value. {_SHAPE}")
    title = found.get("title")
    for name in _LISTS:
        if isinstance(found.get(name), list):
            return (one_line(clean(title)) if isinstance(title, str) else ""), name, found[name]
    if found and all(isinstance(answer, str) for answer in found.values()):
        return "", "", [{"question": question, "answer": answer} for question, answer in found.items()]
    wrong = next((name for name, value in found.items() if not isinstance(value, str)), "")
    raise Refused(f"The field “{one_line(clean(wrong))[:60]}” isn't text or a known list. {_SHAPE}")


def _section(where: str, entry: Any) -> Section | None:
    if not isinstance(entry, Mapping):
        raise Refused(f"The entry {where} isn't an object with “question” and “answer”. {_SHAPE}")
    fields = {one_line(str(name)).lower(): value for name, value in entry.items()}
    return pair(_text(where, fields, QUESTION, "question"), _text(where, fields, ANSWER, "answer"))


def _text(where: str, fields: Mapping[str, Any], names: frozenset[str], name: str) -> str:
    value = next((fields[n] for n in fields if n in names), None)
    if value is None:
        raise Refused(f"The entry {where} has no field “{name}”. {_SHAPE}")
    if not isinstance(value, str):
        raise Refused(f"The field “{name}” of the entry {where} must be text. {_SHAPE}")
    return value
