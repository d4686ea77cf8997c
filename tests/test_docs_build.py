from pathlib import Path

import pytest

from pipeline.docs_build import PAGES, commands_reference, config_reference, main, outdated
from pipeline.docs_build import results_reference as written_results
from pipeline.results.schema import POINT_COLUMNS, SEGMENT_COLUMNS

ROOT = Path(__file__).parent.parent


def test_the_generated_pages_say_what_the_code_says() -> None:
    assert outdated(ROOT / "docs") == [], "run python -m pipeline.docs_build"


def test_a_changed_page_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    (tmp_path / "commands.md").write_text("old", encoding="utf-8")
    (tmp_path / "config-reference.md").unlink()
    assert outdated(tmp_path) == ["config-reference.md", "commands.md"]
    assert main([str(tmp_path), "--check"]) == 1
    assert "commands.md" in capsys.readouterr().err


def test_every_column_is_in_the_results_reference() -> None:
    page = written_results()
    for column in (*POINT_COLUMNS, *SEGMENT_COLUMNS):
        assert f"| `{column.name}` |" in page


def test_a_field_shows_its_type_bounds_default_and_meaning() -> None:
    page = config_reference()
    assert "| `max_stages` | integer, ≥ 1, ≤ 1000000 | `8` | Most pipeline stages. |" in page
    assert "## `pool`" in page
    for line in page.splitlines():
        if line.startswith("| `"):
            assert not line.rstrip(" |").endswith("|"), f"no meaning: {line}"


def test_every_command_has_its_section() -> None:
    page = commands_reference()
    for command in ("compare", "export", "frontier", "report", "solve", "space", "sweep", "verify"):
        assert f"\n## {command}\n" in page


def test_the_pages_are_the_same_on_every_machine() -> None:
    for page in PAGES.values():
        assert page() == page()
        assert "/root" not in page()
        assert "<class" not in page()
