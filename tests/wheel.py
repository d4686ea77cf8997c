"""Checks the wheel as a stranger meets it: `python -m tests.wheel [PYTHON...]`.

Builds the source distribution and from it the wheel, installs the wheel with the versions of
`constraints.txt` into a fresh virtual environment of each Python, and runs the reference sweep by
name in an empty folder, without the repository. PYTHON: interpreters; else every supported one
that is found on the path or among those of pyenv. Prints one table; exits 1 where a step failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipeline import __version__

ROOT = Path(__file__).parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")
STEP_LIMIT_S = 900.0
# Run by the installed Python: the package is the installed one, with its data.
CHECK = """
import pipeline, sys
from pathlib import Path
from pipeline.config.packaged import packaged_configs
folder = Path(pipeline.__file__).parent
assert folder.is_relative_to(sys.prefix), f"{folder} is not what was installed"
assert len(packaged_configs()) == int(sys.argv[1]), packaged_configs()
assert (folder / "py.typed").is_file() and (folder / "report/assets/page.css").is_file()
"""


@dataclass(frozen=True)
class Step:
    """One command. expected: what its output must contain."""

    name: str
    arguments: tuple[str, ...]
    expected: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a step went. failure: the end of its output where it went wrong, else empty."""

    step: str
    seconds: float
    failure: str


# The lowest $/M tokens of the reference instance at `exact`, as README.md has it.
STEPS = (
    Step("--version", ("--version",), __version__),
    Step("configs", ("configs",), "medium"),
    Step("solve", ("solve", "medium"), "0.098697"),
    Step(
        "sweep",
        ("sweep", "medium", "--out", "run", "--granularity", "coarse,exact"),
        "every placement verified",
    ),
    Step("verify", ("verify", "run")),
    Step("report", ("report", "run"), "Report: run/report.html"),
    Step("compare", ("compare", "run"), "0.098697"),
    Step("configs --out", ("configs", "medium", "--out", "own.yaml"), "Written: own.yaml"),
    Step("solve own config", ("solve", "own.yaml", "--budget", "5"), "tokens/s"),
)


def main() -> None:
    """Build, install and run on every interpreter; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    pythons = parser.parse_args().pythons or list(interpreters())
    if not pythons:
        sys.exit(f"no Python of {', '.join(SUPPORTED)} was found; name one")
    table = Table(title=f"Wheel {__version__}", title_justify="left", box=None)
    for header in ("python", "step", "s", ""):
        table.add_column(header, justify="right" if header == "s" else "left", overflow="fold")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        wheel = built(Path(folder))
        print(f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB", flush=True)
        for python in pythons:
            version = version_of(python)
            for outcome in tried(python, wheel, Path(folder) / version):
                table.add_row(version, outcome.step, f"{outcome.seconds:.1f}", outcome.failure)
                state = "FAILED" if outcome.failure else "ok"
                print(f"{version} {outcome.step}: {state}, {outcome.seconds:.1f} s", flush=True)
                failed = failed or bool(outcome.failure)
    Console(width=140).print(table)
    sys.exit(failed)


def interpreters() -> Iterator[str]:
    """Yield an interpreter of every supported version that is on this machine."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for version in SUPPORTED:
        found = [str(python) for python in sorted(pyenv.glob(f"{version}.*/bin/python"))]
        on_path = shutil.which(f"python{version}")
        yield from next(([python] for python in (*found, on_path) if python), [])


def version_of(python: str) -> str:
    """Return an interpreter's version."""
    asked = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def built(folder: Path) -> Path:
    """Build the source distribution, and the wheel from nothing but it; return the wheel."""
    tools = folder / "build-tools"
    subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
    pip = [str(tools / "bin" / "python"), "-m", "pip", "install", "--quiet", "build"]
    subprocess.run(pip, check=True)
    command = [str(tools / "bin" / "python"), "-m", "build", "--outdir", str(folder / "dist")]
    done = subprocess.run([*command, str(ROOT)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"the build failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return next((folder / "dist").glob("*.whl"))


def tried(python: str, wheel: Path, folder: Path) -> Iterator[Outcome]:
    """Install a wheel into a new virtual environment, then run every step in an empty folder."""
    venv, empty = folder / "venv", folder / "empty"
    empty.mkdir(parents=True)
    inside = str(venv / "bin" / "python")
    constraints = str(ROOT / "constraints.txt")
    yield ran("venv", [python, "-m", "venv", str(venv)], empty)
    install = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    yield ran("pip install", [*install, "--constraint", constraints, str(wheel)], empty)
    count = len(list((ROOT / "configs").iterdir()))
    yield ran("what is in it", [inside, "-c", CHECK, str(count)], empty)
    for step in STEPS:
        command = [str(venv / "bin" / "placement"), *step.arguments]
        yield ran(step.name, command, empty, step.expected)


def ran(step: str, command: Sequence[str], folder: Path, expected: str = "") -> Outcome:
    """Run a command in a folder, with nothing of this process's Python about it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["COLUMNS"] = "160"
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=STEP_LIMIT_S,
        )
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        return Outcome(step, time.perf_counter() - started, str(error))
    seconds, output = time.perf_counter() - started, done.stdout + done.stderr
    if done.returncode:
        return Outcome(step, seconds, f"exit code {done.returncode}: {output[-1500:]}")
    missing = f"{expected!r} is not in: {output[-1500:]}"
    return Outcome(step, seconds, "" if expected in output else missing)


if __name__ == "__main__":
    main()
