"""Figures of pipeline stages for an optimiser: GPU type, degree and sizes in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.catalogue import Gpu
from pipeline.model_shape import ModelShape
from pipeline.roofline.cases import Case, CaseArrays, case_arrays
from pipeline.roofline.communication import hop_seconds
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constants import Constants, ConstantTable, resolve
from pipeline.roofline.memory import GB, kv_bytes_per_token, kv_room_tokens, weight_bytes_per_gpu
from pipeline.roofline.step import (
    StepLoad,
    decode_load,
    head_seconds,
    layer_seconds,
    prefill_load,
)


@dataclass(frozen=True)
class Workload:
    """What the placement has to serve.

    phase: `prefill`, `decode` or `mixed`; lengths in tokens per request. Decode steps run at the
    mean context input_len + output_len/2.
    """

    phase: str
    input_len: float
    output_len: float
    compute_type: str = "fp16"
    bytes_per_kv_element: float = 2.0
    memory_fraction: float = 0.9


@dataclass(frozen=True)
class StageFigures:
    """Figures of stages of one GPU type and TP degree; arrays of shape (micro-batches, sizes).

    prefill_s: one micro-batch's prompts through the stage; decode_s: one step of one
    micro-batch; mixed_s: one such step with the prompts that steady state brings along.
    Arrays of shape (sizes,), per GPU: weight_gb (with embedding and LM head), kv_gb_per_request,
    kv_room_tokens and max_requests (in the whole pipeline at once); capacity_gb: its memory;
    reserved_gb: what the engine takes beside weights and cache.
    """

    sizes: Numbers
    micro_batches: Numbers
    prefill_s: Numbers
    decode_s: Numbers
    mixed_s: Numbers
    weight_gb: Numbers
    kv_gb_per_request: Numbers
    kv_room_tokens: Numbers
    max_requests: Numbers
    capacity_gb: float
    reserved_gb: float


def _one_case(
    gpu: str | Gpu,
    tp: int,
    shape: ModelShape,
    workload: Workload,
    engine: str,
    memory_gb: float | None,
    link_gb_per_s: float | None = None,
) -> CaseArrays:
    """Arrays of length one for a GPU type and TP degree."""
    case = Case(
        gpu=gpu,
        shape=shape,
        phase="decode",
        requests=1.0,
        input_len=workload.input_len,
        output_len=workload.output_len,
        engine=engine,
        tp=tp,
        compute_type=workload.compute_type,
        bytes_per_kv_element=workload.bytes_per_kv_element,
        memory_gb=memory_gb,
        memory_fraction=workload.memory_fraction,
        link_gb_per_s=link_gb_per_s,
    )
    return case_arrays([case])


def _stage_seconds(
    load: StepLoad, cases: CaseArrays, constants: Constants, sizes: Numbers
) -> Numbers:
    """Stage time per (micro-batch, size): k·t_layer + k/L·(LM head and host time), s.

    Which stage is last is not known when options are made, so each carries its layers' share
    of the head; the sum over a placement is exact.
    """
    layer_s = layer_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    head_s = head_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    return np.outer(layer_s + head_s / cases.layers, sizes)


def _mixed_seconds(
    requests: Numbers, workload: Workload, cases: CaseArrays, constants: Constants, sizes: Numbers
) -> Numbers:
    """Decode step with its prompts: φ·t(n + n·in/out) + (1−φ)·(t(n) + n/out·t_prefill), s.

    φ is `overlap`; prompts that run apart go `prefill_batch` at a time.
    """
    prompt = np.full_like(requests, workload.input_len)
    output = max(workload.output_len, 1.0)
    context = prompt + output / 2.0
    together = _stage_seconds(
        StepLoad(requests * prompt / output, prompt, requests, context), cases, constants, sizes
    )
    decode_s = _stage_seconds(decode_load(requests, context), cases, constants, sizes)
    batch = np.minimum(constants.prefill_batch, np.maximum(requests, 1.0))
    prompts_s = _stage_seconds(prefill_load(batch * prompt, prompt), cases, constants, sizes)
    apart = decode_s + (requests / output / batch)[:, None] * prompts_s
    return constants.overlap * together + (1.0 - constants.overlap) * apart


def _memory(
    cases: CaseArrays, constants: Constants, shape: ModelShape, sizes: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Weights, KV bytes per token and KV room in tokens of each size, on one GPU.

    A stage may hold the embedding, the LM head or (with all layers) both: the larger that could
    be there is charged, so that what fits here fits wherever the stage lies.
    """
    work = cases.work
    layer = work.always_weights + work.experts * work.expert_weights
    tables = np.where(
        sizes >= shape.num_hidden_layers, 1.0 if shape.tie_word_embeddings else 2.0, 1.0
    )
    ends = tables * 2.0 * work.head_weights / cases.tp
    weights = weight_bytes_per_gpu(sizes, layer, work.bytes_per_weight, cases.tp) + ends
    per_token = kv_bytes_per_token(sizes, work.kv_elements, work.bytes_per_kv_element)
    room = kv_room_tokens(
        cases.hardware.memory_bytes,
        cases.memory_fraction,
        weights,
        constants.reserved_gb * GB,
        per_token,
        cases.fraction_of_free,
    )
    return weights, per_token, room


