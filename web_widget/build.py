"""Builds the widget: `src/` → `dist/` with `v1.js` (the loader), `app.js` (all else) and `manifest.json`.

    python -m web_widget.build            write dist
    python -m web_widget.build --check    exit 1 if dist is not what src builds, or is too large

tdewolff-minify does the minifying (a development requirement; no Node). The same sources give the same bytes on
every machine, so dist is committed and checked. The sources keep to a small part of the module syntax, and anything
else is refused: named imports of siblings, `export` before a declaration, the default import of a style sheet as text.
"""

import argparse
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path

import minify

from web_widget import DIST, FOLDER

SOURCES = FOLDER / "src"
LOADER_LIMIT = 3 * 1024
WHOLE_LIMIT = 20 * 1024
BANNER = "/*! Parley chat widget. Built from web_widget/src; do not edit. */\n"

_IMPORT = re.compile(
    r'^import (?:\{(?P<names>[^}]*)\}|(?P<text>\w+)) from "\./(?P<file>[\w.-]+)";\n', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:const|let|function|async function|class) (\w+))", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:export )?(?:const|let|var|function|async function|class) (\w+)", re.MULTILINE)


class Refused(Exception):
    """A source that can't be built; the text says where and why."""


class Bundle:
    """Modules in dependency order, as one script."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exports: dict[str, set[str]] = {}
        self._names: dict[str, str] = {}
        self._parts: list[str] = []

    def add(self, file: str, path: tuple[str, ...] = ()) -> None:
        """Adds a module after everything it imports."""
        if file in path:
            raise Refused(f"import cycle: {' → '.join((*path, file))}")
        if file in self._exports:
            return
        text = (self._folder / file).read_text(encoding="utf-8")
        for found in _IMPORT.finditer(text):
            self._follow(found, (*path, file))
        self._exports[file] = set(_EXPORT.findall(text))
        for name in _TOP_LEVEL.findall(text):
            self._claim(name, file)
        text = _EXPORT.sub("", _IMPORT.sub("", text))
        if left := re.search(r"^(import|export)\b.*$", text, re.MULTILINE):
            raise Refused(f"{file}: not understood: {left[0]}")
        self._parts.append(text)

    def _follow(self, found: re.Match[str], path: tuple[str, ...]) -> None:
        file = found["file"]
        if found["text"]:
            sheet = minify.string("text/css", (self._folder / file).read_text(encoding="utf-8"))
            self._claim(found["text"], file)
            self._parts.append(f"const {found['text']} = {json.dumps(sheet, ensure_ascii=False)};\n")
            return
        self.add(file, path)
        names = {name.strip() for name in found["names"].split(",") if name.strip()}
        if missing := names - self._exports[file]:
            raise Refused(f"{path[-1]}: {file} does not export {', '.join(sorted(missing))}")

    def _claim(self, name: str, file: str) -> None:
        owner = self._names.setdefault(name, file)
        if owner != file:
            raise Refused(f"{name} is declared in {owner} and in {file}; the modules share one scope")

    def script(self) -> str:
        """The whole as one strict function that leaves no global name."""
        return wrap("\n".join(self._parts))


def wrap(text: str) -> str:
    try:
        script = minify.string("text/javascript", f'(()=>{{"use strict";{text}\n}})();')
    except minify.MinifyError as error:
        raise Refused(f"the script can't be read: {error}") from None
    return f"{BANNER}{script}\n"


def build(folder: Path = SOURCES) -> dict[str, bytes]:
    """File name → content of everything in dist."""
    bundle = Bundle(folder)
    bundle.add("app.js")
    app = bundle.script().encode()
    loader = (folder / "loader.js").read_text(encoding="utf-8")
    version = hashlib.sha256(app).hexdigest()[:12]
    if loader.count("__APP_VERSION__") != 1:
        raise Refused("loader.js must name __APP_VERSION__ once")
    files = {"app.js": app, "v1.js": wrap(loader.replace("__APP_VERSION__", version)).encode()}
    manifest = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
    }
    return {**files, "manifest.json": (json.dumps(manifest, indent=2) + "\n").encode()}


def sizes(files: dict[str, bytes]) -> dict[str, int]:
    """Bytes that travel, by file: as the server compresses them."""
    return {name: len(gzip.compress(files[name], 9, mtime=0)) for name in ("v1.js", "app.js")}


def problems(files: dict[str, bytes], dist: Path = DIST) -> list[str]:
    """What is wrong with `files`, and with `dist` against them; empty if nothing."""
    found = []
    size = sizes(files)
    if size["v1.js"] > LOADER_LIMIT:
        found.append(f"the loader is {size['v1.js']} bytes gzipped; the limit is {LOADER_LIMIT}")
    if sum(size.values()) > WHOLE_LIMIT:
        found.append(f"the widget is {sum(size.values())} bytes gzipped; the limit is {WHOLE_LIMIT}")
    for name, content in files.items():
        path = dist / name
        if not path.is_file() or path.read_bytes() != content:
            found.append(f"dist/{name} is not what src builds: run python -m web_widget.build")
    strangers = sorted({path.name for path in dist.glob("*")} - set(files))
    return found + [f"dist/{name} is built from nothing" for name in strangers]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m web_widget.build", description="Build the chat widget.")
    parser.add_argument("--check", action="store_true", help="exit 1 if dist is stale or too large")
    options = parser.parse_args(arguments)
    try:
        files = build()
    except Refused as refusal:
        print(f"web_widget: {refusal}", file=sys.stderr)
        return 1
    if not options.check:
        DIST.mkdir(exist_ok=True)
        for name, content in files.items():
            (DIST / name).write_bytes(content)
    size = sizes(files)
    print(f"loader {size['v1.js']:,} B, app {size['app.js']:,} B, together {sum(size.values()):,} B (gzip)")
    found = problems(files)
    for problem in found:
        print(f"web_widget: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
