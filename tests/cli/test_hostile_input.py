"""Whole commands on input that is too large, too long or meant to do harm: told at once."""

import copy
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.network import MAX_ZONES
from pipeline.roofline.constant_files import shipped_table, write_constants
from pipeline.roofline.constants import Effect
from tests.cli.runner import run
from tests.fuzz.contract import observed
from tests.sweeps import SMALL, run_without_ray, small_config, write_config

FAST, SLOW = SMALL["pool"]


def told(*arguments: object, code: int = 2) -> str:
    """Run a command under the contract; return what it says on standard error."""
    texts: list[str] = []

    def command() -> None:
        result = run(*arguments)
        assert result.exit_code == code, result.stderr
        texts.append(result.stderr)

    assert observed(command).failure is None
    return texts[0]


def config(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    return write_config(folder / "c.yaml", changes)


def with_pool_of(count: int, **changes: Any) -> dict[str, Any]:
    return {"pool": [{**FAST, "count": count - 1}, SLOW], **changes}


def test_what_is_said_beside_answers_ends_after_a_hundred_lines_of_a_thousand_characters(
    tmp_path: Path,
) -> None:
    names = [f"{index:03}".ljust(200, "x") for index in range(100)]
    kinds = [{"gpu": n, "count": 1, "memory_gb": 5000, "usd_per_hour": 999} for n in names]
    figures = {name: {"tflops": 1, "gb_per_s": 1, "efficiency": 0.5} for name in names}
    changes = {"pool": kinds, "performance": {"model": "flops", "gpus": figures}, "baseline": None}
    file = config(tmp_path, changes)
    notes = told("solve", file, "--brief", code=0).splitlines()
    assert len(notes) == 101
    assert notes[-1] == "note: … and 100 more"
    *_, why = told(
        "frontier", file, "--json", "--set", "model.layer_weight_gb=9999", code=3
    ).splitlines()
    assert why.startswith("infeasible: memory: no allowed size fits any group")
    assert len(why) < 1010


def test_aliases_that_stand_for_billions_are_refused(tmp_path: Path) -> None:
    laughs = "\n".join(
        f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9 if i else ['x'] * 9)}]" for i in range(9)
    )
    (tmp_path / "c.yaml").write_text(laughs)
    assert "aliases are not supported" in told("solve", tmp_path / "c.yaml")


def test_a_matrix_of_ten_thousand_gpus_is_refused_at_its_first_row(tmp_path: Path) -> None:
    header = "," + ",".join(f"g{i}" for i in range(10_000))
    (tmp_path / "m.csv").write_text(f"{header}\ng0{',600' * 10_000}\n")
    file = config(tmp_path, with_pool_of(10_000, network={"matrix": "m.csv"}))
    assert told("solve", file) == (
        f"{tmp_path}/m.csv: matrix: may be of at most 1000 GPUs; larger pools need gb_per_s with "
        "overrides\n"
    )


def test_a_matrix_file_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "m.csv").open("wb") as file:
        file.truncate(2**30)
    path = config(tmp_path, with_pool_of(10_000, network={"matrix": "m.csv"}))
    assert "m.csv: file: is larger than 67108864 bytes" in told("solve", path)


@pytest.mark.parametrize(
    ("repeated", "where"),
    [
        (",", "line 1: has more than 100000 commas in a row"),
        ("\n", "file: has more than 1000000 lines"),
    ],
)
def test_a_file_of_commas_or_line_breaks_alone_is_refused_at_once(
    tmp_path: Path, repeated: str, where: str
) -> None:
    (tmp_path / "m.csv").write_text(repeated * (64 * 1024**2))
    matrix = config(tmp_path, {"network": {"matrix": "m.csv"}})
    assert f"m.csv: {where}" in told("solve", matrix)
    assert f"m.csv: {where}" in told("validate", tmp_path / "m.csv", "--constants", "priors")


def test_cells_that_no_column_asks_for_are_not_kept(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(1000))
    cells = ",".join(f"{number % 90 + 10}" for number in range(1000))
    (tmp_path / "m.csv").write_text(f"{header}\n" + f"{cells}\n" * 22_000)
    text = told("validate", tmp_path / "m.csv", "--constants", "priors")
    assert "line 1: must have the columns source, gpu" in text


