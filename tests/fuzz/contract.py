"""What is promised for any input: an answer or an error of the tree, soon, in little memory.

And nothing is written outside the folder that was named for it. Python's audit events tell which
files are opened for writing, renamed or removed, and which processes and connections are started.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.errors import InputError, ResultsError, SourceError

EXPECTED = (InputError, ResultsError, SourceError)
# Of the processor's time; of the clock's more, which others on the machine take part of.
MAX_SECONDS, MAX_WAIT_SECONDS = 10.0, 30.0
MAX_GROWTH_MB = 1024.0
MAX_MESSAGE_CHARACTERS = 200_000
# Control characters, halves of characters, and what turns the direction of reading.
ODD_CATEGORIES = ("Cc", "Cs", "Cf")
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Events that change a file, and which of their arguments name it.
CHANGES = {
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.utime": (0,),
}
# What differs from run to run though the failure is the same.
NAMES_OF_ITS_OWN = re.compile(r"/tmp/fuzz-\w+|[0-9a-f]{32}|(?<=\.x\.)\d+")
NEVER = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")


@dataclass(frozen=True)
class Outcome:
    """What came of one input. failure: how the contract was broken; None: it was kept.

    was_taken: the input was not refused.
    """

    failure: str | None
    seconds: float
    growth_mb: float
    was_taken: bool = False


class BrokenContractError(Exception):
    """What a target itself found wrong, beside exceptions, time, memory and files."""


class _Overdue(BaseException):
    """Raised into code that takes too long; no `except Exception` holds it."""


@dataclass
class _Watch:
    """The files that may be written now, and what was done beside that."""

    allowed: Path | None = None
    is_on: bool = False
    is_hooked: bool = False
    found: list[str] = field(default_factory=list)


_WATCH = _Watch()


def observed(run: Callable[[], object], allowed: Path | None = None) -> Outcome:
    """Run one input and say whether the contract was kept.

    allowed: the folder whose content may be changed; None: nothing may be.
    """
    before_mb, _ = _memory_mb(fresh_peak=True)
    started = time.process_time()
    failure: str | None = None
    was_taken = False
    with _watching(allowed) as found:
        try:
            with _limited(), warnings.catch_warnings():
                # Arithmetic beyond floats would be told to users by numpy, in words of its own.
                warnings.simplefilter("error", RuntimeWarning)
                run()
                was_taken = True
        except EXPECTED as error:
            failure = _unclear(error)
        except _Overdue:
            failure = f"took too long: {_place()}"
        except BrokenContractError as error:
            failure = str(error)
        except (Exception, SystemExit) as error:
            failure = f"{type(error).__name__}: {str(error)[:200]} at {_place()}"
    seconds = time.process_time() - started
    growth_mb = max(_memory_mb()[1] - before_mb, 0.0)
    if failure is None and found:
        failure = found[0]
    if failure is not None:
        failure = NAMES_OF_ITS_OWN.sub("…", failure)
    if failure is None and growth_mb > MAX_GROWTH_MB:
        failure = f"took {growth_mb:.0f} MB"
    return Outcome(failure, seconds, growth_mb, was_taken)


def _unclear(error: Exception) -> str | None:
    """Say what is wrong with the message of an error, None where nothing is."""
    text = str(error)
    if not text.strip():
        return f"{type(error).__name__} without a message"
    if len(text) > MAX_MESSAGE_CHARACTERS:
        return f"a message of {len(text)} characters"
    odd = next((c for c in text if unicodedata.category(c) in ODD_CATEGORIES and c != "\n"), None)
    return None if odd is None else f"a message that holds {odd!r}"


def _place() -> str:
    """Name the last place in the package on the way to the exception being handled."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [frame for frame in frames if "/pipeline/" in frame.filename] or frames
    frame = own[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"


@contextmanager
def _limited() -> Iterator[None]:
    """Interrupt what takes too much of the processor's time, or waits for what never comes."""

    def overdue(_signal: int, _frame: FrameType | None) -> None:
        raise _Overdue

    limits = (
        (signal.SIGPROF, signal.ITIMER_PROF, MAX_SECONDS),
        (signal.SIGALRM, signal.ITIMER_REAL, MAX_WAIT_SECONDS),
    )
    before = [signal.signal(number, overdue) for number, _, _ in limits]
    for _, timer, seconds in limits:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(limits, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _memory_mb(fresh_peak: bool = False) -> tuple[float, float]:
    """Return the resident memory now and its peak, MB. fresh_peak: count the peak from now on."""
    if fresh_peak:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    sizes = memory_kb()
    return sizes["VmRSS"] / 1024, sizes["VmHWM"] / 1024


def memory_kb() -> dict[str, int]:
    """Return this process's sizes by the names that Linux gives them, KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}


@contextmanager
def _watching(allowed: Path | None) -> Iterator[list[str]]:
    _hook_once()
    _WATCH.allowed = None if allowed is None else Path(os.path.realpath(allowed))
    _WATCH.found, _WATCH.is_on = [], True
    try:
        yield _WATCH.found
    finally:
        _WATCH.is_on = False


def _hook_once() -> None:
    if not _WATCH.is_hooked:
        _WATCH.is_hooked = True
        sys.addaudithook(_noted)


def _noted(event: str, arguments: tuple[Any, ...]) -> None:
    """Note a change of a file outside the allowed folder; audit hooks must be quick."""
    if not _WATCH.is_on:
        return
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & WRITE_FLAGS and isinstance(path, str | bytes):
            _check(event, _written(os.fsdecode(path), follows=not flags & os.O_NOFOLLOW))
    elif event in CHANGES:
        for index in CHANGES[event]:
            if isinstance(arguments[index], str | bytes | os.PathLike):
                _check(event, _written(os.fsdecode(arguments[index]), follows=False))
    elif event in NEVER:
        _WATCH.found.append(f"{event} {arguments[:1]!r}")


def _written(path: str, follows: bool) -> str:
    """Return what a call changes: what a link leads to, or the link itself."""
    folder, name = os.path.split(path)
    return os.path.realpath(path) if follows else os.path.join(os.path.realpath(folder), name)


def _check(event: str, path: str) -> None:
    inside = _WATCH.allowed is not None and Path(path).is_relative_to(_WATCH.allowed)
    if not inside and path != os.devnull:
        _WATCH.found.append(f"{event} changes {path}, which is outside")
