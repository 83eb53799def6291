"""The project's own rules, held by the tools that everybody runs."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("gateway", "channels", "brain", "leads", "consent")
TEXTS = (".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".json", ".yml", ".yaml", ".sh", "")
SKIPPED = {".git", ".venv", "node_modules", "__pycache__", "data", "dist", "payloads", "corpora"}
SKIPPED |= {".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis"}


def tool(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, timeout=280
    )


def texts() -> list[Path]:
    return [
        path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file() and path.suffix in TEXTS and not SKIPPED & set(path.relative_to(ROOT).parts)
    ]


@pytest.mark.parametrize("words", [("check", "."), ("format", "--check", ".")])
def test_ruff_finds_nothing(words: tuple[str, ...]) -> None:
    done = tool("ruff", *words, "--no-cache")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_mypy_finds_nothing() -> None:
    done = tool("mypy")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


# Imports ---------------------------------------------------------------------------------------------------


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


def test_the_imports_keep_to_their_contracts() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


PLANTED = {
    "Imports go downwards only": ("gateway/store/group.py", "import gateway.inbox"),
    "pymongo only in the store": ("gateway/turn.py", "import pymongo"),
    "No provider's SDK at run time (docs/decisions/0003, 0010, 0019)": ("channels/kit.py", "import pywa"),
    "Adapters are independent": ("channels/web/hub.py", "import channels.whatsapp.parse"),
    "Only the registry imports adapters": ("gateway/turn.py", "import channels.web.hub"),
}


def test_a_violation_is_planted_for_every_contract() -> None:
    named = re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(named) - {"parley"} == set(PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_its_contract(copied: Path, contract: str) -> None:
    name, line = PLANTED[contract]
    path = copied / name
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(f"{whole}\n{line}\n", encoding="utf-8")
        done = lint(copied)
    finally:
        path.write_text(whole, encoding="utf-8")
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"{contract} BROKEN" in done.stdout


# Texts -----------------------------------------------------------------------------------------------------


def test_no_file_knows_one_machine_or_leaves_work_for_later() -> None:
    # Put together here, so that this file does not hold what it looks for.
    later = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    paths = re.compile(
        "|".join(("/wo" + "rk/", "/ho" + "me/[a-z]", "/Us" + "ers/", "/ro" + "ot/", "/tm" + "p/v/"))
    )
    found = []
    for path in texts():
        for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if later.search(text) or paths.search(text):
                found.append(f"{path.relative_to(ROOT)}:{number}: {text.strip()[:100]}")
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if source.strip() and ast.get_docstring(ast.parse(source)) is None:
                silent.append(str(path.relative_to(ROOT)))
    assert silent == []


# The test run itself ---------------------------------------------------------------------------------------

FORGOTTEN = """
import asyncio, gc

async def work() -> None:
    pass

async def test_forgets() -> None:
    {line}
    gc.collect()
    await asyncio.sleep(0)
"""


@pytest.mark.parametrize(("line", "fails"), [("work()", True), ("await work()", False)])
def test_a_coroutine_that_nobody_awaits_fails_the_run(tmp_path: Path, line: str, fails: bool) -> None:
    (tmp_path / "test_it.py").write_text(FORGOTTEN.format(line=line), encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    done = tool("pytest", "-q", "-p", "no:cacheprovider", "test_it.py", cwd=tmp_path)
    assert (done.returncode == 1) is fails, done.stdout[-2000:] + done.stderr[-1000:]
    assert ("never awaited" in done.stdout) is fails
