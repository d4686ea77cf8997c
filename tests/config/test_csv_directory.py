"""The published system's directories: their keys, defaults and faults."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config, load_config
from pipeline.errors import InputError
from tests.config.builders import MATRIX, PARAMETERS, POOL, faults_of, write_directory

HEADER = "gpu_type,count,memory_gb,dollar_per_hour"
UNPRICED = "gpu_type,count,memory_gb\nA100,1,4\nT4,1,2\n"


def load_with(folder: Path, **parameters: Any) -> Config:
    return load_config(write_directory(folder, {**PARAMETERS, **parameters})).config


def faults_with(folder: Path, **parameters: Any) -> list[str]:
    return faults_of(write_directory(folder, {**PARAMETERS, **parameters}))


def test_a_published_directory_is_an_instance(tmp_path: Path) -> None:
    instance = load_config(write_directory(tmp_path)).instance
    assert instance.name == "published"
    assert (instance.model.num_hidden_layers, instance.model.hidden_size) == (6, 64)
    assert (instance.model.intermediate_size, instance.model.vocab_size) == (256, 100)
    assert (instance.model.num_attention_heads, instance.model.layer_gb) == (4, 1.5)
    assert (instance.workload.sequence_length, instance.workload.batch_size) == (16, 2)
    pool = [(k.name, k.count, k.memory_gb, k.usd_per_hour) for k in instance.pool]
    assert pool == [("A100", 1, 4.0, 1.0), ("T4", 1, 2.0, 0.2)]
    assert instance.network.between(0, 1) == 600
    assert instance.network.between(1, 0) == 550


def test_absent_keys_have_the_published_defaults(tmp_path: Path) -> None:
    # Source: DESIGN.md §8; the threshold of .1 is a fraction, the config's percentile is of 100.
    config = load_with(tmp_path)
    assert config.limits.max_stages == 8
    assert config.limits.min_memory_utilization == 0.5
    assert config.limits.min_layers_per_stage == 10
    assert config.limits.tp_degrees == [1, 2, 4, 8]
    assert config.network.drop_below_percentile == pytest.approx(10)
    assert config.model.bytes_per_weight == 2


@pytest.mark.parametrize("cell", ["1_0", "٣", "1２"])
def test_what_only_python_reads_as_a_number_is_none(tmp_path: Path, cell: str) -> None:
    [fault] = faults_with(tmp_path, max_pipeline_stages=cell)
    assert fault.endswith(f"max_pipeline_stages: must be a whole number (got '{cell}')")


def test_published_keys_fill_the_fields_of_the_config(tmp_path: Path) -> None:
    config = load_with(
        tmp_path,
        time_limit_seconds=60,
        optimality_gap=0.05,
        bytes_per_element=4,
        max_pipeline_stages=3,
        min_layers_per_stage=2,
        min_memory_utilization=0.25,
        network_bandwidth_percentile_threshold=0.25,
        cost_throughput_weight=0.3,
        max_hourly_cost=2.5,
        max_cost_per_token=2e-7,
        throughput_normalization=5000,
        cost_normalization=2,
    )
    assert (config.solver.time_limit_s, config.solver.mip_gap) == (60, 0.05)
    assert config.model.bytes_per_weight == 4
    assert config.limits.max_stages == 3
    assert config.limits.min_layers_per_stage == 2
    assert config.limits.min_memory_utilization == 0.25
    assert config.network.drop_below_percentile == 25
    assert config.sweep.cost_weights == [0.3]
    assert config.sweep.budgets_usd_per_hour == [2.5]
    # $2e-7 a token are 20 cents a million.
    assert config.sweep.target_usd_per_million_tokens == pytest.approx(0.2)
    assert config.sweep.normalization.throughput_tokens_per_s == 5000
    assert config.sweep.normalization.cost_usd_per_hour == 2


@pytest.mark.parametrize(
    ("quantized", "granularity"), [("true", "coarse"), ("False", "fine"), ("TRUE", "coarse")]
)
def test_what_the_published_system_calls_quantization_is_a_granularity(
    tmp_path: Path, quantized: str, granularity: str
) -> None:
    config = load_with(tmp_path, enable_segment_quantization=quantized)
    assert config.sweep.granularities == [granularity]


def without_batch_size() -> dict[str, Any]:
    return {name: value for name, value in PARAMETERS.items() if name != "batch_size"}


def batches(folder: Path, low: Any, high: Any) -> Config:
    rest = without_batch_size()
    path = write_directory(folder, {**rest, "min_batch_size": low, "max_batch_size": high})
    return load_config(path).config


def test_equal_smallest_and_largest_batch_sizes_are_the_batch_size(tmp_path: Path) -> None:
    config = batches(tmp_path, 32, 32)
    assert config.workload.batch_size == 32
    assert config.sweep.over == {}


def test_unequal_batch_sizes_are_swept_by_doubling_up_to_the_largest(tmp_path: Path) -> None:
    config = batches(tmp_path, 3, 20)
    assert config.workload.batch_size == 20
    assert config.sweep.over == {"workload.batch_size": [3, 6, 12, 20]}


def test_a_stated_batch_size_stands_above_a_range(tmp_path: Path) -> None:
    config = load_with(tmp_path, min_batch_size=1, max_batch_size=8)
    assert config.workload.batch_size == 2
    assert config.sweep.over == {}


def test_a_bad_batch_size_is_told_by_the_name_it_was_given_under(tmp_path: Path) -> None:
    path = write_directory(tmp_path, {**without_batch_size(), "max_batch_size": 0})
    assert faults_of(path) == ["published/config.csv: max_batch_size: must be at least 1 (got 0)"]


@pytest.mark.parametrize(
    ("low", "high", "fault"),
    [
        (16, 8, "must be at most max_batch_size 8 (got 16)"),
        (0, 8, "must be a whole number of at least 1 (got 0)"),
        ("true", 8, "must be a whole number of at least 1 (got True)"),
        (2.5, 8, "must be a whole number of at least 1 (got 2.5)"),
    ],
)
def test_a_smallest_batch_size_that_begins_no_range_is_a_fault(
    tmp_path: Path, low: Any, high: Any, fault: str
) -> None:
    sizes = {"min_batch_size": low, "max_batch_size": high}
    path = write_directory(tmp_path, {**without_batch_size(), **sizes})
    assert faults_of(path) == [f"published/config.csv: min_batch_size: {fault}"]


def test_parameters_without_a_header_are_refused_and_the_first_is_not_lost(tmp_path: Path) -> None:
    path = write_directory(tmp_path)
    file = path / "config.csv"
    file.write_text(file.read_text().removeprefix("parameter,value\n"), encoding="utf-8")
    assert faults_of(path) == [
        "published/config.csv: line 1: must be the header, parameter,value (got 'model_name,m')"
    ]


def with_header(folder: Path, header: str) -> list[str]:
    path = write_directory(folder)
    text = (path / "config.csv").read_text(encoding="utf-8")
    (path / "config.csv").write_text(text.replace("parameter,value", header), encoding="utf-8")
    return faults_of(path)


@pytest.mark.parametrize("value", ["2", "0.5", "true"])
def test_a_misspelt_parameter_on_the_first_line_is_no_header(tmp_path: Path, value: str) -> None:
    line = f"min_pipeline_stages,{value}"
    assert with_header(tmp_path, line) == [
        f"published/config.csv: line 1: must be the header, parameter,value (got '{line}')",
        f"published/config.csv: min_pipeline_stages: is not a known parameter (got '{value}')",
    ]


@pytest.mark.parametrize("header", ["parameter,default,Value", "value,parameter"])
def test_a_header_that_names_another_column_the_value_is_refused(
    tmp_path: Path, header: str
) -> None:
    assert with_header(tmp_path, header)[0] == (
        f"published/config.csv: line 1: must have value as its second column (got '{header}')"
    )


def test_a_header_in_words_of_ones_own_is_taken(tmp_path: Path) -> None:
    path = write_directory(tmp_path)
    text = (path / "config.csv").read_text(encoding="utf-8")
    changed = text.replace("parameter,value", "name,setting,remark").replace(",64", ",64,wide")
    (path / "config.csv").write_text(changed, encoding="utf-8")
    assert load_config(path).config.model.hidden_size == 64


def test_a_number_with_a_decimal_comma_is_not_cut_off_at_it(tmp_path: Path) -> None:
    assert faults_with(tmp_path, max_hourly_cost="0,39") == [
        "published/config.csv: max_hourly_cost: has 3 values, the header has 2 "
        "(got 'max_hourly_cost,0,39')"
    ]


def test_empty_cells_after_a_parameter_are_none(tmp_path: Path) -> None:
    assert load_with(tmp_path, d_model="64,,").model.hidden_size == 64


def test_names_that_look_like_numbers_stay_names(tmp_path: Path) -> None:
    assert load_with(tmp_path, model_name=70).model.name == "70"


def test_a_directory_without_prices_names_the_column(tmp_path: Path) -> None:
    assert faults_of(write_directory(tmp_path, pool=UNPRICED)) == [
        "published/gpu_pool.csv: dollar_per_hour: is missing"
    ]


def test_prices_may_be_given_by_assignment(tmp_path: Path) -> None:
    path = write_directory(tmp_path, pool=UNPRICED)
    prices = [("pool.A100.usd_per_hour", 1.5), ("pool.T4.usd_per_hour", 0)]
    assert [k.usd_per_hour for k in load_config(path, prices).instance.pool] == [1.5, 0.0]


def test_prices_given_for_some_gpus_only_leave_the_column_missing(tmp_path: Path) -> None:
    path = write_directory(tmp_path, pool=UNPRICED)
    assert faults_of(path, [("pool.T4.usd_per_hour", 0.2)]) == [
        "published/gpu_pool.csv: dollar_per_hour: is missing"
    ]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"d_modell": 64}, "d_modell: is not a known parameter (got '64')"),
        ({"d_model": -64}, "d_model: must be at least 1 (got -64)"),
        ({"d_model": "64.0"}, "d_model: must be a whole number (got 64.0)"),
        ({"d_model": ""}, "d_model: must be a whole number (got '')"),
        ({"d_model": "6_4"}, "d_model: must be a whole number (got '6_4')"),
        (
            {"enable_segment_quantization": "yes"},
            "enable_segment_quantization: must be true or false (got 'yes')",
        ),
        (
            {"layer_weight_memory_gb": "nan"},
            "layer_weight_memory_gb: must be a finite number (got nan)",
        ),
        (
            {"network_bandwidth_percentile_threshold": 1.5},
            "network_bandwidth_percentile_threshold: must be a share from 0 to 1 (got 1.5)",
        ),
        (
            {"network_bandwidth_percentile_threshold": "low"},
            "network_bandwidth_percentile_threshold: must be a number (got 'low')",
        ),
        (
            {"max_hourly_cost": -1},
            "max_hourly_cost: must hold only finite numbers that are not negative (got [-1])",
        ),
        (
            {"num_attention_heads": 5},
            "num_attention_heads: must divide hidden_size 64, unless head_dim is given (got 5)",
        ),
    ],
)
def test_a_fault_of_a_parameter_is_told_by_its_published_name(
    tmp_path: Path, parameters: dict[str, Any], fault: str
) -> None:
    assert faults_with(tmp_path, **parameters) == [f"published/config.csv: {fault}"]


def test_absent_parameters_are_told_by_their_published_names(tmp_path: Path) -> None:
    assert set(faults_of(write_directory(tmp_path, {}))) == {
        f"published/config.csv: {name}: is missing"
        for name in PARAMETERS
        if name != "layer_weight_memory_gb"
    }


def test_a_parameter_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write_directory(tmp_path)
    with (path / "config.csv").open("a", encoding="utf-8") as file:
        file.write("\nd_model,128\n")
    assert faults_of(path) == [
        "published/config.csv: d_model: stands here twice, again in line 11 (got '128')"
    ]


@pytest.mark.parametrize(
    ("pool", "fault"),
    [
        (f"{HEADER}\n", "rows: must not be empty (got [])"),
        (f"{HEADER},x\nA100,1,4,1,0\nT4,1,2,0,0\n", "x: is not a known column (got 'x')"),
        (f"{HEADER},\nA100,1,4,1,\nT4,1,2,0,\n", "column 5: has no name"),
        (f"{HEADER},count\nA100,1,4,1,1\nT4,1,2,0,1\n", "count: is a column twice (got 'count')"),
        (
            f"{HEADER}\nA100,1,4,1\nT4,1,-2,0\n",
            "memory_gb of T4: must be greater than 0.0 (got -2)",
        ),
        (
            f"{HEADER}\nA100,1,4,1\nT4,1,2,0,9\n",
            "row 2: has 5 values, the header has 4 (got 'T4,1,2,0,9')",
        ),
        (f"{HEADER}\nA100,1,4,1\nT4,1,2\n", "row 2: has 3 values, the header has 4 (got 'T4,1,2')"),
    ],
)
def test_a_fault_of_the_pool_is_told_by_column_and_gpu(
    tmp_path: Path, pool: str, fault: str
) -> None:
    assert faults_of(write_directory(tmp_path, pool=pool))[0] == f"published/gpu_pool.csv: {fault}"


def test_a_row_too_short_to_name_its_gpu_is_a_fault(tmp_path: Path) -> None:
    pool = "count,gpu_type,memory_gb,dollar_per_hour\n1,A100,4,1\n1\n"
    found = faults_of(write_directory(tmp_path, pool=pool))
    assert found[0] == "published/gpu_pool.csv: row 2: has 1 value, the header has 4 (got '1')"


def test_a_matrix_without_labels_is_read_by_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    labelled = load_config(write_directory(tmp_path / "a", pool=POOL, matrix=MATRIX))
    bare = load_config(
        write_directory(tmp_path / "b", pool=POOL, matrix=",,\n,inf,600\n,550,inf\n")
    )
    assert bare.config.network == labelled.config.network


def test_a_matrix_of_the_wrong_size_is_a_fault(tmp_path: Path) -> None:
    assert faults_of(write_directory(tmp_path, pool=POOL + "A10,1,4,0.5\n")) == [
        "published/network_bandwidth.csv: matrix: must be 3 × 3, one row per GPU of the pool "
        "(got '2 × 2')"
    ]


def test_only_the_diagonal_of_the_matrix_may_be_infinite(tmp_path: Path) -> None:
    matrix = MATRIX.replace("600", "inf")
    assert faults_of(write_directory(tmp_path, matrix=matrix)) == [
        "published/network_bandwidth.csv: matrix[0][1]: must be a finite number (got inf)"
    ]


def test_files_that_are_not_there_are_all_named_and_nothing_else(tmp_path: Path) -> None:
    assert faults_of(write_directory(tmp_path, pool=None, matrix=None)) == [
        f"published/{name}: file: does not exist"
        for name in ("gpu_pool.csv", "network_bandwidth.csv")
    ]


def test_a_folder_of_something_else_is_one_fault_that_says_what_it_must_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "must hold config.csv, gpu_pool.csv and network_bandwidth.csv where it is a folder"
    assert faults_of(tmp_path) == [f"{tmp_path.name}: file: {told}"]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_config(".")
    assert str(caught.value) == f"{tmp_path}: file: {told}"


def test_a_folder_of_results_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    told = "is the folder of a sweep, which compare, report and export read"
    assert faults_of(tmp_path) == [f"{tmp_path.name}: file: {told}"]


def test_faults_of_all_three_files_come_out_together(tmp_path: Path) -> None:
    parameters = {**PARAMETERS, "d_model": 0, "speed": 1}
    path = write_directory(tmp_path, parameters, pool=POOL.replace("T4", "T5"), matrix=None)
    found = faults_of(path, [("limits.max_stages", 0), ("pool.H100.count", 1)])
    places = [": ".join(fault.split(": ")[:2]).replace("published/", "") for fault in found]
    assert places == [
        "config.csv: speed",
        "network_bandwidth.csv: file",
        "--set: pool.H100.count",
        "config.csv: d_model",
        "--set: limits.max_stages",
        "gpu_pool.csv: gpu_type of T5",
    ]
