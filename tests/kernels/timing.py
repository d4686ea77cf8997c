"""Time of a GPU's work without the launches: calls captured in a graph and replayed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

LEAST_S, LEAST_REPLAYS, MOST_REPLAYS = 0.025, 5, 50


def seconds_per_call(calls: Sequence[Callable[[], object]]) -> float:
    """Median time of one call, s; they work on different data, so that no cache keeps it."""
    for call in calls:
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    seconds: list[float] = []
    began = time.monotonic()
    while len(seconds) < LEAST_REPLAYS or (
        time.monotonic() - began < LEAST_S and len(seconds) < MOST_REPLAYS
    ):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        seconds.append(start.elapsed_time(end) / 1e3 / len(calls))
    return statistics.median(seconds)
