"""Loads gathered into envelopes: made-up loads that can do all that any of their members can.

Loads of nearly the same figures ask the same questions. What is proven of an envelope holds for
every member (`dominance`), so that most questions are asked once. No placement is found under one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from pipeline.serving.decisions import Decision
from pipeline.serving.tables import FloatArray, Hops, ServingTables

# Neighbouring sizes of micro-batches, and numbers in flight, of one envelope.
WIDTH = 8
# An envelope is made better by this much, relative, so that rounding leaves it no worse.
MARGIN = 1e-12


def with_envelopes(tables: ServingTables) -> ServingTables:
    """Append an envelope for loads of a few neighbouring micro-batches, and numbers of them.

    Figures of a fill: micro-batches in flight, pass times relative to the micro-batch, b·min a/b,
    sizes and the time of the first token are each the best of any member.
    """
    sets = list(_neighbours(tables.decisions))
    size = np.array([load.micro_batch for load in tables.decisions], dtype=np.float64)
    most = np.array([max(size[members]) for members in sets])

    def relative(seconds: FloatArray) -> FloatArray:
        best = [(seconds[..., s] / size[s]).min(axis=-1) for s in sets]
        return _appended(seconds, [b * m * (1 - MARGIN) for b, m in zip(best, most, strict=True)])

    def least(values: FloatArray) -> FloatArray:
        return _appended(values, [values[..., s].min(axis=-1) for s in sets])

    flying = [max(tables.decisions[index].micro_batches for index in members) for members in sets]
    made_up = [Decision(int(b) * m, m) for b, m in zip(most, flying, strict=True)]
    decisions = (*tables.decisions, *made_up)
    largest = [tables.largest[:, s].max(axis=-1) for s in sets]
    return replace(
        tables,
        decisions=decisions,
        concurrency=np.array([d.concurrency for d in decisions], dtype=np.float64),
        micro_batches=np.array([d.micro_batches for d in decisions], dtype=np.float64),
        pass_s=relative(tables.pass_s),
        prefill_s=least(tables.prefill_s),
        smallest=least(tables.smallest.astype(np.float64)).astype(np.int64),
        largest=_appended(tables.largest.astype(np.float64), largest).astype(np.int64),
        hops=Hops(relative(tables.hops.between_s), relative(tables.hops.inside_s)),
        prefill_hops=Hops(
            least(tables.prefill_hops.between_s), least(tables.prefill_hops.inside_s)
        ),
        step_factor=least(tables.step_factor),
    )


def _neighbours(decisions: Sequence[Decision]) -> Iterator[list[int]]:
    """Yield loads of several micro-batches: `WIDTH` neighbouring sizes and numbers at a time."""
    place = {(load.micro_batches, load.micro_batch): i for i, load in enumerate(decisions)}
    flying = sorted({m for m, _ in place} - {1}, reverse=True)
    sizes = sorted({b for _, b in place})
    for numbers, some in product(_parts(flying), _parts(sizes)):
        members = sorted(place[key] for key in product(numbers, some) if key in place)
        if len(members) > 1:
            yield members


def _parts(values: Sequence[int]) -> list[Sequence[int]]:
    return [values[start : start + WIDTH] for start in range(0, len(values), WIDTH)]


def _appended(values: FloatArray, columns: Sequence[FloatArray]) -> FloatArray:
    """Return values by load with more loads behind them."""
    if not columns:
        return values
    return np.concatenate([values, np.stack(columns, axis=-1)], axis=-1)
