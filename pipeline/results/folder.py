"""Turns a path or an address into the folder where a run's results lie, on a disk or in a store.

Whatever a folder lies on, a file in it is seen whole or not at all. On a file system that is a
temporary name, a wait until the content is on disk, and a rename; what stores do instead is said in
`remote`, which is loaded only for an address that needs it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ResultsError

# A config with the largest matrix that is taken fills a third of it.
MOST_BYTES = 64 * 1024**2
# Libraries go up a path by recursion.
MOST_DEEP = 256
# `Path` turns the two slashes of an address into one.
SQUEEZED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]")


class Folder(ABC):
    """A folder; files and folders in it are named from here, as `points/part-0-1.parquet`.

    What cannot be done is an OSError, a file that is not there a FileNotFoundError.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The last part of its path."""

    @property
    @abstractmethod
    def parent(self) -> Folder:
        """The folder that it lies in."""

    @abstractmethod
    def __str__(self) -> str:
        """Return what messages call it."""

    @abstractmethod
    def __truediv__(self, name: str) -> Folder:
        """Return a folder in it."""

    @abstractmethod
    def make(self) -> None:
        """Make it and the folders that it lies in, where it is absent."""

    def check_makeable(self) -> None:  # noqa: B027
        """Raise OSError where it could not be made and written to, if that shows without trying."""

    @abstractmethod
    def names(self, inner: str = "") -> list[str]:
        """List the files in it, or in a folder in it, in order; none where that is absent."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""

    @abstractmethod
    def opened(self, name: str) -> pa.NativeFile:
        """Open a file to read it."""

    @abstractmethod
    def write(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write a file, or put it in the place of another; nobody sees half of it."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, unless it is gone already."""

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return what a file holds, if that is no more than so many bytes."""
        with self.opened(name) as file:
            if file.size() > most_bytes:
                raise OSError(f"is larger than {most_bytes} bytes")
            content: bytes = file.read()
        return content

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file."""
        content = pa.BufferOutputStream()
        pq.write_table(table, content, compression="zstd")
        self.write(name, content.getvalue())


# Whatever names a folder: a path, an address such as `s3://bucket/run`, or the folder itself.
Place = str | Path | Folder


@dataclass(frozen=True)
class LocalFolder(Folder):
    """A folder on a disk of this machine, or on a share that is mounted on it."""

    path: Path

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    @property
    def parent(self) -> LocalFolder:
        """The folder that it lies in."""
        return LocalFolder(self.path.parent)

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> LocalFolder:
        return LocalFolder(self.path / name)

    def make(self) -> None:
        """Make it and the folders that it lies in, where it is absent."""
        self.path.mkdir(parents=True, exist_ok=True)

    def check_makeable(self) -> None:
        """Raise OSError where it, or the first folder above it that is there, is not to be used."""
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            if self.path.is_symlink() or self.path == self.path.parent:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
            self.parent.check_makeable()
            return
        reason = 0 if stat.S_ISDIR(mode) else errno.ENOTDIR
        if not reason and not os.access(self.path, os.W_OK | os.X_OK):
            reason = errno.EACCES
        if reason:
            raise OSError(reason, os.strerror(reason))

    def names(self, inner: str = "") -> list[str]:
        """List the files in it, or in a folder in it, in order; none where that is absent."""
        try:
            with os.scandir(self.path / inner) as entries:
                return sorted(entry.name for entry in entries if not entry.is_dir())
        except FileNotFoundError:
            return []

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        return (self.path / name).exists()

    def opened(self, name: str) -> pa.NativeFile:
        """Open a file to read it; what is no plain file, as a pipe, might never end."""
        path = self.path / name
        if path.is_symlink() and not path.exists():
            raise OSError("is a link that leads nowhere")  # it is not gone, as after a merge
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("is no plain file")
        try:
            return pa.OSFile(str(path))
        except UnicodeEncodeError:
            raise OSError("has a name that is no UTF-8 text") from None

    def write(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write a file under a temporary name in this folder, and rename it once it is on disk."""
        temporary = self.path / temporary_name(name)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # its name must not outlive its content in a power cut
            os.replace(temporary, self.path / name)
        except OSError:
            temporary.unlink(missing_ok=True)  # leave a full disk its last room
            raise

    def remove(self, name: str) -> None:
        """Remove a file, unless it is gone already."""
        (self.path / name).unlink(missing_ok=True)


def folder_at(place: Place) -> Folder:
    """Return the folder that a path or an address names. Raises ResultsError."""
    if isinstance(place, Folder):
        return place
    text = str(place)
    if not text:
        raise ResultsError("folder: must be named; . is the one that we are in (got '')")
    if SQUEEZED.match(text):
        reason = "must have two slashes behind its scheme; give an address as text, not as a Path"
        raise ResultsError(f"{text}: address: {reason} (got {text!r})")
    if "://" not in text:
        return LocalFolder(_usable(text, text))
    if text.lower().startswith("file://"):
        return LocalFolder(_local_path(text))
    from pipeline.results.remote import remote_folder

    return remote_folder(text)


def file_at(place: Place) -> tuple[Folder, str]:
    """Return the folder that a file lies in, and the file's name. Raises ResultsError."""
    file = folder_at(place)
    return file.parent, file.name


def temporary_name(name: str) -> str:
    """Return the name that a file has until it is whole; the same beginning for the same file."""
    return f".{name.replace('/', '-')}.{secrets.token_hex(8)}"


def _local_path(address: str) -> Path:
    """Return the path that a `file://` address names."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise ResultsError(f"{address}: address: cannot be read: {error}") from None
    if parts.netloc not in ("", "localhost") or not parts.path:
        reason = "must be file:// and an absolute path"
        raise ResultsError(f"{address}: address: {reason} (got {parts.netloc!r} as its host)")
    return _usable(unquote(parts.path), address)


def _usable(path: str, named: str) -> Path:
    """Return a path that every library can open. Raises ResultsError with the name given."""
    try:
        unusable = b"\0" in path.encode()
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise ResultsError(f"{named}: path: must be UTF-8 without a null (got {path!r})")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        reason = "holds letters that the names of files have not in this locale; set a UTF-8 one"
        raise ResultsError(f"{named}: path: {reason}, or name another folder") from None
    if len(Path(path).parts) > MOST_DEEP:
        raise ResultsError(f"{named}: path: must lie at most {MOST_DEEP} folders deep")
    return Path(path)


def one_line(error: BaseException) -> str:
    """Return what an error says, for a message."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
