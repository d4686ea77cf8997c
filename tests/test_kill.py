"""A sweep whose driver is killed loses at most what it had not written yet.

Three kills here; `python -m tests.soak kill` does thirty.
"""

import random
import subprocess
from pathlib import Path

from pipeline.results.status import read_status
from tests.killing import (
    FLUSH_SECONDS,
    command,
    config_of,
    started_and_killed,
    stored,
    undisturbed,
    watched,
)


def test_a_sweep_killed_at_random_moments_ends_with_the_table_of_an_undisturbed_one(
    tmp_path: Path,
) -> None:
    config, out = config_of(tmp_path, 300), tmp_path / "run"
    moments = random.Random(4)
    with watched(out) as wrong:
        kills = [started_and_killed(config, out, moments) for _ in range(3)]
        ended = subprocess.run(command(config, out), capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert wrong == []
    assert stored(out) == undisturbed(config)
    assert read_status(out).state == "finished"
    # What was written stays, and what a kill costs is one interval of writing; the rest of the
    # allowance is for a machine on which others are at work.
    assert [kill.rows for kill in kills] == sorted(kill.rows for kill in kills)
    lost = [kill.seconds_lost for kill in kills if kill.seconds_lost is not None]
    assert max(lost, default=0.0) <= FLUSH_SECONDS + 3.0
    assert f"{kills[-1].rows} were there before" in ended.stdout
