"""What placements are said to do, in sentences: which tokens count, load, latency, range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.results.schema import present
from pipeline.words import counted, per_million, short_time


def counted_tokens(workload: Mapping[str, Any]) -> str:
    """Say which tokens the throughput and the cost per token count.

    workload: fields of a config's section, or what an instance serves by the same names.
    """
    phase = workload.get("phase")
    if phase == "mixed":
        prompt, output = workload["input_tokens"], workload["output_tokens"]
        return f"tokens/s counts prompt and output, {prompt:,} and {output:,} a request"
    which = {"prefill": "prompt tokens", "decode": "output tokens"}
    if phase in which:
        return f"tokens/s counts {which[phase]} alone"
    return "tokens/s counts all tokens of a batch in one pass: the flops model knows no decoding"


def rate_sentence(workload: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Say which tokens count, and where prompts do what is left to the output alone.

    values: a row of points that has a placement.
    """
    told = counted_tokens(workload)
    if workload.get("phase") != "mixed":
        return f"{told}."
    share = workload["output_tokens"] / (workload["input_tokens"] + workload["output_tokens"])
    return (
        f"{told}; of output alone it is {values['throughput_tokens_per_s'] * share:,.0f} tokens/s "
        f"at {per_million(values['cost_usd_per_token'] / share)} per million."
    )


def load_sentences(values: Mapping[str, Any]) -> list[str]:
    """Say under which load, with what latency, and how far the price can be trusted.

    values: a row of points by column name, nulls absent, None or NaN. Empty for a row of another
    performance model, which knows neither.
    """
    if not present(values.get("concurrency")):
        return []
    concurrency, micro_batches = int(values["concurrency"]), int(values["micro_batches"])
    requests = counted(concurrency, "request")
    cut = counted(micro_batches, "micro-batch", "micro-batches")
    per_token = ""
    if present(values.get("tpot_s")):
        per_token = f", {1000 * float(values['tpot_s']):.1f} ms per output token"
    first = f"first token after {short_time(values['ttft_s'])}"
    if concurrency > micro_batches:
        first += f" where {concurrency // micro_batches:,} prompts come together"
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
