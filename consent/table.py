"""The decision table of `docs/permission.md`, made from the rules: `python -m consent.table docs/permission.md` writes it
there."""

import sys
from pathlib import Path
from typing import Final

from consent.permission import RULES

BEGIN: Final = "<!-- the table: made by `python -m consent.table docs/permission.md` -->"
END: Final = "<!-- end of the table -->"


def table() -> str:
    """The rules as Markdown, in the order in which they are asked."""
    rows = [
        "| | asked | then | reason |",
        "|---|---|---|---|",
        *(
            f"| {number} | {rule.says} | {rule.then} | {', '.join(f'`{r}`' for r in rule.name.split(', '))} |"
            for number, rule in enumerate(RULES, 1)
        ),
    ]
    return "\n".join(rows)


def written(page: str) -> str:
    """The page with the table of today between its marks. Raises ValueError where it has none."""
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"no place for the table: a line {BEGIN} and a line {END}")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
