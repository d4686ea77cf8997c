"""One run at a time in a results folder: a lock that says who holds it.

On a file system the holder keeps the file `run.lock` locked as long as it lives, so a lock left by
a process that was killed is free again at once, whatever its pid has become. The text in it names
the holder. On another host neither can be seen; there the text is believed.

A store has no such locks. There a run announces itself by an object of its own, `run.lock-` and
a random token, and then looks around: of two that begin at once, each finds the other where the
store lists what has been written, so both may be refused and never do both go on. What a process
of this host left behind that is gone is removed; what another host holds is believed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.errors import ResultsError, printable
from pipeline.results.folder import Folder, LocalFolder, Place, folder_at, one_line
from pipeline.texts import parse_json

LOCK_FILE = "run.lock"
MAX_BYTES, MAX_PID = 4096, 2**31 - 1
# What file systems without locks answer; there the process named in the file is looked for.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Holder:
    """The process that writes to a folder, and since when.

    started_ticks: when the process itself started, by which it is told from one that has its pid
    later; None where that is not known.
    """

    host: str
    pid: int
    since: str
    started_ticks: int | None = None

    @property
    def is_here(self) -> bool:
        """Tell whether it runs, or ran, on this host."""
        return self.host == socket.gethostname()

    @property
    def is_gone(self) -> bool:
        """Tell whether it ran on this host and has ended, whosever pid its own is now."""
        if not self.is_here or (now := _started_ticks(self.pid)) is None:
            return self.is_here and not _is_alive(self.pid)
        if self.started_ticks is None:
            return self.pid == os.getpid()  # this process would have noted its start
        return now != self.started_ticks

    def __str__(self) -> str:
        return printable(f"process {self.pid} on {self.host} since {self.since}")


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Hold the folder's lock. Raises ResultsError where another run has it, naming that run."""
    folder = folder_at(place)
    with _file_held(folder) if isinstance(folder, LocalFolder) else _announced(folder):
        yield


def check_free(place: Place) -> None:
    """Raise ResultsError where `locked` would, as far as that shows without writing anything."""
    folder = folder_at(place)
    try:
        folder.check_makeable()
        holders = _holders(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    for name, found in holders.items():
        if not found.is_gone:
            raise ResultsError(_in_use(folder, found, name))


def holder(place: Place) -> Holder | None:
    """Return who holds a folder's lock or left it behind; None where nobody did."""
    try:
        found = _holders(folder_at(place)).values()
    except OSError:
        return None
    return min(found, key=lambda one: one.is_gone, default=None)


def is_at_work(found: Holder | None) -> bool | None:
    """Tell whether the holder of a lock is at work; None where it would be on another host.

    The lock is not tried: that could refuse a run that starts at this very moment.
    """
    if found is None:
        return False
    return not found.is_gone if found.is_here else None


@contextmanager
def _file_held(folder: LocalFolder) -> Iterator[None]:
    """Hold the lock of a folder of a file system."""
    file = folder.path / LOCK_FILE
    try:
        folder.make()
        descriptor, is_locked = _opened(file)
    except BlockingIOError:
        raise ResultsError(_in_use(folder, holder(folder), LOCK_FILE)) from None
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _take(descriptor, is_locked, folder)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                file.unlink()
    finally:
        os.close(descriptor)


def _take(descriptor: int, is_locked: bool, folder: Folder) -> None:
    """Put this process's name into the lock file, unless the one there may still be at work."""
    try:
        if os.fstat(descriptor).st_nlink > 1:
            raise OSError(f"{LOCK_FILE} is also the name of another file; remove it")
        before = _parsed(os.pread(descriptor, MAX_BYTES, 0))
    except OSError as error:
        raise _unwritable(folder, error) from error
    if before is not None:
        alive_here = before.is_here and not is_locked and not before.is_gone
        if alive_here or not before.is_here:
            raise ResultsError(_in_use(folder, before, LOCK_FILE))
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _this_process(), 0)
    except OSError as error:
        raise _unwritable(folder, error) from error


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


