"""What rows of one run say against each other, with rows made by hand."""

import math

import pytest

from pipeline.points import Scales
from pipeline.rivals import Claim, Witness, contradictions, undominated

SCALES = Scales(100.0, 1.0, None)


def claim(**changes: object) -> Claim:
    """Return that 400 tokens/s are the most for at most 1 $/h, and cost 0.9 $/h."""
    values = {
        "point_id": "claim",
        "method": "enumeration",
        "status": "optimal",
        "sizes": (1, 2, 3),
        "budget_usd_per_hour": 1.0,
        "cost_weight": None,
        "tokens_per_s": 400.0,
        "usd_per_hour": 0.9,
        "bounds": {"bound_throughput_tokens_per_s": 400.0},
    }
    return Claim(**{**values, **changes})  # type: ignore[arg-type]


def witness(tokens_per_s: float, usd_per_hour: float, layers: tuple[int, ...] = (3, 1)) -> Witness:
    return Witness("other", layers, ((0,), (1,)), tokens_per_s, usd_per_hour)


def told(one: Claim, *witnesses: Witness, admits: bool = True) -> list[str]:
    found = contradictions([one], witnesses, SCALES, lambda _sizes, _witness: admits)
    return [mismatch.what for mismatch in found]


def test_faster_within_the_budget_refutes_a_bound() -> None:
    assert told(claim(), witness(500.0, 1.0)) == ["bound_throughput_tokens_per_s"]


@pytest.mark.parametrize(
    ("rival", "admits"),
    [
        (witness(500.0, 1.1), True),  # beyond the budget
        (witness(500.0, 1.0, (4,)), True),  # of a size that the granularity lacks
        (witness(500.0, 1.0), False),  # over a link that its filter dropped
        (witness(400.0 * (1 + 1e-7), 0.9), True),  # within what a solver may be off
        (witness(300.0, 0.1), True),
    ],
)
def test_what_the_question_does_not_allow_refutes_nothing(rival: Witness, admits: bool) -> None:
    assert told(claim(), rival, admits=admits) == []


def test_as_fast_for_less_refutes_an_optimum_but_not_an_answer_without_proof() -> None:
    assert told(claim(), witness(400.0, 0.8)) == ["status optimal at"]
    assert told(claim(status="time_limit"), witness(400.0, 0.8)) == []


def test_a_bound_of_a_point_that_found_nothing_can_be_refuted() -> None:
    nothing = claim(status="time_limit", tokens_per_s=0.0, usd_per_hour=math.inf)
    assert told(nothing, witness(500.0, 1.0)) == ["bound_throughput_tokens_per_s"]
    assert told(nothing, witness(390.0, 1.0)) == []


def test_a_cost_at_the_weight_of_cost_alone_is_compared_as_a_cost() -> None:
    cheapest = claim(method="weighted", cost_weight=1.0, bounds={"bound_weighted_score": -0.9})
    assert told(cheapest, witness(1.0, 0.8)) == ["bound_weighted_score"]
    assert told(cheapest, witness(900.0, 0.95)) == []


def test_the_bound_of_a_point_of_a_frontier_is_on_placements_as_fast() -> None:
    point = claim(
        point_id="f#0",
        method="frontier",
        status="feasible",
        budget_usd_per_hour=math.inf,
        bounds={"bound_cost_usd_per_hour": 0.9},
    )
    assert told(point, witness(390.0, 0.1)) == []
    assert told(point, witness(410.0, 0.8)) == ["bound_cost_usd_per_hour"]


def test_only_what_nothing_beats_is_compared() -> None:
    best, worse, cheap = witness(400.0, 0.9), witness(390.0, 0.95), witness(100.0, 0.2)
    assert undominated([worse, best, cheap, best]) == [cheap, best]
