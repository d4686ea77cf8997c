"""Stages composed into a pipeline: stage times in, tokens per second, TTFT and TPOT out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.catalogue import Gpu, find_engine, find_gpu
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import level_members
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constants import LEVELS, Constants, ConstantTable, resolve
from pipeline.roofline.stages import Workload


@dataclass(frozen=True)
class PipelineFigures:
    """What a pipeline delivers.

    tokens_per_s: prompt tokens in phase `prefill`, output tokens in `decode`, both in `mixed`;
    ttft_s: time to the first token of one request; tpot_s: time per output token after it.
    """

    tokens_per_s: float
    ttft_s: float
    tpot_s: float


def fill_seconds(stage_s: Numbers, hops_s: Numbers, micro_batches: float) -> float:
    """Time for m micro-batches to pass all stages once, fill included: Σ(τ+h) + (m−1)·max τ."""
    return float(stage_s.sum() + hops_s.sum() + (micro_batches - 1.0) * stage_s.max())


def round_seconds(stage_s: Numbers, hops_s: Numbers, micro_batches: float) -> float:
    """Time between two turns of one micro-batch in steady state: max( Σ(τ+h), m·max τ ).

    Too few micro-batches leave stages idle (the pass decides), enough fill the slowest one.
    """
    return float(max(stage_s.sum() + hops_s.sum(), micro_batches * stage_s.max()))


def pipeline_figures(
    workload: Workload,
    micro_batch: float,
    micro_batches: float,
    prefill_s: Numbers,
    step_s: Numbers,
    hops_prefill_s: Numbers,
    hops_step_s: Numbers,
    request_overhead_s: float = 0.0,
    inefficiency: float = 1.0,
) -> PipelineFigures:
    """Figures of m micro-batches of n requests on stages in order.

    prefill_s: τ of one micro-batch's prompts per stage; step_s: τ of one decode step (`decode_s`
    in phase `decode`, `mixed_s` in `mixed`) per stage; hops_*: one entry per pair of neighbours.
    Equations: prefill m·n·in / fill; decode m·n / round; mixed m·n·(in+out) / (out·round + o);
    TTFT = Σ(τ_prefill + hop) + o; TPOT = round. inefficiency: factor on the ideal round.
    """
    requests = micro_batch * micro_batches
    ttft_s = fill_seconds(prefill_s, hops_prefill_s, 1.0) + request_overhead_s
    tpot_s = inefficiency * round_seconds(step_s, hops_step_s, micro_batches)
    length = workload.input_len + workload.output_len
    if workload.phase == "prefill":
        seconds = fill_seconds(prefill_s, hops_prefill_s, micro_batches)
        rate = requests * workload.input_len / seconds
    elif workload.phase == "decode":
        rate = requests / tpot_s
    else:
        rate = requests * length / (max(workload.output_len, 1.0) * tpot_s + request_overhead_s)
    return PipelineFigures(rate, ttft_s, tpot_s)


def request_overhead(engine: str, gpu: str | Gpu, table: ConstantTable) -> float:
    """Time of one request outside the GPUs, s."""
    return float(_constants(engine, gpu, table).request_overhead_s[0])


def round_inefficiency(engine: str, gpu: str | Gpu, table: ConstantTable) -> float:
    """Return the time of a round of several micro-batches over that of the ideal round."""
    return float(_constants(engine, gpu, table).pipeline_inefficiency[0])


def _constants(engine: str, gpu: str | Gpu, table: ConstantTable) -> Constants:
    """Resolve the constants of an engine on a GPU."""
    members = level_members(gpu, engine, "fp16")
    labels = {level: (member,) for level, member in zip(LEVELS, members, strict=True)}
    return resolve(table, labels)


def throughput_range(
    tokens_per_s: float,
    shape: ModelShape,
    gpus: frozenset[str | Gpu],
    engine: str,
    table: ConstantTable,
) -> tuple[float, float]:
    """Range that holds four of five measurements of such a prediction, tokens/s.

    The measured 10th and 90th percentile of measured over predicted, on rows that no fit had
    seen: those of known GPUs and engines where all of these are, else those of a source left
    out whole. Models with experts, latent attention or sliding windows are not among the
    measured ones (docs/accuracy.md): for them it is the wider range.
    """
    names = {find_gpu(gpu).name for gpu in gpus}
    is_measured = not (shape.num_experts or shape.kv_lora_rank or shape.sliding_window)
    known = names <= table.seen("gpu") and find_engine(engine).name in table.seen("engine")
    low, high = table.spread.known if is_measured and known else table.spread.unknown
    return tokens_per_s * low, tokens_per_s * high


def drawn_table(table: ConstantTable, seed: int) -> ConstantTable:
    """Draw the constants as they could also be, each effect from its own normal distribution.

    Deciding again under several draws says whether a winner stays the winner. Draws are
    independent, which overstates the spread of effects that the data only fix in sum.
    """
    generator = np.random.default_rng(seed)
    shifts = generator.standard_normal(len(table.effects))
    effects = tuple(
        type(effect)(
            effect.constant,
            effect.level,
            effect.member,
            effect.mean + effect.deviation * float(shift),
            effect.deviation,
            effect.determined,
        )
        for effect, shift in zip(table.effects, shifts, strict=True)
    )
    return ConstantTable(table.priors, effects, f"{table.provenance}; draw {seed}", table.spread)
