"""Whole requests: how prefill, decode steps and waiting add up to tokens per second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.roofline.cases import CaseArrays, picked
from pipeline.roofline.communication import hop_seconds
from pipeline.roofline.compute import Numbers
from pipeline.roofline.constants import Constants
from pipeline.roofline.memory import (
    GB,
    concurrency_limit,
    kv_bytes_per_token,
    kv_room_tokens,
    weight_bytes_per_gpu,
)
from pipeline.roofline.step import (
    StepLoad,
    decode_load,
    head_seconds,
    layer_seconds,
    prefill_load,
)


def step_seconds(load: StepLoad, cases: CaseArrays, constants: Constants) -> Numbers:
    """One step through all layers: L·t_layer + LM head and host time + hops between stages, s."""
    layer_s = layer_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    head_s = head_seconds(load, cases.work, cases.hardware, cases.tp, constants)
    tokens = load.prefill_tokens + load.sequences
    hop_s = hop_seconds(
        2.0 * tokens * cases.work.hidden,
        constants.hop_latency_s,
        cases.hardware.link_bytes_per_s * constants.link_efficiency,
    )
    return cases.layers * layer_s + cases.whole * head_s + (cases.pp - 1.0) * hop_s


def resident_weight_bytes(cases: CaseArrays) -> Numbers:
    """Weights on one GPU: its layers', and its share of embedding and LM head in 16 bits, bytes."""
    work = cases.work
    layer = work.always_weights + work.experts * work.expert_weights
    layers = weight_bytes_per_gpu(cases.layers / cases.pp, layer, work.bytes_per_weight, cases.tp)
    return layers + cases.whole * 4.0 * work.head_weights / (cases.tp * cases.pp)


def room_tokens(cases: CaseArrays, constants: Constants) -> Numbers:
    """Tokens whose KV cache fits on each GPU beside weights and runtime."""
    work = cases.work
    return kv_room_tokens(
        cases.hardware.memory_bytes,
        cases.memory_fraction,
        resident_weight_bytes(cases),
        constants.reserved_gb * GB,
        kv_bytes_per_token(cases.layers / cases.pp, work.kv_elements, work.bytes_per_kv_element),
        cases.fraction_of_free,
    )


def running_requests(cases: CaseArrays, constants: Constants) -> Numbers:
    """Count the requests that run at once: those offered, as far as the KV room holds them."""
    room = room_tokens(cases, constants)
    fitting = concurrency_limit(room, cases.input_len, cases.output_len, constants.output_occupancy)
    return np.minimum(cases.requests, fitting)


def micro_batches(running: Numbers, pp: Numbers) -> Numbers:
    """Micro-batches in flight: one per stage, as far as there are requests."""
    return np.minimum(pp, np.maximum(running, 1.0))


def seconds_per_request(cases: CaseArrays, constants: Constants, running: Numbers) -> Numbers:
    """Pipeline time that one request takes in steady state with many beside it, s.

    Equation: out·t_step(n)/n for decoding in micro-batches of n, plus the prompt; of the
    prompt's work the share `overlap` rides in the decode steps (n·in/out tokens in each) and
    the rest runs in steps of its own, `prefill_batch` prompts at a time. A pipeline of p stages
    works on min(p, running) micro-batches at once. Source: Orca (OSDI 2022), iteration-level
    scheduling; Sarathi-Serve (OSDI 2024), chunked prefill.
    """
    prompt, output = cases.input_len, np.maximum(cases.output_len, 1.0)
    in_flight = micro_batches(running, cases.pp)
    size = running / in_flight
    context = prompt + output / 2.0
    mixed_s = step_seconds(
        StepLoad(size * prompt / output, prompt, size, context), cases, constants
    )
    decode_s = step_seconds(decode_load(size, context), cases, constants)
    batch = np.minimum(constants.prefill_batch, np.maximum(running, 1.0))
    prefill_s = step_seconds(prefill_load(batch * prompt, prompt), cases, constants) / batch
    apart = output * decode_s / size + prefill_s
    together = output * mixed_s / size
    share = constants.overlap
    filled = np.where(in_flight > 1, constants.pipeline_inefficiency, 1.0)
    return (share * together + (1.0 - share) * apart) * filled / in_flight


