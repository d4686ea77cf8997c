"""One run at a time in a folder."""

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ResultsError
from pipeline.results.folder import Folder, folder_at
from pipeline.results.lock import LOCK_FILE, holder, is_at_work, locked
from pipeline.results.remote import RemoteFolder

HOLD = """
import sys
from pathlib import Path
from pipeline.results.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def held_by_another(directory: Path) -> subprocess.Popen[str]:
    """Start a process that holds a folder's lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_with_host_pid_and_time_of_the_first(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as first:
        named = rf"in use by process {first.pid} on {re.escape(socket.gethostname())} since 20\d\d-"
        with pytest.raises(ResultsError, match=named), locked(tmp_path):
            pass
        assert is_at_work(holder(tmp_path)) is True
        assert first.stdin is not None
        first.stdin.close()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert first.stdin is not None
        first.stdin.close()
    assert (tmp_path / LOCK_FILE).exists()
    assert is_at_work(holder(tmp_path)) is False
    with locked(tmp_path):
        found = holder(tmp_path)
        assert found is not None
        assert found.pid == os.getpid()


def test_a_lock_whose_pid_now_belongs_to_another_process_is_taken_over(tmp_path: Path) -> None:
    text = {"host": socket.gethostname(), "pid": os.getppid(), "since": "2026-01-01"}
    (tmp_path / LOCK_FILE).write_text(json.dumps(text))
    with locked(tmp_path):
        pass


def test_a_lock_of_another_host_is_believed_and_the_way_out_is_told(tmp_path: Path) -> None:
    file = tmp_path / LOCK_FILE
    file.write_text(json.dumps({"host": "elsewhere", "pid": 7, "since": "2026-01-01"}))
    with pytest.raises(ResultsError, match=f"process 7 on elsewhere.*remove {file}"):  # noqa: SIM117
        with locked(tmp_path):
            pass
    assert is_at_work(holder(tmp_path)) is None
    assert file.exists()


def test_a_lock_file_that_was_cut_off_names_nobody(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text('{"host": "here", "p')
    assert holder(tmp_path) is None
    assert is_at_work(holder(tmp_path)) is False
    with locked(tmp_path):
        pass


def test_without_file_locks_a_living_process_is_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with locked(tmp_path), pytest.raises(ResultsError, match=f"process {os.getpid()} on"):  # noqa: SIM117
        with locked(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="file/run: cannot write results: it is no folder"):  # noqa: SIM117
        with locked(tmp_path / "file" / "run"):
            pass


def lock_text(host: str, pid: int) -> bytes:
    return json.dumps({"host": host, "pid": pid, "since": "2026-01-01"}).encode()


@pytest.fixture
def remote(memory: str) -> Folder:
    """Return the folder of a run in a store without file locks."""
    return folder_at(f"{memory}/run")


def test_in_a_store_a_second_run_is_refused_with_the_first_and_what_to_remove(
    remote: Folder,
) -> None:
    with locked(remote):
        (lock,) = remote.names()
        assert re.fullmatch(r"run\.lock-[0-9a-f]{16}", lock)
        named = rf"in use by process {os.getpid()} on .* since 20\d\d-.*remove {remote}/{lock}$"
        with pytest.raises(ResultsError, match=named), locked(remote):
            pass
        assert is_at_work(holder(remote)) is True
        found = holder(remote)
        assert found is not None
        assert (found.host, found.pid) == (socket.gethostname(), os.getpid())
    assert remote.names() == []
    assert (is_at_work(holder(remote)), holder(remote)) == (False, None)
    with locked(remote):
        pass


def test_in_a_store_the_lock_of_a_dead_process_of_this_host_is_taken_over(remote: Folder) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    remote.make()
    remote.write("run.lock-dead", lock_text(socket.gethostname(), dead.pid))
    assert is_at_work(holder(remote)) is False
    with locked(remote):
        assert "run.lock-dead" not in remote.names()
        found = holder(remote)
        assert found is not None
        assert found.pid == os.getpid()


@pytest.mark.parametrize("started", [{}, {"started_ticks": 1}])
def test_in_a_store_a_lock_whose_pid_is_now_this_process_is_taken_over(
    remote: Folder, started: dict[str, int]
) -> None:
    """In a container the next driver easily has the pid of the one that was killed."""
    remote.make()
    text = {"host": socket.gethostname(), "pid": os.getpid(), "since": "2026-01-01", **started}
    remote.write("run.lock-dead", json.dumps(text).encode())
    assert is_at_work(holder(remote)) is False
    with locked(remote):
        assert "run.lock-dead" not in remote.names()


def test_in_a_store_a_lock_whose_pid_now_belongs_to_another_process_is_taken_over(
    remote: Folder,
) -> None:
    remote.make()
    text = {"host": socket.gethostname(), "pid": os.getppid(), "since": "2026-01-01"}
    remote.write("run.lock-dead", json.dumps({**text, "started_ticks": 1}).encode())
    with locked(remote):
        assert "run.lock-dead" not in remote.names()
    remote.write("run.lock-old", json.dumps(text).encode())
    with pytest.raises(ResultsError, match=f"in use by process {os.getppid()}"), locked(remote):
        pass


def test_in_a_store_the_lock_of_another_host_is_believed_and_the_way_out_is_told(
    remote: Folder,
) -> None:
    remote.make()
    remote.write("run.lock-7", lock_text("elsewhere", 7))
    told = f"process 7 on elsewhere.*cannot be seen from .*remove {remote}/run.lock-7$"
    with pytest.raises(ResultsError, match=told), locked(remote):
        pass
    assert is_at_work(holder(remote)) is None
    assert remote.names() == ["run.lock-7"], "the one that was refused leaves nothing behind"


@pytest.mark.parametrize("moment", ["before it writes", "before it looks"])
def test_of_two_runs_that_begin_at_once_in_a_store_never_do_both_go_on(
    remote: Folder, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write = RemoteFolder.write

    def meanwhile(folder: RemoteFolder, name: str, content: bytes) -> None:
        other = ("run.lock-7", lock_text("elsewhere", 7))
        if moment == "before it writes":
            write(folder, *other)
        write(folder, name, content)
        if moment == "before it looks":
            write(folder, *other)

    monkeypatch.setattr(RemoteFolder, "write", meanwhile)
    with pytest.raises(ResultsError, match="process 7 on elsewhere"), locked(remote):
        pass
    assert remote.names() == ["run.lock-7"]


def test_a_store_that_does_not_list_what_was_written_cannot_be_locked(
    remote: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteFolder, "names", lambda *_: [])
    with pytest.raises(ResultsError, match="does not list what was just written"), locked(remote):
        pass


def test_a_lock_in_a_store_that_names_nobody_can_be_removed_by_hand(remote: Folder) -> None:
    remote.make()
    remote.write("run.lock-7", b"{")
    with pytest.raises(ResultsError, match=f"starting there.*remove {remote}/run.lock-7$"):  # noqa: SIM117
        with locked(remote):
            pass


def test_what_fails_while_a_store_is_locked_is_told_as_it_is_and_frees_the_lock(
    remote: Folder,
) -> None:
    with pytest.raises(ConnectionError, match=r"^of another kind$"), locked(remote):
        raise ConnectionError("of another kind")
    assert remote.names() == []
