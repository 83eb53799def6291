"""The chat widget: browser sources in `src/`, what the gateway serves in `dist/`, the builder between."""

from pathlib import Path

FOLDER = Path(__file__).parent
DIST = FOLDER / "dist"
