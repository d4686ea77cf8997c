"""What is said where a served instance has no placement: the demand that is in the way."""

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.config import load_config
from pipeline.granularity import granularity
from pipeline.methods import REASON_UNKNOWN, Answer, AnswerStatus
from pipeline.points import make_point
from pipeline.reason_texts import NO_COMBINATION
from pipeline.run import run_point
from pipeline.serving import methods
from pipeline.serving.answers import serving_search
from pipeline.serving.reasons import why_nothing
from pipeline.serving.search import ServingSearch
from pipeline.settings import SolverSettings
from pipeline.sweep import problem_of
from pipeline.words import per_hour
from tests.builders import CONFIGS
from tests.serving.test_against_oracle import random_instance, search_of

Change = tuple[str, Any]
CONFIG = CONFIGS / "llama-3.1-8b-workstation.yaml"
FEW = [("workload.concurrency", 8), ("workload.micro_batches", [1, 2])]
TOO_MANY = ("workload.concurrency", 100_000)
IN_ANY_TIME = [("limits.max_ttft_s", None), ("limits.max_tpot_s", None)]
# Each card holds 18 of the 32 layers.
SMALL = [("pool.RTX-4090.memory_gb", 12), ("pool.RTX-3090.memory_gb", 12), *IN_ANY_TIME]
HEADS_OF_THREE = [(f"model.num_{kind}_heads", 3) for kind in ("attention", "key_value")]
HEADS_OF_THREE += [("model.head_dim", 128)]
ONE_EACH = [*SMALL, ("limits.tp_degrees", [1]), *((f"pool.RTX-{n}.count", 1) for n in (3090, 4090))]


def asked(changes: Sequence[Change], method: str = "ratio", budget: float | None = None) -> Any:
    """Return the columns of the first row."""
    problem = problem_of(load_config(CONFIG, [*FEW, *changes]), {})
    point = make_point(problem, "exact", method, budget)
    return run_point(problem, point).points[0].values


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            [("limits.min_layers_per_stage", 50)],
            "sizes: min_layers_per_stage is 50, the model has 32 layers",
        ),
        (
            [*ONE_EACH, ("limits.min_layers_per_stage", 20)],
            "memory: no group holds the 20 layers of min_layers_per_stage beside the cache of "
            "8 requests: RTX-4090 holds 18 layers at TP 1; RTX-3090 holds 18 layers at TP 1",
        ),
        (
            [*ONE_EACH, ("limits.min_layers_per_stage", 17)],
            "sizes: without min_layers_per_stage there is a placement",
        ),
        (
            [("limits.tp_degrees", [8]), ("baseline", None)],
            "groups: no GPU type of the pool forms a TP group: "
            "RTX-4090 allows no TP degree of 8; RTX-3090 allows no TP degree of 8",
        ),
        (
            [("limits.tp_degrees", [2]), ("baseline", None), *HEADS_OF_THREE],
            "groups: no GPU type of the pool forms a TP group: "
            "RTX-4090 allows no TP degree of 2 (3 attention heads cannot be split over TP 2); ",
        ),
        (
            [TOO_MANY, ("limits.exclude", ["RTX-3090"])],
            "memory: no allowed size fits any group beside the cache of 100,000 requests: "
            "RTX-4090 holds 0 layers at TP 1, 0 at TP 2; RTX-3090 is excluded",
        ),
        (
            [*ONE_EACH, ("limits.tp_degrees", [2]), ("pool.RTX-3090.count", 2), TOO_MANY],
            "memory: no allowed size fits any group beside the cache of 100,000 requests: "
            "RTX-4090 allows no TP degree of 2; RTX-3090 holds 0 layers at TP 2",
        ),
        (
            [*SMALL, ("limits.exclude", ["RTX-4090"]), ("pool.RTX-3090.count", 1)],
            "memory: the whole pool holds at most 18 of 32 layers beside the cache of 8 requests",
        ),
        (
            [*ONE_EACH, ("limits.single_gpu_type", True)],
            "restrictions: without single_gpu_type there is a placement",
        ),
        (
            [*ONE_EACH, ("limits.max_stages", 1)],
            "stages: max_stages is 1; without this limit the cheapest placement has 2",
        ),
        (
            [*ONE_EACH, ("limits.max_stages", 1), ("limits.single_gpu_type", True)],
            "limits: leaving out one of single_gpu_type and max_stages is not enough, but without "
            "all of them there is a placement",
        ),
        ([("limits.max_ttft_s", 1e-4)], "latency: no placement keeps max_ttft_s at 0.0001 s"),
        ([("limits.max_tpot_s", 1e-4)], "latency: no placement keeps max_tpot_s at 0.0001 s"),
    ],
)
def test_a_reason_names_what_is_in_the_way(changes: Sequence[Change], reason: str) -> None:
    values = asked(changes)
    assert values["status"] == "infeasible"
    assert str(values["message"]).startswith(reason)


def test_sizes_that_cover_the_layers_on_no_groups_are_told_last() -> None:
    # One card holds 18 layers, and 24 + 8 are all that the sizes leave.
    problem = problem_of(load_config(CONFIG, [*FEW, *ONE_EACH]), {})
    values = run_point(problem, make_point(problem, "8+24", "ratio")).points[0].values
    assert values["message"] == NO_COMBINATION


def test_a_budget_below_every_placement_is_named() -> None:
    told = asked([], "enumeration", 0.01)["message"]
    # The frontier finds its cheapest point by another search.
    problem = problem_of(load_config(CONFIG, FEW), {})
    frontier = run_point(problem, make_point(problem, "exact", "frontier")).points
    least = min(row.values["cost_usd_per_hour"] for row in frontier)
    assert told == f"budget: $0.01/h is below the cheapest placement, {per_hour(least)}"


