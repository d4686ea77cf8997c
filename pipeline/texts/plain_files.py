"""Turns a path into the bytes or text of a plain file of bounded size."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

ABSENT = "does not exist"


class TextError(ValueError):
    """A text that is not taken. where: the place in it, as `line 3, column 1`, or `file`."""

    def __init__(self, reason: str, where: str = "file") -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a plain file.

    Devices, pipes and sockets are refused: they may never end, or never begin. Raises TextError.
    """
    try:
        # Opening a pipe would wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            found = os.fstat(descriptor)
            if stat.S_ISDIR(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(found.st_mode):
                raise TextError("is no plain file")
            # What the system makes up while it is read, as in /proc, has no size of its own.
            content = stream.read(max_bytes + 1) if found.st_size <= max_bytes else b""
    except FileNotFoundError:
        raise TextError(ABSENT) from None
    except (OSError, ValueError) as error:
        if isinstance(error, TextError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise TextError(f"cannot be read: {reason}") from None
    if max(found.st_size, len(content)) > max_bytes:
        raise TextError(f"is larger than {max_bytes} bytes")
    return content


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a plain file, without a byte order mark. Raises TextError."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TextError("is not UTF-8 text") from None
