import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.app import app
from pipeline.cli.inspect_commands import compare as _compare  # noqa: F401  registers itself
from pipeline.cli.report_commands import Target
from pipeline.export import TARGETS
from tests.result_builders import point, segment, write_run


def run(*arguments: str | Path) -> tuple[int, str]:
    """Run a command; return its exit code and all that it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_report_writes_a_page_and_says_where(tmp_path: Path) -> None:
    write_run(tmp_path, [point("a")])
    code, printed = run("report", tmp_path, "--no-plots", "--json")
    assert code == 0
    assert json.loads(printed) == {"page": str(tmp_path / "report.html"), "plots": []}
    assert (tmp_path / "report.html").is_file()
    assert not (tmp_path / "plots").exists()


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_that_holds_no_run_is_bad_input(tmp_path: Path, command: str) -> None:
    code, printed = run(command, tmp_path / "nothing")
    assert code == 2
    assert "does not exist" in printed


def test_export_writes_a_file_and_sums_it_up(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [point("a")])
    file = tmp_path / "start.sh"
    code, printed = run("export", tmp_path / "run", "--to", "vllm", "--out", file)
    assert code == 0
    assert "1 stage at TP 2" in printed
    assert "vllm serve" in file.read_text(encoding="utf-8")


def test_export_exits_3_where_vllm_cannot_run_the_placement(tmp_path: Path) -> None:
    stages = [segment("a", 0, size=20), segment("a", 1, size=20, tp_degree=1, gpu_ids=(2,))]
    write_run(tmp_path, [point("a")], stages)
    code, printed = run("export", tmp_path, "--point", "a")
    assert code == 3
    assert "vLLM cannot run this placement" in printed


def test_export_as_data_says_what_is_run_and_holds_the_text(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [point("a")])
    file = tmp_path / "start.sh"
    for wanted, written in (((), None), (("--out", file), str(file))):
        code, printed = run("export", tmp_path / "run", "--json", *wanted)
        data = json.loads(printed)
        assert code == 0
        assert (data["point_id"], data["to"], data["file"]) == ("a", "vllm", written)
        assert (data["tp_degree"], data["layers"]) == (2, [40])
        assert data["engine_arguments"]["tensor_parallel_size"] == 2
        assert data["throughput_tokens_per_s"] == 1000
    assert data["text"] == file.read_text(encoding="utf-8")


def test_export_as_data_names_what_vllm_can_run_instead(tmp_path: Path) -> None:
    stages = [segment("a", 0, size=20), segment("a", 1, size=20, tp_degree=1, gpu_ids=(2,))]
    write_run(tmp_path, [point("a"), point("b", usd_per_million=1.5)], [*stages, segment("b")])
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--json"])
    assert result.exit_code == 3
    refused = json.loads(result.stdout)
    assert refused["reason"].startswith("its stages have the TP degrees 1, 2")
    assert (refused["alternative"], refused["percent_dearer"]) == ("b", pytest.approx(50))


def test_export_of_an_unfinished_run_says_so_beside_what_it_writes(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a")])
    file = tmp_path / "run.json"

    def exported(*options: str) -> Result:
        return CliRunner().invoke(app, ["export", str(tmp_path), *options])

    assert exported().stderr == ""
    assert json.loads(exported("--json").stdout)["unfinished"] is None
    file.write_text(json.dumps({**results.run, "status": "stopped"}), encoding="utf-8")
    told = exported()
    assert told.stderr.startswith("This run has not finished: ")
    assert (told.exit_code, told.stdout.count("not finished")) == (0, 0)
    assert json.loads(exported("--json").stdout)["unfinished"] == told.stderr.strip()
    nowhere = write_run(tmp_path / "none", [point("a", usd_per_million=None)])
    file = tmp_path / "none" / "run.json"
    file.write_text(json.dumps({**nowhere.run, "status": "stopped"}), encoding="utf-8")
    nothing = CliRunner().invoke(app, ["export", str(tmp_path / "none"), "--json"])
    assert nothing.exit_code == 3
    assert json.loads(nothing.stdout)["unfinished"].startswith("This run has not finished")


def test_export_of_a_run_without_any_placement_exits_3_with_a_reason(tmp_path: Path) -> None:
    write_run(tmp_path, [point("a", usd_per_million=None)])
    code, printed = run("export", tmp_path)
    assert code == 3
    told = f"{tmp_path}: no point has a placement; one says: budget: too small"
    assert printed == f"{told}\n"
    result = CliRunner().invoke(app, ["export", str(tmp_path), "--json"])
    assert json.loads(result.stdout)["reason"] == told


def test_export_tells_no_more_of_a_stored_message_than_of_others(tmp_path: Path) -> None:
    write_run(tmp_path, [point("a", usd_per_million=None, message="no\n" * 5000)])
    told = CliRunner().invoke(app, ["export", str(tmp_path)]).stderr.splitlines()
    assert len(told) == 101
    assert told[-1] == "… and 4901 more"


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_file_that_the_command_has_not_written_is_not_overwritten(
    tmp_path: Path, command: str
) -> None:
    write_run(tmp_path / "run", [point("a")])
    file = tmp_path / "notes"
    file.write_text("<!doctype html> my own\n")
    code, printed = run(command, tmp_path / "run", "--out", file)
    assert code == 2
    assert "--out: is a file that this command has not written" in printed
    assert file.read_text() == "<!doctype html> my own\n"
    file.write_text("")
    for _ in range(2):
        assert run(command, tmp_path / "run", "--out", file)[0] == 0


def test_every_target_of_the_command_has_its_writer() -> None:
    assert {target.value for target in Target} == set(TARGETS)


def test_compare_ends_in_a_recommendation_and_shows_what_changed(tmp_path: Path) -> None:
    write_run(tmp_path / "1", [point("a"), point("w", method="weighted", usd_per_million=1.5)])
    write_run(tmp_path / "2", [point("b", usd_per_million=0.9)], fields={"limits.max_stages": 4})
    code, printed = run("compare", tmp_path / "1", tmp_path / "2")
    assert code == 0
    assert "Run 1 × 40 layers on A100 TP 2" in printed
    assert "Search at exact by ratio" in printed
    assert "limits.max_stages" in printed
    assert "-10.0 %" in printed


def test_compare_as_json_has_a_part_for_each_comparison(tmp_path: Path) -> None:
    write_run(tmp_path / "1", [point("a")])
    write_run(tmp_path / "2", [point("a", usd_per_million=0.9)])
    code, printed = run("compare", tmp_path / "1", tmp_path / "2", "--json")
    assert code == 0
    first, second = json.loads(printed)
    assert first["recommendation"]["point_id"] == "a"
    assert first["methods"][0]["percent_to_optimum"] == 0.0
    assert "changes" not in first
    assert second["changes"]["contradictions"] == ["a"]
