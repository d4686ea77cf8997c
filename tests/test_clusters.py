"""Sweeps over clusters whose nodes come and go, and over one that was started by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.results import load
from tests.clusters import run_on_cluster
from tests.sweeps import ANSWERS, write_config

TOKEN = "0123456789abcdef" * 4

NODE_THAT_DIES = """
second = cluster.add_node(**node)
start_ray(cluster.address)

def solve(problem, point):
    # A point that is at work on the second node when it dies, and is solved the next time.
    if note_node() == SECOND:
        time.sleep(600)
    return run_point(problem, point)

SECOND = second.node_id

def tasks():
    for index in range(12):
        if index == 4:
            while SECOND not in (folder / "nodes").read_text():
                time.sleep(0.05)
            cluster.remove_node(second, allow_graceful=False)
        yield point(index)

sweep(tasks(), solve, in_flight_per_cpu=8)
"""

NODE_THAT_COMES = """
start_ray(cluster.address)

def solve(problem, point):
    note_node()
    # Points last until a second node is at work, so that it has to be given some.
    until = time.monotonic() + 60
    while len(set((folder / "nodes").read_text().split())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    return run_point(problem, point)

def tasks():
    for index in range(12):
        if index == 2:
            cluster.add_node(**node)
        yield point(index)

sweep(tasks(), solve, in_flight_per_cpu=3)
"""


def test_points_of_a_node_that_dies_are_solved_by_the_others(tmp_path: Path) -> None:
    nodes = run_on_cluster(NODE_THAT_DIES, tmp_path)
    points = load(tmp_path / "run").points
    assert list(points.status) == ["optimal"] * 12
    assert points.point_id.is_unique
    assert len(nodes) == 2, "both nodes were at work"
    # On this machine the driver's own folder comes first; elsewhere that is not there.
    assert "py_modules_files" in (tmp_path / "path").read_text(), "the package was sent along"


def test_a_node_that_comes_while_a_sweep_runs_is_given_points(tmp_path: Path) -> None:
    nodes = run_on_cluster(NODE_THAT_COMES, tmp_path)
    assert list(load(tmp_path / "run").points.status) == ["optimal"] * 12
    assert len(nodes) == 2


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether something listens on a port of 127.0.0.1."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def with_token(token: str) -> dict[str, str]:
    """Return an environment in which Ray stays on 127.0.0.1 and asks for, or sends, a token."""
    mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    return {**os.environ, **mode, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@contextmanager
def started_by_hand(port: int) -> Iterator[str]:
    """Start a cluster by `ray start` on 127.0.0.1; yield its address, end its processes after."""
    address = f"127.0.0.1:{port}"
    place = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--num-cpus=1", "--block"]
    quiet = ["--include-dashboard=false", "--disable-usage-stats"]
    ray = str(Path(sys.executable).parent / "ray")
    process = subprocess.Popen(
        [ray, "start", *place, *quiet],
        env=with_token(TOKEN),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + 60
        while not listens(port) and time.monotonic() < until:
            time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def swept(config: Path, out: Path, address: str, token: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep on a cluster, with a token."""
    command = ["sweep", str(config), "--out", str(out), "--address", address]
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *command],
        capture_output=True,
        text=True,
        timeout=120,
        env=with_token(token),
    )


def test_the_command_runs_on_a_cluster_that_was_started_by_hand(tmp_path: Path) -> None:
    config = write_config(tmp_path / "small.yaml")
    with started_by_hand(free_port()) as address:
        ended = swept(config, tmp_path / "run", address, TOKEN)
        refused = swept(config, tmp_path / "refused", address, "another" * 8)
    assert ended.returncode == 0, ended.stderr
    assert "every placement verified" in ended.stdout
    points = load(tmp_path / "run").points
    assert len(points) == len(ANSWERS)
    assert set(points.status) == {"optimal", "infeasible"}
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("command line: --address: no Ray there: ")
    assert "must be that of the cluster" in line
