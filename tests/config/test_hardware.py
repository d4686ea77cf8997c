"""GPUs that a config describes itself, under the roofline model."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.catalogue import find_gpu
from pipeline.config import LoadedConfig, load_config
from pipeline.config.hardware import read_hardware
from pipeline.config.load import stored_config
from pipeline.errors import InputError
from pipeline.points import make_point
from pipeline.roofline import cases
from pipeline.run import run_point
from pipeline.sweep import problem_id, problem_of, run_record
from tests.config.builders import faults_after

CONFIG = Path(__file__).parent.parent.parent / "configs" / "llama-3.1-8b-workstation.yaml"
FEW = [
    ("workload.concurrency", 8),
    ("workload.micro_batches", 1),
    ("limits.exclude", ["RTX-3090"]),
]
# As the catalogue has the RTX 4090, of which there is no measurement.
CARD: dict[str, Any] = {
    "architecture": "ada",
    "tflops": {"fp16": 165.2, "fp8": 330.3, "int8": 660.6},
    "memory_gb": 24,
    "reported_mib": 24564,
    "gb_per_s": 1008,
    "link": {"kind": "pcie", "gb_per_s": 32},
}


def config_with(folder: Path, hardware: Any, gpu: str = "Mine") -> LoadedConfig:
    """Write the workstation with its RTX 4090 under another name, and load it."""
    data = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    data["performance"] = {"model": "roofline", "hardware": hardware}
    data["pool"][0]["gpu"] = data["baseline"]["gpu"] = gpu
    (folder / "c.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return load_config(folder / "c.yaml", FEW)


def faults(folder: Path, hardware: Any, gpu: str = "Mine") -> str:
    with pytest.raises(InputError) as caught:
        config_with(folder, hardware, gpu)
    return str(caught.value).replace(f"{folder}/", "")


def lowest(loaded: LoadedConfig) -> dict[str, Any]:
    problem = problem_of(loaded, {})
    return dict(run_point(problem, make_point(problem, "coarse", "ratio")).points[0].values)


def without_memory(data: dict[str, Any]) -> None:
    for kind in data["pool"]:
        del kind["memory_gb"]


def test_a_pool_that_states_no_memory_has_that_of_its_gpus(tmp_path: Path) -> None:
    data = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    without_memory(data)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    found, stated = load_config(tmp_path / "c.yaml"), load_config(CONFIG)
    assert found.instance == stated.instance
    assert problem_id(found.config) == problem_id(stated.config)
    data["pool"][0]["gpu"] = data["baseline"]["gpu"] = "Mine"
    data["performance"]["hardware"] = {"Mine": {**CARD, "memory_gb": 30}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    loaded = load_config(tmp_path / "c.yaml")
    assert [kind.memory_gb for kind in loaded.instance.pool] == [30, 24]
    # where another GPU is swept in, its own; so too from what run.json says of the run
    for before in (loaded, stored_config(json.loads(json.dumps(run_record(loaded))))):
        other = before.swept([("pool.1.gpu", "L40S")])
        assert [kind.memory_gb for kind in other.instance.pool] == [30, 48]


def test_figures_of_the_catalogue_decide_the_ids_of_points(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later version may know better: results of an earlier one do not count as done then."""
    config = load_config(CONFIG).config
    before = problem_id(config)
    gpu = find_gpu("RTX-3090")
    faster = replace(gpu, bandwidth_gb_per_s=replace(gpu.bandwidth_gb_per_s, value=1000.0))
    monkeypatch.setattr(cases, "find_gpu", lambda n: faster if n == "RTX-3090" else find_gpu(n))
    cases.hardware_row.cache_clear()
    after = problem_id(config)
    cases.hardware_row.cache_clear()
    assert after != before


def test_memory_of_a_card_in_mib_is_told(tmp_path: Path) -> None:
    assert faults(tmp_path, {"Mine": {**CARD, "memory_gb": 24576}}) == (
        "c.yaml: performance.hardware.Mine.memory_gb: must be in GB, at most 4096; is this MiB? "
        "(got 24576)"
    )


