"""Configs as a user meets them: what loads, and how each fault reads."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import load_config, parse_assignments
from pipeline.config.document import Document
from pipeline.errors import Fault, InputError
from tests.builders import REFERENCE_CONFIG
from tests.config.builders import SOUND, Change, faults_after, faults_of, load_changed, write_yaml


def put(path: str, value: Any) -> Change:
    """Return a change that puts a value at a path, as `pool.0.count`."""

    def change(data: Any) -> None:
        *sections, last = path.split(".")
        for part in sections:
            data = data[int(part)] if isinstance(data, list) else data.setdefault(part, {})
        data[int(last) if isinstance(data, list) else last] = value

    return change


def drop(section: str, key: str) -> Change:
    return lambda data: data[section].pop(key)


SINGLE_FAULTS: list[tuple[Change, str]] = [
    # Unknown keys, at every depth.
    (
        put("batch_size", 3),
        "batch_size: is not a known field; there is workload.batch_size (got 3)",
    ),
    (
        put("performance.engine", "vllm"),
        "performance.engine: is not a known field; known: model, gpus, hardware, constants; there "
        "is workload.engine (got 'vllm')",
    ),
    (
        put("workload.gpu", "T4"),
        "workload.gpu: is not a known field; there is pool.gpu and baseline.gpu (got 'T4')",
    ),
    (put("workloads", {}), "workloads: is not a known field, did you mean workload? (got {})"),
    (
        put("workload.batchsize", 3),
        "workload.batchsize: is not a known field, did you mean batch_size? (got 3)",
    ),
    (
        put("pool.1.colour", "red"),
        "pool[1].colour: is not a known field; known: gpu, count, memory_gb, usd_per_hour, max_tp, "
        "gpus_per_node, link_gb_per_s (got 'red')",
    ),
    (
        put(
            "performance.gpus",
            {"B1": {"tflops": 1, "gb_per_s": 1, "efficiency": 1, "effort": 2}},
        ),
        "performance.gpus.B1.effort: is not a known field; known: tflops, gb_per_s, efficiency "
        "(got 2)",
    ),
    (
        put("sweep.normalization.x", 1),
        "sweep.normalization.x: is not a known field; known: throughput_tokens_per_s, "
        "cost_usd_per_hour (got 1)",
    ),
    # Numbers that are missing, negative, not finite, or none.
    (drop("workload", "batch_size"), "workload.batch_size: is missing"),
    (lambda data: data["pool"][0].pop("usd_per_hour"), "pool[0].usd_per_hour: is missing"),
    (put("workload.batch_size", -2), "workload.batch_size: must be at least 1 (got -2)"),
    (put("pool.0.memory_gb", -4), "pool[0].memory_gb: must be greater than 0.0 (got -4)"),
    (put("pool.0.usd_per_hour", -1), "pool[0].usd_per_hour: must be at least 0.0 (got -1)"),
    (put("network.gb_per_s", -1), "network.gb_per_s: must be at least 0.0 (got -1)"),
    (
        put("pool.0.memory_gb", float("nan")),
        "pool[0].memory_gb: must be a finite number (got nan)",
    ),
    (
        put("network.gb_per_s", float("inf")),
        "network.gb_per_s: must be a finite number (got inf)",
    ),
    (put("pool.0.count", True), "pool[0].count: must be a whole number (got True)"),
    (put("pool.0.count", "8"), "pool[0].count: must be a whole number (got '8')"),
    (
        put("workload.batch_size", [8, 16]),
        "workload.batch_size: must be a whole number; values to cross go under sweep.over"
        " (got [8, 16])",
    ),
    (put("pool.0.count", 1.5), "pool[0].count: must be a whole number (got 1.5)"),
    (put("pool.0.count", 0), "pool[0].count: must be at least 1 (got 0)"),
    (put("name", 7), "name: must be text (got 7)"),
    (put("limits", None), "limits: must hold fields (got None)"),
    (
        put("model", "Qwen2.5-14B"),
        "model: must hold fields; a name of the catalogue goes under model.catalogue "
        "(got 'Qwen2.5-14B')",
    ),
    # Networks.
    (
        put("network", {"rows": [[0, 1], [1, 0]]}),
        "network.rows: must be 3 × 3, one row per GPU of the pool (got '2 × 2')",
    ),
    (
        put("network", {"rows": [[0, 1, 1], [1, 0], [1, 1, 0]]}),
        "network.rows: must be square: row 1 of 3 has 2 values",
    ),
    (
        put("network", {"rows": [[0, 1, -1], [1, 0, 1], [1, 1, 0]]}),
        "network.rows[0][2]: must be at least 0.0 (got -1)",
    ),
    (put("network", {}), "network: must have exactly one of gb_per_s, matrix, rows"),
    (
        put("network.rows", [[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        "network: must have exactly one of gb_per_s, matrix, rows",
    ),
    (
        put("network.overrides", [{"gpus": "1-3", "gb_per_s": 5}]),
        "network.overrides[0].gpus: must be ids of the pool, 0 to 2 (got 3)",
    ),
    (
        put("network.overrides", [{"gpus": 0, "to": [1, 9], "gb_per_s": 5}]),
        "network.overrides[0].to: must be ids of the pool, 0 to 2 (got 9)",
    ),
    (
        put("network.overrides", [{"gpus": "2-1", "gb_per_s": 5}]),
        "network.overrides[0].gpus: range 2-1 must ascend, within 0 to 1000000 (got '2-1')",
    ),
    (
        put("network.overrides", [{"gpus": 2, "gb_per_s": 0}]),
        "network.overrides[0].gpus: names one GPU, which has no links inside; give `to` (got 2)",
    ),
    (
        put("network.overrides", [{"gpus": 2, "to": [2], "gb_per_s": 0}]),
        "network.overrides[0].gpus: names one GPU, which has no links inside (got 2)",
    ),
    (
        put("network.drop_below_percentile", 100.5),
        "network.drop_below_percentile: must be at most 100.0 (got 100.5)",
    ),
    (
        put("network.drop_below_percentile", -1),
        "network.drop_below_percentile: must be at least 0.0 (got -1)",
    ),
    # GPUs and degrees.
    (put("pool", []), "pool: must not be empty (got [])"),
    (put("pool.1.gpu", "A100"), "pool[0].gpu: stands in the pool twice (got 'A100')"),
    (
        put("limits.tp_degrees", [1, 3]),
        "limits.tp_degrees[1]: must be a power of two (got 3)",
    ),
    (
        put("limits.tp_degrees", [1, 32]),
        "limits.tp_degrees[1]: must be one of 1, 2, 4, 8, 16 (got 32)",
    ),
    (put("limits.tp_degrees", []), "limits.tp_degrees: must not be empty (got [])"),
    (put("pool.0.max_tp", 6), "pool[0].max_tp: must be a power of two (got 6)"),
    (
        put("limits.exclude", ["H100"]),
        "limits.exclude[0]: is not in the pool (A100, T4) (got 'H100')",
    ),
    (
        put("limits.exclude", ["A100", "T4"]),
        "limits.exclude: leaves no GPU (got ['A100', 'T4'])",
    ),
    (put("baseline.gpu", "V100"), "baseline.gpu: is not in the pool (A100, T4) (got 'V100')"),
    (put("baseline", {"gpu": "T4", "tp": 3}), "baseline.tp: must be a power of two (got 3)"),
    (
        put("limits.min_memory_utilization", 1.01),
        "limits.min_memory_utilization: must be at most 1.0 (got 1.01)",
    ),
    # The model.
    (
        put("model.num_attention_heads", 5),
        "model.num_attention_heads: must divide hidden_size 64, unless head_dim is given (got 5)",
    ),
    (
        put("model.num_key_value_heads", 3),
        "model.num_key_value_heads: must divide num_attention_heads 4 (got 3)",
    ),
    *(
        (put(f"model.{name}", 2), f"model.{partner}: is missing beside {name}")
        for name, partner in (
            ("sliding_window", "sliding_window_share"),
            ("experts_per_token", "num_experts"),
            ("shared_experts", "num_experts"),
            ("moe_intermediate_size", "num_experts"),
            ("first_dense_layers", "num_experts"),
            ("q_lora_rank", "kv_lora_rank"),
            ("v_head_dim", "kv_lora_rank"),
        )
    ),
    (
        put("model.sliding_window_share", 0.5),
        "model.sliding_window: is missing beside sliding_window_share",
    ),
    # Sweeps.
    (
        put("sweep.granularities", ["exact", "4+5"]),
        "sweep.granularities[1]: has sizes that cannot sum to 6 layers (got '4+5')",
    ),
    (
        put("sweep.granularities", [[4, 5]]),
        "sweep.granularities[0]: has sizes that cannot sum to 6 layers (got '4+5')",
    ),
    (
        put("sweep.granularities", ["coarser"]),
        "sweep.granularities[0]: must be one of coarsest, coarse, moderate, fine, exact, "
        "or sizes joined by + as 5+10+40 (got 'coarser')",
    ),
    (
        put("sweep.granularities", [[0, 6]]),
        "sweep.granularities[0]: must have sizes of at least 1 (got [0, 6])",
    ),
    (
        put("sweep.granularities", [6]),
        "sweep.granularities[0]: must be a preset or a list of segment sizes (got 6)",
    ),
    (
        put("sweep.budgets_usd_per_hour", "narrow"),
        "sweep.budgets_usd_per_hour: must be a list of numbers, or one of "
        "fine, coarse, wide, around_fine, around_coarse (got 'narrow')",
    ),
    (
        put("sweep.budgets_usd_per_hour", [1, -1]),
        "sweep.budgets_usd_per_hour: must hold only finite numbers that are not negative "
        "(got [1, -1])",
    ),
    (
        put("sweep.budgets_usd_per_hour", [1, float("nan")]),
        "sweep.budgets_usd_per_hour: must hold only finite numbers that are not negative "
        "(got [1, nan])",
    ),
    (put("solver.mip_gap", -0.1), "solver.mip_gap: must be at least 0.0 (got -0.1)"),
]


@pytest.mark.parametrize(("change", "fault"), SINGLE_FAULTS, ids=[f for _, f in SINGLE_FAULTS])
def test_a_fault_names_file_field_reason_and_value(
    tmp_path: Path, change: Change, fault: str
) -> None:
    found = faults_after(tmp_path, change)
    assert f"c.yaml: {fault}" == found[0]
    # Nothing is said of fields that are sound: all that is printed speaks of the same reason.
    assert all(fault.split(": ", 1)[1] in other for other in found)


def test_a_field_that_is_stated_as_0_switches_off_what_goes_with_it(tmp_path: Path) -> None:
    windows = {"sliding_window": 0, "sliding_window_share": 0.5}
    load_changed(tmp_path, lambda data: data["model"].update(windows))


def test_an_unknown_gpu_is_told_with_names_near_it_and_the_way_out(tmp_path: Path) -> None:
    [fault] = faults_after(tmp_path, put("pool.0.gpu", "A1000"))
    assert fault.startswith(
        "c.yaml: pool[0].gpu: is not a GPU that the flops model knows; near: A100, "
    )
    assert fault.endswith("; add its figures under performance.gpus.A1000 (got 'A1000')")


def test_an_unknown_gpu_with_figures_of_its_own_is_known(tmp_path: Path) -> None:
    figures = {"tflops": 100, "gb_per_s": 1000, "efficiency": 0.5}

    def change(data: Any) -> None:
        put("pool.0.gpu", "B1")(data)
        put("performance.gpus.B1", figures)(data)

    instance = load_changed(tmp_path, change).instance
    assert instance.performance.gpus["B1"].tflops == 100


def test_figures_of_a_gpu_in_another_spelling_than_the_pools_are_a_fault(tmp_path: Path) -> None:
    figures = {"tflops": 100, "gb_per_s": 1000, "efficiency": 0.5}
    stated = {name: dict(figures) for name in ("a100", "V100")}
    assert faults_after(tmp_path, put("performance.gpus", stated)) == [
        "c.yaml: performance.gpus.a100: is written A100 in the pool (got 'a100')"
    ]


def test_all_faults_come_out_together_whatever_their_kind(tmp_path: Path) -> None:
    def change(data: Any) -> None:
        data["colour"] = "red"
        data["workload"]["batch_size"] = 0
        data["pool"][1]["gpu"] = "T5"
        data["limits"] = {"tp_degrees": [3]}
        data["network"]["matrix"] = "absent.csv"
        data["sweep"] = {"granularities": ["4+5"]}

    found = faults_after(tmp_path, change)
    assert {fault.split(": ")[0] + ":" + fault.split(": ")[1] for fault in found} == {
        "absent.csv:file",
        "c.yaml:colour",
        "c.yaml:workload.batch_size",
        "c.yaml:pool[1].gpu",
        "c.yaml:limits.tp_degrees[0]",
        "c.yaml:network",
        "c.yaml:sweep.granularities[0]",
    }


def test_a_pool_of_too_many_gpus_is_refused(tmp_path: Path) -> None:
    assert faults_after(tmp_path, put("pool.0.count", 100_000)) == [
        "c.yaml: pool: may hold at most 100000 GPUs (got 100001)"
    ]


def test_a_model_in_place_of_a_config_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"num_hidden_layers": 4, "hidden_size": 8, "vocab_size": 9}', encoding="utf-8")
    (told,) = faults_of(file)
    assert told.startswith("config.json: file: must be a config, and is the config.json of a model")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "absent.yaml") == ["absent.yaml: file: does not exist"]


def test_a_name_that_no_file_can_have_is_a_fault(tmp_path: Path) -> None:
    [fault] = faults_of(tmp_path / "a\0b")
    assert "file: cannot be read: " in fault  # the reason is Python's own, and differs by version


# Matrices in files.


def with_matrix(folder: Path, text: str | None) -> Path:
    if text is not None:
        (folder / "m.csv").write_text(text, encoding="utf-8")
    return write_yaml(folder, put("network", {"matrix": "m.csv"}))


def test_a_matrix_is_read_relative_to_the_config_and_directed(tmp_path: Path) -> None:
    path = with_matrix(tmp_path, ",0,1,2\n0,x,1,2\n1,3,,4\n2,5,6,inf\n")
    between = load_config(path).instance.network.between
    pairs = [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert [between(a, b) for a, b in pairs] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "file: does not exist; named under network.matrix of c.yaml"),
        ("\n", "file: is empty"),
        (
            ",0,1\n0,0,1\n1,1,0\n",
            "matrix: must be 3 × 3, one row per GPU of the pool (got '2 × 2')",
        ),
        (",0,1,2\n0,0,1\n1,1,0\n2,1,1\n", "matrix: must be square: row 0 of 3 has 2 values"),
        (",0,1,2\n0,0,x,1\n1,1,0,1\n2,1,1,0\n", "matrix[0][1]: must be a number (got 'x')"),
        (
            ",0,1,2\n0,0,1,1\n1,1,0,nan\n2,1,1,0\n",
            "matrix[1][2]: must be a finite number (got nan)",
        ),
        (",0,1,2\n0,0,1,1\n1,1,0,1\n2,-1,1,0\n", "matrix[2][0]: must be at least 0.0 (got -1)"),
    ],
)
def test_a_matrix_that_is_none_is_told_by_the_matrix_files_own_name(
    tmp_path: Path, text: str | None, fault: str
) -> None:
    assert faults_of(with_matrix(tmp_path, text)) == [f"m.csv: {fault}"]


def test_a_matrix_beside_rows_is_refused(tmp_path: Path) -> None:
    rows = [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    (tmp_path / "m.csv").write_text(",0,1,2\n0,0,1,1\n1,1,0,1\n2,1,1,0\n", encoding="utf-8")
    assert faults_after(tmp_path, put("network", {"matrix": "m.csv", "rows": rows})) == [
        "c.yaml: network: must have exactly one of gb_per_s, matrix, rows"
    ]


# Assignments.


def test_an_assignment_replaces_a_field_of_a_gpu_by_name_or_number(tmp_path: Path) -> None:
    path = write_yaml(tmp_path)
    assignments = [("pool.T4.count", 5), ("pool[0].count", 4), ("limits.max_stages", 2)]
    instance = load_config(path, assignments).instance
    assert [kind.count for kind in instance.pool] == [4, 5]
    assert instance.limits.max_stages == 2


def test_a_fault_of_an_assignment_is_told_by_its_key(tmp_path: Path) -> None:
    assignments = [
        ("pool.T4.count", 0),
        ("pool.H100.count", 1),
        ("pool.².count", 1),
        ("workload.speed", 1),
        ("name.first", "x"),
        ("..", 1),
    ]
    known = "there are A100, T4"
    assert faults_of(write_yaml(tmp_path), assignments) == [
        f"--set: pool.H100.count: has no part named 'H100'; {known} (got 1)",
        f"--set: pool.².count: has no part named '²'; {known} (got 1)",
        "--set: name.first: has no part named 'first' (got 'x')",
        "--set: ..: is no field name (got 1)",
        "--set: workload.speed: is not a known field (got 1)",
        "--set: pool.T4.count: must be at least 1 (got 0)",
    ]


def test_values_of_assignments_are_read_as_yaml() -> None:
    texts = ["a=1", "b.c = [1, 2]", "d=1e3", "e=x=y", "f="]
    expected = [("a", 1), ("b.c", [1, 2]), ("d", 1000.0), ("e", "x=y"), ("f", None)]
    assert parse_assignments(texts) == expected


def test_a_price_that_older_yaml_would_reckon_in_sixties_is_a_fault(tmp_path: Path) -> None:
    assignments = parse_assignments(["pool.T4.usd_per_hour=1:30", "pool.A100.count=1_0"])
    assert faults_of(write_yaml(tmp_path), assignments) == [
        "--set: pool.A100.count: must be a whole number (got '1_0')",
        "--set: pool.T4.usd_per_hour: must be a number (got '1:30')",
    ]


def test_all_unreadable_assignments_are_told_at_once() -> None:
    with pytest.raises(InputError) as raised:
        parse_assignments(["a", "=1", "b=[", "c=!!python/name:os.system", "d=1"])
    assert [(fault.file, fault.field) for fault in raised.value.faults] == [
        ("--set", "a"),
        ("--set", "=1"),
        ("--set: b", "line 1, column 2"),
        ("--set: c", "line 1, column 1"),
    ]


def test_a_key_of_bytes_that_are_no_text_is_a_fault() -> None:
    # Python hands on a byte of the command line that is no UTF-8 as half a character.
    with pytest.raises(InputError) as raised:
        parse_assignments(["x\udcff=1", "=\udcff"])
    assert str(raised.value).splitlines() == [
        "--set: x\\udcff: is not UTF-8 text (got 'x\\udcff')",
        "--set: =\\udcff: must be key=value, as workload.batch_size=16 (got '=\\udcff')",
    ]


# Sweeps over fields.


def test_every_combination_of_swept_fields_is_a_variant(tmp_path: Path) -> None:
    over = {"workload.batch_size": [2, 4], "pool.T4.count": [1, 3, 5]}
    loaded = load_changed(tmp_path, put("sweep.over", over))
    found = [
        (swept, variant.instance.workload.batch_size, variant.instance.pool[1].count)
        for swept, variant in loaded.variants()
    ]
    assert found == [
        ({"workload.batch_size": batch, "pool.T4.count": count}, batch, count)
        for batch in (2, 4)
        for count in (1, 3, 5)
    ]
    assert loaded.instance.workload.batch_size == 2


def test_without_swept_fields_the_config_is_its_only_variant(tmp_path: Path) -> None:
    loaded = load_config(write_yaml(tmp_path))
    assert list(loaded.variants()) == [({}, loaded)]


def test_every_swept_value_is_checked_before_the_sweep(tmp_path: Path) -> None:
    over = {
        "workload.batch_size": [2, 0, "x"],
        "limits.tp_degrees": [[1], [3]],
        "pool.H100.count": [1],
        "network.gb_per_s": [600, None],
    }
    assert faults_after(tmp_path, put("sweep.over", over)) == [
        "c.yaml: sweep.over.workload.batch_size: must be at least 1 (got 0)",
        "c.yaml: sweep.over.workload.batch_size: must be a whole number (got 'x')",
        "c.yaml: sweep.over.limits.tp_degrees[0]: must be a power of two (got 3)",
        "c.yaml: sweep.over.pool.H100.count: has no part named 'H100'; there are A100, T4 (got 1)",
        "c.yaml: network: must have exactly one of gb_per_s, matrix, rows",
    ]


@pytest.mark.parametrize("key", ["", ".", "[]"])
def test_what_names_no_field_cannot_be_swept(tmp_path: Path, key: str) -> None:
    assert faults_after(tmp_path, put("sweep", {"over": {key: [1]}})) == [
        f"c.yaml: sweep.over.{key}: is no field name (got 1)"
    ]


def test_the_pairwise_formulation_has_no_frontier(tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        config["solver"] = {"formulation": "pairwise"}
        config["sweep"] = {"methods": ["ratio", "frontier"]}

    assert faults_after(tmp_path, change) == [
        "c.yaml: sweep.methods: frontier is not known to the pairwise formulation "
        "(got ['ratio', 'frontier'])"
    ]


@pytest.mark.parametrize(
    "key",
    [
        *("name", "solver.threads", "sweep.methods", "sweep[methods]", "network.matrix"),
        *("hf_config", "model.hf_config", "model.catalogue"),
    ],
)
def test_what_is_no_field_of_the_instance_cannot_be_swept(tmp_path: Path, key: str) -> None:
    assert faults_after(tmp_path, put("sweep", {"over": {key: ["x"]}})) == [
        f"c.yaml: sweep.over.{key}: cannot be swept (got ['x'])"
    ]


def test_a_swept_field_that_is_unknown_is_told_once_whatever_its_values(tmp_path: Path) -> None:
    over = {"workload.batch_sice": [1, 2, 3], "limits.max_stages": [0, -1]}
    assert faults_after(tmp_path, put("sweep", {"over": over})) == [
        "c.yaml: sweep.over.workload.batch_sice: is not a known field, did you mean batch_size? "
        "(got 1)",
        "c.yaml: sweep.over.limits.max_stages: must be at least 1 (got 0)",
        "c.yaml: sweep.over.limits.max_stages: must be at least 1 (got -1)",
    ]


@pytest.mark.parametrize(
    ("one", "values", "other"),
    [
        ("limits", [{"max_stages": 4}], "limits.max_stages"),
        ("pool[0].count", [1], "pool.A100.count"),
    ],
)
def test_a_field_is_not_swept_twice(
    tmp_path: Path, one: str, values: list[Any], other: str
) -> None:
    # The second would overwrite the first, and rows would tell of values that were not used.
    over = {one: values, other: [1, 2]}
    assert faults_after(tmp_path, put("sweep", {"over": over})) == [
        f"c.yaml: sweep.over.{other}: cannot be swept beside {one} (got [1, 2])"
    ]


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("workload.batch_size", [16, 2, 16]),
        ("network.gb_per_s", [600, 600.0]),
        ("pool.T4.memory_gb", [16, None]),
        ("limits", [{"max_stages": 8}, {"max_stages": 8, "min_layers_per_stage": 1}]),
    ],
)
def test_a_value_is_not_swept_twice(tmp_path: Path, key: str, values: list[Any]) -> None:
    # Both would have the same ids: every point would be run twice, its placement stored twice.
    assert faults_after(tmp_path, put("sweep", {"over": {key: values}})) == [
        f"c.yaml: sweep.over.{key}: stands there twice, if in other words (got {values[-1]!r})"
    ]


def test_a_swept_field_needs_a_value(tmp_path: Path) -> None:
    [fault] = faults_after(tmp_path, put("sweep", {"over": {"workload.batch_size": []}}))
    assert fault == "c.yaml: sweep.over.workload.batch_size: must not be empty (got [])"


# What loads.


def test_the_reference_config_is_the_reference_instance() -> None:
    # Source: DESIGN.md §4.
    instance = load_config(REFERENCE_CONFIG).instance
    assert [(k.name, k.count, k.memory_gb, k.usd_per_hour, k.max_tp) for k in instance.pool] == [
        ("A100", 8, 48, 1.0, None),
        ("L20", 12, 48, 0.7, None),
        ("A10", 12, 48, 0.5, None),
        ("V100", 12, 24, 0.3, None),
        ("T4", 20, 16, 0.2, None),
    ]
    model, limits = instance.model, instance.limits
    assert (model.num_hidden_layers, model.hidden_size, model.intermediate_size) == (
        40,
        8192,
        22016,
    )
    assert (model.num_attention_heads, model.vocab_size) == (64, 32000)
    assert (model.bytes_per_weight, model.layer_gb) == (2, 3.5)
    assert (instance.workload.sequence_length, instance.workload.batch_size) == (4096, 32)
    assert (limits.max_stages, limits.min_layers_per_stage) == (8, 5)
    assert (limits.min_memory_utilization, limits.tp_degrees) == (0.5, (1, 2, 4, 8))
    between = instance.network.between
    assert {between(a, b) for a in range(25, 35) for b in range(25, 35) if a != b} == {550.0}
    assert {between(24, 25), between(34, 35), between(0, 63)} == {600.0}
    assert instance.network.drop_below_percentile == 0
    assert instance.baseline is not None
    assert instance.baseline.gpu == "V100"


def test_what_is_left_out_has_the_documented_defaults(tmp_path: Path) -> None:
    loaded = load_config(write_yaml(tmp_path))
    config = loaded.config
    limits = {
        "max_stages": 8,
        "min_layers_per_stage": 1,
        "min_memory_utilization": 0.0,
        "tp_degrees": [1, 2, 4, 8],
        "exclude": [],
    }
    assert config.limits.model_dump(include=set(limits)) == limits
    assert config.solver.model_dump() == {
        "time_limit_s": 300.0,
        "mip_gap": 0.0,
        "threads": 1,
        "formulation": "compact",
    }
    assert config.sweep.granularities == ["coarsest", "coarse", "moderate", "fine", "exact"]
    assert config.sweep.budgets_usd_per_hour == "wide"
    assert config.sweep.methods == ["enumeration", "ratio"]
    # As many key/value heads as query heads; a layer's memory from the shape; no V100, no baseline.
    assert loaded.instance.model.num_key_value_heads == 4
    # q, k, v, o: 4·64·64; gate, up, down: 3·64·256; two bytes each.
    assert loaded.instance.model.layer_gb == (4 * 64 * 64 + 3 * 64 * 256) * 2 / 1024**3
    assert loaded.instance.baseline is None


def test_a_v100_in_the_pool_is_the_baseline_unless_another_is_named(tmp_path: Path) -> None:
    by_default = load_changed(tmp_path, put("pool.1.gpu", "V100")).instance.baseline
    named = load_changed(tmp_path, put("baseline", {"gpu": "A100", "tp": 2})).instance.baseline
    assert by_default is not None
    assert named is not None
    assert (by_default.gpu, by_default.tp) == ("V100", None)
    assert (named.gpu, named.tp) == ("A100", 2)


def test_sizes_may_be_listed_or_joined(tmp_path: Path) -> None:
    loaded = load_changed(tmp_path, put("sweep.granularities", [[4, 2, 2], "6+1", "exact"]))
    assert loaded.config.sweep.granularities == ["2+4", "1+6", "exact"]


def test_overrides_reach_the_network(tmp_path: Path) -> None:
    exceptions = [{"gpus": "0-1", "gb_per_s": 5}, {"gpus": 0, "to": [2], "gb_per_s": 0}]
    network = load_changed(tmp_path, put("network.overrides", exceptions)).instance.network
    pairs = [(0, 1), (0, 2), (2, 0), (1, 2)]
    assert [network.between(a, b) for a, b in pairs] == [5, 0, 0, 600]


# Whatever stands in a config, it is either sound or told in words.

JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["exact", "5+6", "0-1", "wide", "A100", -1, 0, 10**400, {}, []]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = [
    "name",
    "model",
    "model.num_hidden_layers",
    "model.hidden_size",
    "model.num_attention_heads",
    "model.num_key_value_heads",
    "model.head_dim",
    "model.layer_weight_gb",
    "model.x",
    "workload",
    "workload.batch_size",
    "pool",
    "pool.0",
    "pool.0.gpu",
    "pool.0.count",
    "pool.1.max_tp",
    "pool.1.x",
    "network",
    "network.gb_per_s",
    "network.matrix",
    "network.rows",
    "network.overrides",
    "network.x",
    "limits",
    "limits.tp_degrees",
    "limits.exclude",
    "limits.min_memory_utilization",
    "performance",
    "performance.gpus",
    "performance.gpus.A100",
    "performance.model",
    "solver",
    "baseline",
    "baseline.gpu",
    "baseline.tp",
    "sweep",
    "sweep.granularities",
    "sweep.budgets_usd_per_hour",
    "sweep.methods",
    "sweep.over",
    "hf_config",
]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(FIELDS), JUNK), min_size=1, max_size=2))
def test_junk_is_told_as_faults_and_never_as_a_traceback(replaced: list[tuple[str, Any]]) -> None:
    document = Document("c.yaml", dict(SOUND)).with_values(replaced, "--set")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        path.write_text(yaml.safe_dump(document.data, sort_keys=False), encoding="utf-8")
        faults: tuple[Fault, ...] = ()
        try:
            variants = [variant.instance for _, variant in load_config(path).variants()]
        except InputError as error:
            faults, variants = error.faults, []
    assert bool(faults) != bool(variants)
    assert all(fault.file and fault.field and fault.reason for fault in faults)


def test_a_swept_config_keeps_the_sections_that_it_does_not_change(tmp_path: Path) -> None:
    loaded = load_config(write_yaml(tmp_path))
    changed = loaded.swept([("workload.batch_size", 4)])
    assert changed.config.network is loaded.config.network
    assert changed.config.workload is not loaded.config.workload
    assert changed.config == load_config(tmp_path / "c.yaml", [("workload.batch_size", 4)]).config


@pytest.mark.parametrize("key", ["a" + ".a" * 3000, "pool." + "9" * 5000 + ".count", "pool[" * 99])
def test_a_key_that_leads_too_deep_or_too_far_is_a_fault(tmp_path: Path, key: str) -> None:
    assert faults_of(write_yaml(tmp_path), [(key, 1)])[0].startswith(f"--set: {key[:300]}")


def test_a_model_that_is_only_named_is_told_where_names_of_the_catalogue_go(tmp_path: Path) -> None:
    first, *others = faults_after(tmp_path, put("model", {"name": "Llama-3.1-70B"}))
    assert first == (
        "c.yaml: model.num_hidden_layers: is missing; "
        "a name of the catalogue goes under model.catalogue"
    )
    assert "catalogue" not in " ".join(others)


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        ("model", {"catalog": "Qwen3-8B"}, "model.catalog: {}, did you mean catalogue? "),
        ("model", {"hf-config": "a.json"}, "model.hf-config: {}, did you mean hf_config? "),
        ("hfconfig", "a.json", "hfconfig: {}, did you mean hf_config? "),
        ("catalogue", "Qwen3-8B", "catalogue: {}; there is model.catalogue "),
    ],
)
def test_a_misspelt_or_misplaced_name_of_a_file_or_a_model_is_told_what_was_meant(
    tmp_path: Path, at: str, value: Any, told: str
) -> None:
    start = "c.yaml: " + told.format("is not a known field")
    assert [fault for fault in faults_after(tmp_path, put(at, value)) if fault.startswith(start)]
