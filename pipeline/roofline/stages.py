"""Figures of pipeline stages for an optimiser: GPU type, degree and sizes in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

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

Record = TypeVar("Record")


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


@dataclass(frozen=True)
class StageGroup:
    """GPUs that hold a stage: their type, how many share it, memory and link if not the usual."""

    gpu: str | Gpu
    tp: int
    memory_gb: float | None = None
    link_gb_per_s: float | None = None


@dataclass(frozen=True)
class GroupFigures:
    """Figures of many groups at once, from which those of every stage follow.

    prefill_s, decode_s, mixed_s: of one layer, as in `StageFigures`, shape (groups,
    micro-batches). weight_gb, kv_gb_per_request, kv_room_tokens, max_requests: shape (groups,
    sizes). capacity_gb, reserved_gb: shape (groups,).
    """

    prefill_s: Numbers
    decode_s: Numbers
    mixed_s: Numbers
    weight_gb: Numbers
    kv_gb_per_request: Numbers
    kv_room_tokens: Numbers
    max_requests: Numbers
    capacity_gb: Numbers
    reserved_gb: Numbers


def _cases(
    groups: Sequence[StageGroup], shape: ModelShape, workload: Workload, engine: str
) -> CaseArrays:
    """Arrays with one entry per group."""
    return case_arrays(
        [
            Case(
                gpu=group.gpu,
                shape=shape,
                phase="decode",
                requests=1.0,
                input_len=workload.input_len,
                output_len=workload.output_len,
                engine=engine,
                tp=group.tp,
                compute_type=workload.compute_type,
                bytes_per_kv_element=workload.bytes_per_kv_element,
                memory_gb=group.memory_gb,
                memory_fraction=workload.memory_fraction,
                link_gb_per_s=group.link_gb_per_s,
            )
            for group in groups
        ]
    )


def _as_columns(record: Record) -> Record:
    """Turn every array of a record into a column, so that it meets rows of loads and sizes."""

    def column(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value[:, None]
        return _as_columns(value) if is_dataclass(value) else value

    parts = {part.name: getattr(record, part.name) for part in fields(record)}  # type: ignore[arg-type]
    return type(record)(**{name: column(value) for name, value in parts.items()})


def _seconds_per_layer(load: StepLoad, cases: CaseArrays, constants: Constants) -> Numbers:
    """Time of one layer of a stage: t_layer + 1/L·(LM head and host time), s.

    Which stage is last is not known when options are made, so each carries its layers' share
    of the head; the sum over a placement is exact.
    """
    layer_s = layer_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    head_s = head_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    return layer_s + head_s / cases.layers


def _mixed_seconds(
    requests: Numbers, workload: Workload, cases: CaseArrays, constants: Constants
) -> Numbers:
    """Decode step with its prompts, a layer: φ·t(n + n·in/out) + (1−φ)·(t(n) + n/out·t_prefill), s.

    φ is `overlap`; prompts that run apart go `prefill_batch` at a time.
    """
    prompt = np.full_like(requests, workload.input_len)
    output = max(workload.output_len, 1.0)
    context = prompt + output / 2.0
    together = _seconds_per_layer(
        StepLoad(requests * prompt / output, prompt, requests, context), cases, constants
    )
    decode_s = _seconds_per_layer(decode_load(requests, context), cases, constants)
    batch = np.minimum(constants.prefill_batch, np.maximum(requests, 1.0))
    prompts_s = _seconds_per_layer(prefill_load(batch * prompt, prompt), cases, constants)
    apart = decode_s + requests / output / batch * prompts_s
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


def group_figures(
    groups: Sequence[StageGroup],
    sizes: Sequence[int] | Numbers,
    shape: ModelShape,
    workload: Workload,
    engine: str,
    table: ConstantTable,
    micro_batches: Sequence[float] | Numbers,
) -> GroupFigures:
    """Figures of many groups, for all sizes and micro-batches, each formula evaluated once.

    Raises CatalogueError for an unknown GPU or engine.
    """
    layers = np.asarray(sizes, dtype=float)
    requests = np.asarray(micro_batches, dtype=float)
    by_group = _cases(groups, shape, workload, engine)
    cases, constants = _as_columns(by_group), _as_columns(resolve(table, by_group.labels))
    prompt = np.full_like(requests, workload.input_len)
    context = prompt + workload.output_len / 2.0
    weights, per_token, room = _memory(cases, constants, shape, layers)
    held = workload.input_len + constants.output_occupancy * workload.output_len
    return GroupFigures(
        prefill_s=_seconds_per_layer(prefill_load(requests * prompt, prompt), cases, constants),
        decode_s=_seconds_per_layer(decode_load(requests, context), cases, constants),
        mixed_s=_mixed_seconds(requests, workload, cases, constants),
        weight_gb=weights / GB,
        kv_gb_per_request=per_token * held / GB,
        kv_room_tokens=room,
        max_requests=room / held,
        capacity_gb=by_group.hardware.memory_bytes / GB,
        reserved_gb=constants.reserved_gb[:, 0],
    )


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
    group = StageGroup(gpu, tp, memory_gb, link_gb_per_s)
    found = group_figures([group], layers, shape, workload, engine, table, micro_batches)
    return StageFigures(
        sizes=layers,
        micro_batches=np.asarray(micro_batches, dtype=float),
        prefill_s=np.outer(found.prefill_s[0], layers),
        decode_s=np.outer(found.decode_s[0], layers),
        mixed_s=np.outer(found.mixed_s[0], layers),
        weight_gb=found.weight_gb[0],
        kv_gb_per_request=found.kv_gb_per_request[0],
        kv_room_tokens=found.kv_room_tokens[0],
        max_requests=found.max_requests[0],
        capacity_gb=float(found.capacity_gb[0]),
        reserved_gb=float(found.reserved_gb[0]),
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
    cases = _cases([StageGroup(gpu, 1)], shape, workload, engine)
    constants = resolve(table, cases.labels)
    message = 2.0 * np.asarray(tokens, dtype=float) * shape.hidden_size
    return hop_seconds(message, constants.hop_latency_s, np.array(gb_per_s * 1e9))
