"""Ray clusters of several nodes on this machine, for sweeps in processes of their own.

Every node is a set of processes on 127.0.0.1. A process can be connected to one Ray alone, so a
sweep on such a cluster runs in a process that is started for it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# What a script finds: `cluster` with one CPU, `node` to add others, `sweep` to run on it.
_SETTING = """
import sys, time
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
loaded, problem = small_config(folder), small_problem(folder)
(folder / "nodes").write_text("")

def note_node():
    # Called in a worker: the nodes at work, and where its package lies.
    name = ray.get_runtime_context().get_node_id()
    with (folder / "nodes").open("a") as nodes:
        nodes.write(name + "\\n")
    (folder / "path").write_text("\\n".join(sys.path))
    return name

def point(index):
    return problem, make_point(problem, "exact", "enumeration", 0.5 + index / 100)

def sweep(tasks, solve, in_flight_per_cpu):
    store = store_for(loaded, folder / "run")
    store.prepare(run_record(loaded))
    tally = Tally()
    rules = TaskRules(in_flight_per_cpu=in_flight_per_cpu)
    run_sweep(tasks, store, tally, solve=solve, rules=rules)
    store.finish(stopped=False, failed=tally.failed)
    stop_ray()
    cluster.shutdown()
"""


def run_on_cluster(script: str, folder: Path) -> set[str]:
    """Run a script after `_SETTING` in its own process; return the ids of the nodes at work."""
    ended = subprocess.run(
        [sys.executable, "-c", _SETTING + script, str(folder)],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return set((folder / "nodes").read_text().split())
