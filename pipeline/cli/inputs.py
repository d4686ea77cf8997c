"""Turns a command's arguments into a checked config, with all faults told at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.app import err
from pipeline.errors import Fault, InputError, ResultsError, as_message, one_line_each
from pipeline.granularity import can_sum_to, canonical_name, granularity

if TYPE_CHECKING:
    from pipeline.config import LoadedConfig
    from pipeline.results.folder import Place


def read_config(
    path: Path, assignments: Sequence[str] | None, log_json: bool = False
) -> LoadedConfig:
    """Load a config with the `--set` assignments applied. Raises InputError.

    What it says that was hardly meant is told on standard error. log_json: as lines of JSON.
    """
    from pipeline.cli.progress import log
    from pipeline.config import load_config, parse_assignments
    from pipeline.config.doubts import doubts

    loaded = load_config(path, parse_assignments(assignments or []))
    told = as_message(one_line_each(doubts(loaded)))
    for text in filter(None, told.split("\n")):
        if log_json:
            log("note", text=text)
        else:
            err().print(f"note: {text}", style="yellow")
    return loaded


def check_replaceable(place: Place, sign: bytes) -> None:
    """Raise InputError where a file stands that is not of ours: it holds text, but not the sign."""
    from pipeline.results.folder import file_at, one_line

    folder, name = file_at(place)
    try:
        content = folder.read(name) if folder.exists(name) else b""
    except OSError as error:
        raise ResultsError(f"{place}: cannot be read: {one_line(error)}") from error
    if content and sign not in content:
        reason = "is a file that this command has not written; remove it or name another"
        raise InputError([Fault("command line", "--out", reason, str(place))])


def listed_granularities(text: str, num_layers: int) -> list[str]:
    """Return the names in a list separated by commas, each once. Raises InputError."""
    from pipeline.config.schema import MAX_GRANULARITIES

    names = list(dict.fromkeys(text.split(",")))
    if len(names) > MAX_GRANULARITIES:
        reason = f"must hold at most {MAX_GRANULARITIES}"
        raise InputError([Fault("command line", "--granularity", reason, text)])
    return list(dict.fromkeys(checked_granularity(name, num_layers) for name in names))


def checked_granularity(name: str, num_layers: int) -> str:
    """Return a granularity's one name if it fits the model. Raises InputError."""
    try:
        sizes, known = granularity(name, num_layers).sizes, canonical_name(name)
    except ValueError as error:
        raise InputError([Fault("command line", "--granularity", str(error), name)]) from None
    if not can_sum_to(sizes, num_layers):
        reason = f"has sizes that cannot sum to {num_layers} layers"
        raise InputError([Fault("command line", "--granularity", reason, name)])
    return known
