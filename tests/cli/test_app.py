"""What every command has in common: help, exit codes, and errors that are messages."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.cli.app import err, guarded, main, out
from pipeline.errors import SolverError
from tests.cli.runner import run
from tests.sweeps import write_config, write_published_directory

COMMANDS = ("sweep", "solve", "frontier", "space", "compare", "verify")
ON_CONFIGS = ("sweep", "solve", "frontier", "space")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help", columns=100)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert "--json" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_the_help_of_all_names_every_command() -> None:
    text = run("--help").stdout
    assert all(f" {command} " in text for command in COMMANDS)


def test_linear_algebra_keeps_to_one_thread_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for told, expected in ((None, "1"), ("3", "3")):
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        if told is not None:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", told)
        with pytest.raises(SystemExit):
            main(["--version"])
        assert os.environ["OPENBLAS_NUM_THREADS"] == expected


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize("command", ON_CONFIGS)
def test_a_config_that_is_not_there_is_an_error_on_one_line(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path / "none.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"{tmp_path / 'none.yaml'}: file: does not exist\n"


@pytest.mark.parametrize("command", ON_CONFIGS)
def test_all_faults_of_a_config_are_told_at_once_and_without_traceback(
    command: str, tmp_path: Path
) -> None:
    changes = {"limits.tp_degrees": [1, 3], "workload.batch_size": -1, "sweep.budget": 3}
    config = write_config(tmp_path / "bad.yaml", changes)
    result = run(command, config)
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert sorted(line.split(": ", 2)[1] for line in lines) == [
        "limits.tp_degrees[1]",
        "sweep.budget",
        "workload.batch_size",
    ]
    assert all(line.startswith(f"{config}: ") and "(got " in line for line in lines)


@pytest.mark.parametrize("command", ON_CONFIGS)
def test_set_replaces_a_field_and_its_faults_name_it(command: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "small.yaml")
    result = run(command, config, "--set", "workload.batch_size=none")
    assert result.exit_code == 2
    assert "--set: workload.batch_size: must be a whole number (got 'none')" in result.stderr
    result = run(command, config, "--set", "workload.batch_size")
    assert result.exit_code == 2
    assert "must be key=value" in result.stderr


@pytest.mark.parametrize("command", ["solve", "frontier", "space"])
@pytest.mark.parametrize(
    ("name", "reason"), [("finest", "must be one of"), ("3", "cannot sum to 4 layers")]
)
def test_a_granularity_that_cannot_be_is_refused(
    command: str, name: str, reason: str, tmp_path: Path
) -> None:
    result = run(command, write_config(tmp_path / "small.yaml"), "--granularity", name)
    assert result.exit_code == 2
    assert "--granularity" in result.stderr
    assert reason in result.stderr


@pytest.mark.parametrize("command", ["compare", "verify"])
def test_a_folder_without_results_is_an_error(command: str, tmp_path: Path) -> None:
    result = run(command, tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "run.json: does not exist; is this the folder of a sweep?" in result.stderr


@pytest.mark.parametrize("command", ["solve", "frontier", "space"])
def test_a_published_directory_is_a_config(command: str, tmp_path: Path) -> None:
    directory = write_published_directory(tmp_path / "published")
    result = run(command, directory, "--granularity", "exact")
    assert result.exit_code == 0, result.stderr


def test_a_defect_is_a_message_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> int:
        raise SolverError("HiGHS [refused] it")

    with pytest.raises(Exception, match="1"):
        guarded(body)
    assert capsys.readouterr() == ("", "SolverError: HiGHS [refused] it\n")


def test_an_error_that_nobody_foresaw_is_told_as_a_defect_without_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def body() -> int:
        raise KeyError("x\x1b[2J")

    with pytest.raises(Exception, match="1"):
        guarded(body)
    out_text, err_text = capsys.readouterr()
    assert out_text == ""
    assert err_text.startswith("this is a defect: KeyError: 'x\\x1b[2J' (in test_app.py, line ")
    assert err_text.endswith("and with what PLACEMENT_TRACEBACK=1 shows\n")
    monkeypatch.setenv("PLACEMENT_TRACEBACK", "1")
    with pytest.raises(KeyError):
        guarded(body)


def test_characters_that_a_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    config = write_config(tmp_path / "small.yaml", {"model.name": "名前"})
    command = [sys.executable, "-m", "pipeline", "solve", str(config), "--brief"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def written_to(
    output: int, arguments: list[str], unbuffered: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that writes its output to an open file."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no file here that is always full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["configs", "--json"]])
def test_an_output_that_cannot_be_written_is_told_on_one_line(
    arguments: list[str], unbuffered: str
) -> None:
    with open("/dev/full", "w") as full:
        done = written_to(full.fileno(), arguments, unbuffered)
    reason = "standard output: cannot be written to (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1, reason)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["configs"], ["configs", "medium", "--json"]])
def test_a_reader_that_leaves_ends_a_command_in_silence_as_a_signal_would(
    arguments: list[str], unbuffered: str
) -> None:
    """Not with 1, which says that something failed."""
    reading, writing = os.pipe()
    os.close(reading)
    done = written_to(writing, arguments, unbuffered)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no file here that is always full")
def test_messages_that_cannot_be_written_change_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "solve", str(tmp_path / "none.yaml")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full)
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("columns", ["0", "many", "9" * 5000])
def test_a_width_that_is_none_counts_as_unset(columns: str) -> None:
    def printed(environment: dict[str, str], *arguments: str) -> str:
        command = [sys.executable, "-m", "pipeline", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, env=environment, text=True).stdout

    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    for arguments in (["configs"], ["configs", "--help"]):
        unset = printed(plain, *arguments)
        assert printed({**plain, "COLUMNS": columns}, *arguments) == unset != ""


def test_results_go_to_stdout_and_errors_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    out().print("result")
    err().print("error")
    assert capsys.readouterr() == ("result\n", "error\n")


def test_python_dash_m_pipeline_is_the_same_program() -> None:
    command = [sys.executable, "-m", "pipeline", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"


def test_help_comes_without_what_commands_need_to_run() -> None:
    """Half a second less for whoever looks a flag up."""
    program = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "try:\n"
        "    main(['sweep', '--help'])\n"
        "except SystemExit:\n"
        "    needed = ('pipeline.config', 'numpy', 'pyarrow', 'pyomo', 'ray')\n"
        "    print([name for name in needed if name in sys.modules])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1:] == ["[]"], ended.stderr
