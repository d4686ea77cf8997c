"""The explanation of an answer, as text for people and as data for machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.text import Text

from pipeline.copies import Copies
from pipeline.explain import Explanation
from pipeline.placement import Placement
from pipeline.words import counted, enough_per_hour, per_million, signed_percent


def explanation_view(explanation: Explanation, held_by_budget: bool = False) -> Group:
    """Say what binds, what lies next, and what coarser or freer choices would give.

    held_by_budget: whether a budget was asked for, so that it may be what binds.
    """
    lines = [_binding_line(explanation, held_by_budget)]
    lines += [
        f"Next {name} on the frontier: {_sketch(placement)}" if placement else f"Nothing is {name}."
        for name, placement in (("cheaper", explanation.cheaper), ("faster", explanation.faster))
        if placement or explanation.complete
    ]
    if explanation.regrets:
        lines.append(f"Coarser granularities give away: {_regret_list(explanation)}.")
    if explanation.restrictions_percent is not None:
        percent = explanation.restrictions_percent
        lines.append(f"Without the restrictions: {percent:z.1f} % {explanation.better}.")
    if not explanation.complete:
        lines.append(
            "The time limit passed before all of this was found out: what is not named here may "
            "bind or lie next too; a higher solver.time_limit_s tells."
        )
    return Group(Text(), *(Text(line) for line in lines if line))


def copies_view(copies: Copies, tokens_per_s: float) -> Text:
    """Say how much faster copies side by side are than one placement of some throughput."""
    stages, each = copies.placement.stages, copies.placement
    on = f"{counted(len(stages), 'stage')} on {counted(each.num_gpus, 'GPU')}"
    percent = signed_percent(100 * (copies.tokens_per_s / tokens_per_s - 1))
    where = ""
    if not copies.is_cheapest:
        which = "fastest" if copies.is_proven else "fastest found"
        which += f" within {enough_per_hour(each.usd_per_hour)}"
    elif copies.is_proven:
        which = "one with the lowest cost per token"
        where = " placement solve without --budget draws it."
    else:
        which = "cheapest per token that was found"
    return Text(
        f"\nA placement is one copy of the model. {copies.number} copies of the {which} "
        f"({on}, {each.tokens_per_s:,.0f} tokens/s each) are faster side by side: "
        f"{copies.tokens_per_s:,.0f} tokens/s for ${copies.usd_per_hour:.2f}/h, {percent}.{where}"
    )


def copies_json(copies: Copies) -> dict[str, Any]:
    """Return copies as plain data, with the figures of all together."""
    return {
        "copies": copies.number,
        "is_proven_cheapest_per_token": copies.is_cheapest and copies.is_proven,
        "is_fastest_within_its_cost": not copies.is_cheapest,
        "num_stages_each": len(copies.placement.stages),
        "num_gpus_each": copies.placement.num_gpus,
        "throughput_tokens_per_s": copies.tokens_per_s,
        "cost_usd_per_hour": copies.usd_per_hour,
    }


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as plain data."""
    return {
        "bindings": [asdict(binding) for binding in explanation.bindings],
        "cheaper": _figures(explanation.cheaper),
        "faster": _figures(explanation.faster),
        "regrets": [asdict(regret) for regret in explanation.regrets],
        "restrictions_percent": explanation.restrictions_percent,
        "complete": explanation.complete,
        "better": explanation.better,
    }


def _binding_line(explanation: Explanation, held_by_budget: bool) -> str:
    """Say what each step that was tried gives; what a smaller or larger one gives is not known."""
    gains = [
        f"{b.limit} ({b.relaxed}: {b.gain_percent:.1f} % {explanation.better})"
        for b in explanation.bindings
    ]
    if held_by_budget and explanation.faster is not None:
        gains.insert(0, f"the budget (faster from ${explanation.faster.usd_per_hour:.2f}/h on)")
    if not gains and not explanation.complete:
        return ""
    if not gains:
        return "What binds: prices alone, as far as one step of each limit, memory and count tells."
    return f"What binds, one step of each tried by itself: {', '.join(gains)}."


def _regret_list(explanation: Explanation) -> str:
    parts = (
        f"{regret.granularity} "
        + ("has no placement" if regret.percent is None else f"{regret.percent:.1f} %")
        for regret in explanation.regrets
    )
    return ", ".join(parts)


def _sketch(placement: Placement) -> str:
    return (
        f"{placement.tokens_per_s:,.0f} tokens/s for ${placement.usd_per_hour:.2f}/h, "
        f"{per_million(placement.usd_per_token)} per million tokens"
    )


def _figures(placement: Placement | None) -> dict[str, float] | None:
    if placement is None:
        return None
    return {
        "throughput_tokens_per_s": placement.tokens_per_s,
        "cost_usd_per_hour": placement.usd_per_hour,
        "cost_usd_per_token": placement.usd_per_token,
    }
