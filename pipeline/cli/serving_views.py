"""What only the `roofline` model says of an answer, as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from pipeline.words import counted, per_million

if TYPE_CHECKING:
    from pipeline.serving.uncertainty import Robustness


def load_sentence(values: Mapping[str, Any]) -> str:
    """Say under which load, with what latency, and how far the price can be trusted."""
    tpot_s = values.get("tpot_s")
    per_token = "" if tpot_s is None else f", {1000 * tpot_s:.1f} ms per output token"
    return (
        f"{values['concurrency']} requests at once in "
        f"{counted(values['micro_batches'], 'micro-batch', 'micro-batches')}: "
        f"first token after {values['ttft_s']:.2f} s{per_token}. Four of five such predictions "
        f"lie between {per_million(values['cost_low_usd_per_token'])} and "
        f"{per_million(values['cost_high_usd_per_token'])} per million tokens."
    )


def robustness_view(found: Robustness) -> Text:
    """Say whether the groups of the lowest $/token stay that under drawn constants."""
    lines = [
        f"{found.winner} stays the cheapest per token in {100 * found.winner_share:.0f} % of "
        f"{found.draws} draws of the fitted constants, among {found.candidates} candidates "
        f"(on average {100 * found.mean_regret:.1f} % dearer than the draw's best, at worst "
        f"{100 * found.worst_regret:.1f} %)."
    ]
    if found.runner_up is not None:
        share = 100 * found.runner_up_share
        lines.append(f"{found.runner_up} takes over most often, in {share:.0f} %.")
    return Text("\n".join(["", *lines]))
