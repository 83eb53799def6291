"""A text that is being cleaned, which knows of each character where it stood before: citations stay where they belong."""

import re
from collections.abc import Callable
from dataclasses import dataclass

Replace = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Edited:
    """`places[i]` is where character i stood in the original; the last one, one more, is its end."""

    text: str
    places: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "Edited":
        return cls(text, tuple(range(len(text) + 1)))

    def sub(self, pattern: re.Pattern[str], replace: str | Replace) -> "Edited":
        """Every match replaced. What is kept of a match stays where it stood; anything else stands at the match's beginning."""
        parts, places, last = list[str](), list[int](), 0
        for found in pattern.finditer(self.text):
            new = found.expand(replace) if isinstance(replace, str) else replace(found)
            if new == found.group():
                continue
            start, end = found.span()
            parts += (self.text[last:start], new)
            places += self.places[last:start]
            kept = start + max(found.group().find(new), 0)
            places += (self.places[min(kept + i, end - 1)] for i in range(len(new)))
            last = end
        if not parts:
            return self
        return Edited("".join((*parts, self.text[last:])), (*places, *self.places[last:]))

    def cut(self, start: int, end: int) -> "Edited":
        return Edited(self.text[start:end], self.places[start : end + 1])

    def strip(self) -> "Edited":
        start = len(self.text) - len(self.text.lstrip())
        return self.cut(start, max(start, len(self.text.rstrip())))