def stage_figures(
    gpu: str | Gpu,
    tp: int,
    sizes: Sequence[int] | Numbers,
    shape: ModelShape,
    workload: Workload,
    engine: str,
    table: ConstantTable,
    micro_batches: Sequence[float] | Numbers,
    memory_gb: float | None = None,
    link_gb_per_s: float | None = None,
) -> StageFigures:
    """Figures of stages of every size, for every micro-batch (requests that move together).

    memory_gb, link_gb_per_s: of this pool's GPUs, where they differ from the catalogue's.

    A size fits a placement that runs n requests at once where max_requests ≥ n (0 where the
    weights alone do not fit). Raises CatalogueError for an unknown GPU or engine.
    """
    layers = np.asarray(sizes, dtype=float)
    requests = np.asarray(micro_batches, dtype=float)
    cases = _one_case(gpu, tp, shape, workload, engine, memory_gb, link_gb_per_s)
    constants = resolve(table, cases.labels)
    prompt = np.full_like(requests, workload.input_len)
    context = prompt + workload.output_len / 2.0
    weights, per_token, room = _memory(cases, constants, shape, layers)
    held = workload.input_len + constants.output_occupancy * workload.output_len
    return StageFigures(
        sizes=layers,
        micro_batches=requests,
        prefill_s=_stage_seconds(prefill_load(requests * prompt, prompt), cases, constants, layers),
        decode_s=_stage_seconds(decode_load(requests, context), cases, constants, layers),
        mixed_s=_mixed_seconds(requests, workload, cases, constants, layers),
        weight_gb=weights / GB,
        kv_gb_per_request=per_token * held / GB,
        kv_room_tokens=room,
        max_requests=room / held,
        capacity_gb=float(cases.hardware.memory_bytes[0]) / GB,
        reserved_gb=float(constants.reserved_gb[0]),
    )


def stage_hop_seconds(
    tokens: Numbers,
    shape: ModelShape,
    gb_per_s: float,
    gpu: str | Gpu,
    engine: str,
    table: ConstantTable,
) -> Numbers:
    """Time to hand the activations of some tokens to the next stage over a link, s.

    gb_per_s: the network's bandwidth between the two groups, one direction.
    """
    workload = Workload("decode", 1.0, 1.0)
    cases = _one_case(gpu, 1, shape, workload, engine, None)
    constants = resolve(table, cases.labels)
    message = 2.0 * np.asarray(tokens, dtype=float) * shape.hidden_size
    return hop_seconds(message, constants.hop_latency_s, np.array(gb_per_s * 1e9))
