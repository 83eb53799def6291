"""How far preparing a campaign has come, and what it counted up to there."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from consent.permission import Refused
from gateway.model.campaign import PAGE, Recipient


@dataclass
class Progress:
    """What was counted up to a line. `pages`: for each page when its first is due, how many wait, how many are refused."""

    upto: int = 0
    place: int = 0
    read: int = 0
    wrong: int = 0
    doubled: int = 0
    allowed: int = 0
    recipients: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    priced: Counter[str] = field(default_factory=Counter)
    """How many by category and region (`MARKETING/ES`)."""
    first: datetime | None = None
    last: datetime | None = None
    pages: list[list[Any]] = field(default_factory=list)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Progress":
        made = cls(**{k: v for k, v in stored.items() if k in cls.__dataclass_fields__})
        for name in ("refused", "held", "languages", "priced"):
            setattr(made, name, Counter(getattr(made, name)))
        return made

    def to_doc(self) -> dict[str, Any]:
        doc = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: dict(v) if isinstance(v, Counter) else v for k, v in doc.items()}

    def count(self, recipient: Recipient, refused: Refused | None, price: str) -> None:
        self.recipients += 1
        if recipient.language:
            self.languages[recipient.language] += 1
        if recipient.state == "refused":
            self.refused[recipient.reason] += 1
        elif refused is None or refused.hold:
            self.allowed += 1
            self.priced[price] += 1
            if refused is not None:
                self.held[refused.reason] += 1
        else:
            self.refused[refused.reason] += 1
        page = recipient.place // PAGE
        while len(self.pages) <= page:
            self.pages.append([None, 0, 0])
        row = self.pages[page]
        if recipient.state == "refused":
            row[2] += 1
            return
        row[1] += 1
        due = recipient.due
        if due is not None:
            row[0] = due if row[0] is None else min(row[0], due)
            self.first = due if self.first is None else min(self.first, due)
            self.last = due if self.last is None else max(self.last, due)
