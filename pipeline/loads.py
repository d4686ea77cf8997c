"""What only the `roofline` model says of a placement, in sentences: load, latency, range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.words import counted, per_million, short_time


def load_sentences(values: Mapping[str, Any]) -> list[str]:
    """Say under which load, with what latency, and how far the price can be trusted.

    values: a row of points by column name, nulls absent, None or NaN. Empty for a row of another
    performance model, which knows neither.
    """
    if not _is_known(values.get("concurrency")):
        return []
    requests = counted(int(values["concurrency"]), "request")
    cut = counted(int(values["micro_batches"]), "micro-batch", "micro-batches")
    per_token = ""
    if _is_known(values.get("tpot_s")):
        per_token = f", {1000 * float(values['tpot_s']):.1f} ms per output token"
    first = f"first token after {short_time(values['ttft_s'])}"
    return [
        f"{requests} at once in {cut}: {first}{per_token}.",
        f"Four of five such predictions lie between {_range(values)}.",
    ]


def _range(values: Mapping[str, Any]) -> str:
    """Return the range of the price, or of the throughput of what costs nothing."""
    prices = [float(values[f"cost_{end}_usd_per_token"]) for end in ("low", "high")]
    if any(prices):
        return f"{per_million(prices[0])} and {per_million(prices[1])} per million tokens"
    rates = [float(values[f"throughput_{end}_tokens_per_s"]) for end in ("low", "high")]
    return f"{rates[0]:,.0f} and {rates[1]:,.0f} tokens/s"


def _is_known(value: Any) -> bool:
    return value is not None and value == value