def prefill_tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """Prompt tokens over the time to the first token: b·in / (t_prefill + o_request)."""
    tokens = cases.requests * cases.input_len
    seconds = step_seconds(prefill_load(tokens, cases.input_len), cases, constants)
    return tokens / (seconds + cases.whole * constants.request_overhead_s)


def decode_tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """Output tokens of one step over its time: b / (t_step(b, c) + (b−1)·κ·t_prefill(c)).

    Measured inter-token times come from servers that also admit requests: while a sequence
    decodes one token, each of the others brings κ prompts of the same length (κ ≈ 1/output).
    Layer profiles (fewer layers than the model's) have none of that.
    """
    context = cases.input_len + cases.output_len / 2.0
    step_s = step_seconds(decode_load(cases.requests, context), cases, constants)
    prefill_s = step_seconds(prefill_load(context, context), cases, constants)
    others = cases.whole * np.maximum(cases.requests - 1.0, 0.0)
    return cases.requests / (step_s + others * constants.prefill_intrusion * prefill_s)


def static_tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """All tokens of one batch over its time: b(in+out) / (t_prefill(b) + (out−1)·t_step).

    A batch whose KV cache does not fit runs in waves of the size that does. Over p stages it
    moves as m = min(p, b) micro-batches: t_step = t(b/m)·(1 + (m−1)·s), s the share that waits
    (0 a full pipeline, 1 one after the other). Source: LLM-Inference-Bench, definition of
    throughput.
    """
    prompt, output = cases.input_len, cases.output_len
    running = running_requests(cases, constants)
    parts = micro_batches(running, cases.pp)
    waits = 1.0 + (parts - 1.0) * constants.static_serialisation
    size, context = running / parts, prompt + output / 2.0
    prefill_s = waits * step_seconds(prefill_load(size * prompt, prompt), cases, constants)
    decode_s = waits * step_seconds(decode_load(size, context), cases, constants)
    return running * (prompt + output) / (prefill_s + np.maximum(output - 1.0, 0.0) * decode_s)


def offline_tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """All tokens, input and output, of a queue that never empties: (in+out) / t_request."""
    running = np.minimum(running_requests(cases, constants), constants.max_batch)
    length = cases.input_len + cases.output_len
    return length / seconds_per_request(cases, constants, running)


def online_tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """All tokens of n users in a closed loop: n(in+out) / (n·t_request + o_request).

    By Little's law, with a request's life the work of everyone's requests plus its own fixed
    time outside the GPU.
    """
    running = running_requests(cases, constants)
    length = cases.input_len + cases.output_len
    life = running * seconds_per_request(cases, constants, running) + constants.request_overhead_s
    return running * length / life


FORMULAS = {
    "prefill": prefill_tokens_per_s,
    "decode": decode_tokens_per_s,
    "static": static_tokens_per_s,
    "offline": offline_tokens_per_s,
    "online": online_tokens_per_s,
}


PhaseParts = tuple[tuple[str, NDArray[np.intp], CaseArrays], ...]


def phase_parts(cases: CaseArrays) -> PhaseParts:
    """Cases sorted by phase: each phase present, its rows, and their arrays."""
    phases = np.array(cases.phase)
    found = [(phase, np.flatnonzero(phases == phase)) for phase in FORMULAS]
    return tuple((phase, rows, picked(cases, rows)) for phase, rows in found if rows.size)


def tokens_per_s_of_parts(parts: PhaseParts, constants: Constants) -> Numbers:
    """Tokens per second of cases already sorted by phase, in the order before sorting."""
    answer = np.empty(sum(rows.size for _, rows, _ in parts))
    for phase, rows, cases in parts:
        answer[rows] = FORMULAS[phase](cases, picked(constants, rows))
    return answer


def tokens_per_s(cases: CaseArrays, constants: Constants) -> Numbers:
    """Tokens per second of each case, as its phase defines them."""
    return tokens_per_s_of_parts(phase_parts(cases), constants)
