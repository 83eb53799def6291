"""The builder: dist is what src builds, small enough, and what cannot be built is refused with a reason."""

from pathlib import Path

import pytest

from web_widget.build import Bundle, Refused, build, main, problems, sizes, wrap


def test_dist_is_built_from_src_and_within_the_limits() -> None:
    assert problems(build()) == []
    assert main(["--check"]) == 0


def test_building_is_deterministic() -> None:
    assert build() == build()


def test_the_loader_names_the_bundle_it_was_built_with() -> None:
    files = build()
    assert b"__APP_VERSION__" not in files["v1.js"]
    assert sizes(files)["v1.js"] <= 3 * 1024


@pytest.mark.parametrize(
    "forbidden", [b"innerHTML", b"insertAdjacentHTML", b"eval(", b"new Function", b'"style",']
)
def test_nothing_in_dist_parses_markup_or_code(forbidden: bytes) -> None:
    assert forbidden not in build()["app.js"]
    assert forbidden not in build()["v1.js"]


def test_a_stale_or_foreign_file_is_reported(tmp_path: Path) -> None:
    files = build()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "app.js").write_bytes(b"edited by hand")
    (tmp_path / "stranger.js").write_bytes(b"")
    assert problems(files, tmp_path) == [
        "dist/app.js is not what src builds: run python -m web_widget.build",
        "dist/stranger.js is built from nothing",
    ]


def test_a_widget_that_grew_too_large_is_reported() -> None:
    files = {**build(), "v1.js": Path(__file__).parent.joinpath("axe.min.js").read_bytes()}
    assert [line.split(" is ")[0] for line in problems(files)][:2] == ["the loader", "the widget"]


@pytest.mark.parametrize("source", ["if (a) {", "`no end", "a = = b"])
def test_what_is_no_script_is_refused(source: str) -> None:
    with pytest.raises(Refused, match="can't be read"):
        wrap(source)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'}, "cycle"),
        ({"a.js": 'import { b } from "./b.js";\n', "b.js": "export const c = 1;\n"}, "does not export b"),
        (
            {"a.js": 'import { b } from "./b.js";\nconst b = 1;\n', "b.js": "export const b = 1;\n"},
            "declared",
        ),
        ({"a.js": "export default 1;\n"}, "not understood"),
        ({"a.js": 'import * as b from "./b.js";\n'}, "not understood"),
    ],
)
def test_modules_that_do_not_fit_together_are_refused(
    tmp_path: Path, files: dict[str, str], reason: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=reason):
        Bundle(tmp_path).add("a.js")
