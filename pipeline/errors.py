"""The errors that a caller may meet, as one tree.

PlacementError
├── InputError      faults of a config, a flag or a results folder; exit code 2
├── SourceError     a catalogue, model or measurement file at fault; exit code 2
├── ResultsError    a results folder that cannot be read or written; exit code 2
└── SolverError     the solver broke its contract (never: "infeasible" or "time limit")
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input: where, why, and what stood there."""

    file: str
    field: str
    reason: str
    value: Any = None
    shows_value: bool = True

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}: {self.reason}"
        if not self.shows_value:
            return where
        text = repr(self.value)
        return f"{where} (got {text if len(text) <= 80 else text[:77] + '...'})"


def missing(file: str, field: str, reason: str) -> Fault:
    """Return a fault of something that is absent, so that there is no value to show."""
    return Fault(file, field, reason, shows_value=False)


class PlacementError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(PlacementError):
    """All faults found in an input, together; what two rules both found stands there once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple({str(fault): fault for fault in faults}.values())
        # The arguments of an exception are what another process makes it anew from.
        super().__init__(self.faults)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class SourceError(PlacementError):
    """A catalogue, a model's config or a measurement file that cannot be used, with all faults."""


class ResultsError(PlacementError):
    """A results folder that cannot be used, with what to do about it."""


class SolverError(PlacementError):
    """The solver failed or contradicted itself; no answer may be drawn from it."""
