"""One run at a time in a results folder: a lock file that says who holds it.

The holder keeps the file `run.lock` locked as long as it lives, so a lock left by a process that
was killed is free again at once, whatever its pid has become. The text in it names the holder. On
another host neither can be seen; there the text is believed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ResultsError
from pipeline.texts import TextError, parse_json, read_bytes

LOCK_FILE = "run.lock"
MAX_BYTES, MAX_PID = 4096, 2**31 - 1
# What file systems without locks answer; there the process named in the file is looked for.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Holder:
    """The process that writes to a folder, and since when."""

    host: str
    pid: int
    since: str

    @property
    def is_here(self) -> bool:
        """Tell whether it runs, or ran, on this host."""
        return self.host == socket.gethostname()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises ResultsError where another run has it, naming that run."""
    file = directory / LOCK_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor, is_locked = _opened(file)
    except BlockingIOError:
        raise ResultsError(_in_use(directory, holder(directory))) from None
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        _take(descriptor, is_locked, directory)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink()
    finally:
        os.close(descriptor)


def _take(descriptor: int, is_locked: bool, directory: Path) -> None:
    """Put this process's name into the lock file, unless the one there may still be at work."""
    try:
        before = _parsed(os.pread(descriptor, MAX_BYTES, 0))
    except OSError as error:
        raise _unwritable(directory, error) from error
    if before is not None:
        alive_here = before.is_here and not is_locked and _is_alive(before.pid)
        if alive_here or not before.is_here:
            raise ResultsError(_in_use(directory, before))
    try:
        _write(descriptor, Holder(socket.gethostname(), os.getpid(), _now()))
    except OSError as error:
        raise _unwritable(directory, error) from error


def holder(directory: Path) -> Holder | None:
    """Return who holds a folder's lock or left it behind; None where nobody did."""
    try:
        return _parsed(read_bytes(directory / LOCK_FILE, MAX_BYTES))
    except TextError:
        return None


def is_held(directory: Path) -> bool | None:
    """Tell whether a run is at work in a folder; None where it would be on another host.

    The lock is not tried: that could refuse a run that starts at this very moment.
    """
    found = holder(directory)
    if found is None:
        return False
    return _is_alive(found.pid) if found.is_here else None


def _is_alive(pid: int) -> bool:
    """Tell whether a process of this host exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _opened(file: Path) -> tuple[int, bool]:
    """Open and lock the file that stands under the name; return whether it could be locked.

    Raises BlockingIOError if another process holds it.
    """
    while True:
        # A link would lead to a file that is not ours to empty, a pipe to nobody.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(file, flags, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(file)):
                return descriptor, True
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in NO_LOCKS:
                return descriptor, False
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it in between


def _write(descriptor: int, found: Holder) -> None:
    """Replace what the lock file says."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(found)).encode() + b"\n", 0)


def _parsed(content: bytes) -> Holder | None:
    """Read a holder; a text that was cut off names nobody."""
    try:
        data = parse_json(content.decode())
        found = Holder(data["host"], data["pid"], data["since"])
    except (ValueError, KeyError, TypeError):
        return None
    texts = isinstance(found.host, str) and isinstance(found.since, str)
    return found if texts and type(found.pid) is int and 0 < found.pid <= MAX_PID else None


def _in_use(directory: Path, found: Holder | None) -> str:
    """Say who is at work in a folder, and what to do about it."""
    if found is None:
        return f"{directory}: another run is starting there; wait for it or choose another --out"
    text = f"{directory}: in use by {found}; wait for it to end or choose another --out"
    if found.is_here:
        return text
    return (
        f"{text}. Whether it still runs cannot be seen from {socket.gethostname()}: "
        f"if it does not, remove {directory / LOCK_FILE}"
    )


def _unwritable(directory: Path, error: OSError) -> ResultsError:
    return ResultsError(f"{directory}: cannot write results: {error.strerror or error}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
