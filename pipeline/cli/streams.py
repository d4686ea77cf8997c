"""Standard output and standard error: the one says that it fails, the other fails in silence.

Where the reader of standard output has left, as `head` does, there is nobody to tell anything.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


class OutputError(Exception):
    """Standard output cannot be written to, as on a full disk."""


class ReaderLeftError(OutputError):
    """Whoever read standard output has left, as `head` does once it has its lines.

    No BrokenPipeError: libraries take that for theirs, each in its own way.
    """


class Output(io.TextIOWrapper):
    """Standard output, whose failure is told apart from that of any other file."""

    def write(self, text: str) -> int:
        """Write a text. Raises OutputError, or ReaderLeftError where its reader has left."""
        with _as_output_error():
            return super().write(text)

    def flush(self) -> None:
        """Write what waits. Raises as `write` does."""
        with _as_output_error():
            super().flush()


class Notes(io.TextIOWrapper):
    """Standard error: where nobody can be told anything, the work still goes on."""

    def write(self, text: str) -> int:
        """Write a text if that can be."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits if that can be."""
        with suppress(OSError):
            super().flush()


@contextmanager
def _as_output_error() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise ReaderLeftError from None
    except OSError as error:
        raise OutputError(f"standard output: cannot be written to ({error.strerror})") from None


def take_over() -> None:
    """Put these in the place of Python's own streams, unless something else stands there."""
    # Python has no stream where the caller has closed one; libraries take it for granted.
    sys.stdout = _over(Output, sys.stdout) if sys.stdout is sys.__stdout__ else sys.stdout
    sys.stderr = _over(Notes, sys.stderr) if sys.stderr is sys.__stderr__ else sys.stderr


def give_up_output() -> None:
    """Keep the end of Python from trying once more what standard output has refused."""
    sys.stdout = _nowhere()


def _over(kind: type[io.TextIOWrapper], stream: TextIO | None) -> TextIO:
    """Return a stream of a kind that writes where another does, or nowhere if there is none."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream or _nowhere()
    return kind(
        stream.buffer,
        encoding=stream.encoding,
        errors="backslashreplace",  # what a terminal's encoding lacks is no reason to fail
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")
