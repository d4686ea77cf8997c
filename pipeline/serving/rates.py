"""From the times of stages to tokens per second and back, for every load.

With τ the stage times, h the hops and m micro-batches of n requests in all, three linear
quantities decide: the pass P = Σ(τ + h), the slowest stage M = max τ, and the first token's
P' = Σ(τ' + h') over prefill times. Then, with f = `step_factor` and o = `overhead_s`,

    decode    R = f·max(P, m·M)      t = n / R
    mixed     R = f·max(P, m·M)      t = n·(in + out) / (out·R + o)
    prefill   F = P + (m − 1)·M      t = n·in / F

    TTFT = P' + o,   TPOT = R

as in `roofline.pipelines`. All fall as P and M fall, so a throughput T allows a longest R or F.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.instance import Instance
from pipeline.serving.cells import Cells
from pipeline.serving.tables import FloatArray, IntArray, ServingTables, serving_of


@dataclass(frozen=True)
class Reach:
    """What a placement may take at most to reach a throughput; one entry per cell, s.

    pass_s: longest pass. slowest_s: longest stage. whole_s: longest round or fill.
    """

    pass_s: FloatArray
    slowest_s: FloatArray
    whole_s: FloatArray


class Rates:
    """Converts between times and throughput for all loads of an instance."""

    def __init__(self, instance: Instance, tables: ServingTables) -> None:
        serving, limits = serving_of(instance), instance.limits
        self.phase = serving.phase
        self._tables = tables
        self._layers, self._max_stages = instance.num_layers, limits.max_stages
        self._input, self._output = float(serving.input_tokens), float(serving.output_tokens)
        self.longest_round_s = np.inf if limits.max_tpot_s is None else limits.max_tpot_s
        self.longest_first_s = np.inf if limits.max_ttft_s is None else limits.max_ttft_s
        # No placement has a shorter pass, nor, with s stages, a slowest stage below an s-th of it.
        self._shortest_s = instance.num_layers * tables.pass_s.min(axis=0, initial=np.inf)

    @property
    def fills(self) -> bool:
        """Tell whether the time is that of a fill, P + (m − 1)·M, and not of a round."""
        return self.phase == "prefill"

    def tokens_per_s(
        self, decision: int | IntArray, pass_s: FloatArray, slowest_s: FloatArray
    ) -> FloatArray:
        """Return the throughput of placements with the given pass and slowest stage, tokens/s.

        decision: a load, or loads of a shape that goes with that of the times.
        """
        n, m = self._load(decision)
        if self.fills:
            return np.asarray(n * self._input / (pass_s + (m - 1) * slowest_s))
        round_s = self.round_s(decision, pass_s, slowest_s)
        if self.phase == "decode":
            return np.asarray(n / round_s)
        busy_s = self._output * round_s + self._tables.overhead_s
        return np.asarray(n * (self._input + self._output) / busy_s)

    @cached_property
    def lowest(self) -> float:
        """A throughput below that of any placement, tokens/s."""
        tables, loads = self._tables, np.arange(len(self._tables.decisions))
        slowest_s = self._layers * tables.pass_s.max(initial=1e-9)
        hops_s = tables.hops.between_s.max() * self._max_stages
        times = np.full(len(loads), (slowest_s + hops_s) * tables.micro_batches.max())
        return float(self.tokens_per_s(loads, times, times).min()) / 2

    @cached_property
    def highest(self) -> float:
        """A throughput above that of any placement, tokens/s: the shortest pass, shared evenly."""
        if not self._tables.pass_s.size:  # no group, and so no pass
            return 2 * self.lowest
        loads = np.arange(len(self._shortest_s))
        rates = self.tokens_per_s(loads, self._shortest_s, self._shortest_s / self._max_stages)
        return max(float(rates.max()) * (1 + 1e-9), 2 * self.lowest)

    def round_s(
        self, decision: int | IntArray, pass_s: FloatArray, slowest_s: FloatArray
    ) -> FloatArray:
        """Return the time per output token, R, s."""
        _, m = self._load(decision)
        return np.asarray(self._tables.step_factor[decision] * np.maximum(pass_s, m * slowest_s))

    def first_token_s(self, prefill_pass_s: FloatArray) -> FloatArray:
        """Return the time to the first token, P' + o, s."""
        return np.asarray(prefill_pass_s + self._tables.overhead_s)

    def stage_tokens_per_s(self, decision: int, stage_s: float) -> float:
        """Return the throughput if one stage alone decided, tokens/s: that of M = τ, P = τ."""
        times = np.array([stage_s])
        return float(self.tokens_per_s(decision, times, times)[0])

    def reach(self, tokens_per_s: float | FloatArray, cells: Cells) -> Reach:
        """Return what the throughput and the limits on latency leave for pass and stages.

        In a fill, P + (m − 1)·M ≤ F with P ≥ M, P no shorter than any pass, M ≥ P over the most
        stages of the cell, and M within its range.
        """
        n, m = self._load(cells.decision)
        with np.errstate(divide="ignore", invalid="ignore"):
            longest = n / np.asarray(tokens_per_s, dtype=np.float64)
            if self.fills:
                return self._fill_reach(longest * self._input, m, cells)
        if self.phase == "mixed":
            whole = longest * (self._input + self._output)
            longest = (whole - self._tables.overhead_s) / self._output
        longest = np.minimum(longest, self.longest_round_s)
        ideal = longest / self._tables.step_factor[cells.decision]
        return Reach(ideal, ideal / m, longest)

    def _fill_reach(self, fill_s: FloatArray, m: FloatArray, cells: Cells) -> Reach:
        with np.errstate(divide="ignore", invalid="ignore"):
            beside = (fill_s - self._shortest_s[cells.decision]) / (m - 1)
        slowest_s = np.where(m > 1, np.minimum(fill_s / m, beside), fill_s)
        least_s = np.maximum(self._shortest_s[cells.decision] / cells.most_stages, cells.low_s)
        return Reach(fill_s - (m - 1) * least_s, np.minimum(slowest_s, cells.high_s), fill_s)

    def _load(self, decision: int | IntArray) -> tuple[FloatArray, FloatArray]:
        """Return requests at once and micro-batches."""
        tables = self._tables
        return tables.concurrency[decision], tables.micro_batches[decision]
