"""Turns an address such as `s3://bucket/run` into a folder that is read and written there.

`s3`, `gs`, `abfs` and `hdfs` are spoken by pyarrow, every other scheme by fsspec and its drivers.
An object of S3, Google or Azure appears once its upload is complete, so it is put under its own
name. Elsewhere a file is written under a temporary name and moved.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, PyFileSystem

from pipeline.errors import Fault, ResultsError
from pipeline.results.folder import Folder, one_line, temporary_name

# Stores, by pyarrow's names, in which an object is seen only once it has been put as a whole.
PUTS_WHOLE = ("s3", "gcs", "abfs")
SPOKEN_BY_ARROW = ("gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
S3_OPTIONS = ("region", "scheme", "endpoint_override", "tls_ca_file_path")
S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# Waits double from up to a second: 4 attempts take 7 s at most where nobody answers.
S3_ATTEMPTS, CONNECT_SECONDS, ANSWER_SECONDS = 4, 5, 30
GCS_RETRY_SECONDS = 10
AN_ENDPOINT = "must be http or https, a host, and a port if any, as http://localhost:9000"
NO_BUCKET = "must name a bucket, or a folder in the store"
ADVICE = "see that the address, the credentials and the network are right"


@dataclass(frozen=True)
class RemoteFolder(Folder):
    """A folder in a store. shown: its address without passwords and options."""

    files: FileSystem
    path: str
    shown: str
    puts_whole: bool

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> RemoteFolder:
        """The folder that it lies in."""
        path, shown = (text.rpartition("/")[0] for text in (self.path, self.shown))
        return RemoteFolder(self.files, path, shown, self.puts_whole)

    def __str__(self) -> str:
        return self.shown

    def __truediv__(self, name: str) -> RemoteFolder:
        shown = f"{self.shown}/{name}"
        return RemoteFolder(self.files, self._path_of(name), shown, self.puts_whole)

    def make(self) -> None:
        """Make it and the folders that it lies in, where stores know folders at all."""
        if not self.puts_whole:
            with _as_os_errors():
                self.files.create_dir(self.path, recursive=True)

    def names(self, inner: str = "") -> list[str]:
        """List the files in it, or in a folder in it, in order; none where that is absent.

        Left out are empty ones: Azure shows an object so until it is whole.
        """
        within = self._path_of(inner) if inner else self.path
        with _as_os_errors():
            found = self.files.get_file_info(FileSelector(within, allow_not_found=True))
        return sorted(file.base_name for file in found if file.type == FileType.File and file.size)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        with _as_os_errors():
            return bool(self.files.get_file_info(self._path_of(name)).type == FileType.File)

    def opened(self, name: str) -> pa.NativeFile:
        """Read a file into memory: one request, and no part of it can go missing later on."""
        with _as_os_errors():
            try:
                with self.files.open_input_stream(self._path_of(name), compression=None) as file:
                    return pa.BufferReader(file.read())
            except FileNotFoundError:
                raise
            except Exception:
                # What is removed between its opening and its reading has no error of its own.
                if self.files.get_file_info(self._path_of(name)).type == FileType.NotFound:
                    raise FileNotFoundError(f"{self.shown}/{name}") from None
                raise

    def write(self, name: str, content: bytes | pa.Buffer) -> None:
        """Write a file in one piece, where need be under a temporary name first."""
        with _as_os_errors():
            if self.puts_whole:
                self._put(name, content)
                return
            temporary = temporary_name(name)
            try:
                self._put(temporary, content)
                self.files.move(self._path_of(temporary), self._path_of(name))
            except Exception:
                with suppress(Exception):
                    self.files.delete_file(self._path_of(temporary))
                raise

    def remove(self, name: str) -> None:
        """Remove a file, unless it is gone already."""
        with _as_os_errors(), suppress(FileNotFoundError):
            self.files.delete_file(self._path_of(name))

    def _put(self, name: str, content: bytes | pa.Buffer) -> None:
        with self.files.open_output_stream(self._path_of(name), compression=None) as file:
            file.write(content)

    def _path_of(self, name: str) -> str:
        return f"{self.path}/{name}"


def remote_folder(address: str) -> RemoteFolder:
    """Return the folder at an address. Raises ResultsError where it cannot be reached so."""
    shown = _shown(address)
    with _as_results_error(address, shown):
        files, path = _opener(urlsplit(address).scheme)(address)
        if not path.strip("/"):
            raise ValueError(NO_BUCKET)
    return RemoteFolder(files, path.rstrip("/"), shown, files.type_name in PUTS_WHOLE)


def _opener(scheme: str) -> Callable[[str], tuple[FileSystem, str]]:
    """Choose who speaks a scheme."""
    if scheme == "s3":
        return _s3
    return _arrow if scheme in SPOKEN_BY_ARROW else _fsspec


def _s3(address: str) -> tuple[FileSystem, str]:
    """Open S3, or what speaks like it, by pyarrow's own options with retries that end soon.

    The region is that of the bucket, unless the address names one or the store is not Amazon's.
    """
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    parts = urlsplit(address)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    unknown = [name for name in options if name not in S3_OPTIONS]
    if unknown:
        raise ValueError(f"has the option {unknown[0]!r}; known are {', '.join(S3_OPTIONS)}")
    bucket = parts.netloc.rpartition("@")[2]
    if not bucket:
        raise ValueError(NO_BUCKET)
    if "endpoint_override" not in options:
        options = _s3_endpoint() | options
    if "region" not in options and "endpoint_override" not in options:
        options["region"] = resolve_s3_region(bucket)
    if parts.username and parts.password:
        options |= {"access_key": unquote(parts.username), "secret_key": unquote(parts.password)}
    files = S3FileSystem(
        **options,
        connect_timeout=CONNECT_SECONDS,
        request_timeout=ANSWER_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=S3_ATTEMPTS),
        allow_delayed_open=True,  # one request for a file, instead of three
        background_writes=False,
    )
    return files, bucket + unquote(parts.path)


def _s3_endpoint() -> dict[str, Any]:
    """Return the endpoint that the environment names for all tools that speak S3, if it does."""
    for name in S3_ENDPOINTS:
        if named := os.environ.get(name):
            if not _is_endpoint(named):
                secret = "@" in named
                fault = Fault("environment", name, AN_ENDPOINT, named, shows_value=not secret)
                raise ResultsError(str(fault))
            endpoint = urlsplit(named)
            return {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    return {}


def _is_endpoint(url: str) -> bool:
    """Tell whether a URL is one of a host alone, which is all that pyarrow takes."""
    try:
        parts = urlsplit(url)
        has_place = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    # Compared as a whole: of line breaks, tabs, and a bare # or ? its parts say nothing.
    host_alone = url.rstrip("/").lower() == f"{parts.scheme}://{parts.netloc}".lower()
    is_named = host_alone and " " not in url and "@" not in url
    return parts.scheme in ("http", "https") and has_place and is_named


def _arrow(address: str) -> tuple[FileSystem, str]:
    """Open what pyarrow knows; Google's retries last 15 minutes unless they are told to end.

    Azure's is asked for a file first: other questions end this process where it has no credentials.
    """
    parts = urlsplit(address)
    if parts.scheme in ("gs", "gcs") and "retry_limit_seconds" not in parts.query:
        sign = "&" if parts.query else "?"
        address = f"{address}{sign}retry_limit_seconds={GCS_RETRY_SECONDS}"
    files, path = FileSystem.from_uri(address)
    if files.type_name == "abfs":
        path = path.lstrip("/")  # pyarrow leaves one where the address holds the key
        files.get_file_info(f"{path}/any")
    return files, path


def _fsspec(address: str) -> tuple[FileSystem, str]:
    """Open what fsspec knows, by its configuration and the environment."""
    from fsspec.core import url_to_fs

    files, path = url_to_fs(address)
    return PyFileSystem(_Fresh(files)), path


class _Fresh(FSSpecHandler):  # type: ignore[misc]
    """Files of fsspec as they are now: its listings, which it keeps, are of an earlier moment."""

    def get_file_info(self, paths: list[str]) -> Any:
        self.fs.invalidate_cache()
        return super().get_file_info(paths)

    def get_file_info_selector(self, selector: FileSelector) -> Any:
        self.fs.invalidate_cache()
        return super().get_file_info_selector(selector)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        self.fs.invalidate_cache()
        return pa.BufferReader(self.fs.cat_file(path))

    def move(self, src: str, dest: str) -> None:
        self.fs.mv(src, dest)


def _shown(address: str) -> str:
    """Return an address without its options, and without a user whose password stands there.

    A password may hold signs that end the host where they are not escaped, so all up to the last
    `@` goes with it.
    """
    scheme, _, rest = address.partition("://")
    user, _, after = rest.rpartition("@")
    known = after if ":" in user else rest
    return f"{scheme.lower()}://{re.split('[?#]', known)[0].rstrip('/')}"


def _shortened(error: Exception) -> str:
    """Return the beginning of what an error says, which is where stores say what went wrong."""
    text = one_line(error)
    return text if len(text) <= 300 else f"{text[:297]}..."


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn what pyarrow and the drivers raise, each in its own way, into OSError with advice."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(f"{_shortened(error)}; {ADVICE}") from error


@contextmanager
def _as_results_error(address: str, shown: str) -> Iterator[None]:
    """Turn what keeps an address from being opened into ResultsError, with what to do."""
    scheme = shown.partition("://")[0]
    try:
        yield
    except ResultsError:
        raise
    except ImportError as error:
        reason = f"its driver is not installed: {one_line(error)}"
        raise ResultsError(f"{shown}: scheme: {reason} (got {scheme!r})") from error
    except ValueError as error:
        if "Protocol not known" in str(error):
            reason = "is not known; write a path, file://, s3://, gs:// or a protocol of fsspec"
            raise ResultsError(f"{shown}: scheme: {reason} (got {scheme!r})") from None
        reason = one_line(error).replace(address, shown)
        raise ResultsError(f"{shown}: address: {reason} (got {shown!r})") from None
    except Exception as error:
        reason = _shortened(error).replace(address, shown)
        raise ResultsError(f"{shown}: cannot be opened: {reason}; {ADVICE}") from error