@contextmanager
def _announced(folder: Folder) -> Iterator[None]:
    """Hold the lock of a folder in a store."""
    mine = f"{LOCK_FILE}-{secrets.token_hex(8)}"
    try:
        folder.make()
        _refuse_beside_others(folder, mine)
        folder.write(mine, _this_process())
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        try:
            _refuse_beside_others(folder, mine)
            is_listed = mine in _lock_names(folder)
        except OSError as error:
            raise _unwritable(folder, error) from error
        if not is_listed:
            raise ResultsError(
                f"{folder}: does not list what was just written, so that no run could be kept "
                "from another's results; choose another --out"
            )
        yield
    finally:
        with contextlib.suppress(OSError):
            folder.remove(mine)


def _refuse_beside_others(folder: Folder, mine: str) -> None:
    """Raise ResultsError where another run has announced itself; remove what a dead one left."""
    for name in _lock_names(folder):
        if name == mine:
            continue
        try:
            found = _parsed(folder.read(name, MAX_BYTES))
        except FileNotFoundError:
            continue  # it has ended in between
        if found is None or not found.is_gone:
            raise ResultsError(_in_use(folder, found, name))
        folder.remove(name)


def _lock_names(folder: Folder) -> list[str]:
    """List what the holders of a folder's lock have put there."""
    return [
        name for name in folder.names() if name == LOCK_FILE or name.startswith(f"{LOCK_FILE}-")
    ]


def _holders(folder: Folder) -> dict[str, Holder]:
    """Return whom the lock files of a folder name."""
    named = {}
    for name in _lock_names(folder):
        with contextlib.suppress(FileNotFoundError):  # it has ended in between
            named[name] = _parsed(folder.read(name, MAX_BYTES))
    return {name: found for name, found in named.items() if found is not None}


def _is_alive(pid: int) -> bool:
    """Tell whether a process of this host exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started_ticks(pid: int) -> int | None:
    """Return when a process of this host started, in ticks since boot; None if that is not known.

    It is the 22nd field of its `stat`, of which the second is a name in parentheses.
    """
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _this_process() -> bytes:
    """Return the text of a lock file that names this process."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    found = Holder(socket.gethostname(), os.getpid(), since, _started_ticks(os.getpid()))
    return json.dumps(asdict(found)).encode() + b"\n"


def _parsed(content: bytes) -> Holder | None:
    """Read a holder; a text that was cut off names nobody."""
    try:
        data = parse_json(content.decode())
        started = data.get("started_ticks")
        found = Holder(data["host"], data["pid"], data["since"], started)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    texts = isinstance(found.host, str) and isinstance(found.since, str)
    ticks = found.started_ticks is None or type(found.started_ticks) is int
    pid = type(found.pid) is int and 0 < found.pid <= MAX_PID
    return found if texts and ticks and pid else None


def _in_use(folder: Folder, found: Holder | None, name: str) -> str:
    """Say who is at work in a folder, and what to do about it."""
    if found is None:
        text = f"{folder}: another run is starting there; wait for it or choose another --out"
        return text if isinstance(folder, LocalFolder) else f"{text}, or remove {folder / name}"
    text = f"{folder}: in use by {found}; wait for it to end or choose another --out"
    if not found.is_here:
        return (
            f"{text}. Whether it still runs cannot be seen from {socket.gethostname()}: "
            f"if it does not, remove {folder / name}"
        )
    if isinstance(folder, LocalFolder):
        return text
    return f"{text}. If that process is no sweep, remove {folder / name}"


def _unwritable(folder: Folder, error: OSError) -> ResultsError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return ResultsError(f"{folder}: cannot write results: it is no folder")
    return ResultsError(f"{folder}: cannot write results: {one_line(error)}")