def test_a_run_of_more_values_than_fit_into_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(f'{{"schema_version": "1", "x": [{"[]," * 22_000_000}0]}}')
    assert "run.json: holds more than 5000000 values" in told("status", tmp_path)


def test_a_hundred_thousand_gpus_on_one_network_are_placed(tmp_path: Path) -> None:
    changes = with_pool_of(100_000, **{"limits.tp_degrees": [1, 2, 4, 8]})
    told("solve", config(tmp_path, changes), "--brief", code=0)
    assert "may hold at most 100000 GPUs (got 100001)" in told(
        "solve", config(tmp_path, with_pool_of(100_001))
    )


def test_overrides_that_tell_too_many_gpus_apart_are_refused(tmp_path: Path) -> None:
    islands = [{"gpus": f"{8 * i}-{8 * i + 7}", "gb_per_s": 900} for i in range(MAX_ZONES + 1)]
    changes = with_pool_of(9000, **{"network.overrides": islands})
    assert told("solve", config(tmp_path, changes)).endswith(
        f"c.yaml: network: may tell at most {MAX_ZONES} kinds of GPUs apart by their links\n"
    )


def test_overrides_that_name_a_billion_ids_are_refused(tmp_path: Path) -> None:
    everything = [{"gpus": f"{i}-900000", "gb_per_s": 900} for i in range(1000)]
    text = told("solve", config(tmp_path, {"network.overrides": everything}))
    assert "network.overrides: may name at most 1000000 ids in all" in text
    twice = [{"gpus": ",".join(["0-900000"] * 1000), "gb_per_s": 900}]
    text = told("solve", config(tmp_path, {"network.overrides": twice}))
    assert "network.overrides[0].gpus: may name at most 1000000 ids in all" in text


def test_models_are_as_deep_as_ten_thousand_layers(tmp_path: Path) -> None:
    deep = {"model.num_hidden_layers": 10_000, "model.layer_weight_gb": 1e-6}
    for command in ("solve", "frontier", "space"):
        told(command, config(tmp_path, {**deep, "solver.time_limit_s": 2}), code=0)
    file = config(tmp_path, {"model.num_hidden_layers": 10**9})
    assert "model.num_hidden_layers: must be at most 10000" in told("solve", file)


@pytest.mark.parametrize(
    "text", ["1+" * 500_000 + "1", "9" * 10**6, ",".join(f"{i}" for i in range(10**5))]
)
def test_a_granularity_of_a_million_characters_is_refused(tmp_path: Path, text: str) -> None:
    assert "--granularity: must " in told("space", config(tmp_path), "--granularity", text)


def test_sizes_that_no_segment_has_are_refused(tmp_path: Path) -> None:
    file = config(tmp_path, {"sweep.granularities": [[1, 3, 99_999_999_999]]})
    assert "granularities[0]: must have sizes of at most 10000" in told("sweep", file, "--plan")


def test_a_million_sizes_are_more_than_a_config_holds(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"sweep: {{granularities: [[{'1,' * 400_000}1]]}}")
    assert "more than 50000 values" in told("solve", tmp_path / "c.yaml")


def crossed(values: int, fields: int) -> dict[str, Any]:
    names = ["workload.batch_size", "workload.sequence_length", "limits.max_stages"]
    over = {name: list(range(1, values + 1)) for name in names[:fields]}
    return {"sweep.over": over, "sweep.methods": ["ratio"], "sweep.granularities": ["exact"]}


def test_a_sweep_of_a_million_points_is_planned_at_once(tmp_path: Path) -> None:
    told("sweep", config(tmp_path, crossed(1000, 2)), "--plan", code=0)


