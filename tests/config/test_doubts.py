"""What a config says that was hardly meant is told, and refused never."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_config
from pipeline.config.doubts import doubts
from tests.cli.runner import run
from tests.config.builders import write_yaml
from tests.config.test_hardware import CARD, CONFIG, config_with

H100 = CONFIG.with_name("llama-3.1-70b-cloud.yaml")
MEDIUM = CONFIG.with_name("medium.yaml")


def told(config: Path, *assignments: tuple[str, Any]) -> list[str]:
    """Return the doubts about a config, without its folder."""
    found = doubts(load_config(config, assignments))
    return [str(doubt).replace(f"{config.parent}/", "") for doubt in found]


@pytest.mark.parametrize("config", sorted(CONFIG.parent.glob("*.yaml")), ids=lambda c: c.stem)
def test_nothing_in_the_packaged_configs_is_doubted(config: Path) -> None:
    assert told(config) == []


def test_the_price_of_a_month_is_told_beside_that_of_the_catalogue() -> None:
    assert told(H100, ("pool.H100.usd_per_hour", 2912)) == [
        "--set: pool.H100.usd_per_hour: is 730 times the $3.99 of H100 in the catalogue; is it for "
        "one GPU and one hour, in dollars? (got 2912.0)"
    ]


def test_a_gpu_that_has_no_price_is_held_to_the_dearest(tmp_path: Path) -> None:
    def of_a_month(data: dict[str, Any]) -> None:
        data["pool"][0] |= {"gpu": "Mine", "usd_per_hour": 730.0}
        data["performance"] = {"gpus": {"Mine": {"tflops": 1, "gb_per_s": 1, "efficiency": 1}}}

    (price,) = told(write_yaml(tmp_path, of_a_month))
    told_first = "c.yaml: pool[0].usd_per_hour: is 109 times the $6.69 of B200, the dearest of the "
    assert price.startswith(told_first)


def test_bits_in_the_place_of_bytes_are_told() -> None:
    (doubt,) = told(H100, ("model.bytes_per_weight", 8))
    assert doubt == (
        "--set: model.bytes_per_weight: is 64 bits a weight, more than engines load; for 8 bits "
        "give 1 (got 8.0)"
    )
    assert not [d for b in (0.5, 1, 2) for d in told(H100, ("model.bytes_per_weight", b))]


@pytest.mark.parametrize(
    ("name", "slip", "meant"), [("max_tpot_s", 50, 0.05), ("max_ttft_s", 2000, 2)]
)
def test_milliseconds_in_the_place_of_seconds_are_told(
    name: str, slip: float, meant: float
) -> None:
    (doubt,) = told(H100, (f"limits.{name}", slip))
    assert doubt.startswith(
        f"--set: limits.{name}: is in seconds; are milliseconds meant, {meant:g} s? (got {slip}"
    )
    assert told(H100, (f"limits.{name}", meant)) == []


@pytest.mark.parametrize("usd_per_hour", [0, 0.0001, 2.5, 12.29])
def test_prices_of_spot_and_on_demand_are_taken(usd_per_hour: float) -> None:
    assert told(H100, ("pool.H100.usd_per_hour", usd_per_hour)) == []


@pytest.mark.parametrize("usd_per_hour", [8 * 2.5, 8 * 12.29])
def test_the_price_of_a_host_of_eight_is_told_unless_hosts_are_not_known(
    usd_per_hour: float,
) -> None:
    price = ("pool.H100.usd_per_hour", usd_per_hour)
    (doubt,) = told(H100, price)
    assert doubt.endswith(
        f" times the $3.99 of H100 in the catalogue; is it for one GPU and one hour, in dollars? "
        f"(got {usd_per_hour})"
    )
    assert told(H100, price, ("pool.H100.gpus_per_node", None)) == []


def test_low_bit_arithmetic_on_weights_of_two_bytes_is_told() -> None:
    fp8 = ("workload.compute_type", "fp8")
    assert told(H100, fp8) == [
        "--set: workload.compute_type: multiplies in 8 bits, but weights have 2 bytes; engines "
        "store them so too: model.bytes_per_weight=1 (got 'fp8')"
    ]
    assert told(H100, fp8, ("model.bytes_per_weight", 1)) == []


def test_memory_in_mib_is_told_under_flops_where_gpus_may_be_made_up() -> None:
    assert told(MEDIUM, ("pool.T4.memory_gb", 15360)) == [
        "--set: pool.T4.memory_gb: is more GB than any GPU has; is this MiB? (got 15360.0)"
    ]
    assert told(MEDIUM, ("pool.T4.memory_gb", 4096)) == []


@pytest.mark.parametrize(
    ("written", "meant"), [("hoper", "hopper"), ("ampre", "ampere"), ("Blackwel", "blackwell")]
)
def test_an_architecture_close_to_a_known_one_is_told(
    tmp_path: Path, written: str, meant: str
) -> None:
    loaded = config_with(tmp_path, {"Mine": {**CARD, "architecture": written}})
    (doubt,) = map(str, doubts(loaded))
    assert doubt.endswith(
        "performance.hardware.Mine.architecture: is one that no fit has seen; did you mean "
        f"{meant}? (got {written!r})"
    )


def test_gpus_that_the_pool_lacks_are_not_looked_at(tmp_path: Path) -> None:
    # A file may describe thousands of them, and constants name thousands of architectures.
    more = {"Mine": CARD, "Other": {**deepcopy(CARD), "architecture": "hoper"}}
    assert doubts(config_with(tmp_path, more)) == []


@pytest.mark.parametrize("written", ["rubin", "cdna4", "blackwell-ultra", "gaudi3", "ada"])
def test_an_architecture_of_its_own_is_taken(tmp_path: Path, written: str) -> None:
    assert doubts(config_with(tmp_path, {"Mine": {**CARD, "architecture": written}})) == []


def test_commands_tell_doubts_on_standard_error_and_answer_all_the_same(tmp_path: Path) -> None:
    dear = ("--set", "pool.T4.usd_per_hour=146")
    answered = run("solve", MEDIUM, *dear, "--brief", "--json")
    assert answered.exit_code == 0
    assert json.loads(answered.stdout)["status"] == "optimal"
    assert answered.stderr.startswith("note: --set: pool.T4.usd_per_hour: is 973 times the $0.15 ")
    out = ("--out", tmp_path / "run", "--plan")
    lines = run("sweep", MEDIUM, *dear, *out, "--log-json").stderr.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["note"]
