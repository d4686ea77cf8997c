import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config.load import stored_config
from pipeline.errors import InputError
from pipeline.export import (
    Launch,
    NothingPlaced,
    Refusal,
    kubernetes_file,
    launch_of,
    ray_serve_file,
    summary,
    vllm_command,
    why_not,
)
from pipeline.results.frames import Results
from pipeline.results.schema import SegmentRow
from tests.result_builders import SERVED, point, segment, write_run


def two_stages(point_id: str, degrees: tuple[int, int] = (2, 2)) -> list[SegmentRow]:
    """Return stages of 30 layers on A100 and 10 on T4."""
    first, second = degrees
    ids = (tuple(range(first)), tuple(range(44, 44 + second)))
    return [
        segment(point_id, 0, size=30, end_layer=30, tp_degree=first, gpu_ids=ids[0]),
        segment(point_id, 1, size=10, start_layer=31, gpu="T4", tp_degree=second, gpu_ids=ids[1]),
    ]


def run_of(directory: Path) -> Results:
    """Return a run whose cheapest placement mixes TP degrees; one that does not costs 10 % more."""
    rows = [point("mixed"), point("even", "coarse", usd_per_million=1.1)]
    return write_run(directory, rows, [*two_stages("mixed", (2, 4)), *two_stages("even")])


def launch(directory: Path) -> Launch:
    found = launch_of(run_of(directory), "even", "org/model name")
    assert isinstance(found, Launch)
    return found


def shell_words(started: Launch) -> list[str]:
    """Return the words of the script as a shell reads them."""
    return shlex.split(vllm_command(started).replace("\\\n", " "), comments=True)


def test_the_command_has_the_sizes_and_the_uneven_layers(tmp_path: Path) -> None:
    started = launch(tmp_path)
    assert "# Model: org/model name; --model names another" in vllm_command(started)
    words = shell_words(started)
    assert words[:2] == ["export", "VLLM_PP_LAYER_PARTITION=30,10"]
    assert words[2:5] == ["vllm", "serve", "org/model name"]
    flags = dict(zip(words[5::2], words[6::2], strict=True))
    assert flags == {
        "--tensor-parallel-size": "2",
        "--pipeline-parallel-size": "2",
        "--max-model-len": "4096",
        "--max-num-seqs": "32",
        "--distributed-executor-backend": "ray",
    }


def test_a_single_gpu_is_started_without_ray(tmp_path: Path) -> None:
    alone = replace(launch(tmp_path), tp_degree=1, layers=(40,), gpus=("V100",))
    assert "--distributed-executor-backend" not in shell_words(alone)


def test_a_name_that_is_on_no_hub_is_told_to_be_the_config_s(tmp_path: Path) -> None:
    script = vllm_command(replace(launch(tmp_path), model="w"))
    assert "# Model: w, as the config calls it: --model names a path, or one on the hub." in script


def test_the_command_says_which_swept_values_it_is_for(tmp_path: Path) -> None:
    started = launch(tmp_path)
    assert "swept" not in vllm_command(started)
    script = vllm_command(replace(started, swept={"workload.batch_size": 16}))
    assert "# It is for workload.batch_size = 16; other swept values" in script


def test_mixed_tp_degrees_are_refused_with_the_best_that_can_run(tmp_path: Path) -> None:
    refusal = launch_of(run_of(tmp_path), "mixed")
    assert isinstance(refusal, Refusal)
    assert "TP degrees 2, 4" in refusal.reason
    assert refusal.alternative == "even"
    assert refusal.percent_dearer == pytest.approx(10.0)
    assert "--point even, +10.0 % per token" in str(refusal)
    assert "among those that it can, and may find cheaper ones" in str(refusal)


def test_what_is_dearer_than_a_free_placement_is_so_by_no_percentage() -> None:
    told = str(Refusal("it is mixed", "even", None))
    assert "is --point even; limits.uniform_tp=true" in told


def test_the_recommended_placement_is_taken_where_none_is_named(tmp_path: Path) -> None:
    assert isinstance(launch_of(run_of(tmp_path), None), Refusal)