@pytest.mark.parametrize(("values", "fields"), [(1001, 2), (10_000, 3)])
def test_a_sweep_of_more_points_than_tables_hold_is_refused_at_once(
    tmp_path: Path, values: int, fields: int
) -> None:
    text = told("sweep", config(tmp_path, crossed(values, fields)), "--out", tmp_path / "out")
    assert f"sweep: may have at most 1000000 points (got {values**fields})" in text
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../../etc/x", "..", "/", "a/b", "~", "$(touch x)", "x" * 200])
def test_no_name_of_an_instance_leads_out_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").write_text("a file where the folder of all results would be")
    text = run("sweep", config(tmp_path, {"name": name})).stderr
    folder = text.split(": cannot write results")[0]
    assert Path(folder).parent == Path("results")
    assert ".." not in Path(folder).parts


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must not be empty"),
        ("x" * 201, "must be names of at most 200 characters"),
        ("\x1b[2J", "must hold only characters that can be printed"),
        ("a\nb", "must hold only characters that can be printed"),
        ("\u202egnp", "must hold only characters that can be printed"),
    ],
)
def test_a_name_that_no_table_could_show_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    data = {**copy.deepcopy(SMALL), "name": name}
    (tmp_path / "c.yaml").write_text(json.dumps(data))
    assert f"c.yaml: name: {reason}" in told("solve", tmp_path / "c.yaml")


