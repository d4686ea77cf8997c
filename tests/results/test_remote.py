"""Stores: what an address opens, and what becomes of a file whose writing breaks off."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from pipeline.errors import ResultsError
from pipeline.results import load, remote
from pipeline.results.checked import read_bounded
from pipeline.results.folder import folder_at
from pipeline.results.lock import locked
from pipeline.results.parts import part_files, read_tables
from pipeline.results.remote import RemoteFolder
from pipeline.results.status import read_status
from pipeline.results.store import Store
from tests.results.builders import point_row, segment_row
from tests.results.test_status import RUN

UNREACHABLE = "s3://bucket/run?endpoint_override=127.0.0.1:1"


class Broken(MemoryFileSystem):  # type: ignore[misc]
    """The store in memory, which fails as its test has set it to."""

    protocol = "broken"
    # What the next calls raise: after half a file was written, as it is moved, as it is read.
    raises: ClassVar[dict[str, Exception]] = {}
    # The listing that was asked for first, as stores' drivers keep it.
    kept: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(path.replace("broken://", "memory://"))

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode, **options)
        return HalfFile(file) if mode == "wb" and "write" in self.raises else file

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        if "read" in self.raises:
            self.store.pop(self._strip_protocol(path), None)
            raise self.raises["read"]
        return super().cat_file(path, *arguments, **options)

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        if "move" in self.raises:
            raise self.raises["move"]
        super().mv(path1, path2, **options)

    def find(self, path: str, **options: Any) -> Any:
        return self.kept.setdefault(path, super().find(path, **options))

    def invalidate_cache(self, path: str | None = None) -> None:
        del path
        self.kept.clear()


class HalfFile:
    """A file that is half written when it breaks."""

    closed = False

    def __init__(self, file: MemoryFile):
        self.file = file

    def write(self, content: bytes) -> None:
        self.file.write(bytes(content)[: len(content) // 2])
        raise Broken.raises["write"]

    def close(self) -> None:
        self.closed = True

    def flush(self) -> None:
        pass

    def writable(self) -> bool:
        return True


@pytest.fixture
def broken(memory: str) -> Iterator[str]:
    """Return an address in a store that can be broken."""
    fsspec.register_implementation("broken", Broken, clobber=True)
    yield memory.replace("memory", "broken") + "/run"
    Broken.raises.clear()
    Broken.kept.clear()


@pytest.fixture
def store(broken: str) -> Store:
    """Return the store of a run that has one point."""
    ready = Store(broken)
    ready.prepare(RUN)
    ready.append([point_row("a")], [segment_row("a")])
    return ready


@pytest.mark.parametrize("step", ["write", "move"])
def test_a_write_that_fails_in_the_middle_leaves_nothing_that_cannot_be_read(
    store: Store, step: str
) -> None:
    before = [store.directory.names(inner) for inner in ("", "points", "segments")]
    Broken.raises[step] = ConnectionError("reset by peer")
    why = "run: cannot write results: reset by peer; see that"
    with pytest.raises(ResultsError, match=why):
        store.append([point_row("b")], [segment_row("b")])
    with pytest.raises(ResultsError, match=why):
        store.finish(stopped=False, failed=0)
    assert [store.directory.names(inner) for inner in ("", "points", "segments")] == before
    assert list(load(store.directory).points.point_id) == ["a"]
    del Broken.raises[step]
    store.append([point_row("b")], [segment_row("b")])
    store.finish(stopped=False, failed=0)
    assert sorted(load(store.directory).segments.point_id) == ["a", "b"]


def test_what_a_run_that_was_killed_had_half_written_is_no_part_and_is_cleared_away(
    store: Store,
) -> None:
    Broken.raises["write"] = SystemExit()  # type: ignore[assignment]
    with pytest.raises(SystemExit):
        store.append([point_row("b")], [segment_row("b")])
    Broken.raises.clear()
    assert len(store.directory.names()) == 2, "run.json and half a part under another name"
    assert list(load(store.directory).points.point_id) == ["a"]
    store.prepare(RUN)
    assert store.directory.names() == ["run.json"]


def test_errors_of_a_driver_of_its_own_kinds_are_told_in_one_line_with_what_to_do(
    store: Store,
) -> None:
    class RefusedError(Exception):
        pass

    Broken.raises["write"] = RefusedError("no such\n  account")
    with pytest.raises(
        ResultsError, match=r"results: no such account; see that the address, the c"
    ):
        store.append([point_row("b")], [])


def test_a_file_that_vanishes_while_it_is_read_is_told_as_one_that_is_not_there(
    store: Store,
) -> None:
    (part,) = part_files(store.directory, "points")
    Broken.raises["read"] = ConnectionError("404 of a kind")
    with pytest.raises(FileNotFoundError):
        store.directory.read(f"points/{part}")


@pytest.mark.usefixtures("store")
def test_a_listing_that_a_driver_has_kept_is_asked_for_anew(broken: str) -> None:
    reader = folder_at(broken)
    assert len(part_files(reader, "points")) == 1
    # Another process writes: nothing tells this one's driver.
    fsspec.filesystem("memory").pipe_file("/bucket/run/points/other.parquet", b"x")
    assert len(part_files(reader, "points")) == 2


def test_readers_see_every_point_once_while_parts_come_and_are_merged(memory: str) -> None:
    store = Store(f"{memory}/run")
    store.prepare(RUN)
    written: list[str] = []
    wrong: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            before = set(written)
            tables = read_tables(store.directory)
            ids = [] if tables is None else tables.points["point_id"].to_pylist()
            if len(ids) != len(set(ids)) or not before <= set(ids):
                wrong.append(f"{len(ids)} rows, {len(before)} written")
            done = read_status(store.directory).done
            if done < len(before):
                wrong.append(f"status of {done} points, {len(before)} written")

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for index in range(40):
        store.append([point_row(f"p{index}")], [segment_row(f"p{index}")])
        written.append(f"p{index}")
        if index % 8 == 0:
            store.compact()
    ended.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_an_object_that_is_put_whole_takes_its_own_name_at_once(memory: str) -> None:
    address = folder_at(f"{memory}/run")
    assert isinstance(address, RemoteFolder)
    whole = RemoteFolder(address.files, address.path, address.shown, puts_whole=True)
    whole.write_table("points/a.parquet", pa.table({"a": [1]}))
    assert list(fsspec.filesystem("memory").store) == ["/bucket/run/points/a.parquet"]
    assert read_bounded(address.opened("points/a.parquet")).to_pydict() == {"a": [1]}


def test_an_object_that_is_still_empty_is_not_listed(memory: str) -> None:
    fsspec.filesystem("memory").pipe_file("/bucket/run/points/a.parquet", b"")
    assert folder_at(f"{memory}/run").names("points") == []


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nope://bucket/run", r"scheme: is not known; write a path, file://, s3.* \(got 'nope'\)"),
        ("gdrive://run", r"scheme: its driver is not installed: .*install.* \(got 'gdrive'\)"),
        ("s3:///run", "address: must name a bucket"),
        ("gs://", "address: must name a bucket"),
        ("memory://", "address: must name a bucket"),
        ("s3://bucket/run?endpoint=here", "address: has the option 'endpoint'; known are region, "),
    ],
)
def test_an_address_that_cannot_be_opened_is_told_with_what_to_do(
    address: str, reason: str
) -> None:
    with pytest.raises(ResultsError, match=f"^{address.partition('?')[0]}: {reason}"):
        folder_at(address)


def test_no_password_of_an_address_is_ever_shown() -> None:
    with pytest.raises(ResultsError, match=r"^gdrive://host/run: ") as caught:
        folder_at("gdrive://user:secret@host/run")
    assert "secret" not in str(caught.value)
    named = folder_at("s3://key:secret@bucket/run?region=us-east-1&endpoint_override=127.0.0.1:1")
    assert "secret" not in f"{named} {named / 'points'}"
    for odd in ("key:sec/secret@", "key:sec#secret@", "key:sec?secret@", "key:secret@x@"):
        with pytest.raises(ResultsError) as caught:
            folder_at(f"gdrive://{odd}host/run")
        assert "sec" not in str(caught.value)
    with pytest.raises(ResultsError) as caught:
        folder_at("gdrive::ftp://key:secret@host/run")
    assert "secret" not in str(caught.value)
    assert (str(named), named.name) == ("s3://bucket/run", "run")
    assert isinstance(named, RemoteFolder)
    assert named.path == "bucket/run"
    assert named.puts_whole


def test_a_store_that_nobody_answers_for_is_told_within_seconds() -> None:
    started = time.monotonic()
    advice = "see that the address, the credentials and the network are right"
    with pytest.raises(ResultsError, match=f"s3://bucket/run: cannot write results: .*{advice}"):  # noqa: SIM117
        with locked(UNREACHABLE):
            pass
    # Waits of at most 1, 2 and 4 s between the attempts, and as much again for credentials.
    assert time.monotonic() - started < 30


def test_reading_from_a_store_that_nobody_answers_for_is_an_error_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote, "S3_ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for read in (load, read_status):
        with pytest.raises(ResultsError, match=r"s3://bucket/run/run.json: cannot be read: "):
            read(UNREACHABLE)
    with pytest.raises(ResultsError, match="s3://bucket/run/points: cannot be read: "):
        read_tables(UNREACHABLE)


def test_azure_without_credentials_is_an_error_and_not_the_end_of_the_process() -> None:
    command = [sys.executable, "-m", "pipeline", "compare", "abfs://container@127.0.0.1:9/run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "abfs://container@127.0.0.1:9/run: cannot be opened: " in done.stderr
