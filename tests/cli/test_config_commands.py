"""The command that lists, prints and writes out the configs of the package."""

from pathlib import Path

import pytest

from tests.cli.runner import run, run_json

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_config_is_listed_on_one_line_with_what_it_describes() -> None:
    lines = run("configs", columns=130).stdout.splitlines()
    [medium] = [line for line in lines if line.startswith("medium ")]
    assert "The reference instance: 64 GPUs of five types" in medium
    listed = run_json("configs")
    assert len(lines) == 2 + len(listed)  # a title and a header
    assert {entry["name"] for entry in listed} >= {"medium", "medium-csv"}
    assert all(Path(entry["path"]).exists() for entry in listed)


@pytest.mark.parametrize("name", ["medium", "packaged:medium"])
def test_a_config_is_printed_as_it_stands(name: str) -> None:
    assert run("configs", name).stdout == (CONFIGS / "medium.yaml").read_text(encoding="utf-8")
    assert run_json("configs", name)["text"].startswith("# The reference instance")


def test_a_config_is_written_out_once_and_solves() -> None:
    result = run("configs", "medium", "--out", "mine.yaml")
    assert (result.exit_code, result.stdout) == (0, "Written: mine.yaml\n")
    again = run("configs", "medium", "--out", "mine.yaml")
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == "mine.yaml: file: exists already; choose another name\n"
    ours, theirs = (
        run_json("solve", config, "-g", "coarsest") for config in ("mine.yaml", "medium")
    )
    assert ours["cost_usd_per_token"] == theirs["cost_usd_per_token"]


def test_a_directory_of_csv_files_is_written_but_not_printed(elsewhere: Path) -> None:
    refused = run("configs", "medium-csv")
    assert refused.exit_code == 2
    assert "NAME: is a directory of CSV files; write it with --out" in refused.stderr
    assert run_json("configs", "medium-csv", "--out", "mine")["written"] == "mine"
    assert (elsewhere / "mine" / "gpu_pool.csv").is_file()


def test_a_place_without_a_name_and_an_unknown_name_are_bad_input() -> None:
    result = run("configs", "--out", "mine.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--out: needs the name of a config to write" in result.stderr
    result = run("configs", "medum")
    assert result.exit_code == 2
    assert result.stderr.startswith("packaged:medum: file: no such config in the package")


@pytest.mark.parametrize("command", ["solve", "frontier", "space", "sweep"])
def test_every_command_on_configs_takes_a_name_and_lists_them_for_a_wrong_one(
    command: str,
) -> None:
    result = run(command, "medum")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("medum: file: does not exist; configs in the package: ")


def test_the_search_space_of_a_named_config_is_that_of_its_file() -> None:
    named = run_json("space", "medium", "-g", "coarsest")
    assert named == run_json("space", CONFIGS / "medium.yaml", "-g", "coarsest")
