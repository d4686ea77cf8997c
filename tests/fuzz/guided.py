"""Lets a coverage-guided fuzzer choose the bytes that the text readers get.

Needs atheris, which no other part of the project does; in a virtual environment of its own:

    python -m venv /tmp/guided
    /tmp/guided/bin/pip install atheris pyyaml pydantic numpy rich scipy
    /tmp/guided/bin/python -m tests.fuzz.guided yaml -max_total_time=60

What stands behind the reader's name goes to libFuzzer. An input that breaks the contract is written
to a file `crash-…`, and the traceback printed.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parent / "corpus" / "guided"


def _readers() -> Mapping[str, Callable[[Path, bytes], object]]:
    """Return what reads a text, by name; imported late, so that its code is instrumented."""
    from pipeline.config import load_config, parse_assignments
    from pipeline.config.csv_directory import read_matrix
    from pipeline.config.hugging_face import read_hf_config
    from pipeline.config.ids import parse_gpu_ids
    from pipeline.config.yaml_file import parse_yaml
    from pipeline.errors import InputError
    from pipeline.granularity import granularity
    from pipeline.measurements import read_measurements
    from pipeline.roofline.constant_files import read_constants
    from pipeline.texts import parse_json

    def written(read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
        def run(folder: Path, content: bytes) -> object:
            file = folder / "input"
            file.write_bytes(content)
            return read(file)

        return run

    def small(_folder: Path, content: bytes) -> None:
        text = content.decode("utf-8", "replace")
        for read in (parse_gpu_ids, lambda t: granularity(t, 40)):
            try:
                read(text)
            except ValueError as error:
                if type(error) is not ValueError:
                    raise

    def assigned(_folder: Path, content: bytes) -> object:
        file = Path("configs/medium.yaml")
        try:
            return load_config(file, parse_assignments([content.decode("utf-8", "replace")]))
        except InputError:
            return None

    return {
        "yaml": lambda _, content: parse_yaml(content.decode("utf-8", "replace"), "input"),
        "json": lambda _, content: parse_json(content.decode("utf-8", "replace")),
        "config": written(load_config),
        "matrix": written(read_matrix),
        "hf": written(read_hf_config),
        "measurements": written(read_measurements),
        "constants": written(read_constants),
        "small": small,
        "set": assigned,
    }


def main() -> None:
    """Fuzz the reader that the first argument names."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["pipeline", "yaml"]):
        readers = _readers()
        from pipeline.errors import InputError, SourceError
        from pipeline.texts import TextError
    name = sys.argv.pop(1)
    folder = Path(tempfile.mkdtemp(prefix="guided-"))

    def one(content: bytes) -> None:
        try:
            readers[name](folder, content)
        except (InputError, SourceError, TextError) as error:
            str(error).encode("utf-8")

    seeds = SEEDS / name
    found = tempfile.mkdtemp(prefix="guided-found-")
    limits = ["-timeout=10", "-rss_limit_mb=1500", "-max_len=4096", "-print_final_stats=1"]
    atheris.Setup(
        [sys.argv[0], *limits, *sys.argv[1:], found, *([str(seeds)] * seeds.is_dir())], one
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