@pytest.mark.parametrize("name", ["limits.max_ttft_s", "limits.max_tpot_s"])
def test_a_limit_on_latency_that_is_too_tight_names_the_tightest_there_can_be(name: str) -> None:
    one = [*IN_ANY_TIME, ("workload.micro_batches", 1)]
    told = str(asked([*one, (name, 1e-4)])["message"])
    _, _, found = told.partition("the shortest that can be had is ")
    shortest_s = float(found.removesuffix(" s"))
    assert asked([*one, (name, shortest_s)])["status"] == "optimal"
    # It is rounded up to three digits, by less than a hundredth.
    assert asked([*one, (name, 0.99 * shortest_s)])["status"] == "infeasible"


def test_the_shortest_latency_named_under_a_budget_can_be_had_within_it() -> None:
    one = [*IN_ANY_TIME, ("workload.micro_batches", 1)]
    # $0.3/h rents one of the slower cards, $100/h all there are.
    within, beyond = (
        str(asked([*one, ("limits.max_ttft_s", 1e-4)], "enumeration", budget)["message"])
        for budget in (0.3, 100.0)
    )
    _, _, found = within.partition("the shortest that can be had within the budget is ")
    _, _, sooner = beyond.partition("the shortest that can be had within the budget is ")
    shortest_s = float(found.removesuffix(" s"))
    assert float(sooner.removesuffix(" s")) < shortest_s
    at_limit = asked([*one, ("limits.max_ttft_s", shortest_s)], "enumeration", 0.3)
    assert at_limit["status"] == "optimal"


def test_a_placement_above_the_budget_too_is_said_to_be() -> None:
    told = asked([*IN_ANY_TIME, ("limits.max_ttft_s", 1e-4)], "enumeration", 0.01)["message"]
    assert "without this limit the cheapest placement takes" in told
    assert told.endswith(", above the budget")


@pytest.mark.parametrize("name", ["limits.max_ttft_s", "limits.max_tpot_s"])
def test_under_several_micro_batches_a_time_is_named_that_can_be_met(name: str) -> None:
    told = str(asked([*IN_ANY_TIME, (name, 1e-4)])["message"])
    _, _, found = told.partition("the shortest found is ")
    assert asked([*IN_ANY_TIME, (name, float(found.removesuffix(" s")))])["status"] == "optimal"


def test_where_gpus_must_be_filled_no_time_is_called_the_shortest() -> None:
    """More requests fill them with fewer layers to a stage: another load may be faster."""
    filled = [*IN_ANY_TIME, ("limits.min_memory_utilization", 0.3), ("limits.max_tpot_s", 1e-4)]
    told = str(asked([*filled, ("workload.micro_batches", 1)])["message"])
    assert "the shortest found is " in told


def test_a_reason_that_time_did_not_allow_to_find_is_not_made_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late = Answer(AnswerStatus.TIME_LIMIT, None, None, None)
    monkeypatch.setattr(methods, "cheapest", lambda _: late)
    search = search_of(random_instance(0, "decode"), "exact")
    assert why_nothing(search, 0.01) == REASON_UNKNOWN


@pytest.mark.parametrize("seed", range(8))
def test_the_cheapest_placement_costs_what_a_weight_on_cost_alone_finds(seed: int) -> None:
    found, told = (
        ask(search_of(random_instance(seed, "decode"), "exact"))
        for ask in (methods.cheapest, lambda search: methods.weighted(search, 1.0))
    )
    assert found.status == told.status
    assert (found.placement is None) == (told.placement is None)
    if found.placement and told.placement:
        assert found.placement.usd_per_hour == pytest.approx(told.placement.usd_per_hour)
        assert found.bound == pytest.approx(found.placement.usd_per_hour)


def search_of_little_time(time_limit_s: float) -> ServingSearch:
    tight = [*FEW, ("limits.max_ttft_s", 1e-4), ("limits.max_tpot_s", 1e-4)]
    instance = load_config(CONFIG, tight).instance
    sizes = granularity("exact", instance.num_layers)
    return serving_search(instance, sizes, SolverSettings(time_limit_s=time_limit_s))


def test_searches_for_a_reason_share_one_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    search, left, cheapest = search_of_little_time(1.0), [], methods.cheapest

    def watched(relaxed: ServingSearch) -> Answer:
        left.append(relaxed.clock.remaining_seconds)
        return cheapest(relaxed)

    monkeypatch.setattr(methods, "cheapest", watched)
    # A reason that is found quickly is told all the same.
    assert why_nothing(search, None).startswith("limits: leaving out one of max_ttft_s and")
    assert len(left) > 2
    assert 1.0 >= left[0] > left[1] > left[2]
    assert why_nothing(search_of_little_time(0.0), None) == REASON_UNKNOWN


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("phase", ["prefill", "decode", "mixed"])
@pytest.mark.parametrize("method", ["ratio", "weighted", "enumeration", "frontier"])
@pytest.mark.parametrize("more", [[("limits.tp_degrees", [8])], HEADS_OF_THREE])
def test_a_pool_that_forms_no_group_is_told_at_once_in_every_phase(
    phase: str, method: str, more: Sequence[Change]
) -> None:
    """Asking for the lowest price of a prompt went on until the time limit."""
    no_group = [("limits.tp_degrees", [2]), ("workload.phase", phase), ("baseline", None)]
    values = asked([*IN_ANY_TIME, *no_group, ("solver.time_limit_s", 5), *more], method)
    assert values["status"] == "infeasible"
    assert values["message"].startswith("groups: no GPU type of the pool forms a TP group: ")
