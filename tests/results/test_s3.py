"""Results in S3, over its own protocol."""

from collections.abc import Iterator

import pytest

from pipeline.errors import ResultsError
from pipeline.results import load
from pipeline.results.folder import folder_at
from pipeline.results.lock import locked
from pipeline.results.parts import part_files
from pipeline.results.status import read_status
from pipeline.results.store import PARTS_PER_TIER, Store
from tests.results.builders import point_row, segment_row
from tests.results.test_status import RUN
from tests.s3_server import Server, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a store of the environment's: an address without options leads to it."""
    with serving() as started:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{started.host}")
        yield started


def test_a_whole_run_is_written_merged_read_and_resumed(server: Server) -> None:
    address = f"s3://bucket/my%20runs/1?endpoint_override={server.host}&scheme=http"
    store = Store(address)
    count = PARTS_PER_TIER + 3
    with locked(address):
        store.prepare(RUN)
        for index in range(count):
            store.append([point_row(f"p{index}")], [segment_row(f"p{index}")])
        assert read_status(address).state == "running"
        assert len(part_files(address, "points")) == 1 + 3
        with pytest.raises(ResultsError, match="in use by process"), locked(address):
            pass
        store.finish(stopped=False, failed=0)
    results = load("s3://bucket/my%20runs/1")
    assert sorted(results.points.point_id) == sorted(results.segments.point_id)
    assert store.done().ids == {f"p{index}" for index in range(count)}
    (part,) = part_files(address, "points")
    held = {key for key, content in server.objects.items() if content}
    assert held == {f"my runs/1/{name}/{part}" for name in ("points", "segments")} | {
        "my runs/1/run.json"
    }
    store.prepare(RUN, fresh=True)
    assert {key for key, content in server.objects.items() if content} == {"my runs/1/run.json"}


def test_an_object_takes_one_request_to_write_and_is_never_copied(server: Server) -> None:
    folder = folder_at("s3://bucket/run")
    folder.write("note", b"x" * 100_000)
    folder.write("note", b"y" * 100_000)
    assert server.asked == [("PUT", "run/note"), ("PUT", "run/note")]
    assert folder.read("note") == b"y" * 100_000


def test_a_store_that_takes_no_more_keeps_what_it_has(server: Server) -> None:
    store = Store("s3://bucket/run")
    store.prepare(RUN)
    store.append([point_row("a")], [segment_row("a")])
    before = dict(server.objects)
    server.full = True
    with pytest.raises(ResultsError, match=r"s3://bucket/run: cannot write results: .*see that"):
        store.append([point_row("b")], [segment_row("b")])
    with pytest.raises(ResultsError, match="cannot write results"):
        store.finish(stopped=False, failed=0)
    assert server.objects == before
    assert list(load("s3://bucket/run").points.point_id) == ["a"]


@pytest.mark.usefixtures("server")
def test_a_bucket_that_is_missing_is_told_before_anything_is_run() -> None:
    told = r"s3://other/run: cannot write results: .*NO_SUCH_BUCKET"
    with pytest.raises(ResultsError, match=told), locked("s3://other/run"):
        pass
    with pytest.raises(ResultsError, match=r"s3://other/run/run.json: does not exist"):
        load("s3://other/run")


@pytest.mark.parametrize(
    "endpoint",
    [
        *("localhost:9000", "ftp://localhost:9000", "//localhost:9000", "http://", "http:///x"),
        *("http://localhost:99999", "http://localhost:abc", "http://[::1", "http://a b:9000"),
        *("http://localhost:9000/path", "http://localhost:9000?x=1", "http://:9000"),
        *("http://localhost:9000\n", "http://local\thost:9000", "http://localhost:9000/\r\n"),
        *("http://localhost:9000#", "http://localhost:9000/#x", "http://localhost:9000?"),
    ],
)
def test_an_endpoint_that_is_none_is_told_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    told = "environment: AWS_ENDPOINT_URL: must be http or https, a host, and a port if any, as "
    with pytest.raises(ResultsError) as error:
        folder_at("s3://bucket/run")
    assert str(error.value) == f"{told}http://localhost:9000 (got {endpoint!r})"


def test_an_endpoint_with_a_password_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://me:secret@localhost:9000")
    with pytest.raises(ResultsError, match=r"^environment: AWS_ENDPOINT_URL_S3: .*:9000$"):
        folder_at("s3://bucket/run")
