"""What a folder can do, whatever it lies on; and what its address says."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import ResultsError
from pipeline.results.checked import read_bounded
from pipeline.results.folder import Folder, LocalFolder, file_at, folder_at


@pytest.fixture
def folder(place: str) -> Folder:
    """Return an empty folder, on each kind of storage."""
    made = folder_at(place)
    made.make()
    return made


def test_a_file_is_read_as_it_was_written_last(folder: Folder) -> None:
    folder.write("note", b"first")
    folder.write("note", b"second, which is longer")
    folder.write("other", b"third")
    assert folder.read("note") == b"second, which is longer"
    assert folder.names() == ["note", "other"]


def test_the_files_of_a_folder_are_listed_in_order_and_without_folders(folder: Folder) -> None:
    within = folder / "points"
    assert (within.names(), folder.names("points")) == ([], [])
    within.make()
    for name in "bca":
        folder.write(f"points/{name}", b"x")
    assert folder.names("points") == within.names() == ["a", "b", "c"]
    assert folder.names() == []


def test_what_is_not_there_is_told_so_by_reading_and_can_be_removed(folder: Folder) -> None:
    for read in (folder.read, folder.opened):
        with pytest.raises(FileNotFoundError):
            read("nothing")
    assert not folder.exists("nothing")
    folder.remove("nothing")
    folder.write("note", b"x")
    assert folder.exists("note")
    folder.remove("note")
    assert not folder.exists("note")
    assert folder.names() == []


def test_a_table_comes_back_with_the_columns_that_are_asked_for(folder: Folder) -> None:
    folder.write_table("table", pa.table({"a": [1, 2], "b": ["x", "y"]}))
    assert read_bounded(folder.opened("table")).to_pylist() == [
        {"a": 1, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert read_bounded(folder.opened("table"), ["b"]).to_pydict() == {"b": ["x", "y"]}


def test_a_folder_knows_its_name_and_where_it_lies(folder: Folder, place: str) -> None:
    assert (str(folder), folder.name) == (place, "run")
    file = folder / "report.html"
    assert (str(file), file.name, str(file.parent)) == (
        f"{place}/report.html",
        "report.html",
        place,
    )
    folder.write("report.html", b"page")
    beside, name = file_at(f"{place}/report.html")
    assert beside.read(name) == b"page"


def test_making_a_folder_twice_keeps_what_is_in_it(folder: Folder) -> None:
    folder.write("note", b"x")
    folder.make()
    assert folder.names() == ["note"]


@pytest.mark.parametrize(
    "address", ["file://{}/a%20run", "FILE://localhost{}/a run", "{}/a run", "{}//a run/"]
)
def test_a_path_and_a_file_address_name_the_same_folder(tmp_path: Path, address: str) -> None:
    assert folder_at(address.format(tmp_path)) == LocalFolder(tmp_path / "a run")


def test_a_folder_stands_for_itself(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    assert folder_at(folder) is folder


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("s3:/bucket/run", r"two slashes.* \(got 's3:/bucket/run'\)"),
        (Path("s3://bucket/run"), r"two slashes.* not as a Path \(got 's3:/bucket/run'\)"),
        ("file://host/run", r"an absolute path \(got 'host' as its host\)"),
        ("file://", "an absolute path"),
    ],
)
def test_an_address_that_is_none_is_refused_with_the_reason(
    address: str | Path, reason: str
) -> None:
    with pytest.raises(
        ResultsError, match=f"^{str(address).rstrip('/')}.*: address: must .*{reason}"
    ):
        folder_at(address)


def test_a_folder_without_a_name_is_not_the_one_that_we_are_in() -> None:
    with pytest.raises(ResultsError, match=r"folder: must be named; \. is the one .*\(got ''\)"):
        folder_at("")


def test_a_local_file_that_cannot_be_written_whole_is_not_there_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_at(tmp_path)
    folder.write("note", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write("note", b"new")
    assert folder.read("note") == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


def test_a_local_run_is_read_and_written_without_loading_what_speaks_to_stores(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from pipeline.results import load; from pipeline.results.store import Store;"
        "from pipeline.results.lock import locked; from pipeline.results.status import read_status;"
        "from tests.results.builders import point_row; from tests.results.test_status import RUN;"
        "folder = sys.argv[1]; context = locked(folder); context.__enter__();"
        "store = Store(folder); store.prepare(RUN); store.append([point_row()], []);"
        "store.finish(False, 0); read_status(folder); load('file://' + folder);"
        "print([m for m in ('fsspec', 'pipeline.results.remote') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True
    )
    assert (ran.stderr, ran.stdout.strip()) == ("", "[]")


def test_a_folder_that_the_locale_has_no_name_for_is_refused() -> None:
    code = (
        "from pipeline.results.folder import *\n"
        "try: folder_at('results/Gr\\xfc\\xdfe').make()\n"
        "except ResultsError as error: print(ascii(str(error)))"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **locale},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""
    assert "path: holds letters that the names of files have not in this locale" in ran.stdout


def test_a_file_whose_name_is_no_text_is_refused_as_unreadable(tmp_path: Path) -> None:
    (tmp_path / "\udcff").write_bytes(b"x")
    folder = folder_at(tmp_path)
    with pytest.raises(OSError, match="has a name that is no UTF-8 text"):
        folder.read(folder.names()[0])


def test_a_path_too_deep_to_be_made_is_refused_by_name() -> None:
    with pytest.raises(ResultsError, match="path: must lie at most 256 folders deep"):
        folder_at("a/" * 2000)
