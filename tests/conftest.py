"""Settings of all tests, and the places that results can go to.

Examples are the same on every machine, and there is no deadline on slow ones.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture
def memory() -> Iterator[str]:
    """Return an address in a store that lives in memory and is emptied afterwards."""
    import fsspec

    yield "memory://bucket"
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, memory: str) -> str:
    """Return where a run's results go: to a folder of this machine, and to a store."""
    return str(tmp_path / "run") if request.param == "local" else f"{memory}/run"
