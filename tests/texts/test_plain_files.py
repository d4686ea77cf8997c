"""Files are read when they are plain and bounded; whatever else stands there is told at once."""

import os
from pathlib import Path

import pytest

from pipeline.texts import TextError, read_bytes, read_text


def reason(path: Path, most: int = 10) -> str:
    with pytest.raises(TextError) as raised:
        read_text(path, most)
    return raised.value.reason


def test_a_file_is_read_up_to_its_bound_without_the_mark_of_its_encoding(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"\xef\xbb\xbf1234567")
    assert read_text(file, 10) == "1234567"
    assert read_bytes(file, 10) == b"\xef\xbb\xbf1234567"
    file.write_bytes(b"x" * 11)
    assert reason(file) == "is larger than 10 bytes"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused_whatever_leads_to_it(tmp_path: Path, device: str) -> None:
    (tmp_path / "link").symlink_to(device)
    assert reason(tmp_path / "link") in (
        "is no plain file",
        "cannot be read: No such device or address",  # no terminal
    )


def test_a_pipe_to_which_nobody_writes_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert reason(tmp_path / "pipe") == "is no plain file"


def test_a_file_without_a_size_of_its_own_is_bounded_too() -> None:
    assert reason(Path("/proc/self/status")) == "is larger than 10 bytes"


def test_a_link_in_a_circle_a_folder_and_nothing_are_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert reason(tmp_path / "loop") == "cannot be read: Too many levels of symbolic links"
    assert reason(tmp_path) == "cannot be read: Is a directory"
    assert reason(tmp_path / "absent") == "does not exist"
    assert reason(tmp_path / ("x" * 300)) == "cannot be read: File name too long"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    file.chmod(0)
    assert reason(file) == "cannot be read: Permission denied"
