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
    low, high = (
        per_million(float(values[name]))
        for name in ("cost_low_usd_per_token", "cost_high_usd_per_token")
    )
    first = f"first token after {short_time(values['ttft_s'])}"
    return [
        f"{requests} at once in {cut}: {first}{per_token}.",
        f"Four of five such predictions lie between {low} and {high} per million tokens.",
    ]


def _is_known(value: Any) -> bool:
    return value is not None and value == value
