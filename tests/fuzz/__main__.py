"""Tries so many hostile inputs: python -m tests.fuzz [--inputs 20000] [--seconds 900].

Prints a table and exits 1 where the contract was broken. Failing inputs are kept where --keep
says, and run again with --replay.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.fuzz.cases import from_json
from tests.fuzz.targets import TARGETS
from tests.fuzz.workers import Batch, Tally, run_all, tried

# How the inputs are shared out, by how much stands behind a target and what an input takes.
SHARES: Mapping[str, int] = {
    "yaml_text": 14,
    "config_file": 24,
    "csv_directory": 12,
    "assignments": 10,
    "small_texts": 5,
    "solved": 6,
    "measurement_file": 6,
    "calibration": 1,
    "constants_file": 4,
    "results_folder": 9,
    "report_page": 1,
    "resumed": 3,
    "command_line": 5,
}
BATCH = 100


def batches(inputs: int, first_seed: int, only: str | None) -> list[Batch]:
    """Share inputs out over the targets, in batches that take turns."""
    shares = {name: n for name, n in SHARES.items() if only in (None, name)}
    whole = sum(shares.values())
    queues = [
        [Batch(name, first_seed + at, min(BATCH, count - at)) for at in range(0, count, BATCH)]
        for name, share in shares.items()
        for count in [round(inputs * share / whole)]
    ]
    return [queue.pop(0) for _ in range(max(map(len, queues))) for queue in queues if queue]


def main() -> int:
    """Run the inputs that the flags ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=900.0, help="start no batch after these")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=sorted(TARGETS), help="only this one")
    parser.add_argument("--keep", type=Path, help="folder for failing inputs")
    parser.add_argument("--replay", type=Path, nargs="+", help="run these inputs instead")
    given = parser.parse_args()
    if given.replay:
        return _replay(given.replay)
    started = time.perf_counter()
    tallies = {name: Tally() for name in SHARES if given.target in (None, name)}
    work = batches(given.inputs, given.seed, given.target)
    for batch, tally in run_all(work, given.workers, given.seconds):
        for failure in tally.failures.keys() - tallies[batch.target].failures.keys():
            print(f"{batch.target}: {failure}", file=sys.stderr, flush=True)
        tallies[batch.target].merge(tally)
    if given.keep:
        _keep(tallies, given.keep)
    print(_table(tallies))
    seconds, count = time.perf_counter() - started, sum(t.inputs for t in tallies.values())
    left = sum(batch.count for batch in work) - count
    cut = f"; {left:,} were left when --seconds were over" if left else ""
    print(f"{count:,} inputs in {seconds:.0f} s on {given.workers} workers{cut}")
    return 1 if any(tally.failed for tally in tallies.values()) else 0


def _replay(files: list[Path]) -> int:
    failed = 0
    for file in files:
        outcome = tried(from_json(file.read_text(encoding="utf-8")))
        failed += outcome.failure is not None
        print(f"{file.name}: {outcome.failure or 'kept'}, {outcome.seconds:.2f} s")
    return 1 if failed else 0


def _keep(tallies: Mapping[str, Tally], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, tally in tallies.items():
        for failure, case in tally.failures.items():
            tag = hashlib.sha256(failure.encode("utf-8", "replace")).hexdigest()[:8]
            (folder / f"{name}-{tag}.json").write_text(case.to_json(), encoding="utf-8")
        if tally.slowest is not None:
            file = folder / f"{name}-slowest.json"
            file.write_text(tally.slowest.to_json(), encoding="utf-8")


def _table(tallies: Mapping[str, Tally]) -> str:
    heads = ("inputs", "taken", "failures", "seconds", "slowest s", "peak MB")
    lines = ["".join([f"{'target':<18}", *(f"{head:>10}" for head in heads)])]
    for name, t in tallies.items():
        lines.append(
            f"{name:<18}{t.inputs:>10,}{t.taken:>10,}{t.failed:>10,}{t.seconds:>10.0f}"
            f"{t.slowest_s:>10.2f}{t.peak_mb:>10.0f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
