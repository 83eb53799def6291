"""A tenant's settings of answers, and what is kept of questions, to documents and back.

By pydantic's own reading of the dataclasses: what a later version has added is passed over, what it lacks has its default.
"""

from typing import Any

from pydantic import TypeAdapter

from gateway.model.answers import AnswerSettings, Rule
from gateway.store.docs import Doc

_SETTINGS: TypeAdapter[AnswerSettings] = TypeAdapter(AnswerSettings)
_RULES: TypeAdapter[tuple[Rule, ...]] = TypeAdapter(tuple[Rule, ...])


def settings_to_doc(settings: AnswerSettings) -> Doc:
    """Every field is written: what a later version has as its default must not change what a tenant set."""
    doc: Doc = _SETTINGS.dump_python(settings, mode="json")
    # Names of models hold dots: as keys they would be paths.
    doc["prices"] = [[model, *both] for model, both in settings.prices.items()]
    return doc


def settings_from_doc(doc: Doc) -> AnswerSettings:
    prices = {model: (int(read), int(written)) for model, read, written in doc.get("prices", ())}
    return _SETTINGS.validate_python({**doc, "prices": prices})


def rules_to_docs(rules: tuple[Rule, ...]) -> list[Doc]:
    docs: list[Doc] = _RULES.dump_python(rules, mode="json")
    return docs


def rules_from_docs(docs: Any) -> tuple[Rule, ...]:
    return _RULES.validate_python(docs)