def test_memory_that_nobody_knows_is_missing(tmp_path: Path) -> None:
    told = faults_after(tmp_path, without_memory)
    assert told == [
        "c.yaml: pool[0].memory_gb: is missing"
    ]  # of the A100; a T4 is in the catalogue


def test_a_card_of_the_same_figures_gives_the_same_answer(tmp_path: Path) -> None:
    own, known = lowest(config_with(tmp_path, {"Mine": CARD})), lowest(load_config(CONFIG, FEW))
    for name in ("throughput_tokens_per_s", "cost_usd_per_token", "ttft_s", "tpot_s"):
        assert own[name] == known[name]
    for name in ("throughput_low_tokens_per_s", "baseline_throughput_tokens_per_s"):
        assert own[name] == known[name]


def test_a_faster_memory_gives_a_higher_throughput(tmp_path: Path) -> None:
    faster = {"Mine": {**CARD, "gb_per_s": 2016}}
    slow, fast = (
        lowest(config_with(tmp_path, cards))["throughput_tokens_per_s"]
        for cards in ({"Mine": CARD}, faster)
    )
    assert fast > 1.2 * slow


def test_figures_of_a_config_go_before_those_of_the_catalogue(tmp_path: Path) -> None:
    loaded = config_with(tmp_path, {"RTX-4090": {**CARD, "gb_per_s": 2016}}, "RTX-4090")
    hardware = loaded.instance.pool[0].hardware
    assert not isinstance(hardware, str)
    assert find_gpu(hardware).bandwidth_gb_per_s.value == 2016
    assert loaded.instance.pool[1].hardware == "RTX-3090"


def test_an_architecture_in_another_spelling_is_told_how_it_is_written(tmp_path: Path) -> None:
    assert faults(tmp_path, {"Mine": {**CARD, "architecture": "Ada "}}) == (
        "c.yaml: performance.hardware.Mine.architecture: must be written ada (got 'Ada ')"
    )
    (tmp_path / "gpus.yaml").write_text(
        yaml.safe_dump({"Mine": {**CARD, "architecture": "ADA"}}), encoding="utf-8"
    )
    with pytest.raises(InputError, match=r"Mine\.architecture: must be written ada \(got 'ADA'\)"):
        read_hardware(tmp_path / "gpus.yaml")


@pytest.mark.parametrize(
    ("key", "gpu"),
    [("mine", "Mine"), ("rtx-4090", "RTX-4090"), ("RTX-4090", "RTX4090"), ("RTX4090", "RTX-4090")],
)
def test_figures_under_another_name_of_a_gpu_than_the_pools_are_a_fault(
    tmp_path: Path, key: str, gpu: str
) -> None:
    told = f"c.yaml: performance.hardware.{key}: is written {gpu} in the pool (got {key!r})"
    assert told in faults(tmp_path, {key: CARD}, gpu).splitlines()


def test_figures_of_gpus_that_are_not_in_the_pool_may_stand_there(tmp_path: Path) -> None:
    names = ("RTX4090", "RTX-4090", "T4", "Mine")  # two of one GPU that the pool has not, too
    config_with(tmp_path, {name: copy.deepcopy(CARD) for name in names})


def test_memory_that_the_driver_reports_may_be_left_out(tmp_path: Path) -> None:
    stated = {key: value for key, value in CARD.items() if key != "reported_mib"}
    (tmp_path / "gpus.yaml").write_text(yaml.safe_dump({"Mine": stated}), encoding="utf-8")
    gpu = read_hardware(tmp_path / "gpus.yaml")["Mine"]
    assert gpu.reported_mib.value * 1024**2 == pytest.approx(24e9)
    assert (gpu.link.latency_us.value, gpu.usd_per_hour) == (10.0, None)


