"""`python -m pipeline.validation CSV [--kv CSV]`: score the model and print the tables."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from pipeline.measurements import MeasurementError
from pipeline.validation.report import validate
from pipeline.validation.tables import report_tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; exit code 0, or 2 with every fault where a file cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.validation", description=__doc__)
    parser.add_argument("csv", help="measured throughput, in the documented form")
    parser.add_argument("--kv", help="counted KV-cache blocks, in the documented form")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    try:
        report = validate(options.csv, options.kv)
    except MeasurementError as error:
        print(error, file=sys.stderr)
        return 2
    console = Console()
    console.print(report_tables(report))
    console.print(f"scored in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