def test_heads_that_cannot_be_split_are_refused(tmp_path: Path) -> None:
    """A model of 36 heads over 8 GPUs: 4.5 each."""
    stage = segment("a", tp_degree=8, gpu_ids=tuple(range(8)))
    fields = {"model.num_attention_heads": 36, "model.num_key_value_heads": 36}
    fields["model.head_dim"] = 128
    refusal = launch_of(write_run(tmp_path, [point("a")], [stage], fields), "a")
    assert isinstance(refusal, Refusal)
    assert "36 attention heads" in refusal.reason
    assert refusal.alternative is None


def test_an_alternative_must_answer_the_same_swept_values(tmp_path: Path) -> None:
    field = "workload.batch_size"
    swept: list[dict[str, Any]] = [{field: 16}, {field: 32}]
    rows = [point("mixed", **swept[0]), point("even", **swept[1])]
    stages = [*two_stages("mixed", (2, 4)), *two_stages("even")]
    results = write_run(tmp_path, rows, stages, {"sweep.over": {field: [16, 32]}})
    refusal = launch_of(results, "mixed")
    assert isinstance(refusal, Refusal)
    assert refusal.alternative is None
    other = launch_of(results, "even")
    assert isinstance(other, Launch)
    assert other.requests == 32


def served(directory: Path, engine: str = "vllm") -> Launch:
    """Return how to launch a placement of the `roofline` model, at 96 requests."""
    workload = {"phase": "mixed", "input_tokens": 1000, "output_tokens": 300, "engine": engine}
    fields = {
        "performance.model": "roofline",
        "workload": {**workload, "kv_bytes": 1.0, "memory_fraction": 0.85},
        "pool": [{"gpu": "A100-80G-SXM", "count": 2, "memory_gb": 80, "usd_per_hour": 1.0}],
        "network.overrides": [],
        "baseline": None,
    }
    row = point("a", **{**SERVED, "concurrency": 96, "micro_batches": 1})
    found = launch_of(write_run(directory, [row], fields=fields), "a")
    assert isinstance(found, Launch)
    return found


def test_under_roofline_the_command_has_the_load_and_the_memory_that_the_answer_rests_on(
    tmp_path: Path,
) -> None:
    started = served(tmp_path)
    words = shell_words(started)
    flags = dict(zip(words[3::2], words[4::2], strict=True))
    assert flags["--max-num-seqs"] == "96"
    assert flags["--max-model-len"] == "1300"
    assert "# Requests above 1300 tokens, prompt and output, are refused" in vllm_command(started)
    assert flags["--gpu-memory-utilization"] == "0.85"
    assert flags["--kv-cache-dtype"] == "fp8"
    assert "engine" not in vllm_command(started)


def test_figures_of_another_engine_are_said_to_be(tmp_path: Path) -> None:
    started = served(tmp_path, "sglang")
    assert "# Its figures are those of the engine sglang: vLLM may reach " in vllm_command(started)
    assert "--gpu-memory-utilization 0.85" in vllm_command(started)


def test_a_share_of_the_memory_left_free_is_not_given_as_one_of_all(tmp_path: Path) -> None:
    started = served(tmp_path, "trtllm")
    assert "gpu_memory_utilization" not in started.engine_arguments


@pytest.mark.parametrize("model", ["--trust-remote-code", "-x"])
def test_a_model_that_a_shell_reads_as_an_option_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises(InputError, match=r"--model: must not begin with - .*got"):
        launch_of(run_of(tmp_path), "even", model)


def test_a_single_stage_needs_no_partition(tmp_path: Path) -> None:
    found = launch_of(write_run(tmp_path, [point("a")]), "a")
    assert isinstance(found, Launch)
    assert found.environment == {}
    assert "VLLM_PP_LAYER_PARTITION" not in vllm_command(found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zzz", "0 begin so"),
        ("\udcff", "0 begin so"),
        ("", "2 begin so"),
    ],
)
def test_a_point_that_cannot_be_meant_is_an_input_error(
    tmp_path: Path, name: str, reason: str
) -> None:
    rows = [point("even"), point("none", usd_per_million=None)]
    results = write_run(tmp_path, rows)
    with pytest.raises(InputError, match=reason):
        launch_of(results, name)


def test_a_point_without_a_placement_is_told_and_not_an_input_error(tmp_path: Path) -> None:
    rows = [point("even"), point("none", usd_per_million=None)]
    found = launch_of(write_run(tmp_path, rows), "none")
    assert isinstance(found, NothingPlaced)
    assert "point none has no placement" in str(found)


