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

MAX_FAULTS_TOLD = 100
MAX_LINE_CHARACTERS = 1000


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
        return f"{where} (got {shown(self.value)})"


def missing(file: str, field: str, reason: str) -> Fault:
    """Return a fault of something that is absent, so that there is no value to show."""
    return Fault(file, field, reason, shows_value=False)


def printable(text: str) -> str:
    """Return a text that no terminal takes for a command: what does not print is escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: Any) -> str:
    """Write a value as Python would, cut off where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number too long to write"
    return text if len(text) <= 80 else text[:77] + "..."


def as_message(text: str) -> str:
    """Return the lines of a message as a user gets to see them: printable, and not without end."""
    lines = text.split("\n")
    told = [printable(line) for line in lines[:MAX_FAULTS_TOLD]]
    told = [line if len(line) <= MAX_LINE_CHARACTERS else _cut(line) for line in told]
    if len(lines) > len(told):
        told.append(f"… and {len(lines) - len(told)} more")
    return "\n".join(told)


def _cut(line: str) -> str:
    """Leave out the middle of a line: its start says where, its end what stood there."""
    half = MAX_LINE_CHARACTERS // 2
    return f"{line[:half]} … {line[-half:]}"


def one_line_each(faults: Iterable[Fault]) -> str:
    """Write faults below each other, line breaks within one escaped."""
    return "\n".join(str(fault).replace("\n", "\\n") for fault in faults)


class PlacementError(Exception):
    """Base of every error that this package raises on purpose."""

    def message(self) -> str:
        """Return what is to be told, not yet made fit for a terminal."""
        return super().__str__()

    def __str__(self) -> str:
        return as_message(self.message())


class InputError(PlacementError):
    """All faults found in an input, together; what two rules both found stands there once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple({str(fault): fault for fault in faults}.values())
        # The arguments of an exception are what another process makes it anew from.
        super().__init__(self.faults)

    def message(self) -> str:
        """Return a line for each fault."""
        return one_line_each(self.faults)


class SourceError(PlacementError):
    """A catalogue, a model's config or a measurement file that cannot be used, with all faults."""


class ResultsError(PlacementError):
    """A results folder that cannot be used, with what to do about it."""


class SolverError(PlacementError):
    """The solver failed or contradicted itself; no answer may be drawn from it."""
