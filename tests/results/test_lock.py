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
from pipeline.results.lock import LOCK_FILE, holder, is_held, locked

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
        assert is_held(tmp_path) is True
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
    assert is_held(tmp_path) is False
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
    assert is_held(tmp_path) is None
    assert file.exists()


def test_a_lock_file_that_was_cut_off_names_nobody(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text('{"host": "here", "p')
    assert holder(tmp_path) is None
    assert is_held(tmp_path) is False
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
    with pytest.raises(ResultsError, match="file/run: cannot write results"):  # noqa: SIM117
        with locked(tmp_path / "file" / "run"):
            pass
