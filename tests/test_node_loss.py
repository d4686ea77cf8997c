"""A sweep over two nodes of which one dies: what it held is solved by the other.

Both nodes are processes of this machine, on 127.0.0.1. The sweep runs in a process of its own,
since a process can be connected to one Ray alone.
"""

import subprocess
import sys
from pathlib import Path

from pipeline.results import load

SWEEP = """
import os, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from pipeline.driver import Tally, TaskRules, run_sweep, start_ray, stop_ray
from pipeline.driver.cluster import _stay_on_this_machine
from pipeline.points import make_point
from pipeline.run import run_point
from pipeline.sweep import run_record
from tests.sweeps import small_config, small_problem, store_for

folder = Path(sys.argv[1])
node = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "num_cpus": 1}
_stay_on_this_machine()
cluster = Cluster(initialize_head=True, head_node_args=node)
second = cluster.add_node(**node)
start_ray(cluster.address)
loaded, problem = small_config(folder), small_problem(folder)
store = store_for(loaded, folder / "run")
store.prepare(run_record(loaded))

def solve(problem, point):
    # A point that is at work on the second node when it dies, and is solved the next time.
    name = ray.get_runtime_context().get_node_id()
    with (folder / "nodes").open("a") as nodes:
        nodes.write(name + "\\n")
    (folder / "path").write_text("\\n".join(sys.path))
    if name == SECOND:
        time.sleep(600)
    return run_point(problem, point)

SECOND = second.node_id
tally = Tally()
def tasks():
    for index in range(12):
        if index == 4:
            while SECOND not in (folder / "nodes").read_text():
                time.sleep(0.05)
            cluster.remove_node(second, allow_graceful=False)
        yield problem, make_point(problem, "exact", "enumeration", 0.5 + index / 100)
(folder / "nodes").write_text("")
run_sweep(tasks(), store, tally, solve=solve, rules=TaskRules(in_flight_per_cpu=8))
store.finish(stopped=False, failed=tally.failed)
stop_ray()
cluster.shutdown()
"""


def test_points_of_a_node_that_dies_are_solved_by_the_others(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SWEEP, str(tmp_path)], capture_output=True, text=True, timeout=150
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    points = load(tmp_path / "run").points
    assert list(points.status) == ["optimal"] * 12
    assert points.point_id.is_unique
    assert len(set((tmp_path / "nodes").read_text().split())) == 2, "both nodes were at work"
    # On this machine the driver's own folder comes first; elsewhere that is not there.
    assert "py_modules_files" in (tmp_path / "path").read_text(), "the package was sent along"
