"""From a workload to the loads that a placement may run: requests at once, in micro-batches."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.instance import Serving

# Requests of one micro-batch that are tried where the concurrency is left open: two to a doubling.
# One that is not listed is less than half as many again as the listed one below it, or above 512;
# it can be better, by how much is not bounded (docs/performance-models.md).
MICRO_BATCHES_OF = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Decision:
    """A load: n requests at once that move through the pipeline as m equal micro-batches."""

    concurrency: int
    micro_batches: int

    @property
    def micro_batch(self) -> int:
        """Requests of one micro-batch, n/m."""
        return self.concurrency // self.micro_batches


def decisions(serving: Serving, max_stages: int) -> tuple[Decision, ...]:
    """List the loads to choose from, each once.

    Micro-batches that are left open run from 1 to the most stages: more only wait. A stated
    concurrency is paired with the numbers of micro-batches that divide it; an open one is
    every multiple of `MICRO_BATCHES_OF`.
    """
    in_flight = sorted(set(serving.micro_batches)) or list(range(1, max_stages + 1))
    if serving.concurrency:
        stated = sorted(set(serving.concurrency))
        return tuple(Decision(n, m) for n in stated for m in in_flight if n % m == 0)
    return tuple(Decision(b * m, m) for b in MICRO_BATCHES_OF for m in in_flight)
