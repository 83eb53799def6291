"""The page shows the rules as they are."""

from pathlib import Path

import pytest

from consent.table import table, written

PAGE = Path(__file__).parents[2] / "docs" / "permission.md"


def test_the_page_shows_the_rules_of_today() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "run: python -m consent.table docs/permission.md"
    assert "| 1 | A bot's message while a person owns" in table()


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        written("# Nothing")
