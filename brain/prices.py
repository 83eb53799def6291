"""What calls cost: list prices as data (prices.json, with its page and date), a tenant's own before them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Prices:
    """Millionths of USD: `models` per 1,000 tokens in and out, `searches` each. `source` and `read`: where and when they
    stood so."""

    models: Mapping[str, tuple[int, int]]
    searches: Mapping[str, int]
    source: str = ""
    read: str = ""

    def known(self, model: str) -> bool:
        return model in self.models or model in self.searches

    def cost(self, model: str, tokens_in: int, tokens_out: int, searches: int = 0) -> int:
        """Millionths of USD, rounded up; 0 for a model without a price."""
        read, written = self.models.get(model, (0, 0))
        tokens = -(-(tokens_in * read + tokens_out * written) // 1000)
        return tokens + searches * self.searches.get(model, 0)

    def over(self, own: Mapping[str, tuple[int, int]]) -> "Prices":
        """With a tenant's own prices instead of the list's."""
        return Prices({**self.models, **own}, self.searches, self.source, self.read) if own else self


@lru_cache(maxsize=1)
def list_prices() -> Prices:
    """The prices that come with us; read once."""
    data = json.loads((Path(__file__).parent / "prices.json").read_text(encoding="utf-8"))
    models = {name: (int(read), int(written)) for name, (read, written) in data["models"].items()}
    searches = {name: int(each) for name, each in data["searches"].items()}
    return Prices(models, searches, data["source"], data["read"])