def test_a_run_without_a_placement_gives_one_reason(tmp_path: Path) -> None:
    found = launch_of(write_run(tmp_path, [point("none", usd_per_million=None)]), None)
    assert isinstance(found, NothingPlaced)
    assert "no point has a placement; one says: " in str(found)


def test_a_run_without_any_point_has_no_placement_either(tmp_path: Path) -> None:
    results = write_run(tmp_path, [point("a")])  # a part may be a table without rows
    found = launch_of(replace(results, points=results.points[:0]), None)
    assert isinstance(found, NothingPlaced)
    assert str(found).endswith("no point has a placement")


def test_the_ray_serve_file_holds_the_engine_and_its_environment(tmp_path: Path) -> None:
    (application,) = yaml.safe_load(ray_serve_file(launch(tmp_path)))["applications"]
    assert application["import_path"] == "ray.serve.llm:build_openai_app"
    (config,) = application["args"]["llm_configs"]
    assert config["engine_kwargs"]["pipeline_parallel_size"] == 2
    assert config["runtime_env"]["env_vars"] == {"VLLM_PP_LAYER_PARTITION": "30,10"}


def test_kubernetes_gives_each_tp_group_a_pod_on_its_gpus(tmp_path: Path) -> None:
    manifest = yaml.safe_load(kubernetes_file(launch(tmp_path)))
    groups = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    pods = [group["template"]["spec"] for group in groups]
    assert [pod["nodeSelector"]["gpu-type"] for pod in pods] == ["A100", "T4"]
    limits = [pod["containers"][0]["resources"]["limits"] for pod in pods]
    assert limits == [{"nvidia.com/gpu": 2}] * 2
    served = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    assert served["applications"][0]["name"] == "placement"


def test_a_name_with_a_line_break_stays_within_its_comment() -> None:
    gpus = ("A100\nrm -rf x", "T4; true")
    hostile = Launch("p", "m; rm -rf y", 1, (1, 1), gpus, 16, 2)
    words = shell_words(hostile)
    assert "rm" not in words
    assert "m; rm -rf y" in words
    group = yaml.safe_load(kubernetes_file(hostile))["spec"]["rayClusterConfig"]
    label = group["workerGroupSpecs"][0]["template"]["spec"]["nodeSelector"]["gpu-type"]
    assert label == "A100-rm--rf-x"


def test_a_launch_is_summed_up_in_a_line(tmp_path: Path) -> None:
    assert "$1.100000 per million tokens" in summary(run_of(tmp_path), launch(tmp_path / "again"))


@pytest.mark.parametrize("write", [kubernetes_file, ray_serve_file])
def test_a_file_that_cannot_order_the_nodes_says_so(
    tmp_path: Path, write: Callable[[Launch], str]
) -> None:
    started = launch(tmp_path)
    assert "which nothing in\n# this file decides" in write(started)
    alike = replace(started, gpus=("A100", "A100"))
    assert "decides" not in write(alike)
    assert "start it on a node of the first stage" in vllm_command(started)


def test_a_model_of_the_catalogue_is_served_under_its_name_on_the_hub(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.run["config"]["model"]["name"] = "Qwen2.5-14B"
    found = launch_of(run, "even")
    assert isinstance(found, Launch)
    assert found.model == "Qwen/Qwen2.5-14B"


def test_key_value_heads_that_do_not_split_are_refused(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.run["config"]["model"] |= {
        "num_attention_heads": 40,
        "num_key_value_heads": 10,
        "head_dim": 128,
    }
    instance = stored_config(run.run).instance
    told = [why_not([{"tp_degree": degree}], instance) for degree in (1, 2, 4, 8)]
    refused = "10 key/value heads cannot be split over TP "
    assert told == ["", "", f"{refused}4", f"{refused}8"]


def test_one_key_value_head_is_copied_to_every_gpu(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.run["config"]["model"] |= {"num_attention_heads": 64, "num_key_value_heads": 1}
    assert why_not([{"tp_degree": 8}], stored_config(run.run).instance) == ""


@pytest.mark.parametrize(("count", "told"), [(1.0, "1 byte"), (0.5, "0.5 bytes")])
def test_the_bytes_of_the_weights_that_were_counted_are_noted(
    tmp_path: Path, count: float, told: str
) -> None:
    started = replace(launch(tmp_path), bytes_per_weight=count)
    assert f"# It counts {told} a weight: weights of more may not fit." in vllm_command(started)