def test_a_file_of_hardware_is_the_same_as_its_content(tmp_path: Path) -> None:
    (tmp_path / "gpus.yaml").write_text(yaml.safe_dump({"Mine": CARD}), encoding="utf-8")
    named, inside = (config_with(tmp_path, h) for h in ("gpus.yaml", {"Mine": CARD}))
    assert named.config == inside.config
    (tmp_path / "gpus.yaml").unlink()
    again = stored_config(json.loads(json.dumps(run_record(named))))
    assert problem_id(again.config) == problem_id(inside.config)
    assert again.instance == inside.instance


def test_ids_follow_the_figures_of_hardware(tmp_path: Path) -> None:
    faster = {"Mine": {**CARD, "gb_per_s": 1009}}
    ids = {problem_id(config_with(tmp_path, h).config) for h in ({"Mine": CARD}, faster)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("link"), "link: is missing"),
        (lambda c: c.update(tflops={"fp8": 1.0}), "tflops: must hold fp16 (got {'fp8': 1.0})"),
        (lambda c: c["tflops"].update(fp12=1.0), "fp12"),
        (lambda c: c.update(gb_per_s=0), "gb_per_s: must be greater than 0.0 (got 0)"),
        (lambda c: c["link"].update(kind="wifi"), "link.kind: must be one of 'nvlink' or 'pcie'"),
        (lambda c: c.update(efficiency=0.5), "efficiency: is not a known field"),
    ],
)
def test_a_fault_of_hardware_is_told_where_it_stands(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], told: str
) -> None:
    card = json.loads(json.dumps(CARD))
    change(card)
    inside = faults(tmp_path, {"Mine": card})
    assert inside.startswith("c.yaml: performance.hardware.Mine.")
    assert told in inside
    (tmp_path / "gpus.yaml").write_text(yaml.safe_dump({"Mine": card}), encoding="utf-8")
    for text in (faults(tmp_path, "gpus.yaml"), _faults_of_file(tmp_path / "gpus.yaml")):
        assert text.startswith("gpus.yaml: Mine.")
        assert told in text


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("k" * 201, f"must be names of at most 200 characters, not '{'k' * 76}... (got "),
        ("\x1b[2J", "must hold only characters that can be printed, not '\\x1b[2J' (got "),
    ],
)
def test_a_key_that_is_no_name_is_told(tmp_path: Path, key: str, told: str) -> None:
    (tmp_path / "gpus.yaml").write_text(yaml.safe_dump({key: CARD}), encoding="utf-8")
    assert faults(tmp_path, "gpus.yaml").startswith(f"gpus.yaml: file: {told}")
    assert faults(tmp_path, {key: CARD}).startswith(f"c.yaml: performance.hardware: {told}")


def _faults_of_file(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_hardware(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_an_unknown_gpu_says_how_to_describe_it(tmp_path: Path) -> None:
    told = faults(tmp_path, {}, "RTX5090")
    assert "pool[0].gpu: is not in the catalogue; near names: RTX-" in told
    assert "memory_gb" not in told  # of a GPU that is known it may be absent
    assert "add its figures under performance.hardware.RTX5090 (got 'RTX5090')" in told


def test_a_network_faster_than_the_stated_link_is_a_fault(tmp_path: Path) -> None:
    data = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    data["performance"] = {"model": "roofline", "hardware": {"Mine": CARD}}
    data["pool"] = [{**data["pool"][0], "gpu": "Mine", "gpus_per_node": 2}]
    data["network"], data["baseline"] = {"gb_per_s": 33}, None
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(InputError, match="must be at most the link inside hosts of Mine, 32 GB/s"):
        load_config(tmp_path / "c.yaml", FEW)


def test_the_flops_model_has_no_use_for_hardware() -> None:
    with pytest.raises(InputError, match=r"hardware: is not known to the flops model; give perf"):
        load_config(CONFIG.parent / "medium.yaml", [("performance.hardware", {"Mine": CARD})])


def test_hardware_that_is_no_mapping_is_a_fault(tmp_path: Path) -> None:
    assert "performance.hardware: must be the name of a file (got [1])" in faults(tmp_path, [1])
    assert "absent.yaml: file: does not exist" in faults(tmp_path, "absent.yaml")
