"""The one local Ray of all tests that need it; a test module names this one in pytest_plugins."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """Start Ray on 127.0.0.1 with two CPUs, once."""
    from pipeline.driver import start_ray, stop_ray

    start_ray(num_cpus=2)
    yield
    stop_ray()


@pytest.fixture
def shared_ray(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Let sweeps use the Ray that all tests share: a process can have only one."""
    from pipeline import driver

    monkeypatch.setattr(driver, "start_ray", lambda *_: None)
    monkeypatch.setattr(driver, "stop_ray", lambda: None)