@pytest.mark.parametrize("out", ["file", "loop", "/proc/x", "/dev/null", "x" * 5000])
def test_a_folder_that_cannot_be_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    result = run("sweep", config(tmp_path), "--out", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot write results: " in result.stderr


NUMBERS: list[tuple[str, Any, str]] = [
    ("pool", [{**FAST, "usd_per_hour": 1e308}, SLOW], "must be between 1e-06 and 1e+06, or 0"),
    ("pool", [{**FAST, "memory_gb": 1e-300}, SLOW], "must be between 1e-12 and 1e+12, or 0"),
    ("pool", [{**FAST, "count": 0}, SLOW], "must be at least 1"),
    ("pool", [{**FAST, "gpu": f"G{i}"} for i in range(101)], "pool: must hold at most 100"),
    ("network.gb_per_s", math.inf, "must be a finite number"),
    ("limits.tp_degrees", [2**40], "must be at most 1024"),
    ("solver.time_limit_s", 1e12, "must be at most 31536000"),
    ("sweep.budgets_usd_per_hour", [1e308], "each at most 1e+12"),
    ("sweep.budgets_usd_per_hour", [int("9" * 400)], "each at most 1e+12"),
    ("sweep.budgets_usd_per_hour", list(range(20_001)), "must hold at most 20000 numbers"),
    ("sweep.budgets_usd_per_hour", [math.nan], "must hold only finite numbers"),
    ("sweep.cost_weights", [0.5] * 20_001, "must hold at most 20000"),
    ("workload.concurrency", list(range(1, 1002)), "must hold at most 1000 numbers"),
    ("performance.gpus.Fast.efficiency", 1e-300, "must be between 1e-12 and 1e+12, or 0"),
]


@pytest.mark.parametrize(("field", "value", "reason"), NUMBERS)
def test_a_number_far_from_anything_real_is_refused(
    tmp_path: Path, field: str, value: Any, reason: str
) -> None:
    assert reason in told("solve", config(tmp_path, {field: value}))


ENDS: list[tuple[str, Any]] = [
    ("pool", [{**FAST, "usd_per_hour": 0.0}, {**SLOW, "usd_per_hour": 0.0}]),
    ("pool", [{**FAST, "usd_per_hour": 1e-6}, {**SLOW, "usd_per_hour": 1e6}]),
    ("pool", [{**FAST, "memory_gb": 1e12}, SLOW]),
    ("network.gb_per_s", 0),
    ("network.gb_per_s", 1e-12),
    ("network.gb_per_s", 1e12),
    ("workload.batch_size", 1_000_000),
    ("performance.gpus.Fast.tflops", 1e12),
    ("sweep.target_usd_per_million_tokens", 1e-12),
]


@pytest.mark.parametrize(("field", "value"), ENDS)
@pytest.mark.parametrize("method", ["solve", "frontier"])
def test_numbers_at_their_ends_have_an_answer(
    tmp_path: Path, field: str, value: Any, method: str
) -> None:
    told(method, config(tmp_path, {field: value, "model.layer_weight_gb": 1e-3}), code=0)


@pytest.mark.parametrize("flag", ["--budget", "--cost-weight"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e400", "x"])
def test_flags_take_no_number_that_is_none(tmp_path: Path, flag: str, value: str) -> None:
    assert told("solve", config(tmp_path), flag, value)


def test_the_published_formulation_is_not_built_where_it_would_fill_the_memory() -> None:
    medium = Path(__file__).parent.parent.parent / "configs" / "medium.yaml"
    told = run("solve", medium, "--formulation", "pairwise")
    assert told.exit_code == 2
    assert "solver.formulation: pairwise would need" in told.stderr
    assert "use compact" in told.stderr


def test_a_file_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    for name in ("c.yaml", "m.csv", "run/run.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**30)
    assert "c.yaml: file: is larger than" in told("solve", tmp_path / "c.yaml")
    assert "m.csv: file: is larger than" in told(
        "calibrate", tmp_path / "m.csv", "--out", tmp_path / "k.yaml"
    )
    assert "run.json: cannot be read: is larger than" in told("compare", tmp_path / "run")


def test_constants_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    from tests.roofline_helpers import ROW, write_csv

    rows = [{**ROW, "tokens_per_s_total": str(n)} for n in range(1000, 1006)]
    measured = write_csv(tmp_path / "m.csv", rows)
    result = run("calibrate", measured, "--out", tmp_path / "absent" / "k.yaml")
    assert result.exit_code == 2
    assert "--out: must be a file in a folder that exists and can be written to" in result.stderr


def test_thousands_of_faults_are_told_up_to_a_hundred(tmp_path: Path) -> None:
    data = {**copy.deepcopy(SMALL), **{f"x{i}": 1 for i in range(5000)}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    *lines, last = told("solve", tmp_path / "c.yaml").splitlines()
    assert len(lines) == 100
    assert last == "… and 4900 more"


@pytest.mark.parametrize("name", ["Fast[/b]", "Fast[sxm]", ":cat:", "A[link=http://x.y]z"])
def test_a_name_in_brackets_is_a_name_and_no_markup(tmp_path: Path, name: str) -> None:
    figures = copy.deepcopy(SMALL["performance"])
    figures["gpus"][name] = figures["gpus"].pop(FAST["gpu"])
    file = config(tmp_path, {"pool": [{**FAST, "gpu": name}, SLOW], "performance": figures})
    result = run("solve", file, "--brief")
    assert result.exit_code == 0
    assert f" {name} " in result.stdout


def test_output_that_nobody_takes_is_no_reason_to_fail(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "solve", str(config(tmp_path)), "--brief"]
    for closed in (">&-", "2>&-"):
        shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
        assert subprocess.run(shell, check=False, capture_output=True).returncode == 0


def test_a_folder_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    for place in (f"{tmp_path}/x\udcff", "file:///x%00y"):
        assert "path: must be UTF-8 without a null" in told("status", place)
    for place in ("s3://[x", "file://[x"):
        assert "address: " in told("status", place)


def test_a_file_that_an_export_cannot_replace_stays_as_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    run_without_ray(small_config(tmp_path), tmp_path / "run")
    export = ("export", tmp_path / "run", "--out", kept)
    assert run(*export).exit_code == 0
    precious = kept.read_text()
    assert "cannot be written" in told(*export, "--model", "x\udcff")
    assert kept.read_text() == precious


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("solve", ""), "CONFIG"),
        (("sweep", "medium", "--out", ""), "folder: must be named"),
        (("compare", ""), "folder: must be named"),
        (("verify", ""), "folder: must be named"),
        (("report", "", "--out", "page.html"), "folder: must be named"),
        (("status", ""), "folder: must be named"),
    ],
)
def test_a_path_of_nothing_is_not_taken_for_the_working_folder(
    arguments: tuple[str, ...], field: str
) -> None:
    assert field in told(*arguments)


def test_constants_under_which_a_layer_takes_no_time_that_ends_are_refused(tmp_path: Path) -> None:
    levels = [("all", "all", 5.0), ("gpu", "L40S", 4.0), ("gpu", "A10", 4.0)]
    effects = [Effect("bus_collapse", level, gpu, mean, 0.0, 0.0) for level, gpu, mean in levels]
    write_constants(replace(shipped_table(), effects=tuple(effects)), tmp_path / "k.yaml")
    constants = f"performance.constants={tmp_path / 'k.yaml'}"
    found = run("solve", "llama-3.1-70b-cloud", "--set", constants)
    assert found.exit_code == 2
    told = "llama-3.1-70b-cloud: performance.constants: must give every layer a time from 1e-15 to "
    assert found.stderr.startswith(told)
